"""SFTP (version 3, as OpenSSH speaks it) through paramiko, which needs no event loop.

A host's key must be known beforehand: a first connection is never trusted. Uploads get their name
by OpenSSH's ``posix-rename``, which replaces atomically. Connections are kept and shared out
among threads; one that failed is not used again.
"""

from __future__ import annotations

import errno
import stat
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

import paramiko

from leman.lake.interface import StorageError, Stored, unheard
from leman.lake.storage.digests import BLOCK, Digests, hashed, read_blocks, summed, too_short
from leman.lake.storage.names import is_part, part_beside, parts_of
from leman.lake.storage.options import place_of, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leman.lake.interface import Kind, Storage
    from leman.lake.model import Checksums

_AHEAD = 4 * BLOCK  # bytes asked for before the first arrive, in requests of 32 kB


@dataclass(frozen=True, slots=True)
class SFTPOptions:
    """Of ``sftp://user@host:port/folder``: a key file or password, and where host keys are."""

    user: str = ""
    password: str = field(default="", repr=False)
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    known_hosts: str = "~/.ssh/known_hosts"
    connect_seconds: float = 15.0
    timeout_seconds: float = 60.0


class SFTPStorage:
    """A folder on an SFTP server, which must exist."""

    def __init__(self, address: str, base: str, connect: Callable[[], paramiko.SFTPClient]) -> None:
        self._address = address
        self._base = base
        self._connect = connect
        self._idle: LifoQueue[paramiko.SFTPClient] = LifoQueue()
        weakref.finalize(self, _end_all, self._idle)

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Upload beside, compare the size, then rename."""
        place = self._place(path)
        part = self._full(part_beside(path))
        with Digests() as digests, self._session(path) as session:
            try:
                self._folders(session, parts_of(path)[:-1])
                with session.open(part, "wbx") as file:
                    # Else every 32 kB would wait for an answer.
                    file.set_pipelined(True)
                    for block in hashed(read_blocks(source, size, progress), digests):
                        file.write(block)
                self._arrived(session, part, size)
                session.posix_rename(part, place)
            except BaseException:
                with suppress(OSError, EOFError, paramiko.SSHException):
                    session.remove(part)  # else `sweep` removes it later
                raise
            return digests.finish()

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""
        place = self._place(path)
        with self._session(path) as session, session.open(place, "rb") as file:
            about = file.stat()
            if not stat.S_ISREG(about.st_mode or 0):
                raise StorageError("refused", f"{path} in {self._address} is not a regular file")
            size = about.st_size or 0
            if start >= size:
                return
            while start < size:
                ahead = range(start, min(size, start + _AHEAD), BLOCK)
                blocks = file.readv([(begin, min(BLOCK, size - begin)) for begin in ahead])
                try:
                    for block in blocks:
                        start += len(block)
                        yield block
                finally:
                    # Answers under way are taken, whoever reads or not: else they confuse the next.
                    for _ in blocks:
                        pass
                if start < ahead[-1]:
                    raise too_short(start, size)

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:  # noqa: ARG002 - the interface's names
        """Return None: few servers have the extension that copies on the server."""
        return None

    def delete(self, path: str) -> None:
        """Remove a file and the folders that this leaves empty."""
        parts = parts_of(path)
        with self._session(path) as session:
            try:
                session.remove(self._place(path))
            except FileNotFoundError:
                return
            for depth in range(len(parts) - 1, 0, -1):
                try:
                    session.rmdir(self._full("/".join(parts[:depth])))
                except OSError:
                    break  # not empty

    def checksum(self, path: str) -> Checksums:
        """Read the file and return its checksums."""
        return summed(self.get(path))

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every regular file below a folder; links are left out."""
        if under:
            parts_of(under)
        with self._session(under or ".") as session:
            for found in self._walk(session, under):
                if not is_part(found.path.rpartition("/")[2]):
                    yield found

    def sweep(self, age: float) -> int:
        """Remove uploads that were begun more than `age` seconds ago and did not end."""
        count = 0
        with self._session(".") as session:
            for found in [*self._walk(session, "")]:
                name = found.path.rpartition("/")[2]
                if is_part(name) and found.changed < time.time() - age:
                    session.remove(self._full(found.path))
                    count += 1
        return count

    def _arrived(self, session: paramiko.SFTPClient, part: str, size: int) -> None:
        there = session.stat(part).st_size
        if there != size:
            raise StorageError("damaged", f"{part}: {there} of {size} bytes arrived")

    def _place(self, path: str) -> str:
        """Return the path on the server, of a path that may be asked for."""
        parts_of(path)
        return self._full(path)

    def _full(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def _folders(self, session: paramiko.SFTPClient, parts: tuple[str, ...]) -> None:
        if not parts:
            return
        folder = "/".join(parts)
        try:
            found = session.stat(self._full(folder))
        except FileNotFoundError:
            if len(parts) == 1:
                self._there(session)
            self._folders(session, parts[:-1])
            try:
                session.mkdir(self._full(folder))
            except OSError:
                session.stat(self._full(folder))  # another upload has made it meanwhile
            return
        if not stat.S_ISDIR(found.st_mode or 0):
            raise StorageError("refused", f"{folder} in {self._address} is a file, not a folder")

    def _there(self, session: paramiko.SFTPClient) -> None:
        try:
            session.stat(self._base)
        except FileNotFoundError:
            raise StorageError("unreachable", f"the folder {self._address} is not there") from None

    def _walk(self, session: paramiko.SFTPClient, folder: str) -> Iterator[Stored]:
        try:
            entries = session.listdir_attr(self._full(folder))
        except FileNotFoundError:
            if not folder:
                self._there(session)
            return
        for one in entries:
            path = f"{folder}/{one.filename}" if folder else one.filename
            mode = one.st_mode or 0
            if one.filename in {"", ".", ".."} or "/" in one.filename:
                continue
            if stat.S_ISDIR(mode):
                yield from self._walk(session, path)
            elif stat.S_ISREG(mode):
                yield Stored(path, one.st_size or 0, float(one.st_mtime or 0))

    @contextmanager
    def _session(self, path: str) -> Iterator[paramiko.SFTPClient]:
        """Give a connection for a while, and turn what goes wrong into a StorageError."""
        session = None
        sound = False
        try:
            session = self._next() or self._connect()
            yield session
            sound = True
        except StorageError:
            sound = True
            raise
        except GeneratorExit:
            sound = True  # a reader that has enough
            raise
        except (OSError, EOFError, paramiko.SSHException) as error:
            sound = isinstance(error, FileNotFoundError | PermissionError)
            raise self._meaning(error, path) from error
        finally:
            if session is not None:
                if sound:
                    self._idle.put(session)
                else:
                    _end(session)

    def _next(self) -> paramiko.SFTPClient | None:
        while True:
            try:
                session = self._idle.get_nowait()
            except Empty:
                return None
            channel = session.get_channel()
            transport = channel.get_transport() if channel else None
            if channel and not channel.closed and transport and transport.is_active():
                return session
            _end(session)

    def _meaning(self, error: Exception, path: str) -> StorageError:
        what = f"{path} in {self._address}"
        kind: Kind = "unreachable"
        hint = "Is the server running, and is the address right?"
        if isinstance(error, FileNotFoundError):
            return StorageError("no-such-file", f"there is no {what}")
        if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(
            error
        ):
            kind = "refused"
            hint = "Check the host's key, then add it to the file of known hosts."
        elif isinstance(error, paramiko.AuthenticationException | PermissionError):
            kind, hint = "refused", "Look at the user, key or password of this storage."
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            kind, hint = "no-space", "Free some space there or raise the quota."
        elif isinstance(error, OSError) and str(error) == "Failure":
            # All that version 3 of the protocol says of a full disk, a folder in the way, …
            kind = "refused"
            hint = "The server gives no reason: is its disk full, or a folder of this name there?"
        text = str(error) or type(error).__name__
        return StorageError(kind, f"{what}: {text}", hint=hint)


def open_sftp(address: str, options: Mapping[str, object]) -> SFTPStorage:
    """Return the storage of ``sftp://user@host:port/folder`` (an absolute path)."""
    place, base = place_of(address)
    read = read_options(SFTPOptions, options)

    def connect() -> paramiko.SFTPClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        known = Path(read.known_hosts).expanduser()
        if known.is_file():
            client.load_host_keys(str(known))
        client.connect(
            place.hostname or "",
            place.port or 22,
            username=read.user or unquote(place.username or "") or None,
            password=read.password or None,
            key_filename=str(Path(read.key_file).expanduser()) if read.key_file else None,
            passphrase=read.key_password or None,
            timeout=read.connect_seconds,
            banner_timeout=read.connect_seconds,
            auth_timeout=read.connect_seconds,
            allow_agent=False,  # an agent is found by an environment variable
            look_for_keys=False,
        )
        session = client.open_sftp()
        channel = session.get_channel()
        if channel:
            channel.settimeout(read.timeout_seconds)
        return session

    return SFTPStorage(address, f"/{base}" if base else "", connect)


def _end_all(idle: LifoQueue[paramiko.SFTPClient]) -> None:
    with suppress(Empty):
        while True:
            _end(idle.get_nowait())


def _end(session: paramiko.SFTPClient) -> None:
    # Not session.close(), which raises EOFError where the other side has gone.
    channel = session.get_channel()
    transport = channel.get_transport() if channel else None
    if transport:
        transport.close()
