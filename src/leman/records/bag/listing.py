"""Everything that lies below a folder, told without following a link, within limits."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.findings import Finding, Severity
from leman.records.layout import DEEPEST, LONGEST_PATH, MOST_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{name}{number}" for name in ("com", "lpt") for number in "123456789¹²³"}
)
_MAYBE_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com|lpt)", re.IGNORECASE)
# Most paths, told at once to be harmless: short, printable ASCII, no part begins with a dot.
_PLAIN = re.compile(r"(?:[0-9A-Za-z_-][ -.0-9;-~]{0,99}/){0,9}[0-9A-Za-z_-][ -.0-9;-~]{0,99}")
MOST_FINDINGS = 1000  # of one code: a hostile record may hold a million of a kind
_RUNS = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH | stat.S_ISUID | stat.S_ISGID


@dataclass(slots=True)
class Listing:
    """Files below a folder (POSIX paths relative to it) with their sizes, and what is odd."""

    files: dict[str, int] = field(default_factory=dict)
    executable: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    entries: int = 0  # of whatever kind
    counts: Counter[str] = field(default_factory=Counter)  # of findings, by code

    def odd(self, code: str, where: str, message: str) -> None:
        """Add an error, unless there are so many of its kind that nobody would read it."""
        self.counts[code] += 1
        if self.counts[code] <= MOST_FINDINGS:
            self.findings.append(Finding(code, "error", where, message))
        elif self.counts[code] == MOST_FINDINGS + 1:
            self.findings.append(Finding(code, "error", "", "and more of this kind"))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())


def listed(root: Path) -> Listing:
    """List `root`; links, special files, empty folders and too deep ones become findings.

    Stops with a finding at `MOST_FILES`.
    """
    found = Listing()
    pending = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        if not _list_folder(root, folder, depth, found, pending):
            break
    return found


def _list_folder(
    root: Path, folder: str, depth: int, found: Listing, pending: list[tuple[str, int]]
) -> bool:
    if depth > DEEPEST or _bytes(folder) > LONGEST_PATH:
        found.odd("too-deep", folder[:200], f"more than {DEEPEST} folders deep")
        return True
    empty = True
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                empty = False
                path = f"{folder}/{entry.name}" if folder else entry.name
                _list_entry(entry, path, depth, found, pending)
                found.entries += 1
                if found.entries > MOST_FILES:  # links and empty folders count, too
                    found.odd("too-many-files", "", f"more than {MOST_FILES} files and folders")
                    return False
    except OSError as error:
        found.odd("unreadable", folder, error.strerror or str(error))
        return True
    if empty and folder:
        found.odd("empty-folder", folder, "an empty folder, which is in no list")
    return True


def _list_entry(
    entry: os.DirEntry[str],
    path: str,
    depth: int,
    found: Listing,
    pending: list[tuple[str, int]],
) -> None:
    info = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        pending.append((path, depth + 1))
    elif stat.S_ISREG(info.st_mode):
        found.files[path] = info.st_size
        if info.st_mode & _RUNS:
            found.executable.add(path)
    elif stat.S_ISLNK(info.st_mode):
        found.odd("link", path, "a symbolic link: a record has none")
    else:
        found.odd("special-file", path, "a pipe, socket or device: a record has none")


def capped(findings: Iterable[Finding], most: int = MOST_FINDINGS) -> Iterator[Finding]:
    """Yield findings, at most `most` of one code; the rest is one that counts them."""
    counts: Counter[tuple[str, Severity]] = Counter()
    for one in findings:
        counts[one.code, one.severity] += 1
        if counts[one.code, one.severity] <= most:
            yield one
    for (code, severity), count in counts.items():
        if count > most:
            yield Finding(code, severity, "", f"and {count - most} more of this kind")


def _bytes(path: str) -> int:
    return len(path) if path.isascii() else len(path.encode(errors="surrogateescape"))


def bad_path(path: str) -> str:
    """Say why a path of a manifest must not be followed, or return ""."""
    if _PLAIN.fullmatch(path):
        return ""
    if not path or path.startswith(("/", "~")) or path[1:2] == ":":
        return "it is not relative to the record"
    if "\0" in path or _bytes(path) > LONGEST_PATH:
        return "no file can have this name"
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "it has an empty part, “.” or “..”"
    if len(parts) > DEEPEST + 1:
        return f"it is more than {DEEPEST} folders deep"
    return ""


def unportable(path: str) -> str:
    """Say why a path cannot be had on every system, or return ""."""
    if path.isascii() and not _MAYBE_DEVICE.search(path):
        return ""
    for part in path.split("/"):
        stem = part.split(".", maxsplit=1)[0].rstrip(" ").lower()
        if stem in _DEVICES:
            return f"“{part}” names a device on Windows"
        if any(0xD800 <= ord(letter) < 0xE000 for letter in part):
            return f"{part!r} is not UTF-8"
    return ""


def collisions(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of paths that are one on some systems: case, or Unicode's composed letters.

    Folders count as well: ``data/A/x`` and ``data/a/y`` meet in one folder.
    """
    seen: dict[str, str] = {}
    known: set[str] = set()
    for path in paths:
        for one in (*_new_folders(path, known), path):
            key = key_of(one)
            other = seen.setdefault(key, one)
            if other != one:
                yield other, one


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder that files of these paths lie in, however deep."""
    known: set[str] = set()
    for path in paths:
        _new_folders(path, known)
    return known


def _new_folders(path: str, known: set[str]) -> list[str]:
    found = []
    folder = path.rpartition("/")[0]
    while folder and folder not in known:
        known.add(folder)
        found.append(folder)
        folder = folder.rpartition("/")[0]
    return found


def key_of(path: str) -> str:
    """Return what a path is to a system that ignores case, Unicode form and dots at the end."""
    if not path.isascii():
        path = unicodedata.normalize("NFC", path).casefold()
    # Windows drops dots and spaces at the end of a name.
    plain = path.lower() if path.isascii() else unicodedata.normalize("NFC", path)
    if " /" in plain or "./" in plain or plain[-1:] in {" ", "."}:
        plain = "/".join(part.rstrip(". ") for part in plain.split("/"))
    return plain
