"""What the measurements share: clocks, medians, the machine, and the page of results."""

from __future__ import annotations

import os
import platform
import re
import resource
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF
from typing import TYPE_CHECKING

from leman.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).with_name("RESULTS.md")
_PAGE = """# Results

What was measured, by what, on what. `make bench` measures the speed anew.

## Speed

## Reproduction
"""


def put(name: str, text: str) -> None:
    """Put a section between its markers in RESULTS.md, appended if there are none."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    whole = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    block = f"{begin}\n{text}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if pattern.search(whole):
        whole = pattern.sub(lambda _: block, whole)
    else:
        whole = f"{whole.rstrip()}\n\n{block}\n"
    write_atomic(RESULTS, whole)


@dataclass(slots=True)
class Clock:
    """Seconds of each run of the same thing, and seconds of processor time where it ended.

    Processor time tells what a busy machine hides; a process that is not waited for is not in it.
    """

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    started: float = 0.0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Measure what happens inside, up to a `lap` or to the end."""
        before = len(self.seconds)
        self.started, used = time.monotonic(), _processor()
        yield
        if len(self.seconds) == before:
            self.lap()
            self.processor.append(_processor() - used)

    def lap(self) -> None:
        """Note the seconds since the beginning of this run."""
        self.seconds.append(time.monotonic() - self.started)

    @property
    def median(self) -> float:
        """The middle of all runs, in seconds."""
        return statistics.median(self.seconds)

    def text(self, *, processor: bool = False) -> str:
        """Return median, and the range in which all runs lie; processor time where it is whole."""
        digits = 2 if self.median < 10 else 1
        low, high = (f"{one:.{digits}f}" for one in (min(self.seconds), max(self.seconds)))
        text = f"{self.median:.{digits}f} s ({low} to {high}, {len(self.seconds)} runs"
        if processor:
            text += f"; processor {statistics.median(self.processor):.{digits}f} s"
        return f"{text})"


def _processor() -> float:
    """Return the processor seconds of this process and of those that it waited for."""
    own, ended = (resource.getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def machine(*packages: str) -> str:
    """Return date, machine, load and the versions of `packages` in one line."""
    model = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() as facts:
        names = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores of {names[0] if names else model};"
        f" load average at the end {load}; leman's Python {platform.python_version()}"
        + (f"; {versions}" if versions else "")
    )


def verdict(value: float, target: float, *, at_least: bool) -> str:
    """Return whether a target was met, in a word."""
    met = value >= target if at_least else value <= target
    return "met" if met else "missed"


def write(name: str, title: str, lines: list[str]) -> None:
    """Replace the section called `name` under the heading Speed, or add it there."""
    page = RESULTS.read_text() if RESULTS.exists() else _PAGE
    text = "\n".join([f"### {title}", "", *lines])
    if f"<!-- {name} -->" not in page:
        if "## Speed\n" not in page:
            page += "\n## Speed\n"
        head, tail = page.split("## Speed\n", 1)
        cut = re.search(r"^## ", tail, re.MULTILINE)
        at = cut.start() if cut else len(tail)
        place = f"<!-- {name} -->\n<!-- end of {name} -->"
        page = f"{head}## Speed\n{tail[:at].rstrip()}\n\n{place}\n\n{tail[at:]}"
        write_atomic(RESULTS, page.rstrip() + "\n")
    put(name, text)
    print("\n".join([f"{title}", *lines, ""]))
