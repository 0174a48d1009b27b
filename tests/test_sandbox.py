"""Prove that a sandbox shows and changes what it was given, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from leman import sandbox
from leman.errors import IsolationError
from leman.sandbox import Sandbox

PYTHON = Path(sys.executable)


@pytest.fixture(autouse=True)
def _works() -> None:
    if not sandbox.probe().works:
        pytest.skip(f"no sandbox on this machine: {sandbox.probe().reason}")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder to work in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def run(box: Sandbox, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a sandbox that can read this interpreter."""
    shown = (*box.readable, *sandbox.interpreter_folders(PYTHON))
    whole = replace(box, readable=shown)
    argv = sandbox.command(whole, [str(PYTHON), "-I", "-S", "-c", code])
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_work_folder_can_be_written_and_what_was_written_stays(work: Path) -> None:
    """A program changes the folder that is its own."""
    done = run(Sandbox(cwd=work, writable=(work,)), "open('a', 'w').write('kept')")
    assert done.returncode == 0, done.stderr
    assert (work / "a").read_text() == "kept"


@pytest.mark.parametrize(
    "target", ["/a", "/usr/a", "/etc/a", "/opt/a", "/var/a", "/root/a", "/home/a", "/sys/a"]
)
def test_writing_anywhere_else_is_refused(work: Path, target: str) -> None:
    """The system cannot be written to, its root included."""
    done = run(Sandbox(cwd=work, writable=(work,)), f"open({target!r}, 'w')")
    assert done.returncode != 0
    assert not Path(target).exists()


def test_a_readable_folder_cannot_be_written_even_inside_a_writable_one(work: Path) -> None:
    """The more precise of two folders counts."""
    (work / "data").mkdir()
    box = Sandbox(cwd=work, writable=(work,), readable=(work / "data",))
    assert "Read-only" in run(box, "open('data/a', 'w')").stderr


def test_files_beside_the_work_folder_cannot_be_seen(work: Path) -> None:
    """What was not given does not exist, also through links and parent folders."""
    secret = work.parent / "secret"
    secret.write_text("key")
    (work / "link").symlink_to(secret)
    code = "import os; print([os.path.exists(p) for p in ('../secret', 'link', os.sys.argv[1])])"
    done = run(
        Sandbox(cwd=work, writable=(work,)), code.replace("os.sys.argv[1]", repr(str(secret)))
    )
    assert done.stdout.strip() == "[False, False, False]"


def test_home_is_empty_and_secrets_of_the_system_are_not_there(work: Path) -> None:
    """Neither the user's home nor password hashes, host keys or sockets can be named."""
    paths = ["/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/var/run/docker.sock", "/var/log"]
    paths.append(str(Path.home() / ".ssh"))
    seen = f"[p for p in {paths!r} if os.path.exists(p)]"
    code = f"import os; print({seen}, os.listdir(os.environ['HOME']))"
    assert run(Sandbox(cwd=work, writable=(work,)), code).stdout.strip() == "[] []"


def test_the_environment_is_what_was_given(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this process passes, and HOME, PATH and LANG have values."""
    monkeypatch.setenv("SECRET_TOKEN", "1")
    box = Sandbox(cwd=work, writable=(work,), environment={"GIVEN": "2"})
    seen = json.loads(run(box, "import os, json; print(json.dumps(dict(os.environ)))").stdout)
    assert "SECRET_TOKEN" not in seen
    assert seen["GIVEN"] == "2"
    assert {"HOME", "PATH", "LANG", "USER"} <= seen.keys()


@pytest.mark.parametrize("network", [False, True])
def test_the_network_is_there_only_when_it_was_asked_for(work: Path, *, network: bool) -> None:
    """A server on this machine answers with the network on, and cannot be reached with it off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        code = f"import socket; socket.create_connection({address!r}, timeout=5)"
        done = run(Sandbox(cwd=work, writable=(work,), network=network), code)
    assert (done.returncode == 0) is network, done.stderr


def test_own_loopback_works_without_network(work: Path) -> None:
    """Programs that talk to themselves (dask, multiprocessing managers) run without network."""
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=5)
"""
    assert run(Sandbox(cwd=work, writable=(work,)), code).returncode == 0


def test_other_processes_cannot_be_seen(work: Path) -> None:
    """The list of processes holds the sandbox's own."""
    code = "import os; print(sum(name.isdigit() for name in os.listdir('/proc')))"
    assert int(run(Sandbox(cwd=work, writable=(work,)), code).stdout) <= 3


def test_files_in_memory_are_bounded(work: Path) -> None:
    """Temporary files, shared memory and the home cannot fill the machine's memory."""
    code = """
for folder in ("/tmp", "/dev/shm", "/home/jovyan"):
    try:
        open(folder + "/a", "wb").write(bytes(2_000_000))
    except OSError as error:
        print(error.errno)
"""
    done = run(Sandbox(cwd=work, writable=(work,), memory_files=1_000_000), code)
    assert done.stdout.split() == ["28", "28", "28"]


def test_a_given_home_is_kept(work: Path) -> None:
    """What a program leaves in a home that it was given is there afterwards."""
    home = work.parent / "home"
    home.mkdir()
    code = "import os; open(os.path.expanduser('~/a'), 'w').close()"
    run(Sandbox(cwd=work, writable=(work,), home=home), code)
    assert (home / "a").exists()


