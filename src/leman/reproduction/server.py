"""The process that `launch` starts: JupyterLab with private settings, ended with its parent."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from importlib.util import find_spec, module_from_spec
from pathlib import Path

# What is set for leman itself must not reach the notebooks' kernels and terminals.
_OURS = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE"),
    "LEMAN_DEPOSIT_TOKEN",
)
_FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_CONFIG_PATH": "config",  # before what the machine or the environment configures
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "config/lab/user-settings",
    "JUPYTERLAB_WORKSPACES_DIR": "config/lab/workspaces",
}


def main(private: Path, door: int | None = None) -> None:
    """Run JupyterLab with the settings in `private` until told to stop or standard input ends.

    `door` is an inherited descriptor of the socket to serve, instead of one opened here.
    """
    for name in _OURS:
        os.environ.pop(name, None)
    os.environ.pop("JUPYTER_PATH", None)
    os.environ.update({name: str(private / folder) for name, folder in _FOLDERS.items()})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["leman-launch"]
    put_off_grammar()
    # After the folders are set: these modules read them when imported.
    from jupyterlab.labapp import main as lab  # type: ignore[import-untyped]  # noqa: PLC0415

    if door is not None:
        _serve(socket.socket(fileno=door))
    lab()


def put_off_grammar(name: str = "rfc3987_syntax") -> None:
    """Let jsonschema's check of international addresses load its grammar at the first use.

    The package builds some thirty parsers when it is imported, which takes longer than all else
    that the server does until its first page; nothing that JupyterLab validates needs them.
    """
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return  # then jsonschema does without that check
    loader, module = spec.loader, module_from_spec(spec)

    def is_valid_syntax(term: str, value: str) -> bool:
        if module.is_valid_syntax is is_valid_syntax:
            loader.exec_module(module)
        valid: bool = module.is_valid_syntax(term, value)
        return valid

    module.is_valid_syntax = is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[name] = module


def _serve(listener: socket.socket) -> None:
    """Let the web server answer at a socket that is open already, wherever it means to listen."""
    from tornado.httpserver import HTTPServer  # noqa: PLC0415 - after the folders are set

    def listen(server: HTTPServer, *_address: object, **_options: object) -> None:
        server.add_socket(listener)

    listener.setblocking(False)
    HTTPServer.listen = listen  # type: ignore[assignment, method-assign]


def _end_with_parent() -> None:
    """Wait until the other end of standard input closes, however the parent ended."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
