"""What code needs without importing it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.environments import implied
from leman.environments.implied import implied_by
from leman.environments.names import is_known

NOW = date(2024, 1, 1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("df = pd.read_excel('a.xlsx')", {"xlrd", "openpyxl"}),
        ("pd.read_hdf('a.h5')", {"tables"}),
        ("df.to_parquet('a')", {"pyarrow"}),
        ("print(df.to_markdown())", {"tabulate"}),
        ("pd.read_html(url)", {"lxml", "html5lib", "beautifulsoup4"}),
        ("pd.ExcelWriter('a', engine='xlsxwriter')", {"openpyxl", "xlsxwriter"}),
        ("import xarray as xr\nxr.open_mfdataset('*.nc')", {"netcdf4", "dask"}),
        ("import xarray as xr\nxr.open_dataset('a', engine='h5netcdf')", {"netcdf4", "h5netcdf"}),
        ("%matplotlib inline", {"matplotlib"}),
        ("%matplotlib widget", {"matplotlib", "ipympl"}),
        ("%load_ext autoreload", set()),
        ("%load_ext rpy2.ipython", {"rpy2", "pandas", "tzlocal"}),
        ("%load_ext memory_profiler", {"memory-profiler"}),
        ("%load_ext watermark", {"watermark"}),
        ("%load_ext sql", {"ipython-sql", "sqlalchemy"}),
        ("%load_ext nb_black", {"nb-black", "black"}),
        ("%load_ext my_own_magic_of_mine", set()),
        ("sc.tl.leiden(adata)", {"leidenalg", "igraph"}),
        ("sc.pp.highly_variable_genes(adata, flavor='seurat_v3')", {"scikit-misc"}),
        ("from tqdm.notebook import tqdm", {"ipywidgets"}),
        ("nx.draw(g)", {"matplotlib"}),
        ("create_engine('postgresql://u@h/d')", {"psycopg2-binary"}),
        ("soup = BeautifulSoup(page, 'lxml')", {"lxml"}),
        ("x = 1", set()),
        ("# pd.read_excel('a.xlsx')", set()),
    ],
)
def test_hints(code: str, expected: set[str]) -> None:
    """Each hint in the code names the distributions that it needs, and no others."""
    assert {name for name, _ in implied_by(code, on=NOW)} == expected


def test_hints_depend_on_the_day() -> None:
    """A need that came or went is a need on its days alone."""
    code = "import geopandas\ngdf.plot()"
    before = dict(implied_by(code, on=date(2019, 1, 1)))
    assert "descartes" in before
    assert "descartes" not in dict(implied_by(code, on=NOW))
    assert dict(implied_by("sc.tl.leiden(a)", on=date(2019, 1, 1))).keys() == {
        "leidenalg",
        "python-igraph",
    }


def test_a_hint_tells_its_ground() -> None:
    """The reason shows the piece of code that the hint is from."""
    ((_, reason),) = implied_by("t = pd.read_hdf('x')", on=NOW)
    assert "read_hdf(" in reason


def test_every_rule_names_known_distributions() -> None:
    """No rule names a distribution that the tables do not know; every expression compiles."""
    for rule in implied._rules():
        assert rule.names, rule
        assert all(n.startswith("import:") or is_known(n) for n in rule.names), rule
        if rule.pattern:
            implied._compiled(rule.pattern)


@given(code=st.text(alphabet="%.import_plotsead \n()='", max_size=200))
def test_any_code_may_be_read(code: str) -> None:
    """Whatever the code is, the hints are known distributions, each named once."""
    found = [name for name, _ in implied_by(code, on=NOW)]
    assert len(found) == len(set(found))
    assert all(is_known(name) for name in found)
