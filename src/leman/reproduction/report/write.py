"""A report on disk: written so that no reader sees half of it, and read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leman.errors import LemanError
from leman.files import write_atomic
from leman.reproduction.report.as_html import as_html
from leman.reproduction.report.as_json import SCHEMA, as_json, lock_path
from leman.reproduction.report.pictures import collect
from leman.reproduction.report.text import storable

if TYPE_CHECKING:
    from pathlib import Path

    from leman.reproduction.model import Report

_LARGEST = 1_000_000_000  # bytes of a report.json that is read


def write(report: Report, folder: Path) -> Path:
    """Write locks, images, report.html and, last, report.json; return the path of report.html.

    Each file is complete or absent, and report.json names only files that are there already.
    Executed notebooks are the caller's; what else lies in the folder is left alone.
    Raises SpaceError when the disk is full.
    """
    for environment in report.environments:
        text = storable(environment.lock.text, limit=len(environment.lock.text))
        write_atomic(folder / lock_path(environment), text)
    pictures = collect(report)
    for picture in pictures.values():
        write_atomic(folder / picture.path, picture.png)
    page = write_atomic(folder / "report.html", as_html(report, pictures))
    value = as_json(report, pictures)
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(folder / "report.json", text + "\n")
    return page


def read(where: Path) -> dict[str, Any]:
    """Return the content of a report.json, given it or its folder.

    Raises LemanError when there is none, or when it is not one that this version understands.
    """
    path = where / "report.json" if where.is_dir() else where
    hint = "Name the folder that `leman run --output FOLDER` wrote, or its report.json."
    try:
        if path.stat().st_size > _LARGEST:
            raise LemanError(f"{path} is larger than any report", hint=hint)
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise LemanError(f"there is no report at {path}: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise LemanError(f"{path} is not JSON: {error}", hint=hint) from error
    found = value.get("schema") if isinstance(value, dict) else None
    if found != SCHEMA:
        newer = isinstance(found, str) and found.startswith(SCHEMA.partition("/")[0] + "/")
        raise LemanError(
            f"{path} has the format {found!r}, expected {SCHEMA!r}",
            hint="It was written by another version of leman; use that one to read it."
            if newer
            else hint,
        )
    report: dict[str, Any] = value
    return report
