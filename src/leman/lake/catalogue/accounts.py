"""Accounts, the identities that may act as them, their tokens, and scopes."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select, update

from leman.lake.catalogue.names import check_account, check_scope, count, invalid, need_account
from leman.lake.catalogue.schema import accounts, identities, identity_accounts, scopes, tokens
from leman.lake.catalogue.sql import insert_new, micro, moment, now, upsert
from leman.lake.catalogue.values import Account, Token
from leman.lake.model import LakeError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Row

    from leman.lake.catalogue.database import Database

_TYPES = ("USER", "GROUP", "SERVICE")
_SHORTEST = 8  # characters of a password


class Accounts:
    """Who owns scopes and rules. Every method raises LakeError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: Account) -> None:
        """Add an account; Duplicate where the name is taken, InvalidObject."""
        check_account(account.name)
        if account.type not in _TYPES:
            raise invalid(f"{account.type!r} is no type of account", " or ".join(_TYPES))
        row = {"name": account.name, "type": account.type, "email": account.email}
        row_flags = {"admin": account.admin, "active": account.active, "created": micro(now())}
        with self._database.writing() as transaction:
            if count(transaction.connection, accounts.c.name == account.name):
                raise LakeError("Duplicate", f"account {account.name} is there already")
            transaction.connection.execute(insert(accounts).values(**row, **row_flags))

    def get(self, name: str) -> Account:
        """Return an account; AccountNotFound."""
        with self._database.reading() as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == name)).first()
        if row is None:
            raise LakeError("AccountNotFound", f"account {name} is not in the catalogue")
        return _account(row)

    def all(self) -> tuple[Account, ...]:
        """Return all accounts by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(accounts).order_by(accounts.c.name)).all()
        return tuple(map(_account, rows))

    def update(self, name: str, /, **changes: str | bool) -> None:
        """Change email, admin, active; tokens of an account that is closed end with it."""
        if unknown := set(changes) - {"email", "admin", "active"}:
            raise invalid(f"{min(unknown)} of an account cannot be changed")
        with self._database.writing() as transaction:
            statement = update(accounts).where(accounts.c.name == name).values(changes)
            if not transaction.connection.execute(statement).rowcount:
                raise LakeError("AccountNotFound", f"account {name} is not in the catalogue")
            if changes.get("active") is False:
                gone = delete(tokens).where(tokens.c.account == name)
                transaction.connection.execute(gone)


class Identities:
    """User names with passwords, and the accounts that they may act as."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_password(self, identity: str, password: str) -> None:
        """Add an identity, or give it another password, which ends its tokens."""
        if not 0 < len(identity) <= 250 or not identity.isprintable():
            raise invalid("that is no user name", "One to 250 printable characters.")
        if not _SHORTEST <= len(password) <= 1000:
            raise invalid(f"a password has at least {_SHORTEST} characters")
        row = {"identity": identity, "hash": _hasher().hash(password), "created": micro(now())}
        with self._database.writing() as transaction:
            upsert(transaction.connection, identities, [row])
            transaction.connection.execute(delete(tokens).where(tokens.c.identity == identity))

    def link(self, identity: str, account: str) -> None:
        """Let an identity act as an account."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            need_account(connection, account)
            if not count(connection, identities.c.identity == identity):
                raise LakeError("IdentityNotFound", "that identity is not in the catalogue")
            row = {"identity": identity, "account": account}
            insert_new(connection, identity_accounts, [row])

    def delete(self, identity: str) -> None:
        """Remove an identity and its tokens; one that is not there is fine."""
        with self._database.writing() as transaction:
            for table in (tokens, identity_accounts, identities):
                transaction.connection.execute(delete(table).filter_by(identity=identity))

    def check(self, identity: str, password: str) -> tuple[str, ...]:
        """Return the active accounts that somebody may act as; CannotAuthenticate.

        An unknown name takes as long as a wrong password, and reads the same.
        """
        with self._database.reading() as connection:
            query = select(identities.c.hash).where(identities.c.identity == identity)
            found = connection.scalar(query)
            listed = select(accounts.c.name).join(identity_accounts).order_by(accounts.c.name)
            listed = listed.where(identity_accounts.c.identity == identity, accounts.c.active)
            names = tuple(connection.scalars(listed))
        try:
            right = _hasher().verify(found or _nobody(), password) and found is not None
        except (VerificationError, InvalidHashError):
            right = False
        if not right:
            raise LakeError("CannotAuthenticate", "user name or password is wrong")
        return names


class Tokens:
    """Bearer tokens: only their SHA-256 is kept, which is enough for 256 random bits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, account: str, identity: str, lifetime: timedelta) -> tuple[str, Token]:
        """Return a new token, once and never again, with what it says."""
        token, end = secrets.token_urlsafe(32), now() + lifetime
        row = {"account": account, "identity": identity, "created": micro(now())}
        with self._database.writing() as transaction:
            need_account(transaction.connection, account)
            values = {**row, "hash": _digest(token), "expires": micro(end)}
            transaction.connection.execute(insert(tokens).values(values))
        return token, Token(account, identity, end)

    def check(self, token: str) -> Token:
        """Return what a token says; CannotAuthenticate for one unknown or expired."""
        with self._database.reading() as connection:
            query = select(tokens).join(accounts).where(accounts.c.active)
            row = connection.execute(query.where(tokens.c.hash == _digest(token))).first()
        if row is None or row.expires <= micro(now()):
            raise LakeError("CannotAuthenticate", "the token is unknown or has expired")
        return Token(row.account, row.identity, moment(row.expires))

    def revoke(self, token: str) -> None:
        """End a token; an unknown one is fine."""
        with self._database.writing() as transaction:
            transaction.connection.execute(delete(tokens).where(tokens.c.hash == _digest(token)))

    def purge(self, moment: datetime) -> int:
        """Remove tokens that have expired; return how many."""
        with self._database.writing() as transaction:
            gone = delete(tokens).where(tokens.c.expires <= micro(moment))
            return int(transaction.connection.execute(gone).rowcount)


class Scopes:
    """Name spaces, each owned by an account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, scope: str, account: str) -> None:
        """Add a scope; Duplicate, AccountNotFound, InvalidObject."""
        check_scope(scope)
        with self._database.writing() as transaction:
            need_account(transaction.connection, account)
            if count(transaction.connection, scopes.c.scope == scope):
                raise LakeError("Duplicate", f"scope {scope} is in the catalogue already")
            row = {"scope": scope, "account": account, "created": micro(now())}
            transaction.connection.execute(insert(scopes).values(row))

    def owners(self, account: str | None = None) -> dict[str, str]:
        """Return scopes with the accounts that own them; of one account only where it is given."""
        query = select(scopes.c.scope, scopes.c.account).order_by(scopes.c.scope)
        if account is not None:
            query = query.where(scopes.c.account == account)
        with self._database.reading() as connection:
            return {row.scope: row.account for row in connection.execute(query)}


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # argon2id with RFC 9106's second recommended parameters


@cache
def _nobody() -> str:
    """Return the hash of a password that nobody has."""
    return _hasher().hash(secrets.token_hex())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _account(row: Row[Any]) -> Account:
    return Account(
        row.name,
        row.type,
        row.email,
        admin=row.admin,
        active=row.active,
        created=moment(row.created),
    )
