"""Data identifiers: files, data sets, containers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, select, update

from leman.lake.catalogue import search
from leman.lake.catalogue.metadata import metadata_of, write_metadata
from leman.lake.catalogue.names import (
    check_checksums,
    check_did,
    check_size,
    invalid,
    need_account,
    need_row,
    need_rows,
    need_scopes,
    rows_of,
)
from leman.lake.catalogue.schema import contents, dids, replicas, rules
from leman.lake.catalogue.sql import (
    PAGE,
    among,
    chunks,
    insert_new,
    micro,
    micro_or_none,
    moment,
    moment_or_none,
    now,
)
from leman.lake.model import DID, Checksums, DIDType, Entry, LakeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from leman.lake.catalogue.database import Database, Transaction
    from leman.lake.catalogue.filters import Filters
    from leman.lake.catalogue.values import NewDID

ENTRY = [column for column in dids.c if column.name not in {"key", "scope", "name", "type"}]
_CONTENT = (dids.c.size, dids.c.adler32, dids.c.md5, dids.c.sha256)
_SUMS = ("adler32", "md5", "sha256")
COLLECTIONS = (DIDType.DATASET, DIDType.CONTAINER)


class DIDs:
    """The names of the lake. Every method raises LakeError of Rucio's kinds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Iterable[NewDID], *, account: str) -> None:
        """Add DIDs: all or none.

        A file that is there with the same content is fine. DataIdentifierAlreadyExists for a set
        that is there, or for a file of another content; ScopeNotFound, AccountNotFound,
        InvalidObject.
        """
        wanted = list(new)
        with self._database.writing() as transaction:
            files = [one for one in wanted if one.type is DIDType.FILE]
            sets = [one for one in wanted if one.type is not DIDType.FILE]
            register_files(transaction, files, account)
            _add_sets(transaction, sets, account)

    def get(self, wanted: Collection[DID]) -> Iterator[Entry]:
        """Yield entries in the order asked for; DataIdentifierNotFound names the first missing."""
        for some in chunks(wanted):
            with self._database.reading() as connection:
                rows = need_rows(connection, some, *ENTRY)
                known = {row.key: entry for row, entry in entries(connection, rows.values())}
            yield from (known[rows[did].key] for did in some)

    def find(
        self,
        scope: str,
        filters: Filters = "",
        *,
        types: Collection[DIDType] = COLLECTIONS,
    ) -> Iterator[Entry]:
        """Yield entries of a scope that fit, in the order of their names (see `filters`)."""
        condition = search.condition(filters)
        last = ""
        while True:
            with self._database.reading() as connection:
                query = select(dids.c.key, dids.c.scope, dids.c.name, dids.c.type, *ENTRY)
                query = query.where(dids.c.scope == scope, dids.c.name > last, condition)
                query = query.where(among(connection, dids.c.type, [str(one) for one in types]))
                rows = connection.execute(query.order_by(dids.c.name).limit(PAGE)).all()
                page = entries(connection, rows)
            yield from (entry for _, entry in page)
            if len(rows) < PAGE:
                return
            last = rows[-1].name

    def update(
        self,
        did: DID,
        *,
        open: bool | None = None,  # noqa: A002 - Rucio's word
        monotonic: bool | None = None,
    ) -> None:
        """Close or reopen a set, or make it one that loses nothing any more.

        UnsupportedOperation for a file, and for undoing `monotonic`.
        """
        with self._database.writing() as transaction:
            row = need_row(transaction.connection, did, dids.c.monotonic, lock=True)
            if row.type == DIDType.FILE:
                raise LakeError("UnsupportedOperation", f"{did} is a file; only sets are closed")
            if monotonic is False and row.monotonic:
                message = f"{did} is monotonic, and that cannot be undone"
                raise LakeError("UnsupportedOperation", message)
            change = {"open": open, "monotonic": monotonic}
            values = {key: value for key, value in change.items() if value is not None}
            statement = update(dids).where(dids.c.key == row.key)
            statement = statement.values(updated=micro(now()), **values)
            transaction.connection.execute(statement)

    def expire(self, wanted: Collection[DID], moment: datetime | None) -> None:
        """Say from when on DIDs may be deleted; None for never."""
        with self._database.writing() as transaction:
            rows = need_rows(transaction.connection, wanted)
            for some in chunks(row.key for row in rows.values()):
                transaction.connection.execute(
                    update(dids)
                    .where(among(transaction.connection, dids.c.key, some))
                    .values(expires=micro_or_none(moment), updated=micro(now()))
                )

    def expired(self, moment: datetime) -> Iterator[DID]:
        """Yield what may be deleted at a moment, longest expired first."""
        when, key = -(2**63), 0
        while True:
            query = select(dids.c.scope, dids.c.name, dids.c.key, dids.c.expires)
            query = query.where(dids.c.expires <= micro(moment), dids.c.expires >= when)
            query = query.where((dids.c.expires > when) | (dids.c.key > key))
            with self._database.reading() as connection:
                query = query.order_by(dids.c.expires, dids.c.key).limit(PAGE)
                rows = connection.execute(query).all()
            yield from (DID(row.scope, row.name) for row in rows)
            if len(rows) < PAGE:
                return
            when, key = rows[-1].expires, rows[-1].key

    def delete(self, wanted: Collection[DID]) -> None:
        """Remove DIDs; what was in a set stays.

        UnsupportedOperation while a rule is on one, a replica of one is somewhere, or one is in a
        monotonic set.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            rows = need_rows(connection, wanted, lock=True, exclusive=True)
            for some in chunks(row.key for row in rows.values()):
                _refuse(connection, rules, some, "has rules; delete them first")
                _refuse(connection, replicas, some, "has replicas; delete them first")
                _leave_parents(connection, some)
                connection.execute(delete(dids).where(among(connection, dids.c.key, some)))


def _add_sets(transaction: Transaction, new: Sequence[NewDID], account: str) -> None:
    if not new:
        return
    connection = transaction.connection
    check_new(connection, new, account)
    there = rows_of(connection, [one.did for one in new])
    twice = sorted(there) or _twice(new)
    if twice:
        raise LakeError("DataIdentifierAlreadyExists", f"{twice[0]} is in the catalogue already")
    ordered = sorted(new, key=lambda one: one.did)
    insert_new(connection, dids, [_row(one, account, micro(now())) for one in ordered])
    rows = need_rows(connection, [one.did for one in new])
    write_metadata(connection, {rows[one.did].key: one.metadata for one in new})


def _twice(new: Sequence[NewDID]) -> list[DID]:
    return [did for did, times in Counter(one.did for one in new).items() if times > 1]


def register_files(
    transaction: Transaction, new: Sequence[NewDID], account: str
) -> dict[DID, Row[Any]]:
    """Add files that are not there yet; return key, size and checksums of all.

    Raises LakeError (DataIdentifierAlreadyExists) where one is there with another content.
    """
    if not new:
        return {}
    connection = transaction.connection
    check_new(connection, new, account)
    moment = micro(now())
    ordered = sorted(new, key=lambda one: one.did)  # PostgreSQL: one order for all writers
    for some in chunks(ordered):
        insert_new(connection, dids, [_row(one, account, moment) for one in some])
    rows = need_rows(connection, [one.did for one in new], *_CONTENT)
    more = [found for one in new if (found := _compare(one, rows[one.did]))]
    for part in chunks(more):
        _add_checksums(connection, part)
    write_metadata(connection, {rows[one.did].key: one.metadata for one in new})
    return rows


def check_new(connection: Connection, new: Sequence[NewDID], account: str) -> None:
    """Raise LakeError unless names, sizes and checksums are valid, scopes and account there."""
    for one in new:
        check_did(one.did)
        check_size(one.size)
        check_checksums(one.checksums)
        if one.type is not DIDType.FILE and (one.size or one.checksums != Checksums()):
            raise invalid(f"{one.did} is a set: its size is that of its files")
    need_account(connection, account)
    need_scopes(connection, {one.did.scope for one in new})


def _row(new: NewDID, account: str, moment: int) -> dict[str, Any]:
    is_file = new.type is DIDType.FILE
    return {
        "scope": new.did.scope,
        "name": new.did.name,
        "type": str(new.type),
        "account": account,
        "size": new.size if new.type is not DIDType.CONTAINER else None,
        "length": int(is_file) if new.type is not DIDType.CONTAINER else None,
        "adler32": new.checksums.adler32,
        "md5": new.checksums.md5,
        "sha256": new.checksums.sha256,
        "open": not is_file,
        "monotonic": new.monotonic,
        "created": moment,
        "updated": moment,
        "expires": micro_or_none(new.expires),
    }


def _compare(new: NewDID, row: Row[Any]) -> dict[str, Any] | None:
    """Refuse another content; return the checksums that are new of the same content."""
    if row.type != DIDType.FILE:
        message = f"{new.did} is in the catalogue as a {row.type.lower()}, not as a file"
        raise LakeError("DataIdentifierAlreadyExists", message)
    sums = new.checksums
    if (new.size, sums.adler32, sums.md5, sums.sha256) == tuple(row)[4:]:
        return None
    pairs = [
        (new.checksums.adler32, row.adler32),
        (new.checksums.md5, row.md5),
        (new.checksums.sha256, row.sha256),
    ]
    if new.size != row.size or any(ours != theirs for ours, theirs in pairs if ours and theirs):
        message = f"{new.did} is in the catalogue with another content ({row.size} bytes)"
        hint = "A name stands for one content for ever: give the file another name."
        raise LakeError("DataIdentifierAlreadyExists", message, hint=hint)
    same = any(ours and theirs for ours, theirs in pairs) or not any(pair[1] for pair in pairs)
    # Without a checksum in common it may be another content: then they must not be mixed.
    if same and any(ours and not theirs for ours, theirs in pairs):
        joined = {name: pair[0] or pair[1] for name, pair in zip(_SUMS, pairs, strict=True)}
        return {"key": row.key, **joined}
    return None


def _add_checksums(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = update(dids).where(dids.c.key == bindparam("the_key"))
    statement = statement.values({name: bindparam(f"the_{name}") for name in _SUMS})
    values = [{f"the_{name}": value for name, value in row.items()} for row in rows]
    connection.execute(statement, sorted(values, key=lambda row: row["the_key"]))


def entries(connection: Connection, rows: Iterable[Row[Any]]) -> list[tuple[Row[Any], Entry]]:
    """Turn rows with the columns ENTRY into entries, with metadata and the sums of containers."""
    rows = list(rows)
    found = metadata_of(connection, [row.key for row in rows])
    sums = container_sums(connection, [row.key for row in rows if row.type == DIDType.CONTAINER])
    return [(row, _entry(row, found.get(row[0], {}), sums)) for row in rows]


def _entry(
    row: Row[Any], metadata: Mapping[str, Any], sums: Mapping[int, tuple[int, int]]
) -> Entry:
    # by place: twice as fast as by name, and listings are long
    values: tuple[Any, ...] = tuple(row)
    key, scope, name, kind, account, size, length, adler32, md5, sha256, *rest = values
    is_open, monotonic, created, updated, expires = rest
    size, length = sums.get(key, (size or 0, length or 0))
    return Entry(
        DID(scope, name),
        DIDType(kind),
        account,
        size,
        length,
        Checksums(adler32, md5, sha256),
        is_open,
        monotonic,
        moment(created),
        moment(updated),
        moment_or_none(expires),
        metadata,
    )


def container_sums(connection: Connection, keys: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return size and length of containers: each data set below counts once."""
    if not keys:
        return {}
    top = select(contents.c.parent.label("top"), contents.c.child)
    tree = top.where(among(connection, contents.c.parent, keys)).cte("tree", recursive=True)
    inner = dids.alias()
    below = select(tree.c.top, contents.c.child).join(contents, contents.c.parent == tree.c.child)
    below = below.join(inner, (inner.c.key == tree.c.child) & (inner.c.type == DIDType.CONTAINER))
    tree = tree.union(below)
    query = select(tree.c.top, func.sum(dids.c.size).label("size"), func.sum(dids.c.length))
    query = query.join(dids, (dids.c.key == tree.c.child) & (dids.c.type == DIDType.DATASET))
    found = {top: (int(size), int(n)) for top, size, n in connection.execute(query.group_by("top"))}
    return {key: found.get(key, (0, 0)) for key in keys}


