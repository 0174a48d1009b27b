"""One verification from end to end: look, run again if asked, report, sign, add."""

from __future__ import annotations

import platform
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.errors import SourceError, UsageError
from leman.findings import printable
from leman.records import keys, signing, statements
from leman.records.layout import STATEMENTS
from leman.records.model import Check, Question
from leman.records.verify import Trust, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.config import Settings
    from leman.reproduction.options import Options, Watcher

REPORT = "verification.json"
_BY_DEFAULT = frozenset({Question.INTACT, Question.SIGNED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a verification is asked for; `report` is a folder, made for a while if None."""

    trust: Trust = field(default_factory=Trust)
    asked: frozenset[Question] = _BY_DEFAULT
    rerun: bool = False
    report: Path | None = None
    sign: bool = False
    add: bool = False
    key: Path | None = None
    ssh: Path = field(default_factory=lambda: Path.home() / ".ssh")
    options: Options | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """A verification that was done: `written` is its report, `added` what the record got."""

    check: Check
    statement: dict[str, Any]
    written: Path | None = None
    added: Path | None = None


def examine(
    spec: str, *, settings: Settings, wanted: Wanted, watcher: Watcher | None = None
) -> Examined:
    """Verify the record in a folder or an archive as `wanted` says; `watcher` hears of a re-run.

    Raises SourceError where there is none, UsageError for what cannot be done with it.
    """
    given = Path(spec).expanduser()
    if wanted.add and given.is_file():
        raise UsageError(
            f"{spec} is an archive, so nothing can be added to it",
            hint="Unpack it, or leave --add out.",
        )
    with _opened(given) as root, _reporting(wanted.report) as folder:
        check = verify(root, trust=wanted.trust, asked=wanted.asked)
        done = None
        if wanted.rerun:
            # Half a second of imports that a look alone does without.
            from leman.records.rerun import rerun  # noqa: PLC0415
            from leman.reproduction.options import Nobody, Options  # noqa: PLC0415

            check, done = rerun(
                check,
                output=folder / "rerun",
                settings=settings,
                options=wanted.options or Options(twice=True),
                watcher=watcher or Nobody(),
            )
        statement = statements.about(
            check,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=_machine(),
            rerun=done.summary if done else None,
        )
        path = statements.write(statement, folder / REPORT)
        added = None
        if wanted.sign:
            key = keys.choose(wanted.key, own=wanted.ssh, home=settings.home)
            statements.sign(path, key.path, key.public)
            added = _add(check, path, key) if wanted.add else None
    return Examined(check, statement, path if wanted.report else None, added)


def _add(check: Check, path: Path, key: keys.Key) -> Path:
    signing.refuse_links(check.record.path / STATEMENTS)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return statements.add(check.record.path, path, f"{moment}-{keys.name_for(key)}"[:64])


@contextmanager
def _opened(given: Path) -> Iterator[Path]:
    """Yield the record's folder; an archive is unpacked for a while, under its own limits."""
    if not given.is_file():
        yield given
        return
    from leman.environments.providers.unpack import is_archive, unpack  # noqa: PLC0415 - slow

    if not is_archive(given):
        raise SourceError(
            f"{given} is neither a folder nor an archive", hint="Give a record's folder."
        )
    with tempfile.TemporaryDirectory(prefix="leman-record-") as name:
        tree = Path(name) / "record"
        tree.mkdir()
        left_out = unpack(given, tree).left_out
        if left_out:  # a folder with it would not be intact either
            words = ", ".join(printable(one) for one in left_out[:5])
            raise SourceError(
                f"{given} holds more than a record: {words}",
                hint="Unpack it yourself and verify the folder.",
            )
        yield tree


@contextmanager
def _reporting(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="leman-verification-") as name:
        yield Path(name)


def _machine() -> dict[str, str]:
    return {"system": platform.platform(), "python": platform.python_version()}
