"""record.html: what it says, and that it says it to everybody."""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from html_reader import parse
from page_samples import (
    REVISION,
    SWHID,
    code,
    data,
    noise,
    notebook,
    picture,
    record,
    stream,
    text,
)

from leman.records.page import as_html
from leman.records.page.citing import bibtex, sentence
from leman.records.page.facts import QUESTIONS, doi, licence_address, size, swhid_address, web
from leman.records.page.notebooks import MOST

if TYPE_CHECKING:
    from pathlib import Path


def sample(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return a record whose notebook shows a bit of everything."""
    table = (
        "<table border='1'><thead><tr><th></th><th>co2</th></tr></thead><tr><td>1</td></tr></table>"
    )
    first = notebook(
        text("# How long is a cycle?\n\nIt is $T$ years, see [the data](raw/spots.csv)."),
        text("## Reading\n\n| a | b |\n|:--|--:|\n| 1 | 2 |"),
        code(["import numpy\n", "print('hello')"], stream("hello\n"), count=7),
        text("## Fitting\n\n### By hand"),
        code("plot()", data(png=picture(), plain="<Figure size 640x480>")),
        code("table()", data(html=table, plain="co2")),
        code(
            "fail()", {"output_type": "error", "ename": "E", "traceback": ["\x1b[31mBoom\x1b[0m"]}
        ),
    )
    return record(folder, first=first)


def test_the_page_says_what_the_record_is(tmp_path: Path) -> None:
    """Title, people, licence, source, data elsewhere and environment are all on it."""
    said = parse(as_html(*sample(tmp_path))).said
    for expected in (
        "Eleven years of the sun",
        "Ada Lovelace",
        "Observatory of Geneva",
        "Software, Writing - original draft",
        "25 November 2026",
        "1.2.0",
        "CC-BY-4.0",
        "The period is 10.9 years.",
        "sunspots, spectra",
        REVISION,
        SWHID,
        "analysis",
        "CITATION.cff",
        "lost.csv",
        "looks like a credential",
        "Python 3.11.7 as of 2024-06-01",
        "2 packages",
        "3.5 GB",
        "9f" * 32,
        "No tag of the authors waives or widens a comparison.",
    ):
        assert expected in said, expected
    assert "secret" not in said


def test_the_page_links_people_licence_and_identifiers(tmp_path: Path) -> None:
    """ORCID, DOI, SPDX and Software Heritage are linked; files lead into the data folder."""
    links = [one.get("href") for one in parse(as_html(*sample(tmp_path))).named("a")]
    for expected in (
        "https://orcid.org/0000-0002-1825-0097",
        "https://doi.org/10.5281/zenodo.1234567",
        "https://spdx.org/licenses/CC-BY-4.0.html",
        f"https://archive.softwareheritage.org/{SWHID}",
        "https://example.org/sun",
        "https://example.org/raw.nc",
        "data/report/report.html",
        "data/report/environments/0123456789ab/pylock.toml",
        "data/report/notebooks/first.ipynb",
        "data/source/raw/spots.csv",
    ):
        assert expected in links, expected


def test_the_five_answers_differ_in_words_and_shape(tmp_path: Path) -> None:
    """Each question has its value, reason and a mark that is told apart without colour."""
    page = as_html(*sample(tmp_path))
    said = parse(page).said
    for name, meaning in QUESTIONS.values():
        assert f"{name}{meaning}" in said
    assert "Yes38 files agree." in said
    assert "Not checkedNo time stamp was asked for." in said
    assert "No1 output differs." in said
    marks = re.findall(r'<svg class="mark mark-(\w+)"[^>]*>(.*?)</svg>', page)
    assert [kind for kind, _ in marks] == ["yes", "yes", "open", "yes", "no"]
    assert len({drawn for _, drawn in marks}) == 3


def test_an_answer_that_is_missing_was_not_checked(tmp_path: Path) -> None:
    """Nothing becomes a yes by being absent or unknown."""
    facts, place = sample(tmp_path)
    facts["answers"] = {"intact": {"value": "certainly"}, "signed": None}
    page = as_html(facts, place)
    assert page.count('class="mark mark-open"') == 5
    assert 'class="mark mark-yes"' not in page


def test_the_page_says_that_it_proves_nothing_and_how_to_check(tmp_path: Path) -> None:
    """The command of leman and those of common programs stand on the page."""
    said = parse(as_html(*sample(tmp_path))).said
    assert "This page proves nothing by itself: a page can claim anything." in said
    for command in (
        "leman verify .",
        "sha256sum -c manifest-sha256.txt",
        "sha256sum -c tagmanifest-sha256.txt",
        "ssh-keygen -Y verify -n leman-record@v1",
        "openssl ts -verify",
        "bagit.py --validate .",
    ):
        assert command in said, command


def test_notebooks_are_shown_as_they_ran(tmp_path: Path) -> None:
    """Text, code, counts, tables, pictures and errors of the executed notebook are there."""
    page = as_html(*sample(tmp_path))
    reader = parse(page)
    for expected in ("How long is a cycle?", "print('hello')", "hello", "Boom", "same, exactly"):
        assert expected in reader.said, expected
    assert "[31m" not in page
    assert {"data-count": "7", "class": "source"} in reader.named("pre")
    assert '<span class="k">import </span>' in page
    (image,) = reader.named("img")
    assert image["alt"] == "Picture made by cell 5"
    assert image["src"] == f"data:image/png;base64,{picture()}"
    assert "<th>co2</th>" in page
    assert '<td align="right">2</td>' in page


def test_code_that_is_slow_to_colour_is_plain(tmp_path: Path) -> None:
    """A language whose lexer hostile code can keep busy is shown without colours, and whole."""
    for language, coloured in (("python3", False), ("ipython3", True), ("R", True), ("c", False)):
        content = notebook(code("if\n" + "\n" * 30_000 + "1"), code("if 1"), language=language)
        page = as_html(*record(tmp_path, a=content))
        assert ('<span class="k">if </span>' in page) is coloured, language
        assert "if" in parse(page).said


def test_each_notebook_has_its_contents(tmp_path: Path) -> None:
    """The headings of a notebook lead to its parts; no level of headings is left out."""
    reader = parse(as_html(*sample(tmp_path)))
    anchors = {one["id"] for _, one in reader.elements if one.get("id")}
    links = [str(one.get("href")) for one in reader.named("a")]
    assert "#n1-Reading" in links
    assert all(link[1:] in anchors for link in links if link.startswith("#"))
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_exempt_cells_are_listed_and_marked(tmp_path: Path) -> None:
    """What is not compared stands in a list that leads to the cell, and beside the cell."""
    facts, place = sample(tmp_path)
    facts["exempt"] = [
        {"notebook": "first.ipynb", "cell": 2, "tag": "leman-exempt"},
        {"notebook": "first.ipynb", "cell": 2, "tag": "leman-rtol=1e-3"},
        {"notebook": "first.ipynb", "cell": 99, "tag": "leman-skip"},
    ]
    page = as_html(facts, place)
    assert '<a href="#n1-cell-3">cell 3</a>' in page
    assert "cell 100" in parse(page).said
    assert "tag leman-exempt, leman-rtol=1e-3." in parse(page).said


def test_without_a_run_the_authors_notebook_is_shown(tmp_path: Path) -> None:
    """A skipped notebook shows what its author stored, and says so."""
    facts, place = sample(tmp_path)
    (place / "report/notebooks/first.ipynb").unlink()
    facts["notebooks"][0] |= {"status": "skipped", "same": "not-compared", "executed": ""}
    said = parse(as_html(facts, place)).said
    assert "There is no run of it in the record" in said
    assert "print('hello')" in said
    assert "skipped" in said


def test_the_same_record_gives_the_same_page(tmp_path: Path) -> None:
    """The page is a function of facts and files: it can be listed in a manifest."""
    one, other = sample(tmp_path / "one"), sample(tmp_path / "other")
    assert as_html(*one) == as_html(*other)


def test_a_record_with_next_to_nothing_has_a_page(tmp_path: Path) -> None:
    """Without description, notebooks or files there is still a page, and it names the gaps."""
    said = parse(as_html({}, tmp_path)).said
    for expected in ("Untitled record", "No authors are named.", "The record holds no notebooks."):
        assert expected in said, expected


def test_pictures_beside_a_notebook_and_attached_ones_are_shown(tmp_path: Path) -> None:
    """An author's picture comes from the source folder or the cell, and keeps its words."""
    cell = text(
        "![The sun](figures/sun%201.jpg) ![](attachment:moon.png)"
        f" <img src='data:image/png;base64,{noise(20)}'>",
        attachments={"moon.png": {"image/png": picture()}},
    )
    facts, place = record(tmp_path, a=notebook(cell))
    (place / "source/figures").mkdir()
    (place / "source/figures/sun 1.jpg").write_bytes(base64.b64decode(picture("JPEG")))
    images = parse(as_html(facts, place)).named("img")
    assert [one["alt"] for one in images] == ["The sun", "moon.png", "picture"]
    assert str(images[0]["src"]).startswith("data:image/jpeg;base64,")


def test_what_needs_a_script_is_named(tmp_path: Path) -> None:
    """Widgets and scripts are not run; their text stands in, and the page says so."""
    cells = (
        code("a", data(widget={"model_id": "1"}, plain="IntSlider(value=3)")),
        code("b", data(script="alert(1)")),
        code("c", data(html="<div id='p'></div><script>Plotly.newPlot()</script>")),
    )
    said = parse(as_html(*record(tmp_path, a=notebook(*cells)))).said
    assert "IntSlider(value=3)" in said
    assert said.count("is not shown: nothing on this page may run.") == 3
    assert "Plotly" not in said


def test_many_notebooks_are_listed(tmp_path: Path) -> None:
    """More notebooks than a page can hold are named with their verdicts, and counted."""
    facts, place = record(tmp_path)
    facts["notebooks"] = [
        {"path": f"{number}.ipynb", "executed": "", "status": "failed", "same": ""}
        for number in range(MOST + 5)
    ]
    page = as_html(facts, place)
    assert page.count('class="notebook"') == MOST
    assert f"<code>{MOST + 4}.ipynb</code>" in page


def test_room_is_shared_fairly(tmp_path: Path) -> None:
    """A huge notebook takes nothing from a small one that comes after it."""
    huge = notebook(*(code(f"x = {number}\n" * 400) for number in range(2_000)))
    small = notebook(*(code(f"small = {number}") for number in range(100)))
    page = as_html(*record(tmp_path, a=huge, b=small))
    assert len(page.encode()) < 5_000_000
    said = parse(page).said
    assert "small = 99" in said
    assert "more cells are not here, to keep this page small" in said


def test_the_page_stays_below_its_limit(tmp_path: Path) -> None:
    """Pictures without end are left out, and the notebook that has them is linked."""
    image = noise(800)
    cells = (code("plot()", data(png=image)) for _ in range(12))
    page = as_html(*record(tmp_path, a=notebook(*cells)))
    assert 1_000_000 < len(page.encode()) < 5_000_000
    assert "A picture is left out, to keep this page small." in page
    assert "were left out, to keep this page small" in page


def test_the_citation_is_whole() -> None:
    """People, year, title, version and address stand in one sentence."""
    assert sentence("On Cycles", ["A B", "C D", "E F"], "2026", "1.2", "https://doi.org/x") == (
        "A B, C D and E F (2026). On Cycles (version 1.2) [Notebooks and their results]. https://doi.org/x"
    )
    assert sentence("T", [], "", "", "").startswith("Anonymous (undated). T [")


def test_bibtex_is_escaped() -> None:
    """Characters with a meaning in TeX lose it; an institute stays one author."""
    entry = bibtex(
        "50% of {all} \\LaTeX_users & more",
        ["Émile Zola", "Centre for Earth and Space"],
        "2026",
        "",
        doi="10.1/a_b",
        url="",
    )
    assert entry.startswith("@misc{zola2026latexusers,")
    assert r"{{50\% of \{all\} \textbackslash{}LaTeX\_users \& more}}" in entry
    assert "{Émile Zola and {Centre for Earth and Space}}" in entry
    assert "10.1/a_b" in entry
    assert "version" not in entry


@pytest.mark.parametrize(
    ("given", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3_456_789_012, "3.5 GB"),
     (999_600, "1.0 MB"), (10**20, "100,000 PB"),
     (-1, "unknown"), ("9", "unknown"), (True, "unknown")],
)  # fmt: skip
def test_sizes_read_as_people_say_them(given: Any, said: str) -> None:
    """Bytes become kilobytes and more; what is no size is unknown."""
    assert size(given) == said


def test_only_identifiers_become_links() -> None:
    """A DOI, SWHID, licence or address that is none is shown, not linked."""
    assert doi("https://doi.org/10.5281/zenodo.1") == "10.5281/zenodo.1"
    assert doi('10.5281/x" onclick="') == ""
    assert swhid_address(SWHID + ";origin=x").endswith(SWHID)
    assert swhid_address("swh:1:dir:xyz") == ""
    assert licence_address("MIT OR Apache-2.0") == ""
    assert web("javascript:alert(1)") == ""
    assert web("https://[bad") == ""
    assert web("https://token@example.org/a") == "https://example.org/a"
