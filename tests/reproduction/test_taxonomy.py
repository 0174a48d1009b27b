"""Prove that the words of Python and its libraries lead to the reason that a reader needs."""

from __future__ import annotations

import pytest

from leman.reproduction.model import Failure, Reason
from leman.reproduction.taxonomy import TAXONOMY, classify, missing_module, missing_path

LIB = "/env/lib/python3.8/site-packages/pandas/io/common.py in get_handle(path)"
R = Reason

# (name, text, reason, what is missing): texts as the libraries write them
ERRORS = [
    ("ModuleNotFoundError", "No module named 'skimage'", R.MISSING_MODULE, "skimage"),
    ("ImportError", "No module named yaml", R.MISSING_MODULE, "yaml"),
    ("UsageError", "Line magic function `%memit` not found.", R.MISSING_MODULE, None),
    ("ModuleNotFoundError", "No module named 'a.b.c'", R.MISSING_MODULE, "a.b.c"),
    (
        "ImportError",
        "Missing optional dependency 'openpyxl'.  Use pip or conda to install openpyxl.",
        R.MISSING_MODULE,
        "openpyxl",
    ),
    ("ImportError", "Install xlrd >= 1.0.0 for Excel support", R.MISSING_MODULE, "xlrd"),
    ("ImportError", "lxml not found, please install it", R.MISSING_MODULE, "lxml"),
    (
        "ImportError",
        "HDFStore requires PyTables, \"No module named 'tables'\"",
        R.MISSING_MODULE,
        "tables",
    ),
    (
        "ImportError",
        "cannot import name 'imread' from 'scipy.misc' (/env/x.py)",
        R.API_CHANGE,
        None,
    ),
    (
        "ImportError",
        "libGL.so.1: cannot open shared object file: No such file or directory",
        R.SYSTEM_LIBRARY,
        None,
    ),
    (
        "OSError",
        "Could not find lib geos_c.so or load any of its variants []",
        R.SYSTEM_LIBRARY,
        None,
    ),
    (
        "ExecutableNotFound",
        (
            "failed to execute ['dot', '-Tsvg'], make sure the Graphviz executables"
            " are on your systems' PATH"
        ),
        R.SYSTEM_LIBRARY,
        None,
    ),
    (
        "RuntimeError",
        "Failed to process string with tex because latex could not be found",
        R.SYSTEM_LIBRARY,
        None,
    ),
    ("FileNotFoundError", "[Errno 2] No such file or directory: 'latex'", R.SYSTEM_LIBRARY, None),
    (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: 'data/a b.csv'",
        R.MISSING_FILE,
        "data/a b.csv",
    ),
    (
        "FileNotFoundError",
        "[Errno 2] File b'data/x.csv' does not exist: b'data/x.csv'",
        R.MISSING_FILE,
        "data/x.csv",
    ),
    ("FileNotFoundError", "File b'x.csv' does not exist", R.MISSING_FILE, "x.csv"),
    (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: 'results'",
        R.MISSING_FILE,
        "results",
    ),
    ("OSError", "data/run.dat not found.", R.MISSING_FILE, "data/run.dat"),
    (
        "OSError",
        (
            "Unable to open file (unable to open file: name = 'x.h5', errno = 2, error message ="
            " 'No such file or directory', flags = 0, o_flags = 0)"
        ),
        R.MISSING_FILE,
        "x.h5",
    ),
    (
        "OSError",
        "Unable to synchronously open file (unable to open file: name = 'data/x.hdf5')",
        R.MISSING_FILE,
        "data/x.hdf5",
    ),
    ("RasterioIOError", "data/dem.tif: No such file or directory", R.MISSING_FILE, "data/dem.tif"),
    ("DriverError", "maps/a.shp: No such file or directory", R.MISSING_FILE, "maps/a.shp"),
    (
        "ValueError",
        (
            "did not find a match in any of xarray's currently installed IO backends"
            " ['netcdf4']. Consider explicitly selecting 'data/a.nc'"
        ),
        R.MISSING_FILE,
        "data/a.nc",
    ),
    ("OSError", "no files to open", R.MISSING_FILE, None),
    (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: 'C:\\\\Users\\\\me\\\\a.csv'",
        R.ABSOLUTE_PATH,
        "C:\\Users\\me\\a.csv",
    ),
    (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/content/drive/My Drive/a.csv'",
        R.ABSOLUTE_PATH,
        "/content/drive/My Drive/a.csv",
    ),
    (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/Users/me/a'",
        R.ABSOLUTE_PATH,
        "/Users/me/a",
    ),
    ("OSError", "/home/me/data.dat not found.", R.ABSOLUTE_PATH, "/home/me/data.dat"),
    (
        "PermissionError",
        "[Errno 13] Permission denied: '/scratch/out.npy'",
        R.ABSOLUTE_PATH,
        "/scratch/out.npy",
    ),
    (
        "URLError",
        "<urlopen error [Errno -3] Temporary failure in name resolution>",
        R.NETWORK,
        None,
    ),
    (
        "ConnectionError",
        ("HTTPSConnectionPool(host='x.org', port=443): Max retries exceeded with url: /data.csv"),
        R.NETWORK,
        None,
    ),
    ("HTTPError", "HTTP Error 404: Not Found", R.NETWORK, None),
    ("HTTPError", "HTTP Error 403: Forbidden", R.CREDENTIALS, None),
    (
        "OpenAIError",
        "The api_key client option must be set either by passing api_key to the client",
        R.CREDENTIALS,
        None,
    ),
    ("NoCredentialsError", "Unable to locate credentials", R.CREDENTIALS, None),
    ("RuntimeError", "Found no NVIDIA driver on your system.", R.HARDWARE, None),
    ("AssertionError", "Torch not compiled with CUDA enabled", R.HARDWARE, None),
    ("AttributeError", "module 'numpy' has no attribute 'float'", R.API_CHANGE, None),
    ("AttributeError", "'DataFrame' object has no attribute 'append'", R.API_CHANGE, None),
    ("AttributeError", "'NoneType' object has no attribute 'group'", R.AUTHOR_ERROR, None),
    ("AttributeError", "Unknown property axisbg", R.API_CHANGE, None),
    ("TypeError", "read_csv() got an unexpected keyword argument 'squeeze'", R.API_CHANGE, None),
    (
        "ValueError",
        "numpy.ufunc size changed, may indicate binary incompatibility. Expected 216",
        R.API_CHANGE,
        None,
    ),
    (
        "OSError",
        (
            "'seaborn-paper' is not a valid package style, path of style file, URL of style"
            " file, or library style name"
        ),
        R.API_CHANGE,
        None,
    ),
    ("NameError", "name 'x' is not defined", R.AUTHOR_ERROR, None),
    ("KeyError", "'column'", R.AUTHOR_ERROR, None),
    ("AssertionError", "", R.AUTHOR_ERROR, None),
    ("SyntaxError", "invalid syntax (<ipython-input-1>, line 1)", R.SYNTAX, None),
    ("MemoryError", "Unable to allocate 7.3 TiB for an array", R.MEMORY, None),
    ("_ArrayMemoryError", "Unable to allocate 7.3 TiB for an array", R.MEMORY, None),
    (
        "StdinNotImplementedError",
        "raw_input was called, but this frontend does not support it",
        R.INPUT,
        None,
    ),
    ("OSError", "[Errno 28] No space left on device", R.OTHER, None),
]


