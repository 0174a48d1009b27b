"""Run a source's `postBuild` once in a work copy, in a sandbox, before its notebooks run.

REES (reproducible execution environment specification): `postBuild` is run after the environment
is built, in the repository's root. Here the environment is shared and read-only, so commands that
would install into it are answered by stand-ins: what they ask for was read from the script and
is in the lock already. What the script leaves in its home and in the work copy stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leman import sandbox
from leman.files import remove_tree, size_of
from leman.findings import Finding
from leman.reproduction import processes
from leman.reproduction.watch import machine_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leman.reproduction.model import Isolation, Limits
    from leman.reproduction.run import HasPython

SECONDS = 600.0
HOME_LIMIT = 2_000_000_000  # bytes: every notebook's private home starts as a copy
_TICK = 0.05
_KEPT = 200  # pieces of at most 4096 bytes of what it said
_LAST_LINES = 8
_DISK_FLOOR = 256 * 1024**2

_SAID = "leman: not run here; what the notebooks need was installed from the lock"
_ANSWERS_NOTHING = f'#!/bin/sh\necho "$(basename "$0") $*: {_SAID}" >&2\n'
_JUPYTER = """#!/bin/sh
case "$1" in
  *extension*|contrib|lab|nbextensions_configurator|bundlerextension)
    echo "jupyter $*: leman: not run here; it changes the pages, not how notebooks run" >&2;;
  *) exec "$LEMAN_ENVIRONMENT/bin/jupyter" "$@";;
esac
"""
_PIP_MODULE = f"import sys\nprint('pip', *sys.argv[1:], ': {_SAID}', file=sys.stderr)\n"
_INSTALLERS = "pip pip3 conda mamba micromamba apt apt-get sudo easy_install".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class PostBuild:
    """What came of it: `home` is what it left in its home, None where it left nothing."""

    findings: tuple[Finding, ...] = ()
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What a `postBuild` runs with: the same that notebooks get."""

    environment: HasPython
    isolation: Isolation
    limits: Limits
    variables: Mapping[str, str]
    hidden: tuple[Path, ...] = ()


def post_build(script: str, work: Path, setting: Setting) -> PostBuild:
    """Run `script` (POSIX, below `work`) in `work`; never without a sandbox.

    Its home and the stand-ins lie beside `work`, whose parent is the caller's to remove. It may
    take 10 minutes, and no more than one notebook may take of anything.
    """
    if setting.isolation.level != "sandbox":
        return PostBuild((_not_run(script, setting.isolation.detail),))
    aside = Path(tempfile.mkdtemp(prefix="post-build-", dir=work.parent))
    home, tools = aside / "home", aside / "tools"
    home.mkdir()
    _stand_ins(tools)
    began = time.monotonic()
    argv, box = _argv(work / script, setting.environment), _box(work, home, tools, setting)
    code, why, said = _run(argv, box, setting.limits)
    took = time.monotonic() - began
    _only_plain_files(home)
    findings = [_failed(script, code, why, said) if why or code else _ran(script, took)]
    left = home if any(home.iterdir()) else None
    if left and size_of(left) > HOME_LIMIT:
        findings.append(_home_too_large(script))
        left = None
    return PostBuild(tuple(findings), left)


def combined_home(warm: Path | None, own: Path | None, folder: Path) -> Path | None:
    """Return a home with what is in both, `own` over `warm`; made once at `folder`.

    Two threads may call it at once.
    """
    if warm is None or own is None:
        return own or warm
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for one in (warm, own):
            shutil.copytree(one, new, symlinks=True, dirs_exist_ok=True)
        new.rename(folder)
    except OSError:
        remove_tree(new)
        if not folder.is_dir():
            raise
    return folder


def _stand_ins(folder: Path) -> None:
    texts = dict.fromkeys((f"bin/{name}" for name in _INSTALLERS), _ANSWERS_NOTHING)
    texts["bin/jupyter"] = _JUPYTER
    texts["python/pip/__init__.py"] = ""
    texts["python/pip/__main__.py"] = _PIP_MODULE
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def _argv(script: Path, environment: HasPython) -> list[str]:
    """Return how to start a script by its first line, with programs that are here.

    The authors' ones name places of their images, such as ``/srv/conda/envs/kernel/bin/python``.
    """
    with contextlib.suppress(OSError), script.open("rb") as file:
        first = file.readline(1000).decode(errors="replace").strip()
        words = first.removeprefix("#!").split(None, 1) if first.startswith("#!") else []
        if words:
            name = Path(words[0]).name
            if name.startswith("python"):
                return [str(environment.executable), *words[1:], str(script)]
            if Path(words[0]).exists():
                return [*words, str(script)]
            return ["/usr/bin/env", name, *words[1:], str(script)]
    return ["/bin/sh", str(script)]


