"""When a notebook's code was written, asked of real histories."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_places import commit, notebook, run_git, write

from leman.environments.history import (
    cell_dates,
    code_of,
    file_date,
    first_commit,
    last_commit,
)
from leman.environments.model import Source
from leman.environments.providers.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path


def source(work: Path, **more: str) -> Source:
    """Return a work tree as a source at its HEAD."""
    head = run_git(work, "rev-parse", "HEAD")
    return Source(str(work), head, work, f"git:{head}", git_dir=work / ".git", **more)  # type: ignore[arg-type]


def days(work: Path, name: str) -> list[str]:
    """Return first and last day of a notebook's code."""
    return [str(day) for day in cell_dates(source(work), name)]


def test_outputs_metadata_and_prose_do_not_count(tmp_path: Path) -> None:
    """Only changes of code cells move the last date."""
    commit(tmp_path, {"a.ipynb": notebook("1")}, "2016-01-01")
    commit(tmp_path, {"a.ipynb": notebook("1", "2")}, "2017-02-02")
    commit(tmp_path, {"a.ipynb": notebook("1", "2", outputs=("x",))}, "2020-03-03")
    text = notebook("1 ", "2", "").replace('"nbformat_minor": 4', '"nbformat_minor": 5')
    commit(tmp_path, {"a.ipynb": text}, "2021-04-04")
    assert days(tmp_path, "a.ipynb") == ["2016-01-01", "2017-02-02"]


def test_moves_do_not_count(tmp_path: Path) -> None:
    """A notebook that was moved, renamed, or copied and then deleted keeps its first date."""
    commit(tmp_path, {"a.ipynb": notebook("1")}, "2016-01-01")
    (tmp_path / "n").mkdir()
    run_git(tmp_path, "mv", "a.ipynb", "n/a.ipynb")
    commit(tmp_path, {}, "2018-01-01")
    run_git(tmp_path, "mv", "n/a.ipynb", "n/b.ipynb")
    commit(tmp_path, {}, "2019-01-01")
    commit(tmp_path, {"c.ipynb": notebook("1")}, "2020-01-01")
    run_git(tmp_path, "rm", "-q", "n/b.ipynb")
    commit(tmp_path, {}, "2021-01-01")
    assert days(tmp_path, "c.ipynb") == ["2016-01-01", "2016-01-01"]


def test_a_move_with_an_edit_is_followed(tmp_path: Path) -> None:
    """A rename that also changes cells is recognised by the cells that stayed."""
    commit(tmp_path, {"a.ipynb": notebook("1", "2", "3"), "z.ipynb": notebook("9")}, "2016-01-01")
    run_git(tmp_path, "rm", "-q", "a.ipynb", "z.ipynb")
    commit(tmp_path, {"b.ipynb": notebook("1", "2", "4")}, "2018-01-01")
    assert days(tmp_path, "b.ipynb") == ["2016-01-01", "2018-01-01"]


def test_another_notebook_is_not_taken_for_a_move(tmp_path: Path) -> None:
    """A notebook that replaces a different one has its own date."""
    commit(tmp_path, {"a.ipynb": notebook("1", "2", "3")}, "2016-01-01")
    run_git(tmp_path, "rm", "-q", "a.ipynb")
    commit(tmp_path, {"b.ipynb": notebook("7", "8", "9")}, "2018-01-01")
    assert days(tmp_path, "b.ipynb") == ["2018-01-01", "2018-01-01"]


def test_merges_count_through_their_branches(tmp_path: Path) -> None:
    """The date of a merge is not the date of the code that it brings."""
    commit(tmp_path, {"x": ""}, "2016-01-01")
    run_git(tmp_path, "checkout", "-q", "-b", "side")
    commit(tmp_path, {"a.ipynb": notebook("1")}, "2017-01-01")
    run_git(tmp_path, "checkout", "-q", "main")
    commit(tmp_path, {"y": ""}, "2018-01-01")
    run_git(tmp_path, "merge", "-q", "--no-ff", "-m", "m", "side", day="2020-01-01")
    assert days(tmp_path, "a.ipynb") == ["2017-01-01", "2017-01-01"]


