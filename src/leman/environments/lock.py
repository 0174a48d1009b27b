"""From wanted packages to a lock: PEP 751, resolved as of a date, with the reason of everything.

The lock is uv's ``pylock.toml`` (versions, upload times, SHA-256 of every file) plus a table
``[tool.leman]`` that PEP 751 leaves to tools: the cut-off and its reason, who asked for which
package, every attempt and every departure from what the author declared.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tomllib
from dataclasses import asdict
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

from leman.environments.detect.specifiers import consistent
from leman.environments.index import Index, newest
from leman.environments.ladder import Trial, climb
from leman.environments.model import Attempt, Interpreter, Lock, LockedPackage, Modification, Want
from leman.environments.uv import Question
from leman.errors import ResolutionError, ToolError
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.environments.index import Release
    from leman.environments.uv import Uv

ROUNDS = 24
# Legacy sdists need setuptools ≥ 40.8 (2019-02-05), which uv asks for in every setup.py build.
_SETUPTOOLS = date(2019, 2, 8)
_SUPPORTED = timedelta(days=700)
_STONE_AGE = timedelta(days=3 * 365)
_UNREACHABLE = re.compile(
    r"error sending request|status server error|tcp connect error|dns error|network was disabled"
)
# What nearly everything depends on: a floor under these keeps uv from going back, release by
# release, to source distributions of another decade.
_STACK = frozenset({"numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "h5py", "pillow"})


def resolve(trial: Trial, uv: Uv, *, progress: Callable[[str], None], rounds: int = ROUNDS) -> str:
    """Return uv's lock text for `trial`, climbing the repair ladder where it must.

    Raises ResolutionError with uv's last words.
    """
    complaint = ""
    for _ in range(rounds):
        try:
            return uv.compile(trial.question())
        except ToolError as error:
            complaint = error.output or error.message
        _raise_if_unreachable(trial, complaint)
        before = len(trial.attempts)
        if not climb(trial, complaint):
            break
        for attempt in trial.attempts[before:]:
            progress(f"{attempt.action}: {attempt.reason}")
    raise ResolutionError(
        f"no set of packages fits together for Python {trial.python.minor}"
        f" as of {trial.cutoff}: {_first_cause(complaint)}",
        hint="Give another date with --date or another Python with --python.",
    )


def _raise_if_unreachable(trial: Trial, complaint: str) -> None:
    """Say that the index cannot be asked, lest its silence count as "no such package"."""
    addresses = [want.url.split("+")[-1].split("#")[0] for want in trial.wants.values() if want.url]
    theirs = any(address in complaint for address in addresses)
    if _UNREACHABLE.search(complaint) and "Failed to build" not in complaint and not theirs:
        raise ResolutionError(
            f"the package index could not be reached: {_first_cause(complaint)}",
            hint="Check the network, or name an index that answers with LEMAN_INDEX_URL.",
        )


def trial_for(
    wants: tuple[Want, ...],
    *,
    constraints: tuple[Want, ...],
    python: Interpreter,
    cutoff: date,
    index: Index,
    heavy: frozenset[str] = frozenset(),
) -> Trial:
    """Return the first trial: floors for loose names, room for pins newer than the date."""
    chosen = {want.name: want for want in wants}
    limits = {want.name: want for want in constraints if want.name not in chosen and want.specifier}
    releases = index.releases({*chosen, *limits, *_STACK})
    cutoff, moved = _late_enough(wants, constraints, releases, python.minor, heavy, cutoff)
    window = max(cutoff, _SETUPTOOLS)
    trial = Trial(
        wants=chosen,
        python=python,
        cutoff=cutoff,
        releases=releases,
        constraints=limits,
        only_binary=set(heavy),
        package_cutoffs={"setuptools": window, "wheel": window} if cutoff < window else {},
        lookup=lambda name: index.releases([name]).get(name, ()),
        moved=moved,
        dated=not any(releases.values()) or any(map(_dated, releases.values())),
    )
    for want in wants:
        if not want.url:
            _place_in_time(trial, want)
    for name in _STACK - {*chosen, *limits}:
        _place_in_time(trial, Want(name))
    for name in [
        name for name, want in limits.items() if not _exists(releases[name], want, python)
    ]:
        if releases[name]:
            trial.unpin(name, f"no such version runs on Python {python.minor}")
    return trial


def _late_enough(
    wants: tuple[Want, ...],
    constraints: tuple[Want, ...],
    releases: dict[str, tuple[Release, ...]],
    minor: str,
    heavy: frozenset[str],
    cutoff: date,
) -> tuple[date, str]:
    """Return a date at which what is wanted can be had, and why it is later ("": it is not).

    Exact versions must exist. A package whose first wheel for this Python came later needs others
    of its time: it supports what came out in the two years before it (NEP 29, SPEC 0).
    """
    moved = ""
    pinned = _newest_pin((*wants, *constraints), releases)
    if pinned and pinned > cutoff:
        cutoff, moved = pinned, ", moved on to the newest version that is declared"
    for want in wants:
        wheels = [
            one.uploaded
            for one in releases.get(want.name, ())
            if one.uploaded and one.runs_on(minor, wheels_only=True)
        ]
        if want.name in heavy and wheels and min(wheels) - _SUPPORTED > cutoff:
            cutoff = min(wheels) - _SUPPORTED
            moved = f", moved on to what the first wheel of {want.name} goes with"
    return cutoff, moved


def _newest_pin(wants: tuple[Want, ...], releases: dict[str, tuple[Release, ...]]) -> date | None:
    """Return when the newest of the exactly declared versions was uploaded."""
    found = [
        one.uploaded
        for want in wants
        if want.specifier.startswith("==") and "*" not in want.specifier
        for one in releases.get(want.name, ())
        if one.uploaded and consistent(want.specifier, str(one.version))
    ]
    return max(found, default=None)


def _exists(releases: tuple[Release, ...], want: Want, python: Interpreter) -> bool:
    return bool(newest(releases, by=date.max, minor=python.minor, specifier=want.specifier))


def _dated(releases: tuple[Release, ...]) -> bool:
    return any(release.uploaded for release in releases)


def _place_in_time(trial: Trial, want: Want) -> None:
    """Decide by the index what uv would otherwise find out by trying for minutes."""
    name, releases = want.name, trial.releases[want.name]
    if not releases:
        return  # unknown or unreachable: uv's own answer decides
    if not _dated(releases):
        return  # an index without dates; said so in the lock's findings
    minor = trial.python.minor
    heavy = name in trial.only_binary
    found = newest(
        releases, by=trial.cutoff, minor=minor, specifier=want.specifier, wheels_only=heavy
    )
    if found is None and want.specifier:
        later = newest(
            releases, by=date.max, minor=minor, specifier=want.specifier, wheels_only=heavy
        )
        if later and later.uploaded:
            trial.package_cutoffs[name] = later.uploaded
            return
        trial.unpin(name, f"no release of that version runs on Python {minor}")
        found = newest(releases, by=trial.cutoff, minor=minor, wheels_only=heavy)
    if found is None:
        first = next((one for one in releases if one.runs_on(minor, wheels_only=heavy)), None)
        if first and first.uploaded:
            trial.package_cutoffs[name] = first.uploaded + timedelta(days=30)
            trial.attempts.append(
                Attempt("lock", f"allow {name} up to {first.uploaded}", "it came after the cut-off")
            )
        elif heavy:
            trial.only_binary.discard(name)
        return
    if not want.specifier and found.uploaded:
        floor = next(
            one for one in releases if one.uploaded and one.uploaded > found.uploaded - _STONE_AGE
        )
        trial.floors[name] = f">={min(floor.version, found.version)}"


def finish(
    trial: Trial, text: str, *, reason: str, imports: tuple[str, ...], uv_index_dated: bool = True
) -> Lock:
    """Return the Lock of a resolved `trial`: packages with their reasons, provenance, digest."""
    import tomlkit  # noqa: PLC0415 - for writing alone

    document = tomlkit.parse(text)
    packages = tuple(_package(entry, trial) for entry in tomllib.loads(text).get("packages", ()))
    digest = digest_of(text, trial.python)
    findings: tuple[Finding, ...] = ()
    if not uv_index_dated or not any(package.uploaded for package in packages):
        findings = (
            Finding(
                "index-without-dates",
                "warning",
                "lock",
                "the package index gives no upload times, so the cut-off date has no effect",
                "Use an index that implements PEP 700, or pin the versions.",
            ),
        )
    document["tool"] = {
        "leman": {
            "digest": digest,
            "python": trial.python.version,
            "platform": platform_tag(),
            "cutoff": trial.cutoff,
            "cutoff-reason": reason + trial.moved,
            "imports": list(imports),
            "build": {
                "dated": trial.dated,
                "cutoffs": dict(trial.package_cutoffs),
                "needs": {name: list(needs) for name, needs in trial.build_needs.items()},
            },
            "packages": [asdict(package) for package in packages],
            "attempts": [asdict(attempt) for attempt in trial.attempts],
            "modifications": [asdict(one) for one in trial.modifications],
            "findings": [asdict(finding) for finding in findings],
        }
    }
    return Lock(
        text=tomlkit.dumps(document),
        digest=digest,
        python=trial.python,
        cutoff=trial.cutoff,
        cutoff_reason=reason + trial.moved,
        packages=packages,
        attempts=tuple(trial.attempts),
        modifications=tuple(trial.modifications),
        findings=findings,
        imports=imports,
    )


def read(text: str, python: Interpreter) -> Lock:
    """Read a lock that `finish` wrote; `python` is the interpreter of this machine to use.

    A foreign ``pylock.toml`` is read as well: its provenance is then empty.
    """
    document = tomllib.loads(text)
    ours = document.get("tool", {}).get("leman", {})
    bare = tuple(
        LockedPackage(entry["name"], entry.get("version", ""), origin="declared")
        for entry in document.get("packages", ())
    )
    packages = tuple(LockedPackage(**entry) for entry in ours.get("packages", ())) or bare
    return Lock(
        text=text,
        digest=_digest_of(document, python),
        python=python,
        cutoff=ours.get("cutoff", date.today()),  # noqa: DTZ011 - a foreign lock has no date
        cutoff_reason=ours.get("cutoff-reason", "a lock that was given"),
        packages=packages,
        attempts=tuple(Attempt(**entry) for entry in ours.get("attempts", ())),
        modifications=tuple(Modification(**entry) for entry in ours.get("modifications", ())),
        findings=tuple(Finding(**entry) for entry in ours.get("findings", ())),
        imports=tuple(ours.get("imports", ())),
    )


def build_question(lock: Lock) -> Question:
    """Return what uv needs to know to build a lock's source distributions as of its date."""
    document = tomllib.loads(lock.text)
    known = document.get("tool", {}).get("leman", {}).get("build", {})
    window = max(lock.cutoff, _SETUPTOOLS)  # of locks that do not say
    return Question(
        (),
        lock.python.path,
        lock.cutoff,
        package_cutoffs=known.get("cutoffs", {"setuptools": window, "wheel": window}),
        build_dependencies={name: tuple(needs) for name, needs in known.get("needs", {}).items()},
        dated=known.get("dated", True),
    )


