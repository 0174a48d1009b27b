"""What no system could run is told from the source alone, and never too much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import book, cell, source

from leman.environments.infer import needs_of
from leman.findings import Finding
from leman.reproduction.eligibility import Eligibility, eligibility_of, files_read, producers

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """import glob, requests
import numpy as np
import pandas as pd
df = name = folder = user_input = f = None"""
ERROR = {"output_type": "error", "ename": "SyntaxError", "evalue": "", "traceback": []}


def judged(
    folder: Path,
    notebook: dict[str, Any],
    *,
    findings: tuple[Finding, ...] = (),
    missing: tuple[str, ...] = (),
    **files: str,
) -> Eligibility:
    """Return the judgement on ``nb/a.ipynb``; further files by ``name_ext=content``."""
    more = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    notebook = {**notebook, "cells": [cell(PRELUDE), *notebook["cells"]]}
    made = source(folder, {"nb/a.ipynb": notebook, **more}, missing=missing)
    needs = needs_of(made.path, "nb/a.ipynb", notebook)
    return eligibility_of(made, "nb/a.ipynb", notebook, needs, findings)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = (", "syntax"),
        ("name = input('who? ')", "input"),
        ("import getpass\ngetpass.getpass()", "input"),
        ("import pandas as pd\npd.read_csv('gone.csv')", "missing-file"),
        ("open('data/gone.txt').read()", "missing-file"),
        ("pd.read_csv(r'C:\\Users\\me\\gone.csv')", "absolute-path"),
        ("pd.read_csv('/home/me/gone.csv')", "absolute-path"),
        ("import requests\nrequests.get('https://example.org')", "network"),
        ("pd.read_csv('https://example.org/x.csv')", "network"),
        ("!wget https://example.org/x.csv", "network"),
    ],
)
def test_what_no_system_could_run(code: str, reason: str, tmp_path: Path) -> None:
    """Each has a word of the taxonomy and a detail for a reader."""
    found = judged(tmp_path, book(code))
    assert not found.eligible
    assert found.reason == reason
    assert found.detail


@pytest.mark.parametrize(
    "code",
    [
        "import pandas as pd\npd.read_csv('here.csv')",
        "pd.read_csv('../data/there.csv')",
        "pd.read_csv('elsewhere/there.csv')",  # lies somewhere in the source
        "pd.read_csv('/home/me/project/there.csv')",
        "pd.read_csv(name)",
        "open('out.txt', 'w').write('x')",
        "df.to_csv('made.csv')\npd.read_csv('made.csv')",
        "np.load(f'{folder}/x.npy')",
        "glob.glob('*.csv')",
        "# name = input('who?')\n# requests.get('x')",
        "user_input(3)",
        "%matplotlib inline\nx = 1",
    ],
)
def test_what_could_run_is_eligible(code: str, tmp_path: Path) -> None:
    """Files that are here, that the code writes itself, or whose name is not literal."""
    found = judged(tmp_path, book(code), nb__here_csv="x", data__there_csv="x")
    assert found == Eligibility()


def test_a_file_of_the_source_that_is_not_in_this_copy(tmp_path: Path) -> None:
    """Neither the author's fault nor leman's: this copy lacks its content."""
    found = judged(tmp_path, book("open('big.h5')"), missing=("data/big.h5",))
    assert found.reason == "missing-blob"


def test_the_authors_own_module_was_never_published(tmp_path: Path) -> None:
    """A module that nobody knows and the source lacks."""
    unknown = Finding("unknown-module", "warning", "a.ipynb:cell 0", "`import mine`: not known")
    found = judged(tmp_path, book("import mine"), findings=(unknown,))
    assert (found.reason, found.detail) == ("unpublished-module", "`import mine`: not known")


def test_a_cell_that_is_meant_to_fail_counts_not(tmp_path: Path) -> None:
    """A lesson on syntax errors stores the error as its output."""
    assert judged(tmp_path, book(cell("x = (", ERROR))) == Eligibility()
    assert judged(tmp_path, book(cell("x = (", ERROR), "y = )")).reason == "syntax"


def test_only_literal_names_of_files_are_read() -> None:
    """In calls known to read, not in those that write; broken cells are passed over."""
    code = ("open('a.txt')", "open('b.txt', 'w')", "f('c.txt')", "np.load('d.npy')", "x = (")
    assert files_read(code) == ("a.txt", "d.npy")


def test_notebooks_that_write_a_file_are_found(tmp_path: Path) -> None:
    """By the name in a call that writes."""
    files = {
        "1-make.ipynb": book("df.to_csv('made.csv')"),
        "2-use.ipynb": book("pd.read_csv('made.csv')"),
        ".ipynb_checkpoints/1-make.ipynb": book("df.to_csv('made.csv')"),
    }
    made = source(tmp_path, files)
    assert producers(made.path, "made.csv") == ("1-make.ipynb",)


@given(st.lists(st.text(alphabet="open('x.csv')\n\\\x00rbf\"{}*?/:", max_size=60), max_size=3))
def test_no_code_breaks_the_judgement(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    """Names with nul bytes, signs and nothing are no reason to stop."""
    folder = tmp_path_factory.getbasetemp() / "eligibility"
    folder.mkdir(exist_ok=True)
    assert isinstance(judged(folder, book(*cells)), Eligibility)


@pytest.mark.parametrize("name", ["a\\x00b.csv", "x" * 300 + ".csv", "~/x.csv", "../../../x.csv"])
def test_strange_names_are_only_missing(name: str, tmp_path: Path) -> None:
    """A name that no file can have is a file that is not there."""
    assert not judged(tmp_path, book(f"open('{name}')")).eligible
