"""Rules, and the locks by which they hold replicas."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from leman.lake.catalogue.names import (
    count,
    invalid,
    need_account,
    need_rows,
    rse_keys,
    rse_names,
)
from leman.lake.catalogue.schema import dids, locks, replicas, rules
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
)
from leman.lake.model import (
    DID,
    Grouping,
    LakeError,
    Lock,
    LockState,
    ReplicaState,
    Rule,
    RuleState,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from leman.lake.catalogue.database import Database, Transaction
    from leman.lake.catalogue.values import NewRule

_MOST = 100  # copies
_CHANGED = {"state", "error", "comment", "expires", "copies", "expression"}


class Rules:
    """Rules. Every method raises LakeError; RuleNotFound for a missing one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Iterable[NewRule]) -> list[str]:
        """Add rules, all or none; return their ids.

        DuplicateRule where the account has the same wish already; DataIdentifierNotFound.
        """
        wanted = list(new)
        with self._database.writing() as transaction:
            connection = transaction.connection
            rows = need_rows(connection, list({one.did for one in wanted}))
            ids = []
            for one in wanted:
                _check(connection, one)
                found = {"did": rows[one.did].key, "account": one.account}
                found |= {"copies": one.copies, "expression": one.expression}
                where = [rules.c[name] == value for name, value in found.items()]
                if count(connection, *where):
                    message = f"{one.account} has that rule on {one.did} already"
                    raise LakeError("DuplicateRule", message)
                ids.append(uuid.uuid4().hex)
                row = {**_row(one), **found, "id": ids[-1]}
                connection.execute(insert(rules).values(row))
            return ids

    def get(self, rule: str) -> Rule:
        """Return a rule, with its locks counted by state."""
        return next(self.find(ids=[rule]))

    def find(
        self,
        *,
        ids: Collection[str] | None = None,
        did: DID | None = None,
        account: str | None = None,
        state: RuleState | None = None,
        expired: datetime | None = None,
    ) -> Iterator[Rule]:
        """Yield rules that fit all that is given, oldest first; expired: at that moment."""
        where: list[ColumnElement[bool]] = []
        if did:
            where += [dids.c.scope == did.scope, dids.c.name == did.name]
        if account:
            where.append(rules.c.account == account)
        if state:
            where.append(rules.c.state == str(state))
        if expired:
            where.append(rules.c.expires <= micro(expired))
        if ids is not None:
            with self._database.reading() as connection:
                rule_rows(connection, ids)
                where.append(among(connection, rules.c.id, ids))
        last = 0
        while True:
            query = select(rules, dids.c.scope, dids.c.name).join(dids, dids.c.key == rules.c.did)
            query = query.where(rules.c.key > last, *where).order_by(rules.c.key).limit(PAGE)
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
            yield from map(_rule, rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].key

    def update(self, rule: str, /, **changes: Any) -> None:  # noqa: ANN401 - one type a key
        """Change state, error, comment, expires, copies, expression; InvalidObject for others."""
        if unknown := set(changes) - _CHANGED:
            raise invalid(f"{min(unknown)} of a rule cannot be changed")
        if "expires" in changes:
            changes["expires"] = micro_or_none(changes["expires"])
        if "state" in changes:
            changes["state"] = str(RuleState(changes["state"]))
        with self._database.writing() as transaction:
            row = rule_rows(transaction.connection, [rule])[rule]
            statement = update(rules).where(rules.c.key == row.key)
            transaction.connection.execute(statement.values(changes))

    def delete(self, rule: str, *, tombstone: datetime | None) -> None:
        """Remove a rule with its locks; replicas without any lock left may go from `tombstone`."""
        with self._database.writing() as transaction:
            row = rule_rows(transaction.connection, [rule], lock=True)[rule]
            where = locks.c.rule == row.key
            while rows := transaction.connection.execute(
                select(locks, dids.c.size)
                .join(dids, dids.c.key == locks.c.did)
                .where(where)
                .order_by(locks.c.did, locks.c.rse)
                .limit(PAGE)
            ).all():
                _remove(transaction, row, rows, tombstone)
            transaction.connection.execute(delete(rules).where(rules.c.key == row.key))


