"""What a run is asked for, and who watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from leman.environments.clock import Wishes
from leman.reproduction.model import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leman.environments.tiers import Tier
    from leman.reproduction.model import NotebookResult


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one run; `repairs` is how many changes a failing notebook may cost.

    `builder` says where packages come from: ``uv`` the package index, ``conda`` its channels,
    ``auto`` the index, and conda for what it lacks where the source names channels. `expected`
    holds, by notebook, the executed one of an earlier run to compare with as well.
    """

    wishes: Wishes = field(default_factory=Wishes)
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    twice: bool = False
    isolation: str = "auto"
    network: bool = True
    repairs: int = 12
    rtol: float = 1e-9
    builder: Tier = "auto"
    expected: Mapping[str, dict[str, Any]] = field(default_factory=dict)


class Watcher(Protocol):
    """Who is told how a run goes on; called from several threads."""

    def planned(self, notebooks: tuple[str, ...]) -> None:
        """Hear which notebooks will be run."""
        ...

    def said(self, notebook: str, message: str) -> None:
        """Hear what is being done for a notebook ("" for all)."""
        ...

    def cell(self, notebook: str, done: int, total: int) -> None:
        """Hear that `done` of `total` cells have run."""
        ...

    def finished(self, result: NotebookResult) -> None:
        """Hear the result of a notebook."""
        ...


class Nobody:
    """A watcher that does not watch."""

    def planned(self, notebooks: tuple[str, ...]) -> None:
        """Ignore it."""

    def said(self, notebook: str, message: str) -> None:
        """Ignore it."""

    def cell(self, notebook: str, done: int, total: int) -> None:
        """Ignore it."""

    def finished(self, result: NotebookResult) -> None:
        """Ignore it."""
