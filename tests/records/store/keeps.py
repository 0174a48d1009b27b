"""Keeps to test with: a home, storages, records in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bags import content

from leman.records.store.add import add
from leman.records.store.audit import audit
from leman.records.store.keep import opened
from leman.records.store.names import object_path
from leman.records.store.repair import repair
from leman.records.store.start import start

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.store.add import Added
    from leman.records.store.audit import Audit
    from leman.records.store.repair import Repair


@dataclass(frozen=True, slots=True)
class Kept:
    """A keep called records, of storages ``0``, ``1`` and so on below a folder."""

    folder: Path
    count: int

    @property
    def home(self) -> Path:
        """Where it is registered."""
        return self.folder / "home"

    @property
    def storages(self) -> list[Path]:
        """Its storages."""
        return [self.folder / str(number) for number in range(self.count)]

    def add(self, record: Path) -> Added:
        """Add a record."""
        with opened(self.home) as keep:
            return add(keep, record)

    def audit(self, *, quick: bool = False) -> Audit:
        """Audit everything."""
        with opened(self.home) as keep:
            return audit(keep, quick=quick)

    def repair(self) -> Repair:
        """Repair everything."""
        with opened(self.home) as keep:
            return repair(keep)

    def object(self, record: str, storage: int = 0) -> Path:
        """Return where a storage has a record."""
        return self.storages[storage] / object_path(record)

    def trees(self) -> list[dict[str, bytes]]:
        """Return every byte of every storage, but for what was set aside."""
        return [
            {path: data for path, data in content(one).items() if "leman-keep/" not in path}
            for one in self.storages
        ]


def made(folder: Path, count: int = 3) -> Kept:
    """Make a keep of so many storages."""
    kept = Kept(folder, count)
    start(kept.home, kept.storages, "records")
    return kept


def write(path: Path, data: bytes) -> None:
    """Change a file, also one that is read-only."""
    os.chmod(path, 0o644)  # noqa: PTH101 - short
    path.write_bytes(data)


def codes(result: Audit) -> set[str]:
    """Return the codes of an audit's findings."""
    return {one.code for one in result.findings}
