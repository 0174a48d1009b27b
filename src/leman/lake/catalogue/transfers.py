"""The queue of copies to be made. A worker claims some, so that no two make the same copy."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, update

from leman.lake.catalogue.names import need_rows, rse_keys, rse_names
from leman.lake.catalogue.schema import dids, transfers
from leman.lake.catalogue.sql import PAGE, among, chunks, insert_new, micro, moment, now
from leman.lake.model import DID, LakeError, Transfer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Row

    from leman.lake.catalogue.database import Database

_SHOWN = select(transfers, dids.c.scope, dids.c.name, dids.c.size).join(
    dids, dids.c.key == transfers.c.did
)


class Transfers:
    """The queue. Every method raises LakeError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self, wanted: Iterable[Transfer]) -> None:
        """Queue copies; one that is queued for the same file and destination already stays."""
        for some in chunks(wanted):
            with self._database.writing() as transaction:
                connection = transaction.connection
                files = need_rows(connection, list({one.did for one in some}))
                at = rse_keys(connection, list({one.destination for one in some}))
                rows = [_row(one, files[one.did].key, at[one.destination]) for one in some]
                rows.sort(key=lambda row: (row["did"], row["destination"]))
                insert_new(connection, transfers, rows)

    def claim(self, at: datetime, *, limit: int, lease: timedelta) -> list[Transfer]:
        """Take copies that are due, oldest first, the accounts in turn.

        Nobody else gets them for `lease`; a worker that dies gives them back so.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            due = (transfers.c.after <= micro(at)) & (
                transfers.c.claimed.is_(None) | (transfers.c.claimed <= micro(at))
            )
            keys: list[tuple[int, str, int]] = []
            for account in connection.scalars(select(transfers.c.account).where(due).distinct()):
                query = select(transfers.c.key).where(due, transfers.c.account == account)
                query = query.order_by(transfers.c.after, transfers.c.key).limit(limit)
                found = connection.scalars(query.with_for_update(skip_locked=True))
                keys += [(place, account, key) for place, key in enumerate(found)]
            chosen = [key for _, _, key in sorted(keys)[:limit]]
            mine = among(connection, transfers.c.key, chosen)
            statement = update(transfers).where(mine).values(claimed=micro(at + lease))
            connection.execute(statement)
            rows = {row.key: row for row in connection.execute(_SHOWN.where(mine))}
            names = rse_names(connection)
            return [_transfer(rows[key], names) for key in chosen]

    def again(self, failed: Collection[Transfer]) -> None:
        """Put claimed copies back with their new attempts, after, error and sources."""
        with self._database.writing() as transaction:
            names = ("sources", "attempts", "after", "error")
            values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            statement = update(transfers).where(transfers.c.id == bindparam("the_id"))
            rows = [
                {
                    "the_id": one.id,
                    "new_sources": json.dumps(one.sources),
                    "new_attempts": one.attempts,
                    "new_after": micro(one.after or now()),
                    "new_error": one.error,
                }
                for one in sorted(failed, key=lambda one: one.id)
            ]
            if rows:
                statement = statement.values({**values, "claimed": None})
                transaction.connection.execute(statement, rows)

    def remove(self, ids: Collection[str]) -> None:
        """Take copies off the queue: made, or wanted no more; one that is not there is fine."""
        with self._database.writing() as transaction:
            for some in chunks(ids):
                where = among(transaction.connection, transfers.c.id, some)
                transaction.connection.execute(delete(transfers).where(where))

    def find(
        self, *, rule: str | None = None, destination: str | None = None
    ) -> Iterator[Transfer]:
        """Yield what is queued, oldest first."""
        last = 0
        while True:
            with self._database.reading() as connection:
                query = _SHOWN.where(transfers.c.key > last)
                if rule is not None:
                    query = query.where(transfers.c.rule == rule)
                if destination is not None:
                    key = rse_keys(connection, [destination])[destination]
                    query = query.where(transfers.c.destination == key)
                rows = connection.execute(query.order_by(transfers.c.key).limit(PAGE)).all()
                names = rse_names(connection)
            yield from (_transfer(row, names) for row in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].key

    def get(self, transfer: str) -> Transfer:
        """Return one; LakeError (RequestNotFound)."""
        with self._database.reading() as connection:
            return _get(connection, transfer)


def _get(connection: Connection, transfer: str) -> Transfer:
    row = connection.execute(_SHOWN.where(transfers.c.id == transfer)).first()
    if row is None:
        raise LakeError("RequestNotFound", f"transfer {transfer} is not queued")
    return _transfer(row, rse_names(connection))


def _row(one: Transfer, did: int, destination: int) -> dict[str, Any]:
    return {
        "id": one.id or uuid.uuid4().hex,
        "did": did,
        "destination": destination,
        "sources": json.dumps(one.sources),
        "account": one.account,
        "rule": one.rule,
        "attempts": one.attempts,
        "after": micro(one.after or now()),
        "claimed": None,
        "error": one.error,
        "created": micro(now()),
    }


def _transfer(row: Row[Any], names: Mapping[int, str]) -> Transfer:
    return Transfer(
        row.id,
        DID(row.scope, row.name),
        names[row.destination],
        tuple(json.loads(row.sources)),
        row.size or 0,
        account=row.account,
        rule=row.rule,
        attempts=row.attempts,
        after=moment(row.after),
        error=row.error,
    )
