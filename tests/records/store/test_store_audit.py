"""An audit sees every byte on every storage, and says what it did not look at."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bags import record
from keeps import codes, made, write

from leman.errors import SourceError
from leman.records.store import audit as audits
from leman.records.store import roots
from leman.records.store.audit import is_recent, last
from leman.records.store.keep import registered

if TYPE_CHECKING:
    from leman.records.store.keep import Opened, Storage

ROOT = Path(__file__).parents[3]


def test_every_single_byte_counts(tmp_path: Path) -> None:
    """Whichever file of a storage is changed by one bit, the audit names that file."""
    kept = made(tmp_path, 2)
    one = record(tmp_path / "one", files=2)
    kept.add(one)
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    kept.add(one)
    assert kept.audit().clean
    for path in sorted(kept.storages[0].rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            write(path, bytes([data[0] ^ 1, *data[1:]]) if data else b"x")
            assert str(path) in {one.where for one in kept.audit().errors}, path
            write(path, data)
    assert kept.audit().clean


def test_nothing_is_changed_by_an_audit(tmp_path: Path) -> None:
    """An audit of damaged storages leaves every byte as it is."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    shutil.rmtree(kept.object(added.record))
    write(kept.object(added.record, 1) / "inventory.json", b"{}")
    before = kept.trees()
    kept.audit()
    kept.audit(quick=True)
    assert kept.trees() == before


def test_inventory_and_sidecar_changed_together_are_found(tmp_path: Path) -> None:
    """Who changes a signature, the inventory and its sidecar alike is found by the catalogue."""
    import hashlib  # noqa: PLC0415

    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    root = kept.object(added.record)
    path = root / "v1/content/signatures/alice.pub"
    old, new = (hashlib.sha256(one).hexdigest() for one in (path.read_bytes(), b"mallory"))
    write(path, b"mallory")
    text = (root / "inventory.json").read_text().replace(old, new)
    for folder in (root, root / "v1"):
        write(folder / "inventory.json", text.encode())
        digest = hashlib.sha256(text.encode()).hexdigest()
        write(folder / "inventory.json.sha256", f"{digest} inventory.json\n".encode())
    found = kept.audit()
    assert {path, root / "inventory.json"} <= {Path(one.where) for one in found.errors}
    assert found.copies[added.record] == 2


