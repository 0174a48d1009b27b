"""Storages on real servers: SeaweedFS, WsgiDAV, XRootD and OpenSSH."""

from __future__ import annotations

import io
import itertools
import os
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, cast

import pytest
import storage_servers

from leman.lake.interface import StorageError
from leman.lake.model import Expected
from leman.lake.storage import open_storage
from leman.lake.storage.capabilities import Presigns, Sweeps, Vouches
from leman.lake.storage.local import LocalStorage
from leman.lake.storage.transfer import Conduct, transfer
from leman.lake.testing import (
    MEGABYTE,
    StorageContract,
    checksums_of,
    content_of,
    paths_in,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from storage_servers import S3, Server

    from leman.lake.interface import Storage

_NUMBERS = itertools.count()


def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a running SeaweedFS."""
    yield from _running(storage_servers.s3(tmp_path_factory.mktemp("s3")))


@pytest.fixture(scope="module")
def webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a running WsgiDAV."""
    yield from _running(storage_servers.webdav(tmp_path_factory.mktemp("webdav")))


@pytest.fixture(scope="module")
def xrootd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a running XRootD."""
    yield from _running(storage_servers.xrootd(tmp_path_factory.mktemp("xrootd")))


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a running OpenSSH server."""
    yield from _running(storage_servers.sftp(tmp_path_factory.mktemp("sftp")))


def s3_on(server: Server, **more: object) -> Storage:
    """Return a storage at a new prefix."""
    options = cast("S3", server).options(**more)
    return open_storage(f"s3://lake/test{next(_NUMBERS)}/x y", options)


def webdav_on(server: Server, **more: object) -> Storage:
    """Return a storage at a new folder."""
    name = f"test {next(_NUMBERS)}"
    (server.folder / "share" / name).mkdir()
    options = {"user": "lake", "password": "dav-s3cr3t", "timeout_seconds": 30.0, **more}
    return open_storage(f"webdav://127.0.0.1:{server.port}/{name}", options)


def xrootd_on(server: Server, **more: object) -> Storage:
    """Return a storage at a new folder, which the server makes."""
    options = {"connect_seconds": 5, "timeout_seconds": 30, **more}
    return open_storage(f"root://127.0.0.1:{server.port}//lake/test{next(_NUMBERS)}", options)


def sftp_on(server: Server, **more: object) -> Storage:
    """Return a storage at a new folder."""
    folder = server.folder / "share" / f"test {next(_NUMBERS)}"
    folder.mkdir()
    options = {
        "user": storage_servers.me(),
        "key_file": str(server.folder / "user_key"),
        "known_hosts": str(server.folder / "known_hosts"),
        "timeout_seconds": 30.0,
        **more,
    }
    return open_storage(f"sftp://127.0.0.1:{server.port}{folder}", options)


class TestS3(StorageContract):
    odd = tuple(name for name in StorageContract.odd if "\\" not in name)
    refused = ("back\\slash",)

    @pytest.fixture
    def storage(self, s3_server: Server) -> Storage:
        return s3_on(s3_server)


class TestWebDAV(StorageContract):
    odd = tuple(name for name in StorageContract.odd if not {";", "?"} & set(name))
    refused = ("semi;colon", "question?mark")

    @pytest.fixture
    def storage(self, webdav_server: Server) -> Storage:
        return webdav_on(webdav_server)


class TestXRootD(StorageContract):
    odd = tuple(name for name in StorageContract.odd if "?" not in name)
    refused = ("question?mark",)

    @pytest.fixture
    def storage(self, xrootd_server: Server) -> Storage:
        return xrootd_on(xrootd_server)


class TestSFTP(StorageContract):
    @pytest.fixture
    def storage(self, sftp_server: Server) -> Storage:
        return sftp_on(sftp_server)


def patient(action: Callable[[], list[str]]) -> list[str]:
    """Do something until the server is reachable again: its client may wait a moment."""
    for _ in range(50):
        try:
            return action()
        except StorageError as error:
            assert error.kind == "unreachable"  # noqa: PT017 - anything else fails
            time.sleep(0.2)
    return action()


class Killing(io.RawIOBase):
    """A source that stops the server when half of it was read."""

    def __init__(self, content: bytes, server: Server) -> None:
        self.content = io.BytesIO(content)
        self.half = len(content) // 2
        self.server = server

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self.content.tell() >= self.half:
            self.server.kill()
        return self.content.read(size)


SERVERS = [
    pytest.param(storage_servers.s3, s3_on, id="s3"),
    pytest.param(storage_servers.webdav, webdav_on, id="webdav"),
    pytest.param(storage_servers.xrootd, xrootd_on, id="xrootd"),
    pytest.param(storage_servers.sftp, sftp_on, id="sftp"),
]
HASTY: dict[Any, dict[str, object]] = {
    s3_on: {"timeout_seconds": 2.0, "retries": 0},
    webdav_on: {"timeout_seconds": 2.0},
    xrootd_on: {"timeout_seconds": 3},
    sftp_on: {"timeout_seconds": 2.0},
}


@pytest.mark.parametrize(("make", "on"), SERVERS)
def test_a_server_that_stops_in_the_midst(
    make: Callable[[Path], Server], on: Callable[..., Storage], tmp_path: Path
) -> None:
    """Unreachable is said, nothing of the file is visible, the old one is whole, a retry works."""
    server = make(tmp_path)
    server.start()
    try:
        storage = on(server)
        store(storage, "a/file", b"old")
        content = os.urandom(80 * MEGABYTE)
        for path in ("a/file", "b/new"):
            source = cast("BinaryIO", Killing(content, server))
            with pytest.raises(StorageError) as caught:
                storage.put(source, path, size=len(content))
            assert caught.value.kind == "unreachable"
            assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"
            server.start()
            assert patient(lambda: paths_in(storage)) == ["a/file"]
            assert content_of(storage, "a/file") == b"old"
        assert store(storage, "b/new", content) == checksums_of(content)
        if isinstance(storage, Sweeps):
            assert storage.sweep(-10) == 2
        assert paths_in(storage) == ["a/file", "b/new"]
        assert content_of(storage, "b/new") == content
    finally:
        server.kill()


@pytest.mark.parametrize(("make", "on"), SERVERS)
def test_a_transfer_outlives_its_server(
    make: Callable[[Path], Server], on: Callable[..., Storage], tmp_path: Path
) -> None:
    """A transfer whose target stops in the midst goes on when it is back, and is verified."""
    (tmp_path / "source").mkdir()
    (tmp_path / "server").mkdir()
    source = LocalStorage(tmp_path / "source")
    content = os.urandom(60 * MEGABYTE)
    store(source, "file", content)
    server = make(tmp_path / "server")
    server.start()
    stops = [server.kill]

    def progress(done: int, total: int) -> None:
        if done > total // 2 and stops:
            stops.pop()()

    def sleep(_seconds: float) -> None:
        if not server.process:
            server.start()
        time.sleep(0.5)

    try:
        target = on(server)
        expected = Expected(len(content), checksums_of(content))
        conduct = Conduct(progress, attempts=10, sleep=sleep)
        assert transfer(source, "file", target, "a/file", expected, conduct) == expected.checksums
        assert stops == []
        assert paths_in(target) == ["a/file"]
        assert content_of(target, "a/file") == content
    finally:
        server.kill()


@pytest.mark.parametrize(("make", "on"), SERVERS)
def test_a_server_that_hangs(
    make: Callable[[Path], Server], on: Callable[..., Storage], tmp_path: Path
) -> None:
    """A server that takes connections and says nothing is unreachable after the time set."""
    server = make(tmp_path)
    server.start()
    try:
        storage = on(server, **HASTY[on])
        store(storage, "file", b"x")
        server.freeze()
        with pytest.raises(StorageError) as caught:
            store(storage, "other", b"x")
        assert caught.value.kind == "unreachable"
    finally:
        server.kill()


def test_transfers_between_servers(
    s3_server: Server, webdav_server: Server, xrootd_server: Server, sftp_server: Server
) -> None:
    """From each kind of storage a file reaches each, whole and verified."""
    storages = [
        s3_on(s3_server),
        webdav_on(webdav_server),
        xrootd_on(xrootd_server),
        sftp_on(sftp_server),
    ]
    content = os.urandom(18 * MEGABYTE)
    expected = Expected(len(content), checksums_of(content))
    for source in storages:
        store(source, "source", content)
    for source, target in itertools.product(storages, storages):
        assert transfer(source, "source", target, "b/copy", expected) == expected.checksums
        assert content_of(target, "b/copy") == content
        target.delete("b/copy")


@pytest.mark.parametrize(("make", "on"), SERVERS)
def test_nobody_listens(
    make: Callable[[Path], Server], on: Callable[..., Storage], tmp_path: Path
) -> None:
    """Where no server is, every method says unreachable."""
    storage = on(make(tmp_path))
    for action in (
        lambda: store(storage, "file", b"x"),
        lambda: content_of(storage, "file"),
        lambda: storage.delete("file"),
        lambda: list(storage.list()),
        lambda: storage.checksum("file"),
    ):
        with pytest.raises(StorageError) as caught:
            action()
        assert caught.value.kind == "unreachable"


def test_s3_keys(s3_server: Server) -> None:
    """Wrong keys, and keys that may only read, are refused without being shown."""
    for keys in (
        {"access_key": "lake", "secret_key": "wrong-s3cr3t"},
        {"access_key": "nobody", "secret_key": "x-s3cr3t"},
        {"access_key": "guest", "secret_key": "guest-s3cr3t"},
        {"access_key": ""},
    ):
        with pytest.raises(StorageError) as caught:
            store(s3_on(s3_server, **keys), "file", b"x")
        assert caught.value.kind == "refused"
        assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


def test_s3_presign(s3_server: Server) -> None:
    """A presigned address reads one file without keys, and no other."""
    storage = s3_on(s3_server)
    store(storage, "a/file ü", b"shared")
    store(storage, "a/other", b"not shared")
    assert isinstance(storage, Presigns)
    url = storage.presign("a/file ü", 60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"shared"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url.replace("file", "other"))


def test_s3_copies_on_the_server(s3_server: Server) -> None:
    """Between prefixes of a bucket the server copies; between buckets it is declined."""
    one, two = s3_on(s3_server), s3_on(s3_server)
    content = os.urandom(20 * MEGABYTE)
    store(one, "file", content)
    assert two.copy(one, "file", "a/copy") is not None
    assert content_of(two, "a/copy") == content
    other = open_storage("s3://other/x", cast("S3", s3_server).options())
    assert other.copy(one, "file", "copy") is None


def test_what_servers_vouch_for(s3_server: Server, xrootd_server: Server) -> None:
    """S3 vouches for the MD5 of what came in one part, XRootD for the Adler-32."""
    content = b"the quick brown fox"
    whole = checksums_of(content)
    for storage, kind in ((s3_on(s3_server), "md5"), (xrootd_on(xrootd_server), "adler32")):
        store(storage, "file", content)
        assert isinstance(storage, Vouches)
        told = storage.vouch("file")
        assert told is not None
        assert told[0] == len(content)
        assert getattr(told[1], kind) == getattr(whole, kind)
    bucket = s3_on(s3_server)
    assert isinstance(bucket, Vouches)
    store(bucket, "big", bytes(20 * MEGABYTE))
    assert bucket.vouch("big") is None


def test_webdav_logins(webdav_server: Server) -> None:
    """A wrong password is refused, and not shown."""
    storage = webdav_on(webdav_server, password="wrong-s3cr3t")  # noqa: S106 - a wrong one
    with pytest.raises(StorageError) as caught:
        store(storage, "file", b"x")
    assert caught.value.kind == "refused"
    assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


def test_sftp_logins(sftp_server: Server, tmp_path: Path) -> None:
    """An unknown host and a wrong login are refused: no first connection is trusted."""
    (tmp_path / "none").write_text("")
    for more in ({"known_hosts": str(tmp_path / "none")}, {"key_file": "", "password": "s3cr3t"}):
        with pytest.raises(StorageError) as caught:
            store(sftp_on(sftp_server, **more), "file", b"x")
        assert caught.value.kind == "refused"
        assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


def test_folders_that_are_gone(webdav_server: Server, sftp_server: Server) -> None:
    """A storage whose folder is missing on the server is not made anew."""
    for server, on in ((webdav_server, webdav_on), (sftp_server, sftp_on)):
        storage = on(server)
        before = {one for one in (server.folder / "share").iterdir() if one.is_dir()}
        newest = max(before, key=lambda one: int(one.name.split()[1]))
        newest.rmdir()
        with pytest.raises(StorageError) as caught:
            store(storage, "a/file", b"x")
        assert caught.value.kind in {"unreachable", "no-such-file"}
        assert not newest.exists()


def test_threads_share_a_storage(sftp_server: Server) -> None:
    """Readers on several threads get their own bytes."""
    storage = sftp_on(sftp_server)
    contents = {f"f{number}": os.urandom(MEGABYTE) for number in range(8)}
    for path, content in contents.items():
        store(storage, path, content)
    found: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=lambda path=path: found.update({path: content_of(storage, path)}))
        for path in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == contents
