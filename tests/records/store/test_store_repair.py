"""A repair makes copies good from good bytes only, and never makes anything worse."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from bags import content, record
from crashing import crashed
from keeps import codes, made, write

from leman.records.store.get import get
from leman.records.store.keep import glanced

if TYPE_CHECKING:
    from pathlib import Path

    from keeps import Kept


def damaged_everywhere(kept: Kept, name: str) -> None:
    """Damage another file in each copy of a record, so that no copy is whole."""
    files = ["bagit.txt", "signatures/alice.pub", "data/source/run.sh"]
    for number, path in enumerate(files):
        write(kept.object(name, number) / "v1/content" / path, b"damaged")
    (kept.object(name, 0) / "inventory.json").unlink()
    write(kept.object(name, 1) / "v1/inventory.json", b"{}")


def test_good_files_of_several_damaged_copies_make_whole_ones(tmp_path: Path) -> None:
    """Where no copy is whole but each file is somewhere, all copies become whole."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    before = kept.trees()
    damaged_everywhere(kept, added.record)
    done = kept.repair()
    assert (done.after.clean, done.files) == (True, 5)
    assert kept.trees() == before


def test_files_that_were_swapped_are_put_right_without_another_copy(tmp_path: Path) -> None:
    """On a single storage, files that changed names, or were moved out, find their way back."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    before = kept.trees()
    root = kept.object(added.record) / "v1" / "content"
    one, other = root / "signatures/alice.pub", root / "signatures/alice.sshsig"
    one.rename(root / "x")
    other.rename(one)
    (root / "x").rename(other)
    (root / "bagit.txt").rename(kept.storages[0] / "moved.txt")
    (root / "data/source/run.sh").rename(kept.storages[0] / added.record[7:10])
    assert not kept.audit().lost
    assert kept.repair().after.clean
    after = [{**tree} for tree in kept.trees()]
    for name in ("moved.txt", added.record[7:10]):
        after[0].pop(name, None)
    assert after == before


@pytest.mark.parametrize("step", range(1, 22))
def test_a_kill_while_swapped_files_are_put_right_loses_neither(tmp_path: Path, step: int) -> None:
    """Killed at each step of a repair on one storage, both contents are still there."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    before = kept.trees()
    root = kept.object(added.record) / "v1" / "content" / "signatures"
    (root / "alice.pub").rename(root / "x")
    (root / "alice.sshsig").rename(root / "alice.pub")
    (root / "x").rename(root / "alice.sshsig")
    crashed(kept.home, step, "repair")
    kept.add(record(tmp_path / "two", seed=2))  # other work in between is no danger
    assert kept.repair().after.clean
    tree = kept.trees()[0]
    assert all(tree[path] == data for path, data in before[0].items() if "catalogue" not in path)


def test_what_is_lost_is_named_and_what_is_left_is_kept(tmp_path: Path) -> None:
    """A file without any good copy is named exactly; its remains stay byte for byte."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    name = "v1/content/data/source/run.sh"
    for number in range(3):
        write(kept.object(added.record, number) / name, f"remains {number}".encode())
    write(kept.object(added.record) / "v1/content/bagit.txt", b"damaged")
    done = kept.repair()
    assert [one.where for one in done.after.lost] == [f"{added.record} 'data/source/run.sh'"]
    assert done.files == 1
    remains = [(kept.object(added.record, number) / name).read_bytes() for number in range(3)]
    assert remains == [b"remains 0", b"remains 1", b"remains 2"]
    assert not kept.repair().files


def test_a_new_storage_gets_what_is_left_of_a_damaged_record(tmp_path: Path) -> None:
    """A record with a lost file is copied without it: more copies of the rest are better."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    shutil.rmtree(kept.object(added.record, 2))
    for number in range(2):
        (kept.object(added.record, number) / "v1/content/data/source/run.sh").unlink()
    kept.repair()
    assert content(kept.object(added.record, 2)) == content(kept.object(added.record))