def _refuse(connection: Connection, table: Any, keys: Sequence[int], why: str) -> None:  # noqa: ANN401
    query = select(dids.c.scope, dids.c.name).join(table, table.c.did == dids.c.key)
    row = connection.execute(query.where(among(connection, table.c.did, keys)).limit(1)).first()
    if row:
        raise LakeError("UnsupportedOperation", f"{DID(row.scope, row.name)} {why}")


def _leave_parents(connection: Connection, keys: Sequence[int]) -> None:
    child = dids.alias()
    query = select(dids.c.key, dids.c.scope, dids.c.name, dids.c.type, dids.c.monotonic)
    query = query.add_columns(func.sum(child.c.size).label("bytes"), func.count().label("files"))
    query = query.select_from(contents.join(dids, dids.c.key == contents.c.parent))
    query = query.join(child, child.c.key == contents.c.child)
    query = query.where(among(connection, contents.c.child, keys)).group_by(dids.c.key)
    for row in connection.execute(query.order_by(dids.c.key)).all():
        if row.monotonic and row.key not in keys:
            message = f"{DID(row.scope, row.name)} is monotonic: what is in it stays"
            raise LakeError("UnsupportedOperation", message)
        if row.type == DIDType.DATASET:
            change = {"size": dids.c.size - row.bytes, "length": dids.c.length - row.files}
            connection.execute(update(dids).where(dids.c.key == row.key).values(change))
