"""`leman run` of a repository that is built already, against bare nbclient.

Both execute the same notebooks one after the other in the same environment, in turn. What leman
adds: plan, sandbox, watch over memory and time, comparison of every output, report.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import Clock, machine, verdict, write

LEMAN = str(Path(sys.executable).with_name("leman"))
EXAMPLE = Path(__file__).parents[1] / "examples" / "sunspots-and-co2"
BARE = """
import sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient
for path in sorted(Path(sys.argv[1]).glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="bare", resources=place).execute()
    nbformat.write(notebook, path)
"""


def kernel(folder: Path, python: Path) -> None:
    """Write a kernel's description below `folder`, as Jupyter looks for it."""
    place = folder / "kernels" / "bare"
    place.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": argv, "display_name": "bare", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(described))


def all_ran(report: Path) -> dict[str, Any]:
    """Return a report; end the measurement where a notebook did not run, for that would be fast."""
    told: dict[str, Any] = json.loads((report / "report.json").read_text())
    if failed := [one["path"] for one in told["notebooks"] if one["status"] != "ran"]:
        raise SystemExit(f"nothing was measured: {', '.join(failed)} did not run")
    return told


def environment(report: Path) -> tuple[Path, int]:
    """Return the Python that a report's notebooks ran in, and how many notebooks there were."""
    from leman.config import settings  # noqa: PLC0415
    from leman.environments.shelf import find  # noqa: PLC0415

    told = all_ran(report)
    digest = told["notebooks"][0]["environment"]
    built = find(settings().environments, digest).environment
    if built is None:
        raise SystemExit(f"the environment {digest} is not there")
    return built.executable, len(told["notebooks"])


def main(rounds: int = 7) -> None:
    """Measure in turn, write the section."""
    ours, bare = Clock(), Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = str(folder / "report")
        command = [LEMAN, "run", str(EXAMPLE), "--output", report, "--json"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # builds what is needed
        python, count = environment(folder / "report")
        kernel(folder / "jupyter", python)
        variables = {**os.environ, "JUPYTER_PATH": str(folder / "jupyter")}
        for number in range(rounds + 1):
            work = folder / "work"
            shutil.copytree(EXAMPLE, work)
            measured = number > 0  # the first fills the system's cache of files for both
            for clock, argv in (
                (bare, [sys.executable, "-c", BARE, str(work)]),
                (ours, command),
            ):
                with (clock if measured else Clock()).run():
                    subprocess.run(
                        argv,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=variables,
                        check=clock is bare,
                    )
            all_ran(folder / "report")
            shutil.rmtree(work)
    more = ours.median - bare.median
    write(
        "run",
        "`leman run` of the example project, built before",
        [
            f"{count} notebooks: leman {ours.text()}, bare nbclient {bare.text()}.",
            f"{more:+.2f} s. Target ≤ 1 s on top: {verdict(more, 1, at_least=False)}.",
            "nbclient asks each kernel to shut down and waits for it; leman, whose outputs are all",
            "there by then, kills it, and imports its client while the first kernel starts.",
            "",
            f"{machine('nbclient', 'jupyter-client')}.",
        ],
    )


if __name__ == "__main__":
    main()
