"""When and how fast: turns between accounts, back-off, and clocks that jump."""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from leman.lake.model import Transfer

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)


def in_turn(due: Iterable[Transfer], running: Mapping[str, int]) -> Iterator[Transfer]:
    """Yield transfers so that accounts take turns; who has fewest running is first.

    Within an account the order is that of `due`.
    """
    queues: dict[str, deque[Transfer]] = {}
    for transfer in due:
        queues.setdefault(transfer.account, deque()).append(transfer)
    taken = Counter(dict(running))
    while queues:
        account = min(queues, key=lambda name: (taken[name], name))
        yield queues[account].popleft()
        taken[account] += 1
        if not queues[account]:
            del queues[account]


def wait_after(attempts: int, chance: random.Random) -> timedelta:
    """Return the pause after so many failures: it doubles up to an hour; half of it is chance."""
    doubled: int = 2 ** min(max(attempts - 1, 0), 20)
    return min(FIRST_WAIT * doubled, LONGEST_WAIT) * (0.5 + chance.random() / 2)


class SteadyClock:
    """Tells the time, and whether it can be trusted to end rules and delete by.

    After the wall clock has moved otherwise than the monotonic one, it is not steady until it has
    run true for `settle`: what must not be undone waits, so that a clock that is set to a wrong
    year for a moment ends no rule.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        *,
        tolerance: timedelta = timedelta(minutes=1),
        settle: timedelta = timedelta(hours=1),
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._tolerance, self._settle = tolerance.total_seconds(), settle.total_seconds()
        self._offset = wall().timestamp() - monotonic()
        self._since = float("-inf")

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return self._wall()

    def steady(self) -> bool:
        """Tell whether the wall clock has run true for long enough."""
        monotonic = self._monotonic()
        offset = self._wall().timestamp() - monotonic
        if abs(offset - self._offset) > self._tolerance:
            self._since = monotonic
        # Slow corrections by NTP add up to nothing here.
        self._offset = offset
        return monotonic - self._since >= self._settle
