"""Each repair answers one kind of failure, changes one thing, is told, and is not tried twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import book, cell, codes, source

from leman.environments.model import Era, LockedPackage, Want
from leman.reproduction.model import Failure, Reason
from leman.reproduction.repair import Case, repair
from leman.reproduction.taxonomy import classify

if TYPE_CHECKING:
    from pathlib import Path

ERA = Era(date(2021, 6, 1), "the last commit", ("3.8",), "its metadata")


def case(work: Path, files: dict[str, Any], *packages: LockedPackage, **options: Any) -> Case:
    """Return the case of ``nb/a.ipynb`` among these files."""
    source(work, {"nb/a.ipynb": book("1"), **files})
    wants = tuple(Want(one.name) for one in packages)
    given_options = {"python": "3.8", **options}
    return Case("nb/a.ipynb", work, ERA, wants, (), packages, **given_options)


def no_module(name: str) -> Failure:
    """Return the error of an import that finds nothing."""
    text = f"No module named '{name}'"
    return Failure(Reason.MISSING_MODULE, "ModuleNotFoundError", text)


def no_file(path: str, line: str = "open(path)", reason: Reason = Reason.MISSING_FILE) -> Failure:
    """Return the error of a file that is not there; `line` is the failing one."""
    text = f"[Errno 2] No such file or directory: '{path}'"
    return Failure(reason, "FileNotFoundError", text, f"----> 1 {line}")


def changes(one: Case) -> list[tuple[str, str]]:
    """Return what was changed, in order."""
    return [(change.kind, change.target) for change in one.modifications]


def test_a_missing_module_adds_its_distribution(tmp_path: Path) -> None:
    """Under the distribution's name, once; the environment has to be made anew."""
    one = case(tmp_path, {})
    assert repair(one, no_module("yaml.nodes"))
    assert changes(one) == [("add", "pyyaml")]
    assert one.changed_environment
    assert [want.origin for want in one.wants if want.name == "pyyaml"] == ["repair"]
    assert not repair(replace(one, packages=(LockedPackage("pyyaml", "5"),)), no_module("yaml"))


def test_a_module_of_the_source_is_put_on_the_path(tmp_path: Path) -> None:
    """What the author wrote is never taken from the index, even if that has the name."""
    one = case(tmp_path, {"lib/yaml.py": "", "lib/mine.py": ""})
    assert repair(one, no_module("mine"))
    assert one.python_paths == ("lib",)
    assert not one.changed_environment
    assert changes(one) == [("path", "lib")]


@pytest.mark.parametrize("name", ["qqzzxx_unheard_of", "json", "utils"])
def test_what_nobody_knows_is_not_added(name: str, tmp_path: Path) -> None:
    """Neither a free name, nor the standard library, nor a usual name of one's own file."""
    one = case(tmp_path, {})
    assert not repair(one, no_module(name))
    assert not one.modifications


def test_a_numpy_that_others_were_not_built_for_is_taken_back(tmp_path: Path) -> None:
    """Before anything else, because all other errors may follow from it."""
    one = case(tmp_path, {}, LockedPackage("numpy", "2.0.0"))
    text = "numpy.dtype size changed, may indicate binary incompatibility"
    assert repair(one, Failure(Reason.OTHER, "ValueError", text))
    assert [want.text() for want in one.wants] == ["numpy<2"]


def test_a_part_of_a_package_is_imported(tmp_path: Path) -> None:
    """``scipy.stats`` without its import worked by chance in the author's session."""
    site = tmp_path / "site"
    (site / "scipy").mkdir(parents=True)
    (site / "scipy" / "stats.py").touch()
    one = case(tmp_path / "work", {}, LockedPackage("scipy", "1.5"), site=site)
    text = "module 'scipy' has no attribute 'stats'"
    assert repair(one, Failure(Reason.API_CHANGE, "AttributeError", text))
    assert codes(one.work / "nb" / "a.ipynb") == ["import scipy.stats\n1"]
    assert changes(one) == [("cell", "nb/a.ipynb")]


