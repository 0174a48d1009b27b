"""Run a record again in its locked environments; compare with what was stored and published."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leman.environments.fetch import fetch
from leman.errors import LemanError
from leman.findings import Finding
from leman.records.model import Answer, Check, Question, Value
from leman.reproduction import report as reports
from leman.reproduction.model import Same, Status, Verdict
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leman.config import Settings
    from leman.reproduction.model import Comparison, NotebookResult, Report
    from leman.reproduction.options import Options, Watcher

_EQUAL = (Verdict.IDENTICAL, Verdict.NORMALISED, Verdict.TOLERANT)
_LARGEST = 512 * 1024**2  # bytes of an executed notebook


@dataclass(frozen=True, slots=True)
class Rerun:
    """A re-run: its report, and what it says as plain JSON for a statement."""

    report: Report
    summary: dict[str, Any]


def rerun(
    check: Check,
    *,
    output: Path,
    settings: Settings,
    options: Options,
    watcher: Watcher,
) -> tuple[Check, Rerun | None]:
    """Return `check` with its last two questions answered, and the re-run.

    A record that is not intact is not run: None. The report is written to `output`. What a single
    notebook does is in the answers; raises what `reproduce` raises where nothing can start.
    """
    record = check.record
    if check.answer(Question.INTACT).value is not Value.YES:
        reason = "a record that is not intact is not run"
        return _answered(check, Value.NOT_CHECKED, reason, Value.NOT_CHECKED, reason), None
    try:
        source = fetch(
            str(record.path), cache=settings.cache, progress=lambda text: watcher.said("", text)
        )
    except LemanError as error:
        reason = f"it could not be laid out: {error.message}"
        return _answered(check, Value.NO, reason, Value.NOT_CHECKED, "nothing ran"), None
    report = reproduce(
        source,
        output=output,
        settings=settings,
        options=replace(options, expected=_published(check)),
        watcher=watcher,
    )
    reports.write(report, output)
    locked = {lock.path.read_text() for lock in source.locks}
    findings = tuple(_differences(report))
    reruns, same = _reruns(report, locked), _same(report, findings)
    done = _answered(check, *reruns, *same)
    done = replace(done, findings=(*check.findings, *findings))
    return done, Rerun(report, _summary(report))


def _answered(check: Check, reruns: Value, why: str, same: Value, because: str) -> Check:
    new = {
        Question.RERUNS: Answer(Question.RERUNS, reruns, why),
        Question.SAME: Answer(Question.SAME, same, because),
    }
    answers = (
        replace(new[one.question], asked=one.asked) if one.question in new else one
        for one in check.answers
    )
    return replace(check, answers=tuple(answers))


def _published(check: Check) -> dict[str, dict[str, Any]]:
    """Return the executed notebooks of the record, as far as they can be read."""
    found = {}
    for one in check.record.facts["notebooks"]:
        if not one.get("executed"):
            continue
        path = check.record.path / "data" / one["executed"]
        try:
            if path.stat().st_size <= _LARGEST:
                document = json.loads(path.read_bytes())
                if isinstance(document, dict):
                    found[one["path"]] = document
        except (OSError, ValueError, RecursionError):
            continue
    return found


def _reruns(report: Report, locked: set[str]) -> tuple[Value, str]:
    total = len(report.notebooks)
    bad = [one for one in report.notebooks if one.status is not Status.RAN]
    if bad:
        first = bad[0]
        words = f"{total - len(bad)} of {total} notebooks ran; {first.path}: {first.message[:300]}"
        return Value.NO, words
    good = {one.digest for one in report.environments if one.lock.text in locked}
    other = [one.path for one in report.notebooks if one.environment not in good]
    if other:
        return Value.NO, f"{', '.join(other[:5])} ran only in another environment than the locked"
    many = f"all {total} notebooks" if total > 1 else "the notebook"
    return Value.YES, f"{many} ran to the end in the locked environment, {_isolation(report)}"


def _isolation(report: Report) -> str:
    return "in a sandbox" if report.isolation.level == "sandbox" else "without a sandbox"


def _same(report: Report, findings: tuple[Finding, ...]) -> tuple[Value, str]:
    bad = [one for one in report.notebooks if one.status is not Status.RAN]
    counts = _counts(report)
    words = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    if findings:
        first = findings[0]
        rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return Value.NO, f"{first.where}: {first.message}{rest}"
    if bad:
        return (
            Value.NO,
            f"{len(bad)} notebooks did not run; outputs of the others: {words or 'none'}",
        )
    if not any(counts.get(verdict) for verdict in _EQUAL):
        return Value.NOT_CHECKED, f"no output could be compared ({words or 'there is none'})"
    return Value.YES, f"outputs: {words}"


def _counts(report: Report) -> dict[Verdict, int]:
    """Count verdicts with the stored outputs, or with the published ones where none is stored."""
    counts: dict[Verdict, int] = {}
    for one in report.notebooks:
        comparison = _telling(one)
        for output in comparison.outputs if comparison else ():
            counts[output.verdict] = counts.get(output.verdict, 0) + 1
    return counts


def _telling(one: NotebookResult) -> Comparison | None:
    stored = one.comparison
    return stored if stored and stored.outputs else one.expected


def _differences(report: Report) -> Iterator[Finding]:
    """Yield each output that differs: notebook, cell, and both values."""
    for one in report.notebooks:
        seen = set()
        for comparison, what in ((one.comparison, "stored"), (one.expected, "published")):
            if comparison is None or comparison.same is not Same.NO:
                continue
            for output in comparison.outputs:
                place = (output.cell, output.output, output.stored)
                if output.verdict is not Verdict.DIFFERENT or place in seen:
                    continue
                seen.add(place)
                where = f"{one.path}, cell {output.cell + 1}, output {output.output + 1}"
                yield Finding(
                    "output-differs",
                    "error",
                    where,
                    f"{output.detail or 'it differs'}: {what} {_shown(output.stored)},"
                    f" now {_shown(output.new)}",
                )


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line[:160]}{'…' if len(line) > 160 else ''}”" if line else "nothing"


def _summary(report: Report) -> dict[str, Any]:
    return {
        "started": report.started,
        "seconds": round(report.seconds, 1),
        "isolation": report.isolation.level,
        "network": report.isolation.network,
        "environments": [
            {"digest": one.digest, "python": one.python.version} for one in report.environments
        ],
        "notebooks": [
            {
                "path": one.path,
                "status": str(one.status),
                "reason": str(one.reason),
                "same": str(one.same),
                "stored": _tally(one.comparison),
                "published": _tally(one.expected),
            }
            for one in report.notebooks
        ],
    }


def _tally(comparison: Comparison | None) -> dict[str, int]:
    counts = comparison.counts() if comparison else {}
    return {verdict: number for verdict, number in counts.items() if number}