def test_a_quick_audit_sees_what_is_there_and_reads_no_content(tmp_path: Path) -> None:
    """A quick audit finds missing and added files, not changed content, and says so."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    root = kept.object(added.record)
    write(root / "v1/content/signatures/alice.pub", b"changed")
    found = kept.audit(quick=True)
    assert (found.clean, found.full, found.read) == (True, False, 0)
    (root / "v1/content/bagit.txt").unlink()
    (root / "v1/content/new.txt").write_text("x")
    assert codes(kept.audit(quick=True)) == {"missing", "unexpected"}
    keep = registered(kept.home)
    assert last(keep) is None
    assert last(keep, quick=True) is not None


def test_the_result_is_kept(tmp_path: Path) -> None:
    """The last audit is to be had later, with its time and its findings."""
    kept = made(tmp_path)
    added = kept.add(record(tmp_path / "one"))
    assert last(registered(kept.home)) is None
    write(kept.object(added.record) / "v1/content/bagit.txt", b"x")
    found = kept.audit()
    assert last(registered(kept.home)) == found
    write(kept.home / "records" / "audit.json", b"{")
    assert last(registered(kept.home)) is None


def test_an_audit_is_recent_for_so_many_days(tmp_path: Path) -> None:
    """The age of an audit is told by its moment; one of the future is not recent."""
    kept = made(tmp_path, 1)
    found = kept.audit()
    assert is_recent(found, 1)

    def at(days: float) -> audits.Audit:
        moment = datetime.now(UTC) - timedelta(days=days)
        return audits.Audit(moment.isoformat(timespec="seconds"), full=True, storages=1)

    assert is_recent(at(6.9), 7)
    assert not is_recent(at(7.1), 7)
    assert not is_recent(at(-2), 7)


@pytest.mark.parametrize("where", ["aaa", "aaa/bbb/ccc/object", "784/c28", "extensions"])
def test_what_does_not_belong_into_a_store_is_found(tmp_path: Path, where: str) -> None:
    """Files and folders between the objects are found; a repair moves them aside, unharmed."""
    kept = made(tmp_path, 2)
    kept.add(record(tmp_path / "one"))
    before = kept.trees()
    folder = kept.storages[0] / where
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thesis.txt").write_text("the only copy")
    found = kept.audit()
    assert codes(found) <= {"stray", "unknown-object"}
    assert found.errors
    kept.repair()
    texts = [one.read_text() for one in kept.storages[0].rglob("thesis.txt")]
    assert texts == ["the only copy"]
    if "object" not in where:
        assert kept.trees() == before
        assert codes(kept.audit()) == {"set-aside"}


def test_a_file_at_the_top_is_left_alone(tmp_path: Path) -> None:
    """OCFL leaves the top of a storage to others: what lies there is told and not touched."""
    kept = made(tmp_path, 1)
    (kept.storages[0] / "README.txt").write_text("mine")
    (kept.storages[0] / "photos").mkdir()
    found = kept.audit()
    assert found.clean
    assert codes(found) == {"guest"}
    assert kept.repair().after.clean
    assert (kept.storages[0] / "README.txt").read_text() == "mine"
    assert (kept.storages[0] / "photos").is_dir()


def test_a_storage_of_many_defects_is_told_within_limits(tmp_path: Path) -> None:
    """Beyond a thousand findings they are counted."""
    kept = made(tmp_path, 1)
    added = kept.add(record(tmp_path / "one"))
    root = kept.object(added.record)
    for number in range(1010):
        (root / f"extra-{number}").write_text("x")
    found = kept.audit()
    assert (len(found.findings), found.more) == (1000, 10)
    assert not found.clean


def test_every_finding_is_documented() -> None:
    """The page on keeps has a row for each finding that audit and repair can report."""
    folder = ROOT / "src" / "leman" / "records" / "store"
    text = "".join((folder / name).read_text() for name in ("audit.py", "repair.py"))
    used = set(re.findall(r"(?:_problem|Finding)\(\s*\"([a-z-]+)\"", text))
    page = (ROOT / "docs" / "reference" / "keep.md").read_text()
    rows = set(re.findall(r"^\| `([a-z-]+)` \| (?:error|warning|info) \|", page, re.MULTILINE))
    assert used == rows


def test_damaged_copies_of_the_catalogue_are_found(tmp_path: Path) -> None:
    """Each copy of the catalogue says of itself whether it is whole."""
    kept = made(tmp_path, 2)
    kept.add(record(tmp_path / "one"))
    places = [kept.home / "records" / "catalogue.json"]
    places += [one / "leman-catalogue.json" for one in kept.storages]
    for place in places:
        data = place.read_bytes()
        value = json.loads(data)
        next(iter(value["records"].values()))["title"] = "Another title"
        for bad in (b"", b"{}", data[:-9], json.dumps(value).encode()):
            write(place, bad)
            found = kept.audit()
            assert [(one.code, one.where) for one in found.errors] == [("catalogue", str(place))]
        place.unlink()
        assert not kept.audit().clean
        write_back = place.write_bytes(data)
        assert write_back
    assert kept.audit().clean


def test_a_disk_that_goes_away_meanwhile_has_lost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that is unplugged while it is read ends the audit: no verdict, no result kept."""
    kept = made(tmp_path, 1)
    kept.add(record(tmp_path / "one"))
    before = kept.audit()
    real = roots.surveyed

    def unplugged(opened: Opened, storage: Storage) -> roots.Ground:
        found = real(opened, storage)
        storage.path.rename(tmp_path / "unplugged")
        storage.path.mkdir()
        return found

    monkeypatch.setattr(roots, "surveyed", unplugged)
    for work in (kept.audit, kept.repair):
        with pytest.raises(SourceError, match="went out of reach"):
            work()
        kept.storages[0].rmdir()
        (tmp_path / "unplugged").rename(kept.storages[0])
    assert last(registered(kept.home)) == before
