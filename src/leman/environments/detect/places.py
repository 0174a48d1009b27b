"""Which files declare something, which of them rules, and who reads each."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from leman.environments.detect.codes import finding
from leman.environments.detect.conda import (
    is_environment,
    read_conda_lock,
    read_environment,
    read_pixi,
)
from leman.environments.detect.docker import read_dockerfile, read_post_build
from leman.environments.detect.locks import read_lock
from leman.environments.detect.pipfile import read_pipfile, read_pipfile_lock, read_toml
from leman.environments.detect.pyproject import read_pyproject
from leman.environments.detect.reading import Kind, Place, Reading, keep
from leman.environments.detect.requirements import kind_of, read_requirements
from leman.environments.detect.setup_files import read_setup_cfg, read_setup_py
from leman.environments.detect.system import read_apt, read_python_version, read_runtime
from leman.environments.detect.tree import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree
    from leman.findings import Finding

CONFIG_FOLDERS = ("binder", ".binder")  # repo2docker's, in its order


def _read_pixi_file(tree: Tree, name: str) -> Iterator[Item]:
    _, value, found = read_toml(tree, name)
    yield from found
    yield from read_pixi(name, value)


# The usual names, the most exact kind first; within a kind, the newer standard first.
_READERS: dict[str, tuple[Kind, Callable[[Tree, str], Iterator[Item]]]] = {
    "pylock.toml": (Kind.LOCK, read_lock),
    "uv.lock": (Kind.LOCK, read_lock),
    "poetry.lock": (Kind.LOCK, read_lock),
    "pdm.lock": (Kind.LOCK, read_lock),
    "Pipfile.lock": (Kind.LOCK, read_pipfile_lock),
    "conda-lock.yml": (Kind.LOCK, read_conda_lock),
    "conda-lock.yaml": (Kind.LOCK, read_conda_lock),
    "environment.yml": (Kind.CONDA, read_environment),
    "environment.yaml": (Kind.CONDA, read_environment),
    "pixi.toml": (Kind.CONDA, _read_pixi_file),
    "requirements.txt": (Kind.REQUIREMENTS, read_requirements),
    "Pipfile": (Kind.REQUIREMENTS, read_pipfile),
    "requirements3.txt": (Kind.HINTS, read_requirements),
    "pyproject.toml": (Kind.PROJECT, read_pyproject),
    "setup.cfg": (Kind.PROJECT, read_setup_cfg),
    "setup.py": (Kind.PROJECT, read_setup_py),
    "runtime.txt": (Kind.LOCK, read_runtime),
    ".python-version": (Kind.PROJECT, read_python_version),
    "apt.txt": (Kind.REQUIREMENTS, read_apt),
    "postBuild": (Kind.COMMANDS, read_post_build),
    "Dockerfile": (Kind.COMMANDS, read_dockerfile),
}
# Only these speak for a folder inside the repository; the others mean the whole of it.
_IN_FOLDERS = frozenset(_READERS) - {"runtime.txt", "apt.txt", "postBuild", ".python-version"}
_VARIANT = re.compile(r"(?i)require?ments?[\w.-]*\.(?:txt|in|pip)$|^reqs?\.txt$")
_LIST = re.compile(
    r"(?i)(?:freeze|pip|conda|package|spec|explicit|env|version|depend|librar|module)"
    r"[\w.-]*\.txt$|\.pip$"
)
_YAML = re.compile(r"(?i)(?:env|conda|depend|require)[\w.-]*\.ya?ml$")
_OTHER_USE = re.compile(r"(?i)dev|test|doc|lint|ci\b|gpu|cuda|mac|osx|win|optional|extra|min|old")
_FOR_R = re.compile(r"(?i)^r[-_.]|[-_.]r\.")


def config_folder(tree: Tree) -> tuple[str, list[Finding]]:
    """Return the folder that rules by repo2docker's convention, "" where the root does."""
    present = [name for name in CONFIG_FOLDERS if tree.is_folder(name)]
    if len(present) < 2:
        return "".join(present), []
    return "binder", [
        finding(
            "two-config-dirs",
            "binder",
            "both binder/ and .binder/ exist; binder/ is used (repo2docker refuses to build this)",
            "Keep one of the two.",
        )
    ]


