"""`leman sign`: one more signature beside a record."""

from __future__ import annotations

import click

from leman.cli import options


@click.command()
@click.argument("record")
@options.key
@click.option("--name", default="", help="What to call the signature. Default: the key's comment.")
@options.timestamp
def sign(record: str, key: str | None, name: str, timestamp: str) -> None:
    """Sign RECORD as well: as its author, a referee or an institute. The record stays as it is.

    Signing a record that is not intact is refused. To date a signature that is there already,
    sign again with the same key and --timestamp.
    """
    from pathlib import Path  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.config import settings  # noqa: PLC0415
    from leman.errors import SourceError  # noqa: PLC0415
    from leman.records import keys  # noqa: PLC0415
    from leman.records.model import Question, Value  # noqa: PLC0415
    from leman.records.publish import Wanted, stamping  # noqa: PLC0415
    from leman.records.signing import add_signature  # noqa: PLC0415
    from leman.records.verify import verify  # noqa: PLC0415

    own, root = settings(), Path(record)
    intact = verify(root).answer(Question.INTACT)
    if intact.value is not Value.YES:
        raise SourceError(
            f"{record} is not intact: {intact.reason}", hint="Sign another copy of it."
        )
    named = Path(key).expanduser() if key else None
    chosen = keys.choose(named, own=Path.home() / ".ssh", home=own.home)
    stamp = stamping(Wanted(timestamp=timestamp), own)
    made = add_signature(root, chosen, name=name, stamping=stamp)
    click.echo(f"Signed with {chosen.path}{' (made just now)' if chosen.made else ''}")
    click.echo(f"  {root / 'signatures' / made}.sshsig, {chosen.fingerprint}")
    if timestamp:
        click.echo(f"  {root / 'timestamps' / made}.tsr, by {timestamp}")
