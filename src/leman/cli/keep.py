"""`leman keep`: keep records on several storages, audit and repair them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leman.records.store.keep import Opened

_NAME = click.option(
    "--name", default="records", metavar="NAME", help="Name of the keep. Default: records."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
_FOLDER = click.Path(path_type=Path)


@click.group()
def keep() -> None:
    """Keep records on several storages, audit and repair them."""


@keep.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=_FOLDER)
@_NAME
@click.option(
    "--replaced", is_flag=True, help="An empty FOLDER is a new disk in an old one's place."
)
def init(folders: tuple[Path, ...], name: str, replaced: bool) -> None:  # noqa: FBT001
    """Make storages, or add them to the keep that there is.

    Each FOLDER becomes an OCFL storage root that holds a copy of every record: put them on
    different disks. A FOLDER that is a storage of the keep already is registered where it is now.
    """
    from leman.cli import keeping as shown  # noqa: PLC0415 - `leman --help` pays for nothing
    from leman.records.store.start import start  # noqa: PLC0415

    made = start(_home(), folders, name, fresh=replaced)
    with _opened(name) as opened:
        shown.started(made, opened)


@keep.command()
@click.argument("records", metavar="RECORD...", nargs=-1, required=True, type=_FOLDER)
@_NAME
def add(records: tuple[Path, ...], name: str) -> int:
    """Add records, or new signatures of records that are kept already.

    Each RECORD is a folder. It is checked first: only a record that is intact is kept. Nothing
    that the keep has is ever taken away by it.
    """
    from leman.cli import keeping as shown  # noqa: PLC0415
    from leman.cli.main import show  # noqa: PLC0415
    from leman.errors import LemanError  # noqa: PLC0415
    from leman.records.store.add import add as take_in  # noqa: PLC0415

    whole, refused = True, None
    for record in records:
        try:
            with _opened(name) as opened, shown.progress(f"checking {record.name}") as progress:
                added = take_in(opened, record, progress=progress)
        except LemanError as error:
            if len(records) == 1:
                raise
            show(error)
            refused = error
        else:
            whole = shown.added(added, len(opened.keep.storages)) and whole
    return refused.exit_code if refused else int(not whole)


@keep.command(name="list")
@_NAME
@_JSON
def list_(name: str, as_json: bool) -> None:  # noqa: FBT001
    """List the records, their copies, the storages, and the last audit."""
    from leman.cli import keeping as shown  # noqa: PLC0415
    from leman.records.store.audit import last  # noqa: PLC0415
    from leman.records.store.keep import glanced  # noqa: PLC0415

    opened = glanced(_home(), name)
    audits = last(opened.keep), last(opened.keep, quick=True)
    if as_json:
        shown.listed_as_json(opened, audits[0])
    else:
        shown.listed(opened, *audits)


@keep.command()
@_NAME
@click.option("--quick", is_flag=True, help="See which files are there; do not read their content.")
@click.option(
    "--if-older-than",
    "days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="Only where the last full audit is older.",
)
@_JSON
def audit(name: str, quick: bool, days: float | None, as_json: bool) -> int:  # noqa: FBT001
    """Read every byte on every storage and compare it with what it has to be.

    Ends with 1 where anything is damaged, or a storage is not in reach.
    """
    from leman.cli import keeping as shown  # noqa: PLC0415
    from leman.records.store.audit import audit as look  # noqa: PLC0415
    from leman.records.store.audit import is_recent, last  # noqa: PLC0415
    from leman.records.store.keep import registered  # noqa: PLC0415

    before = last(registered(_home(), name), quick=quick)
    if before is not None and days is not None and is_recent(before, days):
        shown.recent(before, as_json=as_json)
        return int(not before.clean)
    with _opened(name) as opened, shown.progress("reading") as progress:
        result = look(opened, quick=quick, progress=progress)
    shown.audited(result, as_json=as_json)
    return int(not result.clean)


@keep.command()
@_NAME
def repair(name: str) -> int:
    """Audit, then make damaged copies good again from good ones.

    Only bytes that are proven good are copied. A file of which no good copy is left is named, and
    what there is of it is kept. Ends with 1 where something is still damaged or not in reach.
    """
    from leman.cli import keeping as shown  # noqa: PLC0415
    from leman.records.store.repair import repair as mend  # noqa: PLC0415

    with _opened(name) as opened, shown.progress("reading") as progress:
        result = mend(opened, progress=progress)
    shown.repaired(result)
    return int(not result.after.clean)


@keep.command()
@click.argument("record", metavar="ID")
@click.argument("folder", metavar="FOLDER", type=_FOLDER)
@click.option(
    "--version", default="", metavar="vN", help="An earlier version. Default: the newest."
)
@_NAME
def get(record: str, folder: Path, version: str, name: str) -> None:
    """Take a record out: its id begins with ID; it is written to FOLDER and checked."""
    from leman.cli import keeping as shown  # noqa: PLC0415
    from leman.records.store.get import get as take_out  # noqa: PLC0415
    from leman.records.store.get import named  # noqa: PLC0415
    from leman.records.store.keep import glanced  # noqa: PLC0415

    opened = glanced(_home(), name)
    identity = named(opened, record)
    with shown.progress("copying") as progress:
        got = take_out(opened, identity, folder, version=version, progress=progress)
    shown.got(got, folder)


def _home() -> Path:
    from leman.config import settings  # noqa: PLC0415

    return settings().home / "records"


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Opened]:
    from leman.records.store.keep import opened  # noqa: PLC0415

    with opened(_home(), name, waiting=_waiting()) as found:
        yield found


def _waiting() -> Callable[[], None]:
    def say() -> None:
        click.echo("Another leman works on this keep; waiting for it to end.", err=True)

    return say
