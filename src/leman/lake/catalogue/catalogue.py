"""The catalogue: one object that everything about names, replicas and rules is asked of."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from leman.lake.catalogue.accounts import Accounts, Identities, Scopes, Tokens
from leman.lake.catalogue.contents import Contents
from leman.lake.catalogue.database import Database, back_up, connect
from leman.lake.catalogue.dids import DIDs
from leman.lake.catalogue.metadata import Metadata
from leman.lake.catalogue.migrations import bring_up_to_date
from leman.lake.catalogue.quotas import Quotas
from leman.lake.catalogue.replicas import Deletions, Replicas
from leman.lake.catalogue.rses import RSEs, Topology
from leman.lake.catalogue.rules import Locks, Rules
from leman.lake.catalogue.transfers import Transfers
from leman.lake.interface import unheard
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType


class Catalogue:
    """What the lake knows, by topic.

    Every call that changes something is one transaction; calls within ``with catalogue.writing()``
    are one together. Listings are iterators that read a page at a time, each page from one state
    of the catalogue, so that however slow a reader is, it keeps nobody waiting. A catalogue may be
    shared by threads; processes open their own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.accounts = Accounts(database)
        self.identities = Identities(database)
        self.tokens = Tokens(database)
        self.scopes = Scopes(database)
        self.dids = DIDs(database)
        self.metadata = Metadata(database)
        self.contents = Contents(database)
        self.rses = RSEs(database)
        self.topology = Topology(database)
        self.replicas = Replicas(database)
        self.deletions = Deletions(database)
        self.rules = Rules(database)
        self.locks = Locks(database)
        self.transfers = Transfers(database)
        self.quotas = Quotas(database)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make all calls of this thread within the block one transaction."""
        with self._database.writing():
            yield

    def back_up(self, target: Path, *, progress: Callable[[int, int], None] = unheard) -> None:
        """Copy a SQLite catalogue while it is in use; `progress` gets pages done and in all."""
        if not self._database.is_sqlite:
            hint = "Use pg_dump, or the backups of whoever keeps the server."
            message = "leman makes no backups of PostgreSQL"
            raise LakeError("UnsupportedOperation", message, hint=hint)
        back_up(Path(str(self._database.engine.url.database)), target, progress)

    def close(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        """Return the catalogue."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()


def open_catalogue(url: str, *, progress: Callable[[int, int], None] = unheard) -> Catalogue:
    """Open, create or migrate the catalogue at ``sqlite:///path`` or ``postgresql+psycopg://…``.

    An older SQLite file is copied first (``<file>.version<n>.<time>``; `progress` gets pages).
    Raises LakeError (DatabaseException) where there is no catalogue that this leman knows.
    """
    database = connect(url)
    try:
        bring_up_to_date(database, progress=progress)
    except BaseException:
        database.engine.dispose()
        raise
    return Catalogue(database)
