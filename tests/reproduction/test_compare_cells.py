# ruff: noqa: E501 - samples and strategies read best on one line
"""Cells, outputs that one side lacks, tags, and what the verdicts amount to."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from comparing import display, error, notebook, only, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.reproduction.compare import compare
from leman.reproduction.model import Same, Verdict

NAMED = "<Figure size 432x288 with 1 Axes>"


def verdicts(stored: Any, new: Any, again: Any = None) -> list[Verdict]:
    """Return the verdicts over two notebooks."""
    return [one.verdict for one in compare(stored, new, again).outputs]


def test_equal_notebooks_are_exact() -> None:
    """A notebook equals itself, run twice or not."""
    one = notebook(stream("1\n"), display(html="<b>2</b>", plain="2"), error("ValueError", "no"))
    assert compare(one, copy.deepcopy(one)).same is Same.EXACT
    assert compare(one, copy.deepcopy(one), copy.deepcopy(one)).same is Same.EXACT


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("1.5\n", Same.EXACT),
        ("1.50\n", Same.NORMALISED),
        ("1.5000000001", Same.TOLERANT),
        ("1.6", Same.NO),
    ],
)
def test_the_weakest_verdict_decides(new: str, same: Same) -> None:
    """Over several outputs the weakest is what the notebook amounts to."""
    stored = notebook(stream("1.5\n"), display(plain="a"))
    assert compare(stored, notebook(stream(new), display(plain="a"))).same is same


def test_nothing_stored_is_not_compared() -> None:
    """Cleared outputs are no difference, and nothing is claimed."""
    comparison = compare(notebook(), notebook(stream("1"), display(plain="2")))
    assert comparison.same is Same.NOT_COMPARED
    assert {one.detail for one in comparison.outputs} == {"nothing is stored to compare with"}
    assert compare(notebook(), notebook()).same is Same.NOT_COMPARED


def test_streams_are_merged_before_they_are_compared() -> None:
    """How a kernel cuts a stream into pieces, and where stderr falls between, is chance."""
    stored = notebook(stream("a\n"), stream("b\n"), stream("w", "stderr"), stream(["c", "\n"]))
    new = notebook(stream("a\nb\nc\n"), stream("w", "stderr"))
    assert verdicts(stored, new) == [Verdict.IDENTICAL, Verdict.IDENTICAL]


@pytest.mark.parametrize(
    "gone",
    [stream("result 3"), display(png="abc", plain=NAMED), display(plain="3"), error("ValueError", "x"),
     stream("Traceback (most recent call last):\n x", "stderr"), display(html="<b>3</b>")],
)  # fmt: skip
def test_a_result_that_is_missing_is_different(gone: dict[str, Any]) -> None:
    """A stored result which the new run lacks is different; so is one too many, but on stderr."""
    stored, new = notebook(stream("kept\n"), gone), notebook(stream("kept\n"))
    if gone.get("name") == "stdout":
        stored, new = notebook(display(plain="kept"), gone), notebook(display(plain="kept"))
    assert Verdict.DIFFERENT in verdicts(stored, new)
    extra = verdicts(new, stored)
    assert (Verdict.DIFFERENT in extra) == (gone.get("name") != "stderr")


@pytest.mark.parametrize(
    "gone",
    [
        stream("/a/b.py:3: FutureWarning: old\n  old()\n", "stderr"),
        stream("100%|####| 3/3 [00:01<00:00, 2it/s]\n"),
        display(plain="[<matplotlib.lines.Line2D at 0x7f1>]"),
        display(plain=NAMED),
        stream("Collecting numpy\nInstalling collected packages: numpy\n"),
        display(widget={"model_id": "a"}),
    ],
)
def test_what_is_no_result_may_be_missing(gone: dict[str, Any]) -> None:
    """Warnings, progress, installers and names of objects are listed, not held against a run."""
    stored, new = notebook(display(plain="3"), gone), notebook(display(plain="3"))
    assert verdicts(stored, new) == [Verdict.IDENTICAL, Verdict.NOT_COMPARED]
    assert verdicts(new, stored) == [Verdict.IDENTICAL, Verdict.NOT_COMPARED]
    assert compare(stored, new).same is Same.EXACT


def test_one_output_too_many_does_not_shift_the_others() -> None:
    """Outputs are aligned by kind where their numbers differ."""
    stored = notebook(display(plain="1"), display(html="<b>2</b>"), error("E", "x"))
    new = notebook(display(plain="1"), stream("late"), display(html="<b>2</b>"), error("E", "x"))
    assert verdicts(stored, new).count(Verdict.IDENTICAL) == 3


@pytest.mark.parametrize(
    ("stored", "new", "expected"),
    [
        (error("KeyError", "'a'"), error("KeyError", "'a'"), Verdict.IDENTICAL),
        (error("KeyError", "'a'"), error("KeyError", "'b'"), Verdict.DIFFERENT),
        (error("KeyError", "'a'"), error("NameError", "'a'"), Verdict.DIFFERENT),
        (error("E", "<a at 0x7f12>"), error("E", "<a at 0x7f99>"), Verdict.NORMALISED),
        (error("E", "x"), display(plain="x"), Verdict.DIFFERENT),
        (display(plain="x"), error("E", "x"), Verdict.DIFFERENT),
    ],
)
def test_errors_are_compared_by_name_and_message(
    stored: dict[str, Any], new: dict[str, Any], expected: Verdict
) -> None:
    """Tracebacks hold paths and code of libraries, names and messages hold the result."""
    assert only(stored, new).verdict is expected


def test_a_new_error_counts_where_the_author_ran_the_cell() -> None:
    """An error in a cell that printed nothing is different; in one never run it is listed."""
    assert verdicts(notebook(), notebook(error("E", "x"))) == [Verdict.DIFFERENT]
    never = notebook(count=None)
    assert verdicts(never, notebook(error("E", "x"))) == [Verdict.NOT_COMPARED]


def test_warnings_on_stderr_are_not_compared() -> None:
    """Warnings differ between versions; other text on stderr is compared."""
    one = stream("/x/a.py:1: UserWarning: a\n  f()\n", "stderr")
    two = stream("/y/b.py:2: FutureWarning: b\n  g()\n", "stderr")
    found = only(one, two)
    assert found.verdict is Verdict.NOT_COMPARED
    assert found.detail == "stderr: warnings and progress only"
    written = only(stream("result 1", "stderr"), stream("result 2", "stderr"))
    assert written.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "text", ["Selecting {} features", "accuracy {}%", "Setting up {}", "p = {}"]
)
def test_results_that_read_like_chatter_are_compared(name: str, text: str) -> None:
    """Words that installers and progress bars use as well do not hide a number."""
    found = only(stream(text.format(93), name), stream(text.format(94), name))
    assert found.verdict is Verdict.DIFFERENT


def test_widgets_are_said_not_to_be_compared() -> None:
    """A widget's view holds a random id only."""
    one = display(widget={"model_id": "1"}, plain="HBox(children=())")
    two = display(widget={"model_id": "2"}, plain="HBox(children=())")
    assert only(one, two).verdict is Verdict.NOT_COMPARED
    assert "widget" in only(one, two).detail