def test_all_catalogues_lost_are_made_again_from_records_that_prove_themselves(
    tmp_path: Path,
) -> None:
    """Without any catalogue the records' own digests say what is right, damage or not."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    added = kept.add(one)
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    kept.add(one)
    before = kept.trees()
    write(kept.object(added.record) / "v1/content/data/source/run.sh", b"damaged")
    write(kept.object(added.record, 1) / "inventory.json", b"{}")
    (kept.home / "records" / "catalogue.json").unlink()
    for storage in kept.storages:
        write(storage / "leman-catalogue.json", b"damaged")
    assert "not-catalogued" in codes(kept.audit())
    assert kept.repair().after.clean
    assert kept.trees() == before
    get(glanced(kept.home), added.record, tmp_path / "out")
    assert content(tmp_path / "out") == content(one)


@pytest.mark.parametrize("way", ["link", "file", "empty", "loop", "full"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 5, 6])
def test_folders_that_became_something_else_are_made_again(
    tmp_path: Path, way: str, depth: int
) -> None:
    """A link, a file, or another folder in the place of any folder is set aside, not followed."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    before = kept.trees()
    parts = [
        *kept.object(added.record).relative_to(kept.storages[0]).parts,
        "v1",
        "content",
        "data",
    ]
    folder = kept.storages[0].joinpath(*parts[: depth + 1])
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    kept_elsewhere = content(elsewhere)
    if way == "link":
        folder.symlink_to(elsewhere)
    elif way == "loop":
        folder.symlink_to(folder)
    elif way == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
    if way == "full":
        (folder / "guest.txt").write_text("x")
    assert not kept.audit().clean
    assert kept.repair().after.clean
    assert kept.trees() == before
    assert content(elsewhere) == kept_elsewhere
    assert not any(path.is_symlink() for path in kept.object(added.record).rglob("*"))


def test_extensions_that_became_something_else_are_made_again(tmp_path: Path) -> None:
    """The folder that a repair itself works in may be damaged as well."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    before = kept.trees()
    for number, way in enumerate(("file", "link")):
        folder = kept.storages[number] / "extensions"
        shutil.rmtree(folder)
        if way == "file":
            folder.write_text("x")
        else:
            folder.symlink_to(tmp_path)
    kept.repair()
    for tree, old in zip(kept.trees(), before, strict=True):
        assert {path: data for path, data in tree.items() if "set-aside" not in path} == old


def test_a_storage_that_cannot_be_written_to_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only disk is told; the other storages are made good."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    for number in (0, 1):
        shutil.rmtree(kept.object(added.record, number))
    real = os.mkdir

    def mkdir(path: str, *rest: int, **more: int) -> None:
        if str(path).startswith(str(kept.storages[0])):
            raise PermissionError(13, "Permission denied", path)
        real(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", mkdir)
        done = kept.repair()
    assert [one.where for one in done.troubles] == [str(kept.storages[0])]
    assert "not-writable" in codes(done.after)
    assert done.after.copies[added.record] == 2
    assert kept.repair().after.clean


@pytest.mark.parametrize("seed", range(6))
def test_kills_at_any_moment_of_a_real_repair(tmp_path: Path, seed: int) -> None:
    """`leman keep repair`, killed at random moments again and again, ends with whole copies."""
    kept = made(tmp_path)
    dice = random.Random(seed)
    names = [kept.add(record(tmp_path / f"r{n}", seed=n, files=9)).record for n in range(3)]
    before = kept.trees()
    for name in names:
        two = dice.sample(range(3), 2)
        shutil.rmtree(kept.object(name, two[0]))
        damaged_file = dice.choice(sorted(kept.object(name, two[1]).rglob("*.bin")))
        write(damaged_file, b"damaged")
    home = kept.home.parent / "leman-home"
    home.mkdir()
    kept.home.rename(home / "records")
    kept.home.symlink_to(home / "records")
    code = "from leman.cli.main import main; main()"
    command = [sys.executable, "-c", code, "keep", "repair"]
    for _ in range(4):
        with subprocess.Popen(
            command, env={**os.environ, "LEMAN_HOME": str(home)}, stdout=subprocess.DEVNULL
        ) as process:
            time.sleep(dice.uniform(0.25, 0.6))
            process.send_signal(signal.SIGKILL)
    assert kept.repair().after.clean
    assert kept.trees() == before


def test_a_repair_of_what_is_whole_writes_nothing(tmp_path: Path) -> None:
    """Without damage, no file of a storage is touched."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    before = [path.stat().st_mtime_ns for one in kept.storages for path in sorted(one.rglob("*"))]
    done = kept.repair()
    assert (done.files, done.after.clean) == (0, True)
    after = [path.stat().st_mtime_ns for one in kept.storages for path in sorted(one.rglob("*"))]
    assert after == before
