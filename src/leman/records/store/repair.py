"""Making damaged copies good again, only from bytes that are proven good.

All that a storage needs is first written aside and read back; only then is anything moved. So a
crash, or a full disk, at any step leaves every good byte where some copy, or the place aside, has
it, and the next repair goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from leman.errors import LemanError
from leman.files import write_atomic
from leman.findings import Finding
from leman.records.layout import FACTS, LARGEST_FACTS
from leman.records.store import audit, roots, writing
from leman.records.store.audit import unheard
from leman.records.store.catalogue import Entry
from leman.records.store.keep import OWN_CATALOGUE
from leman.records.store.names import CATALOGUE, object_path
from leman.records.store.survey import Survey, survey
from leman.records.store.writing import SpoiltError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.records.store.audit import Audit
    from leman.records.store.keep import Opened, Storage
    from leman.records.store.survey import Copy
    from leman.records.store.writing import Source

_TRIES = 3  # where a good copy goes bad while it is being read


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did: `before` and `after` are audits, `files` how many files were written.

    `troubles` say why a storage could not be written to.
    """

    before: Audit
    after: Audit
    files: int
    troubles: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Work:
    """What was done so far."""

    opened: Opened
    files: int = 0
    troubles: dict[Storage, Finding] = field(default_factory=dict)

    def on(self, storage: Storage, step: Callable[[], None]) -> None:
        """Do a step on a storage; where it cannot be written to, the others go on."""
        if storage in self.troubles:
            return
        try:
            step()
        except SpoiltError:
            raise
        except (OSError, LemanError) as error:
            words = error.message if isinstance(error, LemanError) else error.strerror
            self.troubles[storage] = Finding(
                "not-writable",
                "error",
                str(storage.path),
                f"it could not be written to: {words or error}",
                "What is there is as it was. See to it, then run `leman keep repair` again.",
            )


def repair(opened: Opened, *, progress: Callable[[int, int], None] = unheard) -> Repair:
    """Audit everything, make good what can be, and audit again what was touched."""
    work = Work(opened)
    before, after = audit.Tally(opened), audit.Tally(opened)
    grounds = [roots.surveyed(opened, storage) for storage in opened.storages]
    for whole in audit.surveyed(opened, grounds, progress=progress):
        before.add(whole)
        after.add(mended(work, whole))
    result = before.result(grounds)
    for storage in opened.storages:
        # Looked at again: where a stray was, there may be a record's own folder by now.
        work.on(storage, partial(_mend_ground, opened, storage))
    write_catalogue(work)
    if not any(one.code in {"lost", "inventory-lost", "not-in-reach"} for one in after.findings):
        for storage in opened.storages:  # else what was left aside may be the only copy
            work.on(storage, partial(writing.tidied, storage))
    grounds = [roots.surveyed(opened, storage) for storage in opened.storages]
    troubles = tuple(work.troubles.values())
    after.findings += troubles
    return Repair(result, after.result(grounds), work.files, troubles)


def mended(work: Work, whole: Survey) -> Survey:
    """Make the copies of one record good, enter it in the catalogue; return how it is now.

    Nothing is done where the right inventory may be on a storage that is away.
    """
    opened = work.opened
    for _ in range(_TRIES):
        if not whole.truth or (not whole.proven and opened.away):
            return whole
        opened.catalogue[whole.record] = whole.entry = entered(whole)
        if all(whole.good(copy) for copy in whole.copies):
            return whole
        with contextlib.suppress(SpoiltError):  # seen again at the next try
            for copy in whole.copies:
                if not whole.good(copy):
                    work.on(copy.storage, partial(_mend_copy, work, whole, copy))
        also = _there(whole.found)
        whole = survey(whole.record, whole.entry, opened.storages, also=also)
    return whole


def _there(found: dict[str, list[Path]]) -> dict[str, list[Path]]:
    there = {digest: [one for one in paths if one.exists()] for digest, paths in found.items()}
    return {digest: paths for digest, paths in there.items() if paths}


