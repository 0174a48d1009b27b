"""Archives as sources, honest and hostile ones."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_places import sample, site

from leman.environments.providers.archive import Archive
from leman.environments.providers.unpack import Bounds, safe_name, unpack
from leman.environments.testing import ProviderContract
from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from source_places import Site

    from leman.environments.model import Source

Members = list[tarfile.TarInfo | tuple[str, bytes]]
DAY = (2019, 5, 6, 7, 8, 10)


def zipped(path: Path, files: Mapping[str, str | bytes], *, top: str = "study-1.0/") -> Path:
    """Write a zip file whose members lie in `top`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(top + name, DAY), content, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, members: Members) -> Path:
    """Write a tar file of files (name, content) and special members."""
    kind = {".gz": "gz", ".tgz": "gz", ".xz": "xz", ".bz2": "bz2"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{kind}") as packed:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size, info.mtime = len(member[1]), 1_557_126_490
                packed.addfile(info, io.BytesIO(member[1]))
            else:
                packed.addfile(member)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """Return a tar member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def fetch(spec: str | Path, cache: Path, bounds: Bounds | None = None) -> Source:
    """Fetch by the provider alone."""
    provider = Archive(bounds)
    address = provider.detect(str(spec))
    assert address is not None
    return provider.fetch(address, ref="", into=cache)


@pytest.fixture
def web() -> Iterator[Site]:
    """Serve on the loopback."""
    with site() as made:
        yield made


class TestFile(ProviderContract):
    """An archive on this disk."""

    @pytest.fixture
    def provider(self) -> Archive:
        return Archive()

    @pytest.fixture
    def spec(self, tmp_path: Path) -> str:
        return str(zipped(tmp_path / "study.zip", sample()))

    @pytest.fixture
    def broken(self, tmp_path: Path) -> str:
        path = zipped(tmp_path / "cut.zip", sample())
        path.write_bytes(path.read_bytes()[:200])
        return str(path)


class TestServer(ProviderContract):
    """An archive on a server."""

    @pytest.fixture
    def provider(self) -> Archive:
        return Archive()

    @pytest.fixture
    def spec(self, tmp_path: Path, web: Site) -> str:
        return web.put("/a/study.zip", zipped(tmp_path / "s.zip", sample()).read_bytes())

    @pytest.fixture
    def broken(self, web: Site) -> str:
        return f"{web.url}/absent.zip"


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.tgz", "s.tar.bz2", "s.tar.xz", "s.bin"])
def test_all_forms_are_read_and_the_top_is_stripped(tmp_path: Path, name: str) -> None:
    """Each compression works, known by name or content; the newest member gives the date."""
    files = [(f"./study/{path}", text.encode()) for path, text in sample().items()]
    source = fetch(tarred(tmp_path / name, [*files]), tmp_path / "cache")
    assert sorted(one.name for one in source.path.iterdir()) == ["analysis.ipynb", "data"]
    assert str(source.published) == "2019-05-06"


@pytest.mark.parametrize(
    "name", ["../up", "a/../../up", "/etc/x", "C:\\x", "a\\..\\..\\up", "..", "a/\x01b"]
)
def test_names_that_climb_out_are_refused(tmp_path: Path, name: str) -> None:
    """An archive with one forbidden name is refused as a whole and leaves nothing."""
    path = zipped(tmp_path / "evil.zip", {name: "x", "ok": "y"}, top="")
    with pytest.raises(SourceError, match="forbidden"):
        fetch(path, tmp_path / "cache")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cache", "evil.zip"]
    assert list((tmp_path / "cache" / "sources").iterdir()) == []


def test_links_that_leave_and_devices_are_left_out(tmp_path: Path) -> None:
    """Links out of the tree, also by way of other links, and devices are dropped and named."""
    members: Members = [
        ("a/data.txt", b"here"),
        special("a/good", tarfile.SYMTYPE, "data.txt"),
        special("a/copy", tarfile.LNKTYPE, "a/data.txt"),
        special("a/abs", tarfile.SYMTYPE, "/etc/passwd"),
        special("a/up", tarfile.SYMTYPE, "../../x"),
        special("a/hard", tarfile.LNKTYPE, "../../etc/passwd"),
        special("a/p/q/r/l", tarfile.SYMTYPE, "../../.."),
        special("a/p/q/r/l/x", tarfile.SYMTYPE, "../../../z"),
        special("a/p/q/r/l/x/k", tarfile.SYMTYPE, "y"),
        special("a/null", tarfile.CHRTYPE),
        special("a/pipe", tarfile.FIFOTYPE),
    ]
    source = fetch(tarred(tmp_path / "s.tar.gz", members), tmp_path / "cache")
    assert (source.path / "good").read_text() == "here"
    assert (source.path / "copy").read_text() == "here"
    assert not (source.path / "copy").is_symlink()
    left = {path.name for path in source.path.rglob("*")}
    assert not left & {"abs", "up", "hard", "null", "pipe", "x", "k"}
    assert "link-leaves-tree" in [one.code for one in source.findings]
    for path in source.path.rglob("*"):
        assert path.resolve().is_relative_to(source.path.resolve())


def test_links_in_zip_files_are_judged_alike(tmp_path: Path) -> None:
    """Zip files hold links too, as Unix modes."""
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, target in {"out": "/etc/passwd", "in": "data"}.items():
            info = zipfile.ZipInfo(name, DAY)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            packed.writestr(info, target)
        packed.writestr("data", "here")
    source = fetch(path, tmp_path / "cache")
    assert source.missing == ("out",)
    assert (source.path / "in").read_text() == "here"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A file whose folder an earlier member made a link stays inside."""
    members: Members = [
        special("d", tarfile.SYMTYPE, str(tmp_path)),
        ("d/planted", b"x"),
        ("e", b""),
    ]
    source = fetch(tarred(tmp_path / "s.tar", members), tmp_path / "cache")
    assert (source.path / "d" / "planted").is_file()
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "bounds",
    [Bounds(total=100_000), Bounds(members=2), Bounds(ratio=5, ratio_from=1000)],
    ids=["total", "members", "ratio"],
)
@pytest.mark.parametrize("name", ["s.zip", "s.tar.gz"])
def test_bombs_are_refused(tmp_path: Path, name: str, bounds: Bounds) -> None:
    """Too many bytes, too many members or too good a compression end the unpacking."""
    files = {"zeros": b"\0" * 500_000, "b": b"1", "c": b"2"}
    path = tmp_path / name
    if name.endswith("zip"):
        zipped(path, files)
    else:
        tarred(path, [*files.items()])
    with pytest.raises(SourceError, match="made to fill a disk"):
        fetch(path, tmp_path / "cache", bounds)
    assert list((tmp_path / "cache" / "sources").iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_contradict_are_refused(tmp_path: Path) -> None:
    """The same file twice is refused; names that differ in case alone are reported."""
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as packed:
        packed.writestr("a", "1")
        packed.writestr("a", "2")
    with pytest.raises(SourceError, match="twice"):
        fetch(twice, tmp_path / "cache")
    both = zipped(tmp_path / "both.zip", {"a": "file", "a/b": "below"})
    with pytest.raises(SourceError, match="twice"):
        fetch(both, tmp_path / "cache")
    alike = zipped(tmp_path / "alike.zip", {"README": "1", "readme": "2"})
    assert [one.code for one in fetch(alike, tmp_path / "cache").findings] == ["names-alike"]


def test_encrypted_and_foreign_files_are_said_so(tmp_path: Path) -> None:
    """An encrypted zip names its remedy; bytes that are no archive are named as such."""
    path = zipped(tmp_path / "s.zip", {"a": "1"})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="encrypted"):
        fetch(path, tmp_path / "cache")
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"<html>login please</html>")
    with pytest.raises(SourceError, match="no readable archive"):
        fetch(path, tmp_path / "cache")


