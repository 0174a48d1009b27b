"""Copies of files: where each one lies, and how far it can be relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, select, update

from leman.lake.catalogue.dids import register_files
from leman.lake.catalogue.names import (
    check_path,
    invalid,
    need_account,
    need_rows,
    rows_of,
    rse_keys,
    rse_names,
)
from leman.lake.catalogue.schema import bad_replicas, dids, replicas, rses
from leman.lake.catalogue.sql import (
    PAGE,
    among,
    chunks,
    insert_all,
    micro,
    micro_or_none,
    moment,
    moment_or_none,
    now,
    upsert,
)
from leman.lake.catalogue.values import BadReplica, Known, NewDID, NewReplica
from leman.lake.model import DID, Checksums, DIDType, LakeError, Replica, ReplicaState
from leman.lake.paths import path_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from leman.lake.catalogue.database import Database

_REPLICA = (
    dids.c.key,
    dids.c.scope,
    dids.c.name,
    dids.c.size,
    dids.c.adler32,
    dids.c.md5,
    dids.c.sha256,
    *(replicas.c[name] for name in ("rse", "state", "path", "locks")),
    *(replicas.c[name] for name in ("created", "accessed", "tombstone")),
)


class Replicas:
    """Copies of files. Every method raises LakeError; RSENotFound for a missing RSE."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rse: str, new: Iterable[NewReplica], *, account: str) -> None:
        """Add copies, and the files that are not in the catalogue yet: all or none.

        A copy that is there with the same content and path stays as it is. FileAlreadyExists for
        a path that another file has, DataIdentifierAlreadyExists for a file of another content,
        ReplicaUnAvailable for a copy that is being deleted; InvalidObject.
        """
        wanted = list(new)
        with self._database.writing() as transaction:
            connection = transaction.connection
            query = select(rses.c.key, rses.c.deterministic)
            row = connection.execute(query.where(rses.c.name == rse)).first()
            if row is None:
                rse_keys(connection, [rse])  # says so
                return
            paths = {one.did: _path(one, deterministic=row.deterministic) for one in wanted}
            known = register_files(transaction, [_file(one) for one in wanted], account)
            found = {known[one.did].key: (paths[one.did], one) for one in wanted}
            fresh = _fresh(connection, row.key, found)
            size = sum(found[key][1].size for key in fresh)
            moment = micro(now())
            for some in chunks(fresh):
                rows = [_row(row.key, key, found[key], moment) for key in some]
                insert_all(connection, replicas, rows)
            transaction.count_rse(row.key, size, len(fresh))

    def of(
        self, files: Iterable[DID], *, states: Collection[ReplicaState] = tuple(ReplicaState)
    ) -> Iterator[Replica]:
        """Yield the copies of files, file by file in the order given; none for unknown files."""
        for some in chunks(files):
            with self._database.reading() as connection:
                names, rows = rse_names(connection), _rows(connection, some, states)
            for did in some:
                copies = sorted(rows.get(did, ()), key=lambda row: names[row.rse])
                yield from (_replica(row, names[row.rse]) for row in copies)

    def set_states(
        self, rse: str, states: Mapping[DID, ReplicaState], *, accessed: datetime | None = None
    ) -> None:
        """Change states of copies at one RSE; ReplicaNotFound where one is not there.

        A bad replica that becomes AVAILABLE is no longer listed as bad.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [rse])[rse]
            rows = need_rows(connection, list(states))
            keys = {row.key: states[did] for did, row in rows.items()}
            _need(connection, key, {row.key: did for did, row in rows.items()}, rse)
            values: dict[str, Any] = {"state": bindparam("new_state")}
            if accessed:
                values["accessed"] = micro(accessed)
            where = (replicas.c.rse == key) & (replicas.c.did == bindparam("the_did"))
            changes = [{"the_did": did, "new_state": str(state)} for did, state in keys.items()]
            for some in chunks(sorted(changes, key=lambda one: one["the_did"])):
                connection.execute(update(replicas).where(where).values(values), some)
            good = [did for did, state in keys.items() if state is ReplicaState.AVAILABLE]
            for part in chunks(good):
                gone = (bad_replicas.c.rse == key) & among(connection, bad_replicas.c.did, part)
                connection.execute(delete(bad_replicas).where(gone))

    def touch(self, rse: str, files: Collection[DID], when: datetime) -> None:
        """Note that copies were read; unknown ones are passed over, as reading goes before all."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [rse])[rse]
            for some in chunks(files):
                keys = sorted(row.key for row in rows_of(connection, some).values())
                where = (replicas.c.rse == key) & among(connection, replicas.c.did, keys)
                statement = update(replicas).where(where)
                connection.execute(statement.values(accessed=micro(when)))

    def set_tombstones(self, rse: str, files: Collection[DID], when: datetime | None) -> None:
        """Say from when on copies may be deleted; None for not. Locked ones stay in any case."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [rse])[rse]
            for some in chunks(files):
                keys = sorted(row.key for row in need_rows(connection, some).values())
                where = (replicas.c.rse == key) & among(connection, replicas.c.did, keys)
                if when:
                    where &= replicas.c.locks == 0
                statement = update(replicas).where(where)
                connection.execute(statement.values(tombstone=micro_or_none(when)))

    def at(
        self, rse: str, *, states: Collection[ReplicaState] = tuple(ReplicaState)
    ) -> Iterator[Known]:
        """Yield what an RSE should hold in the order of paths, to compare with what it holds."""
        with self._database.reading() as connection:
            key = rse_keys(connection, [rse])[rse]
        last = ""
        while True:
            with self._database.reading() as connection:
                query = select(*_REPLICA).join(dids, dids.c.key == replicas.c.did)
                query = query.where(replicas.c.rse == key, replicas.c.path > last)
                query = query.where(among(connection, replicas.c.state, [str(s) for s in states]))
                rows = connection.execute(query.order_by(replicas.c.path).limit(PAGE)).all()
            for row in rows:
                did, state = DID(row.scope, row.name), ReplicaState(row.state)
                yield Known(row.path, did, state, row.size)
            if len(rows) < PAGE:
                return
            last = rows[-1].path


class Deletions:
    """Copies that may go, and copies that are bad."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, rse: str, moment: datetime) -> Iterator[Replica]:
        """Yield copies without locks whose tombstone has passed, longest unread first in a page."""
        last = 0
        while True:
            with self._database.reading() as connection:
                key = rse_keys(connection, [rse])[rse]
                query = select(*_REPLICA).join(dids, dids.c.key == replicas.c.did)
                query = query.where(replicas.c.rse == key, replicas.c.locks == 0)
                query = query.where(replicas.c.tombstone <= micro(moment), replicas.c.did > last)
                rows = connection.execute(query.order_by(replicas.c.did).limit(PAGE)).all()
            ordered = sorted(rows, key=lambda row: row.accessed or row.created)
            yield from (_replica(row, rse) for row in ordered)
            if len(rows) < PAGE:
                return
            last = rows[-1].key

    def condemn(
        self, rse: str, files: Collection[DID], moment: datetime, *, last: bool = False
    ) -> list[DID]:
        """Mark copies BEING_DELETED and return those: without lock, tombstone passed.

        The last AVAILABLE copy of a file is left out, unless `last` says that the file shall go.
        Two that condemn at once wait for each other, so that neither takes the other's last copy.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [rse])[rse]
            rows = need_rows(connection, files, lock=True)
            names = {row.key: did for did, row in rows.items()}
            found: list[int] = []
            for some in chunks(sorted(names)):
                found += _condemned(connection, key, some, micro(moment), last=last)
            return [names[one] for one in found]

    def delete(self, rse: str, files: Collection[DID]) -> None:
        """Remove copies from the catalogue, after their bytes went.

        UnsupportedOperation for one with locks; ReplicaNotFound. The files stay known.
        """
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [rse])[rse]
            rows = need_rows(connection, list(files), dids.c.size)
            names = {row.key: did for did, row in rows.items()}
            locked = _need(connection, key, names, rse)
            if locked:
                message = f"the replica of {names[locked[0]]} at {rse} is locked by a rule"
                raise LakeError("UnsupportedOperation", message, hint="Delete the rule first.")
            for some in chunks(sorted(names)):
                where = (replicas.c.rse == key) & among(connection, replicas.c.did, some)
                connection.execute(delete(replicas).where(where))
            size = sum(row.size for row in rows.values())
            transaction.count_rse(key, -size, -len(rows))

    def declare_bad(self, rse: str, files: Collection[DID], *, reason: str, account: str) -> None:
        """Mark copies as BAD; ReplicaNotFound where one is not there."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            need_account(connection, account)
            key = rse_keys(connection, [rse])[rse]
            rows = need_rows(connection, list(files))
            names = {row.key: did for did, row in rows.items()}
            _need(connection, key, names, rse)
            row = {"rse": key, "reason": reason, "account": account, "declared": micro(now())}
            for some in chunks(sorted(names)):
                where = (replicas.c.rse == key) & among(connection, replicas.c.did, some)
                going = replicas.c.state == str(ReplicaState.BEING_DELETED)
                statement = update(replicas).where(where, ~going)
                connection.execute(statement.values(state=str(ReplicaState.BAD)))
                upsert(connection, bad_replicas, [{"did": did, **row} for did in some])

    def bad(self) -> Iterator[BadReplica]:
        """Yield what was declared bad and is not good again."""
        table, last = bad_replicas.c, (0, 0)
        while True:
            query = select(bad_replicas, dids.c.scope, dids.c.name, replicas.c.path)
            query = query.select_from(bad_replicas.join(replicas))
            query = query.join(dids, dids.c.key == table.did)
            query = query.where(
                (table.did > last[0]) | ((table.did == last[0]) & (table.rse > last[1]))
            )
            with self._database.reading() as connection:
                names = rse_names(connection)
                rows = connection.execute(query.order_by(table.did, table.rse).limit(PAGE)).all()
            for row in rows:
                did, when = DID(row.scope, row.name), moment(row.declared)
                yield BadReplica(did, names[row.rse], row.path, row.reason, row.account, when)
            if len(rows) < PAGE:
                return
            last = rows[-1].did, rows[-1].rse


