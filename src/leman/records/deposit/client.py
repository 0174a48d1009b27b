"""Requests with a token: servers' wishes to wait respected, refusals explained, no token told.

No redirect is followed and no address taken from an answer: the token goes to the one server that
the user named.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import httpx

from leman.environments.interface import silent
from leman.errors import DepositError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from leman.records.deposit.site import Site

_ATTEMPTS = 5
_PATIENCE = 120.0  # seconds; a server that wants a longer wait is told about instead
# Zenodo answers plain application/json in a format of its own past; servers that do not know
# the first name take the second.
_NATIVE = "application/vnd.inveniordm.v1+json, application/json;q=0.9"
_BROKEN = frozenset({500, 502, 503, 504})
_TOO_MANY = 429
_BLOCK = 1 << 18  # bytes sent at once
_TELL = 5.0  # seconds between two words about one upload
_LONGEST = 600  # characters of a server's words
_GO_ON = "Run the same command again: it goes on from where it stopped."
_HINTS = {
    401: "The server does not know this token. It may have expired, or be that of another server:"
    " zenodo and zenodo-sandbox have accounts and tokens of their own.",
    403: "The token may not do that. It needs the scope deposit:write to make a draft and"
    " deposit:actions to publish, and must belong to the owner of the draft.",
    404: "Check the address. If the draft was deleted meanwhile, run the command again.",
    410: "It was deleted. Run the command again to begin anew.",
    413: "The file is larger than the server takes. Ask its keeper for a larger quota (Zenodo:"
    " 50 GB a record, more on request), or publish a smaller record.",
}


class UnsureError(DepositError):
    """A request may have been carried out or not: its answer never came."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, `path` below the site's ``/api``.

    `file` is streamed as the body. `tolerated` are refusals that the caller deals with. A request
    that must not be made twice has `again` False: UnsureError is raised where it may have worked.
    """

    method: str
    path: str
    json: Any = None
    params: dict[str, str] | None = None
    file: Path | None = None
    tolerated: frozenset[int] = frozenset()
    again: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `content` is its JSON, None where it has none."""

    status: int
    content: Any = None

    def get(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Return a value of a JSON object, None where there is none."""
        return self.content.get(name) if isinstance(self.content, dict) else None


class Client:
    """Connections to one site; `pause` waits for so many seconds, `progress` tells the user."""

    def __init__(
        self,
        site: Site,
        *,
        progress: Callable[[str], None] = silent,
        pause: Callable[[float], None] = time.sleep,
        patience: float = 600.0,
    ) -> None:
        self.site = site
        self.progress = progress
        self.pause = pause
        # Long: a server may sum a large file before it answers.
        limits = httpx.Timeout(60.0, connect=20.0, read=patience)
        headers = {
            "User-Agent": "leman",
            "Accept": _NATIVE,
            "Authorization": f"Bearer {site.token}",
        }
        # Plain http is for this machine alone: no proxy is to see the token on its way there.
        trust = site.url.startswith("https://")
        self._http = httpx.Client(
            follow_redirects=False, timeout=limits, headers=headers, trust_env=trust
        )

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, call: Call) -> Reply:
        """Do a request until it succeeds, waiting longer each time; give up after five in vain.

        Raises DepositError with the server's words, UnsureError.
        """
        failures = 0
        while True:
            wait: float | None = None
            try:
                answer = self._once(call)
                if answer.status_code not in _BROKEN and answer.status_code != _TOO_MANY:
                    return self._judged(call, answer)
                why = f"the server answered {self._line(answer)}"
                wait = rest(answer)
                done = answer.status_code != _TOO_MANY
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                why, done = f"no connection: {error}", False
            except httpx.TransportError as error:
                why, done = f"{error}" or type(error).__name__, True
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise DepositError(f"{self.site.host} cannot be asked: {error}") from error
            if done and not call.again:
                raise UnsureError(f"{self.site.host}: {why}", hint=_GO_ON)
            failures += 1
            if wait is not None and wait > _PATIENCE:
                raise DepositError(
                    f"{self.site.host}: {why}; it wants {wait:.0f} s of rest",
                    hint=f"After that time: {_GO_ON[0].lower()}{_GO_ON[1:]}",
                )
            if failures >= _ATTEMPTS:
                raise DepositError(
                    f"{self.site.host} could not be reached in {failures} attempts: {why}",
                    hint=f"Check the network and the address. {_GO_ON}",
                )
            wait = 2.0 ** (failures - 1) if wait is None else wait
            self.progress(f"{why}; trying again in {wait:.0f} s")
            self.pause(wait)

    def refusal(self, call: Call, reply: Reply, hint: str = "") -> DepositError:
        """Return the error that says what the server refused, and why in its own words."""
        words = self._words(reply.content)
        said = f": {words}" if words else ""
        return DepositError(
            f"{self.site.host} refused {call.method} {call.path} ({reply.status}){said}",
            hint=hint or _HINTS.get(reply.status, ""),
        )

    def complaints(self, content: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
        """Return a sentence for each field that the server finds wrong."""
        errors = content.get("errors") if isinstance(content, dict) else None
        found = []
        for one in errors if isinstance(errors, list) else []:
            if isinstance(one, dict):
                messages = one.get("messages")
                text = " ".join(map(str, messages)) if isinstance(messages, list) else ""
                found.append(self.plain(f"{one.get('field', '')}: {text}"))
        return tuple(found)

    def plain(self, text: str) -> str:
        """Return a server's words fit for a terminal: one line, no escape codes, no token."""
        words = " ".join(text.split()).replace(self.site.token, "…")
        return "".join(letter for letter in words if letter.isprintable())[:_LONGEST]

    def _once(self, call: Call) -> httpx.Response:
        url = f"{self.site.url}/api/{call.path}"
        if call.file is None:
            return self._http.request(call.method, url, json=call.json, params=call.params)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(call.file.stat().st_size),
        }
        body = self._blocks(call.file)
        return self._http.request(call.method, url, content=body, headers=headers)

    def _blocks(self, path: Path) -> Iterator[bytes]:
        size, sent = path.stat().st_size, 0
        told, at = time.monotonic(), 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
                sent += len(block)
                # At most a hundred lines, and none of a file that is up in a moment.
                if sent - at > size / 100 and time.monotonic() - told > _TELL:
                    told, at = time.monotonic(), sent
                    self.progress(f"uploading {path.name}: {sent / 1e6:.1f} of {size / 1e6:.1f} MB")

    def _judged(self, call: Call, answer: httpx.Response) -> Reply:
        try:
            content = answer.json() if answer.content else None
        except ValueError:
            content = None
        reply = Reply(answer.status_code, content)
        if answer.is_redirect:
            where = self.plain(answer.headers.get("Location", ""))
            raise DepositError(
                f"{self.site.host} says that what was asked for is now at {where}",
                hint="The token is not sent on to another address. Give the new one with --to.",
            )
        if not answer.is_success and answer.status_code not in call.tolerated:
            raise self.refusal(call, reply)  # 999 is one as well: InvenioRDM has it for odd files
        if answer.is_success and content is None and answer.status_code != httpx.codes.NO_CONTENT:
            if call.method == "POST" and call.path.endswith("submit-review"):
                return reply
            raise DepositError(
                f"{self.site.host} answered {call.method} {call.path} with something that is no"
                " JSON",
                hint="Is it an InvenioRDM server? Its address goes without /api or a page's name.",
            )
        return reply

    def _line(self, answer: httpx.Response) -> str:
        return f"{answer.status_code} {self.plain(answer.reason_phrase)}"

    def _words(self, content: Any) -> str:  # noqa: ANN401 - JSON
        message = content.get("message") if isinstance(content, dict) else None
        parts = [self.plain(str(message))] if message else []
        return " ".join([*parts, *self.complaints(content)])


def rest(answer: httpx.Response) -> float | None:
    """Return the seconds that a server wants to be left alone, None where it does not say.

    Zenodo tells with every answer when requests are counted anew: of a server that broke and has
    requests left to give (X-RateLimit-Remaining), that is no wish.
    Retry-After is RFC 9110, section 10.2.3; X-RateLimit-Reset, which Zenodo sends, is the second
    (of Unix time) at which requests are counted anew, and counts only for a 429.
    """
    left = answer.headers.get("X-RateLimit-Remaining", "0").strip()
    if answer.status_code != _TOO_MANY and left != "0":
        return None
    said = answer.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:12])
    if said:
        try:
            until = email.utils.parsedate_to_datetime(said)
        except (TypeError, ValueError):
            until = None
        if until is not None:
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
            return max(0.0, (until - datetime.now(UTC)).total_seconds())
    reset = answer.headers.get("X-RateLimit-Reset", "").strip()
    if answer.status_code == _TOO_MANY and reset.isascii() and reset.isdigit():
        return max(1.0, float(reset[:12]) - time.time())
    return None
