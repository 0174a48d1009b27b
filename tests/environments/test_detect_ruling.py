"""Prove which files rule: what repo2docker would install, and what is read for versions alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leman.environments.clock import Wishes
from leman.environments.detect import declared
from leman.environments.model import Source
from leman.reproduction.plan import declared_plan

if TYPE_CHECKING:
    from pathlib import Path

PIPFILE = '[packages]\nthere = "*"\n'
CONDA = "dependencies:\n  - scipy\n"
SETUP = "from setuptools import setup\nsetup(name='own', install_requires=['tqdm'])\n"
LOCK = '{"default": {"parse": {"version": "==1.0"}}}'


@pytest.mark.parametrize(
    ("files", "ruling"),
    [
        ({"Pipfile": PIPFILE, "requirements.txt": "numpy\n"}, {"there"}),
        ({"Pipfile": PIPFILE, "environment.yml": CONDA}, {"scipy"}),
        ({"Pipfile": PIPFILE, "Pipfile.lock": LOCK}, {"parse"}),
        ({"requirements.txt": "numpy==1.26.4\n", "environment.yml": CONDA}, {"scipy"}),
        ({"requirements.txt": "numpy\n", "setup.py": SETUP}, {"numpy"}),
        ({"requirements.txt": "numpy\n-e .\n", "setup.py": SETUP}, {"numpy", "tqdm"}),
        ({"setup.py": SETUP}, {"tqdm"}),
        ({"binder/requirements.txt": "numpy\n", "environment.yml": CONDA}, {"numpy"}),
        ({}, set()),
    ],
)
def test_the_file_of_the_highest_precedence_rules(
    files: dict[str, str], ruling: set[str], tmp_path: Path
) -> None:
    """Only what repo2docker would install rules; all the rest is still known for its versions."""
    write(tmp_path, files)
    assert set(declared(tmp_path).ruling) == ruling


def test_a_version_from_a_file_that_does_not_rule_stays_with_the_package(tmp_path: Path) -> None:
    """environment.yml asks for numpy, requirements.txt tells its version: one package, pinned."""
    write(
        tmp_path,
        {"environment.yml": "dependencies:\n  - numpy\n", "requirements.txt": "numpy==1.26.4\n"},
    )
    found = declared(tmp_path)
    assert found.ruling == ("numpy",)
    assert [one.specifier for one in found.requirements] == ["==1.26.4"]


def test_a_config_folder_silences_the_roots_system_packages(tmp_path: Path) -> None:
    """With binder/, apt.txt at the root asks for nothing."""
    write(tmp_path, {"binder/apt.txt": "gfortran\n", "apt.txt": "thiswontwork\n"})
    assert declared(tmp_path).apt == ("gfortran",)


def test_without_notebooks_all_that_rules_is_installed(tmp_path: Path) -> None:
    """Even a long freeze, which for a notebook would be read for versions alone."""
    pins = "".join(f"package{number}==1.0\n" for number in range(60))
    write(tmp_path, {"requirements.txt": pins, "runtime.txt": "python-3.11-2024-01-15\n"})
    source = Source("study", "", tmp_path, "sha256:0")
    plan = declared_plan(source, declared(tmp_path), Wishes())
    assert len(plan.wants) == 61  # and the kernel
    assert plan.era is not None
    assert (plan.era.pythons[0], plan.era.cutoff.isoformat()) == ("3.11", "2024-01-15")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
