"""The tools of one run: interpreters, index, builder, isolation; made once, passed along."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from leman import sandbox
from leman.backends import load
from leman.environments import given, shelf
from leman.environments import lock as locks
from leman.environments.build import UvBuilder
from leman.environments.clock import within_life
from leman.environments.holds import hold
from leman.environments.index import Index
from leman.environments.model import Attempt, Interpreter, Modification
from leman.environments.names import HEAVY
from leman.environments.pythons import choose, interpreters, nearest
from leman.environments.tiers import (
    BUILDERS,
    NO_NEED,
    CondaNeed,
    CondaPlace,
    MakesConda,
    Tier,
    build_with_conda,
    conda_not_used,
)
from leman.environments.uv import Uv, passed_on
from leman.environments.wheels import python_with_wheels
from leman.errors import (
    EnvironmentBuildError,
    LemanError,
    NoPythonError,
    ResolutionError,
    SpaceError,
    ToolError,
)
from leman.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from leman.config import Settings
    from leman.environments.model import Environment, Era, GivenLock, Want
    from leman.reproduction.model import Isolation

RULES = 5  # raise it when the ladder or the defaults change, so that no old answer is reused


@dataclass(frozen=True, slots=True)
class Asked:
    """What an environment is asked for."""

    wants: tuple[Want, ...]
    constraints: tuple[Want, ...]
    era: Era
    imports: tuple[str, ...]
    progress: Callable[[str], None]
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Workshop:
    """What environments are made with on this machine, under one set of settings."""

    settings: Settings
    isolation: Isolation
    builder: UvBuilder
    pythons: tuple[Interpreter, ...]
    tier: Tier = "auto"
    refused: dict[tuple[str, ...], LemanError] = field(default_factory=dict)  # channels → why
    downloads: dict[str, tuple[Interpreter, ...]] = field(default_factory=dict)

    def environment(  # noqa: PLR0913 - what determines an environment, all by name
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...],
        era: Era,
        imports: tuple[str, ...],
        progress: Callable[[str], None],
        fixed: bool = False,
        conda: CondaNeed = NO_NEED,
    ) -> Environment:
        """Return the environment for `wants` as of an era, on the first Python that works.

        With `fixed`, only the first Python that this machine has is tried. What `conda` names
        comes with all the rest from its channels; where it cannot be had, the lock's findings say
        so. Raises NoPythonError or EnvironmentBuildError with the reasons of the last try.
        """
        question = Asked(wants, constraints, era, imports, progress, fixed=fixed)
        if self.tier == "conda":
            return self._from_conda(question, conda)
        if not conda.calls:
            return self._from_index(question)
        seen = conda_not_used(conda, "uv alone was asked for", "Allow it with --builder auto.")
        if self.tier == "auto":
            try:
                return self._from_conda(question, conda)
            except SpaceError:
                raise
            except LemanError as error:
                progress(f"no conda environment: {error.message[:200]}")
                seen = conda_not_used(conda, error.message[:600], error.hint)
        made = self._from_index(question)
        found = tuple(dict.fromkeys([*made.lock.findings, seen]))
        return replace(made, lock=replace(made.lock, findings=found))

    def _from_conda(self, question: Asked, need: CondaNeed) -> Environment:
        """Raise LemanError where py-rattler is missing, and EnvironmentBuildError."""
        known = self._known_conda(question.wants, question.constraints, question.era, need)
        if known:
            return known
        if need.channels in self.refused:
            raise self.refused[need.channels]
        try:
            built = build_with_conda(
                CondaPlace(
                    self.settings.home,
                    dict(self.settings.conda_channels),
                    self.isolation.level == "sandbox",
                ),
                question.wants,
                need=need,
                constraints=question.constraints,
                era=question.era,
                imports=question.imports,
                progress=question.progress,
            )
        except (SpaceError, ResolutionError):
            raise
        except LemanError as error:  # the next notebook gets the same answer, after as long a time
            self.refused[need.channels] = error
            raise
        key = _conda_key(question.wants, question.constraints, question.era, need)
        write_atomic(self._memo(key), json.dumps({"digest": built.digest}))
        return built

    def _from_index(self, question: Asked) -> Environment:
        wants, constraints, era = question.wants, question.constraints, question.era
        imports, progress, fixed = question.imports, question.progress, question.fixed
        chosen, gained = self._candidates(wants, era, fixed=fixed)
        last: LemanError | None = None
        for python in chosen:
            cutoff, why = as_of(era, python)
            key = _key(wants, constraints, python, cutoff)
            known = self._known(key, python)
            if known:
                return known
            try:
                trial = self.builder.trial(
                    wants, constraints=constraints, python=python, cutoff=cutoff
                )
                if python.minor != era.pythons[0]:
                    told = f"Python {python.minor} instead of {era.pythons[0]}{gained}"
                    trial.modifications.append(Modification("python", python.minor, told))
                if last:
                    note = f"Python {python.minor}"
                    trial.attempts.append(Attempt("lock", note, last.message[:300]))
                built = self.builder.lock_and_install(
                    trial, reason=why, imports=imports, progress=progress
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

    def locked(self, lock: GivenLock, progress: Callable[[str], None]) -> Environment:
        """Return the environment of a lock that came with a source; nothing is resolved.

        Raises NoPythonError where this machine lacks its Python, EnvironmentBuildError where a
        package is not to be had or does not build.
        """
        text = given.text_of(lock)
        if given.is_condas(text):
            known, channels = given.read_conda(lock, text)
            make: MakesConda = load(BUILDERS, "conda")
            addresses = dict(self.settings.conda_channels)
            boxed = self.isolation.level == "sandbox"
            builder = make(self.settings.home, channels, addresses=addresses, sandboxed=boxed)
            return builder.install(known, progress=progress)
        python = given.exactly(lock, self.interpreters_for(given.era_of(lock)))
        found = given.read(lock, text, python)
        try:
            question = locks.build_question(found)
            return self.builder.install(found, progress=progress, question=question)
        except ToolError as error:
            raise EnvironmentBuildError(
                f"the locked packages could not be installed: {error.output.strip()[-600:]}",
                hint="Without the network only what this machine has in its cache can be had.",
            ) from error

    def known(
        self,
        wants: tuple[Want, ...],
        constraints: tuple[Want, ...],
        era: Era,
        conda: CondaNeed = NO_NEED,
    ) -> Environment | None:
        """Return what `environment` built before for the same question, None if it did not."""
        if self.tier == "conda" or (self.tier == "auto" and conda.calls):
            found = self._known_conda(wants, constraints, era, conda)
            if found or self.tier == "conda":
                return found
        for python in self._candidates(wants, era)[0]:
            found = self._known(_key(wants, constraints, python, as_of(era, python)[0]), python)
            if found:
                return found
        return None

    def _known_conda(
        self,
        wants: tuple[Want, ...],
        constraints: tuple[Want, ...],
        era: Era,
        need: CondaNeed,
    ) -> Environment | None:
        try:
            memo = self._memo(_conda_key(wants, constraints, era, need)).read_text()
            path = self.settings.environments / json.loads(memo)["digest"][:32]
        except (OSError, ValueError, KeyError):
            return None
        if not path.is_dir():
            return None
        hold(path)
        return shelf.at(path).environment

    def interpreters_for(self, era: Era) -> tuple[Interpreter, ...]:
        """Return this machine's interpreters for an era, the wanted ones first.

        Raises NoPythonError where the machine has none that is near.
        """
        have = self._with_download(era.pythons[0])
        if not have:
            choose(era.pythons, have)
        try:
            return choose(era.pythons, have)
        except NoPythonError:
            if era.python_reason == "--python":
                raise
            return choose(nearest(era.pythons, have), have)

    def _candidates(
        self, wants: tuple[Want, ...], era: Era, *, fixed: bool = False
    ) -> tuple[tuple[Interpreter, ...], str]:
        """Return the interpreters to try, and why the first is not the era's own ("": it is)."""
        chosen = self.interpreters_for(era)
        if fixed or era.python_reason == "--python":
            return (chosen[:1] if fixed else chosen[:3]), ""
        have = {one.minor: one for one in (*self.pythons, *chosen)}
        minor, gained = python_with_wheels(
            wants,
            # A warm run must not ask the index again: what had wheels once has them for ever.
            self.builder.index.releases(
                [want.name for want in wants if want.name in HEAVY], fresh=math.inf
            ),
            heavy=HEAVY,
            wanted=chosen[0].minor,
            available=tuple(have),
        )
        if not gained:
            return chosen[:3], ""
        rest = [one for one in chosen if one.minor != minor]
        why = f", because {', '.join(gained)} cannot be had for it"
        return (have[minor], *rest[:2]), why

    def _with_download(self, minor: str) -> tuple[Interpreter, ...]:
        """Return this machine's interpreters, with `minor` if uv may download it and can."""
        if minor in {one.minor for one in self.pythons}:
            return self.pythons
        if minor not in self.downloads:
            came = self.builder.uv.install_python(minor)
            folders = self.settings.python_folders
            self.downloads[minor] = interpreters(folders) if came else self.pythons
        return self.downloads[minor]

    def _memo(self, key: str) -> Path:
        return self.settings.cache / "locks" / f"{key}.json"

    def _known(self, key: str, python: Interpreter) -> Environment | None:
        try:
            digest = json.loads(self._memo(key).read_text())["digest"]
        except (OSError, ValueError, KeyError):
            return None
        return self.builder.at(digest, python)


