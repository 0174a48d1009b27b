"""Text in pictures: another rendering of the same words, and words that changed."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from drawings import RENDERINGS, X, drawn, written
from matplotlib.transforms import ScaledTranslation

from leman.reproduction.compare.images import compare_images
from leman.reproduction.compare.regions import boxes, convexity, labelled
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


def lines(figure: Figure) -> None:
    """Draw two curves with a legend."""
    axes = figure.subplots()
    axes.plot(X, np.sin(X), label="sine")
    axes.plot(X, np.cos(X), "--", label="cosine")
    axes.set(title="Two curves", xlabel="time (s)", ylabel="signal [mV]", ylim=(-1.2, 2))
    axes.legend(loc="upper right")


def scatter(figure: Figure) -> None:
    """Draw black points."""
    axes = figure.subplots()
    place = np.random.default_rng(0).normal(size=(60, 2))
    axes.scatter(place[:, 0], place[:, 1], s=8, c="black")
    axes.set(title="Residuals", xlabel="fitted", ylabel="residual")


def crosses(figure: Figure) -> None:
    """Draw crosses in black, which look like letters."""
    axes = figure.subplots()
    place = np.random.default_rng(1).normal(size=(30, 2))
    axes.plot(place[:, 0], place[:, 1], "kx")
    axes.set(xlabel="height (cm)", ylabel="weight (kg)")


def bars(figure: Figure) -> None:
    """Draw bars with their values."""
    axes = figure.subplots()
    found = axes.bar(["north", "south", "east", "west"], [3.2, 5.8, 2.4, 7.1])
    axes.bar_label(found, padding=3)
    axes.set(title="Sales by region", ylim=(0, 9))


def sideways(figure: Figure) -> None:
    """Draw bars that lie."""
    axes = figure.subplots()
    figure.subplots_adjust(left=0.3)
    axes.barh(["setosa", "versicolor", "virginica"], [50, 47, 53])
    axes.set(xlabel="count")


def histogram(figure: Figure) -> None:
    """Draw a histogram."""
    axes = figure.subplots()
    axes.hist(np.random.default_rng(2).normal(size=400), bins=20, color="C2")
    axes.set(title="Distribution of errors", xlabel="error", ylabel="frequency")


def heat(figure: Figure) -> None:
    """Draw a heat map with a colour bar."""
    axes = figure.subplots()
    image = axes.imshow(np.random.default_rng(3).normal(size=(8, 8)), vmin=-3, vmax=3)
    figure.colorbar(image, label="z-score")


def annotated(figure: Figure) -> None:
    """Draw a matrix with a number in every cell."""
    axes = figure.subplots()
    values = np.random.default_rng(4).integers(10, 99, (4, 4))
    axes.imshow(values, cmap="Blues", vmin=0, vmax=200)
    for row, column in itertools.product(range(4), repeat=2):
        axes.text(column, row, str(values[row, column]), ha="center", va="center")
    axes.set(title="Confusion matrix", xlabel="predicted", ylabel="actual")


def boxplot(figure: Figure) -> None:
    """Draw boxes with open points."""
    axes = figure.subplots()
    axes.boxplot(np.random.default_rng(5).standard_t(3, size=(80, 4)))
    axes.set(ylabel="response")


def errors(figure: Figure) -> None:
    """Draw error bars."""
    axes = figure.subplots()
    axes.errorbar(range(6), [2, 3, 5, 4, 6, 5], yerr=0.4, fmt="o", capsize=3)
    axes.set(title="Mean and deviation", xlabel="dose (mg)")


def logarithmic(figure: Figure) -> None:
    """Draw powers of ten along the axes."""
    axes = figure.subplots()
    axes.loglog(X + 1, (X + 1) ** 3)
    axes.set(xlabel="frequency (Hz)", ylabel="power")


def panels(figure: Figure) -> None:
    """Draw four axes."""
    figure.subplots_adjust(hspace=0.5, wspace=0.4)
    for number, axes in enumerate(figure.subplots(2, 2).flat):
        axes.plot(X, np.sin(X * (number + 1)))
        axes.set(title=f"mode {number + 1}")


def pie(figure: Figure) -> None:
    """Draw a pie."""
    axes = figure.subplots()
    axes.pie([35, 45, 20], labels=["control", "treated", "lost"])


def grid(figure: Figure) -> None:
    """Draw on a grey ground with white lines."""
    axes = figure.subplots()
    axes.set_facecolor("#eaeaf2")
    axes.grid(color="white")
    axes.plot(X, X**2)
    axes.set(title="Quadratic growth", xlabel="generation")


def filled(figure: Figure) -> None:
    """Draw a band around a curve."""
    axes = figure.subplots()
    axes.fill_between(X, np.sin(X) - 0.3, np.sin(X) + 0.3, alpha=0.3)
    axes.plot(X, np.sin(X))
    axes.set(title="Confidence band (95 %)")


def polar(figure: Figure) -> None:
    """Draw around a circle."""
    axes = figure.subplots(subplot_kw={"projection": "polar"})
    axes.plot(X, X / 10)


def contour(figure: Figure) -> None:
    """Draw filled contours."""
    axes = figure.subplots()
    across, down = np.meshgrid(X, X)
    axes.contourf(across, down, np.sin(across) * np.cos(down), levels=7)
    axes.set(xlabel="longitude", ylabel="latitude")


def slanted(figure: Figure) -> None:
    """Draw labels that are turned by 45 degrees."""
    axes = figure.subplots()
    figure.subplots_adjust(bottom=0.3)
    axes.plot(range(4), [3, 1, 4, 1], "o-")
    axes.set_xticks(range(4), ["January", "February", "March", "April"], rotation=45)


def stairs(figure: Figure) -> None:
    """Draw steps, with a large heading."""
    axes = figure.subplots()
    axes.step(range(10), [1, 1, 2, 3, 3, 5, 6, 7, 7, 9])
    figure.suptitle("Survivors per day", fontsize=16)
    axes.set(ylabel="persons")


def coloured(figure: Figure) -> None:
    """Draw words in colour."""
    axes = figure.subplots()
    axes.plot(X, np.exp(-X), color="C3")
    axes.set_ylabel("decay", color="C3")
    axes.tick_params(axis="y", labelcolor="C3")
    axes.text(5, 0.5, "half-life 0.69", color="C0")


def violins(figure: Figure) -> None:
    """Draw violins."""
    axes = figure.subplots()
    axes.violinplot(np.random.default_rng(6).normal(size=(60, 3)))
    axes.set_xticks([1, 2, 3], ["mild", "severe", "fatal"])


def bare(figure: Figure) -> None:
    """Draw without axes."""
    axes = figure.subplots()
    axes.plot(np.cos(X), np.sin(X), color="black")
    axes.axis("off")
    axes.set_title("Outline of the basin")


KINDS: tuple[Callable[[Figure], None], ...] = (
    lines, scatter, crosses, bars, sideways, histogram, heat, annotated, boxplot, errors,
    logarithmic, panels, pie, grid, filled, polar, contour, slanted, stairs, coloured,
    violins, bare,
)  # fmt: skip


def test_other_renderings_of_text_are_tolerated() -> None:
    """Of 22 kinds of figures, unhinted or moved below a pixel, most are the same (35 of 44)."""
    alike = []
    for number, draw in enumerate(KINDS):
        dpi = (100, 150)[number % 2]
        stored = drawn(draw, dpi=dpi)
        for how in ("no hinting", "shifted"):
            found = compare_images(stored, drawn(draw, how, dpi))
            alike.append(found.verdict is Verdict.TOLERANT)
    assert sum(alike) >= 0.75 * len(alike)


def test_the_detail_says_that_text_alone_differs() -> None:
    """A figure whose words were drawn otherwise says so."""
    found = compare_images(drawn(histogram), drawn(histogram, "no hinting"))
    assert found.verdict is Verdict.TOLERANT
    assert found.detail == "text is drawn with another font rendering; everything else is equal"


SPELLED = (
    "{}", "0.{}", "1{}", "{}5", "3.{}4", "\N{MINUS SIGN}{}", "1e{}", "n = {}", "Run {} of 12",
)  # fmt: skip
PAIRS = [
    *itertools.combinations("0123456789", 2),
    ("2", "Z"),
    ("1", "11"),
    ("10", "100"),
    ("1.5", "15"),
    ("5", "0.5"),
    ("\N{MINUS SIGN}1", "1"),
]
PLACES = ("title", "tick", "note")


def crowded(third: str = "0.4", by: float = 0.0) -> Callable[[Figure], None]:
    """Return what draws an upright label beside numbers that may lie `by` pixels higher."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.bar([0], [1], color="C1", width=0.4)
        axes.set(xlim=(-1, 1), xticks=[])
        axes.set_yticks(np.linspace(0, 1, 6), ["0.0", "0.2", third, "0.6", "0.8", "1.0"])
        axes.tick_params(labelsize=18)
        axes.set_ylabel("contribution", fontsize=18, labelpad=1)
        for text in axes.get_yticklabels():
            step = ScaledTranslation(0, by / 100, figure.dpi_scale_trans)
            text.set_transform(text.get_transform() + step)

    return draw


