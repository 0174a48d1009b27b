"""As of when, and with which Python: what a notebook's metadata, pins and history tell.

Evidence for the date, strongest first: what ``runtime.txt`` or the user says; times that Jupyter,
Colab or papermill stored when the cells ran; the last commit that changed the notebook's code;
the date of an archive; the age of the Python that wrote it. The matplotlib that stored figures
name bounds it: an installation is often older than the work done with it. Evidence for Python: what
the user, ``runtime.txt`` or an exact declaration says; the version that the notebook's metadata
name, which is the one that made the stored outputs; paths in stored outputs; ranges; the date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from leman.environments.detect import before_names, drawn_between, stored_figures, stored_python
from leman.environments.detect.notebooks import cells
from leman.environments.history import cell_dates, last_commit
from leman.environments.model import Declarations, Era, Source
from leman.environments.pythons import MINORS, RELEASED, key

if TYPE_CHECKING:
    from collections.abc import Iterator

# Month of each patch release (python.org): a notebook that 3.7.4 wrote is not of 2018.
_PATCHES = {
    "3.6": "1612 1703 1707 1710 1712 1803 1806 1810 1812 1907 1912 2006 2008 2102 2106 2109",
    "3.7": "1806 1810 1812 1903 1907 1910 1912 2003 2006 2008 2102 2106 2109 2203 2209 2210 2212"
    " 2306",
    "3.8": "1910 1912 2002 2005 2007 2007 2009 2012 2102 2104 2105 2106 2108 2203 2209 2210 2212"
    " 2306 2308 2403 2409",
    "3.9": "2010 2012 2102 2104 2104 2105 2106 2108 2111 2111 2201 2203 2203 2205 2209 2210 2212"
    " 2306 2308 2403 2409 2412 2504 2506 2510",
    "3.10": "2110 2112 2201 2203 2203 2206 2208 2209 2210 2212 2302 2304 2306 2308 2403 2409 2412"
    " 2504 2506 2510",
    "3.11": "2210 2212 2302 2304 2306 2308 2310 2312 2402 2404 2409 2412 2504 2506 2510",
    "3.12": "2310 2312 2402 2404 2406 2408 2409 2410 2412 2502 2504 2506 2510",
    "3.13": "2410 2412 2502 2504 2506 2506 2508 2508 2510",
}
_WHEELS = timedelta(days=150)  # until the compiled stack has wheels for a new Python
_SLOW_WHEELS = timedelta(days=270)  # before 2019 it took longer
# An installation made by hand has the patch release of its month, and its packages are of that
# time; a Python of Linux distributions (and Colab) stays for years while packages move on.
_OLD_INSTALLATION = timedelta(days=400)
_OLD_DISTRIBUTION = timedelta(days=4 * 365)
_DISTRIBUTED = {
    "3.6.8",
    "3.6.9",
    "3.7.3",
    "3.8.10",
    "3.9.2",
    "3.9.6",
    "3.10.12",
    "3.11.2",
    "3.12.3",
}
_TIME = re.compile(r"^(20[1-9]\d)-(\d\d)-(\d\d)[T ]")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for on the command line; empty where nothing."""

    python: str = ""
    cutoff: date | None = None


def era_of(
    source: Source,
    path: str,
    notebook: dict[str, Any],
    declared: Declarations,
    wishes: Wishes | None = None,
) -> Era:
    """Return the date and the Pythons, in the order in which to try them, for one notebook."""
    asked = wishes or Wishes()
    version = language_version(notebook)
    day, why_day = _as_drawn(notebook, version, *_date(source, path, notebook, version))
    if asked.cutoff or declared.cutoff:
        fixed = asked.cutoff or declared.cutoff
        why_day = "--date" if asked.cutoff else "runtime.txt"
        day = fixed or day
    pythons, why = _pythons(notebook, version, declared, day, asked.python)
    if not (asked.cutoff or declared.cutoff):
        day, why_day = within_life(day, why_day, pythons[0], version)
    elif not asked.cutoff and asked.python:
        day, why_day = within_life(day, why_day, pythons[0])
    return Era(day, why_day, pythons, why)


def language_version(notebook: dict[str, Any]) -> str:
    """Return the Python version that wrote a notebook, such as ``3.7.4``; "" if it is not said."""
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    version = str(info.get("version", "")) if isinstance(info, dict) else ""
    return version if re.fullmatch(r"\d+\.\d+(\.\d+)?\w*", version) else ""


def run_times(notebook: dict[str, Any]) -> Iterator[date]:
    """Yield the days on which cells ran, where Jupyter, Colab or papermill stored them."""
    for cell in cells(notebook):
        metadata = cell.get("metadata")
        if not isinstance(metadata, dict):
            continue
        execution = metadata.get("execution")
        times = list(execution.values()) if isinstance(execution, dict) else []
        papermill = metadata.get("papermill")
        times += [papermill.get("start_time")] if isinstance(papermill, dict) else []
        execute = metadata.get("ExecuteTime")
        times += [execute.get("end_time")] if isinstance(execute, dict) else []
        for text in times:
            match = _TIME.match(str(text))
            if match:
                yield date(int(match[1]), max(1, min(12, int(match[2]))), 28)
        colab = metadata.get("executionInfo")
        stamp = colab.get("timestamp") if isinstance(colab, dict) else None
        if isinstance(stamp, int | float) and 1.4e12 < stamp < 2.5e12:
            yield datetime.fromtimestamp(stamp / 1000, UTC).date()


