"""XRootD through its own client library's Python binding (the package ``xrootd``).

The binding reads and writes at an offset, which the ``xrdcp`` program does not, and it is what
Rucio's clients use; fsspec's file system for XRootD cannot write files at all. Names with a
question mark cannot be said in this protocol and are refused.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from XRootD import client
from XRootD.client.flags import DirListFlags, OpenFlags, QueryCode, StatInfoFlags

from leman.lake.interface import StorageError, Stored, unheard
from leman.lake.model import Checksums
from leman.lake.storage.digests import Digests, hashed, read_blocks, summed
from leman.lake.storage.names import is_part, part_beside, parts_of
from leman.lake.storage.options import place_of, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leman.lake.interface import Kind, Storage

_BLOCK = 8 << 20  # each is a round trip to the server
# Error numbers of the XRootD protocol specification 5, section 3.2.
_NOT_FOUND, _NO_SPACE, _OVER_QUOTA, _READ_ONLY = 3011, 3009, 3021, 3025
_REFUSED = {3000, 3002, 3003, 3006, 3010, 3013, 3015, 3016, 3018, 3028, 3030}


@dataclass(frozen=True, slots=True)
class XRootDOptions:
    """Of ``root://host//folder``; they hold for the whole process, as the library has it."""

    connect_seconds: int = 20
    timeout_seconds: int = 300


