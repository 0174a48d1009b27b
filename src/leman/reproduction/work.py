"""The copy that notebooks may change: the source itself is never touched."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from leman.environments.model import Modification
from leman.environments.providers.scope import is_product
from leman.files import IN_USE, full_disk_said, remove_tree, spread, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.environments.model import Source

_LEFT_BEHIND = {".git", ".ipynb_checkpoints", "__pycache__", ".venv", "node_modules"}
_MOST_LINKS = 2000


@contextmanager
def work_copy(source: Source, folder: Path) -> Iterator[Path]:
    """Yield a fresh copy of a source's files below `folder`; it is removed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    spread(folder)
    holder = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
    try:
        with FileLock(holder / IN_USE):
            yield copy(source, holder / (source.path.name or "source"))
    finally:
        remove_tree(holder)


def _as_it_is(_work: Path) -> None:
    """Leave a new copy as it is."""


def kept_copy(source: Source, folder: Path, fill: Callable[[Path], None] = _as_it_is) -> Path:
    """Return the one copy of a source that a user works in; made if it is not there, never renewed.

    Its name holds the source's own name and its content id, so another revision gets another copy.
    `fill` is called once with a new copy.
    """
    name = re.sub(r"[^\w.-]+", "-", source.url.rstrip("/").removesuffix(".git").split("/")[-1])
    target = folder / f"{name[:40]}-{source.content_id.split(':')[-1][:12]}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            made = copy(source, holder / "copy")
            fill(made)
            made.rename(target)
        finally:
            remove_tree(holder)
    return target


def copy(source: Source, target: Path) -> Path:
    """Copy a source's files to `target` (made now), leaving out what no notebook reads."""
    with full_disk_said(target):
        shutil.copytree(
            source.path,
            target,
            symlinks=True,
            ignore=_left_behind,
            copy_function=_copy,
            ignore_dangling_symlinks=True,
        )
        for folder, _, _ in os.walk(target):
            Path(folder).chmod(0o755)
    return target


def _left_behind(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in _LEFT_BEHIND or is_product(Path(folder, name))]


def _copy(source: str, target: str) -> None:
    """Copy one file with its time; what is no regular file (a pipe, a device) is passed over."""
    if Path(source).is_symlink():
        with contextlib.suppress(OSError):
            Path(target).symlink_to(Path(source).readlink())
    elif Path(source).is_file():
        shutil.copyfile(source, target)
        shutil.copystat(source, target)
        Path(target).chmod(Path(target).stat().st_mode | 0o600)


def files_called(root: Path, name: str) -> list[str]:
    """Return the files below `root` with this base name, first exactly, else whatever its case.

    A link that leads out of `root` is none of them: what it names is this machine's.
    """
    whole = root.resolve()
    every = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if _bare(path.name) == _bare(name)
        and not _LEFT_BEHIND.intersection(path.relative_to(root).parts)
        and path.exists()
        and path.resolve().is_relative_to(whole)
    )
    exact = [path for path in every if PurePosixPath(path).name == name]
    alike = [path for path in every if PurePosixPath(path).name.lower() == name.lower()]
    return exact or alike or every


def _bare(path: str) -> str:
    """Return a file name without what people and systems change: case, spaces, a doubled ending."""
    name = PurePosixPath(path).name.lower()
    stem, dot, ending = name.rpartition(".")
    while dot and stem.endswith(dot + ending):
        stem = stem[: -len(dot + ending)]
    return re.sub(r"[\W_]+", "", stem) + dot + ending


def place_file(work: Path, notebook: str, wanted: str, found: str) -> Modification | None:
    """Link to `found` (POSIX, below `work`) from where the notebook looks for it.

    Where the whole folder of `wanted` is missing it becomes a link, so that its other files are
    found as well. Backslashes are letters of a name here, so the files beside `found` get such
    names too. None where the place is taken or outside.
    """
    here, whole = (work / notebook).parent.resolve(), work.resolve()
    target, origin = Path(os.path.normpath(here / wanted)), whole / found
    if not _inside_as_is(work, target) or os.path.lexists(target) or not origin.exists():
        return None
    while (
        not os.path.lexists(target.parent)
        and origin.parent != whole
        and not target.parent.is_relative_to(origin.parent)
    ):
        target, origin = target.parent, origin.parent
        if _last(target.name) != _last(origin.name):  # two folders of other names: no further
            break
    _link(target, origin)
    folder, backslash, name = target.name.rpartition("\\")
    if backslash and name == origin.name:
        for one in sorted(origin.parent.iterdir())[:_MOST_LINKS]:
            beside = target.with_name(f"{folder}\\{one.name}")
            if not os.path.lexists(beside):
                _link(beside, one)
    there = origin.relative_to(whole).as_posix()
    return Modification(
        "link", target.relative_to(whole).as_posix(), f"leads to {there} of the source"
    )


def _last(name: str) -> str:
    return name.rpartition("\\")[2].lower()


def _inside_as_is(work: Path, target: Path) -> bool:
    whole = work.resolve()
    plain = Path(os.path.normpath(target))
    return plain.is_relative_to(whole) and plain.parent.resolve().is_relative_to(whole)


