"""The cache of fetched sources: built beside, renamed into place, safe under two processes.

Layout below the cache folder: ``sources/<key>/tree`` with the files, ``source.json`` beside it with
what was found while they were laid out; ``git/<key>`` bare repositories; ``downloads/``;
``locks/``. A key is a content id with ``-`` for ``:``, so that paths hold no colon.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from leman.errors import ConfigError, SourceError
from leman.files import full_disk_said, remove_tree, write_json
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class Laid:
    """Files in the cache: `missing` and `findings` are those of the source that they came from."""

    tree: Path
    missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    published: date | None = None


def key_of(content_id: str) -> str:
    """Return a content id as a folder name."""
    return content_id.replace(":", "-")


@contextmanager
def locked(cache: Path, key: str) -> Iterator[None]:
    """Let one process at a time work on `key`; another waits."""
    folder = cache / "locks"
    lock = FileLock(folder / f"{key}.lock")
    try:
        with full_disk_said(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except OSError as error:
        raise ConfigError(
            f"the cache folder {cache} cannot be written to: {error.strerror}",
            hint="Set LEMAN_HOME to a folder of your own.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def found(cache: Path, key: str) -> Laid | None:
    """Return the source called `key` if it is in the cache."""
    folder = cache / "sources" / key
    try:
        stored = json.loads((folder / "source.json").read_text())
    except (OSError, ValueError):
        return None
    return Laid(
        tree=folder / "tree",
        missing=tuple(stored["missing"]),
        findings=tuple(Finding(**one) for one in stored["findings"]),
        published=date.fromisoformat(stored["published"]) if stored["published"] else None,
    )


def laid(cache: Path, key: str, build: Callable[[Path], Laid]) -> Laid:
    """Return the source called `key`, built by `build(folder)` unless the cache has it.

    `build` gets an existing empty folder and returns what it put there. Whatever it raises leaves
    nothing behind. The caller holds the lock of `key`.
    """
    have = found(cache, key)
    if have:
        return have
    sources = cache / "sources"
    with building(cache, sources / key) as folder:
        tree = folder / "tree"
        tree.mkdir()
        made = build(tree)
        write_json(
            folder / "source.json",
            {
                "missing": list(made.missing),
                "findings": [asdict(one) for one in made.findings],
                "published": made.published.isoformat() if made.published else "",
            },
        )
    again = found(cache, key)
    if again is None:
        raise SourceError(f"the source was laid out in {sources / key} but is gone again")
    return again


@contextmanager
def building(cache: Path, target: Path) -> Iterator[Path]:
    """Give a fresh folder beside `target` that takes its place when the block ends well.

    The caller holds the lock called like `target`, so a folder of that name is a leftover.
    """
    sweep(cache, target.parent)
    partial = target.parent / f"{_PARTIAL}{target.name}"
    with full_disk_said(target):
        remove_tree(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            remove_tree(target)
            partial.rename(target)
        except BaseException:
            with suppress(OSError):
                remove_tree(partial)
            raise


def sweep(cache: Path, folder: Path) -> None:
    """Remove what interrupted processes left in `folder`; what is being built now stays."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        lock = FileLock(cache / "locks" / f"{partial.name.removeprefix(_PARTIAL)}.lock")
        with suppress(Timeout, OSError), lock.acquire(timeout=0):
            remove_tree(partial)
