"""Writing into a storage so that no crash leaves anything worse than it was.

Every file is written aside, flushed to the disk, read again and compared with its digest; only
then does a rename put it in its place, over the damaged one. What else stands in the way is set
aside, never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from leman.errors import LemanError
from leman.files import full_disk_said, remove_tree
from leman.records.store.names import ASIDE, EXTENSIONS, STAGED, WORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leman.records.store.keep import Storage

_BLOCK = 1 << 20  # bytes
_READ_ONLY = 0o444
_THREADS = 4  # flushing many small files waits for the disk, not for a processor
_AHEAD = 64

Source = Path | bytes


class SpoiltError(LemanError):
    """What was to be copied no longer has the digest that it had."""


def write_verified(source: Source, target: Path, digest: str) -> None:
    """Write a new file that has this SHA-256 and is on the disk.

    Raises SpoiltError where the source has another digest, SpaceError on a full disk.
    """
    with full_disk_said(target):
        handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if _copied(source, handle) == digest:
                os.fsync(handle)
                if _read_again(handle) == digest:
                    os.fchmod(handle, _READ_ONLY)
                    return
            raise SpoiltError(f"{source if isinstance(source, Path) else target} has changed")
        finally:
            os.close(handle)


def _copied(source: Source, handle: int) -> str:
    whole = hashlib.sha256()
    for block in [source] if isinstance(source, bytes) else _blocks(source):
        whole.update(block)
        _write(handle, block)
    return whole.hexdigest()


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        given = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SpoiltError(f"{source}: {error.strerror}") from error
    try:
        while True:
            try:
                block = os.read(given, _BLOCK)
            except OSError as error:
                raise SpoiltError(f"{source}: {error.strerror}") from error
            if not block:
                return
            yield block
    finally:
        os.close(given)


def _write(handle: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _read_again(handle: int) -> str:
    # Asks the system to forget its copy, so that what is read is what the disk has.
    with contextlib.suppress(OSError, AttributeError):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(handle, 0, os.SEEK_SET)
    whole = hashlib.sha256()
    while block := os.read(handle, _BLOCK):
        whole.update(block)
    return whole.hexdigest()


def flush_folder(path: Path) -> None:
    """Flush a folder's names to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def workspace(storage: Storage) -> Path:
    """Return the folder for what is being written, made where it is missing."""
    extensions = storage.path / EXTENSIONS
    if extensions.is_symlink() or (extensions.exists() and not extensions.is_dir()):
        extensions.rename(storage.path / f"{EXTENSIONS}-set-aside-{secrets.token_hex(4)}")
    for name in (WORK, STAGED):
        way = storage.path / name
        if way.is_symlink() or (way.exists() and not way.is_dir()):
            way.rename(storage.path / f"{way.name}-set-aside-{secrets.token_hex(4)}")
    staged = storage.path / STAGED
    staged.mkdir(parents=True, exist_ok=True)
    return staged


def stage(storage: Storage, source: Source, digest: str) -> Path:
    """Write a file aside; its name begins with its digest, so that it is known after a crash."""
    target = workspace(storage) / f"{digest}.{secrets.token_hex(4)}"
    try:
        write_verified(source, target, digest)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def stage_tree(storage: Storage, files: Iterable[tuple[str, Source, str]]) -> Path:
    """Write a folder aside, of (path, source, SHA-256); after an error nothing of it is left."""
    target = workspace(storage) / f"tree.{secrets.token_hex(4)}"
    target.mkdir()
    try:
        folders = {target}
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[Future[None]] = deque()
            for path, source, digest in files:
                place = target / path
                if place.parent not in folders:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    folders.update((place.parent, *place.parent.parents))
                waiting.append(pool.submit(write_verified, source, place, digest))
                if len(waiting) > _AHEAD:
                    waiting.popleft().result()
            while waiting:
                waiting.popleft().result()
        for folder, _, _ in os.walk(target):
            flush_folder(Path(folder))
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(target)
        raise
    return target


def place(storage: Storage, staged: Path, path: str) -> None:
    """Move what was written aside to its place below the storage's root, in one step.

    A damaged file is replaced; anything else that stands there is set aside.
    """
    target = storage.path / path
    _clear_way(storage, path)
    if _is_folder(target):
        if not _removed_if_empty(target):
            set_aside(storage, path)
    elif staged.is_dir() and os.path.lexists(target):
        set_aside(storage, path)
    staged.replace(target)
    flush_folder(target.parent)


def _clear_way(storage: Storage, path: str) -> None:
    """Make the folders above `path`; a link or file in the place of one is set aside."""
    above = path.split("/")[:-1]
    for depth in range(1, len(above) + 1):
        folder = "/".join(above[:depth])
        way = storage.path / folder
        if not _is_folder(way):
            if os.path.lexists(way):
                set_aside(storage, folder)
            way.mkdir()
            flush_folder(way.parent)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _removed_if_empty(path: Path) -> bool:
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def set_aside(storage: Storage, path: str) -> Path:
    """Move something that does not belong below a storage's root to where it harms nobody."""
    workspace(storage)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    target = storage.path / ASIDE / f"{day}-{secrets.token_hex(4)}" / path
    target.parent.mkdir(parents=True)
    (storage.path / path).rename(target)
    flush_folder(target.parent)
    return target


def prune(storage: Storage, path: str) -> None:
    """Remove the empty folders at and above `path`, up to the storage's root."""
    while path and _removed_if_empty(storage.path / path):
        path = path.rpartition("/")[0]


def tidied(storage: Storage) -> None:
    """Remove what was left behind while writing; what was set aside stays."""
    with contextlib.suppress(OSError):
        remove_tree(storage.path / STAGED)
    prune(storage, WORK)
