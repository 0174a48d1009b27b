"""Whatever a folder holds, `verify` answers or raises an error of ours; it never waits for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signed_records import EXECUTED, FACTS, LOCK, NOTEBOOK, Lab, facts, fill, lab, sealed

from leman.cli.answers import lines_of_facts, show
from leman.errors import LemanError, SourceError
from leman.records import facts as known_facts
from leman.records import statements
from leman.records.bag import check as checking
from leman.records.bag.hashing import digests
from leman.records.layout import (
    DECLARATION,
    FETCH,
    INFO,
    MANIFEST,
    SIGNATURES,
    STAMPS,
    STATEMENTS,
    TAG_MANIFEST,
)
from leman.records.model import Question, Value
from leman.records.source import FromRecord
from leman.records.verify import verify

ANY_FILE = (
    *(DECLARATION, INFO, MANIFEST, TAG_MANIFEST, FETCH, FACTS, LOCK, EXECUTED, NOTEBOOK),
    *(f"{SIGNATURES}/alice.sshsig", f"{SIGNATURES}/alice.pub", f"{STAMPS}/alice.tsr"),
    *(f"{STAMPS}/alice.pem", f"{STATEMENTS}/referee.json", f"{STATEMENTS}/referee.json.sshsig"),
)
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Make a good record, and what a forger has, once."""
    return lab(tmp_path_factory.mktemp("lab"))


def answered(root: Path, laboratory: Lab) -> bool:
    """Verify, and tell whether all of the record was found in order."""
    try:
        check = verify(root, trust=laboratory.trust)
    except LemanError:
        return False
    json.dumps([one.where + one.message for one in check.findings], ensure_ascii=False).encode()
    return check.holds and not check.findings


@SLOW
@given(path=st.sampled_from(ANY_FILE), data=st.data())
def test_any_file_may_hold_anything(path: str, data: st.DataObject, laboratory: Lab) -> None:
    """A file with any bytes in any place is reported: no traceback, and never "all in order"."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "record")
        shutil.copytree(laboratory.record, root)
        old = (root / path).read_bytes() if (root / path).exists() else b""
        start = data.draw(st.integers(0, len(old)))
        end = data.draw(st.integers(start, min(len(old), start + 40)))
        new = old[:start] + data.draw(st.binary(max_size=40)) + old[end:]
        (root / path).write_bytes(new)
        # Armour and certificates may be written in several ways; what they say must be the same.
        assert (
            answered(root, laboratory) is False
            or new == old
            or path.endswith((".pem", ".pub", ".sshsig", ".tsr"))
        )


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    rows: Any = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return found + [place for key, inner in rows for place in _places(inner, (*path, key))]


@settings(SLOW, max_examples=150)
@given(place=st.sampled_from(_places(facts())), value=JSON, drop=st.booleans())
def test_any_fact_may_be_anything(
    place: tuple[str | int, ...],
    value: Any,
    drop: bool,  # noqa: FBT001 - hypothesis passes by name
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A record whose facts have any value in any place is verified and shown, or refused by us."""
    root = tmp_path_factory.mktemp("any") / "record"
    found = facts()
    inner: Any = found
    for key in place[:-1]:
        inner = inner[key]
    if drop:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    fill(root)
    (root / FACTS).write_text(json.dumps(found))
    sealed(root)
    check = verify(root)
    if check.record.facts:
        list(lines_of_facts(check.record.facts))
    said = statements.about(check, when="", machine={}, rerun=None)
    statements.write(said, root.parent / "said.json")
    with CliRunner().isolation():
        show(check)
    laid_out(root, root.parent / "cache")
    shutil.rmtree(root.parent)


def laid_out(root: Path, cache: Path) -> None:
    """Lay a record out as a source; an error of ours is fine."""
    try:
        source = FromRecord().fetch(str(root), ref="", into=cache)
    except LemanError:
        return
    assert source.path.is_relative_to(cache)


@SLOW
@given(lines=st.lists(st.text(max_size=30) | st.just("ab" * 32 + "  data/source/a.ipynb")))
def test_any_text_may_be_a_manifest(lines: list[str], laboratory: Lab) -> None:
    """Manifests, fetch.txt and bag-info.txt of any text are reported."""
    text = "\n".join(lines).encode(errors="surrogatepass")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "record")
        shutil.copytree(laboratory.record, root)
        for path in (MANIFEST, FETCH, INFO):
            (root / path).write_bytes(text)
        assert answered(root, laboratory) is False


