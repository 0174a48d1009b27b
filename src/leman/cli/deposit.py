"""`leman deposit`: a record to Zenodo or another InvenioRDM server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.deposit.interface import Draft
    from leman.records.deposit.make import Deposit


@click.command()
@click.argument("record")
@click.option(
    "--to",
    required=True,
    metavar="zenodo|zenodo-sandbox|URL",
    help="The server: Zenodo, its sandbox, or the address of an InvenioRDM server.",
)
@click.option(
    "--token-file",
    default="",
    metavar="FILE",
    help="File with the token of your account there. Default: LEMAN_DEPOSIT_TOKEN.",
)
@click.option("--community", default="", metavar="ID", help="Community to submit the record to.")
@click.option("--publish", is_flag=True, help="Make it public as well; that cannot be undone.")
@click.option("--yes", is_flag=True, help="Do not ask before publishing.")
@click.option("--new", is_flag=True, help="Make another draft although there is one.")
def deposit(**given: Any) -> None:  # noqa: ANN401 - click's own values
    """Bring the record in the folder RECORD to a server, as a draft that you publish.

    The whole record is uploaded as one archive, with its pages and checksums beside it. An
    interrupted deposit goes on when the same command is given again.

    The token comes from LEMAN_DEPOSIT_TOKEN or a file, never from an argument: everybody on this
    machine can see those.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - `leman --help` pays for nothing
    from functools import partial  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from leman.config import settings  # noqa: PLC0415
    from leman.records.deposit import make, site  # noqa: PLC0415
    from leman.records.deposit.client import Client  # noqa: PLC0415
    from leman.records.deposit.invenio import InvenioRDM  # noqa: PLC0415
    from leman.records.deposit.metadata import described  # noqa: PLC0415

    own, root = settings(), _folder(given["record"])
    _may_ask(publish=given["publish"], yes=given["yes"])
    address = site.address(given["to"])
    file = Path(given["token_file"]) if given["token_file"] else None
    token = site.token(own.deposit_token, file, _tell)
    wish = make.Wish(address, own.home, given["community"], given["new"])
    with Client(site.Site(address, token), progress=_tell) as client:
        via = InvenioRDM(client)
        describe = partial(
            described,
            publisher=client.site.publisher,
            today=datetime.now(UTC).date(),
            known=via.knows,
        )
        try:
            made = make.deposit(root, wish, via, describe, _tell)
        except KeyboardInterrupt:
            _tell("\nThe same command goes on from here.")
            raise
        _show(made)
        if given["publish"] and _agreed(wish.community, client.site.host, yes=given["yes"]):
            _published(make.publish(made, wish, via))
        else:
            _what_to_do(made.draft, wish.community)


def _tell(message: str) -> None:
    click.echo(message, err=True)


def _folder(record: str) -> Path:
    from pathlib import Path  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415

    root = Path(record)
    if not root.is_dir():
        raise UsageError(
            f"there is no folder {record}",
            hint="Give the folder of a record, as `leman publish` wrote it.",
        )
    return root


def _may_ask(*, publish: bool, yes: bool) -> None:
    import sys  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415

    if yes and not publish:
        raise UsageError("--yes without --publish: there is nothing to agree to")
    if publish and not yes and not sys.stdin.isatty():
        raise UsageError(
            "--publish cannot be undone, and there is no terminal to ask you at",
            hint="Give --yes as well if you mean it.",
        )


def _show(made: Deposit) -> None:
    went_on = " (begun before)" if made.resumed else ""
    click.echo(f"Draft{went_on}: {made.draft.page}")
    for one in made.uploads:
        same = "size" if one.name in made.unproved else "checksum"
        click.echo(f"  {one.name}  {_size(one.size)}  md5:{one.md5}  same {same} on the server")
    click.echo(f"Record: {made.record.id}")
    if made.draft.doi:
        click.echo(f"DOI, reserved: {made.draft.doi} (it leads somewhere once this is public)")
    for note in made.notes:
        click.echo(f"Note: {note}")


def _what_to_do(draft: Draft, community: str) -> None:
    button = "Submit for review" if community else "Publish"
    click.echo(f"Nothing is public yet. Look at {draft.page}, correct what is")
    click.echo(f"missing, and press “{button}” there; or delete the draft.")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _agreed(community: str, host: str, *, yes: bool) -> bool:
    if community:
        click.echo(f"This asks {community} to publish the record; once they do,")
    else:
        click.echo(f"This makes the record public on {host};")
    click.echo("its files can then never be changed or removed by you. That cannot be undone.")
    return yes or click.confirm("Publish?", err=True)


def _published(draft: Draft) -> None:
    if draft.published:
        click.echo(f"Public: {draft.page}")
        if draft.doi:
            click.echo(f"DOI: https://doi.org/{draft.doi}")
    else:
        click.echo(f"Submitted: {draft.page} is public as soon as the community takes it.")