def test_a_file_that_lies_elsewhere_is_linked(tmp_path: Path) -> None:
    """With its folder, where its name is the only one; the second run's copy alike."""
    one = case(tmp_path / "work", {"raw/x.csv": "1"})
    assert repair(one, no_file("data/x.csv"))
    assert (one.work / "nb" / "data" / "x.csv").read_text() == "1"
    assert changes(one) == [("link", "nb/data")]
    other = tmp_path / "other"
    source(other, {"nb/a.ipynb": book("1"), "raw/x.csv": "1"})
    for step in one.replay:
        step(other)
    assert (other / "nb" / "data" / "x.csv").exists()
    assert not repair(one, no_file("data/x.csv"))


def test_of_several_files_the_one_with_the_longest_common_end_is_taken(tmp_path: Path) -> None:
    """And none where they are equally good: a guess would give wrong results."""
    files = {"one/data/x.csv": "1", "two/other/x.csv": "2"}
    one = case(tmp_path / "a", files)
    assert repair(one, no_file("../gone/data/x.csv"))
    assert (one.work / "gone" / "data" / "x.csv").read_text() == "1"
    two = case(tmp_path / "b", {"one/x.csv": "1", "two/x.csv": "2"})
    assert not repair(two, no_file("data/x.csv"))
    assert not two.modifications


@pytest.mark.parametrize(
    ("code", "path", "after"),
    [
        (
            "open('/home/me/project/data/x.csv')",
            "/home/me/project/data/x.csv",
            "open('../data/x.csv')",
        ),
        (
            "root = '/home/me/project/'\nopen(root + 'data/x.csv')",
            "/home/me/project/data/x.csv",
            "root = '../'\nopen(root + 'data/x.csv')",
        ),
    ],
)
def test_without_a_sandbox_a_path_of_the_authors_computer_is_rewritten(
    code: str, path: str, after: str, tmp_path: Path
) -> None:
    """Whole, or the part that the code spells, to the file of that name in the source."""
    one = case(tmp_path, {"nb/a.ipynb": book(code), "data/x.csv": "1"})
    assert repair(one, no_file(path, reason=Reason.ABSOLUTE_PATH))
    assert codes(tmp_path / "nb" / "a.ipynb") == [after]
    assert changes(one) == [("path", "nb/a.ipynb")]


@pytest.mark.parametrize(
    ("wanted", "found", "alias", "target"),
    [
        ("/home/me/project/data/x.csv", "data/x.csv", "/home/me/project", "."),
        ("/data/x.csv", "data/x.csv", "/data", "data"),
        ("/home/me/x.csv", "raw/x.csv", "/home/me/x.csv", "raw/x.csv"),
        ("/home/data/x.csv", "data/x.csv", "/home/data", "data"),
        ("~/project/data/x.csv", "data/x.csv", "/home/jovyan/project", "."),
        ("/Users/me/Data/x.csv", "data/x.csv", "/Users/me/Data", "data"),
    ],
)
def test_a_path_of_the_authors_computer_is_shown_in_the_sandbox(
    wanted: str, found: str, alias: str, target: str, tmp_path: Path
) -> None:
    """The widest folder that has the same end, so that its other files are found as well."""
    one = case(tmp_path, {found: "1"}, boxed=(tmp_path,))
    assert repair(one, no_file(wanted, reason=Reason.ABSOLUTE_PATH))
    assert one.aliases == ((alias, target),)
    assert changes(one) == [("link", alias)]
    assert not one.replay


@pytest.mark.parametrize("wanted", ["/usr/share/x.csv", "/etc/x.csv", "/home/jovyan"])
def test_nothing_is_shown_in_place_of_the_system(wanted: str, tmp_path: Path) -> None:
    """What the sandbox needs for itself keeps its place."""
    one = case(tmp_path, {"data/x.csv": "1", "data/jovyan": ""}, boxed=(tmp_path,))
    repair(one, no_file(wanted, reason=Reason.ABSOLUTE_PATH))
    assert one.aliases == ()