def _path(new: NewReplica, *, deterministic: bool) -> str:
    usual = path_of(new.did)
    if deterministic and new.path and new.path != usual:
        raise invalid(f"{new.did} lies at {usual} there, not at {new.path!r}")
    if not deterministic and not new.path:
        raise invalid(f"{new.did} needs a path: the RSE does not derive paths from names")
    check_path(new.path or usual)
    return new.path or usual


def _file(new: NewReplica) -> NewDID:
    return NewDID(new.did, DIDType.FILE, new.size, new.checksums, metadata=new.metadata)


def _row(rse: int, did: int, given: tuple[str, NewReplica], moment: int) -> dict[str, Any]:
    path, new = given
    return {
        "rse": rse,
        "did": did,
        "state": str(new.state),
        "path": path,
        "locks": 0,
        "created": moment,
        "accessed": None,
        "tombstone": micro_or_none(new.tombstone),
    }


def _fresh(
    connection: Connection, rse: int, found: Mapping[int, tuple[str, NewReplica]]
) -> list[int]:
    """Return, in order, the files without a copy there; LakeError where paths collide."""
    there: set[int] = set()
    query = select(replicas.c.did, replicas.c.path, replicas.c.state)
    query = query.where(replicas.c.rse == rse)
    for some in chunks(sorted(found)):
        where = among(connection, replicas.c.did, some)
        # the path is asked for as well: another file may lie where this one would
        where |= among(connection, replicas.c.path, [found[key][0] for key in some])
        for did, path, state in connection.execute(query.where(where)):
            if did not in found or found[did][0] != path:
                message = f"{path} at this RSE is taken, or its file is registered elsewhere"
                raise LakeError("FileAlreadyExists", message, hint="Give another name or path.")
            if state == ReplicaState.BEING_DELETED:
                message = f"the replica at {path} is being deleted"
                raise LakeError("ReplicaUnAvailable", message, hint="Add it again once it is gone.")
            there.add(did)
    taken = [path for key, (path, _) in found.items() if key not in there]
    if len(set(taken)) < len(taken):
        raise LakeError("FileAlreadyExists", "two files are given one path")
    return sorted(set(found) - there)


