"""The worker with real folders: what arrives is what was sent, whenever it is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake_places import FileBook, Folder, move

from leman.lake.interface import Storage, StorageError
from leman.lake.model import DID, RSE, Checksums, Replica, ReplicaState, Rule, RuleState, Transfer
from leman.lake.paths import path_of
from leman.lake.rules.arrival import measure
from leman.lake.rules.interface import Done, Failed, File
from leman.lake.rules.memory import MemoryBook
from leman.lake.rules.pace import SteadyClock, in_turn, wait_after
from leman.lake.rules.worker import Limits, Worker
from leman.lake.storage.limited import Limit

if TYPE_CHECKING:
    from leman.lake.model import Expected
    from leman.lake.rules.interface import Book, Claim

SET = DID("atlas", "set")
NAMES = ("A", "B", "C")
GOOD = ReplicaState.AVAILABLE
WORKER_PROGRAM = Path(__file__).with_name("lake_worker_process.py")


@dataclass
class Hands:
    """A clock that is set by hand."""

    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    ticks: float = 0.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.moment, lambda: self.ticks)

    def pass_by(self, **much: float) -> None:
        self.moment += timedelta(**much)
        self.ticks += timedelta(**much).total_seconds()


@dataclass
class Place:
    """A lake of three folders; the originals lie in memory."""

    root: Path
    book: MemoryBook = field(default_factory=MemoryBook)
    originals: dict[DID, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the folders."""
        for name in NAMES:
            (self.root / name).mkdir(parents=True)
            self.book.rses[name] = RSE(name, str(self.root / name))

    @property
    def storages(self) -> dict[str, Storage]:
        return {name: Folder(self.root / name) for name in NAMES}

    def fill(self, count: int, size: int = 100_000) -> None:
        """Put files at A, in a data set that is needed."""
        for number in range(count):
            did = DID("atlas", f"file{number}")
            data = random.Random(number).randbytes(size + number)
            path = self.root / "A" / path_of(did)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            size_now, sums = measure(Folder(self.root / "A"), path_of(did))
            self.originals[did] = data
            self.book.stored[did, "A"] = Replica(did, "A", GOOD, size_now, sums, path_of(did))
        self.book.files[SET] = tuple(
            File(one.did, one.size, one.checksums, SET) for one in self.book.stored.values()
        )
        self.book.needed = frozenset(self.originals)

    def rule(self, copies: int, expression: str = "*", expires: datetime | None = None) -> None:
        created = datetime(2026, 1, 1, tzinfo=UTC)
        name = f"r{len(self.book.rules)}"
        self.book.rules[name] = Rule(
            name, SET, "ada", copies, expression, created=created, expires=expires
        )

    def check(self, book: MemoryBook, rses: tuple[str, ...]) -> None:
        """Compare every replica that is said to be good with the original, byte for byte."""
        for did, data in self.originals.items():
            good = [one for one in book.stored.values() if one.did == did and one.state is GOOD]
            assert {one.rse for one in good} == set(rses)
            for one in good:
                assert (self.root / one.rse / one.path).read_bytes() == data


def worker(place: Place, hands: Hands, **more: Any) -> Worker:
    """Return a worker for a place, with two threads unless told otherwise."""
    values: dict[str, Any] = {"move": move, "limits": Limits(threads=2), **more}
    return Worker("w", place.book, place.storages, clock=hands.clock(), **values)


def test_rule_becomes_ok(tmp_path: Path) -> None:
    """A rule of three copies is OK after a round and a plan, and the bytes are the same."""
    place, hands = Place(tmp_path), Hands()
    place.fill(5)
    place.rule(3)
    one = worker(place, hands)
    assert one.round().copied == 10
    assert one.plan().rules[0].state is RuleState.OK
    place.check(place.book, NAMES)
    assert one.plan().empty


def test_damaged_source_is_found_out(tmp_path: Path) -> None:
    """A source whose bytes are wrong is marked BAD, the next one is taken, the bad one replaced."""
    place, hands = Place(tmp_path), Hands()
    place.fill(2)
    place.rule(2, "A|B")
    worker(place, hands).round()
    for did in place.originals:
        (tmp_path / "A" / path_of(did)).write_bytes(b"nonsense")
    place.rule(1, "C")
    one = worker(place, hands)
    one.round()
    assert {place.book.stored[did, "A"].state for did in place.originals} == {ReplicaState.BAD}
    one.round()
    place.check(place.book, NAMES)


def test_damage_on_the_way(tmp_path: Path) -> None:
    """Bytes that change on the way, or on arrival, are not taken; the source stays good."""
    place, hands = Place(tmp_path), Hands()
    place.fill(1)
    place.rule(2, "A|B")

    def lying(
        source: Storage, path: str, target: Storage, path2: str, expected: Expected
    ) -> Checksums:
        move(source, path, target, path2, expected)
        (tmp_path / "B" / path2).write_bytes(b"x" * 100_000)
        return expected.checksums

    (failure,) = worker(place, hands, move=lying).round().failed
    assert "sha256 is" in failure
    (did,) = place.originals
    assert place.book.stored[did, "A"].state is GOOD
    assert place.book.stored[did, "B"].state is ReplicaState.COPYING
    hands.pass_by(minutes=1)
    worker(place, hands).round()
    place.check(place.book, ("A", "B"))


def test_expiry_and_deletion(tmp_path: Path) -> None:
    """After a rule's end and the grace period its copies go, all but the last of a needed file."""
    place, hands = Place(tmp_path), Hands()
    place.fill(2)
    place.rule(3, expires=hands.moment + timedelta(hours=1))
    one = worker(place, hands)
    one.round()
    hands.pass_by(hours=1)
    one.round()
    hands.pass_by(hours=23)
    assert one.round().deleted == 0
    hands.pass_by(hours=1)
    assert one.round().deleted == 4
    place.check(place.book, ("C",))
    assert not list((tmp_path / "A").rglob("file*"))


