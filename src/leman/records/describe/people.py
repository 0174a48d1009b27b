"""Names, ORCID iDs and CRediT roles of those who made the work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leman.records.describe.codes import finding
from leman.records.describe.said import line
from leman.records.model import Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leman.findings import Finding

# ANSI/NISO Z39.104-2022, CRediT: the 14 roles, with their names on https://credit.niso.org
ROLES = {
    "Conceptualization": "conceptualization",
    "Data curation": "data-curation",
    "Formal analysis": "formal-analysis",
    "Funding acquisition": "funding-acquisition",
    "Investigation": "investigation",
    "Methodology": "methodology",
    "Project administration": "project-administration",
    "Resources": "resources",
    "Software": "software",
    "Supervision": "supervision",
    "Validation": "validation",
    "Visualization": "visualization",
    "Writing – original draft": "writing-original-draft",  # noqa: RUF001 - as CRediT writes it
    "Writing – review & editing": "writing-review-editing",  # noqa: RUF001
}
_KEY = re.compile(r"[^a-z]+")
_ORCID = re.compile(
    r"(?:https?://(?:www\.)?orcid\.org/|orcid:\s*)?"
    r"\b([0-9]{4})-?([0-9]{4})-?([0-9]{4})-?([0-9]{3}[0-9X])\b",
    re.IGNORECASE,
)
_MAIL = re.compile(r"<[^<>]*>|\(?\S+@\S+\)?|https?://orcid\.org/\S*")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]\s*$")


def _spelled(name: str) -> str:
    """Return a role without what people write in several ways: case, dashes, s or z, and or &."""
    plain = name.lower().replace("&amp;", " ").replace("&", " ")
    letters = _KEY.sub(" ", plain).replace("isation", "ization")
    return " ".join(one for one in letters.split() if one != "and")


_BY_SPELLING = {_spelled(name): name for name in ROLES}


def role(name: str) -> str:
    """Return a CRediT role as the standard writes it, "" for what is none."""
    tail = name.rstrip("/").rpartition("/")[2] if "credit.niso.org" in name else name
    return _BY_SPELLING.get(_spelled(tail), "")


def is_orcid(identifier: str) -> bool:
    """Check the last digit of an ORCID iD (ISO/IEC 7064, MOD 11-2)."""
    digits = identifier.replace("-", "").upper()
    if not re.fullmatch(r"[0-9]{15}[0-9X]", digits):
        return False
    total = 0
    for digit in digits[:15]:
        total = (total + int(digit)) * 2 % 11
    return digits[15] == "0123456789X"[(12 - total) % 11]


def orcid(value: object, where: str, whose: str) -> tuple[str, list[Finding]]:
    """Return a bare ORCID iD from an iD or its address, and a finding where it is mistyped."""
    given = line(value)
    if not given:
        return "", []
    match = _ORCID.search(given)
    bare = "-".join(match.groups()).upper() if match else ""
    if is_orcid(bare):
        return bare, []
    message = f"{given!r}, the ORCID iD of {whose or 'an author'}, is mistyped; it was left out"
    return "", [finding("orcid-invalid", where, message, "Copy the iD from orcid.org.")]


def roles(names: Iterable[object], where: str, whose: str) -> tuple[tuple[str, ...], list[Finding]]:
    """Return CRediT roles in their own spelling, and findings for what is none."""
    kept: list[str] = []
    found = []
    for name in filter(None, map(line, names)):
        known = role(name)
        if known and known not in kept:
            kept.append(known)
        elif not known:
            message = f"{name!r}, a role of {whose}, is none of CRediT; it was left out"
            found.append(finding("role-unknown", where, message, f"Use: {', '.join(ROLES)}."))
    return tuple(kept), found


def author(given: str, where: str) -> tuple[Person | None, list[Finding]]:
    """Read an author as people write one in a line; None for a line without a name.

    ``Ada Lovelace <0000-0002-1825-0097>; Institute [Software; Methodology]``: the iD may
    also be an address after a comma; a mail address is left out, it is not ours to publish.
    """
    rest = line(given)
    names: tuple[str, ...] = ()
    found: list[Finding] = []
    if match := _BRACKETS.search(rest):
        rest = rest[: match.start()]
        asked = match[1]
    else:
        asked = ""
    person, _, affiliation = rest.partition(";")
    identifier = _ORCID.search(rest)
    mistyped = "" if identifier else _mistyped(person)
    name = _MAIL.sub(" ", _ORCID.sub(" ", person)).strip(" ,;<>()\t")
    name = " ".join(name.split())
    if asked:
        names, found = roles(re.split(r"[;,]", asked), where, name)
    bare, more = orcid(identifier[0] if identifier else mistyped, where, name)
    place = " ".join(_ORCID.sub(" ", affiliation).split()).strip(" ,;<>")
    return (Person(name, bare, place, names) if name else None), [*found, *more]


def _mistyped(person: str) -> str:
    """Return what was meant as an ORCID iD and has not even its form."""
    match = re.search(r"<([0-9Xx][0-9Xx -]{6,})>|(\S*orcid\S+)", person)
    return (match[1] or match[2]).strip("<>,") if match else ""


def turned(name: str) -> str:
    """Return ``Lovelace, Ada`` as ``Ada Lovelace``; a name with another number of commas stays."""
    family, comma, given = (part.strip() for part in name.partition(","))
    return f"{given} {family}" if comma and given and "," not in given else name
