"""Figures with text that is drawn in several ways, for tests of pictures."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

if TYPE_CHECKING:
    from collections.abc import Callable

X = np.linspace(0, 10, 120)
RENDERINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "no hinting": {"text.hinting": "no_hinting"},
    "the font's own": {"text.hinting": "native"},
    "automatic": {"text.hinting": "force_autohint"},
    "shifted": {"shift": 0.4},
}


def drawn(
    draw: Callable[[Figure], None], how: str = "default", dpi: float = 100, *, tight: bool = False
) -> str:
    """Return a figure drawn with one way of hinting, its texts moved by a part of a pixel."""
    options: Any = dict(RENDERINGS[how])
    shift = options.pop("shift", 0.0)
    with mpl.rc_context(options):
        figure = Figure(figsize=(4, 3), dpi=dpi)
        figure.subplots_adjust(left=0.2, bottom=0.2)
        draw(figure)
        out = io.BytesIO()
        if shift:
            moved(figure, shift * 72 / dpi)
        figure.savefig(out, dpi=dpi, bbox_inches="tight" if tight else None)
    return base64.b64encode(out.getvalue()).decode()


def moved(figure: Figure, by: float) -> None:
    """Move all texts by a part of a point, and nothing else."""
    for text in figure.findobj(Text):
        step = ScaledTranslation(by / 72, by / 72, figure.dpi_scale_trans)
        text.set_transform(text.get_transform() + step)


def labels(figure: Figure, *, size: float, title: str, tick: str, note: str) -> None:
    """Draw a curve with a title, one tick label of our own and a note inside the axes."""
    axes = figure.subplots()
    axes.plot(X, np.sin(X))
    axes.set_ylim(-1.5, 3)
    axes.set_title(title, fontsize=size)
    axes.set_xticks([0, 5, 10], ["0", tick, "10"], fontsize=size)
    axes.text(3, 2, note, fontsize=size)


def written(text: str, place: str, size: float) -> Callable[[Figure], None]:
    """Return what draws a figure with a text at one of three places."""
    texts = {"title": "Run 7", "tick": "5", "note": "half", place: text}

    def draw(figure: Figure) -> None:
        labels(figure, size=size, **texts)

    return draw
