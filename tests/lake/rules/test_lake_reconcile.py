"""Wanted against actual state: what is chosen, moved, kept, let go, and said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leman.lake.model import (
    DID,
    RSE,
    Checksums,
    Grouping,
    Lock,
    LockState,
    Replica,
    ReplicaState,
    Rule,
    RuleState,
)
from leman.lake.paths import path_of
from leman.lake.rules.expressions import InvalidRSEExpression
from leman.lake.rules.interface import File, Plan
from leman.lake.rules.memory import MemoryBook
from leman.lake.rules.reconcile import GRACE, reconcile
from leman.lake.rules.selection import (
    InsufficientAccountLimit,
    InsufficientTargetRSEs,
    RSEOverQuota,
    select,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SET = DID("atlas", "set")
ONE, TWO = DID("atlas", "one"), DID("atlas", "two")
GOOD = ReplicaState.AVAILABLE


def book_of(*names: str, files: tuple[DID, ...] = (ONE,), size: int = 10) -> MemoryBook:
    """Return a book with RSEs of these names, and a data set of files with no replica yet."""
    book = MemoryBook()
    book.rses = {name: RSE(name, f"/{name}") for name in names}
    book.files = {SET: tuple(File(did, size, Checksums("0" * 8), SET) for did in files)}
    return book


def put(book: MemoryBook, did: DID, rse: str, state: ReplicaState = GOOD, **more: Any) -> None:
    """Register a replica of ten bytes."""
    book.stored[did, rse] = Replica(did, rse, state, 10, Checksums("0" * 8), path_of(did), **more)


def want(book: MemoryBook, copies: int, expression: str = "*", **more: Any) -> Rule:
    """Add a rule for the data set."""
    values = {"id": f"r{len(book.rules)}", "account": "ada", "created": NOW, **more}
    rule = Rule(did=SET, copies=copies, expression=expression, **values)
    book.rules[rule.id] = rule
    return rule


def step(book: MemoryBook, now: datetime = NOW) -> Plan:
    """Reconcile, commit, and require that the outcome needs no further plan."""
    plan = reconcile(book.state(), now)
    book.commit(plan, now)
    again = reconcile(book.state(), now)
    assert again.empty, again
    return plan


def test_missing_copies() -> None:
    """What is missing becomes a transfer whose sources stand in the order of their distance."""
    book = book_of("A", "B", "C")
    put(book, ONE, "A")
    put(book, ONE, "B")
    book.distances = {("A", "C"): 5, ("B", "C"): 1}
    want(book, 3)
    plan = step(book)
    assert [(one.destination, one.sources) for one in plan.transfers] == [("C", ("B", "A"))]
    assert {lock.rse: lock.state for lock in plan.locks} == {
        "A": LockState.OK,
        "B": LockState.OK,
        "C": LockState.REPLICATING,
    }
    assert book.rules["r0"].state is RuleState.REPLICATING


def test_bad_replica_is_replaced() -> None:
    """A BAD replica under a lock is brought again from a good one, to where it was."""
    book = book_of("A", "B")
    put(book, ONE, "A")
    put(book, ONE, "B", ReplicaState.BAD)
    want(book, 2)
    (transfer,) = step(book).transfers
    assert (transfer.destination, transfer.sources) == ("B", ("A",))


def test_expired_rule_lets_go_slowly() -> None:
    """An expired rule's locks go at once, the replica only after the grace period, the last never.

    The file is in a data set: it is needed without a rule.
    """
    book = book_of("A", "B")
    book.needed = frozenset({ONE})
    put(book, ONE, "A")
    put(book, ONE, "B")
    want(book, 2, expires=NOW + timedelta(hours=1))
    step(book)
    assert len(book.locks) == 2
    over = NOW + timedelta(hours=1)
    plan = step(book, over)
    assert [rule.id for rule in plan.expired] == ["r0"]
    assert not book.locks
    assert {stone.moment for stone in plan.tombstones} == {over + GRACE}
    assert not step(book, over + GRACE - timedelta(seconds=1)).deletions
    assert [one.rse for one in step(book, over + GRACE).deletions] == ["A"]
    assert not step(book, over + 9 * GRACE).deletions


def test_unneeded_file_goes_wholly() -> None:
    """A file in no data set and under no rule goes with its last replica."""
    book = book_of("A")
    put(book, ONE, "A", tombstone=NOW)
    book.files = {}
    assert [one.rse for one in step(book, NOW).deletions] == ["A"]


def test_lock_takes_tombstone_away() -> None:
    """A replica that a new rule locks has no tombstone any more."""
    book = book_of("A")
    put(book, ONE, "A", tombstone=NOW)
    want(book, 1)
    plan = step(book)
    assert not plan.deletions
    assert book.stored[ONE, "A"].tombstone is None


def test_source_stays() -> None:
    """A replica without a lock stays while a transfer reads it."""
    book = book_of("A", "B")
    put(book, ONE, "A", tombstone=NOW)
    want(book, 1, "B")
    assert not step(book, NOW + timedelta(days=9)).deletions
    book.transfers.clear()
    put(book, ONE, "B")
    assert [one.rse for one in step(book, NOW + timedelta(days=9)).deletions] == ["A"]


def test_commit_checks_again() -> None:
    """A deletion is left out if a lock came between the plan and its commitment."""
    book = book_of("A", "B")
    put(book, ONE, "A", tombstone=NOW)
    put(book, ONE, "B", tombstone=NOW)
    plan = reconcile(book.state(), NOW)
    assert len(plan.deletions) == 2  # no rule, no data set needs the file
    want(book, 1, "A")
    book.locks["r0", ONE, "A"] = Lock("r0", ONE, "A", LockState.OK, 10)
    book.commit(plan, NOW)
    assert book.stored[ONE, "A"].state is GOOD
    assert book.stored[ONE, "B"].state is ReplicaState.BEING_DELETED


def test_rule_follows_attributes() -> None:
    """Where an RSE no longer fits, its copy goes only once another one has taken its place."""
    book = book_of("A", "B")
    book.rses["A"] = replace(book.rses["A"], attributes={"site": "here"})
    put(book, ONE, "A")
    want(book, 1, "site=here")
    step(book)
    book.rses["A"] = replace(book.rses["A"], attributes={})
    book.rses["B"] = replace(book.rses["B"], attributes={"site": "here"})
    later = NOW + timedelta(days=30)
    step(book, NOW)
    assert not step(book, later).deletions
    book.transfers.clear()
    put(book, ONE, "B")
    assert [one.rse for one in step(book, later).deletions] == ["A"]


def test_expression_without_match_changes_nothing() -> None:
    """A rule whose expression fits nothing any more keeps its locks and says why it is STUCK."""
    book = book_of("A")
    put(book, ONE, "A")
    want(book, 1, "A")
    step(book)
    book.rules["r0"] = replace(book.rules["r0"], expression="Z")
    step(book, NOW + timedelta(days=99))
    assert set(book.locks) == {("r0", ONE, "A")}
    assert book.rules["r0"].state is RuleState.STUCK
    assert "no RSE fits" in book.rules["r0"].error


@pytest.mark.parametrize(
    ("state", "readable", "why"),
    [
        (GOOD, False, "no source: the only replica is at A, which is not readable"),
        (ReplicaState.BAD, True, "no source: the only replica is at A, which is BAD"),
        (None, True, "no source: atlas:one has no replica anywhere"),
    ],
)
def test_stuck_in_words(state: ReplicaState | None, readable: bool, why: str) -> None:  # noqa: FBT001
    """What cannot be done is explained, in the rule and among the problems."""
    book = book_of("A", "B")
    book.rses["A"] = replace(book.rses["A"], readable=readable)
    if state:
        put(book, ONE, "A", state)
    want(book, 1, "B")
    assert why in {problem.why for problem in step(book).problems}
    assert book.rules["r0"].error == why
    assert book.rules["r0"].state is RuleState.STUCK


def test_last_bad_replica_stays() -> None:
    """A BAD replica stays where no good one is: something may be saved from it."""
    book = book_of("A", "B")
    put(book, ONE, "A", ReplicaState.BAD, tombstone=NOW)
    want(book, 1, "B")
    assert not step(book, NOW + timedelta(days=9)).deletions


@pytest.mark.parametrize(
    ("grouping", "where"), [(Grouping.DATASET, {ONE: "A", TWO: "A"}), (Grouping.NONE, None)]
)
def test_grouping(grouping: Grouping, where: dict[DID, str] | None) -> None:
    """Grouped files go where most bytes are already; ungrouped ones stay each where it is."""
    book = book_of("A", "B", files=(ONE, TWO))
    put(book, ONE, "A")
    put(book, TWO, "B")
    rule = want(book, 1, grouping=grouping)
    expected = where or {ONE: "A", TWO: "B"}
    assert select(book.state(), rule) == {did: (rse,) for did, rse in expected.items()}


def test_errors_of_selection() -> None:
    """Too few RSEs, too little quota, too little space: each under Rucio's name, with numbers."""
    book = book_of("A", "B")
    put(book, ONE, "A")
    with pytest.raises(InsufficientTargetRSEs, match="fits 2 RSE"):
        select(book.state(), want(book, 3))
    book.limits = {("ada", "B"): 9}
    with pytest.raises(InsufficientAccountLimit, match="uses 0 of 9 bytes at B, 10 more"):
        select(book.state(), want(book, 2))
    book.limits = {}
    book.rses["B"] = replace(book.rses["B"], limit=9)
    with pytest.raises(RSEOverQuota, match="B holds 0 of 9 bytes"):
        select(book.state(), want(book, 2))
    book.rses["B"] = replace(book.rses["B"], limit=0, writable=False)
    with pytest.raises(InsufficientTargetRSEs, match="B is not writable"):
        select(book.state(), want(book, 2))
    with pytest.raises(InvalidRSEExpression):
        select(book.state(), want(book, 2, "Z"))


