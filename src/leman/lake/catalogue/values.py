"""What callers hand to the catalogue and get from it, beside the values of `leman.lake.model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leman.lake.model import Checksums, DIDType, Grouping, ReplicaState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from leman.lake.model import DID

_NONE = Checksums()


@dataclass(frozen=True, slots=True)
class NewDID:
    """A DID to be added; `size` in bytes and checksums are for files only."""

    did: DID
    type: DIDType
    size: int = 0
    checksums: Checksums = _NONE
    monotonic: bool = False
    expires: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewReplica:
    """A file's copy to be added; where the file is unknown, it is added as well.

    Without a `path`, the RSE must be deterministic.
    """

    did: DID
    size: int
    checksums: Checksums = _NONE
    path: str = ""
    state: ReplicaState = ReplicaState.AVAILABLE
    tombstone: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule to be added: so many copies at RSEs that fit an expression."""

    did: DID
    account: str
    copies: int
    expression: str
    grouping: Grouping = Grouping.DATASET
    expires: datetime | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody, or some service, that owns scopes and rules."""

    name: str
    type: str = "USER"  # USER, GROUP or SERVICE
    email: str = ""
    admin: bool = False
    active: bool = True
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says: whose it is and until when."""

    account: str
    identity: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and files, counted."""

    size: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes an account's rules may hold at an RSE, or at RSEs of an expression."""

    account: str
    where: str
    size: int


@dataclass(frozen=True, slots=True)
class BadReplica:
    """A replica that somebody declared bad."""

    did: DID
    rse: str
    path: str
    reason: str
    account: str
    declared: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A path that the catalogue expects at an RSE."""

    path: str
    did: DID
    state: ReplicaState
    size: int
