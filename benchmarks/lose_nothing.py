"""Records on three storages, damaged and killed in rounds: whether a byte is lost or unseen.

The rounds are those of the tests (`tests/records/store/losing.py`), more of them. The verdict is a
comparison of every byte with kept originals; the keep is not asked.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import get_args

from benchmarks.measuring import machine, write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "records" / "store"))
from losing import KINDS, Hits, Outcome, run

_SEEDS = 5
_ROUNDS = 12
_RECORDS = 6


def main(seeds: int = _SEEDS) -> None:
    """Run every kind of trial with every seed, write the section."""
    begun = time.monotonic()
    rows, faults, whole = [], Counter[str](), True
    for hits in get_args(Hits):
        outcomes = []
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as name:
                outcomes.append(
                    run(Path(name), seed=seed, rounds=_ROUNDS, records=_RECORDS, hits=hits)
                )
            print(hits, seed, outcomes[-1], flush=True)
        for one in outcomes:
            faults += one.faults
            whole = whole and not (one.undetected or one.worse or one.wrong or one.lost)
            whole = whole and (hits != "none" or not one.alarms)
        rows.append(_row(hits, outcomes))
    write("lose-nothing", "`leman keep`: lose nothing", [*_words(seeds), *rows, "", *_end(faults)])
    print(f"{time.monotonic() - begun:.0f} s")
    if not whole:
        raise SystemExit("something was lost, undetected or made worse: see above")


def _words(seeds: int) -> list[str]:
    told = (
        f"Three storages, {_RECORDS} records at first and more later, {_ROUNDS} rounds,"
        f" {seeds} seeds. Each round: damage, audit, up to three repairs killed with SIGKILL at a"
        " random change of the disk, a repair; every third round a record and a signature are"
        " added, killed, and added again. Every byte is then compared with kept originals."
    )
    head = (
        "| hit between audits | faults | audits with findings | kills | repairs | undetected"
        " | last copy gone by a kill | wrong bytes after repair | records lost |"
    )
    return [told, "", head, "|---|---|---|---|---|---|---|---|---|"]


def _row(hits: str, outcomes: list[Outcome]) -> str:
    cells = [
        sum(sum(one.faults.values()) for one in outcomes),
        sum(one.alarms for one in outcomes),
        sum(one.crashes for one in outcomes),
        sum(one.repairs for one in outcomes),
        sum(len(one.undetected) for one in outcomes),
        sum(len(one.worse) for one in outcomes),
        sum(len(one.wrong) for one in outcomes),
        sum(one.lost for one in outcomes),
    ]
    words = {"none": "nothing (control)", "two storages": "at most two of the three storages"}
    told = words.get(hits, "at most two copies of each record, on any storage")
    return f"| {told} | {' | '.join(map(str, cells))} |"


def _end(faults: Counter[str]) -> list[str]:
    kinds = ", ".join(f"{kind} {faults[kind]}" for kind in KINDS)
    limits = (
        "Not in it: power cuts (a kill leaves the system's cache whole), disks that lie when asked"
        " to flush, more than two copies hit at once."
    )
    told = f"Faults: {kinds}. The catalogue is the keeper's own copy or that of a storage."
    return [told, limits, "", f"{machine()}."]


if __name__ == "__main__":
    main()
