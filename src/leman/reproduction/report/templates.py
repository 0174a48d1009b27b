"""Pages from templates, into which no text of a stranger comes as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup

from leman.reproduction.report.text import shown

if TYPE_CHECKING:
    from pathlib import Path


def templates_in(folder: Path) -> Templates:
    """Return the templates of a folder: everything escaped, visible, and a missing name an error.

    Texts that come as `Markup` are the caller's own, or were made harmless before.
    """
    return Templates(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: object) -> object:
    """Make every text visible and bounded, whoever wrote it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shown(value)
    return "" if value is None else value
