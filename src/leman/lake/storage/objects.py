"""Object stores (S3 and what speaks it, Google Cloud Storage, Azure) through obstore.

obstore is a binding of Rust's object_store: it moves many small files several times faster than
the other clients that were measured, and needs no event loop here. A put is atomic by the nature
of these stores: an object appears when its upload is complete. Bigger files go up in parts, several
at a time, and each part is tried again by itself while `retry_seconds` last.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from leman.lake.interface import StorageError, Stored, unheard
from leman.lake.model import Checksums
from leman.lake.storage.digests import Digests, hashed, read_blocks, summed
from leman.lake.storage.names import is_part, parts_of
from leman.lake.storage.options import place_of, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leman.lake.interface import Kind, Storage

    Where = tuple[str, ...]

_PART = 16 << 20  # bytes; S3 takes 10,000 parts, and larger parts for files that need more
_PARTS = 9_000
_AT_ONCE = 4  # parts under way: more did not help against any server that was measured
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_FULL = re.compile(r"\b507\b|no free volumes|No writable|QuotaExceeded|StorageFull|InsufficientSt")
_STATUS = re.compile(r"status code: (\d{3})")


@dataclass(frozen=True, slots=True)
class _Common:
    """How long to be patient; without keys, requests are not signed."""

    connect_seconds: float = 10.0
    timeout_seconds: float = 120.0
    retry_seconds: float = 60.0
    retries: int = 8


@dataclass(frozen=True, slots=True)
class S3Options(_Common):
    """Of ``s3://bucket/prefix``: an endpoint's URL for others than AWS, keys, addressing style."""

    endpoint: str = ""
    region: str = "us-east-1"
    path_style: bool = True
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class GCSOptions(_Common):
    """Of ``gs://bucket/prefix``: the path of a service account's file."""

    service_account: str = ""


@dataclass(frozen=True, slots=True)
class AzureOptions(_Common):
    """Of ``az://container/prefix``."""

    account: str = ""
    endpoint: str = ""
    access_key: str = field(default="", repr=False)


