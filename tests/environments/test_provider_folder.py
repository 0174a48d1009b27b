"""Folders and notebooks on this disk as sources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from source_places import commit, notebook, run_git, sample, write

from leman.environments.providers.folder import Folder, digest
from leman.environments.testing import ProviderContract
from leman.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Source


def fetch(path: Path, cache: Path, ref: str = "") -> Source:
    """Fetch by the provider alone."""
    address = Folder().detect(str(path))
    assert address is not None
    return Folder().fetch(address, ref=ref, into=cache)


class TestPlainFolder(ProviderContract):
    """A folder that is in no repository."""

    @pytest.fixture
    def provider(self) -> Folder:
        return Folder()

    @pytest.fixture
    def spec(self, tmp_path: Path) -> str:
        return str(write(tmp_path / "study", sample()))

    @pytest.fixture
    def broken(self, tmp_path: Path) -> str:
        commit(tmp_path / "repository", {**sample(), "src/lib.py": ""})
        return str(tmp_path / "repository" / "src")


class TestWorkTree(ProviderContract):
    """The top of a git work tree."""

    @pytest.fixture
    def provider(self) -> Folder:
        return Folder()

    @pytest.fixture
    def spec(self, tmp_path: Path) -> str:
        commit(tmp_path / "study", sample())
        return str(tmp_path / "study")

    @pytest.fixture
    def broken(self, tmp_path: Path) -> str:
        commit(tmp_path / "repository", {**sample(), "src/lib.py": ""})
        return str(tmp_path / "repository" / "src")


def test_a_clean_work_tree_is_named_by_its_commit(tmp_path: Path) -> None:
    """A clean tree has the commit's id; any edit, also an untracked file, gives another one."""
    work = tmp_path / "work"
    head = commit(work, {**sample(), ".gitignore": "out/\n"})
    write(work, {"out/ignored": "1", ".ipynb_checkpoints/a.ipynb": "{}"})
    assert fetch(work, tmp_path / "cache").content_id == f"git:{head}"
    write(work, {"new.txt": "1"})
    dirty = fetch(work, tmp_path / "cache")
    assert dirty.content_id.startswith("sha256:")
    assert dirty.revision == f"{head}-dirty"
    write(work, {"new.txt": "2"})
    assert fetch(work, tmp_path / "cache").content_id != dirty.content_id


def test_reading_a_work_tree_changes_nothing_in_it(tmp_path: Path) -> None:
    """Neither files nor the repository are written to, not even git's index."""
    work = tmp_path / "work"
    commit(work, sample())
    for path in work.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    before = {path: path.lstat() for path in work.rglob("*")}
    fetch(work, tmp_path / "cache")
    assert {path: path.lstat().st_mtime_ns for path in work.rglob("*")} == {
        path: info.st_mtime_ns for path, info in before.items()
    }


def test_configuration_of_a_work_tree_runs_nothing(tmp_path: Path) -> None:
    """A work tree whose configuration names programs is read without running them."""
    work = tmp_path / "work"
    commit(work, {**sample(), ".gitattributes": "* filter=evil\n"})
    for name in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor", "core.sshCommand"):
        run_git(work, "config", name, f"touch {tmp_path / 'trapped'}; cat")
    write(work, {"data/table.csv": "x\n3\n"})
    fetch(work, tmp_path / "cache")
    assert not (tmp_path / "trapped").exists()


def test_a_folder_in_a_repository_keeps_the_repository(tmp_path: Path) -> None:
    """A sub-folder or a notebook has the repository's top as root and only its own notebooks."""
    work = tmp_path / "work"
    files = {"n/deep/a.ipynb": notebook("1"), "n/b.ipynb": notebook("2"), "c.ipynb": notebook("3")}
    commit(work, {**files, "requirements.txt": "numpy\n", "data/x": ""})
    source = fetch(work / "n", tmp_path / "cache")
    assert (source.path, source.notebooks) == (work, ("n/b.ipynb", "n/deep/a.ipynb"))
    source = fetch(work / "n" / "deep" / "a.ipynb", tmp_path / "cache")
    assert (source.path, source.notebooks) == (work, ("n/deep/a.ipynb",))


