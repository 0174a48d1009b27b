"""Making storages, and registering them as a keep."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman.errors import UsageError
from leman.files import write_atomic
from leman.records.store import catalogue as catalogues
from leman.records.store.keep import (
    LOCK,
    OWN_CATALOGUE,
    SETTINGS,
    Keep,
    Storage,
    checked_name,
    entries,
    is_ours,
    locked,
    marker,
    marker_text,
    parsed,
    settings_text,
)
from leman.records.store.names import CATALOGUE, FIXED, MARKER, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable


def start(home: Path, folders: Iterable[Path], name: str, *, fresh: bool = False) -> Keep:
    """Make storages in `folders` and register them as the keep called `name` below `home`.

    A folder that is a storage of the keep already is registered where it is now: after a disk
    was mounted elsewhere, or `home` was lost. `fresh` makes an empty folder the storage anew
    that was there before: after a disk was replaced. Raises UsageError for a folder that holds
    something else; then nothing is changed.
    """
    folder = home / checked_name(name)
    paths = [Path(os.path.abspath(one)) for one in folders]  # noqa: PTH100 - links stay
    _check_apart(paths)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, lambda: None, create=True):
        _check_no_namesake(home, name, _known_id(paths))
        keep = _before(folder) or Keep(_known_id(paths) or str(uuid.uuid4()), name, folder, ())
        plans = [_planned(keep, path, fresh=fresh) for path in paths]
        for storage in plans:
            keep = _with(keep, storage)
        for storage in plans:
            _make(keep, storage)
        own = folder / OWN_CATALOGUE
        if not own.exists():
            write_atomic(own, catalogues.text({}, keep.id))
        write_atomic(folder / SETTINGS, settings_text(keep))
    return keep


def _check_apart(paths: list[Path]) -> None:
    real = [path.resolve() for path in paths]
    for number, one in enumerate(real):
        for other in real[number + 1 :]:
            if one == other or one in other.parents or other in one.parents:
                raise UsageError(f"{one} and {other} are not two places")


def _before(folder: Path) -> Keep | None:
    """Return the keep that is registered; what is damaged is kept beside, under another name."""
    path = folder / SETTINGS
    found = _read(folder)
    if found is None and path.exists():
        path.replace(folder / f"{SETTINGS}.damaged")
    return found


def _known_id(paths: list[Path]) -> str:
    """Return the keep to which folders that are storages already belong, or ""."""
    found = {said["keep"] for path in paths if (said := marker(path))}
    if len(found) > 1:
        raise UsageError("these folders are storages of different keeps")
    return next(iter(found), "")


def _check_no_namesake(home: Path, name: str, identity: str) -> None:
    """Refuse to register a keep under a second name. Raises UsageError."""
    for path in home.glob(f"*/{SETTINGS}"):
        other = _read(path.parent)
        if other and identity and other.id == identity and other.name != name:
            raise UsageError(
                f"these are storages of the keep called {other.name}",
                hint=f"Give its name: --name {other.name}.",
            )


def _read(folder: Path) -> Keep | None:
    try:
        return parsed((folder / SETTINGS).read_bytes(), folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _planned(keep: Keep, path: Path, *, fresh: bool) -> Storage:
    """Say which storage a folder is going to be. Raises UsageError where it cannot be one."""
    there = next((one for one in keep.storages if one.path == path), None)
    try:
        names = entries(path)
    except FileNotFoundError:
        names = set()
    except NotADirectoryError:
        raise UsageError(f"{path} is a file", hint="A storage is a folder.") from None
    said = marker(path)
    if said and said["keep"] == keep.id:
        return Storage(said["storage"], path)
    if said:
        raise UsageError(f"{path} is a storage of another keep, called {said['name']}")
    if CATALOGUE in names and is_ours(path, keep):  # its marker alone is gone
        return there or Storage(str(uuid.uuid4()), path)
    if ROOT in names:
        raise UsageError(f"{path} is an OCFL storage root that is not of this keep")
    if names:
        raise UsageError(
            f"{path} is not empty: there is {min(names)!r} in it",
            hint="Give a folder that is new or empty.",
        )
    if there and not fresh:
        raise UsageError(
            f"{path} is a storage of {keep.name} already, but nothing is in it",
            hint="Mount its disk. If it was replaced, add --replaced, then `leman keep repair`.",
        )
    _check_nested(keep, path)
    return Storage(str(uuid.uuid4()), path)


def _check_nested(keep: Keep, path: Path) -> None:
    real = path.resolve()
    for one in [*(storage.path for storage in keep.storages), keep.folder]:
        other = one.resolve()
        if real != other and (real in other.parents or other in real.parents):
            raise UsageError(f"{path} and {one} are not two places")


def _with(keep: Keep, storage: Storage) -> Keep:
    others = [one for one in keep.storages if one.id != storage.id and one.path != storage.path]
    return replace(keep, storages=(*others, storage))


def _make(keep: Keep, storage: Storage) -> None:
    """Write a storage's files; its marker first, so that a start that was stopped can go on."""
    storage.path.mkdir(parents=True, exist_ok=True)
    empty = catalogues.text({}, keep.id)
    for path, data in {MARKER: marker_text(keep, storage), **FIXED, CATALOGUE: empty}.items():
        if not (storage.path / path).exists():
            write_atomic(storage.path / path, data)
