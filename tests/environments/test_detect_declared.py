"""Precedence of files and places, and hostile trees."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from pathlib import Path

import pytest

from leman.environments.detect import (
    FINDING_CODES,
    declared,
    readme_hints,
    stored_python,
    stored_versions,
)
from leman.environments.detect import codes as codes_module
from leman.environments.model import Declarations


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files by relative name."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def wishes(found: Declarations) -> dict[str, str]:
    """Return name → specifier."""
    return {one.name: one.specifier for one in found.requirements}


def codes(found: Declarations) -> list[str]:
    """Return the findings' codes in order."""
    return [one.code for one in found.findings]


EMPTY = json.dumps({"cells": [], "metadata": {}, "nbformat": 4})
FREEZE = "".join(f"package{number}==1.{number}\n" for number in range(15))


def test_the_config_folder_rules(tmp_path: Path) -> None:
    """binder/ comes before the root; the root is read for what binder/ does not say."""
    write(
        tmp_path,
        {
            "binder/environment.yml": "dependencies:\n- python=3.7\n- numpy=1.18\n- pandas\n",
            "requirements.txt": "numpy==1.19\npandas==1.0\nscipy==1.4\n",
            "setup.py": "setup(name='x')",
            "runtime.txt": "python-3.8",
        },
    )
    found = declared(tmp_path)
    assert wishes(found) == {"numpy": "==1.18.*", "pandas": "==1.0", "scipy": "==1.4"}
    assert found.python == "==3.7.*"
    assert found.no_project_install
    assert found.local_projects == (".",)
    assert {"conflicting-declarations", "found-elsewhere", "python-conflict"} <= set(codes(found))


def test_hidden_config_folder_and_two_of_them(tmp_path: Path) -> None:
    """.binder/ works like binder/; of both, binder/ is used and said."""
    write(tmp_path, {".binder/requirements.txt": "numpy==1.18\n", ".binder/apt.txt": "git\n"})
    found = declared(tmp_path)
    assert wishes(found) == {"numpy": "==1.18"}
    assert found.apt == ("git",)
    write(tmp_path, {"binder/requirements.txt": "scipy==1.4\n"})
    found = declared(tmp_path)
    assert wishes(found) == {"scipy": "==1.4"}
    assert "two-config-dirs" in codes(found)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        (
            {"poetry.lock": '[[package]]\nname="numpy"\nversion="1.1"\n'},
            {"requirements.txt": FREEZE},
        ),
        ({"requirements.txt": FREEZE}, {"environment.yml": "dependencies: [numpy=1.2.0]"}),
        ({"environment.yml": "dependencies: [numpy=1.1.0]"}, {"requirements.txt": "numpy==1.2\n"}),
        (
            {"requirements.txt": "numpy==1.1\n"},
            {"setup.cfg": "[options]\ninstall_requires=numpy==1.2"},
        ),
        (
            {"setup.cfg": "[options]\ninstall_requires=numpy==1.1"},
            {"Dockerfile": "RUN pip install numpy==1.2"},
        ),
        ({"Dockerfile": "RUN pip install numpy==1.1"}, {"env/requirements.txt": "numpy==1.2\n"}),
    ],
)
def test_order_of_kinds(tmp_path: Path, stronger: dict[str, str], weaker: dict[str, str]) -> None:
    """Lock, freeze, environment, requirements, project, commands, elsewhere: the first rules."""
    both = {
        name: text.replace("package3==1.3", "numpy==1.1" if name in stronger else "numpy==1.2")
        for name, text in {**weaker, **stronger}.items()
    }
    found = declared(write(tmp_path, both))
    assert wishes(found)["numpy"] in ("==1.1", "==1.1.0")


def test_an_exact_version_inside_a_range_makes_it_exact(tmp_path: Path) -> None:
    """A later pin that an earlier range allows is taken; one that it forbids is reported."""
    write(
        tmp_path,
        {
            "environment.yml": "dependencies: ['numpy>=1.16', 'scipy>=1.4', pandas]\n",
            "requirements.txt": "numpy==1.18.1\nscipy==1.2\npandas[all]==1.0\n",
        },
    )
    found = declared(tmp_path)
    assert wishes(found) == {"numpy": "==1.18.1", "scipy": ">=1.4", "pandas": "==1.0"}
    conflict = next(one for one in found.findings if one.code == "conflicting-declarations")
    assert "scipy" in conflict.message
    assert "numpy" not in conflict.message


def test_variants_give_versions(tmp_path: Path) -> None:
    """requirements_detailed.txt gives the versions that requirements.txt leaves open."""
    write(tmp_path, {"requirements.txt": "numpy\nscipy\n", "requirements_all.txt": "numpy==1.18\n"})
    found = declared(tmp_path)
    assert wishes(found) == {"scipy": "", "numpy": "==1.18"}
    assert codes(found) == ["found-elsewhere"]


def test_a_single_folder_speaks_for_all(tmp_path: Path) -> None:
    """Where the root declares nothing, env/requirements.txt holds for every notebook."""
    write(tmp_path, {"env/requirements.txt": "numpy==1.18\n", "a.ipynb": EMPTY})
    found = declared(tmp_path)
    assert wishes(found) == {"numpy": "==1.18"}
    assert codes(found) == ["found-elsewhere"]


