"""Make a bag of a folder: declaration, description, manifests over every byte (RFC 8493)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from leman.errors import SourceError
from leman.files import sha256_of, write_atomic
from leman.records.bag import fetching, manifest
from leman.records.bag.hashing import digests
from leman.records.bag.listing import listed
from leman.records.layout import (
    DECLARATION,
    FETCH,
    INFO,
    MANIFEST,
    PAGE,
    PAYLOAD,
    SOURCE,
    TAG_MANIFEST,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from leman.records.model import Reference

_DECLARED = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def seal(
    root: Path,
    *,
    info: Iterable[tuple[str, str]],
    references: Iterable[Reference],
    progress: Callable[[int, int], None],
) -> str:
    """Write the tag files of the bag in `root`, whose ``data/`` is complete; return the record id.

    `references` have paths relative to the source. `info` are labels and values of bag-info.txt;
    the payload's size is added. A ``record.html`` at the top is covered too.
    """
    payload = listed(root / PAYLOAD)
    if payload.findings:
        first = payload.findings[0]
        raise SourceError(f"{first.where} cannot be in a record: {first.message}")
    elsewhere = [(f"{SOURCE}/{one.path}", one) for one in references]
    entries, done = [], 0
    jobs = ((path, os.fspath(root / PAYLOAD / path)) for path in payload.files)
    for path, digest, size, trouble in digests(jobs):
        if trouble:
            raise SourceError(f"{path} cannot be read: {trouble}")
        done += size
        progress(done, payload.size)
        entries.append((f"{PAYLOAD}/{path}", digest))
    entries += [(path, one.sha256) for path, one in elsewhere]
    total = payload.size + sum(one.size for _, one in elsewhere)
    lines = [*info, ("Payload-Oxum", f"{total}.{len(entries)}")]
    write_atomic(root / DECLARATION, _DECLARED)
    write_atomic(root / INFO, "".join(f"{label}: {_line(value)}\n" for label, value in lines))
    write_atomic(root / MANIFEST, manifest.text(entries))
    tags = [DECLARATION, INFO, MANIFEST]
    if elsewhere:
        there = (replace(one, path=path) for path, one in elsewhere)
        write_atomic(root / FETCH, fetching.text(there))
        tags.append(FETCH)
    tags += [PAGE] if (root / PAGE).is_file() else []
    sums = manifest.text((name, sha256_of(root / name)) for name in tags)
    write_atomic(root / TAG_MANIFEST, sums)
    return f"sha256:{sha256_of(root / TAG_MANIFEST)}"


def _line(value: str) -> str:
    """Return a value on one line: a line break would begin another label."""
    return " ".join(value.split())
