"""Markdown and HTML of others as harmless markup.

Three walls, each enough by itself: a list of allowed elements and attributes (bleach), addresses
written anew by us, and the page's own policy, under which no script runs and nothing is loaded.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from markdown_it import MarkdownIt
from markupsafe import Markup

from leman.records.page import pictures
from leman.records.page.formulae import Formulae, letters, tag, with_formulae
from leman.records.page.formulae import words as spoken
from leman.reproduction.report.text import cut, without_colours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from leman.records.page.pictures import Picture
    from leman.records.page.room import Room

LONGEST = 60_000  # characters of one text that is parsed, pictures in it not counted
_LONGEST_HTML = 200_000  # characters
_DEEPEST = 120  # elements inside one another; the time to parse grows with its square
_MOST_HEADINGS = 200  # of one notebook

_TEXTS = "a abbr b br cite code del em i img ins kbd mark q s samp small span strong sub sup u var"
_BLOCKS = (
    "blockquote caption dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre table tbody td tfoot th"
    " thead tr ul"
)
_TAGS = frozenset(f"{_TEXTS} {_BLOCKS}".split())
_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_SCHEMES = ("http", "https", "mailto")
# What reorders or is no text; joiners stay, as emoji and several scripts need them.
_REORDERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_PICTURE = re.compile(r"data:(image/[a-z+]{3,10});base64,([A-Za-z0-9+/]{200,}={0,2})")
_ELEMENT = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
# Elements that close themselves do not nest, however often they are opened.
_CLOSED = "area base br col dd dt embed hr img input li link meta option p source td th tr wbr"
_FLAT = frozenset(_CLOSED.split())


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a notebook: its anchor on the page, its own level (1 to 6) and its words."""

    anchor: str
    level: int
    text: str


@dataclass(slots=True)
class Outline:
    """The headings of one notebook so far; `level` is that of the last one on the page."""

    prefix: str
    level: int = 3
    headings: list[Heading] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    formulae: bool = False

    def anchor(self, text: str) -> str:
        """Return an anchor for a heading, as Jupyter makes it, with our prefix; each once."""
        name = self.prefix + re.sub(r"\s+", "-", text.strip())[:80]
        while name in self.anchors:
            name += "-"
        self.anchors.add(name)
        return name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands: what its relative addresses and headings are relative to.

    `data` is the record's data folder; `folder` the folder of the notebook in it (POSIX), empty
    where nothing may be linked.
    """

    data: Path
    folder: str
    outline: Outline
    room: Room
    attachments: Mapping[str, Any] = field(default_factory=dict)


def visible(text: str) -> str:
    """Return prose in which nothing reorders or ends the text unseen (CVE-2021-42574)."""
    plain = without_colours(text).replace("\r\n", "\n").replace("\r", "\n")
    return _REORDERS.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


def markdown(text: str, place: Place) -> Markup:
    """Return Markdown (CommonMark with tables, raw HTML allowed) as harmless markup."""
    text, place = _lifted(text, place)
    if len(text) > LONGEST:
        return Markup("<pre>{}</pre>").format(cut(visible(text), LONGEST))
    parser = _parser()
    tokens = parser.parse(visible(text))
    for token in tokens:
        if token.type in ("th_open", "td_open") and "style" in token.attrs:  # a column's side
            token.attrs = {"align": str(token.attrs["style"]).removeprefix("text-align:")}
    return cleaned(str(parser.renderer.render(tokens, parser.options, {})), place)


def cleaned(text: str, place: Place) -> Markup:
    """Return HTML as harmless markup; too deep or too long HTML comes back as text."""
    text, place = _lifted(text, place)
    html = _without(_without(visible(text), "script"), "style")
    if len(html) > _LONGEST_HTML or _depth(html) > _DEEPEST:
        return Markup("<pre>{}</pre>").format(cut(html, LONGEST))
    cleaner = Cleaner(
        tags=_TAGS,
        attributes=_may_stay,
        protocols=[*_SCHEMES, "data", "attachment"],  # narrowed by _Addresses
        strip=True,
        strip_comments=True,
        filters=[partial(Formulae, outline=place.outline), partial(_Addresses, place=place)],
    )
    return Markup(cleaner.clean(html))  # noqa: S704 - this is what cleans


def _lifted(text: str, place: Place) -> tuple[str, Place]:
    """Take pictures out of a text and attach them, so that no parser reads their megabytes."""
    taken: dict[str, Any] = {}

    def name(found: re.Match[str]) -> str:
        taken[f"inside-{len(taken)}"] = {found[1]: found[2]}
        return f"attachment:inside-{len(taken) - 1}"

    left = _PICTURE.sub(name, text)
    return (
        (left, replace(place, attachments={**place.attachments, **taken}))
        if taken
        else (text, place)
    )


def words(markup: Markup) -> str:
    """Return the text of markup, without elements."""
    return " ".join(markup.striptags().split())


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return with_formulae(parser)


def _without(text: str, element: str) -> str:
    """Drop an element with what it holds: bleach would show a style sheet as text."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters change their length
        return text
    kept, position = [], 0
    while (start := lower.find(f"<{element}", position)) >= 0:
        end = lower.find(f"</{element}", start)
        kept.append(text[position:start])
        if end < 0:
            return "".join(kept)
        position = lower.find(">", end) + 1 or len(text)
    kept.append(text[position:])
    return "".join(kept)


