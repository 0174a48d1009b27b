"""Talk to a started kernel until its notebook is done, or something else ends the run first."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.files import write_atomic
from leman.reproduction import cells, ending
from leman.reproduction import kernel as kernels
from leman.reproduction.watch import Watch, output_breach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.reproduction.ending import Ending
    from leman.reproduction.model import Limits

STARTUP = 60.0  # seconds that a kernel may take to answer
_INTERRUPT = 3.0  # seconds that an interrupted cell gets to tell where it was
_DRAIN = 0.5  # seconds to receive what a kernel that died had still sent


@dataclass(slots=True)
class Conversation:
    """One notebook's run in a kernel; `seconds` and `peak` (bytes) are known after it.

    `stopped` tells whether the parent wants the end; `progress` gets cells done and to do.
    """

    kernel: kernels.Kernel
    limits: Limits
    work: Path
    out: Path
    stopped: Callable[[], bool]
    progress: Callable[[int, int], None]
    seconds: float = 0.0
    peak: int = 0

    def hold(self, text: str) -> Ending | None:
        """Run the notebook that `text` is, and write it to `out`; return None if all cells ran."""
        try:
            notebook = cells.read(text)
        except ValueError as error:
            return ending.no_notebook("NotANotebook", str(error))
        return asyncio.run(self._converse(cells.Client(notebook, self.limits.output)))

    async def _converse(self, client: cells.Client) -> Ending | None:
        loop, gone = asyncio.get_running_loop(), asyncio.Event()

        def ended() -> None:
            loop.call_soon_threadsafe(gone.set)

        watch = Watch(self.kernel, self.limits, self.work, ended)
        watch.start()
        try:
            if not await self._connected(client):
                return self._not_started(watch)
            begun = time.monotonic()
            try:
                return await self._cells(client, gone, watch)
            finally:
                self.seconds = time.monotonic() - begun
        finally:
            watch.stop()
            self.peak = watch.peak
            client.finish()
            write_atomic(self.out, cells.write(client.nb))

    async def _connected(self, client: cells.Client) -> bool:
        if not kernels.wait_listening(self.kernel, STARTUP):
            return False
        client.kc = client.channel = cells.connect(self.kernel, self.limits.output)
        info = await cells.ready(client.channel, STARTUP)
        if info is None:
            return False
        client.nb.metadata["language_info"] = info.get("language_info", {})
        return True

    async def _cells(
        self, client: cells.Client, gone: asyncio.Event, watch: Watch
    ) -> Ending | None:
        run = asyncio.ensure_future(client.run(self.progress))
        others = [
            asyncio.ensure_future(one)
            for one in (gone.wait(), client.full.wait(), client.cut_off())
        ]
        try:
            first, limit = asyncio.FIRST_COMPLETED, self.limits.seconds
            await asyncio.wait({run, *others}, timeout=limit, return_when=first)
            if gone.is_set() and not run.done():
                await asyncio.wait({run}, timeout=_DRAIN)
            return self._cut_short(client, watch) or await self._ending(run, client)
        finally:
            for task in (run, *others):
                task.cancel()
            await asyncio.gather(run, *others, return_exceptions=True)

    def _cut_short(self, client: cells.Client, watch: Watch) -> Ending | None:
        """Return how we ended the run ourselves, if we did."""
        if self.stopped():
            return ending.interrupted(client.at)
        breach = watch.breach
        if breach is None and client.full.is_set():
            self.kernel.kill()
            breach = output_breach(self.limits)
        return ending.breached(breach, client.at) if breach else None

    async def _ending(self, run: asyncio.Future[None], client: cells.Client) -> Ending | None:
        """Return how the run ended by itself, or end it because its time is over."""
        if not run.done() and self.kernel.alive():
            self.kernel.interrupt()
            await asyncio.wait({run}, timeout=_INTERRUPT)
            return ending.too_slow(self.limits.seconds, client.at)
        error = run.exception() if run.done() else None
        if run.done() and error is None:
            return None
        if isinstance(error, cells.CellError):
            stderr = client.stderr(error.cell)
            return ending.raised(error.reply, source=client.code(), stderr=stderr, cell=error.cell)
        if error is not None and self.kernel.alive():
            raise error
        code = self.kernel.end()
        return ending.died(code, self.kernel.words(), client.at)

    def _not_started(self, watch: Watch) -> Ending:
        if self.stopped():
            return ending.interrupted()
        if watch.breach:
            return ending.breached(watch.breach, -1)
        slow = self.kernel.alive()
        self.kernel.end()
        return ending.not_started(self.kernel.words(), slow=slow, seconds=STARTUP)
