"""Any BagIt bag (RFC 8493, and the drafts 0.93 to 0.97 before it): complete and valid, or not.

Records are stricter (see `check`): this is for the bags of others. Where versions differ, the
bag's own version rules. A warning says that the bag is valid and that another program may not
think so.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.findings import Finding, shown
from leman.records.bag import reading
from leman.records.bag.hashing import digests
from leman.records.bag.listing import bad_path, capped, key_of, listed
from leman.records.layout import DECLARATION, FETCH, INFO, LARGEST_MANIFEST, PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DECLARED = re.compile(
    r"BagIt-Version: ([0-9]{1,9})\.([0-9]{1,9})\r?\n"
    r"(?:Tag-File-Character-Encoding|Tag-File-Encoding): ([A-Za-z0-9_.:-]+)\s*"
)
_MANIFEST = re.compile(r"(tag)?manifest-([a-z0-9]+)\.txt")
_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+(\*?)(.+)")
_END = re.compile("\r\n|\n|\r")  # of a line; what else Python takes for one may be in a name
_OXUM = re.compile(r"^payload-oxum[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
_NUMBERS = re.compile(r"0*([0-9]{1,18})\.0*([0-9]{1,18})")
# Encodings of Python that are none of files: with them one text may be written in many ways.
_NO_ENCODINGS = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_NEWEST = (1, 0)
_STRICT = (1, 0)  # from here on every manifest lists every file, once
_ODD = ("link", "special-file", "too-deep", "too-many-files", "unreadable")


@dataclass(slots=True)
class _Bag:
    """A bag as far as it was read: `manifests` are name → path → digest."""

    root: Path
    version: tuple[int, int] = _NEWEST
    encoding: str = "utf-8"
    files: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, dict[str, str]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """Return a tag file's text. Raises OSError, UnicodeDecodeError."""
        content = reading.content(self.root / name, most=LARGEST_MANIFEST)
        return content.decode(self.encoding)

    def payload(self) -> dict[str, dict[str, str]]:
        """Return the payload manifests."""
        found = self.manifests.items()
        return {name: rows for name, rows in found if not name.startswith("tag")}


def validate(root: Path) -> Iterator[Finding]:
    """Yield what is wrong (errors) or odd (warnings) with the bag in `root`.

    Without an error the bag is complete and valid. Links are not followed and count as errors,
    since what they lead to is not in the bag. Nothing is fetched: files that fetch.txt names and
    that are not there make the bag incomplete.
    """
    listing = listed(root)
    yield from (shown(one) for one in listing.findings if one.code in _ODD)
    yield from map(shown, capped(_beyond_listing(_Bag(root, files=listing.files))))


def _beyond_listing(bag: _Bag) -> Iterator[Finding]:
    problem = _declared(bag)
    if problem:
        yield problem
        return
    yield from _manifests(bag)
    yield from _fetch(bag)
    yield from _litter(bag)
    yield from _listed(bag)
    yield from _digests(bag)
    yield from _size(bag)


def _problem(code: str, where: str, message: str) -> Finding:
    return Finding(code, "error", where, message)


def _declared(bag: _Bag) -> Finding | None:
    try:
        text = reading.content(bag.root / DECLARATION, most=10_000).decode()
    except OSError as error:
        return _problem("no-bag", DECLARATION, f"it cannot be read: {reading.reason(error)}")
    except UnicodeDecodeError:
        return _problem("bad-declaration", DECLARATION, "it is not UTF-8")
    match = _DECLARED.fullmatch(text)
    if match is None:
        words = "expected the lines BagIt-Version: M.N and Tag-File-Character-Encoding: NAME"
        return _problem("bad-declaration", DECLARATION, words)
    bag.version, bag.encoding = (int(match[1]), int(match[2])), match[3]
    if bag.version > _NEWEST:
        words = f"the bag has BagIt version {match[1]}.{match[2]}, this leman reads 1.0"
        return _problem("future-format", DECLARATION, words)
    if not _is_encoding(bag.encoding):
        return _problem("bad-declaration", DECLARATION, f"there is no encoding {bag.encoding}")
    return None


def _is_encoding(name: str) -> bool:
    try:
        known = codecs.lookup(name).name.replace("_", "-")
        b"BagIt".decode(name)  # of nothing, Python takes every name for an encoding's
    except LookupError:
        return False
    except UnicodeError:  # an odd number of bytes
        return known not in _NO_ENCODINGS
    return known not in _NO_ENCODINGS


def _manifests(bag: _Bag) -> Iterator[Finding]:
    for name in sorted(bag.files):
        match = _MANIFEST.fullmatch(name)
        if match is None:
            continue
        if match[2] not in hashlib.algorithms_available or "shake" in match[2]:
            words = f"the digest {match[2]} is not known here, so this manifest says nothing"
            yield Finding("unknown-digest", "warning", name, words)
            continue
        yield from _manifest(bag, name, hashlib.new(match[2], usedforsecurity=False).digest_size)
    if not bag.payload():
        yield _problem("manifest-missing", "manifest-….txt", "there is no payload manifest")


