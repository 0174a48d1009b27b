"""Pipfile, pyproject.toml, setup.py and the locks beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from leman.environments.detect import declared
from leman.environments.detect.specifiers import poetry_specifier, python_specifier

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Declarations


def read(root: Path, **files: str) -> Declarations:
    """Write files (``a__b`` for ``a.b``) and return what is read from the folder."""
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return declared(root)


def wishes(found: Declarations) -> dict[str, str]:
    """Return name → specifier."""
    return {one.name: one.specifier for one in found.requirements}


@pytest.mark.parametrize(
    ("poetry", "pep440"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^1", ">=1,<2"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.3", "==1.2.3"),
        ("1.2.*", "==1.2.*"),
        (">=1.2 <2", ">=1.2,<2"),
        ("*", ""),
        ("^1.2 || ^2.0", None),
    ],
)
def test_poetry_versions(poetry: str, pep440: str | None) -> None:
    """Carets and tildes become the ranges of poetry's documentation."""
    assert poetry_specifier(poetry) == pep440


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("3.8", "==3.8.*"),
        ("3.8.5", "==3.8.*"),
        ("==3.8.5", "==3.8.*"),
        ("3", "==3.*"),
        ("^3.8", ">=3.8,<4"),
        ("~3.8", ">=3.8,<3.9"),
        (">=3.6, <3.9", ">=3.6,<3.9"),
        ("~=3.8", ">=3.8,<4"),
        ("~=3.8.2", "==3.8.*"),
        ("*", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_python_versions(text: str, python: str) -> None:
    """A wish for a Python becomes a specifier of minor versions, "" where it says nothing."""
    assert python_specifier(text) == python


def test_pipfile_and_its_lock(tmp_path: Path) -> None:
    """The lock's versions win over the Pipfile's, its Python is the Python."""
    lock = {
        "_meta": {"requires": {"python_version": "3.8"}},
        "default": {"numpy": {"version": "==1.18.1", "markers": "python_version >= '3.5'"}},
        "develop": {"pytest": {"version": "==5.4"}},
    }
    found = read(
        tmp_path,
        Pipfile='[requires]\npython_version = "3.8"\n[packages]\nnumpy = "*"\nscipy = "~=1.4"\n'
        'tool = {git = "https://example.org/t.git", ref = "v1"}\nown = {path = "."}\n',
        Pipfile__lock=json.dumps(lock),
    )
    assert wishes(found) == {"numpy": "==1.18.1", "scipy": "~=1.4", "pytest": "==5.4", "tool": ""}
    assert found.python == "==3.8.*"
    assert found.local_projects == (".",)
    assert {one.url for one in found.requirements} == {"", "git+https://example.org/t.git@v1"}


def test_pyproject_tables(tmp_path: Path) -> None:
    """[project] is read with its groups; the folder is a project if it can be built."""
    found = read(
        tmp_path,
        pyproject__toml='[build-system]\nrequires=["hatchling"]\n[project]\nname="x"\n'
        'requires-python=">=3.8"\ndependencies=[\n"numpy>=1.18",\n"x; python_version<\'3.9\'"]\n'
        '[project.optional-dependencies]\nplot=["matplotlib==3.1"]\n'
        '[dependency-groups]\ndev=["pytest", {include-group="plot"}]\n',
    )
    assert wishes(found) == {"numpy": ">=1.18", "x": "", "matplotlib": "==3.1", "pytest": ""}
    assert (found.python, found.python_origin) == (">=3.8", "pyproject.toml:5")
    assert found.local_projects == (".",)
    assert found.requirements[0].origin == "pyproject.toml:7"


def test_a_pyproject_for_tools_is_no_project(tmp_path: Path) -> None:
    """Settings of linters alone make no package to install."""
    assert read(tmp_path, pyproject__toml="[tool.black]\nline-length = 100\n").local_projects == ()


def test_poetry_and_its_lock(tmp_path: Path) -> None:
    """poetry.lock pins what pyproject.toml's ranges allow."""
    found = read(
        tmp_path,
        pyproject__toml='[build-system]\nrequires=["poetry-core"]\n[tool.poetry.dependencies]\n'
        'python = "^3.8"\nnumpy = "^1.18"\nscipy = {version="~1.4", extras=["a"], python="<3.9"}\n'
        '[tool.poetry.group.dev.dependencies]\npytest = "*"\n',
        poetry__lock='[[package]]\nname = "numpy"\nversion = "1.18.5"\n\n[metadata]\n'
        'python-versions = "^3.8"\n',
    )
    assert wishes(found) == {"numpy": "==1.18.5", "scipy": ">=1.4,<1.5", "pytest": ""}
    assert found.python == ">=3.8,<4"
    scipy = next(one for one in found.requirements if one.name == "scipy")
    assert scipy.marker == 'python_version < "3.9"'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "uv.lock",
            (
                'version = 1\nrequires-python = ">=3.9"\n[[package]]\nname="own"\nversion="0"\n'
                'source = { editable = "." }\n[[package]]\nname="numpy"\nversion="1.26.4"\n'
                'source = { registry = "x" }\n'
            ),
        ),
        (
            "pylock.toml",
            (
                'lock-version = "1.0"\nrequires-python = ">=3.9"\n[[packages]]\nname="numpy"\n'
                'version="1.26.4"\n[[packages]]\nname="own"\ndirectory = {path="."}\n'
            ),
        ),
    ],
)
def test_locks_give_pins(tmp_path: Path, name: str, text: str) -> None:
    """uv.lock and PEP 751's pylock.toml give exact versions, without the project itself."""
    (tmp_path / name).write_text(text)
    found = declared(tmp_path)
    assert [(one.name, one.specifier, one.pinned) for one in found.requirements] == [
        ("numpy", "==1.26.4", True)
    ]
    assert found.python == ">=3.9"


