"""A folder as a storage: no half file is ever visible, no link is ever followed.

Every folder on the way is opened by itself, without following links (openat(2) with O_NOFOLLOW),
so that no link made meanwhile leads out. A file is written without a name (O_TMPFILE) and gets its
name when it is on the disk: a killed process leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from leman.lake.interface import StorageError, Stored, unheard
from leman.lake.storage.digests import BLOCK, Following, read_blocks, sums, told, too_short
from leman.lake.storage.folders import entered, file_told, open_file
from leman.lake.storage.names import is_part, part_name, parts_of
from leman.lake.storage.options import read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leman.lake.interface import Storage
    from leman.lake.model import Checksums

_STEP = 16 * BLOCK  # as much is copied by the kernel between two reports of progress
_SMALL = 4 * BLOCK  # below this, threads cost more than they save
# "The file system cannot do that": a plain temporary name, or copying through memory, can.
_CANNOT = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EISDIR, errno.EBADF}


class LocalStorage:
    """A folder that exists; it is never created, so that an unmounted disk is not written to."""

    reads_back = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Store a file; checksums are read back from it. Files are copied inside the kernel."""
        handle = _regular(source)
        if handle is not None:
            start = source.tell()
            found = self._store(path, size, _copying(handle, start, size, progress))
            source.seek(start + size)
            return found
        return self._store(path, size, _streaming(source, size, progress))

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""
        with file_told(self.root, path), open_file(self.root, parts_of(path)) as handle:
            while block := os.pread(handle, BLOCK, start):
                start += len(block)
                yield block

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        """Copy between folders inside the kernel, sharing blocks where the file system can."""
        if not isinstance(source, LocalStorage):
            return None
        with file_told(source.root, origin), open_file(source.root, parts_of(origin)) as handle:
            size = os.fstat(handle).st_size
            return self._store(path, size, _copying(handle, 0, size, unheard))

    def delete(self, path: str) -> None:
        """Remove a file and the folders that this leaves empty."""
        parts = parts_of(path)
        with file_told(self.root, path):
            try:
                with entered(self.root, parts[:-1]) as folder:
                    os.unlink(parts[-1], dir_fd=folder)
                    os.fsync(folder)
            except FileNotFoundError:
                return
        for depth in range(len(parts) - 1, 0, -1):
            try:
                with entered(self.root, parts[: depth - 1]) as folder:
                    os.rmdir(parts[depth - 1], dir_fd=folder)
            except OSError:
                break  # not empty, or somebody else's by now

    def checksum(self, path: str) -> Checksums:
        """Read the file and return its checksums."""
        with file_told(self.root, path), open_file(self.root, parts_of(path)) as handle:
            size = os.fstat(handle).st_size
            if size <= _SMALL:
                return _inline(handle, size)
            with Following(handle, flush=False) as following:
                following.reach(size)
                return following.finish()

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every regular file below a folder; links and uploads are left out."""
        parts = parts_of(under) if under else ()
        for found in self._walk(parts):
            if not is_part(found.path.rpartition("/")[2]):
                yield found

    def sweep(self, age: float) -> int:
        """Remove uploads that were begun more than `age` seconds ago and did not end."""
        count = 0
        for found in self._walk(()):
            *folders, name = found.path.split("/")
            if is_part(name) and found.changed < time.time() - age:
                with file_told(self.root, found.path), entered(self.root, folders) as folder:
                    os.unlink(name, dir_fd=folder)
                    count += 1
        return count

    def _walk(self, parts: tuple[str, ...]) -> Iterator[Stored]:
        with file_told(self.root, "/".join(parts) or "."):
            try:
                with entered(self.root, parts) as folder:
                    yield from _below(folder, "".join(f"{one}/" for one in parts))
            except FileNotFoundError:
                return

    def _store(self, path: str, size: int, write: Callable[[int], Iterator[int]]) -> Checksums:
        parts = parts_of(path)
        with file_told(self.root, path), _unnamed(self.root, parts) as (handle, name):
            if size <= _SMALL:
                for _ in write(handle):
                    pass
                found = _inline(handle, size)
            else:
                with Following(handle, flush=True) as following:
                    for offset in write(handle):
                        following.reach(offset)
                    found = following.finish()
            if os.fstat(handle).st_size != size:
                raise StorageError("damaged", f"{path} was written with another size than {size}")
            os.fsync(handle)
            name()
        return found


def open_local(address: str, options: Mapping[str, object]) -> LocalStorage:
    """Return the storage of a path or a ``file://`` address."""
    read_options(_NoOptions, options)
    if address.startswith("file://"):
        place = urlsplit(address)
        if place.netloc not in {"", "localhost"}:
            raise StorageError("refused", f"{address} is not on this machine")
        address = unquote(place.path)
    return LocalStorage(Path(address).expanduser().absolute())


