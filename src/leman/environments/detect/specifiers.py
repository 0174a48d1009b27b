"""Versions as authors write them (pip, conda, poetry), turned into PEP 440 specifiers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from leman.environments.detect.reading import Dropped, PythonWanted
from leman.environments.model import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item

# Distributions of one system alone: a freeze of another system names them, none here needs them.
_OTHER_SYSTEMS = {
    "appnope": "darwin",
    "pyobjc-core": "darwin",
    "pyobjc-framework-cocoa": "darwin",
    "pypiwin32": "win32",
    "pyreadline": "win32",
    "pyreadline3": "win32",
    "pywin32": "win32",
    "pywin32-ctypes": "win32",
    "pywinpty": "win32",
    "win-inet-pton": "win32",
    "win-unicode-console": "win32",
    "wincertstore": "win32",
    "winkerberos": "win32",
    "comtypes": "win32",
    "xlwings": "win32",
}
# Authors list what they import; the index holds it under another name (or as an empty stand-in,
# whose own version 0.0 says nothing).
_MODULES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
_CONDA_BUILDS = frozenset({"mkl-fft", "mkl-random", "mkl-service", "conda", "menuinst"})
_INSTALLERS = frozenset({"pip", "wheel"})
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")
_PART = re.compile(r"^\s*(===|==|>=|<=|!=|~=|=>|=<|=|>|<)?\s*v?([^\s=<>!~]+)\s*$")


def requirement(
    name: str,
    specifier: str = "",
    *,
    extras: tuple[str, ...] = (),
    marker: str = "",
    url: str = "",
    origin: str = "",
) -> Iterator[Item]:
    """Yield one requirement, normalised; what is no package of ours comes as what it is."""
    if not _NAME.match(name):
        return
    plain: str = canonicalize_name(name)
    if plain == "python":
        if wanted := python_specifier(specifier):
            yield PythonWanted(wanted, origin)
        return
    if plain in _INSTALLERS:
        return
    if plain in _CONDA_BUILDS:
        yield Dropped("conda-only", plain)
        return
    if plain in _OTHER_SYSTEMS or specifier == "==0.0.0":  # what Debian's own packages say
        yield Dropped("platform-only", plain)
        return
    if plain in _MODULES:
        yield Dropped("module-name", f"{plain} ({_MODULES[plain]})")
        plain, specifier = _MODULES[plain], re.sub(r"^==0\.0(?:\..*)?$", "", specifier)
    cleaned, codes = clean(specifier)
    yield from (Dropped(code, f"{plain}{specifier.strip()}") for code in codes)
    yield Requirement(plain, cleaned, extras, marker, url, origin, pinned=is_pin(cleaned))


def from_pep508(text: str, origin: str) -> Iterator[Item]:
    """Yield what a PEP 508 text says. Raises InvalidRequirement."""
    parsed = Parsed(text)
    extras = tuple(sorted(parsed.extras))
    marker = str(parsed.marker or "")
    url = parsed.url or ""
    if url.startswith(("file:", "/")):
        yield Dropped("local-build-path", canonicalize_name(parsed.name))
        url = ""
    elif url:
        yield Dropped("direct-address", f"{canonicalize_name(parsed.name)} @ {url}")
    yield from requirement(
        parsed.name, str(parsed.specifier), extras=extras, marker=marker, url=url, origin=origin
    )


def lenient(text: str, origin: str) -> Iterator[Item]:
    """Yield what an author meant who wrote almost a PEP 508 text. Raises InvalidRequirement."""
    try:
        exact = list(from_pep508(text, origin))
    except InvalidRequirement:
        exact = None
    if exact is not None:
        yield from exact
        return
    body, _, marker = text.partition(";")
    body = body.strip().strip("\"',").removeprefix("- ").strip()
    match = re.match(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[([\w\s,.-]*)\])?\s*\(?(.*?)\)?$", body)
    if not match or not _NAME.match(match[1].rstrip("-.")):
        raise InvalidRequirement(text)
    version = match[3].strip().strip(",")
    if version and not re.match(r"^[=<>!~]", version):
        if not re.match(r"^v?[0-9][\w.*+!-]*$", version):
            raise InvalidRequirement(text)
        version = f"=={version}"
    extras = tuple(sorted(part.strip() for part in (match[2] or "").split(",") if part.strip()))
    try:
        Parsed(f"x; {marker}") if marker.strip() else None
    except InvalidRequirement:
        marker = ""
    yield from requirement(
        match[1].rstrip("-."), version, extras=extras, marker=marker.strip(), origin=origin
    )


def clean(specifier: str) -> tuple[str, list[str]]:
    """Return a PEP 440 specifier and the codes of what was given up to get it.

    A part with a local version (``==1.7.0+cu101``) loses it: indexes hold the plain version.
    A part that cannot be read at all is dropped.
    """
    kept: list[str] = []
    codes: list[str] = []
    for part in specifier.split(","):
        if not part.strip() or part.strip() == "*":
            continue
        match = _PART.match(part)
        text = _part(match[1] or "==", match[2]) if match else ""
        if match and "+" in match[2]:
            codes.append("local-version")
        if text:
            kept.append(text)
        elif not match or match[2] != "*":
            codes.append("specifier-dropped")
    return ",".join(kept), codes


def _part(operator: str, version: str) -> str:
    operator = {"=": "==", "=>": ">=", "=<": "<="}.get(operator, operator)
    version = version.split("+", maxsplit=1)[0].strip("\"'")
    if version == "*":
        return ""
    if operator not in ("==", "!=") and version.endswith("*"):
        version = version.rstrip("*").rstrip(".")
    if version.endswith("*") and not version.endswith(".*"):
        version = version.rstrip("*") + ".*"
    if operator == "~=" and "." not in version:
        operator = ">="
    try:
        return str(SpecifierSet(f"{operator}{version}"))
    except InvalidSpecifier:
        return ""


def is_pin(specifier: str) -> bool:
    """Say whether a specifier names exactly one version."""
    return bool(re.match(r"^={2,3}[^,*]+$", specifier))


def conda_specifier(version: str, *, exact: bool = False, prefix: bool = False) -> str | None:
    """Return PEP 440 for conda's version language, None where PEP 440 cannot say it.

    `exact`: a build string or ``==`` stood beside it. `prefix`: the index counts more parts than
    conda does. Conda's ``=1.18`` means 1.18.*; ``=1.18.1`` has all its parts and is taken as that
    release, because exports without builds are written so.
    """
    version = version.strip().strip("\"'")
    if version in ("", "*"):
        return ""
    if "|" in version:
        return None
    parts = []
    for part in version.split(","):
        match = re.match(r"^(===|==|>=|<=|!=|~=|=|>|<)?\s*(.+)$", part.strip())
        if not match:
            return None
        operator, number = match[1] or "=", match[2].strip()
        whole = operator == "==" or (exact and operator == "=")
        if operator in ("=", "=="):
            base = number.rstrip("*").rstrip(".")
            open_ended = number.endswith("*") or (not whole and base.count(".") < 2) or prefix
            number = f"{base}.*" if open_ended else base
            operator = "=="
        text = _part(operator, number)
        if not text:
            return None
        parts.append(text)
    return ",".join(parts)


def poetry_specifier(version: str) -> str | None:
    """Return PEP 440 for poetry's ``^1.2`` and ``~1.2``, None where PEP 440 cannot say it."""
    if "||" in version or " or " in version:
        return None
    parts = []
    for part in re.split(r",|(?<=[\w*])\s+(?=[<>=!~^])", version):
        text = part.strip()
        if text in ("", "*"):
            continue
        if match := re.match(r"^(\^|~(?!=))\s*v?(.+)$", text):
            bounds = _upto(match[2], caret=match[1] == "^")
            if bounds is None:
                return None
            parts.append(bounds)
            continue
        cleaned, codes = clean(text)
        if codes and not cleaned:
            return None
        parts.append(cleaned)
    return ",".join(part for part in parts if part)