def _box(work: Path, home: Path, tools: Path, setting: Setting) -> sandbox.Sandbox:
    python = setting.environment.executable
    prefix = python.parent.parent
    path = f"{tools / 'bin'}:{python.parent}:{sandbox.SYSTEM_PATH}"
    conda = (prefix / "conda-meta").is_dir()
    return sandbox.Sandbox(
        cwd=work,
        writable=(work,),
        readable=(*sandbox.interpreter_folders(python), tools),
        hidden=setting.hidden,
        network=setting.isolation.network,
        environment={
            **setting.variables,
            "PATH": path,
            "PYTHONPATH": str(tools / "python"),
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TZ": "UTC",
            "REPO_DIR": str(work),
            "LEMAN_ENVIRONMENT": str(prefix),
            "CONDA_PREFIX" if conda else "VIRTUAL_ENV": str(prefix),
        },
        home=home,
        memory_files=(setting.limits.memory or machine_memory() * 3 // 4) // 2,
    )


def _run(argv: list[str], box: sandbox.Sandbox, limits: Limits) -> tuple[int, str, str]:
    """Return the exit code, why it was ended ("": by itself), and the end of what it said."""
    # It waits for a line until its tasks are bounded.
    waiting = ["/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "postBuild", *argv]
    group = processes.Group.make(limits.processes)
    with group.entered():
        process = subprocess.Popen(
            sandbox.command(box, waiting),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    said: deque[bytes] = deque(maxlen=_KEPT)
    assert process.stdout is not None  # noqa: S101 - opened as a pipe
    assert process.stdin is not None  # noqa: S101
    reader = threading.Thread(target=_keep_end, args=(process.stdout, said), daemon=True)
    reader.start()
    why = ""
    try:
        time.sleep(_TICK)
        processes.bound_tasks(processes.descendants(process.pid), limits.processes)
        with contextlib.suppress(OSError):
            process.stdin.write(b"\n")
            process.stdin.close()
        why = _watch(process, box, limits, group)
    finally:
        process.kill()  # the sandbox dies with it, and all that is in it
        code = process.wait()
        reader.join(timeout=5)
        group.remove()
    return code, why, b"".join(said).decode(errors="replace")


def _watch(
    process: subprocess.Popen[bytes], box: sandbox.Sandbox, limits: Limits, group: processes.Group
) -> str:
    """Wait for the end; return the limit that was passed, "" for none."""
    seconds = min(SECONDS, limits.seconds)
    memory = limits.memory or machine_memory() * 3 // 4
    until, tick = time.monotonic() + seconds, _TICK / 4
    while process.poll() is None:
        family = processes.descendants(process.pid)
        if time.monotonic() > until:
            return f"it took longer than {seconds:.0f} s"
        if len(family) > limits.processes + 2 or group.full():
            return f"it started more than {limits.processes} processes"
        used = sum(map(processes.private_memory, family))
        if used > memory and sum(map(processes.fair_memory, family)) > memory:
            return f"it used more than {memory / 1e9:.1f} GB of memory"
        if shutil.disk_usage(box.cwd).free < _DISK_FLOOR:
            return "it filled the disk"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(tick)
        tick = min(0.25, tick * 1.2)
    # What was refused a process between two looks may have ended with that.
    return f"it started more than {limits.processes} processes" if group.full() else ""


def _keep_end(stream: IO[bytes], said: deque[bytes]) -> None:
    """Read all, so that the writer never waits, and keep the end."""
    with stream, contextlib.suppress(OSError, ValueError):
        while line := stream.readline(4096):
            said.append(line)


def _only_plain_files(home: Path) -> None:
    """Remove pipes, sockets and devices; make the rest readable, as it will be copied."""
    home.chmod(0o755)
    for folder, folders, names in os.walk(home):
        for path in (Path(folder, name) for name in (*folders, *names)):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                path.chmod(stat.S_IMODE(mode) | 0o600)
            elif stat.S_ISDIR(mode):
                path.chmod(0o755)
            elif not stat.S_ISLNK(mode):
                path.unlink()


def _last(said: str) -> str:
    lines: Iterable[str] = (line.rstrip()[:300] for line in said.splitlines())
    return "\n".join([line for line in lines if line][-_LAST_LINES:])


def _not_run(script: str, why: str) -> Finding:
    return Finding(
        "post-build-not-run",
        "warning",
        script,
        f"{script} was not run, because leman runs it in a sandbox alone ({why}); files and data"
        " that it makes or downloads are missing",
        "Run leman where sandboxes work, or do by hand what the script does.",
    )


def _ran(script: str, seconds: float) -> Finding:
    return Finding(
        "post-build-ran", "info", script, f"{script} ran before the notebooks, in {seconds:.0f} s"
    )


def _failed(script: str, code: int, why: str, said: str) -> Finding:
    ended = f"was stopped: {why}" if why else f"ended with exit code {code}"
    last = _last(said)
    return Finding(
        "post-build-failed",
        "warning",
        script,
        f"{script} {ended}; what it would have made may be missing"
        + (f". Its last lines:\n{last}" if last else ""),
        "Look at its last lines. Without network it can download nothing (--network on).",
    )


def _home_too_large(script: str) -> Finding:
    return Finding(
        "post-build-home-too-large",
        "warning",
        script,
        f"{script} left more than {HOME_LIMIT // 10**9} GB in its home, which notebooks do not get",
        "Let it write into the repository's folder instead.",
    )
