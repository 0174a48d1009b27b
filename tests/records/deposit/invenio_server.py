"""A server that answers as InvenioRDM's REST API is documented to, with faults on demand.

Drafts, files that are pending and then completed, checksums, reserved DOIs, reviews, what is
validated when a draft is made and when it is published:
https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records

As Zenodo does, it tells its rate limits with every answer, and answers whoever asks for plain
JSON in an older format.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "s3cret-token-of-ada"
OTHER = "another-users-token"
READER = "token-without-any-scope"
WRITER = "token-that-may-not-publish"
LICENCES = {"bsd-3-clause", "cc-by-4.0", "mit", "apache-2.0"}
TYPES = {"software", "software-computationalnotebook", "other", "dataset"}
_MOST_FILES = 100
_NATIVE = "application/vnd.inveniordm.v1+json"


class _Refusal(Exception):  # noqa: N818 - an answer rather than an error
    def __init__(
        self, status: int, message: str, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"status": status, "message": message}
        if errors:
            self.body["errors"] = errors


@dataclass(slots=True)
class File:
    """A file of a draft: no content while it is only registered."""

    key: str
    content: bytes | None = None
    complete: bool = False


@dataclass(slots=True)
class Kept:
    """A draft or record."""

    id: str
    owner: str
    metadata: dict[str, Any]
    files: dict[str, File] = field(default_factory=dict)
    doi: str = ""
    published: bool = False
    review: str = ""  # a community's id
    in_review: bool = False


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` requests of this kind.

    `kind`: "status" answers with `status` and does nothing; "reset" breaks the connection after
    `after` bytes of the body; "lost" does what is asked and hangs up; "slow" takes `after`
    milliseconds; "corrupt" changes a byte of what is uploaded; "then" calls `then` beforehand;
    "early" refuses with `status` without reading the body.
    """

    method: str
    path: str  # a regular expression
    kind: str = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Internal Server Error"
    after: int = 0
    times: int = 1
    then: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Server:
    """All that the server knows; tests look at it and set faults."""

    url: str = ""
    kept: dict[str, Kept] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    seen_tokens: set[str] = field(default_factory=set)
    bodies: list[Any] = field(default_factory=list)  # of drafts that were to be made
    quota: int = 10**9
    checksum: str = "md5"
    dois: bool = True
    searchable: bool = True
    html: bool = False  # answers with pages, as a server of another kind would
    working: int = 0  # requests that are being answered
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail(self, method: str, path: str, kind: str = "status", **more: Any) -> None:
        """Add a fault."""
        self.faults.append(Fault(method, path, kind, **more))

    def count(self, method: str, path: str) -> int:
        """Return how many requests of this kind came."""
        return sum(one == method and bool(re.search(path, at)) for one, at in self.asked)

    @property
    def only(self) -> Kept:
        """The one draft or record that there is."""
        (kept,) = self.kept.values()
        return kept


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: no waiting in between

    def handle_any(self) -> None:
        server: Server = self.server.known  # type: ignore[attr-defined]
        with server.lock:
            server.working += 1
        try:
            self._handle(server)
        finally:
            with server.lock:
                server.working -= 1

    def _handle(self, server: Server) -> None:
        path = urlsplit(self.path).path
        with server.lock:
            server.asked.append((self.command, path))
            server.seen_tokens.add(self.headers.get("Authorization", ""))
            fault = self._fault(server, path)
        if fault and not self._bear(fault):
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault and fault.kind == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        if server.html:
            self._say(200, None, {}, raw=b"<!doctype html>")
            return
        if fault and fault.kind == "status":
            self._say(fault.status, {"message": fault.message}, fault.headers)
            return
        try:
            with server.lock:
                status, said = self._answer(server, unquote(path), body)
        except _Refusal as refusal:
            status, said = refusal.status, refusal.body
        if fault and fault.kind == "lost":
            self._reset()
            return
        self._say(status, said, {})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's names

    def _fault(self, server: Server, path: str) -> Fault | None:
        for fault in server.faults:
            if fault.method == self.command and re.search(fault.path, path):
                fault.times -= 1
                if fault.times <= 0:
                    server.faults.remove(fault)
                return fault
        return None

    def _bear(self, fault: Fault) -> bool:
        """Do what a fault does before the body is read; False where nothing may follow."""
        if fault.kind == "reset":
            self.rfile.read(fault.after)
            self._reset()
            return False
        if fault.kind == "early":
            self._say(fault.status, {"message": fault.message}, {"Connection": "close"})
            self.close_connection = True
            return False
        if fault.kind == "slow":
            time.sleep(fault.after / 1000)
        fault.then()
        return True

    def _reset(self) -> None:
        """End the connection as a broken line does: no goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _say(self, status: int, said: Any, headers: dict[str, str], raw: bytes = b"") -> None:
        body = raw or (b"" if said is None else json.dumps(said).encode())
        self.send_response(status)
        reset = str(int(time.time()) + 59)
        limits = {"X-RateLimit-Remaining": "995", "X-RateLimit-Reset": reset, "Retry-After": "59"}
        for name, value in (headers or limits).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, server: Server, path: str, body: bytes) -> tuple[int, Any]:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in {TOKEN, OTHER, READER, WRITER}:
            raise _Refusal(401, "The server could not verify that you are authorized.")
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match:
                if token == READER and method != "GET":
                    raise _Refusal(403, "Permission denied.")
                query = parse_qs(urlsplit(self.path).query)
                native = self.headers.get("Accept", "").startswith(_NATIVE)
                asked = _Asked(server, token, match.groups(), body, query, native)
                return answer(asked)
        raise _Refusal(404, "The requested URL was not found on the server.")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class _Asked:
    server: Server
    token: str
    parts: tuple[str, ...]
    body: bytes
    query: dict[str, list[str]]
    native: bool

    def draft(self) -> Kept:
        kept = self.server.kept.get(self.parts[0])
        if kept is None or kept.published:
            raise _Refusal(404, "The persistent identifier does not exist.")
        if kept.owner != self.token:
            raise _Refusal(403, "Permission denied.")
        return kept

    def file(self) -> File:
        found = self.draft().files.get(self.parts[1])
        if found is None:
            raise _Refusal(404, f'Record "{self.parts[0]}" has no file "{self.parts[1]}".')
        return found


def _problems(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if len(metadata.get("title", "")) < 3:
        found.append(("metadata.title", "Shorter than minimum length 3."))
    if not metadata.get("creators"):
        found.append(("metadata.creators", "Missing data for required field."))
    needed = ("publication_date", "resource_type")
    missing = [name for name in needed if not metadata.get(name)]
    found += [(f"metadata.{name}", "Missing data for required field.") for name in missing]
    for at, one in enumerate(metadata.get("creators") or []):
        who = one["person_or_org"]
        need = "family_name" if who["type"] == "personal" else "name"
        if not who.get(need):
            found.append((f"metadata.creators.{at}.person_or_org.{need}", "cannot be blank."))
        if not all(key.get("name") for key in one.get("affiliations", [])):
            found.append((f"metadata.creators.{at}.affiliations", "needs a name."))
    return [{"field": name, "messages": [text]} for name, text in found]


def _create(asked: _Asked) -> tuple[int, Any]:
    said = json.loads(asked.body)
    metadata = said["metadata"]
    for right in metadata.get("rights", []):
        if ("id" in right) == ("title" in right):
            raise _Refusal(400, "Only an existing id or free text title is accepted.")
        if "id" in right and right["id"] not in LICENCES:
            raise _Refusal(400, f"Invalid value {right['id']}.")
    if metadata["resource_type"]["id"] not in TYPES:
        raise _Refusal(400, f"Invalid value {metadata['resource_type']['id']}.")
    asked.server.bodies.append(said)
    name = f"{len(asked.server.bodies):05d}-draft"
    asked.server.kept[name] = Kept(name, asked.token, metadata)
    return 201, _shown(asked, asked.server.kept[name], errors=True)


def _shown(asked: _Asked, kept: Kept, *, errors: bool = False) -> dict[str, Any]:
    where = "records" if kept.published else "uploads"
    if not asked.native:
        return {"id": 1, "submitted": kept.published, "doi": kept.doi, "metadata": {}}
    said: dict[str, Any] = {
        "id": kept.id,
        "is_published": kept.published,
        "status": "in_review" if kept.in_review else "draft",
        "metadata": kept.metadata,
        "links": {"self_html": f"{asked.server.url}/{where}/{kept.id}"},
        "pids": {},
    }
    if kept.doi:
        said["pids"] = {"doi": {"identifier": kept.doi, "provider": "datacite"}}
    if errors and _problems(kept.metadata):
        said["errors"] = _problems(kept.metadata)
    return said


def _read(asked: _Asked) -> tuple[int, Any]:
    return 200, _shown(asked, asked.draft())


def _read_record(asked: _Asked) -> tuple[int, Any]:
    kept = asked.server.kept.get(asked.parts[0])
    if kept is None or not kept.published:
        raise _Refusal(404, "The persistent identifier does not exist.")
    return 200, _shown(asked, kept)


def _search(asked: _Asked) -> tuple[int, Any]:
    if not asked.server.searchable:
        raise _Refusal(403, "Permission denied.")
    (query,) = asked.query["q"]
    wanted = query.partition(":")[2].strip('"')
    hits = [
        _shown(asked, one)
        for one in asked.server.kept.values()
        if one.owner == asked.token
        and any(wanted in each["identifier"] for each in one.metadata.get("identifiers", []))
    ]
    return 200, {"hits": {"hits": hits, "total": len(hits)}}


def _entry(asked: _Asked, file: File) -> dict[str, Any]:
    said: dict[str, Any] = {
        "key": file.key,
        "status": "completed" if file.complete else "pending",
        "metadata": None,
        # As documented, and of no use to a client that gives its token to one server only.
        "links": {"content": "https://elsewhere.example.org/content"},
    }
    if file.complete and file.content is not None:
        said["size"] = float(len(file.content))
        if asked.server.checksum:
            digest = hashlib.new(asked.server.checksum, file.content).hexdigest()
            said["checksum"] = f"{asked.server.checksum}:{digest}"
    return said


def _files(asked: _Asked) -> tuple[int, Any]:
    entries = [_entry(asked, one) for one in asked.draft().files.values()]
    return 200, {"enabled": True, "entries": entries, "order": []}


def _register(asked: _Asked) -> tuple[int, Any]:
    draft = asked.draft()
    for one in json.loads(asked.body):
        if one["key"] in draft.files:
            raise _Refusal(400, f"File with key {one['key']} already exists.")
        if len(draft.files) >= _MOST_FILES:
            raise _Refusal(400, f"Uploading would exceed the max amount per record ({_MOST_FILES})")
        draft.files[one["key"]] = File(one["key"])
    return 201, _files(asked)[1]


def _file(asked: _Asked) -> tuple[int, Any]:
    return 200, _entry(asked, asked.file())


def _content(asked: _Asked) -> tuple[int, Any]:
    file = asked.file()
    if file.complete:
        raise _Refusal(400, f'File with key "{file.key}" is already committed.')
    if len(asked.body) > asked.server.quota:
        raise _Refusal(400, "Bucket quota exceeded.")
    file.content = asked.body
    return 200, _entry(asked, file)


def _commit(asked: _Asked) -> tuple[int, Any]:
    file = asked.file()
    if file.complete or file.content is None:
        raise _Refusal(400, f"File with key {file.key} cannot be committed.")
    file.complete = True
    return 200, _entry(asked, file)


def _remove(asked: _Asked) -> tuple[int, Any]:
    del asked.draft().files[asked.file().key]
    return 204, None


def _reserve(asked: _Asked) -> tuple[int, Any]:
    draft = asked.draft()
    if not asked.server.dois:
        raise _Refusal(403, "Permission denied.")
    if draft.doi:
        problem = {"field": "pids.doi", "messages": ["A PID already exists for type doi"]}
        raise _Refusal(400, "A validation error occurred.", [problem])
    draft.doi = f"10.5072/demo.{draft.id}"
    return 201, _shown(asked, draft)


def _publish(asked: _Asked) -> tuple[int, Any]:
    draft = asked.draft()
    if asked.token == WRITER:
        raise _Refusal(403, "Permission denied.")
    errors = _problems(draft.metadata)
    if not draft.metadata.get("publisher"):
        errors.append({"field": "metadata.publisher", "messages": ["Missing publisher."]})
    if errors:
        raise _Refusal(400, "A validation error occurred.", errors)
    if draft.review:
        raise _Refusal(400, "You cannot publish a draft with a review.")
    if not draft.files or not all(one.complete for one in draft.files.values()):
        raise _Refusal(400, "One or more files have not completed their transfer, please wait.")
    draft.published = True
    draft.doi = draft.doi or f"10.5072/demo.{draft.id}"
    return 202, _shown(asked, draft)


def _submit(asked: _Asked) -> tuple[int, Any]:
    draft = asked.draft()
    if not draft.review:
        raise _Refusal(404, "Review for draft not found")
    draft.in_review = True
    return 202, {"id": "a-request", "status": "submitted"}


def _review(asked: _Asked) -> tuple[int, Any]:
    draft, said = asked.draft(), json.loads(asked.body)
    if draft.in_review or said["type"] != "community-submission":
        raise _Refusal(400, "You cannot change a review that is open.")
    draft.review = said["receiver"]["community"]
    return 200, {"id": "a-request", "status": "created"}


def _community(asked: _Asked) -> tuple[int, Any]:
    if asked.parts[0] != "sunspots":
        raise _Refusal(404, "The persistent identifier does not exist.")
    return 200, {"id": "9e3d-uuid-of-sunspots", "slug": "sunspots"}


def _word(asked: _Asked) -> tuple[int, Any]:
    vocabulary, word = asked.parts
    if word not in {"licenses": LICENCES, "resourcetypes": TYPES}[vocabulary]:
        raise _Refusal(404, "The persistent identifier does not exist.")
    return 200, {"id": word}


_DRAFT = "/api/records/([^/]+)/draft"
_ROUTES: list[tuple[str, str, Callable[[_Asked], tuple[int, Any]]]] = [
    ("POST", "/api/records", _create),
    ("GET", "/api/user/records", _search),
    ("GET", "/api/records/([^/]+)", _read_record),
    ("GET", _DRAFT, _read),
    ("GET", f"{_DRAFT}/files", _files),
    ("POST", f"{_DRAFT}/files", _register),
    ("GET", f"{_DRAFT}/files/([^/]+)", _file),
    ("DELETE", f"{_DRAFT}/files/([^/]+)", _remove),
    ("PUT", f"{_DRAFT}/files/([^/]+)/content", _content),
    ("POST", f"{_DRAFT}/files/([^/]+)/commit", _commit),
    ("POST", f"{_DRAFT}/pids/doi", _reserve),
    ("POST", f"{_DRAFT}/actions/publish", _publish),
    ("POST", f"{_DRAFT}/actions/submit-review", _submit),
    ("PUT", f"{_DRAFT}/review", _review),
    ("GET", "/api/communities/([^/]+)", _community),
    ("GET", "/api/vocabularies/([^/]+)/([^/]+)", _word),
]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Keep quiet about connections that tests break."""


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on the loopback until the block ends."""
    http = _Quiet(("127.0.0.1", 0), Handler)
    server = Server(url=f"http://127.0.0.1:{http.server_address[1]}")
    http.known = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
