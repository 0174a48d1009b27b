"""The files of a deposit, the steps that bring them there, and what is remembered of them."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from deposited_record import record
from hypothesis import given
from hypothesis import strategies as st

from leman.errors import DepositError
from leman.files import sha256_of
from leman.records.deposit import state as states
from leman.records.deposit.interface import Held, Stage, Upload
from leman.records.deposit.invenio import Step, is_same, next_step
from leman.records.deposit.make import opened
from leman.records.deposit.pack import CHECKSUMS, pack
from leman.records.deposit.state import Sent, State


def packed(root: Path, into: Path) -> tuple[Upload, ...]:
    """Pack a record."""
    into.mkdir()
    return pack(*opened(root), into)


def test_the_same_record_gives_the_same_archive(tmp_path: Path) -> None:
    """Times, permissions and the order on the disk leave no trace in the archive's bytes."""
    one, other = record(tmp_path / "one"), record(tmp_path / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)
    first, second = packed(one, tmp_path / "a"), packed(other, tmp_path / "b")
    assert [upload.sha256 for upload in first] == [upload.sha256 for upload in second]


def test_members_are_sorted_and_lie_below_one_folder(tmp_path: Path) -> None:
    """The archive unpacks into a folder named after the record, as RFC 8493 §4 has it."""
    uploads = packed(record(tmp_path / "one"), tmp_path / "a")
    archive = uploads[0]
    with zipfile.ZipFile(archive.path) as found:
        names = found.namelist()
        assert found.testzip() is None
    assert names == sorted(names)
    assert {name.partition("/")[0] for name in names} == {archive.name.removesuffix(".zip")}
    assert f"{archive.name.removesuffix('.zip')}/data/source/größe.csv" in names


def test_zeros_do_not_look_like_a_bomb(tmp_path: Path) -> None:
    """What compresses too well to be believed when unpacked is stored as it is."""
    root = record(tmp_path / "one", extra={"zeros.bin": bytes(5_000_000)})
    archive = packed(root, tmp_path / "a")[0]
    assert archive.size > 5_000_000


def test_the_checksums_are_those_of_the_other_files(tmp_path: Path) -> None:
    """The list is what sha256sum reads, and fits."""
    uploads = packed(record(tmp_path / "one"), tmp_path / "a")
    *others, last = uploads
    assert last.name == CHECKSUMS
    lines = last.path.read_text().splitlines()
    assert lines == [f"{sha256_of(one.path)}  {one.name}" for one in others]


@pytest.mark.parametrize("change", ["changed", "longer", "shorter"])
def test_a_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path, change: str) -> None:
    """What was checked is what is packed, or nothing is."""
    root = record(tmp_path / "one")
    known, contents = opened(root)
    table = root / "data/source/größe.csv"
    table.write_bytes({"changed": b"y\n1\n", "longer": b"x\n1\n2\n", "shorter": b"x"}[change])
    (tmp_path / "a").mkdir()
    with pytest.raises(DepositError, match="changed while"):
        pack(known, contents, tmp_path / "a")


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link put in the place of a checked file does not bring another file into the archive."""
    root = record(tmp_path / "one")
    known, contents = opened(root)
    table = root / "data/source/größe.csv"
    copy = tmp_path / "copy"
    table.rename(copy)
    table.symlink_to(copy)
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="symbolic links"):
        pack(known, contents, tmp_path / "a")


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Give a file to upload."""
    return packed(record(tmp_path / "one"), tmp_path / "a")[1]


@given(
    have=st.none() | st.builds(Held, name=st.just("n"), complete=st.booleans(), size=st.integers()),
    sent=st.booleans(),
)
def test_each_state_of_a_file_has_one_next_step(*, have: Held | None, sent: bool) -> None:
    """Whatever the server has of a file, it is clear what comes next, and never to leave a lie."""
    wanted = Upload("n", Path("never-opened"), 3, "a" * 64, "b" * 32)
    step = next_step(have, wanted, sent=sent)
    if have is None:
        assert step is Step.REGISTER
    elif not have.complete:
        assert step is (Step.COMMIT if sent else Step.SEND)
    else:
        assert step is (Step.NOTHING if have.size == 3 else Step.REMOVE)


def test_checksums_decide_where_there_are_any(upload: Upload) -> None:
    """Of equal size but another checksum is another file; an unknown algorithm proves nothing."""
    held = Held(upload.name, complete=True, checksum=f"md5:{upload.md5.upper()}", size=upload.size)
    assert is_same(held, upload)
    assert not is_same(replace(held, size=upload.size + 1), upload)
    assert not is_same(replace(held, checksum="md5:" + "0" * 32), upload)
    assert not is_same(replace(held, checksum="sha512:00"), upload)
    assert is_same(replace(held, checksum="crc9:00"), upload)
    assert not is_same(replace(held, checksum="", size=None), upload)


RECORD, SITE = "sha256:" + "ab" * 32, "https://zenodo.org"


def test_a_state_is_remembered(tmp_path: Path) -> None:
    """What is saved is loaded again."""
    path = states.place(tmp_path, RECORD, SITE)
    state = State(RECORD, SITE, "17", "https://zenodo.org/uploads/17", "10.5281/zenodo.17")
    state = state.having("a.zip", Sent(Stage.UPLOADED, "ab", "cd"))
    states.save(path, state)
    assert states.load(path, RECORD, SITE) == state
    assert path.name == f"sha256-{'ab' * 32}-zenodo.org.json"


def test_sites_have_states_of_their_own(tmp_path: Path) -> None:
    """Zenodo, its sandbox, ports and paths of one host never share a state."""
    sites = ["https://zenodo.org", "https://sandbox.zenodo.org", "http://[::1]:1", "http://a/b"]
    paths = {states.place(tmp_path, RECORD, site) for site in sites}
    assert len(paths) == len(sites)
    assert all(path.parent == tmp_path / "records" / "deposits" for path in paths)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        json.dumps({"format": "leman-deposit/1", "files": {"a": {}}}).encode(),
        json.dumps({"format": "leman-deposit/1", "files": {}, "draft": 3}).encode(),
        json.dumps({"format": "leman-deposit/2", "files": {}}).encode(),
        json.dumps(
            {"format": "leman-deposit/1", "files": {}, "record": RECORD, "site": "http://evil"}
        ).encode(),
    ],
)
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    """A damaged, newer or foreign state is as good as a missing one."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert states.load(path, RECORD, SITE) == State(RECORD, SITE)
