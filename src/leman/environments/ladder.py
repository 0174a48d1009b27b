"""The repair ladder: what to change when uv finds no answer or a package does not build.

Each rung reads uv's own words and changes the trial a little. The order is policy: first what
loses nothing (metadata, build needs), then what unpins a version, and only last what drops a
package, because a missing package surely breaks a notebook and another version may not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from leman.environments.model import Attempt, Interpreter, Modification, Want
from leman.environments.uv import Question

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from leman.environments.index import Release

_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*?)"
_SOON = 2 * 365  # days after the cut-off in which a first wheel is better than no package
# Without these no kernel starts, so no notebook would run.
_KERNEL = frozenset(
    [
        "ipykernel",
        "ipython",
        "jupyter-client",
        "jupyter-core",
        "pyzmq",
        "tornado",
        "traitlets",
        "matplotlib-inline",
        "decorator",
        "pygments",
        "prompt-toolkit",
        "debugpy",
        "comm",
        "psutil",
        "packaging",
        "nest-asyncio",
    ]
)
_PANDAS = ("numpy>=1.9.0", "python-dateutil>=2.5.0", "pytz")


@dataclass(slots=True)
class Trial:
    """What is being resolved now; the rungs change it and leave a trace of every change."""

    wants: dict[str, Want]
    python: Interpreter
    cutoff: date
    releases: dict[str, tuple[Release, ...]]
    constraints: dict[str, Want] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    excludes: set[str] = field(default_factory=set)
    only_binary: set[str] = field(default_factory=set)
    package_cutoffs: dict[str, date] = field(default_factory=dict)
    metadata: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # what was tried to build, in vain
    build_needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lookup: Callable[[str], tuple[Release, ...]] | None = None
    moved: str = ""  # why the cut-off is later than it was asked for
    keep: frozenset[str] = _KERNEL
    dated: bool = True  # whether the index gives upload times
    attempts: list[Attempt] = field(default_factory=list)
    modifications: list[Modification] = field(default_factory=list)

    def question(self) -> Question:
        """Return what to ask uv now."""
        floors = [f"{name}{spec}" for name, spec in sorted(self.floors.items())]
        return Question(
            requirements=tuple(want.text() for want in self.wants.values()),
            python=self.python.path,
            cutoff=self.cutoff,
            constraints=tuple(want.text() for want in self.constraints.values()) + tuple(floors),
            excludes=tuple(sorted(self.excludes)),
            only_binary=tuple(sorted(self.only_binary)),
            package_cutoffs=dict(self.package_cutoffs),
            metadata=tuple((*key, needs) for key, needs in sorted(self.metadata.items())),
            build_dependencies=dict(self.build_needs),
            prereleases=any(_prerelease(want.specifier) for want in self.wants.values()),
            dated=self.dated,
        )

    def known(self, name: str) -> tuple[Release, ...]:
        """Return the releases of a package, asking the index if nobody has yet."""
        if name not in self.releases and self.lookup:
            self.releases[name] = self.lookup(name)
        return self.releases.get(name, ())

    def unpin(self, name: str, why: str) -> bool:
        """Take away the version that was asked for `name`, wherever it was asked for."""
        changed = False
        if name in self.constraints:
            was = self.constraints.pop(name).specifier
            changed = True
        elif name in self.wants and (self.wants[name].specifier or self.wants[name].url):
            was = self.wants[name].specifier or f" @ {self.wants[name].url}"
            self.wants[name] = replace(self.wants[name], specifier="", url="")
            changed = True
        elif name in self.floors:
            was = self.floors.pop(name)
            changed = True
        if changed:
            self._note("unpin", name, f"{name}{was}", why)
        return changed

    def drop(self, name: str, why: str) -> bool:
        """Do without `name` altogether."""
        if name in self.keep or name in self.excludes:
            return False
        if name in self.wants:
            self._note("drop", name, self.wants.pop(name).text(), why)
        else:
            self.excludes.add(name)
            self._note("drop", name, f"{name} (needed by another package)", why)
        self.constraints.pop(name, None)
        return True

    def pin(self, name: str, specifier: str, why: str) -> None:
        """Ask for another version of `name` than would be chosen."""
        self._note("pin", name, f"{name}{specifier}", why)
        if name in self.wants:
            self.wants[name] = replace(self.wants[name], specifier=specifier)
        else:
            self.constraints[name] = Want(name, specifier, origin="repair", evidence=why)

    def override(self, name: str, version: str, needs: tuple[str, ...], why: str) -> None:
        """Replace the metadata of one release, which cannot be read."""
        self.metadata[name, version] = needs
        self._note("override", name, f"metadata of {name} {version}", why)

    def wheels_only(self, name: str, why: str) -> bool:
        """Take another version of `name`, one that needs no compiler."""
        if name in self.only_binary:
            return False
        self.only_binary.add(name)
        self._note("wheels-only", name, f"only ready-made wheels of {name}", why)
        return True

    def needs_to_build(self, name: str, other: str, why: str) -> bool:
        """Give the build of `name` a package that it needs and does not declare."""
        if other in self.build_needs.get(name, ()):
            return False
        self.build_needs[name] = (*self.build_needs.get(name, ()), other)
        self._note("build-need", name, f"{other} while building {name}", why)
        return True

    def _note(self, kind: str, name: str, detail: str, why: str) -> None:
        self.modifications.append(Modification(kind, name, detail))
        self.attempts.append(Attempt("lock", f"{kind} {detail}", why))


def climb(trial: Trial, complaint: str) -> bool:
    """Change `trial` by the first rung that fits uv's complaint; False when there is none left."""
    text = re.sub(r"\s+", " ", complaint)
    return any(rung(trial, text) for rung in RUNGS)


