"""The few statements that each database words in its own way, and moments as integers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Dialect, Table

PAGE = 5000  # rows that a listing holds at a time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


def micro(moment: datetime) -> int:
    """Return microseconds since 1970; a moment without zone is taken as UTC, as Rucio does."""
    return (_aware(moment) - _EPOCH) // _MICROSECOND


def micro_or_none(moment: datetime | None) -> int | None:
    """Return microseconds since 1970, or None for None."""
    return None if moment is None else micro(moment)


def moment(count: int) -> datetime:
    """Return the moment, in UTC, of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=count)


def moment_or_none(count: int | None) -> datetime | None:
    """Return the moment, or None for None."""
    return None if count is None else moment(count)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def chunks(values: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """Yield the values in lists of `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of texts, integers and booleans; one that is there already stays as it is."""
    _insert(connection, table, rows, passing=True)


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of texts, integers and booleans; the database refuses one that is there."""
    _insert(connection, table, rows, passing=False)


def _insert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, passing: bool
) -> None:
    if rows:
        sql, order = _compiled(connection.dialect, table, tuple(rows[0]), passing=passing)
        # straight to the driver: half of the time of a bulk insert would go to checking types
        values = [tuple(map(row.__getitem__, order)) for row in rows] if order else list(rows)
        connection.exec_driver_sql(sql, values)


@lru_cache(maxsize=64)
def _compiled(
    dialect: Dialect, table: Table, names: tuple[str, ...], *, passing: bool
) -> tuple[str, Sequence[str]]:
    """Return an INSERT, and the order of its parameters where they have places, not names."""
    insert = insert_sqlite if dialect.name == "sqlite" else insert_postgresql
    statement = insert(table).on_conflict_do_nothing() if passing else insert(table)
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - for the type checker
    return str(compiled), compiled.positiontup or ()


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those of the same primary key."""
    if rows:
        insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
        statement = insert(table)
        keys = [column.name for column in table.primary_key]
        change = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=change)
        connection.execute(statement, list(rows))


def among(
    connection: Connection, column: ColumnElement[Any], values: Collection[int] | Collection[str]
) -> ColumnElement[bool]:
    """Say that a column has one of many values: one parameter, however many there are."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(literal(json.dumps(list(values)))).table_valued("value")
        return column.in_(select(listed.c.value))
    kind: Any = BigInteger if isinstance(column.type, Integer) else Text
    return column == any_(cast(bindparam(None, list(values), ARRAY(kind)), ARRAY(kind)))


def like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Say that a text matches a pattern where ``*`` stands for anything, case included."""
    prefix, _, rest = pattern.partition("*")
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found: ColumnElement[bool] = column.like(escaped.replace("*", "%"), escape="\\")
    if prefix and rest is not None:
        # the range lets both databases use an index
        found = (column >= prefix) & (column < prefix + "\U0010ffff") & found
    return found
