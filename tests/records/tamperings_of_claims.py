"""What a hostile hand may do to what a record claims: its facts, signatures, stamps, statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import damages as do
from signed_records import FACTS, LOCK, NOTEBOOK, Lab, sign_for, sign_statement
from tamperings import Tampering

from leman.records.layout import (
    DECLARATION,
    FETCH,
    INFO,
    MANIFEST,
    SIGNATURES,
    SIGNED_RECORD,
    SIGNED_STATEMENT,
    STAMPS,
    STATEMENTS,
    TAG_MANIFEST,
)

if TYPE_CHECKING:
    from pathlib import Path

SSHSIG, PUB = f"{SIGNATURES}/alice.sshsig", f"{SIGNATURES}/alice.pub"
TSR, PEM = f"{STAMPS}/alice.tsr", f"{STAMPS}/alice.pem"
STATEMENT = f"{STATEMENTS}/referee.json"
FAR = "data/source/far.csv"
URL = "https://example.org/far.csv"
ALL = "intact signed dated"


def _key_in_statement(root: Path, lab: Lab) -> None:
    (root / f"{STATEMENT}.pub").write_text(lab.mallory.public)


def _unsigned_edit(root: Path, _: Lab) -> None:
    text = (root / STATEMENT).read_text()
    (root / STATEMENT).write_text(text.replace('"not checked"', '"yes"'))


def _about_another(root: Path, lab: Lab) -> None:
    lab.state(root, subject=lab.other)


def _statement_twice(root: Path, lab: Lab) -> None:
    text = (root / STATEMENT).read_text()
    (root / STATEMENT).write_text(text.replace("{", '{"_type": "x",', 1))
    sign_statement(root / STATEMENT, lab.alice)


def _wrong_purpose(root: Path, lab: Lab) -> None:
    (root / SSHSIG).write_bytes(sign_for(root / TAG_MANIFEST, lab.alice, "file"))


def _statement_purpose(root: Path, lab: Lab) -> None:
    (root / SSHSIG).write_bytes(sign_for(root / TAG_MANIFEST, lab.alice, SIGNED_STATEMENT))


def _record_purpose(root: Path, lab: Lab) -> None:
    signed = sign_for(root / STATEMENT, lab.alice, SIGNED_RECORD)
    (root / f"{STATEMENT}.sshsig").write_bytes(signed)


def _mallorys_key(root: Path, lab: Lab) -> None:
    (root / PUB).write_text(lab.mallory.public)


def _look_alike(root: Path, lab: Lab) -> None:
    lab.sign(root, whose="forger")


def _both_roots(root: Path, lab: Lab) -> None:
    lab.sign(root, whose="forger")
    real = (lab.home / "institute" / "ca.pem").read_bytes()
    (root / PEM).write_bytes(real + (root / PEM).read_bytes())


def _lock_leaves(facts: dict[str, Any]) -> None:
    facts["environments"][0]["lock"] = "../../../etc/passwd"


def _executed_leaves(facts: dict[str, Any]) -> None:
    facts["notebooks"][0]["executed"] = "/etc/passwd"


def _notebook_leaves(facts: dict[str, Any]) -> None:
    facts["notebooks"][0]["path"] = "../../../../etc/passwd"


def _executable_leaves(facts: dict[str, Any]) -> None:
    facts["source"]["executable"] = ["../../bin/sh"]


def _lock_unlisted(facts: dict[str, Any]) -> None:
    facts["environments"][0]["lock"] = "report/environments/none/pylock.toml"


def _answer_other(facts: dict[str, Any]) -> None:
    facts["answers"]["intact"] = {"value": ["yes"], "reason": 1}


TAGS = (
    Tampering("the tag manifest emptied", do.write(TAG_MANIFEST, ""), "unlisted", MANIFEST, ALL),
    Tampering(
        "the tag manifest lists itself", do.tag_entry(TAG_MANIFEST), "bad-path", TAG_MANIFEST
    ),
    Tampering(
        "the tag manifest lists a payload file", do.tag_entry(NOTEBOOK), "bad-path", NOTEBOOK
    ),
    Tampering(
        "the tag manifest lists the manifest no more",
        do.tags_without(MANIFEST),
        "not-covered",
        MANIFEST,
    ),
    Tampering(
        "the tag manifest lists the page no more",
        do.tags_without("record.html"),
        "unlisted",
        "record.html",
    ),
    Tampering(
        "a BagIt version of the future",
        do.tags_by_author(do.edit(DECLARATION, "1.0", "1.1")),
        "future-format",
        DECLARATION,
    ),
    Tampering(
        "a BagIt version of the past",
        do.tags_by_author(do.edit(DECLARATION, "1.0", "0.97")),
        "bad-declaration",
        DECLARATION,
    ),
    Tampering(
        "a declaration with a byte-order mark",
        do.tags_by_author(do.edit(DECLARATION, "BagIt", "\ufeffBagIt")),
        "bad-declaration",
        DECLARATION,
    ),
    Tampering(
        "a declaration of UTF-16",
        do.tags_by_author(do.edit(DECLARATION, "UTF-8", "UTF-16")),
        "bad-declaration",
        DECLARATION,
    ),
    Tampering(
        "bag-info.txt in UTF-16",
        do.tags_by_author(do.write(INFO, "Payload-Oxum: 1.1\n".encode("utf-16"))),
        "bad-info",
        INFO,
    ),
    Tampering(
        "a wrong size in bag-info.txt",
        do.tags_by_author(do.edit(INFO, "Oxum: ", "Oxum: 1")),
        "wrong-size",
        INFO,
    ),
    Tampering(
        "a size of ten thousand digits",
        do.tags_by_author(do.edit(INFO, "Oxum: ", "Oxum: " + "9" * 10_000)),
        "wrong-size",
        INFO,
    ),
    Tampering(
        "a second size in bag-info.txt",
        do.tags_by_author(do.append(INFO, "payload-oxum: 1.1\n")),
        "wrong-size",
        INFO,
    ),
    Tampering(
        "fetch.txt names a file of this machine",
        do.elsewhere(f"file:///etc/passwd 4 {FAR}"),
        "bad-fetch",
        FETCH,
    ),
    Tampering(
        "fetch.txt names a file that no manifest lists",
        do.elsewhere(f"{URL} 4 data/source/other"),
        "bad-fetch",
        FETCH,
    ),
    Tampering(
        "fetch.txt names a file with another size",
        do.elsewhere(f"{URL} 4 {NOTEBOOK}"),
        "bad-fetch",
        NOTEBOOK,
    ),
    Tampering("fetch.txt names the lock", do.elsewhere(f"{URL} 4 {LOCK}"), "bad-fetch", LOCK),
    Tampering("fetch.txt climbs out", do.elsewhere(f"{URL} 4 data/../../x"), "bad-fetch", FETCH),
    Tampering(
        "fetch.txt names a file twice",
        do.elsewhere(f"{URL} 4 {FAR}\n{URL} 4 {FAR}"),
        "bad-fetch",
        FAR,
    ),
    Tampering("fetch.txt without a size", do.elsewhere(f"{URL} - {FAR}"), "bad-fetch", FETCH),
    Tampering(
        "fetch.txt with a size of ten thousand digits",
        do.elsewhere(f"{URL} {'9' * 10_000} {FAR}"),
        "bad-fetch",
        FETCH,
    ),
    Tampering("fetch.txt with a wrong size", do.elsewhere(f"{URL} 5 {FAR}"), "wrong-size", INFO),
)

CLAIMS = (
    Tampering(
        "a leman format of the future",
        do.saying(lambda facts: facts.update(format="leman-record/2")),
        "future-format",
        FACTS,
    ),
    Tampering("no facts", do.by_author(do.remove(FACTS)), "bad-facts", FACTS),
    Tampering(
        "facts in UTF-16",
        do.facts_are('{"format": "leman-record/1"}'.encode("utf-16")),
        "bad-facts",
        FACTS,
    ),
    Tampering("facts with a byte-order mark", do.facts_are("\ufeff{}"), "bad-facts", FACTS),
    Tampering(
        "facts with a name twice",
        do.facts_are('{"format": "leman-record/1", "format": "x"}'),
        "bad-facts",
        FACTS,
    ),
    Tampering("facts nested without end", do.facts_are("[" * 100_000), "bad-facts", FACTS),
    Tampering(
        "facts with a number without end",
        do.facts_are('{"a": ' + "9" * 10_000 + "}"),
        "bad-facts",
        FACTS,
    ),
    Tampering("facts with NaN", do.facts_are('{"a": NaN}'), "bad-facts", FACTS),
    Tampering("facts with half a character", do.facts_are('{"a": "\\ud800"}'), "bad-facts", FACTS),
    Tampering("facts that are a list", do.facts_are("[]"), "bad-facts", FACTS),
    Tampering("facts with an answer of another kind", do.saying(_answer_other), "bad-facts", FACTS),
    Tampering("a lock outside of the record", do.saying(_lock_leaves), "bad-facts", FACTS),
    Tampering(
        "an executed notebook outside of the record",
        do.saying(_executed_leaves),
        "bad-facts",
        FACTS,
    ),
    Tampering("a notebook outside of the record", do.saying(_notebook_leaves), "bad-facts", FACTS),
    Tampering("a program outside of the record", do.saying(_executable_leaves), "bad-facts", FACTS),
    Tampering("a lock that no manifest lists", do.saying(_lock_unlisted), "bad-facts", FACTS),
)

PROOFS = (
    Tampering("the signature cut off", do.cut(SSHSIG, 60), "bad-signature", SSHSIG, ALL),
    Tampering("a signature for files", _wrong_purpose, "bad-signature", SSHSIG, ALL),
    Tampering("a signature for statements", _statement_purpose, "bad-signature", SSHSIG, ALL),
    Tampering(
        "the signature of another record",
        do.all_of(do.copied(SSHSIG), do.copied(TSR)),
        "bad-signature",
        SSHSIG,
        ALL,
    ),
    Tampering(
        "another public key beside the signature", _mallorys_key, "bad-signature", SSHSIG, ALL
    ),
    Tampering(
        "two public keys beside the signature",
        do.append(PUB, "ssh-ed25519 AAAA\n"),
        "bad-signature",
        SSHSIG,
        ALL,
    ),
    Tampering("the public key deleted", do.remove(PUB), "half-missing", SSHSIG),
    Tampering("the signature deleted, its key left", do.remove(SSHSIG), "half-missing", PUB, ALL),
    Tampering(
        "a signature larger than any",
        do.append(SSHSIG, "x" * 5_000_000),
        "side-file-too-large",
        SSHSIG,
        ALL,
    ),
    Tampering(
        "signed by another key under the same name", do.signed_by_another, "", "", "signed dated"
    ),
    Tampering(
        "the signature renamed",
        do.renamed(SIGNATURES, "alice", "bob"),
        "bad-stamp",
        TSR,
        "intact dated",
    ),
    Tampering(
        "the time stamp of another signature", do.copied(TSR), "bad-stamp", TSR, "intact dated"
    ),
    Tampering("the time stamp emptied", do.cut(TSR, 0), "bad-stamp", TSR, "intact dated"),
    Tampering(
        "a time stamp larger than any",
        do.append(TSR, "x" * 5_000_000),
        "side-file-too-large",
        TSR,
        "intact dated",
    ),
    Tampering("the certificates of the stamp deleted", do.remove(PEM), "half-missing", TSR),
    Tampering("a stamp of a look-alike authority", _look_alike, "", "", "dated"),
    Tampering("a look-alike with the true root beside it", _both_roots, "", "", "dated"),
    Tampering("a statement edited", _unsigned_edit, "bad-statement", STATEMENT),
    Tampering(
        "a statement without a signature",
        do.remove(f"{STATEMENT}.sshsig"),
        "bad-statement",
        STATEMENT,
    ),
    Tampering(
        "a statement without a key", do.remove(f"{STATEMENT}.pub"), "bad-statement", STATEMENT
    ),
    Tampering(
        "a signature without its statement", do.remove(STATEMENT), "bad-statement", STATEMENT
    ),
    Tampering("another key beside a statement", _key_in_statement, "bad-statement", STATEMENT),
    Tampering("a statement about another record", _about_another, "bad-statement", STATEMENT),
    Tampering(
        "the statement of another record",
        do.all_of(do.copied(STATEMENT), do.copied(f"{STATEMENT}.sshsig")),
        "bad-statement",
        STATEMENT,
    ),
    Tampering("a statement signed as a record", _record_purpose, "bad-statement", STATEMENT),
    Tampering("a statement with a name twice", _statement_twice, "bad-statement", STATEMENT),
)
