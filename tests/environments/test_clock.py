"""The date and the Python come from evidence, the strongest first, and each says which it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.environments.clock import Wishes, era_of, language_version, run_times, within_life
from leman.environments.model import Declarations, Source
from leman.environments.pythons import MINORS, RELEASED

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Era

NOBODY_SAYS = Declarations()


def book(version: str = "", *cells: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook that this Python wrote, with the metadata of its cells."""
    metadata = {"language_info": {"name": "python", "version": version}} if version else {}
    made = [{"cell_type": "code", "source": "1", "metadata": one, "outputs": []} for one in cells]
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def source(folder: Path, published: date | None = None) -> Source:
    """Return a source without history."""
    return Source("here", "", folder, "sha256:0", published=published)


def era(
    folder: Path,
    notebook: dict[str, Any],
    declared: Declarations = NOBODY_SAYS,
    *,
    published: date | None = None,
    wishes: Wishes | None = None,
) -> Era:
    """Return the era of one notebook."""
    (folder / "a.ipynb").write_text(json.dumps(notebook))
    return era_of(source(folder, published), "a.ipynb", notebook, declared, wishes)


def test_runtime_txt_rules_over_all_but_the_user(tmp_path: Path) -> None:
    """A date that is declared is taken as it stands, one on the command line before it."""
    declared = replace(
        NOBODY_SAYS, python="==3.8.*", python_origin="runtime.txt", cutoff=date(2020, 5, 1)
    )
    found = era(tmp_path, book("3.11.2"), declared, published=date(2024, 1, 1))
    assert (found.cutoff, found.cutoff_reason) == (date(2020, 5, 1), "runtime.txt")
    assert (found.pythons[0], found.python_reason) == ("3.8", "runtime.txt")
    wishes = Wishes("3.9", date(2021, 2, 3))
    found = era(tmp_path, book("3.11.2"), declared, wishes=wishes)
    assert (found.cutoff, found.cutoff_reason) == (date(2021, 2, 3), "--date")
    assert (found.pythons, found.python_reason) == (("3.9",), "--python")


def test_the_python_that_wrote_a_notebook_is_tried_first(tmp_path: Path) -> None:
    """Others follow by their distance, so that a machine without it has a next best."""
    found = era(tmp_path, book("3.7.4"), published=date(2020, 1, 1))
    assert found.pythons[0] == "3.7"
    assert "3.7.4" in found.python_reason
    assert {"3.6", "3.8"} <= set(found.pythons)
    assert len(set(found.pythons)) == len(found.pythons)


def test_pythons_before_3_6_are_served_by_3_6(tmp_path: Path) -> None:
    """The oldest that current tools still know stands in for those before it."""
    assert era(tmp_path, book("3.5.2"), published=date(2018, 1, 1)).pythons[0] == "3.6"


def test_an_exact_declaration_wins_over_the_notebook_and_a_range_only_limits(
    tmp_path: Path,
) -> None:
    """``==3.9.*`` is a choice; ``>=3.9`` excludes what is older."""
    exact = replace(NOBODY_SAYS, python="==3.9.*", python_origin="environment.yml")
    assert era(tmp_path, book("3.7.4"), exact).pythons[0] == "3.9"
    within = replace(NOBODY_SAYS, python=">=3.6", python_origin="setup.py")
    assert era(tmp_path, book("3.7.4"), within).pythons[0] == "3.7"
    beyond = replace(NOBODY_SAYS, python=">=3.9", python_origin="setup.py")
    assert era(tmp_path, book("3.7.4"), beyond).pythons[0] == "3.9"


@pytest.mark.parametrize(
    "metadata",
    [
        {"execution": {"iopub.execute_input": "2020-03-05T10:11:12.1Z"}},
        {"papermill": {"start_time": "2020-03-05T10:11:12.1"}},
        {"ExecuteTime": {"end_time": "2020-03-05T10:11:12.1Z"}},
    ],
)
def test_times_of_execution_date_a_notebook(metadata: dict[str, Any], tmp_path: Path) -> None:
    """What Jupyter, papermill or an extension stored is when it ran; the month counts."""
    found = era(tmp_path, book("3.7.4", metadata), published=date(2023, 1, 1))
    assert (found.cutoff.year, found.cutoff.month) == (2020, 3)
    assert "cells ran" in found.cutoff_reason


