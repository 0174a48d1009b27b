"""Who uses an environment: a lock that ends with its process, however that ends.

The lock is flock(2) on the marker ``.<name>.used`` beside the environment's folder; the marker's
time is when the environment was last used.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLDS: dict[Path, int] = {}


def hold(path: Path) -> None:
    """Keep the environment at `path` from being pruned until this process ends, however it ends.

    Also notes the time, by which `leman env prune` goes.
    """
    marker = path.parent / f".{path.name}.used"
    with contextlib.suppress(OSError):  # a shared folder that is read-only: nobody prunes it
        if path in _HOLDS and os.fstat(_HOLDS[path]).st_nlink == 0:
            os.close(_HOLDS.pop(path))  # it was pruned meanwhile by this process itself
        if path not in _HOLDS:
            handle = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(handle, fcntl.LOCK_SH)
            _HOLDS[path] = handle
        os.utime(marker)


def let_go(path: Path) -> None:
    """Allow again that the environment at `path` is pruned."""
    if path in _HOLDS:
        os.close(_HOLDS.pop(path))


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Give True where no process holds an environment; none can take it up until the end."""
    marker = path.parent / f".{path.name}.used"
    if not marker.exists():
        marker.touch()
        os.utime(marker, (path.stat().st_atime, path.stat().st_mtime))  # looking is not using
    handle = os.open(marker, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