def _depth(html: str) -> int:
    deepest = depth = 0
    for found in _ELEMENT.finditer(html):
        if found[2].lower() not in _FLAT:
            depth = max(0, depth - 1) if found[1] else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _may_stay(tag: str, name: str, value: str) -> bool:
    if name in ("colspan", "rowspan"):
        return tag in ("td", "th") and bool(re.fullmatch(r"[1-9]\d{0,2}", value))
    if name == "align":
        return tag in ("td", "th") and value in ("left", "center", "right")
    allowed = {"a": ("href",), "img": ("src", "alt"), "ol": ("start",), "code": ("class",)}
    if tag == "ol":
        return name == "start" and bool(re.fullmatch(r"\d{1,6}", value))
    if tag == "code":
        return name == "class" and value == "tex"
    return name in allowed.get(tag, ())


class _Addresses(Filter):  # type: ignore[misc]
    """Rewrites what bleach let through: links, pictures and headings."""

    def __init__(self, source: Any, place: Place) -> None:  # noqa: ANN401 - tokens of html5lib
        super().__init__(source)
        self.place = place
        self.inside_link = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        heading: list[dict[str, Any]] = []
        for token in super().__iter__():
            for one in self._rewritten(token):
                if one["type"] == "StartTag" and one["name"] in _HEADINGS and not heading:
                    heading.append(one)
                elif heading:
                    heading.append(one)
                    if one["type"] == "EndTag" and one["name"] in _HEADINGS:
                        yield from self._heading(heading)
                        heading = []
                else:
                    yield one
        yield from heading

    def _rewritten(self, token: dict[str, Any]) -> list[dict[str, Any]]:
        name, kind = token.get("name"), token["type"]
        if name == "a":
            self.inside_link += {"StartTag": 1, "EndTag": -1}.get(kind, 0)
            if kind == "StartTag":
                token["data"] = self._link(token["data"])
        elif name == "img" and kind in ("EmptyTag", "StartTag"):
            return self._picture(_value(token, "src"), _value(token, "alt"))
        return [token]

    def _link(self, data: dict[tuple[None, str], str]) -> dict[tuple[None, str], str]:
        address = link(data.get((None, "href"), ""), self.place)
        if not address:
            return {}
        outside = {(None, "rel"): "noreferrer noopener"} if "://" in address else {}
        return {(None, "href"): address, **outside}

    def _picture(self, source: str, alternative: str) -> list[dict[str, Any]]:
        found = _found(source, self.place)
        name = (
            unquote(source.rpartition("/")[2].removeprefix("attachment:"))[:80]
            if not source.startswith(("data:", "attachment:inside-"))
            else ""
        )
        alternative = " ".join(alternative.split())[:500] or name or "picture"
        if found and self.place.room.holds_picture(len(found.address)):
            size = {"width": found.width, "height": found.height} if found.width else {}
            data = {"src": found.address, "alt": alternative, **size}
            return [tag("EmptyTag", "img", {key: str(value) for key, value in data.items()})]
        text = spoken(f"[picture not shown: {alternative}]")
        address = link(source, self.place)
        if not address or self.inside_link:
            return [text]
        return [tag("StartTag", "a", {"href": address}), text, tag("EndTag", "a")]

    def _heading(self, tokens: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Fit a heading below ours: the notebook is an h3, and no level is left out."""
        outline = self.place.outline
        own = int(tokens[0]["name"][1])
        text = "".join(map(letters, tokens))
        outline.level = min(own + 3, outline.level + 1, 6)
        name = f"h{outline.level}"
        tokens[0]["name"] = tokens[-1]["name"] = name
        tokens[0]["data"] = {(None, "class"): f"level-{own}"}
        if text.strip() and len(outline.headings) < _MOST_HEADINGS:
            anchor = outline.anchor(text)
            tokens[0]["data"][None, "id"] = anchor
            outline.headings.append(Heading(anchor, own, " ".join(text.split())[:200]))
        return tokens


def _value(token: dict[str, Any], name: str) -> str:
    return str(token["data"].get((None, name), ""))


def link(address: str, place: Place) -> str:
    """Return an address as the page may link it, or an empty string.

    On the web, by mail, on this page, or to a file in the record; a relative address is relative
    to the notebook's folder and cannot lead out of the source.
    """
    plain = "".join(address.split())
    try:
        parts = urlsplit(plain)
    except ValueError:
        return ""
    if parts.scheme:
        return plain if parts.scheme in _SCHEMES else ""
    if plain.startswith("#"):
        return f"#{place.outline.prefix}{quote(unquote(parts.fragment), safe='-_.~')}" * (
            plain != "#"
        )
    inside = _inside(parts.path, place)
    return "" if parts.netloc or not inside else "data/" + quote(inside)


def _inside(path: str, place: Place) -> str:
    """Return a relative address as a path in the data folder, or an empty string."""
    plain = unquote(path)
    if not place.folder or not plain or plain.startswith("/") or "\\" in plain or "\0" in plain:
        return ""
    joined = posixpath.normpath(posixpath.join(place.folder, plain))
    return joined if joined.startswith("source/") else ""


def _found(source: str, place: Place) -> Picture | None:
    """Return the picture that an address in a notebook means: in it, attached, or beside it."""
    if source.startswith("data:"):
        return pictures.from_address(source)
    if source.startswith("attachment:"):
        attached = place.attachments.get(unquote(source.removeprefix("attachment:")))
        values = attached.values() if isinstance(attached, dict) else ()
        found = next((one for one in values if isinstance(one, str)), "")
        return pictures.from_base64(found)
    inside = _inside(source.partition("?")[0], place)
    if not inside or "://" in source:
        return None
    path = place.data / inside
    return pictures.from_file(path) if is_ours(path, place.data) else None


def is_ours(path: Path, data: Path) -> bool:
    """Tell whether a path is a plain file in the data folder, by no link on the way."""
    try:
        return path.is_file() and path.resolve() == data.resolve() / path.relative_to(data)
    except (OSError, ValueError, RuntimeError):
        return False
