"""A record as small as one can be and still be valid: made by hand, of the parts of the format."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from leman.records.bag import fetching, manifest
from leman.records.layout import (
    DECLARATION,
    FACTS,
    FETCH,
    FORMAT,
    INFO,
    MANIFEST,
    PAGE,
    TAG_MANIFEST,
)

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.model import Reference

DESCRIPTION: dict[str, Any] = {
    "title": "Sunspots and carbon dioxide",
    "authors": [
        {
            "name": "Josiah Carberry",
            "orcid": "0000-0002-1825-0097",
            "affiliation": "Brown University",
            "roles": ["software"],
        }
    ],
    "abstract": "Two curves,\nand <what> they share.\n\nNothing.",
    "licence": "BSD-3-Clause",
    "keywords": ["sunspots", "climate"],
    "version": "1.2",
    "doi": "10.1234/paper.5",
    "origins": ["CITATION.cff"],
}


def facts(**changes: Any) -> dict[str, Any]:
    """Return the facts of a record; `changes` replace parts of its description."""
    return {
        "format": FORMAT,
        "leman": "0.1.0",
        "created": "2026-11-25T13:00:00+00:00",
        "description": {**DESCRIPTION, **changes},
        "source": {
            "url": "https://git.example.org/ada/sunspots",
            "revision": "4f2a9c1",
            "content_id": "sha256:00",
            "swhid": "swh:1:dir:" + "0a" * 20,
            "subfolder": "",
            "missing": [],
            "executable": ["run.sh"],
            "empty_folders": [],
            "left_out": [],
        },
        "environments": [],
        "notebooks": [{"path": "a.ipynb", "executed": "", "status": "ran", "same": "exact"}],
        "exempt": [],
        "references": [],
        "answers": {},
    }


def record(
    folder: Path,
    told: dict[str, Any] | None = None,
    *,
    extra: dict[str, bytes] | None = None,
    elsewhere: tuple[Reference, ...] = (),
) -> Path:
    """Write a record into `folder`: a bag of a notebook, a script, a table and a report."""
    files = {
        FACTS: json.dumps(told or facts()).encode(),
        "data/ro-crate-metadata.json": b"{}",
        "data/source/a.ipynb": b'{"cells": []}',
        "data/source/run.sh": b"#!/bin/sh\n",
        "data/source/größe.csv": b"x\n1\n",
        "data/report/report.html": b"<!doctype html><title>Report</title>",
        "data/report/report.json": b"{}",
        **{f"data/source/{name}": content for name, content in (extra or {}).items()},
    }
    _write(folder, files)
    payload = [(name, _sha256(content)) for name, content in files.items()]
    payload += [(one.path, one.sha256) for one in elsewhere]
    size = sum(map(len, files.values())) + sum(one.size for one in elsewhere)
    tags = {
        DECLARATION: b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        INFO: f"Payload-Oxum: {size}.{len(payload)}\n".encode(),
        MANIFEST: manifest.text(payload).encode(),
        PAGE: b"<!doctype html><title>Record</title>",
    }
    if elsewhere:
        tags[FETCH] = fetching.text(elsewhere).encode()
    _write(folder, tags)
    listed = manifest.text((name, _sha256(content)) for name, content in tags.items())
    (folder / TAG_MANIFEST).write_text(listed)
    return folder


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