def test_absent_contents_fall_back_to_commits(tmp_path: Path) -> None:
    """Where old contents are absent, the dates of the commits stand in, without an error."""
    commit(tmp_path, {"a.ipynb": notebook("1")}, "2016-01-01")
    commit(tmp_path, {"a.ipynb": notebook("1", outputs=("x",))}, "2017-01-01")
    commit(tmp_path, {"a.ipynb": notebook("1", outputs=("y",))}, "2018-01-01")
    oids = [run_git(tmp_path, "rev-parse", f"HEAD{back}:a.ipynb") for back in ("~2", "~1", "")]

    def lose(oid: str) -> None:
        (tmp_path / ".git" / "objects" / oid[:2] / oid[2:]).unlink()

    lose(oids[1])
    assert days(tmp_path, "a.ipynb") == ["2016-01-01", "2016-01-01"]
    lose(oids[0])
    assert days(tmp_path, "a.ipynb") == ["2016-01-01", "2018-01-01"]
    lose(oids[2])
    assert days(tmp_path, "a.ipynb") == ["2016-01-01", "2018-01-01"]


def test_a_rewritten_history_keeps_the_authors_date(tmp_path: Path) -> None:
    """The earlier of author's and committer's date counts."""
    commit(tmp_path, {"a.ipynb": notebook("1")}, "2016-01-01")
    run_git(tmp_path, "commit", "-q", "--amend", "--no-edit", day="2022-01-01")
    assert days(tmp_path, "a.ipynb") == ["2016-01-01", "2016-01-01"]


def test_a_shallow_history_has_no_first_date(tmp_path: Path) -> None:
    """Where history is cut off, the first date is unknown, not the date of the cut."""
    work = tmp_path / "work"
    commit(work, {"a.ipynb": notebook("1")}, "2016-01-01")
    commit(work, {"a.ipynb": notebook("2")}, "2018-01-01")
    run_git(tmp_path, "clone", "-q", "--depth=1", work.as_uri(), "shallow")
    first, last = cell_dates(source(tmp_path / "shallow"), "a.ipynb")
    assert (first, str(last)) == (None, "2018-01-01")
    assert first_commit(source(tmp_path / "shallow")) is None


def test_an_edit_that_is_not_committed_is_dated_by_its_file(tmp_path: Path) -> None:
    """A notebook that is being worked on has the date of its file; its neighbour has not."""
    work = tmp_path / "work"
    commit(work, {"a.ipynb": notebook("1"), "b.ipynb": notebook("1")}, "2016-01-01")
    write(work, {"a.ipynb": notebook("1", "2")})
    os.utime(work / "a.ipynb", (1_600_000_000, 1_600_000_000))
    made = Folder().fetch(str(work), ref="", into=tmp_path / "cache")
    assert [str(day) for day in cell_dates(made, "a.ipynb")] == ["2016-01-01", "2020-09-13"]
    assert [str(day) for day in cell_dates(made, "b.ipynb")] == ["2016-01-01", "2016-01-01"]


def test_files_and_repository_have_dates(tmp_path: Path) -> None:
    """Any file has the date of its last commit, also seen from a sub-folder."""
    commit(tmp_path, {"sub/r[1].txt": "1", "x": "1"}, "2016-01-01")
    commit(tmp_path, {"sub/r[1].txt": "2"}, "2017-01-01")
    commit(tmp_path, {"x": "2"}, "2018-01-01")
    whole = source(tmp_path)
    part = source(tmp_path, subfolder="sub")
    assert str(file_date(whole, "sub/r[1].txt")) == "2017-01-01"
    assert str(file_date(part, "r[1].txt")) == "2017-01-01"
    assert str(file_date(part, "../x")) == "2018-01-01"
    assert file_date(whole, "absent") is None
    assert [str(first_commit(whole)), str(last_commit(whole))] == ["2016-01-01", "2018-01-01"]


def test_no_repository_has_no_dates(tmp_path: Path) -> None:
    """A source without history answers None throughout."""
    plain = Source("u", "", tmp_path, "sha256:" + "0" * 64)
    assert cell_dates(plain, "a.ipynb") == (None, None)
    assert (file_date(plain, "a"), first_commit(plain), last_commit(plain)) == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b'{"cells": [1]}'])
def test_what_is_no_notebook_has_no_code(content: bytes) -> None:
    """Broken and foreign files are told apart from notebooks without code."""
    assert code_of(content) is None


def test_old_notebooks_have_code() -> None:
    """Format 3 keeps cells in worksheets and code in "input"."""
    old = b'{"worksheets": [{"cells": [{"cell_type": "code", "input": ["a\\n", "b"]}]}]}'
    assert code_of(old) == ("a\nb",)


@given(st.lists(st.text(max_size=8), max_size=4))
def test_code_survives_outputs(cells: list[str]) -> None:
    """Outputs never change what counts as code."""
    plain, ran = (code_of(notebook(*cells, outputs=out).encode()) for out in ((), ("x",)))
    assert plain == ran