def test_the_richest_common_form_decides() -> None:
    """JSON before HTML before text: the text beside it is not consulted."""
    one = display(plotly={"y": [1]}, html="<b>1</b>", plain="1")
    two = display(plotly={"y": [1]}, html="<b>2</b>", plain="2")
    assert only(one, two).verdict is Verdict.IDENTICAL
    assert only(one, two).kind == "application/vnd.plotly.v1+json"
    three = display(html="<b>1</b>", plain="9")
    assert only(one, three).kind == "text/html"


def test_exempt_and_volatile_tags() -> None:
    """The author's tags exempt a cell or call it volatile; an error is never excused so."""
    for tag in ("leman:exempt", "nbval-ignore-output", "nbval-skip"):
        comparison = compare(notebook(stream("1"), tags=[tag]), notebook(stream("2")))
        assert [one.verdict for one in comparison.outputs] == [Verdict.EXEMPT]
        assert comparison.same is Same.NOT_COMPARED
    volatile = notebook(stream("1"), tags=["leman:volatile"])
    assert verdicts(volatile, notebook(stream("2"))) == [Verdict.VOLATILE]
    assert compare(volatile, notebook(stream("2"))).same is Same.NOT_COMPARED
    assert verdicts(volatile, volatile) == [Verdict.VOLATILE]
    assert verdicts(volatile, notebook(error("E", "x"))) == [Verdict.DIFFERENT]


