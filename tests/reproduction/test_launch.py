"""`launch`: JupyterLab with the repository's kernels, private, and gone without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from browsers import chromium
from jupyter_client.kernelspec import NoSuchKernel
from labs import Lab, borrowing_environment, program, run_code, running

from leman.errors import LemanError, ToolError, UsageError
from leman.reproduction.kernels import (
    LemanContentsManager,
    LemanKernelSpecManager,
    is_python,
)
from leman.reproduction.launch import Kernel, launch
from leman.reproduction.run import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.model import Environment

CELL = "import sys; print(sys.prefix)"
FOREIGN = {"name": "conda-env-astro-py", "display_name": "Astro", "language": "python"}
R = {"name": "ir", "display_name": "R", "language": "R"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give an environment of its own prefix."""
    return borrowing_environment(tmp_path_factory.mktemp("environment") / "env")


def notebook(kernelspec: dict[str, str] | None, source: str = CELL) -> dict[str, Any]:
    """Return a notebook of one cell that names this kernel."""
    cell: dict[str, Any] = {
        "id": "one",
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }
    metadata: dict[str, Any] = {} if kernelspec is None else {"kernelspec": dict(kernelspec)}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def lab(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run one JupyterLab for the tests that only look at it."""
    root = tmp_path_factory.mktemp("root")
    (root / "sub dir").mkdir()
    for name, kernelspec in (("foreign", FOREIGN), ("none", None), ("r", R)):
        (root / "sub dir" / f"{name}.ipynb").write_text(json.dumps(notebook(kernelspec)))
    for module in ("jupyterlab", "tornado", "sitecustomize", "jupyter_server_config", "json"):
        (root / f"{module}.py").write_text(f"open({str(root / 'ran')!r}, 'w').close()")

    pages: queue.Queue[str] = queue.Queue()
    options = {"notebook": "sub dir/foreign.ipynb", "open_browser": pages.put}
    kernels = [Kernel(environment)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(kernels, root, port=port, **options) as url:
            private = Path(pages.get(timeout=60).removeprefix("file://")).parent
            yield Lab(url, root, environment, private, taken_port=port)
    assert not private.exists()


def test_only_the_repositorys_kernels_are_offered(lab: Lab) -> None:
    """The menu lists the environment with Python and date, and not leman's own Python."""
    with lab.client() as client:
        specs = client.get("/api/kernelspecs").json()
    assert specs["default"] == "leman-abababababab"
    (spec,) = specs["kernelspecs"].values()
    minor = "{}.{}".format(*sys.version_info[:2])
    assert spec["spec"]["display_name"] == f"Python {minor} as of 2020-05-01 (leman)"


@pytest.mark.parametrize("name", ["leman-abababababab", "python3", "conda-env-astro-py"])
def test_any_python_name_gets_the_environments_kernel(lab: Lab, name: str) -> None:
    """A kernel that is asked for by its own or by a foreign name runs in the environment."""
    with lab.client() as client:
        kernel = client.post("/api/kernels", json={"name": name}).json()
        assert run_code(lab, kernel["id"], CELL).strip() == str(lab.environment.path)
        said = run_code(lab, kernel["id"], "import os; print(sorted(os.environ.items()))")
        assert lab.token not in said
        assert str(lab.environment.path / "bin") in said
        client.delete(f"/api/kernels/{kernel['id']}")


def test_other_languages_are_not_run_as_python() -> None:
    """A kernel of R is said not to be here."""
    with pytest.raises(NoSuchKernel):
        LemanKernelSpecManager(default_kernel="leman-one").get_kernel_spec("ir")


def test_the_token_is_demanded_and_hidden(lab: Lab) -> None:
    """Without the token nothing is served; no process, log or readable file shows it."""
    assert httpx.get(f"{lab.base}/api/contents", trust_env=False).status_code == 403
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            assert lab.token not in " ".join(process.cmdline())
            assert lab.token not in str(process.environ())
    holding = [
        path
        for path in lab.private.rglob("*")
        if path.is_file() and lab.token.encode() in path.read_bytes()
    ]
    ours = {lab.private / "open.html", lab.private / "config/jupyter_server_config.json"}
    assert {path.stat().st_mode & 0o777 for path in ours} == {0o600}
    assert ours <= set(holding)
    assert lab.private / "server.log" not in holding
    assert lab.private.stat().st_mode & 0o777 == 0o700


def test_it_listens_on_this_machine_alone(lab: Lab) -> None:
    """Every listening socket of the server and its kernels is bound to 127.0.0.1."""
    bound = {
        connection.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert bound == {"127.0.0.1"}
    assert lab.url.startswith("http://127.0.0.1:")


@pytest.mark.browser
def test_a_notebook_of_a_foreign_kernel_opens_and_runs(lab: Lab) -> None:
    """In a browser the notebook opens without a question, and a cell runs in the environment."""
    path = lab.root / "sub dir" / "foreign.ipynb"
    before = json.loads(path.read_text())
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.goto((lab.private / "open.html").as_uri())
        page.wait_for_url("**/lab/**", timeout=60_000)
        page.locator(".jp-KernelName", has_text="2020-05-01").wait_for(timeout=60_000)
        assert page.locator(".jp-Dialog").count() == 0
        page.locator(".jp-Notebook .jp-InputArea-editor").first.click()
        page.keyboard.press("Shift+Enter")
        output = page.locator(".jp-OutputArea-output").first
        output.wait_for(timeout=60_000)
        assert str(lab.environment.path) in output.inner_text()
        page.keyboard.press("Control+s")
        for _ in range(300):
            after = json.loads(path.read_text())
            if after["cells"][0]["outputs"]:
                break
            time.sleep(0.1)
    assert after["cells"][0]["outputs"]
    assert after["metadata"]["kernelspec"] == before["metadata"]["kernelspec"] == FOREIGN
    assert "leman" not in json.dumps(after["metadata"])


def test_a_port_in_use_gives_way_to_the_next(lab: Lab) -> None:
    """Where the wanted port is taken, another one is used and told."""
    assert f":{lab.taken_port}/" not in lab.url


def test_what_lies_in_the_repository_is_not_run_by_the_server(lab: Lab) -> None:
    """Modules and Jupyter settings in the repository have no say over leman's own process."""
    assert (lab.root / "jupyterlab.py").exists()
    assert not (lab.root / "ran").exists()


def test_with_network_a_kernel_reaches_others(lab: Lab) -> None:
    """In a sandbox with network, a cell connects to a service."""
    with socket.create_server(("127.0.0.1", 0)) as service, lab.client() as client:
        kernel = client.post("/api/kernels", json={"name": "python3"}).json()
        address = service.getsockname()
        run_code(lab, kernel["id"], f"import socket; socket.create_connection({address})")
        client.delete(f"/api/kernels/{kernel['id']}")


def test_a_kernels_sockets_lie_in_the_private_folder(lab: Lab) -> None:
    """Nobody else on this machine can open them, where the folder's path is short enough."""
    with lab.client() as client:
        kernel = client.post("/api/kernels", json={"name": "python3"}).json()
        assert run_code(lab, kernel["id"], "print(1)") == "1\n"
        sockets = list((lab.private / "runtime").glob("*ipc*"))
        assert sockets or len(str(lab.private)) >= 40
        client.delete(f"/api/kernels/{kernel['id']}")


@pytest.mark.parametrize(("level", "processes"), [("sandbox", 4), ("none", 2)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(
    environment: Environment, tmp_path: Path, number: signal.Signals, level: str, processes: int
) -> None:
    """However leman ends, server and busy kernels end too; but for kill -9 no file remains.

    The user's own Jupyter settings, here broken ones, have no say.
    """
    home = tmp_path / "home"
    (home / ".jupyter").mkdir(parents=True)
    (home / ".jupyter/jupyter_server_config.py").write_text("raise SystemExit('broken')")
    (home / ".jupyter/jupyter_server_config.json").write_text('{"ServerApp": {"port": 1}}')
    (tmp_path / "root").mkdir()
    with program(environment, tmp_path / "root", home, level) as (process, lab):
        with lab.client() as client:
            kernel = client.post("/api/kernels", json={"name": "python3"}).json()
        run_code(lab, kernel["id"], "import threading, time; "
                 "threading.Thread(target=time.sleep, args=(600,)).start()")  # fmt: skip
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) == processes
        process.send_signal(number)
        code = process.wait(timeout=60)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
    if number is not signal.SIGKILL:
        assert code == 0
        assert list(home.glob("leman-launch-*")) == []


def test_a_server_that_cannot_start_says_why(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error holds the server's own words."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(ToolError, match="exit code 3") as caught:
        launch([Kernel(environment)], tmp_path, isolation=isolate("none"))
    assert caught.value.output == "no such library"


def test_wrong_arguments_are_refused(environment: Environment, tmp_path: Path) -> None:
    """No environment, no folder, no such notebook, a notebook outside: each says what to do."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside.ipynb").write_text("{}")
    kernels, root, isolation = [Kernel(environment)], tmp_path / "root", isolate("none")
    with pytest.raises(LemanError, match="no environment"):
        launch([], root, isolation=isolation)
    with pytest.raises(UsageError, match="not a folder"):
        launch(kernels, tmp_path / "nowhere", isolation=isolation)
    for path in ("a.ipynb", "../outside.ipynb", str(tmp_path / "outside.ipynb")):
        with pytest.raises(UsageError, match="there is no file"):
            launch(kernels, root, isolation=isolation, notebook=path)


@pytest.mark.parametrize(
    ("kernel", "language", "expected"),
    [
        ("python3", "", True), ("python2", "", True), ("conda-env-astro-py", "", True),
        ("my project", "", True), ("", "", True), ("anything", "python", True),
        ("rubin", "", True), ("cosmo", "", True), ("ir", "", False), ("julia-1.6", "", False),
        ("xcpp17", "", False), ("conda-env-r-r", "R", False), ("python3", "julia", False),
    ],
)  # fmt: skip
def test_python_is_told_from_other_languages(kernel: str, language: str, expected: bool) -> None:  # noqa: FBT001
    """The language decides where it is given, else the kernel's name."""
    assert is_python(kernel, language) is expected


@pytest.fixture
def contents(tmp_path: Path) -> LemanContentsManager:
    """Serve a folder whose second.ipynb has an environment of its own."""
    labels = {"leman-one": "One", "leman-two": "Two"}
    return LemanContentsManager(
        root_dir=str(tmp_path),
        default_kernel="leman-one",
        kernels={"second.ipynb": "leman-two"},
        labels=labels,
    )


def fetched(contents: LemanContentsManager, path: str) -> dict[str, Any]:
    """Return the model that a browser would get."""
    return asyncio.run(contents.get(path))


@pytest.mark.parametrize("kernelspec", [FOREIGN, {"name": "python3"}, None])
@pytest.mark.parametrize(
    ("path", "kernel"), [("a.ipynb", "leman-one"), ("second.ipynb", "leman-two")]
)
def test_a_notebook_keeps_the_kernel_that_its_author_named(
    contents: LemanContentsManager,
    tmp_path: Path,
    path: str,
    kernel: str,
    kernelspec: dict[str, str] | None,
) -> None:
    """The browser sees the environment's kernel; what is saved is what the author had."""
    (tmp_path / path).write_text(json.dumps(notebook(kernelspec)))
    model = fetched(contents, path)
    assert model["content"]["metadata"]["kernelspec"]["name"] == kernel
    asyncio.run(contents.save(model, path))
    assert json.loads((tmp_path / path).read_text())["metadata"] == notebook(kernelspec)["metadata"]


def test_a_kernel_chosen_by_the_user_stays_chosen(
    contents: LemanContentsManager, tmp_path: Path
) -> None:
    """After a save with another environment's kernel the notebook opens with that one again."""
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook(FOREIGN)))
    model = fetched(contents, "a.ipynb")
    model["content"]["metadata"]["kernelspec"] = {"name": "leman-two", "display_name": "Two"}
    asyncio.run(contents.save(model, "a.ipynb"))
    again = fetched(contents, "a.ipynb")["content"]["metadata"]["kernelspec"]
    assert again["name"] == "leman-two"
    assert json.loads((tmp_path / "a.ipynb").read_text())["metadata"]["kernelspec"] == FOREIGN


def test_a_new_notebook_names_a_kernel_that_everybody_has(
    contents: LemanContentsManager, tmp_path: Path
) -> None:
    """A notebook made here is saved as one of Python 3, so that it opens elsewhere."""
    model = {"type": "notebook", "format": "json", "content": notebook({"name": "leman-one"})}
    asyncio.run(contents.save(model, "new.ipynb"))
    saved = json.loads((tmp_path / "new.ipynb").read_text())["metadata"]["kernelspec"]
    assert saved == {"name": "python3", "display_name": "Python 3", "language": "python"}


def test_notebooks_of_other_languages_stay_as_they_are(
    contents: LemanContentsManager, tmp_path: Path
) -> None:
    """A notebook of R is served as it is on the disk."""
    (tmp_path / "r.ipynb").write_text(json.dumps(notebook(R)))
    assert fetched(contents, "r.ipynb")["content"]["metadata"]["kernelspec"] == R
