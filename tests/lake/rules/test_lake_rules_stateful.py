"""Rules, replicas, failures and expiry in any order, against what must always hold."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from leman.lake.model import DID, RSE, Checksums, Grouping, Replica, ReplicaState, Rule, RuleState
from leman.lake.model import Transfer as Copy
from leman.lake.paths import path_of
from leman.lake.rules.interface import Done, Failed, File
from leman.lake.rules.memory import MemoryBook
from leman.lake.rules.reconcile import reconcile

if TYPE_CHECKING:
    from leman.lake.rules.interface import Claim

NAMES = ("A", "B", "C", "D")
FILES = tuple(DID("s", f"f{number}") for number in range(4))
SETS = {DID("s", "x"): FILES[:3], DID("s", "y"): FILES[2:]}
ANY_RSE, ANY_FILE = st.sampled_from(NAMES), st.sampled_from(FILES)
EXPRESSIONS = st.sampled_from(["*", "A|B", "*\\A", "C", "A|B|C", "D&A", "here"])
LEASE = timedelta(minutes=5)
GOOD = ReplicaState.AVAILABLE


class Lake(RuleBasedStateMachine):
    """`disks` is the model: which bytes lie where, good (True) or damaged (False)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.book = MemoryBook({name: RSE(name, "/") for name in NAMES})
        self.disks: dict[tuple[DID, str], bool] = {}
        self.claims: list[Claim] = []
        self.chance = random.Random(0)
        self.count = 0
        for did, name in zip(FILES, NAMES, strict=True):
            self.disks[did, name] = True
            self.book.stored[did, name] = Replica(
                did, name, GOOD, 10, Checksums("0" * 8), path_of(did)
            )
        for dataset, dids in SETS.items():
            self.book.files[dataset] = tuple(File(did, 10, Checksums(), dataset) for did in dids)
        self.book.needed = frozenset(FILES)

    @rule(
        dataset=st.sampled_from(list(SETS)),
        copies=st.integers(1, 3),
        expression=EXPRESSIONS,
        grouping=st.sampled_from(Grouping),
        hours=st.sampled_from([0, 1, 50]),
    )
    def wish(
        self, dataset: DID, copies: int, expression: str, grouping: Grouping, hours: int
    ) -> None:
        self.count += 1
        ends = self.now + timedelta(hours=hours) if hours else None
        name = f"r{self.count}"
        self.book.rules[name] = Rule(
            name, dataset, "ada", copies, expression, grouping, self.now, ends
        )

    @rule()
    def plan(self) -> None:
        """Plan and commit; what is committed needs no further plan, and locks no deletion."""
        plan = reconcile(self.book.state(), self.now)
        for deletion in plan.deletions:
            assert (deletion.did, deletion.rse) in self.book.stored
        self.book.commit(plan, self.now)
        again = reconcile(self.book.state(), self.now)
        assert again.empty, again

    @rule()
    def claim(self) -> None:
        self.claims += self.book.claim("w", self.now, LEASE, 3)

    @rule(fate=st.sampled_from(["done", "failed", "killed", "late"]))
    def work(self, fate: str) -> None:
        """Do a claimed piece of work, or die before, within, or between it and its report."""
        if not self.claims:
            return
        claim = self.claims.pop(0)
        key = (claim.work.did, claim.rse)
        outcome: Done | Failed = Failed("no luck", self.now + timedelta(minutes=1))
        if fate in ("done", "late"):
            outcome = self.act(claim)
        if fate in ("done", "failed"):
            self.book.report(claim, outcome, self.now)
        assert (
            fate != "done"
            or key in self.disks
            or not isinstance(claim.work, Copy)
            or (isinstance(outcome, Failed))
        )

    def act(self, claim: Claim) -> Done | Failed:
        key = (claim.work.did, claim.rse)
        mine = self.book.claims.get(key)
        if mine is None or mine.work != claim.work:
            return Failed("not mine", self.now)
        if not isinstance(claim.work, Copy):
            self.disks.pop(key, None)
            return Done()
        for source in claim.sources:
            if self.disks.get((source.did, source.rse)):
                self.disks[key] = True
                return Done()
            self.book.mark(source, ReplicaState.BAD, "damaged")
        return Failed("no good source", self.now + timedelta(minutes=1))

    @rule(did=ANY_FILE, rse=ANY_RSE, seen=st.booleans())
    def damage(self, did: DID, rse: str, seen: bool) -> None:  # noqa: FBT001
        """Damage a copy, if another good one is left: nobody can save the last."""
        good = [key for key, fine in self.disks.items() if key[0] == did and fine]
        known = [key for key in good if self.book.stored[key].state is GOOD]
        if self.disks.get((did, rse)) and [key for key in known if key[1] != rse]:
            self.disks[did, rse] = False
            if seen:
                self.book.mark(self.book.stored[did, rse], ReplicaState.BAD, "scrub")

    @rule(rse=ANY_RSE, readable=st.booleans(), writable=st.booleans(), deletable=st.booleans())
    def availability(self, rse: str, readable: bool, writable: bool, deletable: bool) -> None:  # noqa: FBT001
        self.book.rses[rse] = replace(
            self.book.rses[rse], readable=readable, writable=writable, deletable=deletable
        )

    @rule(rse=ANY_RSE, here=st.booleans())
    def attribute(self, rse: str, here: bool) -> None:  # noqa: FBT001
        """Make an RSE fit, or not fit any more, what rules ask for."""
        self.book.rses[rse] = replace(self.book.rses[rse], attributes={"here": here})

    @rule(hours=st.sampled_from([0.1, 2, 30, -1]))
    def time(self, hours: float) -> None:
        """Let time pass; sometimes the clock is put back."""
        self.now += timedelta(hours=hours)

    @invariant()
    def nothing_lost(self) -> None:
        """Each file has a good copy that the catalogue knows as good."""
        for did in FILES:
            assert any(
                fine and key[0] == did and self.book.stored[key].state is GOOD
                for key, fine in self.disks.items()
            ), did

    @invariant()
    def no_locked_one_deleted(self) -> None:
        """No lock that was OK when a deletion was decided is on what is being deleted."""
        for _, did, rse in self.book.locks:
            replica = self.book.stored.get((did, rse))
            claimed = self.book.claims.get((did, rse))
            if replica and replica.state is ReplicaState.BEING_DELETED:
                # Only a lock that came after the decision can wait for it.
                assert claimed is None or not isinstance(claimed.work, Copy)

    def teardown(self) -> None:
        """With all RSEs up again, every rule that enough RSEs fit becomes OK."""
        for name in NAMES:
            self.availability(name, readable=True, writable=True, deletable=True)
        self.scrub()
        for _ in range(40):
            self.now += timedelta(hours=2)
            self.plan()
            self.claims = list(self.book.claim("w", self.now, LEASE, 50))
            while self.claims:
                self.work("done")
        fits = {"*": 4, "A|B": 2, "*\\A": 3, "C": 1, "A|B|C": 3, "D&A": 0}
        fits["here"] = sum(one.attributes.get("here") is True for one in self.book.rses.values())
        for one in self.book.rules.values():
            satisfiable = fits[one.expression] >= one.copies
            assert (one.state is RuleState.OK) == satisfiable, one
        for _, did, rse in self.book.locks:
            if self.book.stored[did, rse].state is GOOD:
                assert self.disks[did, rse]

    def scrub(self) -> None:
        for key, replica in list(self.book.stored.items()):
            if replica.state is GOOD and not self.disks.get(key):
                self.book.mark(replica, ReplicaState.BAD, "scrub")


Lake.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLake = Lake.TestCase
