"""What stored figures give away: the matplotlib that drew them, and their resolution.

matplotlib writes its version into every PNG since 2.1 (the ``Software`` keyword of a tEXt chunk)
and the resolution since long before (a pHYs chunk); PNG specification, third edition, 11.3.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from leman.environments.detect.notebooks import cells, code_cells, joined
from leman.environments.detect.poetry import rows, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 4096  # characters of base64 that hold a figure's first chunks
_MOST = 60  # figures of one notebook that are looked at
_SOFTWARE = re.compile(rb"^Software\0[Mm]atplotlib version ?(\d+\.\d+(?:\.\d+)?)")
_LAG = timedelta(days=90)  # that an installation stays behind the newest release
_NAMED_SINCE = Version("2.1")


@dataclass(frozen=True, slots=True)
class Figures:
    """`version` is matplotlib's that drew most figures ("": not said), `dpi` their resolution.

    `old` says that the figures are of a matplotlib from before 2.1, which did not write its name.
    """

    version: str = ""
    dpi: int = 0
    old: bool = False


def stored_figures(notebook: dict[str, Any]) -> Figures:
    """Return what the PNG figures among the stored outputs tell; the notebook is parsed JSON."""
    versions: Counter[str] = Counter()
    resolutions: Counter[int] = Counter()
    unnamed = 0
    for number, picture in enumerate(_pictures(notebook)):
        if number >= _MOST:
            break
        version, dpi, other = _read(picture)
        if not other and (version or dpi):
            versions.update([version] if version else [])
            resolutions.update([dpi] if dpi else [])
            unnamed += not version
    named = versions.most_common(1)[0][0] if versions else ""
    dpi = resolutions.most_common(1)[0][0] if resolutions else 0
    return Figures(named, dpi, old=bool(unnamed) and not named and dpi in {72, 144})


def drawn_between(version: str) -> tuple[date, date] | None:
    """Return the days between which a matplotlib was probably installed; None for an unknown one.

    From its release to a quarter after the next one; the last of a series until the next series.
    """
    known = _released()
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    at = bisect_left(known, (wanted, date.min))
    if at == len(known) or known[at][0] != wanted:
        return None
    born = known[at][1]
    later = [day for release, day in known[at + 1 :] if day > born and release > wanted]
    return born, min(later, default=date.max - _LAG) + _LAG


def before_names() -> date:
    """Return the last day on which a new installation had a matplotlib without its name."""
    return min(day for release, day in _released() if release >= _NAMED_SINCE) + _LAG


def inline_limit(notebook: dict[str, Any], figures: Figures) -> str:
    """Return what the resolution says of the version of matplotlib-inline, "" for nothing.

    Up to 0.1.3 it drew with 72 dots per inch, since then with matplotlib's own 100.
    """
    if figures.dpi not in {72, 144} or not figures.version:
        return ""
    said = any("dpi" in source for _, source in code_cells(notebook))
    return "" if said else "<0.1.4"


def _pictures(notebook: dict[str, Any]) -> Iterator[str]:
    for cell in cells(notebook):
        for output in rows(cell.get("outputs")):
            if isinstance(output, dict):
                found = table(output, "data").get("image/png") or output.get("png")
                text = joined(found)[:_HEAD] if found else ""
                if text:
                    yield text


def _read(picture: str) -> tuple[str, int, bool]:
    """Return (matplotlib's version, dots per inch, whether another program drew it)."""
    version, dpi = "", 0
    for kind, data in _chunks(picture):
        if kind == b"tEXt" and data.startswith(b"Software\0"):
            named = _SOFTWARE.match(data)
            if named is None:
                return "", 0, True
            version = named[1].decode()
        if kind == b"pHYs" and len(data) == 9 and data[8] == 1:
            dpi = round(struct.unpack(">I", data[:4])[0] * 0.0254)
    return version, dpi, False


def _chunks(picture: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks before the pixels, as far as they are there."""
    text = re.sub(r"\s", "", picture)
    try:
        data = base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind == b"IDAT":
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


@lru_cache(maxsize=1)
def _released() -> tuple[tuple[Version, date], ...]:
    text = files("leman.environments").joinpath("data/matplotlib.tsv").read_text()
    rows_ = (line.split("\t") for line in text.splitlines())
    return tuple(sorted((Version(name), date.fromisoformat(day)) for name, day in rows_))