@pytest.mark.parametrize("by", [1, -1])
def test_numbers_beside_an_upright_label_move_for_themselves(by: float) -> None:
    """Label and numbers are close enough to be taken for one word, and each is held for itself."""
    found = compare_images(drawn(crowded()), drawn(crowded(by=by)))
    assert (found.verdict, "font rendering" in found.detail) == (Verdict.TOLERANT, True)


@pytest.mark.parametrize("by", [0, 1, -1])
@pytest.mark.parametrize("digit", "01235679")
def test_a_changed_digit_beside_an_upright_label_is_different(digit: str, by: float) -> None:
    """Cutting a label from its numbers hides no digit, moved or not."""
    found = compare_images(drawn(crowded()), drawn(crowded(f"0.{digit}", by)))
    assert found.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("also_drawn_otherwise", [False, True])
def test_a_changed_digit_is_never_tolerated(seed: int, also_drawn_otherwise: bool) -> None:  # noqa: FBT001
    """A digit, sign or point that changed is seen in every size, place and rendering."""
    rnd = random.Random(seed)
    for pair in rnd.sample(PAIRS, 8):
        form, place = rnd.choice(SPELLED), rnd.choice(PLACES)
        size, dpi = rnd.randint(8, 14), rnd.choice([72, 100, 120, 150])
        how = rnd.choice(list(RENDERINGS))
        other = rnd.choice(list(RENDERINGS)) if also_drawn_otherwise else how
        one, two = (written(form.format(part), place, size) for part in pair)
        found = compare_images(drawn(one, how, dpi), drawn(two, other, dpi))
        assert found.verdict is Verdict.DIFFERENT, (pair, form, place, size, dpi, how, other)