def test_clock_that_jumps(tmp_path: Path) -> None:
    """A clock set ten years ahead ends no rule and deletes nothing, nor does one set back."""
    place, hands = Place(tmp_path), Hands()
    place.fill(1)
    place.rule(3, expires=hands.moment + timedelta(days=9))
    one = worker(place, hands)
    one.round()
    for years in (10, -20, 10):
        hands.moment += timedelta(days=365 * years)
        one.round()
    hands.pass_by(hours=2)
    one.round()
    assert place.book.rules
    place.check(place.book, NAMES)


def test_claim_of_a_clock_put_back(tmp_path: Path) -> None:
    """A claim made before the clock was put back by years blocks nothing; a live one is kept."""
    place, hands = Place(tmp_path), Hands()
    place.fill(1)
    place.rule(2, "A|B")
    worker(place, hands).plan()
    lease = timedelta(minutes=10)
    assert place.book.claim("dead", hands.moment, lease, 9)
    assert not place.book.claim("w", hands.moment + timedelta(minutes=9), lease, 9)
    assert place.book.claim("w", hands.moment - timedelta(days=999), lease, 9)


def test_failures_wait_and_are_told(tmp_path: Path) -> None:
    """A storage that is away makes transfers wait longer; the rule says why it is STUCK."""
    place, hands = Place(tmp_path), Hands()
    place.fill(1)
    place.rule(2, "A|B")

    def away(*_: object) -> Checksums:
        raise StorageError("unreachable", "B does not answer")

    told: list[tuple[Claim, Done | Failed]] = []
    one = worker(place, hands, move=away, tell=lambda *what: told.append(what))
    for _ in range(3):
        one.round()
        assert not one.round().failed
        hands.pass_by(hours=1)
    one.plan()
    assert len(told) == 3
    stuck = place.book.rules["r0"]
    assert stuck.state is RuleState.STUCK
    assert "failed 3 times: from A: B does not answer" in stuck.error
    worker(place, hands).round()
    one.plan()
    assert place.book.rules["r0"].state is RuleState.OK


def test_accounts_take_turns() -> None:
    """Ten thousand transfers of one account do not hold up one of another's."""
    many = [Transfer(str(n), DID("s", str(n)), "A", (), 1, "busy") for n in range(10_000)]
    few = [Transfer(f"x{n}", DID("s", f"x{n}"), "A", (), 1, "few") for n in range(2)]
    order = [one.account for _, one in zip(range(6), in_turn(many + few, {}), strict=False)]
    assert order == ["busy", "few", "busy", "few", "busy", "busy"]
    assert next(in_turn(many + few, {"busy": 1})).account == "few"


def test_back_off_grows_to_an_hour() -> None:
    """The pause doubles, with chance in it, and never exceeds an hour, however many failures."""
    chance = random.Random(1)
    for attempts in (1, 2, 5, 9, 10_000):
        longest = min(10 * 2 ** min(attempts - 1, 30), 3600)
        seconds = wait_after(attempts, chance).total_seconds()
        assert longest / 2 <= seconds <= longest


def test_bandwidth_is_shared(tmp_path: Path) -> None:
    """A limit lets through its rate, whoever asks; a copy with one has the same bytes."""
    slept: list[float] = []
    limit = Limit(1000, lambda: 0.0, slept.append)
    for _ in range(5):
        limit.take(500)
    assert slept == [0.5, 1.0, 1.5, 2.0]
    place, hands = Place(tmp_path), Hands()
    place.fill(2)
    place.rule(2, "A|B")
    worker(place, hands, limits=Limits(bandwidth=1e9)).round()
    place.check(place.book, ("A", "B"))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Workers killed at random moments lose nothing: the next ones finish, each byte as it was.

    Copies are made, then damaged ones repaired, then surplus ones deleted, each under kill -9.
    """
    place = Place(tmp_path / "lake")
    place.fill(12, 300_000)
    place.rule(3)
    shared = FileBook(tmp_path / "book")
    with shared.open() as book:
        vars(book).update({k: v for k, v in vars(place.book).items() if k != "mutex"})
    kills = _work_under_kills(place, shared, seed=1)
    with shared.open() as book:
        place.check(book, NAMES)
        for did in list(place.originals)[::2]:
            (place.root / "B" / path_of(did)).write_bytes(b"damaged")
            book.mark(book.stored[did, "B"], ReplicaState.BAD, "by the test")
    kills += _work_under_kills(place, shared, seed=2)
    with shared.open() as book:
        place.check(book, NAMES)
        book.rules["r0"] = replace(book.rules["r0"], copies=1)
    kills += _work_under_kills(place, shared, seed=3)
    with shared.open() as book:
        place.check(book, ("A",))
        assert book.rules["r0"].state is RuleState.OK
        assert len(book.stored) == len(place.originals)
    for rse in ("B", "C"):
        assert not list((place.root / rse).rglob("file*"))
    assert kills >= 6


def _work_under_kills(place: Place, book: Book, seed: int) -> int:
    """Start workers and kill each after a random while, until nothing is left to do."""
    chance = random.Random(seed)
    arguments = [sys.executable, str(WORKER_PROGRAM), str(place.root), str(getattr(book, "path"))]  # noqa: B009
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    kills = 0
    for attempt in range(40):
        with subprocess.Popen(
            [*arguments, f"w{seed}.{attempt}"], env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it has loaded everything and begins to work
            if attempt >= 6:
                assert process.wait(60) == 0
                return kills
            time.sleep(chance.random() * 0.15)
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    return kills
