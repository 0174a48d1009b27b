"""OCFL inventories (OCFL 1.1 §3.5): every version of an object, every file, every digest.

What is written here is written in one way only, so that the inventory of an earlier version can be
made again, byte for byte, from a later one.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman import __version__
from leman.records.bag import manifest
from leman.records.bag.listing import bad_path
from leman.records.layout import MANIFEST, TAG_MANIFEST
from leman.records.store.names import (
    INVENTORY,
    INVENTORY_TYPE,
    OBJECT,
    OBJECT_TEXT,
    SIDECAR,
    object_id,
    record_id,
    sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTENT = re.compile(r"v[1-9][0-9]*/content/.+", re.DOTALL)


class InventoryError(ValueError):
    """An inventory that is not one of ours, or that is damaged; the message says how."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory as its bytes say it: `digest` is their SHA-256, `record` the record's id."""

    data: bytes
    digest: str
    record: str
    value: dict[str, Any]

    @property
    def versions(self) -> int:
        """How many versions the object has."""
        return len(self.value["versions"])

    @property
    def head(self) -> str:
        """The newest version's name."""
        return f"v{self.versions}"

    def contents(self) -> dict[str, str]:
        """Return content path → SHA-256 of every content file of every version."""
        manifest: dict[str, list[str]] = self.value["manifest"]
        return {path: digest for digest, paths in manifest.items() for path in paths}

    def state(self, version: str = "") -> dict[str, str]:
        """Return logical path → SHA-256: the files of the record in a version, or the newest."""
        found: dict[str, list[str]] = self.value["versions"][version or self.head]["state"]
        return {path: digest for digest, paths in found.items() for path in paths}

    def logical(self, content: str) -> list[str]:
        """Return the names that a content file has in the newest version."""
        digest = self.contents().get(content, "")
        found: list[str] = self.value["versions"][self.head]["state"].get(digest, [])
        return found


def parsed(data: bytes, record: str = "") -> Inventory:
    """Read an inventory strictly. Raises InventoryError unless it is of `record`, where given."""
    try:
        value = json.loads(data)
        found = record_id(value["id"])
        _check(value)
    except InventoryError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InventoryError(f"it is no OCFL inventory ({type(error).__name__})") from error
    if not found or (record and found != record):
        raise InventoryError(f"it is of another object, {str(value['id'])[:100]!r}")
    return Inventory(data, hashlib.sha256(data).hexdigest(), found, value)


def _check(value: dict[str, Any]) -> None:
    if value["type"] != INVENTORY_TYPE or value["digestAlgorithm"] != "sha256":
        raise InventoryError("it is not of OCFL 1.1 with SHA-256")
    versions = value["versions"]
    names = [f"v{number}" for number in range(1, len(versions) + 1)]
    if not names or set(names) != set(versions) or value["head"] != names[-1]:
        raise InventoryError("its versions are not v1 to its head")
    _check_paths(value["manifest"], content=True)
    for version in versions.values():
        _check_paths(version["state"], content=False)
        if not set(version["state"]) <= set(value["manifest"]):
            raise InventoryError("a version has a file that the manifest does not list")


def _check_paths(block: dict[str, list[str]], *, content: bool) -> None:
    seen: set[str] = set()
    for digest, paths in block.items():
        if not _DIGEST.fullmatch(digest) or not isinstance(paths, list) or not paths:
            raise InventoryError("it has an entry that is no SHA-256 with paths")
        for path in paths:
            if bad_path(path) or (content and not _CONTENT.fullmatch(path)) or path in seen:
                raise InventoryError(f"it has a path that cannot be, {path[:100]!r}")
            seen.add(path)


def _made(value: dict[str, Any], record: str) -> Inventory:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    data = text.encode()
    return Inventory(data, hashlib.sha256(data).hexdigest(), record, value)


def earlier(inventory: Inventory, versions: int) -> Inventory:
    """Return the inventory as it was written when the object had so many versions."""
    names = {f"v{number}" for number in range(1, versions + 1)}
    manifest = {
        digest: kept
        for digest, paths in inventory.value["manifest"].items()
        if (kept := [path for path in paths if path.partition("/")[0] in names])
    }
    value = {
        **inventory.value,
        "head": f"v{versions}",
        "manifest": manifest,
        "versions": {name: inventory.value["versions"][name] for name in names},
    }
    return _made(value, inventory.record)


def following(
    before: Inventory | None, record: str, files: Mapping[str, str], created: str, keep: str
) -> Inventory | None:
    """Return the inventory with one more version, or None where `files` hold nothing new.

    `files` are path → SHA-256, `keep` is the UUID of the keep that makes it. A file that an
    earlier version has and `files` lack stays in the new one: a copy of a record with fewer
    signatures takes none away. The first version stores every file under its own name, so that
    it is the record; later ones only what is new.
    """
    state = before.state() if before else {}
    if before and all(state.get(path) == digest for path, digest in files.items()):
        return None
    number = before.versions + 1 if before else 1
    known: dict[str, list[str]] = (
        {digest: list(paths) for digest, paths in before.value["manifest"].items()}
        if before
        else {}
    )
    for path, digest in sorted(files.items()):
        content = f"v{number}/content/{path}"
        if number == 1 or digest not in known:
            known.setdefault(digest, []).append(content)
    merged = {**state, **files}
    new = sorted(path for path in files if path not in state or state[path] != files[path])
    message = "record added" if number == 1 else f"added {', '.join(new)[:500]}"
    user = {"name": f"leman {__version__}", "address": f"urn:uuid:{keep}"}
    version = {"created": created, "message": message, "user": user, "state": _grouped(merged)}
    value = {
        "id": object_id(record),
        "type": INVENTORY_TYPE,
        "digestAlgorithm": "sha256",
        "head": f"v{number}",
        "manifest": {digest: sorted(paths) for digest, paths in known.items()},
        "versions": {**(before.value["versions"] if before else {}), f"v{number}": version},
    }
    return _made(value, record)


def _grouped(files: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, digest in sorted(files.items()):
        found.setdefault(digest, []).append(path)
    return found


def administrative(inventories: list[Inventory]) -> dict[str, bytes]:
    """Return every file of an object that is not content, by what its inventories say.

    `inventories` has one for each version, the newest last.
    """
    newest = inventories[-1]
    files = {OBJECT: OBJECT_TEXT, INVENTORY: newest.data, SIDECAR: sidecar(newest.digest)}
    for number, one in enumerate(inventories, start=1):
        files[f"v{number}/{INVENTORY}"] = one.data
        files[f"v{number}/{SIDECAR}"] = sidecar(one.digest)
    return files


def extends(newer: Inventory, older: Inventory) -> bool:
    """Tell whether `newer` says of the versions of `older` what `older` says."""
    return newer.versions > older.versions and earlier(newer, older.versions).value == older.value


def proves(inventory: Inventory, texts: Mapping[str, Path]) -> bool:
    """Tell whether the newest state is the record that the id names.

    The record's id is the digest of its tag manifest, which has that of the manifest, which has
    those of the payload. `texts` are digest → a file with that content, for the two manifests.
    """
    state = inventory.state()
    if "sha256:" + state.get(TAG_MANIFEST, "") != inventory.record or MANIFEST not in state:
        return False
    try:
        listed = {
            path: digest
            for name in (TAG_MANIFEST, MANIFEST)
            for path, digest in manifest.read(texts[state[name]], digits=64)
        }
    except (manifest.ManifestError, OSError, KeyError):
        return False
    return all(state.get(path, digest) == digest for path, digest in listed.items())
