"""Git repositories as sources."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_places import commit, notebook, run_git, sample, site, write

from leman.environments.git import check_ref, git_remote
from leman.environments.history import cell_dates
from leman.environments.providers.addresses import Address, read_address
from leman.environments.providers.folder import digest
from leman.environments.providers.git import Git
from leman.environments.providers.submodules import join
from leman.environments.testing import ProviderContract
from leman.errors import SourceError, ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from source_places import Site

    from leman.environments.model import Source


GH = "https://github.com/o/n.git"
PAGE = "/github/o/n/blob/m/x.ipynb"


def bare(work: Path, target: Path) -> Path:
    """Return a bare clone of a repository."""
    run_git(work, "clone", "-q", "--bare", str(work), str(target))
    return target


def fetch(spec: str | Path, cache: Path, ref: str = "") -> Source:
    """Fetch by the provider alone."""
    address = Git().detect(str(spec))
    assert address is not None
    return Git().fetch(address, ref=ref, into=cache)


def without(repository: Path, *oids: str) -> None:
    """Take objects out of a bare repository, as a partial clone lacks them."""
    packs = list((repository / "objects" / "pack").glob("*.pack"))
    for pack in packs:
        moved = repository / pack.name
        pack.rename(moved)
        with moved.open("rb") as file:
            subprocess.run(
                ["git", f"--git-dir={repository}", "unpack-objects", "-q"], stdin=file, check=True
            )
        moved.unlink()
    for oid in oids:
        (repository / "objects" / oid[:2] / oid[2:]).unlink()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Site]:
    """Serve the repositories in tmp_path/served over HTTP, with filters allowed."""
    with site() as made:
        made.git_root = tmp_path / "served"
        yield made


def served(tmp_path: Path, work: Path, name: str = "study.git", *, filters: bool = True) -> Path:
    """Put a bare clone of `work` where `web` serves it."""
    target = bare(work, tmp_path / "served" / name)
    run_git(target, "config", "uploadpack.allowFilter", "true" if filters else "false")
    run_git(target, "config", "uploadpack.allowAnySHA1InWant", "true")
    return target


class TestBareDirectory(ProviderContract):
    """A bare git directory on this disk."""

    @pytest.fixture
    def provider(self) -> Git:
        return Git()

    @pytest.fixture
    def spec(self, tmp_path: Path) -> str:
        commit(tmp_path / "work", sample())
        return str(bare(tmp_path / "work", tmp_path / "study.git"))

    @pytest.fixture
    def broken(self, tmp_path: Path) -> str:
        run_git(tmp_path, "init", "-q", "--bare", str(tmp_path / "empty.git"))
        return str(tmp_path / "empty.git")


class TestServer(ProviderContract):
    """A repository on a server."""

    @pytest.fixture
    def provider(self) -> Git:
        return Git()

    @pytest.fixture
    def spec(self, tmp_path: Path, web: Site) -> str:
        commit(tmp_path / "work", sample())
        served(tmp_path, tmp_path / "work")
        return f"{web.url}/git/study.git"

    @pytest.fixture
    def broken(self, web: Site) -> str:
        return f"{web.url}/git/absent.git"


def test_absent_blobs_are_reported_and_the_rest_is_there(tmp_path: Path) -> None:
    """A partial repository gives what it has, names what it lacks, and is not written to."""
    work = tmp_path / "work"
    commit(work, {**sample(), "data/big.bin": "lost", "ü file.txt": "kept"})
    repository = bare(work, tmp_path / "r.git")
    without(repository, run_git(work, "rev-parse", "HEAD:data/big.bin"))
    before = digest(repository, tmp_path / "d")
    source = fetch(repository, tmp_path / "cache")
    assert source.missing == ("data/big.bin",)
    assert [one.code for one in source.findings] == ["missing-blob"]
    assert (source.path / "ü file.txt").read_text() == "kept"
    assert not (source.path / "data" / "big.bin").exists()
    assert digest(repository, tmp_path / "d") == before
    assert source.git_dir == repository


def test_a_complete_clone_is_not_confused_with_a_partial_one(tmp_path: Path) -> None:
    """The same commit from a partial and then a whole repository gives all files in the end."""
    work = tmp_path / "work"
    commit(work, {**sample(), "big.bin": "lost"})
    partial, whole = bare(work, tmp_path / "p.git"), bare(work, tmp_path / "w.git")
    without(partial, run_git(work, "rev-parse", "HEAD:big.bin"))
    first, second = fetch(partial, tmp_path / "cache"), fetch(whole, tmp_path / "cache")
    assert first.missing == ("big.bin",)
    assert second.missing == ()
    assert (second.path / "big.bin").is_file()
    assert first.content_id == second.content_id


def test_a_repository_without_its_trees_is_refused(tmp_path: Path) -> None:
    """Where the list of files itself is absent there is nothing to run."""
    work = tmp_path / "work"
    commit(work, sample())
    repository = bare(work, tmp_path / "r.git")
    without(repository, run_git(work, "rev-parse", "HEAD^{tree}"))
    with pytest.raises(SourceError, match="list of files"):
        fetch(repository, tmp_path / "cache")


def test_configuration_of_a_repository_runs_nothing(tmp_path: Path) -> None:
    """Filters, hooks and monitors that a hostile repository configures are not run."""
    work = tmp_path / "work"
    commit(work, {**sample(), ".gitattributes": "* filter=evil diff=evil\n"})
    repository = bare(work, tmp_path / "r.git")
    trap = tmp_path / "trapped"
    for name in (
        *("filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "core.fsmonitor"),
        *("diff.external", "diff.evil.textconv", "core.sshCommand", "gpg.program", "core.pager"),
    ):
        run_git(repository, "config", name, f"touch {trap}; cat")
    run_git(repository, "config", "log.showSignature", "true")
    hook = repository / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    source = fetch(repository, tmp_path / "cache")
    cell_dates(source, "analysis.ipynb")
    assert not trap.exists()


def test_links_that_leave_are_dropped(tmp_path: Path) -> None:
    """Symbolic links out of the tree are left out and reported; others stay."""
    work = tmp_path / "work"
    write(work, sample())
    (work / "inside").symlink_to("data/table.csv")
    (work / "passwords").symlink_to("/etc/passwd")
    (work / "data" / "up").symlink_to("../../..")
    (work / "via").symlink_to("data/up")
    commit(work, {})
    source = fetch(bare(work, tmp_path / "r.git"), tmp_path / "cache")
    assert source.missing == ("data/up", "passwords", "via")
    assert (source.path / "inside").read_text() == "x\n1\n"
    assert [one.code for one in source.findings] == ["link-leaves-tree"]


def test_lfs_pointers_are_missing_content(tmp_path: Path) -> None:
    """A Git LFS pointer is reported with its remedy, and never taken for the data."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    commit(tmp_path / "work", {**sample(), "data/large.h5": pointer})
    source = fetch(bare(tmp_path / "work", tmp_path / "r.git"), tmp_path / "cache")
    assert source.missing == ("data/large.h5",)
    assert "git lfs pull" in source.findings[0].fix