def test_a_folder_that_declares_an_environment_is_its_own_root(tmp_path: Path) -> None:
    """An example project inside somebody's repository is not mixed up with that repository."""
    work = tmp_path / "work"
    files = {"ex/requirements.txt": "", "ex/n/a.ipynb": notebook("1"), "setup.py": ""}
    head = commit(work, files)
    source = fetch(work / "ex" / "n", tmp_path / "cache")
    assert (source.path, source.subfolder) == (work / "ex", "ex")
    assert source.notebooks == ("n/a.ipynb",)
    assert source.content_id == f"git:{head}"
    source = fetch(work / "ex", tmp_path / "cache")
    assert (source.path, source.notebooks) == (work / "ex", ())


def test_a_notebook_outside_of_a_repository_has_its_folder(tmp_path: Path) -> None:
    """A single notebook in no repository is read with the files around it."""
    write(tmp_path / "d", sample())
    source = fetch(tmp_path / "d" / "analysis.ipynb", tmp_path / "cache")
    assert (source.path, source.notebooks) == (tmp_path / "d", ("analysis.ipynb",))
    assert source.git_dir is None


def test_a_home_under_version_control_is_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook in a home whose settings are a repository does not drag all the home along."""
    commit(tmp_path, {".bashrc": ""})
    write(tmp_path / "downloads", sample())
    monkeypatch.setenv("HOME", str(tmp_path))
    source = fetch(tmp_path / "downloads", tmp_path / ".cache")
    assert source.path == tmp_path / "downloads"


def test_a_ref_is_taken_from_the_repository_around(tmp_path: Path) -> None:
    """With a ref the commit is laid out in the cache, and the work tree stays as it is."""
    work = tmp_path / "work"
    commit(work, {"n/a.ipynb": notebook("1"), "v": "old"})
    run_git(work, "tag", "v1")
    commit(work, {"v": "new"})
    source = fetch(work / "n", tmp_path / "cache", ref="v1")
    assert (source.path / "v").read_text() == "old"
    assert source.notebooks == ("n/a.ipynb",)
    assert (work / "v").read_text() == "new"
    with pytest.raises(SourceError, match="v2"):
        fetch(work, tmp_path / "cache", ref="v2")
    with pytest.raises(SourceError, match="not in a git repository"):
        fetch(write(tmp_path / "plain", sample()), tmp_path / "cache", ref="v1")


def test_linked_work_trees_and_new_repositories_are_read(tmp_path: Path) -> None:
    """A linked work tree has its repository's history; a repository without a commit has none."""
    work = tmp_path / "work"
    head = commit(work, sample())
    run_git(work, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    assert fetch(tmp_path / "linked", tmp_path / "cache").content_id == f"git:{head}"
    new = write(tmp_path / "new", sample())
    run_git(new, "init", "-q")
    source = fetch(new, tmp_path / "cache")
    assert source.content_id.startswith("sha256:")
    assert source.git_dir is None


def test_pointers_and_empty_submodules_are_missing(tmp_path: Path) -> None:
    """What was never pulled is named with the command that pulls it."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    commit(tmp_path / "tools", {"lib.py": ""})
    work = tmp_path / "work"
    commit(work, {**sample(), "big.h5": pointer})
    run_git(work, "submodule", "add", "-q", str(tmp_path / "tools"), "tools")
    commit(work, {})
    run_git(work, "submodule", "deinit", "-q", "-f", "tools")
    source = fetch(work, tmp_path / "cache")
    assert source.missing == ("big.h5", "tools")
    assert [one.code for one in source.findings] == ["lfs-pointer", "submodule-not-fetched"]


def test_the_digest_knows_names_modes_contents_and_links(tmp_path: Path) -> None:
    """Each of name, mode, content and link target counts; tools' own folders and times do not."""
    root = write(tmp_path / "r", {"a": "1" * 70_000, "b": "2"})
    os.utime(root / "a", (1_500_000_000, 1_500_000_000))
    seen = [digest(root, tmp_path / "cache")]
    assert digest(root, tmp_path / "cache") == seen[0]
    write(root, {"__pycache__/x": "1", ".venv/x": "1", "env/pyvenv.cfg": "", "env/bin/x": "1"})
    assert digest(root, tmp_path / "cache") == seen[0]
    (root / "b").chmod(0o755)
    seen.append(digest(root, tmp_path / "cache"))
    (root / "b").rename(root / "c")
    seen.append(digest(root, tmp_path / "cache"))
    write(root, {"a": "3" * 70_000})
    seen.append(digest(root, tmp_path / "cache"))
    (root / "l").symlink_to("a")
    seen.append(digest(root, tmp_path / "cache"))
    (root / "l").unlink()
    (root / "l").symlink_to("c")
    seen.append(digest(root, tmp_path / "cache"))
    assert len(set(seen)) == len(seen)
