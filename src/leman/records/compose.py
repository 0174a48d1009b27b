"""The facts of a record, put together from a source, the report of its run, and who made it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from leman import __version__
from leman.records.layout import FORMAT
from leman.records.model import Answer, Description, Question, Value
from leman.records.swhid import revision_swhid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leman.environments.model import Source
    from leman.records.pack import Packed

_TAGS = ("leman:", "nbval-")


@dataclass(frozen=True, slots=True)
class Made:
    """What a publication has at hand when it writes its facts."""

    source: Source
    url: str
    swhid: str
    description: Description
    packed: Packed
    report: dict[str, Any]
    created: str


def compose(made: Made, answers: tuple[Answer, ...]) -> dict[str, Any]:
    """Return the content of ``leman-record.json``, as reading it back gives it."""
    report = made.report
    value = {
        "format": FORMAT,
        "leman": __version__,
        "created": made.created,
        "description": asdict(made.description),
        "source": {
            "url": made.url,
            "revision": made.source.revision,
            "content_id": made.source.content_id,
            "swhid": made.swhid,
            "revision_swhid": revision_swhid(made.source.content_id),
            "subfolder": made.source.subfolder,
            "missing": list(made.source.missing),
            **made.packed.as_facts(),
        },
        "environments": [
            {
                "digest": one["digest"],
                "python": one["python"],
                "cutoff": one["cutoff"],
                "lock": f"report/{one['lock']}",
                "notebooks": [
                    notebook["path"]
                    for notebook in report["notebooks"]
                    if notebook["environment"] == one["digest"]
                ],
            }
            for one in report["environments"]
        ],
        "notebooks": [
            {
                "path": one["path"],
                "executed": f"report/{one['executed']}" if one["executed"] else "",
                "status": one["status"],
                "same": one["same"],
                "environment": one["environment"],
            }
            for one in report["notebooks"]
        ],
        "exempt": list(_exempt(made.source.path, report)),
        "references": [asdict(one) for one in made.packed.references],
        "answers": {
            str(one.question): {"value": str(one.value), "reason": one.reason} for one in answers
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(value))  # no tuples: what readers see
    return plain


def _exempt(source: Path, report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every tag with which the author widens or waives the comparison of a cell."""
    for notebook in report["notebooks"]:
        try:
            document = json.loads((source / notebook["path"]).read_bytes())
            cells = document["cells"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for number, cell in enumerate(cells):
            metadata = cell.get("metadata") if isinstance(cell, dict) else None
            tags = metadata.get("tags") if isinstance(metadata, dict) else None
            for tag in tags if isinstance(tags, list) else []:
                if isinstance(tag, str) and tag.startswith(_TAGS):
                    yield {"notebook": notebook["path"], "cell": number, "tag": tag[:200]}


def answers_of(report: dict[str, Any], *, signer: str, stamped: str) -> tuple[Answer, ...]:
    """Return the five answers as of publication, from the report of the run."""
    reruns, same = of_run(report)
    return (
        Answer(Question.INTACT, Value.YES, "as it was made"),
        Answer(Question.SIGNED, Value.YES, f"with the key {signer}")
        if signer
        else Answer(Question.SIGNED, Value.NO, "it was published without a signature"),
        Answer(Question.DATED, Value.YES, f"with a time stamp of {stamped}")
        if stamped
        else Answer(Question.DATED, Value.NO, "it was published without a time stamp"),
        reruns,
        same,
    )


def of_run(report: dict[str, Any]) -> tuple[Answer, Answer]:
    """Return what the report of a run says of the last two questions."""
    notebooks = report["notebooks"]
    ran = [one for one in notebooks if one["status"] == "ran"]
    others = [one for one in notebooks if one["status"] != "ran"]
    total = len(notebooks)
    if others:
        first = f"{others[0]['path']}: {others[0]['message'] or others[0]['reason']}"
        words = f"{len(ran)} of {total} notebooks ran; {first[:300]}"
        reruns = Answer(Question.RERUNS, Value.NO, words)
    else:
        words = f"{'the notebook' if total == 1 else f'all {total} notebooks'} ran to the end"
        reruns = Answer(Question.RERUNS, Value.YES, words)
    return reruns, _same(ran, others)


def _same(ran: list[dict[str, Any]], others: list[dict[str, Any]]) -> Answer:
    counts: dict[str, int] = {}
    for one in ran:
        for verdict, number in one["counts"].items():
            counts[verdict] = counts.get(verdict, 0) + number
    words = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    differ = [one["path"] for one in ran if one["same"] == "no"]
    if differ:
        return Answer(Question.SAME, Value.NO, f"{', '.join(differ[:5])}: outputs differ ({words})")
    equal = sum(counts.get(verdict, 0) for verdict in ("identical", "normalised", "tolerant"))
    if not equal:
        reason = "no stored output was there to compare with"
        return Answer(Question.SAME, Value.NOT_CHECKED, reason)
    if others:
        reason = f"{len(others)} notebooks did not run; of the others: {words}"
        return Answer(Question.SAME, Value.NO, reason)
    return Answer(Question.SAME, Value.YES, f"outputs: {words}")
