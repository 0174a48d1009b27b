"""Bags of others: what bagit.py makes we accept, what we seal it accepts, and damage is named."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import bagit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leman.records.bag.check import Contents, check, unheard
from leman.records.bag.general import validate
from leman.records.bag.seal import seal

# bagit.py 1.9 reads no %25, and decodes no more than two line breaks of a path (it gives re.sub its
# flag as the count), not even of one that it wrote itself.
_LETTERS = "aB ~\néé.ß0-_中"
_PARTS = st.text(_LETTERS, min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."} and name.strip() == name and not name.endswith(".")
)
NAMES = (
    st.lists(_PARTS, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda path: path.count("\n") <= 2)
)
NAMES = NAMES.filter(lambda path: path.count("\n") <= 2)
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _write(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(number))
        except OSError:  # a file where another name has a folder
            continue


def _errors(root: Path) -> list[str]:
    return [f"{one.code} {one.where}" for one in validate(root) if one.severity == "error"]


@SLOW
@given(names=st.lists(NAMES, min_size=1, max_size=6))
def test_what_we_seal_is_valid_to_bagit_py_and_to_us(names: list[str]) -> None:
    """Names with spaces, line breaks, percent signs, composed letters or not: both agree."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "data").mkdir()
        _write(root / "data", names)
        seal(root, info=[("Bagging-Date", "2026-11-25")], references=[], progress=unheard)
        assert _errors(root) == []
        assert bagit.Bag(str(root)).is_valid()
        codes = {one.code for one in check(root, Contents())}
        assert codes <= {"name-collision"}


