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


@pytest.mark.parametrize("heading", ["Introduction", "README", "Set up:", "Installation"])
def test_a_heading_that_any_work_may_have_is_no_title(heading: str) -> None:
    """What comes after it still says what the work is about."""
    assert title_and_abstract(f"# {heading}\n\n{TEXT}\n") == ("", TEXT)


def test_a_line_that_leads_to_something_else_is_no_abstract() -> None:
    """Neither a line of authors nor one that ends with a colon says what the work is about."""
    content = f"# Title\n\nAuthor: Ada Lovelace, Society\n\nThis is the code for:\n\n{TEXT}\n"
    assert title_and_abstract(content) == ("Title", TEXT)


@pytest.mark.parametrize("content", ["", "\n\n", "-----\n", "#\n", "```\n# x\n", "| a | b |\n"])
def test_what_has_no_heading_gives_no_title(content: str) -> None:
    """Nothing is made up."""
    assert title_and_abstract(content) == ("", "")


def test_long_lines_take_no_time() -> None:
    """Texts made to slow a reader down are read all the same."""
    for piece in ("[", "![", "<", "`", "*_", "# ", "[a](", "<!--", "=\n", "<h1>", "# a  "):
        title_and_abstract(piece * 20_000)
