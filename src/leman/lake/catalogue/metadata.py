"""Metadata of DIDs: any JSON under a key, found again by value."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from leman.lake.catalogue.names import invalid, need_row, need_rows
from leman.lake.catalogue.schema import did_metadata
from leman.lake.catalogue.sql import among, chunks, upsert
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from leman.lake.catalogue.database import Database
    from leman.lake.model import DID

_LONGEST = 255
_FOUND_BY = 500  # characters of a text that a search compares
_BIGGEST = 1_000_000  # characters of JSON under one key


class Metadata:
    """What is known about a DID beside its content."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, did: DID) -> dict[str, Any]:
        """Return all of a DID's metadata; LakeError (DataIdentifierNotFound)."""
        with self._database.reading() as connection:
            row = need_row(connection, did)
            return metadata_of(connection, [row.key]).get(row.key, {})

    def set(self, given: Mapping[DID, Mapping[str, Any]]) -> None:
        """Set values of many DIDs; keys that are not named stay.

        LakeError (DataIdentifierNotFound), InvalidObject for what JSON cannot hold.
        """
        with self._database.writing() as transaction:
            rows = need_rows(transaction.connection, given)
            known = {rows[did].key: values for did, values in given.items()}
            write_metadata(transaction.connection, known)

    def delete(self, did: DID, keys: Collection[str]) -> None:
        """Remove keys of a DID; LakeError (KeyNotFound) where one is not there."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            row = need_row(connection, did)
            for key in keys:
                where = (did_metadata.c.did == row.key) & (did_metadata.c.key == key)
                if not connection.execute(delete(did_metadata).where(where)).rowcount:
                    raise LakeError("KeyNotFound", f"{did} has no metadata {key!r}")


def metadata_of(connection: Connection, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the metadata of DIDs by key; those without any are left out."""
    found: dict[int, dict[str, Any]] = {}
    for some in chunks(keys):
        query = select(did_metadata.c.did, did_metadata.c.key, did_metadata.c.value)
        for did, key, value in connection.execute(
            query.where(among(connection, did_metadata.c.did, some))
        ):
            found.setdefault(did, {})[key] = json.loads(value)
    return found


def write_metadata(connection: Connection, given: Mapping[int, Mapping[str, Any]]) -> None:
    """Set values by key of DID."""
    rows = (
        _row(did, key, value)
        for did, values in sorted(given.items())
        for key, value in sorted(values.items())
    )
    for some in chunks(rows):
        upsert(connection, did_metadata, some)


def _row(did: int, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST or not key.isprintable():
        raise invalid(f"{key!r} is no key of metadata", "One to 255 printable characters.")
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        raise invalid(f"the metadata {key!r} is nothing that JSON can hold") from None
    if len(text) > _BIGGEST:
        raise invalid(f"the metadata {key!r} is longer than {_BIGGEST} characters")
    kind, number, words = typed(value)
    row = {"did": did, "key": key, "value": text, "kind": kind}
    return {**row, "number": number, "text": words}


def typed(value: Any) -> tuple[str, float | None, str | None]:  # noqa: ANN401 - JSON
    """Return how a search sees a value: its kind, and a number or a text."""
    if value is None:
        return "null", None, None
    if isinstance(value, bool):
        return "bool", float(value), None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return "number", None, None  # no search finds it, but it is kept
        return "number", number if math.isfinite(number) else None, None
    if isinstance(value, str):
        # PostgreSQL has no NUL in texts, and no half of a surrogate pair.
        kept = value[:_FOUND_BY].replace("\0", "").encode(errors="replace").decode()
        return "text", None, kept
    return "other", None, None
