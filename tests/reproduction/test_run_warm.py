"""Prove that what libraries make once in a home is made once, and that each run has its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from notebooks import execute, outputs, write

from leman.reproduction.run import Surroundings
from leman.reproduction.warm import warm_home

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import BuiltEnvironment

MAKER = """
from pathlib import Path
cache = Path.home() / ".cache" / "matplotlib"
cache.mkdir(parents=True)
(cache / "fontlist.json").write_text("fonts")
print("building the font cache")
"""


class Made:
    """A virtual environment with a package of matplotlib's name that fills its home."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.executable = folder / "bin" / "python"
        package = next(folder.glob("lib/python3*/site-packages")) / "matplotlib"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "font_manager.py").write_text(MAKER)


def test_a_home_is_filled_once(tmp_path: Path) -> None:
    """The first call makes the folder, the second finds it; nothing else is left."""
    environment = Made(tmp_path / "environment")
    folder = tmp_path / "homes" / "digest"
    assert warm_home(environment, folder) == folder
    made = folder / ".cache" / "matplotlib" / "fontlist.json"
    before = made.stat().st_mtime_ns
    assert warm_home(environment, folder) == folder
    assert made.stat().st_mtime_ns == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.network
def test_each_run_starts_with_the_home_and_changes_its_own(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """A notebook reads what is in the home; what it writes there is gone with the run."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "given").write_text("fonts")
    source = (
        "from pathlib import Path; h = Path.home(); (h / 'new').touch(); (h / 'given').read_text()"
    )
    notebook = write(tmp_path / "work" / "a.ipynb", source, "(h / 'given').unlink()")
    around = Surroundings(home=tmp_path / "home")
    assert outputs(execute(notebook, kernel_environment, surroundings=around))[0] == ["'fonts'"]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["given"]


def test_nothing_to_fill_is_no_home(tmp_path: Path) -> None:
    """An environment without such packages needs none."""

    class Bare:
        executable = tmp_path / "bin" / "python"

    assert warm_home(Bare(), tmp_path / "home") is None
