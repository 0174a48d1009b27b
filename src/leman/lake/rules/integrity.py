"""Whether storages hold what the catalogue says: damaged, lost and dark files.

Only what was seen is said: a storage that does not answer makes its files unknown, not lost.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal

from leman.lake.interface import StorageError, Stored
from leman.lake.model import ReplicaState
from leman.lake.rules.arrival import damage, no_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from typing import IO

    from leman.lake.interface import Storage
    from leman.lake.model import Replica
    from leman.lake.rules.interface import Book

# A file may be written before its replica is registered, and listed before it is written.
MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A file that is not as the catalogue says; `replica` is None for a dark one.

    dark: the storage holds it, the catalogue does not know it; lost: the other way round;
    damaged: its bytes are others; unknown: it could not be read, `why` says what was tried.
    """

    kind: Literal["dark", "lost", "damaged", "unknown"]
    rse: str
    path: str
    why: str
    size: int = 0
    replica: Replica | None = None


def scrub(
    book: Book,
    rse: str,
    storage: Storage,
    *,
    pause: Callable[[int], None] = no_wait,
    progress: Callable[[Replica], None] = lambda _: None,
) -> Iterator[Discrepancy]:
    """Read every AVAILABLE replica again and mark BAD what is damaged or not there.

    `pause` is called with the bytes read, such as `limited.Limit.take`.
    """
    for replica in book.replicas(rse):
        if replica.state is not ReplicaState.AVAILABLE:
            continue
        try:
            why, _ = damage(storage, replica.path, replica.size, replica.checksums, pause)
            kind: Literal["lost", "damaged"] = "damaged"
        except StorageError as error:
            if error.kind != "no-such-file":
                yield Discrepancy(
                    "unknown", rse, replica.path, error.message, replica.size, replica
                )
                continue
            kind, why = "lost", error.message
        # Someone may have deleted or replaced it meanwhile: then it is not what was read here.
        if why and book.mark(replica, ReplicaState.BAD, why):
            yield Discrepancy(kind, rse, replica.path, why, replica.size, replica)
        progress(replica)


def compare(
    book: Book, rse: str, storage: Storage, now: datetime, *, margin: timedelta = MARGIN
) -> Iterator[Discrepancy]:
    """Compare a storage's listing with the catalogue's: dark and lost files, and wrong sizes.

    Both are merged in the order of paths; memory does not grow with their number. Files changed,
    and replicas made, less than `margin` before `now` are left out. Nothing is changed: `scrub`
    marks, people decide on dark files. Raises StorageError if the listing breaks off.
    """
    border = now - margin
    with ExitStack() as stack:
        listing = in_order(storage.list(), stack)
        for path, file, replica in _merge(listing, book.replicas(rse)):
            if replica is None and file is not None:
                if file.changed < border.timestamp():
                    yield Discrepancy(
                        "dark", rse, path, "the catalogue does not know it", file.size
                    )
            elif replica is not None and replica.state is ReplicaState.AVAILABLE:
                finding = _listed(rse, replica, file, border, storage)
                if finding:
                    yield finding


def _listed(
    rse: str, replica: Replica, file: Stored | None, border: datetime, storage: Storage
) -> Discrepancy | None:
    if replica.created is not None and replica.created >= border:
        return None
    if file is not None:
        if file.size == replica.size:
            return None
        why = f"it has {file.size} bytes instead of {replica.size}"
        return Discrepancy("damaged", rse, replica.path, why, replica.size, replica)
    try:
        next(iter(storage.get(replica.path)), b"")
    except StorageError as error:
        kind: Literal["lost", "unknown"] = "lost" if error.kind == "no-such-file" else "unknown"
        return Discrepancy(kind, rse, replica.path, error.message, replica.size, replica)
    return None


def _merge(
    files: Iterator[Stored], replicas: Iterator[Replica]
) -> Iterator[tuple[str, Stored | None, Replica | None]]:
    file, replica = next(files, None), next(replicas, None)
    while file is not None or replica is not None:
        if replica is None or (file is not None and _key(file.path) < _key(replica.path)):
            assert file is not None  # noqa: S101 - one of the two is there
            yield file.path, file, None
            file = next(files, None)
        elif file is None or _key(replica.path) < _key(file.path):
            yield replica.path, None, replica
            replica = next(replicas, None)
        else:
            yield file.path, file, replica
            file, replica = next(files, None), next(replicas, None)


def in_order(
    files: Iterable[Stored], stack: ExitStack, *, chunk: int = 100_000
) -> Iterator[Stored]:
    """Yield files in the order of their paths as bytes, at most `chunk` of them in memory.

    More are sorted in pieces, in temporary files that live as long as `stack`.
    """
    rest = iter(files)
    pieces: list[Iterator[Stored]] = []
    while piece := sorted(islice(rest, chunk), key=lambda one: _key(one.path)):
        if len(piece) < chunk:
            pieces.append(iter(piece))
            break
        spill = stack.enter_context(
            tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - the stack closes it
        )
        spill.writelines(json.dumps([one.path, one.size, one.changed]) + "\n" for one in piece)
        spill.seek(0)
        pieces.append(_read(spill))
    return heapq.merge(*pieces, key=lambda one: _key(one.path))


def _read(spill: IO[str]) -> Iterator[Stored]:
    for line in spill:
        yield Stored(*json.loads(line))


def _key(path: str) -> bytes:
    return path.encode(errors="surrogateescape")
