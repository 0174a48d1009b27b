"""Names: what may be added, attached, closed, found and deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from leman.lake.catalogue import NewDID, NewReplica, NewRule
from leman.lake.model import DID, Checksums, DIDType, LakeError, parse_did

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.lake.catalogue import Catalogue

SET, BOX, FILE = DIDType.DATASET, DIDType.CONTAINER, DIDType.FILE
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def did(name: str) -> DID:
    """Return a name in ada's scope."""
    return DID("user.ada", name)


def add(catalogue: Catalogue, kind: DIDType, *names: str, size: int = 0) -> None:
    """Add DIDs of one type."""
    new = [NewDID(did(name), kind, size=size) for name in names]
    catalogue.dids.add(new, account="ada")


def test_a_file_added_twice_is_fine_with_the_same_content_only(catalogue: Catalogue) -> None:
    """The same content again changes nothing; another content is an error and changes nothing."""
    file = NewDID(did("f"), FILE, 5, Checksums(adler32="0" * 8))
    catalogue.dids.add([file], account="ada")
    catalogue.dids.add([file, file], account="ada")
    for other in (
        NewDID(did("f"), FILE, 6, Checksums(adler32="0" * 8)),
        NewDID(did("f"), FILE, 5, Checksums(adler32="1" * 8)),
        NewDID(did("f"), SET),
    ):
        with pytest.raises(LakeError) as caught:
            catalogue.dids.add([NewDID(did("new"), other.type), other], account="ada")
        assert caught.value.kind == "DataIdentifierAlreadyExists"
    assert [one.did.name for one in catalogue.dids.find("user.ada", types=list(DIDType))] == ["f"]


def test_checksums_are_filled_in_of_the_same_content(catalogue: Catalogue) -> None:
    """A checksum that comes later is kept beside one that both have, never beside a strange one."""
    first, second = Checksums(adler32="0" * 8), Checksums(adler32="0" * 8, sha256="1" * 64)
    for name, one, two, kept in (
        ("a", first, second, second),
        ("b", first, Checksums(sha256="1" * 64), first),
    ):
        catalogue.dids.add([NewDID(did(name), FILE, 5, one)], account="ada")
        catalogue.dids.add([NewDID(did(name), FILE, 5, two)], account="ada")
        assert next(catalogue.dids.get([did(name)])).checksums == kept


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "",
        "a b",
        "a\n",
        "a'; DROP TABLE dids",
        "é",
        "x" * 251,
        "a/.",
    ],
)
def test_names_outside_the_schema_are_refused(catalogue: Catalogue, name: str) -> None:
    """Whatever Rucio would not accept is InvalidObject, wherever it comes in."""
    changes: tuple[Callable[[], object], ...] = (
        lambda: catalogue.dids.add([NewDID(did(name), FILE)], account="ada"),
        lambda: catalogue.replicas.add("HERE", [NewReplica(did(name), 1)], account="ada"),
    )
    for change in changes:
        with pytest.raises(LakeError) as caught:
            change()
        assert caught.value.kind == "InvalidObject"


def test_what_a_did_needs_must_be_there(catalogue: Catalogue) -> None:
    """A missing scope, account or DID is told by its kind."""
    for change, kind in (
        (lambda: catalogue.dids.add([NewDID(DID("no", "x"), SET)], account="ada"), "ScopeNotFound"),
        (lambda: catalogue.dids.add([NewDID(did("x"), SET)], account="bob"), "AccountNotFound"),
        (lambda: list(catalogue.dids.get([did("x")])), "DataIdentifierNotFound"),
        (lambda: catalogue.contents.attach({did("x"): []}), "DataIdentifierNotFound"),
        (lambda: list(catalogue.contents.list(did("x"))), "DataIdentifierNotFound"),
        (
            lambda: catalogue.dids.add([NewDID(did("x"), FILE, -1)], account="ada"),
            "InvalidObject",
        ),
        (
            lambda: catalogue.dids.add([NewDID(did("x"), FILE, 2**63)], account="ada"),
            "InvalidObject",
        ),
    ):
        with pytest.raises(LakeError) as caught:
            change()
        assert caught.value.kind == kind


