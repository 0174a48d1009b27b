"""What a keep holds, told by the keeper apart from the objects themselves.

The catalogue has the digest of every inventory; an inventory has the digest of every other file.
So whoever changes an object, its inventory and its sidecar alike is still found out. A copy lies
on each storage; each says of itself whether it is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from leman.records.store.names import RECORD_ID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT = "leman-catalogue/1"
_LARGEST = 1 << 30  # bytes


class CatalogueError(ValueError):
    """A copy of the catalogue that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the catalogue.

    `inventories` are the SHA-256 of the inventory of each version, the newest last. `size` is in
    bytes, of all content files; `files` counts those of the newest version. `added` is UTC.
    """

    inventories: tuple[str, ...]
    title: str = ""
    files: int = 0
    size: int = 0
    added: str = ""

    @property
    def head(self) -> str:
        """The newest version's name."""
        return f"v{len(self.inventories)}"


Catalogue = dict[str, Entry]  # record id → entry


def text(catalogue: Catalogue, keep: str) -> bytes:
    """Return a catalogue as it is written, with its own digest inside."""
    value = {
        "format": FORMAT,
        "keep": keep,
        "records": {record: asdict(entry) for record, entry in sorted(catalogue.items())},
    }
    whole = {**value, "sha256": _digest(value)}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def _digest(value: dict[str, Any]) -> str:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()


def parsed(data: bytes, keep: str) -> Catalogue:
    """Read a copy. Raises CatalogueError where it is damaged, or of another keep."""
    try:
        value = json.loads(data)
        said, plain = value["sha256"], {key: one for key, one in value.items() if key != "sha256"}
        kind, owner, digest = value["format"], value["keep"], _digest(plain)
        found = {record: _entry(one) for record, one in value["records"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogueError(f"it cannot be read ({type(error).__name__})") from error
    if kind != FORMAT:
        raise CatalogueError(f"it has the format {str(kind)[:40]!r}")
    if said != digest:
        raise CatalogueError("its digest is not that of what it says")
    if owner != keep:
        raise CatalogueError("it is of another keep")
    if not all(RECORD_ID.fullmatch(record) for record in found):
        raise CatalogueError("it has a record whose id cannot be")
    return found


def _entry(value: dict[str, Any]) -> Entry:
    return Entry(
        tuple(map(str, value["inventories"])),
        str(value["title"]),
        int(value["files"]),
        int(value["size"]),
        str(value["added"]),
    )


def read(path: Path, keep: str) -> Catalogue:
    """Read a file. Raises CatalogueError where it is not there, damaged, or of another keep."""
    try:
        if path.is_symlink() or not path.is_file():
            raise CatalogueError("it is not there" if not path.exists() else "it is not a file")
        if path.stat().st_size > _LARGEST:
            raise CatalogueError("it is larger than any catalogue")
        data = path.read_bytes()
    except OSError as error:
        raise CatalogueError(error.strerror or str(error)) from error
    return parsed(data, keep)


def merged(copies: Iterable[Catalogue]) -> Catalogue:
    """Return what all copies know together: of each record the entry with the most versions.

    A copy may be older than another, where its storage was away; nothing is ever taken out, so
    the newest entry is right. Two that contradict each other are settled by the majority.
    """
    votes: dict[str, Counter[Entry]] = {}
    for copy in copies:
        for record, entry in copy.items():
            votes.setdefault(record, Counter())[entry] += 1
    return {
        record: max(found, key=lambda entry: (len(entry.inventories), found[entry]))
        for record, found in votes.items()
    }
