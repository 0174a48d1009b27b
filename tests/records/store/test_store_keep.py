"""Storages are made and registered, found again, and never taken for what they are not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from bags import record
from keeps import codes, made, write

from leman.errors import UsageError
from leman.records.store.keep import opened, registered
from leman.records.store.start import start

if TYPE_CHECKING:
    from pathlib import Path


def test_a_further_storage_gets_every_record(tmp_path: Path) -> None:
    """A storage that is added later is filled by a repair, byte for byte."""
    kept = made(tmp_path, 1)
    kept.add(record(tmp_path / "one", nasty=True))
    start(kept.home, [tmp_path / "more"], "records")
    assert "copy-missing" in codes(kept.audit())
    assert kept.repair().after.clean
    later = made(tmp_path, 1).trees()[0]
    shutil.rmtree(tmp_path / "0")
    (tmp_path / "more").rename(tmp_path / "0")
    other = made(tmp_path, 1).trees()[0]
    names = [path for path in later if path != "leman-storage.json"]
    assert [other[path] for path in names] == [later[path] for path in names]


@pytest.mark.parametrize("what", ["file", "full", "ocfl", "other keep", "inside", "twice"])
def test_a_folder_that_cannot_be_a_storage_is_refused(tmp_path: Path, what: str) -> None:
    """What is not empty, not ours, or not a place of its own is refused, and nothing is changed."""
    kept = made(tmp_path, 1)
    folder = tmp_path / "new"
    folders = [folder]
    if what == "file":
        folder.write_text("x")
    elif what == "full":
        folder.mkdir()
        (folder / "thesis.txt").write_text("x")
    elif what == "ocfl":
        folder.mkdir()
        (folder / "0=ocfl_1.1").write_text("ocfl_1.1\n")
    elif what == "other keep":
        start(tmp_path / "elsewhere", [folder], "records")
    elif what == "inside":
        folders = [kept.storages[0] / "new"]
    else:
        folders = [folder, folder]
    before = kept.trees()
    settings = (kept.home / "records" / "keep.json").read_bytes()
    with pytest.raises(UsageError):
        start(kept.home, folders, "records")
    assert (kept.home / "records" / "keep.json").read_bytes() == settings
    assert kept.trees() == before


@pytest.mark.parametrize("state", ["gone", "empty", "fresh", "other", "swapped"])
def test_a_disk_that_is_not_mounted_is_never_lost_copies(tmp_path: Path, state: str) -> None:
    """A storage that is missing, empty or something else is not in reach: nothing is lost there."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    storage = kept.storages[1]
    storage.rename(tmp_path / "unplugged")
    if state != "gone":
        storage.mkdir()
    if state == "fresh":
        (storage / "lost+found").mkdir()
    elif state == "other":
        (storage / "photo.jpg").write_bytes(b"x")
    elif state == "swapped":
        shutil.copytree(kept.storages[2], storage, dirs_exist_ok=True)
    found = kept.audit()
    assert [path for path, _ in found.away] == [str(storage)]
    assert not found.errors
    assert not found.clean
    mended = kept.repair()
    assert not mended.files
    assert state != "empty" or not any(storage.iterdir())
    shutil.rmtree(storage, ignore_errors=True)
    (tmp_path / "unplugged").rename(storage)
    assert kept.audit().clean


def test_the_only_copy_on_a_disk_that_is_away_is_not_lost(tmp_path: Path) -> None:
    """While a storage is away, what only it may have is "not in reach"."""
    kept = made(tmp_path, 2)
    added = kept.add(record(tmp_path / "one"))
    (kept.object(added.record) / "v1" / "content" / "bagit.txt").unlink()
    kept.storages[1].rename(tmp_path / "unplugged")
    found = kept.repair().after
    assert "not-in-reach" in codes(found)
    assert not found.lost


def test_a_disk_mounted_elsewhere_is_registered_there(tmp_path: Path) -> None:
    """`init` with the new path of a storage moves it; it is still the same storage."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    kept.storages[1].rename(tmp_path / "moved")
    keep = start(kept.home, [tmp_path / "moved"], "records")
    assert {one.path.name for one in keep.storages} == {"0", "2", "moved"}
    assert kept.audit().clean


def test_a_replaced_disk_has_to_be_said(tmp_path: Path) -> None:
    """An empty folder in the place of a storage is made one only where the user says so."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    shutil.rmtree(kept.storages[1])
    kept.storages[1].mkdir()
    with pytest.raises(UsageError, match="nothing is in it"):
        start(kept.home, [kept.storages[1]], "records")
    start(kept.home, [kept.storages[1]], "records", fresh=True)
    assert kept.repair().after.clean
    trees = kept.trees()
    assert {*trees[0]} == {*trees[1]}


def test_a_lost_home_is_made_again_from_the_storages(tmp_path: Path) -> None:
    """Without the keeper's own files, `init` finds the keep and its records in the storages."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    before = registered(kept.home)
    shutil.rmtree(kept.home)
    start(kept.home, kept.storages, "records")
    assert registered(kept.home).id == before.id
    with opened(kept.home) as keep:
        assert list(keep.catalogue) == [added.record]
    assert kept.audit().clean


def test_a_damaged_registration_says_what_to_do(tmp_path: Path) -> None:
    """A keep.json that cannot be read is an error with a remedy, and the remedy helps."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    write(kept.home / "records" / "keep.json", b'{"format": ')
    with pytest.raises(UsageError, match="damaged"):
        kept.audit()
    start(kept.home, kept.storages, "records")
    assert kept.audit().clean


def test_a_keep_has_one_name(tmp_path: Path) -> None:
    """Storages of a keep are not registered under a second name."""
    kept = made(tmp_path)
    with pytest.raises(UsageError, match="called records"):
        start(kept.home, kept.storages[:1], "other")


@pytest.mark.parametrize("name", ["leman-storage.json", "0=ocfl_1.1", "ocfl_layout.json"])
@pytest.mark.parametrize("way", ["gone", "cut", "folder", "other ids"])
def test_a_storage_with_damaged_files_of_its_own_is_still_known(
    tmp_path: Path, name: str, way: str
) -> None:
    """A storage whose marker or declaration is damaged is damaged, not away, and made good."""
    kept = made(tmp_path, 2)
    kept.add(record(tmp_path / "one"))
    before = kept.trees()
    path = kept.storages[0] / name
    data = path.read_bytes()
    path.unlink()
    if way == "cut":
        path.write_bytes(data[:5])
    elif way == "folder":
        path.mkdir()
    elif way == "other ids":
        path.write_bytes(data.replace(b"a", b"b").replace(b"1", b"2"))
    assert "storage-file" in codes(kept.audit())
    assert kept.repair().after.clean
    assert kept.trees() == before
