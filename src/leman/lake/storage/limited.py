"""A storage that takes no more than its share of the network."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, cast

from leman.lake.interface import unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.lake.interface import Storage, Stored
    from leman.lake.model import Checksums

_STEP = 256 << 10  # bytes that pass at a time: small, so that slow links flow evenly


class Limit:
    """So many bytes a second, in total for all that share this limit, on any thread."""

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if bytes_per_second <= 0:
            raise ValueError("a limit is more than 0 bytes a second")
        self._rate, self._clock, self._sleep = bytes_per_second, clock, sleep
        self._free = clock()
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` bytes may pass."""
        with self._lock:
            now = self._clock()
            begin = max(now, self._free)
            self._free = begin + count / self._rate
        if begin > now:
            self._sleep(begin - now)


class Limited:
    """A storage whose bytes pass a limit, both ways.

    A copy that does not pass through here (on a server, between folders) is not held up, and a
    storage can do no more through this than the interface says.
    """

    def __init__(self, storage: Storage, limit: Limit) -> None:
        self._storage = storage
        self._limit = limit

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Store a file at the limit's pace."""
        slow = cast("BinaryIO", _Slow(source, self._limit))
        return self._storage.put(slow, path, size=size, progress=progress)

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes at the limit's pace."""
        for block in self._storage.get(path, start=start):
            for begin in range(0, len(block), _STEP):
                piece = block[begin : begin + _STEP]
                self._limit.take(len(piece))
                yield piece

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        """Copy without passing through here."""
        inner = source._storage if isinstance(source, Limited) else source  # noqa: SLF001 - of its own kind
        return self._storage.copy(inner, origin, path)

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._storage.delete(path)

    def checksum(self, path: str) -> Checksums:
        """Return checksums; where the storage is read for it, that is not held up."""
        return self._storage.checksum(path)

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every file below a folder."""
        return self._storage.list(under)


class _Slow(io.RawIOBase):
    def __init__(self, source: BinaryIO, limit: Limit) -> None:
        self._source = source
        self._limit = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = _STEP if size < 0 else min(size, _STEP)
        self._limit.take(wanted)
        return self._source.read(wanted)
