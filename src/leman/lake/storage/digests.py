"""Checksums of what streams by, computed on threads of their own.

zlib.adler32 and hashlib release the interpreter's lock for big blocks, so that two threads really
keep two cores busy: MD5, the slowest, has one for itself.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import zlib
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from leman.lake.interface import StorageError, unheard
from leman.lake.model import Checksums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

BLOCK = 1 << 20
ALL = ("adler32", "md5", "sha256")
_INLINE = 4 * BLOCK  # below this, threads cost more than they save


class Sum(Protocol):
    """A checksum in the making: what hashlib's objects are."""

    def update(self, block: bytes | memoryview, /) -> None:
        """Take the next bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the checksum of all bytes so far."""
        ...


class Adler32:
    """Adler-32 (RFC 1950) in the manner of hashlib."""

    def __init__(self) -> None:
        self._value = 1

    def update(self, block: bytes | memoryview, /) -> None:
        """Take the next bytes."""
        self._value = zlib.adler32(block, self._value)

    def hexdigest(self) -> str:
        """Return eight digits, as Rucio and XRootD write it."""
        return f"{self._value:08x}"


def sums(kinds: Iterable[str] = ALL) -> dict[str, Sum]:
    """Return new checksums by name."""
    made: dict[str, Sum] = {}
    for kind in kinds:
        if kind == "adler32":
            made[kind] = Adler32()
        else:
            made[kind] = hashlib.new(kind, usedforsecurity=False)
    return made


def told(done: dict[str, Sum]) -> Checksums:
    """Return the values of checksums by name."""
    return Checksums(**{kind: one.hexdigest() for kind, one in done.items()})


def shared_out(made: dict[str, Sum]) -> list[list[Sum]]:
    """Return who computes what: MD5 on one thread, the others on a second."""
    slow = [one for kind, one in made.items() if kind == "md5"]
    others = [one for kind, one in made.items() if kind != "md5"]
    return [group for group in (slow, others) if group]


class Digests:
    """Checksums of a stream; use it in ``with``, so that its threads end whatever happens."""

    def __init__(self, kinds: Iterable[str] = ALL) -> None:
        self._sums = sums(kinds)
        self._queues: list[queue.Queue[bytes | None]] = []
        self._threads: list[threading.Thread] = []
        self.size = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the threads."""
        self._end()

    def update(self, block: bytes) -> None:
        """Take the next bytes; waits while the threads are behind by more than a few blocks."""
        self.size += len(block)
        if not self._threads and self.size <= _INLINE:
            for one in self._sums.values():
                one.update(block)
            return
        if not self._threads:
            self._start()
        for waiting in self._queues:
            waiting.put(block)

    def finish(self) -> Checksums:
        """Return the checksums of all bytes; nothing more may come."""
        self._end()
        return told(self._sums)

    def _start(self) -> None:
        for group in shared_out(self._sums):
            waiting: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
            thread = threading.Thread(target=_work, args=(waiting, group), daemon=True)
            thread.start()
            self._queues.append(waiting)
            self._threads.append(thread)

    def _end(self) -> None:
        for waiting in self._queues:
            waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._queues.clear()


def _work(waiting: queue.Queue[bytes | None], group: list[Sum]) -> None:
    while (block := waiting.get()) is not None:
        for one in group:
            one.update(block)


class Following:
    """Checksums of a file while it is written, read back from it; use it in ``with``.

    What is checked is thus what the file holds. A third thread flushes what was written, so that
    the disk is busy while the processor is.
    """

    def __init__(self, handle: int, *, flush: bool) -> None:
        self._handle = handle
        self._sums = sums()
        self._news = threading.Condition()
        self._offset, self._ended = 0, False
        self._errors: list[OSError] = []
        jobs = [(self._follow, group) for group in shared_out(self._sums)]
        self._threads = [
            threading.Thread(target=job, args=(group,), daemon=True) for job, group in jobs
        ]
        if flush:
            self._threads.append(threading.Thread(target=self._flush, daemon=True))

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the threads."""
        self._end()

    def reach(self, offset: int) -> None:
        """Say how many bytes of the file are written."""
        with self._news:
            self._offset = offset
            self._news.notify_all()

    def finish(self) -> Checksums:
        """Return the checksums of all that was reached; raises OSError where reading failed."""
        self._end()
        if self._errors:
            raise self._errors[0]
        return told(self._sums)

    def _end(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    def _beyond(self, done: int, least: int) -> int:
        """Wait until `least` more bytes than `done` are written, or all are; return how many."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._offset - done >= least)
            return self._offset - done

    def _follow(self, group: list[Sum]) -> None:
        buffer = memoryview(bytearray(BLOCK))
        done = 0
        try:
            while (ready := self._beyond(done, 1)) > 0:
                block = buffer[: min(ready, BLOCK)]
                got = os.preadv(self._handle, [block], done)
                if not got:
                    self._errors.append(OSError(f"it ended at {done} of {self._offset} bytes"))
                    return
                for one in group:
                    one.update(block[:got])
                done += got
        except OSError as error:
            self._errors.append(error)

    def _flush(self, step: int = 64 * BLOCK) -> None:
        done = 0
        try:
            while (ready := self._beyond(done, step)) >= step:
                os.fdatasync(self._handle)
                done += ready
        except OSError as error:
            self._errors.append(error)


def read_blocks(
    source: BinaryIO,
    size: int,
    progress: Callable[[int, int], None] = unheard,
    block: int = BLOCK,
) -> Iterator[bytes]:
    """Yield exactly `size` bytes of a source, reporting progress.

    Raises StorageError (damaged) where the source ends before, or cannot be read.
    """
    done = 0
    while done < size:
        try:
            data = source.read(min(block, size - done))
        except OSError as error:
            raise StorageError("damaged", f"the source cannot be read: {error}") from error
        if not data:
            raise too_short(done, size)
        done += len(data)
        progress(done, size)
        yield data


def hashed(blocks: Iterator[bytes], digests: Digests) -> Iterator[bytes]:
    """Yield blocks unchanged, after `digests` has taken them."""
    for block in blocks:
        digests.update(block)
        yield block


def summed(blocks: Iterable[bytes]) -> Checksums:
    """Read all blocks and return their checksums."""
    with Digests() as digests:
        for block in blocks:
            digests.update(block)
        return digests.finish()


def too_short(done: int, size: int) -> StorageError:
    """Return the error of a source that ended early."""
    return StorageError(
        "damaged",
        f"the source ended after {done} of {size} bytes",
        hint="Was it changed or cut off meanwhile? Nothing was stored.",
    )
