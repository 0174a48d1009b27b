"""Imports decide what is needed, declarations decide which version; no code breaks the reading."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.environments.infer import Needs, modules_of, needs_of, python_source, wants_of
from leman.environments.model import Declarations, Requirement, Want

DAY = date(2020, 1, 1)


def book(*sources: str, **metadata: Any) -> dict[str, Any]:
    """Return a notebook with these code cells."""
    cells = [{"cell_type": "code", "source": one, "metadata": {}, "outputs": []} for one in sources]
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def files(root: Path, texts: dict[str, str]) -> None:
    """Write modules below a folder."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tops(needs: Needs) -> set[str]:
    """Return the top-level modules that are imported."""
    return {one.top for one in needs.imports}


def wanted(needs: Needs, *declared: Requirement, **options: Any) -> dict[str, Want]:
    """Return the packages that follow from imports and declarations, by name."""
    own = options.pop("own", ())
    wants, _, _ = wants_of(needs, Declarations(declared), own, on=DAY, minor="3.8")
    return {want.name: want for want in wants}


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install x\nx = 1", "pass\nx = 1"),
        ("if x:\n    %time y = 1", "if x:\n    y = 1"),
        ("files = !ls\nfiles", "files = None\nfiles"),
        ("a, b = %sql select", "a, b = None"),
        ("np.array?", "pass"),
        ("?np.array", "pass"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%capture out\nimport numpy", "\nimport numpy"),
        ("%%bash\nimport nothing", ""),
        ("%%R\nlibrary(x)", ""),
        ("%%writefile a.py\nimport numpy", ""),
        ("x = 7 % 3", "x = 7 % 3"),
    ],
)
def test_magics_are_taken_out_of_the_code(cell: str, plain: str) -> None:
    """What IPython alone understands becomes ``pass``; cells of other languages are empty."""
    assert python_source(cell) == plain


def test_imports_of_every_kind_are_found(tmp_path: Path) -> None:
    """Plain, from, dotted, as, inside functions, and after magics."""
    needs = needs_of(
        tmp_path,
        "a.ipynb",
        book(
            "%matplotlib inline\nimport numpy as np, scipy.stats", "def f():\n  from yaml import x"
        ),
    )
    assert {"numpy", "scipy", "yaml"} <= tops(needs)
    assert {one.origin for one in needs.imports if one.top == "yaml"} == {"a.ipynb:cell 1"}


def test_what_is_tried_is_optional(tmp_path: Path) -> None:
    """An import under try with an except for it is optional, unless another one is not."""
    code = "try:\n    import cupy\nexcept ImportError:\n    import numpy as cupy\nimport numpy"
    needs = needs_of(tmp_path, "a.ipynb", book(code))
    optional = {one.top: one.optional for one in needs.imports}
    assert optional == {"cupy": True, "numpy": False}
    assert "cupy" not in wanted(needs)
    assert "numpy" in wanted(needs)


def test_modules_of_the_source_are_read_not_installed(tmp_path: Path) -> None:
    """What a local module imports counts; the module itself is no package."""
    files(
        tmp_path,
        {"helpers.py": "import scipy\nfrom . import other", "pack/__init__.py": "import yaml"},
    )
    needs = needs_of(tmp_path, "a.ipynb", book("import helpers\nfrom pack import x"))
    assert {"helpers", "pack"} <= needs.local
    assert {"scipy", "pyyaml"} <= wanted(needs).keys()
    assert not {"helpers", "pack"} & wanted(needs).keys()
    assert needs.paths == ()


def test_modules_elsewhere_in_the_source_are_found(tmp_path: Path) -> None:
    """A folder that the notebook would not look into is named, so that it can be."""
    files(tmp_path, {"src/mytool/__init__.py": "import scipy"})
    needs = needs_of(tmp_path, "notebooks/a.ipynb", book("import mytool"))
    assert needs.paths == ("src",)
    assert "mytool" in needs.local
    assert "scipy" in wanted(needs)


def test_sys_path_is_followed(tmp_path: Path) -> None:
    """A folder that the notebook itself adds is searched, and need not be added again."""
    files(tmp_path, {"code/deep/mytool.py": "import scipy"})
    cell = "import sys\nsys.path.append('../code/deep')\nimport mytool"
    needs = needs_of(tmp_path, "notebooks/a.ipynb", book(cell))
    assert needs.paths == ()
    assert "scipy" in wanted(needs)
    outside = needs_of(tmp_path, "a.ipynb", book("import sys\nsys.path.insert(0, '../../..')"))
    assert outside.local == frozenset()


def test_namespace_packages_are_the_sources_own(tmp_path: Path) -> None:
    """A folder of modules without ``__init__`` is imported by its name, and read."""
    files(tmp_path, {"plots/curves.py": "import scipy"})
    assert modules_of(tmp_path)["plots"] == (".",)
    needs = needs_of(tmp_path, "a.ipynb", book("from plots import curves\nimport plots.curves"))
    assert "plots" in needs.local
    assert "scipy" in wanted(needs)


