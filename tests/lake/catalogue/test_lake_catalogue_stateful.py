"""Any sequence of calls leaves the catalogue as a plain model in memory says."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leman.lake.catalogue import NewDID, NewReplica, NewRule, Usage, open_catalogue
from leman.lake.model import DID, RSE, DIDType, LakeError, Lock, LockState, ReplicaState

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.lake.catalogue import Catalogue

FILES = [DID("s", f"f{n}") for n in range(4)]
SETS = [DID("s", f"s{n}") for n in range(3)]
BOXES = [DID("s", f"c{n}") for n in range(3)]
NAMES = FILES + SETS + BOXES
RSES = ["ONE", "TWO"]
SIZES = {did: 10**position for position, did in enumerate(FILES)}
PAST, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)

names = st.sampled_from(NAMES)
collections = st.sampled_from(SETS + BOXES)
files = st.sampled_from(FILES)
rses = st.sampled_from(RSES)
flags = st.booleans()
states = st.sampled_from(LockState)


def kind_of(did: DID) -> DIDType:
    """Return the type that a name of the test has."""
    if did in FILES:
        return DIDType.FILE
    return DIDType.DATASET if did in SETS else DIDType.CONTAINER


@dataclass
class Copy:
    good: bool = True
    going: bool = False
    dead: bool = False


@dataclass
class Model:
    there: set[DID] = field(default_factory=set)
    inside: dict[DID, set[DID]] = field(default_factory=dict)
    closed: set[DID] = field(default_factory=set)
    monotonic: set[DID] = field(default_factory=set)
    copies: dict[tuple[DID, str], Copy] = field(default_factory=dict)
    locks: dict[tuple[DID, str], LockState] = field(default_factory=dict)

    def below(self, did: DID) -> set[DID]:
        found = {did}
        for child in self.inside.get(did, ()):
            found |= self.below(child)
        return found

    def may_attach(self, parent: DID, child: DID) -> bool:
        fits = {
            DIDType.FILE: (),
            DIDType.DATASET: (DIDType.FILE,),
            DIDType.CONTAINER: (DIDType.DATASET, DIDType.CONTAINER),
        }
        return (
            {parent, child} <= self.there
            and kind_of(child) in fits[kind_of(parent)]
            and parent not in self.closed
            and parent not in self.below(child)
            and child not in self.inside[parent]
        )

    def may_detach(self, parent: DID, child: DID) -> bool:
        return (
            child in self.inside.get(parent, ())
            and parent not in self.closed
            and parent not in self.monotonic
        )

    def may_delete(self, did: DID, ruled: DID) -> bool:
        kept = any(did in self.inside.get(parent, ()) for parent in self.monotonic)
        copied = any(file == did for file, _ in self.copies)
        return did in self.there and not kept and not copied and did != ruled

    def condemn(self, did: DID, rse: str) -> bool:
        copy = self.copies.get((did, rse))
        if did not in self.there or not copy or (did, rse) in self.locks or not copy.dead:
            return False
        others = [one for (f, r), one in self.copies.items() if f == did and r != rse]
        return not copy.good or any(one.good for one in others)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
class Lake(RuleBasedStateMachine):
    """A catalogue and a model of it, changed alike."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.catalogue: Catalogue = open_catalogue(f"sqlite:///{self.folder.name}/c.sqlite")
        self.model = Model()
        self.ruled = FILES[0]

    def teardown(self) -> None:
        self.catalogue.close()
        self.folder.cleanup()

    def agree(self, may: bool, change: Callable[[], object]) -> None:  # noqa: FBT001
        """Change the catalogue, which must refuse exactly where the model does."""
        try:
            change()
        except LakeError as error:
            assert not may, error  # noqa: PT017 - it is whether, not what
        else:
            assert may

    @initialize()
    def start(self) -> None:
        self.catalogue.scopes.add("s", "root")
        for name in RSES:
            self.catalogue.rses.add(RSE(name, "/x"))
        self.add(self.ruled)
        new = NewRule(self.ruled, "root", 1, "ONE")
        self.rule_id = self.catalogue.rules.add([new])[0]

    @rule(did=names)
    def add(self, did: DID) -> None:
        kind = kind_of(did)
        new = NewDID(did, kind, SIZES.get(did, 0))
        may = kind is DIDType.FILE or did not in self.model.there
        self.agree(may, lambda: self.catalogue.dids.add([new], account="root"))
        self.model.there.add(did)
        self.model.inside.setdefault(did, set())

    @rule(parent=names, child=names)
    def attach(self, parent: DID, child: DID) -> None:
        may = self.model.may_attach(parent, child)
        self.agree(may, lambda: self.catalogue.contents.attach({parent: [child]}))
        if may:
            self.model.inside[parent].add(child)

    @rule(parent=names, child=names)
    def detach(self, parent: DID, child: DID) -> None:
        may = self.model.may_detach(parent, child)
        self.agree(may, lambda: self.catalogue.contents.detach(parent, [child]))
        if may:
            self.model.inside[parent].remove(child)

    @rule(did=collections, open_=flags)
    def open_or_close(self, did: DID, open_: bool) -> None:  # noqa: FBT001
        may = did in self.model.there
        self.agree(may, lambda: self.catalogue.dids.update(did, open=open_))
        if may:
            (self.model.closed.discard if open_ else self.model.closed.add)(did)

    @rule(did=collections)
    def make_monotonic(self, did: DID) -> None:
        may = did in self.model.there
        self.agree(may, lambda: self.catalogue.dids.update(did, monotonic=True))
        if may:
            self.model.monotonic.add(did)

    @rule(did=names)
    def delete(self, did: DID) -> None:
        may = self.model.may_delete(did, self.ruled)
        self.agree(may, lambda: self.catalogue.dids.delete([did]))
        if may:
            self.model.there.remove(did)
            del self.model.inside[did]
            self.model.closed.discard(did)
            self.model.monotonic.discard(did)
            for children in self.model.inside.values():
                children.discard(did)

    @rule(did=files, rse=rses, dead=flags)
    def copy(self, did: DID, rse: str, dead: bool) -> None:  # noqa: FBT001
        new = NewReplica(did, SIZES[did], tombstone=PAST if dead else None)
        may = not self.model.copies.get((did, rse), Copy()).going
        self.agree(may, lambda: self.catalogue.replicas.add(rse, [new], account="root"))
        self.model.there.add(did)
        self.model.inside.setdefault(did, set())
        self.model.copies.setdefault((did, rse), Copy(dead=dead))

    @rule(did=files, rse=rses)
    def declare_bad(self, did: DID, rse: str) -> None:
        may = (did, rse) in self.model.copies

        def change() -> None:
            self.catalogue.deletions.declare_bad(rse, [did], reason="", account="root")

        self.agree(may, change)
        if may:
            self.model.copies[did, rse].good = False

    @rule(did=files, rse=rses)
    def condemn(self, did: DID, rse: str) -> None:
        if did not in self.model.there:
            return
        expected = [did] if self.model.condemn(did, rse) else []
        assert self.catalogue.deletions.condemn(rse, [did], NOW) == expected
        for one in expected:
            self.model.copies[one, rse].good = False
            self.model.copies[one, rse].going = True

    @rule(did=files, rse=rses)
    def remove_copy(self, did: DID, rse: str) -> None:
        may = (did, rse) in self.model.copies and (did, rse) not in self.model.locks
        self.agree(may, lambda: self.catalogue.deletions.delete(rse, [did]))
        if may:
            del self.model.copies[did, rse]

    @rule(did=files, rse=rses, state=states)
    def lock(self, did: DID, rse: str, state: LockState) -> None:
        may = not self.model.copies.get((did, rse), Copy(going=True)).going
        lock = Lock(self.rule_id, did, rse, state)
        self.agree(may, lambda: self.catalogue.locks.put([lock]))
        if may:
            new = (did, rse) not in self.model.locks
            self.model.copies[did, rse].dead &= not new
            self.model.locks[did, rse] = state

    @rule(did=files, rse=rses)
    def unlock(self, did: DID, rse: str) -> None:
        lock = Lock(self.rule_id, did, rse, LockState.OK)
        may = did in self.model.there
        self.agree(may, lambda: self.catalogue.locks.remove([lock], tombstone=PAST))
        if self.model.locks.pop((did, rse), None):
            self.model.copies[did, rse].dead = True

    @rule()
    def drop_rule(self) -> None:
        self.catalogue.rules.delete(self.rule_id, tombstone=PAST + timedelta(0))
        for key in self.model.locks:
            self.model.copies[key].dead = True
        self.model.locks.clear()
        new = NewRule(self.ruled, "root", 1, "ONE")
        self.rule_id = self.catalogue.rules.add([new])[0]

    @invariant()
    def sets_are_as_the_model_says(self) -> None:
        found = {one.did: one for one in self.catalogue.dids.find("s", types=list(DIDType))}
        assert set(found) == self.model.there
        for did in self.model.there:
            sets = {one for one in self.model.below(did) if kind_of(one) is DIDType.DATASET}
            within = [file for one in sets for file in self.model.inside[one]]
            if did in FILES:
                within = [did]
            entry = found[did]
            assert (entry.length, entry.size) == (len(within), sum(SIZES[f] for f in within))
            assert {one.did for one in self.catalogue.contents.files(did)} == set(within)
            if did not in FILES:
                assert entry.open == (did not in self.model.closed)
                assert entry.monotonic == (did in self.model.monotonic)
                listed = {one.did for one in self.catalogue.contents.list(did)}
                assert listed == self.model.inside[did]

    @invariant()
    def copies_are_as_the_model_says(self) -> None:
        found = {(one.did, one.rse): one for one in self.catalogue.replicas.of(FILES)}
        assert set(found) == set(self.model.copies)
        for key, one in found.items():
            assert one.locks == (key in self.model.locks)
            assert (one.tombstone is not None) == self.model.copies[key].dead
            copy = self.model.copies[key]
            assert (one.state is ReplicaState.AVAILABLE) == copy.good
            assert (one.state is ReplicaState.BEING_DELETED) == copy.going

    @invariant()
    def sums_are_as_the_model_says(self) -> None:
        if not hasattr(self, "rule_id"):
            return
        counted = self.catalogue.rules.get(self.rule_id)
        held = list(self.model.locks.values())
        for state in LockState:
            assert getattr(counted, state.lower()) == held.count(state)
        usage = self.catalogue.quotas.usage("root")
        filled = self.catalogue.topology.usage()
        for rse in RSES:
            locked = [SIZES[did] for did, at in self.model.locks if at == rse]
            assert usage.get(rse, Usage()) == Usage(sum(locked), len(locked))
            lying = [SIZES[did] for did, at in self.model.copies if at == rse]
            assert filled[rse] == Usage(sum(lying), len(lying))
        assert self.catalogue.quotas.wrong() == []


TestLake = Lake.TestCase
TestLake.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
