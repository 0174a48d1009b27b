"""What changes from run to run, and what hides behind it."""

from __future__ import annotations

import random

import pytest
from comparing import display, notebook, only, stream, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.reproduction.compare import compare
from leman.reproduction.model import Same, Verdict


def test_a_random_number_is_volatile() -> None:
    """A number that differs between our runs may differ from the author's as much."""
    found = texts("seed 1: 0.512", "seed 1: 0.734", "seed 1: 0.298")
    assert found.verdict is Verdict.VOLATILE
    assert "two runs" in found.detail
    assert "stored 0.512, new 0.734" in found.detail


@pytest.mark.parametrize(
    ("stored", "new", "again"),
    [
        ("a 0.5 b 7", "a 0.6 b 8", "a 0.4 b 8"),  # 7 is stable and wrong
        ("a 0.5 x", "a 0.6 y", "a 0.4 y"),  # a word is stable and wrong
        ("900.0", "0.61", "0.58"),  # far outside of what varies
        ("0.5", "0.6", "0.6"),  # nothing varies
        ("text", "0.6", "0.4"),  # a word where numbers vary
        ("0.5\n1", "0.6", "0.4"),  # another number of lines
        ("total 5\n0.5\n", "total 6\n0.6\n0.7\n", "total 6\n0.6\n"),  # stable line is wrong
    ],
)
def test_what_is_stable_between_our_runs_must_be_as_stored(
    stored: str, new: str, again: str
) -> None:
    """Volatility excuses the places that vary, within reach, and no others."""
    assert texts(stored, new, again).verdict is Verdict.DIFFERENT


def test_many_random_numbers_are_judged_together() -> None:
    """The median of many decides: one coincidence between our runs condemns nothing."""
    draw = random.Random(0)
    runs = [" ".join(f"{draw.gauss(0, 1):.6f}" for _ in range(50)) for _ in range(3)]
    assert texts(*runs).verdict is Verdict.VOLATILE
    shifted = " ".join(f"{draw.gauss(500, 1):.6f}" for _ in range(50))
    assert texts(shifted, runs[1], runs[2]).verdict is Verdict.DIFFERENT


def test_a_varying_number_of_lines_is_volatile_only_if_it_varies_for_us() -> None:
    """An iteration log of random length may have another length."""
    logs = ["start\n" + "step 0.5\n" * count + "done\n" for count in (12, 9, 15)]
    assert texts(*logs).verdict is Verdict.VOLATILE
    assert texts(logs[0], logs[1], logs[1]).verdict is Verdict.DIFFERENT
    assert texts(logs[0].replace("done", "failed"), logs[1], logs[2]).verdict is Verdict.DIFFERENT


def test_tables_and_json_can_be_volatile() -> None:
    """The same rule holds cell by cell and leaf by leaf."""
    html = [f"<table><tr><td>n</td><td>{value}</td></tr></table>" for value in (0.5, 0.6, 0.4)]
    tables = [display(html=one) for one in html]
    assert only(*tables).verdict is Verdict.VOLATILE
    wrong = display(html=html[0].replace("<td>n", "<td>m"))
    assert only(wrong, *tables[1:]).verdict is Verdict.DIFFERENT
    leaves = [display(json={"n": 3, "y": [value]}) for value in (0.5, 0.6, 0.4)]
    assert only(*leaves).verdict is Verdict.VOLATILE
    assert only(display(json={"n": 4, "y": [0.5]}), *leaves[1:]).verdict is Verdict.DIFFERENT


def test_equal_outputs_stay_equal_and_the_second_run_is_mentioned() -> None:
    """A stored output that our first run gave is equal, even if the second run differs."""
    found = texts("0.5\n", "0.5\n", "0.6\n")
    assert found.verdict is Verdict.IDENTICAL
    assert "second run" in found.detail


def test_volatile_outputs_neither_weaken_nor_pass() -> None:
    """They are left out of the sum; alone they amount to nothing compared."""
    stored = notebook(stream("0.5"), display(plain="fixed"))
    new = notebook(stream("0.6"), display(plain="fixed"))
    again = notebook(stream("0.4"), display(plain="fixed"))
    assert compare(stored, new, again).same is Same.EXACT
    assert compare(stored, new).same is Same.NO
    alone = [notebook(stream(text)) for text in ("0.5", "0.6", "0.4")]
    assert compare(*alone).same is Same.NOT_COMPARED


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(100, 999), min_size=1, max_size=5),
    st.lists(st.floats(0, 1).map(lambda x: f"{x:.4f}"), min_size=3, max_size=3, unique=True),
    st.data(),
)
def test_a_changed_stable_number_is_never_volatile(
    stable: list[int], varying: list[str], data: st.DataObject
) -> None:
    """Beside a number that varies, any changed number that does not vary is different."""
    at = data.draw(st.integers(0, len(stable) - 1))
    wrong = [number + (index == at) for index, number in enumerate(stable)]
    stored, new, again = (
        "\n".join([f"r {value}", *(f"n {number}" for number in numbers)])
        for value, numbers in zip(varying, (wrong, stable, stable), strict=True)
    )
    assert texts(stored, new, again).verdict is Verdict.DIFFERENT
