"""All that a source declares, read statically: nothing of it is ever run."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from leman.environments.detect.codes import finding, several
from leman.environments.detect.merge import choose_python, dropped, merge
from leman.environments.detect.notebooks import read_notebook
from leman.environments.detect.places import config_folder, readings
from leman.environments.detect.reading import (
    Channel,
    CondaOnly,
    CutOff,
    Included,
    Kind,
    LocalProject,
    Place,
    PythonWanted,
    Reading,
    SystemPackage,
    Variable,
    keep,
)
from leman.environments.detect.system import unsupported
from leman.environments.detect.tree import folder_of, look, natural, notebook_files
from leman.environments.model import Declarations, Requirement
from leman.environments.system import missing_packages
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from leman.environments.detect.tree import Tree

_T = TypeVar("_T")


def declared(root: Path, notebooks: tuple[str, ...] = ()) -> Declarations:
    """Return what the source at `root` says that it needs, in whatever files it says it.

    `notebooks` (POSIX paths relative to `root`; empty: all) are read for what they declare
    themselves. The config folder (``binder/``, ``.binder/``) comes before the root, the root
    before other folders; within one place locks come before freezes, environment.yml,
    requirements, projects, and commands of a Dockerfile. The first that names a version rules.
    What is not used, not understood or contradicted is in `findings`; no content raises.
    """
    tree = look(root)
    config, findings = config_folder(tree)
    notebooks = notebooks or notebook_files(root)
    read = sorted(readings(tree, config), key=lambda one: (one.place, one.kind))
    main, scoped, unused = _split(read, notebooks)
    requirements, conflicts = merge(main)
    cells = {
        name: Reading(name, Kind.REQUIREMENTS, Place.ROOT, keep(name, read_notebook(tree, name)))
        for name in notebooks
    }
    per_notebook, more = _per_notebook(cells, scoped)
    wishes = [wish for one in main for wish in one.of(PythonWanted)]
    covered = all(any(_holds(one, name) for one in scoped) for name in notebooks)
    python, doubts = choose_python(
        wishes or _agreed([*(scoped if covered else ()), *cells.values()])
    )
    everything = [*main, *scoped, *unused, *cells.values()]
    used = [*main, *scoped]
    # A config folder's apt.txt replaces the root's, also where it has none (repo2docker).
    asking = [one for one in used if not (config and one.place is Place.ROOT)]
    apt = [item for one in [*asking, *cells.values()] for item in one.of(SystemPackage)]
    findings += [
        *unsupported(tree, config),
        *conflicts,
        *more,
        *doubts,
        *(seen for one in everything for seen in _findings(one, scoped, unused, config)),
        *_apt_finding(apt),
    ]
    return Declarations(
        requirements=requirements,
        per_notebook=per_notebook,
        python=python.specifier,
        python_origin=python.origin,
        cutoff=next((item.day for one in main for item in one.of(CutOff)), None),
        files=_files(used),
        local_projects=_local_projects(everything),
        no_project_install=bool(config),
        apt=_once(item.name for item in apt),
        post_build=_script(tree, config, "postBuild"),
        start=_script(tree, config, "start"),
        environment_variables=_variables(used),
        conda_channels=_once(item.name for one in used for item in one.of(Channel)),
        conda_only=_conda_only(used, requirements),
        ruling=_ruling(main),
        findings=_once(findings),
    )


# What repo2docker would install from, the first family that is there; hints are for versions alone.
_FAMILIES = {
    Kind.CONDA: 0,
    Kind.LOCK: 1,
    Kind.FREEZE: 3,
    Kind.REQUIREMENTS: 3,
    Kind.PROJECT: 4,
}


def _family(reading: Reading) -> tuple[int, int]:
    if reading.file.endswith("Pipfile"):
        return reading.place, 2
    return reading.place, _FAMILIES.get(reading.kind, len(Kind))


def _ruling(main: Sequence[Reading]) -> tuple[str, ...]:
    """Return the packages of the files that rule, of projects they install, and of commands."""
    telling = [one for one in main if [*one.of(Requirement), *one.of(LocalProject)]]
    ranked = sorted(
        (one for one in telling if one.kind not in {Kind.HINTS, Kind.COMMANDS}), key=_family
    )
    first = [one for one in ranked if _family(one) == _family(ranked[0])]
    folders = {item.folder.strip("./") for one in first for item in one.of(LocalProject)}
    projects = [
        one
        for one in telling
        if one.kind is Kind.PROJECT and one not in first and folder_of(one.file) in folders
    ]
    commands = [one for one in telling if one.kind is Kind.COMMANDS]
    every = (*first, *projects, *commands)
    return _once(item.name for one in every for item in one.of(Requirement))


def _split(
    read: Sequence[Reading], notebooks: tuple[str, ...]
) -> tuple[list[Reading], list[Reading], list[Reading]]:
    """Split readings into those for all notebooks, those for a folder's, and those not used.

    A file in a folder speaks for the whole repository where nothing above does and no other
    folder competes; else it speaks for the notebooks beneath it, and without any it is not used.
    """
    main = [one for one in read if one.place is not Place.ELSEWHERE]
    others = [one for one in read if one.place is Place.ELSEWHERE]
    declares = any(one.of(Requirement) for one in main if one.kind is not Kind.COMMANDS)
    near = [one for one in others if any(_holds(one, name) for name in notebooks)]
    folders = {folder_of(one.file) for one in near}
    if not declares and len(folders) <= 1:
        # Without any notebooks beneath: the usual folders (env/, requirements/) before the rest.
        return [*main, *(near or others)], [], [one for one in others if near and one not in near]
    return main, near, [one for one in others if one not in near]


def _holds(reading: Reading, notebook: str) -> bool:
    """Say whether a notebook is beneath the folder of a declaring file."""
    return notebook.startswith(f"{folder_of(reading.file)}/")


def _per_notebook(
    cells: dict[str, Reading], scoped: Sequence[Reading]
) -> tuple[dict[str, tuple[Requirement, ...]], list[Finding]]:
    """Return each notebook's own requirements: its cells first, then the nearest folder's files."""
    found: dict[str, tuple[Requirement, ...]] = {}
    findings: list[Finding] = []
    for name, reading in cells.items():
        above = [one for one in scoped if _holds(one, name)]
        above.sort(key=lambda one: (-folder_of(one.file).count("/"), one.kind))
        requirements, conflicts = merge([reading, *above])
        findings += conflicts
        if requirements:
            found[name] = requirements
    return found, findings


def _agreed(read: Iterable[Reading]) -> list[PythonWanted]:
    """Return the Python of notebooks or folders if all that name one name the same."""
    wishes = [wish for one in read for wish in one.of(PythonWanted)]
    return wishes[:1] if len({wish.specifier for wish in wishes}) == 1 else []


def _findings(
    reading: Reading, scoped: Sequence[Reading], unused: Sequence[Reading], config: str
) -> Iterable[Finding]:
    if reading in unused:
        if reading.of(Requirement):
            yield finding(
                "file-not-used",
                reading.file,
                f"{reading.file} was not used: other files declare what the notebooks need, and"
                " no notebook is beneath it",
            )
        return
    yield from chain(reading.of(Finding), dropped(reading))
    if not reading.of(Requirement):
        return
    if reading.place is Place.ELSEWHERE:
        use = "for the notebooks beneath it" if reading in scoped else "for versions only"
        message = f"{reading.file} is not at the root; it was read {use}"
        yield finding("found-elsewhere", reading.file, message)
    elif config and reading.place is Place.ROOT and not reading.file.endswith(".ipynb"):
        message = f"{config}/ rules; {reading.file} at the root was read for versions only"
        yield finding("found-elsewhere", reading.file, message)


def _apt_finding(apt: Sequence[SystemPackage]) -> Iterable[Finding]:
    if not apt:
        return
    names = _once(item.name for item in apt)
    missing = missing_packages(names)
    asked = f"system packages are asked for: {several(list(names))}; leman installs none itself"
    if missing is None:
        asked += ", so what this machine lacks of them is missing"
    elif missing:
        asked += (
            f". This machine lacks {several(list(missing))}: notebooks that use their programs,"
            " libraries or fonts fail or look different"
        )
    else:
        asked += ", but this machine has them all"
    wanted = " ".join((names if missing is None else missing)[:20])
    fix = f"Where a notebook fails for one: apt-get install {wanted}" if wanted else ""
    yield finding("apt-listed", apt[0].origin, asked, fix)


def _files(read: Sequence[Reading]) -> tuple[str, ...]:
    return _once(
        name for one in read for name in (one.file, *(item.file for item in one.of(Included)))
    )


def _local_projects(read: Sequence[Reading]) -> tuple[str, ...]:
    found = {re.sub(r"^$", ".", item.folder) for one in read for item in one.of(LocalProject)}
    inside = [name for name in found if not name.startswith(("..", "/"))]
    return tuple(sorted(inside, key=lambda name: (name != ".", natural(name))))


def _variables(read: Sequence[Reading]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in read:
        for item in one.of(Variable):
            found.setdefault(item.name, item.value)
    return found


def _conda_only(
    read: Sequence[Reading], requirements: tuple[Requirement, ...]
) -> tuple[Requirement, ...]:
    known = {one.name for one in requirements}
    found: dict[str, Requirement] = {}
    for one in read:
        for item in one.of(CondaOnly):
            if item.requirement.name not in known:
                before = found.setdefault(item.requirement.name, item.requirement)
                if not before.specifier and item.requirement.specifier:
                    found[before.name] = replace(before, specifier=item.requirement.specifier)
    return tuple(found.values())


def _script(tree: Tree, config: str, name: str) -> str:
    path = f"{config}/{name}" if config else name
    return path if (tree.root / path).is_file() and tree.is_inside(path) else ""


def _once(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))