def test_some_copies_are_better_than_none() -> None:
    """A rule that cannot have all its copies gets those that can be, and is STUCK."""
    book = book_of("A", "B")
    put(book, ONE, "A")
    want(book, 3)
    assert [one.destination for one in step(book).transfers] == ["B"]
    assert book.rules["r0"].state is RuleState.STUCK


def test_every_source_stays() -> None:
    """A replica that a transfer may read stays even where other good ones are."""
    book = book_of("A", "B", "C")
    put(book, ONE, "A", tombstone=NOW)
    put(book, ONE, "B", tombstone=NOW)
    want(book, 1, "C")
    assert not step(book, NOW + timedelta(days=9)).deletions


def test_as_many_stay_as_are_wanted() -> None:
    """While a rule of two copies moves, two good replicas stay, though no lock holds them."""
    book = book_of("A", "B", "C", "D")
    for rse in ("A", "B"):
        put(book, ONE, rse, tombstone=NOW)
        book.rses[rse] = replace(book.rses[rse], readable=False)
    put(book, ONE, "C")
    book.rses["D"] = replace(book.rses["D"], writable=False)
    want(book, 2, "C|D")
    plan = step(book, NOW + timedelta(days=9))
    assert [one.rse for one in plan.deletions] == ["A"]
    put(book, ONE, "D")
    assert [one.rse for one in step(book, NOW + timedelta(days=9)).deletions] == ["B"]