def test_what_is_written_to_the_authors_computer_lands_in_the_copy(tmp_path: Path) -> None:
    """In a folder that stands for the author's, in both copies."""
    one = case(tmp_path / "work", {}, boxed=(tmp_path,))
    text = "Cannot save file into a non-existent directory: '/Users/me/figures'"
    failure = Failure(Reason.ABSOLUTE_PATH, "OSError", text, "----> 1 df.to_csv(path)")
    assert repair(one, failure)
    assert one.aliases == (("/Users/me/figures", "elsewhere/Users/me/figures"),)
    assert (one.work / "elsewhere" / "Users" / "me" / "figures").is_dir()
    source(tmp_path / "again", {"nb/a.ipynb": book("1")})
    for step in one.replay:
        step(tmp_path / "again")
    assert (tmp_path / "again" / "elsewhere" / "Users" / "me" / "figures").is_dir()
    assert not repair(one, failure)


@pytest.mark.parametrize("wanted", ["C:\\Users\\me\\data\\x.csv", "data\\x.csv", "..\\data\\x.csv"])
def test_windows_paths_are_names_with_backslashes_in_them(wanted: str, tmp_path: Path) -> None:
    """And so are those of the files beside it, which the notebook will want next."""
    one = case(tmp_path, {"data/x.csv": "1", "data/y.csv": "2"})
    assert repair(one, no_file(wanted))
    assert (tmp_path / "nb" / wanted).read_text() == "1"
    assert (tmp_path / "nb" / wanted.replace("x.csv", "y.csv")).read_text() == "2"


def test_windows_paths_with_slashes_are_folders(tmp_path: Path) -> None:
    """A drive is a name like others."""
    one = case(tmp_path, {"data/x.csv": "1", "data/y.csv": "2"})
    assert repair(one, no_file("D:/work/data/x.csv", reason=Reason.ABSOLUTE_PATH))
    assert (tmp_path / "nb" / "D:" / "work" / "data" / "y.csv").read_text() == "2"


def test_windows_folders_may_go_on_with_slashes(tmp_path: Path) -> None:
    """As code that joins a folder of the author's with names of its own makes them."""
    one = case(tmp_path, {"meta/kind/x.csv": "1", "meta/kind/y.csv": "2"})
    assert repair(one, no_file("C:\\Users\\me\\meta/kind/x.csv", reason=Reason.ABSOLUTE_PATH))
    assert changes(one) == [("link", "nb/C:\\Users\\me\\meta")]
    assert (tmp_path / "nb" / "C:\\Users\\me\\meta" / "kind" / "y.csv").read_text() == "2"


def test_another_font_stands_in_for_a_font_of_the_author(tmp_path: Path) -> None:
    """A figure in another typeface says more than none."""
    shipped = tmp_path / "site" / "matplotlib" / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    shipped.parent.mkdir(parents=True)
    shipped.write_text("glyphs")
    one = case(tmp_path / "work", {}, boxed=(tmp_path,), site=tmp_path / "site")
    wanted = "/home/me/.fonts/Helvetica.ttf"
    assert repair(one, no_file(wanted, reason=Reason.ABSOLUTE_PATH))
    ((alias, target),) = one.aliases
    assert (one.work / target / wanted[len(alias) + 1 :]).read_text() == "glyphs"


def test_a_path_that_code_worked_out_is_one_of_the_source(tmp_path: Path) -> None:
    """Code that asks where it is names the work copy: what lies elsewhere in it is linked."""
    one = case(tmp_path, {"data/raw/x.csv": "1"}, boxed=(tmp_path,))
    assert repair(one, no_file(str(tmp_path / "nb" / "data" / "raw" / "x.csv")))
    assert (tmp_path / "nb" / "data" / "raw" / "x.csv").read_text() == "1"
    assert one.aliases == ()


