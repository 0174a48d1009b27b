"""What `leman publish` leaves behind, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from record_samples import write_source

from leman.environments.fetch import fetch
from leman.errors import SourceError, UsageError
from leman.records.publish import Wanted, public_url, publish
from leman.records.swhid import revision_swhid
from leman.records.verify import verify
from leman.reproduction import report as reports
from leman.reproduction.options import Nobody, Options
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from pathlib import Path

    from record_samples import Sample

    from leman.config import Settings


def _publish(source: Path, output: Path, home: Settings, **wanted: object) -> object:
    return publish(
        str(source),
        output,
        settings=home,
        wanted=Wanted(ssh=output.parent / "no-keys", **wanted),  # type: ignore[arg-type]
        options=Options(),
        watcher=Nobody(),
    )


def test_a_record_holds_the_files_as_they_were_stored(sample: Sample) -> None:
    """Every file of the source is in the record byte by byte; a link inside it became a file."""
    stored = sample.done.record.source
    names = {path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()}
    assert names == {
        *("README.md", "requirements.txt", "runtime.txt", "tool.sh", "mean.ipynb", "draws.ipynb"),
        *("data/heights.csv", "data/odd name, é.txt", "sub/again.csv"),
    }
    for name in names:
        assert (stored / name).read_bytes() == (sample.source / name).read_bytes()


def test_what_stays_out_is_told_and_why(sample: Sample) -> None:
    """Secrets and links that leave are named in the facts; empty folders and modes are kept."""
    source = sample.done.record.facts["source"]
    why = {one["path"]: one["why"] for one in source["left_out"]}
    assert why[".env"] == "it looks like a secret"
    assert why["leaves"] == "a link that leaves the source"
    assert source["executable"] == ["tool.sh"]
    assert source["empty_folders"] == ["out"]


def test_nothing_of_this_machine_is_in_a_record(sample: Sample) -> None:
    """No file of the record names a folder of the machine that it was published on."""
    for path in sample.done.record.path.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".html", ".txt", ".toml", ".ipynb", ".pub"}:
            text = path.read_text()
            assert str(sample.source.parent) not in text, path
            assert str(sample.home) not in text, path


def test_the_facts_tell_what_ran_and_what_is_exempt(sample: Sample) -> None:
    """Notebooks, environments, answers and the author's tags stand in the facts."""
    facts = sample.done.record.facts
    assert {one["path"]: one["status"] for one in facts["notebooks"]} == {
        "mean.ipynb": "ran",
        "draws.ipynb": "ran",
    }
    (environment,) = facts["environments"]
    assert sorted(environment["notebooks"]) == ["draws.ipynb", "mean.ipynb"]
    assert (sample.done.record.path / "data" / environment["lock"]).is_file()
    assert facts["exempt"] == [{"notebook": "draws.ipynb", "cell": 2, "tag": "leman:exempt"}]
    assert {name: one["value"] for name, one in facts["answers"].items()} == dict.fromkeys(
        ("intact", "signed", "dated", "reruns", "same results"), "yes"
    )


def test_a_key_is_made_for_who_has_none_and_kept(sample: Sample) -> None:
    """Without an SSH key one is made below LEMAN_HOME, for its owner alone."""
    assert sample.done.key is not None
    assert sample.done.key.path == sample.home / "keys" / "leman_ed25519"
    assert sample.done.key.path.stat().st_mode & 0o077 == 0