@SLOW
@given(
    names=st.lists(NAMES, min_size=1, max_size=6),
    algorithm=st.sampled_from(["md5", "sha1", "sha256", "sha512"]),
)
def test_what_bagit_py_makes_is_valid_to_us(names: list[str], algorithm: str) -> None:
    """Every digest that bagit.py offers, and every name that it can write."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _write(root, names)
        bagit.make_bag(str(root), checksums=[algorithm])
        assert bagit.Bag(str(root)).is_valid() == (_errors(root) == [])


@SLOW
@given(names=st.lists(st.text("a%05\r\nAD", min_size=1, max_size=6), min_size=1, max_size=4))
def test_percent_signs_and_line_breaks_come_back_as_they_were(names: list[str]) -> None:
    """What is encoded in a manifest is decoded to the same name, whatever the name looks like."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "data").mkdir()
        _write(root / "data", names)
        seal(root, info=[], references=[], progress=unheard)
        assert _errors(root) == []
        assert {one.code for one in check(root, Contents())} <= {"name-collision"}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Return a bag of two files with two manifests."""
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "one.txt").write_text("one")
    (tmp_path / "bag" / "two.txt").write_text("two")
    bagit.make_bag(str(tmp_path / "bag"), checksums=["md5", "sha256"])
    return tmp_path / "bag"


def _append(path: str, text: str) -> object:
    def damage(root: Path) -> None:
        with (root / path).open("a") as file:
            file.write(text)

    return damage


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_append("data/one.txt", "x"), "changed data/one.txt"),
        (lambda root: (root / "data/one.txt").unlink(), "missing data/one.txt"),
        (lambda root: (root / "data/new.txt").write_text("x"), "unlisted data/new.txt"),
        (lambda root: (root / "bag-info.txt").unlink(), "missing bag-info.txt"),
        (lambda root: (root / "bagit.txt").unlink(), "no-bag bagit.txt"),
        (_append("manifest-md5.txt", "0" * 32 + "  ../x\n"), "bad-path ../x"),
        (_append("manifest-md5.txt", "0" * 32 + "  /etc/passwd\n"), "bad-path /etc/passwd"),
        (_append("manifest-md5.txt", "nonsense\n"), "bad-manifest manifest-md5.txt"),
        (_append("fetch.txt", "http://example.org - data/none\n"), "bad-fetch fetch.txt"),
        (lambda root: (root / "data/link").symlink_to("/etc/hostname"), "link data/link"),
        (
            lambda root: (root / "bagit.txt").write_text(
                "BagIt-Version: 2.0\nTag-File-Character-Encoding: UTF-8\n"
            ),
            "future-format bagit.txt",
        ),
    ],
)
def test_damage_of_a_bag_is_named(damage: object, code: str, bag: Path) -> None:
    """Each kind of damage ends with an error that names the file."""
    assert _errors(bag) == []
    assert callable(damage)
    damage(bag)
    assert code in _errors(bag)


def test_one_manifest_of_two_must_not_be_shorter(bag: Path) -> None:
    """Since version 1.0 each manifest lists every file; before, one was enough."""
    lines = (bag / "manifest-md5.txt").read_text().splitlines(keepends=True)
    (bag / "manifest-md5.txt").write_text(lines[0])
    for tags in bag.glob("tagmanifest-*"):
        tags.unlink()
    assert any(one.startswith("not-covered") for one in _errors(bag)) == (
        "1.0" in (bag / "bagit.txt").read_text()
    )
    older = (bag / "bagit.txt").read_text().replace("1.0", "0.97")
    (bag / "bagit.txt").write_text(older)
    assert _errors(bag) == []


def test_files_that_have_to_be_fetched_make_a_bag_incomplete(bag: Path) -> None:
    """A file of fetch.txt that is not there is missing, and where to get it is said."""
    shutil.move(bag / "data/one.txt", bag.parent / "one.txt")
    (bag / "fetch.txt").write_text("https://example.org/one.txt 3 data/one.txt\n")
    (finding,) = [one for one in validate(bag) if one.code == "missing" and "data" in one.where][:1]
    assert "has to be fetched first" in finding.message


_UTF8 = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("bagit.txt", _UTF8.replace("1.0", f"{'9' * 6000}.0"), "bad-declaration"),
        *(
            ("bagit.txt", _UTF8.replace("UTF-8", encoding), "bad-declaration")
            for encoding in ("zlib", "rot13", "hex", "undefined", "idna", "utf-7", "none")
        ),
        ("bag-info.txt", f"Payload-Oxum: {'9' * 5000}.1\n", "wrong-size"),
        ("bag-info.txt", "Payload-Oxum: many\n", "wrong-size"),
    ],
)
def test_no_bag_is_a_traceback(path: str, text: str, code: str, bag: Path) -> None:
    """Numbers without end and encodings that are none are told like any other fault."""
    for tags in bag.glob("tagmanifest-*"):
        tags.unlink()
    (bag / path).write_text(text)
    assert [one.partition(" ")[0] for one in _errors(bag)] == [code]


@pytest.mark.parametrize("letter", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\u00a0"])
def test_a_name_may_hold_what_python_takes_for_the_end_of_a_line(
    letter: str, tmp_path: Path
) -> None:
    """Only LF, CR and both end a line of a manifest (RFC 8493 §2.1.3)."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"a{letter}b").write_text("x")
    seal(tmp_path, info=[], references=[], progress=unheard)
    assert _errors(tmp_path) == []
    assert list(check(tmp_path, Contents())) == []


def test_thousands_of_warnings_are_no_error(tmp_path: Path) -> None:
    """What is only odd stays so when there is too much of it to be listed."""
    (tmp_path / "data").mkdir()
    for number in range(1500):
        (tmp_path / "data" / str(number)).touch()
    (tmp_path / "bagit.txt").write_text(_UTF8)
    md5 = "d41d8cd98f00b204e9800998ecf8427e"  # of nothing
    rows = "".join(f"{md5} *data/{number}\n" for number in range(1500))
    (tmp_path / "manifest-md5.txt").write_text(rows)
    found = list(validate(tmp_path))
    assert len(found) == 1001
    assert {one.severity for one in found} == {"warning"}


def test_a_bag_writes_nothing_on_the_terminal_of_its_reader(bag: Path) -> None:
    """Names with escapes for terminals are shown as what they are."""
    (bag / "data" / "\x1b[2Kvalid").write_text("x")
    (finding,) = [one for one in validate(bag) if one.code == "unlisted"]
    assert finding.where == "data/\\x1b[2Kvalid"
