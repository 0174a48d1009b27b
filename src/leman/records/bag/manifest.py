"""Manifests as RFC 8493 §2.1.3 writes them: a digest, white space, a percent-encoded path.

Only line breaks and the percent sign itself are encoded; what else a name holds stands as it is,
in UTF-8. Read line by line: a manifest of 10^6 files takes no more memory than its entries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+(.+)")
_ENCODED = re.compile("%(?:0[aA]|0[dD]|25)")
_BARE = re.compile("%(?!0[aA]|0[dD]|25)")  # RFC 8493 §2.1.3 wants it encoded
_LONGEST_LINE = 65_536  # bytes


class ManifestError(ValueError):
    """A line of a manifest that cannot be read: `number` counts from 1."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.message = message


def encoded(path: str) -> str:
    """Return a path as a manifest writes it."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def decoded(path: str) -> str:
    """Return a manifest's path as the file system knows it (the inverse of `encoded`)."""
    return _ENCODED.sub(lambda found: chr(int(found[0][1:], 16)), path)


def text(entries: Iterable[tuple[str, str]]) -> str:
    """Return a manifest of (path, hexadecimal digest), sorted by path, as sha256sum reads it."""
    return "".join(f"{digest}  {encoded(path)}\n" for path, digest in sorted(entries))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without their ends (LF or CRLF).

    Raises ManifestError for what is no text in UTF-8, and for a CR alone: some readers take it for
    the end of a line and some do not, so one list would be two.
    """
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE):
            number += 1
            if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                raise ManifestError(number, f"it is longer than {_LONGEST_LINE} bytes")
            try:
                line = raw.decode()
            except UnicodeDecodeError as error:
                raise ManifestError(number, "it is not UTF-8") from error
            line = line.removesuffix("\n").removesuffix("\r")
            if number == 1 and line.startswith("\ufeff"):
                raise ManifestError(number, "it begins with a byte-order mark")
            if "\r" in line or "\0" in line:
                raise ManifestError(number, "it holds a carriage return or a zero byte")
            yield number, line


def read(path: Path, *, digits: int) -> Iterator[tuple[str, str]]:
    """Yield (path, digest in lower case) of a manifest whose digests have `digits` digits.

    Raises ManifestError for a line that is no entry. Whether a path is one that may be followed
    is for the caller to judge.
    """
    for number, line in lines(path):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ManifestError(number, f"expected a digest and a path, found {line[:80]!r}")
        if len(match[1]) != digits:
            raise ManifestError(number, f"the digest has {len(match[1])} digits, expected {digits}")
        if "%" in match[2] and _BARE.search(match[2]):
            raise ManifestError(number, "its path has a percent sign that is not %25, %0A or %0D")
        yield decoded(match[2]), match[1].lower()
