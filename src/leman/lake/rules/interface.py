"""What the rules read, what they decide, and the catalogue that keeps both.

Times are aware datetimes; sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from leman.lake.model import (
        DID,
        RSE,
        Checksums,
        Deletion,
        Lock,
        Replica,
        ReplicaState,
        Rule,
        Transfer,
    )

# Of two RSEs that nobody gave a distance: further than any that somebody gave.
FAR = 1000


@dataclass(frozen=True, slots=True)
class File:
    """A file in what a rule names; `dataset` is the data set it came from, for grouping."""

    did: DID
    size: int
    checksums: Checksums
    dataset: DID | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What there is: the whole lake, or a part that is closed.

    A part is closed if for each file in it every replica, every rule with every file of it, every
    lock and every open transfer is in it. `files` are those of each rule's DID. `needed` are the
    files that data sets hold, with or without a rule. `limits` are bytes per account and RSE (no
    entry: no limit; Rucio's own default is zero), `used` the bytes that locks of the account hold
    there, `filled` the bytes of all replicas of an RSE: both of the whole lake. `distances` are
    from source to destination, small is near.
    """

    rules: tuple[Rule, ...] = ()
    files: Mapping[DID, tuple[File, ...]] = field(default_factory=dict)
    replicas: tuple[Replica, ...] = ()
    locks: tuple[Lock, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    rses: tuple[RSE, ...] = ()
    needed: frozenset[DID] = frozenset()
    limits: Mapping[tuple[str, str], int] = field(default_factory=dict)
    used: Mapping[tuple[str, str], int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)
    distances: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """From `moment` on the replica may go; None takes a tombstone away again."""

    did: DID
    rse: str
    moment: datetime | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not as a rule wants it; `why` in a sentence for its owner."""

    why: str
    rule: str = ""
    did: DID | None = None
    rse: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change so that the lake becomes as the rules want it.

    `transfers` are new ones and known ones with other sources (the id says which); `locks` are new
    ones and known ones in another state; `rules` those whose state or counts change; `expired`
    those that are over. `problems` change nothing: a plan with nothing else is empty.
    """

    transfers: tuple[Transfer, ...] = ()
    cancelled: tuple[Transfer, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    locks: tuple[Lock, ...] = ()
    released: tuple[Lock, ...] = ()
    rules: tuple[Rule, ...] = ()
    expired: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether nothing has to change."""
        return not any(getattr(self, one.name) for one in fields(self) if one.name != "problems")


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work that belongs to `worker` until `until`.

    Of a transfer, `sources` are the replicas that are AVAILABLE now, in the order to be tried, and
    `size` and `checksums` are what must arrive. `path` is relative to the address of `rse`.
    """

    work: Transfer | Deletion
    worker: str
    until: datetime
    rse: str
    path: str
    size: int = 0
    checksums: Checksums | None = None
    sources: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done and was verified; `checksums` are those of the bytes that arrived."""

    checksums: Checksums | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The work was not done; it is due again at `after`."""

    error: str
    after: datetime


@dataclass(frozen=True, slots=True)
class Going:
    """The work goes on: the claim shall last until `until`."""

    until: datetime


class Book(Protocol):
    """The part of a catalogue that rules need. Every method is one transaction.

    Raises LakeError and nothing else.
    """

    def state(self) -> State:
        """Return what there is, as of one moment."""
        ...

    def commit(self, plan: Plan, now: datetime) -> None:
        """Carry a plan out in the catalogue, if what it rests on still holds.

        A deletion makes a replica BEING_DELETED. It is left out (the next plan has it again) if the
        replica has a lock by now, has no tombstone that is over at `now`, is a source of an open
        transfer, or is AVAILABLE and no other AVAILABLE replica of a file that is still needed
        would remain. A cancelled transfer takes its claim along:
        the worker's report is refused then. Rules that no longer exist are passed over, and the
        attempts of a known transfer stay.
        """
        ...

    def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        """Give at most `limit` pieces of work to a worker, fair between accounts (`pace.in_turn`).

        Due are replicas BEING_DELETED, and transfers whose `after` is over, unless claimed until
        later than `now`. A claim for longer than `now` and its lease was made before the clock was
        put back: it counts as over. A transfer whose destination has no replica gets one, COPYING.
        """
        ...

    def report(self, claim: Claim, outcome: Done | Failed | Going, now: datetime) -> bool:
        """Note what became of a claim; False, and nothing noted, if it is no longer the worker's.

        Done makes the replica AVAILABLE (a transfer) or removes it (a deletion); the work is over.
        """
        ...

    def mark(self, replica: Replica, state: ReplicaState, why: str) -> bool:
        """Change a replica's state; False if it is gone or its state is not `replica.state` now."""
        ...

    def replicas(self, rse: str) -> Iterator[Replica]:
        """Yield the replicas of an RSE in the order of their paths, compared as bytes."""
        ...
