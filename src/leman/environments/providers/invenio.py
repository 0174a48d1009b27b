"""Records of Zenodo and other InvenioRDM sites, by DOI, by address or by the address of a file.

The REST API is the one documented at https://developers.zenodo.org and
https://inveniordm.docs.cern.ch/reference/rest_api_index: a record lists its files itself (Zenodo)
or below ``/files`` (InvenioRDM), each with size and checksum. A DOI for "all versions" leads to
the newest one.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from leman.environments.interface import silent
from leman.environments.model import Source
from leman.environments.providers.store import Laid, laid, locked
from leman.environments.providers.tree import about_missing, drop_links_that_leave
from leman.environments.providers.unpack import (
    Bounds,
    Unpacked,
    is_archive,
    safe_name,
    stem_of,
    unpack,
)
from leman.errors import SourceError
from leman.files import remove_tree
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.environments.providers.download import Item, Session

_DOI = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ZENODO_DOI = re.compile(r"10\.5281/zenodo\.(\d+)", re.IGNORECASE)
# Zenodo counts its records, InvenioRDM names them like abcde-12x45.
_PAGE = re.compile(
    r"(?P<site>https?://[^/]+(?:/[^/]+)??)/(?:api/)?records?/(?P<id>\d+|[a-z0-9]{5}-[a-z0-9]{5})"
    r"(?:/(?:preview/)?files?/(?P<file>[^?#]+?)(?:/content)?|/(?:latest|files|preview/[^?#]*))?/?(?:[?#].*)?"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A version of a deposit: `items` are its files, `too_large` those left out."""

    identifier: str
    url: str
    published: date | None
    items: tuple[Item, ...]
    too_large: tuple[Item, ...] = ()

    @property
    def content_id(self) -> str:
        """The SHA-256 over name, size and checksum of each file, sorted; all are verified."""
        lines = sorted(f"{one.name}\0{one.size}\0{one.checksum}\n" for one in self.items)
        return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


