"""runtime.txt, apt.txt, Dockerfile, README and the files of other languages."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from leman.environments.detect import declared, readme_hints, readme_python

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Declarations


def codes(found: Declarations) -> list[str]:
    """Return the findings' codes in order."""
    return [one.code for one in found.findings]


@pytest.mark.parametrize(
    ("text", "python", "cutoff", "seen"),
    [
        ("python-3.8", "==3.8.*", None, []),
        ("python-3.8\r\n", "==3.8.*", None, []),
        ("python-3.8.5", "==3.8.*", None, []),
        ("python-3", "==3.*", None, []),
        ("python-2.7", "==2.7.*", None, []),
        ("python-3.8-2020-05-01", "==3.8.*", date(2020, 5, 1), []),
        ("python-3.8-2020-15-01", "==3.8.*", None, ["runtime-not-understood"]),
        ("3.8", "==3.8.*", None, ["runtime-not-understood"]),
        ("r-4.1-2022-01-01", "", None, ["r-unsupported"]),
        ("conda", "", None, ["runtime-not-understood"]),
        ("", "", None, ["runtime-not-understood"]),
    ],
)
def test_runtime(
    tmp_path: Path, text: str, python: str, cutoff: date | None, seen: list[str]
) -> None:
    """runtime.txt gives the Python and the date; what it cannot mean is a finding."""
    (tmp_path / "runtime.txt").write_bytes(text.encode())
    found = declared(tmp_path)
    assert (found.python, found.cutoff, codes(found)) == (python, cutoff, seen)


def test_python_version_file(tmp_path: Path) -> None:
    """.python-version ranks below runtime.txt and above a project's range that allows it."""
    (tmp_path / ".python-version").write_text("3.9.7\n")
    (tmp_path / "setup.cfg").write_text("[options]\npython_requires = >=3.6\n")
    assert declared(tmp_path).python == "==3.9.*"
    (tmp_path / "runtime.txt").write_text("python-3.7\n")
    found = declared(tmp_path)
    assert found.python == "==3.7.*"
    assert codes(found) == ["python-conflict"]


def test_apt(tmp_path: Path) -> None:
    """Names are validated: nothing that is no Debian package name gets through."""
    (tmp_path / "apt.txt").write_text("texlive # big\nlibgl1 g++\n-o=evil\n$(touch x)\nBad_Name\n")
    found = declared(tmp_path)
    assert found.apt == ("texlive", "libgl1", "g++")
    assert codes(found).count("apt-invalid-name") == 4
    assert "apt-listed" in codes(found)


def test_dockerfile_is_a_weak_declaration(tmp_path: Path) -> None:
    """Base image and install commands are read, ranked last, and the finding says so."""
    (tmp_path / "Dockerfile").write_text(
        "# syntax\nFROM --platform=linux/amd64 python:3.7-slim AS base\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends \\\n    git gcc=4:8 \\\n"
        "  && pip install --no-cache-dir numpy==1.18.1 'scipy>=1.4' -r /tmp/requirements.txt .\n"
        'RUN ["pip", "install", "emcee"]\nRUN conda install -y -c conda-forge pytorch=1.4\n'
    )
    (tmp_path / "requirements.txt").write_text("numpy==1.16.0\n")
    found = declared(tmp_path)
    assert {one.name: one.specifier for one in found.requirements} == {
        "numpy": "==1.16.0",
        "scipy": ">=1.4",
        "emcee": "",
        "torch": "==1.4.*",
    }
    assert found.python == "==3.7.*"
    assert found.python_origin == "Dockerfile:2"
    assert found.apt == ("git", "gcc")
    assert {"docker-not-run", "conflicting-declarations"} <= set(codes(found))