def data(kind: str, *, by: float = 0.0) -> Callable[[Figure], None]:
    """Return what draws black data that could be taken for letters; `by` is in pixels."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        place = np.random.default_rng(7).uniform(0.1, 0.9, size=(25, 2))
        across, down = place[:, 0].copy(), place[:, 1].copy()
        across[:5] += by / (figure.dpi * figure.get_figwidth() * 0.7)
        if kind == "curve":
            axes.plot(X / 10, 0.5 + 0.3 * np.sin(X) + by / (figure.dpi * 3 * 0.68), "k--")
        elif kind == "bars":
            axes.bar(place[:8, 0], place[:8, 1] + by / (figure.dpi * 3 * 0.68), 0.02, color="black")
        else:
            axes.plot(across, down, "k", marker=kind, ls="", markersize=5, mfc="none")
        axes.set(xlim=(0, 1), ylim=(0, 1), title="Measured 0.25", xlabel="distance (m)")
        if kind == "tick":
            axes.set_xticks([0, 0.5 + by / (figure.dpi * 4 * 0.7), 1], ["0", "0.5", "1"])

    return draw


@pytest.mark.parametrize("how", ["default", "no hinting", "shifted"])
@pytest.mark.parametrize("kind", ["o", ".", "x", "+", "*", "$a$", "curve", "bars"])
def test_data_that_moved_is_not_taken_for_text(kind: str, how: str) -> None:
    """Markers, dashes and bars that moved by three pixels are different, however text is drawn."""
    found = compare_images(drawn(data(kind)), drawn(data(kind, by=3), how))
    assert found.verdict is Verdict.DIFFERENT


def test_another_font_is_different_and_said_so() -> None:
    """Words in another typeface are not judged, but the detail names what differs."""
    with mpl.rc_context({"font.family": "DejaVu Serif"}):
        serif = drawn(bars, dpi=150)
    found = compare_images(drawn(bars, dpi=150), serif)
    assert found.verdict is Verdict.DIFFERENT
    assert found.detail.startswith("only text differs: probably another font")


def test_another_colour_of_a_word_is_different() -> None:
    """What a label says in red is not what it says in black."""

    def red(figure: Figure) -> None:
        bars(figure)
        figure.axes[0].title.set_color("red")

    assert compare_images(drawn(bars), drawn(red, "no hinting")).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_what_hangs_together(seed: int) -> None:
    """Regions agree with a flood fill, and their boxes hold them."""
    mask = np.random.default_rng(seed).random((24, 31)) < 0.35
    found = labelled(mask)
    assert found is not None
    numbers, count = found
    assert ((numbers > 0) == mask).all()
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(mask), strict=True)}
    filled = 0
    while left:
        stack, filled = [left.pop()], filled + 1
        own = {int(numbers[stack[0]])}
        while stack:
            row, column = stack.pop()
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            own |= {int(numbers[one]) for one in near}
            left -= near
            stack += near
        assert len(own) == 1
    assert filled == count == len(boxes(numbers, count))


def test_a_blob_fills_its_hull_and_a_corner_does_not() -> None:
    """Bars and dashes are convex, letters are not."""
    corner = np.zeros((9, 9), dtype=bool)
    corner[:, 0] = corner[8] = True
    assert convexity(np.ones((3, 9), dtype=bool)) == 1
    assert convexity(corner) < 0.5
