"""Names of folders and commits are those that git itself gives."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leman.errors import SourceError
from leman.records.swhid import directory_swhid, revision_swhid

NAMES = st.one_of(
    st.sampled_from(["a", "a.b", "a-b", "a0", "A", "ab", "é", "e\u0301", "a b", "\n", "-x", "_"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name.lower() not in {".", "..", ".git"} and len(name.encode()) < 100
    ),
)
LEAVES = st.tuples(st.sampled_from(["file", "program", "link"]), st.binary(max_size=40))
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=5),
    lambda inner: st.dictionaries(NAMES, st.one_of(LEAVES, inner), max_size=5),
    max_leaves=12,
)


@lru_cache
def _git_dir() -> str:
    """Make one empty repository for all questions."""
    path = tempfile.mkdtemp(prefix="leman-test-git-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    return path


def by_git(root: Path) -> str:
    """Ask git itself: everything added to a new index, the tree written."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": scratch,
            "GIT_DIR": _git_dir(),
            "GIT_WORK_TREE": str(root),
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

        def git(*arguments: str) -> str:
            settings = ("core.protectHFS=false", "core.protectNTFS=false", "core.autocrlf=false")
            options = [word for one in settings for word in ("-c", one)]
            run = ["git", *options, *arguments]
            done = subprocess.run(run, env=environment, cwd=root, capture_output=True, check=True)
            return done.stdout.decode().strip()

        git("add", "--all", "--force", ".")
        return f"swh:1:dir:{git('write-tree')}"


def lay_out(root: Path, tree: dict[str, object]) -> None:
    """Make the files, links and folders of a tree of hypothesis."""
    for name, content in tree.items():
        path = root / name
        if isinstance(content, dict):
            path.mkdir()
            lay_out(path, content)
            continue
        assert isinstance(content, tuple)
        kind, data = content
        if kind == "link":
            path.symlink_to(f"to-{data.hex()}")
        else:
            path.write_bytes(data)
            path.chmod(0o755 if kind == "program" else 0o644)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(tree=TREES)
def test_any_folder_is_named_as_git_names_it(tree: dict[str, object]) -> None:
    """Odd names, executable files, links, nested and empty folders: the name is that of git."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        lay_out(root, tree)
        assert directory_swhid(root) == by_git(root)


def test_an_empty_folder_has_the_name_of_the_empty_tree(tmp_path: Path) -> None:
    """Folders without files are left out, down to a source that has none at all."""
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    assert directory_swhid(tmp_path) == "swh:1:dir:4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_names_that_are_no_text_are_hashed_as_they_are(tmp_path: Path) -> None:
    """A file name in Latin-1 has the bytes that git sees."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("x")
    assert directory_swhid(tmp_path) == by_git(tmp_path)


def test_a_large_file_is_read_in_blocks(tmp_path: Path) -> None:
    """A file of several blocks has the name that `git hash-object` gives it."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * 20_000)
    assert directory_swhid(tmp_path) == by_git(tmp_path)


def test_very_deep_folders_are_no_recursion(tmp_path: Path) -> None:
    """Fifteen hundred folders inside each other are named, too."""
    path = tmp_path
    try:
        for _ in range(1500):
            path /= "d"
            path.mkdir()
        (path / "f").write_text("x")
        assert directory_swhid(tmp_path) == by_git(tmp_path)
    finally:  # which is too deep for Python's own way to remove folders
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_history_and_what_is_skipped_are_left_out(tmp_path: Path) -> None:
    """A `.git` at any depth, devices and what the caller skips do not count."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("x")
    expected = directory_swhid(tmp_path)
    (tmp_path / "a" / ".git").mkdir()
    (tmp_path / "a" / ".git" / "HEAD").write_text("x")
    (tmp_path / "a" / "cache").mkdir()
    (tmp_path / "a" / "cache" / "big").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    assert directory_swhid(tmp_path, skip=lambda path: path == "a/cache") == expected


def test_modes_that_were_lost_can_be_given(tmp_path: Path) -> None:
    """A record that came through a medium without modes still has its name."""
    script = tmp_path / "bin" / "run.sh"
    script.parent.mkdir()
    script.write_text("x")
    script.chmod(0o755)
    stored = directory_swhid(tmp_path)
    script.chmod(0o644)
    assert directory_swhid(tmp_path) != stored
    assert directory_swhid(tmp_path, executable=("bin/run.sh",)) == stored
    script.chmod(0o755)
    assert directory_swhid(tmp_path, executable=()) != stored


def test_a_source_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder that is not there is an error of leman, not a traceback."""
    with pytest.raises(SourceError, match="could not be read"):
        directory_swhid(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "v1.0", "2026-11-25", "a" * 64, "g" * 40])
def test_only_commits_have_the_name_of_a_revision(name: str) -> None:
    """A version, a date or a SHA-256 is no revision that a SWHID can name."""
    assert revision_swhid(name) == ""
    assert revision_swhid("git:" + "A1" * 20) == "swh:1:rev:" + "a1" * 20
