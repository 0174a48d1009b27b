"""requirements.txt and everything that people save under that name.

pip's format is its documentation's "Requirements File Format"; ``pip list`` tables,
``conda list`` tables, ``conda list --export`` and ``--explicit`` are recognised too.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from leman.environments.detect.codes import finding
from leman.environments.detect.condaspec import conda_package
from leman.environments.detect.reading import Dropped, Included, Kind, LocalProject
from leman.environments.detect.specifiers import lenient, requirement
from leman.environments.detect.tree import folder_of, join
from leman.environments.model import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

_INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?=[^\s-]))(.+)$")
_EDITABLE = re.compile(r"^(?:-e|--editable)(?:\s*=\s*|\s+)(.+)$")
_PER_LINE = re.compile(r"\s--?(?:hash|global-option|install-option|config-settings)\b.*$")
_VCS = re.compile(r"^(?:git|hg|svn|bzr)(?:\+|@)|^[\w-]+\+(?:https?|ssh|git|file)://|^git@")
_WEB = re.compile(r"^(?:https?|ftp)://")
_LOCAL = re.compile(r"^(?:\.{1,2}(?:[/\\\[]|$)|[/~]|file:|[A-Za-z]:[/\\])")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|egg)$", re.IGNORECASE)
_EXPORT = re.compile(r"^([A-Za-z0-9_][\w.-]*)=([^=\s]+)=([^=\s]+)$")
_MOST_LINE = 2_000  # characters; a longer line is no requirement


def read_requirements(tree: Tree, name: str, seen: frozenset[str] = frozenset()) -> Iterator[Item]:
    """Yield what a requirements file and the files that it includes say."""
    text, found = tree.read(name)
    yield from found
    if text is not None:
        yield from requirement_text(tree, name, text, seen | {name})


def requirement_text(
    tree: Tree, name: str, text: str, seen: frozenset[str] = frozenset()
) -> Iterator[Item]:
    """Yield what a text in any of the known forms says; `name` is where it stands."""
    if "@EXPLICIT" in text:
        yield from _explicit(name, text)
    elif re.search(r"^# Name\s+Version\s+Build", text, re.MULTILINE):
        yield from _conda_table(name, text)
    elif re.search(r"^Package\s+Version.*\n\s*-{3,}", text, re.MULTILINE):
        yield from _pip_table(name, text)
    else:
        for number, line in logical_lines(text):
            yield from requirement_line(tree, name, line, f"{name}:{number}", seen)


def kind_of(text: str) -> Kind:
    """Tell a freeze (nearly every line one exact version) from a wish list."""
    lines = [line for _, line in logical_lines(text) if not line.startswith("-")]
    exact = sum(1 for line in lines if re.search(r"==|^[\w.-]+=[^=\s]+=|@\s*file:", line))
    tabular = re.search(r"@EXPLICIT|^# Name\s+Version|^Package\s+Version", text, re.MULTILINE)
    return (
        Kind.FREEZE
        if tabular or (exact >= 12 and exact >= 0.9 * len(lines))
        else (Kind.REQUIREMENTS)
    )


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines, continuations joined, comments and blank lines left out."""
    pending, start = "", 0
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        start = start or number
        comment = re.match(r"^\s*#", raw)
        line = "" if comment else raw.replace("\0", "")
        if line.rstrip().endswith("\\") and not comment:
            pending += line.rstrip()[:-1] + " "
            continue
        whole = re.sub(r"(?:^|\s)#.*$", "", pending + line).strip()
        if whole:
            yield start, whole
        pending, start = "", 0
    if whole := re.sub(r"(?:^|\s)#.*$", "", pending).strip():
        yield start, whole


