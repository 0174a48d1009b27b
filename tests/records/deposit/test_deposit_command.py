"""`leman deposit` as a user meets it."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from deposited_record import record
from invenio_server import TOKEN, Server, serving

from leman.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Said:
    """What one call ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on the loopback."""
    with serving() as made:
        yield made


@dataclass(frozen=True, slots=True)
class User:
    """Calls the command line in this process; a traceback or a token told fails the test."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def leman(self, *arguments: str, command: str = "deposit") -> Said:
        """Call leman deposit, or another command."""
        self.monkeypatch.setattr(sys, "argv", ["leman", command, *arguments])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        told = self.capsys.readouterr()
        assert "Traceback" not in told.err
        assert "defect" not in told.err
        assert TOKEN not in told.out + told.err
        return Said(end.value.code if isinstance(end.value.code, int) else 0, told.out, told.err)


@pytest.fixture
def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> User:
    """Give a user with a token in the environment and a home of their own."""
    monkeypatch.setenv("LEMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEMAN_DEPOSIT_TOKEN", TOKEN)
    return User(monkeypatch, capsys)


@pytest.fixture
def bag(tmp_path: Path) -> str:
    """Make a small record."""
    return str(record(tmp_path / "record"))


def test_the_draft_and_what_to_do_are_printed(user: User, server: Server, bag: str) -> None:
    """The page of the draft, its files, the reserved DOI, and that nothing is public yet."""
    said = user.leman(bag, "--to", server.url)
    assert said.code == 0
    assert f"Draft: {server.url}/uploads/{server.only.id}" in said.out
    assert f"DOI, reserved: {server.only.doi}" in said.out
    assert "Nothing is public yet" in said.out
    assert "press “Publish”" in said.out
    assert not server.only.published
    again = user.leman(bag, "--to", server.url)
    assert "Draft (begun before):" in again.out


def test_what_was_deposited_can_be_verified(user: User, server: Server, tmp_path: Path) -> None:
    """The archive that a reader downloads is verified as it is, pointers of Git LFS and all."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"
    bag = record(tmp_path / "pointing", extra={"big.bin": pointer})
    assert user.leman(str(bag), "--to", server.url).code == 0
    name = next(one for one in server.only.files if one.endswith(".zip"))
    archive = tmp_path / name
    archive.write_bytes(server.only.files[name].content or b"")
    said = user.leman(str(archive), command="verify")
    assert said.code in {0, 1}  # it bears no signature
    assert re.search(r"^intact +yes", said.out, re.MULTILINE)


def test_publishing_is_announced_and_done(user: User, server: Server, bag: str) -> None:
    """With --publish --yes, what cannot be undone is said before, the DOI after."""
    said = user.leman(bag, "--to", server.url, "--publish", "--yes")
    assert said.code == 0
    before, _, after = said.out.partition("cannot be undone")
    assert "Draft:" in before
    assert f"https://doi.org/{server.only.doi}" in after
    assert server.only.published


def test_publishing_asks_and_takes_no_for_an_answer(
    user: User, server: Server, bag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal the user is asked; after a no, the draft stays a draft."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    said = user.leman(bag, "--to", server.url, "--publish")
    assert said.code == 0
    assert "Nothing is public yet" in said.out
    assert not server.only.published


def test_publishing_without_a_terminal_needs_a_yes(user: User, server: Server, bag: str) -> None:
    """In a script, --publish alone is refused before anything is sent."""
    said = user.leman(bag, "--to", server.url, "--publish")
    assert said.code == 2
    assert "--yes" in said.err
    assert not server.asked


def test_a_community_is_submitted_to(user: User, server: Server, bag: str) -> None:
    """With a community, publishing is asking it, and the words say so."""
    said = user.leman(bag, "--to", server.url, "--community", "sunspots")
    assert "press “Submit for review”" in said.out
    said = user.leman(bag, "--to", server.url, "--community", "sunspots", "--publish", "--yes")
    assert said.code == 0
    assert "Submitted:" in said.out
    assert server.only.in_review


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--to", "zenodo"), "there is no folder"),
        (("{bag}", "--to", "http://zenodo.org"), "https only"),
        (("{bag}", "--to", "zenodo", "--yes"), "--yes without --publish"),
        (("{bag}", "--to", "zenodo", "--token-file", "none"), "cannot be read"),
        (("{bag}",), "--to"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    user: User, bag: str, arguments: tuple[str, ...], words: str
) -> None:
    """Bad arguments are exit code 2 and a sentence; no server is asked."""
    said = user.leman(*(one.format(bag=bag) for one in arguments))
    assert said.code == 2
    assert words in said.err


def test_without_a_token_the_user_learns_where_to_get_one(
    user: User, bag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable, the option and the scopes."""
    monkeypatch.delenv("LEMAN_DEPOSIT_TOKEN")
    said = user.leman(bag, "--to", "zenodo-sandbox")
    assert said.code == 2
    for word in ("LEMAN_DEPOSIT_TOKEN", "--token-file", "deposit:write", "deposit:actions"):
        assert word in said.err


def test_a_token_file_is_used_and_warned_of(
    user: User, server: Server, bag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token from a file that others can read works, with a warning."""
    monkeypatch.setenv("LEMAN_DEPOSIT_TOKEN", "wrong")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o644)
    said = user.leman(bag, "--to", server.url, "--token-file", str(file))
    assert said.code == 0
    assert "chmod 600" in said.err
