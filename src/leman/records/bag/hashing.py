"""The digests of many files, on all cores: Python's lock is free while a digest is computed."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

_BLOCK = 1 << 18  # bytes read at once: they are still in the processor's cache when hashed
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OF_THREAD = threading.local()  # a buffer each
_BATCH = 64  # files a task: fewer hand-overs between threads
_AHEAD = 4  # batches a thread in the queue, so that memory does not grow with the list

Job = tuple[str, str]  # path as the caller calls it, path to open
Done = tuple[str, str, int, str]  # path, digest ("" if unread), bytes, what went wrong


def digests(
    jobs: Iterable[Job], algorithm: str = "sha256", *, threads: int | None = None
) -> Iterator[Done]:
    """Yield the digest of each file as it becomes known, in the order of `jobs`.

    Links are not followed, and what is no regular file is not read (a pipe would wait for ever).
    A file that changes meanwhile has no digest.
    """
    count = threads or min(8, len(os.sched_getaffinity(0)) if _LINUX else os.cpu_count() or 1)
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[list[Done]]] = deque()
        for batch in _batches(jobs):
            waiting.append(pool.submit(_hash_all, batch, algorithm))
            if len(waiting) > count * _AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


_LINUX = hasattr(os, "sched_getaffinity")


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in jobs:
        batch.append(job)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _hash_all(batch: Sequence[Job], algorithm: str) -> list[Done]:
    view: memoryview | None = getattr(_OF_THREAD, "view", None)
    if view is None:
        view = _OF_THREAD.view = memoryview(bytearray(_BLOCK))
    empty = hashlib.new(algorithm, usedforsecurity=False)  # to look a digest up takes longer
    return [(name, *_hash(path, empty.copy(), view)) for name, path in batch]


def _hash(path: str, whole: hashlib._Hash, view: memoryview) -> tuple[str, int, str]:
    # Straight to the system: a file object costs more than hashing a small file.
    total = 0
    try:
        handle = os.open(path, _FLAGS)
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                return "", 0, "it is no regular file"
            # To its size and no further: one that grows as fast as it is read would never end.
            while total < before.st_size and (count := os.readv(handle, [view])):
                whole.update(view[:count])
                total += count
            after = os.fstat(handle)
            if (total, after.st_mtime_ns) != (after.st_size, before.st_mtime_ns):
                return "", total, "it changed while it was read"
        finally:
            os.close(handle)
    except OSError as error:
        return "", total, error.strerror or str(error)
    return whole.hexdigest(), total, ""
