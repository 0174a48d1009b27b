"""A quota is reached by removing what frees space, and no more than that."""

from __future__ import annotations

import os
import random
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from package_index import Shelf, serve, wheel

from leman.config import Settings
from leman.environments.build import UvBuilder, built
from leman.environments.holds import hold, let_go
from leman.environments.index import Index
from leman.environments.model import Want
from leman.environments.pythons import interpreters
from leman.environments.shares import Shares
from leman.environments.tidy import Wish, tidy, total
from leman.environments.uv import Uv
from leman.files import remove_tree, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = interpreters()[-1]
LARGE = 4_000_000  # bytes that each of the large packages takes


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    """Serve three large packages."""
    noise = random.Random(0)
    with serve(
        *(wheel(name, "1.0", files={f"{name}_data/x": noise.randbytes(LARGE)}) for name in "abc")
    ) as shelf:
        yield shelf


@pytest.fixture
def builder(tmp_path: Path, shelf: Shelf) -> UvBuilder:
    """Return a builder that keeps all in a home of its own."""
    uv = Uv(tmp_path / "cache" / "uv", shelf.url)
    return UvBuilder(tmp_path / "environments", uv, uv, Index(shelf.url, tmp_path / "index"))


@pytest.fixture
def three(builder: UvBuilder) -> list[Path]:
    """Return environments of a and b, of b and c, and of c, used 30, 20 and 1 days ago."""
    made = []
    for names, days in (("ab", 30), ("bc", 20), ("c", 1)):
        lock = builder.lock(tuple(map(Want, names)), python=PYTHON, cutoff=date(2024, 1, 1))
        path = builder.install(lock).path
        let_go(path)
        marker = path.parent / f".{path.name}.used"
        os.utime(marker, (marker.stat().st_mtime - days * 86400,) * 2)
        made.append(path)
    return made


def left(home: Path, quota: float, *, dry: bool = False) -> tuple[list[Path], dict[Path, int]]:
    """Return the environments that a quota leaves, and what was removed with its bytes."""
    settings = Settings(home)
    wish = Wish(quota=int(quota), dry=dry)
    removed = {one.path: one.size for one in tidy(settings, wish)}
    return list(built(settings.environments)), removed


def test_an_environment_goes_with_the_packages_that_it_alone_has(
    tmp_path: Path, three: list[Path]
) -> None:
    """Room for a is made by the oldest environment; b stays unpacked for the next one."""
    whole = total(Settings(tmp_path))
    stay, removed = left(tmp_path, whole - LARGE)
    assert stay == three[1:]
    assert list(removed) == three[:1]
    assert whole - total(Settings(tmp_path)) >= LARGE
    assert abs(removed[three[0]] - (whole - total(Settings(tmp_path)))) < 100_000
    unpacked = {file.name for file in (tmp_path / "cache/uv").glob("archive-v*/*/*_data")}
    assert unpacked == {"b_data", "c_data"}


def test_a_quota_that_holds_removes_nothing(tmp_path: Path, three: list[Path]) -> None:
    """Neither packages nor environments go where there is room for all."""
    assert left(tmp_path, total(Settings(tmp_path))) == (three, {})


def test_packages_that_no_environment_has_go_first(
    builder: UvBuilder, tmp_path: Path, three: list[Path]
) -> None:
    """What the cache alone holds is removed before any environment."""
    remove_tree(three[0])
    whole = total(Settings(tmp_path))
    assert left(tmp_path, whole - LARGE)[0] == three[1:]
    assert total(Settings(tmp_path)) <= whole - LARGE
    assert builder.uv.unpacked()


def test_what_is_used_stays_with_its_packages(tmp_path: Path, three: list[Path]) -> None:
    """A quota of nothing leaves the environment that a process holds, and its packages."""
    hold(three[1])
    try:
        assert left(tmp_path, 0)[0] == [three[1]]
    finally:
        let_go(three[1])
    unpacked = {file.name for file in (tmp_path / "cache/uv").glob("archive-v*/*/*_data")}
    assert unpacked == {"b_data", "c_data"}


def test_looking_only_tells_what_would_go(tmp_path: Path, three: list[Path]) -> None:
    """A dry run names the same environments and bytes, and removes nothing."""
    quota = total(Settings(tmp_path)) - LARGE - LARGE
    stay, would = left(tmp_path, quota, dry=True)
    assert stay == three
    assert left(tmp_path, quota)[1] == would


def test_a_package_that_was_removed_is_installed_again(
    builder: UvBuilder, tmp_path: Path, three: list[Path]
) -> None:
    """What is gone is taken from the index anew, and what is there from the cache."""
    left(tmp_path, total(Settings(tmp_path)) - LARGE)
    lock = builder.lock(tuple(map(Want, "ab")), python=PYTHON, cutoff=date(2024, 1, 1))
    made = builder.install(lock)
    assert made.path == three[0]
    subprocess.run([made.executable, "-c", "import a, b"], check=True)


@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=4), st.randoms())
def test_shares_tell_what_the_disk_tells(
    tmp_path_factory: pytest.TempPathFactory, contents: list[set[int]], order: random.Random
) -> None:
    """After each removal the total is that of the files that are still in some folder."""
    home = tmp_path_factory.mktemp("shares")
    (home / "all").mkdir()
    for number in range(6):
        (home / "all" / str(number)).write_bytes(b"x" * 5000 * (number + 1))
    folders = [home / f"folder-{number}" for number in range(len(contents))]
    for folder, numbers in zip(folders, contents, strict=True):
        (folder / "inner").mkdir(parents=True)
        for number in numbers:
            os.link(home / "all" / str(number), folder / "inner" / str(number))
    remove_tree(home / "all")
    shares = Shares(folders)
    order.shuffle(folders)
    while folders:
        before = size_of(*folders)
        assert shares.total == before
        gone = folders.pop()
        assert shares.remove(gone) == before - size_of(*folders)
