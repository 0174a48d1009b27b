"""Whether the files of a record are those of its manifests: every difference is a finding.

Stricter than RFC 8493, which does not ask for a list of everything: nothing may be there that no
manifest names, but for three folders whose files prove themselves.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.findings import Finding
from leman.records.bag import fetching, manifest
from leman.records.bag.hashing import digests
from leman.records.bag.listing import Listing, bad_path, collisions, listed, unportable
from leman.records.layout import (
    DECLARATION,
    FETCH,
    GROWING,
    INFO,
    LARGEST_MANIFEST,
    LARGEST_SIDE_FILE,
    MANIFEST,
    MOST_FILES,
    PAYLOAD,
    TAG_MANIFEST,
    TAGS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from leman.records.model import Reference

_DIGITS = 64  # of a SHA-256
_DECLARED = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_MOST_FINDINGS = 1000  # of one kind: beyond, they are counted
_OXUM = re.compile(r"^Payload-Oxum:[ \t]*(\d+)\.(\d+)[ \t]*$", re.MULTILINE)


def unheard(_done: int, _total: int) -> None:
    """Report progress to nobody."""


@dataclass(slots=True)
class Contents:
    """What was found in a record's folder, gathered while it is checked."""

    listing: Listing = field(default_factory=Listing)
    manifests: dict[str, dict[str, str]] = field(default_factory=dict)  # manifest → path → digest
    references: tuple[Reference, ...] = ()  # files that fetch.txt names and that are not here


def check(
    root: Path, contents: Contents, *, progress: Callable[[int, int], None] = unheard
) -> Iterator[Finding]:
    """Yield what is wrong with the files of the record in `root`, and fill `contents`.

    Nothing is written, no link followed, and no path left that a hostile manifest names.
    `progress` gets bytes read and bytes to read.
    """
    contents.listing = listed(root)
    yield from contents.listing.findings
    yield from _declaration(root, contents)
    for name in (TAG_MANIFEST, MANIFEST):
        yield from _read_manifest(root, name, contents)
    yield from _fetch(root, contents)
    yield from _names(contents)
    yield from _missing_and_unlisted(contents)
    yield from _digests(root, contents, progress)
    yield from _oxum(root, contents)


def _problem(code: str, where: str, message: str, fix: str = "") -> Finding:
    return Finding(code, "error", where, message, fix)


def _declaration(root: Path, contents: Contents) -> Iterator[Finding]:
    size = contents.listing.files.get(DECLARATION)
    if size is None:
        yield _problem("no-bag", DECLARATION, "there is no bagit.txt: this is no record")
        return
    found = (root / DECLARATION).read_bytes()[:1000] if size < 1000 else b""
    if found.decode(errors="replace").replace("\r\n", "\n") == _DECLARED:
        return
    version = re.match(rb"BagIt-Version: (\d+)\.(\d+)\r?\n", found)
    if version and (int(version[1]), int(version[2])) > (1, 0):
        words = f"the bag has BagIt version {version[1].decode()}.{version[2].decode()}"
        yield _problem(
            "future-format", DECLARATION, f"{words}, this leman reads 1.0", "Use a newer leman."
        )
        return
    yield _problem("bad-declaration", DECLARATION, "it is not the declaration of a BagIt 1.0 bag")


def _read_manifest(root: Path, name: str, contents: Contents) -> Iterator[Finding]:
    entries = contents.manifests.setdefault(name, {})
    size = contents.listing.files.get(name)
    if size is None:
        yield _problem("manifest-missing", name, "the manifest is not there")
        return
    if size > LARGEST_MANIFEST:
        yield _problem("manifest-too-large", name, f"it has {size} bytes, more than any record's")
        return
    try:
        for path, digest in manifest.read(root / name, digits=_DIGITS):
            if trouble := bad_path(path) or _out_of_place(name, path):
                yield _problem("bad-path", path[:300], f"{name} names it, but {trouble}")
            elif path in entries:
                yield _problem("listed-twice", path, f"{name} lists it more than once")
            else:
                entries[path] = digest
            if len(entries) > MOST_FILES:
                yield _problem("too-many-files", name, f"it lists more than {MOST_FILES} files")
                return
    except manifest.ManifestError as error:
        yield _problem("bad-manifest", name, f"line {error.number}: {error.message}")
    except OSError as error:
        yield _problem("unreadable", name, error.strerror or str(error))


def _out_of_place(name: str, path: str) -> str:
    if name == MANIFEST:
        return "" if path.startswith(f"{PAYLOAD}/") else f"it is not below {PAYLOAD}/"
    return "" if path in TAGS else "it is none of a record's tag files"


