"""A report as a value that JSON can hold; `schema.json` documents every field."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.environments.tiers import is_conda
from leman.reproduction.model import Same, Status, Verdict
from leman.reproduction.report.pictures import ROLES, Pictures, collect
from leman.reproduction.report.text import (
    STORED_LIMIT,
    file_name,
    storable,
    without_colours,
    without_password,
)
from leman.reproduction.report.words import findings_of, headline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leman.environments.model import Attempt, Environment, Modification
    from leman.findings import Finding
    from leman.reproduction.model import Failure, NotebookResult, OutputVerdict, Report

SCHEMA = "leman-report/1"
MOST_OUTPUTS = 5_000  # of one notebook, listed one by one


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of report.json."""
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_bytes())
    return loaded


def as_json(report: Report, pictures: Pictures | None = None) -> dict[str, Any]:
    """Return the report as plain dicts, lists, strings and finite numbers, valid by `schema()`."""
    known = collect(report) if pictures is None else pictures
    value = {
        "schema": SCHEMA,
        "leman": report.leman,
        "started": report.started,
        "seconds": report.seconds,
        "passed": report.passed,
        "headline": headline(report),
        "source": {
            "url": without_password(report.source.url),
            "revision": report.source.revision,
            "content_id": report.source.content_id,
            "missing": list(report.source.missing),
        },
        "machine": dict(report.machine),
        "isolation": {
            "level": report.isolation.level,
            "network": report.isolation.network,
            "detail": report.isolation.detail,
        },
        "totals": _totals(report),
        "environments": [_environment(one) for one in report.environments],
        "notebooks": [
            _notebook(one, _paths(number, one, known))
            for number, one in enumerate(report.notebooks)
        ],
        "findings": [_finding(one) for one in findings_of(report)],
    }
    cleaned: dict[str, Any] = _clean(value)
    return cleaned


def lock_path(environment: Environment) -> str:
    """Return where, inside the report's folder, an environment's lock lies."""
    name = "conda.lock" if is_conda(environment.lock) else "pylock.toml"
    return f"environments/{file_name(environment.digest[:12])}/{name}"


def _totals(report: Report) -> dict[str, Any]:
    statuses = Counter(one.status for one in report.notebooks)
    same = Counter(one.same for one in report.notebooks if one.status is Status.RAN)
    outputs = Counter(
        output.verdict
        for one in report.notebooks
        if one.comparison
        for output in one.comparison.outputs
    )
    reasons = Counter(str(one.reason) for one in report.notebooks if one.reason)
    return {
        "notebooks": len(report.notebooks),
        "ran": statuses[Status.RAN],
        "failed": statuses[Status.FAILED],
        "skipped": statuses[Status.SKIPPED],
        "eligible": sum(one.eligible for one in report.notebooks),
        "same": {str(level): same[level] for level in Same},
        "outputs": {str(verdict): outputs[verdict] for verdict in Verdict},
        "reasons": dict(sorted(reasons.items())),
    }


def _environment(one: Environment) -> dict[str, Any]:
    return {
        "digest": one.digest,
        "python": one.python.version,
        "cutoff": one.cutoff.isoformat(),
        "cutoff_reason": one.lock.cutoff_reason,
        "lock": lock_path(one),
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "uploaded": package.uploaded,
                "kind": package.kind,
                "origin": package.origin,
                "why": package.why,
            }
            for package in one.lock.packages
        ],
        "attempts": _attempts(one.lock.attempts),
        "modifications": _modifications(one.lock.modifications),
    }


def _notebook(one: NotebookResult, images: list[dict[str, str]]) -> dict[str, Any]:
    outputs = one.comparison.outputs if one.comparison else ()
    listed = [
        _output(output, paths)
        for output, paths in zip(outputs, images, strict=True)
        if output.verdict is not Verdict.IDENTICAL
    ]
    counts = Counter(output.verdict for output in outputs)
    return {
        "path": one.path,
        "status": str(one.status),
        "reason": str(one.reason),
        "message": one.message,
        "advice": one.advice,
        "same": str(one.same),
        "counts": {str(verdict): counts[verdict] for verdict in Verdict},
        "seconds": one.seconds,
        "runs": one.runs,
        "eligible": one.eligible,
        "eligible_reason": one.eligible_reason,
        "environment": one.environment,
        "executed": one.executed,
        "failure": _failure(one.failure) if one.failure else None,
        "attempts": _attempts(one.attempts),
        "modifications": _modifications(one.modifications),
        "outputs": listed[:MOST_OUTPUTS],
        "outputs_left_out": max(0, len(listed) - MOST_OUTPUTS),
    }


def _paths(number: int, one: NotebookResult, pictures: Pictures) -> list[dict[str, str]]:
    outputs = one.comparison.outputs if one.comparison else ()
    return [
        {
            role: pictures[number, position, role].path
            for role in ROLES
            if (number, position, role) in pictures
        }
        for position in range(len(outputs))
    ]


def _output(one: OutputVerdict, images: dict[str, str]) -> dict[str, Any]:
    return {
        "cell": one.cell,
        "output": one.output,
        "kind": one.kind,
        "verdict": str(one.verdict),
        "detail": one.detail,
        "stored": one.stored,
        "new": one.new,
        "images": images,
    }


def _failure(one: Failure) -> dict[str, Any]:
    return {
        "reason": str(one.reason),
        "name": one.name,
        "text": without_colours(one.text),
        "traceback": without_colours(one.traceback),
        "cell": one.cell,
    }


def _attempts(attempts: Iterable[Attempt]) -> list[dict[str, str]]:
    return [
        {"step": one.step, "action": one.action, "reason": one.reason, "outcome": one.outcome}
        for one in attempts
    ]


def _modifications(modifications: Iterable[Modification]) -> list[dict[str, str]]:
    return [{"kind": one.kind, "target": one.target, "detail": one.detail} for one in modifications]


def _finding(one: Finding) -> dict[str, str]:
    return {
        "code": one.code,
        "severity": one.severity,
        "where": one.where,
        "message": one.message,
        "fix": one.fix,
    }


def _clean(value: Any) -> Any:  # noqa: ANN401 - whatever stands in a report
    """Return `value` as UTF-8 and JSON can hold it: no surrogates, no NaN, no endless text."""
    if isinstance(value, str):
        return storable(value, STORED_LIMIT)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
