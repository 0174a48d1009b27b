"""`leman env`: what is shown, what is refused, what is removed and what stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leman.environments.build import UvBuilder
from leman.environments.index import Index
from leman.environments.model import Interpreter, Lock
from leman.environments.pythons import interpreters
from leman.environments.shelf import at
from leman.environments.uv import Uv
from leman.reproduction.locking import Pinned, names_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calling import Leman

DAY = 86400
LOCK = """
lock-version = "1.0"
created-by = "uv"
packages = []

[tool.leman]
cutoff = 2021-05-06
cutoff-reason = "last change of the notebooks"
packages = [
  {name = "numpy", version = "1.20.3", uploaded = "2021-05-01T00:00:00Z", why = "a.ipynb"},
]
attempts = [{step = "lock", action = "unpin numpy", reason = "no such version", outcome = "solved"}]
modifications = [{kind = "unpin", target = "numpy", detail = "==9.9 does not exist"}]
"""


def shelve(home: Path, digest: str, *, days: float = 0, lock: str = LOCK) -> Path:
    """Lay an environment out as the builder does, last used `days` ago."""
    path = home / "environments" / digest[:32]
    (path / "lib").mkdir(parents=True)
    (path / "lib" / "module.py").write_text("x" * 50_000)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.8.18\n")
    (path / "pylock.toml").write_text(lock)
    (path / "leman.json").write_text(json.dumps({"digest": digest}))
    return used(path, days)


def shelve_conda(home: Path, digest: str) -> Path:
    """Lay an environment out as the conda builder does."""
    path = home / "environments" / digest[:32]
    records = path / "conda-meta"
    records.mkdir(parents=True)
    known = {
        "cutoff": "2020-02-03",
        "channels": ["conda-forge"],
        "packages": {"python": ["dependency", ""], "gdal": ["declared", "environment.yml:4"]},
        "attempts": [["from the first channel", ""]],
        "dropped": ["odd"],
    }
    (records / "leman.lock").write_text(f"# leman: {json.dumps(known)}\nversion: 6\n")
    for name, version in (("python", "3.7.6"), ("gdal", "3.0.2")):
        record = {"name": name, "version": version, "timestamp": 1577836800000}
        (records / f"{name}-{version}-0.json").write_text(json.dumps(record))
    (path / "leman.json").write_text(json.dumps({"digest": digest, "kind": "conda"}))
    return used(path, 0)


def used(path: Path, days: float) -> Path:
    """Note that an environment was last used `days` ago."""
    marker = path.with_name(f".{path.name}.used")
    marker.touch()
    moment = time.time() - days * DAY
    os.utime(marker, (moment, moment))
    return path


def digest(start: str) -> str:
    """Return a whole digest that begins with `start`."""
    return start.ljust(64, "0")


def test_no_environment_yet_is_no_error(leman: Leman, home: Path) -> None:
    """On a fresh machine `list` says so, how to get one, and ends with 0; `prune` likewise."""
    said = leman("env", "list")
    assert said.code == 0
    assert f"no environment in {home} yet" in said.out
    assert "leman run" in said.out
    assert leman("env", "prune").code == 0
    assert not home.exists()


def test_list_shows_every_kind(leman: Leman, home: Path) -> None:
    """Each environment has a row, the last used first; one that is damaged does not hide others."""
    shelve(home, digest("aaaa1"), days=3)
    shelve_conda(home, digest("bbbb2"))
    shelve(home, digest("cccc3"), days=5, lock="no toml [")
    said = leman("env", "list")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()[1:4]]
    assert rows[0][:5] == ["bbbb20000000", "3.7.6", "(conda)", "2020-02-03", "2"]
    assert rows[1][:4] == ["aaaa10000000", "3.8.18", "2021-05-06", "1"]
    assert " ".join(rows[1]).endswith("3 days ago")
    assert rows[2][0] == "cccc30000000"
    assert "unreadable" in rows[2]


def test_show_tells_why(leman: Leman, home: Path) -> None:
    """An environment tells its Python, its date and the reason, each package, and every repair."""
    shelve(home, digest("aaaa1"))
    said = leman("env", "show", "AAAA")
    assert said.code == 0
    for told in (
        digest("aaaa1"),
        "3.8.18",
        "2021-05-06 — last change of the notebooks",
        "a.ipynb",
        "tried: unpin numpy — no such version: solved",
        "changed: unpin numpy — ==9.9 does not exist",
    ):
        assert told in said.out
    (row,) = [line.split() for line in said.out.splitlines() if line.startswith("numpy")]
    assert row[:3] == ["numpy", "1.20.3", "2021-05-01"]


def test_show_reads_conda_environments(leman: Leman, home: Path) -> None:
    """A conda environment is shown from its own records."""
    shelve_conda(home, digest("bbbb2"))
    said = leman("env", "show", "bbbb2")
    assert said.code == 0
    for told in ("3.7.6", "2020-02-03", "conda-forge", "environment.yml:4", "changed: drop odd"):
        assert told in said.out


def test_a_built_environment_reads_as_it_was_written(tmp_path: Path) -> None:
    """What the builder leaves on disk is what `list` and `show` read."""
    python = interpreters()[-1]
    uv = Uv(tmp_path / "cache")
    lock = Lock(LOCK, digest("d"), python, date(2021, 5, 6), "given", ())
    made = UvBuilder(tmp_path / "e", uv, uv, Index("", tmp_path / "i")).install(lock)
    read = at(made.path)
    assert read.problem == ""
    assert read.environment is not None
    assert read.environment.digest == digest("d")
    assert read.environment.python == Interpreter(python.version, made.executable)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("dddd", "no environment on this machine has a digest that starts with dddd"),
        ("aaaa", "2 environments have a digest that starts with aaaa: aaaa1"),
        ("cccc", "cannot be read"),
        ("no-such-place", "no file or folder"),
        ("aa", "no file or folder"),
    ],
)
def test_show_says_what_it_cannot_find(leman: Leman, home: Path, asked: str, told: str) -> None:
    """A digest that is unknown, ambiguous, too short or damaged is an error that says so."""
    for start in ("aaaa1", "aaaa2"):
        shelve(home, digest(start))
    shelve(home, digest("cccc"), lock="no toml [")
    said = leman("env", "show", asked)
    assert said.code == 2
    assert told in said.err


@pytest.mark.usefixtures("home")
def test_show_of_a_source_builds_nothing(leman: Leman, good: Path) -> None:
    """A source that was never built is told apart, and how to build it."""
    said = leman("env", "show", str(good))
    assert said.code == 2
    assert "no environment was built for" in said.err
    assert "leman env lock" in said.err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output", "foreign.toml"], "was not written by leman"),
        (["--output", "."], "is a folder"),
        (["--output", "no/such/pylock.toml"], "there is no folder no/such"),
        (["--python", "2.7"], "--python 2.7"),
        (["--date", "soon"], "--date"),
    ],
)
def test_lock_refuses_before_it_works(
    leman: Leman,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    """A target or option that cannot be used is refused at once; nothing is written over."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign.toml").write_text("mine")
    said = leman("env", "lock", str(good), *arguments)
    assert said.code == 2
    assert told in said.err
    assert (tmp_path / "foreign.toml").read_text() == "mine"


