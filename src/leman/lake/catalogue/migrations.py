"""Bring an older catalogue to the schema of today, one numbered step after another.

A new catalogue is made by `schema` at once. Step n turns version n-1 into version n; it is written
with plain SQL, because `schema` goes on changing and an old step must not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, text

from leman.lake.catalogue.database import Database, back_up
from leman.lake.catalogue.schema import SCHEMA, accounts, schema_version
from leman.lake.catalogue.sql import micro, now
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    Step = Callable[[Connection], None]

# The number is the version that the step leads to.
STEPS: Mapping[int, Step] = {}
_TURN = 0x6C656D616E  # any number, the same in every process: "leman"


def newest(steps: Mapping[int, Step]) -> int:
    """Return the version that this program writes."""
    return max(steps, default=1)


def version(database: Database) -> int:
    """Return the version of a catalogue, 0 where there is none yet.

    Raises LakeError (DatabaseException) for a database that holds something else.
    """
    with database.reading() as connection:
        return _version(connection)


def _version(connection: Connection) -> int:
    tables = set(inspect(connection).get_table_names())
    if schema_version.name in tables:
        return int(connection.scalars(select(schema_version.c.version)).one())
    if tables & set(SCHEMA.tables):
        message = "the database has tables of the same names that are no catalogue of leman"
        raise LakeError("DatabaseException", message, hint="Use a database of its own.")
    return 0


def bring_up_to_date(
    database: Database,
    *,
    progress: Callable[[int, int], None],
    steps: Mapping[int, Step] = STEPS,
) -> Path | None:
    """Create or migrate; returns the backup that was made of a SQLite file first.

    All steps are one transaction: a failure leaves the old version. Of two processes that start
    together, one does the work. Raises LakeError (DatabaseException) for a newer version.
    """
    wanted = newest(steps)
    found = version(database)
    if found > wanted:
        message = f"the catalogue has version {found}; this leman knows versions up to {wanted}"
        raise LakeError("DatabaseException", message, hint="Use a leman at least as new.")
    if found == wanted:
        return None
    backup = _back_up(database, found, progress) if found else None
    with database.writing() as transaction:
        connection = transaction.connection
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
        if not (found := _version(connection)):
            _create(connection, wanted)
        for number in range(found + 1, wanted + 1) if found else ():
            steps[number](connection)
            values = {"version": number, "applied": micro(now())}
            connection.execute(schema_version.update().values(values))
    return backup


def _create(connection: Connection, number: int) -> None:
    SCHEMA.create_all(connection)
    moment = micro(now())
    connection.execute(insert(schema_version).values(version=number, applied=moment))
    root = {"name": "root", "type": "SERVICE", "email": "", "admin": True, "active": True}
    connection.execute(insert(accounts).values(**root, created=moment))


def _back_up(database: Database, found: int, progress: Callable[[int, int], None]) -> Path | None:
    # A PostgreSQL server is backed up by whoever keeps it; its DDL is undone on failure.
    if not database.is_sqlite:
        return None
    source = Path(str(database.engine.url.database))
    target = source.with_name(f"{source.name}.version{found}.{now():%Y%m%dT%H%M%S}")
    back_up(source, target, progress)
    return target
