"""A record is taken in whole, onto every storage, and nothing is ever taken away by it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from bags import bag, content, record
from crashing import crashed
from keeps import made, write

from leman.errors import LemanError, SourceError, SpaceError
from leman.records.store.get import get
from leman.records.store.keep import glanced


def test_a_record_is_on_every_storage(tmp_path: Path) -> None:
    """Each storage has every byte of the record, names of any kind included."""
    kept = made(tmp_path)
    one = record(tmp_path / "one", nasty=True)
    added = kept.add(one)
    assert (added.outcome, added.copies, added.title) == ("new record", 3, "Record 0")
    for number in range(3):
        assert content(kept.object(added.record, number) / "v1" / "content") == content(one)


def test_the_same_again_is_nothing_to_do(tmp_path: Path) -> None:
    """A record that is there already, or a copy with fewer signatures, changes no byte."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    kept.add(one)
    before = kept.trees()
    assert kept.add(one).outcome == "nothing new"
    (one / "signatures" / "alice.sshsig").unlink()
    assert kept.add(one).outcome == "nothing new"
    assert kept.trees() == before


def test_signatures_of_two_copies_come_together(tmp_path: Path) -> None:
    """Copies of a record with different signatures give one record with all of them."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "one"))
    other = record(tmp_path / "other")
    (other / "signatures" / "alice.pub").unlink()
    (other / "signatures" / "bob.sshsig").write_bytes(b"bob")
    added = kept.add(other)
    assert (added.outcome, added.version) == ("new version", "v2")
    get(glanced(kept.home), added.record, tmp_path / "out")
    assert set(content(tmp_path / "out")) == set(content(tmp_path / "one")) | set(content(other))


def test_a_signature_that_was_changed_leaves_the_old_one_in_its_version(tmp_path: Path) -> None:
    """A side file with another content is a new version; the earlier one is still to be had."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    old = content(one)
    kept.add(one)
    (one / "signatures" / "alice.sshsig").write_bytes(b"signed again")
    added = kept.add(one)
    get(glanced(kept.home), added.record, tmp_path / "new")
    get(glanced(kept.home), added.record, tmp_path / "old", version="v1")
    assert content(tmp_path / "new") == content(one)
    assert content(tmp_path / "old") == old


@pytest.mark.parametrize("what", ["changed", "missing", "unlisted", "no record", "gone", "file"])
def test_what_is_not_intact_is_not_kept(tmp_path: Path, what: str) -> None:
    """A record with any difference from its manifests is refused, and the storages stay as is."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    before = kept.trees()
    if what == "changed":
        (one / "data" / "source" / "run.sh").write_bytes(b"echo HELLO\n")
    elif what == "missing":
        (one / "data" / "source" / "run.sh").unlink()
    elif what == "unlisted":
        (one / "signatures" / "notes.txt").write_bytes(b"x")
    elif what == "no record":
        one = tmp_path
    elif what == "gone":
        one = tmp_path / "nowhere"
    else:
        one = one / "bagit.txt"
    with pytest.raises(SourceError):
        kept.add(one)
    assert kept.trees() == before


def test_a_lost_file_comes_back_with_the_record(tmp_path: Path) -> None:
    """After the last good copy of a file was lost, adding the record again brings it back."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    added = kept.add(one)
    before = kept.trees()
    for number in range(3):
        write(kept.object(added.record, number) / "v1/content/data/source/run.sh", b"damaged")
    assert kept.repair().after.lost
    assert kept.add(one).copies == 3
    assert kept.trees() == before
    assert kept.audit().clean


def test_a_storage_that_is_away_is_said_and_made_up_later(tmp_path: Path) -> None:
    """What a storage missed while it was away is told, and copied by a repair."""
    kept = made(tmp_path)
    kept.add(record(tmp_path / "zero"))
    kept.storages[2].rename(tmp_path / "unplugged")
    one = record(tmp_path / "one", seed=1)
    assert [path for path, _ in kept.add(one).missing] == [str(kept.storages[2])]
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    assert kept.add(one).copies == 2
    (tmp_path / "unplugged").rename(kept.storages[2])
    assert not kept.audit().clean
    assert kept.repair().after.clean
    trees = kept.trees()
    assert {**trees[2], "leman-storage.json": b""} == {**trees[0], "leman-storage.json": b""}


