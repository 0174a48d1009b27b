"""Verification reports that were signed: in-toto Statements with an SSH signature beside them.

An in-toto Statement (v1) is plain JSON about a subject with a digest. Signed by OpenSSH over the
file's bytes rather than in a DSSE envelope, because every reader of a record has ``ssh-keygen``
already: ``ssh-keygen -Y verify … -n leman-statement@v1 -s NAME.json.sshsig < NAME.json``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leman import __version__
from leman.files import write_atomic
from leman.records import ssh
from leman.records.bag import reading
from leman.records.layout import LARGEST_SIDE_FILE, SIGNED_STATEMENT, STATEMENTS
from leman.records.model import Record, Signature, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from leman.records.model import Check

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:x-leman:verification:v1"


def about(check: Check, *, when: str, machine: dict[str, str], rerun: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the statement that says what a check has shown; `rerun` may be None."""
    digest = check.record.id.removeprefix("sha256:")
    return {
        "_type": TYPE,
        "subject": [{"name": "tagmanifest-sha256.txt", "digest": {"sha256": digest}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": "leman", "version": __version__},
            "timeVerified": when,
            "record": check.record.id,
            "title": str(check.record.facts.get("description", {}).get("title", "")),
            "answers": {
                str(one.question): {
                    "value": str(one.value),
                    "reason": one.reason,
                    "asked": one.asked,
                }
                for one in check.answers
            },
            "signatures": [
                {
                    "name": one.name,
                    "key": one.key,
                    "fingerprint": one.fingerprint,
                    "trusted": list(one.trusted),
                    "problem": one.problem,
                }
                for one in check.signatures
            ],
            "stamps": [
                {
                    "name": one.name,
                    "moment": one.moment.isoformat() if one.moment else "",
                    "authority": one.authority,
                    "trusted": one.trusted,
                    "problem": one.problem,
                }
                for one in check.stamps
            ],
            "findings": [
                {
                    "code": one.code,
                    "severity": one.severity,
                    "where": one.where,
                    "message": one.message,
                    "fix": one.fix,
                }
                for one in check.findings
            ],
            "machine": machine,
            "rerun": rerun,
        },
    }


def write(statement: dict[str, Any], path: Path) -> Path:
    """Write a statement to `path` as JSON."""
    return write_atomic(path, json.dumps(statement, indent=1, ensure_ascii=False) + "\n")


def sign(path: Path, key: Path, public: str) -> None:
    """Sign the statement in `path`; signature and public key are written beside it.

    Raises ToolError where the key cannot be used.
    """
    armoured = ssh.sign(path, key=key, purpose=SIGNED_STATEMENT)
    write_atomic(path.with_name(f"{path.name}.pub"), f"{public}\n")
    write_atomic(path.with_name(f"{path.name}.sshsig"), armoured)


def add(record: Path, path: Path, name: str) -> Path:
    """Copy a signed statement into a record, the statement itself last; return where it is."""
    target = record / STATEMENTS / f"{name}.json"
    for ending in (".pub", ".sshsig", ""):
        write_atomic(
            target.with_name(target.name + ending),
            path.with_name(path.name + ending).read_bytes(),
        )
    return target


def read_all(record: Record, files: Iterable[str], trust: Path | None) -> Iterator[Statement]:
    """Yield the statements of a record, each with the check of its signature.

    `files` are the paths of all files in its folder of statements.
    """
    known = set(files)
    for path in sorted(one for one in known if one.endswith(".json")):
        yield _read(record, path, known, trust)
    for path in sorted(known):
        whole = path.removesuffix(".sshsig").removesuffix(".pub")
        if whole not in known:
            name = whole.rpartition("/")[2].removesuffix(".json")
            yield Statement(name, {}, problem=f"{path}: the statement itself is not there")


def _read(record: Record, path: str, known: set[str], trust: Path | None) -> Statement:
    name = path.rpartition("/")[2].removesuffix(".json")
    statement = Statement(name, {})
    file = record.path / path
    try:
        content = reading.strict_json(reading.content(file, most=LARGEST_SIDE_FILE))
    except OSError as error:
        return replace(statement, problem=f"it cannot be read: {reading.reason(error)}")
    except (ValueError, RecursionError) as error:
        return replace(statement, problem=f"it is no JSON: {str(error)[:200]}")
    if not isinstance(content, dict) or content.get("_type") != TYPE:
        return replace(statement, problem="it is no in-toto statement")
    statement = replace(statement, content=content)
    if f"sha256:{_subject(content)}" != record.id:
        return replace(statement, problem="it is about another record")
    for ending, what in ((".sshsig", "signature"), (".pub", "public key")):
        if f"{path}{ending}" not in known:
            return replace(statement, problem=f"its {what} is not there")
    signature = ssh.verify(
        file,
        file.with_name(f"{file.name}.sshsig"),
        purpose=SIGNED_STATEMENT,
        trust=trust,
    )
    signature = ssh.with_key_beside(signature, file.with_name(f"{file.name}.pub"))
    return replace(statement, signature=signature, problem=_of(signature))


def _of(signature: Signature) -> str:
    return f"its signature does not hold: {signature.problem}" if signature.problem else ""


def _subject(content: dict[str, Any]) -> str:
    subjects = content.get("subject")
    first = subjects[0] if isinstance(subjects, list) and len(subjects) == 1 else {}
    digest = first.get("digest") if isinstance(first, dict) else {}
    return str(digest.get("sha256")).lower() if isinstance(digest, dict) else ""