class Invenio:
    """Zenodo and InvenioRDM; `doi` and `zenodo` are where DOIs are resolved and Zenodo lives."""

    def __init__(
        self,
        *,
        doi: str = "https://doi.org",
        zenodo: str = "https://zenodo.org",
        bounds: Bounds | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.doi = doi
        self.zenodo = zenodo
        self.bounds = bounds or Bounds()
        self.pause = pause

    def detect(self, spec: str) -> str | None:
        """Return ``doi:…`` or the record's address, None if `spec` is neither."""
        match = _DOI.fullmatch(spec.strip())
        if match:
            return f"doi:{match[1]}"
        return spec if _PAGE.fullmatch(spec) else None

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Download and verify the record's files, unpack archives, and describe the result."""
        # Only here: importing an HTTP client costs more than reading a folder does.
        from leman.environments.providers.download import session  # noqa: PLC0415

        if ref:
            raise SourceError(
                f"{address} is a record, so it has no {ref!r}",
                hint="Each version of a record has a number and a DOI of its own: give that.",
            )
        with session(progress, self.pause) as via:
            site, identifier, file = self._place(via, address)
            record = _read_record(via, site, identifier, file, self.bounds.total)
            key = record.content_id.replace(":", "-")
            with locked(into, key):
                have = laid(into, key, lambda tree: _build(via, record, tree, self.bounds))
        return Source(
            url=record.url,
            revision=record.identifier,
            path=have.tree,
            content_id=record.content_id,
            published=record.published,
            missing=have.missing,
            findings=have.findings,
        )

    def _place(self, via: Session, address: str) -> tuple[str, str, str]:
        """Return the site, the record and the file ("" for all) that an address means."""
        from leman.environments.providers.download import where_to  # noqa: PLC0415

        doi = address.removeprefix("doi:")
        zenodo = _ZENODO_DOI.fullmatch(doi)
        if zenodo:
            return self.zenodo, zenodo[1], ""
        if doi != address:
            via.progress(f"asking where {doi} leads")
            address = where_to(via, f"{self.doi}/{quote(doi, safe='/:;()._-')}")
        match = _PAGE.fullmatch(address)
        if not match:
            raise SourceError(
                f"the DOI {doi} leads to {address}, which is no record of Zenodo or InvenioRDM",
                hint="An article's DOI names no files: use the DOI of its code or data. From other"
                " archives (figshare, Dataverse, OSF), download the files and give the folder.",
            )
        return match["site"], match["id"], unquote(match["file"] or "")


def _read_record(via: Session, site: str, identifier: str, file: str, limit: int) -> Record:
    from leman.environments.providers.download import ask  # noqa: PLC0415

    via.progress(f"asking {urlsplit(site).netloc} for record {identifier}")
    said = ask(via, f"{site}/api/records/{identifier}")
    if not isinstance(said, dict) or "metadata" not in said:
        raise SourceError(f"{site}/api/records/{identifier} does not answer with a record")
    identifier = str(said.get("id", identifier))
    files = said.get("files")
    listed = _entries(files)
    if isinstance(files, dict) and files.get("enabled", True) and not listed:
        listed = _entries(ask(via, f"{site}/api/records/{identifier}/files"))
    items = [_item(entry, site, identifier) for entry in listed]
    if file:
        items = [one for one in items if one.name == file]
        if not items:
            raise SourceError(f"record {identifier} of {site} has no file called {file!r}")
    page = (said.get("links") or {}).get("self_html") or f"{site}/records/{identifier}"
    if not items:
        raise _no_files(page, said["metadata"], said)
    items.sort(key=lambda one: (one.size or 0, one.name))
    fit, total = 0, 0
    for one in items:
        total += one.size or 0
        fit += total <= limit
    published = _day(str(said["metadata"].get("publication_date", "")))
    return Record(identifier, page, published, tuple(items[:fit]), tuple(items[fit:]))


def _entries(files: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - one of three shapes of JSON
    """Return the file entries: a list (Zenodo), or a list or mapping below "entries"."""
    entries = files.get("entries", []) if isinstance(files, dict) else files
    if isinstance(entries, dict):
        entries = [{"key": key, **entry} for key, entry in entries.items()]
    return [one for one in entries or [] if isinstance(one, dict) and one.get("key")]


def _item(entry: dict[str, Any], site: str, identifier: str) -> Item:
    from leman.environments.providers.download import Item  # noqa: PLC0415

    name = str(entry["key"])
    links = entry.get("links") or {}
    usual = f"{site}/api/records/{identifier}/files/{quote(name)}/content"
    url = links.get("content") or (links.get("self") if isinstance(entry, dict) else "") or usual
    if "/files/" in url and "/api/records/" in url and not url.endswith("/content"):
        url += "/content"  # InvenioRDM's "self" describes the file, "content" is the file
    size = entry.get("size")
    return Item(
        url=url,
        name=name,
        size=size if isinstance(size, int) else None,
        checksum=str(entry.get("checksum") or ""),
    )


def _no_files(page: str, metadata: dict[str, Any], said: dict[str, Any]) -> SourceError:
    """Say why a record gives no files, and where they may be."""
    access = said.get("access") or {}
    right = str(metadata.get("access_right") or access.get("files") or access.get("status") or "")
    if right in {"restricted", "embargoed", "closed"}:
        return SourceError(
            f"the files of {page} are {right}",
            hint="Ask its owner for access, download them, and give the folder.",
        )
    for related in metadata.get("related_identifiers") or []:
        relation = related.get("relation") or (related.get("relation_type") or {}).get("id", "")
        where = str(related.get("identifier", ""))
        if relation.lower() == "issupplementto" and where.startswith("http"):
            return SourceError(
                f"{page} holds no files; it says that it belongs to {where}",
                hint=f"Give that address instead: {where}",
            )
    return SourceError(f"{page} holds no files", hint="It describes something kept elsewhere.")


def _day(said: str) -> date | None:
    """Read an EDTF date (level 0): a day, a month, a year or an interval; the last day of it."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", said.rpartition("/")[2])
    if not match:
        return None
    year, month = int(match[1]), int(match[2] or 12)
    try:
        return date(year, month, int(match[3] or calendar.monthrange(year, month)[1]))
    except (ValueError, calendar.IllegalMonthError):
        return None


def _build(via: Session, record: Record, tree: Path, bounds: Bounds) -> Laid:
    """Download into a folder beside the tree, then lay the files out and unpack archives."""
    from leman.environments.providers.download import download  # noqa: PLC0415

    aside = tree.parent / "downloads"
    aside.mkdir()
    got: list[tuple[str, Path]] = []
    for number, item in enumerate(record.items):
        name = safe_name(item.name, f"record {record.identifier}")
        via.progress(f"downloading {item.name} ({number + 1} of {len(record.items)})")
        file = aside / f"{number}" / Path(name).name
        file.parent.mkdir()
        download(via, item, file, largest=bounds.total)
        got.append((name, file))
    via.progress("unpacking")
    made = _lay_out(got, tree, bounds)
    remove_tree(aside)
    unproved = tuple(one.name for one in record.items if not _is_proof(one.checksum))
    large = tuple(one.name for one in record.too_large)
    findings = (
        *made.findings,
        *about_missing(
            "not-verified",
            unproved,
            f"{len(unproved)} files have no checksum that can be checked",
            "",
        ),
        *about_missing(
            "too-large",
            large,
            f"{len(large)} files were not downloaded: the record holds more than"
            f" {bounds.total / 1e9:.0f} GB",
            "Download them yourself and give the folder.",
        ),
    )
    return replace(made, missing=tuple(sorted({*made.missing, *large})), findings=findings)


def _is_proof(checksum: str) -> bool:
    kind, _, value = checksum.partition(":")
    return bool(value) and kind in hashlib.algorithms_available


def _lay_out(got: list[tuple[str, Path]], tree: Path, bounds: Bounds) -> Laid:
    """Put a record's files where a notebook of theirs would look for them.

    A single archive is the source. Beside other files, the one archive that holds notebooks is
    the source where no notebook lies open; every further archive is unpacked into a folder of its
    name and also kept as it is.
    """
    archives = [(name, file) for name, file in got if is_archive(file)]
    if len(got) == 1 and archives:
        return _laid(tree, unpack(archives[0][1], tree, bounds=bounds), "")
    boxes: list[tuple[str, Path, Unpacked]] = []
    findings: list[Finding] = []
    for name, file in archives:
        box = file.parent / "unpacked"
        box.mkdir()
        try:
            boxes.append((name, box, unpack(file, box, bounds=bounds)))
        except SourceError as error:  # one of several may be in no form that we read
            findings.append(Finding("not-unpacked", "warning", name, error.message, error.hint))
    loose = any(name.endswith(".ipynb") for name, _ in got)
    coded = [one for one in boxes if any(one[1].rglob("*.ipynb"))]
    missing: list[str] = []
    if len(coded) == 1 and not loose:
        name, box, unpacked = coded[0]
        tree.rmdir()
        box.rename(tree)
        boxes.remove(coded[0])
        top = _laid(tree, unpacked, "")
        missing.extend(top.missing)
        findings.extend(top.findings)
        findings.append(Finding("unpacked", "info", name, "its content is the source's top"))
    for name, box, unpacked in boxes:
        where = stem_of(name)
        if _move(box, tree / where, tree):
            part = _laid(tree, unpacked, where)
            missing.extend(part.missing)
            findings.extend(part.findings)
            findings.append(Finding("unpacked", "info", name, f"unpacked into {where}/"))
    for name, file in got:
        if not _move(file, tree / name, tree):
            findings.append(
                Finding(
                    "name-taken",
                    "info",
                    name,
                    "an archive holds a file of this name, which is used",
                )
            )
    missing.extend(drop_links_that_leave(tree))
    return Laid(tree, tuple(sorted(set(missing))), tuple(findings))


def _laid(tree: Path, unpacked: Unpacked, where: str) -> Laid:
    start = f"{where}/" if where else ""
    return Laid(tree, tuple(start + path for path in unpacked.missing), unpacked.findings)


def _move(thing: Path, target: Path, tree: Path) -> bool:
    """Move a file or folder into the tree, unless the place is taken or is not inside."""
    inside = target.parent.resolve().is_relative_to(tree.resolve())
    if target.exists() or target.is_symlink() or not inside:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    thing.rename(target)
    return True
