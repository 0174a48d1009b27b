"""The wanted state against the actual one: a pure function that says what has to change.

What it holds to, whatever else happens:

- a replica goes only when no lock holds it, its tombstone is over, no transfer reads it, and as
  many AVAILABLE ones remain as rules that are not yet satisfied ask for; the last AVAILABLE
  one of a file that a rule or a data set needs never goes;
- where a rule's expression fits nothing any more, its locks stay as they are;
- the outcome of a plan needs no plan: reconciling it again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from leman.lake.model import (
    Deletion,
    Lock,
    LockState,
    ReplicaState,
    RuleState,
    Transfer,
)
from leman.lake.rules.expressions import InvalidRSEExpression, evaluate
from leman.lake.rules.interface import FAR, Plan, Problem, Tombstone
from leman.lake.rules.selection import Ledger, choose, groups, held_by

if TYPE_CHECKING:
    from datetime import datetime

    from leman.lake.model import DID, Replica, Rule
    from leman.lake.rules.interface import File, State

# How long a replica that nothing holds is kept, so that a mistake can be taken back.
GRACE = timedelta(days=1)
# From this many failures on, a transfer's lock is STUCK; it is still tried again.
PATIENCE = 3


@dataclass
class _Work:
    """A plan in the making."""

    state: State
    ledger: Ledger
    now: datetime
    locks: dict[tuple[str, DID, str], Lock] = field(default_factory=dict)
    transfers: dict[tuple[DID, str], Transfer] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lacking: dict[DID, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[str, list[Lock]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Index what every lock asks for: lakes have millions of them."""
        self.rses = {one.name: one for one in self.state.rses}
        self.readable = {one.name for one in self.state.rses if one.readable}
        self.open = {(one.did, one.destination): one for one in self.state.transfers}
        for lock in self.state.locks:
            self.held[lock.rule].append(lock)


def reconcile(state: State, now: datetime, *, grace: timedelta = GRACE) -> Plan:
    """Return what has to change. Rules choose in the order of their creation, then of their ids."""
    work = _Work(state, Ledger(state), now)
    expired = tuple(rule for rule in state.rules if rule.expires and rule.expires <= now)
    over = {rule.id for rule in expired}
    for rule in expired:
        for lock in work.held[rule.id]:
            work.ledger.used[rule.account, lock.rse] -= lock.size
    rules = [rule for rule in state.rules if rule.id not in over]
    for rule in sorted(rules, key=lambda one: (one.created or now, one.id)):
        _settle(work, rule)
    known = {(lock.rule, lock.did, lock.rse): lock for lock in state.locks}
    deletions, tombstones = _unheld(work, grace, {rule.did for rule in rules})
    return Plan(
        transfers=tuple(one for key, one in work.transfers.items() if work.open.get(key) != one),
        cancelled=tuple(one for key, one in work.open.items() if key not in work.transfers),
        deletions=deletions,
        tombstones=tombstones,
        locks=tuple(one for key, one in work.locks.items() if known.get(key) != one),
        released=tuple(one for key, one in known.items() if key not in work.locks),
        rules=tuple(work.rules),
        expired=expired,
        problems=tuple(work.problems),
    )


def transfer_id(did: DID, rse: str) -> str:
    """Return the id of the transfer of a file to an RSE: there is at most one at a time."""
    return hashlib.sha256(f"{did}@{rse}".encode()).hexdigest()[:32]


def _settle(work: _Work, rule: Rule) -> None:
    """Decide the locks of a rule, what is to be moved for them, and its state."""
    files = work.state.files.get(rule.did, ())
    held = held_by(work.held[rule.id])
    errors: list[str] = []
    before = len(work.problems)
    try:
        fitting = evaluate(rule.expression, work.state.rses)
    except InvalidRSEExpression as error:
        errors.append(error.message)
        fitting = ()
    locks: list[Lock] = []
    for group in groups(rule, files):
        names: tuple[str, ...] = ()
        if fitting:
            names, problem = choose(work.ledger, rule, group, fitting, held)
            if problem is not None:
                errors.append(problem.message)
        for file in group:
            # What is held stays held until enough RSEs can take its place.
            kept = names if len(names) == rule.copies else {*names, *held.get(file.did, ())}
            own = [_lock(work, rule, file, name) for name in sorted(kept)]
            if errors or any(lock.state is not LockState.OK for lock in own):
                work.lacking[file.did] = max(work.lacking[file.did], rule.copies)
            locks += own
    _judge(work, rule, locks, errors, before)


def _judge(work: _Work, rule: Rule, locks: list[Lock], errors: list[str], before: int) -> None:
    reasons = [one.why for one in work.problems[before:]]
    work.locks.update(((lock.rule, lock.did, lock.rse), lock) for lock in locks)
    counts = {state: sum(lock.state is state for lock in locks) for state in LockState}
    work.problems += [Problem(why, rule.id, rule.did) for why in dict.fromkeys(errors)]
    if errors or counts[LockState.STUCK]:
        state = RuleState.STUCK
    else:
        state = RuleState.REPLICATING if counts[LockState.REPLICATING] else RuleState.OK
    new = replace(
        rule,
        state=state,
        error=(errors + reasons)[0] if state is RuleState.STUCK and errors + reasons else "",
        ok=counts[LockState.OK],
        replicating=counts[LockState.REPLICATING],
        stuck=counts[LockState.STUCK],
    )
    if new != rule:
        work.rules.append(new)


