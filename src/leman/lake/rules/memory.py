"""A catalogue in memory: what `Book` means, in the fewest lines; for tests and trials."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from leman.lake.model import Deletion, Replica, ReplicaState, Transfer
from leman.lake.paths import path_of
from leman.lake.rules.interface import Claim, Done, Failed, Going, State
from leman.lake.rules.pace import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from leman.lake.model import DID, RSE, Checksums, Lock, Rule
    from leman.lake.rules.interface import File, Plan


@dataclass
class MemoryBook:
    """Keeps everything in dictionaries, under one lock."""

    rses: dict[str, RSE] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    files: dict[DID, tuple[File, ...]] = field(default_factory=dict)
    stored: dict[tuple[DID, str], Replica] = field(default_factory=dict)
    locks: dict[tuple[str, DID, str], Lock] = field(default_factory=dict)
    transfers: dict[tuple[DID, str], Transfer] = field(default_factory=dict)
    claims: dict[tuple[DID, str], Claim] = field(default_factory=dict)
    needed: frozenset[DID] = frozenset()
    limits: Mapping[tuple[str, str], int] = field(default_factory=dict)
    distances: Mapping[tuple[str, str], int] = field(default_factory=dict)
    whys: dict[tuple[DID, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the lock that every method holds."""
        self.mutex = threading.RLock()

    def state(self) -> State:
        """Return what there is."""
        with self.mutex:
            used: dict[tuple[str, str], int] = defaultdict(int)
            for lock in self.locks.values():
                used[self.rules[lock.rule].account, lock.rse] += lock.size
            filled: dict[str, int] = defaultdict(int)
            for replica in self.stored.values():
                filled[replica.rse] += replica.size
            return State(
                tuple(self.rules.values()),
                dict(self.files),
                tuple(self.stored.values()),
                tuple(self.locks.values()),
                tuple(self.transfers.values()),
                tuple(self.rses.values()),
                self.needed,
                self.limits,
                used,
                filled,
                self.distances,
            )

    def commit(self, plan: Plan, now: datetime) -> None:
        """Carry a plan out, if what it rests on still holds."""
        with self.mutex:
            for rule in plan.expired:
                self.rules.pop(rule.id, None)
            self._commit_locks(plan)
            for rule in plan.rules:
                if rule.id in self.rules:
                    self.rules[rule.id] = rule
            self._commit_transfers(plan)
            for stone in plan.tombstones:
                key = (stone.did, stone.rse)
                if key in self.stored:
                    self.stored[key] = replace(self.stored[key], tombstone=stone.moment)
            for deletion in plan.deletions:
                if self._may_go(deletion, now):
                    key = (deletion.did, deletion.rse)
                    self.whys[key] = deletion.why
                    self.stored[key] = replace(self.stored[key], state=ReplicaState.BEING_DELETED)

    def _commit_locks(self, plan: Plan) -> None:
        for lock in plan.released:
            self.locks.pop((lock.rule, lock.did, lock.rse), None)
        for lock in plan.locks:
            if lock.rule in self.rules:
                self.locks[lock.rule, lock.did, lock.rse] = lock

    def _commit_transfers(self, plan: Plan) -> None:
        for transfer in plan.cancelled:
            key = (transfer.did, transfer.destination)
            if self.transfers.pop(key, None):
                self.claims.pop(key, None)
        for transfer in plan.transfers:
            key = (transfer.did, transfer.destination)
            known = self.transfers.get(key, transfer)
            self.transfers[key] = replace(known, sources=transfer.sources)

    def _may_go(self, deletion: Deletion, now: datetime) -> bool:
        did, rse = deletion.did, deletion.rse
        replica = self.stored.get((did, rse))
        if replica is None or replica.tombstone is None or replica.tombstone > now:
            return False
        if any((lock.did, lock.rse) == (did, rse) for lock in self.locks.values()):
            return False
        if any(
            one.did == did and rse in (*one.sources, one.destination)
            for one in self.transfers.values()
        ):
            return False
        needed = did in self.needed or any(
            file.did == did for rule in self.rules.values() for file in self.files.get(rule.did, ())
        )
        others = any(
            one.did == did and one.rse != rse and one.state is ReplicaState.AVAILABLE
            for one in self.stored.values()
        )
        return others or not needed

    def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        """Give at most `limit` pieces of work to a worker, fair between accounts."""
        with self.mutex:
            # One that ends later than any claim made now can was made before the clock went back.
            taken = {key: one for key, one in self.claims.items() if now < one.until <= now + lease}
            given = [
                self._removal(replica, worker, now + lease)
                for key, replica in self.stored.items()
                if replica.state is ReplicaState.BEING_DELETED and key not in taken
            ][:limit]
            running = Counter(
                one.work.account for one in taken.values() if isinstance(one.work, Transfer)
            )
            due = [
                one
                for key, one in self.transfers.items()
                if key not in taken and (one.after is None or one.after <= now)
            ]
            for transfer in in_turn(due, running):
                if len(given) >= limit:
                    break
                claim = self._copy(transfer, worker, now, now + lease)
                if claim is not None:
                    given.append(claim)
            for claim in given:
                self.claims[claim.work.did, claim.rse] = claim
            return tuple(given)

    def _removal(self, replica: Replica, worker: str, until: datetime) -> Claim:
        work = Deletion(replica.did, replica.rse, self.whys.get((replica.did, replica.rse), ""))
        return Claim(work, worker, until, replica.rse, replica.path, replica.size)

    def _copy(
        self, transfer: Transfer, worker: str, now: datetime, until: datetime
    ) -> Claim | None:
        key = (transfer.did, transfer.destination)
        sources = tuple(
            self.stored[transfer.did, name]
            for name in transfer.sources
            if (transfer.did, name) in self.stored
            and self.stored[transfer.did, name].state is ReplicaState.AVAILABLE
        )
        there = self.stored.get(key)
        if not sources or (there and there.state is ReplicaState.BEING_DELETED):
            return None
        if there is None:
            there = Replica(
                transfer.did,
                transfer.destination,
                ReplicaState.COPYING,
                sources[0].size,
                sources[0].checksums,
                path_of(transfer.did),
                created=now,
            )
            self.stored[key] = there
        size, sums = sources[0].size, sources[0].checksums
        return Claim(transfer, worker, until, there.rse, there.path, size, sums, sources)

    def report(self, claim: Claim, outcome: Done | Failed | Going, now: datetime) -> bool:
        """Note what became of a claim; False if it is no longer the worker's."""
        with self.mutex:
            key = (claim.work.did, claim.rse)
            mine = self.claims.get(key)
            if mine is None or (mine.worker, mine.work) != (claim.worker, claim.work):
                return False
            match outcome:
                case Going(until):
                    self.claims[key] = replace(mine, until=until)
                    return True
                case Failed(error, after):
                    if key in self.transfers:
                        one = self.transfers[key]
                        self.transfers[key] = replace(
                            one, attempts=one.attempts + 1, error=error, after=after
                        )
                    if isinstance(claim.work, Deletion):
                        # Nobody's claim until then: this is how a deletion waits.
                        self.claims[key] = replace(mine, worker="", until=after)
                        return True
                case Done(sums):
                    self._done(claim, sums, now)
            del self.claims[key]
            return True

    def _done(self, claim: Claim, sums: Checksums | None, now: datetime) -> None:
        key = (claim.work.did, claim.rse)
        if not isinstance(claim.work, Transfer):
            self.stored.pop(key, None)
            return
        self.transfers.pop(key, None)
        replica = self.stored[key]
        assert claim.checksums is not None  # noqa: S101 - a transfer's claim has them
        self.stored[key] = replace(
            replica,
            state=ReplicaState.AVAILABLE,
            size=claim.size,
            checksums=sums or claim.checksums,
            created=now,
        )

    def mark(self, replica: Replica, state: ReplicaState, why: str) -> bool:
        """Change a replica's state if it is still what the caller saw."""
        with self.mutex:
            known = self.stored.get((replica.did, replica.rse))
            if known is None or known.state is not replica.state:
                return False
            self.stored[replica.did, replica.rse] = replace(known, state=state)
            self.whys[replica.did, replica.rse] = why
            return True

    def replicas(self, rse: str) -> Iterator[Replica]:
        """Yield the replicas of an RSE in the order of their paths."""
        with self.mutex:
            found = [one for one in self.stored.values() if one.rse == rse]
        yield from sorted(found, key=lambda one: one.path.encode())
