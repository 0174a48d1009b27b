"""What a package index offers: versions, upload times, for which Pythons (PEP 503, 691, 700)."""

from __future__ import annotations

import html
import json
import platform
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from leman.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import httpx

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_LINK = re.compile(r"<a\s([^>]*)>([^<]*)</a>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*[\"']([^\"']*)[\"']")
_FRESH = 7 * 86400  # an old cut-off never needs a newer answer; a week is plenty
_MACHINE = platform.machine().lower()


@dataclass(frozen=True, slots=True)
class Release:
    """One version: `uploaded` is its first file's date (None: the index gives no dates).

    `pythons` holds the minors that a wheel for Linux exists for, or ``any`` for a pure one.
    """

    version: Version
    uploaded: date | None
    pythons: frozenset[str]
    sdist: bool
    requires_python: str = ""

    def runs_on(self, minor: str, *, wheels_only: bool = False) -> bool:
        """Tell whether this release can be installed on a Python minor such as ``3.8``."""
        if self.requires_python and not _allows(self.requires_python, minor):
            return False
        if self.pythons & {minor, "any"}:
            return True
        return self.sdist and not wheels_only


@dataclass(frozen=True, slots=True)
class Index:
    """A package index with a cache on disk; an unreachable index yields empty answers.

    `address` is its address, or what finds it out when it is needed.
    """

    address: str | Callable[[], str]
    cache: Path
    offline: bool = False

    @property
    def url(self) -> str:
        """The address; "" where there is none."""
        return self.address if isinstance(self.address, str) else self.address()

    def releases(
        self, names: Iterable[str], *, fresh: float = _FRESH
    ) -> dict[str, tuple[Release, ...]]:
        """Return the releases of each name, oldest version first; () where there are none.

        Answers that are kept and at most `fresh` seconds old are not asked for again.
        """
        wanted = sorted({str(canonicalize_name(name)) for name in names})
        found = {name: self._cached(name, fresh) for name in wanted}
        missing = [name for name, text in found.items() if text is None]
        if missing and not self.offline and self.url:
            import httpx  # noqa: PLC0415 - slow, and what is kept needs no web

            with (
                httpx.Client(timeout=30, follow_redirects=True, headers={"Accept": _ACCEPT}) as web,
                ThreadPoolExecutor(8) as pool,
            ):
                fetched = pool.map(lambda name: self._fetched(web, name), missing)
                found.update(dict(zip(missing, fetched, strict=True)))
        return {
            name: parse(text if text is not None else self._cached(name, None) or "")
            for name, text in found.items()
        }

    def _path(self, name: str) -> Path:
        return self.cache / f"{name}.json"

    def _cached(self, name: str, age: float | None) -> str | None:
        path = self._path(name)
        try:
            if age is not None and time.time() - path.stat().st_mtime > age:
                return None
            return path.read_text()
        except OSError:
            return None

    def _fetched(self, web: httpx.Client, name: str) -> str | None:
        import httpx  # noqa: PLC0415

        try:
            answer = web.get(f"{self.url.rstrip('/')}/{name}/")
        except httpx.HTTPError:
            return None
        if answer.status_code == httpx.codes.NOT_FOUND:
            text = '{"files": []}'
        elif answer.is_success:
            text = answer.text if answer.text.lstrip().startswith("{") else _from_html(answer.text)
        else:
            return None
        try:
            slim = json.dumps({"files": [_slim(file) for file in json.loads(text)["files"]]})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None  # a proxy's or a login's answer in place of the index's
        write_atomic(self._path(name), slim)
        return slim


def _slim(file: dict[str, Any]) -> dict[str, Any]:
    kept = ("filename", "upload-time", "requires-python", "yanked")
    return {key: file[key] for key in kept if file.get(key)}


def _from_html(page: str) -> str:
    files = []
    for attributes, text in _LINK.findall(page):
        found = {key.lower(): html.unescape(value) for key, value in _ATTRIBUTE.findall(attributes)}
        files.append(
            {
                "filename": html.unescape(text).strip(),
                "upload-time": found.get("data-upload-time"),
                "requires-python": found.get("data-requires-python"),
                "yanked": "data-yanked" in found,
            }
        )
    return json.dumps({"files": files})


def parse(text: str) -> tuple[Release, ...]:
    """Read one project's page into releases; files of unknown form are passed over."""
    if not text:
        return ()
    gathered: dict[Version, list[dict[str, Any]]] = {}
    for file in json.loads(text)["files"]:
        version = _version(file["filename"])
        if version is not None and not file.get("yanked"):
            gathered.setdefault(version, []).append(file)
    return tuple(_release(version, gathered[version]) for version in sorted(gathered))


def _release(version: Version, files: list[dict[str, Any]]) -> Release:
    pythons: set[str] = set()
    for file in files:
        pythons |= _pythons(file["filename"])
    times = [file["upload-time"][:10] for file in files if file.get("upload-time")]
    return Release(
        version,
        date.fromisoformat(min(times)) if times else None,
        frozenset(pythons),
        sdist=any(not file["filename"].endswith((".whl", ".exe", ".egg")) for file in files),
        requires_python=next((f["requires-python"] for f in files if f.get("requires-python")), ""),
    )


def _version(filename: str) -> Version | None:
    try:
        if filename.endswith(".whl"):  # name-version[-build]-python-abi-platform
            parts = filename[:-4].split("-")
            return _parsed(parts[1]) if len(parts) in {5, 6} else None
        if filename.endswith((".tar.gz", ".zip")):
            return parse_sdist_filename(filename)[1]
    except InvalidSdistFilename:
        pass
    return None


@lru_cache(maxsize=4096)  # a version has dozens of wheels
def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _fits(tag: str) -> bool:
    """Tell whether a wheel's platform tag (PEP 425, PEP 600) is one of this machine's."""
    if tag == "any":
        return True
    if sys.platform == "darwin":
        fat = "universal2" in tag or (_MACHINE == "x86_64" and "intel" in tag)
        return "macosx" in tag and (_MACHINE in tag or fat)
    return "linux" in tag and tag.endswith(_MACHINE) and "musl" not in tag


def _pythons(filename: str) -> frozenset[str]:
    if not filename.endswith(".whl"):
        return frozenset()
    return _pythons_of(*filename[:-4].split("-")[-3:])


@lru_cache(maxsize=4096)  # all projects use the same few hundred
def _pythons_of(python: str, abi: str, tag: str) -> frozenset[str]:
    if not _fits(tag):
        return frozenset()
    if abi == "abi3":
        first = re.match(r"cp3(\d+)", python)
        return frozenset(f"3.{minor}" for minor in range(int(first[1]) if first else 0, 20))
    if abi == "none" and "py3" in python:
        return frozenset({"any"})
    return frozenset(f"3.{minor}" for minor in re.findall(r"cp3(\d+)", python))


def _allows(specifier: str, minor: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(f"{minor}.15", prereleases=True)
    except InvalidSpecifier:
        return True


def newest(
    releases: tuple[Release, ...],
    *,
    by: date,
    minor: str,
    specifier: str = "",
    wheels_only: bool = False,
) -> Release | None:
    """Return the newest final release of a specifier that existed `by` a date and suits `minor`."""
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        allowed = SpecifierSet()
    for release in reversed(releases):
        if release.uploaded is not None and release.uploaded > by:
            continue
        if release.version.is_prerelease and "==" not in specifier:
            continue
        if allowed.contains(release.version, prereleases=True) and release.runs_on(
            minor, wheels_only=wheels_only
        ):
            return release
    return None
