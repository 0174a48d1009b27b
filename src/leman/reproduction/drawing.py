"""Figures of an old matplotlib: the same code once more, drawn in the style that it had then.

matplotlib 2 changed nearly every default (colours, sizes, margins, ticks), so no figure of
matplotlib 1 fits over a new one, and no Python of today's tools has matplotlib 1. What it drew
with is kept in matplotlib itself, as the style "classic"; Jupyter's own settings for figures
were others too (ipykernel before 4.5: 6 by 4 inches, always saved with the resolution of the
screen). These are defaults alone: what a notebook sets itself still counts, and no number that
is drawn comes from them.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.environments.detect import stored_figures
from leman.files import remove_tree
from leman.reproduction.model import Comparison, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

_STYLES = "matplotlib/mpl-data/stylelib"
_SETTINGS = ".config/matplotlib/matplotlibrc"
_JUPYTER = ".ipython/profile_default/ipython_kernel_config.py"
_INLINE = """
figure.figsize: 6, 4
font.size: 10
figure.subplot.bottom: .125
figure.dpi: 72
figure.facecolor: white
"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Defaults that figures are drawn with: `files` are (path below the home, text)."""

    name: str
    detail: str
    files: tuple[tuple[str, str], ...]


def drawings(document: dict[str, Any], site: Path | None) -> Iterator[Drawing]:
    """Yield how else a notebook's figures may have been drawn; `site` holds its packages."""
    figures = stored_figures(document)
    style = site / _STYLES / "classic.mplstyle" if site else None
    if figures.old and style and style.is_file():
        shown = f"{{'bbox_inches': 'tight', 'dpi': {figures.dpi}}}"
        yield Drawing(
            f"classic-{figures.dpi}",
            "figures drawn with the defaults of matplotlib 1, which the stored ones may be of",
            (
                (_SETTINGS, style.read_text(encoding="utf-8") + _INLINE),
                (_JUPYTER, f"c.InlineBackend.print_figure_kwargs = {shown}\n"),
            ),
        )


def figures_differ(comparison: Comparison) -> bool:
    """Tell whether any figure is different from the stored one."""
    return any(
        one.verdict is Verdict.DIFFERENT and one.kind.startswith("image/")
        for one in comparison.outputs
    )


def nearer(new: Comparison, old: Comparison) -> bool:
    """Tell whether fewer outputs are different."""
    return new.counts()[Verdict.DIFFERENT] < old.counts()[Verdict.DIFFERENT]


def home_for(drawing: Drawing, base: Path | None, folder: Path) -> Path:
    """Return a home with what is in `base` and the drawing's defaults; made once at `folder`.

    Settings that `base` has already (the source's own script made them) stay. Two threads may
    call it at once.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        if base is not None:
            shutil.copytree(base, new, symlinks=True, dirs_exist_ok=True)
        for name, text in drawing.files:
            target = new / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        new.rename(folder)
    except OSError:
        remove_tree(new)
        if not folder.is_dir():
            raise
    return folder