def test_the_tolerance_tag() -> None:
    """A cell's own tolerance holds for fractions in that cell, never for whole numbers."""
    stored = notebook(stream("0.5000 7"), tags=["leman:rtol=1e-2"])
    assert verdicts(stored, notebook(stream("0.5001 7"))) == [Verdict.TOLERANT]
    assert verdicts(stored, notebook(stream("0.6 7"))) == [Verdict.DIFFERENT]
    assert verdicts(stored, notebook(stream("0.5000 8"))) == [Verdict.DIFFERENT]


@pytest.mark.parametrize("tag", ["leman:rtol=much", "leman:rtol=-1", "leman:rtol=inf", "leman:odd"])
def test_a_bad_tag_is_ignored_and_said_so(tag: str) -> None:
    """A tag that cannot be read changes nothing, and the detail names it."""
    (verdict,) = compare(notebook(stream("1.0"), tags=[tag]), notebook(stream("2.0"))).outputs
    assert verdict.verdict is Verdict.DIFFERENT
    assert tag in verdict.detail


def test_a_broken_comparison_is_no_all_clear() -> None:
    """Where a comparison fails inside, the notebook is not called the same."""
    good = stream("1")
    comparison = compare(
        notebook(good, display(json="{")), notebook(copy.deepcopy(good), display(json="{{"))
    )
    assert comparison.same is Same.NOT_COMPARED


def test_cells_are_found_again_where_one_was_added() -> None:
    """With another number of cells they are paired by their sources."""
    stored = {"cells": [{"cell_type": "code", "source": "a", "outputs": [stream("1")]}]}
    new = {"cells": [{"cell_type": "code", "source": "added", "outputs": []}, *stored["cells"]]}
    assert compare(stored, new).same is Same.EXACT
    assert compare(stored, {"cells": []}).same is Same.NO


def test_notebooks_of_format_3_are_read() -> None:
    """Worksheets, pyout and pyerr of the old format hold the same outputs."""
    old = {
        "nbformat": 3,
        "worksheets": [
            {"cells": [{"cell_type": "code", "input": "x", "prompt_number": 1, "outputs": [
                {"output_type": "pyout", "text": ["3"], "html": "<b>3</b>"},
                {"output_type": "stream", "stream": "stdout", "text": "a"},
                {"output_type": "pyerr", "ename": "E", "evalue": "x", "traceback": []},
            ]}]}
        ],
    }  # fmt: skip
    new = notebook(display(plain="3", html="<b>3</b>"), stream("a"), error("E", "x"))
    assert compare(old, new).same is Same.EXACT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)  # fmt: skip
KEYS = st.sampled_from(
    ["cells", "outputs", "metadata", "tags", "data", "text", "output_type", "name", "ename",
     "execution_count", "cell_type", "source", "text/plain", "text/html", "image/png",
     "application/json", "image/svg+xml", "application/vnd.jupyter.widget-view+json"]
)  # fmt: skip
TYPES = st.sampled_from(["stream", "error", "display_data", "execute_result", "code", "stdout"])
ODD = st.recursive(
    JSON | TYPES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)
)  # fmt: skip
OUTPUTS = st.fixed_dictionaries(
    {"output_type": TYPES}, optional={"data": st.dictionaries(KEYS, ODD, max_size=3), "text": ODD, "name": ODD}
)  # fmt: skip
NOTEBOOKS = st.one_of(
    ODD,
    st.builds(
        lambda outputs, tags: {"cells": [{"outputs": outputs, "metadata": {"tags": tags}}]},
        st.lists(OUTPUTS | ODD, max_size=4),
        ODD,
    ),
)


@settings(max_examples=300, deadline=None)
@given(NOTEBOOKS, NOTEBOOKS, NOTEBOOKS)
def test_no_notebook_raises(stored: Any, new: Any, again: Any) -> None:
    """Whatever JSON is given as a notebook, there is a comparison, and itself is never NO."""
    assert compare(stored, new, again).same in Same
    assert compare(stored, copy.deepcopy(stored), again).same is not Same.NO
