"""From a source to its locks, without running anything: what `leman env lock` and `show` need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import tomlkit

from leman.environments.fetch import fetch
from leman.environments.tiers import is_conda, together
from leman.reproduction.prepare import alone, clusters, environments_of, look_at_all
from leman.reproduction.run import isolate
from leman.reproduction.workshop import open_workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leman.config import Settings
    from leman.environments.clock import Wishes
    from leman.environments.model import Cluster, Environment, Source
    from leman.environments.tiers import Tier
    from leman.reproduction.options import Watcher
    from leman.reproduction.plan import Plan
    from leman.reproduction.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Pinned:
    """The environment of some notebooks; None where none was built for them on this machine."""

    notebooks: tuple[str, ...]
    environment: Environment | None


def pin(
    spec: str,
    *,
    ref: str,
    wishes: Wishes,
    settings: Settings,
    watcher: Watcher,
    tier: Tier = "auto",
) -> tuple[Pinned, ...]:
    """Lock and build the environments of a source's notebooks; run none of them.

    They are built because only an installation proves that a lock can be installed. Raises
    SourceError, and the reason why no environment could be built where none could.
    """
    source, found, workshop = _looked_at(spec, ref, wishes, settings, watcher)
    made = environments_of(source, found, replace(workshop, tier=tier), watcher)
    return tuple(Pinned(notebooks, environment) for environment, notebooks in made)


def look_up(
    spec: str, *, ref: str, wishes: Wishes, settings: Settings, watcher: Watcher
) -> tuple[Pinned, ...]:
    """Return the environments that were built for a source before; build nothing."""
    _, found, workshop = _looked_at(spec, ref, wishes, settings, watcher)
    ready = [plan for plan in found if plan.era]
    return tuple(one for pair in clusters(ready, workshop) for one in _known(*pair, workshop))


def _known(cluster: Cluster, group: list[Plan], workshop: Workshop) -> Iterator[Pinned]:
    need = together(plan.conda for plan in group)
    environment = workshop.known(cluster.wants, cluster.constraints, cluster.era, need)
    if environment is None and len(group) > 1:  # a group that does not fit together is split
        for plan in group:
            yield from _known(alone(plan), [plan], workshop)
    else:
        yield Pinned(cluster.notebooks, environment)


def _looked_at(
    spec: str, ref: str, wishes: Wishes, settings: Settings, watcher: Watcher
) -> tuple[Source, tuple[Plan, ...], Workshop]:
    source = fetch(
        spec, ref=ref, cache=settings.cache, progress=lambda text: watcher.said("", text)
    )
    workshop = open_workshop(settings, isolate("auto"))
    return source, look_at_all(source, wishes)[1], workshop


def names_for(output: Path, made: tuple[Pinned, ...]) -> tuple[Path, ...]:
    """Return file names after `output`: ``pylock.toml``, or ``pylock.1.toml`` and so on.

    PEP 751 wants ``pylock.<name>.toml`` where one folder holds several. What conda locked is no
    pylock: there ``conda.lock`` takes that name's place.
    """
    names = []
    for number, one in enumerate(made, 1):
        place = f".{number}" if len(made) > 1 else ""
        name = output.with_name(f"{output.stem}{place}{output.suffix}")
        if one.environment and output.stem == "pylock" and is_conda(one.environment.lock):
            name = output.with_name(f"conda{place}.lock")
        names.append(name)
    return tuple(names)


def is_ours(text: str) -> bool:
    """Tell whether the text of a file is a lock that leman wrote."""
    return "[tool.leman]" in text or text.startswith("# leman: {")


def text_of(pinned: Pinned) -> str:
    """Return the lock's text with the notebooks that it serves in ``[tool.leman]``."""
    if pinned.environment is None:
        return ""
    if is_conda(pinned.environment.lock):
        return pinned.environment.lock.text
    document = tomlkit.parse(pinned.environment.lock.text)
    document["tool"]["leman"]["notebooks"] = list(pinned.notebooks)
    return tomlkit.dumps(document)