class ObjectStorage:
    """A bucket, or a prefix in one; `where` is what two storages of one server share."""

    def __init__(self, make: Callable[[str | None], Any], address: str, where: Where) -> None:
        _, self._prefix = place_of(address)
        self._store = make(self._prefix or None)
        self._whole = make(None)  # sees both places of a copy
        self._address = address
        self._answered = threading.local()
        self._where = where

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        size: int,
        progress: Callable[[int, int], None] = unheard,
    ) -> Checksums:
        """Store an object, in parts when it is big."""
        key = self._key(path)
        with Digests() as digests, self._told(path):
            blocks = read_blocks(source, size, progress)
            if size <= _PART:
                content = b"".join(hashed(blocks, digests))
                answer = obstore.put(self._store, key, content, use_multipart=False)
                self._answered.last = (key, size, answer["e_tag"])
            else:
                chunk = max(_PART, -(-size // _PARTS))
                obstore.put(
                    self._store,
                    key,
                    hashed(blocks, digests),
                    use_multipart=True,
                    chunk_size=chunk,
                    max_concurrency=_AT_ONCE,
                )
            return digests.finish()

    def get(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""
        key = self._key(path)
        with self._told(path):
            if start:
                # A range that begins at the end is an error in HTTP and nothing here.
                if obstore.head(self._store, key)["size"] <= start:
                    return
                found = obstore.get(self._store, key, options={"range": {"offset": start}})
            else:
                found = obstore.get(self._store, key)
            for block in found.stream(min_chunk_size=1 << 20):
                yield bytes(block)

    def copy(self, source: Storage, origin: str, path: str) -> Checksums | None:
        """Have the server copy an object between places of one bucket."""
        if not isinstance(source, ObjectStorage) or source._where != self._where:  # noqa: SLF001 - of its own kind
            return None
        with self._told(origin):
            origin_key = "/".join(filter(None, (source._prefix, source._key(origin))))  # noqa: SLF001
            key = "/".join(filter(None, (self._prefix, self._key(path))))
            try:
                obstore.copy(self._whole, origin_key, key)
            except exceptions.NotSupportedError:
                return None
        return Checksums()

    def delete(self, path: str) -> None:
        """Remove an object; a missing one is fine."""
        key = self._key(path)
        with self._told(path):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    def checksum(self, path: str) -> Checksums:
        """Read the object and return its checksums."""
        return summed(self.get(path))

    def list(self, under: str = "") -> Iterator[Stored]:
        """Yield every object below a prefix that is a whole folder name."""
        prefix = "/".join(parts_of(under)) if under else None
        with self._told(under or "."):
            for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
                for one in page:
                    if not is_part(one["path"].rpartition("/")[2]):
                        yield Stored(one["path"], one["size"], one["last_modified"].timestamp())

    def vouch(self, path: str) -> tuple[int, Checksums] | None:
        """Return size and MD5: an ETag of S3 is the MD5 of an object that came in one part.

        Not so where the server encrypts; then it differs from every expected one, and only
        reading tells.
        """
        key = self._key(path)
        # The answer to this thread's own put just now tells it too, and saves a request.
        answered, size, tag = getattr(self._answered, "last", ("", 0, None))
        self._answered.last = ("", 0, None)
        if answered != key:
            with self._told(path):
                found = obstore.head(self._store, key)
            size, tag = found["size"], found["e_tag"]
        md5 = _MD5.fullmatch(tag or "")
        return (size, Checksums(md5=md5[1])) if md5 else None

    def presign(self, path: str, seconds: int) -> str:
        """Return a URL that reads the object for `seconds`."""
        with self._told(path):
            signed: str = obstore.sign(
                self._store, "GET", self._key(path), timedelta(seconds=seconds)
            )
            return signed

    def _key(self, path: str) -> str:
        if "\\" in path:
            raise StorageError("refused", f"{path!r}: some object stores take '\\' for '/'")
        return "/".join(parts_of(path))

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        what = f"{path} in {self._address}"
        try:
            yield
        except FileNotFoundError as error:
            raise StorageError("no-such-file", f"there is no {what}") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise StorageError(
                "refused",
                f"{what}: the server does not allow it ({_short(error)})",
                hint="Look at the keys of this storage and at what they may do.",
            ) from error
        except (exceptions.BaseError, ValueError, OSError) as error:
            raise _meaning(error, what) from error


def open_s3(address: str, options: Mapping[str, object]) -> ObjectStorage:
    """Return the storage of ``s3://bucket/prefix``."""
    place, _ = place_of(address)
    read = read_options(S3Options, options)
    bucket = place.hostname or ""
    # Said in full, since obstore would fill gaps from the process's environment.
    endpoint = read.endpoint or f"https://s3.{read.region}.amazonaws.com"
    virtual = not read.path_style
    if virtual and not read.endpoint:
        endpoint = f"https://{bucket}.s3.{read.region}.amazonaws.com"
    config: Any = {
        "endpoint": endpoint.rstrip("/"),
        "region": read.region,
        "virtual_hosted_style_request": virtual,
    }
    if read.access_key:
        config |= {"access_key_id": read.access_key, "secret_access_key": read.secret_key}
        if read.session_token:
            config["session_token"] = read.session_token
    else:
        config["skip_signature"] = True
    client = _client(read, endpoint)
    return _opened(
        lambda prefix: S3Store(bucket, prefix=prefix, config=config, **client),
        address,
        ("s3", endpoint, bucket, read.access_key),
    )


def open_gcs(address: str, options: Mapping[str, object]) -> ObjectStorage:
    """Return the storage of ``gs://bucket/prefix``."""
    place, _ = place_of(address)
    read = read_options(GCSOptions, options)
    bucket = place.hostname or ""
    config: Any = {"skip_signature": True}
    if read.service_account:
        config = {"service_account": read.service_account}
    client = _client(read, "")
    return _opened(
        lambda prefix: GCSStore(bucket, prefix=prefix, config=config, **client),
        address,
        ("gs", bucket, read.service_account),
    )


def open_azure(address: str, options: Mapping[str, object]) -> ObjectStorage:
    """Return the storage of ``az://container/prefix``."""
    place, _ = place_of(address)
    read = read_options(AzureOptions, options)
    container = place.hostname or ""
    config: Any = {"account_name": read.account}
    if read.endpoint:
        config["endpoint"] = read.endpoint
    if read.access_key:
        config["account_key"] = read.access_key
    else:
        config["skip_signature"] = True
    client = _client(read, read.endpoint)
    return _opened(
        lambda prefix: AzureStore(container, prefix=prefix, config=config, **client),
        address,
        ("az", read.account, read.endpoint, container),
    )


def _opened(make: Callable[[str | None], Any], address: str, where: Where) -> ObjectStorage:
    try:
        return ObjectStorage(make, address, where)
    except (exceptions.BaseError, ValueError) as error:
        raise StorageError("refused", f"{address}: {_short(error)}") from error


def _client(read: _Common, endpoint: str) -> dict[str, Any]:
    return {
        "client_options": {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": f"{read.connect_seconds}s",
            "timeout": f"{read.timeout_seconds}s",
        },
        "retry_config": {
            "max_retries": read.retries,
            "retry_timeout": timedelta(seconds=read.retry_seconds),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        },
    }


def _short(error: Exception) -> str:
    """Return the first line of an error without what only helps its library's developers."""
    text = str(error).split("\n\nDebug source")[0]
    code = re.search(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", text, re.DOTALL)
    return f"{code[1]}: {code[2]}" if code else " ".join(text.split())[:300]


def _meaning(error: Exception, what: str) -> StorageError:
    text = str(error)
    status = _STATUS.search(text)
    code = int(status[1]) if status else 0
    kind: Kind = "unreachable"
    hint = "Is the server running, and is the endpoint right? Nothing was stored."
    if _FULL.search(text):
        kind, hint = "no-space", "Free some space there or raise the quota."
    elif (400 <= code < 500 and code not in {408, 429}) or isinstance(
        error, (ValueError, exceptions.InvalidPathError)
    ):
        kind, hint = "refused", ""
    return StorageError(kind, f"{what}: {_short(error)}", hint=hint)