def test_submodules_come_along_or_are_reported(tmp_path: Path) -> None:
    """A submodule that can be reached is laid out in place; one that cannot is named."""
    commit(tmp_path / "tools", {"lib.py": "x = 1\n"})
    bare(tmp_path / "tools", tmp_path / "tools.git")
    work = tmp_path / "work"
    commit(work, sample())
    run_git(work, "submodule", "add", "-q", str(tmp_path / "tools.git"), "lib/tools")
    run_git(work, "config", "-f", ".gitmodules", "submodule.lib/tools.url", "../tools.git")
    commit(work, {})
    repository = bare(work, tmp_path / "study.git")
    run_git(repository, "config", "--unset", "remote.origin.url")
    source = fetch(repository, tmp_path / "cache")
    assert (source.path / "lib" / "tools" / "lib.py").is_file()
    assert source.missing == ()
    shutil.rmtree(tmp_path / "tools.git")
    source = fetch(repository, tmp_path / "other")
    assert source.missing == ("lib/tools",)
    assert [one.code for one in source.findings] == ["submodule-not-fetched"]


@pytest.mark.parametrize("url", ["ext::sh -c date", "/etc", "--upload-pack=date", "file:///etc"])
def test_submodules_of_a_server_reach_no_local_files(tmp_path: Path, web: Site, url: str) -> None:
    """A repository on a server cannot make leman run a program or read this disk."""
    commit(tmp_path / "tools", {"lib.py": "x = 1\n"})
    work = tmp_path / "work"
    commit(work, sample())
    run_git(work, "submodule", "add", "-q", str(tmp_path / "tools"), "tools")
    run_git(work, "config", "-f", ".gitmodules", "submodule.tools.url", url)
    commit(work, {})
    served(tmp_path, work)
    source = fetch(f"{web.url}/git/study.git", tmp_path / "cache")
    assert source.missing == ("tools",)


@pytest.mark.parametrize("filters", [True, False])
def test_a_server_gives_history_and_dates(tmp_path: Path, web: Site, *, filters: bool) -> None:
    """A clone has the whole history, whether or not the server can leave contents out."""
    work = tmp_path / "work"
    commit(work, {"a.ipynb": notebook("1")}, day="2018-05-06")
    commit(work, {"a.ipynb": notebook("1", "2")}, day="2019-07-08")
    commit(work, {"a.ipynb": notebook("1", "2", outputs=("x",))}, day="2022-01-01")
    served(tmp_path, work, filters=filters)
    source = fetch(f"{web.url}/git/study.git", tmp_path / "cache")
    assert [str(day) for day in cell_dates(source, "a.ipynb")] == ["2018-05-06", "2019-07-08"]
    assert source.findings == ()


