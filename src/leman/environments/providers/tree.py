"""The files of a commit, laid out in a folder without git's configuration having a say.

Objects may be absent (partial clones): what is there is laid out, the rest is reported. Filters,
hooks and attributes of the repository's or the user's configuration are not consulted, because
only the object store is borrowed: the git directory used here is a throw-away of three files.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments.git import git, lines_of, objects_of, shadow
from leman.errors import SourceError, ToolError
from leman.files import full_disk_said
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LFS_SPEC = b"version https://git-lfs.github.com/spec/v1"  # git-lfs, docs/spec.md
_LFS_SIZES = range(100, 1024)  # a pointer file "must be less than 1024 bytes"
_LINK = "120000"
_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit; `size` in bytes is None where the content is not in the store."""

    mode: str
    oid: str
    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a commit consists of: files, and submodules as path → commit."""

    entries: tuple[Entry, ...]
    submodules: dict[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[Entry, ...]:
        """The files whose content is not in the store."""
        return tuple(one for one in self.entries if one.size is None)


def listing(git_dir: Path, commit: str) -> Listing:
    """List the files of a commit and look up which contents are there.

    Raises SourceError where not even the list of files is there.
    """
    objects = objects_of(git_dir)
    with shadow(objects, commit) as environment:
        try:
            listed = git("ls-tree", "-r", "-z", "--full-tree", commit, environment=environment)
        except ToolError as error:
            raise SourceError(
                f"the list of files of commit {commit[:12]} is not in {git_dir}: {error.output}",
                hint="The repository is incomplete or damaged: clone it again.",
            ) from error
        files: list[tuple[str, str, str]] = []
        submodules: dict[str, str] = {}
        for line in lines_of(listed):
            about, _, path = line.partition("\t")
            mode, _, oid = about.split(" ")
            if mode == _SUBMODULE:
                submodules[path] = oid
            else:
                files.append((mode, oid, path))
        sizes = _sizes({oid for _, oid, _ in files}, environment)
    return Listing(
        tuple(Entry(mode, oid, path, sizes.get(oid)) for mode, oid, path in files), submodules
    )


def lay_out(git_dir: Path, listed: Listing, target: Path) -> None:
    """Write the files of a listing whose content is there into the existing folder `target`.

    Raises SourceError where the commit holds names that no honest repository has.
    """
    present = [one for one in listed.entries if one.size is not None]
    feed = b"".join(
        f"{one.mode} {one.oid}\t{one.path}\0".encode(errors="surrogateescape") for one in present
    )
    head = present[0].oid if present else "0" * 40
    with shadow(objects_of(git_dir), head) as environment:
        where = {**environment, "GIT_WORK_TREE": str(target)}
        try:
            git("update-index", "-z", "--index-info", feed=feed, environment=where, cwd=target)
        except ToolError as error:
            raise SourceError(
                f"the repository holds file names that are not allowed: {error.output}",
                hint="Names such as '.git' or '..' inside a commit are an attack; do not use it.",
            ) from error
        try:
            git("checkout-index", "-a", "-q", "-f", environment=where, cwd=target, timeout=3600)
        except ToolError:
            # Of a full disk git says no more than "unable to write": the disk is asked itself.
            with full_disk_said(target), tempfile.TemporaryFile(dir=target) as probe:
                largest = max((one.size or 0 for one in present), default=0)
                os.posix_fallocate(probe.fileno(), 0, largest + 1_000_000)
            raise


def drop_links_that_leave(tree: Path) -> tuple[str, ...]:
    """Remove the symbolic links that lead out of `tree`; return their paths.

    A link that dangles inside the tree stays: it says where the author's file would be.
    """
    root = tree.resolve()
    leaving = [
        path
        for path in _walk(tree)
        if path.is_symlink()
        and (path.readlink().is_absolute() or not _resolved(path).is_relative_to(root))
    ]
    for path in leaving:
        path.unlink()
    return tuple(sorted(path.relative_to(tree).as_posix() for path in leaving))


def lfs_pointers(tree: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of the files that are Git LFS pointers, not content."""
    return tuple(path for path in paths if is_lfs_pointer(tree / path))


def room_for_submodule(tree: Path, path: str) -> Path:
    """Return the empty folder of the submodule `path`; call it when links that leave are gone."""
    parts = Path(path).parts
    folder = tree / path
    bad = Path(path).is_absolute() or ".." in parts or ".git" in {part.lower() for part in parts}
    if bad or not _resolved(folder).is_relative_to(tree.resolve()):
        raise SourceError(f"the repository holds a submodule at a forbidden path: {path!r}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_lfs_pointer(path: Path) -> bool:
    """Say whether a file is a Git LFS pointer (git-lfs, docs/spec.md)."""
    try:
        if path.is_symlink() or path.stat().st_size not in _LFS_SIZES:
            return False
        with path.open("rb") as file:
            return file.readline().rstrip() == LFS_SPEC
    except OSError:
        return False


def small_files(listed: Listing) -> Iterator[str]:
    """Yield the files of a listing that are of a pointer's size."""
    for one in listed.entries:
        if one.size in _LFS_SIZES and one.mode != _LINK:
            yield one.path


def submodule_urls(git_dir: Path, commit: str) -> dict[str, str]:
    """Return path → address of the submodules that a commit's ``.gitmodules`` names."""
    with shadow(objects_of(git_dir), commit) as environment:
        blob = f"--blob={commit}:.gitmodules"
        try:
            said = git("config", blob, "-z", "--list", environment=environment)
        except ToolError:  # no such file, or not one that git can read
            return {}
    sections: dict[str, dict[str, str]] = {}
    for line in lines_of(said):
        key, _, value = line.partition("\n")
        match = re.fullmatch(r"submodule\.(.+)\.(path|url)", key, re.DOTALL)
        if match:
            sections.setdefault(match[1], {})[match[2]] = value
    return {one["path"]: one["url"] for one in sections.values() if one.keys() == {"path", "url"}}


def about_missing(code: str, paths: tuple[str, ...], message: str, fix: str) -> tuple[Finding, ...]:
    """Return one finding over all of `paths`, none when there are none."""
    if not paths:
        return ()
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return (Finding(code, "warning", f"{paths[0]}{more}", message, fix),)


def _sizes(oids: set[str], environment: dict[str, str]) -> dict[str, int]:
    """Return the sizes of the objects that are in the store."""
    feed = "".join(f"{oid}\n" for oid in sorted(oids)).encode()
    how = "--batch-check=%(objectname) %(objectsize)"
    said = git("cat-file", "--buffer", how, feed=feed, environment=environment).decode()
    pairs = (line.split() for line in said.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if pair[1] != "missing"}


def _walk(tree: Path) -> Iterator[Path]:
    for path in tree.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link to itself leads nowhere, so not out either
        return path.parent.resolve()
