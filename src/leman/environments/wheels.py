"""Which Python has ready-made wheels of what nobody can build from source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leman.environments.pythons import key

if TYPE_CHECKING:
    from leman.environments.index import Release
    from leman.environments.model import Want


def python_with_wheels(
    wants: tuple[Want, ...],
    releases: dict[str, tuple[Release, ...]],
    *,
    heavy: frozenset[str],
    wanted: str,
    available: tuple[str, ...],
) -> tuple[str, tuple[str, ...]]:
    """Return the Python (of the minors that are `available`) to use, and what is gained by it.

    `heavy` are packages that need libraries or hours to build. Where one of them has no wheel for
    the wanted Python at any time, the nearest Python that lacks fewer of them is better: without
    the package its import fails for certain. Nothing is gained where the wanted one is best.
    """
    asked = [want for want in wants if want.name in heavy and not want.url]

    def lacking(minor: str) -> frozenset[str]:
        return frozenset(
            want.name
            for want in asked
            if releases.get(want.name)
            and not any(one.runs_on(minor, wheels_only=True) for one in releases[want.name])
        )

    now = lacking(wanted)
    if not now:
        return wanted, ()
    by_distance = sorted(
        available, key=lambda one: (abs(key(one)[1] - key(wanted)[1]), -key(one)[1])
    )
    best = min(by_distance, key=lambda one: len(lacking(one)), default=wanted)
    gained = tuple(sorted(now - lacking(best)))
    return (best, gained) if gained and len(lacking(best)) < len(now) else (wanted, ())
