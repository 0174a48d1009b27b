"""From what a user types to a source; and what happens when fetching is cut short."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import pytest
from source_places import commit, run_git, sample, write
from test_provider_archive import zipped

from leman.backends import load
from leman.environments.fetch import PROVIDERS, fetch
from leman.environments.providers import store
from leman.environments.providers.store import Laid
from leman.errors import ConfigError, SourceError, SpaceError, ToolError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("gh:o/n", "git"),
        ("https://github.com/o/n", "git"),
        ("git@github.com:o/n.git", "git"),
        ("https://zenodo.org/records/12", "invenio"),
        ("https://zenodo.org/records/12/files/x.zip", "invenio"),
        ("10.5281/zenodo.12", "invenio"),
        ("https://example.org/x.tar.gz?download=1", "archive"),
        ("https://github.com/o/n/archive/refs/tags/v1.zip", "archive"),
        ("file:///no/such.git", "git"),
        (".", "folder"),
    ],
)
def test_the_first_provider_in_order_takes_it(spec: str, kind: str) -> None:
    """Each form has one reading, although several providers might know it."""
    taken = [name for name in PROVIDERS if load(PROVIDERS, name)().detect(spec) is not None]
    assert taken[0] == kind


def test_local_things_are_told_apart(tmp_path: Path) -> None:
    """A bare repository, a work tree, a notebook and an archive are each read as what they are."""
    head = commit(tmp_path / "work", sample())
    run_git(tmp_path, "clone", "-q", "--bare", "work", "bare")
    cache = tmp_path / "cache"
    assert fetch(str(tmp_path / "bare"), cache=cache).path.is_relative_to(cache)
    assert fetch((tmp_path / "bare").as_uri(), cache=cache).revision == head
    assert fetch((tmp_path / "work").as_uri(), cache=cache).path.is_relative_to(cache)
    assert fetch(str(tmp_path / "work"), cache=cache).path == tmp_path / "work"
    notebook = str(tmp_path / "work" / "analysis.ipynb")
    assert fetch(notebook, cache=cache).notebooks == ("analysis.ipynb",)
    archive = zipped(tmp_path / "s.zip", sample())
    assert fetch(str(archive), cache=cache).content_id.startswith("sha256:")


@pytest.mark.parametrize(
    "spec", ["", " ", "-x", "--upload-pack=touch x", "ext::sh -c date", "a\nb", "no/such/folder"]
)
def test_what_is_no_source_is_told_the_forms(spec: str, tmp_path: Path) -> None:
    """A spec that names nothing is answered with all forms that exist; options never pass."""
    with pytest.raises(SourceError) as caught:
        fetch(spec, cache=tmp_path / "cache")
    assert "gh:owner/name" in caught.value.hint


@pytest.mark.parametrize("ref", ["-x", "--upload-pack=x", "a..b", "a b", "x\n", "a@{1}", "a:b"])
def test_a_hostile_ref_is_refused(ref: str, tmp_path: Path) -> None:
    """A ref that git could take for an option or an expression is refused before git sees it."""
    with pytest.raises(SourceError, match="cannot be"):
        fetch(".", ref=ref, cache=tmp_path / "cache")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    """A file that is neither notebook nor archive is told so."""
    write(tmp_path, {"paper.pdf": "x"})
    with pytest.raises(SourceError, match="neither a notebook nor an archive"):
        fetch(str(tmp_path / "paper.pdf"), cache=tmp_path / "cache")


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Two processes that fetch the same repository both end well with the same tree."""
    commit(tmp_path / "work", {**sample(), **{f"f{n}": "x" * n for n in range(300)}})
    run_git(tmp_path, "clone", "-q", "--bare", "work", "bare")
    code = (
        "import sys, pathlib; from leman.environments.fetch import fetch;"
        "print(fetch(sys.argv[1], cache=pathlib.Path(sys.argv[2])).path)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "bare"), str(tmp_path / "cache")]
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1
    assert len(list((tmp_path / "cache" / "sources").iterdir())) == 1


def test_a_killed_fetch_is_swept_by_the_next(tmp_path: Path) -> None:
    """After kill -9 in the middle, the next fetch of anything cleans up, and succeeds."""
    cache = tmp_path / "cache"
    code = (
        "import sys, pathlib, time; from leman.environments.providers.store import *\n"
        "cache = pathlib.Path(sys.argv[1])\n"
        "def build(tree):\n"
        "    (tree / 'half').write_text('x'); print('there', flush=True); time.sleep(60)\n"
        "with locked(cache, 'git-0'): laid(cache, 'git-0', build)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(cache)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    archive = str(zipped(tmp_path / "s.zip", sample()))
    fetch(archive, cache=cache)
    assert (cache / "sources" / ".partial-git-0").exists()  # alive, so it is left alone
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(0)
    fetch(str(zipped(tmp_path / "t.zip", {**sample(), "more": ""})), cache=cache)
    assert list(cache.glob("sources/.partial-*")) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """No space while a source is laid out is a SpaceError, and what was written is gone."""

    def build(tree: Path) -> NoReturn:
        (tree / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SpaceError, match="full"), store.locked(tmp_path, "k"):
        store.laid(tmp_path, "k", build)
    assert list((tmp_path / "sources").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_git_on_a_full_disk_is_told(tmp_path: Path) -> None:
    """When git itself meets the end of a small disk, the message says so and nothing stays."""
    commit(tmp_path / "work", {"big": os.urandom(3_000_000)})
    run_git(tmp_path, "clone", "-q", "--bare", "work", "bare")
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with pytest.raises(SpaceError):
            fetch(str(tmp_path / "bare"), cache=small)
        assert list((small / "sources").iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A cache folder that is a file ends in a message about LEMAN_HOME, not in a traceback."""
    (tmp_path / "cache").write_text("")
    commit(tmp_path / "work", sample())
    with pytest.raises(ConfigError, match="cannot be written"):
        fetch(str(tmp_path / "work"), ref="main", cache=tmp_path / "cache")


def test_what_is_stored_is_what_was_made(tmp_path: Path) -> None:
    """Missing files, findings and date come back from the cache as they went in."""
    with store.locked(tmp_path, "k"):
        first = store.laid(tmp_path, "k", lambda tree: Laid(tree, ("a", "b")))
    assert store.found(tmp_path, "k") == first
    assert first.missing == ("a", "b")


def test_a_missing_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git the message names it."""
    commit(tmp_path / "work", sample())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="git is not installed"):
        fetch("https://example.org/o/n", cache=tmp_path / "cache")
