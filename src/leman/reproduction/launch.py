"""A repository's notebooks in JupyterLab, each with the kernel of its own environment.

JupyterLab runs from leman's environment, the kernels from the repository's. Settings, kernels and
connection files live in a private folder that is removed at the end: the user's own Jupyter
settings neither disturb nor are disturbed, and the repository's files stay as their author left
them. The server listens on 127.0.0.1 and demands a random token, which stands in files of mode
0600 alone, neither in arguments nor in variables nor in a log. Server and kernels run in one
sandbox (see `enclosure`), or with the user's own rights where none is asked for.
"""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlsplit

import psutil

from leman import sandbox
from leman.errors import LemanError, ToolError, UsageError
from leman.files import remove_tree, write_atomic, write_json
from leman.reproduction import enclosure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from leman.environments.model import Environment
    from leman.reproduction.model import Isolation

_FIRST_PORT = 8888
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0
_MODULES = "leman.reproduction.kernels"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One environment to offer, and the notebooks (POSIX paths below the root) that are its own."""

    environment: Environment
    label: str = ""
    notebooks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name under which Jupyter knows it."""
        return f"leman-{self.environment.digest[:12].lower()}"

    @property
    def title(self) -> str:
        """What JupyterLab's menus call it."""
        built = self.environment
        return self.label or f"Python {built.python.minor} as of {built.cutoff} (leman)"


class _Stop(Exception):  # noqa: N818 - not an error: somebody asked us to end
    """A signal asked to end."""


def _nothing(_url: str) -> None:
    """Tell nobody."""


def launch(  # noqa: PLR0913 - the options of `leman launch`
    kernels: Sequence[Kernel],
    root: Path,
    *,
    isolation: Isolation,
    hidden: tuple[Path, ...] = (),
    port: int = 0,
    open_browser: Callable[[str], object] | None = None,
    notebook: str = "",
    on_ready: Callable[[str], object] = _nothing,
) -> int:
    """Run JupyterLab on `root` until it is stopped there, or by Ctrl-C or SIGTERM; return 0.

    The first of `kernels` serves notebooks that no kernel names as its own. A sandbox shows
    `root`, the environments and nothing else of the user's; `hidden` folders are shown empty where
    they lie in one of these. `port` 0 is the first
    free one from 8888; one in use gives way to the next. `notebook` is opened at the start.
    `on_ready` gets the address with its token as soon as the page answers; then `open_browser`
    gets the address of a local file that leads there, so that no process list shows the token.
    Raises UsageError for a root or notebook that is not there, IsolationError where no sandbox
    can be had or `root` is the whole home, ToolError if JupyterLab fails.
    """
    _check(kernels, root, notebook)
    token = secrets.token_hex(24)
    try:
        with _signals_raise(), _private_folder() as private, _door(isolation, port) as door:
            _write_kernels(private, kernels)
            settings = _settings(kernels, root, port or _FIRST_PORT, token)
            if door:
                settings["ServerApp"] |= {"port": door.getsockname()[1], "port_retries": 0}
            # Sockets in the private folder, where its path is short enough for them: on TCP every
            # user of this machine could read what a kernel prints.
            settings["KernelManager"] = {"transport": "ipc" if len(str(private)) < 40 else "tcp"}
            _write_settings(private, settings)
            argv = _server_argv(private, door)
            if isolation.level == "sandbox":
                enclosure.compile_once(private)
                pythons = [kernel.environment.executable for kernel in kernels]
                box = enclosure.box(root.resolve(), private, pythons, hidden)
                argv = sandbox.command(replace(box, network=isolation.network), argv)
            with _server(argv, private, door) as server:
                url = _ready(server, private, token, notebook)
                on_ready(url)
                _show(private, url, open_browser)
                code = server.wait()
            if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
                _failed(private, f"JupyterLab ended by itself with exit code {code}", token)
    except (_Stop, KeyboardInterrupt):
        pass
    return 0


def _door(
    isolation: Isolation, port: int
) -> contextlib.AbstractContextManager[socket.socket | None]:
    """Open the port here where the server has no network of its own to open one in."""
    if isolation.level != "sandbox" or isolation.network:
        return contextlib.nullcontext()
    return enclosure.door(port or _FIRST_PORT)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="leman-launch-"))  # mode 0700
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            remove_tree(folder)


def _check(kernels: Sequence[Kernel], root: Path, notebook: str) -> None:
    if not kernels:
        raise LemanError(
            "there is no environment to launch",
            hint="`leman run` on the same source says why none could be built.",
        )
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="Name the folder with the notebooks.")
    if notebook:
        place = (root / notebook).resolve()
        if not place.is_relative_to(root.resolve()) or not place.is_file():
            raise UsageError(
                f"there is no file {notebook!r} in {root}",
                hint="Give the notebook's path relative to the source's folder.",
            )


def _write_kernels(private: Path, kernels: Sequence[Kernel]) -> None:
    for kernel in kernels:
        folder = kernel.environment.path
        python = str(kernel.environment.executable)
        argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {
            "argv": argv,
            "display_name": kernel.title,
            "language": "python",
            "metadata": {"debugger": False},
            "env": {
                "PATH": f"{str(folder / 'bin').replace('$', '$$')}:${{PATH}}",
                "VIRTUAL_ENV": str(folder).replace("$", "$$"),
                "PYTHONNOUSERSITE": "1",  # packages in the user's home are not of this environment
            },
        }
        write_json(private / "data/kernels" / kernel.name / "kernel.json", spec)