@pytest.mark.parametrize(("name", "text", "reason", "missing"), ERRORS)
def test_an_errors_words_lead_to_its_reason(
    name: str, text: str, reason: Reason, missing: str | None
) -> None:
    """The text alone is enough for what libraries say; the missing thing is named as they do."""
    assert classify(name, text) is reason
    failure = Failure(reason, name, text)
    found = missing_module(failure) if reason is R.MISSING_MODULE else missing_path(failure)
    assert found == missing


def test_a_full_name_is_read_as_its_last_part() -> None:
    """Old kernels give qualified names."""
    assert classify("urllib.error.URLError", "<urlopen error timed out>") is R.NETWORK


def test_a_key_that_the_environment_lacks_is_a_credential() -> None:
    """KeyError from os.environ is no error of the author's logic."""
    source = "token = os.environ['API_TOKEN']"
    trace = f"----> 1 {source}\n\nKeyError: 'API_TOKEN'"
    assert classify("KeyError", "'API_TOKEN'", traceback=trace, source=source) is R.CREDENTIALS
    trace = "----> 2 row['a']"
    assert classify("KeyError", "'a'", traceback=trace, source=source) is R.AUTHOR_ERROR


def test_a_call_of_the_notebooks_own_function_is_the_authors() -> None:
    """The same words about a library's function mean a changed interface."""
    text = "plot_all() got an unexpected keyword argument 'color'"
    own = "----> 3 plot_all(color=1)\n"
    assert (
        classify(
            "TypeError", text, traceback=own, source="def plot_all(x): pass\nplot_all(color=1)"
        )
        is R.AUTHOR_ERROR
    )
    assert classify("TypeError", text, traceback=own + LIB) is R.API_CHANGE


def test_an_unknown_error_from_a_library_is_not_put_on_the_author() -> None:
    """Without a rule, a library's frame leaves the question open."""
    assert classify("ValueError", "odd", traceback=LIB) is R.OTHER
    assert classify("ValueError", "odd", traceback="<ipython-input-1> in f()") is R.AUTHOR_ERROR


def test_a_missing_program_is_found_in_what_a_shell_cell_wrote() -> None:
    """`%%bash` raises CalledProcessError; the cause stands on stderr."""
    text = "Command 'b'gmt info\\n'' returned non-zero exit status 127."
    said = "bash: line 1: gmt: command not found"
    assert classify("CalledProcessError", text, context=said) is R.SYSTEM_LIBRARY


def test_every_reason_is_documented() -> None:
    """Title, meaning and advice exist for whatever a report can say."""
    assert set(TAXONOMY) == set(Reason)
    for reason, (title, meaning, advice) in TAXONOMY.items():
        assert title
        assert meaning.endswith(".")
        assert advice.endswith(".") or reason in {R.NONE, R.NO_PYTHON}
