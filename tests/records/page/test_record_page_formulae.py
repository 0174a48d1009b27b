"""Formulae: set where they are understood, whole as TeX where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from html_reader import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from page_samples import code, data, notebook, record, text

from leman.records.page import as_html
from leman.records.page.mathml import Node, formula

if TYPE_CHECKING:
    from pathlib import Path


def told(node: Node) -> str:
    """Return a formula in a short form."""
    inner = " ".join(told(one) for one in node.children)
    return node.text or (f"{node.name[1:]}[{inner}]" if node.name != "mrow" else inner)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$x^2 + y_1'$", "ath[sup[x 2] + subsup[y 1 \u2032]]"),
        (r"$$\sum_{i=1}^n \frac{x_i}{2}$$", "ath[underover[\u2211 i = 1 n] frac[sub[x i] 2]]"),
        (r"$\sqrt[3]{x} \le \sqrt 2$", "ath[root[x 3] \u2264 sqrt[2]]"),
        (r"$\left( a \right)^2$", "ath[sup[( a ) 2]]"),
        (r"$\hat y \in \mathbb{R}$", "ath[over[y ^] \u2208 \u211d]"),
        (r"$\mathbf{x}, \mathcal{N}$", "ath[\U0001d431 , \U0001d4a9]"),
        (r"$10^{-3}\mathrm{m\,s^2}$", "ath[sup[10 \u2212 3] m space[] sup[s 2]]"),
        (r"$2 \sin x + \cos(x)$", "ath[2 sin space[] x + cos ( x )]"),
        (r"$x > 0 \text{ for all}$", "ath[x > 0  for all]"),
        (r"\begin{cases} a & b \\ c \end{cases}", "ath[{ table[tr[td[a] td[b]] tr[td[c]]]]"),
    ],
)  # fmt: skip
def test_what_notebooks_use_most_is_set(source: str, expected: str) -> None:
    """Scripts, fractions, roots, sums, fences, alphabets and tables become MathML."""
    found = formula(source)
    assert found is not None
    assert told(found) == expected


@pytest.mark.parametrize(
    "source",
    ["$\\foo$", "$x^{$", "$}$", "$x_1_2$", "$\\frac$", "$\\left( x$", "$$",
     "$\\begin{tikz}\\end{tikz}$",
     "$\\href{javascript:x}{y}$", "$" + "{" * 400 + "}" * 400 + "$", "$" + "\\frac" * 900 + "$",
     "$" + "x^" * 2000 + "x$", "$\\begin{align} a \\end{gather}$", "$a & b$"],
)  # fmt: skip
def test_half_a_formula_is_none(source: str) -> None:
    """What is not understood, or goes too deep, is not set at all."""
    assert formula(source) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["\\frac", "{", "}", "_", "^", "x", "1", "'", "\\left", "\\right", "(", ")", "\\begin",
             "{matrix}", "\\end", "&", "\\\\", "\\sqrt", "[", "]", "\\mathrm", "\\sum", " ", "$"]
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_any_mixture_is_set_or_not(source: str) -> None:
    """No order of pieces ends in an error."""
    found = formula(f"${source}$")
    assert found is None or found.name == "math"


def test_formulae_stand_in_the_text(tmp_path: Path) -> None:
    """Formulae of text, headings and outputs are set; Markdown leaves their signs alone."""
    cells = (
        text(
            "# Rise of CO$_2$\n\nWith $a_1 b_1 < c_2$ and\n\n$$\nx^2\n$$\n\n5 $ and 6 $ are money."
        ),
        code("expression", data(latex="$\\displaystyle \\frac{1}{2}$", plain="1/2")),
        text("$\\unknown{x}$"),
    )
    page = as_html(*record(tmp_path, a=notebook(*cells)))
    reader = parse(page)
    assert len(reader.named("math")) == 4
    assert reader.named("math")[2] == {"display": "block"}
    assert "5 $ and 6 $ are money." in reader.said
    assert '<span class="name" dir="auto">Rise of CO2</span>' in page
    assert '<code class="tex">$\\unknown{x}$</code>' in page
    assert "A formula that could not be set stands as its TeX source." in reader.said


def test_without_open_formulae_nothing_is_said_of_them(tmp_path: Path) -> None:
    """The remark on TeX stands only where TeX stands."""
    page = as_html(*record(tmp_path, a=notebook(text("$x$"))))
    assert "TeX source" not in page
