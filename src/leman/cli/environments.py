"""What `leman env` prints."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leman.errors import EnvironmentBuildError, SourceError
from leman.files import size_of

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Environment, Lock
    from leman.environments.shelf import Installed
    from leman.environments.tidy import Removed
    from leman.reproduction.locking import Pinned


def table(found: list[Installed], home: Path, total: int) -> None:
    """Print one row per environment, the one used last at the top."""
    console = _console()
    if not found:
        _plain(console, f"There is no environment in {home} yet.")
        _plain(console, "`leman run SOURCE` or `leman env lock SOURCE` makes one.")
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("digest", "Python", "as of"):
        grid.add_column(name, no_wrap=True)
    for name in ("packages", "size"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("last used")
    for one in reversed(found):
        grid.add_row(one.digest[:12], *_facts(one), size(size_of(one.path)), _ago(one.used))
    console.print(grid)
    _plain(console, f"\n{home}: {size(total)} with the cache, shared files counted once")


def _facts(one: Installed) -> tuple[str, str, str]:
    built = one.environment
    if built is None:
        return "?", "?", "unreadable"
    suffix = " (conda)" if one.kind == "conda" else ""
    return f"{built.python.version}{suffix}", str(built.cutoff), str(len(built.lock.packages))


def one(found: Installed) -> None:
    """Print all that is known of one environment. Raises EnvironmentBuildError if unreadable."""
    if found.environment is None:
        raise EnvironmentBuildError(
            f"the environment in {found.path} cannot be read: {found.problem}",
            hint="Remove that folder: leman builds the environment again when it is needed.",
        )
    _environment(_console(), found.environment)


def of_source(spec: str, found: tuple[Pinned, ...]) -> None:
    """Print the environments of a source. Raises SourceError where none was built before."""
    if not any(pinned.environment for pinned in found):
        raise SourceError(
            f"no environment was built for {spec} on this machine yet"
            if found
            else f"{spec} has no Python notebook, so it has no environment",
            hint="`leman env lock SOURCE` builds it, `leman run SOURCE` also runs the notebooks."
            if found
            else "",
        )
    console = _console()
    for number, pinned in enumerate(found):
        _plain(console, ("\n" if number else "") + "\n".join(pinned.notebooks))
        if pinned.environment:
            _environment(console, pinned.environment)
        else:
            _plain(console, "  not built on this machine yet")


def _environment(console: Console, built: Environment) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in (
        ("digest", built.digest),
        ("folder", str(built.path)),
        ("Python", built.python.version),
        ("as of", f"{built.cutoff} — {built.lock.cutoff_reason}".rstrip(" —")),
        ("packages", str(len(built.lock.packages))),
    ):
        grid.add_row(f"[bold]{name}[/]", escape(value))
    console.print(grid)
    console.print(_packages(built.lock))
    for attempt in built.lock.attempts:
        words = f"tried: {attempt.action} — {attempt.reason}"
        _plain(console, f"{words}: {attempt.outcome}" if attempt.outcome else words)
    for change in built.lock.modifications:
        _plain(console, f"changed: {change.kind} {change.target} — {change.detail}")
    for finding in built.lock.findings:
        _plain(console, f"{finding.severity}: {finding.message}")


def _packages(lock: Lock) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("package", "version", "uploaded"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("why", overflow="fold")
    for package in sorted(lock.packages, key=lambda package: package.name):
        kind = "" if package.kind == "wheel" else f" ({package.kind})"
        grid.add_row(
            escape(package.name),
            escape(package.version + kind),
            package.uploaded[:10],
            escape(package.why),
        )
    return grid


def removed(gone: Removed, *, dry: bool) -> None:
    """Print one thing that was removed, as soon as it is."""
    if gone.kind == "memo":
        return
    words = "would remove" if dry else "removed"
    name = gone.path.name[:12] if gone.kind in {"environment", "home"} else gone.path.name
    _plain(_console(), f"{words} {gone.kind} {name} ({size(gone.size)})")


def freed(before: int, after: int, *, dry: bool) -> None:
    """Print what there is now."""
    if dry:
        _plain(_console(), f"{size(before)} in environments and cache; nothing was removed")
        return
    _plain(_console(), f"freed {size(max(0, before - after))}; {size(after)} left")


def size(count: int) -> str:
    """Return bytes in the unit that gives one to three digits before the point."""
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1_000_000_000 else f"{count / 1e9:.1f} GB"


def _ago(moment: float) -> str:
    days = int((time.time() - moment) // 86400)
    if days < 1:
        return "today"
    return "yesterday" if days == 1 else f"{days} days ago"


def _console() -> Console:
    # A file or a pipe has no width: nothing is cut or folded there.
    console = Console(file=sys.stdout)
    return console if console.is_terminal else Console(file=sys.stdout, width=1000)


def _plain(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
