"""Figures of an old matplotlib are drawn once more as it drew them."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from leman.reproduction.drawing import drawings, figures_differ, home_for, nearer
from leman.reproduction.model import Comparison, OutputVerdict, Same, Verdict

if TYPE_CHECKING:
    from pathlib import Path

CLASSIC = "site/matplotlib/mpl-data/stylelib/classic.mplstyle"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def notebook(dpi: int, software: bytes = b"") -> dict[str, Any]:
    """Return a notebook with a stored figure of a resolution, which may name its program."""
    per_metre = round(dpi / 0.0254)
    named = chunk(b"tEXt", b"Software\0" + software) if software else b""
    size = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    resolution = chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + named + resolution
    png = base64.b64encode(head + chunk(b"IDAT", zlib.compress(b"\0" * 4))).decode()
    output = {"output_type": "display_data", "data": {"image/png": png}, "metadata": {}}
    cell = {"cell_type": "code", "source": "plot()", "metadata": {}, "outputs": [output]}
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}


def compared(*kinds: str) -> Comparison:
    """Return a comparison in which outputs of these kinds are different."""
    verdicts = [
        OutputVerdict(number, 0, kind, Verdict.DIFFERENT) for number, kind in enumerate(kinds)
    ]
    return Comparison(tuple(verdicts), Same.NO if kinds else Same.EXACT)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder of packages with matplotlib's old style."""
    style = tmp_path / CLASSIC
    style.parent.mkdir(parents=True)
    style.write_text("lines.linewidth: 1.0\n")
    return tmp_path / "site"


def test_figures_without_a_name_are_drawn_in_the_old_style(site: Path) -> None:
    """With the style of the environment's own matplotlib, at the resolution that is stored."""
    (found,) = drawings(notebook(72), site)
    settings, jupyter = (text for _, text in found.files)
    assert settings.startswith("lines.linewidth: 1.0")
    assert "figure.figsize: 6, 4" in settings
    assert "'dpi': 72" in jupyter
    (retina,) = drawings(notebook(144), site)
    assert retina.name != found.name


def test_figures_of_a_newer_matplotlib_are_left_alone(site: Path, tmp_path: Path) -> None:
    """Those that name it, those of other resolutions, and all where there is no such style."""
    assert not list(drawings(notebook(72, b"matplotlib version 3.1.0"), site))
    assert not list(drawings(notebook(100), site))
    assert not list(drawings(notebook(72), tmp_path / "empty"))
    assert not list(drawings(notebook(72), None))


def test_a_home_keeps_what_the_source_set_itself(site: Path, tmp_path: Path) -> None:
    """Defaults come to what is there; a file of the same name stays as it is."""
    base = tmp_path / "base"
    (base / ".config/matplotlib").mkdir(parents=True)
    (base / ".config/matplotlib/matplotlibrc").write_text("axes.grid: True\n")
    (found,) = drawings(notebook(72), site)
    home = home_for(found, base, tmp_path / "homes" / "one")
    assert (home / ".config/matplotlib/matplotlibrc").read_text() == "axes.grid: True\n"
    assert (
        "InlineBackend" in (home / ".ipython/profile_default/ipython_kernel_config.py").read_text()
    )
    assert home_for(found, base, home) == home
    alone = home_for(found, None, tmp_path / "homes" / "other")
    assert "linewidth" in (alone / ".config/matplotlib/matplotlibrc").read_text()


def test_it_is_kept_only_where_fewer_outputs_differ() -> None:
    """A figure has to differ for a further run, and an output has to become the same by it."""
    assert figures_differ(compared("image/png"))
    assert not figures_differ(compared("text/plain", "stream"))
    assert nearer(compared("stream"), compared("stream", "image/png"))
    assert not nearer(compared("image/png"), compared("image/png"))
