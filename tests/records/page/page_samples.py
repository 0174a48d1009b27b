"""Records for the tests of their page: a data folder of few files, and facts about it."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

REVISION = "b9f3a7c2d1e04f5566778899aabbccddeeff0011"
SWHID = "swh:1:dir:" + "ab" * 20


def picture(kind: str = "PNG", size: tuple[int, int] = (4, 3)) -> str:
    """Return a small picture as base64."""
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def noise(side: int) -> str:
    """Return a square picture that does not compress, as base64."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 100).save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


def code(source: Any, *outputs: Any, count: Any = 1) -> dict[str, Any]:
    """Return a code cell."""
    return {
        "cell_type": "code",
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
        "metadata": {},
    }


def text(source: Any, **more: Any) -> dict[str, Any]:
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "source": source, "metadata": {}, **more}


def data(**kinds: Any) -> dict[str, Any]:
    """Return an output; `html`, `png`, `svg`, `plain` and so on are short for their kinds."""
    known = {
        "html": "text/html",
        "png": "image/png",
        "jpeg": "image/jpeg",
        "svg": "image/svg+xml",
        "plain": "text/plain",
        "latex": "text/latex",
        "markdown": "text/markdown",
        "script": "application/javascript",
        "widget": "application/vnd.jupyter.widget-view+json",
    }
    return {
        "output_type": "display_data",
        "data": {known[kind]: value for kind, value in kinds.items()},
        "metadata": {},
    }


def stream(words: Any, name: str = "stdout") -> dict[str, Any]:
    """Return what a cell printed."""
    return {"output_type": "stream", "name": name, "text": words}


def notebook(*cells: Any, language: Any = "python") -> bytes:
    """Return a notebook file."""
    content = {
        "cells": list(cells),
        "metadata": {"language_info": {"name": language}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content).encode("utf-8", "surrogatepass")


def record(folder: Path, **notebooks: bytes) -> tuple[dict[str, Any], Path]:
    """Write a data folder with executed notebooks (name → file) and return facts and folder."""
    place = folder / "data"
    for part in ("source", "report/notebooks", "report/environments/0123456789ab"):
        (place / part).mkdir(parents=True, exist_ok=True)
    (place / "report/report.html").write_text("<p>report</p>")
    (place / "report/report.json").write_text("{}")
    lock = "report/environments/0123456789ab/pylock.toml"
    (place / lock).write_text('[[packages]]\nname = "numpy"\n[[packages]]\nname = "six"\n')
    for name, content in notebooks.items():
        (place / "source" / f"{name}.ipynb").write_bytes(content)
        (place / "report/notebooks" / f"{name}.ipynb").write_bytes(content)
    return facts(*(f"{name}.ipynb" for name in notebooks)), place


def facts(*paths: str) -> dict[str, Any]:
    """Return the facts of a record that holds these notebooks."""
    return {
        "format": "leman-record/1",
        "leman": "0.1.0",
        "created": "2026-11-25T13:00:00+00:00",
        "description": {
            "title": "Eleven years of the sun",
            "authors": [
                {
                    "name": "Ada Lovelace",
                    "orcid": "0000-0002-1825-0097",
                    "affiliation": "Observatory of Geneva",
                    "roles": ["Software", "Writing - original draft"],
                },
                {
                    "name": "Tycho Brahe",
                    "orcid": "",
                    "affiliation": "Uraniborg",
                    "roles": ["Data curation"],
                },
            ],
            "abstract": "The period is *10.9 years*.",
            "licence": "CC-BY-4.0",
            "keywords": ["sunspots", "spectra"],
            "version": "1.2.0",
            "doi": "10.5281/zenodo.1234567",
            "origins": ["CITATION.cff"],
        },
        "source": {
            "url": "https://user:secret@example.org/sun",
            "revision": REVISION,
            "content_id": "sha256:" + "4c" * 32,
            "swhid": SWHID,
            "subfolder": "analysis",
            "missing": ["lost.csv"],
            "executable": [],
            "empty_folders": [],
            "left_out": [{"path": ".env", "why": "looks like a credential"}],
        },
        "environments": [
            {
                "digest": "0123456789ab" + "0" * 52,
                "python": "3.11.7",
                "cutoff": "2024-06-01",
                "lock": "report/environments/0123456789ab/pylock.toml",
                "notebooks": list(paths),
            }
        ],
        "notebooks": [
            {
                "path": path,
                "executed": f"report/notebooks/{path}",
                "status": "ran",
                "same": "exact",
                "environment": "0123456789ab" + "0" * 52,
            }
            for path in paths
        ],
        "exempt": [],
        "references": [
            {
                "path": "data/raw.nc",
                "url": "https://example.org/raw.nc",
                "size": 3_456_789_012,
                "sha256": "9f" * 32,
            }
        ],
        "answers": {
            "intact": {"value": "yes", "reason": "38 files agree."},
            "signed": {"value": "yes", "reason": "By ada@example.org."},
            "dated": {"value": "not checked", "reason": "No time stamp was asked for."},
            "reruns": {"value": "yes", "reason": "3 of 3 run."},
            "same results": {"value": "no", "reason": "1 output differs."},
        },
    }
