"""Run one notebook in an environment, kept apart from this machine, within limits.

The work is done by a child process (`runner`), which starts the kernel in a sandbox and talks to
it. This side imports nothing heavy, never waits without an end, and leaves no process behind:
when it dies, the child's life line ends, and with the child everything that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from leman import sandbox
from leman.reproduction import processes
from leman.reproduction.model import Execution, Failure, Isolation, Limits, Reason

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STARTUP = 150.0  # seconds beside the cells' own: the kernel's start, reading and writing
_STOPPING = 8.0  # seconds that the child gets to write what it has
_TICK = 0.25  # seconds between looks at whether to stop
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class HasPython(Protocol):
    """An environment, as far as running goes."""

    @property
    def executable(self) -> Path:
        """The environment's own Python."""
        ...


def unheard(_done: int, _total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else a notebook may see: folders to read, folders to hide, variables to find.

    `home` is a folder whose content each private home starts with (see `warm`). `aliases` are
    (absolute path, what the sandbox shows there): folders of the author's computer. With `inline`
    matplotlib's figures are shown from the first cell on.
    """

    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    home: Path | None = None
    aliases: tuple[tuple[str, Path], ...] = ()
    inline: bool = False


def isolate(wanted: str = "auto", *, network: bool = True) -> Isolation:
    """Return the isolation that this machine gives to ``sandbox``, ``none`` or ``auto``.

    Raises IsolationError where ``sandbox`` is wanted and cannot be had. Without a sandbox the
    network cannot be taken away: `network` is True then, whatever was asked for.
    """
    level = sandbox.choose(wanted)
    if level == "sandbox":
        origin = sandbox.probe().origin
        reach = "with network" if network else "without network"
        return Isolation(level, network, f"bubblewrap sandbox ({origin}), {reach}")
    reason = "as asked for" if wanted == "none" else sandbox.probe().reason
    return Isolation(level, True, f"no isolation: {reason}")


def execute(  # noqa: PLR0913 - one run needs all of these, and each name says what it is
    notebook: Path,
    *,
    out: Path,
    environment: HasPython,
    work: Path,
    limits: Limits,
    isolation: Isolation,
    surroundings: Surroundings | None = None,
    on_cell: Callable[[int, int], None] = unheard,
    stop: threading.Event | None = None,
) -> Execution:
    """Run `notebook`, write the executed one to `out` (also if it failed), tell how it went.

    `work` is the folder that the notebook may change; the notebook lies in it and runs in its own
    folder. `limits.seconds` counts from the first cell. `on_cell` is called with the number of
    cells done and of cells to do. `stop`, once set, ends the run with reason ``interrupted``.
    KeyboardInterrupt ends it too and passes on. A cell may raise where its stored output is an
    error or its tag says so; cells tagged ``nbval-skip`` or ``leman:skip`` do not run and have no
    outputs in `out`. No file is written where `notebook` is none.
    """
    around = surroundings or Surroundings()
    request = {
        "notebook": str(notebook.resolve()),
        "out": str(out.absolute()),
        "python": str(environment.executable.absolute()),
        "work": str(work.resolve()),
        "level": isolation.level,
        "network": isolation.network,
        "limits": asdict(limits),
        "variables": dict(around.variables),
        "home": str(around.home.absolute()) if around.home else "",
        "readable": [str(path.absolute()) for path in around.readable],
        "hidden": [str(path.absolute()) for path in around.hidden],
        "aliases": [[alias, str(target.absolute())] for alias, target in around.aliases],
        "inline": around.inline,
    }
    until = time.monotonic() + limits.seconds + _STARTUP
    with tempfile.TemporaryFile() as said, _runner(said) as child:
        heard = _Heard()
        _send(child, request)
        try:
            for event in _events(child, until, stop):
                heard.take(event, on_cell)
        finally:
            _end(child, heard)
        return heard.execution(out, _tail(said))


@dataclass(slots=True)
class _Heard:
    """What a runner has told so far."""

    kernel: int = 0
    folder: str = ""
    end: dict[str, Any] | None = None
    late: bool = False
    stopped: bool = False

    def take(self, event: dict[str, Any], on_cell: Callable[[int, int], None]) -> None:
        if "kernel" in event:
            self.kernel, self.folder = int(event["kernel"]), event["folder"]
        elif "end" in event:
            self.end = event["end"]
        elif "done" in event:
            on_cell(int(event["done"]), int(event["total"]))
        self.late = self.late or "late" in event
        self.stopped = self.stopped or "stop" in event

    def execution(self, out: Path, said: str) -> Execution:
        if self.end is not None:
            told = self.end["failure"]
            failure = _failure(told) if told else None
            return Execution(out, float(self.end["seconds"]), failure, int(self.end["peak"]))
        if self.stopped:
            return Execution(out, 0.0, Failure(Reason.INTERRUPTED, "Interrupted", "stopped"))
        if self.late:
            text = "the runner did not end in time and was killed"
            return Execution(out, 0.0, Failure(Reason.TIMEOUT, "RunnerHung", text, said))
        last = said.splitlines()[-1] if said else "it was killed"
        text = f"leman's runner ended unexpectedly: {last}"
        return Execution(out, 0.0, Failure(Reason.INTERRUPTED, "RunnerDied", text, said))


def _failure(told: dict[str, Any]) -> Failure:
    name, text, trace = (_ANSI.sub("", told[key]) for key in ("name", "text", "traceback"))
    reason = Reason(told["reason"]) if told["reason"] else None
    if reason is None:
        source, context = told["source"], _ANSI.sub("", told["context"])
        from leman.reproduction.taxonomy import classify  # noqa: PLC0415 - slow to load

        reason = classify(name, text, traceback=trace, source=source, context=context)
    return Failure(reason, name, text, trace, int(told["cell"]))


@contextlib.contextmanager
def _runner(said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: the terminal's Ctrl-C reaches us alone, and we end the child in order.
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "leman.reproduction.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
    )
    with child:
        yield child


def _send(child: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert child.stdin is not None  # noqa: S101 - opened as a pipe
    with contextlib.suppress(BrokenPipeError):  # a runner that died at once: told at the end
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()


def _events(
    child: subprocess.Popen[bytes], until: float, stop: threading.Event | None
) -> Iterator[dict[str, Any]]:
    """Yield a runner's events until its output ends, it is late, or `stop` is set."""
    assert child.stdout is not None  # noqa: S101 - opened as a pipe
    left = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if stop is not None and stop.is_set():
                _hang_up(child)
                until, stop = min(until, time.monotonic() + _STOPPING), None
                yield {"stop": True}
            if time.monotonic() > until:
                yield {"late": True}
                return
            if not selector.select(_TICK):
                continue
            part = os.read(child.stdout.fileno(), 65536)
            if not part:
                return
            *lines, left = (left + part).split(b"\n")
            for line in lines:
                yield json.loads(line)


def _hang_up(child: subprocess.Popen[bytes]) -> None:
    """Close the life line: the runner ends its kernel, writes what it has, and ends."""
    assert child.stdin is not None  # noqa: S101 - opened as a pipe
    with contextlib.suppress(OSError):
        child.stdin.close()


def _end(child: subprocess.Popen[bytes], heard: _Heard) -> None:
    _hang_up(child)
    try:
        child.wait(0 if heard.late else _STOPPING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    finally:
        if heard.end is None and heard.kernel:
            processes.clean_up_after(child.pid, heard.kernel)
            shutil.rmtree(heard.folder, ignore_errors=True)


def _tail(said: IO[bytes]) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - 8000))
    return said.read().decode(errors="replace").strip()
