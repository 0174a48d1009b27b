"""What a source's history holds that its present files do not: deleted files, older versions."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from leman.environments.git import git, lines_of, read_objects
from leman.environments.history import FORMAT, Change, commit_named, read_log
from leman.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Source

LARGEST = 50_000_000  # bytes of one old file
MOST = 500  # files of one old folder
_SECONDS = 60.0  # for a walk through all commits
_POINTER = b"version https://git-lfs"


def deleted(source: Source, name: str) -> tuple[Change, ...]:
    """Return the last state of each file called `name` that is in the history, not in the files.

    Names are compared without case. Paths of the result are relative to the source; newest first.
    """
    wanted = name.lower()
    return tuple(
        one
        for one in _last_states(source)
        if PurePosixPath(one.path).name.lower() == wanted and not (source.path / one.path).exists()
    )


def deleted_folder(source: Source, name: str) -> dict[str, tuple[Change, ...]]:
    """Return path of a folder called `name` that is gone → the last state of its files."""
    found: dict[str, list[Change]] = {}
    for one in _last_states(source):
        parts = PurePosixPath(one.path).parts
        for number, part in enumerate(parts[:-1], 1):
            folder = "/".join(parts[:number])
            if part.lower() == name.lower() and not (source.path / folder).exists():
                found.setdefault(folder, []).append(one)
    return {folder: tuple(files[:MOST]) for folder, files in found.items()}


def versions(source: Source, path: str) -> tuple[Change, ...]:
    """Return the states that a file (relative to the source) had, each once, newest first."""
    seen: dict[str, Change] = {}
    for change in _changes(source):
        if change.path == path and change.after:
            seen.setdefault(change.after, change)
    return tuple(seen.values())


def contents(source: Source, changes: tuple[Change, ...]) -> dict[str, bytes]:
    """Return path → content of those states that are on this disk and are no LFS pointers."""
    if source.git_dir is None:
        return {}
    by_oid: dict[str, list[str]] = {}
    for one in changes:
        by_oid.setdefault(one.after, []).append(one.path)
    try:
        found = list(read_objects(source.git_dir, by_oid, largest=LARGEST))
    except ToolError:
        return {}
    return {
        path: content
        for oid, content in found
        for path in by_oid[oid]
        if not content.startswith(_POINTER)
    }


def _last_states(source: Source) -> tuple[Change, ...]:
    """Return for each path of the history its newest state that had content."""
    seen: dict[str, Change] = {}
    for change in _changes(source):
        oid = change.after or change.before
        if oid:
            seen.setdefault(
                change.path, Change(change.commit, change.day, change.path, change.before, oid)
            )
    return tuple(seen.values())


def _changes(source: Source) -> tuple[Change, ...]:
    """Return every change to every file of the source, newest first; nothing without a history."""
    if source.git_dir is None:
        return ()
    top = f"{source.subfolder.strip('/')}/" if source.subfolder.strip("./") else ""
    return tuple(
        Change(one.commit, one.day, one.path[len(top) :], one.before, one.after)
        for one in _all_changes(source.git_dir, commit_named(source))
        if one.path.startswith(top) and not re.search(r"(^|/)\.(git|ipynb_checkpoints)/", one.path)
    )


@lru_cache(maxsize=4)
def _all_changes(git_dir: Path, commit: str) -> tuple[Change, ...]:
    arguments = ("log", FORMAT, "--raw", "-z", "--no-abbrev", "--no-renames", "--no-merges")
    try:
        said = git("-c", "log.showRoot=true", *arguments, commit, git_dir=git_dir, timeout=_SECONDS)
    except ToolError:  # absent trees of a partial clone, or a history without an end
        return ()
    return tuple(read_log(lines_of(said)))
