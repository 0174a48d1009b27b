"""Another Python where what cannot be built has no wheel for the wanted one."""

from __future__ import annotations

from datetime import date

from packaging.version import Version

from leman.environments.index import Release
from leman.environments.model import Want
from leman.environments.wheels import python_with_wheels

MINORS = ("3.7", "3.8", "3.9", "3.11")
HEAVY = frozenset({"maps", "other"})


def release(version: str, *minors: str) -> Release:
    """Return a release with wheels for these Pythons, and a source distribution."""
    return Release(Version(version), date(2023, 8, 1), frozenset(minors), sdist=True)


def test_the_nearest_python_with_wheels_is_better() -> None:
    """Only for what is known to need them, and with the names of what is gained."""
    found: dict[str, tuple[Release, ...]] = {
        "maps": (release("1"), release("2", "3.9", "3.11")),
        "pure": (release("1"),),
    }
    wants = (Want("maps"), Want("pure"))
    best = python_with_wheels(wants, found, heavy=HEAVY, wanted="3.7", available=MINORS)
    assert best == ("3.9", ("maps",))


def test_the_wanted_python_stays_where_nothing_is_gained() -> None:
    """It has the wheels, nobody has them, the index does not answer, or an address is given."""
    cases: tuple[tuple[dict[str, tuple[Release, ...]], Want], ...] = (
        ({"maps": (release("1", "3.7"),)}, Want("maps")),
        ({"maps": (release("1"),)}, Want("maps")),
        ({"maps": ()}, Want("maps")),
        ({"maps": (release("1", "3.9"),)}, Want("maps", url="git+https://example.org/maps")),
    )
    for found, want in cases:
        best = python_with_wheels((want,), found, heavy=HEAVY, wanted="3.7", available=MINORS)
        assert best == ("3.7", ())


def test_the_most_packages_win() -> None:
    """A Python further away that has more of them."""
    found: dict[str, tuple[Release, ...]] = {
        "maps": (release("1", "3.8", "3.11"),),
        "other": (release("1", "3.11"),),
    }
    wants = (Want("maps"), Want("other"))
    best = python_with_wheels(wants, found, heavy=HEAVY, wanted="3.7", available=MINORS)
    assert best == ("3.11", ("maps", "other"))