def test_a_hidden_folder_looks_empty_and_what_is_shown_inside_it_does_not(work: Path) -> None:
    """Keys beside environments stay unseen while the environment is read."""
    (work / "leman" / "environments").mkdir(parents=True)
    (work / "leman" / "key").write_text("secret")
    shown = work / "leman" / "environments"
    box = Sandbox(cwd=work, writable=(work,), hidden=(work / "leman",), readable=(shown,))
    assert run(box, "import os; print(os.listdir('leman'))").stdout.strip() == "['environments']"


def test_a_folder_can_have_another_name_inside(work: Path) -> None:
    """Also one of another computer; what cannot be had is left out, and the rest works."""
    (work / "data").mkdir()
    (work / "data" / "x").write_text("1")
    taken = [Path(name) for name in ("/", "/usr/x", "/etc", "/home", "/tmp", "relative")]  # noqa: S108
    aliases = ((Path("/Users/me/project"), work), *((one, work) for one in (*taken, work.parent)))
    code = "print(open('/Users/me/project/data/x').read()); open('/Users/me/project/y', 'w')"
    done = run(Sandbox(cwd=work, writable=(work,), aliases=aliases), code)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert (work / "y").exists()


def test_exit_codes_pass(work: Path) -> None:
    """A program's exit code is the command's, and a signal's is 128 more than its number."""
    box = Sandbox(cwd=work, writable=(work,))
    assert run(box, "raise SystemExit(7)").returncode == 7
    assert run(box, "import os; os.kill(os.getpid(), 9)").returncode == 137


def test_everything_inside_dies_with_the_process_that_started_it(work: Path) -> None:
    """A kill -9 of the starter leaves nothing behind, not even a process in its own session."""
    mark = f"from-{os.getpid()}"
    code = f"import os, time; os.fork() or os.setsid(); open('up', 'w'); time.sleep(600)  # {mark}"
    box = Sandbox(cwd=work, writable=(work,), readable=sandbox.interpreter_folders(PYTHON))
    argv = sandbox.command(box, [str(PYTHON), "-I", "-S", "-c", code])
    starter = subprocess.Popen(
        [PYTHON, "-c", f"import subprocess; subprocess.run({argv!r}, check=False)"]
    )
    wait_for((work / "up").exists)
    assert running(mark)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    wait_for(lambda: not running(mark))


def running(mark: str) -> list[str]:
    """Return the processes that have `mark` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(mark.encode()) for word in words):
            found.append(path.parent.name)
    return found


def wait_for(condition: object, seconds: float = 20) -> None:
    """Wait until `condition()` holds; fail if it never does."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize("path", [Path("/"), Path.home(), Path.home().parent, Path("relative")])
def test_folders_that_show_too_much_are_refused(work: Path, path: Path) -> None:
    """The home, what contains it and relative paths cannot be given."""
    with pytest.raises(IsolationError):
        sandbox.command(Sandbox(cwd=work, writable=(path,)), ["true"])
    with pytest.raises(IsolationError):
        sandbox.command(Sandbox(cwd=work, readable=(path,)), ["true"])


def test_an_interpreters_folders_follow_links_and_pyvenv_cfg(tmp_path: Path) -> None:
    """A venv of a Python behind a linked folder needs both names of that folder."""
    real, link, venv = tmp_path / "cpython-3.12.1", tmp_path / "cpython-3.12", tmp_path / "venv"
    (real / "bin").mkdir(parents=True)
    (real / "bin" / "python3.12").touch()
    link.symlink_to(real)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(link / "bin" / "python3.12")
    (venv / "pyvenv.cfg").write_text(f"home = {link}/bin\n")
    assert set(sandbox.interpreter_folders(venv / "bin" / "python")) == {venv, link, real}


def test_a_python_installed_into_the_home_does_not_show_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~/bin/python brings its own files along, not ~/.ssh."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("bin", "lib/python3.12", ".ssh"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bin" / "python3.12").touch()
    found = sandbox.interpreter_folders(tmp_path / "bin" / "python3.12")
    assert set(found) == {tmp_path / "bin" / "python3.12", tmp_path / "lib" / "python3.12"}


def test_a_bubblewrap_that_does_not_work_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that fails keeps the reason, gives a fix, and "sandbox" is then refused."""
    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox, "_programs", lambda: iter([(broken, "system")]))
    sandbox.probe.cache_clear()
    try:
        assert "uid map: Permission denied" in sandbox.probe().reason
        assert sandbox.probe().fix
        assert sandbox.choose("auto") == "none"
        with pytest.raises(IsolationError, match="uid map"):
            sandbox.choose("sandbox")
        with pytest.raises(IsolationError):
            sandbox.command(Sandbox(cwd=tmp_path), ["true"])
    finally:
        sandbox.probe.cache_clear()


def test_unknown_levels_are_refused() -> None:
    """A level that does not exist is no level."""
    assert sandbox.choose("none") == "none"
    assert sandbox.choose("sandbox") == "sandbox"
    with pytest.raises(IsolationError):
        sandbox.choose("docker")
