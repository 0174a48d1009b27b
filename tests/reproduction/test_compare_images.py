"""Pictures: real figures that are the same, and figures with one thing changed."""

from __future__ import annotations

import base64
import functools
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparing import display, only, passes
from matplotlib.figure import Figure
from PIL import Image

from leman.reproduction.compare.images import compare_images
from leman.reproduction.compare.pixels import MOST_PIXELS
from leman.reproduction.model import OutputVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable


def saved(figure: Figure, *, dpi: float = 72, tight: bool = True, pad: float = 0.1) -> str:
    """Return a figure as the inline backend stores it."""
    out = io.BytesIO()
    figure.savefig(out, dpi=dpi, bbox_inches="tight" if tight else None, pad_inches=pad)
    return base64.b64encode(out.getvalue()).decode()


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> str:
    """Return a picture in base64."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


def decoded(text: str) -> Image.Image:
    """Return a picture from base64."""
    return Image.open(io.BytesIO(base64.b64decode(text)))


def compared(stored: str, new: str, again: str | None = None) -> OutputVerdict:
    """Compare two PNG pictures that come with the usual text."""
    third = None if again is None else display(png=again, plain="<Figure size 1x1 with 1 Axes>")
    return only(
        display(png=stored, plain="<Figure size 3x4 with 1 Axes>"),
        display(png=new, plain="<Figure size 5x6 with 1 Axes>"),
        third,
    )


X = np.linspace(0, 10, 200)


def curve(*, up: float = 0.0, right: float = 0.0, swap: bool = False, lines: int = 2) -> Figure:
    """Draw two curves: about 7.4 pixels per 0.1 upward and 3.3 per 0.1 sideways at 72 dpi."""
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    colours = ("C1", "C0") if swap else ("C0", "C1")
    axes.plot(X + right, np.sin(X) + up, color=colours[0], label="sin")
    if lines > 1:
        axes.plot(X, np.cos(X), color=colours[1], label="cos")
    axes.set(xlim=(0, 10), ylim=(-1.5, 1.5), title="Two curves 3.14", xlabel="time (s)")
    axes.legend(loc="upper right")
    return figure


def pale(*, up: float = 0.0) -> Figure:
    """Draw one thin pale line."""
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot(X, np.sin(X) + up, color="0.8", lw=1)
    axes.set(ylim=(-1.5, 1.5))
    return figure


def points(*, move: float = 0.0, swap: bool = False) -> Figure:
    """Draw 80 points in two colours, one of them movable."""
    place = np.random.default_rng(0).normal(size=(80, 2))
    place[5, 0] += move
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    colours = ["C0" if (number % 2 == 0) is swap else "C1" for number in range(80)]
    axes.scatter(place[:, 0], place[:, 1], s=20, c=colours)
    axes.set(xlim=(-3, 3), ylim=(-3, 3))
    return figure


def bars(*, third: float = 2.0) -> Figure:
    """Draw five bars, 27 pixels per unit at 72 dpi."""
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.bar(list("abcde"), [3, 5, third, 7, 4])
    axes.set(ylim=(0, 8))
    return figure


def heat(*, cell: float = 0.0) -> Figure:
    """Draw a heat map of 12 by 15 cells with a colour bar."""
    values = np.random.default_rng(1).normal(size=(12, 15))
    values[3, 4] += cell
    figure = Figure(figsize=(6, 4))
    image = figure.subplots().imshow(values, vmin=-3, vmax=3, aspect="auto")
    figure.colorbar(image)
    return figure


def scaled(*, by: float = 1.0, along: float = 1.0) -> Figure:
    """Draw a curve whose labels alone tell its size."""
    figure = Figure(figsize=(6, 4))
    figure.subplots().plot(X * along, np.sin(X) * by)
    return figure


DRAWN: dict[str, Callable[[], Figure]] = {
    "curve": curve,
    "pale": pale,
    "points": points,
    "bars": bars,
    "heat": heat,
    "scaled": scaled,
}
SAVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "72 and 144 dpi": ({"dpi": 72}, {"dpi": 144}),
    "72 and 100 dpi": ({"dpi": 72}, {"dpi": 100}),
    "100 and 200 dpi": ({"dpi": 100}, {"dpi": 200}),
    "72 and 300 dpi": ({"dpi": 72}, {"dpi": 300}),
    "wider margin": ({"dpi": 72}, {"dpi": 72, "pad": 0.2}),
    "not cropped": ({"dpi": 100}, {"dpi": 100, "tight": False}),
}


@functools.cache
def stored(name: str, dpi: float) -> str:
    """Return the unchanged figure."""
    return saved(DRAWN[name](), dpi=dpi)


@pytest.mark.parametrize("how", SAVED)
@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_saved_otherwise_looks_alike(name: str, how: str) -> None:
    """Another resolution, margin or crop is no difference, in both directions."""
    first, second = SAVED[how]
    one, other = saved(DRAWN[name](), **first), saved(DRAWN[name](), **second)
    assert compared(one, other).verdict is Verdict.TOLERANT
    assert compared(other, one).verdict is Verdict.TOLERANT


CHANGED = {
    "curve up": curve(up=0.03),  # 2.2 pixels
    "curve one pixel up": curve(up=0.0136),
    "curve right": curve(right=0.06),
    "colours swapped": curve(swap=True),
    "curve dropped": curve(lines=1),
    "pale up": pale(up=0.03),
    "points moved": points(move=0.06),  # 3 pixels
    "points swapped": points(swap=True),
    "bars changed": bars(third=2.15),  # 4 pixels
    "heat changed": heat(cell=0.2),
    "scaled labels": scaled(by=2),
    "scaled labels along": scaled(along=2),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_figure_is_different(name: str) -> None:
    """A shift of two pixels, one moved point, one changed bar or cell is seen, and shown."""
    original = stored(name.partition(" ")[0].replace("colours", "curve"), 72)
    verdict = compared(original, saved(CHANGED[name]))
    assert verdict.verdict is Verdict.DIFFERENT
    assert verdict.stored_image == original
    picture = decoded(verdict.picture)
    assert picture.format == "PNG"
    assert picture.width <= 800


LARGER = {
    "curve up": curve(up=0.06),
    "colours swapped": curve(swap=True),
    "curve dropped": curve(lines=1),
    "pale up": pale(up=0.06),
    "points moved": points(move=0.1),
    "points swapped": points(swap=True),
    "bars changed": bars(third=2.25),
    "heat changed": heat(cell=0.4),
    "scaled labels": scaled(by=2),
    "scaled labels along": scaled(along=2),
}


@pytest.mark.parametrize("dpi", [100, 144])
@pytest.mark.parametrize("name", LARGER)
def test_a_changed_figure_at_another_resolution_is_different(name: str, dpi: int) -> None:
    """Laying pictures of two sizes over each other does not hide a change of five pixels."""
    original = stored(name.partition(" ")[0].replace("colours", "curve"), 72)
    assert compared(original, saved(LARGER[name], dpi=dpi)).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("number", range(12))
def test_a_shifted_part_of_a_figure_is_different(number: int) -> None:
    """Whatever part of a figure with something in it is moved by two pixels, it is seen."""
    random = np.random.default_rng(number)
    name = list(DRAWN)[number % len(DRAWN)]
    original = stored(name, 72)
    pixels = np.array(decoded(original).convert("RGB"))
    height, width = pixels.shape[:2]
    for _ in range(100):
        tall, wide = random.integers(30, height // 2), random.integers(30, width // 2)
        top, left = random.integers(4, height - tall - 4), random.integers(4, width - wide - 4)
        part = pixels[top : top + tall, left : left + wide]
        changed = pixels.copy()
        changed[top + 2 : top + 2 + tall, left : left + wide] = part
        strong = np.abs(changed.astype(int) - pixels).max(axis=2) > 60
        if strong.sum() > 60:
            found = compared(original, encoded(Image.fromarray(changed)))
            assert not passes(found.verdict)
            return
    pytest.fail("no part with something in it was drawn")


def test_equal_pixels_are_normalised() -> None:
    """Other compression, a palette or transparency over white are the same picture."""
    original = stored("bars", 72)
    picture = decoded(original).convert("RGBA")
    assert compared(original, encoded(picture, compress_level=1)).verdict is Verdict.NORMALISED
    black = picture.convert("RGB").point(lambda value: 255 if value > 128 else 0)
    few = black.convert("P", palette=Image.Palette.ADAPTIVE)
    assert compared(encoded(black), encoded(few)).verdict is Verdict.NORMALISED
    clear = np.array(picture)
    clear[(clear[..., :3] == 255).all(axis=2)] = (255, 255, 255, 0)
    assert compared(original, encoded(Image.fromarray(clear))).verdict is Verdict.NORMALISED


def test_line_breaks_in_base64_are_nothing() -> None:
    """Old front ends wrapped base64 at 76 characters."""
    original = stored("bars", 72)
    wrapped = base64.encodebytes(base64.b64decode(original)).decode()
    assert compared(wrapped, original).verdict is Verdict.IDENTICAL


def test_jpeg_is_compared_by_what_it_shows() -> None:
    """Lossy compression passes; a changed bar does not."""
    one = decoded(saved(bars())).convert("RGB")
    other = decoded(saved(bars(third=3))).convert("RGB")
    high, low = encoded(one, "JPEG", quality=95), encoded(one, "JPEG", quality=90)
    assert only(display(jpeg=high), display(jpeg=low)).verdict is Verdict.TOLERANT
    wrong = encoded(other, "JPEG", quality=95)
    assert only(display(jpeg=high), display(jpeg=wrong)).verdict is Verdict.DIFFERENT


def test_a_figure_that_no_longer_appears_is_different() -> None:
    """The text beside a picture never stands in for it."""
    named = "<Figure size 432x288 with 1 Axes>"
    verdict = only(display(png=stored("bars", 72), plain=named), display(plain=named))
    assert verdict.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("data", ["", "no base64 !", base64.b64encode(b"\x89PNG\r\n").decode()])
def test_a_broken_picture_is_never_equal(data: str) -> None:
    """A stored picture that cannot be read is not compared; a new one is different."""
    good = stored("bars", 72)
    assert compared(data, good).verdict is Verdict.NOT_COMPARED
    assert compared(good, data).verdict is Verdict.DIFFERENT


def test_a_decompression_bomb_is_refused() -> None:
    """A picture of too many pixels is seen in its header and not decoded."""
    side = math.isqrt(MOST_PIXELS) + 1
    bomb = encoded(Image.new("1", (side, side)))
    verdict = compared(bomb, stored("bars", 72))
    assert verdict.verdict is Verdict.NOT_COMPARED
    assert "more than leman decodes" in verdict.detail


def noisy(seed: int, *, title: str = "noise") -> str:
    """Draw random numbers beside a curve that does not change."""
    figure = Figure(figsize=(8, 3))
    left, right = figure.subplots(1, 2)
    left.plot(np.random.default_rng(seed).normal(size=60))
    left.set(ylim=(-4, 4))
    right.plot(X, np.sin(X) * (2 if title == "wrong" else 1))
    right.set(ylim=(-3, 3))
    return saved(figure)


def test_a_random_figure_is_volatile() -> None:
    """A plot of unseeded noise differs between our own runs as it differs from the author's."""
    verdict = compared(noisy(1), noisy(2), noisy(3))
    assert verdict.verdict is Verdict.VOLATILE
    assert "two runs" in verdict.detail


def test_noise_does_not_excuse_a_wrong_curve_beside_it() -> None:
    """What both our runs agree on must be as the author stored it."""
    assert compared(noisy(1, title="wrong"), noisy(2), noisy(3)).verdict is Verdict.DIFFERENT


def test_a_stable_figure_is_never_volatile() -> None:
    """Where our two runs agree, a difference stays one."""
    new = stored("curve", 72)
    assert compared(saved(curve(up=0.2)), new, new).verdict is Verdict.DIFFERENT


def test_pictures_are_imported_only_when_bytes_differ() -> None:
    """Identical bytes are identical, whatever they are."""
    assert compared("no picture", "no picture").verdict is Verdict.IDENTICAL
    assert compare_images(stored("bars", 72), stored("bars", 72)).equal
