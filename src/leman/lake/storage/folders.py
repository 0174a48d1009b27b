"""The way to a file inside a folder, one opened folder after the other; and what errors mean."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from leman.files import is_full
from leman.lake.interface import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from leman.lake.interface import Kind

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# What a disk that fails, is unplugged, or a mount whose server is gone answers.
AWAY = {
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ENODEV,
    errno.ENXIO,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}


@contextmanager
def entered(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Give a descriptor of the folder `parts` below `root`; makes missing folders if asked to.

    Raises StorageError (unreachable) where `root` is missing, and OSError for the rest.
    """
    try:
        handle = os.open(root, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        raise StorageError(
            "unreachable",
            f"the folder {root} of a storage is not there",
            hint="Is its disk mounted? It is never made anew: a full disk may hide behind it.",
        ) from None
    try:
        for part in parts:
            try:
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
            except FileNotFoundError:
                if not create:
                    raise
                inner = _made(handle, part)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _made(folder: int, name: str) -> int:
    """Make a folder and open it; another process may make or remove it at the same time."""
    for attempt in range(100):
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
            os.fsync(folder)
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            if attempt == 99:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


@contextmanager
def open_file(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """Give a descriptor of a regular file, for reading; raises OSError or StorageError."""
    with entered(root, parts[:-1]) as folder:
        # Without O_NONBLOCK, opening a named pipe would wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(parts[-1], flags, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StorageError("refused", f"{'/'.join(parts)} in {root} is not a regular file")
        yield handle
    finally:
        os.close(handle)


@contextmanager
def file_told(root: Path, path: str) -> Iterator[None]:
    """Turn an OSError into a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        raise _meaning(error, f"{path} in {root}") from error


def _meaning(error: OSError, what: str) -> StorageError:
    kind: Kind = "refused"
    hint = ""
    if isinstance(error, FileNotFoundError):
        return StorageError("no-such-file", f"there is no {what}")
    if is_full(error):
        kind, hint = "no-space", "Free some space or raise the quota; nothing was stored."
    elif error.errno == errno.EROFS:
        kind = "read-only"
    elif error.errno in AWAY:
        kind, hint = "unreachable", "Look at the disk or mount: it answers with errors."
    elif error.errno in {errno.ELOOP, errno.ENOTDIR}:
        hint = "A link or a file is on the way; a storage follows no links."
    return StorageError(kind, f"{what}: {error.strerror or error}", hint=hint)
