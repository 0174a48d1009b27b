"""Watch a kernel's memory, processes and disk, and end it in the moment that it takes too much."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leman.reproduction import processes
from leman.reproduction.model import Limits, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.kernel import Kernel

_INTERVAL = 0.2  # seconds between looks; one look costs about 1 ms per 40 processes
_DISK_FLOOR = 256 * 1024**2  # bytes that a notebook must leave free
_HELPERS = 2  # bubblewrap itself, outside and inside
_OWN_SHARE = 512 * 1024**2  # bytes beside six copies of the outputs that talking may take


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that was passed, in words."""

    reason: Reason
    name: str
    text: str


@dataclass(slots=True)
class Watch:
    """A thread that looks at a kernel until it ends; `ended` is called then, from the thread.

    `peak` is the most memory seen, in bytes; `breach` says why the watch ended the kernel, if
    it did.
    """

    kernel: Kernel
    limits: Limits
    work: Path
    ended: Callable[[], None]
    peak: int = 0
    breach: Breach | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _free: int = 0
    _memory: int = 0

    def start(self) -> None:
        """Begin to look."""
        self._free = self._left()
        self._memory = self.limits.memory or machine_memory() * 3 // 4
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)

    def _look_on(self) -> None:
        interval = _INTERVAL / 8  # at first closely: nothing is known of this notebook yet
        while not self._stop.wait(interval):
            interval = min(_INTERVAL, interval * 1.2)
            if not self.kernel.alive():
                self.ended()
                return
            try:
                self.breach = self._look()
            except Exception as error:  # noqa: BLE001 - a run that nobody watches must not go on
                self.breach = Breach(Reason.OTHER, "WatchFailed", repr(error))
            if self.breach:
                self.kernel.kill()
                self.ended()
                return

    def _look(self) -> Breach | None:
        family = processes.descendants(os.getpid())
        return self._processes(family) or self._used_memory(family) or self._disk() or self._self()

    def _processes(self, family: set[int]) -> Breach | None:
        limit = self.limits.processes
        if len(family) <= limit + _HELPERS and not self.kernel.group.full():
            return None
        text = f"the notebook started more than {limit} processes"
        return Breach(Reason.PROCESSES, "TooManyProcesses", text)

    def _used_memory(self, family: set[int]) -> Breach | None:
        files = sum(map(_used, self.kernel.memory_files()))
        used = files + sum(map(processes.private_memory, family))
        if used > self._memory:
            # Pages shared since a fork were counted once a process: count again, fairly. That is
            # slow while processes fork, because both want the same lock: look who is there.
            used, looked = files, time.monotonic()
            for pid in family:
                used += processes.fair_memory(pid)
                if time.monotonic() - looked > _INTERVAL:
                    breach = self._processes(processes.descendants(os.getpid()))
                    if breach:
                        return breach
                    looked = time.monotonic()
                if used > self._memory:
                    break
        self.peak = max(self.peak, used)
        if used <= self._memory:
            return None
        text = f"the notebook used {_size(used)} of memory, more than its limit of"
        return Breach(Reason.MEMORY, "MemoryLimit", f"{text} {_size(self._memory)}")

    def _disk(self) -> Breach | None:
        free = self._left()
        if free >= _DISK_FLOOR or self._free - free < _DISK_FLOOR:
            return None
        text = f"the notebook filled the disk: {_size(free)} are left"
        return Breach(Reason.OTHER, "DiskFull", text)

    def _left(self) -> int:
        return min(_free(self.work), _free(self.kernel.folder))

    def _self(self) -> Breach | None:
        """Bound what a kernel that floods us with messages makes this process hold."""
        if processes.private_memory(os.getpid()) < 6 * self.limits.output + _OWN_SHARE:
            return None
        return output_breach(self.limits)


def output_breach(limits: Limits) -> Breach:
    """Say that the outputs' limit was passed."""
    text = f"the notebook's outputs are larger than {_size(limits.output)}"
    return Breach(Reason.OUTPUT_LIMIT, "TooMuchOutput", text)


def machine_memory() -> int:
    """Return this machine's memory in bytes, or its container's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path("/sys/fs/cgroup", name).read_text()))
    return total


def _free(path: Path) -> int:
    try:
        info = os.statvfs(path)
    except OSError:
        return 2**63
    return info.f_bavail * info.f_frsize


def _used(path: Path) -> int:
    with contextlib.suppress(OSError):
        info = os.statvfs(path)
        return (info.f_blocks - info.f_bfree) * info.f_frsize
    return 0


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
