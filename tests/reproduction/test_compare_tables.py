# ruff: noqa: E501, RUF001 - samples stand as they are stored
"""HTML: tables cell by cell, text, pictures inside it, charts drawn by its scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from comparing import display, only, passes
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = "<style scoped>\n    .dataframe tbody tr th { vertical-align: top; }\n</style>\n"


def frame(*rows: Sequence[object], columns: str = "ab") -> str:
    """Return pandas' HTML of a frame."""
    html: str = pd.DataFrame(list(rows), columns=list(columns)).to_html()
    return html


def tables(stored: str, new: str) -> Verdict:
    """Compare two pieces of HTML that come with a text form."""
    return only(display(html=stored, plain="one"), display(html=new, plain="other")).verdict


def test_looks_of_a_table_are_no_result() -> None:
    """Scoped styles, borders, class names and generated ids do not count."""
    table = frame([1, 2.5], [3, 4.5])
    styled = f"<div>\n{STYLE}{table}</div>".replace('border="1" ', "")
    assert tables(table, styled) is Verdict.NORMALISED
    one = '<table id="T_1a2b3"><tr><td id="T_1a2b3_row0" class="data">1.5</td></tr></table>'
    assert tables(one, one.replace("1a2b3", "99fff")) is Verdict.NORMALISED


def test_colab_buttons_around_a_table_are_no_result() -> None:
    """A frame stored by Colab equals the plain one, and a wrong cell in it is still seen."""
    table = frame([1, 2.5], [3, 4.5])
    colab = (
        f'<div id="df-12ab34cd" class="colab-df-container"><div>{STYLE}{table}</div>'
        '<div class="colab-df-buttons"><button>Convert</button><script>go("df-12ab34cd")</script>'
        "</div></div>"
    )
    assert tables(colab, table) is Verdict.NORMALISED
    assert tables(colab, table.replace("4.5", "4.6")) is Verdict.DIFFERENT


def test_the_detail_names_the_cell() -> None:
    """A referee reads in which table, row and column the numbers differ."""
    stored = display(html=frame([1, 2.5], [3, 4.5]))
    new = display(html=frame([1, 2.5], [3, 4.75]))
    verdict = only(stored, new)
    assert verdict.kind == "text/html"
    assert "stored 4.5, new 4.75 (table 1, row 3, column 3)" in verdict.detail


def test_numbers_in_cells_have_a_tolerance() -> None:
    """A cell of more digits is rounded to the other's, one of other digits is different."""
    one = "<table><tr><td>0.123456</td></tr></table>"
    assert tables(one, one.replace("0.123456", "0.12345611")) is Verdict.TOLERANT
    assert tables(one, one.replace("0.123456", "0.123457")) is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("<p>5 rows × 3 columns</p>", "<p>6 rows × 3 columns</p>"),
        ("<b>Result:</b> 12", "<b>Result:</b> 13"),
        ('<iframe src="https://a.example/1"></iframe>', '<iframe src="https://a.example/2"></iframe>'),
        ('<progress value="3" max="9"></progress>x', '<progress value="4" max="9"></progress>x'),
        ('<svg><circle cx="1.5" r="2"/></svg>', '<svg><circle cx="1.9" r="2"/></svg>'),
        ("<pre>a  1\nb  2</pre>", "<pre>a  1\nb  3</pre>"),
        ("<table><tr><td>1<td>2</table>", "<table><tr><td>1<tr><td>2</table>"),
        ("<table><tr><td></td><td>2</td></tr></table>", "<table><tr><td>2</td><td></td></tr></table>"),
        ("<table><tr><td>1</td></tr></table>", "<table><tr><td>1</td></tr><tr><td>2</td></tr></table>"),
        ("<td colspan=2>a</td>", "<td colspan=3>a</td>"),
    ],
)  # fmt: skip
def test_content_of_html_counts(stored: str, new: str) -> None:
    """Text, addresses, shapes, geometry and the place of a cell are results."""
    assert tables(stored, new) is Verdict.DIFFERENT
    assert tables(new, stored) is Verdict.DIFFERENT


def test_dates_in_a_regression_summary_are_no_result() -> None:
    """The Date and Time cells of statsmodels are time stamps; other dates are data."""
    row = "<table><tr><th>Date:</th><td>Mon, 15 Feb 2016</td></tr><tr><th>Time:</th><td>12:13:46</td></tr></table>"
    later = row.replace("Mon, 15 Feb 2016", "Tue, 01 Mar 2022").replace("12:13:46", "08:00:01")
    assert tables(row, later) is Verdict.NORMALISED
    data = "<table><tr><td>2016-02-15</td></tr></table>"
    assert tables(data, data.replace("15", "16")) is Verdict.DIFFERENT


def plotly(y: str, identifier: str) -> str:
    """Return HTML as Plotly's notebook renderer makes it."""
    return (
        f'<div id="{identifier}"></div><script>var x = document.getElementById("{identifier}");'
        f'Plotly.newPlot("{identifier}", [{{"type": "scatter", "y": {y}}}], {{"title": "a"}});</script>'
    )


def test_charts_in_scripts_are_read() -> None:
    """Plotly's data inside a script is compared; the ids around it are not."""
    one = plotly("[1, 2.5]", "0b1c2d3e-aaaa-bbbb-cccc-0123456789ab")
    same = plotly("[1, 2.5]", "ffffffff-aaaa-bbbb-cccc-0123456789ab")
    wrong = plotly("[1, 2.6]", "ffffffff-aaaa-bbbb-cccc-0123456789ab")
    assert tables(one, same) is Verdict.NORMALISED
    assert tables(one, wrong) is Verdict.DIFFERENT


def test_a_script_that_is_not_understood_is_said_to_be_so() -> None:
    """Where only a script differs and nothing of it can be read, nothing is claimed."""
    one = "<b>a</b><script>draw(1)</script>"
    verdict = only(display(html=one), display(html=one.replace("1", "2")))
    assert verdict.verdict is Verdict.NOT_COMPARED
    assert "script" in verdict.detail


NUMBER = st.floats(-1e4, 1e4, allow_nan=False).map(lambda value: round(value, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NUMBER, min_size=2, max_size=2), min_size=2, max_size=5), st.data())
def test_a_changed_or_swapped_cell_never_passes(
    rows: list[list[float]], data: st.DataObject
) -> None:
    """Whatever digit of a table is changed, or whatever two unequal cells are swapped."""
    html = frame(*rows)
    cells = list(re.finditer(r"(?<=<td>)[^<]+", html))
    one = data.draw(st.sampled_from(cells))
    digits = [one.start() + found.start() for found in re.finditer(r"\d", one[0])]
    at = data.draw(st.sampled_from(digits))
    digit = data.draw(st.sampled_from([sign for sign in "0123456789" if sign != html[at]]))
    changed = html[:at] + digit + html[at + 1 :]
    if float(one[0]) != float(changed[one.start() : one.end()]):  # "-0.0" for "0.0" is the same
        assert not passes(tables(html, changed))
    other = data.draw(st.sampled_from(cells))
    first, second = sorted((one, other), key=re.Match.start)
    if float(first[0]) != float(second[0]):
        swapped = (
            html[: first.start()] + second[0] + html[first.end() : second.start()]
            + first[0] + html[second.end() :]
        )  # fmt: skip
        assert not passes(tables(html, swapped))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="<>/=\"'!-[]&;# tabledrsvgimcp01\n", max_size=120))
def test_any_html_is_compared_without_an_error(text: str) -> None:
    """No HTML breaks the comparison."""
    verdict = only(display(html=text), display(html=f"{text}<b>x</b>"))
    assert "failed" not in verdict.detail