def requirement_line(
    tree: Tree, name: str, line: str, origin: str, seen: frozenset[str] = frozenset()
) -> Iterator[Item]:
    """Yield what one logical line of a requirements file says."""
    if len(line) > _MOST_LINE and "--hash" not in line:
        yield _invalid(line, origin)
        return
    line = re.sub(r"^!?\s*(?:python\d?\s+-m\s+)?pip\d?\s+install\s+", "", line)
    if match := _INCLUDE.match(line):
        yield from _include(tree, name, match[1].strip("\"' "), origin, seen)
        return
    line = _PER_LINE.sub("", line).strip()
    if match := _EDITABLE.match(line):
        yield from _address(tree, match[1].strip("\"' "), origin, name)
    elif line.startswith("-") and not line.startswith("- "):
        if re.match(r"^--?[a-zA-Z]", line) and not re.match(r"^-[a-z]{2,}[=\w.-]*==", line):
            yield finding("option-not-used", origin, f"the option {line[:120]!r} is not used")
        else:
            yield _invalid(line, origin)
    elif match := _EXPORT.match(line):
        build = match[3]
        yield from conda_package(
            match[1], match[2], origin, exact=True, pypi=build.startswith("pypi")
        )
    elif (
        _VCS.match(line)
        or _WEB.match(line)
        or _LOCAL.match(line)
        or _ARCHIVE.search(line.split("#")[0].split(";")[0].strip())
    ) and " @ " not in line:
        yield from _address(tree, line, origin, name)
    else:
        yield from _package(line, origin)


def _package(line: str, origin: str) -> Iterator[Item]:
    try:
        found = list(lenient(line, origin))
    except InvalidRequirement:
        words = line.replace(",", " ").split()
        plain = len(words) > 1 and all(re.match(r"^[a-z][\w.-]+(==[\w.]+)?$", one) for one in words)
        if plain and line.lower() == line and len(words) < 40 and "==" in line:
            for word in words:
                yield from lenient(word, origin)
            return
        yield _invalid(line, origin)
        return
    yield from found


def _invalid(line: str, origin: str) -> Item:
    return finding(
        "invalid-line", origin, f"{line[:120]!r} is no requirement that can be understood"
    )


def _include(
    tree: Tree, name: str, target: str, origin: str, seen: frozenset[str]
) -> Iterator[Item]:
    path = join(folder_of(name), target)
    if _WEB.match(target):
        yield finding("include-outside", origin, f"{target} is on the network; it was not read")
    elif path.startswith(("../", "/")) or path == ".." or not tree.is_inside(path):
        yield finding(
            "include-outside", origin, f"{target} is outside the repository; it was not read"
        )
    elif path in seen:
        yield finding("include-cycle", origin, f"{target} includes itself; it was read once")
    elif not tree.has(path):
        yield finding(
            "include-missing",
            origin,
            f"{target} is not in the repository",
            "Add the file, or remove the line that includes it.",
        )
    else:
        yield Included(path)
        yield from read_requirements(tree, path, seen)


def _address(tree: Tree, text: str, origin: str, name: str) -> Iterator[Item]:
    """Yield what a URL or path says: an address to fetch, a folder, or a version in its name."""
    text, _, marker = text.partition(" ;")
    text = text.strip()
    if _VCS.match(text) or (_WEB.match(text) and not _ARCHIVE.search(_bare(text))):
        called, extras = _egg(text)
        if called:
            yield Dropped("direct-address", f"{called} ({_bare(text)})")
            url = text.split("#")[0]
            url = url if "://" in url else "git+ssh://" + url.removeprefix("git+").replace(":", "/")
            url = url if _WEB.match(url) or "+" in url.split("://")[0] else f"git+{url}"
            yield from requirement(
                called, extras=extras, marker=marker.strip(), url=url, origin=origin
            )
        else:
            yield _invalid(text, origin)
        return
    if _ARCHIVE.search(_bare(text)):
        yield from _archive(text, origin)
        return
    yield from _folder(tree, text, origin, name)


def _folder(tree: Tree, text: str, origin: str, name: str) -> Iterator[Item]:
    plain = (
        re.sub(r"\[[\w\s,.-]*\]$", "", text.split("#", maxsplit=1)[0]).strip().replace("\\", "/")
    )
    # pip reads such paths from the working folder, which is the root; authors often mean the file.
    for folder in dict.fromkeys(("", folder_of(name))):
        path = join(folder, plain)
        if not path.startswith(("..", "/")) and tree.is_folder(path) and _installable(tree, path):
            yield LocalProject(path)
            return
    called, _ = _egg(text)
    if called:
        yield Dropped("local-build-path", called)
        yield from requirement(called, origin=origin)
    else:
        yield finding(
            "local-file-missing",
            origin,
            f"{text[:120]!r} is not in the repository, or no package that can be installed",
            "Publish the package, or commit its folder.",
        )


