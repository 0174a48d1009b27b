"""Places that sources come from, made small and real: repositories, a web server, records."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Answer = Callable[["Handler"], None]

TABLE = "x\n1\n"


def notebook(*cells: str, outputs: tuple[str, ...] = ()) -> str:
    """Return a notebook with these code cells; `outputs` go to the first one."""
    text = [{"output_type": "stream", "name": "stdout", "text": one} for one in outputs]
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": text if not at else [],
            "execution_count": None,
        }
        for at, source in enumerate(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def sample() -> dict[str, str]:
    """Return the files that the contract asks for."""
    return {"analysis.ipynb": notebook("1 + 1"), "data/table.csv": TABLE}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def run_git(folder: Path, *arguments: str, day: str = "2020-01-02") -> str:
    """Run git in a folder as an author of that day, with no configuration of this machine."""
    when = f"{day}T12:00:00Z"
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_COMMITTER_DATE": when,
    }
    allow = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *allow, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str | bytes], day: str = "2020-01-02") -> str:
    """Commit files to a repository, made if need be; return the commit's id."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        run_git(folder, "init", "-q")
    write(folder, files)
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "change", day=day)
    return run_git(folder, "rev-parse", "HEAD")


class Handler(BaseHTTPRequestHandler):
    """Answers from the site's table of paths; the rest is 404 with JSON, as InvenioRDM does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        path = unquote(urlsplit(self.path).path)
        site.asked.append((self.command, path, dict(self.headers)))
        answer = site.answers.get(path)
        if answer:
            answer(self)
        elif site.git_root and path.startswith("/git/"):
            self._git(site.git_root, path.removeprefix("/git"))
        else:
            self.say(json.dumps({"status": 404, "message": "not here"}).encode(), code=404)

    do_HEAD = do_GET  # noqa: N815 - http.server's name
    do_POST = do_GET  # noqa: N815 - as above

    def say(
        self,
        body: bytes,
        *,
        code: int = 200,
        headers: Mapping[str, str] | None = None,
        promise: int | None = None,
    ) -> None:
        """Send an answer; with `promise`, claim that length and hang up after `body`."""
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promise is None else promise))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if promise is not None:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _git(self, root: Path, path: str) -> None:
        """Serve repositories by git's own CGI program (git-http-backend(1))."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, check=False, capture_output=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        code = int(headers.pop("Status", "200").split()[0])
        self.say(body, code=code, headers=headers)


class Site:
    """A web server on this machine: `answers` by path, `asked` is what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.git_root: Path | None = None

    def put(self, path: str, body: bytes, **more: Any) -> str:
        """Answer with `body` at `path`; return the address."""
        self.answers[path] = lambda handler: handler.say(body, **more)
        return self.url + path

    def put_json(self, path: str, value: Any, **more: Any) -> str:
        """Answer with JSON at `path`; return the address."""
        return self.put(path, json.dumps(value).encode(), **more)

    def send(self, path: str, target: str) -> str:
        """Redirect from `path` to `target`; return the address."""
        return self.put(path, b"", code=302, headers={"Location": target})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


@contextmanager
def site() -> Iterator[Site]:
    """Serve on a free port of the loopback until the block ends."""
    server = _Server(("127.0.0.1", 0), Handler)
    made = Site(f"http://127.0.0.1:{server.server_address[1]}")
    server.site = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def md5(content: bytes) -> str:
    """Return a checksum as Zenodo writes it."""
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


def zenodo(
    at: Site, files: Mapping[str, bytes], *, number: int = 123, **metadata: Any
) -> dict[str, Any]:
    """Put a record on the site in Zenodo's form and return its JSON."""
    entries = [
        {
            "id": f"00000000-{number}",
            "key": name,
            "size": len(content),
            "checksum": md5(content),
            "links": {
                "self": at.put(f"/api/records/{number}/files/{name}/content", content),
            },
        }
        for name, content in files.items()
    ]
    record = {
        "id": number,
        "conceptrecid": str(number - 1),
        "doi": f"10.5281/zenodo.{number}",
        "metadata": {"title": "T", "publication_date": "2021-03-04", **metadata},
        "links": {"self_html": f"{at.url}/records/{number}"},
        "files": entries,
    }
    at.put_json(f"/api/records/{number}", record)
    return record


def invenio(at: Site, files: Mapping[str, bytes], *, name: str = "abcde-12345") -> str:
    """Put a record on the site in InvenioRDM's form and return its page's address."""
    base = f"/api/records/{name}/files"
    entries = [
        {
            "key": key,
            "size": len(content),
            "checksum": md5(content),
            "status": "completed",
            "links": {
                "self": f"{at.url}{base}/{key}",
                "content": at.put(f"{base}/{key}/content", content),
            },
        }
        for key, content in files.items()
    ]
    page = f"{at.url}/records/{name}"
    record = {
        "id": name,
        "metadata": {"title": "T", "publication_date": "2022-05"},
        "access": {"record": "public", "files": "public", "status": "open"},
        "files": {"enabled": True},
        "links": {"self_html": page},
    }
    at.put_json(f"/api/records/{name}", record)
    at.put_json(base, {"enabled": True, "entries": entries})
    return page