def test_commit_keeps_the_last() -> None:
    """A deletion is left out if the other good replica was found to be bad meanwhile."""
    book = book_of("A", "B")
    book.needed = frozenset({ONE})
    put(book, ONE, "A", tombstone=NOW)
    put(book, ONE, "B", tombstone=NOW)
    plan = reconcile(book.state(), NOW)
    assert [one.rse for one in plan.deletions] == ["A"]
    book.mark(book.stored[ONE, "B"], ReplicaState.BAD, "scrub")
    book.commit(plan, NOW)
    assert book.stored[ONE, "A"].state is GOOD


def test_held_until_replaced() -> None:
    """A lock on an RSE that no longer fits stays while too few others can take its place."""
    book = book_of("A", "B", "C")
    for rse in ("A", "B"):
        book.rses[rse] = replace(book.rses[rse], attributes={"here": True})
        put(book, ONE, rse)
    want(book, 2, "here")
    step(book)
    book.rses["B"] = replace(book.rses["B"], attributes={})
    step(book)
    assert {rse for _, _, rse in book.locks} == {"A", "B"}
    book.rses["C"] = replace(book.rses["C"], attributes={"here": True})
    step(book)
    assert {rse for _, _, rse in book.locks} == {"A", "C"}


def test_quota_is_shared_by_rules() -> None:
    """Rules of one account share its limit, in the order of their creation."""
    book = book_of("A", "B", files=(ONE, TWO))
    for did in (ONE, TWO):
        put(book, did, "A")
    book.limits = {("ada", "B"): 25}
    want(book, 1, "B")
    want(book, 1, "B", created=NOW + timedelta(seconds=1), id="a-later-one")
    step(book)
    assert book.rules["r0"].state is RuleState.REPLICATING
    assert "ada uses 20 of 25 bytes at B, 20 more are needed" in book.rules["a-later-one"].error


def test_cancelled_transfer_holds_nothing() -> None:
    """What only a cancelled transfer read may go in the same plan: the outcome needs no other."""
    book = book_of("A", "B", "C")
    book.needed = frozenset({ONE})
    put(book, ONE, "A", tombstone=NOW)
    put(book, ONE, "B", tombstone=NOW)
    want(book, 1, "C", expires=NOW + timedelta(hours=1))
    assert step(book).transfers
    plan = step(book, NOW + timedelta(hours=1))
    assert plan.cancelled
    assert [one.rse for one in plan.deletions] == ["A"]
