"""Requests that fail, bytes that arrive damaged, and a deposit that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deposited_record import record
from depositing import Depositor, whole

from leman.errors import DepositError

if TYPE_CHECKING:
    from invenio_server import Server

ARCHIVE = r"leman-record-[0-9a-f]{12}\.zip"
HERE = Path(__file__).parent


def test_a_broken_upload_is_sent_again(ada: Depositor, server: Server, tmp_path: Path) -> None:
    """A connection that breaks in the middle of the archive costs that upload alone."""
    bag = record(tmp_path / "large", extra={"blob.bin": bytes(3_000_000)})
    server.fail("PUT", f"{ARCHIVE}/content", "reset", after=1_000_000, times=2)
    ada.deposit(bag)
    assert whole(server)
    assert ada.waits == [1.0, 2.0]
    assert server.count("POST", "/api/records$") == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/records$"),
        ("POST", "/draft/files$"),
        ("PUT", "report.html/content"),
        ("POST", "report.html/commit"),
        ("POST", "pids/doi"),
        ("GET", "/draft/files/"),
    ],
)
@pytest.mark.parametrize("kind", ["lost", "reset", "status", "slow"])
def test_each_request_may_fail_and_nothing_is_done_twice(
    ada: Depositor, server: Server, bag: Path, method: str, path: str, kind: str
) -> None:
    """An answer that is lost, late, or a 500 leaves one draft, whole, whichever request it hits."""
    server.fail(method, path, kind, after=50 if kind == "slow" else 0)
    ada.deposit(bag)
    assert whole(server)
    assert server.only.doi


def test_a_server_slower_than_our_patience_is_asked_again(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """A draft whose making took too long is found, not made twice."""
    ada.patience = 0.3
    server.fail("POST", "/api/records$", "slow", after=900)
    ada.waits_for_server = True
    ada.deposit(bag)
    assert whole(server)


def test_what_arrives_damaged_is_replaced(ada: Depositor, server: Server, bag: Path) -> None:
    """A file whose checksum at the server is not ours is removed and sent once more."""
    server.fail("PUT", f"{ARCHIVE}/content", "corrupt")
    ada.deposit(bag)
    assert whole(server)
    assert server.count("DELETE", ARCHIVE) == 1


def test_what_arrives_damaged_twice_is_an_error(ada: Depositor, server: Server, bag: Path) -> None:
    """A server that keeps other bytes than it was sent is told of, with our checksum."""
    server.fail("PUT", f"{ARCHIVE}/content", "corrupt", times=5)
    with pytest.raises(DepositError, match=r"did not arrive whole.*md5:[0-9a-f]{32}"):
        ada.deposit(bag)
    assert server.count("PUT", "content") == 2


@pytest.mark.parametrize("checksum", ["sha256", "sha512", ""])
def test_other_checksums_are_compared_as_well(
    ada: Depositor, server: Server, bag: Path, checksum: str
) -> None:
    """A server may sum by another algorithm; without any, sizes are compared."""
    server.checksum = checksum
    if checksum:
        server.fail("PUT", f"{ARCHIVE}/content", "corrupt")
    made = ada.deposit(bag)
    assert whole(server)
    assert bool(made.unproved) == (not checksum)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from depositing import Depositor
from invenio_server import Server
Depositor(Server(url=sys.argv[2]), Path(sys.argv[3])).deposit(Path(sys.argv[4]))
"""


@pytest.mark.parametrize("moment", ["POST /api/records", "POST files", "PUT archive", "POST doi"])
def test_a_deposit_that_is_killed_goes_on(
    ada: Depositor, server: Server, bag: Path, moment: str
) -> None:
    """Killed while the server works on a request, the next call ends with one whole draft."""
    paths = {
        "POST /api/records": ("POST", "/api/records$"),
        "POST files": ("POST", "/draft/files$"),
        "PUT archive": ("PUT", ARCHIVE),
        "POST doi": ("POST", "pids/doi"),
    }
    method, path = paths[moment]
    # It answers late, to nobody: the process is gone by then.
    server.fail(method, path, "slow", after=600)
    arguments = [str(HERE), server.url, str(ada.home), str(bag)]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])
    while not server.count(method, path):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while server.working:
        time.sleep(0.01)
    ada.deposit(bag)
    assert whole(server)
    assert server.only.doi
