"""Words that are compared glyph by glyph: another place of a glyph, never another glyph."""

from __future__ import annotations

import io
import itertools
import zlib
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from drawings import RENDERINGS, drawn, moved, written
from matplotlib.figure import Figure
from PIL import Image

from leman.reproduction.compare.images import compare_images
from leman.reproduction.compare.lettering import (
    covered,
    lettering,
    may_say_otherwise,
    reads_the_same,
)
from leman.reproduction.compare.pixels import array
from leman.reproduction.compare.spelling import same_points
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.compare.pixels import Pixels

DIGITS = tuple(itertools.combinations("0123456789", 2))
FORMS = ("{}", "0.{}", "1{}", "n={}", "-0.0{}1", "run{}of12", "{}e5")  # without gaps: one word each
FONTS = ("DejaVu Sans", "DejaVu Serif", "STIXGeneral")


def sheet(words: list[str], how: str, em: float, font: str) -> Pixels:
    """Return words (in rows of five) in a font of `em` pixels, drawn with one way of hinting."""
    options: Any = dict(RENDERINGS[how])
    shift = options.pop("shift", 0.0)
    wide, tall = round(12 * em), round(3 * em)
    rows = -(-len(words) // 5)
    with mpl.rc_context({**options, "font.family": font}):
        figure = Figure(figsize=(5 * wide / 72, rows * tall / 72), dpi=72)
        for number, word in enumerate(words):
            row, column = divmod(number, 5)
            figure.text(
                (column + 0.2) / 5, 1 - (row + 0.7) * tall / (rows * tall), word, fontsize=em
            )
        if shift:
            moved(figure, shift)
        out = io.BytesIO()
        figure.savefig(out, dpi=72)
        return array(Image.open(out).convert("RGB"))


def cases(one: str, other: str) -> list[tuple[str, float, str]]:
    """Return two forms, sizes and fonts, which differ from pair to pair of renderings."""
    seed = zlib.crc32(f"{one}/{other}".encode())
    rnd = np.random.default_rng(seed)
    sizes = (rnd.integers(9, 15), rnd.integers(15, 24))
    return [(str(rnd.choice(FORMS)), float(em), str(rnd.choice(FONTS))) for em in sizes]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(RENDERINGS, repeat=2)))
def test_no_two_digits_read_the_same(one: str, other: str) -> None:
    """All pairs of digits are told apart in every pair of renderings, in short and long words."""
    for form, em, font in cases(one, other):
        stored = sheet([form.format(first) for first, _ in DIGITS], one, em, font)
        new = sheet([form.format(second) for _, second in DIGITS], other, em, font)
        changed = (np.abs(stored.astype(int) - new).max(axis=2)) > 8
        found = lettering(stored, new, changed, (slice(0, 1), slice(0, 1)))
        if found is None:  # too many to be words: nothing is forgiven
            continue
        same = [
            word
            for word in found.words
            if reads_the_same(word, common=True) or not may_say_otherwise(word, common=True)
        ]
        others = tuple(word for word in found.words if not any(word is one for one in same))
        seen = covered(others, changed.shape) | (changed & ~covered(found.words, changed.shape))
        for number, pair in enumerate(DIGITS):
            row, column = divmod(number, 5)
            tall, wide = seen.shape[0] // 9, seen.shape[1] // 5
            cell = seen[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            assert cell.any(), (pair, form, em, font)


OTHERWISE = (
    ("0.5", "0,5"), ("1.5", "15"), ("1.5", "15."), ("1.5", ".15"), ("12.5", "1.25"),
    ("-1", "+1"), ("-1", "1"), ("\N{MINUS SIGN}0.5", "0.5"), ("1e-5", "1e5"),
    ("0.05", "0.5"), ("100", "10"), ("61", "81"), ("n = 3", "n = 8"), ("rate 27", "rate 72"),
    ("Protein", "Protien"), ("median", "medain"), ("casual", "causal"),
)  # fmt: skip


@pytest.mark.parametrize(("how", "dpi"), [("default", 72), ("no hinting", 100), ("shifted", 150)])
@pytest.mark.parametrize(("stored", "new"), OTHERWISE)
def test_another_sign_point_or_order_is_different(
    stored: str, new: str, how: str, dpi: float
) -> None:
    """A point or a sign that moved or is gone, and letters that changed places, are different."""
    for place in ("title", "tick"):
        one, other = (written(text, place, 11) for text in (stored, new))
        found = compare_images(drawn(one, "default", dpi), drawn(other, how, dpi))
        assert found.verdict is Verdict.DIFFERENT, place


def lettered(*, by: int, dpi: float = 100) -> Callable[[Figure], None]:
    """Return what draws a word in italics whose third letter stands some pixels further left."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set_title("Flux 0.25")
        wide, tall = figure.get_size_inches() * dpi
        for letter, place in zip("Protein", (0, 13, 21 - by, 33, 40, 52, 57), strict=True):
            figure.text((150 + place) / wide, 8 / tall, letter, fontsize=13, style="italic")

    return draw


def test_a_letter_that_moved_by_a_pixel_is_tolerated() -> None:
    """Where one letter alone stands a pixel further left, the word is the same."""
    found = compare_images(drawn(lettered(by=0)), drawn(lettered(by=1)))
    assert found.verdict is Verdict.TOLERANT


@pytest.mark.parametrize("by", [-3, 3])
def test_a_letter_that_moved_further_is_different(by: int) -> None:
    """A glyph that stands three pixels elsewhere is not put down to rounding."""
    found = compare_images(drawn(lettered(by=0)), drawn(lettered(by=by)))
    assert found.verdict is Verdict.DIFFERENT


def number(tall: int, point: tuple[int, int]) -> Any:
    """Return the ink of three bars of a height on row 25, and a point between two rows."""
    ink = np.zeros((32, 50), dtype=np.float32)
    for left in (4, 24, 38):
        ink[25 - tall : 25, left : left + 8] = 1
    ink[point[0] : point[1], 17:21] = 1
    return ink


def test_a_point_grows_with_the_digits_beside_it() -> None:
    """Hinting draws both a pixel higher; a point alone does not grow, nor one into a comma."""
    assert same_points(number(17, (21, 25)), number(18, (20, 25)))
    assert not same_points(number(17, (21, 25)), number(17, (20, 25)))
    assert not same_points(number(17, (21, 25)), number(18, (20, 26)))
    assert not same_points(number(17, (21, 25)), number(18, (21, 28)))
    assert not same_points(number(17, (21, 25)), number(18, (14, 18)))
