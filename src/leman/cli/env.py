"""`leman env`: look at, lock and remove environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from leman.cli import options

if TYPE_CHECKING:
    from datetime import datetime

    from leman.environments.tiers import Tier
    from leman.reproduction.options import Watcher


@click.group()
def env() -> None:
    """Look at, lock and remove environments."""


@env.command()
@click.argument("source")
@options.ref
@options.python
@options.date
@options.builder
@click.option(
    "--output",
    default="pylock.toml",
    metavar="FILE",
    help="File to write, - for standard output. Default: pylock.toml.",
)
def lock(
    source: str, ref: str, python: str, date: datetime | None, builder: Tier, output: str
) -> None:
    """Lock what SOURCE's notebooks need, as of their date; run none of them.

    Writes a PEP 751 pylock.toml, or conda.lock where packages are conda's. Notebooks of different
    times or Pythons need different environments: then there are several files, pylock.1.toml and
    so on. Each environment is also built, because only that proves that its lock can be installed.
    """
    from pathlib import Path  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.config import settings  # noqa: PLC0415
    from leman.errors import UsageError  # noqa: PLC0415
    from leman.files import write_atomic  # noqa: PLC0415
    from leman.reproduction.locking import names_for, pin, text_of  # noqa: PLC0415

    _check_target(output)
    wishes = options.wishes_of(python, date)
    made = pin(
        source, ref=ref, wishes=wishes, settings=settings(), watcher=_watcher(), tier=builder
    )
    if output == "-":
        if len(made) > 1:
            raise UsageError(
                f"{source} needs {len(made)} environments, so one lock cannot describe it",
                hint="Give a file's name with --output, or one notebook as the source.",
            )
        click.echo(text_of(made[0]))
        return
    names = names_for(Path(output), made)
    for path in names:
        _check_target(str(path))
    for path, one in zip(names, made, strict=True):
        write_atomic(path, text_of(one))
        if one.environment:
            built = one.environment
            click.echo(
                f"{path}: {len(built.lock.packages)} packages, Python {built.python.version},"
                f" as of {built.cutoff} ({built.lock.cutoff_reason})"
            )
        for notebook in one.notebooks:
            click.echo(f"  {notebook}")


def _check_target(output: str) -> None:
    from pathlib import Path  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415
    from leman.reproduction.locking import is_ours  # noqa: PLC0415

    path = Path(output)
    if output == "-" or (not path.exists() and path.parent.is_dir()):
        return
    if not path.parent.is_dir():
        raise UsageError(f"--output {output}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"--output {output} is a folder", hint="Give a file's name.")
    if not is_ours(path.read_text(errors="replace")):
        raise UsageError(
            f"{output} is there already and was not written by leman",
            hint="Give another name with --output, or remove it.",
        )


def _watcher() -> Watcher:
    from leman.reproduction.options import Nobody  # noqa: PLC0415

    class _Told(Nobody):
        def said(self, notebook: str, message: str) -> None:
            click.echo(f"{notebook}: {message}" if notebook else message, err=True)

    return _Told()


@env.command()
@click.argument("environment", metavar="DIGEST|SOURCE")
@click.option("--ref", default="", help="Branch, tag or commit of a source.")
@click.option("--python", default="", metavar="X.Y", help="As given to `leman run`.")
@click.option(
    "--date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="As given to `leman run`.",
)
def show(environment: str, ref: str, python: str, date: datetime | None) -> None:
    """Show an environment: its Python, its date, its packages and why each is there.

    Give a digest (or its first digits), or a source whose environments were built before.
    Nothing is built.
    """
    from pathlib import Path  # noqa: PLC0415

    from leman.cli import environments as shown  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.environments import shelf  # noqa: PLC0415
    from leman.reproduction.locking import look_up  # noqa: PLC0415

    own = settings()
    if shelf.looks_like_digest(environment) and not Path(environment).exists():
        shown.one(shelf.find(own.environments, environment))
        return
    wishes = options.wishes_of(python, date)
    found = look_up(environment, ref=ref, wishes=wishes, settings=own, watcher=_watcher())
    shown.of_source(environment, found)


@env.command(name="list")
def list_() -> None:
    """List the environments on this machine, the one used last at the top."""
    from leman.cli import environments as shown  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.environments.shelf import installed  # noqa: PLC0415
    from leman.environments.tidy import total  # noqa: PLC0415

    own = settings()
    shown.table(list(installed(own.environments)), own.home, total(own))


@env.command()
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    default=90.0,
    metavar="N",
    help="Remove what was not used for so many days. Default: 90.",
)
@click.option(
    "--quota",
    type=click.FloatRange(0),
    metavar="GB",
    help="Then remove more until so much is left. Default: LEMAN_QUOTA_GB.",
)
@click.option("--all", "everything", is_flag=True, help="Remove everything that nobody uses now.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
def prune(
    keep_days: float,
    quota: float | None,
    everything: bool,  # noqa: FBT001 - click passes flags by name
    dry_run: bool,  # noqa: FBT001
) -> None:
    """Remove environments and cached files that were not used lately.

    What a running leman uses stays. Whatever is removed is fetched or built again when needed.
    """
    from leman.cli import environments as shown  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.environments.tidy import Wish, tidy, total  # noqa: PLC0415
    from leman.errors import ConfigError  # noqa: PLC0415

    own = settings()
    allowed = own.quota_gb if quota is None else quota
    wish = Wish(keep_days, int(allowed * 1e9), everything=everything, dry=dry_run)
    before = total(own)
    if not before:
        click.echo(f"There is nothing in {own.home} yet.")
        return
    try:
        for one in tidy(own, wish, lambda text: click.echo(text, err=True)):
            shown.removed(one, dry=dry_run)
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename or own.home} cannot be removed: it belongs to somebody else",
            hint="Run `leman env prune` as the user who owns that folder.",
        ) from error
    shown.freed(before, total(own), dry=dry_run)
