"""Prove on a whole repository that a notebook runs with what only a conda channel has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conda_channels import IN_2018, Channel
from notebooks import code, write

from leman.config import Settings
from leman.environments import shelf
from leman.environments.fetch import fetch
from leman.environments.pythons import interpreters
from leman.files import remove_tree
from leman.reproduction.model import Limits, Report, Same, Status
from leman.reproduction.options import Options
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import BuiltEnvironment

pytestmark = pytest.mark.network
_LEFT_OUT = {"debugpy", "__pycache__", "pip", "jedi"}  # large, and not needed to run


@pytest.fixture(scope="module")
def channel(
    kernel_environment: BuiltEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Channel:
    """Make a channel with this machine's newest Python, a real ipykernel, and a package."""
    newest = interpreters()[-1]
    library = f"lib/python{newest.minor}"
    made = Channel(tmp_path_factory.mktemp("channel"))
    made.add(
        "python",
        newest.version,
        {"pyvenv.cfg": f"home = {newest.path.parent}\nversion = {newest.version}\n"},
        links={"bin/python": str(newest.path)},
        subdir="linux-64",
        timestamp=IN_2018,
    )
    packages = kernel_environment.path / library / "site-packages"
    files = {
        f"{library}/site-packages/{path.relative_to(packages)}": path.read_bytes()
        for path in packages.rglob("*")
        if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(packages).parts)
    }
    made.add("ipykernel", "7.0", files, subdir="linux-64", timestamp=IN_2018, depends=["python"])
    tool = {f"{library}/site-packages/labonly.py": "VALUE = 42\n"}
    made.add("labonly", "1.0", tool, subdir="linux-64", timestamp=IN_2018)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with a repository whose environment.yml names the channel."""
    made = tmp_path_factory.mktemp("case")
    minor = interpreters()[-1].minor
    output = {"output_type": "stream", "name": "stdout", "text": "42\n"}
    write(made / "source" / "a.ipynb", code("import labonly\nprint(labonly.VALUE)", output))
    (made / "source" / "environment.yml").write_text(
        f"channels: [lab]\ndependencies: [python={minor}, labonly=2.0]\n"
    )
    yield made
    remove_tree(made / "home")


def run(folder: Path, channel: Channel) -> Report:
    """Run the repository with the channel at its place."""
    settings = Settings(folder / "home", conda_channels=(("lab", channel.address),))
    source = fetch(str(folder / "source"), cache=settings.cache)
    options = Options(limits=Limits(seconds=60), isolation="sandbox")
    return reproduce(source, output=folder / "report", settings=settings, options=options)


def test_a_notebook_runs_with_what_only_conda_has(folder: Path, channel: Channel) -> None:
    """The environment is conda's, the pin that no channel has is given up, the output the same."""
    report = run(folder, channel)
    (only,) = report.notebooks
    assert only.message == ""
    assert (only.status, only.same) == (Status.RAN, Same.EXACT)
    (built,) = report.environments
    assert {one.name for one in built.lock.packages} == {"python", "ipykernel", "labonly"}
    assert ("unpin", "labonly") in [(one.kind, one.target) for one in built.lock.modifications]
    library = built.path / f"lib/python{built.python.minor}/site-packages"
    assert list((library / "__pycache__").glob("labonly.*.pyc"))
    assert not (built.path / "warm.py").exists()


def test_a_second_run_finds_the_environment(folder: Path, channel: Channel) -> None:
    """It is built once; later it is found, and read from disk as it was locked."""
    before = run(folder, channel).environments[0]
    (found,) = shelf.installed(folder / "home" / "environments")
    assert found.kind == "conda"
    assert found.environment is not None
    assert found.digest == before.digest
    assert ("unpin", "labonly") in [
        (m.kind, m.target) for m in found.environment.lock.modifications
    ]
