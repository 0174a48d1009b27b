"""Pictures of outputs: only what decodes as an image is kept, written anew as PNG."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from leman.reproduction.report.text import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.reproduction.model import OutputVerdict, Report

ROLES = ("stored", "new", "difference")
_LONGEST_BASE64 = 24_000_000
_MOST_PIXELS = 24_000_000


class Picture(NamedTuple):
    """One picture: where the report folder has it, its size in pixels, and its PNG bytes."""

    path: str
    width: int
    height: int
    png: bytes


# (notebook's number, output's number in its comparison, role) → picture
Pictures = dict[tuple[int, int, str], Picture]


def collect(report: Report) -> Pictures:
    """Return every usable picture of the outputs that are not identical."""
    return dict(_pictures(report))


def _pictures(report: Report) -> Iterator[tuple[tuple[int, int, str], Picture]]:
    for number, notebook in enumerate(report.notebooks):
        folder = f"images/{number + 1:03d}-{file_name(notebook.path)}"
        outputs = notebook.comparison.outputs if notebook.comparison else ()
        for position, output in enumerate(outputs):
            for role, encoded in zip(ROLES, _encoded(output), strict=True):
                if found := decode(encoded):
                    place = f"{position:04d}-cell-{output.cell}-output-{output.output}"
                    yield (number, position, role), Picture(f"{folder}/{place}-{role}.png", *found)


def _encoded(output: OutputVerdict) -> tuple[str, str, str]:
    return output.stored_image, output.new_image, output.picture


def decode(encoded: str) -> tuple[int, int, bytes] | None:
    """Return width, height and PNG bytes of a base64 PNG or JPEG, or None if it is no such thing.

    The pixels are encoded anew, so nothing that a hostile file hides beside them survives.
    """
    if not encoded or len(encoded) > _LONGEST_BASE64:
        return None
    try:
        raw = base64.b64decode("".join(encoded.split()), validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # size is checked here, before any pixel is decoded
            with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MOST_PIXELS:
                    return None
                image.load()
                plain = image if image.mode in ("L", "RGB") else image.convert("RGBA")
                out = io.BytesIO()
                bare = Image.frombytes(plain.mode, plain.size, plain.tobytes())
                bare.save(out, format="PNG")
                return image.width, image.height, out.getvalue()
    except (binascii.Error, ValueError, OSError, SyntaxError, Image.DecompressionBombError):
        return None
