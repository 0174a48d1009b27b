"""What lies in a storage beside the objects that the catalogue knows."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leman.records.bag.hashing import digests
from leman.records.store.keep import marker_text
from leman.records.store.names import (
    ASIDE,
    CATALOGUE,
    EXTENSION,
    EXTENSIONS,
    FIXED,
    IGNORED,
    MARKER,
    STAGED,
    TUPLE,
    WORK,
    record_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.records.store.keep import Opened, Storage

_DEPTH = 3  # folders above an object


@dataclass(slots=True)
class Ground:
    """A storage's own files and folders. Paths are relative to its root.

    `objects` are the paths of records' objects, `unknown` those of folders in the place of one;
    `strays` do not belong where they are, `guests` are at the top, which is not ours alone;
    `empty` folders have nothing in them.
    """

    storage: Storage
    objects: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, bytes] = field(default_factory=dict)  # our files → what they should hold
    aside: int = 0  # files that were set aside


def surveyed(opened: Opened, storage: Storage) -> Ground:
    """Walk a storage down to its objects, and compare its own files."""
    found = Ground(storage)
    _walk(found)
    wanted = own_files(opened, storage)
    for path, data in wanted.items():
        if read_file(storage.path / path) != data:
            found.wrong[path] = data
    if (storage.path / ASIDE).is_dir():
        found.aside = sum(len(names) for _, _, names in os.walk(storage.path / ASIDE))
    return found


def own_files(opened: Opened, storage: Storage) -> dict[str, bytes]:
    """Return path → content of every file of a storage that is in no object."""
    return {**FIXED, MARKER: marker_text(opened.keep, storage), CATALOGUE: opened.text()}


def read_file(path: Path) -> bytes | None:
    """Return the content of a regular file, or None where there is none that can be read."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        return path.read_bytes()
    except OSError:
        return None


def _walk(found: Ground) -> None:
    known = {*FIXED, MARKER, CATALOGUE}
    pending = deque([("", 0)])
    while pending:
        folder, depth = pending.popleft()
        try:
            with os.scandir(found.storage.path / folder) as entries:
                names = sorted(entries, key=lambda one: one.name)
        except OSError as error:
            found.unread[folder] = error.strerror or str(error)
            continue
        if not names and folder:
            found.empty.append(folder)
        for entry in names:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if path in known or path in {WORK, *IGNORED}:
                continue  # their content is compared elsewhere
            if is_folder and path in {EXTENSIONS, f"{EXTENSIONS}/{EXTENSION}"}:
                pending.append((path, -1))
            elif is_folder and 0 <= depth < _DEPTH and TUPLE.fullmatch(entry.name):
                pending.append((path, depth + 1))
            elif is_folder and depth == _DEPTH:
                (found.objects if record_at(path) else found.unknown).append(path)
            elif depth == 0:
                found.guests.append(path)
            else:
                found.strays.append(path)


def uncatalogued(opened: Opened, grounds: list[Ground]) -> set[str]:
    """Return the records whose objects are there and that the catalogue does not have."""
    told = {record_at(path) for ground in grounds for path in ground.objects}
    return told - {""} - opened.catalogue.keys()


def leftovers(storages: tuple[Storage, ...]) -> dict[str, list[Path]]:
    """Return SHA-256 → files that a crash left while they were on the way to their place."""
    folders = [storage.path / STAGED for storage in storages]
    return _hashed(path for folder in folders for path in _files(folder))


@dataclass(slots=True)
class Hidden:
    """Files that lie where they do not belong: the last places to look for what is missing."""

    opened: Opened
    found: dict[str, list[Path]] | None = None

    def files(self) -> dict[str, list[Path]]:
        """Return SHA-256 → files; looked for again where one was moved since."""
        if self.found is None or not all(
            path.exists() for paths in self.found.values() for path in paths
        ):
            folders = [
                storage.path / name
                for storage in self.opened.storages
                for ground in [surveyed(self.opened, storage)]
                for name in (*ground.strays, *ground.unknown, *ground.guests, WORK)
            ]
            self.found = _hashed(path for folder in folders for path in _files(folder))
        return self.found


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        return
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _hashed(paths: Iterator[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, digest, _, trouble in digests((str(path), str(path)) for path in paths):
        if not trouble:
            found.setdefault(digest, []).append(Path(path))
    return found
