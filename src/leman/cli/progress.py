"""What `leman run` shows: a bar per notebook while it works, then a table."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from leman.reproduction.model import NotebookResult, Report, Same, Status
from leman.reproduction.report.words import headline, isolation_words

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_WORDS = {
    Same.EXACT: "[green]same[/]",
    Same.NORMALISED: "[green]same, normalised[/]",
    Same.TOLERANT: "[green]same within tolerance[/]",
    Same.NO: "[red]differs[/]",
    Same.NOT_COMPARED: "[dim]nothing to compare[/]",
}


class Screen:
    """Live bars on a terminal; plain lines where the output is a file or a pipe."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._done: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", style="dim"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        """Start to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing, whatever happened."""
        self._progress.stop()

    def planned(self, notebooks: tuple[str, ...]) -> None:
        """Say how many notebooks there are; their bars appear as they start."""
        self._say(f"{len(notebooks)} notebook{'s' * (len(notebooks) != 1)}")

    def said(self, notebook: str, message: str) -> None:
        """Show what is being done."""
        if notebook:
            self._progress.update(self._bar(notebook), note=escape(message[:60]))
            if not self._console.is_terminal:
                self._say(f"{notebook}: {message}")
        else:
            self._say(message)

    def cell(self, notebook: str, done: int, total: int) -> None:
        """Move a notebook's bar."""
        self._progress.update(
            self._bar(notebook), completed=done, total=total, note=f"cell {done}/{total}"
        )

    def finished(self, result: NotebookResult) -> None:
        """Complete a notebook's bar with its verdict, once."""
        with self._lock:
            if result.path in self._done:
                return
            self._done.add(result.path)
        note = verdict(result)
        self._progress.update(self._bar(result.path), note=note, completed=1, total=1)
        if not self._console.is_terminal:
            self._console.print(f"{escape(result.path)}: {note}", highlight=False)

    def _bar(self, notebook: str) -> TaskID:
        with self._lock:
            if notebook not in self._bars:
                name = notebook if len(notebook) <= 40 else f"…{notebook[-39:]}"
                self._bars[notebook] = self._progress.add_task(escape(name), total=None, note="")
            return self._bars[notebook]

    def _say(self, message: str) -> None:
        self._console.print(escape(message[:200]), style="dim", highlight=False)


def verdict(result: NotebookResult) -> str:
    """Return one notebook's outcome in a few marked-up words."""
    if result.status is Status.SKIPPED:
        return f"[yellow]skipped: {result.reason}[/]"
    if result.status is Status.FAILED:
        return f"[red]failed: {result.reason}[/]"
    return _WORDS[result.same]


def table(report: Report, page: Path) -> None:
    """Print the table of notebooks and where the report lies."""
    console = Console(file=sys.stdout)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("notebook", "left"), ("result", "left"), ("outputs", "left")):
        grid.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    grid.add_column("seconds", justify="right")
    for one in report.notebooks:
        grid.add_row(escape(one.path), verdict(one), _counts(one), f"{one.seconds:.1f}")
    console.print(grid)
    for one in report.notebooks:
        if one.status is not Status.RAN and one.message:
            console.print(f"\n[bold]{escape(one.path)}[/]: {escape(one.message)}", highlight=False)
            if one.advice:
                console.print(f"  {escape(one.advice)}", style="dim", highlight=False)
    console.print(f"\n{escape(headline(report))}", style="bold", highlight=False)
    console.print(escape(isolation_words(report.isolation)), style="dim", highlight=False)
    console.print(f"Report: {escape(str(page))}", highlight=False, soft_wrap=True)


def _counts(one: NotebookResult) -> str:
    if one.comparison is None:
        return ""
    return ", ".join(f"{n} {name}" for name, n in one.comparison.counts().items() if n)