def test_litter_and_repositories_in_archives_are_left_out(tmp_path: Path) -> None:
    """Macintosh litter and a stranger's .git are not unpacked; executables stay executable."""
    files = {"study/a.ipynb": "{}", "__MACOSX/study/._a": "", "study/.git/config": "[core]"}
    source = fetch(zipped(tmp_path / "s.zip", files, top=""), tmp_path / "cache")
    assert [one.name for one in source.path.rglob("*")] == ["a.ipynb"]
    info = tarfile.TarInfo("run.sh")
    info.mode = 0o4755
    source = fetch(tarred(tmp_path / "s.tar", [info, ("b", b"")]), tmp_path / "cache")
    assert (source.path / "run.sh").stat().st_mode & 0o7777 == 0o755


def test_a_server_is_asked_for_a_file_once(tmp_path: Path, web: Site) -> None:
    """A file that the server calls unchanged is not sent again; a changed one is."""
    body = zipped(tmp_path / "1.zip", sample()).read_bytes()
    url = web.put("/s.zip", body, headers={"ETag": '"1"'})
    first = fetch(url, tmp_path / "cache")
    assert fetch(url, tmp_path / "cache") == first
    assert [command for command, _, _ in web.asked].count("GET") == 1
    body = zipped(tmp_path / "2.zip", {**sample(), "more": ""}).read_bytes()
    web.put("/s.zip", body, headers={"ETag": '"2"'})
    assert (fetch(url, tmp_path / "cache").path / "more").exists()


def test_a_ref_means_nothing_to_an_archive(tmp_path: Path) -> None:
    """A ref is refused, not ignored."""
    path = str(zipped(tmp_path / "s.zip", sample()))
    with pytest.raises(SourceError, match="v1"):
        Archive().fetch(path, ref="v1", into=tmp_path / "cache")


@settings(max_examples=200)
@given(st.text(alphabet="ab./\\\0:C \n-~", max_size=12))
def test_a_name_is_refused_or_lands_inside(name: str) -> None:
    """Whatever name passes is relative, climbs nowhere and keeps its parts."""
    try:
        safe = safe_name(name, "x.zip")
    except SourceError:
        return
    assert not safe.startswith("/")
    assert not {"..", "."} & set(safe.split("/"))


def test_many_members_all_arrive(tmp_path: Path) -> None:
    """Thousands of members unpack, each one there."""
    path = zipped(tmp_path / "many.zip", {f"d{n % 10}/{n}": "x" for n in range(3000)})
    (tmp_path / "t").mkdir()
    unpack(path, tmp_path / "t")
    assert sum(1 for one in (tmp_path / "t").rglob("*") if one.is_file()) == 3000
