"""RFC 3161 time stamps: asked for over HTTP, checked without asking anybody."""

from __future__ import annotations

import http.server
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from leman.errors import ToolError, UsageError
from leman.records.stamps import authority, rfc3161

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an authority."""
    folder = tmp_path_factory.mktemp("tsa")
    authority.open_authority(folder, "Lake Observatory")
    return folder


@contextmanager
def served(home: Path, *, status: int = 200, body: bytes | None = None) -> Iterator[str]:
    """Serve an authority over HTTP, as RFC 3161 §3.4 says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            request = self.rfile.read(int(self.headers["Content-Length"]))
            answer = authority.reply(home, request) if body is None else body
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_stamp_over_http_holds_for_who_trusts_the_root(home: Path, tmp_path: Path) -> None:
    """An answer of a served authority is trusted with its root, and openssl agrees."""
    with served(home) as url:
        answer, chain = rfc3161.ask(url, b"a signature", own=tmp_path, name="")
    roots = rfc3161.roots_in(home / "ca.pem")
    stamp = rfc3161.check(answer, chain, b"a signature", roots=roots, name="a")
    assert (stamp.trusted, stamp.problem, stamp.authority) == (True, "", "Lake Observatory")
    (tmp_path / "a.tsr").write_bytes(answer)
    (tmp_path / "a").write_bytes(b"a signature")
    command = ["openssl", "ts", "-verify", "-in", "a.tsr", "-data", "a"]
    subprocess.run([*command, "-CAfile", home / "ca.pem"], cwd=tmp_path, check=True)


def test_a_stamp_of_something_else_does_not_hold(home: Path) -> None:
    """The stamp is bound to the bytes that were stamped."""
    answer, chain = rfc3161.ask("own", b"one", own=home, name="")
    stamp = rfc3161.check(answer, chain, b"two", roots=rfc3161.roots_in(home / "ca.pem"))
    assert stamp.problem == "it is a stamp of something else"
    assert not stamp.trusted


def test_every_flipped_byte_of_a_stamp_is_noticed(home: Path) -> None:
    """No single damaged byte of a time stamp leaves one that is trusted with another content."""
    answer, chain = rfc3161.ask("own", b"one", own=home, name="")
    roots = rfc3161.roots_in(home / "ca.pem")
    good = rfc3161.check(answer, chain, b"one", roots=roots)
    for place in range(0, len(answer), 7):
        bad = bytearray(answer)
        bad[place] ^= 0x20
        stamp = rfc3161.check(bytes(bad), chain, b"one", roots=roots)
        assert not stamp.trusted or stamp.moment == good.moment, place


def test_an_authority_that_brings_its_own_root_is_not_trusted(home: Path, tmp_path: Path) -> None:
    """Certificates beside a stamp build a chain; they never become what the reader trusts."""
    answer, chain = rfc3161.ask("own", b"one", own=tmp_path / "mallory", name="Lake Observatory")
    stamp = rfc3161.check(answer, chain, b"one", roots=rfc3161.roots_in(home / "ca.pem"))
    assert stamp.problem == ""
    assert not stamp.trusted


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x30\x03\x02\x01\x02"])
def test_an_answer_that_is_no_stamp_is_told(body: bytes, home: Path, tmp_path: Path) -> None:
    """A proxy's page instead of a stamp ends with a sentence that names the address."""
    with served(home, body=body) as url, pytest.raises(ToolError, match=r"127\.0\.0\.1"):
        rfc3161.ask(url, b"one", own=tmp_path, name="")


def test_an_authority_that_is_down_is_told(home: Path, tmp_path: Path) -> None:
    """An error of the server, or no server: what to do instead stands in the hint."""
    with served(home, status=503) as url, pytest.raises(ToolError, match="did not answer") as one:
        rfc3161.ask(url, b"one", own=tmp_path, name="")
    assert "later with `leman sign`" in one.value.hint
    with pytest.raises(ToolError, match="did not answer"):
        rfc3161.ask(url, b"one", own=tmp_path, name="")
    with pytest.raises(UsageError, match="http or https"):
        rfc3161.ask("ftp://example.org", b"one", own=tmp_path, name="")


def test_an_authority_is_made_once_by_two_at_the_same_time(tmp_path: Path) -> None:
    """Concurrent publications share one authority; its keys are for their owner alone."""
    threads = [
        threading.Thread(target=authority.open_authority, args=(tmp_path / "tsa", "Two"))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer, chain = rfc3161.ask("own", b"one", own=tmp_path / "tsa", name="Two")
    roots = rfc3161.roots_in(tmp_path / "tsa" / "ca.pem")
    assert rfc3161.check(answer, chain, b"one", roots=roots).trusted
    for name in ("ca.key", "tsa.key"):
        assert (tmp_path / "tsa" / name).stat().st_mode & 0o077 == 0


def test_a_file_without_certificates_is_no_list_of_authorities(tmp_path: Path) -> None:
    """--authorities with the wrong file ends with a sentence."""
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(UsageError, match="holds no certificate"):
        rfc3161.roots_in(tmp_path / "no.pem")
