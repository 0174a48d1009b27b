"""What to change after a notebook failed, so that it may run: one small step at a time.

The order is policy: what changes nothing of the author's comes first (a package that was not
declared, the folder of a module of the source), then files in the work copy, then the order of
cells, and last the date and the Python, because these change every result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman.environments.clock import within_life
from leman.environments.infer import modules_of
from leman.environments.model import Attempt, Era, Modification, Want
from leman.environments.names import distribution_for, is_known, normalise, standard_library
from leman.reproduction import work as copies
from leman.reproduction.eligibility import producers
from leman.reproduction.model import Failure, Reason
from leman.reproduction.taxonomy import missing_module, missing_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.environments.model import LockedPackage

_ABI = re.compile(
    r"numpy\.(?:dtype|ufunc|ndarray) size changed|compiled using NumPy 1\.x|_ARRAY_API not found"
    r"|numpy\.core\.multiarray failed to import|module compiled against API version"
)
_GONE_FROM = re.compile(
    r"module '([\w.]+)' has no attribute|cannot import name '?\w+'? from (?:partially initialized "
    r"module )?'([\w.]+)'|No module named '([\w]+)\.[\w.]+'"
)
_FRAME = re.compile(r"(?:site-packages|dist-packages)/([A-Za-z_]\w*)")
_WRITES = re.compile(r"savefig|to_\w+\(|save|write|dump|open\([^)]*['\"][wax]|mkdir|imwrite|export")
_FROM = re.compile(r"from ([\w.]+) import")
_TEX = re.compile(r"latex could not be found|Failed to process string with tex|dvipng")
_USETEX = re.compile(r"(usetex['\"]?\]?\s*[=:,]\s*)True")
_ARROW = re.compile(r"^-+>")
_RAW = re.compile(
    r"https?://(?:raw\.githubusercontent\.com|github\.com)/([\w.-]+)/([\w.-]+)/"
    r"(?:raw/|blob/)?(?:refs/heads/)?([\w./%-]+)"
)
_STEPS = (timedelta(days=365), timedelta(days=3 * 365), timedelta(days=-365))


PACKAGES = frozenset({"add", "date"})  # changes of the environment; the rest stays in the copy


@dataclass(slots=True)
class Case:
    """One notebook under repair: what it is run with now, and all that was tried."""

    path: str
    work: Path
    era: Era
    wants: tuple[Want, ...]
    constraints: tuple[Want, ...]
    packages: tuple[LockedPackage, ...] = ()
    python: str = ""
    site: Path | None = None  # the environment's site-packages
    origin: str = ""  # the source's address, to know its own files when a notebook asks for them
    python_paths: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None
    first_run: tuple[str, ...] = ()  # notebooks to run before, for the files that they write
    attempts: list[Attempt] = field(default_factory=list)
    modifications: list[Modification] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    changed_environment: bool = False
    replay: list[Callable[[Path], object]] = field(default_factory=list)

    def apply(self, step: Callable[[Path], Modification | None]) -> Modification | None:
        """Change the work copy, and remember how, for the copy of the second run."""
        change = step(self.work)
        if change:
            self.replay.append(step)
        return change

    def has(self, name: str) -> bool:
        """Tell whether a distribution is in the environment."""
        return any(package.name == name for package in self.packages)

    def note(self, action: str, why: str, change: Modification | None = None) -> bool:
        """Record a repair; always True, so that rungs can return it."""
        self.attempts.append(Attempt("run", action, why))
        if change:
            if change.kind in PACKAGES:  # another version of the same package, another date
                same = [one for one in self.modifications if _about(one) == _about(change)]
                self.modifications = [one for one in self.modifications if one not in same]
            self.modifications.append(change)
        return True


def _about(change: Modification) -> tuple[str, str]:
    return change.kind, change.target


def repair(case: Case, failure: Failure) -> bool:
    """Change `case` by the first repair that fits the failure and was not tried; False if none."""
    return any(rung(case, failure) for rung in RUNGS)


def _add(case: Case, name: str, why: str, specifier: str = "") -> bool:
    key = f"add {name}{specifier}"
    if key in case.done:
        return False
    case.done.add(key)
    others = tuple(want for want in case.wants if want.name != name)
    case.wants = (*others, Want(name, specifier, origin="repair", evidence=why))
    case.changed_environment = True
    return case.note(key, why, Modification("add", name, f"{name}{specifier}: {why}"))


def _module(case: Case, failure: Failure) -> bool:
    """Find a module that is not there: the source's own, or a distribution known for it."""
    module = missing_module(failure)
    if not module:
        return False
    top = module.split(".")[0]
    folders = modules_of(case.work).get(top, ())
    for folder in folders:
        if folder not in case.python_paths:
            case.python_paths = (*case.python_paths, folder)
            change = Modification("path", folder, f"on PYTHONPATH, for `import {top}`")
            return case.note(f"PYTHONPATH {folder}", f"it holds the module {top}", change)
    candidate = distribution_for(module, on=case.era.cutoff) or distribution_for(
        top, on=case.era.cutoff
    )
    name = normalise(candidate.name) if candidate else normalise(module)
    known = candidate is not None or (is_known(name) and failure.name == "ImportError")
    if top in standard_library("3.11") or not known or case.has(name):
        return False
    return _add(case, name, f"{failure.name}: {failure.text[:100]}")


