"""Archives of strangers, unpacked so that nothing can land outside of the folder meant for it.

Refused as a whole: names that are absolute or climb out, files named twice, encryption, and
bombs. Left out and reported: devices, and links that lead out of the tree.
"""

from __future__ import annotations

import bz2
import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Literal, cast

from leman.environments.providers.scope import SKIPPED
from leman.environments.providers.tree import (
    about_missing,
    drop_links_that_leave,
    is_lfs_pointer,
)
from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.findings import Finding

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BLOCK = 1 << 20
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, UnicodeDecodeError),
)
_OF_OTHERS = {"__MACOSX", ".DS_Store", ".git"}  # macOS litter; a foreign .git would be believed


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold: bytes in all, members, and how well a large part may compress."""

    total: int = 20_000_000_000
    members: int = 200_000
    ratio: int = 200
    ratio_from: int = 100_000_000  # bytes; small files of zeros may compress as well as they like


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was left out, and the newest day that a member bears (None: no plausible one).

    `missing` is what the source lacks; `left_out` is every member that was not unpacked, also
    what is nobody's loss (another's ``.git``, litter of macOS).
    """

    missing: tuple[str, ...]
    findings: tuple[Finding, ...]
    newest: date | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    kind: Literal["file", "folder", "link", "hard", "other"]
    size: int
    mode: int
    changed: float
    target: str
    open: Callable[[], IO[bytes]]


@dataclass(slots=True)
class _Work:
    """What has been unpacked so far."""

    tree: Path
    limit: int
    bounds: Bounds
    total: int = 0
    names: set[str] = field(default_factory=set)
    links: list[tuple[str, _Member]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    days: list[date] = field(default_factory=list)


def is_archive(path: Path) -> bool:
    """Say whether a file's name, or else its first bytes, are those of an archive."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    return path.suffix.lower() not in {".ipynb", ".xlsx", ".docx", ".npz", ".jar", ".whl"} and (
        zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    )


def stem_of(name: str) -> str:
    """Return an archive's name without what marks it as an archive."""
    lower = name.lower()
    ends = [suffix for suffix in SUFFIXES if lower.endswith(suffix)]
    return name[: -len(max(ends, key=len))] if ends else name


def unpack(archive: Path, tree: Path, *, bounds: Bounds | None = None) -> Unpacked:
    """Unpack `archive` into the existing empty folder `tree`; a single top folder is stripped.

    Raises SourceError for what is broken or refused; `tree` is then in no defined state.
    """
    bounds = bounds or Bounds()
    # Nothing that large comes from so little, unless it was made to fill disks.
    limit = max(archive.stat().st_size * bounds.ratio, bounds.ratio_from)
    work = _Work(tree, min(limit, bounds.total), bounds)
    try:
        with ExitStack() as stack:
            for count, member in enumerate(_members(archive, bounds, stack), 1):
                if count > bounds.members:
                    raise _bomb(archive, f"more than {bounds.members} members")
                _take(work, member, archive)
        _link(work)
    except _BROKEN as error:
        raise _broken(archive, error) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise SourceError(
            f"{archive.name} names {error.filename} twice, as different things",
            hint="Pack it again from a folder.",
        ) from error
    except OSError as error:
        if error.errno is None or "name too long" in str(error).lower():
            raise _broken(archive, error) from error  # gzip and bz2 say so by an OSError
        raise
    strip_top(tree)
    return _described(work)


def strip_top(tree: Path) -> None:
    """Replace `tree` by the single folder in it, where it holds just that."""
    entries = list(tree.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        aside = tree.with_name(f"{tree.name}.top")
        entries[0].rename(aside)
        tree.rmdir()
        aside.rename(tree)


def safe_name(name: str, of: str) -> str:
    """Return `name` as a relative POSIX path without ``.`` parts, "" where nothing is left.

    Raises SourceError for absolute names and names that climb out (`of` says whose name it is).
    """
    parts = PurePosixPath(name).parts
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha() and name[2:3] in {"\\", "/"}
    if name.startswith("/") or ".." in parts or drive or any(ord(one) < 32 for one in name):
        raise SourceError(
            f"{of} holds a file with a forbidden name: {name!r}",
            hint="Names that are absolute or climb out of the folder are an attack, or come from"
            " a careless tool: pack the folder again with relative names.",
        )
    return "/".join(part for part in parts if part != ".")


def _members(archive: Path, bounds: Bounds, stack: ExitStack) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        packed = stack.enter_context(zipfile.ZipFile(archive))
        return _zip_members(packed, archive, bounds)
    return _tar_members(stack.enter_context(tarfile.open(archive)))


def _zip_members(packed: zipfile.ZipFile, archive: Path, bounds: Bounds) -> Iterator[_Member]:
    for info in packed.infolist():
        if info.flag_bits & 1:
            raise SourceError(
                f"{archive.name} is encrypted", hint="Unpack it yourself and give the folder."
            )
        large = info.file_size > bounds.ratio_from
        if large and info.file_size > bounds.ratio * max(info.compress_size, 1):
            raise _bomb(archive, f"{info.filename} swells to {info.file_size} bytes")
        mode = info.external_attr >> 16
        kind: Literal["file", "folder", "link", "other"] = "file"
        if info.is_dir():
            kind = "folder"
        elif stat.S_ISLNK(mode):
            kind = "link"
        elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
            kind = "other"
        target = ""
        if kind == "link":
            with packed.open(info) as file:
                target = file.read(4096).decode(errors="surrogateescape")
        try:
            changed = datetime(*info.date_time, tzinfo=UTC).timestamp()
        except ValueError:
            changed = 0.0
        name = info.filename.replace("\\", "/")  # Windows tools write their own separator
        opener = cast("Callable[[], IO[bytes]]", lambda info=info: packed.open(info))
        yield _Member(name, kind, info.file_size, mode, changed, target, opener)


def _tar_members(packed: tarfile.TarFile) -> Iterator[_Member]:
    for info in packed:
        kind: Literal["file", "folder", "link", "hard", "other"] = "other"
        if info.isdir():
            kind = "folder"
        elif info.issym():
            kind = "link"
        elif info.islnk():
            kind = "hard"
        elif info.isfile():
            kind = "file"
        opener = cast("Callable[[], IO[bytes]]", lambda info=info: packed.extractfile(info))
        size = info.size if kind == "file" else 0
        yield _Member(info.name, kind, size, info.mode, info.mtime, info.linkname, opener)


def _take(work: _Work, member: _Member, archive: Path) -> None:
    name = safe_name(member.name, archive.name)
    if not name:
        return
    if _OF_OTHERS & set(name.split("/")):
        work.ignored.append(name)
        return
    if member.kind == "folder":
        (work.tree / name).mkdir(parents=True, exist_ok=True)
        return
    if name in work.names:
        raise SourceError(f"{archive.name} holds {name} twice", hint="Pack it again from a folder.")
    work.names.add(name)
    if member.kind == "other":
        work.dropped.append(name)
    elif member.kind in {"link", "hard"}:
        work.links.append((name, member))  # last, so that nothing is written through one
    else:
        _copy(work, name, member, archive)


def _copy(work: _Work, name: str, member: _Member, archive: Path) -> None:
    path = work.tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(member.open()) as source, path.open("xb") as out:
        while block := source.read(_BLOCK):
            work.total += len(block)
            if work.total > work.limit:
                raise _bomb(archive, f"it swells to more than {work.limit} bytes")
            out.write(block)
    path.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)
    if _plausible(member.changed):
        work.days.append(datetime.fromtimestamp(member.changed, UTC).date())


def _link(work: _Work) -> None:
    """Make the links: symbolic ones that stay inside, copies for hard ones.

    A link may lie behind an earlier one, so each place is judged where it really is.
    """
    root = work.tree.resolve()
    for name, member in work.links:
        path = work.tree / name
        where = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.target))
        if member.kind == "hard":
            where = posixpath.normpath(member.target)
        leaves = not member.target or where.startswith(("/", "../")) or where == ".."
        if leaves or not path.parent.resolve().is_relative_to(root):
            work.dropped.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == "link":
            path.symlink_to(member.target)
            continue
        other = work.tree / where
        if other.is_file() and other.resolve().is_relative_to(root):
            shutil.copyfile(other, path)
        else:
            work.dropped.append(name)


