"""The example project reproduces, as the README shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from leman.reproduction.report.as_json import schema

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "sunspots-and-co2"


def leman(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `make up` does, with a home of its own."""
    return subprocess.run(
        [Path(sys.executable).with_name("leman"), *arguments],
        cwd=ROOT,
        env={**os.environ, "LEMAN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.network
@pytest.mark.interpreter("3.11")
def test_the_example_reproduces_with_one_volatile_output(tmp_path: Path) -> None:
    """From an empty home all three notebooks run, agree, and one output is volatile."""
    report = tmp_path / "report"
    done = leman(tmp_path / "home", "run", str(EXAMPLE), "--twice", "--output", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 3 notebooks ran; all gave the same results." in done.stdout
    told = json.loads((report / "report.json").read_text())
    jsonschema.validate(told, schema())
    assert told["totals"]["outputs"]["volatile"] == 1
    assert told["totals"]["outputs"]["different"] == 0
    assert [one["cutoff"] for one in told["environments"]] == ["2023-06-01"]
    assert (report / "report.html").stat().st_size > 0


def test_the_example_holds_nothing_of_the_machine_it_was_made_on() -> None:
    """Its notebooks have stored outputs, no errors, and no path of anybody's machine."""
    notebooks = sorted(EXAMPLE.glob("*.ipynb"))
    assert len(notebooks) == 3
    for path in notebooks:
        text = path.read_text()
        assert not any(f"/{folder}/" in text for folder in ("home", "Users", "root", "tmp"))
        outputs = [one for cell in json.loads(text)["cells"] for one in cell.get("outputs", [])]
        assert outputs
        assert all(one["output_type"] != "error" for one in outputs)
