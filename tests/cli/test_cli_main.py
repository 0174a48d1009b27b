"""The program as a whole: help, version, errors without tracebacks, nothing heavy on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from leman import __version__
from leman.cli import main as program
from leman.cli.main import COMMANDS

if TYPE_CHECKING:
    from calling import Leman

LEMAN = Path(sys.executable).with_name("leman")
HEAVY = {"numpy", "nbformat", "nbclient", "jupyter_client", "rich", "httpx", "jinja2", "PIL"}
HEAVY |= {"yaml", "zmq", "psutil", "tomlkit", "asyncio", "platformdirs", "leman.reproduction"}
HEAVY |= {"leman.environments", "leman.config", "filelock", "packaging"}


def test_help_names_every_command(leman: Leman) -> None:
    """`leman --help` has one line for each command, and ends with 0."""
    said = leman("--help")
    assert said.code == 0
    for name, (_, text) in COMMANDS.items():
        assert name in said.out
        assert text in said.out


def test_help_imports_nothing_heavy() -> None:
    """`leman --help` imports click and nothing that a command needs."""
    script = (
        "import sys, json, contextlib, io; sys.argv = ['leman', '--help']\n"
        "from leman.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not HEAVY.intersection(json.loads(done.stdout))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(leman: Leman, name: str) -> None:
    """Each command explains itself and ends with 0."""
    said = leman(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: leman {name}")


def test_version(leman: Leman) -> None:
    """`leman --version` prints the package's version."""
    assert leman("--version").out.split()[-1] == __version__


@pytest.mark.parametrize("arguments", [["rnu"], ["--versoin"], ["env", "remove"], ["launch"]])
def test_what_leman_does_not_know_is_exit_code_2(leman: Leman, arguments: list[str]) -> None:
    """An unknown command, option or a missing argument is named and ends with 2."""
    said = leman(*arguments)
    assert said.code == 2
    assert "Usage: leman" in said.err


def test_a_bad_setting_is_told(leman: Leman, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be read is named with its value."""
    monkeypatch.setenv("LEMAN_QUOTA_GB", "much")
    said = leman("env", "list")
    assert said.code == 2
    assert "LEMAN_QUOTA_GB is 'much'" in said.err


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "Stopped"),
        (PermissionError(13, "Permission denied", "/a/b"), 2, "/a/b: Permission denied"),
        (OSError(28, "No space left on device", "/c"), 2, "No space left"),
        (ZeroDivisionError("oops"), 2, "a defect of leman"),
    ],
)
def test_no_error_shows_a_traceback(
    leman: Leman,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    told: str,
) -> None:
    """Whatever goes wrong inside, a user sees sentences and an exit code."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise raised

    monkeypatch.setattr(program.cli, "invoke", fail)
    said = leman("env", "list")
    assert said.code == code
    assert told in said.err
    if isinstance(raised, ZeroDivisionError):
        logs = list((home / "logs").iterdir())
        assert len(logs) == 1
        assert "ZeroDivisionError: oops" in logs[0].read_text()
        assert str(logs[0]) in said.err


def test_a_reader_that_leaves_is_no_error() -> None:
    """`leman --help | true` says nothing on stderr."""
    with subprocess.Popen(
        [LEMAN, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
