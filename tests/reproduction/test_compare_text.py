# ruff: noqa: E501, S108 - samples stand as they are printed
"""Texts: what is written alike, and what never is."""

from __future__ import annotations

import re

import pytest
from comparing import passes, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.reproduction.model import Verdict

ALIKE = {
    "addresses": ("<a.B object at 0x7f01>", "<a.B object at 0x55d0aa3c>"),
    "function": ("<function f at 0x7f21aa>", "<function f at 0x10bb3cd10>"),
    "lines": (
        "[<matplotlib.lines.Line2D at 0x11121db50>]",
        "[<matplotlib.lines.Line2D object at 0x7fe12c>]",
    ),
    "old figure": ("<matplotlib.figure.Figure at 0x7f10>", "<Figure size 640x480 with 1 Axes>"),
    "figure size": ("<Figure size 432x288 with 2 Axes>", "<Figure size 640x480 with 2 Axes>"),
    "axes": ("<matplotlib.axes._subplots.AxesSubplot at 0x7f1>", "<Axes: xlabel='x'>"),
    "axes 3.5": ("<AxesSubplot:title={'center':'a'}, ylabel='y'>", "<Axes: ylabel='y'>"),
    "container": ("<Container object of 3 artists>", "<BarContainer object of 3 artists>"),
    "numpy 1.13": ("array([ 1.,  2., -3.])", "array([1., 2., -3.])"),
    "numpy 1.13 matrix": ("[[ 1.   0.5]\n [ 2.   0. ]]", "[[1.  0.5]\n [2.  0. ]]"),
    "numpy wrap": ("array([1, 2, 3,\n       4])", "array([1, 2,\n       3, 4])"),
    "numpy 2 float": ("(np.float64(1.5), np.int64(3))", "(1.5, 3)"),
    "numpy 2 bool": ("np.True_", "True"),
    "numpy 2 text": ("np.str_('a')", "'a'"),
    "sets": ("{'b', 'a', 'c'}", "{'a', 'c', 'b'}"),
    "dict order": ("{'b': 1, 'a': [1.0, 2]}", "{'a': [1.0, 2], 'b': 1}"),
    "python 2 text": ("[u'a', u'b']", "['a', 'b']"),
    "prompt": ("Out[12]: 3", "Out[4]: 3"),
    "home": ("read /home/ann/p/data/x.csv", "read /tmp/run-1/data/x.csv"),
    "windows": (r"read C:\Users\ann\p\x.csv", "read /home/bob/x.csv"),
    "temporary": ("/tmp/tmpab12cd34", "/tmp/tmpzz91kkqq"),
    "packages": (
        "/opt/conda/lib/python3.7/site-packages/a/b.py:12: FutureWarning: old",
        "/home/x/env/lib/python3.7/site-packages/a/b.py:14: FutureWarning: old",
    ),
    "cell name": ("<ipython-input-3-0123abcd>:1: UserWarning: a",) * 1
    + ("/tmp/ipykernel_77/123456.py:1: UserWarning: a",),
    "time": (
        "CPU times: user 1.2 s, sys: 3 ms, total: 1.2 s\nWall time: 1.3 s\n7",
        "CPU times: user 3 µs, sys: 0 ns, total: 3 µs\nWall time: 5.2 µs\n7",
    ),
    "timeit": (
        "1.2 ms ± 30 µs per loop (mean ± std. dev. of 7 runs, 1000 loops each)",
        "980 µs ± 9.1 µs per loop (mean ± std. dev. of 7 runs, 1,000 loops each)",
    ),
    "old timeit": (
        "The slowest run took 9.12 times longer than the fastest.\n1000 loops, best of 3: 1 ms per loop",
        "100 loops, best of 3: 2.35 ms per loop",
    ),
    "elapsed": ("Elapsed time: 12.3 s", "Elapsed time: 9.71 s"),
    "training": ("Training time: 0:01:02", "Training time: 0:03:51"),
    "script": ("--- 3.4171838760375977 seconds ---", "--- 0.5 seconds ---"),
    "keras": (
        "10/10 [==============================] - 1s 3ms/step - loss: 0.25",
        "10/10 [==============================] - 12s 9ms/step - loss: 0.25",
    ),
    "tqdm": (
        "\r 50%|█████     | 5/10 [00:01<00:01,  4.9it/s]\r100%|██████████| 10/10 [00:02<00:00,  4.8it/s]",
        "\r100%|##########| 10/10 [00:00<00:00, 99.12it/s]",
    ),
    "build date": (
        "3.7.3 (default, Feb 15 2016 12:13:46) \n[GCC 7.3.0]",
        "3.7.3 (default, Mar  2 2020 01:02:03) \n[GCC 9.3.0]",
    ),
    "asctime": ("Mon Feb 15 12:13:46 2016", "Tue Mar  1 08:00:00 2022"),
    "memory": ("memory usage: 1.2+ KB", "memory usage: 964.0 bytes"),
    "colours": ("\x1b[31mred\x1b[0m", "red"),
    "overwritten": ("step 1\rstep 2\rstep 3\n", "step 3\n"),
    "rubbed out": ("1%\b\b2%", "2%"),
    "trailing space": ("a  \nb\n\n", "a\nb"),
    "same value": ("1. 2.50 3e2", "1.0 2.5 300.0"),
    "minus zero": ("[-0. 1.]", "[0. 1.]"),
    "pandas space": ("   a  b\n0  1  2\n1  3  4", "    a   b\n0   1   2\n1   3   4"),
}

