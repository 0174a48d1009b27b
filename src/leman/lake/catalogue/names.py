"""Names checked before they reach the database, and the keys of rows that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from leman.lake.catalogue.schema import accounts, dids, rses, scopes
from leman.lake.catalogue.sql import among, chunks
from leman.lake.model import ACCOUNT, DID, NAME, RSE_NAME, SCOPE, Checksums, LakeError, is_name

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable

    from sqlalchemy import ColumnElement, Connection, Row

LARGEST = 2**63 - 1  # what the databases' integers hold; also a file's size in bytes
_HEX = frozenset("0123456789abcdef")
_DIGITS = {"adler32": 8, "md5": 32, "sha256": 64}


def invalid(what: str, hint: str = "") -> LakeError:
    """Return the error for a value outside the schema."""
    return LakeError("InvalidObject", what, hint=hint)


def _check(kind: str, pattern: re.Pattern[str], name: str) -> None:
    if not isinstance(name, str) or not pattern.fullmatch(name):
        raise invalid(f"{name!r} is no {kind}", f"Rucio's schema: {pattern.pattern}")


def check_scope(scope: str) -> None:
    """Raise LakeError (InvalidObject) unless this can be a scope."""
    _check("scope", SCOPE, scope)


def check_account(name: str) -> None:
    """Raise LakeError (InvalidObject) unless this can be an account."""
    _check("account", ACCOUNT, name)


def check_rse(name: str) -> None:
    """Raise LakeError (InvalidObject) unless this can be an RSE."""
    _check("RSE", RSE_NAME, name)
    if len(name) > 255:
        raise invalid(f"{name[:40]}… is too long for an RSE", "255 characters are allowed.")


def check_did(did: DID) -> None:
    """Raise LakeError (InvalidObject) unless both parts are of Rucio's schema."""
    check_scope(did.scope)
    if not isinstance(did.name, str) or not is_name(did.name):
        hint = f"Rucio's schema: {NAME.pattern}, and no parts that are empty or dots."
        raise invalid(f"{did.name!r} is no name of a data identifier", hint)


def check_size(size: int) -> None:
    """Raise LakeError (InvalidObject) unless this is a number of bytes."""
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= LARGEST:
        raise invalid(f"{size!r} is no size in bytes")


def check_checksums(checksums: Checksums) -> None:
    """Raise LakeError (InvalidObject) unless all are empty or lower-case hexadecimal."""
    for name, digits in _DIGITS.items():
        value = getattr(checksums, name)
        if value and (len(value) != digits or not _HEX.issuperset(value)):
            raise invalid(f"{value!r} is no {name}", f"{digits} lower-case hexadecimal digits.")


def check_path(path: str) -> None:
    """Raise LakeError (InvalidObject) unless the path stays below an RSE's address."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts) or not path.isprintable() or "\\" in path or len(path) > 1024:
        raise invalid(f"{path!r} is no path below an RSE", "Relative, without empty parts or dots.")


def missing(did: DID) -> LakeError:
    """Return the error for a DID that is not in the catalogue."""
    hint = "Look for it with wildcards, or add it first."
    return LakeError("DataIdentifierNotFound", f"{did} is not in the catalogue", hint=hint)


def need_account(connection: Connection, name: str) -> None:
    """Raise LakeError (AccountNotFound) unless the account is there and active."""
    found = connection.execute(select(accounts.c.active).where(accounts.c.name == name))
    if not (row := found.first()) or not row.active:
        word = "is closed" if row else "is not in the catalogue"
        raise LakeError("AccountNotFound", f"account {name} {word}", hint="Add it first.")


def need_scopes(connection: Connection, names: Collection[str]) -> None:
    """Raise LakeError (ScopeNotFound) unless all scopes are there."""
    there = connection.scalars(
        select(scopes.c.scope).where(among(connection, scopes.c.scope, names))
    )
    if lacking := sorted(set(names) - set(there)):
        hint = "Add the scope first."
        raise LakeError("ScopeNotFound", f"scope {lacking[0]} is not in the catalogue", hint=hint)


def rows_of(
    connection: Connection,
    wanted: Iterable[DID],
    *columns: ColumnElement[Any],
    lock: bool = False,
    exclusive: bool = False,
) -> dict[DID, Row[Any]]:
    """Return key, scope, name, type and more columns of those DIDs that are there.

    `lock` holds the rows until the transaction ends, always in the same order; `exclusive` lets
    nobody refer to them meanwhile either, as is needed to delete them.
    """
    scoped: dict[str, list[str]] = {}
    for did in wanted:
        scoped.setdefault(did.scope, []).append(did.name)
    found = {}
    for scope, names in sorted(scoped.items()):
        for some in chunks(names):
            statement = select(dids.c.key, dids.c.scope, dids.c.name, dids.c.type, *columns)
            statement = statement.where(dids.c.scope == scope, among(connection, dids.c.name, some))
            if lock:
                statement = statement.order_by(dids.c.key)
                statement = statement.with_for_update(key_share=not exclusive)
            for row in connection.execute(statement):
                found[DID(row.scope, row.name)] = row
    return found


def need_row(
    connection: Connection,
    did: DID,
    *columns: ColumnElement[Any],
    lock: bool = False,
) -> Row[Any]:
    """Return key, scope, name, type and more columns of a DID; LakeError where it is not."""
    row = rows_of(connection, [did], *columns, lock=lock).get(did)
    if row is None:
        raise missing(did)
    return row


def need_rows(
    connection: Connection,
    wanted: Collection[DID],
    *columns: ColumnElement[Any],
    lock: bool = False,
    exclusive: bool = False,
) -> dict[DID, Row[Any]]:
    """Return rows of all these DIDs; LakeError (DataIdentifierNotFound) names the first missing."""
    found = rows_of(connection, wanted, *columns, lock=lock, exclusive=exclusive)
    if len(found) < len(wanted):
        for did in wanted:
            if did not in found:
                raise missing(did)
    return found


def rse_keys(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the keys of RSEs; LakeError (RSENotFound) names the first missing one."""
    query = select(rses.c.name, rses.c.key).where(among(connection, rses.c.name, set(names)))
    found = {row.name: row.key for row in connection.execute(query)}
    for name in names:
        if name not in found:
            hint = "List the RSEs, or add it first."
            raise LakeError("RSENotFound", f"RSE {name} is not in the catalogue", hint=hint)
    return found


def rse_names(connection: Connection) -> dict[int, str]:
    """Return the names of all RSEs by key: few, and wanted with every replica."""
    return {row.key: row.name for row in connection.execute(select(rses.c.key, rses.c.name))}


def count(connection: Connection, *where: ColumnElement[Any]) -> int:
    """Return how many rows fit the conditions."""
    return connection.execute(select(func.count()).where(*where)).scalar_one()
