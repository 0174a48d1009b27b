"""`launch` in a sandbox: neither a cell nor the page's server gets out, and all else works."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import websocket
from labs import Lab, answer, borrowing_environment, program, run_code, running
from launch_samples import environment_at

import leman
from leman import sandbox
from leman.errors import IsolationError, UsageError
from leman.reproduction import enclosure
from leman.reproduction.launch import Kernel
from leman.reproduction.prepare import prepare
from leman.reproduction.run import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from leman.environments.model import Environment

SECRET = "correct horse battery staple"
INTERRUPTED = {
    "busy": "while True: pass",
    "asleep": "import time; time.sleep(100)",
    "waiting for a program": "import os; os.spawnlp(os.P_WAIT, 'sleep', 'sleep', '100')",
}


@pytest.fixture(
    scope="module",
    params=["now", pytest.param("2017", marks=pytest.mark.interpreter("3.6"))],
)
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Give an environment of today, and one of Python 3.6 with an ipykernel of its time."""
    if request.param == "now":
        return borrowing_environment(tmp_path_factory.mktemp("environment") / "env")
    path: Path = request.getfixturevalue("old_kernel_environment").path
    return environment_at(path)


@pytest.fixture(scope="module")
def lab(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run a JupyterLab without network; beside its folder lies another one of the user's."""
    root = tmp_path_factory.mktemp("root")
    (root / "sub").mkdir()
    (root / ".git").mkdir()
    secret = root.parent / f"{root.name}-home" / ".ssh" / "id_ed25519"
    secret.parent.mkdir(parents=True)
    secret.write_text(SECRET)
    (root / "link").symlink_to(secret)
    isolation = isolate("sandbox", network=False)
    with running([Kernel(environment)], root, isolation=isolation) as url:
        yield Lab(url, root, environment, secret)


@pytest.fixture
def client(lab: Lab) -> Iterator[httpx.Client]:
    """Talk to the server."""
    with lab.client() as opened:
        yield opened


@pytest.fixture
def kernel(client: httpx.Client) -> Iterator[str]:
    """Start a kernel as a notebook in a subfolder does; give its id."""
    made = client.post("/api/kernels", json={"name": "python3", "path": "sub/a.ipynb"}).json()
    yield made["id"]
    client.delete(f"/api/kernels/{made['id']}")


def test_a_cell_sees_neither_home_nor_anything_else_of_the_user(lab: Lab, kernel: str) -> None:
    """A key in another folder cannot be read, not through a link either, nor be replaced."""
    for path in (lab.private, lab.root / "link", Path.home() / ".bashrc"):
        assert answer(lab, kernel, f"open({str(path)!r})")[1]["ename"] == "FileNotFoundError"
    for path in (lab.private, Path(leman.__file__), lab.root / ".git/config", Path("/usr/x")):
        said = answer(lab, kernel, f"open({str(path)!r}, 'a')")[1]
        assert said["ename"] in {"FileNotFoundError", "OSError"}, path
    environment = lab.environment.path / "x"
    assert "Read-only" in answer(lab, kernel, f"open({str(environment)!r}, 'w')")[1]["evalue"]
    assert lab.private.read_text() == SECRET


def test_a_cell_writes_into_the_opened_folder(lab: Lab, kernel: str) -> None:
    """It starts in the notebook's own folder, and what it writes there is there."""
    assert run_code(lab, kernel, "import os; print(os.getcwd())").strip() == str(lab.root / "sub")
    run_code(lab, kernel, "_ = open('new.txt', 'w').write('kept'); os.mkdir('../other')")
    assert (lab.root / "sub/new.txt").read_text() == "kept"
    (lab.root / "other").rmdir()


def test_the_home_lasts_as_long_as_the_session(lab: Lab, client: httpx.Client, kernel: str) -> None:
    """A restarted kernel has lost its variables, and finds the file that it wrote at home."""
    told = "import os; print(os.path.expanduser('~'), os.path.exists(os.path.expanduser('~/kept')))"
    run_code(lab, kernel, "import os; a = 1; open(os.path.expanduser('~/kept'), 'w').close()")
    assert client.post(f"/api/kernels/{kernel}/restart").status_code == 200
    assert run_code(lab, kernel, told).split() == [str(sandbox.HOME), "True"]
    assert answer(lab, kernel, "a")[1]["ename"] == "NameError"


@pytest.mark.parametrize("code", INTERRUPTED.values(), ids=list(INTERRUPTED))
def test_an_interrupt_ends_the_cell_alone(
    lab: Lab, client: httpx.Client, kernel: str, code: str
) -> None:
    """The cell ends with KeyboardInterrupt, and the kernel still has its variables."""
    run_code(lab, kernel, "a = 42")
    begun = lab.root / "sub/begun"
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(answer, lab, kernel, f"open('begun', 'w').close()\n{code}")
        until = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.01)
        begun.unlink()
        time.sleep(0.1)
        assert client.post(f"/api/kernels/{kernel}/interrupt").status_code == 204
        assert said.result(30)[1]["ename"] == "KeyboardInterrupt"
    assert run_code(lab, kernel, "print(a)") == "42\n"


