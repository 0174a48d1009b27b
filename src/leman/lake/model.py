"""The values of the lake, in Rucio's words and with Rucio's spelling of states.

Names follow Rucio's data model (https://rucio.github.io/documentation/started/concepts): a data
identifier (DID) is a scope and a name; files have replicas at Rucio storage elements (RSEs); rules
say how many replicas shall be where, and locks tie a rule to the replicas that serve it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from leman.errors import LemanError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Rucio's generic schema: what its clients and servers accept as names.
SCOPE = re.compile(r"[a-zA-Z_\-.0-9]{1,25}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_\-]{0,249}")
RSE_NAME = re.compile(r"[A-Z0-9]+(?:[_-][A-Z0-9]+)*")
ACCOUNT = re.compile(r"[a-z0-9-_]{1,25}")


class LakeError(LemanError):
    """The lake cannot do what was asked; `kind` is the name of Rucio's exception for it."""

    def __init__(self, kind: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class DIDType(StrEnum):
    """What a DID names."""

    FILE = "FILE"
    DATASET = "DATASET"
    CONTAINER = "CONTAINER"


class ReplicaState(StrEnum):
    """How far a replica can be relied on."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"
    COPYING = "COPYING"
    BEING_DELETED = "BEING_DELETED"
    BAD = "BAD"


class RuleState(StrEnum):
    """Whether a rule is satisfied: OK only when every copy was verified where it lies."""

    REPLICATING = "REPLICATING"
    OK = "OK"
    STUCK = "STUCK"


class LockState(StrEnum):
    """Whether a lock's replica is there."""

    REPLICATING = "REPLICATING"
    OK = "OK"
    STUCK = "STUCK"


class Grouping(StrEnum):
    """What shall lie together: everything, each data set, or nothing in particular."""

    ALL = "ALL"
    DATASET = "DATASET"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, order=True)
class DID:
    """A data identifier, written ``scope:name``."""

    scope: str
    name: str

    def __str__(self) -> str:
        """Return ``scope:name``."""
        return f"{self.scope}:{self.name}"


def parse_did(text: str) -> DID:
    """Return the DID that ``scope:name`` is; raises LakeError (InvalidObject) for anything else."""
    scope, colon, name = text.partition(":")
    if not colon or not SCOPE.fullmatch(scope) or not is_name(name):
        raise LakeError(
            "InvalidObject",
            f"{text!r} is no data identifier",
            hint="Write scope:name, such as user.ada:run42; letters, digits and ._-/ are allowed.",
        )
    return DID(scope, name)


def is_name(name: str) -> bool:
    """Tell whether a name is one that Rucio accepts and that no path trick hides in."""
    return bool(NAME.fullmatch(name)) and not {"", ".", ".."} & set(name.split("/"))


@dataclass(frozen=True, slots=True)
class Checksums:
    """Of a file's bytes, lower-case hexadecimal; Rucio's clients compare adler32 or md5."""

    adler32: str = ""
    md5: str = ""
    sha256: str = ""


NONE_KNOWN = Checksums()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file is: its size in bytes, and those of its checksums that are known."""

    size: int
    checksums: Checksums = NONE_KNOWN


@dataclass(frozen=True, slots=True)
class Entry:
    """A DID as the catalogue knows it; `size` in bytes and `length` in files are sums for sets."""

    did: DID
    type: DIDType
    account: str
    size: int = 0
    length: int = 1
    checksums: Checksums = NONE_KNOWN
    open: bool = True
    monotonic: bool = False
    created: datetime | None = None
    updated: datetime | None = None
    expires: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RSE:
    """A storage: `address` is a folder or a URL, `attributes` are what expressions ask for.

    Every RSE has the attribute of its own name. `deterministic` storages derive paths from names
    (see `paths`). `limit` in bytes, 0 for none.
    """

    name: str
    address: str
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    deterministic: bool = True
    readable: bool = True
    writable: bool = True
    deletable: bool = True
    limit: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of a file: `path` is relative to its RSE's address (POSIX)."""

    did: DID
    rse: str
    state: ReplicaState
    size: int
    checksums: Checksums
    path: str
    locks: int = 0
    created: datetime | None = None
    accessed: datetime | None = None
    tombstone: datetime | None = None  # from then on it may be deleted, if no lock holds it


@dataclass(frozen=True, slots=True)
class Rule:
    """A wish: so many copies of a DID's files at RSEs that fit an expression, until a moment."""

    id: str
    did: DID
    account: str
    copies: int
    expression: str
    grouping: Grouping = Grouping.DATASET
    created: datetime | None = None
    expires: datetime | None = None
    state: RuleState = RuleState.REPLICATING
    error: str = ""
    comment: str = ""
    ok: int = 0
    replicating: int = 0
    stuck: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """A rule's claim on the replica of one file at one RSE."""

    rule: str
    did: DID
    rse: str
    state: LockState
    size: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """A copy to be made: tried from `sources` in order; `after` is when it may be tried again."""

    id: str
    did: DID
    destination: str
    sources: tuple[str, ...]
    size: int
    account: str = "root"
    rule: str = ""
    attempts: int = 0
    after: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A replica that no lock holds and that is not the last good one; `why` in a sentence."""

    did: DID
    rse: str
    why: str