def readings(tree: Tree, config: str) -> Iterator[Reading]:
    """Yield every declaring file's reading: config folder, root, then the rest of the tree."""
    if config:
        yield from _usual(tree, config, Place.CONFIG)
        yield from _variants(tree, _names_in(tree, config), Place.CONFIG)
    yield from _usual(tree, "", Place.ROOT)
    yield from _variants(tree, _names_in(tree, ""), Place.ROOT)
    yield from _elsewhere(tree, config)


def _usual(tree: Tree, folder: str, place: Place) -> Iterator[Reading]:
    for name in _READERS:
        path = f"{folder}/{name}" if folder else name
        if tree.has(path):
            yield _one(tree, path, place)


def _one(tree: Tree, path: str, place: Place) -> Reading:
    kind, reader = _READERS[path.rsplit("/", 1)[-1]]
    if reader is read_requirements:
        kind = min(kind, kind_of(tree.read(path)[0] or ""))
    return Reading(path, kind, place, keep(path, reader(tree, path)))


def _names_in(tree: Tree, folder: str) -> list[str]:
    if folder.startswith("."):  # the walk leaves hidden folders out
        path = tree.root / folder
        return sorted(f"{folder}/{one.name}" for one in path.iterdir() if one.is_file())
    return [name for name in tree.names if folder_of(name) == folder]


def _variants(tree: Tree, names: list[str], place: Place) -> Iterator[Reading]:
    """Yield files with telling but unusual names; those for other uses (dev, gpu) come last."""
    ordered = sorted(names, key=lambda name: bool(_OTHER_USE.search(name.rsplit("/", 1)[-1])))
    for path in ordered:
        name = path.rsplit("/", 1)[-1]
        if name in _READERS:
            continue
        if _VARIANT.search(name) or _LIST.search(name):
            yield from _text_variant(tree, path, name, place)
        elif _YAML.search(name) and is_environment(tree.read(path)[0] or ""):
            other = _OTHER_USE.search(name) is not None
            yield _variant(tree, path, Kind.HINTS if other else Kind.CONDA, place, read_environment)


def _text_variant(tree: Tree, path: str, name: str, place: Place) -> Iterator[Reading]:
    if _FOR_R.search(name):
        seen = finding(
            "r-unsupported",
            path,
            f"{path} declares R packages, which leman does not install: notebooks that need them"
            " are skipped or fail",
        )
        yield Reading(path, Kind.HINTS, place, (seen,))
        return
    kind = kind_of(tree.read(path)[0] or "")
    if kind is Kind.FREEZE or _VARIANT.search(name):
        rank = Kind.FREEZE if kind is Kind.FREEZE and not _OTHER_USE.search(name) else Kind.HINTS
        yield _variant(tree, path, rank, place, read_requirements)


def _variant(
    tree: Tree,
    path: str,
    kind: Kind,
    place: Place,
    reader: Callable[[Tree, str], Iterator[Item]],
) -> Reading:
    seen = finding(
        "found-elsewhere", path, f"{path} has an unusual name; it was read for versions only"
    )
    return Reading(path, kind, place, (seen, *keep(path, reader(tree, path))))


def _elsewhere(tree: Tree, config: str) -> Iterator[Reading]:
    """Yield declaring files in folders: two levels down, and beside notebooks at any depth."""
    beside = {folder_of(name) for name in tree.names if name.endswith(".ipynb")}
    read = partial(_one, tree)
    for name in tree.names:
        folder = folder_of(name)
        if not folder or folder == config or folder.split("/")[0] in CONFIG_FOLDERS:
            continue
        if folder.count("/") > 1 and folder not in beside:
            continue
        if name.rsplit("/", 1)[-1] in _IN_FOLDERS:
            yield read(name, Place.ELSEWHERE)
        else:
            yield from _variants(tree, [name], Place.ELSEWHERE)
