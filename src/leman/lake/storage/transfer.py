"""One file from one storage to another, trusted only when it was verified where it arrived.

In this order: a copy on the server costs no traffic; else the bytes stream through here, and a
source that breaks off is read on from where it broke. What arrived is compared with what was
expected by what the target itself computes from its bytes; where it computes nothing, it is read.
"""

from __future__ import annotations

import io
import time
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from leman.lake.interface import StorageError, unheard
from leman.lake.model import NONE_KNOWN, Checksums, Expected
from leman.lake.storage.digests import ALL, Digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.lake.interface import Storage

Outcome = TypeVar("Outcome")
_KINDS = fields(Checksums)


@dataclass(frozen=True, slots=True)
class Conduct:
    """How patiently: only what is unreachable is tried again, after `wait` seconds, doubled."""

    progress: Callable[[int, int], None] = unheard
    attempts: int = 5
    wait: float = 1.0
    longest: float = 60.0
    sleep: Callable[[float], object] = time.sleep


PATIENT = Conduct()


def transfer(
    source: Storage,
    path: str,
    target: Storage,
    path2: str,
    expected: Expected,
    conduct: Conduct = PATIENT,
) -> Checksums:
    """Bring a file from `path` in `source` to `path2` in `target`; return what was verified there.

    All that is known of the checksums is in the answer. Raises StorageError: `damaged` where
    source or arrival differ from `expected` (what arrived is removed again), `unreachable` after
    `attempts`, and any other kind at once. At no moment is a part of the file visible.
    """
    copied = _again(conduct, lambda: target.copy(source, path, path2))
    if copied is not None:
        conduct.progress(expected.size, expected.size)
    else:
        copied = _again(conduct, lambda: _stream(source, path, target, path2, expected, conduct))
    return verify_arrival(target, path2, expected, copied, conduct)


def verify_arrival(
    target: Storage,
    path: str,
    expected: Expected,
    copied: Checksums,
    conduct: Conduct = PATIENT,
) -> Checksums:
    """Compare what lies in a storage with what was expected; remove it where it differs.

    `copied` are checksums of what was sent. Raises StorageError (damaged, unreachable).
    """
    # A file of another size is found without reading it, and none is trusted by size alone.
    wanted = expected
    if not differences(copied, expected.checksums):
        wanted = replace(expected, checksums=_joined(expected.checksums, copied))
    if _vouched(target, path, wanted, copied, conduct):
        return wanted.checksums
    size, found = _again(conduct, lambda: _read(target, path, expected.size))
    wrong = differences(found, wanted.checksums)
    if size != expected.size:
        more = "more than " if size > expected.size else ""
        wrong = [f"{more}{min(size, expected.size)} bytes, expected {expected.size}"]
    if wrong:
        with suppress(StorageError):
            target.delete(path)
        raise StorageError(
            "damaged",
            f"{path} did not arrive whole: {'; '.join(wrong)}",
            hint="It was removed again. Look at the source, the storage's disk and the network.",
        )
    return found


def differences(found: Checksums, expected: Checksums) -> list[str]:
    """Return a sentence for each checksum that both have and that differs."""
    pairs = [(one.name, getattr(found, one.name), getattr(expected, one.name)) for one in _KINDS]
    return [
        f"{name} {here}, expected {wanted}"
        for name, here, wanted in pairs
        if here and wanted and here.lower() != wanted.lower()
    ]


def _vouched(
    target: Storage, path: str, wanted: Expected, copied: Checksums, conduct: Conduct
) -> bool:
    """Tell whether the target itself has computed, from its bytes, what was wanted."""
    if _reads_back(target) and copied != NONE_KNOWN:
        return not differences(copied, wanted.checksums)
    # Not isinstance(target, Vouches): with protocols that takes a sixth of a small file's time.
    vouch = getattr(target, "vouch", None)
    if vouch is None:
        return False
    told: tuple[int, Checksums] | None = _again(conduct, lambda: vouch(path))
    if told is None or told[0] != wanted.size:
        return False
    both = [
        one for one in _KINDS if getattr(told[1], one.name) and getattr(wanted.checksums, one.name)
    ]
    return bool(both) and not differences(told[1], wanted.checksums)


