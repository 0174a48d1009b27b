"""Replicas, RSEs, rules, locks, quotas and the queue of transfers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from leman.lake.catalogue import Limit, NewReplica, NewRule, Usage
from leman.lake.model import (
    DID,
    RSE,
    Checksums,
    LakeError,
    Lock,
    LockState,
    ReplicaState,
    RuleState,
    Transfer,
)
from leman.lake.paths import path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.lake.catalogue import Catalogue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def did(name: str) -> DID:
    """Return a name in ada's scope."""
    return DID("user.ada", name)


def put(catalogue: Catalogue, rse: str, *names: str, state: str = "AVAILABLE") -> None:
    """Add replicas of ten bytes each."""
    new = [NewReplica(did(name), 10, state=ReplicaState(state)) for name in names]
    catalogue.replicas.add(rse, new, account="ada")


def rule(catalogue: Catalogue, name: str, expression: str = "type=disk") -> str:
    """Add a rule of one copy for ada."""
    return catalogue.rules.add([NewRule(did(name), "ada", 1, expression)])[0]


def refused(kind: str, change: Callable[[], object]) -> None:
    """Expect an error of that kind."""
    with pytest.raises(LakeError) as caught:
        change()
    assert caught.value.kind == kind


def test_replicas_lie_where_rucio_would_put_them(catalogue: Catalogue) -> None:
    """A deterministic RSE derives the path; another path there is refused."""
    file = NewReplica(did("f"), 3, Checksums(sha256="a" * 64))
    catalogue.replicas.add("HERE", [file], account="ada")
    catalogue.replicas.add("THERE", [file], account="ada")
    found = list(catalogue.replicas.of([did("none"), did("f")]))
    assert [(one.rse, one.path) for one in found] == [
        ("HERE", path_of(did("f"))),
        ("THERE", path_of(did("f"))),
    ]
    assert found[0].checksums.sha256 == "a" * 64
    assert found[0].created
    other = NewReplica(did("g"), 3, path="elsewhere")
    refused("InvalidObject", lambda: catalogue.replicas.add("HERE", [other], account="ada"))


def test_paths_given_by_hand_stay_below_the_address_and_apart(catalogue: Catalogue) -> None:
    """Paths that lead out, none at all, or one for two files are refused."""
    catalogue.rses.add(RSE("FREE", "/free", deterministic=False))

    def lay(name: str, path: str) -> None:
        new = [NewReplica(did(name), 1, path=path)]
        catalogue.replicas.add("FREE", new, account="ada")

    lay("f", "a/b")
    lay("f", "a/b")
    for path in ("../x", "/etc/passwd", "a/../../b", "a//b", "", "a\nb", "..\\x", "x" * 1025):
        refused("InvalidObject", lambda path=path: lay("g", path))  # type: ignore[misc]
    refused("FileAlreadyExists", lambda: lay("g", "a/b"))
    refused("FileAlreadyExists", lambda: lay("f", "a/c"))
    two = [NewReplica(did(name), 1, path="same") for name in ("x", "y")]
    refused("FileAlreadyExists", lambda: catalogue.replicas.add("FREE", two, account="ada"))
    assert [one.path for one in catalogue.replicas.at("FREE")] == ["a/b"]


def test_usage_of_an_rse_is_what_lies_there(catalogue: Catalogue) -> None:
    """Adding again counts once; deleting counts back."""
    put(catalogue, "HERE", "f", "g")
    put(catalogue, "HERE", "g", "h")
    assert catalogue.topology.usage()["HERE"] == Usage(30, 3)
    catalogue.deletions.delete("HERE", [did("f")])
    assert catalogue.topology.usage()["HERE"] == Usage(20, 2)
    assert catalogue.quotas.wrong() == []


def test_paths_of_an_rse_come_in_order(catalogue: Catalogue) -> None:
    """What should be there is listed by path, to compare with what is there."""
    put(catalogue, "HERE", *(f"f{n}" for n in range(50)))
    put(catalogue, "HERE", "coming", state="COPYING")
    paths = [one.path for one in catalogue.replicas.at("HERE", states=[ReplicaState.AVAILABLE])]
    assert paths == sorted(path_of(did(f"f{n}")) for n in range(50))


def test_bad_replicas_are_listed_until_they_are_good_again(catalogue: Catalogue) -> None:
    """Declaring marks the replica and keeps the reason; AVAILABLE ends it."""
    put(catalogue, "HERE", "f", "g")
    catalogue.deletions.declare_bad("HERE", [did("f")], reason="bit rot", account="ada")
    found = list(catalogue.deletions.bad())
    assert [(one.did, one.rse, one.reason) for one in found] == [(did("f"), "HERE", "bit rot")]
    assert next(catalogue.replicas.of([did("f")])).state is ReplicaState.BAD
    catalogue.replicas.set_states("HERE", {did("f"): ReplicaState.AVAILABLE}, accessed=NOW)
    assert list(catalogue.deletions.bad()) == []
    assert next(catalogue.replicas.of([did("f")])).accessed == NOW
    refused(
        "ReplicaNotFound",
        lambda: catalogue.deletions.declare_bad("THERE", [did("f")], reason="", account="ada"),
    )


