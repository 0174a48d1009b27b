"""What one declaring file says: readers yield items, `Reading` keeps them with their rank."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from leman.environments.detect.codes import finding
from leman.environments.model import Requirement
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

MOST_ITEMS = 5_000
_T = TypeVar("_T")


class Kind(IntEnum):
    """Kinds of declaring files, the most exact first: a lock says more than a wish."""

    LOCK = 0
    FREEZE = 1
    CONDA = 2
    REQUIREMENTS = 3
    PROJECT = 4
    HINTS = 5  # development groups, variants such as requirements-dev.txt
    COMMANDS = 6  # Dockerfile, postBuild: commands that were not run


class Place(IntEnum):
    """Where a file stands: repo2docker's folder rules, then the root, then anywhere else."""

    CONFIG = 0
    ROOT = 1
    ELSEWHERE = 2


@dataclass(frozen=True, slots=True)
class PythonWanted:
    """A Python version, as a PEP 440 specifier."""

    specifier: str
    origin: str


@dataclass(frozen=True, slots=True)
class LocalProject:
    """A folder of the repository that is installed as a package."""

    folder: str


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A Debian package."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class CutOff:
    """The date that runtime.txt names: packages newer than it are not used."""

    day: date


@dataclass(frozen=True, slots=True)
class Channel:
    """A conda channel."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CondaOnly:
    """A conda package without a known name on the Python package index."""

    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Included:
    """Another file that was read on behalf of this one."""

    file: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name that a finding of this code mentions; a file's dropped names make one finding."""

    code: str
    name: str


Item = (
    Requirement
    | Finding
    | PythonWanted
    | CutOff
    | LocalProject
    | SystemPackage
    | Channel
    | Variable
    | CondaOnly
    | Included
    | Dropped
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One declaring file with everything that it says."""

    file: str
    kind: Kind
    place: Place
    items: tuple[Item, ...]

    def of(self, kind: type[_T]) -> list[_T]:
        """Return the items of one type, in the file's order."""
        return [item for item in self.items if isinstance(item, kind)]


def keep(file: str, items: Iterable[Item]) -> tuple[Item, ...]:
    """Collect at most MOST_ITEMS items of a file; a file that has more says so."""
    iterator = iter(items)
    kept = tuple(islice(iterator, MOST_ITEMS))
    if next(iterator, None) is None:
        return kept
    message = f"{file} has more than {MOST_ITEMS:,} entries; the rest was left out"
    return (*kept, finding("too-many", file, message))
