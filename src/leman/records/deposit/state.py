"""What is known of a deposit that is under way, kept so that it can go on: never the token."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from leman.errors import ConfigError, DepositError
from leman.files import full_disk_said, write_atomic
from leman.records.deposit.interface import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORMAT = "leman-deposit/1"


@dataclass(frozen=True, slots=True)
class Sent:
    """How far a file has come, and which bytes that were."""

    stage: Stage
    sha256: str
    md5: str


@dataclass(frozen=True, slots=True)
class State:
    """One record at one server. `draft` is the server's name for it, `files` name → how far."""

    record: str
    site: str
    draft: str = ""
    page: str = ""
    doi: str = ""
    published: bool = False
    files: dict[str, Sent] = field(default_factory=dict)

    def having(self, name: str, sent: Sent) -> State:
        """Return this state with one file further on."""
        return replace(self, files={**self.files, name: sent})


def place(home: Path, record: str, site: str) -> Path:
    """Return the file that the state of a record at a site is kept in."""
    parts = urlsplit(site)
    host = re.sub(r"[^A-Za-z0-9.-]", "_", f"{parts.netloc}{parts.path}")
    return home / "records" / "deposits" / f"{record.replace(':', '-')}-{host}.json"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process work on a deposit; a second one is told so at once."""
    lock = FileLock(path.with_suffix(".lock"), mode=0o600)
    try:
        with full_disk_said(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire(timeout=0)
    except Timeout:
        raise DepositError(
            "another leman is depositing this record there",
            hint="Wait for it to end, or stop it.",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the folder {path.parent} cannot be written to: {error.strerror}",
            hint="Set LEMAN_HOME to a folder of your own.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def load(path: Path, record: str, site: str) -> State:
    """Return what is known; nothing is, where the file is missing, damaged or of another record.

    Nothing is lost by that: the server is asked for a draft before one is made.
    """
    fresh = State(record, site)
    try:
        stored = json.loads(path.read_bytes())
        if stored.pop("format") != _FORMAT:
            return fresh
        files = {
            str(name): Sent(Stage(one["stage"]), str(one["sha256"]), str(one["md5"]))
            for name, one in stored.pop("files").items()
        }
        found = State(files=files, **stored)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return fresh
    words = (found.record, found.site, found.draft, found.page, found.doi)
    if (found.record, found.site) != (record, site) or not all(isinstance(x, str) for x in words):
        return fresh
    return found


def save(path: Path, state: State) -> State:
    """Keep the state, readable by its owner alone, and return it."""
    value: dict[str, Any] = {"format": _FORMAT, **asdict(state)}
    write_atomic(path, json.dumps(value, indent=1), mode=0o600)
    return state