def _rows(
    connection: Connection, files: Sequence[DID], states: Collection[ReplicaState]
) -> dict[DID, list[Row[Any]]]:
    scoped: dict[str, list[str]] = {}
    for did in files:
        scoped.setdefault(did.scope, []).append(did.name)
    found: dict[DID, list[Row[Any]]] = {}
    for scope, names in scoped.items():
        query = select(*_REPLICA).join(replicas, replicas.c.did == dids.c.key)
        query = query.where(dids.c.scope == scope, among(connection, dids.c.name, names))
        if len(states) < len(ReplicaState):
            query = query.where(among(connection, replicas.c.state, [str(s) for s in states]))
        for row in connection.execute(query):
            found.setdefault(DID(scope, row.name), []).append(row)
    return found


def _replica(row: Row[Any], rse: str) -> Replica:
    return Replica(
        DID(row.scope, row.name),
        rse,
        ReplicaState(row.state),
        row.size,
        Checksums(row.adler32, row.md5, row.sha256),
        row.path,
        locks=row.locks,
        created=moment(row.created),
        accessed=moment_or_none(row.accessed),
        tombstone=moment_or_none(row.tombstone),
    )


def _need(connection: Connection, rse: int, names: Mapping[int, DID], where: str) -> list[int]:
    """Raise ReplicaNotFound unless all have a copy there; return the keys of those with locks."""
    there, locked = set(), []
    query = select(replicas.c.did, replicas.c.locks).where(replicas.c.rse == rse)
    for some in chunks(sorted(names)):
        query_some = query.where(among(connection, replicas.c.did, some)).order_by(replicas.c.did)
        for did, locks in connection.execute(query_some.with_for_update(key_share=True)):
            there.add(did)
            if locks:
                locked.append(did)
    for key, did in names.items():
        if key not in there:
            raise LakeError("ReplicaNotFound", f"{did} has no replica at {where}")
    return locked


def _condemned(
    connection: Connection, rse: int, some: Sequence[int], moment: int, *, last: bool
) -> list[int]:
    other = replicas.alias()
    where = (replicas.c.rse == rse) & among(connection, replicas.c.did, some)
    where &= (replicas.c.locks == 0) & (replicas.c.tombstone <= moment)
    if not last:
        good = str(ReplicaState.AVAILABLE)
        kept = exists().where(
            other.c.did == replicas.c.did, other.c.rse != rse, other.c.state == good
        )
        # one that is not good itself is nobody's last good copy
        where &= kept | (replicas.c.state.in_([ReplicaState.BAD, ReplicaState.BEING_DELETED]))
    found = connection.scalars(
        select(replicas.c.did).where(where).with_for_update(key_share=True)
    ).all()
    change = update(replicas).values(state=str(ReplicaState.BEING_DELETED))
    mine = (replicas.c.rse == rse) & among(connection, replicas.c.did, found)
    connection.execute(change.where(mine))
    return sorted(found)
