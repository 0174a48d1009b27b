"""Repositories on servers, kept as bare clones in the cache and brought up to date on each use.

All commits and trees are fetched, because the dates of notebooks come from the history; contents
only of the commit in use (``--filter=blob:none``, git's partial clone). A server that cannot
filter sends everything, which is as good. Where neither works, the newest commit alone is taken,
and it is said that there is no history.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.environments.git import commit_of, git, git_remote, is_git_directory, words_of
from leman.environments.interface import silent
from leman.environments.providers.store import building, locked
from leman.errors import SourceError, ToolError
from leman.files import remove_tree
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

HEAD = "refs/leman/head"  # what the server calls HEAD
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_QUIET = ("--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--progress")
# Words after which another way of asking cannot help.
_FINAL = re.compile(
    r"not found|does not exist|not appear to be a git|authentication failed|could not read"
    r"|permission denied|could not resolve|connection refused|unable to access|host key"
    r"|couldn't find remote ref|not allowed|access denied|network is unreachable|said nothing",
    re.IGNORECASE,
)
_DENIED = re.compile(r"authentic|could not read|permission|access denied|40[13]", re.IGNORECASE)
_ABSENT = re.compile(r"not found|does not exist|not appear|404", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clone:
    """A bare repository in the cache, and what there is to say about it."""

    git_dir: Path
    findings: tuple[Finding, ...] = ()


def clone(
    url: str, cache: Path, *, wanted: str = "", progress: Callable[[str], None] = silent
) -> Clone:
    """Return an up-to-date clone of `url` in which `wanted` (ref, commit, "" for HEAD) exists.

    A full commit id that is there already costs no network. When the server is out of reach and
    `wanted` was fetched before, the copy serves, with a finding. Raises SourceError.
    """
    key = f"repo-{_slug(url)}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    target = cache / "git" / key
    with locked(cache, key):
        if not is_git_directory(target):
            return _first_time(url, target, cache, wanted, progress)
        if re.fullmatch(r"[0-9a-f]{40,64}", wanted) and commit_of(target, wanted):
            return Clone(target, _about_history(target, url))
        return _again(url, target, wanted, progress)


def fill(git_dir: Path, oids: Iterable[str], progress: Callable[[str], None]) -> None:
    """Fetch contents that a partial clone left out, all in one request. Raises ToolError."""
    wanted = sorted(set(oids))
    if not wanted or not (git_dir / "config").is_file():
        return
    progress(f"fetching {len(wanted)} files")
    # As git itself fetches what is lazily needed (promisor-remote.c).
    git_remote(
        *("-c", "fetch.negotiationAlgorithm=noop", "fetch", *_QUIET),
        *("--filter=blob:none", "--stdin", "origin"),
        git_dir=git_dir,
        feed="".join(f"{oid}\n" for oid in wanted).encode(),
        progress=progress,
    )


def refusal(url: str, error: ToolError) -> SourceError:
    """Turn git's failure into a message that says what to do, with git's own words in it."""
    words = words_of(error)
    if _DENIED.search(words) or _ABSENT.search(words):
        hint = (
            "Check the address. Servers give the same answer for a private repository: for those,"
            " store credentials with git's credential helper, or clone it and give the folder."
        )
    elif "remote ref HEAD" in words:
        hint = "The repository is empty or has no default branch: name a branch with --ref."
    else:
        hint = error.hint or "Check the network, or clone it elsewhere and give the folder."
    return SourceError(f"git could not read {url}: {words}", hint=hint)


def _first_time(
    url: str, target: Path, cache: Path, wanted: str, progress: Callable[[str], None]
) -> Clone:
    progress(f"cloning {url}")
    with building(cache, target) as folder:
        _create(folder, url, partial=True)
        try:
            _fetch(folder, wanted, progress)
        except ToolError as error:
            if _FINAL.search(words_of(error)) or _FINAL.search(error.message):
                raise refusal(url, error) from error
            progress("that failed; trying to fetch the newest commit alone")
            remove_tree(folder)
            folder.mkdir()
            _create(folder, url, partial=False)
            _fetch_newest(url, folder, wanted, error, progress)
    return Clone(target, _about_history(target, url))


def _again(url: str, target: Path, wanted: str, progress: Callable[[str], None]) -> Clone:
    progress(f"looking for news at {url}")
    try:
        _fetch(target, wanted, progress)
    except ToolError as error:
        if commit_of(target, wanted) is None:
            raise refusal(url, error) from error
        stale = Finding(
            "stale-copy",
            "warning",
            url,
            f"the server could not be asked, so a copy fetched earlier is used: {words_of(error)}",
            "Run again with a network to have the newest commits.",
        )
        return Clone(target, (*_about_history(target, url), stale))
    return Clone(target, _about_history(target, url))


def _create(folder: Path, url: str, *, partial: bool) -> None:
    git("init", "--bare", "-q", "--template=", str(folder))
    (folder / "HEAD").write_text(f"ref: {HEAD}\n")
    settings = {"remote.origin.url": url}
    if partial:
        settings |= {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.promisor": "true",
            "remote.origin.partialCloneFilter": "blob:none",
        }
    for name, value in settings.items():
        git("config", name, value, git_dir=folder)


def _fetch(git_dir: Path, wanted: str, progress: Callable[[str], None]) -> None:
    filtered = "partialclonefilter" in (git_dir / "config").read_text().lower()
    how = ("fetch", "--prune", *_QUIET, *(["--filter=blob:none"] if filtered else []))
    refs = _REFS if wanted else (f"+HEAD:{HEAD}", *_REFS)
    git_remote(*how, "origin", *refs, git_dir=git_dir, progress=progress)
    if wanted and commit_of(git_dir, wanted) is None:
        exact = _exact(wanted)
        if exact:  # a commit that no branch leads to any more, or the head of a pull request
            git_remote(*how[:1], *how[2:], "origin", exact, git_dir=git_dir, progress=progress)


def _fetch_newest(
    url: str, folder: Path, wanted: str, first: ToolError, progress: Callable[[str], None]
) -> None:
    one = f"+{wanted}:{_kept(wanted)}" if wanted else f"+HEAD:{HEAD}"
    how = ("fetch", "--depth=1", *_QUIET, "origin")
    try:
        git_remote(*how, one, git_dir=folder, progress=progress)
    except ToolError:
        raise refusal(url, first) from first


def _exact(wanted: str) -> str:
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", wanted):
        return f"+{wanted}:refs/leman/asked/{wanted}"
    return f"+{wanted}:{wanted}" if wanted.startswith("refs/") else ""


def _kept(wanted: str) -> str:
    return wanted if wanted.startswith("refs/") else f"refs/heads/{wanted}"


def _about_history(git_dir: Path, url: str) -> tuple[Finding, ...]:
    if not (git_dir / "shallow").is_file():
        return ()
    return (
        Finding(
            "no-history",
            "warning",
            url,
            "only the newest commit could be fetched, so notebooks have no dates of their own",
            "Clone the repository with its history and give the folder.",
        ),
    )


def _slug(url: str) -> str:
    name = re.sub(r"\.git$", "", url.rstrip("/")).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:40].strip(".") or "repository"
