"""codemeta.json (CodeMeta 2 and 3, https://codemeta.github.io) and .zenodo.json."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

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

CODEMETA = "codemeta.json"
ZENODO = ".zenodo.json"
_DEEPEST = 100  # of nested lists and tables, before Python's own limit is near


def read_codemeta(tree: Tree) -> Said:
    """Read a codemeta.json: JSON-LD, of which the usual shapes are read, not the whole model."""
    value, found = _parsed(tree, CODEMETA)
    authors, more = _codemeta_authors(value)
    found += more
    licence, more = _alternatives(_get(value, "license"), CODEMETA)
    found += more
    for key in ("name", "description"):
        if not isinstance(_plain(_get(value, key)), str):
            found += odd(CODEMETA, key, _get(value, key))
    listed = _get(value, "keywords")
    return Said(
        CODEMETA,
        title=line(_plain(_get(value, "name"))),
        authors=authors,
        abstract=text(_plain(_get(value, "description"))),
        licence=licence,
        keywords=words(
            listed if isinstance(listed, str) else [_plain(one) for one in rows(listed)]
        ),
        version=line(_plain(_get(value, "version"))) or line(_get(value, "softwareVersion")),
        doi=_first_doi(value),
        findings=tuple(found),
    )


def read_zenodo(tree: Tree) -> Said:
    """Read a .zenodo.json (the metadata of Zenodo's deposits; its texts may be HTML)."""
    value, found = _parsed(tree, ZENODO)
    licence, more = _alternatives(value.get("license"), ZENODO)
    found += more
    authors, more = _creators(value.get("creators"))
    found += more
    for key in ("title", "description"):
        if not isinstance(value.get(key), str):
            found += odd(ZENODO, key, value.get(key))
    return Said(
        ZENODO,
        title=line(value.get("title")),
        authors=authors,
        abstract=text(_without_tags(value.get("description"))),
        licence=licence,
        keywords=words(value.get("keywords")),
        version=line(value.get("version")),
        doi=doi_in(value.get("doi")),
        findings=tuple(found),
    )


def _creators(value: Any) -> tuple[tuple[Person, ...], list[Finding]]:  # noqa: ANN401
    found = [] if isinstance(value, list) else list(odd(ZENODO, "creators", value))
    authors: list[Person] = []
    for one in (value if isinstance(value, list) else [])[: MOST_AUTHORS + 1]:
        if not isinstance(one, dict):
            found += odd(ZENODO, "a creator", [one])
            continue
        name = people.turned(line(one.get("name")))
        identifier, more = people.orcid(one.get("orcid"), ZENODO, name)
        found += more
        if name:
            authors.append(Person(name, identifier, line(one.get("affiliation"))))
    return tuple(authors), found


def _codemeta_authors(value: dict[str, Any]) -> tuple[tuple[Person, ...], list[Finding]]:
    """Read people and, in CodeMeta 3, entries of type Role that point to them."""
    found: list[Finding] = []
    authors: dict[str, Person] = {}  # by @id, or by place where there is none
    held: dict[str, list[str]] = {}
    entries = rows(_plain_list(_get(value, "author"))) or rows(_plain_list(_get(value, "creator")))
    for number, one in enumerate(entries[: 2 * MOST_AUTHORS]):
        if isinstance(one, str):
            person, more = people.author(one, CODEMETA)
            found += more
            authors |= {f"#{number}": person} if person else {}
        elif not isinstance(one, dict):
            found += odd(CODEMETA, "an author", [one])
        elif any("Role" in line(kind) for kind in rows(_get(one, "type"))):
            of = _get(one, "author")
            key = line(_get(of, "id")) if isinstance(of, dict) else line(of)
            # Role names of CodeMeta are free texts: those that CRediT has are kept.
            held.setdefault(key, []).extend(filter(None, _role_names(one)))
        else:
            person, more = _person(one)
            found += more
            authors |= {line(_get(one, "id")) or f"#{number}": person} if person.name else {}
    return tuple(
        Person(one.name, one.orcid, one.affiliation, tuple(dict.fromkeys(held.get(key, ()))))
        for key, one in authors.items()
    ), found


def _role_names(entry: dict[str, Any]) -> list[str]:
    return [people.role(line(_plain(one))) for one in rows(_get(entry, "roleName"))]


def _person(one: dict[str, Any]) -> tuple[Person, list[Finding]]:
    parts = (line(_plain(_get(one, key))) for key in ("givenName", "familyName"))
    name = " ".join(filter(None, parts)) or line(_plain(_get(one, "name")))
    identity = line(_get(one, "id"))
    claimed = identity if "orcid.org" in identity else _get(one, "identifier")
    claimed = claimed if "orcid" in line(claimed) or people.is_orcid(line(claimed)) else ""
    identifier, found = people.orcid(claimed, CODEMETA, name)
    places = [
        line(_plain(_get(place, "name") if isinstance(place, dict) else place))
        for place in rows(_get(one, "affiliation"))[:10]
    ]
    return Person(name, identifier, ", ".join(filter(None, places))), found


def _parsed(tree: Tree, name: str) -> tuple[dict[str, Any], list[Finding]]:
    content, found = tree.read(name, largest=LARGEST)
    if not (content or "").strip():
        return {}, found
    try:
        value = json.loads(content or "")
    except (ValueError, RecursionError) as error:
        message = f"{name} is no valid JSON: {line(str(error))[:200]}"
        return {}, [*found, finding("metadata-unreadable", name, message, "Mend the file.")]
    if isinstance(value, dict) and isinstance(graph := value.get("@graph"), list):
        tables = [one for one in graph if isinstance(one, dict)]
        value = next((one for one in tables if _get(one, "author")), value)
    if not isinstance(value, dict):
        message = f"{name} holds no table of entries"
        return {}, [*found, finding("metadata-unreadable", name, message, "Mend the file.")]
    return value, found


def _get(value: Any, key: str) -> Any:  # noqa: ANN401
    """Return an entry by its plain name, its keyword (@id) or its name in schema.org."""
    if not isinstance(value, dict):
        return None
    for name in (key, f"@{key}", f"schema:{key}", f"http://schema.org/{key}"):
        if name in value:
            return value[name]
    return None


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return the text of a JSON-LD value object, the first of several."""
    for _ in range(_DEEPEST):
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict) and "@value" in value:
            value = value["@value"]
        else:
            break
    return value


def _plain_list(value: Any) -> Any:  # noqa: ANN401
    return value["@list"] if isinstance(value, dict) and "@list" in value else value


def _alternatives(value: Any, origin: str) -> tuple[str, list[Finding]]:  # noqa: ANN401
    """Read a licence: a name, an address, a table with either; of several one may choose."""
    known, found = [], []
    for one in rows(value)[:20]:
        given = one
        if isinstance(one, dict):
            given = _get(one, "id") or _get(one, "url") or _get(one, "name")
        identifier, more = licences.named(given, origin)
        known += [identifier] if identifier else []
        found += more
    return " OR ".join(dict.fromkeys(known)), found


def _first_doi(value: dict[str, Any]) -> str:
    for one in [*rows(_get(value, "identifier"))[:50], *rows(_get(value, "id"))[:1]]:
        given = _get(one, "value") or _get(one, "id") if isinstance(one, dict) else one
        if found := doi_in(given):
            return found
    return ""


def _without_tags(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, str):
        return value
    broken = re.sub(
        r"(?i)</?(?:p|div|li|ul|ol|h[1-6])\b[^<>]*>|<br\s*/?>\s*<br\s*/?>", "\n\n", value
    )
    return html.unescape(re.sub(r"<[^<>]*>", " ", broken))
