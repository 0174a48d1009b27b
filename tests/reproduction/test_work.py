"""Notebooks change a copy and nothing else; every change made for them is told."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import book, cell, codes, source

from leman.environments.model import Modification
from leman.reproduction.work import (
    begin_with,
    copy,
    files_called,
    in_stored_order,
    make_folder,
    own_copy,
    place_file,
    restore_order,
    rewrite,
    work_copy,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_work_copy_is_writable_apart_and_gone_at_the_end(tmp_path: Path) -> None:
    """The source keeps its bytes, whatever happens in the copy."""
    made = source(tmp_path / "source", {"nb/a.ipynb": book("1"), "data/x.csv": "1"})
    (made.path / "data" / "x.csv").chmod(0o444)
    (made.path / "data").chmod(0o555)
    with work_copy(made, tmp_path / "work") as work:
        (work / "data" / "x.csv").write_text("changed")
        (work / "data" / "new.csv").write_text("new")
        assert work.name == "source"
    assert (made.path / "data" / "x.csv").read_text() == "1"
    assert not (made.path / "data" / "new.csv").exists()
    assert not list((tmp_path / "work").iterdir())


def test_what_no_notebook_reads_is_not_copied(tmp_path: Path) -> None:
    """History and caches stay behind; links stay links; pipes are passed over."""
    files = {".git/HEAD": "x", "__pycache__/a.pyc": "x", ".ipynb_checkpoints/a": "x", "keep/a": "1"}
    made = source(tmp_path / "source", files)
    (made.path / "link").symlink_to("keep/a")
    (made.path / "dangling").symlink_to("nowhere")
    os.mkfifo(made.path / "pipe")
    target = copy(made, tmp_path / "target")
    names = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    assert {"keep", "keep/a", "link"} <= names <= {"keep", "keep/a", "link", "dangling"}
    assert (target / "link").is_symlink()


def test_files_are_found_by_their_name(tmp_path: Path) -> None:
    """Exactly first, then whatever the case."""
    source(tmp_path, {"a/Table.csv": "1", "b/table.csv": "2", ".git/table.csv": "3"})
    assert files_called(tmp_path, "table.csv") == ["b/table.csv"]
    assert files_called(tmp_path, "TABLE.CSV") == sorted(files_called(tmp_path, "TABLE.CSV"))
    assert set(files_called(tmp_path, "TABLE.CSV")) == {"a/Table.csv", "b/table.csv"}
    assert files_called(tmp_path, "none.csv") == []


def test_file_names_are_compared_without_what_systems_change(tmp_path: Path) -> None:
    """Spaces, dashes and doubled endings may differ; letters of any script may not."""
    source(tmp_path, {"My data-1.csv.csv": "1", "表.csv": "2"})
    assert files_called(tmp_path, "my_data_1.csv") == ["My data-1.csv.csv"]
    assert files_called(tmp_path, "数.csv") == []


def test_a_file_is_put_where_the_notebook_looks(tmp_path: Path) -> None:
    """As a link, once, and the change names both places."""
    source(tmp_path, {"nb/a.ipynb": book("1"), "raw/x.csv": "1"})
    change = place_file(tmp_path, "nb/a.ipynb", "../data/x.csv", "raw/x.csv")
    assert change
    assert (change.kind, change.target) == ("link", "data")
    assert change.detail == "leads to raw of the source"
    assert (tmp_path / "data" / "x.csv").read_text() == "1"
    assert place_file(tmp_path, "nb/a.ipynb", "../data/x.csv", "raw/x.csv") is None


@pytest.mark.parametrize("wanted", ["../../x.csv", "/etc/x.csv", "../", "link/x.csv"])
def test_nothing_is_ever_written_outside_the_copy(wanted: str, tmp_path: Path) -> None:
    """Neither upwards, nor absolute, nor through a link that leads out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    work = tmp_path / "work"
    source(work, {"nb/a.ipynb": book("1"), "raw/x.csv": "1"})
    (work / "nb" / "link").symlink_to(outside)
    place_file(work, "nb/a.ipynb", wanted, "raw/x.csv")
    make_folder(work, "nb/a.ipynb", wanted.replace("x.csv", "new/x.csv"))
    own_copy(work, "nb/a.ipynb", wanted.replace("x.csv", "clone"))
    assert not list(outside.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "work"}


