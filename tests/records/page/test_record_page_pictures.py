"""Pictures on a page: what they are is checked, and none grows when it is drawn."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest
from page_samples import noise, picture
from PIL import Image

from leman.records.page.pictures import LARGEST, from_address, from_base64, from_bytes, from_file

if TYPE_CHECKING:
    from pathlib import Path

START = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


def svg(inner: str, before: str = "") -> bytes:
    """Return an SVG file."""
    return f'<?xml version="1.0"?>{before}{START}{inner}</svg>'.encode()


def test_pictures_keep_their_bytes() -> None:
    """A PNG and a JPEG stand on the page as they are in the notebook, with their size."""
    for kind in ("PNG", "JPEG"):
        found = from_base64(picture(kind))
        assert found is not None
        assert found.address == f"data:image/{kind.lower()};base64,{picture(kind)}"
        assert (found.width, found.height) == (4, 3)


@pytest.mark.parametrize("text", ["", "!!!", "\u00e9", "PGh0bWw+", picture()[:60], picture("GIF")])
def test_what_is_no_picture_is_none(text: str) -> None:
    """Other bytes, half a picture and kinds that move are not shown."""
    assert from_base64(text) is None


def test_large_pictures_are_none() -> None:
    """Neither many bytes nor many pixels in few bytes pass."""
    assert from_base64("A" * LARGEST * 2) is None
    assert from_bytes(base64.b64decode(noise(1700))) is None
    out = io.BytesIO()
    Image.new("1", (6000, 5000)).save(out, format="PNG")
    assert from_bytes(out.getvalue()) is None


def test_addresses_hold_pictures_only() -> None:
    """A data address is a picture by its content, not by what it says."""
    assert from_address(f"data:image/png;base64,{picture()}") is not None
    for address in (
        f"data:text/html;base64,{picture()}",
        f"data:image/png,{picture()}",
        "data:image/png;base64,PHNjcmlwdD4=",
        "https://example.org/a.png",
        "data:",
    ):
        assert from_address(address) is None, address


def test_a_drawing_passes() -> None:
    """An SVG as matplotlib writes it, glyphs used again and again, is shown."""
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">'
    glyphs = '<defs><path id="g" d="M0 0"/></defs>' + '<use xlink:href="#g"/>' * 300
    assert from_bytes(svg(glyphs, doctype)) is not None


@pytest.mark.parametrize(
    "raw",
    [
        svg("<g>"),
        b"<html></html>",
        b"<svg",
        svg("<text>&a;</text>", '<!DOCTYPE svg [<!ENTITY a "aaaa">]>'),
        svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'),
        svg('<g id="a"><use href="#a"/></g>'),
        svg('<pattern id="p"><path fill="url(#p)"/></pattern>'),
        svg("<g>" * 500 + "</g>" * 500),
        svg("<g/>" * 30_000),
        svg(
            '<g id="n0"><path/></g>'
            + "".join(
                f'<g id="n{one + 1}">' + f'<use xlink:href="#n{one}"/>' * 10 + "</g>"
                for one in range(9)
            )
        ),
    ],
)
def test_drawings_that_grow_are_none(raw: bytes) -> None:
    """Broken, self-drawing and multiplying SVG files would stop a browser; they are refused."""
    assert from_bytes(raw) is None


def test_files_are_read_within_limits(tmp_path: Path) -> None:
    """A picture beside the notebook is read; a huge or missing file is none."""
    path = tmp_path / "a.png"
    assert from_file(path) is None
    path.write_bytes(base64.b64decode(picture()))
    assert from_file(path) is not None
    with path.open("ab") as file:
        file.truncate(LARGEST + 1)
    assert from_file(path) is None
