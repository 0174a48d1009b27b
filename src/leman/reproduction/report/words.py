"""The words of a report: what each verdict means, and a run in one sentence."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from leman.reproduction.model import NotebookResult, Same, Status, Verdict

if TYPE_CHECKING:
    from leman.findings import Finding
    from leman.reproduction.model import Isolation, Report

VERDICTS: dict[Verdict, tuple[str, str]] = {
    Verdict.IDENTICAL: ("identical", "Stored and new output are the same."),
    Verdict.NORMALISED: (
        "same, normalised",
        (
            "Equal once what must vary is written alike: memory addresses, temporary paths, time"
            " stamps in known forms, progress bars, the layout of a printed object."
        ),
    ),
    Verdict.TOLERANT: (
        "same, within tolerance",
        (
            "Numbers agree within the stated tolerance (1e-9 relative unless a cell's tag says"
            " otherwise), or two images look the same although their pixels are not all equal."
        ),
    ),
    Verdict.VOLATILE: (
        "volatile",
        (
            "Stored and new output differ, but our own two runs differ from each other in the"
            " same places: random numbers, timings. It neither confirms nor contradicts."
        ),
    ),
    Verdict.EXEMPT: (
        "exempt",
        "A tag that the author put on the cell says not to compare it. Listed, never hidden.",
    ),
    Verdict.NOT_COMPARED: (
        "not compared",
        "Nothing was stored, or there is no rule for this kind of output. Treat it as unknown.",
    ),
    Verdict.DIFFERENT: (
        "different",
        (
            "The new output says something else than the stored one, and where the notebook was run"
            " twice, both runs agree on it. This is what to look at."
        ),
    ),
}

OUTCOMES: dict[str, tuple[str, str]] = {
    "exact": ("same, exactly", "It ran, and every compared output is identical."),
    "normalised": (
        "same, normalised",
        "It ran; every compared output is identical or equal once normalised.",
    ),
    "tolerant": (
        "same, within tolerance",
        "It ran; every compared output agrees, at least one of them only within tolerance.",
    ),
    "no": ("differs", "It ran, and at least one output is different."),
    "not-compared": (
        "ran, not compared",
        "It ran, but there was no output to compare: nothing stored, or all volatile or exempt.",
    ),
    "failed": ("failed", "It did not run to its end; the reason and what to do are given."),
    "skipped": ("skipped", "It was not run; the reason is given."),
}

_GOOD = (Same.EXACT, Same.NORMALISED, Same.TOLERANT)


def outcome(one: NotebookResult) -> str:
    """Return the key of `OUTCOMES` for a notebook."""
    return str(one.same if one.status is Status.RAN else one.status)


def headline(report: Report) -> str:
    """Return the run's verdict in one sentence, such as "7 of 9 notebooks ran; 5 …"."""
    notebooks = report.notebooks
    if not notebooks:
        return "No notebooks were found."
    if len(notebooks) == 1:
        return _alone(notebooks[0])
    ran = [one for one in notebooks if one.status is Status.RAN]
    same = sum(one.same in _GOOD for one in ran)
    if not ran:
        return f"None of the {len(notebooks)} notebooks ran."
    start = "All" if len(ran) == len(notebooks) else f"{len(ran)} of"
    how_many = _same_of(same, len(ran))
    return f"{start} {len(notebooks)} notebooks ran; {how_many}."


def _same_of(same: int, ran: int) -> str:
    if ran == 1:
        return "it gave the same results" if same else "it did not give the same results"
    if same == 0:
        return "none gave the same results"
    return "all gave the same results" if same == ran else f"{same} gave the same results"


def _alone(one: NotebookResult) -> str:
    return {
        "failed": "The notebook did not run to its end.",
        "skipped": "The notebook was not run.",
        "no": "The notebook ran; its results differ.",
        "not-compared": "The notebook ran; there was nothing to compare.",
    }.get(outcome(one), "The notebook ran and gave the same results.")


def remarks(report: Report) -> list[str]:
    """Return what must stand beside the headline, so that nobody reads more into it."""
    kinds = [outcome(one) for one in report.notebooks]
    said = []
    for kind, one, many in (
        ("no", "1 differs", "{} differ"),
        ("failed", "1 failed", "{} failed"),
        ("skipped", "1 was skipped", "{} were skipped"),
        ("not-compared", "1 ran without anything to compare", "{} ran without anything to compare"),
    ):
        if count := kinds.count(kind):
            said.append(one if count == 1 else many.format(count))
    apart = sum(
        outcome(one) in ("exact", "normalised", "tolerant") and _has_unconfirmed(one)
        for one in report.notebooks
    )
    if apart:
        said.append(
            f"{apart} of those with the same results {'has' if apart == 1 else 'have'} outputs"
            " that were volatile, exempt or not compared"
        )
    return said


def _has_unconfirmed(one: NotebookResult) -> bool:
    open_ones = (Verdict.VOLATILE, Verdict.EXEMPT, Verdict.NOT_COMPARED)
    return one.comparison is not None and any(
        output.verdict in open_ones for output in one.comparison.outputs
    )


def findings_of(report: Report) -> tuple[Finding, ...]:
    """Return the findings of the run, its source and its locks, each once, worst first."""
    gathered = dict.fromkeys(
        (
            *report.findings,
            *report.source.findings,
            *(one for built in report.environments for one in built.lock.findings),
        )
    )
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(gathered, key=lambda one: order.get(one.severity, 3)))


def isolation_words(isolation: Isolation) -> str:
    """Return how notebooks were kept apart from the machine, in plain words."""
    network = "network allowed" if isolation.network else "no network"
    known = {"sandbox": "in a sandbox", "none": "without isolation"}
    return f"{known.get(isolation.level, isolation.level)}, {network}"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``41 s``, ``3 min 12 s``, ``2 h 5 min``."""
    if not 0 <= seconds < 1e9:  # NaN and the infinite land here too
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{hours} h {minutes_left} min" if minutes_left else f"{hours} h"


def moment(started: str) -> str:
    """Return an ISO 8601 time as ``23 November 2026, 07:48 UTC``; what is none comes back as is."""
    try:
        when = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def revision_words(revision: str) -> str:
    """Return a revision short enough to read: a commit's first ten digits, else as it is."""
    return revision[:10] if re.fullmatch(r"[0-9a-f]{40,64}", revision) else revision