def _reads_back(target: Storage) -> bool:
    return bool(getattr(target, "reads_back", False))


def _stream(
    source: Storage,
    path: str,
    target: Storage,
    path2: str,
    expected: Expected,
    conduct: Conduct,
) -> Checksums:
    with _Arriving(source, path, expected, conduct) as arriving:
        sent = target.put(
            cast("BinaryIO", arriving), path2, size=expected.size, progress=conduct.progress
        )
        own = arriving.sums
        # What a storage says that it got is worth something only if it read it back itself.
        return sent if _reads_back(target) else own


def _read(target: Storage, path: str, most: int) -> tuple[int, Checksums]:
    """Return size and checksums of a file by reading it; stops soon beyond `most` bytes."""
    with Digests() as digests:
        for block in target.get(path):
            digests.update(block)
            if digests.size > most:
                break
        return digests.size, digests.finish()


def _joined(first: Checksums, second: Checksums) -> Checksums:
    return Checksums(*(getattr(first, one.name) or getattr(second, one.name) for one in _KINDS))


class _GivenUpError(StorageError):
    """Was tried often enough: who called is not to try all of it again."""


def _again(conduct: Conduct, action: Callable[[], Outcome]) -> Outcome:
    """Do something, again and again while what it needs is unreachable."""
    wait = conduct.wait
    for attempt in range(1, max(1, conduct.attempts) + 1):
        try:
            return action()
        except _GivenUpError:
            raise
        except StorageError as error:
            if error.kind != "unreachable":
                raise
            if attempt >= conduct.attempts:
                raise _GivenUpError(error.kind, error.message, hint=error.hint) from error
        conduct.sleep(wait)
        wait = min(conduct.longest, wait * 2)
    raise AssertionError  # pragma: no cover - the loop returns or raises


class _Arriving(io.RawIOBase):
    """A source as a file, read on from where it broke off, and compared before its end is given.

    So a target does not complete a file whose source is damaged.
    """

    def __init__(self, source: Storage, path: str, expected: Expected, conduct: Conduct) -> None:
        self._source = source
        self._path = path
        self._expected = expected
        self._conduct = conduct
        self._digests = Digests(ALL)
        self._blocks: Iterator[bytes] | None = None
        self._rest = memoryview(b"")
        self._done = 0  # bytes that were taken from the source
        self.sums = Checksums()

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._digests.__exit__(None, None, None)
        close = getattr(self._blocks, "close", None)
        if close:
            close()
        super().close()

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest and self._done < self._expected.size:
            self._rest = memoryview(_again(self._conduct, self._next))
        wanted = len(self._rest) if size < 0 else min(size, len(self._rest))
        piece, self._rest = bytes(self._rest[:wanted]), self._rest[wanted:]
        return piece

    def _next(self) -> bytes:
        """Return the next block; opens the source anew after an error."""
        if self._blocks is None:
            self._blocks = iter(self._source.get(self._path, start=self._done))
        try:
            block = next(self._blocks, b"")
        except StorageError:
            self._blocks = None
            raise
        self._done += len(block)
        if not block or self._done > self._expected.size:
            much = "fewer" if not block else "more"
            raise self._damaged(f"it has {much} bytes than {self._expected.size}")
        self._digests.update(block)
        if self._done == self._expected.size:
            self._complete()
        return block

    def _complete(self) -> None:
        self.sums = self._digests.finish()
        wrong = differences(self.sums, self._expected.checksums)
        if wrong:
            raise self._damaged("; ".join(wrong))

    def _damaged(self, why: str) -> StorageError:
        return StorageError(
            "damaged",
            f"the source {self._path} is not what was expected: {why}",
            hint="Nothing was stored. Use another replica, and mark this one as bad.",
        )
