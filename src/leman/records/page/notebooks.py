"""Notebooks of a record, read and made harmless: whatever they are, something is shown or said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from leman.records.page.highlighting import highlighted, lexer
from leman.records.page.outputs import Output, joined, outputs
from leman.records.page.prose import Heading, Outline, Place, is_ours, markdown
from leman.records.page.room import Room
from leman.reproduction.report.text import cut, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pygments.lexer import Lexer

LARGEST = 64 * 1024**2  # bytes of a notebook that is read
TEXT = 1_900_000  # bytes of all notebooks on the page
PICTURES = 2_600_000  # bytes of their pictures, as base64
MOST = 300  # notebooks that are shown, not only listed
_AROUND_A_CELL = 260  # bytes of what stands about it
_LONGEST_CODE = 60_000  # characters of one cell


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `number` counts from 1, text included; `label` is its execution count."""

    number: int
    kind: str  # markdown, code or raw
    label: str
    body: Markup
    outputs: tuple[Output, ...] = ()
    exempt: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page holds of one notebook; `problem` says why there are no cells.

    `address` leads to the file that was read; `executed` is False where only the author's own
    copy could be shown. `more` cells are not on the page, and `left_out` pieces of the others.
    """

    number: int
    address: str = ""
    executed: bool = False
    title: str = ""
    headings: tuple[Heading, ...] = ()
    cells: tuple[Cell, ...] = ()
    more: int = 0
    left_out: int = 0
    formulae: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A notebook of the facts and the file that is shown for it."""

    number: int
    path: str  # in the source
    place: str  # in the data folder, or empty
    size: int = 0
    executed: bool = False


def notebooks(
    facts: Sequence[Mapping[str, Any]], data: Path, exempt: Mapping[tuple[str, int], str]
) -> tuple[Shown, ...]:
    """Read the notebooks of the facts, in their order; `exempt` is (path, cell from 0) → tag.

    The page's room is shared out from the smallest to the largest, so that one huge notebook
    takes nothing from the others.
    """
    files = [_file(number, one, data) for number, one in enumerate(facts[:MOST], 1)]
    text, images = TEXT, PICTURES
    done: dict[int, Shown] = {}
    for position, one in enumerate(sorted(files, key=lambda one: (one.size, one.number))):
        share = len(files) - position
        room = Room(text // share, images // share)
        text, images = text - room.text, images - room.pictures
        done[one.number] = _shown(one, data, room, exempt)
        text, images = text + room.text, images + room.pictures
    return tuple(done[one.number] for one in files)


def _file(number: int, fact: Mapping[str, Any], data: Path) -> _File:
    path, executed = str(fact.get("path", "")), str(fact.get("executed") or "")
    for place, is_executed in ((executed, True), (f"source/{path}", False)):
        if place and is_ours(data / place, data):
            return _File(number, path, place, (data / place).stat().st_size, is_executed)
    return _File(number, path, "")


def _shown(one: _File, data: Path, room: Room, exempt: Mapping[tuple[str, int], str]) -> Shown:
    if not one.place:
        return Shown(one.number, problem="The record has no copy of it to show.")
    address = "data/" + quote(one.place.encode("utf-8", "replace"))
    content = _read(data / one.place) if one.size <= LARGEST else "It is too large to show here."
    if isinstance(content, str):
        return Shown(one.number, address, one.executed, problem=content)
    folder = f"source/{one.path}".rpartition("/")[0]
    place = Place(data, folder, Outline(f"n{one.number}-"), room)
    found = _cells_of(content)
    own = {cell: tag for (path, cell), tag in exempt.items() if path == one.path}
    cells = tuple(_cells(found, lexer(_language(content)), place, own))
    return Shown(
        number=one.number,
        address=address,
        executed=one.executed,
        title=next((each.text for each in place.outline.headings if each.level <= 2), ""),
        headings=tuple(place.outline.headings),
        cells=cells,
        more=len(found) - len(cells),
        left_out=room.left_out - bool(len(found) - len(cells)),
        formulae=place.outline.formulae,
        problem="" if found else "It has no cells.",
    )


def _read(path: Path) -> dict[str, Any] | str:
    """Return a notebook's content, or what is wrong with it in a sentence."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
    except OSError:
        return "Its file could not be read."
    except (ValueError, RecursionError):
        return "It is not a notebook: its file holds no JSON that can be read."
    return content if isinstance(content, dict) else "It is not a notebook: it has no cells."


def _cells_of(content: dict[str, Any]) -> list[Any]:
    cells = content.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = content.get("worksheets")  # nbformat 3
    first = sheets[0] if isinstance(sheets, list) and sheets else None
    old = first.get("cells") if isinstance(first, dict) else None
    return old if isinstance(old, list) else []


def _language(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        part = known.get(key)
        if isinstance(part, dict) and isinstance(part.get(name), str) and part[name]:
            return str(part[name])
    return "python"


def _cells(
    found: list[Any], cutter: Lexer | None, place: Place, exempt: Mapping[int, str]
) -> Iterator[Cell]:
    """Yield the cells that there is room for, from the first on."""
    for position, one in enumerate(found):
        cell = one if isinstance(one, dict) else {}
        kind = str(cell.get("cell_type"))
        attachments = cell.get("attachments")
        here = Place(
            place.data,
            place.folder,
            place.outline,
            place.room,
            attachments if isinstance(attachments, dict) else {},
        )
        body = _body(kind, joined(cell.get("source", cell.get("input"))), cutter, here)
        if not place.room.holds_text(body, around=_AROUND_A_CELL):
            return
        number = position + 1
        yield Cell(
            number=number,
            kind=kind if kind in ("markdown", "code", "heading") else "raw",
            label=_count(cell) if kind == "code" else "",
            body=body,
            outputs=tuple(outputs(cell.get("outputs"), here, number)) if kind == "code" else (),
            exempt=exempt.get(position, ""),
        )


def _body(kind: str, source: str, cutter: Lexer | None, place: Place) -> Markup:
    if kind == "markdown":
        return markdown(source, place)
    if kind == "code":
        code = cut(source.strip("\n"), _LONGEST_CODE)
        return highlighted(code, cutter if place.room.holds_colours(code) else None)
    return Markup("{}").format(shown(cut(source, _LONGEST_CODE)))


def _count(cell: dict[str, Any]) -> str:
    count = cell.get("execution_count", cell.get("prompt_number"))
    fine = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 10**6
    return str(count) if fine else ""