def test_files_alike_are_one(tmp_path: Path) -> None:
    """Of several with one content any will do; else the one nearest to the notebook."""
    one = case(tmp_path / "a", {"one/x.csv": "1", "two/x.csv": "1"})
    assert repair(one, no_file("data/x.csv"))
    two = case(tmp_path / "b", {"nb/raw/x.csv": "1", "two/x.csv": "2"})
    assert repair(two, no_file("data/x.csv"))
    assert (two.work / "nb" / "data" / "x.csv").read_text() == "1"


def test_latex_is_done_without_where_there_is_none(tmp_path: Path) -> None:
    """For every text, because styles of packages ask for it too; once."""
    one = case(tmp_path, {})
    text = "Failed to process string with tex because latex could not be found"
    failure = Failure(Reason.SYSTEM_LIBRARY, "RuntimeError", text)
    assert repair(one, failure)
    assert "get_usetex" in codes(tmp_path / "nb" / "a.ipynb")[0]
    assert not repair(one, failure)


def test_a_magic_of_the_authors_profile_is_loaded(tmp_path: Path) -> None:
    """With the distribution that has it, before the first cell; an unknown one is left alone."""
    one = case(tmp_path, {})
    text = "Line magic function `%watermark` not found."
    assert repair(one, Failure(Reason.AUTHOR_ERROR, "UsageError", text))
    assert codes(tmp_path / "nb" / "a.ipynb") == ["%load_ext watermark\n1"]
    assert changes(one) == [("cell", "nb/a.ipynb"), ("add", "watermark")]
    for again in (text, "Cell magic `%%nobody` not found."):
        assert not repair(one, Failure(Reason.AUTHOR_ERROR, "UsageError", again))


def test_what_left_the_standard_library_comes_with_setuptools(tmp_path: Path) -> None:
    """Python 3.12 has no distutils; old code has no other."""
    one = case(tmp_path, {})
    assert repair(one, no_module("distutils"))
    assert changes(one) == [("add", "setuptools")]
    two = case(tmp_path, {}, LockedPackage("setuptools", "70"))
    assert not repair(two, no_module("distutils"))


@pytest.mark.parametrize("name", ["google", "google.colab", "google.colab.drive"])
def test_colab_is_gone_without(name: str, tmp_path: Path) -> None:
    """Mounting does nothing, secrets and uploads need their owner; another google is none."""
    notebook = book("from google.colab import drive")
    one = case(tmp_path, {"nb/a.ipynb": notebook})
    assert repair(one, no_module(name))
    assert changes(one) == [("cell", "elsewhere/python/google/colab/__init__.py")]
    code = (
        "from google.colab import drive, files, userdata; import google.colab.output\n"
        "drive.mount('/content/drive')\n"
        "for call in (userdata.get, files.upload):\n"
        "    try: call('KEY')\n"
        "    except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / one.python_paths[0])},
        capture_output=True,
        text=True,
        check=True,
    )
    secret, upload = done.stdout.splitlines()
    assert classify(*secret.split(" ", 1)) is Reason.CREDENTIALS
    assert classify(*upload.split(" ", 1)) is Reason.INPUT
    two = case(tmp_path / "b", {})
    repair(two, no_module("google"))
    assert not two.python_paths


def test_another_notebook_that_writes_the_file_is_run_first(tmp_path: Path) -> None:
    """A file that is nowhere may be the work of another notebook."""
    one = case(tmp_path, {"nb/0-make.ipynb": book("df.to_csv('made.csv')")})
    assert repair(one, no_file("made.csv"))
    assert one.first_run == ("nb/0-make.ipynb",)
    assert changes(one) == [("first", "nb/0-make.ipynb")]


def test_a_folder_that_git_does_not_keep_is_made(tmp_path: Path) -> None:
    """Only for what is written: a file that is read does not come from an empty folder."""
    one = case(tmp_path, {})
    assert repair(one, no_file("figures/one.png", "plt.savefig('figures/one.png')"))
    assert (tmp_path / "nb" / "figures").is_dir()
    assert changes(one) == [("folder", "nb/figures")]
    assert not repair(one, no_file("tables/one.csv", "pd.read_csv('tables/one.csv')"))


