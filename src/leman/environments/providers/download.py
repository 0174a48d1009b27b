"""Files and answers over HTTP: broken connections resumed, servers' wishes to wait respected."""

from __future__ import annotations

import email.utils
import hashlib
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from leman.environments.interface import silent
from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

_ATTEMPTS = 5
_PATIENCE = 120.0  # seconds; a server that wants a longer wait is told about instead
_BUSY = {429, 500, 502, 503, 504}
_MEANINGS = {
    401: ("may not be read without a login", "Ask its owner, or download it in a browser."),
    403: ("may not be read: access is restricted", "Ask its owner, or download it in a browser."),
    404: ("does not exist", "Check the address."),
    410: (
        "was removed by its owner or keeper",
        "Ask the keeper for it; a newer version may exist.",
    ),
}


_Answer = TypeVar("_Answer")


class _AgainError(Exception):
    """The transfer broke or the server is busy; `wait` is in seconds, None for our own choice."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Session:
    """A way to ask servers: `pause` waits for so many seconds, `progress` tells the user."""

    client: httpx.Client
    progress: Callable[[str], None] = silent
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Item:
    """One file to download: `checksum` as ``md5:hex``; size in bytes, None where not known."""

    url: str
    name: str
    size: int | None = None
    checksum: str = ""


@contextmanager
def session(
    progress: Callable[[str], None] = silent, pause: Callable[[float], None] = time.sleep
) -> Iterator[Session]:
    """Open connections that follow redirects and wait at most a minute for a sign of life."""
    import httpx  # noqa: PLC0415 - slow, and most sources need no web

    limits = httpx.Timeout(60.0, connect=20.0)
    headers = {"User-Agent": "leman"}
    with httpx.Client(follow_redirects=True, timeout=limits, headers=headers) as client:
        yield Session(client, progress, pause)


def ask(via: Session, url: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return the JSON that a server answers with. Raises SourceError with the server's words."""

    def once() -> Any:  # noqa: ANN401
        answer = via.client.get(url, headers={"Accept": "application/json"})
        _check(answer, url)
        try:
            return answer.json()
        except ValueError:
            raise SourceError(
                f"{url} answered with something that is no JSON",
                hint="The address may be that of another kind of site.",
            ) from None

    return _persist(via, url, once)


def where_to(via: Session, url: str) -> str:
    """Return the address that `url` leads to in the end. Raises SourceError."""

    def once() -> str:
        with via.client.stream("GET", url) as answer:
            # Landing pages of publishers often refuse programs, but the address is what counts.
            if not answer.history or answer.status_code in _BUSY:
                answer.read()
                _check(answer, url)
            return str(answer.url)

    return _persist(via, url, once)


def download(via: Session, item: Item, target: Path, *, largest: int) -> str:
    """Bring a file to `target` and return its SHA-256; its checksum is proved on the way.

    A broken transfer goes on where it stopped (RFC 9110, section 14) or, where the server
    cannot do that, from the start. Raises SourceError; OSError on a full disk.
    """
    for last in (False, True):
        state = _Transfer(item, largest)
        _persist(via, item.url, partial(state.go_on, via, target), partial(getattr, state, "done"))
        wrong = state.wrong()
        if not wrong:
            return state.sha256.hexdigest()
        if last:
            raise SourceError(
                f"{item.name} arrived damaged twice: {wrong}",
                hint="Try again later; if it stays so, tell the keeper of the record.",
            )
    raise AssertionError


