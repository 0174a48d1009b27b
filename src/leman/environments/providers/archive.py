"""Archives: a file on this disk, or the address of one on a server."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from leman.environments.interface import silent
from leman.environments.model import Source
from leman.environments.providers.addresses import file_address, urlsplit_or_none
from leman.environments.providers.store import Laid, building, found, laid, locked
from leman.environments.providers.unpack import SUFFIXES, Bounds, is_archive, unpack
from leman.errors import SourceError
from leman.files import full_disk_said, remove_tree, sha256_of, write_json
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.environments.providers.download import Session


class Archive:
    """A .zip or .tar file, compressed or not, by path or by http(s) address."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()

    def detect(self, spec: str) -> str | None:
        """Return the path or address of the archive, None if `spec` is neither."""
        if urlsplit_or_none(spec) in {"http", "https"}:
            return spec if urlsplit(spec).path.lower().endswith(SUFFIXES) else None
        with suppress(OSError, ValueError, RuntimeError):
            path = file_address(spec) or Path(spec).expanduser()
            if path.is_file() and is_archive(path):
                return str(path.resolve())
        return None

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Unpack the archive into the cache `into`; it is named by the SHA-256 of its bytes."""
        if ref:
            raise SourceError(
                f"{address} is an archive, so it has no {ref!r}", hint="Leave --ref out."
            )
        if urlsplit_or_none(address):
            return self._from_server(address, into, progress)
        try:
            content = sha256_of(Path(address))
        except OSError as error:
            raise SourceError(f"{address} cannot be read: {error.strerror}") from error
        return _described(address, content, self._unpacked(Path(address), content, into, progress))

    def _unpacked(
        self, archive: Path, content: str, into: Path, progress: Callable[[str], None]
    ) -> Laid:
        key = f"sha256-{content}"

        def build(tree: Path) -> Laid:
            progress(f"unpacking {archive.name}")
            got = unpack(archive, tree, bounds=self.bounds)
            return Laid(tree, got.missing, got.findings, got.newest)

        with locked(into, key):
            return laid(into, key, build)

    def _from_server(self, url: str, into: Path, progress: Callable[[str], None]) -> Source:
        # Only here: importing an HTTP client costs more than reading a folder does.
        from leman.environments.providers.download import session  # noqa: PLC0415

        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        note = into / "downloads" / f"{name}.json"
        with locked(into, name):
            known = _read(note)
            have = found(into, f"sha256-{known.get('sha256', '')}")
            with session(progress) as via:
                now = _state(via, url)
                if have and now is None:
                    return _described(url, known["sha256"], have, (_stale(url),))
                if have and now and now.items() <= known.items():
                    return _described(url, known["sha256"], have)
                return self._downloaded(via, url, now or {}, note)

    def _downloaded(self, via: Session, url: str, state: dict[str, str], note: Path) -> Source:
        from leman.environments.providers.download import Item, download  # noqa: PLC0415

        name, into = Path(unquote(urlsplit(url).path)).name, note.parent.parent
        aside = note.parent / note.stem
        with full_disk_said(into), building(into, aside) as folder:
            file = folder / name
            via.progress(f"downloading {name}")
            content = download(via, Item(url, name), file, largest=self.bounds.total)
            have = self._unpacked(file, content, into, via.progress)
        remove_tree(aside)  # what was unpacked is enough
        write_json(note, {"url": url, "sha256": content, **state})
        return _described(url, content, have)


def _state(via: Session, url: str) -> dict[str, str] | None:
    """Return what the server names the file's present state by (RFC 9110, section 8.8).

    None: it is out of reach. Empty: it does not say.
    """
    import httpx  # noqa: PLC0415

    try:
        answer = via.client.head(url)
    except httpx.TransportError:
        return None
    except (httpx.HTTPError, httpx.InvalidURL):
        return {}
    names = {"etag": "ETag", "modified": "Last-Modified"} if answer.is_success else {}
    return {key: answer.headers[name] for key, name in names.items() if name in answer.headers}


def _stale(url: str) -> Finding:
    message = "the server is out of reach, so a copy fetched earlier is used"
    return Finding("stale-copy", "warning", url, message, "Run again with a network.")


def _read(note: Path) -> dict[str, str]:
    try:
        known = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _described(url: str, content: str, have: Laid, findings: tuple[Finding, ...] = ()) -> Source:
    return Source(
        url=url,
        revision="",
        path=have.tree,
        content_id=f"sha256:{content}",
        published=have.published,
        missing=have.missing,
        findings=(*findings, *have.findings),
    )
