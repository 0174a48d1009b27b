"""Texts from elsewhere made safe to store and to show: whatever they hold, however long."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

STORED_LIMIT = 20_000  # characters of one text in report.json

# ECMA-48 control sequences: CSI, OSC (up to BEL or ST), and the two-character ones.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def without_colours(text: str) -> str:
    """Remove the terminal's control sequences, such as colours in a traceback."""
    return _ANSI.sub("", text)


def cut(text: str, limit: int = STORED_LIMIT) -> str:
    """Keep the start and the end of a text longer than `limit`, and say what was left out."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit - limit * 2 // 3
    left_out = len(text) - limit
    return f"{text[:head]}\n… {left_out:,} characters left out …\n{text[len(text) - tail :]}"


def storable(text: str, limit: int = STORED_LIMIT) -> str:
    r"""Return a text that UTF-8 can hold: lone surrogates become ``\udc80``; long texts are cut."""
    return _SURROGATE.sub(_escape, cut(text, limit))


def shown(text: str) -> str:
    r"""Return a text as a page may show it: what would hide or reorder is written as ``\u202e``.

    Characters that swap the direction of writing can make a text read as another one (CVE-2021-
    42574), so they are made visible, as are zero-width and control characters.
    """
    plain = without_colours(text).replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(_escape, _SURROGATE.sub(_escape, plain))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def without_password(url: str) -> str:
    """Return an address without the user name, password or token that it may carry."""
    try:
        parts = urlsplit(url)
        if not parts.netloc or "@" not in parts.netloc:
            return url
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return url.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))


def file_name(text: str) -> str:
    """Return a plain ASCII file name for a label from elsewhere; never empty, never with dots."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:60] or "unnamed"
