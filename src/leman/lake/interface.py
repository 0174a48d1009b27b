"""What varies: where a lake's bytes lie, and who keeps its catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from leman.errors import LemanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.lake.model import Checksums


Kind = Literal["no-such-file", "no-space", "read-only", "unreachable", "refused", "damaged"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that a storage holds: `path` relative to its address, `changed` in epoch seconds."""

    path: str
    size: int
    changed: float


class StorageError(LemanError):
    """A storage did not do what was asked; `kind` says whether trying again may help."""

    def __init__(self, kind: Kind, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind: Kind = kind


def unheard(_done: int, _total: int) -> None:
    """Report progress to nobody."""


class Storage(Protocol):
    """A place for bytes. Paths are relative POSIX paths; none ever leads out of the address.

    Every method raises StorageError and nothing else.
    """

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Store `size` bytes at `path`, visible only when complete; return checksums of them.

        An existing file of this name is replaced atomically.
        """
        ...

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on in blocks."""
        ...

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        """Copy from another storage without passing through here; None where that cannot be."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file, and folders that this leaves empty; a missing one is fine."""
        ...

    def checksum(self, path: str) -> Checksums:
        """Read the file and return its checksums (adler32, sha256), computed now from its bytes."""
        ...

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every file below a folder."""
        ...
