"""From a lock to an environment: content-addressed, atomic, shared, and closed to edits.

An environment is made under a temporary name, filled by hard links from uv's cache, and renamed
to its digest: nobody ever sees half of one, and what a killed build left behind is removed by the
next. A lock file lets one process build while others wait for the same digest. Source
distributions run their authors' code while they build: they are installed by a uv in the sandbox,
after the wheels, which a uv outside links into place without running anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from leman.environments import lock as locks
from leman.environments.bytecode import warm, warm_command
from leman.environments.holds import alone, hold
from leman.environments.interface import silent
from leman.environments.ladder import Trial, climb
from leman.environments.model import Attempt, Environment, Interpreter, Lock, Want
from leman.environments.uv import Question, Uv
from leman.errors import EnvironmentBuildError, SpaceError, ToolError
from leman.files import full_disk_said, remove_tree, size_of, spread, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from leman.environments.index import Index

BUILD_ROUNDS = 10
_NAME_LENGTH = 32  # of the digest; 128 bits keep shebang lines and socket paths short
_FULL = re.compile(r"No space left on device|os error 28|Disk quota exceeded|os error 122")


@dataclass(frozen=True, slots=True)
class UvBuilder:
    """Locks and builds with uv; `sandboxed` runs uv where a source distribution may run code."""

    home: Path
    uv: Uv
    sandboxed: Uv
    index: Index
    heavy: frozenset[str] = frozenset()

    def lock(
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...] = (),
        python: Interpreter,
        cutoff: date,
        progress: Callable[[str], None] = silent,
    ) -> Lock:
        """Resolve `wants` as of `cutoff`. Raises ResolutionError."""
        trial = self.trial(wants, constraints=constraints, python=python, cutoff=cutoff)
        text = locks.resolve(trial, self.sandboxed, progress=progress)
        return locks.finish(trial, text, reason="given", imports=())

    def trial(
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...],
        python: Interpreter,
        cutoff: date,
    ) -> Trial:
        """Return the first state of the repair ladder for `wants`."""
        return locks.trial_for(
            wants,
            constraints=constraints,
            python=python,
            cutoff=cutoff,
            index=self.index,
            heavy=self.heavy,
        )

    def lock_and_install(
        self,
        trial: Trial,
        *,
        reason: str,
        imports: tuple[str, ...] = (),
        progress: Callable[[str], None] = silent,
    ) -> Environment:
        """Lock and build, going back to the ladder where a package does not build.

        Raises ResolutionError or EnvironmentBuildError.
        """
        for _ in range(BUILD_ROUNDS):
            progress(f"resolving {len(trial.wants)} packages as of {trial.cutoff}")
            text = locks.resolve(trial, self.sandboxed, progress=progress)
            lock = locks.finish(trial, text, reason=reason, imports=imports)
            try:
                return self.install(lock, progress=progress, question=trial.question())
            except ToolError as error:
                _raise_if_full(error, self.home)
                trial.attempts.append(
                    Attempt("build", f"install {len(lock.packages)} packages", _short(error.output))
                )
                if not climb(trial, error.output):
                    raise EnvironmentBuildError(
                        f"the environment could not be installed: {_short(error.output)}",
                        hint="The lock's attempts name what was tried.",
                    ) from error
        raise EnvironmentBuildError(
            f"the environment could not be installed after {BUILD_ROUNDS} repairs"
        )

    def install(
        self,
        lock: Lock,
        *,
        progress: Callable[[str], None] = silent,
        question: Question | None = None,
    ) -> Environment:
        """Return the environment of `lock`, built now or found.

        Raises ToolError with uv's words where a package does not install, SpaceError where the
        disk is full; in both cases nothing is left behind.
        """
        final = self.home / lock.digest[:_NAME_LENGTH]
        environment = Environment(lock.digest, final, lock.python, lock.cutoff, lock)
        with full_disk_said(final):
            self.home.mkdir(parents=True, exist_ok=True)
            spread(self.home)
        hold(final)
        if _complete(final):
            return environment
        asked = question or Question((), lock.python.path, lock.cutoff)
        with FileLock(self.home / f".{final.name}.lock"):
            if not _complete(final):
                self._sweep(final.name)
                progress(f"installing {len(lock.packages)} packages")
                self._build(lock, final, asked, progress)
        hold(final)
        return environment

    def _build(
        self, lock: Lock, final: Path, question: Question, progress: Callable[[str], None]
    ) -> None:
        with full_disk_said(final):
            building = Path(tempfile.mkdtemp(prefix=f".build-{final.name}-", dir=self.home))
        try:
            environment = building / "environment"
            self.uv.venv(lock.python.path, environment)
            self._fill(lock, environment, question, progress)
            progress("compiling what the notebooks import")
            warm(environment, lock.imports, warm_command(environment, self.sandboxed.wrap))
            write_atomic(environment / "pylock.toml", lock.text)
            write_atomic(environment / "leman.json", json.dumps({"digest": lock.digest}))
            close_to_edits(environment)
            with full_disk_said(final):
                environment.rename(final)
            final.chmod(0o555)
        except ToolError as error:
            _raise_if_full(error, final)
            raise
        finally:
            remove_tree(building)

    def _fill(
        self, lock: Lock, environment: Path, question: Question, progress: Callable[[str], None]
    ) -> None:
        """Install wheels by hard links, then build the rest inside the sandbox.

        Not into the cache first: uv builds anew, wherever it runs, what a server does not allow to
        be kept, and addresses of repositories name any server. In a sandbox files are copied.
        """
        entries = tomllib.loads(lock.text).get("packages", [])
        sources = sum(not entry.get("wheels") for entry in entries)
        if sources < len(entries):  # uv refuses a lock without packages
            wheels = _part(lock.text, entries, wheels=True, index=self.index.url)
            self.uv.sync(wheels, environment, question)
        if sources:
            progress(f"building {sources} packages from source")
            self.sandboxed.add(_part(lock.text, entries, wheels=False), environment, question)

    def _sweep(self, name: str) -> None:
        """Remove what a killed build of this digest left; its lock is ours now."""
        for left in self.home.glob(f".build-{name}-*"):
            remove_tree(left)

    def at(self, digest: str, python: Interpreter) -> Environment | None:
        """Return the built environment whose digest starts with `digest`, or None."""
        for path in sorted(self.home.glob(f"{digest[:_NAME_LENGTH]}*")):
            hold(path)
            if _complete(path):
                lock = locks.read((path / "pylock.toml").read_text(), python)
                return Environment(lock.digest, path, lock.python, lock.cutoff, lock)
        return None


def built(home: Path) -> Iterator[Path]:
    """Yield the folders of all complete environments, the one used longest ago first."""
    yield from sorted((path for path in home.glob("[0-9a-f]*") if _complete(path)), key=last_used)


def last_used(path: Path) -> float:
    """Return when an environment was last used, in seconds since 1970."""
    marker = path.parent / f".{path.name}.used"
    return marker.stat().st_mtime if marker.exists() else path.stat().st_mtime


def prune(
    home: Path, *, keep_days: float, everything: bool = False, dry: bool = False
) -> list[tuple[Path, int]]:
    """Remove environments not used for `keep_days`, or all; the longest unused first.

    Returns what was removed with the bytes that it held. One that is being built, or that any
    process holds (see `hold`), is left alone. With `dry` nothing is removed.
    """
    removed = []
    for left in home.glob(".build-*"):
        lock = FileLock(home / f".{left.name.split('-')[1]}.lock", timeout=0)
        with contextlib.suppress(TimeoutError), lock:
            removed.append((left, size_of(left)))
            if not dry:
                remove_tree(left)
    for path in list(built(home)):
        if everything or time.time() - last_used(path) > keep_days * 86400:
            size = size_of(path)
            if discard(path, dry=dry):
                removed.append((path, size))
    return removed


def discard(path: Path, *, dry: bool = False) -> bool:
    """Remove an environment unless a process holds it; tell whether it is gone.

    With `dry` nothing is removed, and the answer is what it would be.
    """
    if dry:
        with alone(path) as free:
            return free
    with FileLock(path.with_name(f".{path.name}.lock")):
        return path.exists() and _removed_alone(path)  # another prune may have been first


def _removed_alone(path: Path) -> bool:
    doomed = path.with_name(f".build-{path.name}-pruned")
    with alone(path) as free:
        if not free:
            return False
        path.chmod(0o755)  # a read-only folder cannot be renamed
        path.rename(doomed)
        remove_tree(doomed)
        # The lock file stays: who waits for it must not find himself holding another one.
        path.with_name(f".{path.name}.used").unlink(missing_ok=True)
    return True


def close_to_edits(environment: Path) -> None:
    """Take away the right to write: files are hard links into a cache that others share."""
    folders = [os.fspath(environment)]
    for folder in folders:  # grows while it is gone through
        with os.scandir(folder) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    folders.append(entry.path)
                elif not stat.S_ISLNK(mode) and mode & 0o222:  # else closed by an earlier build
                    os.chmod(entry.path, mode & ~0o222)  # noqa: PTH101 - ten thousands of files
    for folder in folders[1:]:  # the last step is to rename the first
        os.chmod(folder, os.stat(folder).st_mode & ~0o222)  # noqa: PTH101, PTH116


def _part(text: str, entries: list[dict[str, Any]], *, wheels: bool, index: str = "") -> str:
    """Return a lock of only those of its `entries` that have wheels, or only of the others.

    With `index` each package names it: uv looks its cache through by index, and without the name
    asks the server again for every file, or fetches it again where that allows no keeping.
    """
    # uv's lines as they are: to parse and write them with their style takes a second or two.
    head, *blocks = re.split(r"^\[\[packages\]\]$", text, flags=re.MULTILINE)
    chosen = []
    for entry, block in zip(entries, blocks, strict=True):
        if bool(entry.get("wheels")) == wheels:
            own = re.split(r"^\[tool\b", block, maxsplit=1, flags=re.MULTILINE)[0]
            named = f"\nindex = {json.dumps(index)}" if index and "index" not in entry else ""
            chosen.append(f"[[packages]]{named}{own}")
    return re.split(r"^\[tool\b", head, maxsplit=1, flags=re.MULTILINE)[0] + (
        "".join(chosen) or "packages = []\n"
    )


def _complete(path: Path) -> bool:
    return (path / "leman.json").exists()


def _raise_if_full(error: ToolError, where: Path) -> None:
    if _FULL.search(error.output):
        raise SpaceError(
            f"the disk that holds {where} is full",
            hint="Free some space (`leman env prune`) and run again: nothing half-built was kept.",
        ) from error


def _short(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    first = next((n for n, line in enumerate(lines) if line.startswith("error:")), 0)
    return " · ".join(lines[first : first + 3])[:300]


def with_reason(lock: Lock, reason: str) -> Lock:
    """Return `lock` with another reason for its cut-off."""
    return replace(lock, cutoff_reason=reason)


def free_space(path: Path) -> int:
    """Return the free bytes of the disk that holds `path` or its nearest existing parent."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
