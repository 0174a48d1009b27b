"""A repository's files as detection sees them: hostile until read, never followed outside."""

from __future__ import annotations

import codecs
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman.environments.detect.codes import finding
from leman.environments.providers.scope import is_product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.findings import Finding

LARGEST_FILE = 5_000_000  # bytes of a declaring file
LARGEST_NOTEBOOK = 128_000_000  # bytes; stored pictures make notebooks large
_MOST_FILES = 200_000
_NOT_THE_AUTHORS = frozenset(
    {"node_modules", "build", "site-packages", "__pycache__", "venv", "virtualenv", "dist-packages"}
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder and the files in it (POSIX paths relative to it, natural order)."""

    root: Path
    names: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Say whether something of this name exists, also where `names` leaves it out."""
        return os.path.lexists(self.root / name)

    def is_folder(self, name: str) -> bool:
        """Say whether a folder of this name is inside the tree, links resolved."""
        path = self.root / name
        try:
            return path.is_dir() and _inside(path, self.root)
        except OSError:
            return False

    def is_inside(self, name: str) -> bool:
        """Say whether a path, links resolved, stays inside the tree."""
        return _inside(self.root / name, self.root)

    def read(self, name: str, *, largest: int = LARGEST_FILE) -> tuple[str | None, list[Finding]]:
        """Return a file's text, None where it must not or cannot be read, and what was seen."""
        data, found = self.read_bytes(name, largest=largest)
        if data is None:
            return None, found
        text, encoding = decode(data)
        if encoding:
            found.append(
                finding("odd-encoding", name, f"{name} is not UTF-8; it was read as {encoding}")
            )
        return text, found

    def read_bytes(
        self, name: str, *, largest: int = LARGEST_FILE
    ) -> tuple[bytes | None, list[Finding]]:
        """Return a regular file's bytes, None where it must not or cannot be read."""
        path = self.root / name
        try:
            if not _inside(path, self.root):
                return None, [
                    finding(
                        "link-outside", name, f"{name} leads out of the repository; it was not read"
                    )
                ]
            info = path.stat()
            if not stat.S_ISREG(info.st_mode):
                return None, [
                    finding("not-a-file", name, f"{name} is not a regular file; it was not read")
                ]
            if info.st_size > largest:
                return None, [
                    finding(
                        "file-too-large",
                        name,
                        f"{name} has {info.st_size:,} bytes, more than the {largest:,} that are"
                        " read; it was left out",
                    )
                ]
            return path.read_bytes(), []
        except (OSError, ValueError) as error:
            return None, [finding("unreadable-file", name, f"{name} could not be read: {error}")]


def look(root: Path) -> Tree:
    """List a folder's files; folders of tools and other people's packages are left out."""
    return Tree(root, tuple(sorted(_walk(root), key=natural)))


def notebook_files(root: Path, only: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the notebooks under `root` as POSIX paths in natural order.

    `only` names notebooks or folders to restrict the answer to; a notebook that it names is
    returned even from a folder that is skipped otherwise (hidden ones, checkpoints, build,
    virtual environments). Links that leave `root` are left out.
    """
    found = {name for name in _walk(root) if name.lower().endswith(".ipynb")}
    if only:
        wanted = [PurePosixPath(one).as_posix().rstrip("/") for one in only]
        named = {one for one in wanted if (root / one).is_file() and one.endswith(".ipynb")}
        folders = tuple(f"{one}/" for one in wanted)
        everything = "." in wanted
        found = {one for one in found if everything or one.startswith(folders)} | named
    return tuple(sorted((one for one in found if _inside(root / one, root)), key=natural))


def natural(name: str) -> list[str | int]:
    """Return a sort key that puts ``fig2`` before ``fig10``."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def decode(data: bytes) -> tuple[str, str]:
    """Return text and, where it was not UTF-8, the encoding that was assumed.

    PowerShell's ``pip freeze > requirements.txt`` writes UTF-16 with a byte order mark; editors
    that "repair" such a file leave the zero bytes and drop the mark.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, ""),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if data.startswith(mark):
            text = data.decode(encoding or "utf-8", errors="replace")
            return text.lstrip("\ufeff"), encoding
    if b"\0" in data[:200]:
        little = data[1:200:2].count(0) >= data[0:200:2].count(0)
        return data.decode("utf-16-le" if little else "utf-16-be", errors="replace"), "UTF-16"
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "Windows-1252"


def folder_of(name: str) -> str:
    """Return the folder of a relative path, "" for the root."""
    parent = PurePosixPath(name).parent.as_posix()
    return "" if parent == "." else parent


def join(folder: str, name: str) -> str:
    """Return `name` seen from `folder` as a tidy relative path; ``..`` above the root is kept."""
    tidy = os.path.normpath(f"{folder}/{name}" if folder else name).replace(os.sep, "/")
    return tidy.replace("\\", "/")


def line_with(text: str, piece: str) -> int:
    """Return the number of the first line that holds `piece`, 1 where none does."""
    return text.count("\n", 0, max(0, text.find(piece))) + 1


def line_of(text: str, pattern: str) -> int:
    """Return the number of the first line that matches, 1 where none does."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(pattern, line):
            return number
    return 1


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, a zero byte
        return False


def _walk(root: Path) -> Iterator[str]:
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            one
            for one in folders
            if not one.startswith(".")
            and one not in _NOT_THE_AUTHORS
            and not os.path.lexists(os.path.join(folder, one, "pyvenv.cfg"))  # noqa: PTH118 - hot
            and not is_product(Path(folder, one))
        )
        relative = Path(folder).relative_to(root).as_posix()
        for name in files:
            count += 1
            if count > _MOST_FILES:
                return
            yield name if relative == "." else f"{relative}/{name}"
