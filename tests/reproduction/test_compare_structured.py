# ruff: noqa: E501 - strategies read best on one line
"""JSON outputs and SVG drawings."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import matplotlib as mpl
import pytest
from comparing import display, only, passes
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from leman.reproduction.model import Verdict


def chart(y: Any, **more: Any) -> dict[str, Any]:
    """Return a Plotly figure."""
    trace = {"type": "scatter", "name": "a", "y": y, "uid": more.pop("uid", "1")}
    return {"data": [trace], "layout": {"template": more.pop("template", {}), **more}}


def plotly(stored: Any, new: Any) -> Verdict:
    """Compare two Plotly figures whose text forms are of no use."""
    return only(display(plotly=stored, plain="x"), display(plotly=new, plain="y")).verdict


def test_generated_ids_and_defaults_are_no_result() -> None:
    """A trace's uid and the default template of a version do not count."""
    one = chart([1.0, 2.0], uid="abc", template={"layout": {"font": 1}})
    assert plotly(one, chart([1.0, 2.0], uid="def")) is Verdict.NORMALISED


def test_typed_arrays_equal_lists() -> None:
    """Plotly 6 stores numbers as base64; they equal the list that Plotly 5 stored."""
    numbers = [1.0, 2.5, -3.25]
    packed = {"dtype": "f8", "bdata": base64.b64encode(struct.pack("<3d", *numbers)).decode()}
    wrong = {"dtype": "f8", "bdata": base64.b64encode(struct.pack("<3d", 1.0, 2.5, 3.25)).decode()}
    assert plotly(chart(numbers), chart(packed)) is Verdict.NORMALISED
    assert plotly(chart(numbers), chart(wrong)) is Verdict.DIFFERENT


def test_json_that_was_stored_as_text_is_read() -> None:
    """Some front ends store JSON as a string or a list of strings."""
    assert plotly(chart([1, 2]), '{"data": [{"type": "scatter", "name": "a", "y": [1, 2],'
                  ' "uid": "9"}], "layout": {"template": {}}}') is Verdict.NORMALISED  # fmt: skip


def test_broken_json_is_not_compared_and_said_so() -> None:
    """JSON that cannot be read is a failed comparison, never an equal one."""
    verdict = only(display(json="{broken"), display(json="{broken too"))
    assert verdict.verdict is Verdict.NOT_COMPARED
    assert "failed" in verdict.detail


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": {"x": 1}}, {"b": {"x": 1}}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": []}, {"a": {}}),
        ({"a": "red"}, {"a": "blue"}),
        ({"a": None}, {"a": 0}),
        ({"a": True}, {"a": 1}),
        ({"a": 1e-17}, {"a": 3e-17}),
        ({"a": [1.0, 1e-17]}, {"a": [1.0, -1e-17]}),
    ],
)
def test_what_json_says_counts(stored: Any, new: Any) -> None:
    """Values, keys, order in lists and types are results."""
    assert only(display(json=stored), display(json=new)).verdict is Verdict.DIFFERENT


def test_vega_datasets_are_named_by_hash() -> None:
    """The name of an inline dataset is its hash in one version and not in another."""
    one = {"datasets": {"data-" + "0a" * 16: [{"x": 1}]}, "data": {"name": "data-" + "0a" * 16}}
    two = {"datasets": {"data-" + "ff" * 16: [{"x": 1}]}, "data": {"name": "data-" + "ff" * 16}}
    assert only(display(vega=one), display(vega=two)).verdict is Verdict.NORMALISED


LEAVES = st.one_of(st.integers(-99, 99), st.floats(-9, 9).map(lambda x: round(x, 3)), st.booleans())
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES)
def test_only_equal_json_passes(stored: Any, new: Any) -> None:
    """Two documents pass exactly if they hold the same values at the same places."""
    found = only(display(json={"v": stored}), display(json={"v": new})).verdict
    assert passes(found) == (_plain(stored) == _plain(new))


def _plain(value: Any) -> Any:
    """Tell True from 1, which Python calls equal."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return (isinstance(value, bool), value)


def drawing(*y: float, salt: str = "a") -> str:
    """Return a figure as matplotlib's SVG; `salt` makes the ids."""
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1, 2], y)
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg")
    return out.getvalue()


def test_svg_is_compared_by_what_it_draws() -> None:
    """Ids and the date in it do not count; a point that moved does."""
    one = drawing(0, 2, 1)
    other = drawing(0, 2, 1, salt="b")
    assert one != other
    assert only(display(svg=one), display(svg=other)).verdict is Verdict.NORMALISED
    moved = drawing(0, 2, 1.02)
    assert only(display(svg=one), display(svg=moved)).verdict is Verdict.DIFFERENT


def test_a_library_that_the_page_loads_is_no_result_but_its_chart_is() -> None:
    """Plotly's loader appears with some versions and not with others; a figure that is gone is a loss."""
    from comparing import notebook  # noqa: PLC0415

    from leman.reproduction.compare import compare  # noqa: PLC0415

    loader = display(html="<script>window.PlotlyConfig = {}; define('plotly', '<svg>')</script>")
    call = "Plotly.newPlot('12345678-1234-1234-1234-123456789abc', [{\"y\": [1]}], {})"
    drawing = display(html=f"<script>window.PlotlyConfig = {{}}; {call}</script>")
    table = display(html="<table><tr><td>1</td></tr></table>")
    verdicts = [
        compare(notebook(table), notebook(extra, table)).outputs for extra in (loader, drawing)
    ]
    assert {one.verdict for one in verdicts[0]} == {Verdict.NOT_COMPARED, Verdict.IDENTICAL}
    assert Verdict.DIFFERENT in {one.verdict for one in verdicts[1]}