def test_competing_folders_speak_for_their_notebooks(tmp_path: Path) -> None:
    """Two folders with their own versions keep them apart."""
    write(
        tmp_path,
        {
            "one/requirements.txt": "numpy==1.18\n",
            "one/deep/a.ipynb": EMPTY,
            "two/environment.yml": "dependencies: [python=3.7, numpy=1.19.0]\n",
            "two/b.ipynb": EMPTY,
            "docs/requirements.txt": "sphinx\n",
        },
    )
    found = declared(tmp_path)
    assert found.requirements == ()
    assert {
        name: [one.specifier for one in entries] for name, entries in found.per_notebook.items()
    } == {"one/deep/a.ipynb": ["==1.18"], "two/b.ipynb": ["==1.19.0"]}
    assert "file-not-used" in codes(found)


def test_local_projects_in_folders_are_listed(tmp_path: Path) -> None:
    """A package in a folder is listed, for the caller to decide."""
    write(
        tmp_path,
        {"requirements.txt": "numpy\n", "pkg/setup.py": "setup(install_requires=['x'])"},
    )
    found = declared(tmp_path)
    assert found.local_projects == ("pkg",)
    assert wishes(found) == {"numpy": ""}


def test_hostile_files_are_left_out(tmp_path: Path) -> None:
    """Links that leave, folders, pipes and huge files are findings and are not read."""
    outside = tmp_path / "secret.txt"
    outside.write_text("stolen==1.0\n")
    root = tmp_path / "repo"
    write(root, {"x": ""})
    (root / "requirements.txt").symlink_to(outside)
    (root / "environment.yml").mkdir()
    os.mkfifo(root / "setup.py")
    (root / "Pipfile").write_bytes(b"#" * 5_000_001)
    (root / "pyproject.toml").symlink_to("pyproject.toml")
    (root / "apt.txt").symlink_to("missing")
    found = declared(root)
    assert found.requirements == ()
    assert {one.where: one.code for one in found.findings} == {
        "requirements.txt": "link-outside",
        "environment.yml": "not-a-file",
        "setup.py": "not-a-file",
        "Pipfile": "file-too-large",
        "pyproject.toml": "link-outside",
        "apt.txt": "unreadable-file",
    }


def test_a_config_folder_that_leads_outside_is_none(tmp_path: Path) -> None:
    """binder/ as a link out of the repository does not rule."""
    write(tmp_path, {"out/requirements.txt": "stolen==1.0\n", "repo/requirements.txt": "numpy\n"})
    (tmp_path / "repo" / "binder").symlink_to(tmp_path / "out")
    assert wishes(declared(tmp_path / "repo")) == {"numpy": ""}


def test_more_entries_than_read_are_said(tmp_path: Path) -> None:
    """A list without end is cut, and says so."""
    write(tmp_path, {"requirements.txt": "".join(f"p{number}\n" for number in range(6000))})
    found = declared(tmp_path)
    assert len(found.requirements) == 5000
    assert codes(found) == ["too-many"]


def test_an_empty_folder_declares_nothing(tmp_path: Path) -> None:
    """Nothing in, nothing out, no finding."""
    assert declared(tmp_path) == Declarations()


def test_every_finding_has_a_documented_code() -> None:
    """The table of codes and the codes in the source are the same set."""
    folder = Path(inspect.getfile(codes_module)).parent
    used: set[str] = set()
    for path in folder.glob("*.py"):
        if path.name != "codes.py":
            texts = (
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
            used |= {text for text in texts if re.fullmatch(r"[a-z0-9-]+", text)}
    assert set(FINDING_CODES) - used == set()


@pytest.mark.timeout(60)
def test_text_made_to_be_slow_is_read_in_passing(tmp_path: Path) -> None:
    """Texts that make careless patterns backtrack for hours end within seconds."""
    nasty = ["a-" * 90_000, ";" * 300_000, "system('" * 50_000, "['pip','install'," * 30_000]
    nasty += ["[" * 500_000, "1.1" * 60_000, "require" * 60_000, "name==1 " * 60_000]
    cells = [
        {
            "cell_type": "code",
            "source": f"!pip install {text}\n{text} # /// script install",
            "outputs": [{"text": f"{text} version {text}"}],
        }
        for text in nasty
    ]
    book = {"cells": cells}
    body = "\n".join(nasty)
    write(
        tmp_path,
        {
            "a.ipynb": json.dumps(book),
            "requirements.txt": body,
            "environment.yml": "dependencies:\n" + "".join(f"- {text}\n" for text in nasty),
            "setup.py": "\n".join(f"x = '{text}'" for text in nasty).replace("''", "")
            + "\nsetup(install_requires=f())",
            "Dockerfile": "".join(f"RUN pip install {text}\n" for text in nasty),
            "README.md": body,
            "Pipfile": "[packages]\n" + "".join(f'p{n} = "*"\n' for n in range(20_000)),
        },
    )
    declared(tmp_path)
    readme_hints(tmp_path)
    stored_versions(book)
    stored_python(book)