def _described(work: _Work) -> Unpacked:
    dropped = (*work.dropped, *drop_links_that_leave(work.tree))
    pointers = tuple(
        path.relative_to(work.tree).as_posix()
        for path in sorted(work.tree.rglob("*"))
        if is_lfs_pointer(path) and not SKIPPED & set(path.parts)
    )
    folded: dict[str, str] = {}
    alike = tuple(
        name for name in sorted(work.names) if folded.setdefault(name.lower(), name) != name
    )
    findings = (
        *about_missing(
            "link-leaves-tree",
            tuple(sorted(dropped)),
            f"{len(dropped)} links that lead out of the source, or devices, were left out",
            "Replace them by the files they stand for.",
        ),
        *about_missing(
            "lfs-pointer",
            pointers,
            f"{len(pointers)} files are Git LFS pointers, not the data themselves",
            "Clone the repository, run `git lfs pull` in it, and give the folder.",
        ),
        *about_missing(
            "names-alike",
            alike,
            f"{len(alike)} names differ from others in upper and lower case alone",
            "On macOS and Windows only one of each would remain.",
        ),
    )
    missing = tuple(sorted({*pointers, *dropped}))
    left_out = tuple(sorted({*work.ignored, *dropped}))
    return Unpacked(missing, findings, max(work.days, default=None), left_out)


def _plausible(changed: float) -> bool:
    # 315532800 is 1 January 1980, the zero of zip's clock, written where no time is known.
    return 315_619_200 < changed < datetime.now(UTC).timestamp() + 86_400


def _bomb(archive: Path, why: str) -> SourceError:
    return SourceError(
        f"{archive.name} was refused, it looks made to fill a disk: {why}",
        hint="If you trust it, unpack it yourself and give the folder.",
    )


def _broken(archive: Path, error: Exception) -> SourceError:
    kind = bz2.__name__ if archive.name.endswith("bz2") else type(error).__name__
    return SourceError(
        f"{archive.name} is no readable archive: {error} ({kind})",
        hint=f"It may be cut off: get it again. leman reads {', '.join(SUFFIXES)}.",
    )
