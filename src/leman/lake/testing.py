# ruff: noqa: S101 - tests state what they prove by assert
"""The contract of a Storage as a test class, for our storages and for anybody's own.

Inherit from it, give the fixture `storage`, and pytest runs every promise against your storage.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import zlib
from typing import TYPE_CHECKING, cast

import pytest

from leman.lake.interface import StorageError
from leman.lake.model import Checksums

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from leman.lake.interface import Storage

MEGABYTE = 1 << 20


def checksums_of(content: bytes) -> Checksums:
    """Return the checksums of bytes, computed in the plainest way."""
    return Checksums(
        f"{zlib.adler32(content):08x}",
        hashlib.md5(content, usedforsecurity=False).hexdigest(),
        hashlib.sha256(content).hexdigest(),
    )


def content_of(storage: Storage, path: str, start: int = 0) -> bytes:
    """Return what a storage gives."""
    return b"".join(storage.get(path, start=start))


def store(storage: Storage, path: str, content: bytes) -> Checksums:
    """Put bytes into a storage."""
    return storage.put(io.BytesIO(content), path, size=len(content))


def paths_in(storage: Storage, under: str = "") -> list[str]:
    """Return all paths that a storage lists, sorted."""
    return sorted(one.path for one in storage.list(under))


class Breaking(io.RawIOBase):
    """A source that fails, or ends, after some bytes."""

    def __init__(self, size: int, error: Exception | None = None) -> None:
        self.left = size
        self.error = error

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return zeros, then fail or end."""
        if self.left <= 0:
            if self.error:
                raise self.error
            return b""
        got = self.left if size < 0 else min(size, self.left)
        self.left -= got
        return bytes(got)


