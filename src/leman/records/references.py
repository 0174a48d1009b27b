"""Files of a record that lie elsewhere: fetched where they are named, believed by their digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman.errors import SourceError
from leman.files import full_disk_said
from leman.records.layout import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leman.records.model import Reference

_SECONDS = 60.0


def inside_source(reference: Reference) -> Reference:
    """Return a reference of fetch.txt with its path relative to the source."""
    return replace(reference, path=reference.path.removeprefix(f"{SOURCE}/"))


def fetch_all(
    wanted: Iterable[Reference], tree: Path, progress: Callable[[str], None]
) -> tuple[str, ...]:
    """Bring files into `tree`, each complete and checked or absent; return those not to be had.

    Raises SourceError where what arrives is not what the record names: then nothing is run.
    """
    import httpx  # noqa: PLC0415 - most records have nothing elsewhere

    absent = []
    for one in wanted:
        progress(f"fetching {one.path} ({one.size / 1e6:.1f} MB)")
        try:
            _fetch(one, tree / one.path)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            progress(f"{one.path} could not be fetched from {one.url}: {error}")
            absent.append(one.path)
    return tuple(absent)


def _fetch(one: Reference, target: Path) -> None:
    import httpx  # noqa: PLC0415

    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".fetching-")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as out, full_disk_said(target):
            digest, size = hashlib.sha256(), 0
            with httpx.stream("GET", one.url, timeout=_SECONDS, follow_redirects=True) as answer:
                answer.raise_for_status()
                for part in answer.iter_bytes(1 << 20):
                    size += len(part)
                    if size > one.size:
                        break
                    digest.update(part)
                    out.write(part)
            out.flush()
            os.fsync(out.fileno())
        if size != one.size or digest.hexdigest() != one.sha256:
            raise SourceError(
                f"{one.url} does not hold the {one.path} of this record any more",
                hint=f"Expected {one.size} bytes with SHA-256 {one.sha256}: ask the author.",
            )
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