def as_nobody(code: str, *arguments: str) -> str:
    """Run Python as a user whom rights apply to, which they do not to root."""
    done = subprocess.run(
        [sys.executable, "-c", _BECOME_NOBODY + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"},
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


# Imported first: the interpreter may lie where nobody but root may look.
_BECOME_NOBODY = """
import os, sys
from pathlib import Path
import leman.records.stamps.rfc3161
from leman.errors import LemanError
from leman.records.verify import verify
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""
_VERIFY = """
try:
    check = verify(Path(sys.argv[1]))
except LemanError as error:
    print("refused", error.message)
else:
    print(*{one.code for one in check.findings}, check.answers[0].value)
"""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "refused"),
        ("data", "unreadable"),
        ("data/source", "unreadable"),
        (SIGNATURES, "unreadable"),
        (NOTEBOOK, "unreadable"),
        (FACTS, "bad-facts"),
        (DECLARATION, "bad-declaration"),
        (INFO, "bad-info"),
        (MANIFEST, "unreadable"),
        (TAG_MANIFEST, "unreadable"),
        (f"{SIGNATURES}/alice.sshsig", "bad-signature"),
        (f"{SIGNATURES}/alice.pub", "bad-signature"),
        (f"{STAMPS}/alice.tsr", "bad-stamp"),
        (f"{STAMPS}/alice.pem", "bad-stamp"),
        (f"{STATEMENTS}/referee.json", "bad-statement"),
    ],
)
def test_what_may_not_be_read_is_told(path: str, told: str, laboratory: Lab) -> None:
    """A folder or file without the right to read it is a finding, not a traceback."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        root = Path(name, "record")
        shutil.copytree(laboratory.record, root)
        Path(name).chmod(0o755)
        for one in (root, *root.rglob("*")):
            one.chmod(0o755 if one.is_dir() else 0o644)
        (root / path).chmod(0)
        out = as_nobody(_VERIFY, str(root))
        (root / path).chmod(0o755)
    assert told in out
    assert out.strip().endswith("no") or told == "refused"


def test_a_file_that_grows_while_it_is_read_has_no_digest(tmp_path: Path) -> None:
    """One that somebody writes to as fast as it is read does not keep the reader for ever."""
    path, stop = tmp_path / "growing", threading.Event()
    path.write_bytes(b"x" * 50_000_000)

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"y" * 1_000_000)
                file.flush()
                if file.tell() > 2_000_000_000:
                    return

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        [(_, digest, _, trouble)] = digests([("growing", str(path))])
    finally:
        stop.set()
        writer.join()
    assert (digest, trouble) == ("", "it changed while it was read")


def test_facts_are_those_that_were_checked(
    laboratory: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file exchanged between the check of its digest and its reading is found out."""
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    original = digests

    def exchanged(jobs: Any) -> Any:
        yield from original(jobs)
        text = (root / FACTS).read_text()
        (root / FACTS).write_text(text.replace("Sunspots", "Moonspots"))

    monkeypatch.setattr(checking, "digests", exchanged)
    check = verify(root)
    assert [one.code for one in check.findings] == ["bad-facts"]
    assert check.record.facts == {}


def test_a_tag_manifest_exchanged_meanwhile_is_found_out(
    laboratory: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is signed must be what was checked, at the beginning and at the end."""
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    original = known_facts.read

    def exchanged(*given: Any) -> Any:
        (root / TAG_MANIFEST).write_bytes((laboratory.other / TAG_MANIFEST).read_bytes())
        return original(*given)

    monkeypatch.setattr(known_facts, "read", exchanged)
    check = verify(root)
    assert ("changed", TAG_MANIFEST) in [(one.code, one.where) for one in check.findings]
    assert check.answer(Question.INTACT).value is Value.NO


@pytest.mark.parametrize("name", ["none", "a\0b", "x" * 5000])
def test_what_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    """A path that leads nowhere, or cannot be one, is an error of ours."""
    with pytest.raises(SourceError):
        verify(tmp_path / name)


_MEMORY = """
import sys
from pathlib import Path
from leman.records.verify import verify
check = verify(Path(sys.argv[1]))
print(check.files, len(check.findings), check.answers[0].value)
# Not getrusage, whose peak is that of the parent where it was larger.
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if "VmHWM" in line))
"""


def test_a_hundred_thousand_files_fit_into_150_megabytes(tmp_path: Path) -> None:
    """Memory is bounded: the record of 10^5 files is verified within 150 MB."""
    root = tmp_path / "record"
    fill(root)
    for folder in range(100):
        place = root / "data" / "source" / f"a folder of measurements {folder:03}"
        place.mkdir()
        for number in range(1000):
            (place / f"measurement {number:04}.csv").touch()
    sealed(root)
    count = sum(len(names) for _, _, names in os.walk(root))
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(root)], capture_output=True, text=True, check=True
    )
    shutil.rmtree(root)
    told, peak = done.stdout.splitlines()
    assert told == f"{count} 0 yes"
    assert int(peak) <= 150
