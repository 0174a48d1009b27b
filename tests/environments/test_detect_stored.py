"""Versions and Pythons that stored outputs give away."""

from __future__ import annotations

from typing import Any

import pytest

from leman.environments.detect import stored_python, stored_versions


def book(*cells: tuple[str, str], kind: str = "stream") -> dict[str, Any]:
    """Return a notebook of (source, output) cells."""

    def output(text: str) -> dict[str, Any]:
        if kind == "stream":
            return {"output_type": "stream", "name": "stdout", "text": text}
        if kind == "error":
            return {"output_type": "error", "traceback": text.split("\n")}
        return {"output_type": kind, "data": {"text/plain": [text]}}

    return {
        "cells": [
            {"cell_type": "code", "source": source, "outputs": [output(text)]}
            for source, text in cells
        ]
    }


WATERMARK = """CPython 3.7.3
IPython 7.4.0

numpy 1.16.2
scikit-learn 0.20.3

compiler   : Clang 4.0.1
system     : Darwin
release    : 18.5.0
CPU cores  : 8
"""
NEW_WATERMARK = """Python implementation: CPython
Python version       : 3.8.5
IPython version      : 7.19.0

numpy     : 1.16.2
sklearn   : 0.20.3

Compiler    : GCC 7.3.0
Release     : 5.4.0
"""
SHOW_VERSIONS = """
INSTALLED VERSIONS
------------------
commit           : None
python           : 3.8.2.final.0
OS-release       : 5.3.0
LOCALE           : en_US.UTF-8

pandas           : 1.0.3
numpy            : 1.18.1
lxml.etree       : None
"""
SESSION = (
    "-----\nanndata     0.7.5\nscanpy      1.6.0\n-----\nPython 3.7.9 (default, Aug 31 2020)\n"
)


@pytest.mark.parametrize(
    ("source", "text", "versions"),
    [
        (
            "%load_ext watermark\n%watermark -v -p numpy,scikit-learn",
            WATERMARK,
            {"ipython": "7.4.0", "numpy": "1.16.2", "scikit-learn": "0.20.3"},
        ),
        ("%watermark", NEW_WATERMARK, {"numpy": "1.16.2", "sklearn": "0.20.3"}),
        ("pd.show_versions()", SHOW_VERSIONS, {"pandas": "1.0.3", "numpy": "1.18.1"}),
        ("session_info.show()", SESSION, {"anndata": "0.7.5", "scanpy": "1.6.0"}),
        (
            "sc.logging.print_header()",
            "scanpy==1.4.4 anndata==0.6.22 numpy==1.17.2 \n",
            {"scanpy": "1.4.4", "anndata": "0.6.22", "numpy": "1.17.2"},
        ),
        ("!pip freeze", "numpy==1.17.2\npandas==0.25.1\n", {"numpy": "1.17.2", "pandas": "0.25.1"}),
        (
            "!pip list",
            "Package  Version\n-------- -------\nnumpy    1.17.2\npip      20.0\n",
            {"numpy": "1.17.2"},
        ),
        (
            "!pip install x",
            (
                "Requirement already satisfied: numpy>=1 in /usr/lib (from x) (1.17.2)\n"
                "Collecting x==2.0\nSuccessfully installed scikit-image-0.17.2 x-2.0.post1\n"
            ),
            {"numpy": "1.17.2", "scikit-image": "0.17.2", "x": "2.0.post1"},
        ),
        ("import numpy as np\nprint(np.__version__)", "1.17.2\n", {"numpy": "1.17.2"}),
        (
            "import numpy as np, torch\nprint(np.__version__, torch.__version__)",
            "1.17.2 1.7.0+cu101",
            {"numpy": "1.17.2", "torch": "1.7.0"},
        ),
        (
            "import sklearn\nprint('version: {}'.format(sklearn.__version__))",
            "version: 0.22.1",
            {"sklearn": "0.22.1"},
        ),
        ("import tensorflow as tf\nshow()", "TensorFlow version: 2.3.0\n", {"tensorflow": "2.3.0"}),
        ("import torch\nshow()", "PyTorch version 1.4.0 available.\n", {"torch": "1.4.0"}),
        ("train()", "epoch 1 loss 0.25\nnumpy 1.5\naccuracy: 0.91\nBeast version: 2.6.0\n", {}),
        ("import numpy as np\nprint(np.__version__, x)", "1.17.2 0.5 0.7", {}),
    ],
)
def test_versions_in_outputs(source: str, text: str, versions: dict[str, str]) -> None:
    """Listings, messages and printed versions are read; numbers of results are not."""
    found = stored_versions(book((source, text)))
    assert {name: found.get(name) for name in versions} == versions
    assert set(found) - set(versions) <= {"ipython"}


def test_an_expression_shows_its_version() -> None:
    """A cell that ends in `np.__version__` gives numpy's version, quotes taken off."""
    cells = (("import numpy as np", ""), ("np.__version__", "'1.17.2'"))
    assert stored_versions(book(*cells, kind="execute_result")) == {"numpy": "1.17.2"}


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("/opt/anaconda3/lib/python3.7/site-packages/numpy/x.py:3: FutureWarning: y", "3.7"),
        (
            "C:\\Users\\me\\AppData\\Local\\Programs\\Python\\Python38\\lib\\site-packages\\x.py",
            "3.8",
        ),
        ("3.6.5 |Anaconda, Inc.| (default, Apr 29 2018, 16:14:56) \n[GCC 7.2.0]", "3.6"),
        ("3.10.2 (main, Feb  2 2022) [GCC 9.4.0]", "3.10"),
        (WATERMARK, "3.7"),
        (NEW_WATERMARK, "3.8"),
        (SHOW_VERSIONS, "3.8"),
        (SESSION, "3.7"),
        ("Python 3.9.1", "3.9"),
        ("Downloading numpy-1.19.5-cp36-cp36m-manylinux2010_x86_64.whl", "3.6"),
        ("/usr/lib/python3/dist-packages/x.py", None),
        ("python 3 is fine, version 3.5", None),
    ],
)
def test_the_python_in_outputs(text: str, python: str | None) -> None:
    """Paths of packages and printed versions tell the author's Python."""
    assert stored_python(book(("x", text))) == python


def test_tracebacks_tell_the_python_too() -> None:
    """A traceback's paths count, colours taken out; another program's cell does not."""
    red = "\x1b[0;31m/opt/c/lib/python3.6/\x1b[0msite-packages/numpy/x.py in f()"
    assert stored_python(book(("x", red), kind="error")) == "3.6"
    assert stored_python(book(("%%python2\nimport sys", "2.7.6 (default, x) [GCC 4]"))) is None


@pytest.mark.parametrize(
    "notebook",
    [
        {},
        {"cells": 3},
        {"cells": [{"outputs": 1}]},
        {"worksheets": [{"cells": [None]}]},
        {"cells": [{"source": ["a", 1], "outputs": [{"text": 5, "data": [], "traceback": [1]}]}]},
    ],
)
def test_odd_notebooks_give_nothing(notebook: dict[str, Any]) -> None:
    """JSON of any other shape states no version and raises nothing."""
    assert stored_versions(notebook) == {}
    assert stored_python(notebook) is None