def _settings(kernels: Sequence[Kernel], root: Path, port: int, token: str) -> dict[str, Any]:
    default = kernels[0].name
    own = {path: kernel.name for kernel in reversed(kernels) for path in kernel.notebooks}
    return {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 100,
            "root_dir": str(root.resolve()),
            "open_browser": False,
            "allow_root": os.geteuid() == 0,  # who runs leman as root means it
            "log_level": "WARN",
            "kernel_spec_manager_class": f"{_MODULES}.LemanKernelSpecManager",
            "contents_manager_class": f"{_MODULES}.LemanContentsManager",
            "jpserver_extensions": {"jupyterlab": True, **dict.fromkeys(_UNUSED, False)},
        },
        "IdentityProvider": {"token": token},
        "LabApp": {
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",  # nothing is installed into leman's environment
        },
        "MappingKernelManager": {"default_kernel_name": default},
        "LemanKernelSpecManager": {
            "default_kernel": default,
            "ensure_native_kernel": False,  # leman's own Python is not the repository's
        },
        "LemanContentsManager": {
            "default_kernel": default,
            "kernels": own,
            "labels": {kernel.name: kernel.title for kernel in kernels},
        },
    }


# Server extensions that come with JupyterLab and cost start-up time for nothing here.
_UNUSED = ("jupyter_lsp", "notebook_shim", "nbclassic", "notebook")
_UNUSED_IN_BROWSER = (
    "@jupyterlab/apputils-extension:announcements",
    "@jupyterlab/lsp-extension",
)


def _write_settings(private: Path, settings: dict[str, Any]) -> None:
    (private / "runtime").mkdir(mode=0o700)
    write_atomic(private / "config/jupyter_server_config.json", json.dumps(settings), mode=0o600)
    write_json(
        private / "config/labconfig/page_config.json",
        {"disabledExtensions": dict.fromkeys(_UNUSED_IN_BROWSER, True)},
    )


def _server_argv(private: Path, door: socket.socket | None) -> list[str]:
    # Neither modules nor settings that lie in the repository are leman's: -P and cwd.
    argv = [sys.executable, "-P", "-m", "leman.reproduction.server", str(private)]
    return [*argv, str(door.fileno())] if door else argv


@contextlib.contextmanager
def _server(
    argv: list[str], private: Path, door: socket.socket | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server; at the end it and everything that it started is gone."""
    with (private / "server.log").open("wb") as log:
        server = subprocess.Popen(
            argv,
            cwd=private,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(door.fileno(),) if door else (),
            start_new_session=True,  # Ctrl-C in the terminal is for us to pass on
        )
    if door:
        door.close()  # who connects after the server's end is refused
    try:
        yield server
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    started = _started_by(server.pid)
    try:
        if server.stdin:
            server.stdin.close()  # it ends then; a signal would end a sandbox before its server
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=_STOP_SECONDS)
    finally:  # also when somebody loses patience and presses Ctrl-C again
        server.kill()
        server.wait()
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(started, timeout=2)


def _started_by(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the session as Ctrl-C does; outside the main thread, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    numbers = (signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)  # once is enough: the end must not be disturbed
        raise _Stop

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ready(server: subprocess.Popen[bytes], private: Path, token: str, notebook: str) -> str:
    """Return the address once the page answers with 200."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if server.poll() is not None:
            _failed(private, f"JupyterLab did not start, exit code {server.returncode}", token)
        if (port := _port(private / "runtime")) and _answers(port, token):
            path = "lab" + (f"/tree/{quote(notebook)}" if notebook else "")
            return f"http://127.0.0.1:{port}/{path}?token={token}"
        if time.monotonic() > deadline:
            _failed(private, f"JupyterLab did not answer within {_START_SECONDS:.0f} s", token)
        time.sleep(0.02)


def _port(runtime: Path) -> int | None:
    for path in runtime.glob("jpserver-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            return urlsplit(str(json.loads(path.read_text())["url"])).port
    return None


def _answers(port: int, token: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
    try:
        connection.request("GET", "/lab", headers={"Authorization": f"token {token}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _show(private: Path, url: str, open_browser: Callable[[str], object] | None) -> None:
    if open_browser is None:
        return
    address = html.escape(url, quote=True)
    page = write_atomic(
        private / "open.html",
        f'<!doctype html><meta charset="utf-8"><title>JupyterLab</title>'
        f'<meta http-equiv="refresh" content="0; url={address}">'
        f'<p><a href="{address}">Open JupyterLab</a></p>\n',
        mode=0o600,
    )
    with contextlib.suppress(OSError):  # a browser that cannot start: the address was told
        open_browser(page.as_uri())


def _failed(private: Path, message: str, token: str) -> NoReturn:
    with contextlib.suppress(OSError):
        words = (private / "server.log").read_bytes()[-8000:].decode(errors="replace")
        raise ToolError(
            message,
            hint="Its own words say why; `python -m jupyterlab --version` shows whether it starts.",
            output=words.replace(token, "<token>").strip(),
        )
    raise ToolError(message)
