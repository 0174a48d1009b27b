"""Storages, what they are like, how far apart they are, and how full."""

from __future__ import annotations

import json
import uuid
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from leman.lake.catalogue.names import check_rse, check_size, count, invalid, rse_keys, rse_names
from leman.lake.catalogue.schema import replicas, rse_attributes, rse_distances, rse_usage, rses
from leman.lake.catalogue.sql import insert_new, micro, now, upsert
from leman.lake.catalogue.values import Usage
from leman.lake.model import RSE, LakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from leman.lake.catalogue.database import Database

_SETTINGS = {"address", "deterministic", "readable", "writable", "deletable", "limit"}


class RSEs:
    """The storages. Every method raises LakeError; RSENotFound for a missing one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rse: RSE) -> RSE:
        """Add an RSE and return it with its id; Duplicate where the name is taken."""
        check_rse(rse.name)
        row = _settings({name: getattr(rse, name) for name in _SETTINGS})
        row |= {"id": rse.id or uuid.uuid4().hex, "name": rse.name, "created": micro(now())}
        with self._database.writing() as transaction:
            connection = transaction.connection
            if count(connection, rses.c.name == rse.name):
                raise LakeError("Duplicate", f"RSE {rse.name} is in the catalogue already")
            connection.execute(insert(rses).values(row))
            keys = rse_keys(connection, [rse.name])
            insert_new(connection, rse_usage, [{"rse": keys[rse.name], "bytes": 0, "files": 0}])
            _set_attributes(connection, keys[rse.name], rse.attributes)
            return _read(connection)[rse.name]

    def all(self) -> tuple[RSE, ...]:
        """Return all RSEs by name, with attributes: what an RSE expression is evaluated on."""
        with self._database.reading() as connection:
            return tuple(_read(connection).values())

    def get(self, name: str) -> RSE:
        """Return one RSE."""
        with self._database.reading() as connection:
            rse_keys(connection, [name])
            return _read(connection)[name]

    def update(self, name: str, /, **settings: str | bool | int) -> None:
        """Change address, deterministic, readable, writable, deletable, limit.

        UnsupportedOperation for `deterministic` while it holds replicas: their paths would change.
        """
        values = _settings(settings)
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [name])[name]
            if "deterministic" in values and count(connection, replicas.c.rse == key):
                message = f"{name} holds replicas: it stays as deterministic as it is"
                raise LakeError("UnsupportedOperation", message)
            connection.execute(update(rses).where(rses.c.key == key).values(values))

    def set_attributes(
        self, name: str, attributes: Mapping[str, str | float | bool | None]
    ) -> None:
        """Set attributes; None removes one. That of the RSE's own name stays."""
        with self._database.writing() as transaction:
            key = rse_keys(transaction.connection, [name])[name]
            _set_attributes(transaction.connection, key, attributes)

    def delete(self, name: str) -> None:
        """Remove an RSE; UnsupportedOperation while it holds replicas."""
        with self._database.writing() as transaction:
            connection = transaction.connection
            key = rse_keys(connection, [name])[name]
            if count(connection, replicas.c.rse == key):
                hint = "Delete or move its replicas first."
                raise LakeError("UnsupportedOperation", f"{name} holds replicas", hint=hint)
            connection.execute(delete(rses).where(rses.c.key == key))


class Topology:
    """Distances from RSE to RSE (1 is nearest) and what RSEs hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_distance(self, source: str, destination: str, distance: int | None) -> None:
        """Say how far it is; None removes what was said."""
        if distance is not None and not 0 <= distance <= 32767:
            raise invalid(f"{distance} is no distance", "A whole number from 0 to 32767.")
        with self._database.writing() as transaction:
            connection = transaction.connection
            keys = rse_keys(connection, [source, destination])
            row = {"source": keys[source], "destination": keys[destination]}
            connection.execute(delete(rse_distances).filter_by(**row))
            if distance is not None:
                insert_new(connection, rse_distances, [{**row, "distance": distance}])

    def distances(self) -> dict[tuple[str, str], int]:
        """Return all distances by (source, destination)."""
        with self._database.reading() as connection:
            names = rse_names(connection)
            rows = connection.execute(select(rse_distances)).all()
        return {(names[row.source], names[row.destination]): row.distance for row in rows}

    def usage(self) -> dict[str, Usage]:
        """Return the bytes and files of the replicas at each RSE, exact at this moment."""
        with self._database.settled() as connection:
            query = select(rses.c.name, rse_usage.c.bytes, rse_usage.c.files)
            rows = connection.execute(query.join(rses).order_by(rses.c.name)).all()
        return {row.name: Usage(row.bytes, row.files) for row in rows}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {one.name: one.type for one in fields(RSE)}
    for name, value in given.items():
        if name not in _SETTINGS:
            raise invalid(f"{name} is no setting of an RSE", f"Known: {sorted(_SETTINGS)}")
        if type(value).__name__ != kinds[name]:
            raise invalid(f"{name} of an RSE is a {kinds[name]}, not {value!r}")
    check_size(given.get("limit", 0))
    if not given.get("address", "x").isprintable() or not given.get("address", "x"):
        raise invalid(f"{given['address']!r} is no address of a storage")
    return dict(given)


def _set_attributes(connection: Connection, key: int, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if not isinstance(name, str) or not 0 < len(name) <= 255 or not name.isprintable():
            raise invalid(f"{name!r} is no name of an attribute")
        if not isinstance(value, str | int | float | bool | None):
            raise invalid(f"the attribute {name} is a text, a number or a truth, not {value!r}")
        if value is None:
            connection.execute(delete(rse_attributes).filter_by(rse=key, key=name))
        else:
            row = {"rse": key, "key": name, "value": json.dumps(value)}
            upsert(connection, rse_attributes, [row])


def _read(connection: Connection) -> dict[str, RSE]:
    given: dict[int, dict[str, Any]] = {}
    for key, name, value in connection.execute(select(rse_attributes)):
        given.setdefault(key, {})[name] = json.loads(value)
    rows = connection.execute(select(rses).order_by(rses.c.name)).all()
    return {row.name: _rse(row, given.get(row.key, {})) for row in rows}


def _rse(row: Row[Any], attributes: Mapping[str, Any]) -> RSE:
    return RSE(
        row.name,
        row.address,
        {**attributes, row.name: True},  # every RSE has the attribute of its own name
        deterministic=row.deterministic,
        readable=row.readable,
        writable=row.writable,
        deletable=row.deletable,
        limit=row.limit,
        id=row.id,
    )
