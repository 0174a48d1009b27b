"""Git repositories: on servers, and git directories on this disk (bare, partial, read-only)."""

from __future__ import annotations

import difflib
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman.environments import history
from leman.environments.git import check_ref, commit_of, git, is_git_directory, present
from leman.environments.interface import silent
from leman.environments.model import Source
from leman.environments.providers.addresses import (
    file_address,
    is_git_address,
    read_address,
)
from leman.environments.providers.clone import clone, fill
from leman.environments.providers.scope import notebooks_below, relative, root_for
from leman.environments.providers.store import Laid, found, laid, locked
from leman.environments.providers.submodules import Part, Parts, gather
from leman.environments.providers.tree import (
    about_missing,
    drop_links_that_leave,
    lay_out,
    lfs_pointers,
    listing,
    room_for_submodule,
    small_files,
)
from leman.errors import SourceError, ToolError
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One commit of one repository: `path` in it restricts, `base` is where submodules start."""

    url: str
    git_dir: Path
    commit: str
    base: str
    path: str = ""
    findings: tuple[Finding, ...] = ()


class Git:
    """Addresses for git, web pages of forges, ``gh:owner/name``, and git directories."""

    def detect(self, spec: str) -> str | None:
        """Return the address or the path of the git directory, None if `spec` is neither."""
        local = _git_directory(spec)
        if local:
            return str(local)
        return spec if is_git_address(spec) or file_address(spec) else None

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Bring the files of one commit into the cache `into`; the repository is only read."""
        check_ref(ref)
        local = _git_directory(address)
        if local:
            return at_commit(_from_disk(local, ref), into, progress)
        if file_address(address):
            raise SourceError(
                f"{address} is no git repository",
                hint="Expected a folder with .git in it, or a bare repository.",
            )
        return at_commit(_from_server(address, ref, into, progress), into, progress)


def at_commit(asked: Asked, into: Path, progress: Callable[[str], None]) -> Source:
    """Lay out the files of a commit, once for all who ask, and describe them."""
    whole = f"git-{asked.commit}"
    have = found(into, whole)
    if have is None:
        listed = listing(asked.git_dir, asked.commit)
        top = Part("", asked.git_dir, listed)
        parts = gather(top, asked.commit, asked.base, into, progress)
        key = whole
        if parts.missing:  # may be complete another time, so it must not take the whole one's name
            names = "\0".join(parts.missing).encode(errors="surrogateescape")
            key += f"-without-{hashlib.sha256(names).hexdigest()[:12]}"
        with locked(into, key):
            progress(f"laying out {len(listed.entries)} files of {asked.commit[:12]}")
            have = laid(into, key, lambda tree: _build(parts, tree))
    return _scoped(asked, have)


def git_dir_of(folder: Path) -> Path | None:
    """Return the git directory of a work tree's top `folder`, None if it is no such top."""
    entry = folder / ".git"
    if entry.is_dir():
        return entry if is_git_directory(entry) else None
    with suppress(OSError, UnicodeDecodeError):
        said = entry.read_text().strip()  # a linked work tree or a submodule
        if said.startswith("gitdir:"):
            target = (folder / said.removeprefix("gitdir:").strip()).resolve()
            return target if (target / "HEAD").is_file() else None
    return None


def _git_directory(spec: str) -> Path | None:
    """Return the git directory on this disk that `spec` names, None if it names none.

    A folder that holds nothing but ``.git`` counts: there is no work tree to read.
    """
    path = file_address(spec)
    if path is not None:
        path = path.resolve()
        return path if is_git_directory(path) else git_dir_of(path)
    with suppress(OSError, ValueError):
        path = Path(spec).expanduser().resolve()
        if is_git_directory(path):
            return path
        if path.is_dir() and [one.name for one in path.iterdir()] == [".git"]:
            return git_dir_of(path)
    return None


def _from_disk(git_dir: Path, ref: str) -> Asked:
    commit = commit_of(git_dir, ref)
    findings: tuple[Finding, ...] = ()
    if commit is None and not ref:
        commit, findings = _any_branch(git_dir)
    if commit is None:
        raise _no_such_ref(str(git_dir), git_dir, ref)
    if history.is_cut_off(git_dir):
        findings += (shallow(str(git_dir)),)
    return Asked(str(git_dir), git_dir, commit, _origin(git_dir), findings=findings)


def _from_server(address: str, ref: str, into: Path, progress: Callable[[str], None]) -> Asked:
    where = read_address(address)
    wanted = check_ref(ref or where.ref)
    first = where.tail.partition("/")[0]
    if not wanted and _SHA.fullmatch(first):
        wanted = first
    kept = clone(where.url, into, wanted=wanted, progress=progress)
    commit, path = _split(kept.git_dir, where.tail)
    commit = commit_of(kept.git_dir, wanted) if wanted else commit
    if commit is None:
        raise _no_such_ref(where.url, kept.git_dir, wanted or where.tail)
    try:
        fill(kept.git_dir, {one.oid for one in listing(kept.git_dir, commit).absent}, progress)
    except ToolError as error:
        raise SourceError(
            f"the files of {where.url} could not be fetched: {error.output}",
            hint=error.hint or "Try again later: what was fetched is kept.",
        ) from error
    _fill_history(kept.git_dir, commit, progress)
    return Asked(where.url, kept.git_dir, commit, where.url, path, kept.findings)


def _split(git_dir: Path, tail: str) -> tuple[str | None, str]:
    """Split ``ref/path`` of a web page: branches may hold slashes, only the refs can tell."""
    if not tail:
        return commit_of(git_dir, ""), ""
    parts = tail.split("/")
    for end in range(1, len(parts) + 1):
        with suppress(SourceError):
            commit = commit_of(git_dir, check_ref("/".join(parts[:end])))
            if commit:
                return commit, "/".join(parts[end:]).strip("/")
    return None, ""


