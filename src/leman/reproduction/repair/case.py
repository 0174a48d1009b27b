"""A notebook under repair."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.environments.model import Attempt, Era, LockedPackage, Modification, Source, Want
from leman.reproduction.taxonomy import missing_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.reproduction.drawing import Drawing
    from leman.reproduction.model import Failure

PACKAGES = frozenset({"add", "date"})  # changes of the environment; the rest stays in the copy
_LARGEST = 1_000_000  # bytes of a module
_ARROW = re.compile(r"^-+>")


@dataclass(slots=True)
class Case:
    """One notebook under repair: what it is run with now, and all that was tried."""

    path: str
    work: Path
    era: Era
    wants: tuple[Want, ...]
    constraints: tuple[Want, ...]
    packages: tuple[LockedPackage, ...] = ()
    python: str = ""
    site: Path | None = None  # the environment's site-packages
    source: Source | None = None  # where its history can be asked for
    boxed: tuple[Path, ...] | None = None  # what its sandbox shows; None: it runs without one
    aliases: tuple[tuple[str, str], ...] = ()  # absolute path in the sandbox, path in the copy
    python_paths: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None
    drawing: Drawing | None = None  # what its figures are drawn with, None: its own defaults
    first_run: tuple[str, ...] = ()  # notebooks to run before, for the files that they write
    attempts: list[Attempt] = field(default_factory=list)
    modifications: list[Modification] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    changed_environment: bool = False
    replay: list[Callable[[Path], object]] = field(default_factory=list)

    def apply(self, step: Callable[[Path], Modification | None]) -> Modification | None:
        """Change the work copy, and remember how, for the copy of the second run."""
        change = step(self.work)
        if change:
            self.replay.append(step)
        return change

    @property
    def origin(self) -> str:
        """The source's address, to know its own files when a notebook asks for them."""
        return self.source.url if self.source else ""

    def has(self, name: str) -> bool:
        """Tell whether a distribution is in the environment."""
        return any(package.name == name for package in self.packages)

    def note(self, action: str, why: str, change: Modification | None = None) -> bool:
        """Record a repair; always True, so that rungs can return it."""
        self.attempts.append(Attempt("run", action, why))
        if change:
            if change.kind in PACKAGES:  # another version of the same package, another date
                same = [one for one in self.modifications if _about(one) == _about(change)]
                self.modifications = [one for one in self.modifications if one not in same]
            self.modifications.append(change)
        return True


def _about(change: Modification) -> tuple[str, str]:
    return change.kind, change.target


def failing_lines(failure: Failure) -> str:
    """Return the lines that the traceback's arrows point to: the calls on the way to the error."""
    return "\n".join(line for line in failure.traceback.splitlines() if _ARROW.match(line))


def wanted_path(case: Case, failure: Failure) -> str:
    """Return the path that an error could not find, as the notebook would write it; "" for none.

    One inside the work copy (code that works out where it is) is told from the notebook's folder.
    """
    path = missing_path(failure) or ""
    for work in dict.fromkeys((case.work, case.work.resolve())):
        if path.startswith(f"{work}/"):
            return os.path.relpath(path, (work / case.path).parent)
    return path


def code_of(case: Case) -> str:
    """Return the notebook's file as text, as it stands in the work copy."""
    return (case.work / case.path).read_text(encoding="utf-8", errors="replace")


def modules_with(case: Case, text: str) -> list[str]:
    """Return the source's own Python files (POSIX) that hold `text`; large ones are passed over."""
    return [
        path.relative_to(case.work).as_posix()
        for path in sorted(case.work.rglob("*.py"))
        if path.is_file()
        and path.stat().st_size < _LARGEST
        and text in path.read_text(encoding="utf-8", errors="replace")
    ]
