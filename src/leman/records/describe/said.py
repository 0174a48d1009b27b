"""What one file says of the work, and how untrusted values become texts that can be shown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.records.describe.codes import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.findings import Finding
    from leman.records.model import Person

LARGEST = 1_000_000  # bytes of a metadata file
_LONGEST_LINE = 500  # characters of a title, a name, a keyword
_LONGEST_TEXT = 10_000  # characters of an abstract
MOST_AUTHORS = 500
_MOST_KEYWORDS = 50
_KEPT = "\n\t\u200c\u200d"  # joiners are letters of some scripts
_DOI = re.compile(
    r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.[0-9]{4,9}/[^\s\"<>]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Said:
    """What `origin` (a file, or the history) says; what is empty it does not say."""

    origin: str
    title: str = ""
    authors: tuple[Person, ...] = ()
    abstract: str = ""
    licence: str = ""  # an SPDX expression
    keywords: tuple[str, ...] = ()
    version: str = ""
    doi: str = ""
    findings: tuple[Finding, ...] = ()


def line(value: Any) -> str:  # noqa: ANN401 - whatever a file holds
    """Return a value as one clean line; what is neither text nor a number is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(_clean(str(value)[: _LONGEST_LINE * 4]).split())[:_LONGEST_LINE].strip()


def text(value: Any) -> str:  # noqa: ANN401 - whatever a file holds
    """Return a text as clean paragraphs: lines joined, an empty line between paragraphs."""
    if not isinstance(value, str):
        return ""
    paragraphs = re.split(r"\n\s*\n", _clean(value[: _LONGEST_TEXT * 4]))
    joined = "\n\n".join(filter(None, (" ".join(one.split()) for one in paragraphs)))
    return joined if len(joined) <= _LONGEST_TEXT else f"{joined[: _LONGEST_TEXT - 1].rstrip()}…"


def words(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever a file holds
    """Return keywords, given as a list or as one text with commas or semicolons."""
    listed = re.split(r"[,;\n]", value) if isinstance(value, str) else rows(value)
    return tuple(dict.fromkeys(filter(None, map(line, listed))))[:_MOST_KEYWORDS]


def rows(value: Any) -> list[Any]:  # noqa: ANN401 - whatever a file holds
    """Return a list as it is, one value as a list of one, nothing as an empty list."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def doi_in(value: Any) -> str:  # noqa: ANN401 - whatever a file holds
    """Return the DOI (such as 10.5281/zenodo.123) that a text is or begins with, or ""."""
    match = _DOI.match(line(value))
    return match[1].rstrip(".,;") if match else ""


def odd(origin: str, entry: str, value: Any) -> Iterator[Finding]:  # noqa: ANN401
    """Say that an entry is of the wrong kind, if it is there at all."""
    if value not in (None, "", [], {}):
        kind = {"dict": "a table", "list": "a list"}.get(type(value).__name__, "no text")
        message = f"{entry} of {origin} is {kind}; it was left out"
        yield finding("metadata-odd", origin, message, f"Write {entry} as the format asks.")


def _clean(value: str) -> str:
    """Drop what can disturb a terminal or turn a line around: controls, surrogates, directions."""
    return "".join(
        letter
        for letter in value
        if letter in _KEPT or unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
