"""A record as one page for readers: no script, no font, no network; it claims and proves nothing.

The page is listed in the record's tag manifest, so it is the same for the same facts and files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from leman.records.layout import FORMAT, SIGNED_RECORD
from leman.records.page import citing
from leman.records.page import facts as read
from leman.records.page.notebooks import MOST, notebooks
from leman.records.page.prose import Outline, Place, markdown, visible
from leman.records.page.room import Room
from leman.reproduction.report.templates import templates_in
from leman.reproduction.report.text import cut, storable

if TYPE_CHECKING:
    from jinja2 import Environment as Templates

    from leman.records.page.notebooks import Shown

MOST_LISTED = 300  # rows of a list; more are counted
_LONGEST_ABSTRACT = 20_000  # characters
_OPEN = 1  # notebooks that stand open from the start, if there are no more than these
_LONGEST_ADDRESS = 2_000


def as_html(facts: dict[str, Any], data: Path) -> str:
    """Return the page ``record.html`` of a record that is being made.

    `facts` is the content of ``leman-record.json``, `data` the folder that holds ``source`` and
    ``report``. Notebooks are read from there and may hold anything: they are sanitised, cut and
    left out, never refused. The page is below 6 MB and links only to files below ``data/``.
    """
    page = _templates().get_template("page.html.j2")
    return storable(page.render(_context(facts, data)), limit=10**9)


def _templates() -> Templates:
    templates = templates_in(Path(__file__).parent)
    templates.filters["prose"] = lambda value: escape(visible(value))
    templates.filters["size"] = read.size
    return templates


def _context(facts: dict[str, Any], data: Path) -> dict[str, Any]:
    exempt = read.exempt(facts.get("exempt"))
    listed = read.tables(facts.get("notebooks"))
    pages = notebooks(listed, data, exempt)
    day, iso = read.date(read.text(facts.get("created")))
    return {
        "style": Markup((Path(__file__).parent / "page.css").read_text("utf-8")),  # noqa: S704 - ours
        "format": FORMAT,
        "namespace": SIGNED_RECORD,
        "leman": read.text(facts.get("leman")),
        "day": day,
        "iso": iso,
        **_described(facts, data, iso),
        "answers": read.answers(facts.get("answers")),
        "notebooks": [_notebook(one, page) for one, page in zip(listed, pages, strict=False)],
        "unshown": [_listed_only(one) for one in listed[MOST : MOST + MOST_LISTED]],
        "more_notebooks": max(0, len(listed) - MOST - MOST_LISTED),
        "opened": len(listed) <= _OPEN,
        "environments": read.surroundings(facts.get("environments"), data)[:MOST_LISTED],
        "references": [_reference(one) for one in read.tables(facts.get("references"))],
        "exempt": _exempt(exempt, listed, pages),
        "source": _source(read.table(facts.get("source"))),
        "files": [
            (f"data/{path}", what)
            for path, what in _FILES
            if path in _ALWAYS or read.address(path, data)
        ],
        "most": MOST_LISTED,
    }


_ALWAYS = ("leman-record.json", "ro-crate-metadata.json")  # written with the page
_FILES = (
    ("report/report.html", "the run, output by output"),
    ("report/report.json", "the same for programs"),
    ("leman-record.json", "the facts on this page, for programs"),
    ("ro-crate-metadata.json", "the description as an RO-Crate"),
)


def _described(facts: dict[str, Any], data: Path, iso: str) -> dict[str, Any]:
    known = read.table(facts.get("description"))
    title = cut(read.text(known.get("title")), 400) or "Untitled record"
    people = read.authors(known.get("authors"))[:MOST_LISTED]
    version, doi = read.text(known.get("version")), read.doi(read.text(known.get("doi")))
    licence = read.text(known.get("licence"))
    url = read.web(read.text(read.table(facts.get("source")).get("url")))
    names = [cut(one.name, 200) for one in people]
    abstract = known.get("abstract")
    place = Place(data, "", Outline("abstract-", level=2), Room(10**6, 0))
    given = abstract[:_LONGEST_ABSTRACT] if isinstance(abstract, str) else ""
    where = f"https://doi.org/{doi}" if doi else url
    return {
        "title": title,
        "authors": people,
        "affiliations": list(dict.fromkeys(one.affiliation for one in people if one.affiliation)),
        "abstract": markdown(given, place),
        "keywords": read.texts(known.get("keywords"))[:50],
        "version": version,
        "doi": doi,
        "licence": licence,
        "licence_address": read.licence_address(licence),
        "origins": read.texts(known.get("origins")),
        "citation": citing.sentence(title, names, iso[:4], version, where),
        "bibtex": citing.bibtex(
            title, names, iso[:4], version, doi=doi, url="" if doi else url[:_LONGEST_ADDRESS]
        ),
    }


def _notebook(fact: dict[str, Any], page: Shown) -> dict[str, Any]:
    return {**_listed_only(fact), "page": page, "contents": _contents(page)}


def _contents(page: Shown) -> list[Any]:
    """Return the headings that are worth a list: three levels of them, if they are several."""
    found = [one for one in page.headings if one.level <= 3][:60]
    return found if len(found) > 2 else []


def _listed_only(fact: dict[str, Any]) -> dict[str, Any]:
    key, label, meaning = read.outcome(fact)
    path = cut(str(fact.get("path", "")), 500) or "unnamed"
    return {"path": path, "key": key, "label": label, "meaning": meaning}


def _reference(fact: dict[str, Any]) -> dict[str, str]:
    url = read.text(fact.get("url"))
    return {
        "path": read.text(fact.get("path")),
        "url": url,
        "address": read.web(url),
        "size": read.size(fact.get("size")),
        "sha256": read.text(fact.get("sha256")),
    }


def _exempt(
    known: dict[tuple[str, int], str], listed: list[dict[str, Any]], pages: tuple[Shown, ...]
) -> list[dict[str, Any]]:
    """Return the exempt cells, with an anchor where the page shows the cell."""
    numbers = {str(one.get("path", "")): page for one, page in zip(listed, pages, strict=False)}
    found = []
    for (path, cell), tag in known.items():
        page = numbers.get(path)
        there = page is not None and cell < len(page.cells)
        anchor = f"n{page.number}-cell-{cell + 1}" if page and there else ""
        found.append({"path": cut(path, 500), "cell": cell + 1, "tag": tag, "anchor": anchor})
    return found


def _source(known: dict[str, Any]) -> dict[str, Any]:
    url = read.text(known.get("url"))
    swhid = read.text(known.get("swhid"))
    address = read.web(url)
    return {
        "address": address,
        "url": address or url,
        "revision": read.text(known.get("revision")),
        "content_id": read.text(known.get("content_id")),
        "swhid": swhid,
        "swhid_address": read.swhid_address(swhid),
        "subfolder": read.text(known.get("subfolder")),
        "missing": read.texts(known.get("missing")),
        "left_out": [
            (read.text(one.get("path")), read.text(one.get("why")))
            for one in read.tables(known.get("left_out"))
        ],
    }
