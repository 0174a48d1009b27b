"""`leman run` as a command: exit codes, refusals, what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from leman.reproduction.report.as_json import schema

if TYPE_CHECKING:
    from pathlib import Path

    from calling import Leman

pytestmark = pytest.mark.interpreter("3.11")


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Give a folder for the report that does not exist yet."""
    return str(tmp_path / "report")


@pytest.mark.network
@pytest.mark.usefixtures("shared_home")
def test_all_the_same_is_exit_code_0(leman: Leman, good: Path, output: str) -> None:
    """A source whose notebooks all give the stored results ends with 0 and says where."""
    said = leman("run", str(good), "--output", output)
    assert said.code == 0
    assert "a.ipynb" in said.out
    assert f"Report: {output}/report.html" in said.out


@pytest.mark.network
@pytest.mark.usefixtures("shared_home")
def test_a_difference_is_exit_code_1(leman: Leman, wrong: Path, output: str) -> None:
    """One output that differs is enough for 1."""
    said = leman("run", str(wrong), "--output", output)
    assert said.code == 1
    assert "differs" in said.out


@pytest.mark.network
@pytest.mark.usefixtures("shared_home")
def test_a_failure_is_exit_code_1(leman: Leman, failing: Path, output: str) -> None:
    """A notebook that fails ends with 1, the error is shown, and no traceback of ours."""
    said = leman("run", str(failing), "--output", output)
    assert said.code == 1
    assert "ZeroDivisionError" in said.out


@pytest.mark.network
@pytest.mark.usefixtures("shared_home")
def test_json_is_nothing_but_the_report(leman: Leman, wrong: Path, output: str) -> None:
    """`--json` prints one JSON document that the schema describes, and nothing else."""
    jsonschema = pytest.importorskip("jsonschema")
    said = leman("run", str(wrong), "--output", output, "--json")
    assert said.code == 1
    jsonschema.validate(json.loads(said.out), schema())


@pytest.mark.network
@pytest.mark.usefixtures("shared_home")
def test_a_report_may_replace_a_report(leman: Leman, good: Path, output: str) -> None:
    """The folder of an earlier report is taken again without a question."""
    for _ in range(2):
        assert leman("run", str(good), "--output", output).code == 0


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no/such/place"], "no file or folder"),
        (["--ref=-x", "gh:owner/name"], "-x"),
        (["ftp://example.org/x"], "ftp"),
        (["--python", "four"], "--python four"),
        (["--python", "2.7"], "--python 2.7"),
        (["--date", "yesterday"], "--date"),
        (["--jobs", "0"], "--jobs"),
        (["--isolation", "strong"], "--isolation"),
        (["--no-such-option"], "--no-such-option"),
        (["--notebook", "b.ipynb"], "b.ipynb"),
    ],
)
def test_what_cannot_start_is_exit_code_2(
    leman: Leman, good: Path, output: str, arguments: list[str], told: str
) -> None:
    """A bad source or option ends with 2 and is named, before anything was made."""
    source = [] if not arguments[-1].startswith("-") and len(arguments) == 1 else [str(good)]
    if arguments[0].startswith("--ref"):
        source = []
    said = leman("run", *source, *arguments, "--output", output)
    assert said.code == 2
    assert told in said.err
    assert said.out == ""


@pytest.mark.usefixtures("home")
def test_a_source_without_notebooks_is_exit_code_2(
    leman: Leman, tmp_path: Path, output: str
) -> None:
    """A folder without a notebook is told apart from one whose notebooks fail."""
    (tmp_path / "empty").mkdir()
    said = leman("run", str(tmp_path / "empty"), "--output", output)
    assert said.code == 2
    assert "no notebook" in said.err


@pytest.mark.usefixtures("home")
def test_a_folder_with_other_files_is_no_place_for_a_report(
    leman: Leman, good: Path, tmp_path: Path
) -> None:
    """Nothing of the user's is written over: no folder with files, no file, not the source."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for place in ("mine", "mine/thesis.tex", "good"):
        said = leman("run", str(good), "--output", str(tmp_path / place))
        assert said.code == 2, place
        assert "--output" in said.err
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_a_home_that_is_a_file_is_exit_code_2(
    leman: Leman, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LEMAN_HOME that cannot be used is named."""
    monkeypatch.setenv("LEMAN_HOME", str(good / "a.ipynb"))
    said = leman("run", str(good), "--output", str(tmp_path / "report"))
    assert said.code == 2
    assert "LEMAN_HOME" in said.err


@pytest.mark.usefixtures("home")
def test_a_report_that_cannot_be_written_is_exit_code_2(leman: Leman, good: Path) -> None:
    """A place where nobody can write is an error of two sentences."""
    said = leman("run", str(good), "--output", "/proc/leman-report", "--notebook", "a.ipynb")
    assert said.code == 2
    assert "/proc/leman-report" in said.err
