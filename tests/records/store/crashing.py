"""Run a piece of work on a keep and kill the process with SIGKILL at its n-th change of the disk.

As a program: ``crashing.py HOME STEP repair`` or ``crashing.py HOME STEP add RECORD``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def crashed(home: Path, step: int, *work: str) -> bool:
    """Do the work in a process of its own; return whether it was killed before its end."""
    command = [sys.executable, __file__, str(home), str(step), *work]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, -signal.SIGKILL}:
        raise RuntimeError(done.stderr)
    return done.returncode != 0


def _kill_at(step: int) -> None:
    left = step

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        flags = arguments[2] if event == "open" else 0
        if event in CHANGES or (event == "open" and isinstance(flags, int) and flags & _WRITING):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def _main() -> None:
    from leman.records.store.add import add  # noqa: PLC0415 - before the hook counts
    from leman.records.store.keep import opened  # noqa: PLC0415
    from leman.records.store.repair import repair  # noqa: PLC0415

    home, step, work = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _kill_at(step)
    with opened(home) as keep:
        if work == "repair":
            repair(keep)
        else:
            add(keep, Path(sys.argv[4]))


if __name__ == "__main__":
    _main()
