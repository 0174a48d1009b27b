"""Put together what the files of a source say of it, and say what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from leman.environments.detect.tree import Tree
from leman.records.describe import people
from leman.records.describe.citation import NAME as CITATION
from leman.records.describe.citation import read_citation
from leman.records.describe.codes import finding
from leman.records.describe.history import read_history
from leman.records.describe.jsons import CODEMETA, ZENODO, read_codemeta, read_zenodo
from leman.records.describe.licences import named, read_licences
from leman.records.describe.projects import PYPROJECT, SETUP, read_pyproject, read_setup_cfg
from leman.records.describe.prose import read_first_notebook, read_readme
from leman.records.describe.said import MOST_AUTHORS, Said, line, text, words
from leman.records.model import Description, Person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.findings import Finding

UNTITLED = "Untitled"
_MOST_NAMES = 10_000  # of the source's root folder

# Order is policy: first what authors write to be cited by, then what deposits and packages say,
# then prose. The first that gives a value wins, each value for itself.
_FILES: tuple[tuple[str, Callable[[Tree], Said]], ...] = (
    (CITATION, read_citation),
    (CODEMETA, read_codemeta),
    (ZENODO, read_zenodo),
    (PYPROJECT, read_pyproject),
    (SETUP, read_setup_cfg),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user gives by hand; what is empty is read from the source.

    `authors` are lines such as ``Ada Lovelace <0000-0002-1825-0097>; Institute [Software]``,
    `licence` is an SPDX expression.
    """

    title: str = ""
    authors: tuple[str, ...] = ()
    abstract: str = ""
    licence: str = ""
    keywords: tuple[str, ...] = ()
    version: str = ""


def describe(
    source: Path, git_dir: Path | None, wishes: Wishes, *, revision: str = ""
) -> tuple[Description, tuple[Finding, ...]]:
    """Return the description of the source in a folder, and what its author should know.

    `git_dir` is its git directory, if there is one, and `revision` the commit that the folder
    shows (HEAD when empty). Never raises for what the source holds: that becomes a finding.
    """
    try:
        names = sorted(path.name for path in islice(source.iterdir(), _MOST_NAMES))
    except OSError:
        names = []
    tree = Tree(source, tuple(names))
    given = _given(wishes)
    texts = read_licences(tree)
    said = [given, *(read(tree) for name, read in _FILES if tree.has(name))]
    slugs = [replace(Said(one.origin), title=one.title) for one in said if _is_slug(one)]
    said = [replace(one, title="") if _is_slug(one) else one for one in said]
    said += [read_readme(tree), read_first_notebook(tree), texts, *slugs]
    if git_dir is not None and not any(one.authors for one in said):
        said.append(read_history(git_dir, revision))
    description, more = _capped(_merged(said))
    found = [told for one in said for told in one.findings]
    found += [*more, *_differing(description, given, texts), *_missing(description)]
    return description, tuple(dict.fromkeys(found))


def mistakes(wishes: Wishes) -> tuple[Finding, ...]:
    """Return what is wrong in what was given by hand, to be told before any work is done."""
    return _given(wishes).findings


def _is_slug(one: Said) -> bool:
    """Say whether a title is but the name of a distribution, which a README's heading beats."""
    return one.origin in {PYPROJECT, SETUP} and bool(one.title)


def _given(wishes: Wishes) -> Said:
    found: list[Finding] = []
    authors: list[Person] = []
    for one in wishes.authors:
        person, more = people.author(one, "--author")
        found += more
        authors += [person] if person else []
    licence, more = named(wishes.licence, "--license")
    return Said(
        "given",
        title=line(wishes.title),
        authors=tuple(authors),
        abstract=text(wishes.abstract),
        licence=licence,
        keywords=words(list(wishes.keywords)),
        version=line(wishes.version),
        # What somebody typed just now and was not understood is worse than an old file's slip.
        findings=tuple(replace(told, severity="error") for told in [*found, *more]),
    )


def _merged(said: list[Said]) -> Description:
    """Take each value from the first that has it."""
    nobody = Said("")
    by = {
        field: next((one for one in said if getattr(one, field)), nobody)
        for field in ("title", "authors", "abstract", "licence", "keywords", "version", "doi")
    }
    used = {one.origin for one in by.values()} - {"", "given"}
    return Description(
        title=by["title"].title or UNTITLED,
        authors=by["authors"].authors,
        abstract=by["abstract"].abstract,
        licence=by["licence"].licence,
        keywords=by["keywords"].keywords,
        version=by["version"].version,
        doi=by["doi"].doi,
        origins=tuple(dict.fromkeys(one.origin for one in said if one.origin in used)),
    )


def _capped(description: Description) -> tuple[Description, list[Finding]]:
    """Leave out the same person named twice, and more authors than a record lists."""
    authors = tuple(dict.fromkeys(description.authors))
    if len(authors) <= MOST_AUTHORS:
        return replace(description, authors=authors), []
    message = f"more than {MOST_AUTHORS} authors are named; the rest was left out"
    told = finding("authors-too-many", "authors", message, "Name a collaboration as author.")
    return replace(description, authors=authors[:MOST_AUTHORS]), [told]


def _differing(description: Description, given: Said, texts: Said) -> list[Finding]:
    """Say where metadata names another licence than its text is; what was given is meant so."""
    says, holds = description.licence, texts.licence
    if given.licence or not holds or _comparable(says) == _comparable(holds):
        return []
    if _comparable(holds) & _comparable(says):
        return []  # one of several, or one text of two
    message = f"{', '.join(description.origins[:1])} says {says}, but {texts.origin} is {holds}"
    fix = "Make the two agree, or say with --license what holds."
    return [finding("licence-differs", texts.origin, message, fix)]


def _comparable(expression: str) -> set[str]:
    """Return the identifiers of an expression; the same text serves -only and -or-later."""
    parts = expression.replace("(", " ").replace(")", " ").split()
    return {
        one.removesuffix("-only").removesuffix("-or-later")
        for one in parts
        if one not in {"AND", "OR", "WITH"}
    }


def _missing(description: Description) -> list[Finding]:
    found = []
    if description.title == UNTITLED:
        fix = "Write a CITATION.cff or a README with a heading, or give --title."
        found.append(finding("title-missing", "the source", "nothing gives the work a title", fix))
    if not description.authors:
        fix = "Write a CITATION.cff, or give --author 'Name <ORCID iD>' for each."
        found.append(
            finding("authors-missing", "the source", "nothing says who made the work", fix)
        )
    if not description.licence:
        message = "nothing says what others may do with the work, so by law they may do little"
        fix = "Add a file LICENSE (such as CC-BY-4.0 for texts and data, MIT or BSD-3-Clause for"
        fix += " code), or give --license."
        found.append(finding("licence-missing", "the source", message, fix))
    if not description.abstract:
        fix = "Write a paragraph in the README, or give --abstract."
        found.append(
            finding("abstract-missing", "the source", "nothing says what the work is about", fix)
        )
    return found
