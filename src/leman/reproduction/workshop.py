"""The tools of one run: interpreters, index, builder, isolation; made once, passed along."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman import sandbox
from leman.environments import lock as locks
from leman.environments.build import UvBuilder
from leman.environments.index import Index
from leman.environments.model import Attempt
from leman.environments.names import HEAVY
from leman.environments.pythons import choose, interpreters, nearest
from leman.environments.uv import Uv, passed_on
from leman.errors import EnvironmentBuildError, LemanError, NoPythonError, SpaceError
from leman.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from leman.config import Settings
    from leman.environments.model import Environment, Era, Interpreter, Want
    from leman.reproduction.model import Isolation

RULES = 3  # raise it when the ladder or the defaults change, so that no old answer is reused


@dataclass(frozen=True, slots=True)
class Workshop:
    """What environments are made with on this machine, under one set of settings."""

    settings: Settings
    isolation: Isolation
    builder: UvBuilder
    pythons: tuple[Interpreter, ...]

    def environment(
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...],
        era: Era,
        imports: tuple[str, ...],
        progress: Callable[[str], None],
        fixed: bool = False,
    ) -> Environment:
        """Return the environment for `wants` as of an era, on the first Python that works.

        With `fixed`, only the first Python that this machine has is tried.
        Raises NoPythonError or EnvironmentBuildError with the reasons of the last try.
        """
        chosen = self.interpreters_for(era)
        chosen = chosen[:1] if fixed else chosen[:3]
        last: LemanError | None = None
        for python in chosen:
            key = _key(wants, constraints, python, era.cutoff)
            known = self._known(key, python)
            if known:
                return known
            try:
                trial = self.builder.trial(
                    wants, constraints=constraints, python=python, cutoff=era.cutoff
                )
                if last:
                    note = f"Python {python.minor}"
                    trial.attempts.append(Attempt("lock", note, last.message[:300]))
                built = self.builder.lock_and_install(
                    trial, reason=era.cutoff_reason, imports=imports, progress=progress
                )
            except SpaceError:
                raise
            except EnvironmentBuildError as error:
                last = error
                progress(f"Python {python.minor} did not work out: {error.message[:120]}")
                continue
            write_atomic(self._memo(key), json.dumps({"digest": built.digest}))
            return built
        raise last or EnvironmentBuildError("no environment could be built")

    def known(
        self, wants: tuple[Want, ...], constraints: tuple[Want, ...], era: Era
    ) -> Environment | None:
        """Return what `environment` built before for the same question, None if it did not."""
        for python in self.interpreters_for(era)[:3]:
            found = self._known(_key(wants, constraints, python, era.cutoff), python)
            if found:
                return found
        return None

    def interpreters_for(self, era: Era) -> tuple[Interpreter, ...]:
        """Return this machine's interpreters for an era, the wanted ones first.

        Raises NoPythonError where the machine has none that is near.
        """
        if not self.pythons:
            choose(era.pythons, self.pythons)
        try:
            wanted = choose(era.pythons, self.pythons)
        except NoPythonError:
            if era.python_reason == "--python":
                raise
            wanted = choose(nearest(era.pythons, self.pythons), self.pythons)
        return wanted

    def _memo(self, key: str) -> Path:
        return self.settings.cache / "locks" / f"{key}.json"

    def _known(self, key: str, python: Interpreter) -> Environment | None:
        try:
            digest = json.loads(self._memo(key).read_text())["digest"]
        except (OSError, ValueError, KeyError):
            return None
        return self.builder.at(digest, python)


def open_workshop(settings: Settings, isolation: Isolation, *, offline: bool = False) -> Workshop:
    """Return the tools for `settings`; asks uv once for the index's address, then remembers it."""
    plain = Uv(settings.cache / "uv", settings.index_url, offline)
    boxed = replace(plain, wrap=_boxed()) if isolation.level == "sandbox" else plain
    index = Index(_index_address(settings, plain), settings.cache / "index", offline)
    builder = UvBuilder(settings.environments, plain, boxed, index, HEAVY)
    return Workshop(settings, isolation, builder, interpreters(settings.python_folders))


def _index_address(settings: Settings, uv: Uv) -> str:
    """Ask uv which index it uses; nobody else knows the user's configuration of uv."""
    return settings.index_url or uv.index()


def _boxed() -> Callable[[list[str], tuple[Path, ...]], list[str]]:
    """Return what puts a command of uv's into a sandbox: builds of sdists run authors' code."""

    def wrap(command: list[str], writable: tuple[Path, ...]) -> list[str]:
        for folder in writable:
            folder.mkdir(parents=True, exist_ok=True)
        box = sandbox.Sandbox(
            cwd=writable[-1] if len(writable) == 1 else writable[1],
            writable=writable,
            readable=_readable(command),
            network=True,
            environment=passed_on(),
        )
        return sandbox.command(box, command)

    return wrap


def _readable(command: list[str]) -> tuple[Path, ...]:
    program = Path(command[0])
    folders = list(sandbox.interpreter_folders(program)) or [program.parent]
    if "--python" in command:
        folders += sandbox.interpreter_folders(Path(command[command.index("--python") + 1]))
    folders += [program.parent]
    return tuple(dict.fromkeys(folders))


def _key(
    wants: tuple[Want, ...], constraints: tuple[Want, ...], python: Interpreter, cutoff: date
) -> str:
    facts = [
        RULES,
        sorted(asdict(want)["name"] + want.text() for want in wants),
        sorted(want.text() for want in constraints),
        python.version,
        cutoff.isoformat(),
        locks.platform_tag(),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]
