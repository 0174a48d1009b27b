"""`leman launch`: a repository's notebooks in JupyterLab, in the environment of their date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leman.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from leman.reproduction.model import Isolation
    from leman.reproduction.options import Watcher


@click.command()
@click.argument("source")
@options.ref
@click.option("--notebook", default="", help="Notebook to open, relative to the source's folder.")
@options.python
@options.date
@options.builder
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on this machine; the next free one if it is in use. Default: from 8888.",
)
@click.option("--no-browser", is_flag=True, help="Print the address; open no browser.")
@click.option(
    "--network", type=click.Choice(["on", "off"]), default="on", help="May kernels reach it?"
)
@click.option(
    "--isolation",
    type=click.Choice(["auto", "sandbox", "none"]),
    default="auto",
    help="auto: a sandbox where this machine allows it; the first line says which.",
)
def launch(**given: Any) -> None:  # noqa: ANN401 - click's own values
    """Open SOURCE in JupyterLab, each notebook with the environment of its date.

    SOURCE is a folder, a notebook, a git address, gh:owner/name, an archive or a DOI. A folder of
    yours is opened as it is; anything fetched gets a folder that is kept. Ctrl-C stops everything.
    """
    import webbrowser  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.config import settings  # noqa: PLC0415
    from leman.reproduction.launch import Kernel  # noqa: PLC0415
    from leman.reproduction.launch import launch as run_lab  # noqa: PLC0415
    from leman.reproduction.prepare import prepare  # noqa: PLC0415
    from leman.reproduction.run import isolate  # noqa: PLC0415

    isolation = isolate(given["isolation"], network=given["network"] == "on")
    for line in _words(isolation, given["network"]):
        click.echo(line)
    day: datetime | None = given["date"]
    own = settings()
    prepared = prepare(
        given["source"],
        ref=given["ref"],
        python=given["python"],
        date=day.date() if day else None,
        notebook=given["notebook"],
        builder=given["builder"],
        isolation=isolation,
        own=own,
        watcher=_watcher(),
    )
    click.echo(f"Your changes are kept in {prepared.work}")
    code = run_lab(
        [Kernel(environment, notebooks=names) for environment, names in prepared.environments],
        prepared.work,
        isolation=isolation,
        hidden=(own.home,),
        port=given["port"],
        open_browser=None if given["no_browser"] else webbrowser.open,
        notebook=given["notebook"],
        on_ready=lambda url: click.echo(f"JupyterLab is at {url}\nPress Ctrl-C to stop it."),
    )
    raise SystemExit(code)


def _words(isolation: Isolation, network: str) -> Iterator[str]:
    from leman.reproduction.report.words import isolation_words  # noqa: PLC0415

    words = isolation_words(isolation)
    if isolation.level == "sandbox":
        yield f"JupyterLab and its kernels run {words}."
        return
    why = isolation.detail.removeprefix("no isolation: ")
    yield f"JupyterLab and its kernels run {words} ({why})."
    yield "Kernels run with your own rights, without a sandbox: open only what you trust."
    if network == "off":
        yield "Only a sandbox can cut the network: it stays on."


def _watcher() -> Watcher:
    from leman.reproduction.options import Nobody  # noqa: PLC0415

    class _Told(Nobody):
        def said(self, notebook: str, message: str) -> None:
            click.echo(f"{notebook}: {message}" if notebook else message, err=True)

    return _Told()