def test_a_link_that_leads_out_is_no_file_of_the_source(tmp_path: Path) -> None:
    """Else a repository could have this machine's secrets copied into its sandbox."""
    secret = tmp_path / "id_rsa"
    secret.write_text("s3cret")
    (tmp_path / "folder").mkdir()
    work = tmp_path / "work"
    source(work, {"a.ipynb": book("1"), "real/inner.txt": "1"})
    (work / "id_rsa").symlink_to(secret)
    (work / "folder").symlink_to(tmp_path / "folder")
    (work / "inner2.txt").symlink_to("real/inner.txt")
    assert files_called(work, "id_rsa") == []
    assert files_called(work, "folder") == []
    assert files_called(work, "inner2.txt") == ["inner2.txt"]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """The folder of a file, or the folder itself; one that is there is no change."""
    source(tmp_path, {"nb/a.ipynb": book("1")})
    assert make_folder(tmp_path, "nb/a.ipynb", "figures/one.png") == Modification(
        "folder", "nb/figures", "made, was missing"
    )
    assert (tmp_path / "nb" / "figures").is_dir()
    assert make_folder(tmp_path, "nb/a.ipynb", "figures/two.png") is None
    assert make_folder(tmp_path, "nb/a.ipynb", "out\\deep")
    assert (tmp_path / "nb" / "out" / "deep").is_dir()


def test_a_path_is_rewritten_in_code_alone(tmp_path: Path) -> None:
    """In every spelling, and not in the text around it."""
    text = {"cell_type": "markdown", "source": "C:\\data\\x.csv", "metadata": {}}
    made = book(r"open('C:\\data\\x.csv')", r"open(r'C:\data\x.csv')", text)
    source(tmp_path, {"a.ipynb": made})
    change = rewrite(tmp_path, "a.ipynb", "C:\\data\\x.csv", "x.csv")
    assert change == Modification("path", "a.ipynb", "C:\\data\\x.csv → x.csv")
    assert codes(tmp_path / "a.ipynb") == ["open('x.csv')", "open(r'x.csv')", "C:\\data\\x.csv"]
    assert rewrite(tmp_path, "a.ipynb", "/not/there", "x") is None


def test_a_line_is_put_before_the_first_code(tmp_path: Path) -> None:
    """Not before a cell magic, which has to come first in its cell."""
    source(tmp_path, {"a.ipynb": book("%%bash\nls", "x = 1")})
    assert begin_with(tmp_path, "a.ipynb", "import a.b")
    assert codes(tmp_path / "a.ipynb") == ["%%bash\nls", "import a.b\nx = 1"]


def test_cells_run_in_the_order_of_their_counts_and_go_back(tmp_path: Path) -> None:
    """Text stays behind the cell that it followed; the author's order is restored."""
    text = {"cell_type": "markdown", "source": "about b", "metadata": {}}
    made = book(cell("b", count=2), text, cell("a", count=1), cell("c", count=3))
    source(tmp_path, {"a.ipynb": made})
    order = in_stored_order(tmp_path, "a.ipynb")
    assert order == (2, 0, 1, 3)
    assert codes(tmp_path / "a.ipynb") == ["a", "b", "about b", "c"]
    restore_order(tmp_path / "a.ipynb", order)
    assert codes(tmp_path / "a.ipynb") == ["b", "about b", "a", "c"]


@pytest.mark.parametrize("counts", [(1, 2, 3), (None, None), (2, 2, 1), (None, 1)])
def test_counts_that_say_nothing_change_nothing(
    counts: tuple[int | None, ...], tmp_path: Path
) -> None:
    """Rising, absent or repeated counts are no order of the author's."""
    source(tmp_path, {"a.ipynb": book(*(cell("x", count=one) for one in counts))})
    before = (tmp_path / "a.ipynb").read_bytes()
    assert in_stored_order(tmp_path, "a.ipynb") is None
    assert (tmp_path / "a.ipynb").read_bytes() == before


@given(counts=st.lists(st.none() | st.integers(1, 12), max_size=8))
def test_every_order_can_be_restored(
    counts: list[int | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the counts: no cell is lost, and sorting and restoring gives the same notebook."""
    folder = tmp_path_factory.mktemp("order")
    made = book(*(cell(f"x{n}", count=one) for n, one in enumerate(counts)))
    source(folder, {"a.ipynb": made})
    order = in_stored_order(folder, "a.ipynb")
    if order is not None:
        restore_order(folder / "a.ipynb", order)
    assert json.loads((folder / "a.ipynb").read_text()) == made
