"""Prove that notebooks of all ages run where they lie, and that what they show is kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from notebooks import code, error, execute, outputs, write

from leman.errors import IsolationError
from leman.reproduction import cells, run
from leman.reproduction import kernel as kernels
from leman.reproduction.model import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import BuiltEnvironment

pytestmark = pytest.mark.network  # the environments are built from the package index


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a work copy with a data file, and a folder for notebooks."""
    (tmp_path / "work" / "notebooks").mkdir(parents=True)
    (tmp_path / "work" / "data.txt").write_text("42")
    return tmp_path / "work"


def test_cells_run_in_order_in_the_notebooks_folder(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """State passes from cell to cell, files are found beside the notebook, progress is told."""
    notebook = write(
        work / "notebooks" / "a.ipynb",
        "import os; os.path.basename(os.getcwd())",
        {"cell_type": "markdown", "source": "text", "metadata": {}},
        "text = open('../data.txt').read()",
        "  ",
        "print(text); open('../new.txt', 'w').close()",
    )
    before = notebook.read_bytes()
    told: list[tuple[int, int]] = []
    done = execute(
        notebook,
        kernel_environment,
        work=work,
        on_cell=lambda done, total: told.append((done, total)),
    )
    assert done.failure is None
    assert outputs(done) == [["'notebooks'"], [], [], [], ["42\n"]]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (work / "new.txt").exists()
    assert notebook.read_bytes() == before
    assert done.seconds > 0
    assert done.peak_memory > 1_000_000


@pytest.mark.interpreter("3.6")
def test_a_kernel_of_2017_runs_in_the_same_way(
    old_kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """Python 3.6 with ipykernel 4.6 answers today's client, in the sandbox, without network."""
    notebook = write(
        work / "a.ipynb",
        "import sys; sys.version_info[:2]",
        "print('one')",
        "1/0",
        "print('never')",
    )
    done = execute(notebook, old_kernel_environment)
    assert done.failure is not None
    assert (done.failure.name, done.failure.cell) == ("ZeroDivisionError", 2)
    assert outputs(done) == [["(3, 6)"], ["one\n"], ["ZeroDivisionError"], []]


def test_without_isolation_the_same_notebook_gives_the_same(
    kernel_environment: BuiltEnvironment, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Level "none" runs the kernel as a plain process, without variables that would change it."""
    monkeypatch.setenv("MPLBACKEND", "module://elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LEMAN_DEPOSIT_TOKEN", "elsewhere, and a secret")
    notebook = write(
        work / "a.ipynb",
        "import os, sys; ('/nowhere' in sys.path, 'elsewhere' in str(os.environ))",
        "import subprocess; sleeper = subprocess.Popen(['sleep', '600'], start_new_session=True)",
        "sleeper.pid",
    )
    done = execute(notebook, kernel_environment, level="none")
    assert done.failure is None, done.failure
    assert outputs(done)[0] == ["(False, False)"]
    gone = subprocess.run(["ps", "-p", outputs(done)[2][0]], capture_output=True, check=False)
    assert gone.returncode != 0, "what a cell started outlived the run"


def test_streams_are_kept_as_a_page_would_keep_them(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """Neighbouring streams are one, progress bars are their last state, displays are updated."""
    bar = r"""
import time
for i in range(3):
    print(f"\r{i} of 2", end="", flush=True)
    time.sleep(0.3)
"""
    update = "from IPython.display import display; d = display('first', display_id=True)"
    notebook = write(work / "a.ipynb", bar, update, "d.update('second')")
    done = execute(notebook, kernel_environment)
    assert outputs(done) == [["2 of 2"], ["'second'"], []]


def test_errors_that_the_author_shows_are_no_failures(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """A stored error or the tag lets a cell raise; a missing import is still ours to repair."""
    notebook = write(
        work / "a.ipynb",
        code("1/0", error("ZeroDivisionError")),
        code("undefined", tags=("raises-exception",)),
        code("raise KeyError", error("ValueError")),
        code("import no_such_module_here", error("NameError")),
        "print('never')",
    )
    done = execute(notebook, kernel_environment)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == (Reason.MISSING_MODULE, 3)
    assert outputs(done)[:3] == [["ZeroDivisionError"], ["NameError"], ["KeyError"]]
    cells = json.loads(done.notebook.read_text())["cells"]
    assert [cell["metadata"].get("tags") for cell in cells[:2]] == [None, ["raises-exception"]]


def test_skipped_and_stale_cells_show_nothing(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """A cell that does not run has no outputs, so that nobody compares the author's with itself."""
    stale = {"output_type": "stream", "name": "stdout", "text": "stored"}
    notebook = write(
        work / "a.ipynb",
        code("1/0", stale, tags=("nbval-skip",)),
        code("1/0", stale, tags=("leman:skip",)),
        code("boom", stale),
        code("print('new')", stale),
    )
    done = execute(notebook, kernel_environment)
    assert done.failure is not None
    assert done.failure.reason is Reason.AUTHOR_ERROR
    assert outputs(done) == [[], [], ["NameError"], []]


def test_a_notebook_of_format_3_runs(kernel_environment: BuiltEnvironment, work: Path) -> None:
    """Notebooks of 2012 to 2015 have worksheets; the executed one is of version 4."""
    cell = {"cell_type": "code", "language": "python", "input": ["print(6*7)"], "outputs": []}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
    (work / "old.ipynb").write_text(json.dumps({**old, "worksheets": [{"cells": [cell]}]}))
    done = execute(work / "old.ipynb", kernel_environment)
    assert done.failure is None, done.failure
    assert outputs(done) == [["42\n"]]


def test_variables_and_folders_that_were_given_can_be_found(
    kernel_environment: BuiltEnvironment, work: Path, tmp_path: Path
) -> None:
    """A data folder outside the work copy is readable, and not writable."""
    data = tmp_path / "lake"
    data.mkdir()
    (data / "a").write_text("7")
    notebook = write(
        work / "a.ipynb",
        "import os; open(os.environ['DATA'] + '/a').read()",
        "open(os.environ['DATA'] + '/b', 'w')",
    )
    around = run.Surroundings(readable=(data,), variables=(("DATA", str(data)),))
    done = execute(notebook, kernel_environment, surroundings=around)
    assert outputs(done)[0] == ["'7'"]
    assert done.failure is not None
    assert "Read-only" in done.failure.text


def test_widgets_and_odd_messages_do_no_harm(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """Comm messages without the fields that today's clients read are passed over."""
    odd = """
from ipykernel.comm import Comm
Comm(target_name="jupyter.widget", data={})
Comm(target_name="jupyter.widget", data={"state": {}})
get_ipython().kernel.session.send(
    get_ipython().kernel.iopub_socket, "comm_msg", {"comm_id": "x"},
    parent=get_ipython().kernel.get_parent())
"""
    notebook = write(work / "a.ipynb", odd, "print('still here')")
    done = execute(notebook, kernel_environment)
    assert done.failure is None, done.failure
    assert outputs(done)[1] == ["still here\n"]


def test_the_parent_side_imports_nothing_heavy() -> None:
    """`leman --help` and the orchestration pay for no kernel machinery."""
    heavy = {"nbclient", "nbformat", "zmq", "jupyter_client", "numpy", "psutil"}
    asked = f"import sys, leman.reproduction.run; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_isolation_is_said_and_never_lowered_silently() -> None:
    """What is reported is what is had; without a sandbox there is no way to take the network."""
    assert run.isolate("none", network=False).network is True
    assert "as asked" in run.isolate("none").detail
    assert run.isolate("sandbox", network=False).level == "sandbox"
    with pytest.raises(IsolationError):
        run.isolate("docker")


def test_a_kernel_may_write_its_connection_file_anew(
    kernel_environment: BuiltEnvironment, work: Path
) -> None:
    """While it does so the file is empty; it is not read, for it would be in one run of forty."""
    place = kernels.Place(kernel_environment.executable, work, work, "sandbox", network=False)
    kernel = kernels.start(place, processes_limit=64)
    try:
        assert kernels.wait_listening(kernel, 60)

        async def info() -> object:
            channel = cells.connect(kernel, 1_000_000)
            try:
                return await cells.ready(channel, 60)
            finally:
                channel.stop_channels()  # else a failure hangs while its sockets are collected

        # Emptied only once the kernel has written it: while it starts it reads it itself.
        assert asyncio.run(info()), list(kernel.said)[-1:]
        (kernel.folder / "k.json").write_text("")
        assert asyncio.run(info()), list(kernel.said)[-1:]
    finally:
        kernel.end()
