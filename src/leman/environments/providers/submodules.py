"""The parts of a commit: its own files and those of its submodules, as far as they can be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments.git import commit_of, is_git_directory
from leman.environments.providers.addresses import file_address, is_git_address, read_address
from leman.environments.providers.clone import clone, fill
from leman.environments.providers.tree import Listing, listing, submodule_urls
from leman.errors import SourceError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST = 4  # submodules within submodules; deeper ones are a mistake or an attack


@dataclass(frozen=True, slots=True)
class Part:
    """Files to lay out at the folder `at` ("" for the top) from the objects of `git_dir`."""

    at: str
    git_dir: Path
    listed: Listing

    def paths(self, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return paths of this part relative to the whole."""
        return tuple(f"{self.at}/{path}" if self.at else path for path in entries)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that could be had, and for each submodule that could not be the reason."""

    parts: tuple[Part, ...]
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Every path without content: absent blobs and submodules, sorted."""
        absent = (
            path
            for part in self.parts
            for path in part.paths(tuple(one.path for one in part.listed.absent))
        )
        return tuple(sorted({*absent, *self.lost}))


def gather(
    part: Part, commit: str, base: str, cache: Path, progress: Callable[[str], None], depth: int = 0
) -> Parts:
    """Return `part` and the parts of its submodules, fetched where that is possible.

    `base` is the address (or the path on this disk) that relative addresses start from.
    """
    parts, lost = [part], {}
    urls = submodule_urls(part.git_dir, commit) if part.listed.submodules else {}
    for path, oid in part.listed.submodules.items():
        at = part.paths((path,))[0]
        if depth >= _DEEPEST:
            lost[at] = f"submodules lie more than {_DEEPEST} deep"
            continue
        try:
            git_dir, where = _obtain(urls.get(path, ""), base, oid, cache, progress)
            inner = Part(at, git_dir, listing(git_dir, oid))
        except (SourceError, ToolError) as error:
            lost[at] = error.message
            continue
        below = gather(inner, oid, where, cache, progress, depth + 1)
        parts.extend(below.parts)
        lost.update(below.lost)
    return Parts(tuple(parts), lost)


def _obtain(
    url: str, base: str, oid: str, cache: Path, progress: Callable[[str], None]
) -> tuple[Path, str]:
    """Return a git directory that holds the commit `oid`, and the address that it came from."""
    if not url:
        raise SourceError(".gitmodules names no address for it")
    where = join(base, url)
    local = _local(where, base)
    if local:
        git_dir = local / ".git" if (local / ".git").is_dir() else local
        if not is_git_directory(git_dir) or commit_of(git_dir, oid) is None:
            raise SourceError(f"{local} does not hold commit {oid[:12]}")
        return git_dir, where
    if not is_git_address(where) or (where.startswith("http://") and "http://" not in base):
        raise SourceError(f"the address {where!r} is not one that leman fetches from")
    address = read_address(where)
    git_dir = clone(address.url, cache, wanted=oid, progress=progress).git_dir
    if commit_of(git_dir, oid) is None:
        raise SourceError(f"{address.url} does not hold commit {oid[:12]}")
    fill(git_dir, {one.oid for one in listing(git_dir, oid).absent}, progress)
    return git_dir, address.url


def join(base: str, url: str) -> str:
    """Resolve a submodule's address the way of gitmodules(5): ``../`` goes up from `base`."""
    if not url.startswith(("./", "../")):
        return url
    where = base.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            slash, colon = where.rfind("/"), where.rfind(":")
            where = where[: max(slash, colon + 1 if colon > slash else slash)]
        url = url.partition("/")[2]
    return f"{where}{url}" if where.endswith(":") else f"{where}/{url}"


def _local(where: str, base: str) -> Path | None:
    """Return a path on this disk, which only a repository on this disk may point to."""
    path = file_address(where) or (Path(where) if where.startswith("/") else None)
    return path if path and (base.startswith("/") or file_address(base)) else None
