"""A good record, signed and dated, and all that a forger would want: keys, stamps, statements."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.files import sha256_of
from leman.records import signing, ssh, statements
from leman.records.bag import manifest
from leman.records.bag.seal import seal
from leman.records.keys import Key
from leman.records.layout import (
    DECLARATION,
    FETCH,
    INFO,
    MANIFEST,
    PAGE,
    SIGNATURES,
    SIGNED_STATEMENT,
    STAMPS,
    STATEMENTS,
    TAG_MANIFEST,
)
from leman.records.model import Reference
from leman.records.verify import Trust, verify

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOTEBOOK = "data/source/a.ipynb"
EXECUTED = "data/report/notebooks/a.ipynb"
LOCK = "data/report/environments/0123456789ab/pylock.toml"
FACTS = "data/leman-record.json"
SCRIPT = "data/source/run.sh"
ELSEWHERE = "data/source/far.csv"
WHO = "alice@example.org"


def facts() -> dict[str, Any]:
    """Return the facts of the good record, in the shape that `compose` writes."""
    return {
        "format": "leman-record/1",
        "leman": "0.1.0",
        "created": "2026-11-25T13:00:00+00:00",
        "description": {
            "title": "Sunspots",
            "authors": [{"name": "Alice", "orcid": "", "affiliation": "", "roles": []}],
            "abstract": "",
            "licence": "MIT",
            "keywords": ["sun"],
            "version": "1",
            "doi": "",
            "origins": [],
        },
        "source": {
            "url": "https://example.org/alice/sun",
            "revision": "",
            "content_id": "sha256:" + "0" * 64,
            "swhid": "",
            "subfolder": "",
            "missing": [],
            "executable": ["run.sh"],
            "empty_folders": ["out"],
            "left_out": [{"path": ".env", "why": "it looks like a secret"}],
        },
        "environments": [
            {
                "digest": "0123456789ab" * 5,
                "python": "3.11.7",
                "cutoff": "2026-11-01",
                "lock": LOCK.removeprefix("data/"),
                "notebooks": ["a.ipynb"],
            }
        ],
        "notebooks": [
            {
                "path": "a.ipynb",
                "executed": EXECUTED.removeprefix("data/"),
                "status": "ran",
                "same": "yes",
                "environment": "0123456789ab" * 5,
            }
        ],
        "exempt": [{"notebook": "a.ipynb", "cell": 0, "tag": "leman:volatile"}],
        "references": [],
        "answers": {"intact": {"value": "yes", "reason": "as it was made"}},
    }


def fill(root: Path, content: dict[str, Any] | None = None) -> None:
    """Write the payload and the page of a record."""
    for path, text in {
        NOTEBOOK: '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        EXECUTED: '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}',
        LOCK: "lock-version = '1.0'\n",
        SCRIPT: "#!/bin/sh\n",
        "data/source/tables/one.csv": "x\n1\n",
        "data/source/tables/two.csv": "x\n2\n",
        "data/report/report.json": "{}",
        "data/ro-crate-metadata.json": "{}",
        PAGE: "<!doctype html>",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / SCRIPT).chmod(0o755)
    (root / FACTS).write_text(json.dumps(facts() if content is None else content))


def sealed(root: Path, *, far: bool = False) -> None:
    """Seal a record; `far` names one file that is elsewhere."""
    there = [Reference("far.csv", "https://example.org/far.csv", 4, "ab" * 32)] if far else []
    seal(root, info=[("Source-Organization", "Example")], references=there, progress=_unheard)


def _unheard(_done: int, _total: int) -> None:
    pass


def tags_sealed(root: Path) -> None:
    """List the tag files anew, as their author would, after one of them was written by hand."""
    names = [one for one in (DECLARATION, INFO, MANIFEST, FETCH, PAGE) if (root / one).is_file()]
    (root / TAG_MANIFEST).write_text(manifest.text((one, sha256_of(root / one)) for one in names))


@dataclass(frozen=True, slots=True)
class Lab:
    """Keys of an author and of a forger, an authority of each, another record, a trust list."""

    home: Path
    alice: Key
    mallory: Key
    record: Path
    other: Path
    trust: Trust

    def stamping(self, whose: str = "institute") -> signing.Stamping:
        """Return an authority: the trusted one, or one that only looks like it."""
        return signing.Stamping("own", self.home / whose, "Institute")

    def sign(self, root: Path, *, key: Key | None = None, whose: str = "institute") -> None:
        """Sign and stamp as alice, under her name, in place of what is there."""
        for folder, ending in ((SIGNATURES, "sshsig"), (STAMPS, "tsr")):
            (root / folder / f"alice.{ending}").unlink(missing_ok=True)
        stamping = self.stamping(whose)
        signing.add_signature(root, key or self.alice, name="alice", stamping=stamping)

    def state(self, root: Path, *, key: Key | None = None, subject: Path | None = None) -> Path:
        """Add a signed statement (about another record, if `subject` is one)."""
        check = verify(subject or root)
        said = statements.about(check, when="2026-11-25T14:00:00+00:00", machine={}, rerun=None)
        path = statements.write(said, root / STATEMENTS / "referee.json")
        signer = key or self.alice
        statements.sign(path, signer.path, signer.public)
        return path


def key(folder: Path, name: str) -> Key:
    """Make a key without a passphrase."""
    ssh.generate(folder / name, f"{name}@example.org")
    return Key(folder / name, ssh.public_half(folder / name))


def signers(path: Path, *entries: tuple[str, Key], options: str = "") -> Path:
    """Write an allowed-signers file."""
    rows = (f"{who} {options}{' ' if options else ''}{one.public}\n" for who, one in entries)
    path.write_text("".join(rows))
    return path


def lab(home: Path) -> Lab:
    """Make everything in the folder `home`."""
    alice, mallory = key(home, "alice"), key(home, "mallory")
    trusted = signers(home / "allowed_signers", (WHO, alice))
    trust = Trust(trusted, home / "institute" / "ca.pem")
    made = Lab(home, alice, mallory, home / "record", home / "other", trust)
    for root in (made.record, made.other):
        fill(root)
        if root == made.other:
            (root / NOTEBOOK).write_text("{}")
        sealed(root)
        made.sign(root)
        made.state(root)
    return made


def sign_for(what: Path, key: Key, purpose: str) -> bytes:
    """Return a signature good for any purpose."""
    return ssh.sign(what, key=key.path, purpose=purpose)


def sign_statement(path: Path, key: Key) -> None:
    """Sign a statement that was edited by hand."""
    path.with_name(f"{path.name}.sshsig").write_bytes(sign_for(path, key, SIGNED_STATEMENT))


def run(arguments: Iterable[str], folder: Path) -> None:
    """Run a program in `folder`."""
    subprocess.run(list(arguments), cwd=folder, check=True, capture_output=True)
