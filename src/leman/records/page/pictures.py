"""Pictures that a page may hold: checked, written as data addresses, never run.

A PNG or JPEG keeps its bytes. An SVG is shown by ``<img>``, where no script runs and nothing is
loaded (https://www.w3.org/TR/SVG2/conform.html#secure-static-mode); it is refused where it would
grow without bounds when drawn.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 2_500_000  # bytes of one picture
_MOST_PIXELS = 24_000_000
_MOST_SHAPES = 20_000  # elements of an SVG, those drawn again by <use> included
_DEEPEST = 200  # elements of an SVG inside one another
_PAINT = re.compile(r"url\(\s*[\"']?#([^\"')\s]+)")  # a pattern or mask that is drawn here
_KINDS = {"PNG": "image/png", "JPEG": "image/jpeg"}


class Picture(NamedTuple):
    """A picture as the page holds it: its address with all data, and its size in pixels.

    Width and height are 0 where the file does not say.
    """

    address: str
    width: int
    height: int


def from_base64(text: str) -> Picture | None:
    """Return the picture that base64 text holds, or None where it holds none that is shown."""
    if len(text) > LARGEST * 3 // 2:
        return None
    try:
        return from_bytes(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError):
        return None


def from_address(address: str) -> Picture | None:
    """Return the picture of a ``data:image/…;base64,`` address, or None."""
    head, comma, body = address.partition(",")
    if not comma or not head.lower().startswith("data:image/") or ";base64" not in head.lower():
        return None
    return from_base64(body)


def from_file(path: Path) -> Picture | None:
    """Return the picture in a file, or None where it is none, too large or cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        return from_bytes(path.read_bytes())
    except OSError:
        return None


def from_bytes(raw: bytes) -> Picture | None:
    """Return the picture that these bytes are: a PNG, JPEG or SVG; or None."""
    if len(raw) > LARGEST:
        return None
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return from_svg(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # size is checked here, before any pixel is decoded
            with Image.open(io.BytesIO(raw), formats=tuple(_KINDS)) as image:
                if image.width * image.height > _MOST_PIXELS:
                    return None
                kind, width, height = _KINDS[str(image.format)], image.width, image.height
                image.load()
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
        return None
    return Picture(_address(kind, raw), width, height)


def from_svg(raw: bytes) -> Picture | None:
    """Return an SVG as a picture, or None where it is not well formed or grows when drawn."""
    shapes = _Shapes()
    parser = expat.ParserCreate()
    parser.StartElementHandler = shapes.start
    parser.EndElementHandler = shapes.end
    parser.EntityDeclHandler = shapes.refuse
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError):
        return None
    if not shapes.is_svg or shapes.drawn() > _MOST_SHAPES:
        return None
    return Picture(_address("image/svg+xml", raw), 0, 0)


def _address(kind: str, raw: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


class _Shapes:
    """Counts the elements that an SVG draws: one that is used a hundred times counts as often."""

    def __init__(self) -> None:
        self.is_svg = False
        self.open: list[str] = []  # the nearest identifier of each open element
        self.count = 0
        self.own: dict[str, int] = {"": 0}  # identifier → elements below it that have none
        self.uses: dict[str, list[str]] = {"": []}  # identifier → identifiers drawn below it

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self.open:
            self.is_svg = local == "svg"
        self.count += 1
        if self.count > _MOST_SHAPES or len(self.open) > _DEEPEST:
            raise ValueError("too many shapes")
        above = self.open[-1] if self.open else ""
        here = attributes.get("id") or above
        if here != above:
            self.uses[above].append(here)
        self.open.append(here)
        self.own[here] = self.own.get(here, 0) + 1
        drawn = self.uses.setdefault(here, [])
        drawn += (one for value in attributes.values() for one in _PAINT.findall(value))
        if local in ("use", "feImage", "pattern", "tref"):
            drawn += (
                value.removeprefix("#")
                for key, value in attributes.items()
                if key.rpartition(":")[2] == "href"
            )

    def end(self, _name: str) -> None:
        self.open.pop()

    def refuse(self, *_details: object) -> None:
        raise ValueError("declares an entity")

    def drawn(self) -> int:
        """Return how many elements are drawn in the end; more than allowed where it never ends."""
        known: dict[str, int] = {}
        pending = [("", False)]
        being: set[str] = set()
        while pending:
            name, done = pending.pop()
            below = self.uses.get(name, [])
            if done:
                being.discard(name)
                total = self.own.get(name, 0) + sum(known.get(one, 0) for one in below)
                known[name] = min(total, _MOST_SHAPES + 1)
            elif name in being:
                return _MOST_SHAPES + 1
            elif name not in known:
                being.add(name)
                pending.append((name, True))
                pending += ((one, False) for one in below if one not in known)
        return known[""]
