"""What varies: the software of the server that keeps a deposit. And the values that flow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Stage(StrEnum):
    """How far a file has come; a deposit that was interrupted goes on from there."""

    REGISTERED = "registered"  # the server knows its name
    UPLOADED = "uploaded"  # the server took all of its bytes
    COMMITTED = "committed"  # the server's checksum is ours


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be put into a deposit: `size` in bytes, digests in hexadecimal."""

    name: str
    path: Path
    size: int
    sha256: str
    md5: str


@dataclass(frozen=True, slots=True)
class Held:
    """A file as the server tells of it: `checksum` as ``md5:hex``, "" where it tells none."""

    name: str
    complete: bool
    checksum: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A deposit as the server tells of it.

    `page` is where its owner looks at it. `complaints` are what the server finds missing or wrong
    in its description. `in_review`: a community has been asked to take it.
    """

    id: str
    page: str
    doi: str = ""
    published: bool = False
    in_review: bool = False
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What the server is told of a record: `metadata` in its own form; `notes` for the user."""

    record: str  # the record's id
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()


class Repository(Protocol):
    """A server that keeps deposits. Every method raises DepositError with the server's words."""

    def find(self, record: str) -> tuple[Draft, ...]:
        """Return the user's deposits of the record with this id, public ones as well."""
        ...

    def create(self, about: About) -> Draft:
        """Make a draft; whatever breaks on the way, one and not two."""
        ...

    def read(self, draft: str) -> Draft | None:
        """Return a deposit as it is now, None where there is none any more."""
        ...

    def put(
        self, draft: str, upload: Upload, *, sent: bool, noted: Callable[[Stage], None]
    ) -> bool:
        """Bring a file into the draft, unless the same bytes are there.

        `sent` says that an earlier call has brought all bytes. `noted` is told of each stage.
        Returns False where the server tells no checksum, so that only sizes were compared.
        """
        ...

    def prepare(self, draft: str, community: str) -> tuple[Draft, tuple[str, ...]]:
        """Reserve a DOI and choose a community ("" for none); return notes for the user."""
        ...

    def publish(self, draft: str, uploads: dict[str, str], community: str) -> Draft:
        """Make the draft public, or ask its community to; `uploads` is name → MD5 it must hold."""
        ...
