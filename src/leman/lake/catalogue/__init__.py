"""The catalogue of a lake, in SQLite or PostgreSQL."""

from leman.lake.catalogue.catalogue import Catalogue, open_catalogue
from leman.lake.catalogue.values import (
    Account,
    BadReplica,
    Known,
    Limit,
    NewDID,
    NewReplica,
    NewRule,
    Token,
    Usage,
)

__all__ = [
    "Account",
    "BadReplica",
    "Catalogue",
    "Known",
    "Limit",
    "NewDID",
    "NewReplica",
    "NewRule",
    "Token",
    "Usage",
    "open_catalogue",
]
