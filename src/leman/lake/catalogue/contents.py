"""What is in what: files in data sets, data sets and containers in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, update

from leman.lake.catalogue.dids import ENTRY, entries
from leman.lake.catalogue.names import need_row, need_rows
from leman.lake.catalogue.schema import contents, dids
from leman.lake.catalogue.sql import PAGE, among, chunks, insert_new, micro, now
from leman.lake.model import DID, DIDType, LakeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from leman.lake.catalogue.database import Database
    from leman.lake.model import Entry

_ALLOWED = {
    DIDType.DATASET: {DIDType.FILE},
    DIDType.CONTAINER: {DIDType.DATASET, DIDType.CONTAINER},
}


class Contents:
    """Attachments. Every method raises LakeError (DataIdentifierNotFound) for a missing DID."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def attach(self, given: Mapping[DID, Collection[DID]], *, again: bool = False) -> None:
        """Put DIDs into sets: all or none.

        UnsupportedOperation for a closed set, a wrong type or a circle. What is in there already:
        FileAlreadyExists or DuplicateContent as in Rucio, or nothing where `again` says so.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            columns = (dids.c.open,)
            parents = need_rows(connection, list(given), *columns, lock=True)
            if any(row.type == DIDType.CONTAINER for row in parents.values()):
                _one_at_a_time(connection)
            for did, children in sorted(given.items()):
                if not parents[did].open:
                    hint = "Reopen it, or attach to another set."
                    raise LakeError("UnsupportedOperation", f"{did} is closed", hint=hint)
                for some in chunks(dict.fromkeys(children)):
                    _attach(connection, parents[did], some, again=again)

    def detach(self, parent: DID, children: Collection[DID]) -> None:
        """Take DIDs out of a set; they stay in the catalogue.

        UnsupportedOperation for a closed or monotonic set; DataIdentifierNotFound where one of
        them is not in it.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            row = need_row(connection, parent, dids.c.open, dids.c.monotonic, lock=True)
            if row.monotonic or not row.open:
                word = "monotonic" if row.monotonic else "closed"
                raise LakeError("UnsupportedOperation", f"{parent} is {word}: what is in it stays")
            for some in chunks(dict.fromkeys(children)):
                rows = need_rows(connection, some, dids.c.size)
                keys = {one.key: did for did, one in rows.items()}
                there = _within(connection, row.key, list(keys))
                if lacking := [did for key, did in keys.items() if key not in there]:
                    message = f"{lacking[0]} is not in {parent}"
                    raise LakeError("DataIdentifierNotFound", message)
                where = contents.c.parent == row.key
                where &= among(connection, contents.c.child, list(keys))
                connection.execute(delete(contents).where(where))
                _sum(connection, row, -sum(one.size or 0 for one in rows.values()), -len(rows))

    def list(self, parent: DID) -> Iterator[Entry]:
        """Yield what is in a set, in the order in which it came into the catalogue."""
        with self._database.reading() as connection:
            top = need_row(connection, parent).key
        yield from self._children(top)

    def files(self, did: DID) -> Iterator[Entry]:
        """Yield the files below a set, each once; of a file, itself.

        Memory grows with the number of files only where data sets of one container share files.
        """
        with self._database.reading() as connection:
            row = need_row(connection, did, *ENTRY)
            found = entries(connection, [row]) if row.type == DIDType.FILE else []
            sets = datasets_below(connection, row)
        yield from (entry for _, entry in found)
        for position, key in enumerate(sets):
            yield from self._children(key, sets[:position])

    def datasets(self, did: DID) -> Iterator[tuple[DID, int]]:
        """Yield the data sets below a container, or a data set itself, with their lengths."""
        with self._database.reading() as connection:
            keys = datasets_below(connection, need_row(connection, did))
        query = select(dids.c.scope, dids.c.name, dids.c.length).order_by(dids.c.key)
        for some in chunks(keys):
            with self._database.reading() as connection:
                rows = connection.execute(query.where(among(connection, dids.c.key, some))).all()
            yield from ((DID(row.scope, row.name), row.length) for row in rows)

    def parents(self, children: Collection[DID]) -> Iterator[tuple[DID, DID]]:
        """Yield (child, parent) of every set that one of the DIDs is directly in."""
        parent = dids.alias()
        for some in chunks(children):
            with self._database.reading() as connection:
                rows = {row.key: did for did, row in need_rows(connection, some).items()}
                query = select(contents.c.child, parent.c.scope, parent.c.name)
                query = query.join(parent, parent.c.key == contents.c.parent)
                query = query.where(among(connection, contents.c.child, list(rows)))
                found = connection.execute(query.order_by(contents.c.child, parent.c.key)).all()
            yield from ((rows[row.child], DID(row.scope, row.name)) for row in found)

    def _children(self, parent: int, but_not: Sequence[int] = ()) -> Iterator[Entry]:
        last = 0
        while True:
            with self._database.reading() as connection:
                query = select(dids.c.key, dids.c.scope, dids.c.name, dids.c.type, *ENTRY)
                query = query.join(contents, contents.c.child == dids.c.key)
                query = query.where(contents.c.parent == parent, contents.c.child > last)
                query = query.order_by(contents.c.child).limit(PAGE)
                rows = connection.execute(query).all()
                last = rows[-1].key if rows else last
                told = _told_before(connection, [row.key for row in rows], but_not)
                page = entries(connection, [row for row in rows if row.key not in told])
            yield from (entry for _, entry in page)
            if len(rows) < PAGE:
                return


