"""How much the rules of an account may hold and do hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from leman.lake.catalogue.names import check_size, need_account, rse_keys
from leman.lake.catalogue.schema import (
    account_limits,
    account_usage,
    dids,
    global_limits,
    locks,
    replicas,
    rse_usage,
    rses,
    rules,
)
from leman.lake.catalogue.sql import upsert
from leman.lake.catalogue.values import Limit, Usage

if TYPE_CHECKING:
    from leman.lake.catalogue.database import Database


class Quotas:
    """Limits and usage. What no limit names is unlimited here: policy is the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def limit(self, account: str, rse: str, size: int | None) -> None:
        """Limit the bytes that an account's rules lock at an RSE; None lifts the limit."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            need_account(connection, account)
            row = {"account": account, "rse": rse_keys(connection, [rse])[rse]}
            if size is None:
                connection.execute(delete(account_limits).filter_by(**row))
                return
            check_size(size)
            upsert(connection, account_limits, [{**row, "bytes": size}])

    def limit_globally(self, account: str, expression: str, size: int | None) -> None:
        """Limit the bytes at all RSEs of an expression together; None lifts the limit."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            need_account(connection, account)
            row = {"account": account, "expression": expression}
            if size is None:
                connection.execute(delete(global_limits).filter_by(**row))
                return
            check_size(size)
            upsert(connection, global_limits, [{**row, "bytes": size}])

    def limits(self, account: str) -> tuple[Limit, ...]:
        """Return an account's limits by RSE."""
        query = select(rses.c.name, account_limits.c.bytes).join(rses).order_by(rses.c.name)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(account_limits.c.account == account)).all()
        return tuple(Limit(account, row.name, row.bytes) for row in rows)

    def global_limits(self, account: str) -> tuple[Limit, ...]:
        """Return an account's limits by expression."""
        query = select(global_limits).where(global_limits.c.account == account)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(global_limits.c.expression)).all()
        return tuple(Limit(account, row.expression, row.bytes) for row in rows)

    def usage(self, account: str) -> dict[str, Usage]:
        """Return what an account's locks hold by RSE; within a transaction with its own changes."""
        query = select(rses.c.name, account_usage.c.bytes, account_usage.c.files).join(rses)
        query = query.where(account_usage.c.account == account, account_usage.c.files != 0)
        with self._database.settled() as connection:
            rows = connection.execute(query.order_by(rses.c.name)).all()
        return {row.name: Usage(row.bytes, row.files) for row in rows}

    def wrong(self) -> list[str]:
        """Count all locks and replicas anew; return a sentence for every sum that is wrong.

        Reads the whole catalogue: for an audit.
        """
        with self._database.settled() as connection:
            counted = select(rules.c.account, locks.c.rse, func.sum(dids.c.size), func.count())
            counted = counted.select_from(locks).join(rules, rules.c.key == locks.c.rule)
            counted = counted.join(dids, dids.c.key == locks.c.did)
            rows = connection.execute(counted.group_by(rules.c.account, locks.c.rse))
            held = {(row[0], row[1]): (int(row[2]), row[3]) for row in rows}
            kept = {
                (row[0], row[1]): (row[2], row[3])
                for row in connection.execute(select(account_usage))
            }
            wrong = [
                f"usage of account {key[0]} at RSE {key[1]}: {kept.get(key)}, not {held.get(key)}"
                for key in sorted({*held, *kept})
                if held.get(key, (0, 0)) != kept.get(key, (0, 0))
            ]
            filled = select(replicas.c.rse, func.sum(dids.c.size), func.count()).join(dids)
            rows = connection.execute(filled.group_by(replicas.c.rse))
            found = {row[0]: (int(row[1]), row[2]) for row in rows}
            for rse, size, files in connection.execute(select(rse_usage)):
                if found.get(rse, (0, 0)) != (size, files):
                    wrong.append(f"usage of RSE {rse}: {size, files}, not {found.get(rse)}")
        return wrong