def test_locks_are_counted_everywhere_at_once(catalogue: Catalogue) -> None:
    """Rule, replica and account know of every lock, new, changed or gone."""
    put(catalogue, "HERE", "f", "g")
    put(catalogue, "THERE", "f", state="COPYING")
    one = rule(catalogue, "f")
    wanted = [
        Lock(one, did("f"), "HERE", LockState.OK),
        Lock(one, did("f"), "THERE", LockState.REPLICATING),
        Lock(one, did("g"), "HERE", LockState.OK),
    ]
    catalogue.locks.put(wanted)
    catalogue.locks.put(wanted)
    found = catalogue.rules.get(one)
    assert (found.ok, found.replicating, found.stuck) == (2, 1, 0)
    assert catalogue.quotas.usage("ada") == {"HERE": Usage(20, 2), "THERE": Usage(10, 1)}
    catalogue.locks.put([Lock(one, did("f"), "THERE", LockState.STUCK)])
    catalogue.locks.remove(wanted[:1], tombstone=LATER)
    found = catalogue.rules.get(one)
    assert (found.ok, found.replicating, found.stuck) == (1, 0, 1)
    here, there = catalogue.replicas.of([did("f")])
    assert (here.locks, here.tombstone, there.locks, there.tombstone) == (0, LATER, 1, None)
    listed = [(lock.did, lock.rse, lock.size) for lock in catalogue.locks.of_rule(one)]
    assert listed == [(did("f"), "THERE", 10), (did("g"), "HERE", 10)]
    assert [lock.rule for lock in catalogue.locks.of_did(did("g"))] == [one]
    refused(
        "ReplicaNotFound",
        lambda: catalogue.locks.put([Lock(one, did("g"), "TAPE", LockState.REPLICATING)]),
    )
    catalogue.rules.delete(one, tombstone=LATER)
    assert catalogue.quotas.usage("ada") == {}
    assert catalogue.quotas.wrong() == []
    assert all(copy.tombstone == LATER for copy in catalogue.replicas.of([did("g")]))


def test_a_locked_replica_cannot_be_deleted(catalogue: Catalogue) -> None:
    """Neither by condemning nor by deleting it, whatever its tombstone says."""
    put(catalogue, "HERE", "f", "g")
    put(catalogue, "THERE", "f", "g")
    one = rule(catalogue, "f")
    catalogue.replicas.set_tombstones("HERE", [did("f"), did("g")], NOW)
    catalogue.locks.put([Lock(one, did("f"), "HERE", LockState.OK)])
    assert catalogue.deletions.condemn("HERE", [did("f"), did("g")], LATER) == [did("g")]
    refused("UnsupportedOperation", lambda: catalogue.deletions.delete("HERE", [did("f")]))


def test_the_last_good_copy_is_never_condemned(catalogue: Catalogue) -> None:
    """Only when another one is AVAILABLE, or when the caller lets the file go."""
    put(catalogue, "HERE", "f")
    put(catalogue, "THERE", "f")
    for rse in ("HERE", "THERE"):
        catalogue.replicas.set_tombstones(rse, [did("f")], NOW)
    assert [copy.did for copy in catalogue.deletions.due("HERE", LATER)] == [did("f")]
    assert catalogue.deletions.condemn("HERE", [did("f")], NOW - timedelta(1)) == []
    assert catalogue.deletions.condemn("HERE", [did("f")], LATER) == [did("f")]
    assert catalogue.deletions.condemn("THERE", [did("f")], LATER) == []
    assert catalogue.deletions.condemn("THERE", [did("f")], LATER, last=True) == [did("f")]


def test_rules_are_found_by_all_that_is_asked(catalogue: Catalogue) -> None:
    """By name, account, state and expiry; the same wish twice is DuplicateRule."""
    put(catalogue, "HERE", "f", "g")
    one, two = rule(catalogue, "f"), rule(catalogue, "g")
    refused("DuplicateRule", lambda: rule(catalogue, "f"))
    refused("RuleNotFound", lambda: catalogue.rules.get("0" * 32))
    refused("InvalidObject", lambda: catalogue.rules.update(one, account="root"))
    catalogue.rules.update(one, state=RuleState.STUCK, error="no source", expires=NOW)
    assert [found.id for found in catalogue.rules.find(did=did("g"))] == [two]
    assert [found.id for found in catalogue.rules.find(account="ada")] == [one, two]
    assert [found.error for found in catalogue.rules.find(state=RuleState.STUCK)] == ["no source"]
    assert [found.id for found in catalogue.rules.find(expired=LATER)] == [one]


