"""uv is asked as of a date, sees no secret, and its own words are kept."""

from __future__ import annotations

import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
from package_index import sdist, serve, wheel

from leman.environments import uv as uvs
from leman.environments.pythons import interpreters
from leman.environments.uv import Question, Uv
from leman.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = interpreters()[-1].path
DAY = date(2020, 1, 1)


def question(*requirements: str, **options: object) -> Question:
    """Return a question to the newest Python here as of 2020."""
    return Question(requirements, PYTHON, DAY, **options)  # type: ignore[arg-type]


def test_compile_answers_as_of_the_date_and_sync_installs_that(tmp_path: Path) -> None:
    """What the lock names is installed, nothing newer than the cut-off, with its dependencies."""
    old = wheel("tool", "1.0", requires=("other>=1",))
    new = wheel("tool", "2.0", uploaded="2021-01-01")
    with serve(old, new, wheel("other", "1.5")) as shelf:
        uv = Uv(tmp_path / "cache", shelf.url)
        lock = uv.compile(question("tool"))
        uv.venv(PYTHON, tmp_path / "environment")
        uv.sync(lock, tmp_path / "environment", question("tool"))
    python = tmp_path / "environment" / "bin" / "python"
    said = subprocess.run(
        [python, "-c", "import tool, other; print(tool.VERSION, other.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["1.0", "1.5"]


def test_a_package_may_have_a_cut_off_of_its_own(tmp_path: Path) -> None:
    """A pin that is newer than the date is reached by moving the date of that package alone."""
    files = [wheel("tool", f"{n}.0", uploaded=f"20{n}-01-01") for n in (18, 22)]
    files += [wheel("other", f"{n}.0", uploaded=f"20{n}-01-01") for n in (18, 22)]
    with serve(*files) as shelf:
        asked = question("tool", "other", package_cutoffs={"tool": date(2022, 1, 1)})
        lock = Uv(tmp_path, shelf.url).compile(asked)
    assert "tool-22.0" in lock
    assert "other-18.0" in lock


def test_given_metadata_replaces_what_cannot_be_read(tmp_path: Path) -> None:
    """A release whose metadata is no PEP 440 can be locked once its metadata are given."""
    bad = wheel("tool", "1.0", requires=("other (>=2011k)",))
    with serve(bad, wheel("other", "1.0")) as shelf:
        uv = Uv(tmp_path, shelf.url)
        with pytest.raises(ToolError) as caught:
            uv.compile(question("tool"))
        lock = uv.compile(question("tool", metadata=(("tool", "1.0", ("other",)),)))
    assert "tool" in caught.value.output
    assert "other-1.0" in lock


def test_excluded_and_wheels_only_packages(tmp_path: Path) -> None:
    """An excluded dependency is left out; a wheels-only one is not taken from source."""
    tool = wheel("tool", "1.0", requires=("other", "third"))
    with serve(tool, wheel("other", "1.0"), sdist("other", "2.0"), wheel("third", "1.0")) as shelf:
        asked = question("tool", excludes=("third",), only_binary=("other",))
        lock = Uv(tmp_path, shelf.url).compile(asked)
    assert "other-1.0" in lock
    assert "third" not in lock


def test_an_extra_build_dependency_is_there_while_building(tmp_path: Path) -> None:
    """The hint that uv gives about an undeclared build dependency can be followed."""
    prelude = "import other\ncontent = 'BUILT_WITH = ' + repr(other.VERSION)"
    with serve(sdist("tool", "1.0", prelude=prelude), wheel("other", "1.0")) as shelf:
        uv = Uv(tmp_path, shelf.url)
        with pytest.raises(ToolError, match="fits together") as caught:
            uv.compile(question("tool"))
        lock = uv.compile(question("tool", build_dependencies={"tool": ("other",)}))
    assert "likely indicates that `tool@1.0` depends on `other`" in caught.value.output
    assert "tool-1.0.tar.gz" in lock


def test_without_dates_no_cut_off_is_sent(tmp_path: Path) -> None:
    """Under a cut-off uv refuses every file of an index that gives no dates."""
    with serve(wheel("tool", "1.0"), form="html") as shelf:
        uv = Uv(tmp_path, shelf.url)
        with pytest.raises(ToolError):
            uv.compile(question("tool"))
        assert "tool-1.0" in uv.compile(question("tool", dated=False))


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A build that never ends is killed with all its children, and the error says so."""
    with serve(sdist("tool", "1.0", prelude="import time\ntime.sleep(600)")) as shelf:
        uv = Uv(tmp_path, shelf.url, resolve_timeout=2.0)
        with pytest.raises(ToolError, match="longer than 2 s") as caught:
            uv.compile(question("tool"))
    assert caught.value.code == 124


def test_builds_see_no_secret_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and uv's settings are passed on, tokens are not."""
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    passed = uvs.passed_on()
    assert passed["https_proxy"] == "http://proxy.example"
    assert not {"GITHUB_TOKEN", "PYTHONPATH"} & passed.keys()


def test_the_default_index_is_asked_of_uv(tmp_path: Path) -> None:
    """The address that the user gave is it; else uv's own configuration tells."""
    assert Uv(tmp_path, "https://index.example/simple").index() == "https://index.example/simple"
    assert Uv(tmp_path).index().startswith("http")
