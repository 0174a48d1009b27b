"""Which folder is the root of what a user points at, and which notebooks are meant.

A user points at a notebook or at a folder inside a larger repository. Notebooks there read
``../data`` and lean on the repository's requirements, so the repository's top is the root; unless
a folder nearer to them declares an environment of its own (a monorepo, an example project inside
somebody else's repository), and then that one is.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# Any of these makes a folder a project; the REES files of repo2docker and those of today's tools.
DECLARING = (
    *("binder", ".binder", "environment.yml", "environment.yaml", "requirements.txt"),
    *("pyproject.toml", "setup.py", "Pipfile", "Pipfile.lock", "uv.lock", "pylock.toml"),
    *("runtime.txt", "apt.txt", "postBuild", "conda-lock.yml", "poetry.lock", "pixi.toml"),
    *("install.R", "DESCRIPTION", "Project.toml", "REQUIRE", "Dockerfile", "default.nix"),
)
PUBLISHING = ".leman-publishing-"  # how the names of half-made records and their locks begin
SKIPPED = frozenset({".git", ".venv", "__pycache__", ".ipynb_checkpoints", "node_modules"})


def is_record(folder: Path) -> bool:
    """Tell whether a folder holds a record that leman published, intact or not."""
    return (folder / "bagit.txt").is_file() and (folder / "data" / "leman-record.json").is_file()


def is_product(folder: Path) -> bool:
    """Tell whether a folder is a report or a record that leman made: no part of a source.

    People run `leman run .` and `leman publish .` in the source itself, and do it again.
    """
    if folder.name.startswith(PUBLISHING) or is_record(folder):
        return True
    try:
        with (folder / "report.json").open("rb") as file:
            return b'"leman-report/' in file.read(200)
    except OSError:
        return False


def root_for(folder: str, has: Callable[[str], bool]) -> str:
    """Return the root for `folder`: itself or a parent, relative to the top, "" for the top.

    `has` says whether a path relative to the top exists.
    """
    here = PurePosixPath(folder)
    while here.parts:
        if any(has((here / name).as_posix()) for name in DECLARING):
            return here.as_posix()
        here = here.parent
    return ""


def relative(path: str, root: str) -> str:
    """Return `path` relative to `root`, both relative to the top."""
    return PurePosixPath(path).relative_to(root).as_posix() if root else path


def notebooks_below(folder: str, files: Iterable[str]) -> tuple[str, ...]:
    """Return the notebooks in `folder` and below, sorted; checkpoints are copies, not notebooks.

    Raises SourceError where there is none: an empty choice would mean "all of the repository".
    """
    start = f"{folder}/" if folder else ""
    chosen = tuple(
        sorted(
            path
            for path in files
            if path.startswith(start)
            and path.endswith(".ipynb")
            and not SKIPPED & set(PurePosixPath(path).parts)
        )
    )
    if not chosen:
        raise SourceError(
            f"there is no notebook in the folder {folder!r}",
            hint="Point at a folder that holds *.ipynb files, or at the repository itself.",
        )
    return chosen