def _submodule(case: Case, failure: Failure) -> bool:
    """Import a part of a package that something else imported in the author's session."""
    match = re.search(r"module '(\w+)' has no attribute '(\w+)'", failure.text)
    if not match or case.site is None:
        return False
    package, name = match[1], match[2]
    place = case.site / package
    there = (place / f"{name}.py").is_file() or (place / name / "__init__.py").is_file()
    line = f"import {package}.{name}"
    if not there or line in case.done:
        return False
    case.done.add(line)
    change = case.apply(lambda work: copies.begin_with(work, case.path, line))
    return bool(change) and case.note(line, failure.text[:100], change)


def _abi(case: Case, failure: Failure) -> bool:
    """Compiled packages that were built against another numpy."""
    if not _ABI.search(f"{failure.text}\n{failure.traceback}"):
        return False
    return _add(case, "numpy", "another package was built against numpy 1", "<2")


def _failing_lines(failure: Failure) -> str:
    """Return the lines that the traceback's arrows point to: the calls on the way to the error."""
    return "\n".join(line for line in failure.traceback.splitlines() if _ARROW.match(line))


def _is_absolute(path: str) -> bool:
    return bool(re.match(r"^(?:[A-Za-z]:|[\\/]|~)", path))


def _clone(case: Case, failure: Failure) -> bool:
    """Offer the source's own folder to a notebook that clones it because it ran elsewhere."""
    wanted = missing_path(failure) or ""
    top = wanted.replace("\\", "/").removeprefix("/content/").strip("/").split("/")[0]
    if not top or "clone" in case.done or (case.work / top).exists():
        return False
    code = (case.work / case.path).read_text(encoding="utf-8", errors="replace")
    if not re.search(rf"git clone[^\n]*/{re.escape(top)}(?:\.git)?\b", code):
        return False
    if top.lower() not in case.origin.lower():
        return False
    case.done.add("clone")
    change = case.apply(lambda work: copies.own_copy(work, case.path, top))
    return bool(change) and case.note(f"offer the source as {top}", f"{wanted} not found", change)


def _own_address(case: Case, failure: Failure) -> bool:
    """Read a file of the source itself that the notebook asks the network for."""
    if failure.reason is not Reason.NETWORK:
        return False
    code = (case.work / case.path).read_text(encoding="utf-8", errors="replace")
    for match in _RAW.finditer(code):
        owner, name, inside = match[1], match[2], match[3]
        if match[0] in case.done or name.lower() not in case.origin.lower():
            continue
        case.done.add(match[0])
        found = _tail_of(case.work, inside)
        up = "../" * (len(PurePosixPath(case.path).parts) - 1)
        if not found:
            continue
        change = _rewritten(case, match[0], up + found)
        if change:
            return case.note(f"read {found} of the source", f"{owner}/{name} out of reach", change)
    return False


def _rewritten(case: Case, old: str, new: str) -> Modification | None:
    return case.apply(lambda work: copies.rewrite(work, case.path, old, new))


