"""HTML and SVG: what a reader sees of it, as lines.

HTML is read into its visible text, its tables cell by cell, its pictures and the JSON that its
scripts draw charts from. Not compared: class names, ids, styles, borders. Colours that a styled
table gives its cells follow from the cells' values, which are compared.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from leman.reproduction.compare.structured import flattened
from leman.reproduction.compare.values import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TAGS = 200_000  # beyond it HTML is compared as plain text
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "pre",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "caption",
        "form",
        "section",
        "article",
        "header",
        "footer",
        "summary",
        "details",
        "button",
        "select",
        "option",
        "blockquote",
    ]
)
_ATTRIBUTES = {  # those that carry content; all others are looks
    "a": ("href",),
    "iframe": ("src",),
    "img": ("src",),
    "video": ("src",),
    "audio": ("src",),
    "source": ("src",),
    "embed": ("src",),
    "input": ("value",),
    "progress": ("value", "max"),
    "meter": ("value",),
}
_RANDOM = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{16,64}\b"
    r"|\b(?:altair-viz|element|bk|plotly|df|mpld3_el|fig_el|folium|map|T)[-_][0-9a-f_-]{4,60}",
    re.IGNORECASE,
)
_CHARTS = (
    re.compile(r"Plotly\.(?:newPlot|plot|react)\(\s*(?:[\"'][^\"']{0,200}[\"']|\w{1,80})\s*,\s*"),
    re.compile(r"\}\)\(\s*(?=\{\")"),  # Vega-Embed's call by Altair
    re.compile(r"docs_json\s*=\s*(?=\{)"),  # Bokeh
    re.compile(r"\b(?:spec|vlSpec|opt)\s*=\s*(?=\{)"),
)


@dataclass(slots=True)
class Page:
    """What was read: `images` are base64, `scripts` the source of scripts, `charts` their JSON."""

    lines: list[Line] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    charts: list[Line] = field(default_factory=list)


def read_html(text: str) -> Page:
    """Read HTML of any quality."""
    reader = _Reader()
    reader.feed(_without_colab(text))
    reader.close()
    reader.finish()
    page = reader.page
    for number, script in enumerate(page.scripts):
        page.charts += _charts(script, number)
    page.scripts = [_RANDOM.sub("…", script) for script in page.scripts]
    return page


_MARKUP = re.compile(r"<script\b.*?</script>|<style\b.*?</style>|<[^>]*>|&nbsp;|\s+", re.DOTALL)


def shows_something(text: str) -> bool:
    """Say whether HTML shows text, a table or a chart that can be read, without parsing it."""
    if any(tag in text for tag in ("<td", "<th", "<iframe", "<img", "<svg", "<video", "<audio")):
        return True
    if any(chart.search(text) for chart in _CHARTS):
        return True
    return bool(_MARKUP.sub("", text))


_LOADS = re.compile(
    r"window\.PlotlyConfig|require\.undef\([\"']plotly|bk-notebook-logo|load_libs|HVLogo"
    r"|vegaEmbed\.version|_Plotly = Plotly"
)
_DRAWS = re.compile(r"Plotly\.newPlot\(\s*[\"'][0-9a-f-]{36}|embed_document|vegaEmbed\(\"#")


def only_loads(text: str) -> bool:
    """Say whether HTML only brings a drawing library to the page, and draws nothing itself."""
    return bool(_LOADS.search(text)) and not _DRAWS.search(text) and "<td" not in text[-2000:]


def _without_colab(text: str) -> str:
    """Keep only the tables of a data frame that Colab has wrapped in buttons and scripts."""
    if "colab-df-" not in text:
        return text
    kept = []
    start = text.find("<table")
    while start >= 0:
        end = text.find("</table>", start)
        if end < 0:
            break
        rest = text[end : end + 200]
        shape = re.search(r"<p>\d+ rows \u00d7 \d+ columns</p>", rest)
        kept.append(text[start:end] + "</table>" + (shape[0] if shape else ""))
        start = text.find("<table", end)
    return "".join(kept)


def _charts(script: str, number: int) -> Iterator[Line]:
    """Yield the leaves of the JSON that known libraries draw charts from."""
    decoder = json.JSONDecoder()
    for pattern in _CHARTS:
        for found in pattern.finditer(script):
            at = found.end()
            for part in range(2):  # Plotly's call takes the data, then the layout
                try:
                    value, at = decoder.raw_decode(script, at)
                except (ValueError, RecursionError):
                    break
                yield from flattened(value, f"chart {number + 1}.{part + 1}")
                comma = re.compile(r"\s*,\s*").match(script, at)
                if not comma:
                    break
                at = comma.end()


class _Reader(HTMLParser):
    """Collects lines as tags come; nothing is nested deeper than a list of open tables."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._text: list[str] = []
        self._tables: list[list[int]] = []  # number, row, column of each open table
        self._count = 0
        self._cell = ""
        self._previous = ""
        self._skip = ""
        self._pre = 0
        self._svg = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._skip = tag
            self._text_out()
            return
        if tag == "table":
            self._end_cell()
            self._count += 1
            self._tables.append([self._count, 0, 0])
        elif tag == "tr" and self._tables:
            self._end_cell()
            self._tables[-1][1] += 1
            self._tables[-1][2] = 0
            self._previous = ""
        elif tag in ("td", "th"):
            self._start_cell(attrs)
        elif tag in _BLOCKS and not self._cell:
            self._text_out()
        elif tag in _BLOCKS:
            self._text.append(" ")
        self._pre += tag == "pre"
        self._svg += tag == "svg"
        self._attributes(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skip == tag:
            self._skip = ""
        elif tag in ("td", "th", "tr"):
            self._end_cell()
        elif tag == "table":
            self._end_cell()
            if self._tables:
                self._tables.pop()
        elif tag in _BLOCKS and not self._cell:
            self._text_out()
        self._pre -= tag == "pre" and self._pre > 0
        self._svg -= tag == "svg" and self._svg > 0

    def handle_data(self, data: str) -> None:
        if self._skip == "script":
            if data.strip():
                self.page.scripts.append(data)
        elif not self._skip:
            self._text.append(data)

    def finish(self) -> None:
        """Write out what the end of the text left open."""
        self._end_cell()
        self._text_out()

    def _start_cell(self, attrs: list[tuple[str, str | None]]) -> None:
        self._end_cell()
        self._text_out()
        if not self._tables:
            self._count += 1
            self._tables.append([self._count, 1, 0])
        place = self._tables[-1]
        place[2] += 1
        self._cell = f"table {place[0]}, row {place[1]}, column {place[2]}"
        spans = [f"{name}={value}" for name, value in attrs if name in ("colspan", "rowspan")]
        self._text = [f"⟨{span}⟩ " for span in spans if not span.endswith("=1")]

    def _end_cell(self) -> None:
        if not self._cell:
            return
        text = " ".join("".join(self._text).split())
        # "Date:" beside a date is what tells a time stamp from data.
        shown = f"{self._previous} {text}" if self._previous in ("Date:", "Time:") else text
        self.page.lines.append(Line(self._cell, shown))
        self._previous, self._cell, self._text = text, "", []

    def _text_out(self) -> None:
        if self._cell:
            return
        text = "".join(self._text)
        self._text = []
        parts = text.split("\n") if self._pre else [" ".join(text.split())]
        for part in parts:
            if part.strip():
                self.page.lines.append(Line(f"text {len(self.page.lines) + 1}", part.rstrip()))

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._svg and tag != "svg":
            self._text_out()
            self.page.lines.append(Line(f"drawing, {tag}", f"{tag} {_drawn(attrs)}"))
            return
        for name, value in attrs:
            if name not in _ATTRIBUTES.get(tag, ()) or not value or value.startswith("#"):
                continue
            if value.startswith("data:image/") and ";base64," in value[:64]:
                self.page.images.append(value.partition(",")[2])
            else:
                self._text_out()
                self.page.lines.append(Line(f"{tag} {name}", _RANDOM.sub("…", value[:20_000])))


# --- SVG

_UNSEEN = ("id", "clip-path", "xlink:href", "href", "marker-end", "marker-start")


def _drawn(attrs: list[tuple[str, str | None]]) -> str:
    """Return the attributes that decide what is drawn, in one order."""
    kept = (
        (name, value)
        for name, value in attrs
        if value and name not in _UNSEEN and not name.startswith(("xmlns", "data-", "aria-"))
    )
    return " ".join(
        f"{name}={re.sub(r'url[(]#[^)]*[)]', 'url', value)}" for name, value in sorted(kept)
    )


class _Drawing(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._hidden and tag in ("metadata", "script"):
            self._hidden = tag
        elif not self._hidden and tag not in ("g", "defs", "title"):
            self.lines.append(Line(f"element {len(self.lines) + 1}", f"{tag} {_drawn(attrs)}"))
        elif tag == "g":
            transform = [(name, value) for name, value in attrs if name == "transform"]
            if transform:
                self.lines.append(Line(f"element {len(self.lines) + 1}", f"g {_drawn(transform)}"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._hidden:
            self.lines.append(Line(f"element {len(self.lines) + 1}", " ".join(data.split())))


def read_svg(text: str) -> list[Line]:
    """Return the elements of an SVG image with all that decides what they look like.

    Left out are ids, references to them, and the metadata (which hold the date).
    """
    reader = _Drawing()
    reader.feed(text)
    reader.close()
    return reader.lines
