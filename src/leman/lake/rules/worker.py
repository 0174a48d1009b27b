"""Carries plans out: copies, verifies, deletes; can be killed at any moment.

All it knows stands in the catalogue. What it works on it has claimed for a while; a claim that ran
out is work for whoever starts next. A file becomes visible at its destination only when complete
(`Storage.put`), and a replica AVAILABLE only after it was read again where it lies.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from leman.lake.interface import Storage, StorageError
from leman.lake.model import Checksums, Expected, ReplicaState, Transfer
from leman.lake.rules.arrival import damage, differences
from leman.lake.rules.interface import Claim, Done, Failed, Going
from leman.lake.rules.pace import SteadyClock, wait_after
from leman.lake.rules.reconcile import GRACE, reconcile
from leman.lake.storage.limited import Limit, Limited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leman.lake.model import Replica
    from leman.lake.rules.interface import Book, Plan, Problem


class Mover(Protocol):
    """How a file gets from one storage to another: `leman.lake.storage.transfer.transfer`."""

    def __call__(
        self, source: Storage, path: str, target: Storage, path2: str, expected: Expected
    ) -> Checksums:
        """Copy, and return checksums of what was written; raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once: `bandwidth` in bytes a second for all copies together, 0 for no limit.

    With a bandwidth, every byte passes through here: storages do not copy among themselves.
    `lease` must be longer than any single deletion takes. `reread`: read again what arrived; False
    only with a mover that does so itself.
    """

    threads: int = 4
    bandwidth: float = 0
    lease: timedelta = timedelta(minutes=10)
    grace: timedelta = GRACE
    reread: bool = True


@dataclass
class Summary:
    """What one round did; `problems` are those that the plan met."""

    copied: int = 0
    copied_bytes: int = 0
    deleted: int = 0
    failed: list[str] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()


def untold(_claim: Claim, _outcome: Done | Failed) -> None:
    """Report outcomes to nobody."""


@dataclass
class Worker:
    """Works for one catalogue; `name` must differ from that of any other worker alive.

    `storages` are by RSE. `tell` hears of each piece of work when it is over.
    """

    name: str
    book: Book
    storages: Mapping[str, Storage]
    move: Mover
    limits: Limits = Limits()
    clock: SteadyClock = field(default_factory=SteadyClock)
    tell: Callable[[Claim, Done | Failed], None] = untold
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Open the throttle that all copies share."""
        self._pace = Limit(self.limits.bandwidth) if self.limits.bandwidth else None

    def plan(self) -> Plan:
        """Compare wanted and actual state and write the outcome down.

        While the clock is not steady no rule ends and nothing gets deleted.
        """
        now = self.clock.now()
        state = self.book.state()
        if self.clock.steady():
            plan = reconcile(state, now, grace=self.limits.grace)
        else:
            lasting = tuple(replace(rule, expires=None) for rule in state.rules)
            plan = reconcile(replace(state, rules=lasting), now, grace=self.limits.grace)
            ends = {rule.id: rule.expires for rule in state.rules}
            kept = tuple(replace(rule, expires=ends[rule.id]) for rule in plan.rules)
            plan = replace(plan, rules=kept, deletions=(), tombstones=())
        if not plan.empty:
            self.book.commit(plan, now)
        return plan

    def round(self, stop: threading.Event | None = None) -> Summary:
        """Plan, then work until nothing is due; `stop` ends it after the pieces in hand."""
        summary = Summary(problems=self.plan().problems)
        lock = threading.Lock()
        with ThreadPoolExecutor(self.limits.threads, thread_name_prefix="lake") as pool:
            while not (stop and stop.is_set()):
                claims = self.book.claim(
                    self.name, self.clock.now(), self.limits.lease, self.limits.threads
                )
                if not claims:
                    break
                for claim, outcome in zip(claims, pool.map(self._work, claims), strict=True):
                    with lock:
                        _count(summary, claim, outcome)
                    self.tell(claim, outcome)
        return summary

    def _work(self, claim: Claim) -> Done | Failed:
        over = threading.Event()
        pulse = threading.Thread(target=self._keep, args=(claim, over), daemon=True)
        pulse.start()
        try:
            outcome: Done | Failed = (
                self._copy(claim) if isinstance(claim.work, Transfer) else self._delete(claim)
            )
        except StorageError as error:
            outcome = self._failed(claim, error.message)
        finally:
            over.set()
            pulse.join()
        if not self.book.report(claim, outcome, self.clock.now()):
            return self._failed(claim, "the claim ran out before the work was done")
        return outcome

    def _keep(self, claim: Claim, over: threading.Event) -> None:
        """Prolong a claim while its work goes on."""
        while not over.wait(self.limits.lease.total_seconds() / 3):
            now = self.clock.now()
            self.book.report(claim, Going(now + self.limits.lease), now)

    def _failed(self, claim: Claim, error: str) -> Failed:
        attempts = claim.work.attempts + 1 if isinstance(claim.work, Transfer) else 1
        return Failed(error, self.clock.now() + wait_after(attempts, self.chance))

    def _delete(self, claim: Claim) -> Done | Failed:
        storage = self.storages.get(claim.rse)
        if storage is None:
            return self._failed(claim, f"no storage is configured for {claim.rse}")
        now = self.clock.now()
        # A worker that was asleep for longer than its lease must not remove what came since.
        if not self.book.report(claim, Going(now + self.limits.lease), now):
            return self._failed(claim, "the claim ran out before the work began")
        storage.delete(claim.path)
        return Done()

    def _copy(self, claim: Claim) -> Done | Failed:
        """Bring a file from the first source that gives good bytes."""
        target = self.storages.get(claim.rse)
        if target is None:
            return self._failed(claim, f"no storage is configured for {claim.rse}")
        errors = []
        for replica in claim.sources:
            source = self.storages.get(replica.rse)
            if source is None:
                errors.append(f"no storage is configured for {replica.rse}")
                continue
            error, sums = self._bring(claim, replica, source, target)
            if not error:
                return Done(sums)
            errors.append(f"from {replica.rse}: {error}")
        return self._failed(claim, "; ".join(errors) or "no source is left")

    def _bring(
        self, claim: Claim, replica: Replica, source: Storage, target: Storage
    ) -> tuple[str, Checksums]:
        expected = claim.checksums or Checksums()
        origin = Limited(source, self._pace) if self._pace else source
        try:
            sent = self.move(
                origin, replica.path, target, claim.path, Expected(claim.size, expected)
            )
            error = differences(expected, sent)
            if not error:
                if self.limits.reread:
                    error, sent = damage(target, claim.path, claim.size, expected)
                if not error:
                    return "", sent
        except StorageError as problem:
            error = problem.message
            if problem.kind not in ("damaged", "no-such-file"):
                return error, Checksums()
        return self._blame(replica, source) or error, Checksums()

    def _blame(self, replica: Replica, source: Storage) -> str:
        """Say what is wrong with a source, and mark it BAD; empty if it is in order."""
        try:
            error, _ = damage(source, replica.path, replica.size, replica.checksums)
        except StorageError as problem:
            if problem.kind != "no-such-file":
                return ""  # unknown is not bad
            error = problem.message
        if error:
            self.book.mark(replica, ReplicaState.BAD, error)
        return error


def _count(summary: Summary, claim: Claim, outcome: Done | Failed) -> None:
    if isinstance(outcome, Failed):
        summary.failed.append(f"{claim.work.did} at {claim.rse}: {outcome.error}")
    elif isinstance(claim.work, Transfer):
        summary.copied += 1
        summary.copied_bytes += claim.size
    else:
        summary.deleted += 1
