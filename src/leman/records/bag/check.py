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
from leman.records.bag import fetching, manifest, reading
from leman.records.bag.hashing import digests
from leman.records.bag.listing import (
    Listing,
    bad_path,
    capped,
    collisions,
    folders_of,
    listed,
    unportable,
)
from leman.records.layout import (
    DECLARATION,
    FETCH,
    GROWING,
    INFO,
    LARGEST_MANIFEST,
    LARGEST_SIDE_FILE,
    MANIFEST,
    MOST_BESIDE,
    MOST_FILES,
    PAYLOAD,
    SOURCE,
    TAG_MANIFEST,
    TAGS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leman.records.model import Reference

_DIGITS = 64  # of a SHA-256
_DECLARED = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_OXUM = re.compile(r"^payload-oxum[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)


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
    yield from capped(_beyond_listing(root, contents, progress))


def _beyond_listing(
    root: Path, contents: Contents, progress: Callable[[int, int], None]
) -> Iterator[Finding]:
    yield from _declaration(root, contents)
    for name in (TAG_MANIFEST, MANIFEST):
        yield from _read_manifest(root, name, contents)
    yield from _fetch(root, contents)
    yield from _names(contents)
    yield from _missing_and_unlisted(contents)
    yield from _digests(root, contents, progress)
    yield from _description(root, contents)


def _problem(code: str, where: str, message: str, fix: str = "") -> Finding:
    return Finding(code, "error", where, message, fix)


def _declaration(root: Path, contents: Contents) -> Iterator[Finding]:
    if DECLARATION not in contents.listing.files:
        yield _problem("no-bag", DECLARATION, "there is no bagit.txt: this is no record")
        return
    try:
        found = reading.content(root / DECLARATION, most=1000)
    except OSError as error:
        yield _problem("bad-declaration", DECLARATION, reading.reason(error))
        return
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
            if len(entries) > (MOST_FILES if name == MANIFEST else len(TAGS)):
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
    files = contents.listing.files
    if FETCH not in files:
        return
    if files[FETCH] > LARGEST_MANIFEST:
        yield _problem("bad-fetch", FETCH, f"it has {files[FETCH]} bytes, more than any record's")
        return
    references: dict[str, Reference] = {}
    for reference, trouble in fetching.read(root / FETCH, contents.manifests[MANIFEST]):
        if reference is None:
            yield _problem("bad-fetch", FETCH, trouble)
            continue
        path = reference.path
        if not path.startswith(f"{SOURCE}/"):  # the rest of a record is always inside
            yield _problem("bad-fetch", path, f"only what is below {SOURCE}/ may be elsewhere")
        elif path in references:
            yield _problem("bad-fetch", path, f"{FETCH} names it more than once")
        elif path in files and files[path] != reference.size:
            words = f"it has {files[path]} bytes, {FETCH} says {reference.size}"
            yield _problem("bad-fetch", path, words)
        else:
            references[path] = reference
    contents.references = tuple(one for one in references.values() if one.path not in files)


def _names(contents: Contents) -> Iterator[Finding]:
    named = (path for entries in contents.manifests.values() for path in entries)
    paths = dict.fromkeys([*contents.listing.files, *named])
    for path in paths:
        if trouble := unportable(path):
            yield _problem("unportable-name", path, trouble)
    for path in folders_of(paths) & paths.keys():
        yield _problem("name-collision", path, "it is a file, and a folder that holds another")
    for one, other in collisions(paths):
        yield _problem("name-collision", other, f"on some systems this is the same file as {one!r}")


def _missing_and_unlisted(contents: Contents) -> Iterator[Finding]:
    files, named = contents.listing.files, contents.manifests
    elsewhere = {one.path for one in contents.references}
    for name, entries in named.items():
        gone = (path for path in entries if path not in files and path not in elsewhere)
        for path in gone:
            yield _problem("missing", path, f"{name} lists it, but it is not there")
    if contents.manifests[TAG_MANIFEST]:
        for tag in (DECLARATION, INFO, MANIFEST):
            if tag not in named[TAG_MANIFEST]:
                yield _problem("not-covered", tag, f"{TAG_MANIFEST} does not list it")
    for path in _unlisted(contents):
        yield _problem("unlisted", path, "no manifest lists it")
    yield from _beside(files)


def _beside(all_files: dict[str, int]) -> Iterator[Finding]:
    start = f"{PAYLOAD}/"
    files = {path: size for path, size in all_files.items() if not path.startswith(start)}
    for folder in GROWING:
        count = sum(path.startswith(f"{folder}/") for path in files)
        if count > MOST_BESIDE:
            words = f"it holds {count} files, more than {MOST_BESIDE}: none was looked at"
            yield _problem("too-many-files", folder, words)
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
    for path, digest, size, trouble in digests(jobs):
        done += size
        progress(done, total)
        if digest == wanted[path]:
            continue
        if trouble:
            yield _problem("unreadable", path, trouble)
        else:
            words = f"its SHA-256 is {digest}, the manifest has {wanted[path]}"
            yield _problem("changed", path, words)


def _description(root: Path, contents: Contents) -> Iterator[Finding]:
    """Compare with the payload's size that bag-info.txt gives (RFC 8493 §2.2.2)."""
    if INFO not in contents.listing.files:
        return
    try:
        text = reading.content(root / INFO, most=LARGEST_SIDE_FILE).decode()
    except (OSError, UnicodeDecodeError) as error:
        trouble = reading.reason(error) if isinstance(error, OSError) else "it is not UTF-8"
        yield _problem("bad-info", INFO, trouble)
        return
    start = f"{PAYLOAD}/"
    sizes = [size for path, size in contents.listing.files.items() if path.startswith(start)]
    sizes += [one.size for one in contents.references]
    found = f"{sum(sizes)}.{len(sizes)}"
    for told in _OXUM.findall(text):
        if told != found:
            words = f"Payload-Oxum is {told[:80]}, found {found} (bytes, files)"
            yield _problem("wrong-size", INFO, words)
