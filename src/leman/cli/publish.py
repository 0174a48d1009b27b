"""`leman publish`: a record that anyone can check, of a source and its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leman.cli import options

if TYPE_CHECKING:
    from leman.records.publish import Published, Wanted


@click.command()
@click.argument("source", default=".")
@click.option(
    "-o",
    "--output",
    default="record",
    metavar="DIR",
    help="New folder for the record. Default: record.",
)
@options.ref
@options.notebooks
@click.option("--report", metavar="DIR", help="Take the report of an earlier `leman run`.")
@click.option("--title", default="", help="Title. Default: what the source says of itself.")
@click.option(
    "--author",
    "authors",
    multiple=True,
    metavar="NAME",
    help="“Ada Lovelace <0000-0002-1825-0097>; Institute [CRediT roles]” (may be repeated).",
)
@click.option("--abstract", default="", help="Abstract, a few sentences.")
@click.option("--license", "licence", default="", metavar="SPDX", help="Such as CC-BY-4.0.")
@click.option("--keyword", "keywords", multiple=True, help="May be repeated.")
@click.option(
    "--by-reference",
    "elsewhere",
    multiple=True,
    metavar="PATH=URL",
    help="Leave this file out, and say where readers get it (may be repeated).",
)
@options.key
@click.option("--no-sign", is_flag=True, help="Neither signature nor time stamp.")
@options.timestamp
@options.jobs
@options.timeout
@options.network
@options.isolation
@options.python
@options.date
def publish(**given: Any) -> None:  # noqa: ANN401 - click's own values
    """Run SOURCE, and make a signed record of it: files, environment, outputs, comparison.

    The record is a folder that stock programs can check. It is signed with your own SSH key; where
    you have none, one is made and kept in LEMAN_HOME. Nothing is asked.
    """
    from pathlib import Path  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.cli.progress import Screen  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.records.publish import publish as make  # noqa: PLC0415

    with Screen() as screen:
        done = make(
            given["source"],
            Path(given["output"]),
            settings=settings(),
            wanted=_wanted(given),
            options=options.options_of(given),
            watcher=screen,
        )
    _show(done)


def _wanted(given: dict[str, Any]) -> Wanted:
    from pathlib import Path  # noqa: PLC0415

    from leman.records.describe import Wishes  # noqa: PLC0415
    from leman.records.publish import Wanted  # noqa: PLC0415

    return Wanted(
        wishes=Wishes(
            title=given["title"],
            authors=given["authors"],
            abstract=given["abstract"],
            licence=given["licence"],
            keywords=given["keywords"],
        ),
        ref=given["ref"],
        notebooks=given["notebooks"],
        report=Path(given["report"]) if given["report"] else None,
        elsewhere=dict(_reference(text) for text in given["elsewhere"]),
        key=Path(given["key"]).expanduser() if given["key"] else None,
        sign=not given["no_sign"],
        timestamp=given["timestamp"],
    )


def _reference(text: str) -> tuple[str, str]:
    from leman.errors import UsageError  # noqa: PLC0415
    from leman.records.bag.fetching import is_address  # noqa: PLC0415

    path, _, url = text.partition("=")
    if not path or not is_address(url) or any(letter.isspace() for letter in url):
        raise UsageError(
            f"--by-reference {text}: expected PATH=URL with an http or https address",
            hint="For example --by-reference data/big.h5=https://example.org/big.h5.",
        )
    return path, url


def _show(done: Published) -> None:
    from leman.cli.answers import lines_of_facts  # noqa: PLC0415

    for finding in done.findings:
        fix = f" {finding.fix}" if finding.fix else ""
        where = f"{finding.where}: " if finding.where else ""
        click.echo(f"{finding.severity}: {where}{finding.message}.{fix}", err=True)
    for out in done.record.facts["source"]["left_out"]:
        click.echo(f"left out: {out['path']}: {out['why']}", err=True)
    for line in lines_of_facts(done.record.facts):
        click.echo(line)
    if done.key:
        made = "made just now, since you have none" if done.key.made else "your key"
        click.echo(f"\nSigned with {done.key.path} ({made})")
        click.echo(f"  {done.key.fingerprint}")
    click.echo(f"\nRecord: {done.record.path}\n  {done.record.id}")
    click.echo(f"Read it: {done.record.path / 'record.html'}")
    click.echo(f"Check it: leman verify {done.record.path} --rerun")