UNLIKE = {
    "digit": ("x = 0.123", "x = 0.124"),
    "integer": ("123456789012345678", "123456789012345679"),
    "sign": ("-1.5", "1.5"),
    "point": ("12.5", "1.25"),
    "short rounding": ("0.5", "0.45"),
    "integer for fraction": ("3", "2.96"),
    "zero for small": ("0.0", "1e-17"),
    "p values": ("[0.5, 3e-17]", "[0.5, 8e-17]"),
    "version": ("1.2.1", "1.2.10"),
    "nan": ("nan", "0.0"),
    "infinity": ("inf", "-inf"),
    "order of rows": ("a 1\nb 2", "b 2\na 1"),
    "order of a list": ("[1, 2, 3]", "[1, 3, 2]"),
    "fewer rows": ("1\n2\n3", "1\n3"),
    "unit": ("3.5 km", "3.5 m"),
    "word": ("converged: True", "converged: False"),
    "iso date": ("2016-02-15 12:13:46", "2016-02-16 12:13:46"),
    "physical time": ("t = 3.2 s", "t = 3.3 s"),
    "half life": ("decays in 3.2 seconds", "decays in 4.2 seconds"),
    "hexadecimal": ("0x1f4", "0x1f5"),
    "hexadecimal long": ("hash 0x1f4aa87312", "hash 0x1f4aa87313"),
    "set": ("{1, 2}", "{1, 3}"),
    "dict": ("{'a': 1, 'b': 2}", "{'a': 2, 'b': 1}"),
    "file": ("/home/ann/x.csv", "/home/ann/y.csv"),
    "percent": ("accuracy 97%", "accuracy 98%"),
    "loss": (
        "10/10 [=====] - 1s 3ms/step - loss: 0.25",
        "10/10 [=====] - 1s 3ms/step - loss: 0.26",
    ),
    "progress total": ("10/10 [00:01<00:00, 1it/s]", "10/11 [00:01<00:00, 1it/s]"),
    "column": ("   a  b\n0  1  2\n1  3   \n2  5  6", "   a  b\n0  1  2\n1     3\n2  5  6"),
    "glued numbers": ("1 2", "12"),
    "array element": ("[1. 2. 3.]", "[1. 2. 4.]"),
    "array shape": ("[[1 2]\n [3 4]]", "[1 2 3 4]"),
    "numpy scalar": ("np.float64(1.5)", "1.6"),
    "type": ("np.str_('1')", "1"),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_machines_and_versions_write_differently_is_equal(name: str) -> None:
    """Known forms that are no result are equal, in both directions, and the rule is named."""
    one, other = ALIKE[name]
    for stored, new in ((one, other), (other, one)):
        verdict = texts(stored, new)
        assert verdict.verdict is Verdict.NORMALISED, verdict.detail
        assert verdict.detail


@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_a_result_is_different(name: str) -> None:
    """Results that differ are different, in both directions, and the detail says where."""
    one, other = UNLIKE[name]
    for stored, new in ((one, other), (other, one)):
        verdict = texts(stored, new)
        assert verdict.verdict is Verdict.DIFFERENT, verdict.detail
        assert verdict.detail
        assert (verdict.stored, verdict.new) == (stored, new)


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("0.1235", "0.12349871"),
        ("3.0000000001", "3.0000000002"),
        ("[1.0, 2.220446049250313e-16]", "[1.0, 0.0]"),
        ("[1.0, -1.1e-16]", "[1.0, 2.2e-16]"),
    ],
)
def test_rounding_is_tolerated(stored: str, new: str) -> None:
    """Print precision, the last bits of a double and noise beside larger siblings pass."""
    assert texts(stored, new).verdict is Verdict.TOLERANT
    assert texts(new, stored).verdict is Verdict.TOLERANT


