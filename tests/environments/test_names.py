"""From the names of modules and conda packages to distributions."""

from __future__ import annotations

import gzip
import re
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import leman.environments
from leman.environments import names
from leman.environments.names import (
    HEAVY,
    PLATFORM_ONLY,
    PYTHON_2_MODULES,
    distribution_for,
    distribution_for_conda,
    is_known,
    is_local_name,
    normalise,
    only_in_conda,
    standard_library,
    unavailable,
)

DATA = Path(leman.environments.__file__).parent / "data"


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("cv2", "opencv-python-headless"),
        ("sklearn", "scikit-learn"),
        ("sklearn.linear_model", "scikit-learn"),
        ("skimage", "scikit-image"),
        ("PIL", "pillow"),
        ("PIL.Image", "pillow"),
        ("yaml", "pyyaml"),
        ("bs4", "beautifulsoup4"),
        ("umap", "umap-learn"),
        ("community", "python-louvain"),
        ("ot", "pot"),
        ("AFQ", "pyafq"),
        ("Bio", "biopython"),
        ("dateutil", "python-dateutil"),
        ("lal", "lalsuite"),
        ("parselmouth", "praat-parselmouth"),
        ("osgeo", "gdal"),
        ("pylab", "matplotlib"),
        ("mpl_toolkits", "matplotlib"),
        ("mpl_toolkits.mplot3d.Axes3D", "matplotlib"),
        ("mpl_toolkits.basemap", "basemap"),
        ("mpl_toolkits.basemap.Basemap", "basemap"),
        ("pkg_resources", "setuptools"),
        ("attr", "attrs"),
        ("IPython.display", "ipython"),
        ("netCDF4", "netcdf4"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("google.cloud.storage.blob", "google-cloud-storage"),
        ("google.cloud.bigquery_storage", "google-cloud-bigquery-storage"),
        ("google.protobuf.json_format", "protobuf"),
        ("azure.storage.blob", "azure-storage-blob"),
        ("azure.identity", "azure-identity"),
        ("sphinxcontrib.bibtex", "sphinxcontrib-bibtex"),
        ("zope.interface", "zope-interface"),
        ("ruamel.yaml", "ruamel-yaml"),
        ("client.api.notebook", "okpy"),
    ],
)
def test_modules_of_another_name(module: str, expected: str) -> None:
    """A module whose distribution has another name is mapped by the table, with a reason."""
    found = distribution_for(module)
    assert found is not None
    assert (found.name, found.confidence) == (expected, "table")
    assert found.reason


@pytest.mark.parametrize(
    "module",
    ["numpy", "scipy.stats", "pandas", "seaborn", "matplotlib.pyplot", "xrft", "biographs"],
)
def test_known_equal_names(module: str) -> None:
    """A known distribution, popular or scientific, is found by its own name."""
    found = distribution_for(module)
    assert found is not None
    assert found.name == normalise(module.partition(".")[0])


@pytest.mark.parametrize(
    "module",
    ["utils", "config", "helpers", "data", "model", "models", "functions", "plotting", "common",
     "tools", "src", "lib", "settings", "preprocessing", "analysis", "main", "test", "tests",
     "core", "misc", "plot", "figures", "helper", "func", "network", "simulation", "parameters",
     "params", "plot_utils", "my_helper_functions", "Model2", "data_loader"],
)  # fmt: skip
def test_local_names_are_never_mapped(module: str) -> None:
    """The usual name of an author's own file gets no distribution, and a reason why."""
    assert is_local_name(module)
    assert distribution_for(module) is None
    assert unavailable(module)


@pytest.mark.parametrize(
    "module", ["maren_codes", "numpi", "pandsa", "matplotlb", "requets", "qwertzuiop", "reqeusts"]
)
def test_unknown_and_mistyped_names_are_not_installed(module: str) -> None:
    """A name that no table knows gets no distribution, least of all a near miss of a known one."""
    assert distribution_for(module) is None


@pytest.mark.parametrize(
    "module", ["ROOT", "graph_tool", "fenics", "dolfin", "google.colab", "win32com", "PyQt4"]
)
def test_what_cannot_be_installed_says_why(module: str) -> None:
    """A module that no distribution brings has a reason."""
    assert distribution_for(module) is None
    assert unavailable(module)


