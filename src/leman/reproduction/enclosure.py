"""JupyterLab's server and its kernels, together in one sandbox.

Not the kernels alone: what a cell shows may be a script in the page, and the page may ask the
server for a terminal, or for the file behind a link that a cell has made. So the server can reach
no more than the kernels can. It also means that interrupts and restarts go from the server to its
kernels as they do without a sandbox. No signal gets in from outside: the server ends when its
standard input does, and everything ends with the process that started the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import leman
from leman import sandbox
from leman.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARED = ("config", "data", "runtime")  # folders of the private one that are seen inside
_HOME = "home"
_PORTS = 100
_BASH = "/bin/bash"
_SERVER = "jupyterlab.labapp"


def refuse_too_wide(root: Path) -> None:
    """Raise IsolationError for a folder that no sandbox may show, such as the whole home."""
    sandbox.command(sandbox.Sandbox(cwd=root, writable=(root,)), ["true"])


def box(
    root: Path, private: Path, pythons: Iterable[Path], hidden: tuple[Path, ...] = ()
) -> sandbox.Sandbox:
    """Return what the server and kernels of `pythons` may see; makes the private home.

    `root` may be changed, but for what would make a trap of it: leman's own installation, and
    git's settings and hooks, which run with the user's rights at the next ``git status``.
    """
    home = private / _HOME
    home.mkdir(mode=0o700)
    own = _packages()
    readable = [*sandbox.interpreter_folders(Path(sys.executable)), *own]
    for python in pythons:
        readable += sandbox.interpreter_folders(python)
    readable += [path for path in (root / ".git",) if path.exists() and not path.is_symlink()]
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    elsewhere = [str(path) for path in own if prefixes.isdisjoint(path.parents)]
    return sandbox.Sandbox(
        cwd=private / "runtime",
        writable=(root, *(private / name for name in SHARED)),
        readable=tuple(dict.fromkeys(readable)),
        hidden=hidden,
        environment={
            "PYTHONPATH": os.pathsep.join(elsewhere),  # the server takes it away from the kernels
            **({"SHELL": _BASH} if Path(_BASH).exists() else {}),
        },
        home=home,
    )


def _packages() -> list[Path]:
    """Return the folders that leman and what it needs are imported from, never the current one."""
    found = [Path(leman.__file__).resolve().parents[1]]
    folders = [Path(entry) for entry in sys.path if entry]
    known = {"site-packages", "dist-packages"}
    found += [one for one in folders if one.name in known and one.is_dir()]
    return list(dict.fromkeys(found))


def compile_once(folder: Path) -> None:
    """Import the server once where bytecode can be written, as it cannot in a sandbox.

    Installers such as uv leave it to the first import, and without it each start takes seconds
    longer. Runs nothing but leman's own packages, in `folder`.
    """
    spec = find_spec(_SERVER.partition(".")[0])
    if spec is None or spec.origin is None or sys.dont_write_bytecode:
        return
    module = Path(spec.origin).with_name(_SERVER.partition(".")[2] + ".py")
    if Path(cache_from_source(str(module))).exists() or not os.access(module.parent, os.W_OK):
        return
    subprocess.run(
        [sys.executable, "-P", "-c", f"import {_SERVER}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,  # if it cannot be imported, the server says so
    )


@contextlib.contextmanager
def door(first: int) -> Iterator[socket.socket]:
    """Listen on this machine alone, from port `first` on; for a server that has no network.

    A socket belongs to the network in which it was made, also in the hands of a process inside.
    """
    for port in range(first, min(first + _PORTS, 65536)):
        try:
            listener = socket.create_server(("127.0.0.1", port), backlog=128)
        except OSError:
            continue
        with listener:
            yield listener
        return
    raise UsageError(f"no port from {first} on is free", hint="Name another one with --port.")
