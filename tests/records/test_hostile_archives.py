"""`leman verify ARCHIVE`: nothing lands outside, nothing in it is passed over in silence."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signed_records import NOTEBOOK, Lab, lab

from leman.config import Settings
from leman.errors import LemanError, SourceError
from leman.records.examine import Wanted, examine
from leman.records.layout import INFO
from leman.records.model import Check, Question, Value
from leman.reproduction.options import Nobody

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["zip", "gztar"]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Make a good record once."""
    return lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def packed(laboratory: Lab, tmp_path: Path) -> Callable[[str], Path]:
    """Return what packs the good record, as a folder or as its content."""

    def pack(kind: str) -> Path:
        folder = laboratory.record
        made = shutil.make_archive(str(tmp_path / "packed"), kind, folder.parent, folder.name)
        return Path(made)

    return pack


def examined(archive: Path, laboratory: Lab) -> Check:
    """Verify an archive as the command does."""
    home = Settings(archive.parent / "home")
    wanted = Wanted(trust=laboratory.trust)
    return examine(str(archive), settings=home, wanted=wanted, watcher=Nobody()).check


@pytest.mark.parametrize("kind", [*KINDS, "tar", "xztar"])
def test_a_good_archive_is_intact_signed_and_dated(
    kind: str, packed: Callable[[str], Path], laboratory: Lab
) -> None:
    """The control: packing changes nothing (zip and tar keep the right to execute)."""
    check = examined(packed(kind), laboratory)
    assert {check.answer(one).value for one in (Question.SIGNED, Question.DATED)} == {Value.YES}
    assert check.answer(Question.INTACT).value is Value.YES
    assert check.findings == ()


def more_zip(path: Path, name: str, content: bytes = b"x", mode: int = 0o100644) -> None:
    """Add a member to a zip as it is named."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(info, content)


def more_tar(path: Path, name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> None:
    """Add a member of any kind to a tar."""
    with tarfile.open(path) as old, tempfile.TemporaryFile() as copy:
        with tarfile.open(fileobj=copy, mode="w:gz") as new:
            for member in old:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 1 if kind == tarfile.REGTYPE else 0
            new.addfile(info, io.BytesIO(b"x") if info.size else None)
        copy.seek(0)
        path.write_bytes(copy.read())


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "record/../../evil",
        "/evil",
        "C:\\evil",
        "..\\evil",
        "record/data/a\nb",
        "record/data/.git/config",
        "record/.DS_Store",
        "__MACOSX/record/._bagit.txt",
        f"record/{NOTEBOOK}",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_no_part_of_the_record_is_refused(
    kind: str, name: str, packed: Callable[[str], Path], laboratory: Lab, tmp_path: Path
) -> None:
    """Names that climb out, names twice, and what others would leave out: refused, and named."""
    archive = packed(kind)
    (more_zip if kind == "zip" else more_tar)(archive, name)
    with pytest.raises(SourceError):
        examined(archive, laboratory)
    assert not list(tmp_path.parent.rglob("evil"))


@pytest.mark.parametrize("name", ["record/new", "record/data/new", "record/signatures/x.py", "new"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_added_to_an_archive_is_named(
    kind: str, name: str, packed: Callable[[str], Path], laboratory: Lab
) -> None:
    """An archive is as strict as a folder (beside the record's folder there is no record)."""
    archive = packed(kind)
    (more_zip if kind == "zip" else more_tar)(archive, name)
    try:
        check = examined(archive, laboratory)
    except SourceError:
        assert name == "new"
    else:
        told = {(one.code, one.where) for one in check.findings} - {("wrong-size", INFO)}
        assert told == {("unlisted", name.removeprefix("record/"))}


@pytest.mark.parametrize(
    ("kind", "target", "told"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "refused"),
        (tarfile.SYMTYPE, "../../../../etc/passwd", "refused"),
        (tarfile.SYMTYPE, "a.ipynb", "link"),
        (tarfile.LNKTYPE, "/etc/passwd", "refused"),
        (tarfile.LNKTYPE, f"record/{NOTEBOOK}", "unlisted"),
        (tarfile.FIFOTYPE, "", "refused"),
        (tarfile.CHRTYPE, "", "refused"),
        (tarfile.DIRTYPE, "", "empty-folder"),
    ],
)
def test_what_is_no_file_in_a_tar_is_named(
    kind: bytes, target: str, told: str, packed: Callable[[str], Path], laboratory: Lab
) -> None:
    """Links, pipes, devices and empty folders in a tar: refused or found, never followed."""
    archive = packed("gztar")
    more_tar(archive, "record/data/source/odd", kind, target)
    if told == "refused":
        with pytest.raises(SourceError, match="odd"):
            examined(archive, laboratory)
    else:
        check = examined(archive, laboratory)
        found = {(one.code, one.where) for one in check.findings} - {("wrong-size", INFO)}
        assert found == {(told, "data/source/odd")}


def test_a_link_in_a_zip_is_named(packed: Callable[[str], Path], laboratory: Lab) -> None:
    """A zip, too, may hold links; one that a later member would be written through is refused."""
    archive = packed("zip")
    more_zip(archive, "record/data/source/odd", b"a.ipynb", 0o120777)
    assert [one.code for one in examined(archive, laboratory).findings] == ["link"]
    more_zip(archive, "record/data/source/odd/x")
    with pytest.raises(SourceError):
        examined(archive, laboratory)


def test_a_bomb_is_refused_before_it_fills_the_disk(
    packed: Callable[[str], Path], laboratory: Lab
) -> None:
    """What swells without measure is refused."""
    archive = packed("zip")
    more_zip(archive, "record/data/zeros", bytes(150_000_000))
    with pytest.raises(SourceError, match="fill a disk"):
        examined(archive, laboratory)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(kind=st.sampled_from(["zip", "gztar", "tar"]), data=st.data())
def test_any_damaged_archive_is_refused_or_told(
    kind: str, data: st.DataObject, packed: Callable[[str], Path], laboratory: Lab
) -> None:
    """An archive with damaged bytes raises an error of ours, or what it holds is judged."""
    archive = packed(kind)
    old = archive.read_bytes()
    start = data.draw(st.integers(0, len(old)) | st.integers(max(0, len(old) - 400), len(old)))
    new = data.draw(st.binary(max_size=8))
    end = min(len(old), start + data.draw(st.integers(0, 8)))
    archive.write_bytes(old[:start] + new + old[end:])
    try:
        examined(archive, laboratory)
    except LemanError:
        return
