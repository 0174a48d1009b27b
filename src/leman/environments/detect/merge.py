"""Several readings made into one answer: the first that names a version rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from leman.environments.detect.codes import finding, several
from leman.environments.detect.reading import CondaOnly, Dropped, PythonWanted
from leman.environments.model import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leman.environments.detect.reading import Reading
    from leman.findings import Finding

_DROPPED = {
    "conda-not-python": (
        "these conda packages are not Python packages and are left out: {names}",
        "",
    ),
    "conda-only": (
        "the Python package index has no package of these conda names: {names}",
        "Where a notebook needs one, run it with a conda tier (leman's extra 'conda').",
    ),
    "direct-address": ("fetched from an address, which must be reachable: {names}", ""),
    "local-build-path": (
        "installed from a folder of the author's machine, so only the names are known: {names}",
        "Write the file with `pip list --format=freeze`, which keeps the versions.",
    ),
    "local-version": ("the plain version is used instead of a special build: {names}", ""),
    "module-name": ("these are names of modules; their distributions are used: {names}", ""),
    "platform-only": ("left out, made for another operating system alone: {names}", ""),
    "r-unsupported": (
        "R packages, which leman does not install, so notebooks that need them fail: {names}",
        "Run such notebooks with repo2docker, or in R.",
    ),
    "specifier-dropped": ("the version cannot be read by pip's rules; any is taken: {names}", ""),
}


def merge(readings: Sequence[Reading]) -> tuple[tuple[Requirement, ...], list[Finding]]:
    """Return one answer per package (several where markers tell them apart), and the conflicts.

    `readings` come in order of precedence. The first that names a version rules; a later exact
    version inside an earlier range makes it exact; one that contradicts it is reported.
    """
    chosen: dict[str, tuple[Requirement, ...]] = {}
    findings: list[Finding] = []
    for reading in readings:
        against: list[str] = []
        for name, entries in _by_name(reading.of(Requirement)).items():
            before = chosen.get(name)
            if before is None:
                chosen[name] = entries
            elif _says_more(before, entries):
                extras = {extra for one in (*before, *entries) for extra in one.extras}
                chosen[name] = tuple(replace(one, extras=tuple(sorted(extras))) for one in entries)
            elif _contradicts(before, entries):
                first, other = before[0], entries[0]
                against.append(
                    f"{name}{first.specifier or ' @ ' + first.url} ({first.origin}) is used, not"
                    f" {other.specifier or other.url}"
                )
        if against:
            findings.append(finding("conflicting-declarations", reading.file, several(against, 5)))
    return tuple(one for entries in chosen.values() for one in entries), findings


def _by_name(requirements: Iterable[Requirement]) -> dict[str, tuple[Requirement, ...]]:
    """Group one file's requirements; of two without different markers the telling one stays."""
    found: dict[str, dict[str, Requirement]] = {}
    for one in requirements:
        kept = found.setdefault(one.name, {})
        before = kept.get(one.marker)
        if before is None or _says_more((before,), (one,)):
            kept[one.marker] = one
    return {name: _without_bare(tuple(kept.values())) for name, kept in found.items()}


def _without_bare(entries: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
    telling = tuple(one for one in entries if one.specifier or one.url)
    return telling or entries[:1]


def _says_more(before: Sequence[Requirement], after: Sequence[Requirement]) -> bool:
    if not any(one.specifier or one.url for one in after):
        return False
    if not any(one.specifier or one.url for one in before):
        return True
    one, other = before[0], after[0]
    single = len(before) == len(after) == 1
    return (
        single
        and other.pinned
        and not one.pinned
        and not one.url
        and _allows(one.specifier, other.specifier)
    )


def _contradicts(before: Sequence[Requirement], after: Sequence[Requirement]) -> bool:
    if len(before) != 1 or len(after) != 1:
        return False
    one, other = before[0], after[0]
    if not (other.specifier or other.url) or (one.specifier, one.url) == (
        other.specifier,
        other.url,
    ):
        return False
    if one.pinned and other.specifier:
        return not _allows(other.specifier, one.specifier)
    if other.pinned and one.specifier:
        return not _allows(one.specifier, other.specifier)
    return bool(one.pinned or other.pinned)


def _allows(specifier: str, pin: str) -> bool:
    """Say whether a specifier allows the one version of a pin."""
    try:
        return SpecifierSet(specifier).contains(pin.lstrip("="), prereleases=True)
    except (InvalidSpecifier, ValueError):
        return False


def dropped(reading: Reading) -> list[Finding]:
    """Return one finding per code for all the names that a file's items dropped."""
    names: dict[str, dict[str, None]] = {}
    for item in reading.of(Dropped):
        names.setdefault(item.code, {})[item.name] = None
    for lone in reading.of(CondaOnly):
        names.setdefault("conda-only", {})[lone.requirement.name] = None
    return [
        finding(
            code,
            reading.file,
            _DROPPED[code][0].format(names=several(list(found))),
            _DROPPED[code][1],
        )
        for code, found in names.items()
    ]


def choose_python(wishes: Sequence[PythonWanted]) -> tuple[PythonWanted, list[Finding]]:
    """Return the Python that rules: the first wish, made exact by a later one inside its range."""
    if not wishes:
        return PythonWanted("", ""), []
    first = wishes[0]
    exact = [one for one in wishes if _minor(one.specifier)]
    if not _minor(first.specifier):
        inside = (one for one in exact if _allows(first.specifier, _minor(one.specifier)))
        first = next(inside, first)
    against = next((one for one in exact if not _fits(first, one)), None)
    if against is None:
        return first, []
    return first, [
        finding(
            "python-conflict",
            against.origin,
            f"{against.origin} asks for Python {against.specifier}, {first.origin} for"
            f" {first.specifier}; the latter is used",
        )
    ]


def _minor(specifier: str) -> str:
    """Return a version inside ``==3.7.*`` ("" for other forms), late enough for ``>=3.7.1``."""
    if specifier.startswith("==") and "," not in specifier:
        return specifier[2:].replace("*", "99")
    return ""


def _fits(first: PythonWanted, other: PythonWanted) -> bool:
    return first.specifier == other.specifier or _allows(first.specifier, _minor(other.specifier))
