"""Whole repositories, one folder each: tests/repos/<case>/expected.toml says what must come out.

``interpreter`` names the Python that a case is about; ``date`` asks for a git history of that
day; ``[options]`` holds what `leman run` is asked for. Every notebook is named with what its
result must be; numbers of versions are beginnings (``"1.18."``).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from repositories import commit_all

from leman.config import Settings
from leman.environments.clock import Wishes
from leman.environments.fetch import fetch
from leman.reproduction.model import Limits
from leman.reproduction.options import Options
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from leman.reproduction.model import NotebookResult, Report

REPOS = Path(__file__).parents[1] / "repos"
KINDS = ("era", "fails", "repairs", "compares")
HOSTILE = ("no-json", "waits-for-input", "fork-bomb", "writes-outside", "reads-secrets")
LIMITS = Limits(seconds=120, memory=1_500_000_000, processes=128, output=20_000_000)

pytestmark = pytest.mark.network


def cases() -> list[Any]:
    """Return a parameter a case, marked with the interpreter that it is about."""
    found = [path for kind in KINDS for path in sorted(REPOS.glob(f"{kind}-*/expected.toml"))]
    found += [REPOS / f"malicious-{name}" / "expected.toml" for name in HOSTILE]
    made = []
    for path in found:
        minor = tomllib.loads(path.read_text()).get("interpreter", "3.11")
        mark = pytest.mark.interpreter(minor)
        made.append(pytest.param(path.parent, marks=mark, id=path.parent.name))
    return made


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the LEMAN_HOME that all cases share, also those of other workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "leman-home"
    folder.mkdir(exist_ok=True)
    return folder


def bytes_of(folder: Path) -> dict[str, str]:
    """Return what every file of a folder holds, and its mode."""
    return {
        path.relative_to(folder).as_posix(): f"{path.lstat().st_mode:o} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }


def laid_out(case: Path, folder: Path) -> Path:
    """Copy a case's files to `folder`, without what is expected; a date makes it a repository."""
    expected = tomllib.loads((case / "expected.toml").read_text())
    for path in sorted(case.rglob("*")):
        if path.is_file() and path.name != "expected.toml":
            target = folder / path.relative_to(case)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    if "date" in expected:
        commit_all(folder, str(expected["date"]))
    return folder


def run_case(asked: dict[str, Any], source: Path, output: Path, home: Path) -> Report:
    """Run a folder as `leman run` would, with a case's options."""
    names = ("seconds", "memory", "processes", "output")
    options = Options(
        wishes=Wishes(asked.get("python", "")),
        limits=replace(LIMITS, **{name: asked[name] for name in names if name in asked}),
        twice=asked.get("twice", False),
        network=asked.get("network", False),
        repairs=asked.get("repairs", 8),
    )
    settings = Settings(home / "elsewhere" if "index" in asked else home, asked.get("index", ""))
    fetched = fetch(str(source), cache=settings.cache)
    return reproduce(fetched, output=output, settings=settings, options=options)


@pytest.mark.parametrize("case", cases())
def test_a_repository_gives_what_its_case_says(case: Path, home: Path, tmp_path: Path) -> None:
    """Status, reason, sameness, Python, date, versions and repairs are what expected.toml holds."""
    expected = tomllib.loads((case / "expected.toml").read_text())
    source = laid_out(case, tmp_path / "study")
    before = bytes_of(source)
    report = run_case(expected.get("options", {}), source, tmp_path / "report", home)
    found = {one.path: one for one in report.notebooks}
    assert sorted(found) == sorted(expected["notebooks"])
    for name, wanted in expected["notebooks"].items():
        differs = list(differences(found[name], wanted, report))
        assert not differs, "\n".join([*differs, told(found[name])])
    assert report.passed is (expected.get("exit", 1) == 0)
    assert bytes_of(source) == before


