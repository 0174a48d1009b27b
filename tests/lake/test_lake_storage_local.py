"""Folders as storages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from leman.lake.interface import StorageError
from leman.lake.storage import open_storage
from leman.lake.storage.local import LocalStorage
from leman.lake.storage.names import part_name
from leman.lake.testing import (
    MEGABYTE,
    StorageContract,
    checksums_of,
    content_of,
    paths_in,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path)


class TestLocalWithoutUnnamedFiles(StorageContract):
    """The same on file systems that have no files without a name, such as NFS."""

    @pytest.fixture
    def storage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
        return LocalStorage(tmp_path)


def test_addresses_of_folders(tmp_path: Path) -> None:
    """A path and a file:// address are the same folder."""
    store(open_storage(str(tmp_path)), "a", b"x")
    assert content_of(open_storage(f"file://{tmp_path}"), "a") == b"x"


def test_copy_between_folders(tmp_path: Path) -> None:
    """A copy between folders is one of its own: a change of one leaves the other as it is."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = LocalStorage(tmp_path / "one"), LocalStorage(tmp_path / "two")
    content = os.urandom(30 * MEGABYTE)
    store(one, "file", content)
    assert two.copy(one, "file", "a/copy") == checksums_of(content)
    (tmp_path / "one/file").write_bytes(b"damaged")
    assert content_of(two, "a/copy") == content


def test_copy_without_the_kernels_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel cannot copy, reading and writing does."""

    def cannot(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", cannot)
    storage = LocalStorage(tmp_path)
    content = os.urandom(20 * MEGABYTE)
    store(storage, "file", content)
    assert storage.copy(storage, "file", "copy") == checksums_of(content)
    assert content_of(storage, "copy") == content


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link inside, to a folder or a file, leads nowhere: not for any method."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    storage = LocalStorage(root)
    for path in ("folder/secret", "file"):
        with pytest.raises(StorageError) as caught:
            content_of(storage, path)
        assert caught.value.kind == "refused"
        with pytest.raises(StorageError):
            storage.checksum(path)
    with pytest.raises(StorageError):
        store(storage, "folder/new", b"x")
    with pytest.raises(StorageError):
        storage.delete("folder/secret")
    store(storage, "file", b"mine")  # replaces the link itself
    assert paths_in(storage) == ["file"]
    assert (outside / "secret").read_text() == "secret"
    assert sorted(one.name for one in outside.iterdir()) == ["secret"]


def test_what_is_no_file(tmp_path: Path) -> None:
    """A named pipe is refused at once, and a folder is no file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    storage = LocalStorage(tmp_path)
    for path in ("pipe", "folder"):
        with pytest.raises(StorageError) as caught:
            content_of(storage, path)
        assert caught.value.kind == "refused"
    with pytest.raises(StorageError) as caught:
        store(storage, "folder", b"x")
    assert caught.value.kind == "refused"
    assert paths_in(storage) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A storage whose folder is missing is unreachable, and is not made anew."""
    storage = LocalStorage(tmp_path / "unmounted")
    for action in (
        lambda: store(storage, "file", b"x"),
        lambda: content_of(storage, "file"),
        lambda: storage.delete("file"),
        lambda: list(storage.list()),
    ):
        with pytest.raises(StorageError) as caught:
            action()
        assert caught.value.kind == "unreachable"
    assert not (tmp_path / "unmounted").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 24 MB in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("size", [3 * MEGABYTE, 60 * MEGABYTE])
def test_a_full_disk(small_disk: Path, size: int) -> None:
    """A full disk is told as such and keeps nothing of what did not fit, nor folders for it."""
    storage = LocalStorage(small_disk)
    store(storage, "kept", os.urandom(22 * MEGABYTE))
    free = shutil.disk_usage(small_disk).free
    with pytest.raises(StorageError) as caught:
        store(storage, "a/b/file", os.urandom(size))
    assert caught.value.kind == "no-space"
    assert paths_in(storage) == ["kept"]
    assert os.listdir(small_disk) == ["kept"]  # noqa: PTH208 - also hidden ones
    assert shutil.disk_usage(small_disk).free == free


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    """A file system that is mounted read-only says so, and can be read."""
    storage = LocalStorage(small_disk)
    store(storage, "a/file", b"x")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for action in (lambda: store(storage, "a/new", b"x"), lambda: storage.delete("a/file")):
        with pytest.raises(StorageError) as caught:
            action()
        assert caught.value.kind == "read-only"
    assert content_of(storage, "a/file") == b"x"


_PUT = """
import io, sys
from pathlib import Path
from leman.lake.storage.local import LocalStorage
class Slow(io.RawIOBase):
    count = 0
    def readable(self): return True
    def read(self, size=-1):
        self.count += 1
        if self.count == 20:
            print("half", flush=True)
            import time; time.sleep(60)
        return bytes(size)
LocalStorage(Path(sys.argv[1])).put(Slow(), "a/file", size=40 << 20)
"""


def test_killed_in_the_midst(tmp_path: Path) -> None:
    """A process that is killed while it stores leaves no file at all behind."""
    with subprocess.Popen(
        [sys.executable, "-c", _PUT, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_sweep(tmp_path: Path) -> None:
    """What an older upload left is removed, a younger one and files are not."""
    storage = LocalStorage(tmp_path)
    store(storage, "a/file", b"x")
    old, young = tmp_path / "a" / part_name(), tmp_path / part_name()
    for one in (old, young):
        one.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert paths_in(storage) == ["a/file"]
    assert storage.sweep(3600) == 1
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    ("address", "options", "word"),
    [
        ("s3://key:s3cr3t@bucket", {}, "password"),
        ("s3://bucket", {"acess_key": "s3cr3t"}, "acess_key"),
        ("s3://bucket", {"access_key": 5}, "access_key"),
        ("webdav://host/x?token=s3cr3t", {}, "webdav"),
        ("webdav://host:port/x", {}, "address"),
        ("root:///x", {}, "root"),
        ("file://elsewhere/x", {}, "machine"),
        ("/folder", {"user": "s3cr3t"}, "user"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, options: dict[str, object], word: str) -> None:
    """What is wrong with an address or option is told, without repeating a secret."""
    with pytest.raises(StorageError, match=word) as caught:
        open_storage(address, options)
    assert caught.value.kind == "refused"
    assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"
