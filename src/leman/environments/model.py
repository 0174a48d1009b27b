"""The values that flow from a source to an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from leman.findings import Finding

Origin = Literal["declared", "inferred", "repair", "kernel"]


@dataclass(frozen=True, slots=True)
class Source:
    """A fetched source: files on this disk that nobody changes.

    `path` is the folder with the files; `notebooks` restricts it to some of them (paths relative
    to `path`, POSIX style; empty: all). `content_id` names the content: ``git:<40 hex>`` for a
    commit, ``sha256:<64 hex>`` for the rest. `git_dir` is where history can be asked for.
    `published` is the date of an archive or a deposit that has no history.
    `missing` lists files that the source names but whose content is not here (LFS pointers,
    blobs absent from a partial clone, submodules), relative to `path`.
    `subfolder` says where `path` lies inside the commit's tree (POSIX; empty: it is the top).
    `locks` are those that came with it: their notebooks run in these environments, no other.
    """

    url: str
    revision: str
    path: Path
    content_id: str
    git_dir: Path | None = None
    published: date | None = None
    notebooks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    subfolder: str = ""
    locks: tuple[GivenLock, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenLock:
    """A lock that came with a source, such as a record's, and the notebooks that it serves.

    `path` is a ``pylock.toml`` or ``conda.lock`` that leman wrote; `python` has three parts
    (``3.8.18``) and `digest` is the environment's, both as they were where it was locked.
    """

    path: Path
    notebooks: tuple[str, ...]
    python: str
    digest: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One declared package: `specifier` is PEP 440 (may be empty), `origin` is ``file:line``.

    `name` is normalised (PEP 503). `url` holds a direct reference (VCS or file) where the
    declaration had one. `pinned` says that the declaration names exactly one version.
    """

    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    url: str = ""
    origin: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a source says that it needs, whatever files it says it in.

    `python` is a PEP 440 specifier such as ``==3.8.*`` or ``>=3.7``, with `python_origin`;
    `cutoff` comes from ``runtime.txt`` of the form ``python-3.8-2020-05-01``.
    `files` are the declaring files, relative to the source. `local_projects` are folders with a
    package of the source's own (setup.py, pyproject.toml), relative, ``"."`` for the root.
    `no_project_install` says that a binder folder rules, so that the root's setup.py is left alone.
    `ruling` names the packages that the file of the highest precedence asks for: what repo2docker
    would install; the other files are read for versions.
    `per_notebook` holds requirements that one notebook alone declares (PEP 723, ``%pip install``).
    """

    requirements: tuple[Requirement, ...] = ()
    per_notebook: dict[str, tuple[Requirement, ...]] = field(default_factory=dict)
    python: str = ""
    python_origin: str = ""
    cutoff: date | None = None
    files: tuple[str, ...] = ()
    local_projects: tuple[str, ...] = ()
    no_project_install: bool = False
    apt: tuple[str, ...] = ()
    post_build: str = ""
    start: str = ""
    environment_variables: dict[str, str] = field(default_factory=dict)
    conda_channels: tuple[str, ...] = ()
    conda_only: tuple[Requirement, ...] = ()
    ruling: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython on this machine; `version` has three parts, such as ``3.8.18``."""

    version: str
    path: Path
    origin: str = ""

    @property
    def minor(self) -> str:
        """The ``3.8`` of ``3.8.18``."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Want:
    """One package to resolve, and why: `evidence` is a file and line, an import or an error."""

    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    url: str = ""
    origin: Origin = "inferred"
    evidence: str = ""

    def text(self) -> str:
        """Return the PEP 508 text of this requirement."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.url:
            return f"{self.name}{extras} @ {self.url}"
        return f"{self.name}{extras}{self.specifier}"


@dataclass(frozen=True, slots=True)
class Era:
    """As of when, with which Python: `pythons` in the order in which to try them (``3.8``)."""

    cutoff: date
    cutoff_reason: str
    pythons: tuple[str, ...]
    python_reason: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Notebooks that share one environment."""

    notebooks: tuple[str, ...]
    era: Era
    wants: tuple[Want, ...]
    constraints: tuple[Want, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried: what, on what ground, and how it ended."""

    step: Literal["lock", "build", "run"]
    action: str
    reason: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Modification:
    """One departure from what the author wrote or declared, made on a copy."""

    kind: str  # documented: unpin, drop, add, override, link, past, folder, cell, path
    target: str
    detail: str


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One package of a lock; `why` names who asked for it, `uploaded` is ISO 8601 or empty."""

    name: str
    version: str
    uploaded: str = ""
    kind: Literal["wheel", "sdist", "vcs", "conda"] = "wheel"
    origin: Origin | Literal["dependency"] = "dependency"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """A resolved environment: `text` is a PEP 751 ``pylock.toml`` with leman's provenance.

    `digest` is the SHA-256 over what determines the built environment (packages with hashes,
    Python version, platform), not over comments or provenance.
    """

    text: str
    digest: str
    python: Interpreter
    cutoff: date
    cutoff_reason: str
    packages: tuple[LockedPackage, ...]
    attempts: tuple[Attempt, ...] = ()
    modifications: tuple[Modification, ...] = ()
    findings: tuple[Finding, ...] = ()
    imports: tuple[str, ...] = ()  # modules to compile to bytecode when the environment is built


@dataclass(frozen=True, slots=True)
class Environment:
    """A built environment: immutable, shared, named by its lock's digest."""

    digest: str
    path: Path
    python: Interpreter
    cutoff: date
    lock: Lock

    @property
    def executable(self) -> Path:
        """The environment's own Python."""
        return self.path / "bin" / "python"
