"""The command line as a user meets it: arguments in, exit code and two streams out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from calling import Said, project

from leman.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from calling import Leman


@pytest.fixture
def leman(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Leman:
    """Give a way to call the command line; a traceback fails the test."""

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["leman", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Said(end.value.code if isinstance(end.value.code, int) else 0, told.out, told.err)

    return call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give leman a home of its own that does not exist yet."""
    monkeypatch.setenv("LEMAN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home that the tests share which need a built environment."""
    return tmp_path_factory.mktemp("lasting")


@pytest.fixture
def shared_home(lasting: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the shared home."""
    monkeypatch.setenv("LEMAN_HOME", str(lasting))
    return lasting


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Give a project whose stored output is right."""
    return project(tmp_path / "good", ("print(6 * 7)", "42\n"))


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Give a project whose stored output is not what its code prints."""
    return project(tmp_path / "wrong", ("print(6 * 7)", "43\n"))


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """Give a project whose notebook raises an error that no repair helps against."""
    return project(tmp_path / "failing", ("print(1)", "1\n"), ("1 / 0", "0\n"))
