# ruff: noqa: ARG002 - storages that lie take what the interface gives them
"""Transfers: verified where they arrive, read on where they broke off, given up in the end."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from leman.lake.interface import StorageError
from leman.lake.model import Checksums, Expected
from leman.lake.storage.digests import sums, told
from leman.lake.storage.limited import Limit, Limited
from leman.lake.storage.local import LocalStorage
from leman.lake.storage.transfer import Conduct, transfer
from leman.lake.testing import MEGABYTE, checksums_of, content_of, paths_in, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from leman.lake.interface import Storage

CONTENT = os.urandom(9 * MEGABYTE + 3)
KNOWN = Expected(len(CONTENT), checksums_of(CONTENT))


class Far:
    """A folder as if it were elsewhere: nothing is copied, nothing read back, and it may fail."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.inner = LocalStorage(root)
        self.gets: list[int] = []

    def put(self, source: BinaryIO, path: str, *, size: int, **more: Any) -> Checksums:
        slow = cast("BinaryIO", _Plain(source))
        return self.inner.put(slow, path, size=size, **more)

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        self.gets.append(start)
        return self.inner.get(path, start=start)

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        return None

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def checksum(self, path: str) -> Checksums:
        return self.inner.checksum(path)

    def list(self, under: str = "") -> Iterator[Any]:
        return self.inner.list(under)


class _Plain:
    def __init__(self, source: BinaryIO) -> None:
        self.read = source.read


class Flaky(Far):
    """Breaks off every so many blocks."""

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        self.gets.append(start)
        for number, block in enumerate(self.inner.get(path, start=start)):
            if number == 3:
                raise StorageError("unreachable", "the connection is lost")
            yield block


class Down(Far):
    """Takes and gives nothing for the first `failures` times."""

    failures = 3

    def put(self, source: BinaryIO, path: str, *, size: int, **more: Any) -> Checksums:
        if self.failures:
            self.failures -= 1
            source.read(MEGABYTE)
            raise StorageError("unreachable", "nobody answers")
        return Far.put(self, source, path, size=size, **more)


class Truncating(Far):
    """Keeps less than it got, and says that all is well."""

    def put(self, source: BinaryIO, path: str, *, size: int, **more: Any) -> Checksums:
        made = sums()
        content = b"".join(iter(lambda: source.read(MEGABYTE), b""))
        for one in made.values():
            one.update(content)
        store(self.inner, path, content[:-1])
        return told(made)

    def checksum(self, path: str) -> Checksums:
        return KNOWN.checksums


class Flipping(Truncating):
    """Keeps one bit turned over, and vouches for the file all the same."""

    def put(self, source: BinaryIO, path: str, *, size: int, **more: Any) -> Checksums:
        content = bytearray(b"".join(iter(lambda: source.read(MEGABYTE), b"")))
        content[1000] ^= 1
        store(self.inner, path, bytes(content))
        return KNOWN.checksums

    def vouch(self, path: str) -> tuple[int, Checksums] | None:
        return len(CONTENT), Checksums()


class Misled(Far):
    """Copies on its server, but only a part."""

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        store(self.inner, path, content_of(source, origin)[:100])
        return Checksums()


@pytest.fixture
def waits() -> list[float]:
    """Give what `conduct` notes its waits in."""
    return []


@pytest.fixture
def conduct(waits: list[float]) -> Conduct:
    """Give a conduct that only notes how long it would wait."""
    return Conduct(sleep=waits.append)


@pytest.fixture
def source(tmp_path: Path) -> LocalStorage:
    """Give a folder with a file."""
    (tmp_path / "source").mkdir()
    storage = LocalStorage(tmp_path / "source")
    store(storage, "a/file", CONTENT)
    return storage


def test_from_folder_to_folder(source: LocalStorage, tmp_path: Path) -> None:
    """Between folders the file is copied in the kernel and verified, with all checksums told."""
    (tmp_path / "target").mkdir()
    target = LocalStorage(tmp_path / "target")
    assert transfer(source, "a/file", target, "b/copy", KNOWN) == KNOWN.checksums
    assert content_of(target, "b/copy") == CONTENT


@pytest.mark.parametrize("kind", ["adler32", "md5", "sha256", "none"])
def test_streamed(source: LocalStorage, tmp_path: Path, kind: str) -> None:
    """Whichever checksum is known, the file arrives and all three are told."""
    target = Far(tmp_path / "target")
    checksums = Checksums()
    if kind != "none":
        checksums = dataclasses.replace(checksums, **{kind: getattr(KNOWN.checksums, kind)})
    heard: list[int] = []
    conduct = Conduct(progress=lambda done, _: heard.append(done))
    expected = Expected(len(CONTENT), checksums)
    assert transfer(source, "a/file", target, "copy", expected, conduct) == KNOWN.checksums
    assert content_of(target, "copy") == CONTENT
    assert heard[-1] == len(CONTENT)


