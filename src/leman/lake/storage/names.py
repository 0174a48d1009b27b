"""Paths inside a storage, and names of what is not complete yet."""

from __future__ import annotations

import re
import secrets

from leman.lake.interface import StorageError

_PART = re.compile(r"\.leman-[0-9a-f]{16}\.part")
# A file name on every common file system, in bytes of UTF-8; a path on Linux and in S3.
_LONGEST_NAME, _LONGEST_PATH = 255, 1024


def parts_of(path: str) -> tuple[str, ...]:
    """Return the parts of a relative POSIX path.

    Raises StorageError (refused) for a path that leads elsewhere, that back-ends read differently
    (``//``, control characters) or that is a name for uploads.
    """
    parts = tuple(path.split("/"))
    try:
        lengths = [len(one.encode()) for one in parts]
    except UnicodeEncodeError:
        raise StorageError("refused", f"{path!r} cannot be written as UTF-8") from None
    why = ""
    if {"", ".", ".."} & set(parts):
        why = "it is not relative and normalised"
    elif any(ord(one) < 32 or ord(one) == 127 for one in path):
        why = "it holds control characters"
    elif max(lengths) > _LONGEST_NAME or sum(lengths) + len(parts) > _LONGEST_PATH:
        why = f"names have at most {_LONGEST_NAME} bytes and paths {_LONGEST_PATH}"
    elif any(is_part(one) for one in parts):
        why = "names of this kind are for uploads that are not complete"
    if why:
        raise StorageError("refused", f"{path!r} is no path in a storage: {why}")
    return parts


def part_name() -> str:
    """Return a new name for what is being uploaded."""
    return f".leman-{secrets.token_hex(8)}.part"


def part_beside(path: str) -> str:
    """Return the path of a new upload in the folder of `path`."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{part_name()}"


def is_part(name: str) -> bool:
    """Tell whether a name (of a file, not a path) is that of an incomplete upload."""
    return bool(_PART.fullmatch(name))
