"""Prove on whole repositories that notebooks find what postBuild and start prepare."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leman.config import Settings
from leman.environments.fetch import fetch
from leman.files import remove_tree
from leman.reproduction.model import Limits, Report, Same, Status
from leman.reproduction.options import Options
from leman.reproduction.prepare import prepare
from leman.reproduction.reproduce import reproduce

REPOS = Path(__file__).parents[1] / "repos"
pytestmark = [pytest.mark.network, pytest.mark.interpreter("3.11")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Run the case with two runs of each notebook."""
    folder = tmp_path_factory.mktemp("case")
    settings = Settings(home=folder / "home")
    source = fetch(str(REPOS / "post-build-data"), cache=settings.cache)
    options = Options(limits=Limits(seconds=60), twice=True, isolation="sandbox")
    found = reproduce(source, output=folder / "report", settings=settings, options=options)
    remove_tree(folder / "home")
    return found


def test_a_notebook_finds_what_post_build_made(report: Report) -> None:
    """Files in the work copy and in the home, and the variable that start exports, are there."""
    (only,) = report.notebooks
    assert only.message == ""
    assert only.status is Status.RAN
    assert only.same is Same.EXACT


def test_the_report_says_that_it_ran(report: Report) -> None:
    """Its run is a finding, and the source itself is as it was."""
    assert "post-build-ran" in [one.code for one in report.findings]
    assert not (REPOS / "post-build-data" / "data").exists()


def test_launch_runs_it_in_the_copy_that_it_makes(tmp_path: Path) -> None:
    """A source that was fetched gets it once; a folder of the user's own stays as it is."""
    given = tmp_path / "given"
    shutil.copytree(REPOS / "post-build-data", given)
    archive = shutil.make_archive(str(tmp_path / "source"), "zip", given)
    settings = Settings(home=tmp_path / "home")
    try:
        made = prepare(archive, own=settings)
        assert (made.work / "data" / "numbers.txt").read_text() == "1 2 3\n"
        assert prepare(str(given), own=settings).work == given
        assert not (given / "data").exists()
    finally:
        remove_tree(tmp_path / "home")
