"""Dockerfile and postBuild: commands that are not run here, read for what they install."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leman.environments.detect.codes import finding
from leman.environments.detect.commands import installs
from leman.environments.detect.reading import Dropped, PythonWanted
from leman.environments.detect.specifiers import python_specifier, requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

_FROM = re.compile(r"(?i)^FROM\s+(?:--\S+\s+)*(?:docker\.io/|quay\.io/)?([^\s:@]+)(?::([^\s@]+))?")
# Base images that are one distribution: image → name on the package index.
_IMAGES = {
    "tensorflow/tensorflow": "tensorflow",
    "pytorch/pytorch": "torch",
    "apache/airflow": "apache-airflow",
    "mxnet/python": "mxnet",
}


def read_dockerfile(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a Dockerfile's base image and install commands ask for."""
    text, found = tree.read(name)
    yield from found
    if text is None:
        return
    yield finding(
        "docker-not-run",
        name,
        f"{name} is not built: leman makes the environment itself, and reads the base image and"
        " install commands as weak declarations; anything else it does is missing",
        "Build and run the image with Docker where the notebooks need what it does.",
    )
    for number, line in _instructions(text):
        origin = f"{name}:{number}"
        if match := _FROM.match(line):
            yield from _base(match[1], match[2] or "", origin)
        elif match := re.match(r"(?i)^RUN\s+(.*)$", line):
            command = re.sub(r"(?:-r|--requirement)[\s=]+\S+", "", _shell_form(match[1]))
            yield from (
                item for item in installs(tree, name, command, origin) if not _is_local(item)
            )
        elif match := re.match(r"(?i)^(?:ARG|ENV)\s+PYTHON_VERSION[\s=]+([0-9][0-9.]*)", line):
            yield PythonWanted(python_specifier(match[1]), origin)


def read_post_build(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what the install commands of a postBuild script ask for."""
    text, found = tree.read(name)
    yield from found
    joined = re.sub(r"\\\r?\n", " ", text or "")
    for number, line in enumerate(joined.splitlines(), 1):
        if "install" in line and not line.lstrip().startswith("#"):
            yield from installs(tree, name, line, f"{name}:{number}")


def _is_local(item: Item) -> bool:
    """Say whether an item speaks of files inside the image, which are not here."""
    return getattr(item, "code", "") in (
        "local-file-missing",
        "include-missing",
        "include-outside",
        "invalid-line",
    )


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        if pending + line:
            yield start, pending + line
        pending, start = "", 0
    if pending:
        yield start, pending


def _shell_form(command: str) -> str:
    """Return ``RUN ["pip", "install", "x"]`` as the shell would write it."""
    if command.lstrip().startswith("["):
        return " ".join(re.findall(r'"([^"]*)"', command))
    return command


def _base(image: str, tag: str, origin: str) -> Iterator[Item]:
    short = image.rsplit("/", 1)[-1]
    version = re.search(r"(?:python-?|py|^)([23]\.[0-9]{1,2})(?:\.[0-9]+)?", tag)
    if short in ("python", "pypy") or re.search(r"py(?:thon-?)?[23]\.", tag):
        if version and (wanted := python_specifier(version[1])):
            yield PythonWanted(wanted, origin)
    elif image in _IMAGES and (number := re.match(r"^v?([0-9]+\.[0-9]+(?:\.[0-9]+)?)", tag)):
        pin = f"=={number[1]}" if number[1].count(".") == 2 else f"=={number[1]}.*"
        yield from requirement(_IMAGES[image], pin, origin=origin)
    elif image.startswith(("rocker/", "r-base", "bioconductor/")):
        yield Dropped("r-unsupported", f"image {image}")
