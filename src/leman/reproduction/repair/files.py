"""Repairs of files: found elsewhere in the source, made by another notebook, or a folder made.

A path of the author's computer is shown in the sandbox under the author's own name for it, so the
notebook stays as it is; without a sandbox the literal in the work copy is rewritten. Windows'
names are plain relative ones here (``C:/data/x.csv``, or one with backslashes in it), so they are
links in the work copy.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from leman import sandbox
from leman.environments.model import Modification
from leman.reproduction import work as copies
from leman.reproduction.eligibility import producers
from leman.reproduction.model import Failure, Reason
from leman.reproduction.repair.case import code_of, failing_lines, wanted_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leman.reproduction.repair.case import Case

_WRITES = re.compile(r"savefig|to_\w+\(|save|write|dump|open\([^)]*['\"][wax]|mkdir|imwrite|export")
_RAW = re.compile(
    r"https?://(?:raw\.githubusercontent\.com|github\.com)/([\w.-]+)/([\w.-]+)/"
    r"(?:raw/|blob/)?(?:refs/heads/)?([\w./%-]+)"
)
_FONTS = {".ttf", ".otf", ".ttc"}
_HOME_DEPTH = 4  # parts of /home/me/file
_ELSEWHERE = "elsewhere"  # folder of the work copy that stands for the author's other folders


def is_absolute(path: str) -> bool:
    """Say whether a path begins at a root or a home, of Windows too."""
    return bool(re.match(r"^(?:[A-Za-z]:|[\\/]|~)", path))


def clone(case: Case, failure: Failure) -> bool:
    """Offer the source's own folder to a notebook that clones it because it ran elsewhere."""
    wanted = wanted_path(case, failure)
    top = wanted.replace("\\", "/").removeprefix("/content/").strip("/").split("/")[0]
    if not top or "clone" in case.done or (case.work / top).exists():
        return False
    code = code_of(case)
    if not re.search(rf"git clone[^\n]*/{re.escape(top)}(?:\.git)?\b", code):
        return False
    if top.lower() not in case.origin.lower():
        return False
    case.done.add("clone")
    change = case.apply(lambda work: copies.own_copy(work, case.path, top))
    return bool(change) and case.note(f"offer the source as {top}", f"{wanted} not found", change)


def own_address(case: Case, failure: Failure) -> bool:
    """Read a file of the source itself that the notebook asks the network for."""
    if failure.reason is not Reason.NETWORK:
        return False
    code = code_of(case)
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


def file(case: Case, failure: Failure) -> bool:
    """Find a file that lies elsewhere in the source, or that another notebook writes."""
    wanted = wanted_path(case, failure)
    if not wanted or f"file {wanted}" in case.done:
        return False
    case.done.add(f"file {wanted}")
    base = PurePosixPath(wanted.replace("\\", "/")).name
    if not base or base in {".", ".."}:
        return False
    best = best_of(case, copies.files_called(case.work, base), wanted)
    if not best and "chdir" in failing_lines(failure) and is_absolute(wanted):
        best = _root_or_here(case, base)
    if best and place(case, wanted, best):
        return True
    if PurePosixPath(base).suffix.lower() in _FONTS:
        return _font(case, wanted, base)
    return _producer(case, base, f"{wanted} was not found")


def _font(case: Case, wanted: str, base: str) -> bool:
    """Let another font stand in for one that the author had installed: the text stays readable."""
    fonts = case.site / "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf" if case.site else None
    if fonts is None or not fonts.is_file():
        return False
    inside = f"{_ELSEWHERE}/fonts/{base}"
    content = fonts.read_bytes()

    def step(work: Path) -> Modification | None:
        told = Modification("link", inside, "DejaVu Sans stands in for it")
        return told if copies.put(work, {inside: content}) else None

    change = case.apply(step)
    case.modifications += [change] if change else []
    return place(case, wanted, inside)


def place(case: Case, wanted: str, found: str) -> bool:
    """Show `found` (POSIX, in the work copy) where the notebook looks for `wanted`."""
    why = f"{wanted} was not found"
    if wanted.startswith(("/", "~")):
        return _shown(case, wanted, found, why) or _redirected(case, wanted, found, why)
    change = case.apply(lambda work: copies.place_file(work, case.path, wanted, found))
    if change:
        return case.note(f"link {found}", why, change)
    return is_absolute(wanted) and _redirected(case, wanted, found, why)


def _root_or_here(case: Case, base: str) -> str:
    """Return the source's root where the author's folder has its name, else the notebook's own."""
    name = re.sub(r"\.git$", "", case.origin.rstrip("/")).rpartition("/")[2].lower()
    return "." if base.lower() == name else PurePosixPath(case.path).parent.as_posix()


def _shown(case: Case, wanted: str, found: str, why: str) -> bool:
    """Show a part of the work copy under the author's own absolute path, in the sandbox."""
    if case.boxed is None:
        return False
    path = _without_tilde(wanted)
    if inside := _inside_shown(case, path):
        return _linked(case, inside, found, why)
    return any(_aliased(case, alias, target, why) for alias, target in _aliases(path, found))


def _inside_shown(case: Case, path: str) -> str:
    """Return where a path below a folder that is shown already lies in the copy, else ""."""
    for alias, target in case.aliases:
        if path.startswith(f"{alias}/"):
            return f"{target}/{path[len(alias) + 1 :]}"
    return ""


def _linked(case: Case, inside: str, found: str, why: str) -> bool:
    change = case.apply(lambda work: copies.link_inside(work, inside, found))
    return bool(change) and case.note(f"link {found}", why, change)


