"""Where a deposit may go, and where a token may come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leman.errors import ConfigError, UsageError
from leman.records.deposit.site import Site, address, token

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("to", "url"),
    [
        ("zenodo", "https://zenodo.org"),
        ("zenodo-sandbox", "https://sandbox.zenodo.org"),
        ("https://repository.example.org/", "https://repository.example.org"),
        ("https://repository.example.org/api", "https://repository.example.org"),
        ("https://example.org:8443/rdm/api/", "https://example.org:8443/rdm"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_addresses_that_a_token_may_go_to(to: str, url: str) -> None:
    """Known names, https addresses, and plain http on this machine."""
    assert address(to) == url


@pytest.mark.parametrize(
    "to",
    [
        "http://zenodo.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "https://ada:secret@example.org",
        "https://example.org/?token=x",
        "ftp://example.org",
        "zenodoo",
        "https://",
        "https://example.org:port",
        "http://[::1",
    ],
)
def test_other_addresses_are_refused(to: str) -> None:
    """Plain http to elsewhere, passwords in addresses and what is no address."""
    with pytest.raises(UsageError) as told:
        address(to)
    assert "secret" not in told.value.message + told.value.hint


def test_a_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """A file that was named comes first; white space around the token is no part of it."""
    warned: list[str] = []
    assert token(" abc\n", None, warned.append) == "abc"
    file = tmp_path / "token"
    file.write_text("def\n")
    file.chmod(0o600)
    assert token("abc", file, warned.append) == "def"
    assert not warned


def test_a_token_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    """A file with too wide permissions works, with a warning that does not hold the token."""
    warned: list[str] = []
    file = tmp_path / "token"
    file.write_text("abcdef")
    file.chmod(0o640)
    assert token("", file, warned.append) == "abcdef"
    assert "chmod 600" in warned[0]
    assert "abcdef" not in warned[0]


@pytest.mark.parametrize("content", ["", "\n", "two words", "é", "x" * 5000, "a\x00b"])
def test_what_is_no_token_is_not_shown(tmp_path: Path, content: str) -> None:
    """An empty or odd file is refused without showing what it holds."""
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(ConfigError, match="no token") as told:
        token("", file, lambda _: None)
    assert not content.strip() or content not in told.value.message
    with pytest.raises(ConfigError, match="no token"):
        token(content, None, lambda _: None)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The file is named, with the system's words."""
    with pytest.raises(ConfigError, match="No such file"):
        token("abc", tmp_path / "none", lambda _: None)


def test_a_site_never_shows_its_token() -> None:
    """Printing a site for whatever reason does not print its token."""
    site = Site("https://zenodo.org", "abcdef")
    assert "abcdef" not in f"{site} {site!r}"
    assert site.publisher == "Zenodo"
    assert Site("https://example.org:1", "x").publisher == "example.org:1"
