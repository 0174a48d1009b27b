"""Whether what a notebook reads is part of its source, or written by the source's own code.

Names are compared without regard to case, and a file counts wherever it lies in the source: the
author's folders are often not the published ones, and a copy is easily put where it is wanted.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman.environments.past import contents, deleted, deleted_folder
from leman.reproduction.eligibility.known import ANY, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leman.environments.model import Source
    from leman.reproduction.eligibility.reading import Touch

_SYSTEM = re.compile(r"^/(?:usr|proc|etc|dev|tmp|sys|opt|var|s?bin|lib\d*)(?:/|$)")
_ABSOLUTE = re.compile(r"^(?:[A-Za-z]:|/|\\\\|~)")
_RAW = re.compile(
    r"^https?://(?:raw\.githubusercontent\.com|github\.com)/([\w.-]+)/([\w.-]+)/(?:raw/|blob/)?(.+)$"
)
_VERBS = re.compile(
    r"\bto_\w+\(|save\w*\(|write|dump|\\?['\"][wax]b?\+?\\?['\"]|urlretrieve|wget|curl|\s>\s|\s-[oO]\s"
    r"|mkdir|makedirs|out\w*\s*="
)
_READS = re.compile(r"\bread_\w+\(|\bload\w*\(|imread|genfromtxt")
_HOLE = re.compile(r"\{[^{}\n]*\}|%[-+ 0#]*\d*(?:\.\d+)?[sdifgre]\b|" + ANY)
_QUOTED = re.compile(r"\\?['\"]([^'\"\n\\]{0,200})\\?['\"]")

_SCRIPTS = ("*.py", "*.ipynb", "*.sh", "*.[rR]", "postBuild", "Makefile", "Snakefile", "*.smk")
_FONTS = frozenset({".ttf", ".otf", ".ttc"})

Verdict = tuple[str, str]  # a word of the taxonomy, and the detail


class Published:
    """The names of a source, and what its own code may write."""

    def __init__(
        self, source: Source, written: Iterable[str] = (), handed: Iterable[str] = ()
    ) -> None:
        """Take a source, what the notebook may write, and folders that calls of it may fill."""
        self.source = source
        self.names, self.paths = _tree(source.path)
        self.lost = {one.lower() for one in source.missing}
        self.paths |= self.lost
        self.handed = tuple(
            f"{_clean(one)}/" for one in handed if ANY not in one and not self._here(one)
        )
        self.written = [one.lower() for one in written]

    def exists(self, place: str, after_command: bool) -> bool | None:  # noqa: FBT001 - a callback
        """Tell whether a path is there when the notebook begins; None if a run may make it."""
        inside = _inside(place)
        if inside is not None and self._lies(inside):
            return inside not in self.source.missing or None
        base = posixpath.basename(_clean(place))
        doubtful = not base or after_command or self._known(base) or _SYSTEM.match(place)
        return None if doubtful or place.startswith("~") else False

    def verdict(self, touch: Touch) -> Verdict | None:
        """Return why what a notebook reads is nowhere; None where it is, or may come to be."""
        found = [self._one(touch, name) for name in touch.names]
        if not found or not all(found):
            return None
        return None if any(map(self._was_here, touch.names)) else found[0]

    def _was_here(self, name: str) -> bool:
        """Tell whether the history of the source holds what its present files lack."""
        if "://" in name:
            return False
        base = posixpath.basename(_clean(name))
        if base and not any(sign in base for sign in f"*?[{ANY}"):
            return bool(contents(self.source, deleted(self.source, base)[:20])) or bool(
                deleted_folder(self.source, base)
            )
        folder = _folder_of(re.split(r"[*?\[]", _clean(name))[0].split(ANY)[0] + ANY)
        return bool(folder) and bool(deleted_folder(self.source, folder))

    def _one(self, touch: Touch, name: str) -> Verdict | None:
        if touch.kind == "address":
            own = self._own_address(name)
            return None if own else ("network", f"it asks the network: {_shown(name)[:80]}")
        absolute = bool(_ABSOLUTE.match(name)) and not name.startswith(ROOT)
        hidden = "\n" in name or name.startswith((ANY, "~/.")) or bool(_SYSTEM.match(name))
        if hidden or (touch.after_command and not absolute):
            return None
        if not absolute and _clean(name).startswith(self.handed):
            return None
        if touch.kind == "glob":
            return self._pattern(name, absolute=absolute)
        return self._file(name, absolute=absolute)

    def _file(self, name: str, *, absolute: bool) -> Verdict | None:
        inside = _inside(name)
        clean = _clean(name)
        if inside is not None and self._lies(inside) and inside not in self.source.missing:
            return None
        base = posixpath.basename(clean)
        if base in {"", ".", ".."} or any(sign in base for sign in "*?"):
            return None
        if posixpath.splitext(base)[1].lower() in _FONTS:  # another one stands in for it
            return None
        lost = [one for one in self.source.missing if PurePosixPath(one).name == base]
        if lost and not absolute:
            return "missing-blob", f"{lost[0]} is not in this copy"
        gone = _folder_of(clean) if ANY in clean else base
        if not gone or self._known(gone):
            gone = base if ANY in clean and _told(base) else ""
        if not gone or self._known(gone):
            return None
        return _gone(name, absolute=absolute)

    def _pattern(self, name: str, *, absolute: bool) -> Verdict | None:
        clean, inside = _clean(name), _inside(name)
        literal = re.split(rf"[*?\[{ANY}]", clean)[0]
        folder = posixpath.basename(posixpath.dirname(literal))
        ending = posixpath.splitext(clean)[1]
        if inside is not None:
            shape, deep = _shape(inside), "**" in inside or ANY in inside
            found = [
                one
                for one in self.paths
                if shape.match(one) and (deep or one.count("/") == inside.count("/"))
            ]
            if found and all(one in self.lost for one in found):
                return "missing-blob", f"{found[0]} is not in this copy"
            if found or self._writes(shape, ending, folder):
                return None
            return _gone(name, absolute=False)
        if not absolute or not folder or self._known(folder):
            return None
        return _gone(name, absolute=True)

    def _writes(self, shape: re.Pattern[str], ending: str, folder: str) -> bool:
        for one in self.written:
            inside = _inside(one)
            if inside is None or ANY in inside or shape.match(inside):
                return True
            if folder and folder.lower() in inside.split("/"):
                return True
        text = _writers(self.source.path)
        return ending in text and (not folder or folder in text)

    def _here(self, name: str) -> bool:
        inside = _inside(name)
        return inside is not None and self._lies(inside)

    def _lies(self, inside: str) -> bool:
        return ANY not in inside and os.path.exists(self.source.path / inside)  # noqa: PTH110 - never raises

    def _known(self, base: str) -> bool:
        """Tell whether something called `base` is in the source, or may be written by its code."""
        low = base.lower()
        if ANY in low:
            if any(map(_shape(low).match, self.names)):
                return True
        elif low in self.names:
            return True
        parts = [part for one in self.written for part in one.split("/")]
        if any(_shape(part).match(low) for part in parts if _told(part, 1) or part == low):
            return True
        return self._composed(base) or is_written(self.source.path, base)

    def _composed(self, base: str) -> bool:
        """Tell whether a text with gaps in code that writes may come to be `base`."""
        low = base.lower().replace(ANY, "0")
        return any(shape.match(low) for shape in _templates(self.source.path))

    def _own_address(self, address: str) -> bool:
        match = _RAW.match(address)
        if not match or match[2].lower() not in self.source.url.lower():
            return False
        parts = match[3].split("/")
        return any("/".join(parts[cut:]).lower() in self.paths for cut in range(1, len(parts)))


def _gone(name: str, *, absolute: bool) -> Verdict:
    if absolute:
        return "absolute-path", f"{_shown(name)} lies on the author's computer"
    return "missing-file", f"{_shown(name)} was never published"


def _shown(name: str) -> str:
    inside = _inside(name)
    return (name if inside is None else inside).replace(ANY, "…").removeprefix(ROOT + "/")


def _clean(name: str) -> str:
    return name.replace("\\", "/").rstrip("/")


def _inside(place: str) -> str | None:
    """Return a path below the source, None for one that is not."""
    if not place.lower().startswith(ROOT):
        return None
    inside = posixpath.normpath(_clean(place)[len(ROOT) :].lstrip("/") or ".")
    return None if inside.split("/")[0] == ".." or ROOT[1:] in inside else inside


def _folder_of(clean: str) -> str:
    """Return the name of the last folder of a path before what is not known."""
    known = clean.split(ANY, maxsplit=1)[0].removeprefix(ROOT)
    folder = posixpath.basename(posixpath.dirname(known))
    return "" if folder in {".", ".."} or len(folder) < 3 else folder


def _told(base: str, least: int = 4) -> bool:
    """Tell whether a name with gaps says enough to know it again: signs besides its ending."""
    stem = posixpath.splitext(base)[0] if "." in base else base
    return len(re.sub(rf"[{ANY}\W_]", "", stem)) >= least


def _shape(name: str) -> re.Pattern[str]:
    """Return an expression for a pattern in lower case; ``*`` goes across folders, which is lax."""
    wide = name.lower().replace("**/", "*").replace(ANY, "*")
    return re.compile(fnmatch.translate(re.sub(r"\*+", "*", wide)), re.DOTALL)


@lru_cache(maxsize=8)
def _tree(root: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names and the relative paths of all files and folders, in lower case."""
    paths = [path.relative_to(root) for path in root.rglob("*") if ".git" not in path.parts]
    names = frozenset(path.name.lower() for path in paths) | {root.name.lower()}
    return names, frozenset(path.as_posix().lower() for path in paths) | {"."}


@lru_cache(maxsize=8)
def _writers(root: Path) -> str:
    """Return all code lines of a source that look as if they write a file."""
    lines = []
    for path in (path for kind in _SCRIPTS for path in root.rglob(kind)):
        if path.is_file() and path.stat().st_size < 5_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            lines += [
                line
                for line in text.splitlines()
                if len(line) < 1000 and _VERBS.search(line) and not _READS.search(line)
            ]
    return "\n".join(lines)


@lru_cache(maxsize=8)
def _templates(root: Path) -> tuple[re.Pattern[str], ...]:
    """Return the names with gaps that code of a source may write, as expressions."""
    found: dict[str, None] = {}
    for text in _QUOTED.findall(_writers(root)):
        base = posixpath.basename(_HOLE.sub(ANY, text))
        if ANY in base and _told(base):
            found[base.lower()] = None
    return tuple(map(_shape, list(found)[:200]))


def is_written(root: Path, base: str) -> bool:
    """Tell whether a line of a source that seems to write names `base`."""
    return len(base) > 3 and base in _writers(root)