class _Transfer:
    """A download that may take several connections."""

    def __init__(self, item: Item, largest: int) -> None:
        self.item = item
        self.largest = largest
        self.restart()

    def restart(self) -> None:
        """Forget what has arrived."""
        self.done = 0
        self.tag = ""
        self.sha256 = hashlib.sha256()
        kind = self.item.checksum.partition(":")[0]
        known = kind in hashlib.algorithms_available
        self.proof = hashlib.new(kind, usedforsecurity=False) if known else None

    def go_on(self, via: Session, target: Path) -> None:
        """Ask for what has not arrived yet."""
        headers = {"Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.tag:  # the rest of the same file, or all of the new one
                headers["If-Range"] = self.tag
        with via.client.stream("GET", self.item.url, headers=headers) as answer:
            if answer.status_code == 416 and self.done == self.item.size:
                return
            if answer.is_error:
                answer.read()
            _check(answer, self.item.url)
            starts = answer.headers.get("Content-Range", "")
            if answer.status_code != 206 or not starts.startswith(f"bytes {self.done}-"):
                self.restart()
            tag = answer.headers.get("ETag", "")
            self.tag = "" if tag.startswith("W/") else tag
            self.receive(via, answer, target)

    def receive(self, via: Session, answer: httpx.Response, target: Path) -> None:
        """Append what arrives; it is counted and summed while it goes by."""
        told = time.monotonic()
        expected = self.done + int(answer.headers.get("Content-Length") or 0)
        with target.open("ab" if self.done else "wb") as out:
            for block in answer.iter_raw():  # as it comes: what is held back is lost by a break
                out.write(block)
                self.done += len(block)
                self.sha256.update(block)
                if self.proof:
                    self.proof.update(block)
                if self.done > self.largest:
                    raise SourceError(
                        f"{self.item.name} is larger than {self.largest / 1e9:.0f} GB",
                        hint="Download it yourself, unpack it and give the folder.",
                    )
                if time.monotonic() - told > 0.5:
                    told = time.monotonic()
                    of = f" of {expected / 1e6:.1f}" if expected else ""
                    via.progress(f"downloading {self.item.name}: {self.done / 1e6:.1f}{of} MB")
        if self.done < (self.item.size or 0):
            raise _AgainError("the connection ended early")

    def wrong(self) -> str:
        """Say what is not as promised, "" where all is."""
        item = self.item
        if item.size is not None and self.done != item.size:
            return f"{self.done} bytes instead of {item.size}"
        if self.proof:
            promised = item.checksum.partition(":")[2].lower()
            found = self.proof.hexdigest()
            return "" if found == promised else f"checksum {found} instead of {promised}"
        return ""


def _persist(
    via: Session, url: str, once: Callable[[], _Answer], moved: Callable[[], int] = int
) -> _Answer:
    """Do `once` until it succeeds, waiting longer each time; give up after five in vain.

    `moved` counts what has been achieved: an attempt that got further was not in vain.
    """
    import httpx  # noqa: PLC0415

    failures, before = 0, moved()
    while True:
        wait: float | None = None
        limit = _ATTEMPTS
        try:
            return once()
        except _AgainError as error:
            why, wait = str(error), error.wait
        except httpx.ConnectError as error:
            why, limit = f"no connection: {error}", 2  # an unknown name stays unknown
        except httpx.TransportError as error:
            why = f"{error}" or type(error).__name__
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(f"{url} cannot be asked: {error}") from error
        if wait is not None and wait > _PATIENCE:
            raise SourceError(
                f"{url}: {why}; the server wants {wait:.0f} s of rest",
                hint="Run again after that time.",
            )
        failures = 1 if moved() > before else failures + 1
        before = moved()
        if failures >= limit:
            raise SourceError(
                f"{url} could not be read in {failures} attempts: {why}",
                hint="Check the network and the address, or try again later.",
            )
        wait = 2.0 ** (failures - 1) if wait is None else wait
        via.progress(f"{why}; trying again in {wait:.0f} s")
        via.pause(wait)


def _check(answer: httpx.Response, url: str) -> None:
    """Raise _AgainError for a busy server, SourceError for a refusal."""
    code = answer.status_code
    if code in _BUSY:
        raise _AgainError(f"the server answered {code} {answer.reason_phrase}", _rest(answer))
    if answer.is_error:
        what, hint = _MEANINGS.get(code, (f"cannot be read: HTTP {code}", "Check the address."))
        said = _words(answer)
        raise SourceError(f"{url} {what}{f' ({said})' if said else ''}", hint=hint)


def _rest(answer: httpx.Response) -> float | None:
    """Return the seconds that a server wants to be left alone (RFC 9110, section 10.2.3)."""
    said = answer.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        until = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _words(answer: httpx.Response) -> str:
    import httpx  # noqa: PLC0415

    try:
        said = answer.json()
    except (ValueError, httpx.ResponseNotRead):
        return ""
    message = said.get("message", "") if isinstance(said, dict) else ""
    return " ".join(str(message).split())[:300]