def test_colab_stores_milliseconds() -> None:
    """Its time stamp is one of the cell's metadata."""
    stamp = datetime(2021, 6, 7, tzinfo=UTC).timestamp() * 1000
    notebook = book("3.7.4", {"executionInfo": {"timestamp": stamp}})
    assert list(run_times(notebook)) == [date(2021, 6, 7)]


def test_the_last_run_counts(tmp_path: Path) -> None:
    """Of several times the latest is what made the stored outputs."""
    cells = [{"execution": {"iopub.execute_input": f"2020-0{n}-05T10:11:12.1Z"}} for n in (3, 8, 5)]
    assert era(tmp_path, book("3.7.4", *cells)).cutoff.month == 8


def test_an_archive_has_the_date_of_its_publication(tmp_path: Path) -> None:
    """Without history and run times, the source's own date."""
    found = era(tmp_path, book("3.7.4"), published=date(2020, 2, 2))
    assert (found.cutoff, found.cutoff_reason) == (date(2020, 2, 2), "the date of the source")


def test_a_notebook_is_never_older_than_the_packages_of_its_python(tmp_path: Path) -> None:
    """A date before the Python had wheels is moved on, and the reason says so."""
    found = era(tmp_path, book("3.8.0"), published=date(2015, 1, 1))
    assert found.cutoff > date.fromisoformat(RELEASED["3.8"])
    assert "moved on" in found.cutoff_reason


def test_a_patch_release_limits_how_late_a_notebook_ran(tmp_path: Path) -> None:
    """Hardly anybody worked with Python 3.6.4 in 2024, when the repository was published."""
    found = era(tmp_path, book("3.6.4"), published=date(2024, 6, 1))
    assert date(2018, 1, 1) < found.cutoff < date(2022, 1, 1)
    assert "3.6.4" in found.cutoff_reason
    later = era(tmp_path, book("3.6.15"), published=date(2024, 6, 1))
    assert later.cutoff > found.cutoff


def test_without_a_date_the_age_of_the_python_tells(tmp_path: Path) -> None:
    """A year after the patch release that wrote it, as a guess that says what it is."""
    found = era(tmp_path, book("3.7.4"))
    assert date(2019, 8, 1) < found.cutoff < date(2021, 1, 1)
    assert "3.7.4" in found.cutoff_reason


def test_without_any_evidence_it_is_today(tmp_path: Path) -> None:
    """And a Python that is usual today."""
    found = era(tmp_path, book())
    assert (datetime.now(UTC).date() - found.cutoff).days <= 1
    assert found.cutoff_reason.startswith("no evidence")
    assert found.python_reason == "usual at its date"


@pytest.mark.parametrize("version", ["", "three", "3", "3.x", "3.7.4; rm -rf", None, 3.7, {}])
def test_a_version_of_no_known_form_is_none(version: Any) -> None:
    """What is not written like a version is not believed."""
    notebook = {"cells": [], "metadata": {"language_info": {"version": version}}}
    assert language_version(notebook) in {"", "3.7"}
    assert language_version({"metadata": []}) == ""


@given(st.dates(date(2010, 1, 1), date(2030, 1, 1)), st.sampled_from(MINORS))
def test_a_date_moved_into_a_life_stays_there(day: date, minor: str) -> None:
    """Moving twice is moving once, and nothing is before the Python's release."""
    moved, _ = within_life(day, "why", minor)
    assert moved >= date.fromisoformat(RELEASED[minor])
    assert within_life(moved, "why", minor)[0] == moved


times: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(alphabet="20-:T 19Z", max_size=24),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "execution",
                    "papermill",
                    "ExecuteTime",
                    "executionInfo",
                    "timestamp",
                    "start_time",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(times)
def test_no_stored_time_breaks_the_reading(metadata: Any) -> None:
    """Notebooks are other people's files: any value may stand anywhere."""
    assert all(isinstance(day, date) for day in run_times(book("3.7.4", metadata)))