def _fetch(root: Path, contents: Contents) -> Iterator[Finding]:
    """Read fetch.txt: files that are named with their digest but may be elsewhere."""
    if FETCH not in contents.listing.files:
        return
    listed_here = contents.manifests[MANIFEST]
    references = []
    for reference, trouble in fetching.read(root / FETCH, listed_here):
        if reference is None:
            yield _problem("bad-fetch", FETCH, trouble)
        elif reference.path not in contents.listing.files:
            references.append(reference)
    contents.references = tuple(references)


def _names(contents: Contents) -> Iterator[Finding]:
    named = (path for entries in contents.manifests.values() for path in entries)
    paths = dict.fromkeys([*contents.listing.files, *named])
    for path in paths:
        if trouble := unportable(path):
            yield _problem("unportable-name", path, trouble)
    for one, other in collisions(paths):
        yield _problem("name-collision", other, f"on some systems this is the same file as {one!r}")


def _missing_and_unlisted(contents: Contents) -> Iterator[Finding]:
    files, named = contents.listing.files, contents.manifests
    elsewhere = {one.path for one in contents.references}
    for name, entries in named.items():
        gone = (path for path in entries if path not in files and path not in elsewhere)
        yield from _several("missing", gone, f"{name} lists it, but it is not there")
    if contents.manifests[TAG_MANIFEST]:
        for tag in (DECLARATION, INFO, MANIFEST):
            if tag not in named[TAG_MANIFEST]:
                yield _problem("not-covered", tag, f"{TAG_MANIFEST} does not list it")
    yield from _several("unlisted", _unlisted(contents), "no manifest lists it")
    for path, size in files.items():
        if _grows(path) and size > LARGEST_SIDE_FILE:
            yield _problem(
                "side-file-too-large", path, f"it has {size} bytes, more than any such file"
            )


def _unlisted(contents: Contents) -> Iterator[str]:
    payload, tags = contents.manifests[MANIFEST], contents.manifests[TAG_MANIFEST]
    for path in contents.listing.files:
        if path.startswith(f"{PAYLOAD}/"):
            if path not in payload:
                yield path
        elif path not in tags and path != TAG_MANIFEST and not _grows(path):
            yield path


def _grows(path: str) -> bool:
    folder, _, name = path.partition("/")
    return folder in GROWING and bool(GROWING[folder].fullmatch(name))


def _several(code: str, paths: Iterable[str], message: str) -> Iterator[Finding]:
    """Yield a finding a path; beyond a thousand, one that counts the rest."""
    count = 0
    for path in paths:
        count += 1
        if count <= _MOST_FINDINGS:
            yield _problem(code, path, message)
    if count > _MOST_FINDINGS:
        yield _problem(code, "", f"{message} (and {count - _MOST_FINDINGS} more files)")


def _digests(
    root: Path, contents: Contents, progress: Callable[[int, int], None]
) -> Iterator[Finding]:
    files = contents.listing.files
    wanted = {
        path: digest
        for entries in contents.manifests.values()
        for path, digest in entries.items()
        if path in files
    }
    total, done = sum(files[path] for path in wanted), 0
    base = os.fspath(root)
    jobs = ((path, f"{base}/{path}") for path in wanted)
    count = 0
    for path, digest, size, trouble in digests(jobs):
        done += size
        progress(done, total)
        if digest == wanted[path]:
            continue
        count += 1
        if trouble:
            yield _problem("unreadable", path, trouble)
        elif count <= _MOST_FINDINGS:
            words = f"its SHA-256 is {digest}, the manifest has {wanted[path]}"
            yield _problem("changed", path, words)
    if count > _MOST_FINDINGS:
        yield _problem("changed", "", f"and {count - _MOST_FINDINGS} more files were changed")


def _oxum(root: Path, contents: Contents) -> Iterator[Finding]:
    """Compare with the payload's size that bag-info.txt gives (RFC 8493 §2.2.2)."""
    if INFO not in contents.listing.files or contents.listing.files[INFO] > LARGEST_SIDE_FILE:
        return
    match = _OXUM.search((root / INFO).read_bytes().decode(errors="replace"))
    if match is None:
        return
    start = f"{PAYLOAD}/"
    sizes = [size for path, size in contents.listing.files.items() if path.startswith(start)]
    sizes += [one.size for one in contents.references]
    if (sum(sizes), len(sizes)) != (int(match[1]), int(match[2])):
        yield _problem(
            "wrong-size",
            INFO,
            f"Payload-Oxum says {match[1]} bytes in {match[2]} files,"
            f" found {sum(sizes)} in {len(sizes)}",
        )
