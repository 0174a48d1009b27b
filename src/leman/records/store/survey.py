"""One record on every storage: which bytes are there, and which should be.

What should be is told by the catalogue, which has the digest of the inventory. Where that does not
help (the catalogue was lost, or a crash came between an object and its entry), an inventory counts
whose every file is found somewhere, and whose record proves itself.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.records.bag.hashing import digests
from leman.records.layout import LARGEST_MANIFEST, MANIFEST, TAG_MANIFEST
from leman.records.store import inventory as inventories
from leman.records.store.inventory import Inventory, InventoryError
from leman.records.store.names import INVENTORY, SIDECAR, object_path, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from leman.records.store.catalogue import Entry
    from leman.records.store.keep import Storage


@dataclass(slots=True)
class Copy:
    """What one storage has of a record. Paths are relative to the object.

    `digests` lacks files that could not be read, or were not asked for; `odd` says of what is no
    file (a link, an empty folder, a pipe) what it is.
    """

    storage: Storage
    root: Path
    present: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Candidate:
    """An inventory that was found: in how many places, and whether a second file says so."""

    inventory: Inventory
    places: int = 0
    attested: bool = False


@dataclass(slots=True)
class Survey:
    """A record on all storages in reach; `truth` has an inventory for each version, or none.

    `expected` is path → SHA-256 of every file of the object, `content` the bytes of those that
    follow from the inventories. `found` is SHA-256 → files that had it a moment ago.
    """

    record: str
    entry: Entry | None
    copies: list[Copy]
    truth: list[Inventory] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    found: dict[str, list[Path]] = field(default_factory=dict)
    quick: bool = False
    proven: bool = False  # the truth is the catalogue's, or one that follows it and proves itself

    @property
    def known(self) -> bool:
        """Whether the catalogue says the same as the inventories."""
        said = tuple(one.digest for one in self.truth)
        return self.entry is not None and self.entry.inventories == said

    def wrong(self, copy: Copy) -> list[str]:
        """Return the paths of a copy that are not as they should be, in order."""
        return [path for path in self.expected if not self.right(copy, path)]

    def right(self, copy: Copy, path: str) -> bool:
        """Tell whether a copy's file is as it should be; a quick survey reads no content."""
        if self.quick and path not in self.content:
            return path in copy.sizes and path not in copy.unread
        return copy.digests.get(path) == self.expected[path]

    def unlisted(self, copy: Copy) -> list[str]:
        """Return what is in a copy and should not be."""
        found = [path for path in copy.sizes if path not in self.expected]
        return found + [path for path in copy.odd if path not in self.expected]

    def good(self, copy: Copy) -> bool:
        """Tell whether a copy is exactly what it should be."""
        return bool(self.truth) and not self.wrong(copy) and not self.unlisted(copy)

    def lost(self) -> list[str]:
        """Return the paths of which no storage in reach has the content."""
        if self.quick:
            return []
        return [
            path
            for path, digest in self.expected.items()
            if digest not in self.found and path not in self.content
        ]


