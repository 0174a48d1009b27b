"""`leman launch`: what it says about isolation before anything else, and what it hands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from leman import sandbox
from leman.errors import SourceError
from leman.reproduction import launch, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from calling import Leman

MISSING = sandbox.Probe(None, reason="bubblewrap (bwrap) is not installed", fix="Install it.")


@dataclass
class Prepared:
    """A source without environments."""

    work: Path
    environments: tuple[()] = ()


@dataclass
class Seen:
    """What the command handed on."""

    prepared: dict[str, Any] = field(default_factory=dict)
    launched: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Let nothing be built or started."""
    found = Seen()

    def prepared(_source: str, **options: Any) -> Prepared:
        found.prepared = options
        return Prepared(tmp_path)

    def launched(_kernels: Any, _root: Path, **options: Any) -> int:
        found.launched = options
        return 0

    monkeypatch.setattr(prepare, "prepare", prepared)
    monkeypatch.setattr(launch, "launch", launched)
    return found


def test_the_first_line_says_that_there_is_a_sandbox(leman: Leman, home: Path, seen: Seen) -> None:
    """By default with network; builds and kernels get the same, leman's home is hidden."""
    said = leman("launch", ".", "--no-browser")
    assert said.code == 0
    assert said.out.splitlines()[0] == (
        "JupyterLab and its kernels run in a sandbox, network allowed."
    )
    assert seen.prepared["isolation"] == seen.launched["isolation"]
    assert seen.launched["isolation"].level == "sandbox"
    assert seen.launched["hidden"] == (home,)


def test_the_network_can_be_cut(leman: Leman, home: Path, seen: Seen) -> None:
    """`--network off` is said and handed on."""
    said = leman("launch", ".", "--no-browser", "--network", "off")
    assert said.out.splitlines()[0] == "JupyterLab and its kernels run in a sandbox, no network."
    assert seen.launched["isolation"].network is False
    assert not home.exists()


def test_isolation_is_given_up_on_request_only_and_said(
    leman: Leman, home: Path, seen: Seen
) -> None:
    """`--isolation none` warns, also that the network cannot be cut then."""
    said = leman("launch", ".", "--no-browser", "--isolation", "none", "--network", "off")
    first, second, third = said.out.splitlines()[:3]
    assert "without isolation, network allowed (as asked for)" in first
    assert "with your own rights" in second
    assert "stays on" in third
    assert seen.launched["isolation"].level == "none"
    assert not home.exists()


def test_where_there_is_no_sandbox_it_is_said_why(
    leman: Leman, home: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` goes on with a warning that names the reason; `sandbox` ends with what to do."""
    monkeypatch.setattr(sandbox, "probe", lambda: MISSING)
    said = leman("launch", ".", "--no-browser")
    assert "without isolation" in said.out
    assert MISSING.reason in said.out.splitlines()[0]
    assert "open only what you trust" in said.out.splitlines()[1]
    seen.prepared = {}
    said = leman("launch", ".", "--no-browser", "--isolation", "sandbox")
    assert said.code == 2
    assert MISSING.reason in said.err
    assert MISSING.fix in said.err
    assert seen.prepared == {}
    assert not home.exists()


def test_isolation_is_told_before_the_source_is_looked_at(
    leman: Leman, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the source turns out to be unusable, the first line was about isolation."""

    def failing(*_arguments: Any, **_options: Any) -> None:
        raise SourceError("nothing is there")

    monkeypatch.setattr(prepare, "prepare", failing)
    said = leman("launch", str(home / "nowhere"))
    assert said.code == 2
    assert said.out == "JupyterLab and its kernels run in a sandbox, network allowed.\n"
