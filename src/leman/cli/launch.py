"""`leman launch`: a repository's notebooks in JupyterLab, in the environment of their date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime

    from leman.environments.tiers import Tier


@click.command()
@click.argument("source")
@click.option("--ref", default="", help="Branch, tag or commit to take instead of the newest.")
@click.option("--notebook", default="", help="Notebook to open, relative to the source's folder.")
@click.option("--python", default="", metavar="X.Y", help="Python version to use.")
@click.option(
    "--date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Use packages as of this day.",
)
@click.option(
    "--builder",
    type=click.Choice(["auto", "uv", "conda"]),
    default="auto",
    help="auto: uv, and conda for what only its channels have.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on this machine; the next free one if it is in use. Default: from 8888.",
)
@click.option("--no-browser", is_flag=True, help="Print the address; open no browser.")
def launch(  # noqa: PLR0913, PLR0917 - one parameter an option
    source: str,
    ref: str,
    notebook: str,
    python: str,
    date: datetime | None,
    builder: Tier,
    port: int,
    no_browser: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Open SOURCE in JupyterLab, each notebook with the environment of its date.

    SOURCE is a folder, a notebook, a git address, gh:owner/name, an archive or a DOI. A folder of
    yours is opened as it is; anything fetched gets a folder that is kept. Ctrl-C stops everything.
    """
    import webbrowser  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.reproduction.launch import Kernel  # noqa: PLC0415
    from leman.reproduction.launch import launch as run_lab  # noqa: PLC0415
    from leman.reproduction.options import Nobody  # noqa: PLC0415
    from leman.reproduction.prepare import prepare  # noqa: PLC0415

    class _Told(Nobody):
        def said(self, notebook: str, message: str) -> None:
            click.echo(f"{notebook}: {message}" if notebook else message, err=True)

    def told(url: str) -> None:
        click.echo(f"JupyterLab is at {url}\nPress Ctrl-C to stop it.")

    prepared = prepare(
        source,
        ref=ref,
        python=python,
        date=date.date() if date else None,
        notebook=notebook,
        builder=builder,
        watcher=_Told(),
    )
    click.echo(f"Your changes are kept in {prepared.work}")
    click.echo("Kernels run with your own rights, without a sandbox: open only what you trust.")
    kernels = [Kernel(environment, notebooks=own) for environment, own in prepared.environments]
    code = run_lab(
        kernels,
        prepared.work,
        port=port,
        open_browser=None if no_browser else webbrowser.open,
        notebook=notebook,
        on_ready=told,
    )
    raise SystemExit(code)