def test_sums_follow_what_is_attached_and_detached(catalogue: Catalogue) -> None:
    """Size and length of a data set are those of its files; of a container, of its data sets."""
    add(catalogue, FILE, "f1", "f2", "f3", size=10)
    add(catalogue, SET, "s1", "s2")
    add(catalogue, BOX, "inner", "outer")
    catalogue.contents.attach({did("s1"): [did("f1"), did("f2")], did("s2"): [did("f3")]})
    catalogue.contents.attach({did("inner"): [did("s1"), did("s2")]})
    catalogue.contents.attach({did("outer"): [did("inner"), did("s1")]})
    sums = {one.did.name: (one.size, one.length) for one in catalogue.dids.find("user.ada")}
    assert sums == {"s1": (20, 2), "s2": (10, 1), "inner": (30, 3), "outer": (30, 3)}
    catalogue.contents.detach(did("s1"), [did("f1")])
    assert [one.length for one in catalogue.dids.get([did("s1"), did("outer")])] == [1, 2]
    assert [one.did.name for one in catalogue.contents.files(did("outer"))] == ["f2", "f3"]


def test_a_file_in_two_data_sets_is_listed_once(catalogue: Catalogue) -> None:
    """Files of a container come once each."""
    add(catalogue, FILE, "f1", "f2")
    add(catalogue, SET, "s1", "s2")
    add(catalogue, BOX, "c")
    both = [did("f1"), did("f2")]
    catalogue.contents.attach({did("s1"): both, did("s2"): both[1:]})
    catalogue.contents.attach({did("c"): [did("s1"), did("s2")]})
    assert [one.did for one in catalogue.contents.files(did("c"))] == both
    assert list(catalogue.contents.datasets(did("c"))) == [(did("s1"), 2), (did("s2"), 1)]
    assert list(catalogue.contents.parents(both[1:])) == [
        (both[1], did("s1")),
        (both[1], did("s2")),
    ]


def test_attachments_that_make_no_sense_are_refused(catalogue: Catalogue) -> None:
    """Closed sets, wrong types, circles and things attached already are told apart."""
    add(catalogue, FILE, "f")
    add(catalogue, SET, "s", "closed")
    add(catalogue, BOX, "a", "b", "c")
    catalogue.dids.update(did("closed"), open=False)
    catalogue.contents.attach({did("a"): [did("b")], did("b"): [did("c")], did("s"): [did("f")]})
    for parent, child, kind in (
        ("closed", "f", "UnsupportedOperation"),
        ("s", "a", "UnsupportedOperation"),
        ("s", "s", "UnsupportedOperation"),
        ("a", "f", "UnsupportedOperation"),
        ("f", "f", "UnsupportedOperation"),
        ("c", "a", "UnsupportedOperation"),
        ("a", "a", "UnsupportedOperation"),
        ("s", "f", "FileAlreadyExists"),
        ("a", "b", "DuplicateContent"),
        ("s", "none", "DataIdentifierNotFound"),
    ):
        with pytest.raises(LakeError) as caught:
            catalogue.contents.attach({did(parent): [did(child)]})
        assert caught.value.kind == kind, (parent, child)
    catalogue.contents.attach({did("s"): [did("f"), did("f")]}, again=True)
    assert next(catalogue.dids.get([did("s")])).length == 1


def test_a_closed_or_monotonic_set_loses_nothing(catalogue: Catalogue) -> None:
    """Detaching is refused, also by way of deleting the file; reopening helps, once closed only."""
    add(catalogue, FILE, "f", "g")
    add(catalogue, SET, "s", "m")
    catalogue.contents.attach({did("s"): [did("f")], did("m"): [did("f")]})
    catalogue.dids.update(did("s"), open=False)
    catalogue.dids.update(did("m"), monotonic=True)
    changes: tuple[Callable[[], object], ...] = (
        lambda: catalogue.contents.detach(did("s"), [did("f")]),
        lambda: catalogue.contents.detach(did("m"), [did("f")]),
        lambda: catalogue.dids.delete([did("f")]),
        lambda: catalogue.dids.update(did("m"), monotonic=False),
        lambda: catalogue.dids.update(did("f"), open=False),
    )
    for change in changes:
        with pytest.raises(LakeError) as caught:
            change()
        assert caught.value.kind == "UnsupportedOperation"
    catalogue.dids.update(did("s"), open=True)
    catalogue.contents.detach(did("s"), [did("f")])
    catalogue.contents.attach({did("m"): [did("g")]})
    assert next(catalogue.dids.get([did("m")])).length == 2


