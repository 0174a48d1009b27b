"""What notebooks declare in their own cells, and which files are notebooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from leman.environments.detect import declared, notebook_files

if TYPE_CHECKING:
    from pathlib import Path


def notebook(path: Path, *sources: str | list[str]) -> Path:
    """Write a notebook with these code cells."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "outputs": [], "metadata": {}} for source in sources
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    return path


@pytest.mark.parametrize(
    ("source", "wishes"),
    [
        ("%pip install emcee==3.0", {"emcee": "==3.0"}),
        ("!pip install emcee corner>=2", {"emcee": "", "corner": ">=2"}),
        ("!pip install emcee 'corner>=2'", {"emcee": "", "corner": ">=2"}),
        ("!pip3 install -q --upgrade emcee", {"emcee": ""}),
        ("! pip install -U emcee > /dev/null 2>&1", {"emcee": ""}),
        ("!{sys.executable} -m pip install emcee==3.0", {"emcee": "==3.0"}),
        ("!python -m pip install --index-url https://x.example emcee", {"emcee": ""}),
        ("!apt-get update && pip install emcee; pip install corner", {"emcee": "", "corner": ""}),
        ("%conda install -c conda-forge pytorch=1.4 -y", {"torch": "==1.4.*"}),
        ("!mamba install -y --name base numpy=1.18.1", {"numpy": "==1.18.1"}),
        ("pip install emcee", {"emcee": ""}),
        ("%%capture\n!pip install emcee", {"emcee": ""}),
        ("%%bash\npip install emcee\n# pip install corner", {"emcee": ""}),
        ("if COLAB:\n    !pip install emcee \\\n      corner", {"emcee": "", "corner": ""}),
        ("get_ipython().system('pip install emcee==3.0')", {"emcee": "==3.0"}),
        ("get_ipython().run_line_magic('pip', 'install emcee')", {"emcee": ""}),
        ("os.system('pip install emcee')", {"emcee": ""}),
        (
            "subprocess.run([sys.executable, '-m', 'pip', 'install', 'emcee==3.0'])",
            {"emcee": "==3.0"},
        ),
        ("pip.main(['install', 'emcee'])", {"emcee": ""}),
        ("!pip install $name {other} emcee", {"emcee": ""}),
        ("!pip install git+https://example.org/a/tool.git@v1", {"tool": ""}),
        ("!uv pip install emcee", {"emcee": ""}),
        ("# !pip install emcee", {}),
        ("print('!pip install emcee')", {}),
        ("!pip list", {}),
        ("%%html\npip install emcee", {}),
        ("%%R\ninstall.packages('x')", {}),
        ("import pip  # how to install emcee", {}),
    ],
)
def test_install_commands_of_a_cell(tmp_path: Path, source: str, wishes: dict[str, str]) -> None:
    """Install commands count in all the forms that people use; comments and texts do not."""
    notebook(tmp_path / "a.ipynb", "x = 1", source)
    found = declared(tmp_path).per_notebook.get("a.ipynb", ())
    assert {one.name: one.specifier for one in found} == wishes
    assert {one.origin for one in found} <= {"a.ipynb:cell 1"}


def test_apt_in_a_cell_is_reported(tmp_path: Path) -> None:
    """A cell that installs system packages names them, and the finding says what follows."""
    notebook(tmp_path / "a.ipynb", "!sudo apt-get install -y -qq texlive-fonts-extra dvipng")
    found = declared(tmp_path)
    assert found.apt == ("texlive-fonts-extra", "dvipng")
    assert [one.code for one in found.findings] == ["apt-listed"]


def test_script_blocks(tmp_path: Path) -> None:
    """A PEP 723 block gives requirements, and the Python where no file names one."""
    block = (
        '# /// script\n# requires-python = ">=3.10"\n'
        '# dependencies = [\n#   "emcee==3.0",\n#   "corner",\n# ]\n# ///'
    )
    notebook(tmp_path / "a.ipynb", block)
    found = declared(tmp_path)
    assert {one.name: one.specifier for one in found.per_notebook["a.ipynb"]} == {
        "emcee": "==3.0",
        "corner": "",
    }
    assert (found.python, found.python_origin) == (">=3.10", "a.ipynb:cell 0")


def test_old_and_odd_notebooks(tmp_path: Path) -> None:
    """Format 3 and sources in lists are read; what is no notebook is a finding."""
    sheet = {
        "worksheets": [{"cells": [{"cell_type": "code", "input": ["!pip install ", "emcee"]}]}]
    }
    (tmp_path / "old.ipynb").write_text(json.dumps(sheet))
    (tmp_path / "bad.ipynb").write_text("<html>")
    (tmp_path / "list.ipynb").write_text("[1, 2]")
    (tmp_path / "odd.ipynb").write_text('{"cells": [1, {"cell_type": "code", "source": 3}]}')
    found = declared(tmp_path)
    assert set(found.per_notebook) == {"old.ipynb"}
    assert [(one.code, one.where) for one in found.findings] == [
        ("notebook-unreadable", "bad.ipynb")
    ]


def test_a_file_included_by_a_cell(tmp_path: Path) -> None:
    """`!pip install -r` reads the file relative to the notebook."""
    (tmp_path / "code").mkdir()
    (tmp_path / "list.txt").write_text("emcee==3.0\n")
    notebook(tmp_path / "code" / "a.ipynb", "!pip install -r ../list.txt -r ../../outside.txt")
    found = declared(tmp_path)
    assert [one.name for one in found.per_notebook["code/a.ipynb"]] == ["emcee"]
    assert "include-outside" in {one.code for one in found.findings}


def test_notebook_files_in_natural_order(tmp_path: Path) -> None:
    """Notebooks come as POSIX paths, fig2 before fig10; copies and tools' folders are left out."""
    for name in (
        "fig10.ipynb",
        "fig2.ipynb",
        "a/x.ipynb",
        ".hidden/x.ipynb",
        "build/x.ipynb",
        ".ipynb_checkpoints/fig2-checkpoint.ipynb",
        "node_modules/p/x.ipynb",
        "lib/site-packages/x.ipynb",
        "myenv/x.ipynb",
    ):
        notebook(tmp_path / name)
    (tmp_path / "myenv" / "pyvenv.cfg").write_text("")
    assert notebook_files(tmp_path) == ("a/x.ipynb", "fig2.ipynb", "fig10.ipynb")
    assert notebook_files(tmp_path, ("a", "fig10.ipynb")) == ("a/x.ipynb", "fig10.ipynb")
    assert notebook_files(tmp_path, (".hidden/x.ipynb", "none.ipynb")) == (".hidden/x.ipynb",)


def test_notebooks_behind_links(tmp_path: Path) -> None:
    """A link that leaves the repository is no notebook of it."""
    notebook(tmp_path / "outside.ipynb")
    root = tmp_path / "repo"
    notebook(root / "a.ipynb")
    (root / "out.ipynb").symlink_to(tmp_path / "outside.ipynb")
    (root / "in.ipynb").symlink_to("a.ipynb")
    (root / "loop.ipynb").symlink_to("loop.ipynb")
    assert notebook_files(root) == ("a.ipynb", "in.ipynb")
