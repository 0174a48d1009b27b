"""Prove when conda is asked, what is given up for it, and what is said where it cannot be had."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conda_channels import IN_2018, Channel

from leman.config import Settings, settings
from leman.environments.conda import CondaBuilder
from leman.environments.infer import Imported, Needs
from leman.environments.model import Declarations, Era, Interpreter, Requirement, Want
from leman.environments.names import conda_names
from leman.environments.tiers import CondaNeed, conda_need, repaired, together
from leman.errors import ConfigError, EnvironmentBuildError, ResolutionError
from leman.files import remove_tree
from leman.reproduction.run import isolate
from leman.reproduction.workshop import open_workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = date(2021, 1, 1)


def need(*modules: str, channels: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> CondaNeed:
    """Return what imports and a declaration of conda packages call for."""
    declared = Declarations(
        conda_channels=channels,
        conda_only=tuple(Requirement(one, "==1.0", pinned=True) for one in only),
    )
    imports = tuple(Imported(one, "a.ipynb:cell 0") for one in modules)
    return conda_need(Needs(imports=imports), declared, on=DAY, minor="3.9")


@pytest.mark.parametrize(
    ("found", "calls", "names"),
    [
        (need("numpy", channels=("conda-forge",)), False, []),
        (need("numpy", channels=("conda-forge",), only=("somebodys-tool",)), False, []),
        (need("somebodys_tool", only=("somebodys-tool",)), True, ["somebodys-tool"]),
        (need("unheard_of", only=("somebodys-tool",)), True, ["somebodys-tool"]),
        (need("dolfin", channels=("conda-forge",)), True, ["fenics"]),
        (need("dolfin"), False, ["fenics"]),
        (need("numpy", only=("qiime2",)), True, ["qiime2"]),
    ],
    ids=[
        "the index has all",
        "declared, not imported",
        "imported by its name",
        "may bring what is unknown",
        "known to be conda's",
        "no channel is named",
        "declared, known to be conda's",
    ],
)
def test_when_conda_is_asked(found: CondaNeed, *, calls: bool, names: list[str]) -> None:
    """Only for what the index lacks, and only where the source names channels."""
    assert found.calls is calls
    assert [one.name for one in found.wants] == names


def test_what_several_notebooks_need() -> None:
    """Channels and packages are joined, each once."""
    one, two = CondaNeed(("a",), (Want("x"),)), CondaNeed(("b", "a"), (Want("x"), Want("y")))
    both = together(iter((one, two)))
    assert both == CondaNeed(("a", "b"), (Want("x"), Want("y")))


def test_names_of_conda() -> None:
    """A distribution is looked for under conda's names, never where that is another thing."""
    assert conda_names("torch")[:2] == ("torch", "pytorch")
    assert conda_names("graphviz") == ("python-graphviz",)
    assert "opencv" in conda_names("opencv-python")
    assert conda_names("numpy")[0] == "numpy"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home folder, and remove it although its environments are read-only."""
    yield tmp_path / "home"
    remove_tree(tmp_path / "home")


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """Make a channel with a Python and packages of one version each."""
    made = Channel(tmp_path / "channel")
    start = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    made.add("python", "3.9.1", {"bin/python": start}, subdir="linux-64", timestamp=IN_2018)
    for name in ("foo", "bar", "pytables"):
        made.add(name, "1.0", {f"share/{name}": name}, timestamp=IN_2018)
    return made


def test_versions_are_given_up_one_by_one(channel: Channel, home: Path) -> None:
    """A version that conda does not have is given up, recorded, and the others stay."""
    builder = CondaBuilder(home, (channel.address,))
    wants = (Want("foo", "==1.0"), Want("bar", "==7"), Want("tables"))
    limits = (Want("foo", "<5"),)
    python = Interpreter("3.9.0", Path())
    lock = repaired(builder, wants, limits, python=python, cutoff=DAY, progress=lambda _text: None)
    unpinned = [one.target for one in lock.modifications if one.kind == "unpin"]
    assert unpinned == ["bar"]
    assert '"unpinned": [["bar", "==7"]]' in lock.text.splitlines()[0]
    assert lock.attempts[0].action == "conda: bar in any version instead of ==7"
    assert "pytables" in [one.name for one in lock.packages]


def test_what_nothing_repairs_is_raised(channel: Channel, home: Path) -> None:
    """Without a version to give up the reasons are conda's own."""
    builder, python = CondaBuilder(home, (channel.address,)), Interpreter("3.5.0", Path())
    with pytest.raises(ResolutionError, match=r"python 3\.5"):
        repaired(builder, (), (), python=python, cutoff=DAY, progress=lambda _text: None)


@pytest.mark.network
def test_without_channels_that_answer_uv_makes_it(home: Path) -> None:
    """Where conda cannot be had, the environment is the index's, and a finding says what lacks."""
    places = (("lab", "http://127.0.0.1:9/lab"),)
    era = Era(DAY, "given", (f"3.{sys.version_info.minor}",), "given")
    workshop = open_workshop(Settings(home, conda_channels=places), isolate("auto"))
    wanted = CondaNeed(("lab",), (Want("foo", evidence="import foo (a.ipynb:cell 0)"),))
    said: list[str] = []
    made = workshop.environment(
        (Want("six"),), constraints=(), era=era, imports=(), progress=said.append, conda=wanted
    )
    (finding,) = [one for one in made.lock.findings if one.code == "conda-not-used"]
    assert finding.where == "import foo (a.ipynb:cell 0)"
    assert "127.0.0.1:9/lab" in finding.message
    only = open_workshop(Settings(home, conda_channels=places), isolate("auto"), tier="conda")
    with pytest.raises(EnvironmentBuildError, match=r"127\.0\.0\.1:9/lab"):
        only.environment(
            (Want("six"),), constraints=(), era=era, imports=(), progress=said.append, conda=wanted
        )


def test_places_of_channels_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """LEMAN_CONDA_CHANNELS names places; what is no pair is refused with an example."""
    monkeypatch.setenv(
        "LEMAN_CONDA_CHANNELS", "lab=file:///channels/lab  defaults=https://x.test/d"
    )
    assert settings().conda_channels == (
        ("lab", "file:///channels/lab"),
        ("defaults", "https://x.test/d"),
    )
    monkeypatch.setenv("LEMAN_CONDA_CHANNELS", "lab")
    with pytest.raises(ConfigError, match="conda-forge=https"):
        settings()
