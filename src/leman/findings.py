"""A finding: something that a check saw, as a value that can be shown, counted and stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen, where it was seen, and what to do about it.

    `code` is stable and documented (for example ``apt-not-installed``); `where` is a path or
    a name inside the source; `fix` may be empty where nothing is to be done.
    """

    code: str
    severity: Severity
    where: str
    message: str
    fix: str = ""


def printable(text: str) -> str:
    r"""Return `text` with everything that a terminal would obey, not show, as an escape.

    Line breaks, colours, marks that turn the direction of writing, and what is no Unicode at all:
    a name made by a stranger must not write lines of its own (``\x1b[2K``, ``\n``).
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def shown(finding: Finding) -> Finding:
    """Return a finding whose words do nothing on a terminal but stand there."""
    return replace(
        finding,
        where=printable(finding.where),
        message=printable(finding.message),
        fix=printable(finding.fix),
    )