def test_a_version_that_is_only_on_a_disk_that_is_away_is_not_rolled_back(tmp_path: Path) -> None:
    """Storages with an older version wait for the one that has the newest."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    kept.add(one)
    for number in (1, 2):
        kept.storages[number].rename(tmp_path / f"unplugged-{number}")
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    added = kept.add(one)
    assert added.copies == 1
    kept.storages[0].rename(tmp_path / "unplugged-0")
    for number in (1, 2):
        (tmp_path / f"unplugged-{number}").rename(kept.storages[number])
    before = [content(one) for one in kept.storages[1:]]
    assert not kept.repair().after.clean
    after = [content(one) for one in kept.storages[1:]]
    for old, new in zip(before, after, strict=True):
        objects = {path for path in old if "/v1/" in path or "inventory" in path}
        assert all(old[path] == new[path] for path in objects)
    (tmp_path / "unplugged-0").rename(kept.storages[0])
    assert kept.repair().after.clean
    assert (kept.object(added.record, 1) / "v2/content/signatures/bob.sshsig").is_file()


def _full_on(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write of content below a folder say that there is no space left."""
    real = os.write

    def write_(handle: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(storage):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", write_)


def test_a_full_disk_keeps_the_others_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One full storage is told, has nothing half-written, and is made up when there is space."""
    kept = made(tmp_path)
    with monkeypatch.context() as patch:
        _full_on(kept.storages[1], patch)
        added = kept.add(record(tmp_path / "one"))
    assert [path for path, _ in added.missing] == [str(kept.storages[1])]
    assert "full" in added.missing[0][1]
    assert not kept.object(added.record, 1).exists()
    assert not (kept.storages[1] / "extensions" / "leman-keep").exists()
    assert kept.repair().after.clean


def test_full_disks_everywhere_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no storage has space, the record is not in the keep, and the storages are as before."""
    kept = made(tmp_path)
    before = kept.trees()
    with monkeypatch.context() as patch:
        _full_on(tmp_path, patch)
        with pytest.raises((SpaceError, LemanError), match="full"):
            kept.add(record(tmp_path / "one"))
    assert kept.trees() == before
    assert kept.audit().clean


def test_a_record_that_changes_while_it_is_added_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written has the digests that were checked, or is not kept."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    real = os.open

    def open_(path: object, flags: int, *rest: int, **more: int) -> int:
        if str(path).endswith("run.sh") and flags & os.O_NOFOLLOW and flags & os.O_NONBLOCK:
            seen.append(1)
            if len(seen) == 2:  # the first time it was read by the check
                (one / "data" / "source" / "run.sh").write_bytes(b"echo other\n")
        return real(path, flags, *rest, **more)  # type: ignore[arg-type]

    seen: list[int] = []
    monkeypatch.setattr(os, "open", open_)
    with pytest.raises(SourceError, match="changed"):
        kept.add(one)
    monkeypatch.undo()
    assert kept.audit().clean
    assert not any("nih" in path for tree in kept.trees() for path in tree)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("step", [3, 8, 15, 22, 30, 38, 46, 54, 62, 70])
def test_a_kill_while_a_record_is_added_leaves_nothing_that_cannot_be_mended(
    tmp_path: Path, step: int, version: int
) -> None:
    """Killed at any step: a repair makes the storages equal, and adding once more is whole."""
    kept = made(tmp_path, 2)
    one = record(tmp_path / "one", files=2)
    if version == 2:
        kept.add(one)
        (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    crashed(kept.home, step, "add", str(one))
    assert kept.repair().after.clean
    trees = [{**tree, "leman-storage.json": b""} for tree in kept.trees()]
    assert trees[0] == trees[1]
    added = kept.add(one)
    assert kept.audit().clean
    get(glanced(kept.home), added.record, tmp_path / "out")
    assert content(tmp_path / "out") == content(one)


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Many records added from several threads at once are all there, each whole."""
    kept = made(tmp_path, 2)
    records = [record(tmp_path / f"r{number}", seed=number) for number in range(4)]
    failures: list[BaseException] = []

    def work(one: Path) -> None:
        try:
            kept.add(one)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = kept.audit()
    assert found.clean
    assert set(found.copies.values()) == {2}
    assert len(found.copies) == 4


def test_a_record_without_a_title_is_kept(tmp_path: Path) -> None:
    """A title that is missing or strange is no reason to refuse a record."""
    kept = made(tmp_path, 1)
    one = bag(tmp_path / "one", {"data/x": b"x"}, title="a\x1b[31m\nb", side={})
    assert kept.add(one).outcome == "new record"