def _date(source: Source, path: str, notebook: dict[str, Any], version: str) -> tuple[date, str]:
    ran = max(run_times(notebook), default=None)
    first, last = cell_dates(source, path)
    if ran and (last is None or ran <= last + timedelta(days=31)):
        return ran, "the last time that its cells ran, as stored in the notebook"
    if last:
        return last, "the last commit that changed its code"
    whole = last_commit(source) or source.published
    if whole:
        return whole, "the date of the source"
    released = _released(version)
    if released:
        return released + timedelta(days=365), f"a year after Python {version} came out"
    return first or datetime.now(UTC).date(), "no evidence of a date: today"


def _as_drawn(notebook: dict[str, Any], version: str, day: date, why: str) -> tuple[date, str]:
    """Move a date to when the matplotlib that drew the stored figures was installed."""
    figures = stored_figures(notebook)
    between = drawn_between(figures.version) if figures.version else None
    if between and day < between[0]:
        return between[0], f"{why}, moved on: its figures are of matplotlib {figures.version}"
    if between and day > between[1]:
        return between[1], f"{why}, moved back: its figures are of matplotlib {figures.version}"
    if figures.old and day > before_names() and key(version or "3.6")[:2] <= (3, 6):
        return before_names(), f"{why}, moved back: its figures are of a matplotlib before 2.1"
    return day, why


def _released(version: str) -> date | None:
    parts = version.split(".")
    minor, patch = ".".join(parts[:2]), int(re.match(r"\d+", parts[2])[0]) if len(parts) > 2 else 0  # type: ignore[index]
    months = _PATCHES.get(minor, "").split()
    if months:
        text = months[min(patch, len(months) - 1)]
        return date(2000 + int(text[:2]), int(text[2:]), 15)
    return date.fromisoformat(RELEASED[minor]) if minor in RELEASED else None


def within_life(day: date, why: str, minor: str, version: str = "") -> tuple[date, str]:
    """Move a date into the time in which a Python had packages and was in use."""
    born = date.fromisoformat(RELEASED.get(minor, "2016-12-23"))
    earliest = born + (_SLOW_WHEELS if born.year < 2019 else _WHEELS)
    if day < earliest:
        return earliest, f"{why}, moved on until packages were built for Python {minor}"
    of_patch = _released(version) if version.startswith(f"{minor}.") else None
    usual = _OLD_DISTRIBUTION if version in _DISTRIBUTED else _OLD_INSTALLATION
    latest = of_patch + usual if of_patch else None
    if latest and day > latest:
        return latest, f"{why}, moved back: Python {version} was old by then"
    return day, why


def _pythons(
    notebook: dict[str, Any], version: str, declared: Declarations, day: date, asked: str
) -> tuple[tuple[str, ...], str]:
    if asked:
        return (asked,), "--python"
    exact = _exact(declared.python)
    wrote = _mapped(".".join(version.split(".")[:2])) if version else ""
    shown = _mapped(stored_python(notebook) or "")
    by_date = _usual_at(day)
    ranked = [
        (exact, declared.python_origin),
        (wrote, f"the notebook was written by Python {version}"),
        (shown, "paths in the stored outputs"),
        (by_date, "usual at its date"),
    ]
    first, why = next((minor, reason) for minor, reason in ranked if minor)
    allowed = [minor for minor in MINORS if _allows(declared.python, minor)] or list(MINORS)
    if first not in allowed and not exact:
        first, why = (
            min(allowed, key=lambda one: abs(key(one)[1] - key(first)[1])),
            f"{declared.python_origin} asks for {declared.python}",
        )
    rest = [minor for minor, _ in ranked if minor and minor in MINORS]
    near = sorted(MINORS, key=lambda one: (abs(key(one)[1] - key(first)[1]), key(one)))
    ordered = dict.fromkeys([first, *rest, *near[:4]])
    return tuple(ordered), why


def _mapped(minor: str) -> str:
    """Return the oldest Python that tools still serve for 3.x before it; "" for no Python 3."""
    if re.fullmatch(r"3\.[0-5]", minor):
        return "3.6"
    return minor if minor in MINORS else ""


def _usual_at(day: date) -> str:
    known = [
        minor for minor in MINORS if date.fromisoformat(RELEASED[minor]) + timedelta(days=300) < day
    ]
    return known[-1] if known else "3.6"


def _exact(specifier: str) -> str:
    match = re.fullmatch(r"\s*={2,3}\s*(3\.\d+)(?:\.(?:\d+|\*))?\s*", specifier)
    return _mapped(match[1]) if match else ""


def _allows(specifier: str, minor: str) -> bool:
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return True
    return any(allowed.contains(f"{minor}.{patch}", prereleases=True) for patch in (0, 9, 30))