@pytest.mark.parametrize(
    ("module", "before", "day", "after"),
    [
        ("rdkit", "rdkit-pypi", date(2022, 7, 1), "rdkit"),
        ("igraph", "python-igraph", date(2021, 10, 1), "igraph"),
        ("cv2", "opencv-python", date(2018, 6, 1), "opencv-python-headless"),
    ],
)
def test_names_change_on_their_day(module: str, before: str, day: date, after: str) -> None:
    """A distribution that changed its name is named as it was on the day asked for."""
    earlier = distribution_for(module, on=date.fromordinal(day.toordinal() - 1))
    later = distribution_for(module, on=day)
    assert earlier is not None
    assert later is not None
    assert (earlier.name, later.name) == (before, after)


def test_submodules_come_before_their_parent() -> None:
    """A namespace alone has no distribution; the submodules that are imported do."""
    assert distribution_for("google") is None
    found = distribution_for("google", submodules=frozenset({"google.cloud.storage"}))
    assert found is not None
    assert found.name == "google-cloud-storage"


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("pytables", ("tables",)),
        ("py-opencv", ("opencv-python-headless",)),
        ("matplotlib-base", ("matplotlib",)),
        ("PyTorch", ("torch",)),
        ("python-dateutil", ("python-dateutil",)),
        ("blas", ()),
        ("mkl", ()),
        ("libgcc-ng", ()),
        ("_libgcc_mutex", ()),
        ("openssl", ()),
        ("r-ggplot2", ()),
        ("vs2015_runtime", ()),
        ("numpy", None),
        ("some-unheard-of-thing", None),
    ],
)
def test_conda_packages(package: str, expected: tuple[str, ...] | None) -> None:
    """A conda package gives its PyPI names, nothing if it is not Python, None if unknown."""
    found = distribution_for_conda(package)
    if package == "numpy":
        assert found in (None, ("numpy",))
    else:
        assert found == expected


def test_conda_alone() -> None:
    """A Python package that only conda has is told apart from one that is unknown."""
    assert only_in_conda("graph-tool")
    assert distribution_for_conda("graph-tool") is None
    assert not only_in_conda("pytables")


def test_standard_library_is_this_pythons() -> None:
    """The modules listed for this Python are those that it says it has."""
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    public = {module for module in sys.stdlib_module_names if not module.startswith("_")}
    assert public <= standard_library(mine)
    assert not {m for m in standard_library(mine) - public if not m.startswith("_")}


def test_modules_come_and_go() -> None:
    """Dataclasses came with 3.7, distutils left with 3.12, cgi with 3.13."""
    assert "dataclasses" not in standard_library("3.6")
    assert "dataclasses" in standard_library("3.7")
    assert "distutils" in standard_library("3.11")
    assert "distutils" not in standard_library("3.12")
    assert "cgi" not in standard_library("3.13")
    with pytest.raises(ValueError, match=r"3\.8"):
        standard_library("2.7")


@pytest.mark.parametrize("module", ["urllib2", "cPickle", "StringIO", "Tkinter", "ConfigParser"])
def test_python_2_modules(module: str) -> None:
    """A module of Python 2 is never mapped to a namesake, and its heir is named."""
    assert module in PYTHON_2_MODULES
    assert distribution_for(module) is None
    assert "Python 2" in (unavailable(module) or "")


@given(module=st.sampled_from(sorted(standard_library("3.11") & standard_library("3.13"))))
def test_the_standard_library_is_never_installed(module: str) -> None:
    """No module that every Python has is mapped to a distribution of that name."""
    found = distribution_for(module)
    assert found is None or module in {"dataclasses", "contextvars", "graphlib", "builtins"}


@given(text=st.text(max_size=30))
def test_any_text_may_be_asked_for(text: str) -> None:
    """Every text, with any dots and signs, gets an answer and no error."""
    found = distribution_for(text)
    assert found is None or is_known(found.name)
    is_known(text)
    distribution_for_conda(text)


def test_tables_are_dated_small_and_clean() -> None:
    """The shipped tables carry their date, stay under 600 kB, and speak of known names alone."""
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", names.tables_built())
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 600_000
    for line in gzip.decompress((DATA / "modules.tsv.gz").read_bytes()).decode().splitlines()[1:]:
        _, name, *_ = line.split("\t")
        assert name == "-" or is_known(name), line
    assert all(is_known(name) and name == normalise(name) for name in HEAVY)
    assert all(name == normalise(name) for name in PLATFORM_ONLY)
    assert not HEAVY & PLATFORM_ONLY


def test_known_names() -> None:
    """Distributions are known in any spelling; strangers are not."""
    assert is_known("Scikit_Learn")
    assert is_known("ruamel.yaml")
    assert not is_known("")
    assert not is_known("this-is-no-distribution-of-anybody")
