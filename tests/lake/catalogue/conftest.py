"""A catalogue of each kind for every test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from plugins.postgresql import programs, server

from leman.lake.catalogue import Account, Catalogue, open_catalogue
from leman.lake.model import RSE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Return the URL of a running server."""
    if programs() is None:
        pytest.skip("needs PostgreSQL (Debian: postgresql)")
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalogue.sqlite"
    base: str = request.getfixturevalue("postgresql")
    name = f"lake{uuid.uuid4().hex}"
    with psycopg.connect(base.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return base.replace("/postgres?", f"/{name}?")


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    """Return a catalogue with account ada, her scope, and three RSEs."""
    with open_catalogue(url) as opened:
        opened.accounts.add(Account("ada"))
        opened.scopes.add("user.ada", "ada")
        for name in ("HERE", "THERE", "TAPE"):
            opened.rses.add(RSE(name, f"/data/{name.lower()}", {"type": "disk"}))
        yield opened
