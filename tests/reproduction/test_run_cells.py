"""Prove that notebooks of any shape are read, and streams joined as Jupyter's pages join them."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.reproduction import cells

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
OUTPUT = st.fixed_dictionaries(
    {"output_type": st.sampled_from(["stream", "display_data", "error"]) | JSON},
    optional={"text": JSON, "data": JSON, "ename": JSON},
)
CELL = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | JSON,
        "source": st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3) | JSON,
        "metadata": st.just({"tags": ["a"]}) | JSON,
        "outputs": JSON | st.lists(OUTPUT, max_size=2),
        "execution_count": JSON,
        "id": st.text(max_size=3) | JSON,
    },
)


@given(st.lists(CELL, max_size=5), JSON, st.integers(0, 5))
def test_any_list_of_cells_is_a_notebook(
    given_cells: list[dict[str, Any]], metadata: object, minor: int
) -> None:
    """Missing and wrong fields are repaired; no cell is lost, so that numbers stay the same."""
    content = {"cells": given_cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    notebook = cells.read(json.dumps(content))
    assert len(notebook.cells) == len(given_cells)
    assert all(isinstance(cell.source, str) for cell in notebook.cells)
    again = cells.read(cells.write(notebook).decode())
    assert [cell.source for cell in again.cells] == [cell.source for cell in notebook.cells]


@pytest.mark.parametrize("text", ["[]", "{}", "1", '"cells"', '{"nbformat": 4}', "{", ""])
def test_what_has_no_cells_is_no_notebook(text: str) -> None:
    """JSON alone does not make a notebook."""
    with pytest.raises(ValueError, match=r"."):
        cells.read(text)


def stream(text: str, name: str = "stdout") -> Any:
    """Return a stream output as nbclient collects it."""
    return SimpleNamespace(output_type="stream", name=name, text=text)


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=5)), max_size=8))
def test_joining_streams_keeps_text_and_order(parts: list[tuple[str, str]]) -> None:
    """Nothing is lost, and two neighbours never have one name."""
    joined = cells.merged([stream(text, name) for name, text in parts])
    for name in ("stdout", "stderr"):
        whole = "".join(text for one, text in parts if one == name)
        kept = "".join(one.text for one in joined if one.name == name)
        if not {"\r", "\b"} & set(whole):
            assert kept == whole
    assert all(a.name != b.name for a, b in pairwise(joined))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\rtwo", "two"),
        ("longer\rab", "abnger"),
        ("a\r\nb", "a\nb"),
        ("10%\r20%\r30%\ndone\r\n", "30%\ndone\n"),
        ("ab\b\bcd", "cd"),
        ("a\n\bb", "a\nb"),
        ("same\r", "same"),
    ],
)
def test_overwritten_text_is_what_a_terminal_shows(text: str, shown: str) -> None:
    """Carriage returns and backspaces act within their line."""
    assert cells.overwritten(text) == shown
