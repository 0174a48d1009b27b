"""The tables of the catalogue.

DIDs, RSEs and rules have a short integer key beside their Rucio name: contents, replicas and locks
are by far the longest tables, and hold keys only. Moments are whole microseconds since 1970 in UTC,
so that they order and compare alike in every database. Text is compared byte by byte in both
(PostgreSQL: collation "C"), so that listings have one order everywhere.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the column is called INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")
Moment = BigInteger()


def _text(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Words = Text().with_variant(Text(collation="C"), "postgresql")

schema_version = Table(
    "schema_version",
    SCHEMA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied", Moment, nullable=False),
)

accounts = Table(
    "accounts",
    SCHEMA,
    Column("name", _text(25), primary_key=True),
    Column("type", _text(10), nullable=False),
    Column("email", Words, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created", Moment, nullable=False),
)

identities = Table(
    "identities",
    SCHEMA,
    Column("identity", _text(250), primary_key=True),
    Column("hash", Words, nullable=False),  # argon2id, with its parameters and salt
    Column("created", Moment, nullable=False),
)

identity_accounts = Table(
    "identity_accounts",
    SCHEMA,
    Column("identity", ForeignKey(identities.c.identity, ondelete="CASCADE"), nullable=False),
    Column("account", ForeignKey(accounts.c.name, ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("identity", "account"),
)

tokens = Table(
    "tokens",
    SCHEMA,
    Column("hash", _text(64), primary_key=True),  # SHA-256 of the token; the token is nowhere
    Column("account", ForeignKey(accounts.c.name, ondelete="CASCADE"), nullable=False, index=True),
    Column("identity", _text(250), nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)

scopes = Table(
    "scopes",
    SCHEMA,
    Column("scope", _text(25), primary_key=True),
    Column("account", ForeignKey(accounts.c.name), nullable=False, index=True),
    Column("created", Moment, nullable=False),
)

dids = Table(
    "dids",
    SCHEMA,
    Column("key", Key, primary_key=True),
    Column("scope", ForeignKey(scopes.c.scope), nullable=False),
    Column("name", _text(250), nullable=False),
    Column("type", _text(9), nullable=False),
    Column("account", ForeignKey(accounts.c.name), nullable=False),
    # Of a container both stay empty: they are summed over its data sets when asked for.
    Column("size", BigInteger),
    Column("length", BigInteger),
    Column("adler32", _text(8), nullable=False),
    Column("md5", _text(32), nullable=False),
    Column("sha256", _text(64), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("monotonic", Boolean, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("expires", Moment, index=True),
    UniqueConstraint("scope", "name"),
    sqlite_autoincrement=True,  # a key never comes back, so a listing under way skips nothing
)

contents = Table(
    "contents",
    SCHEMA,
    Column("parent", ForeignKey(dids.c.key, ondelete="CASCADE"), nullable=False),
    Column("child", ForeignKey(dids.c.key, ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("parent", "child"),
    Index(None, "child"),
    sqlite_with_rowid=False,
)

# One row a value: searchable by index in both databases, with the same order and types.
did_metadata = Table(
    "did_metadata",
    SCHEMA,
    Column("did", ForeignKey(dids.c.key, ondelete="CASCADE"), nullable=False),
    Column("key", _text(255), nullable=False),
    Column("value", Words, nullable=False),  # JSON, as it was given
    Column("kind", _text(6), nullable=False),  # null, bool, number, text, other
    Column("number", Float(53)),  # also 0 and 1 for bool
    Column("text", _text(500)),  # the beginning, to find it by
    PrimaryKeyConstraint("did", "key"),
    Index(None, "key", "number"),
    Index(None, "key", "text"),
)

rses = Table(
    "rses",
    SCHEMA,
    Column("key", Key, primary_key=True),
    Column("id", _text(32), nullable=False, unique=True),
    Column("name", _text(255), nullable=False, unique=True),
    Column("address", Words, nullable=False),
    Column("deterministic", Boolean, nullable=False),
    Column("readable", Boolean, nullable=False),
    Column("writable", Boolean, nullable=False),
    Column("deletable", Boolean, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("created", Moment, nullable=False),
)

rse_attributes = Table(
    "rse_attributes",
    SCHEMA,
    Column("rse", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False),
    Column("key", _text(255), nullable=False),
    Column("value", Words, nullable=False),  # JSON
    PrimaryKeyConstraint("rse", "key"),
)

rse_distances = Table(
    "rse_distances",
    SCHEMA,
    Column("source", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False),
    Column("destination", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False),
    Column("distance", SmallInteger, nullable=False),
    PrimaryKeyConstraint("source", "destination"),
)

rse_usage = Table(
    "rse_usage",
    SCHEMA,
    Column("rse", ForeignKey(rses.c.key, ondelete="CASCADE"), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
)

replicas = Table(
    "replicas",
    SCHEMA,
    Column("rse", ForeignKey(rses.c.key), nullable=False),
    Column("did", ForeignKey(dids.c.key), nullable=False),
    Column("state", _text(13), nullable=False),
    Column("path", Words, nullable=False),
    Column("locks", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("accessed", Moment),
    Column("tombstone", Moment),
    PrimaryKeyConstraint("did", "rse"),
    UniqueConstraint("rse", "path"),  # no two files in one place
    Index(None, "rse", "tombstone"),
    Index(None, "rse", "state"),
)

bad_replicas = Table(
    "bad_replicas",
    SCHEMA,
    Column("did", BigInteger, nullable=False),
    Column("rse", BigInteger, nullable=False),
    Column("reason", Words, nullable=False),
    Column("account", _text(25), nullable=False),
    Column("declared", Moment, nullable=False),
    PrimaryKeyConstraint("did", "rse"),
    ForeignKeyConstraint(["did", "rse"], [replicas.c.did, replicas.c.rse], ondelete="CASCADE"),
)

rules = Table(
    "rules",
    SCHEMA,
    Column("key", Key, primary_key=True),
    Column("id", _text(32), nullable=False, unique=True),
    Column("did", ForeignKey(dids.c.key), nullable=False),
    Column("account", ForeignKey(accounts.c.name), nullable=False, index=True),
    Column("copies", Integer, nullable=False),
    Column("expression", Words, nullable=False),
    Column("grouping", _text(7), nullable=False),
    Column("state", _text(11), nullable=False, index=True),
    Column("error", Words, nullable=False),
    Column("comment", Words, nullable=False),
    Column("ok", Integer, nullable=False),
    Column("replicating", Integer, nullable=False),
    Column("stuck", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, index=True),
    UniqueConstraint("did", "account", "copies", "expression"),
    sqlite_autoincrement=True,
)

# A locked replica cannot vanish: the database itself refuses.
locks = Table(
    "locks",
    SCHEMA,
    Column("rule", ForeignKey(rules.c.key), nullable=False),
    Column("did", BigInteger, nullable=False),
    Column("rse", BigInteger, nullable=False),
    Column("state", _text(11), nullable=False),
    PrimaryKeyConstraint("rule", "did", "rse"),
    ForeignKeyConstraint(["did", "rse"], [replicas.c.did, replicas.c.rse]),
    Index(None, "did", "rse"),
    sqlite_with_rowid=False,
)

transfers = Table(
    "transfers",
    SCHEMA,
    Column("key", Key, primary_key=True),
    Column("id", _text(32), nullable=False, unique=True),
    Column("did", ForeignKey(dids.c.key, ondelete="CASCADE"), nullable=False),
    Column("destination", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False, index=True),
    Column("sources", Words, nullable=False),  # JSON, names in the order of trying
    Column("account", ForeignKey(accounts.c.name), nullable=False),
    Column("rule", _text(32), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("after", Moment, nullable=False, index=True),
    Column("claimed", Moment),  # until then one worker has it
    Column("error", Words, nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("did", "destination"),
    sqlite_autoincrement=True,
)

account_limits = Table(
    "account_limits",
    SCHEMA,
    Column("account", ForeignKey(accounts.c.name, ondelete="CASCADE"), nullable=False),
    Column("rse", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "rse"),
)

global_limits = Table(
    "global_limits",
    SCHEMA,
    Column("account", ForeignKey(accounts.c.name, ondelete="CASCADE"), nullable=False),
    Column("expression", Words, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "expression"),
)

account_usage = Table(
    "account_usage",
    SCHEMA,
    Column("account", ForeignKey(accounts.c.name, ondelete="CASCADE"), nullable=False),
    Column("rse", ForeignKey(rses.c.key, ondelete="CASCADE"), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "rse"),
)
