"""What the tests of `launch` share: running JupyterLabs, and how to talk to their kernels."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import websocket
from launch_samples import environment_at

from leman.reproduction.launch import Kernel, launch
from leman.reproduction.run import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.model import Environment

# Runs in a process of its own, so that signals can be sent to it.
PROGRAM = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.path.insert(0, {tests!r})
from pathlib import Path
from launch_samples import environment_at
from leman.reproduction.launch import Kernel, launch
from leman.reproduction.run import isolate
kernels = [Kernel(environment_at(Path({environment!r})))]
ready = lambda url: print(url, flush=True)
isolation = isolate({level!r})
sys.exit(launch(kernels, Path({root!r}), isolation=isolation, on_ready=ready))
"""


def borrowing_environment(path: Path) -> Environment:
    """Make an environment of its own prefix that finds ipykernel where these tests have it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    (site,) = path.glob("lib/python*/site-packages")
    packages = [one for one in sys.path if one.endswith("site-packages")]
    (site / "packages.pth").write_text("\n".join(packages))
    return environment_at(path)


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    root: Path
    environment: Environment
    private: Path
    taken_port: int = 0

    @property
    def base(self) -> str:
        return self.url.partition("/lab")[0]

    @property
    def token(self) -> str:
        return self.url.rpartition("token=")[2]

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.base, headers=headers, timeout=60, trust_env=False)


@contextlib.contextmanager
def running(kernels: list[Kernel], root: Path, **options: Any) -> Iterator[str]:
    """Launch in a thread; give the address; stop it in the end as JupyterLab's menu does."""
    ready: queue.Queue[str | BaseException] = queue.Queue()
    codes: list[int] = []
    given = {"isolation": isolate("sandbox"), **options}

    def run() -> None:
        try:
            codes.append(launch(kernels, root, on_ready=ready.put, **given))
        except BaseException as error:  # noqa: BLE001 - told to the test
            ready.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    url = ready.get(timeout=120)
    if isinstance(url, BaseException):
        raise url
    try:
        yield url
    finally:
        base, token = url.partition("/lab")[0], url.rpartition("token=")[2]
        header = {"Authorization": f"token {token}"}
        httpx.post(f"{base}/api/shutdown", headers=header, timeout=60, trust_env=False)
        thread.join(60)
    assert codes == [0]


def run_code(lab: Lab, kernel_id: str, code: str) -> str:
    """Run code in a kernel through the server's websocket; return what it printed."""
    printed, reply = answer(lab, kernel_id, code)
    assert reply["status"] == "ok", reply
    return printed


def answer(lab: Lab, kernel_id: str, code: str) -> tuple[str, dict[str, Any]]:
    """Run code in a kernel; return what it printed and the content of its reply."""
    address = f"{lab.base.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels"
    connection = websocket.create_connection(
        address, header=[f"Authorization: token {lab.token}"], timeout=60
    )
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "",
        "version": "5.3",
        "date": "",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    connection.send(json.dumps({**message, "channel": "shell"}))
    printed, reply = "", {}
    waiting = {"execute_reply", "idle"}  # they come in either order
    with contextlib.closing(connection):
        while waiting:
            heard = json.loads(connection.recv())
            if heard["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if heard["msg_type"] == "stream":
                printed += heard["content"]["text"]
            if heard["msg_type"] == "execute_reply":
                reply = heard["content"]
            waiting -= {heard["msg_type"], heard["content"].get("execution_state")}
    return printed, reply


@contextlib.contextmanager
def program(
    environment: Environment, root: Path, home: Path, level: str
) -> Iterator[tuple[subprocess.Popen[str], Lab]]:
    """Run `launch` in a process of its own, whose home and temporary folder are `home`."""
    code = PROGRAM.format(
        tests=str(Path(__file__).parent),
        environment=str(environment.path),
        root=str(root),
        level=level,
    )
    variables = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=variables
    ) as process:
        assert process.stdout
        try:
            yield process, Lab(process.stdout.readline().strip(), root, environment, home)
        finally:
            process.kill()
