"""Stored figures tell which matplotlib drew them, and when that was installed."""

from __future__ import annotations

import base64
import struct
import zlib
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.environments.clock import era_of
from leman.environments.detect.figures import (
    Figures,
    before_names,
    drawn_between,
    inline_limit,
    stored_figures,
)
from leman.environments.infer import needs_of, wants_of
from leman.environments.model import Declarations, Requirement, Source

if TYPE_CHECKING:
    from pathlib import Path


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(software: str = "", dpi: int = 72) -> str:
    """Return the beginning of a PNG as matplotlib writes it, in base64."""
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13))
    if software:
        data += chunk(b"tEXt", b"Software\0" + software.encode())
    if dpi:
        per_metre = round(dpi / 0.0254)
        data += chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    return base64.b64encode(data + chunk(b"IDAT", b"pixels")).decode()


def book(*pictures: str, code: str = "import matplotlib.pyplot as plt", **info: Any) -> Any:
    """Return a notebook of one cell with these figures."""
    outputs = [{"output_type": "display_data", "data": {"image/png": one}} for one in pictures]
    cell = {"cell_type": "code", "source": code, "outputs": outputs, "metadata": {}}
    return {"cells": [cell], "metadata": {"language_info": info}, "nbformat": 4}


NEW = "Matplotlib version3.3.4, https://matplotlib.org/"
OLD = "matplotlib version 2.2.2, http://matplotlib.org/"


def test_the_version_of_most_figures_counts() -> None:
    """Written in three ways over the years, with and without a space."""
    found = stored_figures(book(png(NEW), png(NEW), png(OLD, 100)))
    assert found == Figures("3.3.4", 72)
    assert stored_figures(book(png("matplotlib version3.1.3, http://x"))).version == "3.1.3"
    assert stored_figures(book(png(OLD))).version == "2.2.2"


def test_figures_of_other_programs_say_nothing() -> None:
    """Nor do files that only look like figures."""
    assert stored_figures(book(png("GPL Ghostscript 9.05", 150))) == Figures()
    assert stored_figures(book(png(dpi=0))) == Figures()
    assert stored_figures(book("bm90IGEgcG5n")) == Figures()
    assert stored_figures({"worksheets": [{"cells": [{"outputs": [{"png": png(OLD)}]}]}]}).version


def test_figures_without_a_name_are_old() -> None:
    """Matplotlib names itself since 2.1; other resolutions are other programs'."""
    assert stored_figures(book(png())).old
    assert not stored_figures(book(png(dpi=96))).old
    assert not stored_figures(book(png(), png(NEW))).old


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: base64.b64encode(b).decode()))
def test_no_picture_breaks_the_reader(text: str) -> None:
    """Whatever stands in the place of base64."""
    head = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode().rstrip("=")
    for picture in (text, head + text):
        assert stored_figures(book(picture)).version == ""


def test_an_installation_is_as_old_as_its_matplotlib() -> None:
    """From its release to a quarter after the next one."""
    assert drawn_between("3.3.4") == (date(2021, 1, 28), date(2021, 6, 24))
    assert drawn_between("9.9.9") is None
    assert drawn_between("rubbish") is None
    assert before_names() == date(2018, 1, 5)


@pytest.mark.parametrize(
    ("published", "cutoff"),
    [
        (date(2024, 1, 1), date(2021, 6, 24)),
        (date(2021, 3, 1), date(2021, 3, 1)),
        (date(2020, 1, 1), date(2021, 1, 28)),
    ],
)
def test_the_date_moves_to_the_matplotlib(tmp_path: Path, published: date, cutoff: date) -> None:
    """Later work with an old installation, and outputs newer than the code."""
    source = Source("here", "", tmp_path, "sha256:0", published=published)
    era = era_of(source, "a.ipynb", book(png(NEW), version="3.7.9"), Declarations())
    assert era.cutoff == cutoff
    assert ("matplotlib 3.3.4" in era.cutoff_reason) == (published != cutoff)


def test_an_old_figure_moves_the_date_only_with_an_old_python(tmp_path: Path) -> None:
    """A newer Python cannot have had such a matplotlib."""
    source = Source("here", "", tmp_path, "sha256:0", published=date(2019, 6, 1))
    days = [
        era_of(source, "a.ipynb", book(png(), version=version), Declarations()).cutoff
        for version in ("3.6.8", "3.7.1")
    ]
    assert days == [before_names(), date(2019, 6, 1)]


def versions(notebook: Any, tmp_path: Path, *declared: Requirement) -> dict[str, str]:
    """Return what is asked for of matplotlib and its inline backend."""
    found = Declarations(requirements=declared)
    wants, limits, _ = wants_of(
        needs_of(tmp_path, "a.ipynb", notebook), found, (), on=date(2022, 1, 1), minor="3.6"
    )
    names = {"matplotlib", "matplotlib-inline"}
    return {one.name: one.specifier for one in (*wants, *limits) if one.name in names}


def test_the_same_matplotlib_is_asked_for(tmp_path: Path) -> None:
    """Also where another package draws; never against what the author declares."""
    drawn = book(png(NEW))
    both = {"matplotlib": "==3.3.4", "matplotlib-inline": "<0.1.4"}
    assert versions(drawn, tmp_path) == both
    assert versions(book(png(NEW), code="import pandas"), tmp_path) == both
    range_ = Requirement("matplotlib", ">=3", origin="requirements.txt:1")
    assert versions(drawn, tmp_path, range_)["matplotlib"] == "==3.3.4"
    pin = Requirement("matplotlib", "==3.1.0", origin="requirements.txt:1", pinned=True)
    assert versions(drawn, tmp_path, pin)["matplotlib"] == "==3.1.0"
    assert versions(book(png()), tmp_path) == {"matplotlib": "<2.1"}


def test_a_declared_newer_matplotlib_gets_its_own_inline_backend(tmp_path: Path) -> None:
    """With 3.9 and later an old one shows no figure at all; with an older pin it is kept."""
    for pinned, inline in (("==3.10.0", None), (">=3.9", None), ("==3.1.0", "<0.1.4")):
        asked = Requirement("matplotlib", pinned, origin="requirements.txt:1", pinned=True)
        assert versions(book(png(NEW)), tmp_path, asked).get("matplotlib-inline") == inline


def test_a_resolution_that_the_code_chose_says_nothing() -> None:
    """Nor does matplotlib's own."""
    assert inline_limit(book(code="plt.figure(dpi=72)"), Figures("3.3.4", 72)) == ""
    assert inline_limit(book(), Figures("3.6.1", 100)) == ""
    assert inline_limit(book(), Figures("3.5.1", 144)) == "<0.1.4"