def differences(result: NotebookResult, wanted: dict[str, Any], report: Report) -> list[str]:
    """Return in words what of a notebook's result is not as wanted."""
    environments = {one.digest: one for one in report.environments}
    own = environments.get(result.environment)
    versions = {one.name: one.version for one in own.lock.packages} if own else {}
    seen: dict[str, Any] = {
        "status": result.status.value,
        "reason": result.reason.value,
        "python": own.python.minor if own else "",
        "eligible": result.eligible,
        "runs": result.runs,
        "modifications": [one.kind for one in result.modifications],
    }
    wanted = {"reason": "", **wanted}
    wrong = [
        f"{key}: {seen[key]!r}, not {wanted[key]!r}"
        for key in seen
        if key in wanted and seen[key] != wanted[key]
    ]
    if "same" in wanted and result.same.value not in wanted["same"]:
        wrong.append(f"same: {result.same.value}, not {wanted['same']}")
    if "message" in wanted and wanted["message"] not in result.message:
        wrong.append(f"message: {result.message!r} does not name {wanted['message']!r}")
    if "cutoff" in wanted and not (
        own and wanted["cutoff"][0] <= own.cutoff <= wanted["cutoff"][1]
    ):
        wrong.append(f"cutoff: {own.cutoff if own else None}, not in {wanted['cutoff']}")
    for name, version in wanted.get("packages", {}).items():
        if not versions.get(name, "").startswith(version):
            wrong.append(f"{name}: {versions.get(name)}, not {version}")
    counts = result.comparison.counts() if result.comparison else {}
    for verdict, number in wanted.get("counts", {}).items():
        if counts.get(verdict, 0) != number:
            wrong.append(f"{verdict}: {counts.get(verdict, 0)}, not {number}")
    return wrong


def told(result: NotebookResult) -> str:
    """Return all that helps to see why a case went wrong."""
    lines = [f"message: {result.message}"]
    lines += [f"tried: {one.action} ({one.reason}) → {one.outcome}" for one in result.attempts]
    lines += [f"changed: {one.kind} {one.target}: {one.detail}" for one in result.modifications]
    for one in result.comparison.outputs if result.comparison else ():
        lines.append(
            f"cell {one.cell}: {one.verdict.value}: {one.detail} | {one.stored} | {one.new}"
        )
    return "\n".join(lines)


def leman(*arguments: str, home: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the `leman` command as a user would."""
    return subprocess.run(
        [sys.executable, "-c", "from leman.cli.main import main; main()", *arguments],
        cwd=cwd,
        env={**os.environ, "LEMAN_HOME": str(home), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.interpreter("3.11")
@pytest.mark.parametrize("name", ["compares-exempt", "compares-wrong-number"])
def test_the_command_ends_with_the_exit_code_of_the_case(
    name: str, home: Path, tmp_path: Path
) -> None:
    """0 where all ran and nothing differs, 1 where something differs; a report lies there."""
    expected = tomllib.loads((REPOS / name / "expected.toml").read_text())
    source = laid_out(REPOS / name, tmp_path / "study")
    before = bytes_of(source)
    done = leman("run", str(source), "--output", "out", "--network", "off", home=home, cwd=tmp_path)
    assert done.returncode == expected["exit"], done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["notebooks"]) == len(expected["notebooks"])
    assert "<html" in (tmp_path / "out" / "report.html").read_text()[:500].lower()
    assert bytes_of(source) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "study", "--ref", "--upload-pack=touch pwned"), "upload-pack"),
        (("run", "./no-such-folder"), "no-such-folder"),
        (("run", "climbs.zip"), ".."),
        (("run", "study", "--output", "study"), "study"),
        (("run", "empty"), "no notebook"),
    ],
    ids=["option-like-ref", "no-source", "zip-slip", "output-is-source", "no-notebook"],
)
def test_what_cannot_start_says_why_and_ends_with_2(
    arguments: tuple[str, ...], said: str, home: Path, tmp_path: Path
) -> None:
    """A hostile or wrong source ends in a message, never in a traceback, and touches nothing."""
    laid_out(REPOS / "compares-exempt", tmp_path / "study")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "climbs.zip", "w") as archive:
        archive.writestr("study/analysis.ipynb", "{}")
        archive.writestr("../../pwned.ipynb", "{}")
    before = bytes_of(tmp_path)
    done = leman(*arguments, home=home, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert bytes_of(tmp_path) == before


def test_every_kind_of_case_is_there() -> None:
    """Every Python from 3.6 to 3.13 and every year from 2016 to 2026 has its era."""
    eras = [path.name.split("-") for path in REPOS.glob("era-*")]
    assert {int(year) for _, year, *_ in eras} == set(range(2016, 2027))
    assert {minor for *_, minor in eras} == {f"3.{number}" for number in range(6, 14)}