def open_workshop(
    settings: Settings, isolation: Isolation, *, offline: bool = False, tier: Tier = "auto"
) -> Workshop:
    """Return the tools for `settings`; uv is asked for the index's address when that is needed."""
    plain = Uv(settings.cache / "uv", settings.index_url, offline)
    boxed = replace(plain, wrap=_boxed()) if isolation.level == "sandbox" else plain
    # Only uv knows the user's configuration of it: it is asked once, where nothing is built yet.
    address = settings.index_url or cache(plain.index)
    index = Index(address, settings.cache / "index", offline)
    builder = UvBuilder(settings.environments, plain, boxed, index, HEAVY)
    pythons = interpreters(settings.python_folders)
    return Workshop(settings, isolation, builder, pythons, tier)


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


def _conda_key(
    wants: tuple[Want, ...], constraints: tuple[Want, ...], era: Era, need: CondaNeed
) -> str:
    rest = {"channels": need.channels, "pythons": era.pythons[:3]}
    facts = [[want.text() for want in sorted((*wants, *need.wants), key=str)], rest]
    limits = sorted(want.text() for want in constraints)
    text = json.dumps([RULES, "conda", *facts, limits, era.cutoff.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def as_of(era: Era, python: Interpreter) -> tuple[date, str]:
    """Return an era's date and reason, moved into the life of a Python that is not its first."""
    if python.minor == era.pythons[0]:
        return era.cutoff, era.cutoff_reason
    return within_life(era.cutoff, era.cutoff_reason, python.minor)


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
