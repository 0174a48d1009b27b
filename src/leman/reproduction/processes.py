"""Look at and end whole families of processes, quickly, also while they multiply.

Facts come from /proc (proc(5)). Where this process may make control groups (version 1 as root,
version 2 below a delegated slice) a group of its own bounds the number of tasks, so that a fork
bomb is harmless from its first moment; elsewhere the caller's watch must end it.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TASKS_PER_CPU = 64  # numeric libraries start a thread a CPU, in each process


def parents() -> dict[int, int]:
    """Return the parent of every process that can be seen; ends quietly where there is no /proc."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - hot: thousands of names
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    stat = Path("/proc", name, "stat").read_bytes()
                    # the second field is the program's name, which may hold anything
                    found[int(name)] = int(stat[stat.rindex(b")") + 2 :].split(None, 2)[1])
    return found


def descendants(root: int) -> set[int]:
    """Return all processes below `root`, without itself."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    left = [root]
    while left:
        new = children.get(left.pop(), ())
        left.extend(new)
        found.update(new)
    found.discard(root)
    return found


def private_memory(pid: int) -> int:
    """Return resident bytes without file pages, from statm; pages shared after a fork count."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
        return max(0, int(fields[1]) - int(fields[2])) * _PAGE
    return 0


def fair_memory(pid: int) -> int:
    """Return anonymous memory with pages shared between processes divided among them (PSS)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return private_memory(pid)
    values = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in text.splitlines()[1:]
        if line.endswith("kB")
    }
    return values.get("Pss_Anon", values.get("Pss", 0))


def bound_tasks(pids: set[int], limit: int) -> None:
    """Set RLIMIT_NPROC of processes in a user namespace of their own; their children inherit it.

    Since Linux 5.14 it counts the tasks of that namespace alone; before, those of the user on the
    whole machine, so that no number would be right. Root's processes are exempt.
    """
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release is None or tuple(map(int, release.groups())) < (5, 14):
        return
    most = _tasks(limit)
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.prlimit(pid, resource.RLIMIT_NPROC, (most, most))


def kill_all(group: Group) -> None:
    """Kill every descendant of this process: stopped first, so that none can multiply meanwhile."""
    for _ in range(50):
        left = descendants(os.getpid()) | set(group.members())
        left.discard(os.getpid())
        left = {pid for pid in left if not _is_zombie(pid)}
        if not left:
            return
        for sign in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, sign)
        time.sleep(0.01)


def clean_up_after(pid: int, session: int) -> None:
    """End what a runner that died had started without a sandbox, and remove its group."""
    group = Group.left_by(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
    for member in group.members():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)
    group.remove()


def reap() -> None:
    """Take the exit codes of ended children that nobody else waits for."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat[stat.rindex(b")") + 2 :][:1] in b"ZX"


@dataclass(frozen=True, slots=True)
class Group:
    """A control group that bounds tasks; `folder` None where none could be made."""

    folder: Path | None
    outside: Path | None = None  # the group that this process is in

    @classmethod
    def make(cls, processes: int) -> Group:
        """Make a group for `processes` processes and their threads, or one that does nothing."""
        for parent, outside in _candidates():
            _sweep(parent)
            folder = parent / f"leman-{os.getpid()}"
            try:
                folder.mkdir(exist_ok=True)
                (folder / "pids.max").write_text(str(_tasks(processes)))
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                continue
            return cls(folder, outside)
        return cls(None)

    @classmethod
    def left_by(cls, pid: int) -> Group:
        """Return the group of a process that died and could not remove it."""
        folders = (parent / f"leman-{pid}" for parent, _ in _candidates())
        return cls(next((folder for folder in folders if folder.is_dir()), None))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Start what is started in here inside the group."""
        if self.folder is None or self.outside is None:
            yield
            return
        with contextlib.suppress(OSError):
            _move(self.folder)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                _move(self.outside)

    def full(self) -> bool:
        """Tell whether a process was refused because the group was full."""
        if self.folder is None:
            return False
        try:
            return "max 0" not in (self.folder / "pids.events").read_text()
        except OSError:
            return False

    def members(self) -> list[int]:
        """Return the processes in the group."""
        if self.folder is None:
            return []
        try:
            return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]
        except (OSError, ValueError):
            return []

    def remove(self) -> None:
        """Remove the group once its last process is gone; waits a moment for that."""
        for _ in range(50):
            if self.folder is None or not self.folder.is_dir():
                return
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.02)


def _tasks(processes: int) -> int:
    return processes + _TASKS_PER_CPU * (os.cpu_count() or 1)


def _sweep(parent: Path) -> None:
    """Remove empty groups of processes that are gone."""
    for folder in parent.glob("leman-*"):
        if not Path("/proc", folder.name.removeprefix("leman-")).exists():
            with contextlib.suppress(OSError):  # not empty: somebody else still cleans up
                folder.rmdir()


def _move(folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(os.getpid()))


def _candidates() -> Iterator[tuple[Path, Path]]:
    """Yield (folder to make a group in, group that we are in), from /proc/self/cgroup."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            own = _CGROUPS / "pids" / path.lstrip("/")
            yield own, own
        elif number == "0" and not controllers:
            # Version 2 allows no processes in a group that has groups: make a sibling.
            own = _CGROUPS / path.lstrip("/")
            with contextlib.suppress(OSError):
                if (
                    own != _CGROUPS
                    and "pids" in (own.parent / "cgroup.subtree_control").read_text()
                ):
                    yield own.parent, own
