"""Folders and single notebooks on this disk: read where they are, never copied, never written to.

Inside a git work tree the root is the repository's top, or the nearest folder that declares an
environment (see `scope`); elsewhere it is the folder given, or the notebook's folder. A clean
work tree is named by its commit; anything else by the content of its files.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments import history
from leman.environments.git import commit_of, git, lines_of, objects_of, shadow
from leman.environments.interface import silent
from leman.environments.model import Source
from leman.environments.providers.git import Asked, at_commit, git_dir_of, shallow
from leman.environments.providers.scope import (
    PUBLISHING,
    SKIPPED,
    is_product,
    notebooks_below,
    relative,
    root_for,
)
from leman.environments.providers.store import locked
from leman.environments.providers.tree import about_missing, is_lfs_pointer
from leman.errors import SourceError, ToolError
from leman.files import sha256_of, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.findings import Finding

_WORTH_CACHING = 65_536  # bytes; below, reading a file is as fast as looking its hash up
_SETTLED = 2.0  # seconds; a file changed more recently may change again within one time stamp
_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a user's folder or notebook lies: `top` is the git work tree's, or the folder."""

    top: Path
    root: str
    notebooks: tuple[str, ...]
    git_dir: Path | None


class Folder:
    """A folder, or one notebook, on this disk."""

    def detect(self, spec: str) -> str | None:
        """Return the absolute path of the folder or notebook, None if `spec` is neither."""
        with suppress(OSError, ValueError, RuntimeError):
            path = Path(spec).expanduser()
            if spec and (path.is_dir() or (path.is_file() and path.suffix == ".ipynb")):
                return str(path.resolve())
        return None

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Describe the folder where it is; with a `ref`, take that commit from its repository."""
        path = Path(address)
        try:
            scope = _scope(path)
            if ref:
                return _at_ref(path, scope, ref, into, progress)
            return _in_place(path, scope, into, progress)
        except PermissionError as error:
            raise SourceError(
                f"{error.filename} may not be read", hint="Change its permissions (chmod +r)."
            ) from error


def _scope(path: Path) -> Scope:
    folder = path if path.is_dir() else path.parent
    for top in (folder, *folder.parents):
        git_dir = git_dir_of(top)
        # A home under version control holds settings; what lies in it is not one source.
        if git_dir and (top == folder or top != Path.home()):
            break
    else:
        notebooks = () if path.is_dir() else (path.name,)
        return Scope(folder, "", notebooks, None)
    inside = folder.relative_to(top).as_posix()
    inside = "" if inside == "." else inside
    root = root_for(inside, lambda name: (top / name).exists())
    if path.is_file():
        return Scope(top, root, (relative(path.relative_to(top).as_posix(), root),), git_dir)
    if inside == root:
        return Scope(top, root, (), git_dir)
    names = (file.relative_to(top / root).as_posix() for file, _ in _files(folder))
    return Scope(top, root, notebooks_below(relative(inside, root), names), git_dir)


def _at_ref(
    path: Path, scope: Scope, ref: str, into: Path, progress: Callable[[str], None]
) -> Source:
    if scope.git_dir is None:
        raise SourceError(
            f"{path} is not in a git repository, so it has no {ref!r}",
            hint="Leave --ref out.",
        )
    commit = commit_of(scope.git_dir, ref)
    if commit is None:
        raise SourceError(f"the repository of {path} has no branch, tag or commit called {ref!r}")
    inside = path.relative_to(scope.top).as_posix()
    asked = Asked(
        url=str(scope.top),
        git_dir=scope.git_dir,
        commit=commit,
        base=str(scope.top),
        path="" if inside == "." else inside,
    )
    return at_commit(asked, into, progress)


def _in_place(path: Path, scope: Scope, into: Path, progress: Callable[[str], None]) -> Source:
    root = scope.top / scope.root if scope.root else scope.top
    pointers = tuple(
        sorted(
            file.relative_to(root).as_posix()
            for file, info in _files(root)
            if info.st_size < 1024 and is_lfs_pointer(file)
        )
    )
    revision, content_id = "", ""
    findings: tuple[Finding, ...] = ()
    submodules: tuple[str, ...] = ()
    if scope.git_dir:
        commit = commit_of(scope.git_dir, "")
        if commit:
            clean, submodules = _compare(scope, commit)
            revision = commit if clean else f"{commit}-dirty"
            content_id = f"git:{commit}" if clean else ""
        if history.is_cut_off(scope.git_dir):
            findings += (shallow(str(scope.top)),)
    if not content_id:
        content_id = f"sha256:{digest(root, into, progress)}"
    return Source(
        url=str(path),
        revision=revision,
        path=root,
        content_id=content_id,
        git_dir=scope.git_dir if revision else None,
        notebooks=scope.notebooks,
        missing=tuple(sorted({*pointers, *submodules})),
        findings=(*findings, *_about(pointers, submodules)),
        subfolder=scope.root,
    )


def _about(pointers: tuple[str, ...], submodules: tuple[str, ...]) -> tuple[Finding, ...]:
    return (
        *about_missing(
            "lfs-pointer",
            pointers,
            f"{len(pointers)} files are Git LFS pointers, not the data themselves",
            "Run `git lfs pull` in the repository.",
        ),
        *about_missing(
            "submodule-not-fetched",
            submodules,
            f"{len(submodules)} submodules are empty folders",
            "Run `git submodule update --init --recursive` in the repository.",
        ),
    )


def _compare(scope: Scope, commit: str) -> tuple[bool, tuple[str, ...]]:
    """Say whether the work tree is what `commit` holds, and which submodules are not there.

    The comparison borrows objects and index but not the configuration, which could name programs
    to run. What it cannot judge counts as changed.
    """
    git_dir = scope.git_dir or scope.top
    with suppress(ToolError, OSError), shadow(objects_of(git_dir), commit) as environment:
        # A copy, because git may refresh the index that it compares with.
        Path(environment["GIT_INDEX_FILE"]).write_bytes((git_dir / "index").read_bytes())
        where = {**environment, "GIT_WORK_TREE": str(scope.top)}
        listed = git("ls-files", "-s", "-z", environment=where, cwd=scope.top)
        modules = tuple(
            line.partition("\t")[2] for line in lines_of(listed) if line.startswith(_SUBMODULE)
        )
        how = ("status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty")
        changed = git(*how, environment=where, cwd=scope.top, timeout=120)
        start = f"{scope.root}/" if scope.root else ""
        empty = tuple(
            relative(path, scope.root)
            for path in modules
            if path.startswith(start) and not _holds_anything(scope.top / path)
        )
        # A submodule is named by the commit only as far as it is itself unchanged.
        clean = len(empty) == len(modules) and not any(
            not SKIPPED & set(Path(line[3:]).parts) and not is_product(scope.top / line[3:])
            for line in lines_of(changed)
        )
        return clean, empty
    return False, ()


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(True for _ in folder.iterdir())


def digest(root: Path, cache: Path, progress: Callable[[str], None] = silent) -> str:
    """Return the SHA-256 over the names, modes and contents of the files below `root`.

    Per file, sorted by path: the path, a NUL, ``x`` for an executable, ``l`` for a symbolic link
    or ``f``, the SHA-256 of content (of a link: its target), a newline. Hashes of large files are
    kept in the cache by size, time and inode. Raises PermissionError.
    """
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    store = cache / "digests" / f"{key}.json"
    with locked(cache, f"digest-{key}"):
        known = _read(store)
        kept: dict[str, list[int | str]] = {}
        whole = hashlib.sha256()
        told = time.monotonic()
        for file, info in sorted(_files(root), key=lambda one: os.fsencode(one[0])):
            path = file.relative_to(root).as_posix()
            if time.monotonic() - told > 1:
                told = time.monotonic()
                progress(f"reading {path}")
            kind, content = _hash_of(file, info, path, known, kept)
            whole.update(os.fsencode(path) + f"\0{kind}{content}\n".encode())
        if kept != known:
            write_json(store, kept)
    return whole.hexdigest()


def _hash_of(
    file: Path,
    info: os.stat_result,
    path: str,
    known: dict[str, list[int | str]],
    kept: dict[str, list[int | str]],
) -> tuple[str, str]:
    if stat.S_ISLNK(info.st_mode):
        return "l", hashlib.sha256(os.fsencode(file.readlink())).hexdigest()
    kind = "x" if info.st_mode & stat.S_IXUSR else "f"
    if info.st_size < _WORTH_CACHING:
        return kind, sha256_of(file)
    state = [info.st_size, info.st_mtime_ns, info.st_ino]
    have = known.get(path, [])
    content = str(have[3]) if have[:3] == state else sha256_of(file)
    if time.time() - info.st_mtime > _SETTLED:
        kept[path] = [*state, content]
    return kind, content


def _read(store: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(store.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield files and links below `root`; folders that tools fill again at will are left out."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name in SKIPPED or entry.name.startswith(PUBLISHING):
                continue
            if entry.is_dir(follow_symlinks=False):
                folder = Path(entry.path)  # an environment may have any name
                if not (folder / "pyvenv.cfg").is_file() and not is_product(folder):
                    yield from _files(folder)
                continue
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                yield Path(entry.path), info
