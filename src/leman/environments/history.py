"""When a notebook's code was written, asked of the history of its repository.

A notebook's date is the date of its code: commits that store new outputs, change metadata or move
the file say nothing about the packages that the author had. Contents may be absent from the
repository (partial clones); then the dates of the commits stand in.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from leman.environments.git import commit_of, git, lines_of, read_objects
from leman.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leman.environments.model import Source

VERSIONS = 60  # versions of one notebook that are looked at, the newest and the oldest ones
_LARGEST = 30_000_000  # bytes; a notebook beyond this is all output, and slow to read
FORMAT = "--format=%x01%H %at %ct"


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one file: `before` and `after` are object ids, "" for no file."""

    commit: str
    day: date
    path: str
    before: str
    after: str


def cell_dates(source: Source, notebook: str) -> tuple[date | None, date | None]:
    """Return when the code cells of `notebook` (relative to the source) first and last changed.

    Days are UTC; of author's and committer's date the earlier one counts, because rewriting a
    history renews the latter. The first is None where history is cut off (shallow) before it;
    both are None where the file has no history.
    """
    if source.git_dir is None:
        return None, None
    commit, path = commit_named(source), _in_commit(source, notebook)
    try:
        changes = _notebook_changes(source.git_dir, commit)
        versions = list(_versions(source.git_dir, changes, path))
        if not versions:
            day = file_date(source, notebook)
            return day, day
        last = _edited(source, notebook, versions) or _last(source.git_dir, versions)
        if versions[-1].commit in _shallow_commits(source.git_dir):
            return None, last
        return min(_first(source.git_dir, versions), last), last
    except ToolError:  # a history that git cannot walk to its end
        day = last_commit(source)
        return None, day


def file_date(source: Source, path: str) -> date | None:
    """Return the day of the last commit that touched `path`, None where there is no history."""
    if source.git_dir is None:
        return None
    try:
        said = git(
            *("log", "-1", "--format=%at %ct", commit_named(source)),
            *("--", f":(top,literal){_in_commit(source, path)}"),
            git_dir=source.git_dir,
        )
    except ToolError:
        return None
    return _day(said.decode()) if said.strip() else None


def last_commit(source: Source) -> date | None:
    """Return the day of the source's commit, None where it is no repository."""
    if source.git_dir is None:
        return None
    try:
        return _day(
            git("log", "-1", "--format=%at %ct", commit_named(source), git_dir=source.git_dir)
        )
    except ToolError:
        return None


def first_commit(source: Source) -> date | None:
    """Return the day of the oldest root commit, None for no repository or one that is cut off."""
    if source.git_dir is None or _shallow_commits(source.git_dir):
        return None
    arguments = ("log", "--max-parents=0", "--format=%at %ct", commit_named(source))
    try:
        said = git(*arguments, git_dir=source.git_dir).decode()
    except ToolError:
        return None
    return min((_day(line) for line in said.splitlines()), default=None)


def is_cut_off(git_dir: Path) -> bool:
    """Say whether the repository is a shallow clone, whose oldest dates mean nothing."""
    return bool(_shallow_commits(git_dir))


def notebook_blobs(git_dir: Path, commit: str, *, versions: int = 40) -> tuple[str, ...]:
    """Return the ids of old notebook contents that `cell_dates` may want to read, newest first."""
    seen: dict[str, int] = {}
    wanted: dict[str, None] = {}
    for change in _notebook_changes(git_dir, commit):
        seen[change.path] = seen.get(change.path, 0) + 1
        if change.after and seen[change.path] <= versions:
            wanted[change.after] = None
    return tuple(wanted)


