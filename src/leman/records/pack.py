"""The author's files on their way into a record: copied, counted, nothing secret, no link left."""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.environments.providers.scope import PUBLISHING, SKIPPED, is_product
from leman.errors import SourceError
from leman.files import full_disk_said, sha256_of
from leman.records.bag.listing import collisions, unportable
from leman.records.model import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECRET_NAMES = re.compile(
    r"\.env(\..+)?|\.netrc|\.pypirc|\.git-credentials|\.pgpass|id_(rsa|dsa|ecdsa|ed25519)(_sk)?"
    r"|credentials(\.json)?|.*\.(pem|key|p12|pfx|kdbx)"
)
_LITTER = frozenset({".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini"})  # of file managers
_PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_OPEN_NAMES = re.compile(r"\.env\.(example|sample|template|dist)")


@dataclass(slots=True)
class Packed:
    """What went into a record, and what did not; paths are relative to the source (POSIX)."""

    files: list[str] = field(default_factory=list)
    executable: list[str] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # path, why
    references: list[Reference] = field(default_factory=list)

    def as_facts(self) -> dict[str, Any]:
        """Return the part of the facts that tells of this."""
        return {
            "executable": self.executable,
            "empty_folders": self.empty_folders,
            "left_out": [{"path": path, "why": why} for path, why in self.left_out],
        }


def pack(source: Path, target: Path, elsewhere: Mapping[str, str]) -> Packed:
    """Copy the files of `source` into `target`, which is made now.

    Links become what they lead to if that lies inside the source. `elsewhere` maps files to the
    address where a reader gets them: they are hashed and named, not copied. Raises SourceError for
    names that some systems cannot hold, and for a file of `elsewhere` that is not there.
    """
    packed = Packed()
    whole = source.resolve()
    with full_disk_said(target):
        target.mkdir(parents=True)
        _folder(whole, "", target, elsewhere, packed)
    for name in sorted(set(elsewhere) - {one.path for one in packed.references}):
        raise SourceError(
            f"--by-reference {name}: there is no such file in the source",
            hint="Give its path as seen from the source's folder.",
        )
    _portable(packed)
    packed.files.sort()
    return packed


def _folder(
    whole: Path, folder: str, target: Path, elsewhere: Mapping[str, str], packed: Packed
) -> bool:
    """Copy one folder; False where nothing of it came along."""
    any_copied = False
    for path, entry in _entries(whole / folder, folder):
        if entry.is_dir(follow_symlinks=False):
            if is_product(Path(entry.path)):
                packed.left_out.append((path, "a report or record that leman made"))
            elif Path(entry.path, "pyvenv.cfg").is_file():
                packed.left_out.append((path, "an environment of Python"))
            elif _folder(whole, path, target, elsewhere, packed):
                any_copied = True
            else:
                packed.empty_folders.append(path)
            continue
        if path in elsewhere:
            packed.references.append(_reference(Path(entry.path), path, elsewhere[path]))
        elif why := _unwanted(whole, entry):
            packed.left_out.append((path, why))
        else:
            _copy(whole, entry, path, target, packed)
            any_copied = True
    return any_copied


def _entries(folder: Path, inside: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda one: one.name)
    for entry in entries:
        kept = entry.name not in SKIPPED and entry.name not in _LITTER
        if kept and not entry.name.startswith(PUBLISHING):
            yield (f"{inside}/{entry.name}" if inside else entry.name), entry


def _unwanted(whole: Path, entry: os.DirEntry[str]) -> str:
    """Say why a file stays out of a record, or return ""."""
    if entry.is_symlink():
        real = Path(os.path.realpath(entry.path))
        if not real.exists():
            return "a link that leads nowhere"
        if not real.is_relative_to(whole):
            return "a link that leaves the source"
        if real.is_dir():
            return "a link to a folder"
    if not stat.S_ISREG(entry.stat().st_mode):
        return "no regular file"
    name = entry.name.lower()
    if _SECRET_NAMES.fullmatch(name) and not _OPEN_NAMES.fullmatch(name):
        return _secret(entry)
    return ""


def _secret(entry: os.DirEntry[str]) -> str:
    """Say that a file looks secret; certificates (.pem) without a private key do not."""
    if entry.name.lower().endswith((".pem", ".key")):
        with suppress(OSError), Path(entry.path).open("rb") as file:
            if not _PRIVATE.search(file.read(1_000_000)):
                return ""
    return "it looks like a secret"


def _copy(whole: Path, entry: os.DirEntry[str], path: str, target: Path, packed: Packed) -> None:
    where = target / path
    where.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(entry.path, where)
    except PermissionError as error:
        raise SourceError(
            f"{whole / path} may not be read", hint="Change its permissions (chmod +r)."
        ) from error
    packed.files.append(path)
    if entry.stat().st_mode & stat.S_IXUSR:
        where.chmod(0o755)
        packed.executable.append(path)
    else:
        where.chmod(0o644)


def _reference(file: Path, path: str, url: str) -> Reference:
    return Reference(path, url, file.stat().st_size, sha256_of(file))


def _portable(packed: Packed) -> None:
    """Refuse names that would make the record another one on another system."""
    names = [*packed.files, *(one.path for one in packed.references)]
    for name in names:
        if trouble := unportable(name):
            raise SourceError(
                f"{name!r} cannot be in a record: {trouble}", hint="Rename it in the source."
            )
    for one, other in collisions(names):
        raise SourceError(
            f"{one!r} and {other!r} are one file on some systems (macOS, Windows)",
            hint="Rename one of them in the source.",
        )
