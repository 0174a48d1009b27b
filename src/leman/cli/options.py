"""Options that several commands have, each with one name, one default and one help text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from datetime import datetime

    from leman.environments.clock import Wishes
    from leman.reproduction.options import Options

ref = click.option("--ref", default="", help="Branch, tag or commit to take instead of the newest.")
notebooks = click.option(
    "--notebook", "notebooks", multiple=True, help="Run only this notebook (may be repeated)."
)
jobs = click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, help="Notebooks at the same time."
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=600.0,
    metavar="SECONDS",
    help="Time for all cells of one notebook. Default: 600.",
)
network = click.option(
    "--network", type=click.Choice(["on", "off"]), default="on", help="May notebooks reach it?"
)
isolation = click.option(
    "--isolation",
    type=click.Choice(["auto", "sandbox", "none"]),
    default="auto",
    help="auto: a sandbox where this machine allows it, and the report says which.",
)
python = click.option("--python", default="", metavar="X.Y", help="Python version to use.")
date = click.option(
    "--date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Use packages as of this day.",
)
builder = click.option(
    "--builder",
    type=click.Choice(["auto", "uv", "conda"]),
    default="auto",
    help="auto: uv, and conda for what only its channels have.",
)
key = click.option(
    "--key", metavar="FILE", help="SSH key to sign with. Default: your own in ~/.ssh."
)
timestamp = click.option(
    "--timestamp", default="", metavar="URL|own", help="RFC 3161 authority that dates it."
)


def wishes_of(version: str, moment: datetime | None) -> Wishes:
    """Return the Python and the day that a user asks for. Raises UsageError."""
    import re  # noqa: PLC0415 - `leman --help` pays for nothing

    from leman.environments.clock import Wishes  # noqa: PLC0415
    from leman.errors import UsageError  # noqa: PLC0415

    if version and not re.fullmatch(r"3\.\d{1,2}", version):
        raise UsageError(f"--python {version}: expected a version such as 3.8")
    return Wishes(version, moment.date() if moment else None)


def options_of(given: dict[str, Any]) -> Options:
    """Return the options of a run from what a command line gave; what it lacks is by default."""
    from leman.reproduction.model import Limits  # noqa: PLC0415
    from leman.reproduction.options import Options  # noqa: PLC0415

    plain = Options()
    return Options(
        wishes=wishes_of(given.get("python", ""), given.get("date")),
        limits=Limits(seconds=given["timeout"], memory=int((given.get("memory") or 0) * 1e9)),
        jobs=given["jobs"],
        twice=given.get("twice", True),  # a publication and its check want to know what is volatile
        isolation=given["isolation"],
        network=given["network"] == "on",
        repairs=given.get("repairs", plain.repairs),
        builder=given.get("builder", plain.builder),
    )
