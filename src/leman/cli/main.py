"""The `leman` command: loads a command's module only when that command is called."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys

import click

from leman import __version__
from leman.errors import LemanError

COMMANDS = {
    "run": ("leman.cli.run:run", "Run a source's notebooks again and compare every output."),
    "launch": ("leman.cli.launch:launch", "Open a source in JupyterLab, as of its date."),
    "publish": ("leman.cli.publish:publish", "Make a signed record of a source and its run."),
    "verify": ("leman.cli.verify:verify", "Answer five questions about a record."),
    "sign": ("leman.cli.sign:sign", "Add a signature or a time stamp to a record."),
    "deposit": ("leman.cli.deposit:deposit", "Bring a record to Zenodo, as a draft."),
    "keep": ("leman.cli.keep:keep", "Keep records on several storages, audit and repair them."),
    "env": ("leman.cli.env:env", "Look at, lock and remove environments."),
}


class _Commands(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a user meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="leman")
def cli() -> None:
    """Run any repository's notebooks again; publish and verify what they show."""


def main() -> None:
    """Run the command line; every error of ours is two sentences and an exit code, no traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(2) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped. Nothing half-written was kept.", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for Python's own flush
        raise SystemExit(1) from None
    except LemanError as error:
        show(error)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"leman: {where}{error.strerror or error}", err=True)
        raise SystemExit(2) from None
    except Exception:  # noqa: BLE001 - a defect of ours: the user gets a sentence, we the rest
        _defect(_traceback())
        raise SystemExit(2) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _traceback() -> str:
    """Return the traceback of the exception that is being handled."""
    import traceback  # noqa: PLC0415 - `leman --help` pays for nothing

    return f"leman {__version__}, Python {sys.version}\n{traceback.format_exc()}"


def _defect(text: str) -> None:
    """Keep the traceback of a defect in a file and say where."""
    import tempfile  # noqa: PLC0415

    from leman.config import settings  # noqa: PLC0415

    try:
        folder = settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, LemanError):
        folder = None
    with tempfile.NamedTemporaryFile(
        "w", prefix="defect-", suffix=".txt", dir=folder, delete=False
    ) as log:
        log.write(text)
    click.echo(f"leman: {text.strip().splitlines()[-1]}", err=True)
    click.echo(f"  This is a defect of leman. Please report it with {log.name}", err=True)


def show(error: LemanError) -> None:
    """Print an error of ours: what was found, then what to do."""
    click.echo(f"leman: {error.message}", err=True)
    output = getattr(error, "output", "")
    if output:
        click.echo(f"  {str(output).strip()[:2000]}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
