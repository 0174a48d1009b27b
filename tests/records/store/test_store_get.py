"""A record that is taken out of a keep is the record, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bags import content, record
from keeps import made, write

from leman.errors import SourceError, UsageError
from leman.records.store.get import get, named
from leman.records.store.keep import glanced

if TYPE_CHECKING:
    from pathlib import Path


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    """Every byte and every name comes back, and scripts are executable again."""
    kept = made(tmp_path)
    one = record(tmp_path / "one", nasty=True)
    added = kept.add(one)
    got = get(glanced(kept.home), added.record, tmp_path / "out")
    assert content(tmp_path / "out") == content(one)
    assert (got.files, got.version) == (len(content(one)), "v1")
    assert (tmp_path / "out" / "data/source/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out" / "bagit.txt").stat().st_mode & 0o777 == 0o644


def test_each_file_comes_from_a_storage_that_has_it(tmp_path: Path) -> None:
    """With damage in every copy, the record still comes out whole; damage is never handed out."""
    kept = made(tmp_path)
    one = record(tmp_path / "one")
    added = kept.add(one)
    for number, name in enumerate(("bagit.txt", "signatures/alice.pub", "data/source/run.sh")):
        write(kept.object(added.record, number) / "v1/content" / name, b"damaged")
    kept.storages[2].rename(tmp_path / "unplugged")
    get(glanced(kept.home), added.record, tmp_path / "out")
    assert content(tmp_path / "out") == content(one)


def test_a_lost_file_is_an_error_and_no_folder(tmp_path: Path) -> None:
    """Where a file has no good copy, its name is told and nothing is left behind."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    (kept.object(added.record) / "v1/content/bagit.txt").unlink()
    with pytest.raises(SourceError, match="bagit"):
        get(glanced(kept.home), added.record, tmp_path / "out")
    assert {one.name for one in tmp_path.iterdir()} == {"0", "home", "one"}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """A record is written to a new or an empty folder only."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    opened = glanced(kept.home)
    for folder in (tmp_path / "one", tmp_path / "one" / "bagit.txt", tmp_path / "no" / "where"):
        with pytest.raises(UsageError):
            get(opened, added.record, folder)
    with pytest.raises(UsageError, match="no version v2"):
        get(opened, added.record, tmp_path / "out", version="v2")
    (tmp_path / "empty").mkdir()
    get(opened, added.record, tmp_path / "empty")
    assert content(tmp_path / "empty") == content(tmp_path / "one")


def test_a_record_is_named_by_the_start_of_its_id(tmp_path: Path) -> None:
    """Four digits are enough where they fit one record; otherwise the reason is told."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    opened = glanced(kept.home)
    digits = added.record.removeprefix("sha256:")
    assert named(opened, added.record) == named(opened, digits[:4].upper()) == added.record
    for name in ("abc", "", "sha256:", "0" * 64, "../x/y"):
        with pytest.raises(UsageError):
            named(opened, name)
