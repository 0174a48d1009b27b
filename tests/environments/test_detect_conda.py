"""environment.yml and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leman.environments.detect import declared

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Declarations


def read(root: Path, text: str, name: str = "environment.yml") -> Declarations:
    """Declare one file and return what is read from the folder."""
    (root / name).write_text(text)
    return declared(root)


def of(root: Path, *entries: str) -> Declarations:
    """Read an environment with these dependencies."""
    return read(root, "dependencies:\n" + "".join(f"  - {entry}\n" for entry in entries))


@pytest.mark.parametrize(
    ("entry", "specifier"),
    [
        ("numpy", ""),
        ("numpy=1.18", "==1.18.*"),
        ("numpy=1.18.1", "==1.18.1"),
        ("numpy==1.18", "==1.18"),
        ("numpy=1.18=py37_0", "==1.18"),
        ("numpy=1.18.1=py37h95a1406_0", "==1.18.1"),
        ("numpy =1.18", "==1.18.*"),
        ("numpy 1.18.1", "==1.18.1"),
        ("numpy 1.18.1 py37_0", "==1.18.1"),
        ("numpy 1.18.*", "==1.18.*"),
        ("numpy>=1.18", ">=1.18"),
        ("numpy >=1.18,<2", ">=1.18,<2"),
        ("numpy > 1.18, < 2", ">1.18,<2"),
        ("conda-forge::numpy=1.18.1", "==1.18.1"),
        ("numpy[version='>=1.18,<2']", ">=1.18,<2"),
        ("'numpy=1.10'  # a comment", "==1.10.*"),
        ("numpy: 1.18", "==1.18.*"),
        ("numpy=1.17|=1.18", ""),
    ],
)
def test_conda_specs_become_pep_440(tmp_path: Path, entry: str, specifier: str) -> None:
    """Every form of conda's match specs gives the versions that conda would take."""
    found = of(tmp_path, entry)
    assert [(one.name, one.specifier) for one in found.requirements] == [("numpy", specifier)]


@pytest.mark.parametrize(
    ("entry", "python"),
    [
        ("python=3.7", "==3.7.*"),
        ("python=3.10", "==3.10.*"),
        ("python=3.7.4=h359304d_1", "==3.7.*"),
        ("python=3", "==3.*"),
        ("python>=3.6", ">=3.6"),
        ("python 3.7.*", "==3.7.*"),
        ("python=3.7*", "==3.7.*"),
        ("python >=3.5,<3.7", ">=3.5,<3.7"),
    ],
)
def test_the_python_of_an_environment(tmp_path: Path, entry: str, python: str) -> None:
    """`python` in an environment decides the interpreter; 3.10 stays 3.10."""
    found = of(tmp_path, entry)
    assert (found.python, found.python_origin) == (python, "environment.yml:2")
    assert not found.requirements


def test_names_are_mapped_and_other_packages_sorted_out(tmp_path: Path) -> None:
    """Conda names become PyPI names; C libraries are dropped, R and unknown ones reported."""
    found = of(
        tmp_path,
        "pytorch=1.4",
        "matplotlib-base",
        "opencv=4.5.1",
        "openssl=1.1.1g",
        "libgcc-ng",
        "r-base=3.6",
        "r-ggplot2",
        "qqzz-no-such-package=1.0",
        "graphviz",
    )
    wishes = {one.name: one.specifier for one in found.requirements}
    assert wishes["torch"] == "==1.4.*"
    assert "matplotlib" in wishes
    assert not {"openssl", "libgcc-ng", "graphviz"} & set(wishes)
    assert [one.name for one in found.conda_only] == ["qqzz-no-such-package"]
    assert {one.code for one in found.findings} == {
        "conda-not-python",
        "r-unsupported",
        "conda-only",
    }