def _upto(text: str, *, caret: bool) -> str | None:
    """Return the range of a caret (first part that is not 0) or a tilde (second part) version."""
    try:
        version = Version(text.rstrip("*").rstrip("."))
    except InvalidVersion:
        return None
    release = list(version.release)
    if caret:
        index = next((i for i, part in enumerate(release) if part), len(release) - 1)
    else:
        index = min(1, len(release) - 1)
    upper = ".".join(str(part) for part in [*release[:index], release[index] + 1])
    return f">={version},<{upper}"


def python_specifier(text: str) -> str:
    """Return the Python that a declaration asks for, "" where it asks for none.

    Patch numbers of exact versions are given up: ``==3.7.4`` becomes ``==3.7.*``, because any
    3.7 serves and few machines have that very one.
    """
    text = text.strip().strip("\"'")
    if re.match(r"^v?[0-9]", text):
        text = f"=={text}"
    kept = []
    for part in re.split(r",|(?<=[\w*])\s+(?=[<>=!~^])", text):
        part = re.sub(r"(?<=[0-9])\*$", ".*", part.strip())  # noqa: PLW2901 - conda's 3.7*
        if match := re.match(
            r"^\s*(?:={1,3}|~=)\s*v?([0-9]+)(?:\.([0-9]+|\*))?(\.[\w.*]*)?$", part
        ):
            tilde_minor = part.strip().startswith("~=") and not match[3]
            if match[2] in (None, "*") or tilde_minor:
                kept.append(
                    f">={match[1]}.{match[2]},<{int(match[1]) + 1}"
                    if tilde_minor
                    else f"=={match[1]}.*"
                )
            else:
                kept.append(f"=={match[1]}.{match[2]}.*")
        elif specifier := poetry_specifier(part):
            kept.append(specifier)
    return ",".join(kept)


def consistent(specifier: str, version: str) -> bool:
    """Tell whether a version satisfies a specifier; an unreadable specifier is satisfied."""
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True
