"""The only caller of uv: resolve as of a date, make an environment, install a lock."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leman.errors import ToolError
from leman.files import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

_SECRET = re.compile(r"publish|token|secret|keyring", re.IGNORECASE)
_KEPT = re.compile(
    r"^(https?_proxy|no_proxy|all_proxy|ssl_cert_.*|uv_.*|pip_index_url)$", re.IGNORECASE
)


def unwrapped(command: list[str], _writable: tuple[Path, ...]) -> list[str]:
    """Run a command as it is, without a sandbox around it."""
    return command


@dataclass(frozen=True, slots=True)
class Question:
    """What to resolve: requirement lines and the knobs that the repair ladder turns."""

    requirements: tuple[str, ...]
    python: Path
    cutoff: date
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    package_cutoffs: Mapping[str, date] = field(default_factory=dict)
    metadata: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    build_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prereleases: bool = False
    dated: bool = True  # uv refuses every file of an index without upload times under a cut-off


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is called: its cache, its index, and what is wrapped around it when it builds."""

    cache: Path
    index_url: str = ""
    offline: bool = False
    wrap: Callable[[list[str], tuple[Path, ...]], list[str]] = unwrapped
    environment: Mapping[str, str] = field(default_factory=dict)
    resolve_timeout: float = 300.0  # longer means that it compiles its way back through history
    install_timeout: float = 1800.0

    def index(self) -> str:
        """Return the address of the index that uv asks by default."""
        if self.index_url:
            return self.index_url
        with _folder() as folder:
            (folder / "none.in").write_text("")
            done = self._run(
                ["pip", "compile", "none.in", "--emit-index-url", "--no-header", "-q"], folder
            )
        match = re.search(r"^--(?:default-)?index(?:-url)? (\S+)", done.stdout, re.MULTILINE)
        return match[1] if match else ""

    def compile(self, question: Question) -> str:
        """Return the PEP 751 text that answers `question`.

        Raises ToolError with uv's own words in `output` where there is no answer.
        """
        with _folder() as folder:
            arguments = _compile_arguments(question, folder)
            done = self._run(arguments, folder, timeout=self.resolve_timeout)
            if done.returncode != 0:
                raise ToolError(
                    "uv found no set of packages that fits together",
                    output=_plain(done.stderr + done.stdout),
                    code=done.returncode,
                )
            return (folder / "pylock.toml").read_text()

    def install_python(self, minor: str) -> bool:
        """Have uv download a Python, where it may and can; False says that it did not."""
        with _folder() as folder:
            done = self._run(["python", "install", minor], folder, downloads=True)
        return done.returncode == 0

    def venv(self, python: Path, path: Path) -> None:
        """Make an empty virtual environment at `path`. Raises ToolError."""
        with _folder() as folder:
            done = self._run(
                ["venv", "--python", str(python), "--relocatable", "--no-project", str(path)],
                folder,
                writable=(path.parent,),
            )
        if done.returncode != 0:
            raise ToolError(f"uv could not make an environment with {python}", output=done.stderr)

    def sync(self, lock: str, path: Path, question: Question) -> None:
        """Install exactly the wheels of a PEP 751 text into the environment at `path`.

        Nothing is built, so that no package's code runs. Raises ToolError with uv's own words.
        """
        self._install(["sync", "pylock.toml", "--no-build"], lock, path, question)

    def add(self, lock: str, path: Path, question: Question) -> None:
        """Install the packages of a PEP 751 text beside what is in the environment at `path`.

        Source distributions are built, which runs their authors' code. Raises ToolError.
        """
        self._install(["install", "--no-deps", "-r", "pylock.toml"], lock, path, question)

    def _install(self, how: list[str], lock: str, path: Path, question: Question) -> None:
        with _folder() as folder:
            (folder / "pylock.toml").write_text(lock)
            _config(question, folder)
            python = str(path / "bin" / "python")
            done = self._run(
                [
                    *("pip", *how, "--python", python),
                    *("--link-mode", "hardlink", "--config-file", "uv.toml"),
                    *_cutoffs(question),
                ],
                folder,
                writable=(path,),
                timeout=self.install_timeout,
            )
            if done.returncode != 0:
                raise ToolError(
                    "uv could not install the locked packages",
                    output=_plain(done.stderr + done.stdout),
                    code=done.returncode,
                )

    def unpacked(self) -> tuple[Path, ...]:
        """Return the folders of unpacked packages, to whose files environments link.

        uv fetches again what is removed of them (see `alone`).
        """
        return tuple(sorted(self.cache.glob("archive-v*/*")))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no uv works with the cache, and let none begin."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def prune_cache(self, *, everything: bool) -> None:
        """Remove from the cache what nothing can use any more, or all of it. Raises ToolError."""
        with _folder() as folder:
            done = self._run(["cache", "clean" if everything else "prune"], folder)
        if done.returncode != 0:
            raise ToolError("uv could not clean its cache", output=_plain(done.stderr))

    def _run(
        self,
        arguments: list[str],
        folder: Path,
        writable: tuple[Path, ...] = (),
        timeout: float = 300.0,
        *,
        downloads: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        self.cache.mkdir(parents=True, exist_ok=True)
        spread(self.cache)  # uv unpacks each package into a folder there
        command = [executable(), *arguments, "--cache-dir", str(self.cache)]
        command += [] if downloads else ["--no-python-downloads"]
        command += ["--no-progress", "--color", "never"]
        command += ["--offline"] if self.offline else []
        command += ["--default-index", self.index_url] if self.index_url else []
        command = self.wrap(command, (self.cache, folder, *writable))
        with subprocess.Popen(
            command,
            cwd=folder,
            env={**_environment(), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    message = f"uv took longer than {timeout:.0f} s"
                    raise ToolError(message, output=message, code=124) from None
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def executable() -> str:
    """Return uv's path: the one installed beside leman, else the one on PATH. Raises ToolError."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise ToolError("uv was not found beside leman's Python nor on PATH", hint="pip install uv")
    return found


def _compile_arguments(question: Question, folder: Path) -> list[str]:
    _config(question, folder)
    arguments = ["pip", "compile", "wanted.in", "-o", "pylock.toml", "--format", "pylock.toml"]
    arguments += ["--python", str(question.python), "--no-header", "-q", "--generate-hashes"]
    arguments += ["--config-file", "uv.toml"]
    (folder / "wanted.in").write_text("\n".join(question.requirements) + "\n")
    for flag, lines in (
        ("--constraints", question.constraints),
        ("--overrides", question.overrides),
        ("--excludes", question.excludes),
    ):
        if lines:
            name = f"{flag[2:]}.txt"
            (folder / name).write_text("\n".join(lines) + "\n")
            arguments += [flag, name]
    for name in question.only_binary:
        arguments += ["--only-binary", name]
    arguments += ["--prerelease", "allow"] if question.prereleases else []
    return arguments + _cutoffs(question)


def _cutoffs(question: Question) -> list[str]:
    if not question.dated:
        return []
    arguments = ["--exclude-newer", _instant(question.cutoff)]
    for name, day in sorted(question.package_cutoffs.items()):
        arguments += ["--exclude-newer-package", f"{name}={_instant(day)}"]
    return arguments


def _instant(day: date) -> str:
    return f"{day.isoformat()}T23:59:59Z"


def _config(question: Question, folder: Path) -> None:
    import tomlkit  # noqa: PLC0415 - slow; what is built needs none of it

    document = tomlkit.document()
    tables = tomlkit.aot()
    for name, version, requires in question.metadata:
        table = tomlkit.table()
        table.update({"name": name, "version": version, "requires-dist": list(requires)})
        tables.append(table)
    if question.build_dependencies:
        extra = {name: list(names) for name, names in question.build_dependencies.items()}
        document["extra-build-dependencies"] = extra
    if tables:
        document["dependency-metadata"] = tables
    (folder / "uv.toml").write_text(tomlkit.dumps(document))


def passed_on() -> dict[str, str]:
    """Return what uv and the builds that it starts may see: no secret of the user's session."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if _KEPT.match(key) and not _SECRET.search(key)
    }
    return kept | {"LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"}


def _environment() -> dict[str, str]:
    own = {key: os.environ[key] for key in ("HOME", "PATH", "TMPDIR") if key in os.environ}
    return passed_on() | own


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leman-uv-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