def _told_before(
    connection: Connection, keys: Sequence[int], parents: Sequence[int]
) -> frozenset[int]:
    if not parents or not keys:
        return frozenset()
    query = select(contents.c.child).where(among(connection, contents.c.child, keys))
    return frozenset(connection.scalars(query.where(among(connection, contents.c.parent, parents))))


def _one_at_a_time(connection: Connection) -> None:
    """Let nobody else attach to containers meanwhile: two halves could make a circle."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1667461748)")


def _attach(connection: Connection, parent: Row[Any], some: list[DID], *, again: bool) -> None:
    name = DID(parent.scope, parent.name)
    if parent.type == DIDType.FILE:
        raise LakeError("UnsupportedOperation", f"{name} is a file: nothing can be in it")
    rows = need_rows(connection, some, dids.c.size)
    for did, row in rows.items():
        if row.type not in _ALLOWED[parent.type]:
            message = f"{did} is a {row.type.lower()}; a {parent.type.lower()} holds "
            message += " and ".join(sorted(f"{one.lower()}s" for one in _ALLOWED[parent.type]))
            raise LakeError("UnsupportedOperation", message)
    if parent.type == DIDType.CONTAINER:
        _refuse_circle(connection, parent, rows)
    there = _within(connection, parent.key, [row.key for row in rows.values()])
    if there and not again:
        twice = next(did for did, row in rows.items() if row.key in there)
        kind = "FileAlreadyExists" if parent.type == DIDType.DATASET else "DuplicateContent"
        raise LakeError(kind, f"{twice} is in {name} already")
    new = sorted((row for row in rows.values() if row.key not in there), key=lambda row: row.key)
    insert_new(connection, contents, [{"parent": parent.key, "child": row.key} for row in new])
    _sum(connection, parent, sum(row.size or 0 for row in new), len(new))


def _within(connection: Connection, parent: int, keys: Sequence[int]) -> set[int]:
    query = select(contents.c.child).where(contents.c.parent == parent)
    return set(connection.scalars(query.where(among(connection, contents.c.child, keys))))


def _refuse_circle(connection: Connection, parent: Row[Any], rows: Mapping[DID, Row[Any]]) -> None:
    start = select(bindparam("top", parent.key, dids.c.key.type).label("key"))
    above = start.cte("above", recursive=True)
    step = select(contents.c.parent).join(above, contents.c.child == above.c.key)
    ancestors = set(connection.scalars(select(above.union(step).c.key)))
    for did, row in rows.items():
        if row.key in ancestors:
            message = f"{did} holds {parent.scope}:{parent.name}, or is it: that would be a circle"
            raise LakeError("UnsupportedOperation", message)


def _sum(connection: Connection, parent: Row[Any], size: int, length: int) -> None:
    change = {"size": dids.c.size + size, "length": dids.c.length + length}
    values = {**(change if parent.type == DIDType.DATASET else {}), "updated": micro(now())}
    connection.execute(update(dids).where(dids.c.key == parent.key).values(values))


def datasets_below(connection: Connection, row: Row[Any]) -> Sequence[int]:
    """Return the keys of the data sets below a container, of a data set its own, of a file none."""
    if row.type != DIDType.CONTAINER:
        return [row.key] if row.type == DIDType.DATASET else []
    tree = select(contents.c.child).where(contents.c.parent == row.key)
    below = tree.cte("below", recursive=True)
    inner = dids.alias()
    step = select(contents.c.child).join(below, contents.c.parent == below.c.child)
    step = step.join(inner, (inner.c.key == below.c.child) & (inner.c.type == DIDType.CONTAINER))
    below = below.union(step)
    query = select(dids.c.key).join(below, below.c.child == dids.c.key)
    return connection.scalars(
        query.where(dids.c.type == DIDType.DATASET).order_by(dids.c.key)
    ).all()