def _aliased(case: Case, alias: str, target: str, why: str) -> bool:
    above = any(one.startswith(f"{alias}/") for one, _ in case.aliases)
    if case.boxed is None or above or not sandbox.is_free(Path(alias), case.boxed):
        return False
    case.aliases = (*case.aliases, (alias, target))
    change = Modification("link", alias, f"shows {target} of the source")
    return case.note(f"show {target} as {alias}", why, change)


def _without_tilde(path: str) -> str:
    return path.replace("~", str(sandbox.HOME), 1) if path.startswith("~") else path


def _aliases(wanted: str, found: str) -> list[tuple[str, str]]:
    """Return (absolute path, path in the copy) that lead to `found`, the widest folder first.

    A folder of another name stands for `found`'s where it is no drive or home itself.
    """
    parts, ours = PurePosixPath(wanted).parts, PurePosixPath(found).parts
    shared = _in_common(reversed(parts[1:]), reversed(ours))
    if shared == 1 and len(parts) <= _HOME_DEPTH:
        shared = 0
    pairs = [
        (str(PurePosixPath(*parts[: len(parts) - cut])), "/".join(ours[: len(ours) - cut]) or ".")
        for cut in range(shared, -1, -1)
    ]
    return [pair for pair in pairs if pair[0] != "/"]


def best_of(case: Case, found: list[str], wanted: str) -> str:
    """Return the only candidate, else the one that shares the longest end with what is wanted.

    Of equally good ones the nearest to the notebook is taken; any where all have one content.
    """
    if len(found) <= 1:
        return found[0] if found else ""
    parts = [part.lower() for part in re.split(r"[\\/]", wanted)]
    here = PurePosixPath(case.path).parent.parts

    def rank(path: str) -> tuple[int, int]:
        return _in_common(reversed(path.lower().split("/")), reversed(parts)), _in_common(
            PurePosixPath(path).parts, here
        )

    ranked = sorted(found, key=rank, reverse=True)
    first = [path for path in ranked if rank(path) == rank(ranked[0])]
    return ranked[0] if len(first) == 1 or copies.all_alike(case.work, first) else ""


def _in_common(one: Iterable[str], other: Iterable[str]) -> int:
    """Count the parts that two paths begin with."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _redirected(case: Case, wanted: str, found: str, why: str) -> bool:
    change = _redirect(case, wanted, found)
    return bool(change) and case.note(f"read {found} instead of {wanted}", why, change)


def _producer(case: Case, base: str, why: str) -> bool:
    for notebook in producers(case.work, base):
        if notebook != case.path and notebook not in case.first_run:
            case.first_run = (*case.first_run, notebook)
            change = Modification("first", notebook, f"run before, because it writes {base}")
            return case.note(f"run {notebook} first", why, change)
    return False


def _redirect(case: Case, wanted: str, best: str) -> Modification | None:
    """Rewrite the literal that leads to a path of the author's computer, or its beginning."""
    up = "../" * (len(PurePosixPath(case.path).parts) - 1)
    spelled = wanted.replace("\\\\", "\\")
    whole = _rewritten(case, spelled, up + best)
    if whole:
        return whole
    parts = re.split(r"([\\/])", spelled)
    rest = best.split("/")
    for cut in range(len(parts) - 2, 0, -2):  # prefixes of the path, the longest first
        prefix = "".join(parts[:cut])
        tail = [part for part in parts[cut:] if part not in {"\\", "/", ""}]
        if len(prefix) < 4 or [p.lower() for p in rest[-len(tail) :]] != [p.lower() for p in tail]:
            continue
        new = (up + "/".join(rest[: -len(tail)])).rstrip("/") or "."
        change = _rewritten(case, prefix, new)
        if change:
            return change
    return None


def folder(case: Case, failure: Failure) -> bool:
    """Make an output folder that git did not keep because it was empty, or that was elsewhere."""
    wanted = wanted_path(case, failure)
    if not wanted or f"dir {wanted}" in case.done or not _WRITES.search(failing_lines(failure)):
        return False
    case.done.add(f"dir {wanted}")
    if "mkdir(" in failing_lines(failure) and "[Errno 2]" in failure.text:
        wanted = PurePosixPath(wanted).parent.as_posix()  # it makes the last one itself
    if wanted.startswith(("/", "~")):
        made = _folder_elsewhere(case, wanted)
        case.done.update([f"file {wanted}"] if made else [])
        return made
    change = case.apply(lambda work: copies.make_folder(work, case.path, wanted))
    return bool(change) and case.note("make a folder", f"{wanted} could not be written", change)


def _folder_elsewhere(case: Case, wanted: str) -> bool:
    """Let a notebook write to a folder of the author's computer: into the work copy."""
    whole = PurePosixPath(_without_tilde(wanted))
    target = whole.parent if whole.suffix else whole
    inside = "/".join((_ELSEWHERE, *target.parts[1:]))
    if len(target.parts) < 2 or ".." in target.parts:
        return False
    why = f"{wanted} could not be written"
    if below := _inside_shown(case, str(target)):
        return _made(case, below, why)
    if not _aliased(case, str(target), inside, why):
        return False
    case.apply(lambda work: copies.make_plain_folder(work, inside))
    return True


def _made(case: Case, inside: str, why: str) -> bool:
    change = case.apply(lambda work: copies.make_plain_folder(work, inside))
    return bool(change) and case.note("make a folder", why, change)
