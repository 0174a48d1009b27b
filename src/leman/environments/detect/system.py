"""runtime.txt, .python-version, apt.txt, and the files of other languages and tools."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from leman.environments.detect.codes import finding
from leman.environments.detect.commands import DEBIAN_NAME
from leman.environments.detect.reading import CutOff, PythonWanted, SystemPackage
from leman.environments.detect.requirements import logical_lines
from leman.environments.detect.specifiers import python_specifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree
    from leman.findings import Finding


# repo2docker's other languages, and common files beside them: what follows when they are there.
_UNSUPPORTED = (
    ("install.R", "r-unsupported", "R packages"),
    ("DESCRIPTION", "r-unsupported", "an R package"),
    ("renv.lock", "r-unsupported", "R packages"),
    ("packrat/packrat.lock", "r-unsupported", "R packages"),
    ("Project.toml", "julia-unsupported", "Julia packages"),
    ("JuliaProject.toml", "julia-unsupported", "Julia packages"),
    ("REQUIRE", "julia-unsupported", "Julia packages"),
    ("default.nix", "nix-unsupported", "a Nix environment"),
    ("shell.nix", "nix-unsupported", "a Nix environment"),
    ("flake.nix", "nix-unsupported", "a Nix environment"),
)


def read_runtime(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the Python and the date of a runtime.txt: ``python-3.8``, ``python-3.8-2020-05-01``."""
    text, found = tree.read(name)
    yield from found
    if text is None:
        return
    content = text.strip().split("\n")[0].strip()
    if re.match(r"(?i)^r-", content):
        yield finding(
            "r-unsupported",
            name,
            f"{name} asks for R ({content}); leman runs Python notebooks only, so notebooks that"
            " need R are skipped or fail",
        )
        return
    match = re.match(
        r"(?i)^python\s*[-=_ ]\s*([0-9]+(?:\.[0-9]+)*)"
        r"(?:\s*-\s*([0-9]{4})-([0-9]{2})-([0-9]{2}))?$",
        content,
    )
    bare = re.match(r"^([23]\.[0-9]+)(?:\.[0-9]+)?$", content)
    if match is None or bare:
        yield finding(
            "runtime-not-understood",
            name,
            f"{name} holds {content[:80]!r}"
            + ("; it was read as a Python version" if bare else ""),
            "Write it as python-3.8, or python-3.8-2020-05-01 to fix the date too.",
        )
    version = match[1] if match else bare[1] if bare else ""
    if version:
        yield PythonWanted(python_specifier(version), name)
    if match and match[2]:
        try:
            yield CutOff(date(int(match[2]), int(match[3]), int(match[4])))
        except ValueError:
            yield finding("runtime-not-understood", name, f"{content!r} holds no date of any year")


def read_python_version(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the Python of a .python-version file (pyenv, uv), its first line that is a version."""
    text, found = tree.read(name)
    yield from found
    for number, line in logical_lines(text or ""):
        if match := re.match(r"^(?:cpython-|python-)?([0-9]+\.[0-9]+)", line):
            yield PythonWanted(python_specifier(match[1]), f"{name}:{number}")
            return


def read_apt(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the packages of an apt.txt: one or several a line, comments after ``#``."""
    text, found = tree.read(name)
    yield from found
    for number, line in logical_lines(text or ""):
        for word in line.split():
            if DEBIAN_NAME.match(word):
                yield SystemPackage(re.split(r"[=/]", word)[0], f"{name}:{number}")
            else:
                yield finding(
                    "apt-invalid-name",
                    f"{name}:{number}",
                    f"{word[:80]!r} is not the name of a Debian package; it was left out",
                )


def unsupported(tree: Tree, folder: str) -> Iterator[Finding]:
    """Yield a finding for each file of another language or tool in the ruling folder."""
    for name, code, what in _UNSUPPORTED:
        path = f"{folder}/{name}" if folder else name
        if tree.has(path) and (tree.root / path).is_file() and _is_meant(tree, path, name):
            yield finding(
                code,
                path,
                f"{path} declares {what}, which leman does not install: notebooks that need them"
                " are skipped or fail",
                "Run such notebooks with repo2docker, or in the language's own tools.",
            )


def _is_meant(tree: Tree, path: str, name: str) -> bool:
    """Tell R's DESCRIPTION and Julia's Project.toml from other files of the same plain names."""
    if name not in ("DESCRIPTION", "Project.toml", "REQUIRE"):
        return True
    text = tree.read(path)[0] or ""
    signs = {
        "DESCRIPTION": r"(?m)^(?:Package|Type|Imports|Depends)\s*:",
        "Project.toml": r"(?m)^\[deps\]|^uuid\s*=",
        "REQUIRE": r"(?m)^julia\b|^[A-Z]\w+\s*(?:[0-9.]+)?\s*$",
    }
    return re.search(signs[name], text) is not None
