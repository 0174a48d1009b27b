"""Back-ends load on use: a table of name → import path → what to install if it is missing."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from leman.errors import LemanError


class Backend(NamedTuple):
    """Where an implementation lives and how a user gets what it needs."""

    path: str  # "package.module:attribute"
    install: str = ""


def load(table: dict[str, Backend], name: str) -> Any:  # noqa: ANN401 - the table's owner knows the type
    """Import the back-end called `name`.

    Raises LemanError when the name is unknown or when a package that it needs is missing.
    """
    if name not in table:
        known = ", ".join(table)
        raise LemanError(f"there is no back-end called {name!r}", hint=f"Known ones: {known}.")
    module, _, attribute = table[name].path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise LemanError(
            f"the back-end {name!r} needs {error.name or 'a package'}, which is not installed",
            hint=f"Install it with: {table[name].install}" if table[name].install else "",
        ) from error
