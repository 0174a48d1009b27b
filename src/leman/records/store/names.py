"""Where things lie in a storage: an OCFL 1.1 storage root (https://ocfl.io/1.1/spec/).

`docs/reference/keep.md` documents every name.
"""

from __future__ import annotations

import hashlib
import json
import re

ROOT = "0=ocfl_1.1"
LAYOUT = "ocfl_layout.json"
EXTENSIONS = "extensions"
EXTENSION = "0003-hash-and-id-n-tuple-storage-layout"  # a registered one; its default parameters
CONFIG = f"{EXTENSIONS}/{EXTENSION}/config.json"
MARKER = "leman-storage.json"  # which storage of which keep this is
CATALOGUE = "leman-catalogue.json"  # what the keep holds, a copy of the keeper's own

WORK = f"{EXTENSIONS}/leman-keep"  # there only while something is written or was set aside
STAGED = f"{WORK}/staged"
ASIDE = f"{WORK}/set-aside"

OBJECT = "0=ocfl_object_1.1"
INVENTORY = "inventory.json"
SIDECAR = "inventory.json.sha256"
INVENTORY_TYPE = "https://ocfl.io/1.1/spec/#inventory"

IGNORED = frozenset({"lost+found"})  # what a file system itself puts into its root
TUPLE = re.compile(r"[0-9a-f]{3}")
RECORD_ID = re.compile(r"sha256:([0-9a-f]{64})")
_URI = "nih:sha-256;"  # RFC 6920 §7: a name for what has this SHA-256, here the tag manifest


def _json(value: dict[str, object]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


FIXED: dict[str, bytes] = {  # files of a storage root that are the same everywhere
    ROOT: b"ocfl_1.1\n",
    LAYOUT: _json(
        {
            "extension": EXTENSION,
            "description": "An object's identifier, percent-encoded, below three folders that are"
            " named after the first nine digits of its SHA-256. Each object is a record of leman:"
            " its newest state, copied out as its inventory says, is a BagIt bag.",
        }
    ),
    CONFIG: _json(
        {
            "extensionName": EXTENSION,
            "digestAlgorithm": "sha256",
            "tupleSize": 3,
            "numberOfTuples": 3,
        }
    ),
}
OBJECT_TEXT = b"ocfl_object_1.1\n"


def object_id(record: str) -> str:
    """Return the OCFL identifier, a URI, of a record's id (``sha256:…``)."""
    return _URI + record.removeprefix("sha256:")


def record_id(identifier: str) -> str:
    """Return the record's id of an OCFL identifier, or "" if it is none of ours."""
    record = "sha256:" + identifier.removeprefix(_URI)
    return record if identifier.startswith(_URI) and RECORD_ID.fullmatch(record) else ""


def object_path(record: str) -> str:
    """Return where a record's object lies below a storage root."""
    identifier = object_id(record)
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    return f"{digest[:3]}/{digest[3:6]}/{digest[6:9]}/{_encoded(identifier)}"


def _encoded(identifier: str) -> str:
    return identifier.replace(":", "%3a").replace(";", "%3b")


def record_at(path: str) -> str:
    """Return the id of the record whose object lies at this path, or ""."""
    name = path.rpartition("/")[2].replace("%3a", ":").replace("%3b", ";")
    record = record_id(name)
    return record if record and object_path(record) == path else ""


def sidecar(digest: str) -> bytes:
    """Return the content of an inventory's sidecar file."""
    return f"{digest} {INVENTORY}\n".encode()