def code_of(content: bytes) -> tuple[str, ...] | None:
    """Return the sources of a notebook's code cells (nbformat 2 to 4), None where it is none."""
    try:
        notebook = json.loads(content)
        cells = notebook.get("cells")
        if cells is None:  # nbformat 3 and older
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        sources = [_source(cell) for cell in cells if cell.get("cell_type") == "code"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return tuple(one for one in sources if one)


def _source(cell: dict[str, Any]) -> str:
    text = cell.get("source", cell.get("input", ""))
    whole = text if isinstance(text, str) else "".join(text)
    return "\n".join(line.rstrip() for line in whole.strip().splitlines())


def commit_named(source: Source) -> str:
    """Return the commit that a source's files are from, as git names it."""
    named = re.match(r"[0-9a-f]{40,64}", source.revision)
    if named or source.git_dir is None:
        return named[0] if named else "HEAD"
    return commit_of(source.git_dir, source.revision) or "HEAD"


def _in_commit(source: Source, path: str) -> str:
    joined = os.path.normpath(PurePosixPath(source.subfolder) / path)
    return PurePosixPath(joined).as_posix()


def _day(said: str | bytes) -> date:
    """Read author's and committer's time (seconds) and return the earlier day, UTC."""
    author, committer = (int(part) for part in said.split())
    # A clock before 2005 is a broken one: git is not older.
    plausible = [one for one in (author, committer) if one > 1_104_537_600] or [committer]
    return datetime.fromtimestamp(min(plausible), UTC).date()


@lru_cache(maxsize=8)
def _notebook_changes(git_dir: Path, commit: str) -> tuple[Change, ...]:
    """Return all changes to all notebooks, newest first; merges are left out.

    A single walk answers for every notebook of the repository. Renames are not asked of git, as
    it would have to read contents that may be absent.
    """
    arguments = ("log", FORMAT, "--raw", "-z", "--no-abbrev", "--no-renames", "--no-merges")
    said = git(
        "-c", "log.showRoot=true", *arguments, commit, "--", ":(top)*.ipynb", git_dir=git_dir
    )
    return tuple(read_log(lines_of(said)))


def read_log(parts: list[str]) -> Iterator[Change]:
    """Yield the changes in the output of ``git log --raw -z`` with `FORMAT`."""
    commit, day = "", date.min
    about: list[str] = []
    for part in parts:
        if part.startswith("\x01"):
            commit, _, times = part[1:].partition(" ")
            day = _day(times)
        elif part.lstrip("\n").startswith(":"):
            about = part.split()
        elif about:
            before, after = ("" if set(oid) == {"0"} else oid for oid in about[2:4])
            yield Change(commit, day, part, before, after)
            about = []


def _versions(git_dir: Path, changes: tuple[Change, ...], path: str) -> Iterator[Change]:
    """Yield the versions of the notebook, newest first, followed through moves and copies."""
    at = 0
    while at < len(changes):
        change = changes[at]
        at += 1
        if change.path != path:
            continue
        if change.after:
            yield change
        if not change.before and (origin := _origin(git_dir, changes, at - 1)):
            path = origin
            while at < len(changes) and changes[at].commit == change.commit:
                at += 1


def _origin(git_dir: Path, changes: tuple[Change, ...], added: int) -> str | None:
    """Return the path that the notebook added by `changes[added]` had before, if it had one.

    The same content elsewhere comes first; then a notebook that vanished in the same commit and
    has the same name or shares at least half of its cells.
    """
    new = changes[added]
    gone = [one for one in changes if one.commit == new.commit and not one.after]
    for one in gone:
        if one.before == new.after:
            return one.path
    for one in changes[added + 1 :]:
        if one.after == new.after and one.path != new.path and one.commit != new.commit:
            return one.path
    name = PurePosixPath(new.path).name
    for one in gone:
        if PurePosixPath(one.path).name == name:
            return one.path
    return _most_alike(git_dir, new, gone)


def _most_alike(git_dir: Path, new: Change, gone: list[Change]) -> str | None:
    if not gone:
        return None
    codes = _codes(git_dir, [new.after, *(one.before for one in gone)])
    mine = set(codes.get(new.after) or ())
    best: tuple[float, str | None] = (0.0, None)
    for one in gone:
        other = set(codes.get(one.before) or ())
        share = len(mine & other) / max(len(mine), len(other), 1)
        if share >= 0.5 and share > best[0]:
            best = (share, one.path)
    return best[1]


def _first(git_dir: Path, versions: list[Change]) -> date:
    """Return the day of the oldest version that holds any code (an empty start does not count)."""
    oldest = versions[::-1][:5]
    codes = _codes(git_dir, [one.after for one in oldest])
    return next((one.day for one in oldest if codes.get(one.after) != ()), oldest[0].day)


def _last(git_dir: Path, versions: list[Change]) -> date:
    """Return the day since when the code has been as it is in the newest version."""
    newest = _codes(git_dir, [versions[0].after]).get(versions[0].after)
    since = versions[0].day
    if newest is None:
        return since
    at, step = 1, 2
    while at < min(len(versions), VERSIONS):
        chunk = versions[at : at + step]
        codes = _codes(git_dir, [one.after for one in chunk])
        for one in chunk:
            code = codes.get(one.after)
            if code is not None and code != newest:
                return since
            if code is not None:
                since = one.day
        at, step = at + step, min(step * 2, 8)
    return since


def _edited(source: Source, notebook: str, versions: list[Change]) -> date | None:
    """Return the day of the file itself where its code is not (yet) the committed one."""
    if not source.revision.endswith("-dirty") or source.git_dir is None:
        return None
    file = source.path / notebook
    try:
        here, info = code_of(file.read_bytes()), file.stat()
    except OSError:
        return None
    committed = _codes(source.git_dir, [versions[0].after]).get(versions[0].after)
    if here is None or committed is None or here == committed:
        return None
    return datetime.fromtimestamp(info.st_mtime, UTC).date()


def _codes(git_dir: Path, oids: list[str]) -> dict[str, tuple[str, ...] | None]:
    """Return id → code cells of the contents that are there and are notebooks."""
    return {oid: code_of(data) for oid, data in read_objects(git_dir, oids, largest=_LARGEST)}


def _shallow_commits(git_dir: Path) -> frozenset[str]:
    common = git_dir / "commondir"
    main = git_dir / common.read_text().strip() if common.is_file() else git_dir
    try:
        return frozenset((main / "shallow").read_text().split())
    except OSError:
        return frozenset()