def test_a_folder_in_the_way_is_left_alone(
    sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """A folder with files is never written to; the message says what to do."""
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already") as caught:
        _publish(sample.source, tmp_path / "record", shared_home)
    assert "new folder" in caught.value.hint
    assert [path.name for path in tmp_path.rglob("*")] == ["record", "mine.txt"]


def test_an_earlier_report_is_taken_for_this_very_source(
    sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """With --report nothing runs again, and a report of other files is refused."""
    source = fetch(str(sample.source), cache=shared_home.cache)
    done = reproduce(source, output=tmp_path / "report", settings=shared_home)
    reports.write(done, tmp_path / "report")
    _publish(sample.source, tmp_path / "record", shared_home, report=tmp_path / "report")
    assert verify(tmp_path / "record").holds
    assert str(sample.source) not in (tmp_path / "record/data/report/report.json").read_text()
    other = write_source(tmp_path / "other")
    (other / "README.md").write_text("# Changed\n")
    with pytest.raises(UsageError, match="the source is now"):
        _publish(other, tmp_path / "second", shared_home, report=tmp_path / "report")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Data.csv", "data.csv"), "one file on some systems"),
        (("caf\u00e9.csv", "cafe\u0301.csv"), "one file on some systems"),
        (("aux.csv",), "names a device"),
    ],
)
def test_names_that_some_systems_cannot_hold_are_refused(
    names: tuple[str, ...], words: str, sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """A record must be the same on every system, so such names are named and refused."""
    source = shutil.copytree(sample.source, tmp_path / "source", symlinks=True)
    for name in names:
        (source / name).write_text(name)
    done = reproduce(
        fetch(str(source), cache=shared_home.cache),
        output=tmp_path / "report",
        settings=shared_home,
    )
    reports.write(done, tmp_path / "report")
    with pytest.raises(SourceError, match=words):
        _publish(source, tmp_path / "record", shared_home, report=tmp_path / "report")
    assert not (tmp_path / "record").exists()


def test_a_killed_publication_leaves_nothing_and_the_next_one_cleans_up(
    tmp_path: Path, shared_home: Settings
) -> None:
    """After kill -9 in the midst there is no record; publishing again works and tidies."""
    source = write_source(tmp_path / "tides")
    slow = json.loads((source / "mean.ipynb").read_text())
    slow["cells"][0]["source"] = "import time, pathlib; time.sleep(60)"
    (source / "mean.ipynb").write_text(json.dumps(slow))
    command = [sys.executable, "-m", "leman.cli.main", "publish", str(source)]
    code = "from leman.cli.main import main; main()"
    command = [sys.executable, "-c", code, "publish", str(source), "-o", str(tmp_path / "r")]
    environment = {**os.environ, "LEMAN_HOME": str(shared_home.home)}
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".leman-publishing-r.new-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "r").exists()
    assert list(tmp_path.glob(".leman-publishing-r.new-*"))
    shutil.rmtree(source)
    write_source(source)
    _publish(source, tmp_path / "r", shared_home)
    assert verify(tmp_path / "r").holds
    assert not list(tmp_path.glob(".leman-publishing-*"))


def test_a_record_is_published_within_its_source_again_and_again(
    sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """Reports and records inside the source are no part of it: publishing again gives as much."""
    source = shutil.copytree(sample.source, tmp_path / "tides", symlinks=True)
    done = reproduce(
        fetch(str(source), cache=shared_home.cache), output=source / "report", settings=shared_home
    )
    reports.write(done, source / "report")
    for name in ("record", "second"):
        _publish(source, source / name, shared_home, report=source / "report")
        assert verify(source / name).holds
        stored = source / name / "data" / "source"
        assert not (stored / "report").exists()
        assert not (stored / "record").exists()
    facts = verify(source / "second").record.facts
    assert len(facts["notebooks"]) == 2
    why = {one["path"]: one["why"] for one in facts["source"]["left_out"]}
    assert why["record"] == why["report"] == "a report or record that leman made"


def test_the_source_of_a_clone_is_its_origin_without_a_password(
    tmp_path: Path, shared_home: Settings
) -> None:
    """A record names the address that others can clone, never a folder or a secret of one's own."""
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    source = write_source(tmp_path / "tides")
    (source / "leaves").unlink()
    subprocess.run([*git, "init", "-q", source], check=True)
    subprocess.run([*git, "-C", source, "add", "."], check=True)
    subprocess.run([*git, "-C", source, "commit", "-qm", "x"], check=True)
    url = "https://me:secret@example.org/tides.git"
    subprocess.run([*git, "-C", source, "remote", "add", "origin", url], check=True)
    found = fetch(str(source), cache=shared_home.cache)
    assert public_url(found) == "https://example.org/tides.git"
    commit = subprocess.run(
        [*git, "-C", source, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert revision_swhid(found.content_id) == f"swh:1:rev:{commit}"
    (source / "README.md").write_text("# Changed\n")
    assert revision_swhid(fetch(str(source), cache=shared_home.cache).content_id) == ""


def test_a_record_is_not_published_again(
    sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """A record made of a record would hide its source: the message names `leman sign`."""
    with pytest.raises(SourceError, match="a record already") as caught:
        _publish(sample.done.record.path, tmp_path / "r", shared_home)
    assert "leman sign" in caught.value.hint
