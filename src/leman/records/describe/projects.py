"""pyproject.toml (PEP 621, PEP 639, poetry's table) and setup.cfg ([metadata])."""

from __future__ import annotations

import configparser
import tomllib
from typing import TYPE_CHECKING, Any

from leman.records.describe import licences, people
from leman.records.describe.codes import finding
from leman.records.describe.said import LARGEST, MOST_AUTHORS, Said, line, odd, rows, text, words
from leman.records.model import Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leman.environments.detect.tree import Tree
    from leman.findings import Finding

PYPROJECT = "pyproject.toml"
SETUP = "setup.cfg"
_CLASSIFIER = "License :: "


def read_pyproject(tree: Tree) -> Said:
    """Read the [project] table of a pyproject.toml, or that of poetry.

    The name of a distribution is kept as title, for which it is the last resort.
    """
    content, found = tree.read(PYPROJECT, largest=LARGEST)
    try:
        value = tomllib.loads(content or "")
    except (ValueError, RecursionError) as error:
        message = f"{PYPROJECT} is no valid TOML: {line(str(error))[:200]}"
        found.append(finding("metadata-unreadable", PYPROJECT, message, "Mend the file."))
        return Said(PYPROJECT, findings=tuple(found))
    project = _table(value, "project") or _table(_table(value, "tool"), "poetry")
    licence, more = _licence(project.get("license"), project.get("classifiers"))
    found += more
    authors, more = _authors(project.get("authors"))
    found += more
    return Said(
        PYPROJECT,
        title=line(project.get("name")),
        authors=authors,
        abstract=text(project.get("description")),
        licence=licence,
        keywords=words(project.get("keywords")),
        version=line(project.get("version")),
        findings=tuple(found),
    )


def read_setup_cfg(tree: Tree) -> Said:
    """Read the [metadata] section of a setup.cfg; what it computes (attr:, file:) stays unknown."""
    content, found = tree.read(SETUP, largest=LARGEST)
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content or "")
    except (configparser.Error, ValueError) as error:
        message = f"{SETUP} could not be parsed: {line(str(error))[:200]}"
        found.append(finding("metadata-unreadable", SETUP, message, "Mend the file."))
    section = dict(parser.items("metadata")) if parser.has_section("metadata") else {}
    entries = {
        key: value
        for key, value in section.items()
        if not value.strip().startswith(("attr:", "file:"))
    }
    classifiers = entries.get("classifiers", entries.get("classifier", "")).splitlines()
    licence, more = _licence(entries.get("license"), classifiers)
    found += more
    names = (line(one) for one in entries.get("author", "").split(","))
    return Said(
        SETUP,
        title=line(entries.get("name")),
        authors=tuple(Person(name) for name in names if name)[:MOST_AUTHORS],
        abstract=text(entries.get("description")),
        licence=licence,
        keywords=words(entries.get("keywords")),
        version=line(entries.get("version")),
        findings=tuple(found),
    )


def _authors(value: Any) -> tuple[tuple[Person, ...], list[Finding]]:  # noqa: ANN401
    found = [] if isinstance(value, list) else list(odd(PYPROJECT, "authors", value))
    authors: list[Person] = []
    for one in (value if isinstance(value, list) else [])[: MOST_AUTHORS + 1]:
        if isinstance(one, dict):
            name = line(one.get("name"))
            authors += [Person(name)] if name else []
        elif isinstance(one, str):  # poetry
            person, more = people.author(one, PYPROJECT)
            authors += [person] if person else []
            found += more
        else:
            found += odd(PYPROJECT, "an author", [one])
    return tuple(authors), found


def _licence(value: Any, classifiers: Any) -> tuple[str, list[Finding]]:  # noqa: ANN401
    """Read an SPDX expression, a table with the text, or what the classifiers say."""
    if isinstance(value, dict):
        given = value.get("text")
        if isinstance(given, str) and len(given) > 200:
            return " AND ".join(licences.licence_of(given)), []
        value = given
    classified = " OR ".join(_classified(rows(classifiers)))
    if known := licences.spdx(line(value)):
        return known, []
    if classified:
        return classified, []
    return licences.named(value, PYPROJECT)


def _classified(classifiers: Iterable[Any]) -> list[str]:
    """Return what trove classifiers name without doubt ("BSD License" could be any of four)."""
    names = (line(one) for one in classifiers)
    tails = (one.rpartition(" :: ")[2] for one in names if one.startswith(_CLASSIFIER))
    return list(dict.fromkeys(filter(None, map(licences.spdx, tails))))


def _table(value: Any, key: str) -> dict[str, Any]:  # noqa: ANN401
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
