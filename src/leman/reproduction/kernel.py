"""Start a kernel of any age as a process that cannot outlive us, and stop it for certain.

Standard library only: the kernel starts up while the runner imports what it talks to it with.
The connection is by sockets in a private folder (transport "ipc"), so it works without network.
Message protocol: https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from leman import sandbox as boxes
from leman.files import remove_tree
from leman.reproduction import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_KEPT_LINES = 200
_OOM_SCORE = 800  # of 1000: the kernel's programs go first when the machine is out of memory


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notebook runs: all paths absolute, `python` the environment's own.

    `home` is what the private home starts as; None: empty, and in memory. With `inline` figures
    are shown from the first cell on, as ``%matplotlib inline`` does.
    """

    python: Path
    work: Path
    cwd: Path
    level: boxes.Level
    network: bool
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    home: Path | None = None
    memory_files: int = 0
    aliases: tuple[tuple[Path, Path], ...] = ()
    inline: bool = False


@dataclass(slots=True)
class Kernel:
    """A started kernel. `first` is the process whose end ends all others (level sandbox)."""

    process: subprocess.Popen[bytes]
    folder: Path
    connection: dict[str, Any]
    place: Place
    group: processes.Group
    tasks: int
    first: int
    said: collections.deque[bytes]
    reader: threading.Thread

    def alive(self) -> bool:
        """Tell whether the kernel's process, or the sandbox around it, still runs."""
        return self.process.poll() is None

    def memory_files(self) -> list[Path]:
        """Return the kernel's file systems that live in memory, as this process can see them."""
        names = [] if self.place.level == "none" else ["tmp", "dev/shm"]
        if self.place.level == "sandbox" and self.place.home is None:
            names.append(str(boxes.HOME).lstrip("/"))
        return [Path(f"/proc/{self.first}/root", name) for name in names]

    def interrupt(self) -> None:
        """Send the kernel what Ctrl-C would."""
        target = self.process.pid
        if self.place.level == "sandbox":
            inside = [pid for pid, parent in processes.parents().items() if parent == self.first]
            if not inside:
                return
            target = min(inside)
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGINT)

    def kill(self) -> None:
        """End the kernel and everything that it started, at once; safe to call twice."""
        if self.place.level == "sandbox" and self.alive():
            # The end of a namespace's first process is the end of all in it, whatever they do.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        if self.place.level == "none":
            processes.kill_all(self.group)

    def end(self) -> int:
        """Kill, reap, remove the private folder; return the exit code (negative: signal)."""
        self.kill()
        code = self.process.wait()
        processes.reap()
        self.reader.join(timeout=1)
        self.group.remove()
        forget(self.folder)
        return code if code <= 128 else 128 - code

    def words(self) -> str:
        """Return the end of what the kernel's process wrote to its own stdout and stderr."""
        return b"".join(self.said).decode(errors="replace").strip()


def start(place: Place, *, processes_limit: int) -> Kernel:
    """Start `python -m ipykernel_launcher` as `place` says.

    Raises OSError where a process cannot be started and IsolationError where a sandbox cannot.
    """
    folder = Path(tempfile.mkdtemp(prefix="leman-", dir=_short_folder()))
    try:
        connection = _connection(folder)
        connection_file = _write_private(folder / "k.json", json.dumps(connection))
        if place.home:
            # Links stay links: what they name counts inside the sandbox, never outside.
            shutil.copytree(place.home, folder / "home", symlinks=True)
        argv = _kernel_argv(place, connection_file)
        group = processes.Group.make(processes_limit)
        adopt_orphans()
        with group.entered(), _first_to_go():
            process, first = _spawn(place, folder, argv)
    except BaseException:
        forget(folder)
        raise
    said: collections.deque[bytes] = collections.deque(maxlen=_KEPT_LINES)
    assert process.stdout is not None  # noqa: S101 - opened as a pipe
    reader = threading.Thread(target=_keep_end, args=(process.stdout, said), daemon=True)
    reader.start()
    return Kernel(process, folder, connection, place, group, processes_limit, first, said, reader)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended, so that none is lost from sight."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def forget(folder: Path) -> None:
    """Remove a kernel's private folder, also what a notebook made hard to remove."""
    with contextlib.suppress(OSError):
        remove_tree(folder)


def listening(kernel: Kernel) -> bool:
    """Tell whether the kernel has opened the sockets that requests and outputs go through."""
    return all(Path(f"{kernel.folder}/s-{port}").exists() for port in (1, 2))


def _short_folder() -> str | None:
    # A Unix socket's path holds 107 bytes: TMPDIR may be too deep, /tmp never is.
    return "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108 - mkdtemp, mode 0700


