"""Repairs from the source's own history: files that were deleted, code as it was before.

An author runs a notebook, then changes a module or tidies the data away; the notebook that is
left belongs to the older state.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman.environments import past as histories
from leman.environments.infer import modules_of
from leman.environments.model import Modification
from leman.reproduction import work as copies
from leman.reproduction.repair.case import code_of, modules_with, wanted_path
from leman.reproduction.repair.files import best_of, place
from leman.reproduction.taxonomy import missing_module

if TYPE_CHECKING:
    from leman.environments.history import Change
    from leman.reproduction.model import Failure
    from leman.reproduction.repair.case import Case

_MOST_VERSIONS = 5
_CALLED = re.compile(r"(\w+)\(\) (?:missing|got|takes|argument)")
_OWN_CLASS = re.compile(r"'(\w+)' object has no attribute|type object '(\w+)' has no attribute")
_OWN_MODULE = re.compile(r"module '([\w.]+)' has no attribute|from '([\w.]+)'")


def gone(case: Case, failure: Failure) -> bool:
    """Take a file, a folder or a module that the source held in an earlier commit."""
    if case.source is None or case.source.git_dir is None:
        return False
    if module := missing_module(failure):
        return _gone_module(case, module.split(".")[0])
    wanted = wanted_path(case, failure)
    base = PurePosixPath(wanted.replace("\\", "/")).name if wanted else ""
    if not wanted or not base.strip(".") or f"gone {wanted}" in case.done:
        return False
    case.done.add(f"gone {wanted}")
    files = {one.path: (one,) for one in histories.deleted(case.source, base)}
    found = files or histories.deleted_folder(case.source, base)
    best = best_of(case, list(found), wanted)
    if not best or not _put_back(case, best, found[best]):
        return False
    told = case.modifications[-1]
    if not place(case, wanted, best):  # it was exactly there
        case.note(f"take {best} from the history", told.detail)
    return True


def _gone_module(case: Case, top: str) -> bool:
    if case.source is None or f"gone module {top}" in case.done or top in modules_of(case.work):
        return False
    case.done.add(f"gone module {top}")
    single = histories.deleted(case.source, f"{top}.py")
    files: dict[str, tuple[Change, ...]] = {one.path: (one,) for one in single}
    folders = histories.deleted_folder(case.source, top)
    found = files or {
        path: held
        for path, held in folders.items()
        if any(one.path == f"{path}/__init__.py" for one in held)
    }
    best = best_of(case, list(found), f"{top}.py")
    if not best or not _put_back(case, best, found[best]):
        return False
    folder = PurePosixPath(best).parent.as_posix()
    if folder not in case.python_paths:
        case.python_paths = (*case.python_paths, folder)
    return case.note(f"take {best} from the history", f"it holds the module {top}")


def _put_back(case: Case, path: str, changes: tuple[Change, ...]) -> bool:
    """Write old files into the work copy, and say so."""
    if case.source is None:
        return False
    held = histories.contents(case.source, changes)
    if not held:
        return False
    when = f"as of commit {changes[0].commit[:10]}, {changes[0].day}; later deleted"

    def step(work: Path) -> Modification | None:
        return Modification("past", path, when) if copies.put(work, held) else None

    change = case.apply(step)
    if change:
        case.modifications.append(change)
    return bool(change)


def older_code(case: Case, failure: Failure) -> bool:
    """Take a module of the source as it was before it no longer fitted the notebook."""
    path = _own_file(case, failure)
    if not path or case.source is None:
        return False
    states = histories.versions(case.source, path)
    tried = [one for one in case.done if one.startswith(f"older {path} ")]
    for one in states[1 : _MOST_VERSIONS + 1]:
        key = f"older {path} {one.after}"
        if key in case.done:
            continue
        case.done.add(key)
        content = histories.contents(case.source, (one,)).get(path)
        if content is None:
            continue
        change = _as_it_was(case, path, content, f"as of commit {one.commit[:10]}, {one.day}")
        if change:
            return case.note(f"{path} as of {one.day}", failure.text[:100], change)
    if tried and f"older {path} now" not in case.done:  # nothing helped: as it was at first
        case.done.add(f"older {path} now")
        now = histories.contents(case.source, states[:1]).get(path)
        if now is not None and _as_it_was(case, path, now, ""):
            case.modifications = [one for one in case.modifications if one.target != path]
    return False


def _as_it_was(case: Case, path: str, content: bytes, when: str) -> Modification | None:
    case.modifications = [
        one for one in case.modifications if (one.kind, one.target) != ("past", path)
    ]

    def step(work: Path) -> Modification | None:
        copies.put(work, {path: content}, over=True)
        return Modification("past", path, when)

    return case.apply(step)


def _own_file(case: Case, failure: Failure) -> str:
    """Return the source's own file whose code the error is about, "" for none."""
    if module := _OWN_MODULE.search(failure.text):
        name = (module[1] or module[2]).split(".")[-1]
        paths = (PurePosixPath(at, f"{name}.py") for at in modules_of(case.work).get(name, ()))
        return next((path.as_posix() for path in paths if (case.work / path).is_file()), "")
    if called := _CALLED.search(failure.text):
        return _defining(case, f"def {called[1]}(")
    if lacking := _OWN_CLASS.search(failure.text):
        return _defining(case, f"class {lacking[1] or lacking[2]}")
    return ""


def _defining(case: Case, text: str) -> str:
    """Return the only module that holds a definition, "" where the notebook has it itself."""
    found = [] if text in code_of(case) else modules_with(case, text)
    return found[0] if len(found) == 1 else ""
