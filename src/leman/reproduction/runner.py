"""The child process that runs one notebook: `python -m leman.reproduction.runner`.

It reads one line of JSON (a Request) from its standard input, which then stays open as a life
line: its end means that the parent is gone or wants to stop. It writes events to its standard
output, one line of JSON each: ``{"kernel": pid, "folder": path}``, ``{"done": cells, "total":
cells}`` and last ``{"end": {...}}``. It is trusted; the kernel is not, and runs in a sandbox where
one was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from leman.reproduction import ending
from leman.reproduction import kernel as kernels
from leman.reproduction.model import Limits
from leman.reproduction.watch import machine_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.conversation import Conversation
    from leman.reproduction.ending import Ending
    from leman.sandbox import Level


@dataclass(frozen=True, slots=True)
class Request:
    """What to run; paths are absolute strings so that it passes as JSON."""

    notebook: str
    out: str
    python: str
    work: str
    level: Level
    network: bool
    limits: dict[str, Any]
    variables: dict[str, str]
    readable: list[str]
    hidden: list[str]
    home: str = ""
    aliases: list[list[str]] = field(default_factory=list)
    inline: bool = False


@dataclass(slots=True)
class Run:
    """The running of one notebook, from its start to what is told of it."""

    request: Request
    limits: Limits
    tell: Callable[[dict[str, Any]], None]
    seconds: float = 0.0
    peak: int = 0
    stopped: bool = False
    kernel: kernels.Kernel | None = None

    def whole(self) -> Ending | None:
        """Run the notebook and write it; return None if it ran to its end."""
        try:
            text = Path(self.request.notebook).read_text(encoding="utf-8-sig")
            json.loads(text)
        except (ValueError, RecursionError) as error:
            return ending.no_notebook(type(error).__name__, str(error))
        if self.stopped:
            return ending.interrupted()
        self.kernel = kernels.start(self._place(), processes_limit=self.limits.processes)
        self.tell({"kernel": self.kernel.process.pid, "folder": str(self.kernel.folder)})
        try:
            return ending.interrupted() if self.stopped else self._talk(text)
        finally:
            self.kernel.end()

    def stop(self) -> None:
        """End the run from another thread: the parent is gone or has had enough."""
        self.stopped = True
        if self.kernel:
            self.kernel.kill()

    def _talk(self, text: str) -> Ending | None:
        assert self.kernel is not None  # noqa: S101 - started by whole()
        talk = _conversation()(
            kernel=self.kernel,
            limits=self.limits,
            work=Path(self.request.work),
            out=Path(self.request.out),
            stopped=lambda: self.stopped,
            progress=lambda done, total: self.tell({"done": done, "total": total}),
        )
        try:
            return talk.hold(text)
        finally:
            self.seconds, self.peak = talk.seconds, talk.peak

    def _place(self) -> kernels.Place:
        memory = self.limits.memory or machine_memory() * 3 // 4
        return kernels.Place(
            python=Path(self.request.python),
            work=Path(self.request.work),
            cwd=Path(self.request.notebook).parent,
            level=self.request.level,
            network=self.request.network,
            readable=tuple(map(Path, self.request.readable)),
            hidden=tuple(map(Path, self.request.hidden)),
            variables=self.request.variables,
            home=Path(self.request.home) if self.request.home else None,
            memory_files=memory // 2,
            aliases=tuple((Path(one), Path(to)) for one, to in self.request.aliases),
            inline=self.request.inline,
        )


def main() -> None:
    """Serve the one request on standard input."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints goes where errors go
    lock = threading.Lock()

    def tell(event: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError, ValueError):
            events.write(json.dumps(event) + "\n")
            events.flush()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, through the life line
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = Request(**json.loads(_first_line()))
    run = Run(request, Limits(**request.limits), tell)
    threading.Thread(target=_hold_life_line, args=(run,), daemon=True).start()
    end = run.whole()
    failure = asdict(end) if end else None
    tell({"end": {"failure": failure, "seconds": run.seconds, "peak": run.peak}})


def _first_line() -> bytes:
    # Byte by byte from the descriptor: a buffer would hide the life line's end.
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            break
        line += part
    return bytes(line)


def _hold_life_line(run: Run) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    run.stop()
    time.sleep(10)  # enough to write the notebook; a hang must not leave a process behind
    if run.kernel:
        run.kernel.end()
    os._exit(3)


def _conversation() -> type[Conversation]:
    # jsonschema looks for checkers of formats that notebooks do not have; one builds a grammar
    # for more than a second. None makes an import fail, which it expects.
    for name in ("rfc3987_syntax", "isoduration", "fqdn"):
        cast("dict[str, Any]", sys.modules).setdefault(name, None)
    from leman.reproduction.conversation import (  # noqa: PLC0415 - heavy: the kernel starts first
        Conversation,
    )

    return Conversation


if __name__ == "__main__":
    main()