def _installable(tree: Tree, folder: str) -> bool:
    return any(tree.has(join(folder, name)) for name in ("setup.py", "pyproject.toml", "setup.cfg"))


def _archive(text: str, origin: str) -> Iterator[Item]:
    file = unquote(PurePosixPath(_bare(text).replace("\\", "/")).name)
    url = text if _WEB.match(text) else ""
    called, version = archive_name(file)
    if not called:
        yield _invalid(text, origin)
        return
    yield Dropped("direct-address" if url else "local-build-path", f"{called} ({file})")
    if url:
        yield from requirement(called, url=url, origin=origin)
    else:
        yield from requirement(called, f"=={version}" if version else "", origin=origin)


def archive_name(file: str) -> tuple[str, str]:
    """Return the distribution and version that an archive's file name states, or empty texts."""
    try:
        if file.endswith(".whl"):
            called, wheel_version, _, _ = parse_wheel_filename(file)
            return called, str(wheel_version)
        called, sdist_version = parse_sdist_filename(re.sub(r"\.(tgz|tar\.bz2)$", ".tar.gz", file))
    except (InvalidWheelFilename, InvalidSdistFilename):
        stem = _ARCHIVE.sub("", file)
        return (canonicalize_name(stem), "") if re.match(r"^[A-Za-z][\w.-]*\w$", stem) else ("", "")
    return called, str(sdist_version)


def _bare(url: str) -> str:
    return re.split(r"[#?]", url)[0].rstrip("/")


def _egg(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the name and extras of a VCS address: its ``egg``, else the repository's name."""
    if match := re.search(r"[#&]egg=([\w.-]+)(?:\[([\w,\s.-]+)\])?", text):
        called = re.sub(r"-(?:dev|[0-9][\w.]*)$", "", match[1])
        extras = tuple(sorted(part.strip() for part in (match[2] or "").split(",") if part.strip()))
        return canonicalize_name(called), extras
    if not (_VCS.match(text) or _WEB.match(text)):
        return "", ()
    path = urlsplit(text).path if "://" in text else text.rsplit(":", maxsplit=1)[-1]
    last = re.split(r"[@#]", path.rstrip("/"))[0].rsplit("/", 1)[-1].removesuffix(".git")
    return (canonicalize_name(last), ()) if re.match(r"^[A-Za-z0-9][\w.-]*$", last) else ("", ())


def _pip_table(name: str, text: str) -> Iterator[Item]:
    for number, line in logical_lines(text):
        if match := re.match(r"^([A-Za-z0-9][\w.-]*)\s+([0-9][\w.!+]*)(?:\s.*)?$", line):
            yield from requirement(match[1], f"=={match[2]}", origin=f"{name}:{number}")


def _conda_table(name: str, text: str) -> Iterator[Item]:
    for number, line in logical_lines(text):
        cells = line.split()
        if len(cells) >= 2 and re.match(r"^[\w.!+]+$", cells[1]):
            pypi = any(cell.startswith("pypi") for cell in cells[2:]) or "<pip>" in cells
            yield from conda_package(cells[0], cells[1], f"{name}:{number}", exact=True, pypi=pypi)


def _explicit(name: str, text: str) -> Iterator[Item]:
    """Yield the packages of a list of conda archive addresses (``…/numpy-1.18.1-py37_0.conda``)."""
    for number, line in logical_lines(text):
        file = _bare(line).rsplit("/", 1)[-1]
        if match := re.match(r"^(.+)-([^-]+)-([^-]+?)(?:\.tar\.bz2|\.conda)$", file):
            yield from conda_package(match[1], match[2], f"{name}:{number}", exact=True)


def only_requirements(items: Iterator[Item]) -> tuple[Requirement, ...]:
    """Return the requirements among items, in order."""
    return tuple(item for item in items if isinstance(item, Requirement))