def _tail_of(work: Path, inside: str) -> str:
    """Return the file that an address names after its branch, whose name may hold slashes."""
    parts = inside.split("/")
    for cut in range(1, len(parts)):
        path = "/".join(parts[cut:])
        if (work / path).is_file():
            return path
    return ""


def _latex(case: Case, failure: Failure) -> bool:
    """Let matplotlib draw the text of a figure itself where there is no LaTeX."""
    if "latex" in case.done or not _TEX.search(f"{failure.text}\n{failure.traceback}"):
        return False
    case.done.add("latex")
    change = case.apply(lambda work: copies.substitute(work, case.path, _USETEX, r"\1False"))
    return bool(change) and case.note("text.usetex off", failure.text[:100], change)


def _file(case: Case, failure: Failure) -> bool:
    """Find a file that lies elsewhere in the source, or that another notebook writes."""
    wanted = missing_path(failure)
    if not wanted or f"file {wanted}" in case.done:
        return False
    case.done.add(f"file {wanted}")
    base = PurePosixPath(wanted.replace("\\", "/")).name
    if not base or base in {".", ".."}:
        return False
    found = copies.files_called(case.work, base)
    best = _best(found, wanted)
    why = f"{wanted} was not found"
    absolute = _is_absolute(wanted)
    if best and not absolute:
        change = case.apply(lambda work: copies.place_file(work, case.path, wanted, best))
        if change:
            return case.note(f"copy {best}", why, change)
    if best or (absolute and "chdir" in _failing_lines(failure)):
        change = _redirect(case, wanted, best)
        if change:
            return case.note(f"read {best or 'the work copy'} instead of {wanted}", why, change)
    return _producer(case, base, why)


def _producer(case: Case, base: str, why: str) -> bool:
    for notebook in producers(case.work, base):
        if notebook != case.path and notebook not in case.first_run:
            case.first_run = (*case.first_run, notebook)
            change = Modification("first", notebook, f"run before, because it writes {base}")
            return case.note(f"run {notebook} first", why, change)
    return False


def _best(found: list[str], wanted: str) -> str:
    """Return the only candidate, or the one that shares the longest end with what is wanted."""
    if len(found) <= 1:
        return found[0] if found else ""
    parts = [part.lower() for part in re.split(r"[\\/]", wanted)]

    def shared(path: str) -> int:
        count = 0
        for left, right in zip(reversed(path.lower().split("/")), reversed(parts), strict=False):
            if left != right:
                break
            count += 1
        return count

    ranked = sorted(found, key=shared, reverse=True)
    return ranked[0] if shared(ranked[0]) > shared(ranked[1]) else ""


def _redirect(case: Case, wanted: str, best: str) -> Modification | None:
    """Rewrite the literal that leads to a path of the author's computer."""
    up = "../" * (len(PurePosixPath(case.path).parts) - 1)
    spelled = wanted.replace("\\\\", "\\")
    if best:
        whole = case.apply(lambda work: copies.rewrite(work, case.path, spelled, up + best))
        if whole:
            return whole
    parts = re.split(r"([\\/])", spelled)
    rest = best.split("/")
    for cut in range(len(parts) - 2, 0, -2):  # prefixes of the path, the longest first
        prefix = "".join(parts[:cut])
        tail = [part for part in parts[cut:] if part not in {"\\", "/", ""}]
        if len(prefix) < 4 or (
            best and [p.lower() for p in rest[-len(tail) :]] != [p.lower() for p in tail]
        ):
            continue
        folder = "/".join(rest[: -len(tail)]) if best else ""
        new = (up + folder).rstrip("/") or "."
        change = _rewritten(case, prefix, new)
        if change:
            return change
    if not best:
        here = up.rstrip("/") or "."
        return case.apply(lambda work: copies.rewrite(work, case.path, spelled, here))
    return None


def _folder(case: Case, failure: Failure) -> bool:
    """Make an output folder that git did not keep because it was empty."""
    wanted = missing_path(failure)
    if not wanted or _is_absolute(wanted) or f"dir {wanted}" in case.done:
        return False
    if not _WRITES.search(_failing_lines(failure)):
        return False
    case.done.add(f"dir {wanted}")
    change = case.apply(lambda work: copies.make_folder(work, case.path, wanted))
    return bool(change) and case.note("make a folder", f"{wanted} could not be written", change)


