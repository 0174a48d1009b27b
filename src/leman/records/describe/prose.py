"""A title and an abstract from what people read first: the README, or the first notebook."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

from leman.environments.detect.tree import natural, notebook_files
from leman.records.describe.codes import finding
from leman.records.describe.said import Said, line, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.tree import Tree

_README = re.compile(r"(?i)^read_?me(?:\.(?:md|markdown|rst|txt))?$")
_LARGEST = 2_000_000  # bytes of a README
_LARGEST_NOTEBOOK = 32_000_000  # bytes
_NO_TITLE = frozenset(
    {
        *("abstract", "basics", "code", "contents", "data", "description", "getting started"),
        *("imports", "installation", "introduction", "overview", "paper", "readme"),
        *("requirements", "set up", "setup", "table of contents", "usage"),
    }
)
_NO_ABSTRACT = re.compile(r"(?i)(?:©|copyright\b|authors?\b|by )|.*:$")
# A title and a paragraph stand near the beginning; and no expression below is slow on so little.
_MOST_CHARACTERS = 40_000
_LONGEST = 2_000  # characters of a line
_SHORTEST = 20  # characters of a paragraph that says something
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$")
_HTML_HEADING = re.compile(r"(?is)<h([1-3])\b[^>]*>(.*?)</h\1>")
_RULE = re.compile(r"([=\-~^\"'#*+.:_`])\1{2,}[ \t]*$")
# Lines that begin no prose: lists, quotes, tables, pictures, directives, code, tags, rules.
_NO_PROSE = re.compile(
    r"^(?:[-*+>|]\s|[0-9]+[.)]\s|\||!\[|\[!\[|\.\. |:[\w-]+:|```|~~~|:::|<|\$ |\[[^\]]+\]:"
    r"|[*_-]{3,}\s*$)"
)


def read_readme(tree: Tree) -> Said:
    """Read the first heading of a README as title, its first paragraph as abstract."""
    names = sorted((name for name in tree.names if _README.match(name)), key=natural)
    if not names:
        return Said("README")
    # Markdown before what is plain or reStructuredText, which many keep for package indexes.
    name = min(names, key=lambda one: (not one.lower().endswith((".md", ".markdown")), one))
    content, found = tree.read(name, largest=_LARGEST)
    title, abstract = title_and_abstract(content or "")
    return Said(name, title=title, abstract=abstract, findings=tuple(found))


def read_first_notebook(tree: Tree) -> Said:
    """Read the first heading of the first notebook as title."""
    names = notebook_files(tree.root)
    if not names:
        return Said("notebook")
    content, found = tree.read(names[0], largest=_LARGEST_NOTEBOOK)
    try:
        value = json.loads(content or "{}")
    except (ValueError, RecursionError) as error:
        message = f"{names[0]} is no valid JSON: {line(str(error))[:200]}"
        found.append(finding("metadata-unreadable", names[0], message))
        value = {}
    cells = value.get("cells") if isinstance(value, dict) else None
    for cell in (cells if isinstance(cells, list) else [])[:20]:
        if isinstance(cell, dict) and cell.get("cell_type") == "markdown":
            source = cell.get("source")
            parts = source if isinstance(source, list) else [source]
            title, abstract = title_and_abstract(
                "".join(one for one in parts if isinstance(one, str))
            )
            if title:
                return Said(names[0], title=title, abstract=abstract, findings=tuple(found))
    return Said(names[0], findings=tuple(found))


def title_and_abstract(content: str) -> tuple[str, str]:
    """Return the first heading of Markdown or reStructuredText, and the paragraph after it."""
    plain = _without_comments(content[:_MOST_CHARACTERS])
    lines = [one[:_LONGEST] for one in plain.splitlines()]
    title, after = _heading(lines)
    if not title and (match := _HTML_HEADING.search("\n".join(lines))):
        title = _inline(match[2])
        after = 0
    paragraph = next(_paragraphs(lines[after:], title), "")
    title = title.rstrip(" :")
    return "" if title.casefold() in _NO_TITLE else line(title), text(paragraph)


def _without_comments(content: str) -> str:
    first, *rest = content.split("<!--")
    return first + "".join(one.partition("-->")[2] for one in rest)


def _heading(lines: list[str]) -> tuple[str, int]:
    """Return the first heading and the number of the line after it."""
    fenced = False
    for number, one in enumerate(lines):
        if one.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced:
            continue
        if (match := _ATX.match(one)) and (title := _inline(match[2])):
            return title, number + 1
        below = lines[number + 1] if number + 1 < len(lines) else ""
        under = _RULE.match(below) and len(below.strip()) >= min(len(one.strip()), 4)
        if one.strip() and not _RULE.match(one) and not _NO_PROSE.match(one.strip()) and under:
            return _inline(one), number + 2
    return "", 0


def _paragraphs(lines: list[str], title: str) -> Iterator[str]:
    """Yield paragraphs of prose, in order."""
    gathered: list[str] = []
    fenced = prose = False
    for one in [*lines, ""]:
        if one.lstrip().startswith(("```", "~~~")):
            fenced, prose = not fenced, False
            continue
        if fenced:
            continue
        if one.strip() and not gathered:
            prose = not (_NO_PROSE.match(one.strip()) or _ATX.match(one) or one[:4].isspace())
        if one.strip() and not _RULE.match(one):
            gathered.append(one)
            continue
        paragraph = _inline(" ".join(gathered))
        good = len(paragraph) >= _SHORTEST and not _NO_ABSTRACT.match(paragraph)
        if prose and good and not _RULE.match(one) and paragraph != title:
            yield paragraph
        gathered = []


def _inline(markup: str) -> str:
    """Return a line without marks of emphasis, links, pictures and tags."""
    plain = re.sub(r"!\[[^\[\]]*\]\([^()]*\)", "", markup[: 2 * _LONGEST])
    plain = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", plain)
    plain = re.sub(r"\[([^\[\]]*)\]\[[^\[\]]*\]", r"\1", plain)
    plain = re.sub(r"`([^`<]+?)\s*<[^<>`]*>`__?", r"\1", plain)
    plain = re.sub(r"<[^<>]*>", "", plain)
    plain = re.sub(r"\*\*|__|`+|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)", "", plain)
    return " ".join(html.unescape(plain).split())
