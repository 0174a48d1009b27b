"""Which builder makes an environment: uv from the package index, or conda from its channels.

uv comes first: its packages are dated, hashed and small, and most notebooks need nothing else.
conda comes in for what the index lacks, where the source names channels; what it lacks in turn is
reported. `conda` alone is for those who ask for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from leman.backends import Backend, load
from leman.environments.conda import DEFAULT_CHANNELS
from leman.environments.model import Attempt, Interpreter, Modification, Want
from leman.environments.names import (
    distribution_for,
    normalise,
    only_in_conda,
    standard_library,
    unavailable,
)
from leman.errors import EnvironmentBuildError, ResolutionError
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from leman.environments.infer import Needs
    from leman.environments.interface import Builder
    from leman.environments.model import Declarations, Environment, Era, Lock

Tier = Literal["auto", "uv", "conda"]

BUILDERS = {
    "uv": Backend("leman.environments.build:UvBuilder"),
    "conda": Backend("leman.environments.conda:CondaBuilder", "pip install 'leman[conda]'"),
}
ROUNDS = 8  # declared versions given up one by one; then all that are left at once
_NOTE = re.compile(r"published for conda(?: \((?:channel )?([\w.-]+)(?:: ([\w.-]+))?\))?")


class MakesConda(Protocol):
    """How a conda builder is made; `leman.environments.conda.CondaBuilder` is one."""

    def __call__(
        self,
        home: Path,
        channels: tuple[str, ...],
        *,
        addresses: Mapping[str, str],
        sandboxed: bool,
    ) -> Builder:
        """Return a builder over `channels`."""
        ...


@dataclass(frozen=True, slots=True)
class CondaNeed:
    """What a notebook needs that conda alone has, and the channels that its source names."""

    channels: tuple[str, ...] = ()
    wants: tuple[Want, ...] = ()

    @property
    def calls(self) -> bool:
        """Tell whether conda is needed and its channels are known."""
        return bool(self.channels and self.wants)


NO_NEED = CondaNeed()


def conda_need(needs: Needs, declared: Declarations, *, on: date, minor: str) -> CondaNeed:
    """Return what conda alone can give to a notebook.

    Imports that the index is known to lack count, and those that a declared conda package is
    named after. Where an import is unknown, every package that only conda has may bring it.
    """
    only = {one.name: one for one in declared.conda_only}
    found: dict[str, Want] = {}
    unknown = False
    for imported in needs.imports:
        top = imported.top
        if imported.optional or top in needs.local or top in standard_library(minor):
            continue
        name = _package(imported.module, on) or (normalise(top) if normalise(top) in only else "")
        if name:
            specifier = only[name].specifier if name in only else ""
            why = f"import {imported.module} ({imported.origin})"
            found.setdefault(name, Want(name, specifier, origin="inferred", evidence=why))
        elif not any(distribution_for(one, on=on) for one in (imported.module, top)):
            unknown = True
    for name, one in only.items():
        if name not in found and (unknown or only_in_conda(name)):
            found[name] = Want(name, one.specifier, origin="declared", evidence=one.origin)
    channels = declared.conda_channels or (DEFAULT_CHANNELS if only else ())
    return CondaNeed(channels, tuple(found.values()))


def _package(module: str, on: date) -> str:
    """Return the conda package of a module of which the tables know that only conda has it."""
    match = _NOTE.search(unavailable(module, on=on) or "")
    if match:
        return normalise(match[2] or module.split(".", maxsplit=1)[0])
    top = normalise(module.split(".", maxsplit=1)[0])
    return top if only_in_conda(top) and distribution_for(module, on=on) is None else ""


def together(found: Iterator[CondaNeed]) -> CondaNeed:
    """Return what several notebooks of one source need."""
    channels: dict[str, None] = {}
    wants: dict[str, Want] = {}
    for one in found:
        channels.update(dict.fromkeys(one.channels))
        wants.update({want.name: want for want in one.wants if want.name not in wants})
    return CondaNeed(tuple(channels), tuple(wants.values()))


@dataclass(frozen=True, slots=True)
class CondaPlace:
    """Where conda environments go, addresses of channels, and whether their code is boxed."""

    home: Path
    addresses: Mapping[str, str]
    sandboxed: bool


def build_with_conda(  # noqa: PLR0913 - what determines an environment, all by name
    place: CondaPlace,
    wants: tuple[Want, ...],
    *,
    need: CondaNeed,
    constraints: tuple[Want, ...],
    era: Era,
    imports: tuple[str, ...],
    progress: Callable[[str], None],
) -> Environment:
    """Return a conda environment of `wants` and what `need` adds, as of `era`.

    Raises LemanError where py-rattler is missing, EnvironmentBuildError where no channel answers,
    ResolutionError where no Python of the era gives an answer, or none that has what is needed.
    """
    make: MakesConda = load(BUILDERS, "conda")
    channels = need.channels or DEFAULT_CHANNELS
    builder = make(place.home, channels, addresses=place.addresses, sandboxed=place.sandboxed)
    names = {want.name for want in need.wants}
    asked = (*(want for want in wants if want.name not in names), *need.wants)
    last: ResolutionError | None = None
    for minor in era.pythons[:3]:
        python = Interpreter(f"{minor}.0", place.home, "conda")
        try:
            lock = repaired(
                builder, asked, constraints, python=python, cutoff=era.cutoff, progress=progress
            )
        except ResolutionError as error:
            last = error
            progress(f"conda with Python {minor} did not work out: {error.message[:120]}")
            continue
        dropped = {one.target for one in lock.modifications if one.kind == "drop"}
        if names and names <= dropped:
            raise ResolutionError(
                f"{', '.join(channels)} have none of {', '.join(sorted(names))}",
                hint="Name the channel that has them in environment.yml.",
            )
        lock = replace(lock, cutoff_reason=era.cutoff_reason, imports=imports)
        return builder.install(lock, progress=progress)
    raise last or EnvironmentBuildError("no Python version was given for a conda environment")


def repaired(
    builder: Builder,
    wants: tuple[Want, ...],
    constraints: tuple[Want, ...],
    *,
    python: Interpreter,
    cutoff: date,
    progress: Callable[[str], None],
) -> Lock:
    """Lock, giving up declared versions where they exclude each other, one a round.

    Limits go before wishes, and what the complaint names before the rest. Every version given up
    is an attempt and a modification of the lock. Raises ResolutionError.
    """
    given_up: list[tuple[Want, str]] = []
    while True:
        try:
            lock = builder.lock(
                wants, constraints=constraints, python=python, cutoff=cutoff, progress=progress
            )
        except ResolutionError as error:
            doomed = _doomed(error.message, wants, constraints, everything=len(given_up) >= ROUNDS)
            if not doomed:
                raise
            for one in doomed:
                progress(f"conda: {one.name} in any version instead of {one.specifier}")
                given_up.append((one, " ".join(error.message.split())[:300]))
            wants = tuple(replace(one, specifier="") if one in doomed else one for one in wants)
            constraints = tuple(one for one in constraints if one not in doomed)
            continue
        return _noted(lock, given_up) if given_up else lock


def _doomed(
    complaint: str, wants: tuple[Want, ...], constraints: tuple[Want, ...], *, everything: bool
) -> tuple[Want, ...]:
    pinned = [one for one in (*constraints, *reversed(wants)) if one.specifier and not one.url]
    if everything:
        return tuple(pinned)
    named = [one for one in pinned if _names(complaint, one.name)]
    return tuple((named or pinned)[:1])


def _names(complaint: str, name: str) -> bool:
    pattern = r"[-_.]".join(map(re.escape, name.split("-")))
    return bool(re.search(rf"(?<![\w.-]){pattern}(?![\w-])", complaint, re.IGNORECASE))


def _noted(lock: Lock, given_up: list[tuple[Want, str]]) -> Lock:
    """Write into a lock, and into its text, which versions were given up."""
    first, _, rest = lock.text.partition("\n")
    known = json.loads(first.removeprefix("# leman: "))
    known["unpinned"] = [[one.name, one.specifier] for one, _ in given_up]
    attempts = [
        Attempt("lock", f"conda: {one.name} in any version instead of {one.specifier}", why)
        for one, why in given_up
    ]
    changes = [
        Modification("unpin", one.name, f"{one.specifier} does not go with the rest in conda")
        for one, _ in given_up
    ]
    return replace(
        lock,
        text=f"# leman: {json.dumps(known)}\n{rest}",
        attempts=(*attempts, *lock.attempts),
        modifications=(*changes, *lock.modifications),
    )


def is_conda(lock: Lock) -> bool:
    """Tell whether a lock's packages are conda's; its text is then no PEP 751."""
    return any(one.kind == "conda" for one in lock.packages)


def conda_not_used(need: CondaNeed, why: str, fix: str) -> Finding:
    """Say what is missing from an environment of the index, because conda was not to be had."""
    names = ", ".join(one.name for one in need.wants)
    return Finding(
        "conda-not-used",
        "warning",
        need.wants[0].evidence if need.wants else "environment",
        f"{names}: only conda has it, and no conda environment could be made: {why}. The"
        " environment was made from the package index without it, so code that needs it fails",
        fix,
    )
