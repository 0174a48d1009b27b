"""Small notebooks to compare, made from their outputs."""

from __future__ import annotations

from typing import Any

from leman.reproduction.compare import compare
from leman.reproduction.model import OutputVerdict, Verdict

Notebook = dict[str, Any]


def stream(text: Any, name: str = "stdout") -> dict[str, Any]:
    """Return a stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    """Return a display whose keys are short names of MIME types, such as html or png."""
    names = {
        "html": "text/html",
        "plain": "text/plain",
        "png": "image/png",
        "jpeg": "image/jpeg",
        "svg": "image/svg+xml",
        "latex": "text/latex",
        "plotly": "application/vnd.plotly.v1+json",
        "vega": "application/vnd.vegalite.v4+json",
        "json": "application/json",
        "widget": "application/vnd.jupyter.widget-view+json",
    }
    mime = {names.get(key, key): value for key, value in data.items()}
    return {"output_type": "display_data", "data": mime, "metadata": {}}


def error(name: str, value: str) -> dict[str, Any]:
    """Return an error output."""
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": ["…"]}


def notebook(*outputs: Any, tags: list[str] | None = None, count: int | None = 1) -> Notebook:
    """Return a notebook with one code cell."""
    cell = {
        "cell_type": "code",
        "source": "…",
        "execution_count": count,
        "metadata": {"tags": tags} if tags else {},
        "outputs": list(outputs),
    }
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}


def only(stored: Any, new: Any, again: Any = None, **options: Any) -> OutputVerdict:
    """Compare one output with another and return the one verdict."""
    third = None if again is None else notebook(again)
    (verdict,) = compare(notebook(stored), notebook(new), third, **options).outputs
    return verdict


def texts(stored: str, new: str, again: str | None = None, **options: Any) -> OutputVerdict:
    """Compare two texts on stdout."""
    third = None if again is None else stream(again)
    return only(stream(stored), stream(new), third, **options)


def passes(verdict: Verdict) -> bool:
    """Say whether a verdict calls two outputs equal."""
    return verdict in (Verdict.IDENTICAL, Verdict.NORMALISED, Verdict.TOLERANT)