def test_deleting_waits_for_rules_and_replicas(catalogue: Catalogue) -> None:
    """What a rule or a replica needs stays; else a file leaves its sets, and their sums."""
    add(catalogue, SET, "s", "t")
    add(catalogue, FILE, "g", size=3)
    catalogue.replicas.add("HERE", [NewReplica(did("f"), 4)], account="ada")
    catalogue.contents.attach({did("s"): [did("f"), did("g")]})
    catalogue.rules.add([NewRule(did("t"), "ada", 1, "HERE")])
    for name in ("f", "t"):
        with pytest.raises(LakeError) as caught:
            catalogue.dids.delete([did("g"), did(name)])
        assert caught.value.kind == "UnsupportedOperation"
    catalogue.dids.delete([did("g")])
    entry = next(catalogue.dids.get([did("s")]))
    assert (entry.size, entry.length) == (4, 1)
    catalogue.dids.delete([did("s")])
    assert next(catalogue.dids.get([did("f")])).size == 4


def test_expired_names_are_listed_in_order(catalogue: Catalogue) -> None:
    """Expiry is kept to the microsecond, longest expired first; those to come are not listed."""
    add(catalogue, SET, "a", "b", "c", "d")
    for name, days in (("a", 3), ("b", 1), ("c", 9)):
        catalogue.dids.expire([did(name)], NOW + timedelta(days=days, microseconds=1))
    assert list(catalogue.dids.expired(NOW + timedelta(days=5))) == [did("b"), did("a")]
    assert next(catalogue.dids.get([did("a")])).expires == NOW + timedelta(days=3, microseconds=1)
    catalogue.dids.expire([did("a")], None)
    assert list(catalogue.dids.expired(NOW + timedelta(days=5))) == [did("b")]


def test_metadata_keeps_the_types_of_json(catalogue: Catalogue) -> None:
    """What went in comes out, key by key, and a key can go again."""
    add(catalogue, SET, "s")
    given = {"n": 1, "x": 0.1, "t": "é\0\ud800", "b": True, "none": None, "l": [1, {"a": 2}]}
    given["big"] = 10**400
    catalogue.metadata.set({did("s"): given})
    catalogue.metadata.set({did("s"): {"n": 2}})
    assert catalogue.metadata.get(did("s")) == {**given, "n": 2}
    assert next(catalogue.dids.get([did("s")])).metadata["l"] == [1, {"a": 2}]
    catalogue.metadata.delete(did("s"), ["n"])
    with pytest.raises(LakeError, match="'n'"):
        catalogue.metadata.delete(did("s"), ["x", "n"])
    assert "x" in catalogue.metadata.get(did("s"))
    for wrong in ({"": 1}, {"k": {1, 2}}, {"k": float("nan")}, {"k\0": 1}, {"k": "x" * 1_000_001}):
        with pytest.raises(LakeError) as caught:
            catalogue.metadata.set({did("s"): wrong})
        assert caught.value.kind == "InvalidObject"


def test_calls_in_one_transaction_are_kept_whole_or_not_at_all(catalogue: Catalogue) -> None:
    """A failure undoes all; one that is caught within undoes its own part only."""

    def upload(name: str, rse: str) -> None:
        catalogue.replicas.add(rse, [NewReplica(did(name), 7)], account="ada")

    def fail(name: str, change: Callable[[], object]) -> None:
        with catalogue.writing():
            upload(name, "HERE")
            change()

    with pytest.raises(LakeError):
        fail("f", lambda: catalogue.contents.attach({did("none"): [did("f")]}))
    with catalogue.writing():
        upload("g", "HERE")
        with pytest.raises(LakeError):
            fail("h", lambda: upload("g", "NOWHERE"))
        assert catalogue.topology.usage()["HERE"].size == 7
    assert [one.did for one in catalogue.dids.find("user.ada", types=[FILE])] == [did("g")]
    assert catalogue.topology.usage()["HERE"].files == 1
    assert catalogue.quotas.wrong() == []


def test_a_parsed_name_finds_itself(catalogue: Catalogue) -> None:
    """Names with all signs of the schema come back as they are."""
    names = ["A", "a", "a.b/c_d-e", "0", "x" * 250]
    add(catalogue, SET, *names)
    found = [one.did for one in catalogue.dids.find("user.ada")]
    assert found == sorted(parse_did(f"user.ada:{name}") for name in names)
