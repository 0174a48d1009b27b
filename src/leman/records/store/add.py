"""Taking a record into a keep: onto every storage, or onto none that could not take all of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from leman.errors import LemanError, SourceError
from leman.files import sha256_of
from leman.records.bag.check import Contents, check
from leman.records.bag.hashing import digests
from leman.records.layout import FACTS, GROWING, TAG_MANIFEST
from leman.records.store import audit as audits
from leman.records.store import inventory as inventories
from leman.records.store import writing
from leman.records.store.catalogue import Entry
from leman.records.store.names import INVENTORY, SIDECAR, STAGED, object_path
from leman.records.store.repair import Work, mended, put, read_title, write_catalogue
from leman.records.store.roots import leftovers
from leman.records.store.survey import survey
from leman.records.store.writing import SpoiltError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.findings import Finding
    from leman.records.store.inventory import Inventory
    from leman.records.store.keep import Opened, Storage
    from leman.records.store.survey import Survey
    from leman.records.store.writing import Source

_TOLD = 5  # findings in a message


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it: `copies` are storages that have the record whole now.

    `missing` are those that have not, each with the reason.
    """

    record: str
    title: str
    version: str
    outcome: Literal["new record", "new version", "nothing new"]
    copies: int
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """A record that is intact: path → SHA-256 of every file, and the bytes of all."""

    path: Path
    id: str
    files: dict[str, str]
    size: int


