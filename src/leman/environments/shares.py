"""What is freed when a folder goes, where folders share files by hard links."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_File = tuple[int, int]  # device and inode


class Shares:
    """Folders and the files that they hold, looked at once; `total` counts each file once.

    All sizes are bytes on the disk. What lies in several folders is freed with the last of them.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.total = 0
        self._sizes: dict[_File, int] = {}
        self._holders: dict[_File, int] = {}
        self._files: dict[Path, list[_File]] = {}
        for folder in folders:
            self._add(folder)

    def _add(self, folder: Path) -> None:
        found = dict(_files_in(os.fspath(folder)))
        self._files[folder] = list(found)
        for file, size in found.items():
            self._holders[file] = self._holders.get(file, 0) + 1
            if file not in self._sizes:
                self._sizes[file] = size
                self.total += size

    def alone(self, folder: Path) -> bool:
        """Tell whether no other folder holds anything of this one."""
        return all(self._holders[file] == 1 for file in self._files.get(folder, ()))

    def remove(self, folder: Path) -> int:
        """Take a folder out; return what that frees, 0 for one that is not known."""
        freed = 0
        for file in self._files.pop(folder, ()):
            self._holders[file] -= 1
            if not self._holders[file]:
                freed += self._sizes[file]
        self.total -= freed
        return freed


def _files_in(start: str) -> Iterable[tuple[_File, int]]:
    left = [start]
    while left:
        path = left.pop()
        with contextlib.suppress(OSError):  # gone meanwhile
            info = os.lstat(path)
            if not stat.S_ISDIR(info.st_mode):
                yield (info.st_dev, info.st_ino), info.st_blocks * 512
                continue
            with os.scandir(path) as entries:
                left += [entry.path for entry in entries]