def test_cells_are_run_in_the_authors_order(tmp_path: Path) -> None:
    """A name that is defined further down was there when the author ran the cell."""
    cells = book(cell("print(x)", count=2), cell("x = 1", count=1))
    one = case(tmp_path, {"nb/a.ipynb": cells})
    failure = Failure(Reason.AUTHOR_ERROR, "NameError", "name 'x' is not defined")
    assert repair(one, failure)
    assert codes(tmp_path / "nb" / "a.ipynb") == ["x = 1", "print(x)"]
    assert one.order == (1, 0)
    assert not repair(one, failure)


def gone(module: str, version: str) -> tuple[LockedPackage, Failure]:
    """Return a package and the error of a name that it no longer has."""
    text = f"module '{module}' has no attribute 'thing'"
    return LockedPackage(module, version), Failure(Reason.API_CHANGE, "AttributeError", text)


def test_a_package_goes_back_before_the_date_does(tmp_path: Path) -> None:
    """One package a minor version back, then a major one, and only then everything."""
    package, failure = gone("pandas", "1.5.3")
    one = case(tmp_path, {}, package)
    assert repair(one, failure)
    assert [want.text() for want in one.wants] == ["pandas<1.5"]
    assert one.era == ERA
    assert repair(one, failure)
    assert repair(one, failure)
    assert ("date", "nb/a.ipynb") in changes(one)


def test_the_date_steps_back_twice_and_on_once(tmp_path: Path) -> None:
    """Never into the future, and no date twice."""
    failure = Failure(Reason.API_CHANGE, "TypeError", "an argument is not known")
    one = case(tmp_path, {})
    days = []
    while repair(one, failure):
        days.append(one.era.cutoff)
        assert len(days) < 10
    assert len(days) == len(set(days))
    assert days[0].year == 2020
    assert all(day <= date.today() for day in days)  # noqa: DTZ011 - dates have no zone
    assert {kind for kind, _ in changes(one)} == {"date"}


def test_the_authors_own_function_called_wrongly_is_no_matter_of_dates(tmp_path: Path) -> None:
    """No other package mends a call of what the source itself defines."""
    one = case(tmp_path, {"nb/a.ipynb": book("def plot(x):\n    pass\nplot()")})
    text = "plot() missing 1 required positional argument: 'x'"
    assert not repair(one, Failure(Reason.API_CHANGE, "TypeError", text))


REASONS = st.sampled_from(list(Reason))
TEXTS = st.sampled_from(
    [
        "No module named 'yaml'",
        "No module named 'qqzzxx'",
        "[Errno 2] No such file or directory: 'data/x.csv'",
        "[Errno 2] No such file or directory: '/home/me/x.csv'",
        "[Errno 2] No such file or directory: ''",
        "[Errno 2] No such file or directory: '../../../../x.csv'",
        "module 'pandas' has no attribute 'thing'",
        "cannot import name 'thing' from 'numpy'",
        "name 'x' is not defined",
        "numpy.dtype size changed",
    ]
) | st.text(max_size=40)


@given(
    st.lists(
        st.tuples(REASONS, TEXTS, st.sampled_from(["", "----> 1 plt.savefig('x')"])), max_size=4
    )
)
def test_repairs_always_come_to_an_end(
    tmp_path_factory: pytest.TempPathFactory, failures: list[tuple[Reason, str, str]]
) -> None:
    """However a notebook fails, in turns and for ever; and each repair is an attempt."""
    packages = (LockedPackage("pandas", "1.5.3"), LockedPackage("numpy", "1.24.1"))
    files = {"raw/x.csv": "1", "nb/b.ipynb": book("df.to_csv('x.csv')")}
    one = case(tmp_path_factory.mktemp("case"), files, *packages)
    steps = 0
    while any(repair(one, Failure(why, "Error", text, trace)) for why, text, trace in failures):
        steps += 1
        assert steps < 60
        assert len(one.attempts) >= steps
