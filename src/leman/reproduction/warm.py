"""Make once what libraries otherwise make in every new home, in seconds and with warnings.

Matplotlib searches the machine's fonts on its first import in a home, takes seconds for it, and
older versions say so on stderr, in the middle of a notebook's outputs. A home that starts with
the list has neither. It is made in a sandbox, by the environment's own Python.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from leman import sandbox
from leman.files import remove_tree

if TYPE_CHECKING:
    from leman.reproduction.run import HasPython

_SECONDS = 120
# package that makes something at home → what to import so that it does
_MAKERS = {"matplotlib": "matplotlib.font_manager"}


def warm_home(environment: HasPython, folder: Path) -> Path | None:
    """Return `folder`, filled for `environment` by the first call; None where nothing is to fill.

    For `Surroundings.home`. Two processes may call it at once. Without sandboxes there are no
    private homes, and the answer is None. What a library cannot make is left to the notebook.
    """
    if folder.is_dir():
        return folder
    modules = [module for name, module in _MAKERS.items() if _has(environment, name)]
    if not modules or not sandbox.probe().works:
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _fill(environment.executable, new, modules)
        new.rename(folder)
    except OSError:  # another process was first, and its folder is as good
        remove_tree(new)
    return folder if folder.is_dir() else None


def _has(environment: HasPython, package: str) -> bool:
    prefix = environment.executable.parent.parent
    return any(prefix.glob(f"lib/python3*/site-packages/{package}"))


def _fill(python: Path, home: Path, modules: list[str]) -> None:
    box = sandbox.Sandbox(
        cwd=home,
        writable=(home,),
        readable=sandbox.interpreter_folders(python),
        environment={"PATH": f"{python.parent}{os.pathsep}{sandbox.SYSTEM_PATH}", "TZ": "UTC"},
        home=home,
    )
    for module in modules:
        argv = sandbox.command(box, [str(python), "-c", f"import {module}"])
        try:
            subprocess.run(argv, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            continue
