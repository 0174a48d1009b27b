"""fetch.txt (RFC 8493 §2.2.3): files that are listed with their digest but lie elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leman.records.bag import manifest, reading
from leman.records.bag.listing import bad_path
from leman.records.layout import PAYLOAD
from leman.records.model import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_SIZE = re.compile("[0-9]{1,18}")  # Python reads no number of more than 4300 digits
SCHEMES = frozenset({"http", "https"})


def text(references: Iterable[Reference]) -> str:
    """Return the content of fetch.txt; paths are those of the bag."""
    return "".join(f"{one.url} {one.size} {manifest.encoded(one.path)}\n" for one in references)


def read(path: Path, digests: Mapping[str, str]) -> Iterator[tuple[Reference | None, str]]:
    """Yield each entry, or None and what is wrong with it.

    `digests` are those of the payload manifest: a file that it does not list must not be fetched.
    """
    try:
        for number, line in manifest.lines(path):
            if line.strip():
                yield _entry(number, line, digests)
    except manifest.ManifestError as error:
        yield None, f"line {error.number}: {error.message}"
    except OSError as error:
        yield None, reading.reason(error)


def _entry(number: int, line: str, digests: Mapping[str, str]) -> tuple[Reference | None, str]:
    parts = re.split("[ \t]+", line, maxsplit=2)  # no-break spaces belong to names
    if len(parts) != 3 or not _SIZE.fullmatch(parts[1]):
        return None, f"line {number}: expected an address, a size in bytes and a path"
    url, size, name = parts[0], int(parts[1]), manifest.decoded(parts[2])
    if trouble := bad_path(name):
        return None, f"line {number}: {name[:200]!r}: {trouble}"
    if not name.startswith(f"{PAYLOAD}/") or name not in digests:
        return None, f"line {number}: {name[:200]!r} is not in the payload manifest"
    if not is_address(url):
        return None, f"line {number}: {url[:200]!r} is no http or https address"
    return Reference(name, url, size, digests[name]), ""


def is_address(url: str) -> bool:
    """Tell whether `url` is one that may be fetched from: never a file of this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.hostname)
