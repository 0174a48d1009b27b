# ruff: noqa: INP001, T201
"""Build the table of matplotlib's releases that leman ships: version, day of upload.

    python tools/build_matplotlib.py --index URL

URL is any package index that gives upload times (PEP 700). Pre-releases are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from leman.environments.index import Index

DATA = Path(__file__).resolve().parent.parent / "src" / "leman" / "environments" / "data"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--index", required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        releases = Index(given.index, Path(folder)).releases(["matplotlib"])["matplotlib"]
    lines = [
        f"{one.version}\t{one.uploaded}"
        for one in releases
        if one.uploaded and not one.version.is_prerelease
    ]
    (DATA / "matplotlib.tsv").write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} releases")


if __name__ == "__main__":
    main()