def test_the_detail_is_a_sentence_with_counts_and_a_place() -> None:
    """A referee reads how many numbers differ, by how much, which and where."""
    detail = texts("a 1.5\nb 0.512 7", "a 1.5\nb 0.514 7").detail
    assert detail == ("1 of 3 numbers differ, by 0.0039 relative: stored 0.512, new 0.514 (line 2)")


def test_long_texts_are_cut_around_the_first_difference() -> None:
    """At most 2000 characters of each side are kept, and the difference is among them."""
    lines = [f"line {number} ok" for number in range(3000)]
    changed = [*lines[:2500], "line 2500 bad", *lines[2501:]]
    verdict = texts("\n".join(lines), "\n".join(changed))
    assert len(verdict.stored) <= 2000
    assert len(verdict.new) <= 2000
    assert "line 2500 ok" in verdict.stored
    assert "line 2500 bad" in verdict.new


def test_huge_texts_are_compared_line_by_line() -> None:
    """Beyond 2 MB a changed number is found, and an address is still no difference."""
    lines = [f"{number} {number / 7:.6f} text" for number in range(120_000)]
    address = [*lines, "<a at 0x7f10>"]
    other = [*lines, "<a at 0x7f20>"]
    assert texts("\n".join(address), "\n".join(other)).verdict is Verdict.NORMALISED
    wrong = [*lines[:70_000], "70000 10000.000100 text", *lines[70_001:]]
    assert texts("\n".join(lines), "\n".join(wrong)).verdict is Verdict.DIFFERENT
    assert texts("\n".join(lines), "\n".join(lines[1:])).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    "text", ["1" * 300_000, "(" * 300_000, "{" * 100_000 + "a", "'\"" * 100_000, "/a" * 100_000,
             "<" * 100_000, "\b" * 100_000, "\x1b[" * 50_000, "[0/0 " * 40_000, "1%|" * 60_000]
)  # fmt: skip
def test_hostile_texts_do_not_hang(text: str) -> None:
    """Texts made against regular expressions are compared to the end (else: timeout)."""
    hints = " 0x at 0x per loop it/s ETA took elapsed Time: Wall time: -packages Warning np. u'"
    assert "failed" not in texts(text + hints, text + "a" + hints).detail


@st.composite
def _reports(draw: st.DrawFn) -> str:
    """Draw a text of labelled numbers, arrays and words as notebooks print them."""
    number = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: f"{value:.4g}")
    word = st.text(alphabet="abcdefgh", min_size=1, max_size=6)
    label = st.builds("{} = {}".format, word, number)
    array = st.lists(number, min_size=2, max_size=6).map(lambda row: f"[{' '.join(row)}]")
    row = st.builds("{}  {}  {}".format, word, number, number)
    return "\n".join(draw(st.lists(st.one_of(label, array, row), min_size=1, max_size=8)))


@settings(max_examples=150, deadline=None)
@given(_reports(), st.data())
def test_a_changed_digit_never_passes(report: str, data: st.DataObject) -> None:
    """Whatever digit of a printed result is changed, the texts are different."""
    digits = [found.start() for found in re.finditer(r"\d", report)]
    at = data.draw(st.sampled_from(digits))
    digit = data.draw(st.sampled_from([one for one in "0123456789" if one != report[at]]))
    changed = report[:at] + digit + report[at + 1 :]
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", report)]
    others = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", changed)]
    if numbers != others:  # "0.5" may have become "-0" or "1e02" "1e002": the same value
        assert not passes(texts(report, changed).verdict)


@settings(max_examples=100, deadline=None)
@given(_reports(), st.data())
def test_a_dropped_or_swapped_line_never_passes(report: str, data: st.DataObject) -> None:
    """A line that is missing, or two lines in another order, are a difference."""
    lines = report.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    assert not passes(texts(report, "\n".join(lines[:at] + lines[at + 1 :])).verdict)
    to = data.draw(st.integers(0, len(lines) - 1))
    swapped = list(lines)
    swapped[at], swapped[to] = lines[to], lines[at]
    if swapped != lines:
        verdict = texts(report, "\n".join(swapped)).verdict
        assert not passes(verdict) or _values(lines[at]) == _values(lines[to])


def _values(line: str) -> list[float | str]:
    return [
        float(one) if re.match(r"[\d.-]", one) else one for one in re.findall(r"[\w.+-]+", line)
    ]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_compared_without_an_error(stored: str, new: str) -> None:
    """No text breaks the comparison, and a text is equal to itself."""
    assert "failed" not in texts(stored, new).detail
    assert texts(new, new).verdict in (Verdict.IDENTICAL, Verdict.NOT_COMPARED)
