"""What tests of several folders share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from leman.config import Settings
from leman.environments.pythons import interpreters

pytest_plugins = ("plugins.left_out",)


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An environment with a kernel: as much of one as running a notebook needs."""

    path: Path

    @property
    def executable(self) -> Path:
        """The environment's own Python."""
        return self.path / "bin" / "python"


def build(folder: Path, python: Path, *packages: str) -> BuiltEnvironment:
    """Make a virtual environment with `packages` by uv; also takes uv's options."""
    uv = Path(sys.executable).parent / "uv"
    program = str(uv) if uv.exists() else "uv"
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([program, "venv", "-q", "--python", python, folder], check=True, env=quiet)
    environment = BuiltEnvironment(folder)
    target = ["--python", str(environment.executable)]
    subprocess.run([program, "pip", "install", "-q", *target, *packages], check=True, env=quiet)
    return environment


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings with a home whose environments and caches all tests of a session share."""
    return Settings(tmp_path_factory.mktemp("leman-home"), os.environ.get("LEMAN_INDEX_URL", ""))


@pytest.fixture(scope="session")
def kernel_environment(tmp_path_factory: pytest.TempPathFactory) -> BuiltEnvironment:
    """Return an environment of the newest Python here, with a current ipykernel."""
    python = interpreters()[-1].path
    return build(tmp_path_factory.mktemp("kernel") / "environment", python, "ipykernel")


@pytest.fixture(scope="session")
def old_kernel_environment(tmp_path_factory: pytest.TempPathFactory) -> BuiltEnvironment:
    """Return an environment as of June 2017: Python 3.6, ipykernel 4.6, ipython 6."""
    python = next(one.path for one in interpreters() if one.minor == "3.6")
    cutoffs = ["--exclude-newer", "2017-06-01"]
    # Its source distributions ask for a setuptools that came later.
    for name in ("setuptools", "wheel"):
        cutoffs += ["--exclude-newer-package", f"{name}=2019-02-08"]
    folder = tmp_path_factory.mktemp("old") / "environment"
    return build(folder, python, *cutoffs, "ipykernel")