@pytest.mark.parametrize(
    ("image", "python", "name"),
    [
        ("jupyter/scipy-notebook:python-3.8.6", "==3.8.*", ""),
        ("tensorflow/tensorflow:2.3.0-gpu-jupyter", "", "tensorflow==2.3.0"),
        ("pytorch/pytorch:1.4-cuda10.1-cudnn7-runtime", "", "torch==1.4.*"),
        ("continuumio/miniconda3:4.9.2", "", ""),
        ("scratch", "", ""),
        ("${BASE}", "", ""),
    ],
)
def test_base_images(tmp_path: Path, image: str, python: str, name: str) -> None:
    """A tag that tells a Python or a library's version is used."""
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\n")
    found = declared(tmp_path)
    assert found.python == python
    assert [one.name + one.specifier for one in found.requirements] == ([name] if name else [])


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("install.R", "install.packages('x')", "r-unsupported"),
        ("DESCRIPTION", "Package: x\nImports: y\n", "r-unsupported"),
        ("renv.lock", "{}", "r-unsupported"),
        ("r-requirements.txt", "ggplot2\n", "r-unsupported"),
        ("Project.toml", '[deps]\nIJulia = "7073ff75"\n', "julia-unsupported"),
        ("REQUIRE", "julia 0.6\nPyPlot\n", "julia-unsupported"),
        ("default.nix", "{}", "nix-unsupported"),
        ("flake.nix", "{}", "nix-unsupported"),
    ],
)
def test_other_languages_are_said(tmp_path: Path, name: str, text: str, code: str) -> None:
    """R, Julia and Nix are never silently ignored."""
    (tmp_path / name).write_text(text)
    assert codes(declared(tmp_path)) == [code]


def test_files_that_only_share_a_name(tmp_path: Path) -> None:
    """A DESCRIPTION in prose is not R's."""
    (tmp_path / "DESCRIPTION").write_text("This folder holds figures.\n")
    assert codes(declared(tmp_path)) == []


def test_post_build_and_start(tmp_path: Path) -> None:
    """The scripts are named for whoever runs them; what postBuild installs is a weak hint."""
    (tmp_path / "binder").mkdir()
    (tmp_path / "binder" / "postBuild").write_text("#!/bin/bash\npip install emcee==3.0\nmake\n")
    (tmp_path / "start").write_text("#!/bin/bash\n")
    found = declared(tmp_path)
    assert (found.post_build, found.start) == ("binder/postBuild", "")
    assert [one.name + one.specifier for one in found.requirements] == ["emcee==3.0"]


def test_readme_hints(tmp_path: Path) -> None:
    """Install commands and version lists of a README are hints; prose and numbers are not."""
    (tmp_path / "README.md").write_text(
        "# Fig\nTested with Python 3.6 and\n- numpy 1.18.1\n* pandas (1.0.3)\n- dropout 0.5 rate\n"
        "- `scipy` >= 1.4\n\n```bash\n$ pip install emcee==3.0 corner\nconda install -c x pytorch\n"
        "pip install -r requirements.txt\n```\nYou can pip install more things if you like.\n"
    )
    hints = readme_hints(tmp_path)
    assert [(one.name, one.specifier, one.origin) for one in hints] == [
        ("numpy", "==1.18.1", "README.md:3"),
        ("pandas", "==1.0.3", "README.md:4"),
        ("scipy", ">=1.4", "README.md:6"),
        ("emcee", "==3.0", "README.md:9"),
        ("corner", "", "README.md:9"),
        ("torch", "", "README.md:10"),
    ]
    assert readme_python(tmp_path) == ("==3.6.*", "README.md:2")
    assert declared(tmp_path).requirements == ()


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("Requires Python >= 3.6.", ">=3.6"),
        ("You need Python 3.7 or higher", ">=3.7"),
        ("python 3.8+", ">=3.8"),
        ("Python version: 3.9.1", "==3.9.*"),
        ("Python is nice", ""),
    ],
)
def test_the_python_of_a_readme(tmp_path: Path, text: str, python: str) -> None:
    """A README names a minimum or a version."""
    (tmp_path / "readme.rst").write_text(text)
    assert readme_python(tmp_path)[0] == python