def test_pages_of_a_forge_restrict_to_what_they_show(tmp_path: Path, web: Site) -> None:
    """A page of a notebook or folder at a ref with slashes gives just those notebooks."""
    work = tmp_path / "work"
    files = {"one/a.ipynb": notebook("1"), "one/b.ipynb": notebook("2"), "c.ipynb": notebook("3")}
    commit(work, {**files, "requirements.txt": ""})
    run_git(work, "branch", "fix/this")
    served(tmp_path, work, name="owner/study.git")
    base = f"{web.url}/git/owner/study"
    # Only the first two parts name the repository on a forge; "git" stands for an owner here.
    shutil.copytree(tmp_path / "served" / "owner" / "study.git", tmp_path / "served" / "study.git")
    page = f"{web.url}/git/study/tree/fix/this/one"
    assert fetch(page, tmp_path / "cache").notebooks == ("one/a.ipynb", "one/b.ipynb")
    page = f"{web.url}/git/study/blob/main/one/a.ipynb"
    assert fetch(page, tmp_path / "cache").notebooks == ("one/a.ipynb",)
    page = f"{base}/-/blob/main/c.ipynb"
    assert fetch(page, tmp_path / "cache").notebooks == ("c.ipynb",)
    with pytest.raises(SourceError, match="no file or folder 'no'"):
        fetch(f"{web.url}/git/study/tree/main/no", tmp_path / "cache")


def test_a_ref_selects_and_news_arrive(tmp_path: Path, web: Site) -> None:
    """Tags, branches and commits select; new commits of the server are seen; old ones stay."""
    work = tmp_path / "work"
    first = commit(work, {"a.txt": "1"})
    run_git(work, "tag", "v1.0")
    target = served(tmp_path, work)
    url = f"{web.url}/git/study.git"
    assert fetch(url, tmp_path / "cache").revision == first
    second = commit(work, {"a.txt": "2"})
    run_git(work, "push", "-q", str(target), "HEAD:main")
    assert fetch(url, tmp_path / "cache").revision == second
    old = fetch(url, tmp_path / "cache", ref="v1.0")
    assert (old.path / "a.txt").read_text() == "1"
    asked = len(web.asked)
    assert fetch(url, tmp_path / "cache", ref=first) == old
    assert len(web.asked) == asked  # a full commit id costs no network


def test_a_server_that_is_gone_leaves_the_copy(tmp_path: Path, web: Site) -> None:
    """Without the server, what was fetched earlier serves, and it is said that it may be old."""
    commit(tmp_path / "work", sample())
    target = served(tmp_path, tmp_path / "work")
    url = f"{web.url}/git/study.git"
    first = fetch(url, tmp_path / "cache")
    target.rename(tmp_path / "away")
    again = fetch(url, tmp_path / "cache")
    assert again.content_id == first.content_id
    assert [one.code for one in again.findings] == ["stale-copy"]
    with pytest.raises(SourceError, match="could not read"):
        fetch(url, tmp_path / "cache", ref="v9")


def test_an_unknown_ref_names_near_ones(tmp_path: Path) -> None:
    """A ref that is not there is answered with those that are like it."""
    commit(tmp_path / "work", sample())
    run_git(tmp_path / "work", "tag", "v1.0.2")
    repository = bare(tmp_path / "work", tmp_path / "r.git")
    with pytest.raises(SourceError) as caught:
        fetch(repository, tmp_path / "cache", ref="v1.0.1")
    assert "v1.0.2" in caught.value.hint


def test_a_silent_server_is_given_up() -> None:
    """A server that accepts and then says nothing ends in a message, not in a hang."""
    with site() as made:
        hold = threading.Event()
        made.answers["/r.git/info/refs"] = lambda _: setattr(hold, "waited", hold.wait(30))
        with pytest.raises(ToolError, match="said nothing"):
            git_remote("ls-remote", f"{made.url}/r.git", stall=0.5)
        hold.set()


def test_a_head_that_names_nothing_falls_back(tmp_path: Path) -> None:
    """Where HEAD names a branch that is not there, the newest branch is taken, and that is said."""
    commit(tmp_path / "work", sample())
    repository = bare(tmp_path / "work", tmp_path / "r.git")
    (repository / "HEAD").write_text("ref: refs/heads/gone\n")
    assert [one.code for one in fetch(repository, tmp_path / "cache").findings] == ["no-head"]


