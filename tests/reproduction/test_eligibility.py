"""What no system could run is told from the source alone, and never too much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import commit_all
from sources import book, cell, printed, source

from leman.environments.infer import needs_of
from leman.environments.model import Source
from leman.files import remove_tree
from leman.findings import Finding
from leman.reproduction.eligibility import eligibility_of, producers, too_early, undefined
from leman.reproduction.model import Eligibility

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
    ("cells", "early"),
    [
        ([("print(x)", 1), ("x = 1", 2)], "x"),
        ([("print(x)", 2), ("x = 1", 1)], ""),
        ([("print(x)", None), ("x = 1", None)], "x"),
        ([("x = x + 1; x = 0", 1), ("x = 1", 2)], ""),
        ([("x = 1", 1), ("print(x)", 2), ("x = 2", 3)], ""),
        ([("def f(): return x", 1), ("x = 1; f()", 2)], ""),
        ([("from os import *", 1), ("print(x)", 2), ("x = 1", 3)], ""),
    ],
)
def test_a_name_of_a_session_that_is_gone(cells: list[tuple[str, int | None]], early: str) -> None:
    """Used before it is bound in every order that the notebook tells; nothing else is said."""
    assert too_early(book(*(cell(code, count=count) for code, count in cells))) == early


def test_a_path_that_was_left_empty_is_no_file(tmp_path: Path) -> None:
    """A reader is to fill it in: nobody published what it names."""
    asked = book("import numpy as np\nvolume = ''\nnp.load(volume)")
    made = source(tmp_path, {"a.ipynb": asked})
    found = eligibility_of(made, "a.ipynb", asked, needs_of(tmp_path, "a.ipynb", asked), ())
    assert (found.eligible, found.reason) == (False, "missing-file")


def test_a_question_with_a_stored_answer_is_none(tmp_path: Path) -> None:
    """What was typed stands in the output and can be typed again."""
    asked = book(cell("name = input('who? ')", printed("who? Ann\n")))
    made = source(tmp_path, {"a.ipynb": asked})
    assert eligibility_of(made, "a.ipynb", asked, needs_of(tmp_path, "a.ipynb", asked), ()).eligible


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


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "D = '../data'\nfor n in ['there', 'gone']:\n    pd.read_csv(f'{D}/{n}.csv')",
            "missing-file",
        ),
        ("p = r'D:/Education/BOOK.txt'\npd.read_csv(p)", "absolute-path"),
        ("pd.read_csv('/glade/p/' + user_input + '/gone.csv')", "absolute-path"),
        ("user = os.environ.get('USER')\nnp.load(f'/p/project/{user}/gone.npy')", "absolute-path"),
        ("np.load(f'runs/first/{df[0]}.npy')", "missing-file"),
        ("glob.glob('../runs/*.csv')", "missing-file"),
        ("glob.glob('/N/slate/me/runs/*.nc')", "absolute-path"),
        ("os.listdir('../runs')", "missing-file"),
        ("np.genfromtxt(fname='gone.txt')", "missing-file"),
        ("if not os.path.exists('gone.csv'):\n    requests.get(name)", "network"),
        ("base = 'https://example.org'\npd.read_csv(f'{base}/x.csv')", "network"),
        ("%matplotlib inline\nprint(nowhere)", "author-error"),
        ("def make():\n    inner = 1\nmake()\nprint(inner)", "author-error"),
    ],
)
def test_what_code_puts_together_is_judged(code: str, reason: str, tmp_path: Path) -> None:
    """Names of files, folders and addresses that no literal holds."""
    found = judged(tmp_path, book(f"import os\n{code}"), data__there_csv="x")
    assert found.reason == reason


@pytest.mark.parametrize(
    "code",
    [
        "pd.read_csv('THERE.CSV')",
        "glob.glob('../data/*.csv') + glob.glob('../**/there*')",
        "os.listdir('../data') + os.listdir('.') + os.listdir('..')",
        "for n in 'ab':\n    if os.path.exists(f'{n}.csv'):\n        pd.read_csv(f'{n}.csv')",
        "p = 'gone.csv' if name else 'there.csv'\npd.read_csv(p)",
        "df.to_csv(f'run_{name}.csv')\npd.read_csv('run_7.csv')",
        "os.makedirs('made')\nos.listdir('made')",
        "Study(data_dir='out/study').run()\npd.read_csv('out/study/results.tsv')",
        "!python simulate.py\npd.read_csv('gone.csv')",
        "p = '/home/me/gone.csv'",
        "import sys\nsys.path.append('/home/me/lib')\nos.chdir('/home/me/w')\nopen('there.csv')",
        "open('/proc/cpuinfo')",
        "pd.read_csv('scripted.csv')",
        "np.load('series_12_x.npy')",
        "pd.read_csv('https://raw.githubusercontent.com/me/here/main/data/there.csv')",
        "!git clone https://example.org/me/here",
        "%load_ext cython\nprint(nowhere)",
        "global_ = 1\ndef f():\n    global late\n    late = 1\nf()\nprint(late)",
        "from own import D\npd.read_csv(D + '/there.csv')",
    ],
)
def test_what_may_be_there_is_eligible(code: str, tmp_path: Path) -> None:
    """Other cases of letters, what is tested for, what code of the source may write."""
    script = "df.to_csv('scripted.csv')\nnp.save(f'series_{n}_x.npy', x)"
    code = f"import os\nStudy = None\n{code}"
    found = judged(tmp_path, book(code), data__there_csv="x", make_py=script, nb__own_py="D = '.'")
    assert found == Eligibility()


def test_a_file_that_the_sources_own_module_reads(tmp_path: Path) -> None:
    """The modules of a source are code of the notebook."""
    own = "import pandas as pd\ndef get(n): return pd.read_csv('gone/' + n)"
    found = judged(tmp_path, book("import own\nown.get('x.csv')"), nb__own_py=own)
    assert (found.reason, found.detail) == ("missing-file", "nb/gone/x.csv was never published")


def test_what_a_build_script_writes_is_there(tmp_path: Path) -> None:
    """A postBuild runs before the notebook, a Makefile may."""
    code = "from pathlib import Path\n(Path.home() / 'corpus' / 'words').read_text()"
    assert judged(tmp_path, book(code)).reason == "absolute-path"
    (tmp_path / "two").mkdir()
    found = judged(tmp_path / "two", book(code), binder__postBuild="echo a > ~/corpus/words\n")
    assert found == Eligibility()


def test_a_cell_that_stores_an_error_reads_nothing(tmp_path: Path) -> None:
    """It failed for its author too, and its names may still be defined."""
    failed = cell("made = open('gone.txt')", ERROR)
    assert judged(tmp_path, book(failed, "print(made)")) == Eligibility()


def test_a_file_that_the_history_holds_was_published(tmp_path: Path) -> None:
    """A later commit deleted it or its folder, so that it can be taken from there."""
    repo = tmp_path / "repo"
    source(repo, {"nb/a.ipynb": book("1"), "old/x.csv": "1"})
    commit_all(repo, "2020-01-02")
    remove_tree(repo / "old")
    commit_all(repo, "2020-02-02")
    made = Source("here", "", repo, "git:0", git_dir=repo / ".git")
    for code, fits in {"open('x.csv')": 1, "glob.glob('../old/*')": 1, "open('y.csv')": 0}.items():
        notebook = book(f"import glob\n{code}")
        needs = needs_of(made.path, "nb/a.ipynb", notebook)
        assert eligibility_of(made, "nb/a.ipynb", notebook, needs, ()).eligible == bool(fits)


def test_other_languages_and_magics_may_define_names() -> None:
    """Nothing is said where they could; a cell that is meant to fail defines names too."""
    assert undefined(("print(x)",)) == ("x",)
    assert undefined(("print(x)", "%%R -o x\nx <- 1")) == ()
    assert undefined(("print(x)", "%run other.ipynb")) == ()
    assert undefined(("print(x)",), ("print(x)", "x = 1")) == ()


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