def test_a_kernel_that_dies_is_started_again(lab: Lab, client: httpx.Client, kernel: str) -> None:
    """After kill -9 of itself the same kernel answers again, without its variables."""
    run_code(lab, kernel, "import threading, os, signal, time")
    run_code(
        lab,
        kernel,
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start(); print(os.getpid())",
    )
    time.sleep(1)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if client.get(f"/api/kernels/{kernel}").json()["execution_state"] == "idle":
            break
        time.sleep(0.1)
    assert run_code(lab, kernel, "print('time' in globals())") == "False\n"


def test_a_kernel_that_is_shut_down_is_gone(lab: Lab, client: httpx.Client) -> None:
    """Its process ends, and so does what it started and left running in its group."""
    before = set(psutil.Process().children(recursive=True))
    kernel = client.post("/api/kernels", json={"name": "python3"}).json()["id"]
    run_code(lab, kernel, "import subprocess; _ = subprocess.Popen(['sleep', '600'])")
    started = set(psutil.Process().children(recursive=True)) - before
    assert len(started) >= 2
    assert client.delete(f"/api/kernels/{kernel}").status_code == 204
    _, alive = psutil.wait_procs(list(started), timeout=30)
    assert alive == []


def test_without_network_nothing_is_reached(lab: Lab, kernel: str) -> None:
    """A cell reaches no service of this machine, while its own page is served."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        said = answer(
            lab, kernel, f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        )
    assert said[1]["ename"] == "ConnectionRefusedError"


def test_the_pages_server_sees_no_more_than_a_cell(lab: Lab, client: httpx.Client) -> None:
    """A script in an output may drive the page: links lead nowhere, terminals see nothing."""
    assert client.get("/api/contents/sub").status_code == 200
    assert client.get("/api/contents/link").status_code == 400
    (lab.root / "out").symlink_to(lab.private.parent)
    new = {"type": "file", "format": "text", "content": "a key"}
    assert client.put("/api/contents/out/new", json=new).status_code >= 400
    assert client.put("/api/contents/link", json=new).status_code >= 400
    (lab.root / "out").unlink()
    assert [one.read_text() for one in lab.private.parent.iterdir()] == [SECRET]
    name = client.post("/api/terminals").json()["name"]
    address = f"{lab.base.replace('http', 'ws', 1)}/terminals/websocket/{name}"
    header = [f"Authorization: token {lab.token}"]
    connection = websocket.create_connection(address, header=header, timeout=60)
    connection.send(json.dumps(["stdin", f"cat {lab.private}; pwd; echo the' 'end\r"]))
    shown = ""
    while "the end" not in shown:
        kind, *words = json.loads(connection.recv())
        shown += words[0] if kind == "stdout" else ""
    connection.close()
    client.delete(f"/api/terminals/{name}")
    assert str(lab.root) in shown
    assert SECRET not in shown
    assert "No such file" in shown


def test_when_the_sandbox_is_killed_all_in_it_ends(
    environment: Environment, tmp_path: Path
) -> None:
    """After kill -9 of its outermost process nothing is left, and leman says that it ended."""
    (tmp_path / "root").mkdir()
    with program(environment, tmp_path / "root", tmp_path, "sandbox") as (process, lab):
        with lab.client() as client:
            kernel = client.post("/api/kernels", json={"name": "python3"}).json()
        run_code(lab, kernel["id"], "import subprocess; "
                 "_ = subprocess.Popen(['setsid', 'sleep', '600'])")  # fmt: skip
        started = psutil.Process(process.pid).children(recursive=True)
        (outermost,) = psutil.Process(process.pid).children()
        outermost.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
    assert len(started) == 5
    assert list(tmp_path.glob("leman-launch-*")) == []


def test_a_folder_that_is_the_home_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sandbox shows the whole home: the error says what to do, and nothing is lowered."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.ipynb").write_text('{"cells": [], "nbformat": 4, "metadata": {}}')
    with pytest.raises(IsolationError, match="your whole home") as caught:
        prepare(str(tmp_path), isolation=isolate("sandbox"))
    assert "a folder of its own" in caught.value.hint


def test_leman_itself_stays_read_only_inside_the_opened_folder(tmp_path: Path) -> None:
    """An installation below the opened folder is mounted after it, so that no cell changes it."""
    private = tmp_path / "private"
    private.mkdir()
    root = Path(leman.__file__).resolve().parents[2]
    box = enclosure.box(root, private, [Path(sys.executable)])
    argv = sandbox.command(replace(box, network=False), ["true"])
    source, folder = str(root / Path(leman.__file__).parents[1].name), str(root)
    writable = argv.index(folder, argv.index("--bind"))
    read_only = [n for n, word in enumerate(argv) if word == source and argv[n - 1] != "--bind"]
    assert argv[read_only[0] - 1] == "--ro-bind-try"
    assert read_only[0] > writable


def test_bytecode_is_made_once_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server was never imported, it is imported before; elsewhere nothing is started."""
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: calls.append(argv))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    enclosure.compile_once(tmp_path)
    assert calls[0][-1] == "import jupyterlab.labapp"
    made = Path(cache_from_source(_labapp()))
    made.parent.mkdir(parents=True)
    made.touch()
    enclosure.compile_once(tmp_path)
    assert len(calls) == 1


