"""CITATION.cff (Citation File Format 1.2): https://doi.org/10.5281/zenodo.5171937.

`preferred-citation` describes another work, mostly the paper. It gives what the file itself does
not say, but for its DOI and version, which are not those of the notebooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from leman.environments.detect.conda import too_deep
from leman.records.describe import licences, people
from leman.records.describe.codes import finding
from leman.records.describe.said import (
    LARGEST,
    MOST_AUTHORS,
    Said,
    doi_in,
    line,
    odd,
    rows,
    text,
    words,
)
from leman.records.model import Person

if TYPE_CHECKING:
    from leman.environments.detect.tree import Tree
    from leman.findings import Finding

NAME = "CITATION.cff"
# Every scalar stays text (version: 1.10 is not 1.1), tags construct nothing.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_FIX = "Check the file with a validator of the Citation File Format."


def read_citation(tree: Tree) -> Said:
    """Read the citation file of a source."""
    content, found = tree.read(NAME, largest=LARGEST)
    value, more = _parsed(content or "")
    found += more
    preferred = value.get("preferred-citation")
    other = preferred if isinstance(preferred, dict) else {}
    found += [] if isinstance(preferred, dict) else odd(NAME, "preferred-citation", preferred)
    licence, more = _licence(value.get("license") or other.get("license"))
    found += more
    authors, more = _authors(value.get("authors") or other.get("authors"))
    found += more
    for entry in ("title", "abstract", "version"):
        if not isinstance(value.get(entry), str):
            found += odd(NAME, entry, value.get(entry))
    return Said(
        NAME,
        title=line(value.get("title")) or line(other.get("title")),
        authors=authors,
        abstract=text(value.get("abstract")) or text(other.get("abstract")),
        licence=licence,
        keywords=words(value.get("keywords")) or words(other.get("keywords")),
        version=line(value.get("version")),
        doi=_doi(value),
        findings=tuple(found),
    )


def _parsed(content: str) -> tuple[dict[str, Any], list[Finding]]:
    if not content.strip():
        return {}, []
    if too_deep(content):
        message = f"{NAME} is nested deeper than any citation file"
        return {}, [finding("metadata-unreadable", NAME, message, _FIX)]
    try:
        value = yaml.load(content, Loader=_LOADER)  # noqa: S506 - constructs text, lists, tables
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        message = f"{NAME} is no valid YAML: {line(str(error))[:200]}"
        return {}, [finding("metadata-unreadable", NAME, message, _FIX)]
    if not isinstance(value, dict):
        message = f"{NAME} holds no table of entries"
        return {}, [finding("metadata-unreadable", NAME, message, _FIX)]
    return value, []


def _licence(value: Any) -> tuple[str, list[Finding]]:  # noqa: ANN401
    """Read one identifier, or a list, of which CFF says that one may choose."""
    known, found = [], []
    for one in rows(value)[:20]:
        identifier, more = licences.named(one, NAME)
        known += [identifier] if identifier else []
        found += more
    return " OR ".join(dict.fromkeys(known)), found


def _authors(value: Any) -> tuple[tuple[Person, ...], list[Finding]]:  # noqa: ANN401
    found = [] if isinstance(value, list) else list(odd(NAME, "authors", value))
    authors: list[Person] = []
    for one in (value if isinstance(value, list) else [])[: MOST_AUTHORS + 1]:
        if not isinstance(one, dict):
            found += odd(NAME, "an author", [one])
            continue
        parts = (line(one.get(key)) for key in ("given-names", "name-particle", "family-names"))
        name = " ".join(filter(None, parts))
        if name and (suffix := line(one.get("name-suffix"))):
            name += f", {suffix}"
        name = name or line(one.get("name")) or line(one.get("alias"))
        identifier, more = people.orcid(one.get("orcid"), NAME, name)
        found += more
        place = ", ".join(filter(None, map(line, rows(one.get("affiliation"))[:10])))
        if name:
            authors.append(Person(name, identifier, place))
    return tuple(authors), found


def _doi(value: dict[str, Any]) -> str:
    if given := doi_in(value.get("doi")):
        return given
    listed = value.get("identifiers")
    for one in listed[:100] if isinstance(listed, list) else []:
        if (
            isinstance(one, dict)
            and one.get("type") == "doi"
            and (given := doi_in(one.get("value")))
        ):
            return given
    return ""