def test_pip_section_channels_and_variables(tmp_path: Path) -> None:
    """The pip list is read as pip's format, with includes; channels and variables are kept."""
    (tmp_path / "more.txt").write_text("attrs==19.1\n")
    found = read(
        tmp_path,
        "name: x\nchannels: [conda-forge, defaults]\nvariables:\n  MODE: '1'\n  DEPTH: 3.10\n"
        "dependencies:\n  - pip\n  - pip:\n    - emcee==3.0  # sampler\n    - -r more.txt\n"
        "    - git+https://example.org/x/y.git\nprefix: /home/me/envs/x\n",
    )
    assert [(one.name, one.specifier) for one in found.requirements] == [
        ("emcee", "==3.0"),
        ("attrs", "==19.1"),
        ("y", ""),
    ]
    assert found.conda_channels == ("conda-forge", "defaults")
    assert found.environment_variables == {"MODE": "1", "DEPTH": "3.10"}
    assert found.requirements[0].origin == "environment.yml:9"


def test_broken_yaml_is_repaired_or_read_by_line(tmp_path: Path) -> None:
    """Tabs and merge conflicts are repaired with a finding; the rest is read line by line."""
    tabs = read(tmp_path, "dependencies:\n\t- numpy=1.18\n\t- pip:\n\t\t- emcee==3.0\n")
    assert [one.name for one in tabs.requirements] == ["numpy", "emcee"]
    assert [one.code for one in tabs.findings] == ["repaired-file"]
    conflict = read(
        tmp_path,
        "dependencies:\n<<<<<<< HEAD\n- numpy=1.18\n=======\n- numpy=1.19\n>>>>>>> x\n- scipy\n",
    )
    assert [one.specifier for one in conflict.requirements] == ["==1.18.*", ""]
    broken = read(
        tmp_path,
        "name: [x\ndependencies:\n  - numpy=1.18\n  - pip:\n    - emcee==3.0\n  - scipy\n",
    )
    assert [one.name for one in broken.requirements] == ["numpy", "emcee", "scipy"]
    assert [one.code for one in broken.findings] == ["unreadable-file"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x]\nb: &b [*a, *a, *a]\ndependencies: [*b, *b, *b]\n",
        "dependencies: &d\n  - *d\n",
        "dependencies: " + "[" * 500_000,
        "dependencies: " + "[{x: " * 100_000,
        "dependencies:\n" + "- " * 500_000 + "x\n",
        "dependencies:\n- " + "[" * 500_000 + "x\n- " + ";" * 500_000 + "\n",
        "!!python/object/apply:os.system ['true']\n",
        "dependencies: {numpy: 1}\n",
        "? [a]\n: b\ndependencies: [1, 2.0, null, true, {pip: 3}, [x]]\n",
    ],
)
def test_hostile_yaml_ends(tmp_path: Path, text: str) -> None:
    """Bombs, cycles, objects and odd types end with an answer and run nothing."""
    read(tmp_path, text)


def test_alias_products_are_cut(tmp_path: Path) -> None:
    """A pip list that aliases repeat is read up to the limit of entries, and says so."""
    pip = ", ".join(f"p{number}" for number in range(2000))
    found = read(tmp_path, f"x: &x {{pip: [{pip}]}}\ndependencies: [{', '.join(['*x'] * 2000)}]\n")
    assert "too-many" in {one.code for one in found.findings}


def test_unusual_names_and_conda_lock(tmp_path: Path) -> None:
    """sc_environment.yml is found by its content; conda-lock.yml gives Linux's exact versions."""
    found = read(
        tmp_path, "channels: [x]\ndependencies: [numpy=1.18]\n", "sc_tutorial_environment.yml"
    )
    assert [one.specifier for one in found.requirements] == ["==1.18.*"]
    assert "found-elsewhere" in {one.code for one in found.findings}
    found = read(
        tmp_path,
        "version: 1\npackage:\n"
        "- {name: numpy, version: 1.18.5, manager: conda, platform: linux-64}\n"
        "- {name: numpy, version: 1.18.4, manager: conda, platform: osx-64}\n"
        "- {name: emcee, version: 3.0.2, manager: pip, platform: linux-64}\n",
        "conda-lock.yml",
    )
    assert {one.name: one.specifier for one in found.requirements} == {
        "numpy": "==1.18.5",
        "emcee": "==3.0.2",
    }
