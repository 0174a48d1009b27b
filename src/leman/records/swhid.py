"""Software Hash Identifiers (ISO/IEC 18670) of folders and commits, without running git.

The identifier of a folder is the name that git gives to the same tree (SWHID 1.2, §5: "directories"
and "contents" are hashed as git hashes trees and blobs), so that it can be looked up in Software
Heritage, and computed anew by anybody with ``git write-tree``.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING

from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 1 << 20  # bytes
_FILE, _PROGRAM, _LINK, _FOLDER = b"100644", b"100755", b"120000", b"40000"


def nothing(_path: str) -> bool:
    """Skip nothing."""
    return False


def directory_swhid(
    root: Path,
    *,
    skip: Callable[[str], bool] = nothing,
    executable: Collection[str] | None = None,
) -> str:
    """Return the ``swh:1:dir:…`` of a folder.

    `skip` is asked for every POSIX path relative to `root`. `executable` names the files that
    were executable when the folder was stored; without it the modes on this disk count. As git
    does, empty folders, devices and everything called ``.git`` are left out, and links are
    hashed as links. Raises SourceError for what cannot be read, or changes while it is read.
    """
    try:
        return f"swh:1:dir:{_tree(root, skip, executable).hex()}"
    except OSError as error:
        raise SourceError(
            f"{error.filename or root} could not be read: {error.strerror}",
            hint="Make every file of the source readable and try again.",
        ) from error


def revision_swhid(commit: str) -> str:
    """Return the ``swh:1:rev:…`` of a commit, "" for what is no SHA-1 (SWHID 1 has no other)."""
    name = commit.removeprefix("git:").lower()
    return f"swh:1:rev:{name}" if _COMMIT.fullmatch(name) else ""


def _tree(root: Path, skip: Callable[[str], bool], executable: Collection[str] | None) -> bytes:
    """Hash all folders, the deepest first: depth costs no recursion."""
    entries: dict[str, list[tuple[bytes, bytes, bytes]]] = {}  # folder → mode, name, digest
    folders = [""]
    for folder in folders:  # grows while it is walked: each folder comes after its parent
        entries[folder] = []
        with os.scandir(root / folder if folder else root) as listed:
            for entry in listed:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name == ".git" or skip(path):
                    continue
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    folders.append(path)
                elif stat.S_ISLNK(mode):
                    target = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - in bytes
                    digest = _object(b"blob", target)
                    entries[folder].append((_LINK, os.fsencode(entry.name), digest))
                elif stat.S_ISREG(mode):
                    runs = mode & stat.S_IXUSR if executable is None else path in executable
                    kind = _PROGRAM if runs else _FILE
                    entries[folder].append((kind, os.fsencode(entry.name), _blob(entry.path)))
    digest = b""
    for folder in reversed(folders):
        inside = entries.pop(folder)
        digest = _object(b"tree", b"".join(map(_line, sorted(inside, key=_order))))
        if inside and folder:
            parent, _, name = folder.rpartition("/")
            entries[parent].append((_FOLDER, os.fsencode(name), digest))
    return digest


def _line(entry: tuple[bytes, bytes, bytes]) -> bytes:
    mode, name, digest = entry
    return mode + b" " + name + b"\0" + digest


def _order(entry: tuple[bytes, bytes, bytes]) -> bytes:
    """Return git's sort key: a folder sorts as if its name ended with a slash."""
    return entry[1] + b"/" if entry[0] == _FOLDER else entry[1]


def _object(kind: bytes, content: bytes) -> bytes:
    head = b"%s %d\0" % (kind, len(content))
    return hashlib.sha1(head + content, usedforsecurity=False).digest()


def _blob(path: str) -> bytes:
    """Hash a file block by block; its size comes first, so a file that grows is refused."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hot loop
        size = os.fstat(file.fileno()).st_size
        found = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        seen = 0
        while block := file.read(_BLOCK):
            seen += len(block)
            found.update(block)
    if seen != size:
        raise SourceError(
            f"{path} changed while it was read: {size:,} bytes, then {seen:,}",
            hint="Close the programs that write to it and try again.",
        )
    return found.digest()
