"""Environments are named by their content, whole or not there, shared, and closed to edits."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from package_index import Shelf, sdist, serve, wheel

from leman import sandbox
from leman.config import Settings
from leman.environments import lock as locks
from leman.environments.build import UvBuilder, built, prune
from leman.environments.holds import let_go
from leman.environments.index import Index
from leman.environments.model import Environment, Lock, Want
from leman.environments.pythons import interpreters
from leman.environments.uv import Uv
from leman.errors import EnvironmentBuildError, SpaceError, ToolError
from leman.files import size_of, spread
from leman.reproduction.model import Isolation
from leman.reproduction.workshop import open_workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = interpreters()[-1]
DAY = date(2020, 1, 1)
BIG = random.Random(1).randbytes(12_000_000)

# Another process: builds a lock and says what it does; waits for ever where it is told to.
CHILD = """
import sys, time
from pathlib import Path
from leman.environments import lock as locks
from leman.environments.build import UvBuilder
from leman.environments.index import Index
from leman.environments.pythons import interpreters
from leman.environments.uv import Uv

home, cache, url, lock, stop = sys.argv[1:]
uv = Uv(Path(cache) / "uv", url)
builder = UvBuilder(Path(home), uv, uv, Index(url, Path(cache) / "index"))

def told(message):
    print(message, flush=True)
    if stop and message.startswith(stop):
        time.sleep(600)

