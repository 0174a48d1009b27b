"""Connections and transactions: what SQLite and PostgreSQL need to behave alike.

SQLite runs in WAL mode, so that readers and the one writer do not wait for each other; a writer
takes its turn at the start (BEGIN IMMEDIATE), where waiting is safe, and never half-way, where
SQLite would have to refuse. ``synchronous`` is FULL: what was reported as written is on the disk,
also after a power cut. NORMAL would spare one fsync a call, and a call carries a thousand files.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from leman.lake.catalogue.schema import account_usage, rse_usage
from leman.lake.catalogue.sql import insert_new
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

WAIT = 60.0  # seconds that a writer waits for its turn
_WRITE = "leman_write"


@dataclass(slots=True)
class Transaction:
    """A transaction under way, and the sums that it will change.

    Sums are written last and in one order: their rows are what all writers meet at, and PostgreSQL
    holds a row from its first change to the end of the transaction.
    """

    connection: Connection
    _accounts: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    _rses: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count_rse(self, rse: int, size: int, files: int) -> None:
        """Add bytes and files (either may be negative) to what an RSE holds."""
        before = self._rses.get(rse, (0, 0))
        self._rses[rse] = before[0] + size, before[1] + files

    def count_account(self, account: str, rse: int, size: int, files: int) -> None:
        """Add bytes and files to what the rules of an account hold at an RSE."""
        before = self._accounts.get((account, rse), (0, 0))
        self._accounts[account, rse] = before[0] + size, before[1] + files

    def settle(self) -> None:
        """Write the sums that wait."""
        for rse, (size, files) in sorted(self._rses.items()):
            self._add(rse_usage, {"rse": rse}, size, files)
        for (account, rse), (size, files) in sorted(self._accounts.items()):
            self._add(account_usage, {"account": account, "rse": rse}, size, files)
        self.forget(({}, {}))

    def _add(self, table: Any, key: dict[str, Any], size: int, files: int) -> None:  # noqa: ANN401
        insert_new(self.connection, table, [{**key, "bytes": 0, "files": 0}])
        change = {"bytes": table.c.bytes + size, "files": table.c.files + files}
        self.connection.execute(update(table).filter_by(**key).values(change))

    def noted(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Return the sums that wait, to come back to them when a part of the work is undone."""
        return dict(self._accounts), dict(self._rses)

    def forget(self, noted: tuple[dict[Any, Any], dict[Any, Any]]) -> None:
        """Go back to the sums that waited when `noted` was asked for."""
        self._accounts, self._rses = noted


class Database:
    """A database that takes one transaction a thread; a call within a transaction joins it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._here = threading.local()

    @property
    def is_sqlite(self) -> bool:
        """Tell whether this is a file of SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the catalogue, and its own thread's writes."""
        with said():
            if (transaction := self._current()) is not None:
                yield transaction.connection
                return
            with self.engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def settled(self) -> Iterator[Connection]:
        """Yield as `reading` does, with the sums of this thread's transaction written first."""
        if (transaction := self._current()) is not None:
            with said():
                transaction.settle()
        with self.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Yield a transaction that is kept whole or not at all.

        Within another one of this thread, only this part is undone when it fails.
        """
        with said():
            if (outer := self._current()) is not None:
                noted = outer.noted()
                try:
                    with outer.connection.begin_nested():
                        yield outer
                except BaseException:
                    outer.forget(noted)
                    raise
                return
            options = {_WRITE: True}
            with (
                self.engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                self._here.transaction = transaction = Transaction(connection)
                try:
                    yield transaction
                    transaction.settle()
                finally:
                    self._here.transaction = None

    def _current(self) -> Transaction | None:
        found: Transaction | None = getattr(self._here, "transaction", None)
        return found


def connect(url: str) -> Database:
    """Return the database of ``sqlite:///path`` or ``postgresql+psycopg://user@host/name``.

    A file is made where there is none, for its owner alone. Raises LakeError (DatabaseException).
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite(parsed))
    # A server that was restarted since is noticed before a connection is used.
    engine = create_engine(parsed, pool_pre_ping=True, pool_size=8, max_overflow=32)
    return Database(engine)


def _parsed(url: str) -> URL:
    hint = "Write sqlite:///path/to/file or postgresql+psycopg://user@host/name."
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        known = parsed.drivername in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise LakeError("DatabaseException", "the address is no URL", hint=hint) from None
    except ImportError:
        message = "PostgreSQL needs a package that is not installed"
        hint = "Install it: pip install 'leman[postgresql]'"
        raise LakeError("DatabaseException", message, hint=hint) from None
    if not known:
        message = f"{parsed.drivername} is no kind of catalogue"
        raise LakeError("DatabaseException", message, hint=hint)
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        message = "a catalogue in memory would be gone with the process"
        raise LakeError("DatabaseException", message, hint=hint)
    return parsed


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        message = f"the catalogue {path} cannot be written: {error.strerror}"
        hint = "Give a path in a folder that you may write to."
        raise LakeError("DatabaseException", message, hint=hint) from None
    engine = create_engine(
        url, connect_args={"timeout": WAIT}, pool_size=8, max_overflow=32, pool_timeout=WAIT
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN, not the driver
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        message = f"SQLite cannot keep a write-ahead log there (journal mode {mode})"
        hint = "Put the catalogue on a local disk, or use PostgreSQL."
        raise LakeError("DatabaseException", message, hint=hint)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA case_sensitive_like=ON")  # as in PostgreSQL, and by index
    connection.execute("PRAGMA cache_size=-16000")  # kilobytes


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def said() -> Iterator[None]:
    """Turn what a database says into LakeError (DatabaseException), without any SQL in it."""
    try:
        yield
    except DBAPIError as error:
        raise _told(str(error.orig).strip()) from error
    except SQLAlchemyError as error:
        raise _told(str(error).splitlines()[0]) from error


def _told(words: str) -> LakeError:
    hints: tuple[tuple[str, str], ...] = (
        ("locked", "Another process writes for very long; try again."),
        ("deadlock", "Two writers wanted the same in another order; nothing was written: again."),
        ("full", "Free some space; nothing half-written was kept."),
        ("not a database", "Give the path of a catalogue, or of a file that does not exist yet."),
        ("malformed", "The file is damaged: restore a backup of it."),
        ("readonly", "Give a path that you may write to."),
    )
    hint = next((hint for word, hint in hints if word in words), "")
    return LakeError("DatabaseException", f"the catalogue's database says: {words}", hint=hint)


def back_up(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a SQLite database while it is in use; `target` appears when it is complete.

    `progress` is given pages done and pages in all.
    """
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600))
    origin, copy = sqlite3.connect(source, timeout=WAIT), sqlite3.connect(partial)
    try:
        origin.backup(
            copy, pages=4096, progress=lambda _code, left, total: progress(total - left, total)
        )
        if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise LakeError("DatabaseException", f"the copy of {source} is damaged")
    except sqlite3.Error as error:
        raise _told(str(error)) from error
    finally:
        origin.close()
        copy.close()
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
