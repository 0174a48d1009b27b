"""Files of a record that lie elsewhere: fetched where they are named, believed by their digest."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments.providers.download import Item, download, session
from leman.errors import SourceError
from leman.files import full_disk_said
from leman.records.layout import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leman.environments.providers.download import Session
    from leman.records.model import Reference


def inside_source(reference: Reference) -> Reference:
    """Return a reference of fetch.txt with its path relative to the source."""
    return replace(reference, path=reference.path.removeprefix(f"{SOURCE}/"))


def fetch_all(
    wanted: Iterable[Reference], tree: Path, progress: Callable[[str], None]
) -> tuple[str, ...]:
    """Bring files into `tree`, each complete and checked or absent; return those not to be had.

    Raises SourceError where what arrives is not what the record names: then nothing is run.
    """
    files = tuple(wanted)
    if not files:
        return ()
    with session(progress) as via:
        return tuple(one.path for one in files if not _fetched(via, one, tree / one.path))


def _fetched(via: Session, one: Reference, target: Path) -> bool:
    """Download a file beside its place, and put it there if it is the one that is named."""
    via.progress(f"fetching {one.path} ({one.size / 1e6:.1f} MB)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        full_disk_said(target),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as name,
    ):
        partial = Path(name) / "file"
        try:
            digest = download(via, Item(one.url, one.path), partial, largest=one.size)
        except SourceError as error:
            if not partial.exists() or partial.stat().st_size <= one.size:
                via.progress(f"{one.path} could not be fetched: {error.message}")
                return False
            digest = "that of a larger file"
        if digest != one.sha256:
            raise SourceError(
                f"{one.url} does not hold the {one.path} of this record any more",
                hint=f"Expected {one.size} bytes with SHA-256 {one.sha256}: ask the author.",
            )
        partial.replace(target)
    return True
