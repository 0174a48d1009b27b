"""A package index on this machine: real pages, real wheels and source distributions, any dates."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A build back-end that lies inside the source distribution, so that a build needs no other package.
BACKEND = """
import os, zipfile

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
{prelude}
    name = "{name}-{version}-py3-none-any.whl"
    info = "{name}-{version}.dist-info/"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("{name}.py", content)
        who = "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        what = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "METADATA", who)
        wheel.writestr(info + "WHEEL", what)
        wheel.writestr(info + "RECORD", "")
    return name
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a project; `uploaded` is an ISO 8601 date, or empty."""

    filename: str
    content: bytes
    uploaded: str = ""
    requires_python: str = ""
    yanked: bool = False


@dataclass(slots=True)
class Shelf:
    """What the index offers, in which form, and which projects it was asked for."""

    url: str = ""
    lasting: bool = True  # files may be kept by who fetched them, as those of large indexes
    form: str = "json"  # or "html", "html-dated", "broken", or the text of every page: "{…"
    projects: dict[str, list[File]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, file: File) -> None:
        """Offer one more file."""
        name = file.filename.split("-")[0].replace("_", "-").lower()
        self.projects.setdefault(name, []).append(file)

    def file(self, filename: str) -> File | None:
        """Return the file of this name, if the index has it."""
        every = (file for files in self.projects.values() for file in files)
        return next((file for file in every if file.filename == filename), None)


def wheel(
    name: str,
    version: str,
    *,
    uploaded: str = "2019-01-01",
    requires: tuple[str, ...] = (),
    files: dict[str, bytes] | None = None,
) -> File:
    """Return a pure wheel with one module of its name, and more `files` where given."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    content = {
        f"{name}.py": f"VERSION = {version!r}\n".encode(),
        **(files or {}),
        f"{info}/METADATA": "\n".join([*metadata, "", ""]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_digest(data)},{len(data)}" for path, data in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in content.items():
            archive.writestr(path, data)
    return File(f"{name}-{version}-py3-none-any.whl", packed.getvalue(), uploaded)


def sdist(
    name: str, version: str, *, uploaded: str = "2019-01-01", prelude: str = "content = ''"
) -> File:
    """Return a source distribution; its build runs `prelude`, which sets the module's `content`."""
    body = "\n".join(f"    {line}" for line in prelude.splitlines())
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "backend.py": BACKEND.format(name=name, version=version, prelude=body),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return File(f"{name}-{version}.tar.gz", packed.getvalue(), uploaded)


def _digest(data: bytes) -> str:
    packed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"sha256={packed}"


def _page(shelf: Shelf, project: str) -> tuple[str, bytes]:
    files = shelf.projects[project]
    hashes = [hashlib.sha256(file.content).hexdigest() for file in files]
    if shelf.form == "json":
        listed = [
            {
                "filename": file.filename,
                "url": f"/files/{file.filename}",
                "hashes": {"sha256": digest},
                **({"upload-time": f"{file.uploaded}T12:00:00Z"} if file.uploaded else {}),
                **({"requires-python": file.requires_python} if file.requires_python else {}),
                "yanked": file.yanked,
            }
            for file, digest in zip(files, hashes, strict=True)
        ]
        page = {"meta": {"api-version": "1.1"}, "name": project, "files": listed}
        return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()
    rows = [
        f'<a href="/files/{file.filename}#sha256={digest}"'
        + (
            f' data-requires-python="{_escaped(file.requires_python)}"'
            if file.requires_python
            else ""
        )
        + (f' data-upload-time="{file.uploaded}T12:00:00Z"' if shelf.form == "html-dated" else "")
        + (' data-yanked="broken"' if file.yanked else "")
        + f">{file.filename}</a><br/>"
        for file, digest in zip(files, hashes, strict=True)
    ]
    return "text/html", f"<!DOCTYPE html><html><body>{''.join(rows)}</body></html>".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Handler(BaseHTTPRequestHandler):
    """Answers for the shelf of its server."""

    server: _Server

    def do_GET(self) -> None:
        shelf = self.server.shelf
        kind, name = (*self.path.strip("/").split("/"), "", "")[:2]
        if kind == "simple":
            shelf.asked.append(name)
        if shelf.form == "broken":
            self._answer(503, "text/plain", b"down for maintenance")
        elif kind == "simple" and shelf.form.startswith("{"):
            self._answer(200, "application/json", shelf.form.encode())
        elif kind == "simple" and name in shelf.projects:
            self._answer(200, *_page(shelf, name))
        elif kind == "files" and (file := shelf.file(name)):
            self._answer(200, "application/octet-stream", file.content)
        else:
            self._answer(404, "text/plain", b"not here")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.server.shelf.lasting and self.path.startswith("/files/"):
            self.send_header("Cache-Control", "max-age=365000000, immutable, public")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shelf = shelf


@contextmanager
def serve(*files: File, form: str = "json") -> Iterator[Shelf]:
    """Serve an index of `files` on loopback while the block runs."""
    shelf = Shelf(form=form)
    for file in files:
        shelf.add(file)
    server = _Server(shelf)
    shelf.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