@pytest.mark.parametrize(
    "setup",
    [
        "setup(install_requires=['numpy>=1.18', 'scipy'], python_requires='>=3.6')",
        "deps = ['numpy>=1.18'] + ['scipy']\nsetup(install_requires=deps, python_requires='>=3.6')",
        "setup(install_requires='''numpy>=1.18\nscipy''', python_requires='>=3.6')",
        (
            "args = {'install_requires': ('numpy>=1.18', 'scipy'), 'python_requires': '>=3.6'}\n"
            "setup(**args)"
        ),
        (
            "def reqs():\n  return open('requirements-all.txt').read().split()\n"
            "setup(install_requires=reqs(), python_requires='>=3.6')"
        ),
    ],
)
def test_setup_py_is_read_without_running_it(tmp_path: Path, setup: str) -> None:
    """Literals, variables, tables and a named requirements file are found; nothing runs."""
    trap = f"from setuptools import setup\nopen({str(tmp_path / 'ran')!r}, 'w')\n"
    (tmp_path / "requirements-all.txt").write_text("numpy>=1.18\nscipy\n")
    found = read(tmp_path, setup__py=trap + setup)
    assert wishes(found) == {"numpy": ">=1.18", "scipy": ""}
    assert found.python == ">=3.6"
    assert found.local_projects == (".",)
    assert not (tmp_path / "ran").exists()


def test_computed_requirements_are_reported(tmp_path: Path) -> None:
    """What setup.py computes is unknown and said so; Python 2 code is no crash."""
    found = read(tmp_path, setup__py="setup(install_requires=compute())\n")
    assert [one.code for one in found.findings] == ["dynamic-setup"]
    found = read(tmp_path, setup__py="print 'x'\nsetup(name='x')\n")
    assert [one.code for one in found.findings] == ["unreadable-file"]
    assert found.local_projects == (".",)


def test_setup_cfg(tmp_path: Path) -> None:
    """[options] of setup.cfg are read."""
    found = read(
        tmp_path,
        setup__cfg="[options]\npython_requires = >=3.7\ninstall_requires =\n    numpy>=1.18\n"
        "    scipy\n[options.extras_require]\nplot = matplotlib==3.1\n",
    )
    assert wishes(found) == {"numpy": ">=1.18", "scipy": "", "matplotlib": "==3.1"}
    assert found.python == ">=3.7"


@pytest.mark.parametrize("name", ["Pipfile", "Pipfile.lock", "pyproject.toml", "uv.lock"])
@pytest.mark.parametrize("text", ["[[[", "{", '{"default": [1], "_meta": 3}', "x = 1", "[]"])
def test_broken_files_are_findings(tmp_path: Path, name: str, text: str) -> None:
    """A file that is no valid TOML or JSON, or of another shape, raises nothing."""
    (tmp_path / name).write_text(text)
    assert declared(tmp_path).requirements == ()