@pytest.mark.network
@pytest.mark.interpreter("3.11")
def test_lock_pins_what_the_notebooks_need(
    leman: Leman, good: Path, shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lock` writes a PEP 751 file with the notebooks that it serves; then `show` knows it."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a lock of leman's own may be replaced
        said = leman("env", "lock", str(good))
        assert said.code == 0
        assert "pylock.toml: " in said.out
    written = tomllib.loads((tmp_path / "pylock.toml").read_text())
    assert written["lock-version"] == "1.0"
    assert written["tool"]["leman"]["notebooks"] == ["a.ipynb"]
    assert "ipykernel" in {one["name"] for one in written["packages"]}
    printed = leman("env", "lock", str(good), "--output", "-")
    assert tomllib.loads(printed.out) == written
    shown = leman("env", "show", str(good))
    assert shown.code == 0
    assert "ipykernel" in shown.out
    assert shared_home.is_dir()


def test_several_locks_have_names_as_the_standard_wants_them() -> None:
    """PEP 751 allows `pylock.<name>.toml` beside each other."""
    one = Pinned(("a.ipynb",), None)
    assert names_for(Path("a/pylock.toml"), (one,)) == (Path("a/pylock.toml"),)
    two = (Path("pylock.1.toml"), Path("pylock.2.toml"))
    assert names_for(Path("pylock.toml"), (one, one)) == two


@pytest.fixture
def filled(home: Path) -> Path:
    """Give a home with an old and a new environment, a home of each, and leftovers."""
    for start, days in (("aaaa1", 100.0), ("bbbb2", 1.0)):
        shelve(home, digest(start), days=days)
        (home / "cache" / "homes" / digest(start)).mkdir(parents=True)
    left = home / "cache" / "work" / "work-dead"
    left.mkdir(parents=True)
    (left / ".in-use").touch()
    source = home / "cache" / "sources" / "git-1"
    source.mkdir(parents=True)
    (source / "source.json").write_text("{}")
    return home


def names(home: Path) -> set[str]:
    """Return what is in a home, by the first part of its name."""
    places = ("environments/*", "cache/homes/*", "cache/work/*", "cache/sources/*")
    found = [path for one in places for path in home.glob(one) if path.name[0] != "."]
    return {f"{path.parent.name}/{path.name[:5]}" for path in found}


ALL = {"homes/aaaa1", "homes/bbbb2", "environments/aaaa1", "environments/bbbb2"}
ALL |= {"work/work-", "sources/git-1"}


def test_prune_removes_what_is_old(leman: Leman, filled: Path) -> None:
    """Environments unused for 90 days go with what the cache holds for them; the rest stays."""
    said = leman("env", "prune")
    assert said.code == 0
    assert "removed environment aaaa1" in said.out
    assert names(filled) == ALL - {"environments/aaaa1", "homes/aaaa1", "work/work-"}


def test_prune_dry_run_removes_nothing(leman: Leman, filled: Path) -> None:
    """`--dry-run` names what would go, and everything is still there, and as unused as before."""
    for _ in range(2):
        said = leman("env", "prune", "--dry-run", "--keep-days", "0.5")
        assert said.code == 0
        assert "would remove environment aaaa1" in said.out
        assert "would remove environment bbbb2" in said.out
    assert names(filled) == ALL


def test_prune_all_leaves_what_is_in_use(leman: Leman, filled: Path) -> None:
    """`--all` removes everything but the environments and work copies of living processes."""
    busy = filled / "cache" / "work" / "work-busy"
    busy.mkdir()
    with in_use(filled / "environments" / digest("aaaa1")[:32], busy / ".in-use"):
        said = leman("env", "prune", "--all")
        assert said.code == 0
        assert names(filled) == {"environments/aaaa1", "homes/aaaa1", "work/work-"}
        assert busy.exists()
    leman("env", "prune", "--all")
    assert names(filled) == set()


def test_prune_comes_down_to_the_quota(leman: Leman, filled: Path) -> None:
    """Over the quota cached sources go first, then environments, the longest unused first."""
    marker = filled / "environments" / f".{digest('aaaa1')[:32]}.used"
    os.utime(marker, (time.time() - 2 * DAY,) * 2)
    said = leman("env", "prune", "--quota", "0.0001")  # 100 kB: room for one of the two
    assert said.code == 0
    assert {one for one in names(filled) if "env" in one} == {"environments/bbbb2"}
    assert "sources/git-1" not in names(filled)


def test_prune_removes_conda_environments(leman: Leman, home: Path) -> None:
    """An environment that conda built goes like any other."""
    shelve_conda(home, digest("bbbb2"))
    assert leman("env", "prune", "--all").code == 0
    assert names(home) == set()


@contextmanager
def in_use(environment: Path, lock: Path) -> Iterator[None]:
    """Have another process use an environment and a work copy."""
    script = """
import sys
from pathlib import Path
from filelock import FileLock
from leman.environments.holds import hold
hold(Path(sys.argv[1]))
lock = FileLock(sys.argv[2])
lock.acquire()
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(environment), str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate()