def _manifest(bag: _Bag, name: str, size: int) -> Iterator[Finding]:
    bag.manifests.setdefault(name, {})
    try:
        lines = _END.split(bag.text(name))
    except (OSError, UnicodeError) as error:
        yield _problem("bad-manifest", name, f"it cannot be read as {bag.encoding}: {error}")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(match[1]) != 2 * size:
            words = f"line {number}: expected a digest of {2 * size} digits and a path"
            yield _problem("bad-manifest", name, words)
            continue
        path = _decoded(bag, match[3])
        if match[2] or path.startswith("./"):
            words = f"line {number}: written as by md5sum (“*” or “./” before the path)"
            yield Finding("odd-path", "warning", name, words)
            path = path.removeprefix("./")
        yield from _row(bag, name, path, match[1].lower())


def _row(bag: _Bag, name: str, path: str, digest: str) -> Iterator[Finding]:
    rows = bag.manifests[name]
    trouble = bad_path(path)
    if not trouble and name.startswith("tag") == path.startswith(f"{PAYLOAD}/"):
        trouble = "it does not belong into this manifest"
    if trouble:
        yield _problem("bad-path", path[:300], f"{name} names it, but {trouble}")
    elif path not in rows:
        rows[path] = digest
    elif rows[path] != digest or bag.version >= _STRICT:
        yield _problem("listed-twice", path, f"{name} lists it more than once")
    else:
        yield Finding("listed-twice", "warning", path, f"{name} lists it more than once")


def _decoded(bag: _Bag, path: str) -> str:
    """Return a path as the file system knows it; ``%25`` is an escape since version 1.0 only."""
    path = re.sub("%0[aA]", "\n", re.sub("%0[dD]", "\r", path))
    return path.replace("%25", "%") if bag.version >= _STRICT else path


def _fetch(bag: _Bag) -> Iterator[Finding]:
    if FETCH not in bag.files:
        return
    named = {path for rows in bag.payload().values() for path in rows}
    try:
        lines = _END.split(bag.text(FETCH))
    except (OSError, UnicodeError) as error:
        yield _problem("bad-fetch", FETCH, f"it cannot be read as {bag.encoding}: {error}")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = re.split("[ \t]+", line, maxsplit=2)
        path = _decoded(bag, parts[2]).removeprefix("./") if len(parts) == 3 else ""
        trouble = bad_path(path) if path else "expected an address, a size and a path"
        if not trouble and path not in named:
            trouble = f"{path[:200]!r} is in no payload manifest"
        if trouble:
            yield _problem("bad-fetch", FETCH, f"line {number}: {trouble}")
        else:
            bag.elsewhere.add(path)


def _litter(bag: _Bag) -> Iterator[Finding]:
    for path in sorted({path for rows in bag.payload().values() for path in rows}):
        if path.rpartition("/")[2] in _LITTER:
            yield Finding("odd-path", "warning", path, "a file manager's own, which others remove")


def _listed(bag: _Bag) -> Iterator[Finding]:
    """Compare what is there with what is listed, and the payload manifests with each other."""
    here = {path for path in bag.files if path.startswith(f"{PAYLOAD}/")}
    payload = bag.payload()
    every = {path for rows in payload.values() for path in rows}
    for path in sorted(here - every):
        yield _problem("unlisted", path, "no payload manifest lists it")
    if bag.version >= _STRICT:
        for name, rows in payload.items():
            for path in sorted((every | here) - rows.keys()):
                yield _problem("not-covered", path, f"{name} does not list it, as it must")
    yield from _absent(bag)


def _absent(bag: _Bag) -> Iterator[Finding]:
    alike = {key_of(path): path for path in bag.files}
    for name, rows in bag.manifests.items():
        for path in sorted(rows.keys() - bag.files.keys()):
            other = alike.get(key_of(path))
            if other and rows.get(other, rows[path]) == rows[path]:
                words = f"on some systems this is {other!r}, which is there"
                yield Finding("name-collision", "warning", path, words)
                rows[other] = rows.pop(path)
            elif path in bag.elsewhere:
                yield _problem("missing", path, f"it has to be fetched first ({FETCH} says where)")
            else:
                yield _problem("missing", path, f"{name} lists it, but it is not there")


def _digests(bag: _Bag) -> Iterator[Finding]:
    for name, rows in bag.manifests.items():
        algorithm = name.rpartition("-")[2].removesuffix(".txt")
        base = os.fspath(bag.root)
        jobs = ((path, f"{base}/{path}") for path in rows if path in bag.files)
        for path, digest, _, trouble in digests(jobs, algorithm):
            if trouble:
                yield _problem("unreadable", path, trouble)
            elif digest != rows[path]:
                words = f"its {algorithm} is {digest}, {name} has {rows[path]}"
                yield _problem("changed", path, words)


def _size(bag: _Bag) -> Iterator[Finding]:
    if INFO not in bag.files:
        return
    try:
        told = _OXUM.search(bag.text(INFO))
    except (OSError, UnicodeError) as error:
        yield _problem("bad-info", INFO, f"it cannot be read as {bag.encoding}: {error}")
        return
    sizes = [size for path, size in bag.files.items() if path.startswith(f"{PAYLOAD}/")]
    numbers = _NUMBERS.fullmatch(told[1]) if told else None
    if told and (numbers is None or numbers.groups() != (str(sum(sizes)), str(len(sizes)))):
        words = f"Payload-Oxum is {told[1][:80]}, found {sum(sizes)}.{len(sizes)} (bytes, files)"
        yield _problem("wrong-size", INFO, words)
