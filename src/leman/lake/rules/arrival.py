"""Whether bytes are what the catalogue says: size, adler32, md5, sha256 in one reading."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING

from leman.lake.model import Checksums

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.lake.interface import Storage


def no_wait(_size: int) -> None:
    """Let everything pass."""


def measure(
    storage: Storage, path: str, *, md5: bool = False, pause: Callable[[int], None] = no_wait
) -> tuple[int, Checksums]:
    """Read a file and return its size in bytes and its checksums; raises StorageError."""
    size, adler, sha = 0, 1, hashlib.sha256()
    old = hashlib.md5(usedforsecurity=False)
    for block in storage.get(path):
        pause(len(block))
        size += len(block)
        adler = zlib.adler32(block, adler)
        sha.update(block)
        if md5:
            old.update(block)
    return size, Checksums(f"{adler:08x}", old.hexdigest() if md5 else "", sha.hexdigest())


def differences(expected: Checksums, found: Checksums) -> str:
    """Say which checksums differ; only those that both sides have are compared."""
    said = [
        f"{one.name} is {getattr(found, one.name)} instead of {getattr(expected, one.name)}"
        for one in fields(Checksums)
        if getattr(expected, one.name)
        and getattr(found, one.name)
        and getattr(expected, one.name).lower() != getattr(found, one.name).lower()
    ]
    return ", ".join(said)


def damage(
    storage: Storage,
    path: str,
    size: int,
    expected: Checksums,
    pause: Callable[[int], None] = no_wait,
) -> tuple[str, Checksums]:
    """Say how a stored file differs from what is expected (empty: it does not), and what it is.

    Raises StorageError where it cannot be read: that is no verdict.
    """
    found_size, found = measure(storage, path, md5=bool(expected.md5), pause=pause)
    if found_size != size:
        return f"it has {found_size} bytes instead of {size}", found
    return differences(expected, found), found