def _lock(work: _Work, rule: Rule, file: File, rse: str) -> Lock:
    """Return the lock of a file at an RSE; what is missing there becomes a transfer."""
    lock = Lock(rule.id, file.did, rse, LockState.OK, file.size)
    if work.ledger.is_good(file.did, rse):
        return lock
    replica = work.ledger.replicas.get(file.did, {}).get(rse)
    if replica is not None and replica.state is ReplicaState.BEING_DELETED:
        return replace(lock, state=LockState.REPLICATING)  # brought anew once it is gone
    why = _obstacle(work, file, rse)
    transfer = work.transfers.get((file.did, rse))
    if not why and transfer is None:
        transfer = _transfer(work, rule, file, rse)
        work.transfers[file.did, rse] = transfer
    if not why and transfer is not None and transfer.attempts >= PATIENCE:
        why = f"bringing {file.did} to {rse} failed {transfer.attempts} times: {transfer.error}"
    if not why:
        return replace(lock, state=LockState.REPLICATING)
    work.problems.append(Problem(why, rule.id, file.did, rse))
    return replace(lock, state=LockState.STUCK)


def _transfer(work: _Work, rule: Rule, file: File, rse: str) -> Transfer:
    sources = _sources(work, file.did, rse)
    known = work.open.get((file.did, rse))
    if known is not None:
        return replace(known, sources=sources)
    return Transfer(
        transfer_id(file.did, rse), file.did, rse, sources, file.size, rule.account, rule.id
    )


def _sources(work: _Work, did: DID, rse: str) -> tuple[str, ...]:
    """Return where a file can be read, the nearest first."""
    distances = work.state.distances
    names = [
        name
        for name in work.ledger.replicas.get(did, {})
        if name != rse and name in work.readable and work.ledger.is_good(did, name)
    ]
    return tuple(sorted(names, key=lambda name: (distances.get((name, rse), FAR), name)))


def _obstacle(work: _Work, file: File, rse: str) -> str:
    """Say why a file cannot be brought to an RSE now; empty if it can."""
    target = work.rses.get(rse)
    if target is None:
        return f"{rse} no longer exists"
    if not target.writable:
        return f"{file.did} cannot be brought to {rse}, which is not writable"
    if _sources(work, file.did, rse):
        return ""
    others = list(work.ledger.replicas.get(file.did, {}).values())
    if not others:
        return f"no source: {file.did} has no replica anywhere"
    said = [
        f"at {one.rse}, which is not readable"
        if one.state is ReplicaState.AVAILABLE and one.rse not in work.readable
        else f"at {one.rse}, which is {one.state}"
        for one in sorted(others, key=lambda one: one.rse)
    ]
    if len(said) == 1:
        return f"no source: the only replica is {said[0]}"
    return f"no source: the replicas are {'; '.join(said)}"


def _unheld(
    work: _Work, grace: timedelta, wanted: set[DID]
) -> tuple[tuple[Deletion, ...], tuple[Tombstone, ...]]:
    """Return what may go, and the tombstones to be set or taken away."""
    locked = {(did, rse) for _, did, rse in work.locks}
    needed = work.state.needed | {
        file.did for did in wanted for file in work.state.files.get(did, ())
    }
    # Transfers that this plan cancels hold nothing: whoever still reads for one reads in vain.
    read = {(one.did, name) for one in work.transfers.values() for name in one.sources}
    coming = set(work.transfers)
    deletable = {one.name for one in work.state.rses if one.deletable}
    good = {
        did: sum(one.state is ReplicaState.AVAILABLE for one in replicas.values())
        for did, replicas in work.ledger.replicas.items()
    }
    deletions: list[Deletion] = []
    tombstones: list[Tombstone] = []
    for replica in sorted(work.state.replicas, key=lambda one: (one.did, one.rse)):
        key = (replica.did, replica.rse)
        if replica.state is ReplicaState.BEING_DELETED:
            continue
        if key in locked:
            if replica.tombstone is not None:
                tombstones.append(Tombstone(*key, None))
        elif replica.tombstone is None:
            tombstones.append(Tombstone(*key, work.now + grace))
        elif replica.tombstone <= work.now and key not in read | coming and key[1] in deletable:
            keep = max(work.lacking[replica.did], int(replica.did in needed))
            left = good[replica.did] - (replica.state is ReplicaState.AVAILABLE)
            if left >= keep:
                good[replica.did] = left
                deletions.append(Deletion(*key, _why(replica, left)))
    return tuple(deletions), tuple(tombstones)


def _why(replica: Replica, left: int) -> str:
    return (
        f"no rule has held this {replica.state} replica since before {replica.tombstone};"
        f" {left} AVAILABLE one(s) of the file remain"
    )