@pytest.mark.parametrize(
    ("spec", "url", "ref", "tail"),
    [
        ("gh:o/n", GH, "", ""),
        ("gh:o/n@v1", GH, "v1", ""),
        ("gl:g/s/n", "https://gitlab.com/g/s/n.git", "", ""),
        ("https://github.com/o/n", GH, "", ""),
        ("https://github.com/o/n.git", GH, "", ""),
        ("https://github.com/o/n/", GH, "", ""),
        ("https://www.github.com/o/n/issues/3", "https://www.github.com/o/n.git", "", ""),
        ("https://github.com/o/n/tree/a/b", GH, "", "a/b"),
        ("https://github.com/o/n/blob/m/x%20y.ipynb#c", GH, "", "m/x y.ipynb"),
        ("https://github.com/o/n/releases/tag/v2", GH, "v2", ""),
        ("https://github.com/o/n/pull/7/files", GH, "refs/pull/7/head", ""),
        ("https://github.com/o/n/commit/abc", GH, "abc", ""),
        ("https://gitlab.com/g/s/n/-/tree/m/d", "https://gitlab.com/g/s/n.git", "", "m/d"),
        ("https://gitlab.com/g/s/n", "https://gitlab.com/g/s/n.git", "", ""),
        ("https://codeberg.org/o/n/src/branch/m/d", "https://codeberg.org/o/n.git", "", "m/d"),
        ("https://bitbucket.org/o/n/src/m/d", "https://bitbucket.org/o/n.git", "", "m/d"),
        ("https://host.org/deep/r.git", "https://host.org/deep/r.git", "", ""),
        ("git@host:o/n.git", "git@host:o/n.git", "", ""),
        ("ssh://git@host/o/n", "ssh://git@host/o/n", "", ""),
        ("git+https://host.org/r", "https://host.org/r", "", ""),
        (f"https://nbviewer.org{PAGE}", GH, "", "m/x.ipynb"),
        (f"https://colab.research.google.com{PAGE}", GH, "", "m/x.ipynb"),
        ("https://raw.githubusercontent.com/o/n/m/x.ipynb", GH, "", "m/x.ipynb"),
        ("https://mybinder.org/v2/gh/o/n/v1?filepath=x.ipynb", GH, "", "v1/x.ipynb"),
        ("https://mybinder.org/v2/gh/o/n/v1?urlpath=lab/tree/x.ipynb", GH, "", "v1/x.ipynb"),
        ("https://mybinder.org/v2/gh/o/n/v1", GH, "v1", ""),
    ],
)  # fmt: skip
def test_addresses_and_pages_are_read(spec: str, url: str, ref: str, tail: str) -> None:
    """Whatever page of a repository is copied from a browser leads to the repository."""
    assert Git().detect(spec) == spec
    assert read_address(spec) == Address(url, ref, tail)


@pytest.mark.parametrize(
    "spec",
    ["gh:o", "gh:-o/n", "gl:x", "https://", "https://-x/y", "https://u:secret@h/o/n", "http://h:x/y"],
)  # fmt: skip
def test_addresses_that_are_not_safe_or_whole_are_refused(spec: str) -> None:
    """Half addresses, option-like hosts and passwords are refused, and no password is shown."""
    assert Git().detect(spec) == spec
    with pytest.raises(SourceError) as caught:
        read_address(spec)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("spec", ["ext::sh -c x", "--upload-pack=x", "-x", "x", "C:/x", "a@-b:c"])
def test_other_forms_are_no_addresses(spec: str) -> None:
    """Transports that run programs, and options, are no git addresses."""
    assert Git().detect(spec) is None


@given(st.text(max_size=12))
def test_a_ref_is_either_refused_or_harmless(ref: str) -> None:
    """Whatever passes as a ref is no option, climbs nowhere and holds no control character."""
    try:
        check_ref(ref)
    except SourceError:
        return
    assert not ref.startswith("-")
    assert ".." not in ref
    assert all(ord(letter) >= 32 and letter not in " ~^:?*[\\" for letter in ref)


@pytest.mark.parametrize(
    ("base", "url", "joined"),
    [
        ("https://h/o/n.git", "../x.git", "https://h/o/x.git"),
        ("https://h/o/n.git", "../../p/x", "https://h/p/x"),
        ("git@h:o/n.git", "../x.git", "git@h:o/x.git"),
        ("https://h/o/n", "./x", "https://h/o/n/x"),
        ("https://h/o/n", "https://k/x", "https://k/x"),
    ],
)
def test_relative_submodules_are_resolved(base: str, url: str, joined: str) -> None:
    """Relative addresses start from the repository's own, as gitmodules(5) has it."""
    assert join(base, url) == joined
