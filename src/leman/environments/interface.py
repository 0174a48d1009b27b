"""What varies: where sources come from, and what builds environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from leman.environments.model import Environment, Interpreter, Lock, Source, Want


def silent(_message: str) -> None:
    """Report progress to nobody."""


class Provider(Protocol):
    """A kind of place that sources come from."""

    def detect(self, spec: str) -> str | None:
        """Return the address to fetch if `spec` is of this kind, else None. Touches no network."""
        ...

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Bring the source under `into` (a cache folder) and return it.

        `ref` may be empty. Raises SourceError; leaves nothing half-fetched behind.
        """
        ...


class Builder(Protocol):
    """A way from wanted packages to a built environment."""

    def lock(
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...],
        python: Interpreter,
        cutoff: date,
        progress: Callable[[str], None] = silent,
    ) -> Lock:
        """Resolve `wants` as of `cutoff`. Raises ResolutionError with the reasons."""
        ...

    def install(self, lock: Lock, *, progress: Callable[[str], None] = silent) -> Environment:
        """Return the environment of `lock`, built now or found. Raises EnvironmentBuildError."""
        ...