def _order(case: Case, failure: Failure) -> bool:
    """Run cells in the author's order where a name is defined further down."""
    if failure.name != "NameError" or "order" in case.done:
        return False
    case.done.add("order")
    order = copies.in_stored_order(case.work, case.path)
    if order is None:
        return False
    case.order = order
    case.replay.append(lambda work: copies.in_stored_order(work, case.path))
    change = Modification("order", case.path, "cells run in the order of their stored counts")
    return case.note("run cells in the stored order", failure.text[:100], change)


def _package_back(case: Case, failure: Failure) -> bool:
    """Take an earlier release of a package that no longer has a name."""
    if failure.reason not in {Reason.API_CHANGE, Reason.MISSING_MODULE, Reason.OTHER}:
        return False
    match = _GONE_FROM.search(failure.text)
    named = next((group for group in match.groups() if group), "") if match else ""
    frames = _FRAME.findall(failure.traceback)
    # Of two packages that do not fit together, the one that lost a name is too new.
    lost = [name.split(".")[0] for name in _FROM.findall(_failing_lines(failure))[-1:]]
    for module in dict.fromkeys([named.split(".")[0], *lost, *reversed(frames)]):
        candidate = distribution_for(module) if module else None
        package = normalise(candidate.name) if candidate else ""
        locked = next((one for one in case.packages if one.name == package), None)
        if locked is None or package in {"ipython", "ipykernel"}:
            continue
        release = re.match(r"(\d+)\.(\d+)", locked.version)
        key = f"back {package}"
        if release is None or f"{key} 2" in case.done:
            continue
        bound = f"<{release[1]}.{release[2]}" if key not in case.done else f"<{release[1]}.0"
        case.done.add(f"{key} 2" if key in case.done else key)
        if bound.endswith(("<0.0", "<1.0")) or bound == "<0.0":
            continue
        return _add(case, package, f"{failure.name}: {failure.text[:100]}", bound)
    return False


def _of_the_author(case: Case, failure: Failure) -> bool:
    """Tell whether an error is about a function that the source itself defines."""
    match = re.search(r"(\w+)\(\) (?:missing|got|takes|argument)", failure.text)
    if not match:
        return False
    define = f"def {match[1]}("
    notebook = (case.work / case.path).read_text(encoding="utf-8", errors="replace")
    return define in notebook or any(
        define in path.read_text(encoding="utf-8", errors="replace")
        for path in case.work.rglob("*.py")
        if path.is_file() and path.stat().st_size < 1_000_000
    )


def _time(case: Case, failure: Failure) -> bool:
    """Everything as of another date: one year back, three years back, one year on."""
    if _of_the_author(case, failure):
        return False
    if failure.reason not in {Reason.API_CHANGE, Reason.MISSING_MODULE, Reason.OTHER}:
        return False
    if failure.reason is Reason.MISSING_MODULE and "." not in (missing_module(failure) or ""):
        return False
    step = sum(one.startswith("time ") for one in case.done)
    if step >= len(_STEPS):
        return False
    key = f"time {step}"
    case.done.add(key)
    start = next((one for one in case.done if one.startswith("start ")), "")
    if not start:
        case.done.add(f"start {case.era.cutoff.isoformat()}")
        origin = case.era.cutoff
    else:
        origin = type(case.era.cutoff).fromisoformat(start.removeprefix("start "))
    day, _ = within_life(origin - _STEPS[step], "", case.python or case.era.pythons[0])
    if day in {case.era.cutoff, origin} or day > datetime.now(UTC).date():
        return _time(case, failure)
    case.era = replace(case.era, cutoff=day, cutoff_reason="another date, after a failure")
    case.changed_environment = True
    change = Modification("date", case.path, f"packages as of {day}")
    return case.note(f"packages as of {day}", f"{failure.name}: {failure.text[:100]}", change)


RUNGS: tuple[Callable[[Case, Failure], bool], ...] = (
    _abi,
    _submodule,
    _module,
    _clone,
    _own_address,
    _latex,
    _folder,
    _file,
    _order,
    _package_back,
    _time,
)
