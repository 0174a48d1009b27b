"""Titles and abstracts from READMEs as people write them."""

from __future__ import annotations

import pytest

from leman.records.describe.prose import title_and_abstract

TEXT = "What the notebooks do, in a sentence."


@pytest.mark.parametrize(
    "content",
    [
        f"# Title\n\n{TEXT}\n",
        f"Title\n=====\n\n{TEXT}\n\nMore.\n",
        f"=====\nTitle\n=====\n\n.. image:: x.png\n   :alt: y\n\n{TEXT}\n",
        f"[![build](b.svg)](ci)\n\n# Title #\n\n![logo](l.png)\n\n- a list\n\n{TEXT}\n",
        f"<h1 align='center'>Title</h1>\n\n{TEXT}\n",
        f"<!-- # Not this -->\n# **Title**\n\n## Sub\n\n```\ncode that is no text\n```\n\n{TEXT}\n",
        f"```\n# a comment\n```\n\n# [Title](https://example.org)\n> quoted words\n\n{TEXT}\n",
        "# Title\n\nWhat the [notebooks](n.ipynb) do,\nin a *sentence*.\n",
    ],
)
def test_a_readme_gives_title_and_abstract(content: str) -> None:
    """Markdown and reStructuredText; badges, pictures, lists, quotes and code are passed over."""
    assert title_and_abstract(content) == ("Title", TEXT)


@pytest.mark.parametrize("content", ["", "\n\n", "-----\n", "#\n", "```\n# x\n", "| a | b |\n"])
def test_what_has_no_heading_gives_no_title(content: str) -> None:
    """Nothing is made up."""
    assert title_and_abstract(content) == ("", "")


def test_long_lines_take_no_time() -> None:
    """Texts made to slow a reader down are read all the same."""
    for piece in ("[", "![", "<", "`", "*_", "# ", "[a](", "<!--", "=\n", "<h1>", "# a  "):
        title_and_abstract(piece * 20_000)
