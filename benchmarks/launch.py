"""Warm `leman launch` to the first page (HTTP 200), against bare `jupyter lab`.

Both run JupyterLab from the same environment, leman's own, and serve the example project.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.measuring import Clock, machine, verdict, write

if TYPE_CHECKING:
    from collections.abc import Iterator

LEMAN = str(Path(sys.executable).with_name("leman"))
EXAMPLE = Path(__file__).parents[1] / "examples" / "sunspots-and-co2"


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a server; at the end it is gone."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **variables},
        start_new_session=True,
    ) as server:
        try:
            yield server
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=20)


def leman(root: Path, clock: Clock) -> None:
    """Measure until leman tells the address, which it does after the first 200."""
    command = [LEMAN, "launch", str(root), "--no-browser"]
    with contextlib.ExitStack() as stack, clock.run():
        server = stack.enter_context(running(command, {}))
        for line in server.stdout or ():
            if "http://127.0.0.1" in line:
                clock.lap()
                return
    raise SystemExit("leman launch ended without an address")


def jupyter(root: Path, clock: Clock, settings: Path) -> None:
    """Measure until JupyterLab's page answers with 200."""
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.root_dir={root}", f"--ServerApp.port={port}"]
    command += ["--IdentityProvider.token=bare"]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    with (
        clock.run(),
        running(command, {name: str(settings / name.lower()) for name in names}) as server,
    ):
        if server.stdout:
            server.stdout.close()
        while True:
            with (
                contextlib.suppress(URLError, ConnectionError),
                urlopen(f"http://127.0.0.1:{port}/lab?token=bare", timeout=90) as answer,
            ):
                if answer.status == 200:
                    clock.lap()
                    return
            time.sleep(0.02)


def main(rounds: int = 7) -> None:
    """Measure in turn, write the section."""
    ours, bare = Clock(), Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "project"
        shutil.copytree(EXAMPLE, root)
        for number in range(rounds + 1):
            measured = number > 0  # the first builds what is needed, and fills the file cache
            jupyter(root, bare if measured else Clock(), folder)
            leman(root, ours if measured else Clock())
    ratio = ours.median / bare.median
    write(
        "launch",
        "`leman launch` of the example project to the first page, built before",
        [
            f"leman {ours.text()}, bare `jupyter lab` {bare.text()}.",
            f"{ratio:.2f} times as long. Target ≤ 1.3: {verdict(ratio, 1.3, at_least=False)}.",
            "",
            f"{machine('jupyterlab', 'jupyter-server')}.",
        ],
    )


if __name__ == "__main__":
    main()
