"""What some storages can do beyond the interface; ask with ``isinstance``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from leman.lake.model import Checksums


@runtime_checkable
class Presigns(Protocol):
    """Gives addresses by which anybody may read a file for some time."""

    def presign(self, path: str, seconds: int) -> str:
        """Return a URL that reads the file for `seconds`, without further credentials."""
        ...


@runtime_checkable
class Vouches(Protocol):
    """Has a server that computes checksums itself, from the bytes that it holds."""

    def vouch(self, path: str) -> tuple[int, Checksums] | None:
        """Return size and the checksums that the server tells; None where it tells none."""
        ...


@runtime_checkable
class ReadsBack(Protocol):
    """What `put` and `copy` return was read back from the storage, not taken from what was sent."""

    reads_back: bool


@runtime_checkable
class Sweeps(Protocol):
    """Can hold what an interrupted `put` left behind, which `list` does not show."""

    def sweep(self, age: float) -> int:
        """Remove what is left of uploads begun more than `age` seconds ago; return how many."""
        ...
