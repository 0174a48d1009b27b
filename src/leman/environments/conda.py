"""Environments from conda channels, for what the Python package index lacks.

py-rattler does the work, in a child process (`conda_child`). Python itself comes from the
channels here. Packages that a channel lacks are left out and reported; nothing is installed
from the Python package index on top.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from leman.environments.holds import hold
from leman.environments.interface import silent
from leman.environments.model import (
    Attempt,
    Environment,
    Interpreter,
    Lock,
    LockedPackage,
    Modification,
    Want,
)
from leman.environments.names import conda_names
from leman.errors import (
    EnvironmentBuildError,
    LemanError,
    ResolutionError,
    SpaceError,
    ToolError,
)
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

DEFAULT_CHANNELS = ("conda-forge",)
# `defaults` is not a channel but a list in conda's settings; the channel `anaconda` mirrors it.
_RENAMED = {"defaults": "anaconda"}
_UNREACHABLE = ("GatewayError", "FetchRepoDataError", "ClientError", "IoError")
_FULL = re.compile(r"os error (28|122)\b|Errno (28|122)\b")  # ENOSPC, EDQUOT: rattler's, ours
_CONDA_VERSION = re.compile(r"[\w.,<>=!~*|+ ()-]*")  # no brackets: those override name and channel


class CondaBuilder:
    """A `Builder` over conda channels, in order of priority (names, addresses, ``file://`` …).

    `home` holds ``environments/<the digest's first 32 digits>``, each with a ``leman.json``, and
    ``cache/conda``. `alias` is the address under which plain channel names are looked up; empty
    means rattler's own default. `addresses` says where single channels are instead, by name.
    The environment's own Python compiles what is imported, in a sandbox if `sandboxed`.

    A lock's `text` is a rattler lock file (YAML, the format of ``pixi.lock``), its first line a
    comment ``# leman: {…}`` with the provenance as JSON: cut-off, channels, wants, why each
    package is there, attempts, modifications. Its `digest` is the SHA-256 over the platform and
    each package's name, version, build, hash and URL. An installed environment keeps its
    text in ``conda-meta/leman.lock``.
    """

    def __init__(
        self,
        home: Path,
        channels: tuple[str, ...] = DEFAULT_CHANNELS,
        *,
        alias: str = "",
        addresses: Mapping[str, str] | None = None,
        sandboxed: bool = True,
    ) -> None:
        known = addresses or {}
        named = [
            known.get(name) or _RENAMED.get(name, name) for name in channels if name != "nodefaults"
        ]
        self.sandboxed = sandboxed
        self.channels = tuple(dict.fromkeys(named)) or DEFAULT_CHANNELS
        self.home = home
        self.alias = alias

    def lock(
        self,
        wants: tuple[Want, ...],
        *,
        constraints: tuple[Want, ...],
        python: Interpreter,
        cutoff: date,
        progress: Callable[[str], None] = silent,
    ) -> Lock:
        """Resolve `wants` for the minor version of `python` with builds up to the end of `cutoff`.

        Raises ResolutionError with rattler's reasons; EnvironmentBuildError where a channel does
        not answer or does not exist; LemanError where py-rattler is not installed.
        """
        by_url = tuple(one for one in wants if one.url)
        asked = tuple(one for one in wants if not one.url)
        answer = self._ask(
            {
                "task": "solve",
                "channels": self.channels,
                "alias": self.alias,
                "cutoff": cutoff.isoformat(),
                "wants": [
                    ["python", f"{python.minor}.*", False],
                    *([one.name, conda_version(one.specifier), _optional(one)] for one in asked),
                ],
                "constraints": [
                    [one.name, conda_version(one.specifier), True] for one in constraints
                ],
                "names": {one.name: conda_names(one.name) for one in (*asked, *constraints)},
            },
            progress,
        )
        where = f"{', '.join(self.channels)} as of {cutoff}"
        if "error" in answer:
            raise self._failure(answer, f"no conda environment could be locked from {where}")
        lacking = (*answer["missing"], *(one.name for one in by_url))
        if asked and len(answer["missing"]) == sum(map(_optional, asked)) > 0:
            raise ResolutionError(
                f"{where}: no channel has any of {', '.join(lacking)}",
                hint="Name the channel that has them, or take them from the package index.",
            )
        return self._locked(answer, wants, lacking, cutoff)

    def install(self, lock: Lock, *, progress: Callable[[str], None] = silent) -> Environment:
        """Return the environment of `lock`, built now or found.

        Safe with several processes at once; what a killed build left is removed and built again.
        The result is read-only. Raises EnvironmentBuildError with rattler's words, SpaceError
        where the disk is full.
        """
        path = self._place(lock.digest)
        if not path.is_dir():
            request: dict[str, Any] = {
                "task": "install",
                "text": lock.text,
                "digest": lock.digest,
                "imports": lock.imports,
                "sandboxed": self.sandboxed,
            }
            answer = self._ask(request | {"target": str(path)}, progress)
            if "error" in answer:
                raise self._failure(answer, f"the environment {lock.digest[:12]} was not built")
        hold(path)
        environment = Environment(lock.digest, path, lock.python, lock.cutoff, lock)
        if not environment.executable.exists():
            raise EnvironmentBuildError(
                f"the conda package of Python {lock.python.version} brought no bin/python",
                hint="Check the channel that it came from.",
            )
        return environment

    def _place(self, digest: str) -> Path:
        # 128 bits of the digest keep shebang lines and socket paths short.
        return self.home / "environments" / digest[:32]

    def _locked(
        self,
        answer: dict[str, Any],
        wants: tuple[Want, ...],
        lacking: tuple[str, ...],
        cutoff: date,
    ) -> Lock:
        packages = _packages(answer["packages"], wants)
        python = next(one.version for one in packages if one.name == "python")
        channels = ", ".join(self.channels)
        gone = f"no conda package of this name in {channels}"
        attempts = tuple(
            Attempt("lock", f"conda: {what}", f"channels {channels}", words or "solved")
            for what, words in answer["tries"]
        )
        modifications = tuple(Modification("drop", name, gone) for name in lacking)
        provenance = {
            "format": 1,
            "cutoff": cutoff.isoformat(),
            "channels": self.channels,
            "wants": [[one.text(), one.origin, one.evidence] for one in wants],
            "packages": {one.name: [one.origin, one.why] for one in packages},
            "attempts": [[one.action, one.outcome] for one in attempts],
            "dropped": lacking,
        }
        executable = self._place(answer["digest"]) / "bin" / "python"
        return Lock(
            text=f"# leman: {json.dumps(provenance)}\n{answer['text']}",
            digest=answer["digest"],
            python=Interpreter(python, executable, "conda"),
            cutoff=cutoff,
            cutoff_reason="",
            packages=packages,
            attempts=attempts,
            modifications=modifications,
            findings=(*_lacking(lacking, gone), *_undated(packages, cutoff)),
        )

    def _ask(self, request: dict[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
        """Have the child do one task; what counts is its answer, not how it ended."""
        if importlib.util.find_spec("rattler") is None:
            raise LemanError(
                "conda packages need py-rattler, which is not installed",
                hint="Install it with: pip install 'leman[conda]'",
            )
        with tempfile.TemporaryDirectory(prefix="leman-conda-") as folder:
            answer, errors = Path(folder) / "answer.json", Path(folder) / "stderr"
            cache = str(self.home / "cache" / "conda")
            code = _run(request | {"answer": str(answer), "cache": cache}, errors, progress)
            if answer.exists():
                found: dict[str, Any] = json.loads(answer.read_bytes())
                return found
            words = errors.read_text(errors="replace")[-4000:]
        raise ToolError(
            f"rattler ended with code {code} and without an answer",
            hint="Run again: what it left half-done is removed first.",
            output=words,
            code=code,
        )

    def _failure(self, answer: dict[str, Any], what: str) -> LemanError:
        words = f"{what}: {answer['words'].strip()}"
        if _FULL.search(words):
            return SpaceError(words, hint="Free some space (`leman env prune`) and run again.")
        if answer["error"] in _UNREACHABLE:
            return EnvironmentBuildError(
                words, hint="Check the channels' names and the network; nothing was changed."
            )
        if answer["error"] in ("SolverError", "InvalidMatchSpecError"):
            return ResolutionError(
                words, hint="Loosen a version that is named above, or choose a later date."
            )
        return EnvironmentBuildError(
            words, hint="Lock again, or report the package to its channel."
        )


def conda_version(specifier: str) -> str:
    """Return a PEP 440 specifier as conda writes it; conda's own syntax passes unchanged.

    Raises ResolutionError for text that is neither.
    """
    try:
        parts = [(one.operator, one.version) for one in SpecifierSet(specifier)]
    except InvalidSpecifier:
        if _CONDA_VERSION.fullmatch(specifier):
            return specifier.strip()
        raise ResolutionError(
            f"{specifier!r} is no version specifier of PEP 440 or of conda",
            hint="Correct the declaration.",
        ) from None
    return ",".join(sorted(_conda_part(operator, version) for operator, version in parts))


def _conda_part(operator: str, version: str) -> str:
    if operator == "==" and version.endswith(".*"):
        return version
    return f"{'==' if operator == '===' else operator}{version}"


def _optional(want: Want) -> bool:
    # Without kernel or Python nothing runs; the rest may be missing, and is then reported.
    return want.origin != "kernel" and want.name != "python"


def _packages(rows: list[dict[str, Any]], wants: tuple[Want, ...]) -> tuple[LockedPackage, ...]:
    asked = {canonicalize_name(name): one for one in wants for name in conda_names(one.name)}
    needed_by: dict[str, list[str]] = {}
    for row in rows:
        for name in row["depends"]:
            needed_by.setdefault(name, []).append(row["name"])

    def package(row: dict[str, Any]) -> LockedPackage:
        name, want = row["name"], asked.get(canonicalize_name(row["name"]))
        why = (
            want.evidence if want else f"needed by {', '.join(needed_by.get(name, ['the kernel']))}"
        )
        origin = want.origin if want else "dependency"
        return LockedPackage(name, row["version"], row["uploaded"], "conda", origin, why)

    return tuple(map(package, rows))


def _lacking(names: tuple[str, ...], message: str) -> tuple[Finding, ...]:
    fix = "Name a channel that has it, or use an environment from the package index."
    return tuple(Finding("conda-lacks", "warning", name, message, fix) for name in names)


def _undated(packages: tuple[LockedPackage, ...], cutoff: date) -> tuple[Finding, ...]:
    message = f"its channel gives no date for this build, so it may be newer than {cutoff}"
    return tuple(
        Finding("conda-undated", "warning", f"{one.name} {one.version}", message)
        for one in packages
        if not one.uploaded
    )


def _run(request: dict[str, Any], errors: Path, progress: Callable[[str], None]) -> int:
    with (
        errors.open("wb") as stderr,
        # -P: the current folder may be a source's own, with a `rattler.py` in it.
        subprocess.Popen(
            [sys.executable, "-P", "-m", "leman.environments.conda_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as child,
    ):
        try:
            assert child.stdin is not None  # noqa: S101 - for the type checker
            assert child.stdout is not None  # noqa: S101
            child.stdin.write(json.dumps(request))
            child.stdin.close()
            for line in child.stdout:
                progress(line.rstrip())
            return child.wait()
        finally:
            child.kill()