def _fill_history(git_dir: Path, commit: str, progress: Callable[[str], None]) -> None:
    """Fetch old versions of notebooks, so that the dates of their code can be told."""
    with suppress(ToolError):  # without them the dates of the commits stand in
        wanted = history.notebook_blobs(git_dir, commit)[:300]
        fill(git_dir, set(wanted) - present(git_dir, wanted).keys(), progress)


def _any_branch(git_dir: Path) -> tuple[str | None, tuple[Finding, ...]]:
    """Choose the branch with the newest commit where HEAD names none."""
    how = ("--sort=-committerdate", "--count=1", "--format=%(objectname) %(refname:short)")
    said = git("for-each-ref", *how, "refs/heads", "refs/remotes", git_dir=git_dir).decode()
    if not said.strip():
        return None, ()
    commit, name = said.split()[:2]
    message = f"HEAD names no commit, so the branch with the newest one is used: {name}"
    return commit, (Finding("no-head", "info", name, message, "Name another one with --ref."),)


def _origin(git_dir: Path) -> str:
    """Return where the repository was cloned from, or its own path."""
    with suppress(ToolError):
        url = git("config", "--get", "remote.origin.url", git_dir=git_dir).decode().strip()
        if is_git_address(url):
            return url
    return str(git_dir.parent if git_dir.name == ".git" else git_dir)


def _no_such_ref(url: str, git_dir: Path, ref: str) -> SourceError:
    said = git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", git_dir=git_dir
    )
    names = said.decode(errors="replace").split()
    if not names:
        return SourceError(f"{url} holds no commit", hint="The repository is empty.")
    near = difflib.get_close_matches(ref, names, n=3, cutoff=0.5) or names[:5]
    return SourceError(
        f"{url} has no branch, tag or commit called {ref!r}",
        hint=f"It has {len(names)} branches and tags, such as: {', '.join(near)}.",
    )


def shallow(where: str) -> Finding:
    """Return the finding about a history that is cut off."""
    return Finding(
        "no-history",
        "warning",
        where,
        "the repository is a shallow clone, so the dates of its notebooks are not known",
        "Complete it with: git fetch --unshallow",
    )


def _build(parts: Parts, tree: Path) -> Laid:
    """Lay out all parts; links are judged after each, before anything is written through one."""
    dropped: list[str] = []
    pointers: list[str] = []
    for part in parts.parts:
        target = room_for_submodule(tree, part.at) if part.at else tree
        lay_out(part.git_dir, part.listed, target)
        dropped.extend(drop_links_that_leave(tree))
        pointers.extend(lfs_pointers(tree, part.paths(tuple(small_files(part.listed)))))
    for path in parts.lost:
        with suppress(SourceError):
            room_for_submodule(tree, path)
    missing = tuple(sorted({*parts.missing, *pointers, *dropped}))
    return Laid(tree, missing, tuple(_findings(parts, tuple(pointers), tuple(dropped))))


def _findings(
    parts: Parts, pointers: tuple[str, ...], dropped: tuple[str, ...]
) -> Iterator[Finding]:
    absent = tuple(path for path in parts.missing if path not in parts.lost)
    yield from about_missing(
        "missing-blob",
        absent,
        f"{len(absent)} files are named by the commit but their content is not in the repository",
        "Fetch them with `git fetch --refetch`, or clone the repository again without a filter.",
    )
    yield from about_missing(
        "lfs-pointer",
        pointers,
        f"{len(pointers)} files are Git LFS pointers, not the data themselves",
        "Clone the repository, run `git lfs pull` in it, and give the folder.",
    )
    yield from about_missing(
        "link-leaves-tree",
        dropped,
        f"{len(dropped)} symbolic links lead out of the source and were left out",
        "Replace them by the files they stand for.",
    )
    for path, reason in parts.lost.items():
        fix = "Clone with `git clone --recurse-submodules` and give the folder."
        yield Finding(
            "submodule-not-fetched", "warning", path, f"the submodule is not here: {reason}", fix
        )


def _below(tree: Path, path: str) -> Path:
    if ".." in PurePosixPath(path).parts or "\0" in path:
        raise SourceError(f"the path {path!r} leads out of the repository")
    return tree / path.lstrip("/")


def _scoped(asked: Asked, have: Laid) -> Source:
    """Describe the laid out files, restricted to the folder or notebook that was asked for."""
    root, notebooks = "", tuple[str, ...]()
    if asked.path:
        target = _below(have.tree, asked.path)
        if asked.path in have.missing or target.is_file():
            folder = PurePosixPath(asked.path).parent.as_posix()
            notebooks = (asked.path,) if asked.path.endswith(".ipynb") else ()
            folder = "" if folder == "." else folder
        elif target.is_dir():
            files = (one.relative_to(have.tree).as_posix() for one in target.rglob("*.ipynb"))
            notebooks, folder = notebooks_below(asked.path, files), asked.path
        else:
            raise SourceError(
                f"{asked.url} has no file or folder {asked.path!r} at commit {asked.commit[:12]}",
                hint="Check the path, or name another commit with --ref.",
            )
        root = root_for(folder, lambda path: (have.tree / path).exists())
    below = f"{root}/" if root else ""
    return Source(
        url=asked.url,
        revision=asked.commit,
        path=have.tree / root if root else have.tree,
        content_id=f"git:{asked.commit}",
        git_dir=asked.git_dir,
        notebooks=tuple(relative(path, root) for path in notebooks),
        missing=tuple(relative(path, root) for path in have.missing if path.startswith(below)),
        findings=(*asked.findings, *have.findings),
        subfolder=root,
    )
