"""What tests of the lake's rules share: a small storage in a folder, and a book in a file."""

from __future__ import annotations

import fcntl
import os
import pickle
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from leman.lake.interface import Storage, StorageError, Stored, unheard
from leman.lake.rules.arrival import measure
from leman.lake.rules.memory import MemoryBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from leman.lake.model import Checksums, Expected, Replica, ReplicaState
    from leman.lake.rules.interface import Claim, Done, Failed, Going, Plan, State


@dataclass
class Folder:
    """A storage in a folder, in the fewest lines that keep its contract."""

    root: Path
    block: int = 1 << 16

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.root, prefix=".part-")
        done = 0
        with os.fdopen(handle, "wb") as out:
            while block := source.read(self.block):
                out.write(block)
                done += len(block)
                progress(done, size)
        Path(name).replace(target)
        return measure(self, path)[1]

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        try:
            with (self.root / path).open("rb") as file:
                file.seek(start)
                while block := file.read(self.block):
                    yield block
        except FileNotFoundError:
            raise StorageError("no-such-file", f"{path} is not there") from None
        except OSError as error:
            raise StorageError("unreachable", str(error)) from error

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        del source, origin, path
        return None

    def delete(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def checksum(self, path: str) -> Checksums:
        return measure(self, path)[1]

    def list(self, under: str = "") -> Iterator[Stored]:
        for path in (self.root / under).rglob("*"):
            if path.is_file() and not path.name.startswith(".part-"):
                info = path.stat()
                yield Stored(str(path.relative_to(self.root)), info.st_size, info.st_mtime)


class _Blocks:
    """What yields blocks, as a file to read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks = blocks

    def read(self, _size: int = -1) -> bytes:
        return next(self.blocks, b"")


def move(source: Storage, path: str, target: Storage, path2: str, expected: Expected) -> Checksums:
    """Copy through this process, as a real transfer does where nothing faster works."""
    del expected
    blocks: Any = _Blocks(source.get(path))
    return target.put(blocks, path2, size=0)


@dataclass
class FileBook:
    """A MemoryBook that lives in a file, each method one transaction: for several processes."""

    path: Path

    @contextmanager
    def open(self) -> Iterator[MemoryBook]:
        """Hold the lock, yield the book, write it atomically."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.path.read_bytes() if self.path.exists() else b""
            fields = pickle.loads(before) if before else {}  # noqa: S301 - our own
            book = MemoryBook(**fields)
            yield book
            after = pickle.dumps({k: v for k, v in vars(book).items() if k != "mutex"})
            if after != before:
                part = self.path.with_suffix(f".{os.getpid()}")
                part.write_bytes(after)
                part.replace(self.path)

    def state(self) -> State:
        with self.open() as book:
            return book.state()

    def commit(self, plan: Plan, now: datetime) -> None:
        with self.open() as book:
            book.commit(plan, now)

    def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        with self.open() as book:
            return book.claim(worker, now, lease, limit)

    def report(self, claim: Claim, outcome: Done | Failed | Going, now: datetime) -> bool:
        with self.open() as book:
            return book.report(claim, outcome, now)

    def mark(self, replica: Replica, state: ReplicaState, why: str) -> bool:
        with self.open() as book:
            return book.mark(replica, state, why)

    def replicas(self, rse: str) -> Iterator[Replica]:
        with self.open() as book:
            found = list(book.replicas(rse))
        yield from found
