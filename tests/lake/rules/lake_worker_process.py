"""A worker as a process of its own: works until nothing is left, for a test that kills it."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

from lake_places import FileBook, Folder, move

from leman.lake.rules.worker import Limits, Worker


def main() -> None:
    """Work for the lake in a folder, by the book in a file, under a name."""
    root, book, name = Path(sys.argv[1]), FileBook(Path(sys.argv[2])), sys.argv[3]
    storages = {one.name: Folder(one, block=1 << 12) for one in root.iterdir()}
    limits = Limits(threads=3, lease=timedelta(seconds=1), grace=timedelta())
    worker = Worker(name, book, storages, move, limits)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        worker.round()
        state = book.state()
        busy = state.transfers or [one for one in state.replicas if one.state != "AVAILABLE"]
        if not busy and worker.plan().empty:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