class StorageContract:
    """What every storage promises.

    Override the fixture `storage` with one that is empty. Set `odd` to the names that this kind of
    storage can hold, if some cannot be said in its protocol; they must be refused then.
    """

    odd: tuple[str, ...] = (
        "with space",
        "per%20cent",
        "hash#tag",
        "plus+and&amp;",
        "quote'\"quote",
        "semi;colon:comma,",
        "ünï/cødé",
        "brackets[1]{2}(3)",
        "back\\slash",
        "~tilde/.hidden",
        "question?mark",
        "star*",
    )
    refused: tuple[str, ...] = ()
    outside = (
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a//b",
        "a/./b",
        "a/",
        ".",
        "nul\0",
        "line\nbreak",
        "x" * 300,
        "folder/.leman-0123456789abcdef.part",
    )

    @pytest.fixture
    def storage(self) -> Storage:
        """Give an empty storage."""
        raise NotImplementedError

    def test_put_then_get(self, storage: Storage) -> None:
        """What was put is got, with its checksums, and is listed with its size."""
        content = b"the quick brown fox"
        assert store(storage, "scope/aa/bb/file", content) == checksums_of(content)
        assert content_of(storage, "scope/aa/bb/file") == content
        (found,) = storage.list()
        assert (found.path, found.size) == ("scope/aa/bb/file", len(content))
        assert found.changed > 1_500_000_000

    def test_ranges(self, storage: Storage) -> None:
        """Reading begins where it is asked to; at or beyond the end there is nothing."""
        content = os.urandom(3 * MEGABYTE + 17)
        store(storage, "file", content)
        for start in (0, 1, MEGABYTE, len(content) - 1, len(content), len(content) + 5):
            assert content_of(storage, "file", start) == content[start:]

    def test_part_of_a_read(self, storage: Storage) -> None:
        """A reader may stop early, and the storage is usable afterwards."""
        content = os.urandom(5 * MEGABYTE)
        store(storage, "file", content)
        blocks = storage.get("file")
        assert content.startswith(next(blocks))
        del blocks
        assert content_of(storage, "file") == content

    def test_overwrite(self, storage: Storage) -> None:
        """A file of the same name is replaced."""
        store(storage, "a/file", b"old and longer")
        store(storage, "a/file", b"new")
        assert content_of(storage, "a/file") == b"new"
        assert paths_in(storage) == ["a/file"]

    def test_empty_file(self, storage: Storage) -> None:
        """A file may be empty."""
        assert store(storage, "empty", b"") == checksums_of(b"")
        assert content_of(storage, "empty") == b""
        assert [one.size for one in storage.list()] == [0]

    @pytest.mark.parametrize("size", [MEGABYTE, 100 * MEGABYTE])
    def test_sizes(self, storage: Storage, size: int) -> None:
        """Files of a megabyte and of a hundred come back bit for bit, with progress told."""
        content = os.urandom(size)
        heard: list[tuple[int, int]] = []
        found = storage.put(
            io.BytesIO(content),
            "big",
            size=size,
            progress=lambda done, total: heard.append((done, total)),
        )
        assert found == checksums_of(content)
        assert heard[-1] == (size, size)
        assert [done for done, _ in heard] == sorted(done for done, _ in heard)
        assert content_of(storage, "big") == content

    def test_put_of_a_file(
        self, storage: Storage, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """From a file on disk, `size` bytes are stored from where it stands."""
        path = tmp_path_factory.mktemp("source") / "file"
        content = os.urandom(20 * MEGABYTE)
        path.write_bytes(content)
        with path.open("rb") as file:
            file.seek(5)
            found = storage.put(file, "part", size=len(content) - 10)
        assert found == checksums_of(content[5:-5])
        assert content_of(storage, "part") == content[5:-5]

    def test_odd_names(self, storage: Storage) -> None:
        """Names may hold what URLs, shells and protocols treat specially."""
        for name in self.odd:
            store(storage, f"odd/{name}", name.encode())
        assert paths_in(storage, "odd") == sorted(f"odd/{name}" for name in self.odd)
        for name in self.odd:
            assert content_of(storage, f"odd/{name}") == name.encode()
            storage.delete(f"odd/{name}")
        assert paths_in(storage) == []

    def test_names_that_cannot_be(self, storage: Storage) -> None:
        """A name that this protocol cannot say is refused."""
        for name in self.refused:
            with pytest.raises(StorageError) as caught:
                store(storage, name, b"x")
            assert caught.value.kind == "refused"
        assert paths_in(storage) == []

    def test_list_under(self, storage: Storage) -> None:
        """Only what lies below a folder is listed; a folder that is not there is empty."""
        for path in ("a/one", "a/b/two", "ab/three", "four"):
            store(storage, path, b"x")
        assert paths_in(storage, "a") == ["a/b/two", "a/one"]
        assert paths_in(storage) == ["a/b/two", "a/one", "ab/three", "four"]
        assert paths_in(storage, "nowhere") == []

    def test_delete(self, storage: Storage) -> None:
        """A deleted file is gone, its neighbours are not, and a missing one is fine."""
        store(storage, "a/b/one", b"1")
        store(storage, "a/two", b"2")
        storage.delete("a/b/one")
        storage.delete("a/b/one")
        storage.delete("never/was")
        assert paths_in(storage) == ["a/two"]
        storage.delete("a/two")
        assert paths_in(storage) == []
        store(storage, "a/b/one", b"again")
        assert content_of(storage, "a/b/one") == b"again"

    def test_checksum(self, storage: Storage) -> None:
        """Checksums are those of the bytes that lie there."""
        content = os.urandom(9 * MEGABYTE + 1)
        store(storage, "file", content)
        assert storage.checksum("file") == checksums_of(content)

    def test_copy(self, storage: Storage) -> None:
        """A copy within the storage is whole, or is declined; checksums that are told are true."""
        content = os.urandom(6 * MEGABYTE)
        store(storage, "a/file", content)
        found = storage.copy(storage, "a/file", "b/copy")
        if found is None:
            assert paths_in(storage) == ["a/file"]
            return
        assert found in {Checksums(), checksums_of(content)}
        assert content_of(storage, "b/copy") == content
        storage.delete("a/file")
        assert content_of(storage, "b/copy") == content

    def test_what_is_missing(self, storage: Storage) -> None:
        """A file that is not there is told as such, by reading, summing and copying."""
        actions: list[Callable[[], object]] = [
            lambda: content_of(storage, "no/such/file"),
            lambda: content_of(storage, "no/such/file", 10),
            lambda: storage.checksum("no/such/file"),
            lambda: storage.copy(storage, "no/such/file", "copy"),
        ]
        for action in actions:
            try:
                assert action() is None  # a copy may be declined
            except StorageError as error:
                assert error.kind == "no-such-file"  # noqa: PT017 - either answer is right
        with pytest.raises(StorageError, match="no/such/file"):
            content_of(storage, "no/such/file")
        assert paths_in(storage) == []

    @pytest.mark.parametrize("path", outside)
    def test_paths_that_lead_elsewhere(self, storage: Storage, path: str) -> None:
        """No path leads out of a storage, by any method."""
        actions: list[Callable[[], object]] = [
            lambda: store(storage, path, b"x"),
            lambda: content_of(storage, path),
            lambda: storage.delete(path),
            lambda: storage.checksum(path),
            lambda: list(storage.list(path)) if path else content_of(storage, path),
        ]
        for action in actions:
            with pytest.raises(StorageError) as caught:
                action()
            assert caught.value.kind == "refused"
        assert paths_in(storage) == []

    @pytest.mark.parametrize("size", [1000, 40 * MEGABYTE])
    def test_a_source_that_ends_early(self, storage: Storage, size: int) -> None:
        """A source with fewer bytes than promised stores nothing, and replaces nothing."""
        store(storage, "kept", b"good")
        for path in ("kept", "new/one"):
            with pytest.raises(StorageError) as caught:
                storage.put(cast("BinaryIO", Breaking(size - 1)), path, size=size)
            assert caught.value.kind == "damaged"
        assert paths_in(storage) == ["kept"]
        assert content_of(storage, "kept") == b"good"

    def test_a_source_that_fails(self, storage: Storage) -> None:
        """A source that cannot be read any more stores nothing."""
        source = Breaking(30 * MEGABYTE, OSError("the cable is out"))
        with pytest.raises(StorageError, match="the cable is out"):
            storage.put(cast("BinaryIO", source), "file", size=40 * MEGABYTE)
        assert paths_in(storage) == []

    def test_an_error_of_the_source_passes(self, storage: Storage) -> None:
        """What a source raises as a StorageError arrives as it is."""
        told = StorageError("damaged", "not what was expected")
        with pytest.raises(StorageError) as caught:
            storage.put(cast("BinaryIO", Breaking(20 * MEGABYTE, told)), "file", size=1 << 26)
        assert caught.value is told
        assert paths_in(storage) == []

    def test_many_put_one_name(self, storage: Storage) -> None:
        """Of concurrent puts of one name, one whole file remains."""
        contents = [bytes([number]) * (2 * MEGABYTE + number) for number in range(6)]
        errors: list[Exception] = []

        def work(content: bytes) -> None:
            try:
                store(storage, "a/b/same", content)
            except Exception as error:  # noqa: BLE001 - told below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(one,)) for one in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [], [str(one) for one in errors]
        assert paths_in(storage) == ["a/b/same"]
        assert content_of(storage, "a/b/same") in contents

    def test_many_names_at_once(self, storage: Storage) -> None:
        """Threads that put and delete in the same folders do not get in each other's way."""
        errors: list[Exception] = []

        def work(number: int) -> None:
            try:
                for turn in range(5):
                    store(storage, f"x/{turn}/{number}", b"%d" % number)
                    if number % 2:
                        storage.delete(f"x/{turn}/{number}")
            except Exception as error:  # noqa: BLE001 - told below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [], [str(one) for one in errors]
        assert paths_in(storage) == sorted(f"x/{t}/{n}" for t in range(5) for n in range(0, 8, 2))
