"""What `leman keep` prints."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from leman.cli.environments import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leman.findings import Finding
    from leman.records.store.add import Added
    from leman.records.store.audit import Audit
    from leman.records.store.get import Got
    from leman.records.store.keep import Keep, Opened
    from leman.records.store.repair import Repair

_SHOWN = 50  # findings on a screen


@contextlib.contextmanager
def progress(words: str) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on a terminal; a file or a pipe gets nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(escape(words[:60]), total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def started(made: Keep, opened: Opened) -> None:
    """Say which storages a keep has now."""
    click.echo(f"{made.name}: {_many(len(made.storages), 'storage')}")
    for storage in made.storages:
        reason = opened.away.get(storage)
        click.echo(f"  {storage.path}" + (f" (not in reach: {reason})" if reason else ""))
    if len(made.storages) == 1:
        click.echo("With one storage damage is found but cannot be repaired: add another.")
    if opened.catalogue:
        words = _many(len(opened.catalogue), "record")
        click.echo(f"It has {words}: `leman keep repair` copies them onto new storages.")


def added(one: Added, storages: int) -> bool:
    """Say what became of a record; return whether every storage has it."""
    words = one.outcome if one.outcome != "new version" else f"new version {one.version}"
    title = f" {_plain(one.title)!r}" if one.title else ""
    click.echo(f"{one.record[7:19]}{title}: {words}, {one.copies} of {storages} copies")
    for path, reason in one.missing:
        click.echo(f"  no copy in {path}: {_plain(reason)}", err=True)
    if one.missing:
        click.echo("  `leman keep repair` makes missing copies.", err=True)
    return not one.missing


def listed(opened: Opened, full: Audit | None, quick: Audit | None) -> None:
    """Print records, storages and the last audits."""
    console = _console()
    if opened.catalogue:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("record", "title", "version", "added", "files", "size", "good copies"):
            grid.add_column(name, no_wrap=name != "title", overflow="fold")
        for record, entry in opened.catalogue.items():
            copies = _copies(full, record)
            good = f"{copies} of {len(opened.keep.storages)}" if copies is not None else "?"
            grid.add_row(
                record[7:19],
                escape(_plain(entry.title)),
                entry.head,
                escape(entry.added[:10]),
                str(entry.files),
                size(entry.size),
                good,
            )
        console.print(grid)
    else:
        click.echo("No records yet: add some with `leman keep add`.")
    click.echo()
    for storage in opened.keep.storages:
        reason = opened.away.get(storage)
        words = f"not in reach: {reason}" if reason else f"{_free(storage.path)} free"
        click.echo(f"{storage.path}: {words}")
    for path, words in opened.troubles.items():
        click.echo(f"{path}: the catalogue: {_plain(words)}")
    click.echo()
    click.echo(f"Last audit: {summary(full)}" if full else "Never audited: run `leman keep audit`.")
    if quick and (full is None or quick.moment > full.moment):
        click.echo(f"Last quick audit: {summary(quick)}")


def listed_as_json(opened: Opened, full: Audit | None) -> None:
    """Print the same as one JSON object."""
    value = {
        "keep": opened.keep.name,
        "records": [
            {
                "id": record,
                **asdict(entry),
                "version": entry.head,
                "copies": _copies(full, record),
            }
            for record, entry in opened.catalogue.items()
        ],
        "storages": [
            {"path": str(one.path), "away": opened.away.get(one, "")}
            for one in opened.keep.storages
        ],
        "audit": _as_json(full) if full else None,
    }
    click.echo(json.dumps(value, indent=1))


def _copies(full: Audit | None, record: str) -> int | None:
    return full.copies.get(record) if full else None


def audited(result: Audit, *, as_json: bool) -> None:
    """Print an audit's findings and what it comes to."""
    if as_json:
        click.echo(json.dumps(_as_json(result), indent=1))
        return
    _findings(result.findings, result.more)
    for path, reason in result.away:
        click.echo(f"not in reach: {path}: {_plain(reason)}")
    click.echo(summary(result))


def recent(before: Audit, *, as_json: bool) -> None:
    """Say that the last audit is recent enough."""
    if as_json:
        click.echo(json.dumps(_as_json(before), indent=1))
    else:
        click.echo(f"Not audited again. Last audit: {summary(before)}")


def repaired(result: Repair) -> None:
    """Print what a repair found, did, and left."""
    if result.before.clean:
        click.echo(summary(result.after))
        return
    click.echo(f"Found: {summary(result.before)}")
    click.echo(f"Written: {_many(result.files, 'file')}.")
    click.echo("Now:")
    audited(result.after, as_json=False)


def got(one: Got, folder: Path) -> None:
    """Say what was taken out."""
    title = f" {_plain(one.title)!r}" if one.title else ""
    words = f"{_many(one.files, 'file')}, {size(one.size)}, every byte compared"
    click.echo(f"{folder}: {one.record[7:19]}{title}, {one.version}, {words}")


def summary(result: Audit) -> str:
    """Return an audit in a sentence; what was not looked at is never called fine."""
    good, wanted = sum(result.copies.values()), len(result.copies) * result.storages
    words = f"{_many(len(result.copies), 'record')}, {good} of {wanted} copies good"
    read = f"{size(result.read)} read" if result.full else "content not read"
    errors = len(result.errors) + result.more
    told = [f"{_many(errors, 'finding')}"] if errors else []
    told += [f"{_many(len(result.lost), 'file')} LOST"] if result.lost else []
    told += [f"{_many(len(result.away), 'storage')} not in reach"] if result.away else []
    moment = result.moment.replace("+00:00", "").replace("T", " ")
    return f"{moment} UTC: {words}, {read}; {', '.join(told) or 'nothing is damaged'}."


def _findings(findings: tuple[Finding, ...], more: int) -> None:
    for one in findings[:_SHOWN]:
        fix = f" {one.fix}" if one.fix and one.severity != "error" else ""
        click.echo(f"{one.severity} {one.code}: {_plain(one.where)}: {_plain(one.message)}.{fix}")
    left = len(findings) - _SHOWN + more
    if left > 0:
        click.echo(f"and {left} more; --json tells them")
    for fix in dict.fromkeys(one.fix for one in findings if one.severity == "error" and one.fix):
        click.echo(f"  {fix}")


def _as_json(result: Audit) -> dict[str, object]:
    return {**asdict(result), "clean": result.clean}


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _plain(text: str) -> str:
    """Return text without letters that move a terminal's cursor or colour it."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _free(path: Path) -> str:
    try:
        return size(shutil.disk_usage(path).free)
    except OSError:
        return "?"


def _console() -> Console:
    console = Console(file=sys.stdout)
    return console if console.is_terminal else Console(file=sys.stdout, width=1000)
