"""A server that holds drafts, a user of it, and a record to deposit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from deposited_record import record
from depositing import Depositor
from invenio_server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on the loopback."""
    with serving() as made:
        yield made


@pytest.fixture
def ada(server: Server, tmp_path: Path) -> Depositor:
    """Give a user with an account on the server."""
    return Depositor(server, tmp_path / "home")


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Make a small record."""
    return record(tmp_path / "record")
