"""A keep: a name for storages that hold the same records, and what of them is in reach now."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.errors import UsageError
from leman.records.layout import NAME
from leman.records.store import catalogue as catalogues
from leman.records.store.names import CATALOGUE, IGNORED, MARKER, ROOT, object_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.records.store.catalogue import Catalogue

FORMAT = "leman-keep/1"
STORAGE_FORMAT = "leman-storage/1"
DEFAULT = "records"
SETTINGS = "keep.json"
OWN_CATALOGUE = "catalogue.json"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Storage:
    """One folder that holds a copy of every record; `id` is the UUID in its marker file."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Keep:
    """A keep as it is registered in `folder`, below ``LEMAN_HOME/records``."""

    id: str
    name: str
    folder: Path
    storages: tuple[Storage, ...]


@dataclass(slots=True)
class Opened:
    """A keep at work, locked: `away` says why a storage is not in reach."""

    keep: Keep
    storages: tuple[Storage, ...] = ()
    away: dict[Storage, str] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=dict)
    troubles: dict[Path, str] = field(default_factory=dict)  # of copies of the catalogue

    def text(self) -> bytes:
        """Return the catalogue as every copy of it should be."""
        return catalogues.text(self.catalogue, self.keep.id)


def checked_name(name: str) -> str:
    """Return `name`. Raises UsageError unless it can be a keep's."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"a keep cannot be called {name!r}",
            hint="Letters, digits, “.”, “_” and “-”, at most 64; the first is a letter or a digit.",
        )
    return name


def registered(home: Path, name: str = DEFAULT) -> Keep:
    """Return the keep called `name` below `home`.

    Raises UsageError where there is none, or what is known of it is damaged.
    """
    folder = home / checked_name(name)
    path = folder / SETTINGS
    try:
        return parsed(path.read_bytes(), folder)
    except FileNotFoundError:
        others = sorted(one.parent.name for one in home.glob(f"*/{SETTINGS}"))
        known = f" There is {', '.join(others)}: name it with --name." if others else ""
        raise UsageError(
            f"there is no keep called {name}",
            hint=f"Make one: `leman keep init FOLDER FOLDER …`.{known}",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged: it no longer says where the storages are",
            hint="Run `leman keep init` with their folders: nothing in them is changed.",
        ) from error


def parsed(data: bytes, folder: Path) -> Keep:
    """Read ``keep.json``. Raises ValueError, KeyError or TypeError where it is damaged."""
    value = json.loads(data)
    if value["format"] != FORMAT:
        raise ValueError(value["format"])
    storages = tuple(Storage(str(one["id"]), Path(one["path"])) for one in value["storages"])
    return Keep(str(value["id"]), folder.name, folder, storages)


def settings_text(keep: Keep) -> bytes:
    """Return the content of ``keep.json``."""
    storages = [{"id": one.id, "path": str(one.path)} for one in keep.storages]
    value = {"format": FORMAT, "id": keep.id, "name": keep.name, "storages": storages}
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def marker_text(keep: Keep, storage: Storage) -> bytes:
    """Return the content of the file by which a storage is known."""
    value = {
        "format": STORAGE_FORMAT,
        "keep": keep.id,
        "name": keep.name,
        "storage": storage.id,
    }
    return (json.dumps(value, indent=1) + "\n").encode()


def marker(path: Path) -> dict[str, str]:
    """Return what a folder's marker says, or nothing where it has none that can be read."""
    try:
        value: Any = json.loads((path / MARKER).read_bytes())
        if value["format"] == STORAGE_FORMAT:
            return {key: str(value[key]) for key in ("keep", "name", "storage")}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {}


def entries(path: Path) -> set[str]:
    """Return the names in a folder, without what its file system puts there."""
    return set(os.listdir(path)) - IGNORED  # noqa: PTH208 - names alone


def why_away(keep: Keep, storage: Storage, known: Catalogue) -> str:
    """Say why a storage is not in reach, or return "".

    A disk that is not mounted must never look like lost copies: its folder is missing, or empty,
    or holds something else. A storage whose marker alone is damaged is known by its records.
    """
    path = storage.path
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return "it is not a folder"
        names = entries(path)
    except FileNotFoundError:
        return "there is no such folder; is its disk mounted?"
    except OSError as error:
        return error.strerror or str(error)
    return (
        _why_other(keep, storage, known, names)
        if names
        else "the folder is empty; is its disk mounted?"
    )


def _why_other(keep: Keep, storage: Storage, known: Catalogue, names: set[str]) -> str:
    path, found = storage.path, marker(storage.path)
    if found and found["storage"] in {one.id for one in keep.storages if one != storage}:
        return "another storage of this keep is in its place"
    if found and (found["keep"], found["storage"]) != (keep.id, storage.id):
        # Either another keep's, or ours with a marker that was changed.
        return "" if is_ours(path, keep) else "a storage of another keep is in its place"
    if found or ROOT in names or CATALOGUE in names:
        return ""
    held = any((path / object_path(record)).is_dir() for record in known)
    return "" if held else "the folder holds something else; is its disk mounted?"


def is_ours(path: Path, keep: Keep) -> bool:
    """Tell whether a folder has a copy of the keep's catalogue that is whole."""
    try:
        catalogues.read(path / CATALOGUE, keep.id)
    except catalogues.CatalogueError:
        return False
    return True


@contextlib.contextmanager
def opened(
    home: Path, name: str = DEFAULT, *, waiting: Callable[[], None] = lambda: None
) -> Iterator[Opened]:
    """Open a keep for work that nobody else does at the same time; `waiting` is called once.

    Raises UsageError where there is no such keep.
    """
    with contextlib.ExitStack() as locks:
        folder = registered(home, name).folder
        locks.enter_context(locked(folder / LOCK, waiting, create=True))
        keep = registered(home, name)  # again: another process may have added a storage
        yield _looked_at(keep, locks, waiting)


def glanced(home: Path, name: str = DEFAULT) -> Opened:
    """Look at a keep without keeping anybody out: for work that changes nothing in it."""
    with contextlib.ExitStack() as no_locks:
        return _looked_at(registered(home, name), no_locks, None)


def _looked_at(
    keep: Keep, locks: contextlib.ExitStack, waiting: Callable[[], None] | None
) -> Opened:
    found = Opened(keep)
    own = _readable(found, keep.folder / OWN_CATALOGUE)
    here = []
    for storage in keep.storages:
        if reason := why_away(keep, storage, own[0] if own else {}):
            found.away[storage] = reason
        else:
            if waiting:
                locks.enter_context(locked(storage.path / MARKER, waiting))
            here.append(storage)
    copies = own + [one for storage in here for one in _readable(found, storage.path / CATALOGUE)]
    found.storages, found.catalogue = tuple(here), catalogues.merged(copies)
    return found


def _readable(found: Opened, path: Path) -> list[Catalogue]:
    try:
        return [catalogues.read(path, found.keep.id)]
    except catalogues.CatalogueError as error:
        found.troubles[path] = str(error)
        return []


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None], *, create: bool = False) -> Iterator[None]:
    """Hold the lock on a file; one that is missing or cannot be locked is passed over.

    The lock on a storage's marker keeps out other users' keeps, the one at home our own.
    """
    handle = _lock(path, waiting, create=create)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(path: Path, waiting: Callable[[], None], *, create: bool) -> int | None:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    while True:
        try:
            handle = os.open(path, flags, 0o644)
        except OSError:
            if create:
                raise
            return None
        try:
            _wait_for(handle, waiting)
            # The file may have been replaced while we waited: then the lock is on no file at all.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except OSError:  # a file system without locks
            return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _wait_for(handle: int, waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