class XRootDStorage:
    """A folder on an XRootD server, which makes folders itself as files need them."""

    def __init__(self, address: str, server: str, base: str, seconds: int) -> None:
        self._address = address
        self._server = server
        self._base = base
        self._seconds = seconds
        self._system = client.FileSystem(server)

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Upload beside, compare the size, then rename."""
        self._place(path)
        part = part_beside(path)
        with Digests() as digests, self._tidied(part):
            flags = OpenFlags.NEW | OpenFlags.MAKEPATH
            with self._opened(part, path, flags) as file:
                blocks = hashed(read_blocks(source, size, progress, _BLOCK), digests)
                offset = 0
                for block in blocks:
                    self._done(file.write(block, offset, timeout=self._seconds), path)
                    offset += len(block)
                self._done(file.sync(timeout=self._seconds), path)
            about = self._done(self._system.stat(self._full(part), timeout=self._seconds), path)
            if about.size != size:
                raise StorageError(
                    "damaged", f"{path} in {self._address}: {about.size} of {size} bytes arrived"
                )
            self._done(
                self._system.mv(self._full(part), self._place(path), timeout=self._seconds), path
            )
            return digests.finish()

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""
        self._place(path)
        with self._opened(path, path, OpenFlags.READ) as file:
            while True:
                block = self._done(file.read(start, _BLOCK, timeout=self._seconds), path)
                if not block:
                    return
                start += len(block)
                yield bytes(block)

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:  # noqa: ARG002 - the interface's names
        """Return None: third-party copies need delegated credentials, which are not had here."""
        return None

    def delete(self, path: str) -> None:
        """Remove a file and the folders that this leaves empty."""
        parts = parts_of(path)
        status, _ = self._system.rm(self._place(path), timeout=self._seconds)
        if not status.ok and status.errno == _NOT_FOUND:
            return
        self._done((status, None), path)
        for depth in range(len(parts) - 1, 0, -1):
            folder = self._full("/".join(parts[:depth]))
            if not self._system.rmdir(folder, timeout=self._seconds)[0].ok:
                break

    def checksum(self, path: str) -> Checksums:
        """Read the file and return its checksums."""
        return summed(self.get(path))

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every file below a folder."""
        if under:
            self._place(under)
        for found in self._walk(under):
            if not is_part(found.path.rpartition("/")[2]):
                yield found

    def vouch(self, path: str) -> tuple[int, Checksums] | None:
        """Return size and Adler-32 as the server computes it, where it is set up to."""
        place = self._place(path)
        about = self._done(self._system.stat(place, timeout=self._seconds), path)
        status, answer = self._system.query(QueryCode.CHECKSUM, place, timeout=self._seconds)
        if not status.ok or not answer:
            return None
        kind, _, value = bytes(answer).rstrip(b"\0 \n").decode().partition(" ")
        return (about.size, Checksums(adler32=value.rjust(8, "0"))) if kind == "adler32" else None

    def sweep(self, age: float) -> int:
        """Remove uploads that were begun more than `age` seconds ago and did not end."""
        count = 0
        for found in [*self._walk("")]:
            name = found.path.rpartition("/")[2]
            if is_part(name) and found.changed < time.time() - age:
                self._done(self._system.rm(self._full(found.path)), found.path)
                count += 1
        return count

    def _place(self, path: str) -> str:
        """Return the path on the server, of a path that may be asked for."""
        parts_of(path)
        return self._full(path)

    def _full(self, path: str) -> str:
        if "?" in path:
            raise StorageError("refused", f"{path!r}: XRootD has no names with a question mark")
        return f"{self._base}/{path}" if path else self._base

    def _walk(self, folder: str) -> Iterator[Stored]:
        flags = DirListFlags.STAT
        status, found = self._system.dirlist(self._full(folder), flags, timeout=self._seconds)
        if not status.ok and status.errno == _NOT_FOUND:
            return
        self._done((status, found), folder or ".")
        for one in found:
            path = f"{folder}/{one.name}" if folder else one.name
            if one.name in {"", ".", ".."} or "/" in one.name or not one.statinfo:
                continue
            if one.statinfo.flags & StatInfoFlags.IS_DIR:
                yield from self._walk(path)
            else:
                yield Stored(path, one.statinfo.size, float(one.statinfo.modtime))

    @contextmanager
    def _opened(self, there: str, path: str, flags: int) -> Iterator[Any]:
        """Give an open file; closing it is part of writing, and may fail."""
        file = client.File()
        url = f"{self._server}/{self._full(there)}"
        self._done(file.open(url, flags, timeout=self._seconds), path)
        try:
            yield file
        except BaseException:
            file.close(timeout=5)
            raise
        self._done(file.close(timeout=self._seconds), path)

    @contextmanager
    def _tidied(self, part: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._system.rm(self._full(part), timeout=5)  # else `sweep` removes it later
            raise

    def _done(self, outcome: tuple[Any, Any], path: str) -> Any:  # noqa: ANN401 - the library has no types
        """Return the result of a call; raises StorageError where it failed."""
        status, result = outcome
        if status.ok:
            return result
        kind: Kind = "unreachable"
        hint = ""
        if status.errno == _NOT_FOUND:
            raise StorageError("no-such-file", f"there is no {path} in {self._address}")
        if status.errno in {_NO_SPACE, _OVER_QUOTA}:
            kind, hint = "no-space", "Free some space there or raise the quota."
        elif status.errno == _READ_ONLY:
            kind = "read-only"
        elif status.errno in _REFUSED:
            kind = "refused"
        text = " ".join(status.message.split())
        raise StorageError(kind, f"{path} in {self._address}: {text}", hint=hint)


def open_xrootd(address: str, options: Mapping[str, object]) -> XRootDStorage:
    """Return the storage of ``root://host:port//folder``."""
    place, base = place_of(address)
    read = read_options(XRootDOptions, options)
    # The library waits two minutes for a connection and half an hour for a lost one by itself.
    client.EnvPutInt("ConnectionWindow", read.connect_seconds)
    client.EnvPutInt("ConnectionRetry", 1)
    client.EnvPutInt("StreamErrorWindow", 1)
    client.EnvPutInt("TimeoutResolution", 1)
    # Who calls tries again. Never by File.set_property: it takes a reference of True that it does
    # not own (6.2.1), and before Python 3.12 the interpreter dies when the last one is gone.
    client.EnvPutInt("ReadRecovery", 0)
    client.EnvPutInt("WriteRecovery", 0)
    server = f"{place.scheme}://{place.netloc}"
    return XRootDStorage(address, server, f"/{base}", read.timeout_seconds)
