"""From what a user calls a source to the source itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leman.backends import Backend, load
from leman.environments.git import check_ref
from leman.environments.interface import silent
from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.environments.interface import Provider
    from leman.environments.model import Source

# Order is policy: the narrower pattern first. A Zenodo page and a zip on a server are addresses
# that git would take for repositories; a bare git directory is a folder, too. Folders come last
# because every path fits; one that looks like something else can be written with "./".
# A record is a folder too, and comes first.
PROVIDERS = {
    "record": Backend("leman.records.source:FromRecord"),
    "invenio": Backend("leman.environments.providers.invenio:Invenio"),
    "archive": Backend("leman.environments.providers.archive:Archive"),
    "git": Backend("leman.environments.providers.git:Git"),
    "folder": Backend("leman.environments.providers.folder:Folder"),
}

FORMS = (
    "a folder (.), a record, a notebook (file.ipynb), a git address (https://host/owner/name, "
    "ssh://, git@host:owner/name, file://), gh:owner/name, gl:owner/name, a page of a repository "
    "(…/tree/REF/folder, …/blob/REF/file.ipynb), a bare git directory, an archive (path or "
    "address of .zip, .tar, .tar.gz, .tar.bz2, .tar.xz), a DOI or a deposit "
    "(10.5281/zenodo.NUMBER, https://zenodo.org/records/NUMBER)"
)


def fetch(
    spec: str, *, ref: str = "", cache: Path, progress: Callable[[str], None] = silent
) -> Source:
    """Return the source that `spec` names, with its files on this disk.

    `ref` is a branch, tag or commit ("" for the default one). What is fetched lies under `cache`
    and is found there the next time. Raises SourceError for what is not found or not safe.
    """
    if not spec.strip() or spec.startswith("-") or any(ord(letter) < 32 for letter in spec):
        raise SourceError(f"{spec!r} names no source", hint=f"Give {FORMS}.")
    check_ref(ref)
    for name in PROVIDERS:
        provider: Provider = load(PROVIDERS, name)()
        address = provider.detect(spec)
        if address is not None:
            found = provider.fetch(address, ref=ref, into=cache, progress=progress)
            return found if name == "record" else _inside(found, cache, progress)
    if Path(spec).is_file():
        raise SourceError(
            f"{spec} is neither a notebook nor an archive that leman reads",
            hint=f"Unpack archives of other kinds and give the folder. Give {FORMS}.",
        )
    raise SourceError(
        f"there is no file or folder called {spec!r} here, and it is no address that leman knows",
        hint=f"Give {FORMS}.",
    )


def _inside(found: Source, cache: Path, progress: Callable[[str], None]) -> Source:
    """Return the source of the record that an archive or a deposit turned out to hold."""
    provider: Provider = load(PROVIDERS, "record")()
    for path in (found.path, *_only_folder(found.path)):
        address = provider.detect(str(path))
        if address is not None:
            return provider.fetch(address, ref="", into=cache, progress=progress)
    return found


def _only_folder(path: Path) -> tuple[Path, ...]:
    """Return the folder of a deposit that holds an unpacked archive, if there is but one."""
    try:
        folders = [one for one in path.iterdir() if one.is_dir() and not one.is_symlink()]
    except OSError:
        return ()
    return tuple(folders) if len(folders) == 1 else ()
