"""What an index offers is read alike from every form of page, and an old answer is kept."""

from __future__ import annotations

import json
import math
import os
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from package_index import File, Shelf, serve, wheel
from packaging.version import Version

from leman.environments.index import Index, Release, newest, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = (
    File("tool-1.0.tar.gz", b"", "2016-05-01"),
    File("tool-1.0-cp36-cp36m-manylinux1_x86_64.whl", b"", "2017-01-02"),
    File("tool-1.1-cp36-cp36m-win_amd64.whl", b"", "2017-06-01"),
    File("tool-1.2-cp37-cp37m-manylinux1_x86_64.whl", b"", "2018-07-01", ">=3.7,<4"),
    File("tool-1.3-cp36-abi3-manylinux2014_x86_64.whl", b"", "2019-01-01"),
    File("tool-2.0rc1-py3-none-any.whl", b"", "2019-06-01"),
    File("tool-2.0-py2.py3-none-any.whl", b"", "2020-01-01"),
    File("tool-3.0-py3-none-any.whl", b"", "2020-02-01", yanked=True),
    File("tool-4.0-cp38-cp38-manylinux2014_aarch64.whl", b"", "2021-01-01"),
    File("what is this.exe", b"", "2021-01-01"),
)


@pytest.fixture(scope="module", params=["json", "html-dated", "html"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    """Serve the same project in each form of page."""
    with serve(form=request.param) as shelf:
        shelf.projects["tool"] = list(FILES)
        yield shelf


def releases(shelf: Shelf, cache: Path) -> dict[str, Release]:
    """Return the releases of the project by version."""
    found = Index(shelf.url, cache).releases(["Tool"])["tool"]
    return {str(release.version): release for release in found}


def test_every_form_of_page_tells_the_same_versions(shelf: Shelf, tmp_path: Path) -> None:
    """Versions rise, yanked files and names of unknown form are passed over."""
    assert list(releases(shelf, tmp_path)) == ["1.0", "1.1", "1.2", "1.3", "2.0rc1", "2.0", "4.0"]


def test_dates_are_read_where_there_are_any(shelf: Shelf, tmp_path: Path) -> None:
    """A release is as old as its first file; without dates it has none."""
    first = releases(shelf, tmp_path)["1.0"]
    assert first.uploaded == (None if shelf.form == "html" else date(2016, 5, 1))


def test_wheel_tags_say_for_which_pythons(shelf: Shelf, tmp_path: Path) -> None:
    """Only wheels for this kind of machine count; a stable ABI serves all later Pythons."""
    found = releases(shelf, tmp_path)
    assert found["1.0"].pythons == {"3.6"}
    assert found["1.0"].sdist
    assert not found["1.1"].pythons
    assert not found["1.1"].sdist
    assert {"3.6", "3.7", "3.13"} <= found["1.3"].pythons
    assert "3.5" not in found["1.3"].pythons
    assert found["2.0"].pythons == {"any"}
    assert not found["4.0"].pythons


def test_requires_python_is_read_and_unescaped(shelf: Shelf, tmp_path: Path) -> None:
    """An attribute written with &gt; means the same as JSON's >."""
    found = releases(shelf, tmp_path)["1.2"]
    assert found.requires_python == ">=3.7,<4"
    assert found.runs_on("3.7")
    assert not found.runs_on("3.6")


def test_newest_honours_date_python_specifier_and_wheels(tmp_path: Path) -> None:
    """The newest final release that existed, runs there and is allowed."""
    with serve() as shelf:
        shelf.projects["tool"] = list(FILES)
        found = Index(shelf.url, tmp_path).releases(["tool"])["tool"]

    def version(by: str, minor: str, specifier: str = "", *, wheels_only: bool = False) -> str:
        day = date.fromisoformat(by)
        one = newest(found, by=day, minor=minor, specifier=specifier, wheels_only=wheels_only)
        return str(one.version) if one else ""

    assert version("2016-01-01", "3.6") == ""
    assert version("2018-12-31", "3.6") == "1.0"
    assert version("2018-12-31", "3.7") == "1.2"
    assert version("2019-02-01", "3.6") == "1.3"
    assert version("2019-12-31", "3.8") == "1.3"
    assert version("2019-12-31", "3.8", "==2.0rc1") == "2.0rc1"
    assert version("2022-01-01", "3.8") == "2.0"
    assert version("2022-01-01", "3.6", "<1.3") == "1.0"
    assert version("2018-12-31", "3.9", wheels_only=True) == ""
    assert version("2022-01-01", "3.8", "this is no specifier") == "2.0"


def test_an_unknown_project_has_no_release(tmp_path: Path) -> None:
    """A 404 is an answer, and it is remembered."""
    with serve(wheel("tool", "1.0")) as shelf:
        index = Index(shelf.url, tmp_path)
        assert index.releases(["nothing-like-it"]) == {"nothing-like-it": ()}
        assert index.releases(["nothing-like-it"]) == {"nothing-like-it": ()}
        assert shelf.asked == ["nothing-like-it"]


def test_a_second_question_is_answered_from_the_disk(tmp_path: Path) -> None:
    """Neither another process nor an offline one asks the index again."""
    with serve(wheel("tool", "1.0")) as shelf:
        Index(shelf.url, tmp_path).releases(["tool"])
        Index(shelf.url, tmp_path).releases(["tool"])
        assert shelf.asked == ["tool"]
    assert Index(shelf.url, tmp_path, offline=True).releases(["tool"])["tool"]


def test_a_stale_answer_is_better_than_none(tmp_path: Path) -> None:
    """After a week the index is asked again; where it is down the old answer serves."""
    with serve(wheel("tool", "1.0")) as shelf:
        index = Index(shelf.url, tmp_path)
        index.releases(["tool"])
        os.utime(tmp_path / "tool.json", (1, 1))
        shelf.form = "broken"
        assert index.releases(["tool"])["tool"]
        assert shelf.asked == ["tool", "tool"]


def test_an_old_answer_serves_where_a_new_one_would_say_no_more(tmp_path: Path) -> None:
    """A question that any answer settles is not asked twice, however long ago it was."""
    with serve(wheel("tool", "1.0")) as shelf:
        index = Index(shelf.url, tmp_path)
        index.releases(["tool"], fresh=math.inf)
        os.utime(tmp_path / "tool.json", (1, 1))
        assert index.releases(["tool"], fresh=math.inf)["tool"]
        assert shelf.asked == ["tool"]


def test_an_index_is_looked_for_when_it_is_needed(tmp_path: Path) -> None:
    """An address that has to be found out is, for what is not kept, and for nothing else."""
    found_out = []
    with serve(wheel("tool", "1.0")) as shelf:

        def address() -> str:
            found_out.append(shelf.url)
            return shelf.url

        index = Index(address, tmp_path)
        assert index.releases(["tool"])["tool"]
    assert found_out
    found_out.clear()
    assert index.releases(["tool"])["tool"]
    assert not found_out


def test_an_unreachable_index_yields_nothing(tmp_path: Path) -> None:
    """Whoever cannot be asked has no releases; nothing raises and nothing is remembered."""
    assert Index("http://127.0.0.1:9/simple", tmp_path).releases(["six"]) == {"six": ()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "page", ['{"error": "please log in"}', "{ not JSON at all", '{"files": 3}']
)
def test_a_page_that_is_no_index_yields_nothing(page: str, tmp_path: Path) -> None:
    """An answer of a proxy in place of the index's does no harm and is not remembered."""
    with serve(form=page) as shelf:
        assert Index(shelf.url, tmp_path).releases(["tool"]) == {"tool": ()}
    assert not list(tmp_path.iterdir())


@given(st.lists(st.text(alphabet="abct-_.0123456789whlpytargznoelixu", max_size=60)))
def test_no_file_name_breaks_the_reading(names: list[str]) -> None:
    """Names of any form are passed over, never an error."""
    page = json.dumps({"files": [{"filename": name} for name in names]})
    assert isinstance(parse(page), tuple)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), unique_by=lambda one: one[0]))
def test_newest_never_returns_what_came_later(pairs: list[tuple[int, int]]) -> None:
    """Whatever the index holds, nothing newer than the date is chosen, and nothing older missed."""
    found = tuple(
        Release(
            Version(str(number)),
            date.fromordinal(736000 + day),
            frozenset({"any"}),
            sdist=False,
        )
        for number, day in sorted(pairs)
    )
    by = date.fromordinal(737500)
    chosen = newest(found, by=by, minor="3.8")
    early = [one for one in found if one.uploaded and one.uploaded <= by]
    assert chosen == (early[-1] if early else None)
