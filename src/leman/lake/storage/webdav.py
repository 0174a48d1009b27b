"""WebDAV (RFC 4918) over httpx, which leman has already: eight methods need no other client.

A file goes up under a temporary name in its folder and is then moved into place: what servers do
with an interrupted PUT differs, and many keep the half of it.
"""

from __future__ import annotations

import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

import httpx

from leman.lake.interface import StorageError, Stored, unheard
from leman.lake.model import Checksums
from leman.lake.storage.digests import BLOCK, Digests, hashed, read_blocks, summed
from leman.lake.storage.names import is_part, part_beside, parts_of
from leman.lake.storage.options import place_of, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leman.lake.interface import Kind, Storage

_DAV = "{DAV:}"
_MOVES = 6  # tries, within two seconds
_WANTED = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>"
)


@dataclass(frozen=True, slots=True)
class WebDAVOptions:
    """Of ``webdav://host/folder`` and ``webdavs://`` (TLS): a user's password, or a token."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: str = ""  # path of the certificates to trust instead of the usual ones
    connect_seconds: float = 10.0
    timeout_seconds: float = 120.0


class WebDAVStorage:
    """A collection on a WebDAV server, which must exist."""

    def __init__(self, address: str, base: str, client: httpx.Client) -> None:
        self._address = address
        self._base = base.rstrip("/")
        self._client = client
        weakref.finalize(self, client.close)

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Upload beside, compare the size, then move into place."""
        parts = parts_of(path)
        part = part_beside(path)
        with Digests() as digests, self._tidied(part, path):
            self._folders(parts[:-1])
            blocks = hashed(read_blocks(source, size, progress), digests)
            # httpx would send chunks of unknown length, which some servers refuse.
            headers = {"Content-Length": str(size)}
            self._ask("PUT", part, headers=headers, content=blocks)
            there = self._size(part)
            if there != size:
                raise StorageError(
                    "damaged", f"{path} in {self._address}: {there} of {size} bytes arrived"
                )
            self._move(part, path)
            return digests.finish()

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = self._url("/".join(parts_of(path)))
        with self._told(path), self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            self._check(answer, path)
            # A server may ignore the range and send everything.
            skip = start if answer.status_code == httpx.codes.OK else 0
            for block in answer.iter_bytes(BLOCK):
                if skip < len(block):
                    yield block[skip:] if skip else block
                skip = max(0, skip - len(block))

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        """Have the server copy, where both lie on one."""
        if not isinstance(source, WebDAVStorage) or source._server != self._server:  # noqa: SLF001 - of its own kind
            return None
        parts = parts_of(path)
        part = part_beside(path)
        with self._tidied(part, path):
            self._folders(parts[:-1])
            headers = {"Destination": self._url(part), "Overwrite": "F", "Depth": "0"}
            there = source._url("/".join(parts_of(origin)))  # noqa: SLF001
            answer = self._client.request("COPY", there, headers=headers)
            if answer.status_code in {405, 501, 502}:
                return None
            source._check(answer, origin)  # noqa: SLF001
            self._move(part, path)
        return Checksums()

    def delete(self, path: str) -> None:
        """Remove a file. Its folder stays, even empty.

        WebDAV's DELETE takes a whole tree, with what another upload may just have put there.
        """
        parts_of(path)
        with self._told(path):
            self._remove(path)

    def checksum(self, path: str) -> Checksums:
        """Read the file and return its checksums."""
        return summed(self.get(path))

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every file below a folder."""
        if under:
            parts_of(under)
        with self._told(under or "."):
            for found in self._walk(under):
                if not is_part(found.path.rpartition("/")[2]):
                    yield found

    def sweep(self, age: float) -> int:
        """Remove uploads that were begun more than `age` seconds ago and did not end."""
        count = 0
        with self._told("."):
            for found in [*self._walk("")]:
                name = found.path.rpartition("/")[2]
                if is_part(name) and found.changed < time.time() - age:
                    count += self._remove(found.path)
        return count

    @property
    def _server(self) -> tuple[str, str, str]:
        place = urlsplit(self._base)
        auth = self._client.headers.get("Authorization", "") or str(self._client.auth)
        return place.scheme, place.netloc, auth

    def _url(self, path: str) -> str:
        # Some servers cut the name in a MOVE there, and would replace another file.
        if ";" in path or "?" in path:
            raise StorageError("refused", f"{path!r}: WebDAV servers disagree on names with ; or ?")
        return f"{self._base}/{quote(path)}"

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        answer = self._client.request(method, self._url(path), **what)
        self._check(answer, path)
        return answer

    def _check(self, answer: httpx.Response, path: str) -> None:
        if answer.is_success:
            return
        kind: Kind = "refused"
        hint = ""
        code = answer.status_code
        if code in {404, 410}:
            raise StorageError("no-such-file", f"there is no {path} in {self._address}")
        if code in {401, 403}:
            hint = "Look at the user, password or token of this storage and at what they may do."
        elif code in {507, 413}:
            kind, hint = "no-space", "Free some space there or raise the quota."
        elif code >= 500 or code in {408, 423, 425, 429}:
            kind = "unreachable"
        reason = f"{code} {answer.reason_phrase}".strip()
        raise StorageError(kind, f"{path} in {self._address}: the server says {reason}", hint=hint)

    def _folders(self, parts: tuple[str, ...]) -> None:
        """Make the folders that are missing, from the deepest that exists on."""
        missing = []
        for depth in range(len(parts), 0, -1):
            folder = "/".join(parts[:depth])
            answer = self._propfind(folder, "0")
            if answer.status_code not in {404, 409}:
                self._check(answer, folder)
                break
            missing.append(folder)
        for folder in reversed(missing):
            answer = self._client.request("MKCOL", self._url(folder))
            # Another upload has made it meanwhile: 405, and some servers trip over it.
            made = answer.status_code == httpx.codes.METHOD_NOT_ALLOWED
            if not made and not answer.is_success:
                made = self._propfind(folder, "0").is_success
            if not made:
                if answer.status_code in {404, 409}:
                    raise self._gone()
                self._check(answer, folder)

    def _gone(self) -> StorageError:
        return StorageError("unreachable", f"the folder {self._address} is not there")

    def _size(self, path: str) -> int:
        answer = self._propfind(path, "0")
        self._check(answer, path)
        return next((size for _, size, _, folder in _members(answer) if not folder), -1)

    def _move(self, part: str, path: str) -> None:
        headers = {"Destination": self._url(path), "Overwrite": "T"}
        for attempt in range(_MOVES):
            answer = self._client.request("MOVE", self._url(part), headers=headers)
            # Servers that remove the old file first trip over another MOVE to the same name.
            contended = answer.status_code in {404, 409, 412, 423, 500}
            if not contended or attempt + 1 == _MOVES or not self._propfind(part, "0").is_success:
                break
            time.sleep(0.05 * 2**attempt)
        self._check(answer, path)

    def _remove(self, path: str) -> bool:
        answer = self._client.request("DELETE", self._url(path))
        if answer.status_code in {404, 410}:
            return False
        self._check(answer, path)
        return True

    def _propfind(self, path: str, depth: str) -> httpx.Response:
        headers = {"Depth": depth, "Content-Type": "application/xml"}
        return self._client.request("PROPFIND", self._url(path), headers=headers, content=_WANTED)

    def _members(self, folder: str) -> Iterator[tuple[str, int, float, bool]]:
        answer = self._propfind(folder + "/" if folder else "", "1")
        if answer.status_code in {404, 410}:
            return
        self._check(answer, folder or ".")
        own = unquote(urlsplit(f"{self._base}/{quote(folder)}").path).rstrip("/")
        for href, size, changed, is_folder in _members(answer):
            path = unquote(urlsplit(href).path).rstrip("/")
            inner = path.removeprefix(own).lstrip("/")
            # A server that names other places is not followed there.
            if path.startswith(own) and inner and "/" not in inner and inner not in {".", ".."}:
                yield inner, size, changed, is_folder

    def _walk(self, folder: str) -> Iterator[Stored]:
        for name, size, changed, is_folder in [*self._members(folder)]:
            path = f"{folder}/{name}" if folder else name
            if is_folder:
                yield from self._walk(path)
            else:
                yield Stored(path, size, changed)

    @contextmanager
    def _tidied(self, part: str, path: str) -> Iterator[None]:
        try:
            with self._told(path):
                yield
        except BaseException:
            with suppress(httpx.HTTPError):  # then `sweep` removes it later
                self._client.request("DELETE", self._url(part), timeout=5)
            raise

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as error:
            raise StorageError("refused", f"{path} in {self._address}: {error}") from error
        except (httpx.HTTPError, ET.ParseError) as error:
            text = str(error) or type(error).__name__
            raise StorageError(
                "unreachable",
                f"{path} in {self._address}: {text}",
                hint="Is the server running, and is the address right?",
            ) from error


def open_webdav(address: str, options: Mapping[str, object]) -> WebDAVStorage:
    """Return the storage of ``webdav(s)://host/folder``."""
    place, _ = place_of(address)
    read = read_options(WebDAVOptions, options)
    secure = place.scheme in {"webdavs", "davs"}
    host = place.netloc.rpartition("@")[2]
    user = read.user or unquote(place.username or "")
    headers = {"User-Agent": "leman"}
    if read.token:
        headers["Authorization"] = f"Bearer {read.token}"
    verify: Any = True
    if read.ca:
        import ssl  # noqa: PLC0415 - only for private certificates

        try:
            verify = ssl.create_default_context(cafile=read.ca)
        except OSError as error:
            raise StorageError("refused", f"{read.ca} holds no certificates: {error}") from error
    client = httpx.Client(
        auth=httpx.BasicAuth(user, read.password) if user and not read.token else None,
        headers=headers,
        verify=verify,
        timeout=httpx.Timeout(read.timeout_seconds, connect=read.connect_seconds),
        trust_env=False,
        follow_redirects=False,
    )
    base = f"{'https' if secure else 'http'}://{host}{quote(unquote(place.path))}"
    return WebDAVStorage(address, base, client)


def _members(answer: httpx.Response) -> Iterator[tuple[str, int, float, bool]]:
    """Yield address, size, time of change and whether it is a folder, of each of an answer."""
    for one in ET.fromstring(answer.content).iter(f"{_DAV}response"):  # noqa: S314 - expat here expands no outer entities
        size = one.findtext(f".//{_DAV}getcontentlength") or "0"
        changed = one.findtext(f".//{_DAV}getlastmodified")
        folder = one.find(f".//{_DAV}resourcetype/{_DAV}collection") is not None
        when = parsedate_to_datetime(changed).timestamp() if changed else 0.0
        yield one.findtext(f"{_DAV}href") or "", int(size), when, folder
