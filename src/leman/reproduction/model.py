"""The values that flow from an environment to a report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Attempt, Environment, Modification, Source
    from leman.findings import Finding


class Verdict(StrEnum):
    """What the comparison of one stored output with its new one says."""

    IDENTICAL = "identical"
    NORMALISED = "normalised"  # equal once addresses, paths, time stamps … are written alike
    TOLERANT = "tolerant"  # equal within the tolerance of numbers or pixels
    VOLATILE = "volatile"  # differs, but so do two runs of our own, in the same places
    EXEMPT = "exempt"  # the author's tag says not to compare
    NOT_COMPARED = "not-compared"  # no rule for this kind of output, or nothing stored
    DIFFERENT = "different"


class Same(StrEnum):
    """The weakest verdict over a notebook's outputs, volatile and exempt ones left out."""

    EXACT = "exact"
    NORMALISED = "normalised"
    TOLERANT = "tolerant"
    NO = "no"
    NOT_COMPARED = "not-compared"


class Status(StrEnum):
    """Whether a notebook ran to its end."""

    RAN = "ran"
    FAILED = "failed"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a notebook failed or was skipped; `leman.reproduction.taxonomy` documents each."""

    NONE = ""
    NOT_A_NOTEBOOK = "not-a-notebook"
    OTHER_LANGUAGE = "other-language"
    PYTHON_2 = "python-2"
    SYNTAX = "syntax"
    NO_PYTHON = "no-python"
    NO_ENVIRONMENT = "no-environment"
    MISSING_MODULE = "missing-module"
    UNPUBLISHED_MODULE = "unpublished-module"
    SYSTEM_LIBRARY = "system-library"
    MISSING_FILE = "missing-file"
    MISSING_BLOB = "missing-blob"
    ABSOLUTE_PATH = "absolute-path"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    HARDWARE = "hardware"
    INPUT = "input"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    PROCESSES = "processes"
    OUTPUT_LIMIT = "output-limit"
    KERNEL_DIED = "kernel-died"
    API_CHANGE = "api-change"
    AUTHOR_ERROR = "author-error"
    INTERRUPTED = "interrupted"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether any system could run a notebook; `reason` is a word of the taxonomy, `detail` why."""

    eligible: bool = True
    reason: str = ""
    detail: str = ""


ELIGIBLE = Eligibility()


@dataclass(frozen=True, slots=True)
class OutputVerdict:
    """The comparison of one output.

    `cell` counts all cells from 0, `output` counts the cell's outputs from 0, `kind` is
    ``stream``, ``error`` or a MIME type. `detail` says in a sentence what differs or which rule
    made them equal; `stored` and `new` are short text forms; `picture` is a PNG
    (base64) that shows the difference of two images, or empty.
    """

    cell: int
    output: int
    kind: str
    verdict: Verdict
    detail: str = ""
    stored: str = ""
    new: str = ""
    stored_image: str = ""
    new_image: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All verdicts over one notebook, and what they amount to."""

    outputs: tuple[OutputVerdict, ...]
    same: Same

    def counts(self) -> dict[str, int]:
        """Return the number of outputs per verdict, every verdict named."""
        found = [one.verdict for one in self.outputs]
        return {verdict.value: found.count(verdict) for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one notebook may use: seconds for all its cells, bytes, processes, bytes of output."""

    seconds: float = 600.0
    memory: int = 0  # 0: three quarters of the machine's memory
    processes: int = 512
    output: int = 50_000_000


@dataclass(frozen=True, slots=True)
class Isolation:
    """How notebooks were kept apart from this machine: `level` is ``sandbox`` or ``none``."""

    level: str
    network: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that ended a run: `name` and `text` as Python gave them, `cell` counts from 0."""

    reason: Reason
    name: str = ""
    text: str = ""
    traceback: str = ""
    cell: int = -1


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one notebook: `notebook` is the executed file, `failure` None if it ran."""

    notebook: Path
    seconds: float
    failure: Failure | None = None
    peak_memory: int = 0


@dataclass(frozen=True, slots=True)
class NotebookResult:
    """Everything that is known of one notebook after a run.

    `eligible` is decided before execution: False where no system could run it (data never
    published, network, the author's own defect), `eligible_reason` says why.
    """

    path: str
    status: Status
    reason: Reason = Reason.NONE
    message: str = ""
    advice: str = ""
    comparison: Comparison | None = None
    environment: str = ""  # digest of the environment that it ran in
    seconds: float = 0.0
    runs: int = 0
    eligible: bool = True
    eligible_reason: str = ""
    failure: Failure | None = None
    executed: str = ""  # path of the executed notebook inside the report folder
    attempts: tuple[Attempt, ...] = ()
    modifications: tuple[Modification, ...] = ()
    expected: Comparison | None = None  # with the executed notebook of an earlier run

    @property
    def same(self) -> Same:
        """What the comparison amounts to; "not-compared" where there was none."""
        return self.comparison.same if self.comparison else Same.NOT_COMPARED


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run: `started` is ISO 8601 UTC, `machine` names OS, CPU count and versions."""

    source: Source
    environments: tuple[Environment, ...]
    notebooks: tuple[NotebookResult, ...]
    isolation: Isolation
    started: str
    seconds: float
    leman: str
    machine: dict[str, str]
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """True when every notebook ran or was skipped for a good reason, and nothing differs."""
        return all(
            one.status is not Status.FAILED and one.same is not Same.NO for one in self.notebooks
        ) and any(one.status is Status.RAN for one in self.notebooks)
