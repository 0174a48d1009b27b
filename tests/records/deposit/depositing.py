"""A user who deposits on a server of the tests, and waits for nothing."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from invenio_server import TOKEN

from leman.records.deposit.client import Client
from leman.records.deposit.invenio import InvenioRDM
from leman.records.deposit.make import Deposit, Wish, deposit, publish
from leman.records.deposit.metadata import described
from leman.records.deposit.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from invenio_server import Server

    from leman.records.deposit.interface import Draft


@dataclass
class Depositor:
    """Deposits on the server as a user; collects what is told and what would be waited."""

    server: Server
    home: Path
    token: str = TOKEN
    told: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    patience: float = 30.0
    waits_for_server: bool = False  # until it has answered everybody, as a real wait might

    def wish(self, **more: Any) -> Wish:
        """Say what is wanted, of this server."""
        return replace(Wish(self.server.url, self.home), **more)

    def client(self) -> Client:
        """Open connections."""
        return Client(
            Site(self.server.url, self.token),
            progress=self.told.append,
            pause=self._pause,
            patience=self.patience,
        )

    def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        while self.waits_for_server and self.server.working:
            time.sleep(0.01)

    def deposit(self, root: Path, **more: Any) -> Deposit:
        """Make or go on with a draft."""
        with self.client() as client:
            via = InvenioRDM(client)
            describe = partial(
                described,
                publisher=client.site.publisher,
                today=date(2026, 11, 26),
                known=via.knows,
            )
            return deposit(root, self.wish(**more), via, describe, self.told.append)

    def publish(self, made: Deposit, **more: Any) -> Draft:
        """Make a deposit public."""
        with self.client() as client:
            return publish(made, self.wish(**more), InvenioRDM(client))

    @property
    def states(self) -> list[Path]:
        """The state files that there are."""
        return sorted((self.home / "records" / "deposits").glob("*.json"))


def whole(server: Server) -> bool:
    """Tell whether the one draft holds four complete files with the checksums that they list."""
    files = server.only.files
    assert len(files) == 4
    listed = (files["checksums-sha256.txt"].content or b"").decode().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in listed)}
    assert sums.keys() == files.keys() - {"checksums-sha256.txt"}
    return all(
        one.complete
        and (
            name == "checksums-sha256.txt"
            or hashlib.sha256(one.content or b"").hexdigest() == sums[name]
        )
        for name, one in files.items()
    )