def test_an_empty_file(source: LocalStorage, tmp_path: Path) -> None:
    """An empty file is a file."""
    store(source, "empty", b"")
    target = Far(tmp_path / "target")
    expected = Expected(0, checksums_of(b""))
    assert transfer(source, "empty", target, "empty", expected) == expected.checksums
    assert paths_in(target) == ["empty"]


def test_a_source_that_breaks_off(tmp_path: Path, waits: list[float], conduct: Conduct) -> None:
    """It is read on from where it broke off, not from the start."""
    flaky = Flaky(tmp_path / "flaky")
    store(flaky.inner, "file", CONTENT)
    target = Far(tmp_path / "target")
    assert transfer(flaky, "file", target, "file", KNOWN, conduct) == KNOWN.checksums
    assert flaky.gets == [0, 3 * MEGABYTE, 6 * MEGABYTE, 9 * MEGABYTE]
    assert waits == [1.0, 1.0, 1.0]


def test_a_target_that_comes_back(
    source: LocalStorage, tmp_path: Path, waits: list[float], conduct: Conduct
) -> None:
    """A target that is down is tried again, after longer and longer."""
    target = Down(tmp_path / "target")
    assert transfer(source, "a/file", target, "file", KNOWN, conduct) == KNOWN.checksums
    assert waits == [1.0, 2.0, 4.0]


def test_given_up(source: LocalStorage, tmp_path: Path, waits: list[float]) -> None:
    """After so many attempts it is unreachable; nothing is there."""
    target = Down(tmp_path / "target")
    target.failures = 100
    conduct = Conduct(attempts=4, longest=3.0, sleep=waits.append)
    with pytest.raises(StorageError) as caught:
        transfer(source, "a/file", target, "file", KNOWN, conduct)
    assert caught.value.kind == "unreachable"
    assert waits == [1.0, 2.0, 3.0]
    assert target.failures == 96
    assert paths_in(target) == []


def test_a_source_that_stays_away(tmp_path: Path, waits: list[float], conduct: Conduct) -> None:
    """A source that never answers is given up once, not once for every attempt of the target."""
    gone = LocalStorage(tmp_path / "gone")
    target = Far(tmp_path / "target")
    with pytest.raises(StorageError) as caught:
        transfer(gone, "file", target, "file", KNOWN, conduct)
    assert caught.value.kind == "unreachable"
    assert len(waits) == 4
    assert paths_in(target) == []


@pytest.mark.parametrize("change", ["shorter", "longer", "flipped"])
def test_a_damaged_source(
    source: LocalStorage, tmp_path: Path, change: str, waits: list[float], conduct: Conduct
) -> None:
    """A source that is not what was expected is told at once, and is never complete elsewhere."""
    changed = {"shorter": CONTENT[:-1], "longer": CONTENT + b"x", "flipped": b"?" + CONTENT[1:]}
    store(source, "a/file", changed[change])
    target = Far(tmp_path / "target")
    with pytest.raises(StorageError) as caught:
        transfer(source, "a/file", target, "file", KNOWN, conduct)
    assert caught.value.kind == "damaged"
    assert waits == []
    assert paths_in(target) == []


@pytest.mark.parametrize("liar", [Truncating, Flipping, Misled])
def test_a_target_that_lies(
    source: LocalStorage, tmp_path: Path, liar: type[Far], conduct: Conduct
) -> None:
    """What a target says of itself is not believed: it is read, and what is wrong is removed."""
    target = liar(tmp_path / "target")
    with pytest.raises(StorageError, match="did not arrive whole") as caught:
        transfer(source, "a/file", target, "file", KNOWN, conduct)
    assert caught.value.kind == "damaged"
    assert paths_in(target) == []


def test_a_missing_source(tmp_path: Path, source: LocalStorage, waits: list[float]) -> None:
    """A file that is not there is not tried again."""
    target = Far(tmp_path / "target")
    with pytest.raises(StorageError) as caught:
        transfer(source, "no", target, "file", KNOWN, Conduct(sleep=waits.append))
    assert (caught.value.kind, waits) == ("no-such-file", [])


def test_limited(tmp_path: Path, source: LocalStorage) -> None:
    """A limited storage takes at least the time that its limit sets, and is a storage."""
    limited = Limited(Far(tmp_path / "far"), Limit(4 * MEGABYTE))
    begin = time.monotonic()
    assert store(limited, "file", CONTENT[:MEGABYTE]) == checksums_of(CONTENT[:MEGABYTE])
    assert content_of(limited, "file", 5) == CONTENT[5:MEGABYTE]
    assert time.monotonic() - begin > 0.4  # a lower bound, which no slow machine misses
    assert paths_in(limited) == ["file"]
    assert limited.checksum("file") == checksums_of(CONTENT[:MEGABYTE])
    assert Limited(source, Limit(1.0)).copy(source, "a/file", "copy") == KNOWN.checksums
    limited.delete("file")
    assert paths_in(limited) == []