def test_a_folder_far_away_is_not_a_well_known_package(tmp_path: Path) -> None:
    """``import yaml`` is not the folder of that name deep in an example."""
    files(tmp_path, {"examples/old/yaml.py": "x = 1"})
    needs = needs_of(tmp_path, "a.ipynb", book("import yaml"))
    assert "yaml" not in needs.local
    assert "pyyaml" in wanted(needs)


@pytest.mark.parametrize(
    "cell",
    [
        "print 'hello'",
        "exec 'x = 1'",
        "try:\n    pass\nexcept ValueError, e:\n    pass",
        "raise ValueError, 'x'",
    ],
)
def test_python_2_is_recognised_and_its_imports_are_read(cell: str, tmp_path: Path) -> None:
    """Code that only Python 2 reads says so."""
    needs = needs_of(tmp_path, "a.ipynb", book(f"import numpy\n{cell}"))
    assert needs.python_2
    assert needs.syntax.startswith("cell 0")
    assert "numpy" in tops(needs)


def test_code_that_nobody_reads_is_not_python_2(tmp_path: Path) -> None:
    """A plain slip is a syntax error, no more."""
    needs = needs_of(tmp_path, "a.ipynb", book("x = (1\nprint(x)"))
    assert needs.syntax
    assert not needs.python_2


def test_declarations_give_the_versions(tmp_path: Path) -> None:
    """An imported package gets the version that is declared, under its distribution's name."""
    needs = needs_of(tmp_path, "a.ipynb", book("import sklearn, numpy"))
    declared = Requirement("scikit-learn", "==0.22", origin="requirements.txt:3", pinned=True)
    found = wanted(needs, declared)
    assert found["scikit-learn"].specifier == "==0.22"
    assert "requirements.txt:3" in found["scikit-learn"].evidence
    assert found["numpy"].specifier == ""
    assert found["ipykernel"].origin == "kernel"


def test_a_whole_freeze_is_not_installed(tmp_path: Path) -> None:
    """Of a long list of exact versions what nothing imports is only a version to keep to."""
    needs = needs_of(tmp_path, "a.ipynb", book("import numpy"))
    freeze = [Requirement(f"package-{n}", "==1.0", pinned=True) for n in range(60)]
    freeze.append(Requirement("pywin32", "==300", pinned=True))
    wants, limits, _ = wants_of(needs, Declarations(tuple(freeze)), (), on=DAY, minor="3.8")
    assert {want.name for want in wants} == {"numpy", "ipykernel"}
    assert {want.name for want in limits} == {f"package-{n}" for n in range(60)}


def test_a_short_list_by_hand_is_installed(tmp_path: Path) -> None:
    """Such a list names what code needs without importing it; markers are honoured."""
    needs = needs_of(tmp_path, "a.ipynb", book("import numpy"))
    listed = (
        Requirement("openpyxl"),
        Requirement("winshell", marker="sys_platform == 'win32'"),
        Requirement("dataclasses", marker="python_version < '3.7'"),
    )
    assert wanted(needs, *listed).keys() == {"numpy", "openpyxl", "ipykernel"}


def test_what_a_notebook_declares_itself_is_installed(tmp_path: Path) -> None:
    """``%pip install`` in a cell counts whether or not it is imported."""
    needs = needs_of(tmp_path, "a.ipynb", book("import numpy"))
    found = wanted(needs, own=(Requirement("tool", "==2", origin="a.ipynb:cell 0"),))
    assert found["tool"].specifier == "==2"


def test_an_unknown_module_is_said_and_never_installed(tmp_path: Path) -> None:
    """A name that nobody knows could be anybody's package."""
    needs = needs_of(tmp_path, "a.ipynb", book("import qqzzxx_unheard_of\nimport os, json"))
    wants, _, findings = wants_of(needs, Declarations(), (), on=DAY, minor="3.8")
    assert [want.name for want in wants] == ["ipykernel"]
    assert [(one.code, one.where) for one in findings] == [("unknown-module", "a.ipynb:cell 0")]


TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="import from as,.%!?()[]{}:='\"\n \tabxyz_0\\#", max_size=200),
)


@given(st.lists(TEXTS, max_size=4))
def test_no_text_of_a_cell_breaks_the_reading(cells: list[str]) -> None:
    """Whatever stands in the cells, and what follows from it can be computed."""
    needs = needs_of(Path(__file__).parent, "a.ipynb", book(*cells))
    assert wanted(needs)["ipykernel"]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "source", "cell_type", "metadata", "outputs", "text", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["cells", "metadata", "worksheets"]), values))
def test_no_shape_of_a_notebook_breaks_the_reading(notebook: dict[str, Any]) -> None:
    """A file that is JSON and hardly a notebook needs nothing."""
    assert isinstance(needs_of(Path(__file__).parent, "a.ipynb", notebook), Needs)


def test_a_path_in_the_code_never_leads_out_of_the_source(tmp_path: Path) -> None:
    """``sys.path`` may name any place, with nul bytes and upwards; only the source is read."""
    (tmp_path / "inside").mkdir()
    files(tmp_path, {"secretmodule.py": "import scipy"})
    for place in ("../", "/", "..\\\\..", "a\\x00b", "~"):
        cell = f"import sys\nsys.path.append('{place}')\nimport secretmodule"
        assert needs_of(tmp_path / "inside", "a.ipynb", book(cell)).local == frozenset()
