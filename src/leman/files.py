"""Files written so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_USE = ".in-use"  # a lock in a work copy, held as long as the process that works there lives
_FULL = (errno.ENOSPC, errno.EDQUOT)
# From linux/fs.h, for the machines where `long` has 64 bits.
_GET_ATTRIBUTES, _SET_ATTRIBUTES, _TOP = 0x80086601, 0x40086602, 0x00020000
_NO_SPACE = re.compile(rf"\[Errno (?:{errno.ENOSPC}|{errno.EDQUOT})\]")


def is_full(error: OSError) -> bool:
    """Tell whether an error says that there is no space left, also one of `shutil.copytree`."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return any(_NO_SPACE.search(str(entry)) for entry in error.args[0])
    return error.errno in _FULL


@contextmanager
def full_disk_said(where: Path) -> Iterator[None]:
    """Turn "no space left" into a SpaceError that names the file system; the rest passes."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise SpaceError(
                f"the disk that holds {where} is full",
                hint="Free some space (`leman env prune` removes old environments) and run again:"
                " nothing half-written was kept.",
            ) from error
        raise


def write_atomic(path: Path, content: str | bytes, *, mode: int = 0o644) -> Path:
    """Write `content` beside `path`, flush it to the disk, then rename it into place."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_said(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    return path


def write_json(path: Path, value: Any) -> Path:  # noqa: ANN401 - whatever JSON can hold
    """Write a value as indented JSON, atomically."""
    return write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, sort_keys=False))


def spread(folder: Path) -> None:
    """Have ext4 give each folder in `folder` a region of its own: attribute T of chattr(1).

    By itself it puts all of them near `folder`. There a new file takes no inode that was freed in
    the last minutes, but each of these is looked at first, for every file anew: after ten
    thousand files were removed, it takes ten seconds instead of one to make as many. On other
    file systems, and where `folder` is somebody else's, nothing happens.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(handle, _GET_ATTRIBUTES, bytes(8))
            (attributes,) = struct.unpack("l", answer)
            if not attributes & _TOP:
                fcntl.ioctl(handle, _SET_ATTRIBUTES, struct.pack("l", attributes | _TOP))
        finally:
            os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a folder, also one with read-only files or folders; a missing one is fine."""

    def make_writable_and_retry(function: Any, name: str, error: BaseException) -> None:  # noqa: ANN401
        if isinstance(error, FileNotFoundError):
            return
        parent = Path(name).parent
        parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
        with contextlib.suppress(OSError):
            Path(name).chmod(stat.S_IRWXU)
        function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        if _needs_care(path):
            for folder, _, _ in os.walk(path):
                Path(folder).chmod(stat.S_IRWXU)
        _rmtree(path, make_writable_and_retry)


def _needs_care(path: Path) -> bool:
    return any(not os.access(folder, os.W_OK) for folder, _, _ in os.walk(path))


def _rmtree(path: Path, onerror: Any) -> None:  # noqa: ANN401 - the signature changed in 3.12
    import sys  # noqa: PLC0415

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=onerror)
    else:
        shutil.rmtree(path, onerror=lambda function, name, info: onerror(function, name, info[1]))


def size_of(*paths: Path) -> int:
    """Return the bytes that the files of folders occupy on disk, each inode counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in (found for path in paths for found in os.walk(path)):
        for name in names:
            with contextlib.suppress(OSError):
                info = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - hot loop
                if (info.st_dev, info.st_ino) not in seen:
                    seen.add((info.st_dev, info.st_ino))
                    total += info.st_blocks * 512
    return total
