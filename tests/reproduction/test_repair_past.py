"""What a source's own history gives back: deleted files and folders, modules, older code."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest
from repositories import commit_all
from sources import book, source

from leman.environments.model import Era, Source
from leman.files import remove_tree
from leman.reproduction.model import Failure, Reason
from leman.reproduction.repair import Case, repair
from leman.reproduction.work import copy

if TYPE_CHECKING:
    from pathlib import Path

ERA = Era(date(2021, 6, 1), "the last commit", ("3.8",), "its metadata")
NOTEBOOK = json.dumps(book("1"))


def commit(repo: Path, files: dict[str, str], day: str = "2020-01-02", drop: str = "") -> None:
    """Commit the repository with these files changed, without the file or folder `drop`."""
    source(repo, dict(files))
    if drop:
        remove_tree(repo / drop)
    commit_all(repo, day)


def case(tmp_path: Path, *, subfolder: str = "") -> Case:
    """Return the notebook ``nb/a.ipynb`` of the repository ``tmp_path/repo`` as a case."""
    repo = tmp_path / "repo"
    found = Source(
        "here", "", repo / subfolder, "git:0", git_dir=repo / ".git", subfolder=subfolder
    )
    work = copy(found, tmp_path / "work")
    return Case("nb/a.ipynb", work, ERA, (), (), source=found)


def no_file(path: str) -> Failure:
    """Return the error of a file that is not there."""
    text = f"[Errno 2] No such file or directory: '{path}'"
    return Failure(Reason.MISSING_FILE, "FileNotFoundError", text, "----> 1 open(path)")


def test_a_deleted_file_comes_back(tmp_path: Path) -> None:
    """As it last was; the change says of which commit, and the second run gets it too."""
    commit(tmp_path / "repo", {"nb/a.ipynb": NOTEBOOK, "nb/x.csv": "1"}, "2020-01-02")
    commit(tmp_path / "repo", {"nb/x.csv": "2"}, "2020-02-02")
    commit(tmp_path / "repo", {}, "2020-03-02", drop="nb/x.csv")
    one = case(tmp_path)
    assert repair(one, no_file("x.csv"))
    assert (one.work / "nb" / "x.csv").read_text() == "2"
    (change,) = one.modifications
    assert (change.kind, change.target) == ("past", "nb/x.csv")
    assert "2020-03-02" in change.detail
    assert len(one.attempts) == len(one.replay) == 1
    assert not repair(one, no_file("x.csv"))


def test_a_deleted_folder_comes_back_where_it_is_looked_for(tmp_path: Path) -> None:
    """With all its files, under another path if the notebook was moved since."""
    files = {"nb/a.ipynb": NOTEBOOK, "data/raw/x.csv": "1", "data/raw/y.csv": "2"}
    commit(tmp_path / "repo", files)
    commit(tmp_path / "repo", {}, drop="data")
    one = case(tmp_path)
    assert repair(one, no_file("data/raw"))
    assert (one.work / "nb" / "data" / "raw" / "y.csv").read_text() == "2"
    assert [change.kind for change in one.modifications] == ["past", "link"]


def test_a_deleted_module_comes_back(tmp_path: Path) -> None:
    """And its folder is put on the path."""
    commit(tmp_path / "repo", {"nb/a.ipynb": NOTEBOOK, "lib/zzhelp.py": "x = 1"})
    commit(tmp_path / "repo", {}, drop="lib")
    one = case(tmp_path)
    failure = Failure(Reason.MISSING_MODULE, "ModuleNotFoundError", "No module named 'zzhelp'")
    assert repair(one, failure)
    assert one.python_paths == ("lib",)
    assert (one.work / "lib" / "zzhelp.py").exists()
    assert not repair(one, failure)


def test_code_goes_back_to_what_fitted_the_notebook(tmp_path: Path) -> None:
    """State by state; when none helps, the file is as it was and no change is claimed."""
    commit(tmp_path / "repo", {"nb/a.ipynb": NOTEBOOK, "nb/own.py": "def f(x): pass"})
    commit(tmp_path / "repo", {"nb/own.py": "def f(x, y): pass"}, "2020-02-02")
    commit(tmp_path / "repo", {"nb/own.py": "def f(x, y, z): pass"}, "2020-03-02")
    one = case(tmp_path)
    text = "f() missing 1 required positional argument: 'z'"
    failure = Failure(Reason.API_CHANGE, "TypeError", text)
    assert repair(one, failure)
    assert (one.work / "nb" / "own.py").read_text() == "def f(x, y): pass"
    assert repair(one, failure)
    assert (one.work / "nb" / "own.py").read_text() == "def f(x): pass"
    assert [(change.kind, change.target) for change in one.modifications] == [("past", "nb/own.py")]
    assert not repair(one, failure)
    assert (one.work / "nb" / "own.py").read_text() == "def f(x, y, z): pass"
    assert one.modifications == []


@pytest.mark.parametrize(("noun", "changed"), [("Graph", ["nb/own.py"]), ("DataFrame", [])])
def test_only_the_sources_own_classes_go_back(
    noun: str, changed: list[str], tmp_path: Path
) -> None:
    """A library's class that lacks a name is no matter of a module that has a function of it."""
    code = "class Graph:\n    def append(self): pass\n"
    commit(tmp_path / "repo", {"nb/a.ipynb": NOTEBOOK, "nb/own.py": f"{code}    x = 1\n"})
    commit(tmp_path / "repo", {"nb/own.py": code}, "2020-02-02")
    one = case(tmp_path)
    text = f"'{noun}' object has no attribute 'append'"
    repair(one, Failure(Reason.AUTHOR_ERROR, "AttributeError", text))
    assert [change.target for change in one.modifications] == changed


def test_a_part_of_a_repository_has_its_own_paths(tmp_path: Path) -> None:
    """A source that is a folder of a repository looks into that folder's history alone."""
    files = {"sub/nb/a.ipynb": NOTEBOOK, "sub/x.csv": "1", "other/y.csv": "1"}
    commit(tmp_path / "repo", files)
    commit(tmp_path / "repo", {}, drop="sub/x.csv")
    commit(tmp_path / "repo", {}, drop="other")
    one = case(tmp_path, subfolder="sub")
    assert repair(one, no_file("../x.csv"))
    assert (one.work / "x.csv").read_text() == "1"
    assert not repair(one, no_file("y.csv"))


def test_no_history_gives_nothing(tmp_path: Path) -> None:
    """A folder without git, a pointer of git LFS, and names that are none."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    commit(tmp_path / "repo", {"nb/a.ipynb": NOTEBOOK, "nb/x.csv": pointer})
    commit(tmp_path / "repo", {}, drop="nb/x.csv")
    one = case(tmp_path)
    assert not any(repair(one, no_file(name)) for name in ("x.csv", "", ".", "/", "never.csv"))
    one.source = None
    assert not repair(one, no_file("data/x.csv"))
