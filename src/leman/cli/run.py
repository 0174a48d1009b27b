"""`leman run`: every notebook of a source again, every output compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leman.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Source
    from leman.reproduction.model import Report


@click.command()
@click.argument("source", default=".")
@options.ref
@options.notebooks
@options.jobs
@options.timeout
@click.option(
    "--memory", type=click.FloatRange(0.1), metavar="GB", help="Memory that one notebook may use."
)
@click.option("--twice", is_flag=True, help="Run what differs a second time: is it volatile?")
@click.option(
    "--output", default="report", metavar="DIR", help="Folder for the report. Default: report."
)
@options.network
@options.isolation
@options.python
@options.date
@options.builder
@click.option(
    "--repairs",
    type=click.IntRange(0, 50),
    default=12,
    help="Changes that are tried on a notebook that fails. Default: 12.",
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json instead of the table.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own values
    """Run SOURCE's notebooks in the environment of their date; compare every stored output.

    SOURCE is a folder, a notebook, a git address, gh:owner/name, an archive, a DOI or a Zenodo
    record. It is never changed: notebooks run on a copy.

    Exit code 0: all ran and nothing differs; 1: something failed or differs; 2: could not start.
    """
    from pathlib import Path  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.cli.progress import Screen  # noqa: PLC0415
    from leman.config import settings  # noqa: PLC0415
    from leman.reproduction.report.write import write  # noqa: PLC0415
    from leman.reproduction.reproduce import reproduce  # noqa: PLC0415

    output = _output(Path(given["output"]), given["source"])
    own = settings()
    with Screen(quiet=given["as_json"]) as screen:
        source = _source(given["source"], given["ref"], given["notebooks"], own.cache, screen)
        report = reproduce(
            source, output=output, settings=own, options=options.options_of(given), watcher=screen
        )
        page = write(report, output)
    _show(report, output, page, as_json=given["as_json"])
    ctx.exit(0 if report.passed else 1)


def _output(output: Path, spec: str) -> Path:
    from pathlib import Path  # noqa: PLC0415

    from leman.errors import UsageError  # noqa: PLC0415

    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file", hint="Give a folder for the report.")
    foreign = output.is_dir() and any(output.iterdir()) and not (output / "report.json").exists()
    if foreign or output.resolve() == Path(spec).resolve():
        raise UsageError(
            f"--output {output} is a folder with other files in it",
            hint="Give a folder that is new, empty, or holds an earlier report.",
        )
    return output


def _source(spec: str, ref: str, notebooks: tuple[str, ...], cache: Path, screen: Any) -> Source:  # noqa: ANN401
    from dataclasses import replace  # noqa: PLC0415

    from leman.environments.fetch import fetch  # noqa: PLC0415
    from leman.errors import UsageError  # noqa: PLC0415

    source = fetch(spec, ref=ref, cache=cache, progress=lambda text: screen.said("", text))
    for name in notebooks:
        if not (source.path / name).is_file() and name not in source.missing:
            raise UsageError(
                f"--notebook {name}: there is no such file in {source.url}",
                hint="Give its path as seen from the source's folder, for example sub/name.ipynb.",
            )
    return replace(source, notebooks=notebooks) if notebooks else source


def _show(report: Report, output: Path, page: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo((output / "report.json").read_text())
        return
    from leman.cli.progress import table  # noqa: PLC0415

    table(report, page)