def _prerelease(specifier: str) -> bool:
    try:
        return bool(SpecifierSet(specifier).prereleases)
    except ValueError:
        return False


def _named(pattern: str, text: str) -> list[str]:
    return [_normal(name) for name in re.findall(pattern, text)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _metadata(trial: Trial, text: str) -> bool:
    """Give releases with unreadable metadata a readable one; uv would silently pass over them."""
    changed = False
    for name in _named(rf"Metadata for `{_NAME}` \(v", text) + _named(
        rf"{_NAME}(?:[<>=!~][^ ]*)? has invalid metadata", text
    ):
        needs = _PANDAS if name == "pandas" else ()
        for release in trial.known(name):
            key = (name, str(release.version))
            if key not in trial.metadata and _near(release, trial):
                trial.metadata[key] = needs
                changed = True
        if changed:
            trial.override(name, "all near the cut-off", needs, "its metadata is not PEP 440")
            trial.metadata.pop((name, "all near the cut-off"))
    return changed


def _near(release: Release, trial: Trial) -> bool:
    return release.uploaded is None or (
        release.uploaded <= max(trial.cutoff, trial.package_cutoffs.get("", trial.cutoff))
        and (trial.cutoff - release.uploaded).days < 6 * 365
    )


def _build_need(trial: Trial, text: str) -> bool:
    """Follow uv's hint that a build imports a package that it does not declare."""
    found = re.search(rf"likely indicates that `{_NAME}(?:@[^`]*)?` depends on `{_NAME}`", text)
    if not found:
        return False
    name, other = _normal(found[1]), _normal(found[2])
    return trial.needs_to_build(name, other, "uv says that its build imports it")


def _unbuildable(trial: Trial, text: str) -> bool:
    """Take what has wheels of a package that does not build, else any version, else none."""
    names = _named(
        r"(?:Failed to build|Failed to download and build|Failed to prepare distributions.*?build) "
        rf"`{_NAME}(?: ?[=@][^`]*)?`",
        text,
    )
    why = "it does not build here"
    for name in names:
        trial.failed.add(name)
        wheel = _first_wheel(trial, name)
        if wheel and trial.wheels_only(name, why):
            if wheel > trial.cutoff:
                trial.package_cutoffs[name] = wheel
            trial.unpin(name, why)
            return True
        asked = name in trial.constraints or bool(trial.wants.get(name, Want("")).specifier)
        if (asked and trial.unpin(name, why)) or trial.drop(name, why):
            return True
    return False


def _first_wheel(trial: Trial, name: str) -> date | None:
    """Return when a wheel for this Python first was there: by the cut-off, or soon after it."""
    days = [
        release.uploaded or trial.cutoff
        for release in trial.known(name)
        if release.runs_on(trial.python.minor, wheels_only=True)
    ]
    first = min(days, default=None)
    return first if first and (first - trial.cutoff).days < _SOON else None


def _unknown(trial: Trial, text: str) -> bool:
    """Drop a name that the index does not have."""
    changed = False
    for name in _named(rf"{_NAME} was not found in the package registry", text):
        changed |= trial.drop(name, "the package index has no such package")
    return changed


def _no_such_version(trial: Trial, text: str) -> bool:
    """Unpin a version that never existed, came later, or does not run on this Python."""
    patterns = (
        rf"there (?:is|are) no versions? of {_NAME}(?:\[[^\]]*\])?[=<>!~]",
        rf"(?:[Bb]ecause|and|that) {_NAME}(?:\[[^\]]*\])?[=<>!~][^ ]* has no (?:usable )?wheels",
        rf"{_NAME}(?:\[[^\]]*\])?[=<>!~][^ ]* has a non-PEP",
        rf"{_NAME}(?:\[[^\]]*\])?[=<>!~][^ ]* depends on Python",
        rf"{_NAME}(?:\[[^\]]*\])?[=<>!~][^ ]* (?:was yanked|has no )",
    )
    names = [name for pattern in patterns for name in _named(pattern, text)]
    return any(
        trial.unpin(name, "no release of that version suits this Python and date") for name in names
    )


def _conflict(trial: Trial, text: str) -> bool:
    """Pins that exclude each other: free the ones that no notebook imports first."""
    named = _named(rf"(?:^|[ ,(`]){_NAME}(?:\[[^\]]*\])?(?:[=<>!~]=?|===)", text)
    order = {"inferred": 2, "kernel": 3}
    pinned = [name for name in dict.fromkeys(named) if _pinned(trial, name)]
    for name in sorted(
        pinned, key=lambda one: order.get(trial.wants[one].origin, 1) if one in trial.wants else 0
    ):
        if trial.unpin(name, "its version contradicts another one"):
            return True
    return False


def _pinned(trial: Trial, name: str) -> bool:
    want = trial.wants.get(name)
    return name in trial.constraints or name in trial.floors or bool(want and want.specifier)


def _unparsable(trial: Trial, text: str) -> bool:
    """Unpin a requirement line that is no PEP 508."""
    if "parse requirement" not in text:
        return False
    changed = False
    for name in list(trial.wants):
        if re.search(rf"\b{re.escape(name)}\b", text):
            changed |= trial.unpin(name, "the requirement cannot be read")
    return changed


def _needs_compiler_of_source(trial: Trial, text: str) -> bool:
    """Allow a build where wheels were asked for and there is none for this Python and date."""
    for name in _named(rf"disabled for `{_NAME}`", text):
        if name in trial.failed:
            continue
        if name in trial.only_binary and not trial.wants.get(name, Want("")).specifier:
            trial.only_binary.discard(name)
            trial.attempts.append(
                Attempt("lock", f"build {name} from source", "it has no wheel for this Python")
            )
            trial.unpin(name, "older ones may suit")
            return True
    return False


def _not_at_all(trial: Trial, text: str) -> bool:
    """Drop a package that uv names as the one without any usable release."""
    patterns = (
        rf"all versions of {_NAME} (?:have|has|need|depend)",
        rf"(?:Because|because|and) {_NAME} (?:has no|cannot be used)",
        rf"[Oo]nly {_NAME}[<>=!~][^ ]* is available",
        rf"you require {_NAME}(?:[ ,]|$)",
    )
    names = [name for pattern in patterns for name in _named(pattern, text)]
    return any(
        trial.drop(name, "no release of it suits this Python and date")
        for name in names
        if name in trial.wants or name in text
    )


RUNGS: tuple[Callable[[Trial, str], bool], ...] = (
    _metadata,
    _build_need,
    _unknown,
    _unparsable,
    _unbuildable,
    _no_such_version,
    _conflict,
    _needs_compiler_of_source,
    _not_at_all,
)