def digest_of(text: str, python: Interpreter) -> str:
    """Return the SHA-256 over what determines the built environment, not over its provenance."""
    return _digest_of(tomllib.loads(text), python)


def _digest_of(document: dict[str, Any], python: Interpreter) -> str:
    entries = []
    for entry in document.get("packages", ()):
        files = [*entry.get("wheels", ()), *filter(None, [entry.get("sdist")])]
        hashes = sorted(value for file in files for value in file.get("hashes", {}).values())
        where = {key: entry[key] for key in ("vcs", "directory", "archive") if key in entry}
        entries.append([entry["name"], entry.get("version", ""), hashes, repr(where)])
    facts = [python.version, platform_tag(), sorted(entries)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def platform_tag() -> str:
    """Return system, architecture and C library, such as ``linux-x86_64-glibc2.36``."""
    library, version = platform.libc_ver()
    suffix = f"-{library}{version}" if library else ""
    return f"{platform.system().lower()}-{platform.machine()}{suffix}"


def _package(entry: dict[str, Any], trial: Trial) -> LockedPackage:
    name = entry["name"]
    wheels = entry.get("wheels", ())
    files = [*wheels, *filter(None, [entry.get("sdist")])]
    times = sorted(
        file["upload-time"].astimezone(UTC).isoformat()[:19] + "Z"
        for file in files
        if "upload-time" in file
    )
    want = trial.wants.get(name)
    return LockedPackage(
        name=name,
        version=entry.get("version", ""),
        uploaded=times[0] if times else "",
        kind="wheel" if wheels else "vcs" if "vcs" in entry else "sdist",
        origin=want.origin if want else "dependency",
        why=want.evidence if want else "needed by another package",
    )


def _first_cause(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    cause = next((line for line in lines if line.startswith("cause:")), lines[0] if lines else "")
    return cause.removeprefix("cause:").strip()[:400]
