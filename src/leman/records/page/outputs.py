"""Outputs of a cell as harmless markup; what would need a script is named, never run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from leman.records.page import pictures
from leman.records.page.prose import cleaned, markdown, words
from leman.reproduction.report.text import cut, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.records.page.pictures import Picture
    from leman.records.page.prose import Place

MOST = 40  # outputs of one cell
_LONGEST_TEXT = 12_000  # characters
_LONGEST_HTML = 80_000  # characters
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?!\n|\Z)", re.MULTILINE)  # a progress bar's former states
_NEEDS_SCRIPT = re.compile(
    r"javascript|widget|plotly|bokeh|holoviews|vega|geo\+json|application/vnd"
)
_LEFT_OUT = "Left out, to keep this page small."
_TOO_LONG = "Too long for this page."
_INTERACTIVE = "Interactive output ({}) is not shown: nothing on this page may run."
_UNKNOWN = "Output of kind {} is not shown."
_NO_PICTURE = "A picture ({}) is not shown: it is too large, or no picture."
_PICTURES = ("image/svg+xml", "image/png", "image/jpeg")


_NOTHING = Markup()


@dataclass(frozen=True, slots=True)
class Output:
    """One output on the page: its markup, and a note on what the page does not show of it.

    `kind` is the class of its style: text, error, picture, frame (of a table) or prose. `wide`
    says that it may have to be scrolled.
    """

    kind: str = ""
    body: Markup = _NOTHING
    note: str = ""
    wide: bool = False
    label: str = ""


def outputs(found: Any, place: Place, cell: int) -> Iterator[Output]:  # noqa: ANN401 - JSON
    """Read a cell's ``outputs`` (https://nbformat.readthedocs.io); `cell` counts from 1."""
    known = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    for one in known[:MOST]:
        output = _output(one, place, cell)
        if output is None:
            continue
        taken = output.kind == "picture" or place.room.holds_text(output.body, around=120)
        yield output if taken else Output(note=_LEFT_OUT)
    if len(known) > MOST:
        yield Output(note=f"{len(known) - MOST:,} more outputs are not on this page.")


def joined(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a text that a notebook stores in one piece or as a list of lines."""
    if isinstance(value, list):
        return "".join(one for one in value if isinstance(one, str))
    return value if isinstance(value, str) else ""


def _output(one: dict[str, Any], place: Place, cell: int) -> Output | None:
    kind = one.get("output_type")
    if kind == "stream":
        label = "stderr" if one.get("name") == "stderr" else ""
        return _text(joined(one.get("text")), "text", label)
    if kind == "error":
        told = joined(one.get("traceback")) if isinstance(one.get("traceback"), str) else ""
        lines = one.get("traceback")
        if isinstance(lines, list):
            told = "\n".join(line for line in lines if isinstance(line, str))
        return _text(
            told or f"{joined(one.get('ename'))}: {joined(one.get('evalue'))}", "error", "error"
        )
    data = one.get("data")
    return _rich(data, place, cell) if isinstance(data, dict) else None


def _rich(data: dict[str, Any], place: Place, cell: int) -> Output:
    """Return the best form that the page can show, as Jupyter would choose."""
    html = joined(data.get("text/html"))
    scripts = sorted(shown(str(kind))[:80] for kind in data if _NEEDS_SCRIPT.search(str(kind)))
    if re.search(r"<(?:script|iframe|object|embed)\b", html, re.IGNORECASE):
        scripts = scripts or ["text/html with a script"]
    note = _INTERACTIVE.format(", ".join(scripts[:3])) if scripts else ""
    if "<table" in html.lower() and len(html) <= _LONGEST_HTML:
        body = cleaned(html, place)
        if words(body):
            return Output("frame", body, note, wide=True)
    for kind in _PICTURES:
        if kind in data:
            return _picture(kind, joined(data[kind]), data, place, cell)
    return _words(data, html, note, place)


def _words(data: dict[str, Any], html: str, note: str, place: Place) -> Output:
    text = joined(data.get("text/plain"))
    if "text/markdown" in data:
        return Output("prose", markdown(joined(data["text/markdown"])[:_LONGEST_HTML], place), note)
    tex = joined(data.get("text/latex")).strip()
    if tex.startswith(("$", "\\begin")) and len(tex) <= _LONGEST_TEXT:
        body = cleaned(f'<p><code class="tex">{escape(tex)}</code></p>', place)
        return Output("prose", body, note)
    if tex:
        return _text(tex, "text", "TeX", note) or Output(note=note)
    if text:
        return _text(text, "text", "", note) or Output(note=note)
    body = cleaned(html, place) if html and len(html) <= _LONGEST_HTML else _NOTHING
    if words(body):
        return Output("prose", body, note)
    kinds = ", ".join(sorted(shown(str(kind))[:80] for kind in data)[:3]) or "none"
    return Output(note=note or (_TOO_LONG if html else _UNKNOWN.format(kinds)))


def _picture(kind: str, text: str, data: dict[str, Any], place: Place, cell: int) -> Output:
    found = _decoded(kind, text)
    plain = joined(data.get("text/plain"))
    if found is None:
        told = _text(plain, "text", "", _NO_PICTURE.format(kind)) if plain else None
        return told or Output(note=_NO_PICTURE.format(kind))
    if not place.room.holds_picture(len(found.address)):
        return Output(note="A picture is left out, to keep this page small.")
    size = Markup(' width="{}" height="{}"').format(found.width, found.height)
    body = Markup('<img src="{}"{} alt="{}">').format(
        Markup(found.address),  # noqa: S704 - base64 and a kind of ours
        size if found.width else "",
        _alternative(plain, cell),
    )
    return Output("picture", body)


def _decoded(kind: str, text: str) -> Picture | None:
    if kind == "image/svg+xml" and text.lstrip("\ufeff \t\r\n").startswith("<"):
        return pictures.from_bytes(text.encode("utf-8", "replace"))
    return pictures.from_base64(text)


def _alternative(plain: str, cell: int) -> str:
    """Return words for a picture: what the notebook gives as text, unless that is an object."""
    told = " ".join(plain.split())
    if not told or told.startswith("<"):
        return f"Picture made by cell {cell}"
    return f"Picture made by cell {cell}: {shown(told)[:200]}"


def _text(text: str, kind: str, label: str = "", note: str = "") -> Output | None:
    plain = shown(_OVERWRITTEN.sub("", text)).strip("\n")
    if not plain.strip():
        return Output(note=note) if note else None
    body = cut(plain, _LONGEST_TEXT)
    lines = body.split("\n")
    wide = len(lines) > 20 or max(map(len, lines)) > 44
    return Output(kind, Markup("{}").format(body), note, wide=wide, label=label)