class Locks:
    """Claims of rules on replicas, counted at the replica, the rule and the account at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, wanted: Iterable[Lock]) -> None:
        """Add locks, or change the state of those that are there: all or none.

        ReplicaNotFound where the replica to be locked is not there, or is being deleted (add it
        as COPYING first).
        """
        with self._database.writing() as transaction:
            for rule, some in _by_rule(transaction.connection, wanted):
                for part in chunks(some):
                    _put(transaction, rule, part)

    def remove(self, wanted: Iterable[Lock], *, tombstone: datetime | None) -> None:
        """Remove locks; one that is not there is fine.

        A replica without any lock left may be deleted from `tombstone` on (None: not).
        """
        with self._database.writing() as transaction:
            for rule, some in _by_rule(transaction.connection, wanted):
                for part in chunks(some):
                    there = _there(transaction.connection, rule.key, part)
                    rows = [row for key, row in sorted(there.items())]
                    _remove(transaction, rule, rows, tombstone)

    def of_rule(self, rule: str, *, states: Collection[LockState] = ()) -> Iterator[Lock]:
        """Yield a rule's locks, file by file."""
        with self._database.reading() as connection:
            key = rule_rows(connection, [rule])[rule].key
        yield from self._listed([locks.c.rule == key], states)

    def of_did(self, did: DID) -> Iterator[Lock]:
        """Yield the locks of all rules on a file."""
        yield from self._listed([dids.c.scope == did.scope, dids.c.name == did.name], ())

    def _listed(
        self, where: Sequence[ColumnElement[bool]], states: Collection[LockState]
    ) -> Iterator[Lock]:
        order, last = (locks.c.did, locks.c.rse, locks.c.rule), (0, 0, 0)
        while True:
            query = select(locks, dids.c.scope, dids.c.name, dids.c.size, rules.c.id)
            query = query.join(dids, dids.c.key == locks.c.did)
            query = query.join(rules, rules.c.key == locks.c.rule).where(*where)
            query = query.where(
                (order[0] > last[0])
                | ((order[0] == last[0]) & (order[1] > last[1]))
                | ((order[0] == last[0]) & (order[1] == last[1]) & (order[2] > last[2]))
            )
            if states:
                query = query.where(locks.c.state.in_([str(one) for one in states]))
            with self._database.reading() as connection:
                names = rse_names(connection)
                rows = connection.execute(query.order_by(*order).limit(PAGE)).all()
            for row in rows:
                did = DID(row.scope, row.name)
                yield Lock(row.id, did, names[row.rse], LockState(row.state), row.size)
            if len(rows) < PAGE:
                return
            last = rows[-1].did, rows[-1].rse, rows[-1].rule


def _check(connection: Connection, new: NewRule) -> None:
    need_account(connection, new.account)
    if isinstance(new.copies, bool) or not 1 <= new.copies <= _MOST:
        raise invalid(f"a rule of {new.copies} copies", f"From 1 to {_MOST} copies.")
    if not 0 < len(new.expression) <= 3000 or not new.expression.isprintable():
        raise invalid("that is no RSE expression", "Such as: type=disk&country=CH")


def _row(new: NewRule) -> dict[str, Any]:
    return {
        "grouping": str(new.grouping),
        "state": str(RuleState.REPLICATING),
        "error": "",
        "comment": new.comment,
        "ok": 0,
        "replicating": 0,
        "stuck": 0,
        "created": micro(now()),
        "expires": micro_or_none(new.expires),
    }


def _rule(row: Row[Any]) -> Rule:
    return Rule(
        row.id,
        DID(row.scope, row.name),
        row.account,
        row.copies,
        row.expression,
        grouping=Grouping(row.grouping),
        created=moment(row.created),
        expires=moment_or_none(row.expires),
        state=RuleState(row.state),
        error=row.error,
        comment=row.comment,
        ok=row.ok,
        replicating=row.replicating,
        stuck=row.stuck,
    )


def rule_rows(
    connection: Connection, ids: Collection[str], *, lock: bool = False
) -> dict[str, Row[Any]]:
    """Return key and account of rules; LakeError (RuleNotFound) names the first missing one."""
    query: Any = select(rules.c.key, rules.c.id, rules.c.account).order_by(rules.c.key)
    query = query.where(among(connection, rules.c.id, ids))
    rows = connection.execute(query.with_for_update(key_share=True) if lock else query)
    found: dict[str, Row[Any]] = {row.id: row for row in rows}
    for one in ids:
        if one not in found:
            raise LakeError("RuleNotFound", f"rule {one} is not in the catalogue")
    return found


def _by_rule(
    connection: Connection, wanted: Iterable[Lock]
) -> Iterator[tuple[Row[Any], list[Lock]]]:
    """Group locks by rule, each rule held until the transaction ends: its counts stay right."""
    grouped: dict[str, list[Lock]] = {}
    for lock in wanted:
        grouped.setdefault(lock.rule, []).append(lock)
    for rule, row in rule_rows(connection, list(grouped), lock=True).items():
        yield row, grouped[rule]


def _keyed(connection: Connection, some: Sequence[Lock]) -> dict[tuple[int, int], Lock]:
    files = need_rows(connection, list(dict.fromkeys(lock.did for lock in some)))
    at = rse_keys(connection, list({lock.rse for lock in some}))
    return {(files[lock.did].key, at[lock.rse]): lock for lock in some}


