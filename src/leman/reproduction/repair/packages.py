"""Repairs that change the environment: a package more, another version, another date."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from leman.environments.clock import within_life
from leman.environments.infer import modules_of
from leman.environments.model import Modification, Want
from leman.environments.names import distribution_for, is_known, normalise, standard_library
from leman.reproduction.model import Failure, Reason
from leman.reproduction.repair.case import code_of, failing_lines, modules_with
from leman.reproduction.taxonomy import missing_module

if TYPE_CHECKING:
    from leman.reproduction.repair.case import Case

_ABI = re.compile(
    r"numpy\.(?:dtype|ufunc|ndarray) size changed|compiled using NumPy 1\.x|_ARRAY_API not found"
    r"|numpy\.core\.multiarray failed to import|module compiled against API version"
)
_GONE_FROM = re.compile(
    r"module '([\w.]+)' has no attribute|cannot import name '?\w+'? from (?:partially initialized "
    r"module )?'([\w.]+)'|No module named '([\w]+)\.[\w.]+'"
)
_FRAME = re.compile(r"(?:site-packages|dist-packages)/([A-Za-z_]\w*)")
_FROM = re.compile(r"from ([\w.]+) import")
_OF_SETUPTOOLS = frozenset({"distutils", "pkg_resources"})
_STEPS = (timedelta(days=365), timedelta(days=3 * 365), timedelta(days=-365))


def add(case: Case, name: str, why: str, specifier: str = "") -> bool:
    """Ask for a distribution more, or another version of it; False where that was tried."""
    key = f"add {name}{specifier}"
    if key in case.done:
        return False
    case.done.add(key)
    others = tuple(want for want in case.wants if want.name != name)
    case.wants = (*others, Want(name, specifier, origin="repair", evidence=why))
    case.changed_environment = True
    return case.note(key, why, Modification("add", name, f"{name}{specifier}: {why}"))


def module(case: Case, failure: Failure) -> bool:
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
    if top in _OF_SETUPTOOLS and not case.has("setuptools"):
        return add(case, "setuptools", f"it holds {top}, which is no longer part of Python", "<81")
    candidate = distribution_for(module, on=case.era.cutoff) or distribution_for(
        top, on=case.era.cutoff
    )
    name = normalise(candidate.name) if candidate else normalise(module)
    known = candidate is not None or (is_known(name) and failure.name == "ImportError")
    if top in standard_library("3.11") or not known or case.has(name):
        return False
    return add(case, name, f"{failure.name}: {failure.text[:100]}")


def abi(case: Case, failure: Failure) -> bool:
    """Compiled packages that were built against another numpy."""
    if not _ABI.search(f"{failure.text}\n{failure.traceback}"):
        return False
    return add(case, "numpy", "another package was built against numpy 1", "<2")


def package_back(case: Case, failure: Failure) -> bool:
    """Take an earlier release of a package that no longer has a name."""
    if failure.reason not in {Reason.API_CHANGE, Reason.MISSING_MODULE, Reason.OTHER}:
        return False
    match = _GONE_FROM.search(failure.text)
    named = next((group for group in match.groups() if group), "") if match else ""
    frames = _FRAME.findall(failure.traceback)
    # Of two packages that do not fit together, the one that lost a name is too new.
    lost = [name.split(".")[0] for name in _FROM.findall(failing_lines(failure))[-1:]]
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
        return add(case, package, f"{failure.name}: {failure.text[:100]}", bound)
    return False


def of_the_author(case: Case, failure: Failure) -> bool:
    """Tell whether an error is about a function that the source itself defines."""
    match = re.search(r"(\w+)\(\) (?:missing|got|takes|argument)", failure.text)
    if not match:
        return False
    define = f"def {match[1]}("
    return define in code_of(case) or bool(modules_with(case, define))


def time(case: Case, failure: Failure) -> bool:
    """Everything as of another date: one year back, three years back, one year on."""
    if of_the_author(case, failure):
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
        return time(case, failure)
    case.era = replace(case.era, cutoff=day, cutoff_reason="another date, after a failure")
    case.changed_environment = True
    change = Modification("date", case.path, f"packages as of {day}")
    return case.note(f"packages as of {day}", f"{failure.name}: {failure.text[:100]}", change)