def entered(whole: Survey) -> Entry:
    """Return the catalogue's entry for what a survey found to be true."""
    before, newest = whole.entry, whole.truth[-1]
    said = tuple(one.digest for one in whole.truth)
    if before and before.inventories == said:
        return before
    sizes = {path: size for copy in whole.copies for path, size in copy.sizes.items()}
    return Entry(
        said,
        before.title if before else title_of(whole),
        len(newest.state()),
        sum(sizes.get(path, 0) for path in newest.contents()),
        before.added if before else str(newest.value["versions"]["v1"].get("created", "")),
    )


def title_of(whole: Survey) -> str:
    """Return the title that a record gives itself, or ""."""
    digest = whole.truth[-1].state().get(FACTS, "")
    for path in whole.found.get(digest, ()):
        if title := read_title(path):
            return title
    return ""


def read_title(path: Path) -> str:
    """Return the title in a record's facts, or "" where there is none that can be read."""
    try:
        if path.stat().st_size <= LARGEST_FACTS:
            return str(json.loads(path.read_bytes())["description"]["title"])[:500]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return ""


def _mend_copy(work: Work, whole: Survey, copy: Copy) -> None:
    root, storage = object_path(whole.record), copy.storage
    if not copy.present:
        files = [
            (path, sources[0], whole.expected[path])
            for path in whole.expected
            if (sources := _sources(whole, path))
        ]
        if files:
            writing.place(storage, writing.stage_tree(storage, files), root)
            work.files += len(files)
        return
    # All is written aside before anything is moved: a file in the wrong place may be the only one.
    ready = [
        (path, staged)
        for path in whole.wrong(copy)
        if (staged := _staged(storage, _sources(whole, path), whole.expected[path]))
    ]
    for path, staged in ready:
        writing.place(storage, staged, f"{root}/{path}")
        whole.found.setdefault(whole.expected[path], []).append(copy.root / path)
        work.files += 1
    for path in whole.unlisted(copy):
        if os.path.lexists(copy.root / path):
            if not _is_empty_folder(copy.root / path):
                writing.set_aside(storage, f"{root}/{path}")
            writing.prune(storage, f"{root}/{path}")
            writing.prune(storage, f"{root}/{path}".rpartition("/")[0])


def _is_empty_folder(path: Path) -> bool:
    return not path.is_symlink() and path.is_dir() and not any(path.iterdir())


def _sources(whole: Survey, path: str) -> list[Source]:
    if path in whole.content:
        return [whole.content[path]]
    return [one for one in whole.found.get(whole.expected[path], ()) if one.exists()]


def _staged(storage: Storage, sources: list[Source], digest: str) -> Path | None:
    for number, source in enumerate(sources, start=1):
        try:
            return writing.stage(storage, source, digest)
        except SpoiltError:
            if number == len(sources):
                raise
    return None


def put(storage: Storage, path: str, data: bytes) -> None:
    """Write one of a storage's own files."""
    staged = writing.stage(storage, data, hashlib.sha256(data).hexdigest())
    writing.place(storage, staged, path)


def _mend_ground(opened: Opened, storage: Storage) -> None:
    ground = roots.surveyed(opened, storage)
    for path, data in ground.wrong.items():
        if path != CATALOGUE:
            put(ground.storage, path, data)
    for path in ground.strays:
        if os.path.lexists(ground.storage.path / path):
            writing.set_aside(ground.storage, path)
            writing.prune(ground.storage, path.rpartition("/")[0])
    for path in ground.empty:
        writing.prune(ground.storage, path)


def write_catalogue(work: Work) -> None:
    """Write the catalogue: the keeper's own copy first, then that of each storage."""
    opened, data = work.opened, work.opened.text()
    folder = opened.keep.folder
    for left in [*folder.glob(".catalogue.json.*"), *folder.glob(".audit.json.*")]:
        left.unlink(missing_ok=True)  # of a process that was killed: we hold the lock
    own = folder / OWN_CATALOGUE
    if own in opened.troubles or not own.exists() or own.read_bytes() != data:
        write_atomic(own, data)
    opened.troubles.clear()
    for storage in opened.storages:
        if roots.read_file(storage.path / CATALOGUE) != data:
            work.on(storage, partial(put, storage, CATALOGUE, data))
