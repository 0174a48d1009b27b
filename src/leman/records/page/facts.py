"""The facts of a record, read for its page: whatever type they have, or none."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from leman.records.model import Question, Value
from leman.records.page.prose import is_ours, visible
from leman.reproduction.report import words
from leman.reproduction.report.text import cut, without_password

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST_LOCK = 16 * 1024**2  # bytes
_LONGEST = 1_000  # characters of one fact

# What each answer answers, said beside it.
QUESTIONS: dict[Question, tuple[str, str]] = {
    Question.INTACT: ("Intact", "Is every byte as it was when the record was made?"),
    Question.SIGNED: ("Signed", "Who vouches for it, with which key?"),
    Question.DATED: ("Dated", "Does an independent authority say when it was signed?"),
    Question.RERUNS: ("Reruns", "Does every notebook run to its end in its locked environment?"),
    Question.SAME: (
        "Same results",
        "Is every output as published, or declared exempt or volatile?",
    ),
}
# Of these the report gives the reason, this page does not.
_ELSEWHERE = {
    "failed": "It did not run to its end; the report says why.",
    "skipped": "It was not run; the report says why.",
}
_VALUES = {Value.YES: "Yes", Value.NO: "No", Value.NOT_CHECKED: "Not checked"}


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who made the work; `marks` number the affiliations."""

    name: str
    orcid: str
    affiliation: str
    mark: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One of the five answers: `key` is yes, no or open."""

    key: str
    question: str
    meaning: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An environment: `packages` counts the lock's packages, -1 where it cannot be read."""

    digest: str
    python: str
    cutoff: str
    lock: str
    packages: int
    notebooks: tuple[str, ...]


def text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a fact as text in one line; what is no text, number or date becomes empty."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return cut(" ".join(visible(str(value)).split()), _LONGEST)


def items(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return a fact that is a list, or an empty list."""
    return value if isinstance(value, list) else []


def tables(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the objects of a fact that is a list of objects."""
    return [one for one in items(value) if isinstance(one, dict)]


def table(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a fact that is an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    """Return the texts of a list that are not empty."""
    return tuple(found for one in items(value) if (found := text(one)))


def authors(value: Any) -> tuple[Author, ...]:  # noqa: ANN401 - JSON
    """Return who made the work, affiliations numbered where there is more than one."""
    people = tables(value)
    places = list(dict.fromkeys(found for one in people if (found := text(one.get("affiliation")))))
    return tuple(
        Author(
            name=text(one.get("name")) or "unnamed",
            orcid=_matching(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", text(one.get("orcid"))[-19:]),
            affiliation=(place := text(one.get("affiliation"))),
            mark=str(places.index(place) + 1) if place and len(places) > 1 else "",
            roles=texts(one.get("roles")),
        )
        for one in people
    )


def answers(value: Any) -> tuple[Told, ...]:  # noqa: ANN401 - JSON
    """Return the five answers; one that is missing or unknown was not checked."""
    known = table(value)
    told = []
    for question, (name, meaning) in QUESTIONS.items():
        found = table(known.get(str(question)))
        try:
            answer = Value(text(found.get("value")))
        except ValueError:
            answer = Value.NOT_CHECKED
        key = {Value.YES: "yes", Value.NO: "no"}.get(answer, "open")
        told.append(Told(key, name, meaning, _VALUES[answer], text(found.get("reason"))))
    return tuple(told)


def surroundings(value: Any, data: Path) -> tuple[Surroundings, ...]:  # noqa: ANN401 - JSON
    """Return the environments, the packages of their locks counted."""
    return tuple(
        Surroundings(
            digest=text(one.get("digest")),
            python=text(one.get("python")),
            cutoff=text(one.get("cutoff")),
            lock=address(text(one.get("lock")), data),
            packages=_packages(data / text(one.get("lock")), data),
            notebooks=texts(one.get("notebooks")),
        )
        for one in tables(value)
    )


def outcome(fact: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return key, label and meaning of a notebook's verdict."""
    status, same = text(fact.get("status")), text(fact.get("same"))
    key = same if status == "ran" else status
    if key not in words.OUTCOMES:
        return "skipped", key or "unknown", "No verdict was recorded."
    label, meaning = words.OUTCOMES[key]
    return key, label, _ELSEWHERE.get(key, meaning)


def exempt(value: Any) -> dict[tuple[str, int], str]:  # noqa: ANN401 - JSON
    """Return (notebook, cell from 0) → tags that waive or widen the comparison of its outputs."""
    found: dict[tuple[str, int], str] = {}
    for one in tables(value):
        cell = one.get("cell")
        if isinstance(cell, int) and not isinstance(cell, bool):
            key = str(one.get("notebook", "")), cell
            found[key] = cut(
                ", ".join(filter(None, (found.get(key), text(one.get("tag"))))), _LONGEST
            )
    return found


def address(path: str, data: Path) -> str:
    """Return the relative address of a file in the data folder; empty where it is not there."""
    return "data/" + quote(path) if path and is_ours(data / path, data) else ""


def web(url: str) -> str:
    """Return an address on the web without user names and tokens, or an empty string."""
    plain = without_password(url)
    try:
        parts = urlsplit(plain)
    except ValueError:
        return ""
    return plain if parts.scheme in ("http", "https") and parts.netloc else ""


def doi(value: str) -> str:
    """Return a bare DOI, or an empty string."""
    bare = re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", value, flags=re.IGNORECASE)
    return _matching(r"10\.\d{4,9}/[^\s\"<>]+", bare)


def swhid_address(swhid: str) -> str:
    """Return where a SoftWare Hash IDentifier (ISO/IEC 18670) resolves, or an empty string."""
    core = swhid.partition(";")[0]
    fine = re.fullmatch(r"swh:1:(?:cnt|dir|rev|rel|snp):[0-9a-f]{40}", core)
    return f"https://archive.softwareheritage.org/{core}" if fine else ""


def licence_address(licence: str) -> str:
    """Return the page of an SPDX identifier; empty for an expression or what is none."""
    fine = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,60}", licence)
    return f"https://spdx.org/licenses/{quote(licence)}.html" if fine else ""


def date(value: str) -> tuple[str, str]:
    """Return an ISO 8601 time as a date for people and one for programs; both may be empty."""
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return value, ""
    return f"{when.day} {when:%B} {when.year}", f"{when:%Y-%m-%d}"


def size(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a number of bytes as people say it."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return "unknown"
    if value < 1000:
        return f"{value} bytes"
    units = ("kB", "MB", "GB", "TB", "PB")
    power = next((one for one in range(1, 5) if value < 999.5 * 1000**one), 5)
    amount, unit = min(value, 10**30) / 1000**power, units[power - 1]
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def _packages(lock: Path, data: Path) -> int:
    try:
        if not is_ours(lock, data) or lock.stat().st_size > _LARGEST_LOCK:
            return -1
        return len(tables(tomllib.loads(lock.read_text("utf-8", "replace")).get("packages")))
    except (OSError, ValueError, RecursionError):
        return -1


def _matching(pattern: str, value: str) -> str:
    return value if re.fullmatch(pattern, value) else ""
