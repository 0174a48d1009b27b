"""Taking a record out of a keep: each file from whichever storage has it right."""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.errors import SourceError, UsageError
from leman.files import remove_tree
from leman.records.bag.check import Contents, check
from leman.records.layout import FACTS, LARGEST_FACTS, SOURCE
from leman.records.store.keep import entries
from leman.records.store.survey import survey
from leman.records.store.writing import SpoiltError, write_verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.records.store.keep import Opened
    from leman.records.store.survey import Survey

_SHORTEST = 4  # digits of an id


@dataclass(frozen=True, slots=True)
class Got:
    """A record that was taken out: `files` and `size` in bytes were compared with their digests."""

    record: str
    title: str
    version: str
    files: int
    size: int


def named(opened: Opened, name: str) -> str:
    """Return the id of the record whose id begins with `name`, with or without ``sha256:``.

    Raises UsageError where there is none, or more than one.
    """
    digits = name.removeprefix("sha256:").lower()
    if len(digits) < _SHORTEST:
        raise UsageError(f"{name!r} is too short: give at least {_SHORTEST} digits of the id")
    fitting = [one for one in opened.catalogue if one.startswith(f"sha256:{digits}")]
    if not fitting:
        raise UsageError(
            f"{opened.keep.name} has no record whose id begins with {name}",
            hint="`leman keep list` names those that it has.",
        )
    if len(fitting) > 1:
        told = ", ".join(one[:23] for one in fitting[:5])
        raise UsageError(f"{len(fitting)} ids begin with {name}: {told}", hint="Give more digits.")
    return fitting[0]


def get(
    opened: Opened,
    record: str,
    folder: Path,
    *,
    version: str = "",
    progress: Callable[[int, int], None] = lambda _d, _t: None,
) -> Got:
    """Write a record, its newest state or that of `version`, into a folder that is not there yet.

    Raises UsageError for a folder with something in it or a version that there is not, SourceError
    where a file is lost or the record is not intact: then no folder is left.
    """
    if (folder.exists() and not folder.is_dir()) or (folder.is_dir() and entries(folder)):
        raise UsageError(f"{folder} is there already", hint="Give the name of a new folder.")
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}")
    whole = survey(record, opened.catalogue[record], opened.storages, quick=True)
    if not whole.truth:
        raise SourceError(
            f"no inventory of {record} that can be read is in reach",
            hint="Bring back the storages that are away, then run `leman keep repair`.",
        )
    _checked_version(whole, version)
    partial = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        size = _write(whole, version, partial, progress)
        _check_intact(record, partial)
        _make_executable(partial)
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(partial)
        raise
    files = len(whole.truth[-1].state(version))
    title = opened.catalogue[record].title
    return Got(record, title, version or whole.truth[-1].head, files, size)


def _checked_version(whole: Survey, version: str) -> None:
    known = list(whole.truth[-1].value["versions"])
    if version and version not in known:
        raise UsageError(
            f"{whole.record} has no version {version}", hint=f"It has v1 to {known[-1]}."
        )


def _check_intact(record: str, folder: Path) -> None:
    for one in check(folder, Contents()):
        if one.severity == "error":
            raise SourceError(f"{record} is not intact: {one.where}: {one.message}")


def _write(whole: Survey, version: str, target: Path, progress: Callable[[int, int], None]) -> int:
    newest = whole.truth[-1]
    places: dict[str, list[str]] = newest.value["manifest"]
    state = newest.state(version)
    done = 0
    for number, (path, digest) in enumerate(state.items(), start=1):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        sources = [copy.root / one for copy in whole.copies for one in places[digest]]
        if not any(_copied(source, place, digest) for source in sources):
            raise SourceError(
                f"no storage in reach has a good copy of {path!r} of {whole.record}",
                hint="`leman keep audit` tells what is damaged, and where.",
            )
        place.chmod(0o644)
        done += place.stat().st_size
        progress(number, len(state))
    return done


def _copied(source: Path, place: Path, digest: str) -> bool:
    try:
        write_verified(source, place, digest)
    except SpoiltError:
        place.unlink(missing_ok=True)
        return False
    return True


def _make_executable(record: Path) -> None:
    """Set the executable bit of the source's files that had it: a store does not keep bits."""
    path = record / FACTS
    try:
        if path.stat().st_size > LARGEST_FACTS:
            return
        names = json.loads(path.read_bytes())["source"]["executable"]
        wanted = {f"{SOURCE}/{name}" for name in names}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    for name in wanted:
        one = record / name
        inside = one.resolve().is_relative_to(record.resolve())
        if inside and one.is_file() and not one.is_symlink():
            one.chmod(0o755)