made = builder.install(locks.read(Path(lock).read_text(), interpreters()[-1]), progress=told)
print("made", made.path, flush=True)
"""


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    """Serve a few small packages, one large one and one that is built from source."""
    with serve(
        wheel("tool", "1.0", requires=("other",), files={"tooldata/a.txt": b"a" * 10_000}),
        wheel("other", "1.0"),
        wheel("large", "1.0", files={"largedata/numbers.bin": BIG}),
        sdist("fromsource", "1.0", prelude="content = 'VALUE = 7'"),
        sdist("nobuild", "1.0", prelude="raise RuntimeError('this cannot be built')"),
    ) as shelf:
        yield shelf


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the builders of this module share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def builder(tmp_path: Path, shelf: Shelf, cache: Path) -> UvBuilder:
    """Return a builder with an empty home."""
    return builder_at(tmp_path / "environments", shelf, cache)


def builder_at(home: Path, shelf: Shelf, cache: Path) -> UvBuilder:
    """Return a builder whose environments lie in `home`."""
    uv = Uv(cache / "uv", shelf.url)
    return UvBuilder(home, uv, uv, Index(shelf.url, cache / "index"))


def locked(builder: UvBuilder, *names: str) -> Lock:
    """Return a lock of packages of the index."""
    return builder.lock(tuple(map(Want, names)), python=PYTHON, cutoff=DAY)


def said_by(environment: Environment, code: str) -> str:
    """Return what the environment's Python prints."""
    done = subprocess.run(
        [environment.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def left_in(home: Path) -> list[str]:
    """Return what lies in a home beside locks and marks."""
    return sorted(p.name for p in home.iterdir() if not p.name.endswith((".lock", ".used")))


def site(environment: Environment) -> Path:
    """Return an environment's folder of packages."""
    return next(environment.path.glob("lib/python*/site-packages"))


def test_the_same_lock_is_built_once(builder: UvBuilder) -> None:
    """An environment is named by its lock's digest; who asks again is given the one that is."""
    lock = locked(builder, "tool")
    heard: list[str] = []
    first = builder.install(lock, progress=heard.append)
    born = first.path.stat().st_ino
    second = builder.install(lock, progress=heard.append)
    assert first == second
    assert lock.digest.startswith(first.path.name)
    assert second.path.stat().st_ino == born
    assert len([one for one in heard if one.startswith("installing")]) == 1
    assert said_by(first, "import tool, other; print(tool.VERSION)") == "1.0"
    assert left_in(builder.home) == [first.path.name]


def test_files_are_hard_links_into_the_cache(builder: UvBuilder) -> None:
    """A further environment with the same packages costs hardly any space."""
    first = builder.install(locked(builder, "large"))
    second = builder.install(locked(builder, "large", "other"))
    one, two = (site(made) / "largedata" / "numbers.bin" for made in (first, second))
    assert one.stat().st_nlink > 2
    assert one.samefile(two)
    assert size_of(builder.home) < size_of(first.path) + 1_000_000


def test_packages_are_spread_over_a_disk(builder: UvBuilder) -> None:
    """On ext4 folders of packages and environments have regions of their own, T in lsattr(1)."""
    builder.install(locked(builder, "tool"))
    for folder in (builder.home, builder.uv.cache):
        asked = ["stat", "--file-system", "--format", "%T", str(folder)]
        if subprocess.check_output(asked, text=True).strip() == "ext2/ext3":  # and 4
            seen = subprocess.check_output(["lsattr", "-d", str(folder)], text=True)
            assert "T" in seen.split()[0]


def test_a_disk_that_cannot_be_told_is_left_alone(tmp_path: Path) -> None:
    """To spread a folder that is not there, or in memory, changes nothing and is no error."""
    spread(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    spread(Path("/proc/self"))


def test_nothing_of_an_environment_may_be_written(builder: UvBuilder) -> None:
    """Neither files nor folders carry a right to write: the cache behind them is others' too."""
    made = builder.install(locked(builder, "tool"))
    for path in made.path.rglob("*"):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o222, path


def test_a_built_environment_is_found_with_all_that_its_lock_tells(builder: UvBuilder) -> None:
    """By its digest alone, and only if it is there."""
    lock = locked(builder, "tool")
    made = builder.install(lock)
    again = builder.at(lock.digest, PYTHON)
    assert again is not None
    assert again.path == made.path
    assert again.lock.packages == lock.packages
    assert builder.at("0" * 64, PYTHON) is None


def child(builder: UvBuilder, lock: Lock, stop: str = "") -> subprocess.Popen[str]:
    """Start another process that builds `lock`."""
    file = builder.home.parent / "pylock.toml"
    file.write_text(lock.text)
    url, index = builder.uv.index_url, builder.index.cache.parent
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, builder.home, str(index), url, file, stop],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("stop", ["installing", "building", "compiling"])
def test_a_build_killed_midway_leaves_nothing_to_be_seen(builder: UvBuilder, stop: str) -> None:
    """After kill -9 there is no environment; the next build makes it whole and cleans up."""
    lock = locked(builder, "tool", "fromsource")
    with child(builder, lock, stop) as process:
        assert process.stdout
        assert any(line.startswith(stop) for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert not list(built(builder.home))
    assert builder.at(lock.digest, PYTHON) is None
    assert bool(left_in(builder.home)) == (stop != "installing")
    made = builder.install(lock)
    assert said_by(made, "import tool, other, fromsource; print(fromsource.VALUE)") == "7"
    assert left_in(builder.home) == [made.path.name]


def test_two_builders_at_once_make_one_environment(builder: UvBuilder) -> None:
    """One builds, the other waits and takes what the first made."""
    lock = locked(builder, "tool", "large")
    both = [child(builder, lock), child(builder, lock)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "\n".join(said).count("installing") == 1
    assert len({text.splitlines()[-1] for text in said}) == 1
    assert len(list(built(builder.home))) == 1


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Give a file system in memory of this size, where this user may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount on this machine: {error}")
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("size", ["8k", "48k", "6m"])
def test_a_full_disk_is_said_and_nothing_is_left(
    size: str, tmp_path: Path, shelf: Shelf, cache: Path
) -> None:
    """Wherever the space runs out: one error that says so, and no half environment."""
    with small_disk(tmp_path / "disk", size) as disk:
        builder = builder_at(disk / "environments", shelf, cache)
        lock = locked(builder, "large")
        with pytest.raises(SpaceError, match="full") as caught:
            builder.install(lock)
        assert "leman env prune" in caught.value.hint
        assert left_in(builder.home) == []
        let_go(builder.home / lock.digest[:32])


def test_a_full_cache_is_said(tmp_path: Path, shelf: Shelf) -> None:
    """The disk that holds uv's cache may be the full one, while locking or while installing."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        builder = builder_at(disk / "environments", shelf, disk / "cache")
        trial = builder.trial((Want("large"),), constraints=(), python=PYTHON, cutoff=DAY)
        with pytest.raises(SpaceError):
            builder.lock_and_install(trial, reason="a test")
        assert not list(built(builder.home))
        for path in builder.home.glob(".*.used"):
            let_go(path.with_name(path.name[1:-5]))


def test_what_does_not_build_is_dropped_and_recorded(builder: UvBuilder) -> None:
    """Locking goes on without the package, and the lock tells why it is not there."""
    trial = builder.trial(
        (Want("tool"), Want("nobuild")), constraints=(), python=PYTHON, cutoff=DAY
    )
    made = builder.lock_and_install(trial, reason="a test", imports=("tool",))
    assert ("drop", "nobuild") in {(one.kind, one.target) for one in made.lock.modifications}
    assert said_by(made, "import tool; print(tool.VERSION)") == "1.0"
    assert list(site(made).glob("__pycache__/tool.*.pyc"))


def test_an_installation_that_fails_leaves_nothing(builder: UvBuilder) -> None:
    """A lock whose file is gone from the index gives uv's words, and no half environment."""
    lock = locked(builder, "tool")
    text = lock.text.replace("tool-1.0-py3", "tool-9.9-py3").replace('sha256 = "', 'sha256 = "0')
    gone = locks.read(text, PYTHON)
    with pytest.raises((ToolError, EnvironmentBuildError)):
        builder.install(gone)
    assert left_in(builder.home) == []


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.skipif(not sandbox.probe().works, reason="no sandbox on this machine")
def test_source_distributions_are_built_inside_the_sandbox_alone(
    tmp_path: Path, *, lasting: bool
) -> None:
    """Code of a package's author sees nothing of this machine's user, however it is served."""
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    mine = tmp_path / "written.txt"
    prelude = f"""
try:
    seen = open({str(secret)!r}).read()
except OSError:
    seen = "nothing"
try:
    open({str(mine)!r}, "w").write("x")
except OSError:
    pass
content = f"SEEN = {{seen!r}}"
""".strip()
    with serve(sdist("nosy", "1.0", prelude=prelude)) as shelf:
        shelf.lasting = lasting
        settings = Settings(tmp_path / "home", shelf.url)
        workshop = open_workshop(settings, Isolation("sandbox", network=True, detail=""))
        trial = workshop.builder.trial((Want("nosy"),), constraints=(), python=PYTHON, cutoff=DAY)
        made = workshop.builder.lock_and_install(trial, reason="a test")
    assert made.lock.packages[0].kind == "sdist"
    assert said_by(made, "import nosy; print(nosy.SEEN)") == "nothing"
    assert not mine.exists()


@pytest.fixture
def three(builder: UvBuilder) -> list[Path]:
    """Return three environments that nobody uses, used 30, 20 and 1 days ago."""
    made = []
    for names, days in ((("tool",), 30), (("other",), 20), (("tool", "large"), 1)):
        path = builder.install(locked(builder, *names)).path
        let_go(path)
        marker = path.parent / f".{path.name}.used"
        before = marker.stat().st_mtime - days * 86400
        os.utime(marker, (before, before))
        made.append(path)
    return made


def test_prune_removes_what_was_not_used_for_long(builder: UvBuilder, three: list[Path]) -> None:
    """By age, the oldest first, with the bytes that each held."""
    assert list(built(builder.home)) == three
    removed = prune(builder.home, keep_days=10)
    assert [path for path, _ in removed] == three[:2]
    assert all(size > 0 for _, size in removed)
    assert list(built(builder.home)) == three[2:]
    assert left_in(builder.home) == [three[2].name]


def test_prune_everything_and_only_looking(builder: UvBuilder, three: list[Path]) -> None:
    """A dry run tells and removes nothing; the whole removes all."""
    assert len(prune(builder.home, keep_days=99, everything=True, dry=True)) == 3
    assert len(list(built(builder.home))) == 3
    assert {path for path, _ in prune(builder.home, keep_days=99, everything=True)} == set(three)
    assert left_in(builder.home) == []


def test_prune_leaves_alone_what_is_used_or_being_built(
    builder: UvBuilder, three: list[Path]
) -> None:
    """Neither an environment that a process holds nor a build under way is touched."""
    used = builder.at(three[0].name, PYTHON)
    assert used is not None
    building = builder.home / ".build-abc-xyz"
    building.mkdir()
    with FileLock(builder.home / ".abc.lock"):
        prune(builder.home, keep_days=0, everything=True)
        assert building.exists()
    assert list(built(builder.home)) == [used.path]
    prune(builder.home, keep_days=99)
    assert not building.exists()
    let_go(used.path)


def test_an_environment_can_be_removed_and_made_again(builder: UvBuilder) -> None:
    """Pruning does not spoil the cache from which the next one is linked."""
    lock = locked(builder, "tool")
    path = builder.install(lock).path
    let_go(path)
    prune(builder.home, keep_days=99, everything=True)
    made = builder.install(lock)
    assert said_by(made, "import tool; print(tool.VERSION)") == "1.0"
    assert stat.S_ISDIR(path.stat().st_mode)