def _connection(folder: Path) -> dict[str, Any]:
    """Return how a kernel is talked to; its file is the kernel's, which may write it anew."""
    return {
        "transport": "ipc",
        "ip": str(folder / "s"),
        "key": secrets.token_hex(32),
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
        **{name: number for number, name in enumerate(PORTS, start=1)},
    }


def _write_private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def _kernel_argv(place: Place, connection_file: Path) -> list[str]:
    # ipykernel before 4.6 has no launcher module.
    packages = sorted(place.python.parent.parent.glob("lib/python3*/site-packages/ipykernel"))
    old = packages and not packages[0].with_name("ipykernel_launcher.py").exists()
    module = "ipykernel" if old else "ipykernel_launcher"
    history = "--HistoryManager.hist_file=:memory:"
    figures = ["--matplotlib=inline"] if place.inline else []
    return [str(place.python), "-m", module, "-f", str(connection_file), history, *figures]


def _spawn(place: Place, folder: Path, argv: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    if place.level == "none":
        process = subprocess.Popen(
            argv,
            cwd=place.cwd,
            env=_own_variables(place, folder),
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one thread runs at this time
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return process, process.pid
    box = boxes.Sandbox(
        cwd=place.cwd,
        writable=(place.work, folder),
        readable=(*boxes.interpreter_folders(place.python), *place.readable),
        hidden=place.hidden,
        network=place.network,
        environment=_variables(place),
        home=folder / "home" if place.home else None,
        memory_files=place.memory_files,
        aliases=place.aliases,
    )
    read, write = os.pipe()
    with os.fdopen(read, "rb") as info:
        try:
            process = subprocess.Popen(
                boxes.command(box, argv, info_fd=write),
                pass_fds=(write,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.close(write)
        return process, _child_pid(info.read(), process)


def _child_pid(info: bytes, process: subprocess.Popen[bytes]) -> int:
    try:
        return int(json.loads(info)["child-pid"])
    except (ValueError, KeyError):
        return process.pid  # bubblewrap itself failed; its words tell why


def _variables(place: Place) -> dict[str, str]:
    """Return what a kernel in a sandbox gets beside HOME and LANG."""
    return {
        "PATH": f"{place.python.parent}:{boxes.SYSTEM_PATH}",
        "PYTHONNOUSERSITE": "1",
        "PYTHONIOENCODING": "utf-8",
        "QT_QPA_PLATFORM": "offscreen",
        "TZ": "UTC",
        **_environment_marks(place.python),
        **place.variables,
    }


def _environment_marks(python: Path) -> dict[str, str]:
    prefix = python.parent.parent
    if (prefix / "conda-meta").is_dir():  # packages such as gdal find their data through it
        return {"CONDA_PREFIX": str(prefix)}
    return {"VIRTUAL_ENV": str(prefix)}


def _own_variables(place: Place, folder: Path) -> dict[str, str]:
    """Return this process's variables without those that would change what the kernel does."""
    dropped = (
        *("PYTHON", "JUPYTER", "JPY", "IPYTHON", "MPLBACKEND", "VIRTUAL_ENV", "CONDA_", "_CE_"),
        "LEMAN_DEPOSIT_TOKEN",  # the user's secret, of no use to a notebook
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    path = f"{place.python.parent}:{kept.get('PATH', boxes.SYSTEM_PATH)}"
    settings = {"IPYTHONDIR": str(folder / "ipython"), "LANG": "C.UTF-8"}
    return {**kept, **settings, **_variables(place), "PATH": path, **place.variables}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG, prctl(2)


@contextlib.contextmanager
def _first_to_go() -> Iterator[None]:
    """Start what is started in here as the first choice of the out-of-memory killer."""
    own = Path("/proc/self/oom_score_adj")
    try:
        before = own.read_text()
        own.write_text(str(max(_OOM_SCORE, int(before))))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            own.write_text(before)


def _keep_end(stream: IO[bytes], said: collections.deque[bytes]) -> None:
    """Read all, so that the writer never waits, and keep the last lines, each cut short."""
    with stream:
        while True:
            line = stream.readline(4096)
            if not line:
                return
            said.append(line)


def wait_listening(kernel: Kernel, seconds: float) -> bool:
    """Wait until the kernel has opened its sockets; False if it ends or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if listening(kernel):
            if kernel.place.level == "sandbox":  # before the first line of foreign code
                processes.bound_tasks(processes.descendants(os.getpid()), kernel.tasks)
            return True
        if not kernel.alive():
            return False
        time.sleep(0.01)
    return False
