"""An environment from a lock that came with a source, built as it was locked, nothing resolved."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.environments import lock as locks
from leman.environments.model import Era, Interpreter, Lock, LockedPackage
from leman.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from leman.environments.model import GivenLock

_LARGEST = 64 * 1024**2  # bytes
_CONDA = "# leman: "


def text_of(given: GivenLock) -> str:
    """Return a given lock's text. Raises EnvironmentBuildError where it is not to be had."""
    try:
        if given.path.stat().st_size > _LARGEST:
            raise EnvironmentBuildError(f"the lock {given.path.name} is larger than any lock")
        return given.path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentBuildError(f"the lock {given.path} cannot be read: {error}") from error


def is_condas(text: str) -> bool:
    """Tell whether the text of a lock is one of conda packages."""
    return text.startswith(_CONDA)


def era_of(given: GivenLock) -> Era:
    """Return the Python that a lock was made for, to be looked for on this machine."""
    minor = ".".join(given.python.split(".")[:2])
    day = date.today()  # noqa: DTZ011 - nothing is resolved
    return Era(day, "the lock's", (minor,), "--python")


def exactly(given: GivenLock, found: tuple[Interpreter, ...]) -> Interpreter:
    """Return the interpreter of the lock's own version, else the first of its minor version."""
    return next((one for one in found if one.version == given.python), found[0])


def read(given: GivenLock, text: str, python: Interpreter) -> Lock:
    """Return a lock of the package index for `python`.

    Raises EnvironmentBuildError where the text is none that leman wrote.
    """
    try:
        return locks.read(text, python)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_lock(given, error) from error


def read_conda(given: GivenLock, text: str) -> tuple[Lock, tuple[str, ...]]:
    """Return a lock of conda packages, and its channels. Raises EnvironmentBuildError."""
    try:
        known: dict[str, Any] = json.loads(text.partition("\n")[0].removeprefix(_CONDA))
        packages = tuple(
            LockedPackage(name, "", "", "conda", *why) for name, why in known["packages"].items()
        )
        channels = tuple(str(one) for one in known["channels"])
        cutoff = date.fromisoformat(known["cutoff"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_lock(given, error) from error
    python = Interpreter(given.python, Path("bin/python"), "conda")
    return Lock(text, given.digest, python, cutoff, "the lock's", packages), channels


def _no_lock(given: GivenLock, error: Exception) -> EnvironmentBuildError:
    return EnvironmentBuildError(
        f"{given.path.name} is no lock that leman wrote: {type(error).__name__}: {error}",
        hint="Check the record with `leman verify`.",
    )
