"""Prove that no notebook can take more than it may have, outlive its run, or stop ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from notebooks import LIMITS, execute, outputs, write

from leman.reproduction.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import BuiltEnvironment

pytestmark = pytest.mark.network  # the environments are built from the package index
CASES = sorted((Path(__file__).parents[1] / "repos").glob("malicious-*/expected.toml"))


@pytest.mark.parametrize("expected", CASES, ids=lambda path: path.parent.name)
def test_malicious_notebooks_fail_for_the_reason_that_they_are_malicious_for(
    kernel_environment: BuiltEnvironment, tmp_path: Path, expected: Path
) -> None:
    """Each case of tests/repos ends soon, with the documented reason, and leaves nothing behind."""
    for name, wanted in tomllib.loads(expected.read_text())["notebooks"].items():
        work = tmp_path / "work"
        work.mkdir()
        notebook = work / name
        notebook.write_bytes((expected.parent / name).read_bytes())
        limits = replace(LIMITS, seconds=wanted.get("seconds", 10))
        done = execute(notebook, kernel_environment, limits=limits)
        assert done.failure is not None
        assert done.failure.reason == wanted["reason"], done.failure
        assert sorted(work.iterdir()) == [notebook]
        if done.notebook.exists():
            assert done.notebook.stat().st_size < 2 * LIMITS.output
    assert not _ours(tmp_path)


def test_a_fork_bomb_without_a_sandbox_ends_too(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """The watch stops all, then kills all, whatever their parent."""
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    notebook = write(tmp_path / "work" / "a.ipynb", bomb)
    done = execute(notebook, kernel_environment, level="none", limits=replace(LIMITS, processes=20))
    assert done.failure is not None
    assert done.failure.reason is Reason.PROCESSES
    assert not _ours(tmp_path)


def test_a_slow_cell_is_interrupted_and_what_it_printed_is_kept(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """The executed notebook shows where the time went."""
    slow = "print('before', flush=True)\nimport time\ntime.sleep(600)"
    notebook = write(tmp_path / "work" / "a.ipynb", "1", slow)
    done = execute(notebook, kernel_environment, limits=replace(LIMITS, seconds=2))
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == (Reason.TIMEOUT, 1)
    assert outputs(done) == [["1"], ["before\n", "KeyboardInterrupt"]]


@pytest.mark.parametrize(
    ("source", "said"),
    [("import os; os._exit(7)", "exit code 7"), ("import os; os.kill(os.getpid(), 9)", "SIGKILL")],
)
def test_a_kernel_that_ends_in_a_cell_is_told_with_its_cause(
    kernel_environment: BuiltEnvironment, tmp_path: Path, source: str, said: str
) -> None:
    """The exit code or signal is named, and the cell; outputs before it are kept."""
    notebook = write(tmp_path / "work" / "a.ipynb", "1", source, "2")
    done = execute(notebook, kernel_environment)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == (Reason.KERNEL_DIED, 1)
    assert said in done.failure.text
    assert outputs(done) == [["1"], [], []]


def test_sys_exit_ends_the_notebook_as_it_does_in_jupyter(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """SystemExit is an error of the cell; the kernel lives on, the cells after it do not run."""
    notebook = write(tmp_path / "work" / "a.ipynb", "import sys; sys.exit(0)", "2")
    done = execute(notebook, kernel_environment)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.name) == (Reason.AUTHOR_ERROR, "SystemExit")


def test_an_environment_without_a_kernel_is_told_in_pythons_words(tmp_path: Path) -> None:
    """A module that the kernel lacks is named, so that a repair can add it."""

    class Bare:
        executable = tmp_path / "bare" / "bin" / "python"

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = execute(write(tmp_path / "work" / "a.ipynb", "1"), Bare())
    assert done.failure is not None
    assert done.failure.reason is Reason.MISSING_MODULE
    assert "ipykernel_launcher" in done.failure.text


def test_a_stop_ends_the_run_and_keeps_what_was_done(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """Setting the event ends kernel and runner; the partly executed notebook is written."""
    notebook = write(tmp_path / "work" / "a.ipynb", "1", "import time; time.sleep(600)")
    stop = threading.Event()

    def after_first(done: int, _total: int) -> None:
        if done == 1:
            stop.set()

    done = execute(notebook, kernel_environment, stop=stop, on_cell=after_first)
    assert done.failure is not None
    assert done.failure.reason is Reason.INTERRUPTED
    assert outputs(done) == [["1"], []]
    assert not _ours(tmp_path)


def test_a_callback_that_raises_leaves_nothing_running(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """KeyboardInterrupt, wherever it hits, ends the child and passes on."""
    notebook = write(tmp_path / "work" / "a.ipynb", "import time; time.sleep(600)")

    def ctrl_c(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(notebook, kernel_environment, on_cell=ctrl_c)
    assert not _ours(tmp_path)


@pytest.mark.parametrize("level", ["sandbox", "none"])
@pytest.mark.parametrize("victim", ["parent", "runner"])
def test_kill_9_leaves_no_kernel_behind(
    kernel_environment: BuiltEnvironment, tmp_path: Path, victim: str, level: str
) -> None:
    """When leman or its runner is killed, the kernel and its children end with it."""
    source = "import subprocess, time; subprocess.Popen(['sleep', '600']); open('up', 'w')"
    notebook = write(tmp_path / "work" / "a.ipynb", f"{source}; time.sleep(600)")
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from notebooks import execute
class Environment: executable = Path({str(kernel_environment.executable)!r})
done = execute(Path({str(notebook)!r}), Environment(), level={level!r})
print(done.failure.reason.value)
"""
    leman = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    _wait_for((tmp_path / "work" / "up").exists)
    assert _ours(tmp_path)
    target = leman.pid if victim == "parent" else _child_of(leman.pid)
    os.kill(target, signal.SIGKILL)
    said, _ = leman.communicate(timeout=60)
    assert said.strip() == ("" if victim == "parent" else "interrupted")
    _wait_for(lambda: not _ours(tmp_path))


def _child_of(parent: int) -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        if int(fields[1]) == parent:
            return int(stat.parent.name)
    raise AssertionError("no runner")


def _ours(folder: Path) -> list[str]:
    """Return the processes that work in a test's folder, seen from inside or outside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = str((process / "cwd").readlink())
        except OSError:
            continue
        if where.startswith(str(folder)):
            found.append((process / "cmdline").read_text().replace("\0", " ")[:200])
    return found


def _wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def test_the_cases_are_there() -> None:
    """An empty list of malicious cases would prove nothing."""
    names = {path.parent.name for path in CASES}
    assert {"malicious-fork-bomb", "malicious-no-json", "malicious-huge-output"} <= names
    for path in CASES:
        for notebook in path.parent.glob("*.ipynb"):
            if path.parent.name != "malicious-no-json":
                json.loads(notebook.read_text())