def add(
    opened: Opened, record: Path, *, progress: Callable[[int, int], None] = lambda _d, _t: None
) -> Added:
    """Take in the record in a folder, or what it has that the keep has not.

    Raises SourceError where it is no record, or not intact; what keeps all storages from taking
    it, such as a full disk, is raised as it is.
    """
    read = _read(record, progress)
    if not opened.storages:
        reasons = "; ".join(f"{one.path}: {why}" for one, why in opened.away.items())
        raise SourceError(f"no storage of {opened.keep.name} is in reach: {reasons}")
    work = Work(opened)
    whole = _looked_at(work, read)
    before = whole.truth[-1] if whole.truth else None
    if before is not None and not (whole.proven and whole.known):
        raise SourceError(
            f"what the keep has of {read.id} cannot be told without the storages that are away",
            hint="Bring them back, then add the record again.",
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    after = inventories.following(before, read.id, read.files, now, opened.keep.id)
    if after is None:
        copies = [copy.storage for copy in whole.copies if whole.good(copy)]
        outcome: Literal["new record", "new version", "nothing new"] = "nothing new"
    else:
        copies = _written(work, whole, read, after)
        _enter(work, whole, read, after)
        outcome = "new version" if before else "new record"
    write_catalogue(work)
    for storage in opened.storages:
        writing.prune(storage, STAGED)  # what a crash left there is for a repair
    entry = opened.catalogue[read.id]
    return Added(read.id, entry.title, entry.head, outcome, len(copies), _missing(work, copies))


def _read(record: Path, progress: Callable[[int, int], None]) -> _Read:
    if not record.is_dir():
        words = "is not there" if not record.exists() else "is not a folder"
        raise SourceError(f"{record} {words}; a record is a folder")
    contents = Contents()
    problems = [
        one for one in check(record, contents, progress=progress) if one.severity == "error"
    ]
    if problems:
        raise SourceError(_refusal(record, problems), hint="Only a record that is whole is kept.")
    files = {
        path: digest
        for entries in contents.manifests.values()
        for path, digest in entries.items()
        if path in contents.listing.files
    }
    identity = sha256_of(record / TAG_MANIFEST)
    files[TAG_MANIFEST] = identity
    side = [path for path in contents.listing.files if path.partition("/")[0] in GROWING]
    for path, digest, _, trouble in digests((path, os.fspath(record / path)) for path in side):
        if trouble:
            raise SourceError(f"{record / path}: {trouble}")
        files[path] = digest
    return _Read(record, f"sha256:{identity}", files, contents.listing.size)


def _refusal(record: Path, problems: list[Finding]) -> str:
    if [one.code for one in problems[:1]] == ["no-bag"] or any(
        one.code == "no-bag" for one in problems
    ):
        return f"{record} is no record: there is no bagit.txt in it"
    told = [f"{one.where}: {one.message}" if one.where else one.message for one in problems]
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"{record} is not intact: {'; '.join(told[:_TOLD])}{more}"


def _looked_at(work: Work, read: _Read) -> Survey:
    """Survey what the keep has of a record; where that is not in order, mend it first.

    The record at hand is as good a source as any copy: it brings back a file that was lost.
    """
    opened = work.opened
    entry = opened.catalogue.get(read.id)
    whole = survey(read.id, entry, opened.storages, quick=True)
    there = any(copy.present for copy in whole.copies)
    if not there and entry is None:
        return whole
    last = audits.last(opened.keep)
    sound = last is not None and last.copies.get(read.id) == len(opened.storages)
    if sound and whole.known and whole.proven and all(whole.good(copy) for copy in whole.copies):
        return whole
    also = leftovers(opened.storages)
    for path, digest in read.files.items():
        also.setdefault(digest, []).append(read.path / path)
    return mended(work, survey(read.id, entry, opened.storages, also=also))


def _written(work: Work, whole: Survey, read: _Read, after: Inventory) -> list[Storage]:
    """Write the new version onto each storage that can take it. Raises if none can."""
    done = []
    for copy in whole.copies:
        if whole.truth and not whole.good(copy):
            continue  # told below; a version on top of a damaged one would hide the damage
        step = partial(_write, copy.storage, whole.truth, read, after)
        try:
            work.on(copy.storage, step)
        except SpoiltError as error:
            raise SourceError(
                f"{error.message} while it was being added", hint="Try again."
            ) from None
        if copy.storage not in work.troubles:
            done.append(copy.storage)
    if not done:
        reasons = [one.message for one in work.troubles.values()]
        reasons += ["its copies are damaged"] if not reasons else []
        raise LemanError(
            f"{read.path} could not be added to any storage: {'; '.join(reasons)}",
            hint="Nothing of it was kept. `leman keep audit` tells more.",
        )
    return done


def _write(storage: Storage, truth: list[Inventory], read: _Read, after: Inventory) -> None:
    root, head = object_path(read.id), after.head
    names = {f"{head}/content/{path}": read.path / path for path in read.files}
    admin = inventories.administrative([*truth, after])
    sources: list[tuple[str, Source, str]] = [
        (path, names[path], digest)
        for path, digest in after.contents().items()
        if path.startswith(f"{head}/")
    ]
    if not truth:
        sources += [(path, data, _digest(data)) for path, data in admin.items()]
        writing.place(storage, writing.stage_tree(storage, sources), root)
        return
    sources += [
        (path, data, _digest(data)) for path, data in admin.items() if path.startswith(f"{head}/")
    ]
    inner = [(path.removeprefix(f"{head}/"), source, digest) for path, source, digest in sources]
    # The version is whole before the object says that it has it; a crash between is mended.
    writing.place(storage, writing.stage_tree(storage, inner), f"{root}/{head}")
    put(storage, f"{root}/{INVENTORY}", admin[INVENTORY])
    put(storage, f"{root}/{SIDECAR}", admin[SIDECAR])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _enter(work: Work, whole: Survey, read: _Read, after: Inventory) -> None:
    before = whole.entry
    said = (*(one.digest for one in whole.truth), after.digest)
    sizes = sum(
        (read.path / path).stat().st_size
        for path in read.files
        if f"{after.head}/content/{path}" in after.contents()
    )
    work.opened.catalogue[read.id] = Entry(
        said,
        read_title(read.path / FACTS),
        len(after.state()),
        sizes + (before.size if before else 0),
        before.added if before else str(after.value["versions"]["v1"]["created"]),
    )


def _missing(work: Work, copies: list[Storage]) -> tuple[tuple[str, str], ...]:
    opened = work.opened
    away = [(str(storage.path), reason) for storage, reason in opened.away.items()]
    for storage in opened.storages:
        if storage not in copies:
            trouble = work.troubles.get(storage)
            words = trouble.message if trouble else "its copy is damaged"
            away.append((str(storage.path), words))
    return tuple(away)