GRAMMAR = """
import sys
from leman.reproduction.server import put_off_grammar
put_off_grammar()
from jsonschema import Draft202012Validator
known = Draft202012Validator.FORMAT_CHECKER
assert "lark" not in sys.modules
print(known.conforms("http://münchen.example/a", sys.argv[1]))
print(known.conforms("http://[a b", sys.argv[1]))
assert "lark" in sys.modules
"""


@pytest.mark.parametrize("form", ["iri", "iri-reference"])
def test_the_check_of_addresses_is_put_off_not_left_out(form: str) -> None:
    """The server loads the grammar of international addresses when it has one to check."""
    argv = [sys.executable, "-c", GRAMMAR, form]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr


LEAN = """
import sys
import leman.reproduction.launch, leman.reproduction.prepare, leman.reproduction.run
print(*{"httpx", "tomlkit", "nbformat", "jinja2", "numpy", "jsonschema"}.intersection(sys.modules))
"""


def test_a_launch_loads_nothing_that_only_a_build_or_a_run_needs() -> None:
    """What a launch imports before its server starts is neither a web client nor a comparison."""
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


def _labapp() -> Path:
    spec = find_spec("jupyterlab")
    assert spec
    assert spec.origin
    return Path(spec.origin).with_name("labapp.py")


def test_a_door_gives_way_to_the_next_port_and_ends() -> None:
    """A port in use is passed over; where all are, the error names the option."""
    with enclosure.door(20000) as first, enclosure.door(first.getsockname()[1]) as second:
        assert second.getsockname()[1] > first.getsockname()[1]
    with pytest.raises(UsageError, match="no port"), enclosure.door(65536):
        pass
