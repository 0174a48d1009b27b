"""Requests: waits that servers ask for, refusals in their words, a token that goes nowhere else."""

from __future__ import annotations

import email.utils
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from depositing import Depositor
from invenio_server import Server, serving

from leman.errors import DepositError
from leman.records.deposit.client import Call, UnsureError, rest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST = Call("GET", "user/records", params={"q": "a:b"})


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on the loopback."""
    with serving() as made:
        yield made


@pytest.fixture
def ada(server: Server, tmp_path: Path) -> Depositor:
    """Give a user with an account on the server."""
    return Depositor(server, tmp_path / "home")


def test_a_wait_that_the_server_asks_for_is_kept(ada: Depositor, server: Server) -> None:
    """A 429 with Retry-After is waited for as long as it says, and the user is told."""
    server.fail("GET", "user/records", status=429, headers={"Retry-After": "7"}, times=2)
    assert ada.client().ask(LIST).status == 200
    assert ada.waits == [7.0, 7.0]
    assert any("trying again in 7 s" in one for one in ada.told)


def test_a_wait_until_a_second_is_kept(ada: Depositor, server: Server) -> None:
    """A 429 with X-RateLimit-Reset is waited for until that second."""
    headers = {"X-RateLimit-Reset": str(int(time.time()) + 30)}
    server.fail("GET", "user/records", status=429, headers=headers)
    ada.client().ask(LIST)
    assert 20 < ada.waits[0] <= 31


def test_a_wait_that_is_too_long_is_told_instead(ada: Depositor, server: Server) -> None:
    """A server that wants an hour of rest gets it: the user is told when to go on."""
    server.fail("GET", "user/records", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(DepositError, match="3600 s of rest") as told:
        ada.client().ask(LIST)
    assert "goes on from where it stopped" in told.value.hint
    assert not ada.waits


def test_a_broken_server_is_asked_five_times(ada: Depositor, server: Server) -> None:
    """Each 5xx is waited for twice as long as the one before, and then given up."""
    server.fail("GET", "user/records", status=503, times=9)
    with pytest.raises(DepositError, match="5 attempts: the server answered 503"):
        ada.client().ask(LIST)
    assert ada.waits == [1.0, 2.0, 4.0, 8.0]


def test_a_server_that_is_not_there_is_told(ada: Depositor) -> None:
    """No connection is an error with what to check, after the usual attempts."""
    ada.server = Server(url="http://127.0.0.1:9")
    with pytest.raises(DepositError, match="no connection"):
        ada.client().ask(LIST)


def test_what_must_not_be_done_twice_is_not(ada: Depositor, server: Server) -> None:
    """A request of that kind is repeated after a 429 but not after a 502 or a lost answer."""
    once = Call("POST", "records", {}, again=False)
    for kind in ("status", "lost"):
        server.fail("POST", "records", kind, status=502)
        with pytest.raises(UnsureError):
            ada.client().ask(once)
    assert server.count("POST", "records") == 2


def test_a_redirect_is_not_followed(ada: Depositor, server: Server) -> None:
    """The token is not carried to the address that a server names; the user may give it."""
    headers = {"Location": "https://elsewhere.example.org/api"}
    server.fail("GET", "user/records", status=308, headers=headers)
    with pytest.raises(DepositError, match=r"now at https://elsewhere\.example\.org"):
        ada.client().ask(LIST)


def test_no_proxy_sees_a_token_for_this_machine(
    ada: Depositor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over plain http, the server on this machine is asked directly, whatever proxy is set."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert ada.client().ask(LIST).status == 200


def test_a_status_of_no_standard_is_a_refusal(ada: Depositor, server: Server) -> None:
    """InvenioRDM answers 999 to a file that it does not want: that is no success."""
    server.fail("GET", "user/records", status=999, message="odd file")
    with pytest.raises(DepositError, match=r"999.*odd file"):
        ada.client().ask(LIST)


def test_a_page_instead_of_an_answer_is_told(ada: Depositor, server: Server) -> None:
    """A site that answers with no JSON is probably not the server that was meant."""
    server.html = True
    with pytest.raises(DepositError, match="no JSON"):
        ada.client().ask(LIST)


def test_field_errors_are_shown(ada: Depositor) -> None:
    """Each field that a server objects to is named with its messages, fit for a terminal."""
    client = ada.client()
    errors = [{"field": "metadata.title", "messages": ["Too\nshort.", "Really\x1b[2J."]}]
    assert client.complaints({"errors": errors}) == ("metadata.title: Too short. Really[2J.",)
    assert client.complaints({"errors": ["odd", {"messages": 3}]}) == (":",)
    assert client.complaints([]) == ()


def answer(status: int, **headers: str) -> httpx.Response:
    """Return an answer with headers, whose names have _ for -."""
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_the_wish_for_rest_is_read_in_all_its_forms() -> None:
    """Seconds, dates with and without a zone, a reset second; nonsense is no wish."""
    soon = datetime.now(UTC) + timedelta(seconds=60)
    assert rest(answer(503, Retry_After="5")) == 5
    assert 50 < (rest(answer(503, Retry_After=email.utils.format_datetime(soon))) or 0) <= 60
    assert rest(answer(503, Retry_After="Wed, 21 Oct 2015 07:28:00 -0000")) == 0
    for nonsense in ("", "soon", "-3", "٣"):
        assert rest(httpx.Response(503, headers=[(b"Retry-After", nonsense.encode())])) is None
    counted = {"Retry_After": "59", "X_RateLimit_Remaining": "995"}
    assert rest(answer(503, **counted)) is None
    assert rest(answer(429, **counted)) == 59
    assert rest(answer(429, X_RateLimit_Reset="10")) == 1
    assert rest(answer(503, X_RateLimit_Reset=str(int(time.time()) + 9))) is None