def _link(target: Path, origin: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(os.path.relpath(origin, target.parent))


def link_inside(work: Path, inside: str, found: str) -> Modification | None:
    """Link from `inside` to `found`, both below `work`; None where that is taken or not there."""
    target, origin = work.resolve() / inside, work.resolve() / found
    if not _inside_as_is(work, target) or os.path.lexists(target) or not origin.exists():
        return None
    _link(target, origin)
    return Modification("link", inside, f"leads to {found} of the source")


def all_alike(work: Path, paths: list[str]) -> bool:
    """Say whether files (POSIX, below `work`) have one content; folders never do."""
    whole = [work / path for path in paths]
    if not all(path.is_file() for path in whole):
        return False
    return all(filecmp.cmp(whole[0], path, shallow=False) for path in whole[1:])


def make_plain_folder(work: Path, inside: str) -> Modification | None:
    """Make a folder of the work copy; None where it is there or would lie outside."""
    target = Path(os.path.normpath(work.resolve() / inside))
    if target.exists() or not target.is_relative_to(work.resolve()):
        return None
    target.mkdir(parents=True)
    return Modification("folder", inside, "made, was missing")


def put(work: Path, held: dict[str, bytes], *, over: bool = False) -> bool:
    """Write files (POSIX, below `work`) into the copy; those that are there stay, unless `over`.

    Returns whether any was written.
    """
    whole, wrote = work.resolve(), False
    for path, content in held.items():
        target = Path(os.path.normpath(whole / path))
        inside = target.is_relative_to(whole) and target.parent.resolve().is_relative_to(whole)
        if inside and (over or not os.path.lexists(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, content)
            wrote = True
    return wrote


def own_copy(work: Path, notebook: str, name: str) -> Modification | None:
    """Put a copy of the whole source below the notebook's folder, as a clone of it would be."""
    target = _inside(work, notebook, name)
    if target is None or target.exists():
        return None
    with tempfile.TemporaryDirectory(dir=work.parent) as aside:
        whole = Path(aside) / "copy"
        shutil.copytree(work, whole, symlinks=True)
        whole.rename(target)
    return Modification("link", name, "a copy of the source itself, which the notebook clones")


def make_folder(work: Path, notebook: str, wanted: str) -> Modification | None:
    """Make the folder that a notebook writes to and that was not committed."""
    target = _inside(work, notebook, wanted)
    if target is None:
        return None
    folder = target if not target.suffix else target.parent
    if folder.exists():
        return None
    folder.mkdir(parents=True)
    return Modification(
        "folder", folder.relative_to(work.resolve()).as_posix(), "made, was missing"
    )


def _inside(work: Path, notebook: str, wanted: str) -> Path | None:
    here = (work / notebook).parent.resolve()
    target = Path(os.path.normpath(here / wanted.replace("\\", "/")))
    whole = work.resolve()
    # Resolved, because a link in the copy may lead anywhere on this machine.
    inside = target.is_relative_to(whole) and target.resolve().is_relative_to(whole)
    return target if inside and target != whole else None


def rewrite(work: Path, notebook: str, old: str, new: str) -> Modification | None:
    """Replace a literal path in a notebook's code, in the work copy; None where it is not there."""
    path = work / notebook
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    spellings = {old, old.replace("\\", "\\\\"), old.replace("/", "\\"), old.replace("/", "\\\\")}
    changed = False
    for cell in document.get("cells", []):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            text = cell.get("source")
            code = "".join(text) if isinstance(text, list) else str(text or "")
            for spelling in sorted(spellings, key=len, reverse=True):
                if spelling in code:
                    code, changed = code.replace(spelling, new), True
            cell["source"] = code
    if not changed:
        return None
    write_atomic(path, json.dumps(document))
    return Modification("path", notebook, f"{old} → {new}")


def begin_with(work: Path, notebook: str, line: str) -> Modification | None:
    """Put a line of code before a notebook's first code cell's own, in the work copy."""
    path = work / notebook
    document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    for cell in document.get("cells", []):
        text = cell.get("source")
        code = "".join(text) if isinstance(text, list) else str(text or "")
        if cell.get("cell_type") == "code" and code.strip() and not code.startswith("%%"):
            cell["source"] = f"{line}\n{code}"
            write_atomic(path, json.dumps(document))
            return Modification("cell", notebook, f"begins with `{line}`")
    return None


def in_stored_order(work: Path, notebook: str) -> tuple[int, ...] | None:
    """Sort a notebook's cells by the order in which the author ran them.

    Returns the original position of each cell of the sorted notebook, for `restore_order`, or
    None where the stored counts already rise or say nothing.
    """
    path = work / notebook
    document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    cells = document.get("cells")
    if not isinstance(cells, list):
        return None
    ran = [cell.get("execution_count") for cell in cells if cell.get("cell_type") == "code"]
    numbers = [count for count in ran if isinstance(count, int)]
    if numbers == sorted(numbers) or len(set(numbers)) != len(numbers):
        return None
    last = 0.0
    keys = []
    for number, cell in enumerate(cells):
        count = cell.get("execution_count") if cell.get("cell_type") == "code" else None
        last = float(count) if isinstance(count, int) else last
        keys.append((last, number))
    order = tuple(number for _, number in sorted(keys))
    document["cells"] = [cells[number] for number in order]
    write_atomic(path, json.dumps(document))
    return order


def restore_order(executed: Path, order: tuple[int, ...]) -> None:
    """Put the cells of an executed notebook back where the author has them."""
    document = json.loads(executed.read_text(encoding="utf-8"))
    cells = document["cells"]
    if len(cells) == len(order):
        document["cells"] = [cell for _, cell in sorted(zip(order, cells, strict=True), key=_first)]
        write_atomic(executed, json.dumps(document))


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]
