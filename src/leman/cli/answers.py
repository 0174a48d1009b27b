"""How the five answers look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leman.findings import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leman.findings import Finding
    from leman.records.model import Check

_MARKS = {"yes": ("yes", "green"), "no": ("no", "red"), "not checked": ("not checked", "yellow")}
_SHOWN = 20  # findings of a check


def _line(question: str, value: str, reason: str, *, asked: bool) -> str:
    words, colour = _MARKS[value]
    mark = click.style(f"{words:<12}", fg=colour)
    where = "" if asked else "(not asked for) "
    return f"{printable(question):<14}{mark}{where}{printable(reason)}"


def lines_of_facts(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the answers as of publication."""
    for question, answer in facts["answers"].items():
        yield _line(question, answer["value"], answer["reason"], asked=True)


def show(check: Check) -> None:
    """Print a check: what the record is, findings, then the five answers."""
    described = check.record.facts.get("description", {})
    title = described.get("title") if isinstance(described, dict) else ""
    click.echo(printable(str(title or check.record.path)))
    click.echo(f"{check.record.id}, {check.files} files, {check.size / 1e6:.1f} MB\n")
    show_findings(check.findings)
    for one in check.answers:
        click.echo(_line(str(one.question), str(one.value), one.reason, asked=one.asked))
    for said in check.statements:
        if not said.problem and said.signature:
            click.echo(f"\nStatement {said.name}: {printable(_said(said.content)[:1000])}")
            who = ", ".join(said.signature.trusted) or said.signature.fingerprint
            click.echo(f"  signed by {who}")


def show_findings(findings: Sequence[Finding]) -> None:
    """Print the first findings, a line each, and how many more there are."""
    for finding in findings[:_SHOWN]:
        where = f"{finding.where}: " if finding.where else ""
        colour = "red" if finding.severity == "error" else "yellow"
        code = click.style(finding.code, fg=colour)
        fix = f" {finding.fix}" if finding.fix else ""
        click.echo(f"{code}  {printable(f'{where}{finding.message}{fix}')}")
    if len(findings) > _SHOWN:
        click.echo(f"… and {len(findings) - _SHOWN} more findings (--json has them all)")
    if findings:
        click.echo()


def _said(content: dict[str, Any]) -> str:
    predicate = content.get("predicate")
    answers = predicate.get("answers") if isinstance(predicate, dict) else None
    if not isinstance(answers, dict):
        return "no answers that leman knows"
    return ", ".join(
        f"{question}: {answer.get('value')}"
        for question, answer in answers.items()
        if isinstance(answer, dict)
    )
