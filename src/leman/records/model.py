"""The values that flow from a source to a record, and from a record to five answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from leman.findings import Finding


class Question(StrEnum):
    """What a reader may ask of a record; each is answered apart."""

    INTACT = "intact"  # every byte is as it was when the record was made, and nothing was added
    SIGNED = "signed"  # by whom, and whether the reader trusts that key
    DATED = "dated"  # a time stamp of an authority that the reader trusts
    RERUNS = "reruns"  # every notebook runs to its end in the locked environment
    SAME = "same results"  # every output is as published, or declared exempt or volatile


class Value(StrEnum):
    """An answer; what could not be checked is never "yes"."""

    YES = "yes"
    NO = "no"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with its reason in a sentence; `asked` says that the exit code depends on it."""

    question: Question
    value: Value
    reason: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """One detached signature over the tag manifest.

    `key` is the public key as OpenSSH writes it (``ssh-ed25519 AAAA…``), `fingerprint` its
    ``SHA256:…``. `trusted` names the identities that the reader's allowed signers give to that
    key; empty where the key is not among them, or nobody was asked. `problem` is empty for a
    valid signature.
    """

    name: str
    key: str = ""
    fingerprint: str = ""
    trusted: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One RFC 3161 time stamp over a signature.

    `moment` is UTC, `authority` names the certificate that signed it. `trusted` says that this
    certificate leads to one that the reader trusts. `problem` is empty for a stamp that fits its
    signature.
    """

    name: str
    moment: datetime | None = None
    authority: str = ""
    trusted: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A verification report that somebody signed and added to the record.

    `content` is the in-toto Statement; `signature` the check of the signature over its bytes.
    """

    name: str
    content: dict[str, Any]
    signature: Signature | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A record on this disk: `id` is ``sha256:`` and the SHA-256 of its tag manifest.

    `facts` is the content of ``data/leman-record.json`` (see the record format's reference page).
    """

    id: str
    path: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The author's files as they were stored."""
        return self.path / "data" / "source"

    @property
    def report(self) -> Path:
        """The report of the run that was published, with executed notebooks and locks."""
        return self.path / "data" / "report"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who made the work: `orcid` is the bare identifier such as 0000-0002-1825-0097.

    `roles` are CRediT roles (https://credit.niso.org), as the author gave them.
    """

    name: str
    orcid: str = ""
    affiliation: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What a record says of itself: who, what, under which licence (an SPDX identifier)."""

    title: str
    authors: tuple[Person, ...] = ()
    abstract: str = ""
    licence: str = ""
    keywords: tuple[str, ...] = ()
    version: str = ""
    doi: str = ""
    origins: tuple[str, ...] = ()  # files that this was read from


@dataclass(frozen=True, slots=True)
class Reference:
    """A file of the source that is not inside: where to get it, `size` in bytes, its SHA-256.

    `path` is relative to the source (POSIX).
    """

    path: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Check:
    """All that is known of a record after looking at it; a re-run adds the last two answers."""

    record: Record
    answers: tuple[Answer, ...]
    findings: tuple[Finding, ...]
    signatures: tuple[Signature, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    statements: tuple[Statement, ...] = ()
    files: int = 0
    size: int = 0

    def answer(self, question: Question) -> Answer:
        """Return the answer to one question."""
        return next(one for one in self.answers if one.question is question)

    @property
    def holds(self) -> bool:
        """True when all that was asked for is answered with yes."""
        return all(one.value is Value.YES for one in self.answers if one.asked)
