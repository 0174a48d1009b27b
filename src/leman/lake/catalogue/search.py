"""Filters turned into a condition on the tables; values go in as parameters only."""

from __future__ import annotations

import math
import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, not_, or_, true

from leman.lake.catalogue import filters as parsing
from leman.lake.catalogue.schema import did_metadata, dids
from leman.lake.catalogue.sql import like, micro
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

    from leman.lake.catalogue.filters import Comparison, Filters

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# Rucio's names of what every DID has.
_COLUMNS: dict[str, tuple[Any, str]] = {
    "name": (dids.c.name, "text"),
    "scope": (dids.c.scope, "text"),
    "account": (dids.c.account, "text"),
    "did_type": (dids.c.type, "text"),
    "adler32": (dids.c.adler32, "text"),
    "md5": (dids.c.md5, "text"),
    "bytes": (dids.c.size, "number"),
    "length": (dids.c.length, "number"),
    "is_open": (dids.c.open, "bool"),
    "monotonic": (dids.c.monotonic, "bool"),
    "created_at": (dids.c.created, "moment"),
    "updated_at": (dids.c.updated, "moment"),
    "expired_at": (dids.c.expires, "moment"),
}


def condition(filters: Filters) -> ColumnElement[bool]:
    """Return what rows of `dids` fit; LakeError (DIDFilterSyntaxError) for wrong filters."""
    groups = parsing.parse(filters)
    return or_(*(and_(*map(_compared, group)) for group in groups)) if groups else true()


def _compared(one: Comparison) -> ColumnElement[bool]:
    if one.key not in _COLUMNS:
        return _on_metadata(one)
    column, kind = _COLUMNS[one.key]
    value = _fitting(one, kind)
    if kind == "text" and "*" in str(value):
        found = like(column, str(value))
        return found if one.operator == "=" else not_(found)
    compared: ColumnElement[bool] = _COMPARE[one.operator](column, value)
    return compared


def _fitting(one: Comparison, kind: str) -> str | int | float | bool:
    value = one.value
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "moment" and isinstance(value, datetime):
        return micro(value)
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        # beyond what the column can hold, the comparison has the same answer at its ends
        ends = float(2**62)
        return value if -ends < value < ends else math.copysign(ends, value)
    message = f"{one.key} is compared with {value!r}, but it is a {kind}"
    raise LakeError("DIDFilterSyntaxError", message)


def _on_metadata(one: Comparison) -> ColumnElement[bool]:
    table, value = did_metadata.c, one.value
    found: ColumnElement[bool]
    if value == "*" and isinstance(value, str):  # anything: the key is there
        found = true() if one.operator == "=" else not_(true())
    elif isinstance(value, str) and "*" in value:
        found = like(table.text, value)
        found = found if one.operator == "=" else not_(found)
    elif isinstance(value, str):
        found = _COMPARE[one.operator](table.text, value)
    elif isinstance(value, datetime):
        # JSON has no moments: they are kept as ISO texts, which order as they should
        found = _COMPARE[one.operator](table.text, _like_written(value))
    else:
        kind = "bool" if isinstance(value, bool) else "number"
        number = max(min(value, 1e308), -1e308)
        found = (table.kind == kind) & _COMPARE[one.operator](table.number, float(number))
    return exists().where(table.did == dids.c.key, table.key == one.key, found)


def _like_written(moment: datetime) -> str:
    written = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if moment.microsecond:
        return written + moment.strftime(".%f")
    return written if moment.time().isoformat() != "00:00:00" else moment.strftime("%Y-%m-%d")
