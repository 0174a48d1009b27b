"""What a hostile hand may do to a record, and what `verify` must say of it.

The table is compared with docs/reference/tampering.md: each name stands there, too.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import damages as do
from signed_records import EXECUTED, FACTS, LOCK, NOTEBOOK, SCRIPT, Lab

from leman.records.layout import (
    DECLARATION,
    FETCH,
    INFO,
    MANIFEST,
    SIGNATURES,
    STAMPS,
    TAG_MANIFEST,
)

if TYPE_CHECKING:
    from damages import Damage

SSHSIG, TSR = f"{SIGNATURES}/alice.sshsig", f"{STAMPS}/alice.tsr"
ONE, TWO = "data/source/tables/one.csv", "data/source/tables/two.csv"
CRATE = "data/ro-crate-metadata.json"
NAME = "data/source/r\u00e9sum\u00e9.txt"
DECOMPOSED = unicodedata.normalize("NFD", NAME)


@dataclass(frozen=True, slots=True)
class Tampering:
    """A damage: the finding that names it, and the questions (of three) that are not yes.

    `code` is empty where an answer alone tells; `no` is empty where it is a warning, or allowed.
    """

    name: str
    damage: Damage
    code: str
    where: str | tuple[str, ...] = ""  # any of them: which file of two is told is chance
    no: str = "intact"


def _many_links(root: Path, _: Lab) -> None:
    for number in range(2000):
        (root / f"data/source/{number}").symlink_to("a.ipynb")


def _deep(root: Path, _: Lab) -> None:
    folder = root / "data" / "/".join("d" * 70)
    folder.mkdir(parents=True)
    (folder / "file").touch()


def _no_utf8(root: Path, _: Lab) -> None:
    with Path(os.fsdecode(os.fsencode(root) + b"/data/source/caf\xe9")).open("wb") as file:
        file.write(b"x")


def _many_signatures(root: Path, _: Lab) -> None:
    for number in range(1001):
        (root / SIGNATURES / f"a{number}.pub").touch()


USUAL = (
    Tampering("one byte of the data", do.edit(NOTEBOOK, "4", "3"), "changed", NOTEBOOK),
    Tampering("one digit of an output", do.edit(EXECUTED, "4}", "5}"), "changed", EXECUTED),
    Tampering("the lock edited", do.edit(LOCK, "1.0", "1.1"), "changed", LOCK),
    Tampering("the metadata edited", do.write(CRATE, "{ }"), "changed", CRATE),
    Tampering(
        "a file renamed",
        lambda root, _: (root / ONE).rename(root / "data/source/new"),
        "unlisted",
        "data/source/new",
    ),
    Tampering("two files swapped", do.swapped(ONE, TWO), "changed", TWO),
    Tampering("a file deleted", do.remove(NOTEBOOK), "missing", NOTEBOOK),
    Tampering("a file added", do.write("data/source/new"), "unlisted", "data/source/new"),
    Tampering(
        "data/.git/config added", do.write("data/.git/config"), "unlisted", "data/.git/config"
    ),
    Tampering("a file added at the top", do.write("README"), "unlisted", "README"),
    Tampering("a tag folder added", do.write("meta/x.txt"), "unlisted", "meta/x.txt"),
    Tampering("an empty folder added", do.folders("data/e"), "empty-folder", "data/e"),
    Tampering("a file replaced by a link to equal bytes", do.linked(NOTEBOOK), "link", NOTEBOOK),
    Tampering("a folder replaced by a link", do.linked("data/source"), "link", "data/source"),
    Tampering("a link added", do.link("data/l", "source/a.ipynb"), "link", "data/l"),
    Tampering(
        "the tag manifest deleted",
        do.remove(TAG_MANIFEST),
        "manifest-missing",
        TAG_MANIFEST,
        "intact signed dated",
    ),
    Tampering("bag-info.txt edited", do.edit(INFO, "Example", "Exemple"), "changed", INFO),
    Tampering("the right to execute added", do.mode(NOTEBOOK, 0o755), "mode", NOTEBOOK, ""),
    Tampering(
        "a file's time changed", lambda root, _: os.utime(root / NOTEBOOK, (1, 1)), "", "", ""
    ),
    Tampering(
        "the signature broken",
        do.edit(SSHSIG, "AAAA", "AAAB"),
        "bad-signature",
        SSHSIG,
        "intact signed dated",
    ),
    Tampering(
        "signature and time stamp deleted", do.without(SIGNATURES, STAMPS), "", "", "signed dated"
    ),
    Tampering(
        "data changed, all manifests made anew",
        do.resealed(do.write(ONE, "x\n3\n")),
        "bad-signature",
        SSHSIG,
        "intact signed dated",
    ),
    Tampering(
        "the same, signed by another key",
        do.all_of(do.resealed(do.write(ONE, "x\n3\n")), do.signed_by_another),
        "",
        "",
        "signed dated",
    ),
    Tampering("the time stamp broken", do.cut(TSR, 700), "bad-stamp", TSR, "intact dated"),
    Tampering("the time stamp deleted", do.without(STAMPS), "", "", "dated"),
)

FILES = (
    Tampering("the right to execute taken", do.mode(SCRIPT, 0o644), "mode", SCRIPT, ""),
    Tampering("set-uid added", do.mode(NOTEBOOK, 0o4644), "mode", NOTEBOOK, ""),
    Tampering("a hard link from outside", do.hard_linked(NOTEBOOK), "", "", ""),
    Tampering("a file cut off", do.cut(NOTEBOOK), "changed", NOTEBOOK),
    Tampering("the declaration cut off", do.cut(DECLARATION), "bad-declaration", DECLARATION),
    Tampering("the declaration deleted", do.remove(DECLARATION), "no-bag", DECLARATION),
    Tampering("bag-info.txt deleted", do.remove(INFO), "missing", INFO),
    Tampering("the page edited", do.write("record.html"), "changed", "record.html"),
    Tampering("the payload manifest deleted", do.remove(MANIFEST), "manifest-missing", MANIFEST),
    Tampering("a pipe in place of a file", do.pipe(NOTEBOOK), "special-file", NOTEBOOK),
    Tampering("a pipe in place of a tag file", do.pipe(INFO), "special-file", INFO),
    Tampering(
        "a pipe in place of a signature",
        do.pipe(SSHSIG),
        "special-file",
        SSHSIG,
        "intact signed dated",
    ),
    Tampering("a socket added", do.listening("data/source/s"), "special-file", "data/source/s"),
    Tampering("a link to itself", do.link("data/source/o", "o"), "link", "data/source/o"),
    Tampering(
        "a link to the record itself", do.link("data/source/o", "../.."), "link", "data/source/o"
    ),
    Tampering(
        "a link to a file of this machine", do.link("data/p", "/etc/passwd"), "link", "data/p"
    ),
    Tampering("thousands of links", _many_links, "link", ""),
    Tampering("folders without end", _deep, "too-deep", f"data/{'/'.join('d' * 64)}"),
    Tampering("a name that is not UTF-8", _no_utf8, "unportable-name", "data/source/caf\\udce9"),
    Tampering(
        "a name that writes on terminals",
        do.write("data/source/\x1b[2K\nintact yes"),
        "unlisted",
        "data/source/\\x1b[2K\\nintact yes",
    ),
    Tampering(
        "a name that runs from right to left",
        do.write("data/source/a\u202etxt.py"),
        "unlisted",
        "data/source/a\\u202etxt.py",
    ),
    Tampering(
        "a second manifest added", do.write("manifest-md5.txt"), "unlisted", "manifest-md5.txt"
    ),
    Tampering("a fetch.txt added", do.write(FETCH, "http://x/ 1 data/x\n"), "unlisted", FETCH),
    Tampering(
        "a data file in a growing folder",
        do.write(f"{SIGNATURES}/run.py"),
        "unlisted",
        f"{SIGNATURES}/run.py",
    ),
    Tampering(
        "thousands of signatures",
        _many_signatures,
        "too-many-files",
        SIGNATURES,
        "intact signed dated",
    ),
)

MANIFESTS = (
    Tampering(
        "a manifest in UTF-16",
        do.listing(lambda text: text.encode("utf-16")),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering(
        "a manifest with a byte-order mark",
        do.listing(lambda text: "\ufeff" + text),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering(
        "a manifest in Latin-1",
        do.listing(lambda text: (text + f"{'ab' * 32}  data/\u00e9\n").encode("latin-1")),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering(
        "a manifest with CRLF, sealed so",
        do.listing(lambda text: text.replace("\n", "\r\n")),
        "",
        "",
        "",
    ),
    Tampering("a manifest changed to CRLF", do.edit(MANIFEST, "\n", "\r\n"), "changed", MANIFEST),
    Tampering(
        "a manifest with CR alone",
        do.listing(lambda text: text.replace("\n", "\r")),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering(
        "a line without end",
        do.listing(lambda text: text + "ab" * 32 + "  data/" + "x" * 10**6),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering(
        "two entries in one long line",
        do.listing(lambda text: text + "ab" * 32 + " data/" + "\U0001f600" * 16366 + text),
        "bad-manifest",
        MANIFEST,
    ),
    Tampering("a zero byte in a path", do.entry("data/a\0b"), "bad-manifest", MANIFEST),
    Tampering("a digest cut off", do.listing(lambda text: text[4:]), "bad-manifest", MANIFEST),
    Tampering(
        "an entry twice",
        do.listing(lambda text: text + text.splitlines(keepends=True)[0]),
        "listed-twice",
        FACTS,
    ),
    Tampering("an entry twice with two digests", do.entry(NOTEBOOK), "listed-twice", NOTEBOOK),
    Tampering("an absolute path listed", do.entry("/etc/passwd"), "bad-path", "/etc/passwd"),
    Tampering("a path that climbs out", do.entry("data/../../x"), "bad-path", "data/../../x"),
    Tampering(
        "a path from the home folder", do.entry("~/.ssh/id_rsa"), "bad-path", "~/.ssh/id_rsa"
    ),
    Tampering("a path on a drive", do.entry("C:/windows"), "bad-path", "C:/windows"),
    Tampering("a path of a network share", do.entry(r"\\host\share"), "bad-path", r"\\host\share"),
    Tampering("a path with an empty part", do.entry("data//x"), "bad-path", "data//x"),
    Tampering(
        "a path without end",
        do.entry("data/" + "d/" * 1500 + "x"),
        "bad-path",
        ("data/" + "d/" * 1500)[:300],
    ),
    Tampering("a dot-dot in percent signs", do.entry("data/%2e%2e/x"), "bad-manifest", MANIFEST),
    Tampering("a line break in percent signs", do.entry("data/a%0Ab"), "missing", "data/a\\nb"),
    Tampering("a tag file as payload", do.entry("bag-info.txt"), "bad-path", "bag-info.txt"),
    Tampering(
        "names of two cases",
        do.by_author(do.write("data/source/X"), do.write("data/source/x")),
        "name-collision",
        ("data/source/x", "data/source/X"),
    ),
    Tampering(
        "folders of two cases",
        do.by_author(do.write("data/source/D/1"), do.write("data/source/d/2")),
        "name-collision",
        ("data/source/d", "data/source/D"),
    ),
    Tampering(
        "a name composed and decomposed",
        do.by_author(do.write(NAME), do.write(DECOMPOSED)),
        "name-collision",
        (NAME, DECOMPOSED),
    ),
    Tampering(
        "a file that is a folder, too", do.entry(f"{NOTEBOOK}/x"), "name-collision", NOTEBOOK
    ),
    Tampering(
        "the name of a device",
        do.by_author(do.write("data/source/aux.py")),
        "unportable-name",
        "data/source/aux.py",
    ),
    Tampering("a file listed that is not there", do.entry("data/none"), "missing", "data/none"),
)
