"""A record as a source like any other: `leman run record/`, `leman launch record/`."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.environments.interface import silent
from leman.environments.model import GivenLock, Source
from leman.environments.providers.scope import is_record
from leman.environments.providers.store import Laid, laid, locked
from leman.errors import SourceError
from leman.files import sha256_of
from leman.records import facts as known_facts
from leman.records import references
from leman.records.bag.check import Contents, check
from leman.records.layout import MANIFEST, TAG_MANIFEST
from leman.records.model import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.records.model import Reference


class FromRecord:
    """A record's folder; its files are checked, then laid out where they may be worked on."""

    def detect(self, spec: str) -> str | None:
        """Return the absolute path of the record, None if `spec` is none."""
        with suppress(OSError, ValueError, RuntimeError):
            path = Path(spec).expanduser()
            if spec and is_record(path):
                return str(path.resolve())
        return None

    def fetch(
        self, address: str, *, ref: str, into: Path, progress: Callable[[str], None] = silent
    ) -> Source:
        """Copy the record's source into the cache, with its locks; nothing in the record changes.

        Files that are elsewhere are downloaded and checked; those that are not to be had are
        missing. Raises SourceError for a record that is not intact, and where an address holds
        another file than the record names.
        """
        root = Path(address)
        if ref:
            raise SourceError(
                f"{address} is a record, so it has no {ref!r}", hint="Leave --ref out."
            )
        record, missing = _checked(root)
        key = record.id.replace(":", "-")
        with locked(into, key):
            have = laid(into, key, lambda tree: _lay(record, tree))
            absent = references.fetch_all(
                [one for one in missing if not (have.tree / one.path).is_file()],
                have.tree,
                progress,
            )
        return _described(record, have, absent)


def _checked(root: Path) -> tuple[Record, tuple[Reference, ...]]:
    contents = Contents()
    wrong = [one for one in check(root, contents) if one.severity == "error"]
    facts, bad = known_facts.read(root, contents.manifests.get(MANIFEST))
    wrong += [one for one in bad if one.severity == "error"]
    if wrong:
        raise SourceError(
            f"the record in {root} is not intact: {wrong[0].where}: {wrong[0].message}",
            hint="`leman verify` tells the rest; get another copy.",
        )
    record = Record(f"sha256:{sha256_of(root / TAG_MANIFEST)}", root, facts)
    inside = tuple(references.inside_source(one) for one in contents.references)
    return record, inside


def _lay(record: Record, tree: Path) -> Laid:
    if record.source.is_dir():  # it is not where all files are elsewhere
        shutil.copytree(record.source, tree, dirs_exist_ok=True)
    source = record.facts["source"]
    for path in _paths(source.get("executable")):
        with suppress(OSError):
            (tree / path).chmod(0o755)
    for path in _paths(source.get("empty_folders")):
        with suppress(OSError):  # where a file lies, no folder can be made
            (tree / path).mkdir(parents=True, exist_ok=True)
    return Laid(tree)


def _paths(value: Any) -> list[str]:  # noqa: ANN401 - from outside
    rows = value if isinstance(value, list) else []
    return [one for one in rows if isinstance(one, str) and known_facts.is_inside(one)]


def _described(record: Record, have: Laid, absent: tuple[str, ...]) -> Source:
    facts = record.facts
    names = tuple(one["path"] for one in facts["notebooks"])
    locks = tuple(
        GivenLock(
            record.path / "data" / one["lock"],
            tuple(path for path in one.get("notebooks", ()) if path in names),
            str(one.get("python", "")),
            str(one.get("digest", "")),
        )
        for one in facts["environments"]
    )
    missing = [*_paths(facts["source"].get("missing")), *absent]
    return Source(
        url=str(record.path),
        revision=record.id,
        path=have.tree,
        content_id=record.id,
        published=_day(facts.get("created")),
        notebooks=names,
        missing=tuple(missing),
        locks=locks,
    )


def _day(text: Any) -> date | None:  # noqa: ANN401 - from outside
    with suppress(ValueError, TypeError):
        return date.fromisoformat(text[:10])
    return None