def _there(
    connection: Connection, rule: int, some: Sequence[Lock]
) -> dict[tuple[int, int], Row[Any]]:
    keyed = _keyed(connection, some)
    query = select(locks, dids.c.size).join(dids, dids.c.key == locks.c.did)
    query = query.where(locks.c.rule == rule)
    query = query.where(among(connection, locks.c.did, list({did for did, _ in keyed})))
    rows = connection.execute(query)
    return {(row.did, row.rse): row for row in rows if (row.did, row.rse) in keyed}


def _put(transaction: Transaction, rule: Row[Any], some: Sequence[Lock]) -> None:
    connection = transaction.connection
    keyed, there = _keyed(connection, some), _there(connection, rule.key, some)
    new = sorted(key for key in keyed if key not in there)
    changed = [
        (key, str(keyed[key].state), row.state)
        for key, row in sorted(there.items())
        if row.state != keyed[key].state
    ]
    sizes = _claim(connection, {key: keyed[key] for key in new})
    if new:
        rows = [_values(rule.key, key, str(keyed[key].state)) for key in new]
        insert_all(connection, locks, rows)
    if changed:
        where = [locks.c[name] == bindparam(f"the_{name}") for name in ("rule", "did", "rse")]
        values = [_values(rule.key, key, state, "the_") for key, state, _ in changed]
        connection.execute(update(locks).where(*where).values(state=bindparam("the_state")), values)
    tally = [(str(keyed[key].state), 1) for key in new]
    tally += [pair for _, after, before in changed for pair in ((after, 1), (before, -1))]
    _tally(connection, rule.key, tally)
    for (_did, rse), size in sizes.items():
        transaction.count_account(rule.account, rse, size, 1)


def _values(rule: int, key: tuple[int, int], state: str, prefix: str = "") -> dict[str, Any]:
    found = {"rule": rule, "did": key[0], "rse": key[1], "state": state}
    return {f"{prefix}{name}": value for name, value in found.items()}


def _claim(
    connection: Connection, new: Mapping[tuple[int, int], Lock]
) -> dict[tuple[int, int], int]:
    """Count one more lock at replicas, which none may delete any more; return their sizes."""
    if not new:
        return {}
    query = select(replicas.c.did, replicas.c.rse, dids.c.size, replicas.c.state)
    query = query.join(dids, dids.c.key == replicas.c.did).with_for_update(
        of=replicas, key_share=True
    )
    query = query.where(among(connection, replicas.c.did, list({did for did, _ in new})))
    rows = connection.execute(query.order_by(replicas.c.did, replicas.c.rse))
    sizes = {
        (row.did, row.rse): row.size
        for row in rows
        if (row.did, row.rse) in new and row.state != ReplicaState.BEING_DELETED
    }
    for key, lock in new.items():
        if key not in sizes:
            message = f"{lock.did} has no replica at {lock.rse} that could be locked"
            raise LakeError("ReplicaNotFound", message)
    change = {"locks": replicas.c.locks + 1, "tombstone": None}
    _each_replica(connection, sorted(new), change)
    return sizes


def _each_replica(
    connection: Connection, keys: Sequence[tuple[int, int]], change: Mapping[str, Any]
) -> None:
    where = (replicas.c.did == bindparam("the_did")) & (replicas.c.rse == bindparam("the_rse"))
    values = [{"the_did": did, "the_rse": rse} for did, rse in keys]
    connection.execute(update(replicas).where(where).values(change), values)


def _remove(
    transaction: Transaction,
    rule: Row[Any],
    rows: Sequence[Row[Any]],
    tombstone: datetime | None,
) -> None:
    if not rows:
        return
    connection = transaction.connection
    names = ("rule", "did", "rse")
    where = [locks.c[name] == bindparam(f"the_{name}") for name in names]
    values = [{f"the_{name}": getattr(row, name) for name in names} for row in rows]
    connection.execute(delete(locks).where(*where), values)
    keys = [(row.did, row.rse) for row in rows]
    _each_replica(connection, keys, {"locks": replicas.c.locks - 1})
    if tombstone:
        free = (replicas.c.did == bindparam("the_did")) & (replicas.c.rse == bindparam("the_rse"))
        free &= replicas.c.locks == 0
        statement = update(replicas).where(free).values(tombstone=micro(tombstone))
        connection.execute(statement, [{"the_did": did, "the_rse": rse} for did, rse in keys])
    _tally(connection, rule.key, [(row.state, -1) for row in rows])
    for row in rows:
        transaction.count_account(rule.account, row.rse, -row.size, -1)


def _tally(connection: Connection, rule: int, changes: Sequence[tuple[str, int]]) -> None:
    sums = dict.fromkeys(LockState, 0)
    for state, change in changes:
        sums[LockState(state)] += change
    values = {state.lower(): rules.c[state.lower()] + n for state, n in sums.items() if n}
    if values:
        connection.execute(update(rules).where(rules.c.key == rule).values(values))
