"""What a storage holds against what the catalogue says, with real folders."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_places import Folder, move

from leman.lake.interface import StorageError, Stored
from leman.lake.model import DID, RSE, Replica, ReplicaState, Rule
from leman.lake.paths import path_of
from leman.lake.rules.arrival import measure
from leman.lake.rules.integrity import compare, in_order, scrub
from leman.lake.rules.interface import File
from leman.lake.rules.memory import MemoryBook
from leman.lake.rules.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SET = DID("atlas", "set")


def lake(root: Path, count: int = 6) -> MemoryBook:
    """Return a book of files that are at A and B, and really there, for a day."""
    book = MemoryBook()
    day_ago = datetime.now(UTC) - timedelta(days=1)
    for rse in ("A", "B"):
        book.rses[rse] = RSE(rse, str(root / rse))
        for number in range(count):
            did = DID("atlas", f"f{number}")
            path = root / rse / path_of(did)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(1000))
            os.utime(path, (day_ago.timestamp(), day_ago.timestamp()))
            size, sums = measure(Folder(root / rse), path_of(did))
            book.stored[did, rse] = Replica(
                did, rse, ReplicaState.AVAILABLE, size, sums, path_of(did), created=day_ago
            )
    book.files[SET] = tuple(
        File(one.did, one.size, one.checksums, SET)
        for one in book.stored.values()
        if one.rse == "A"
    )
    book.rules["r"] = Rule("r", SET, "ada", 2, "*", created=day_ago)
    return book


def test_scrub_and_repair(tmp_path: Path) -> None:
    """A flipped bit and a missing file are marked BAD, then brought again from the good copy."""
    book = lake(tmp_path)
    storages = {name: Folder(tmp_path / name) for name in "AB"}
    wrong, gone = DID("atlas", "f1"), DID("atlas", "f4")
    original = (tmp_path / "A" / path_of(wrong)).read_bytes()
    (tmp_path / "A" / path_of(wrong)).write_bytes(bytes([original[0] ^ 1]) + original[1:])
    (tmp_path / "A" / path_of(gone)).unlink()
    found = {(one.kind, one.replica.did) for one in scrub(book, "A", storages["A"]) if one.replica}
    assert found == {("damaged", wrong), ("lost", gone)}
    assert not list(scrub(book, "B", storages["B"]))
    Worker("w", book, storages, move).round()
    assert not list(scrub(book, "A", storages["A"]))
    for did in (wrong, gone):
        assert book.stored[did, "A"].state is ReplicaState.AVAILABLE
        data = [(tmp_path / rse / path_of(did)).read_bytes() for rse in "AB"]
        assert data[0] == data[1]
    assert (tmp_path / "A" / path_of(wrong)).read_bytes() == original


def test_unreachable_is_unknown(tmp_path: Path) -> None:
    """Where a storage does not answer, nothing is marked: its files are unknown, not bad."""

    class Away(Folder):
        def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
            raise StorageError("unreachable", f"no answer for {path} from {start}")

    book = lake(tmp_path)
    found = list(scrub(book, "A", Away(tmp_path / "A")))
    assert {one.kind for one in found} == {"unknown"}
    assert {one.state for one in book.stored.values()} == {ReplicaState.AVAILABLE}


def test_dark_lost_and_young(tmp_path: Path) -> None:
    """Unknown files are dark, missing ones lost, wrong sizes damaged; young ones are left out."""
    book = lake(tmp_path)
    storage = Folder(tmp_path / "A")
    old = datetime.now(UTC).timestamp() - 86400
    for name in ("0-before", "atlas/zz/zz/dark", "zz-after"):
        (tmp_path / "A" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "A" / name).write_bytes(b"dark")
        os.utime(tmp_path / "A" / name, (old, old))
    (tmp_path / "A" / "young").write_bytes(b"just written, not yet registered")
    paths = {number: path_of(DID("atlas", f"f{number}")) for number in range(6)}
    (tmp_path / "A" / paths[0]).unlink()
    (tmp_path / "A" / paths[3]).write_bytes(b"short")
    found = {(one.kind, one.path) for one in compare(book, "A", storage, datetime.now(UTC))}
    assert found == {
        ("dark", "0-before"),
        ("dark", "atlas/zz/zz/dark"),
        ("dark", "zz-after"),
        ("lost", paths[0]),
        ("damaged", paths[3]),
    }
    assert not list(compare(book, "B", Folder(tmp_path / "B"), datetime.now(UTC)))


def test_broken_listing_is_no_loss(tmp_path: Path) -> None:
    """A listing that breaks off is an error, and no file after that point is called lost."""

    class Breaking(Folder):
        def list(self, under: str = "") -> Iterator[Stored]:
            yield from list(super().list(under))[:2]
            raise StorageError("unreachable", "the listing broke off")

    with pytest.raises(StorageError, match="broke off"):
        list(compare(lake(tmp_path), "A", Breaking(tmp_path / "A"), datetime.now(UTC)))


@given(st.lists(st.text("ab/.é~", min_size=1, max_size=5), unique=True), st.integers(1, 4))
def test_sorting_with_little_memory(paths: list[str], chunk: int) -> None:
    """Sorting piecewise gives the order of bytes, with every file exactly once."""
    files = [Stored(path, number, 0.5) for number, path in enumerate(paths)]
    with ExitStack() as stack:
        found = list(in_order(files, stack, chunk=chunk))
    assert found == sorted(files, key=lambda one: one.path.encode())


def test_memory_is_bounded() -> None:
    """Twenty thousand files are sorted while less than a quarter of them is held."""
    import tracemalloc  # noqa: PLC0415

    def many() -> Iterator[Stored]:
        for number in range(20_000):
            yield Stored(f"scope/{number * 7919 % 100_003:06d}/a-name-of-usual-length", 1, 2.0)

    tracemalloc.start()
    with ExitStack() as stack:
        count = sum(1 for _ in in_order(many(), stack, chunk=1_000))
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 1.3e6  # all of them at once would take about 5 MB
