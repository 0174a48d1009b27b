"""`leman verify`: five answers about a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leman.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.examine import Wanted


@click.command()
@click.argument("record")
@click.option(
    "--trust",
    metavar="FILE",
    help="Allowed signers (as for ssh-keygen): ask that one of them signed it.",
)
@click.option("--dated", is_flag=True, help="Ask that a trusted authority dated it.")
@click.option(
    "--authorities",
    metavar="FILE",
    help="Root certificates of time-stamp authorities (PEM). Default: this machine's.",
)
@click.option("--rerun", is_flag=True, help="Run it in the locked environment; ask that it runs.")
@click.option("--same", is_flag=True, help="Also ask that every output is the same.")
@click.option("--report", metavar="DIR", help="Folder for the report of this verification.")
@click.option("--sign", is_flag=True, help="Sign the report, as a statement about the record.")
@click.option("--key", metavar="FILE", help="SSH key to sign it with.")
@click.option("--add", is_flag=True, help="Add the signed statement to the record.")
@options.jobs
@options.timeout
@options.network
@options.isolation
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--bag", is_flag=True, help="Only: is it a valid BagIt bag? Of any version, no record."
)
@click.pass_context
def verify(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own values
    """Answer five questions about RECORD, a folder or an archive: each yes, no or not checked.

    intact, signed, dated, reruns, same results. Asked by default: intact and signed. Nothing of
    the record is run without --rerun or --same, and nothing in it is changed without --add.

    Exit code 0: all that was asked for holds; 1: something does not; 2: could not start.
    """
    import json  # noqa: PLC0415 - `leman --help` pays for nothing

    if given["bag"]:
        ctx.exit(_bag(given["record"], as_json=given["as_json"]))
    from leman.cli.answers import show  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.records.examine import examine  # noqa: PLC0415

    wanted = _wanted(given)
    if wanted.rerun:
        from leman.cli.progress import Screen  # noqa: PLC0415 - a look alone is quick without

        with Screen(quiet=given["as_json"]) as screen:
            done = examine(given["record"], settings=settings(), wanted=wanted, watcher=screen)
    else:
        done = examine(given["record"], settings=settings(), wanted=wanted)
    if given["as_json"]:
        click.echo(json.dumps(done.statement, indent=1, ensure_ascii=False))
    else:
        show(done.check)
        for path in (done.written, done.added):
            if path:
                click.echo(f"\nReport: {path}" if path == done.written else f"Added: {path}")
    ctx.exit(0 if done.check.holds else 1)


def _bag(folder: str, *, as_json: bool) -> int:
    """Check any BagIt bag; return the exit code."""
    import json  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from leman.cli.answers import show_findings  # noqa: PLC0415
    from leman.errors import SourceError  # noqa: PLC0415
    from leman.records.bag.general import validate  # noqa: PLC0415

    if not Path(folder).is_dir():
        raise SourceError(f"there is no folder {folder}", hint="Unpack a bag, and give its folder.")
    found = tuple(validate(Path(folder)))
    wrong = any(one.severity == "error" for one in found)
    if as_json:
        value = {"valid": not wrong, "findings": [asdict(one) for one in found]}
        click.echo(json.dumps(value, indent=1, ensure_ascii=False))
    else:
        show_findings(found)
        click.echo("not a valid bag" if wrong else "a complete and valid bag")
    return int(wrong)


def _wanted(given: dict[str, Any]) -> Wanted:
    from leman.records.examine import Wanted  # noqa: PLC0415
    from leman.records.model import Question  # noqa: PLC0415
    from leman.records.verify import Trust  # noqa: PLC0415

    asked = {Question.INTACT, Question.SIGNED}
    asked |= {Question.DATED} if given["dated"] else set()
    asked |= {Question.RERUNS} if given["rerun"] or given["same"] else set()
    asked |= {Question.SAME} if given["same"] else set()
    again = given["rerun"] or given["same"]
    return Wanted(
        trust=Trust(_file(given, "trust"), _file(given, "authorities")),
        asked=frozenset(asked),
        rerun=again,
        report=_folder(given["report"]),
        sign=given["sign"] or given["add"],
        add=given["add"],
        key=_file(given, "key"),
        options=options.options_of(given) if again else None,
    )


def _file(given: dict[str, Any], name: str) -> Path | None:
    from pathlib import Path  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415

    if not given[name]:
        return None
    path = Path(given[name]).expanduser()
    if not path.exists():
        raise UsageError(f"--{name} {path}: there is no such file")
    return path


def _folder(text: str | None) -> Path | None:
    from pathlib import Path  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415

    if not text:
        return None
    path = Path(text)
    if path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / "verification.json").exists()
    ):
        raise UsageError(
            f"--report {path} is a file, or a folder with other files in it",
            hint="Give a folder that is new, empty, or holds an earlier report.",
        )
    return path