@dataclass(frozen=True, slots=True)
class _NoOptions:
    """A folder has none."""


def _regular(source: BinaryIO) -> int | None:
    """Return the descriptor of a plain file opened for reading, else None."""
    if not isinstance(source, (io.BufferedReader, io.FileIO)):
        return None
    try:
        handle = source.fileno()
        return handle if stat.S_ISREG(os.fstat(handle).st_mode) else None
    except (OSError, ValueError):
        return None


def _inline(handle: int, size: int) -> Checksums:
    made = sums()
    offset = 0
    while offset < size:
        block = os.pread(handle, _SMALL, offset)
        if not block:
            raise too_short(offset, size)
        for one in made.values():
            one.update(block)
        offset += len(block)
    return told(made)


def _streaming(
    source: BinaryIO, size: int, progress: Callable[[int, int], None]
) -> Callable[[int], Iterator[int]]:
    def write(target: int) -> Iterator[int]:
        offset = 0
        for block in read_blocks(source, size, progress):
            _write_all(target, block)
            offset += len(block)
            yield offset

    return write


def _copying(
    source: int, start: int, size: int, progress: Callable[[int, int], None]
) -> Callable[[int], Iterator[int]]:
    def write(target: int) -> Iterator[int]:
        done = 0
        inside = True
        while done < size:
            step = min(_STEP, size - done)
            try:
                got = os.copy_file_range(source, target, step, start + done) if inside else 0
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                got, inside = 0, False
            if not got:
                # Some file systems copy nothing and say no error: only reading tells the end.
                inside = False
                block = os.pread(source, min(step, BLOCK), start + done)
                if not block:
                    raise too_short(done, size)
                _write_all(target, block)
                got = len(block)
            done += got
            progress(done, size)
            yield done

    return write


def _write_all(target: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(target, rest) :]


@contextmanager
def _unnamed(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[int, Callable[[], None]]]:
    """Give a new file beside its later place, and what gives it its name, replacing another."""
    handle, temporary = -1, ""
    while handle < 0:
        # A folder that a deletion removed meanwhile is made again.
        with (
            entered(root, parts[:-1], create=True) as folder,
            contextlib.suppress(FileNotFoundError),
        ):
            handle, temporary = _new_file(folder)
    named = False

    def name() -> None:
        nonlocal named
        while not named:
            with (
                entered(root, parts[:-1], create=True) as folder,
                contextlib.suppress(FileNotFoundError),
            ):
                _name(handle, temporary, folder, parts[-1])
                named = True
                os.fsync(folder)

    try:
        yield handle, name
    finally:
        os.close(handle)
        if not named:
            _tidy(root, parts, temporary)


def _new_file(folder: int) -> tuple[int, str]:
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666, dir_fd=folder), ""
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    temporary = part_name()
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC
    return os.open(temporary, flags, 0o666, dir_fd=folder), temporary


def _name(handle: int, temporary: str, folder: int, name: str) -> None:
    if not temporary:
        here = f"/proc/self/fd/{handle}"
        try:
            os.link(here, name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            temporary = part_name()
            os.link(here, temporary, dst_dir_fd=folder, follow_symlinks=True)
        else:
            return
    try:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _tidy(root: Path, parts: tuple[str, ...], temporary: str) -> None:
    """Remove what a failed upload leaves: its temporary file and folders made for it."""
    with contextlib.suppress(OSError, StorageError):
        if temporary:
            with entered(root, parts[:-1]) as folder:
                os.unlink(temporary, dir_fd=folder)
        for depth in range(len(parts) - 1, 0, -1):
            with entered(root, parts[: depth - 1]) as folder:
                os.rmdir(parts[depth - 1], dir_fd=folder)


def _below(folder: int, prefix: str) -> Iterator[Stored]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    inner = os.open(entry.name, flags, dir_fd=folder)
                elif entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    yield Stored(f"{prefix}{entry.name}", about.st_size, about.st_mtime)
                    continue
                else:
                    continue
            except FileNotFoundError:
                continue  # removed since the folder was read
            try:
                yield from _below(inner, f"{prefix}{entry.name}/")
            finally:
                os.close(inner)
