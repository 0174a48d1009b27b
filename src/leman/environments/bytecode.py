"""Import once what notebooks import, so that its bytecode is there for every later run."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECONDS = 180
_SCRIPT = "warm.py"


def warm_command(
    environment: Path, wrap: Callable[[list[str], tuple[Path, ...]], list[str]]
) -> list[str]:
    """Return the command that `warm` needs, with `wrap` (a sandbox) around it."""
    return wrap([str(environment / "bin" / "python"), str(environment / _SCRIPT)], (environment,))


def warm(environment: Path, imports: tuple[str, ...], command: list[str]) -> None:
    """Import `imports` and the kernel in a writable `environment` by `command`; what fails stays.

    Runs code of packages: `command` is made by `warm_command`, in a sandbox where there is one.
    """
    if not imports:
        return
    lines = ["import importlib"]
    for module in ("ipykernel.kernelapp", *imports):
        lines += ["try:", f"    importlib.import_module({module!r})"]
        lines += ["except BaseException:", "    pass"]
    script = environment / _SCRIPT
    script.write_text("\n".join(lines))
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        subprocess.run(
            command,
            cwd=environment,
            env={"PATH": os.defpath, "HOME": str(environment), "MPLBACKEND": "agg"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    script.unlink(missing_ok=True)