def test_rses_have_attributes_distances_and_settings(catalogue: Catalogue) -> None:
    """Attributes keep their types, the RSE's own name is one; what holds replicas stays."""
    catalogue.rses.set_attributes("HERE", {"tier": 1, "fast": True, "type": None})
    assert catalogue.rses.get("HERE").attributes == {"tier": 1, "fast": True, "HERE": True}
    assert [rse.name for rse in catalogue.rses.all()] == ["HERE", "TAPE", "THERE"]
    catalogue.rses.update("HERE", writable=False, limit=100)
    assert (catalogue.rses.get("HERE").writable, catalogue.rses.get("HERE").limit) == (False, 100)
    catalogue.topology.set_distance("HERE", "THERE", 2)
    catalogue.topology.set_distance("HERE", "THERE", 3)
    catalogue.topology.set_distance("THERE", "HERE", 1)
    catalogue.topology.set_distance("THERE", "HERE", None)
    assert catalogue.topology.distances() == {("HERE", "THERE"): 3}
    put(catalogue, "HERE", "f")
    refused("UnsupportedOperation", lambda: catalogue.rses.delete("HERE"))
    refused("UnsupportedOperation", lambda: catalogue.rses.update("HERE", deterministic=False))
    refused("Duplicate", lambda: catalogue.rses.add(RSE("HERE", "/x")))
    refused("InvalidObject", lambda: catalogue.rses.add(RSE("here", "/x")))
    refused("InvalidObject", lambda: catalogue.rses.update("HERE", writable="no"))
    refused("RSENotFound", lambda: catalogue.rses.get("NONE"))
    catalogue.rses.delete("TAPE")
    assert len(catalogue.rses.all()) == 2


def test_limits_are_kept_by_rse_and_by_expression(catalogue: Catalogue) -> None:
    """Set, changed and lifted; numbers that are no bytes are refused."""
    catalogue.quotas.limit("ada", "HERE", 100)
    catalogue.quotas.limit("ada", "HERE", 200)
    catalogue.quotas.limit("ada", "THERE", 1)
    catalogue.quotas.limit("ada", "THERE", None)
    catalogue.quotas.limit_globally("ada", "type=disk", 300)
    assert catalogue.quotas.limits("ada") == (Limit("ada", "HERE", 200),)
    assert catalogue.quotas.global_limits("ada") == (Limit("ada", "type=disk", 300),)
    refused("InvalidObject", lambda: catalogue.quotas.limit("ada", "HERE", -1))
    refused("AccountNotFound", lambda: catalogue.quotas.limit("bob", "HERE", 1))


def test_transfers_are_claimed_once_and_in_turn(catalogue: Catalogue) -> None:
    """Accounts take turns; a claim holds for its lease; what failed comes back when it is due."""
    put(catalogue, "HERE", *(f"f{n}" for n in range(6)))
    queued = [
        Transfer("", did(f"f{n}"), "THERE", ("HERE",), 10, account="root" if n == 5 else "ada")
        for n in range(6)
    ]
    catalogue.transfers.queue([*queued, queued[0]])
    catalogue.transfers.queue(queued)
    at = datetime.now(UTC) + timedelta(seconds=1)
    lease = timedelta(minutes=1)
    first = catalogue.transfers.claim(at, limit=2, lease=lease)
    assert sorted(one.account for one in first) == ["ada", "root"]
    second = catalogue.transfers.claim(at, limit=10, lease=lease)
    assert len({one.id for one in (*first, *second)}) == 6
    assert catalogue.transfers.claim(at, limit=10, lease=lease) == []
    failed = Transfer(
        first[0].id, first[0].did, "THERE", ("TAPE", "HERE"), 10, attempts=1, after=at, error="off"
    )
    catalogue.transfers.again([failed])
    again = catalogue.transfers.claim(at, limit=10, lease=lease)
    assert [(one.attempts, one.error, one.sources) for one in again] == [
        (1, "off", ("TAPE", "HERE"))
    ]
    catalogue.transfers.remove([one.id for one in second])
    assert len(list(catalogue.transfers.find(destination="THERE"))) == 2
    assert len(catalogue.transfers.claim(at + lease * 2, limit=10, lease=lease)) == 2
    refused("RequestNotFound", lambda: catalogue.transfers.get(second[0].id))


def test_a_replica_that_is_being_deleted_is_neither_locked_nor_added(catalogue: Catalogue) -> None:
    """Its bytes are about to go: nothing may rely on it, until it is there anew."""
    put(catalogue, "HERE", "f")
    put(catalogue, "THERE", "f")
    one = rule(catalogue, "f")
    catalogue.replicas.set_tombstones("HERE", [did("f")], NOW)
    assert catalogue.deletions.condemn("HERE", [did("f")], LATER) == [did("f")]
    lock = Lock(one, did("f"), "HERE", LockState.OK)
    refused("ReplicaNotFound", lambda: catalogue.locks.put([lock]))
    refused("ReplicaUnAvailable", lambda: put(catalogue, "HERE", "f"))
    catalogue.deletions.declare_bad("HERE", [did("f")], reason="x", account="ada")
    refused("ReplicaNotFound", lambda: catalogue.locks.put([lock]))
    catalogue.deletions.delete("HERE", [did("f")])
    put(catalogue, "HERE", "f")
    catalogue.locks.put([lock])


def test_reading_is_noted(catalogue: Catalogue) -> None:
    """When a copy was read is kept; a name that is unknown is passed over."""
    put(catalogue, "HERE", "f")
    catalogue.replicas.touch("HERE", [did("f"), did("unknown")], LATER)
    assert next(catalogue.replicas.of([did("f")])).accessed == LATER