def survey(
    record: str,
    entry: Entry | None,
    storages: Iterable[Storage],
    *,
    quick: bool = False,
    also: Mapping[str, list[Path]] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Look at a record on all storages; `progress` gets the bytes of each file that was read.

    `also` are SHA-256 → files elsewhere that may be of use. A quick survey reads the inventories
    and sees which files are there, without their content.
    """
    copies = [_copy(record, storage) for storage in storages]
    for copy in copies:
        _read(copy, progress, quick=quick)
    whole = Survey(record, entry, copies, quick=quick)
    whole.found = {digest: list(paths) for digest, paths in (also or {}).items()}
    for copy in copies:
        for path, digest in copy.digests.items():
            whole.found.setdefault(digest, []).append(copy.root / path)
    settle(whole)
    return whole


def settle(whole: Survey) -> None:
    """Decide what should be there, from what was found."""
    whole.proven = False
    whole.truth = _truth(whole)
    if not whole.truth:
        whole.expected, whole.content = {}, {}
        return
    whole.content = inventories.administrative(whole.truth)
    whole.expected = dict(whole.truth[-1].contents())
    for path, data in whole.content.items():
        whole.expected[path] = _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _copy(record: str, storage: Storage) -> Copy:
    found = Copy(storage, storage.path / object_path(record))
    try:
        # A folder above that was replaced by a link counts as not there.
        real = os.path.realpath(found.root) == os.path.join(  # noqa: PTH118
            os.path.realpath(storage.path), object_path(record)
        )
        found.present = real and stat.S_ISDIR(os.lstat(found.root).st_mode)
    except OSError:
        return found
    if found.present:
        _list(found)
        found.present = bool(found.sizes or found.odd)
    return found


def _list(found: Copy) -> None:
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(found.root / folder) as entries:
                names = list(entries)
        except OSError as error:
            found.odd[folder] = error.strerror or str(error)
            continue
        if not names and folder:
            found.odd[folder] = "an empty folder"
        for entry in names:
            path = f"{folder}/{entry.name}" if folder else entry.name
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)
            elif stat.S_ISREG(info.st_mode):
                found.sizes[path] = info.st_size
            else:
                found.odd[path] = "a link" if stat.S_ISLNK(info.st_mode) else "a special file"


def _read(copy: Copy, progress: Callable[[int], None], *, quick: bool) -> None:
    jobs = (
        (path, f"{copy.root}/{path}") for path in copy.sizes if not quick or path.count("/") <= 1
    )
    for path, digest, size, trouble in digests(jobs):
        progress(size)
        if trouble:
            copy.unread[path] = trouble
        else:
            copy.digests[path] = digest


def _candidates(whole: Survey) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    useless: set[str] = set()
    for copy in whole.copies:
        for path, digest in copy.digests.items():
            if path != INVENTORY and not (path.count("/") == 1 and path.endswith(f"/{INVENTORY}")):
                continue
            if digest in useless or copy.sizes[path] > LARGEST_MANIFEST:
                continue
            if digest not in found:
                read = _inventory(copy.root / path, digest, whole.record)
                if read is None:
                    useless.add(digest)
                    continue
                found[digest] = Candidate(read)
            one = found[digest]
            one.places += 1
            beside = path.removesuffix(INVENTORY) + SIDECAR
            attested = copy.digests.get(beside) == _digest(sidecar(digest))
            one.attested = one.attested or attested or one.places > 1
    return list(found.values())


def _inventory(path: Path, digest: str, record: str) -> Inventory | None:
    try:
        read = inventories.parsed(path.read_bytes(), record)
    except (InventoryError, OSError):
        return None
    return read if read.digest == digest else None


def _truth(whole: Survey) -> list[Inventory]:
    """Return the inventories of all versions that count, or nothing where none does."""
    candidates = _candidates(whole)
    said = whole.entry.inventories if whole.entry else ()
    known = _known(candidates, said)
    newer = [
        one
        for one in candidates
        if one.attested
        and not whole.quick
        and one.inventory.versions > len(said)
        and (not said or (known and inventories.extends(one.inventory, known)))
        and _complete(whole, one.inventory)
        and inventories.proves(one.inventory, _manifests(whole, one.inventory))
    ]
    if newer:
        best = max(newer, key=lambda one: (one.inventory.versions, one.places)).inventory
        whole.proven = True
    elif known:
        best = known
        whole.proven = True
    else:
        attested = [one for one in candidates if one.attested]
        if not attested:
            return []
        best = max(attested, key=lambda one: _rank(whole, one)).inventory
    return _versions(best, said, candidates)


def _known(candidates: list[Candidate], said: tuple[str, ...]) -> Inventory | None:
    """Return the inventory that the catalogue means, also where only a later one has it."""
    if not said:
        return None
    for one in candidates:
        if one.inventory.digest == said[-1]:
            return one.inventory
    for one in candidates:
        if one.inventory.versions > len(said):
            made = inventories.earlier(one.inventory, len(said))
            if made.digest == said[-1]:
                return made
    return None


def _rank(whole: Survey, one: Candidate) -> tuple[bool, int, int]:
    complete = not whole.quick and _complete(whole, one.inventory)
    return complete, one.inventory.versions, one.places


def _complete(whole: Survey, inventory: Inventory) -> bool:
    return all(digest in whole.found for digest in inventory.value["manifest"])


def _manifests(whole: Survey, inventory: Inventory) -> dict[str, Path]:
    state = inventory.state()
    wanted = [state[name] for name in (TAG_MANIFEST, MANIFEST) if name in state]
    return {digest: whole.found[digest][0] for digest in wanted if digest in whole.found}


def _versions(
    best: Inventory, said: tuple[str, ...], candidates: list[Candidate]
) -> list[Inventory]:
    """Return the inventory of each version up to `best`: as found, or made again from it."""
    by_digest: Mapping[str, Inventory] = {one.inventory.digest: one.inventory for one in candidates}
    found = []
    for number in range(1, best.versions):
        made = inventories.earlier(best, number)
        wanted = said[number - 1] if number <= len(said) else ""
        same = [
            one.inventory
            for one in candidates
            if one.attested and one.inventory.value == made.value
        ]
        if wanted in by_digest:
            found.append(by_digest[wanted])
        else:
            found.append(made if made.digest == wanted or not same else same[0])
    return [*found, best]
