"""`leman verify` without a re-run against `bagit.py --validate`: 1 GB in 10,000 files, warm cache.

Both as whole processes, in turn, in one run. The floor is `hashlib` over as many bytes in memory.
The memory is that of verifying 100,000 empty files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Clock, machine, verdict, write
from leman.records import keys, ssh
from leman.records.bag.check import unheard
from leman.records.bag.seal import seal
from leman.records.layout import FACTS, FORMAT
from leman.records.signing import add_signature

BIN = Path(sys.executable).parent
FILES, SIZE = 10_000, 100_000
_PEAK = """
import sys
from pathlib import Path
from leman.records.verify import verify
assert verify(Path(sys.argv[1])).holds
print(next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if "VmHWM" in line))
"""


def make(root: Path, files: int, size: int) -> Path:
    """Make a signed record whose source has so many files of so many random bytes."""
    for number in range(files):
        folder = root / "data" / "source" / f"{number // 100:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}.bin").write_bytes(os.urandom(size))
    lists: dict[str, object] = {
        name: [] for name in ("environments", "notebooks", "exempt", "references")
    }
    facts: dict[str, object] = {"format": FORMAT, "description": {"title": "Benchmark"}}
    facts |= {"source": {}, "answers": {}} | lists
    (root / FACTS).write_text(json.dumps(facts))
    seal(root, info=[("Bagging-Date", "2026-11-25")], references=[], progress=unheard)
    ssh.generate(root.parent / "key", "benchmark")
    key = keys.Key(root.parent / "key", ssh.public_half(root.parent / "key"))
    add_signature(root, key, stamping=None)
    return root


def floor() -> float:
    """Return the processor seconds of SHA-256 over all bytes, in memory."""
    block = os.urandom(SIZE)
    before = time.process_time()
    for _ in range(FILES):
        hashlib.sha256(block).digest()
    return time.process_time() - before


def main(rounds: int = 7) -> None:
    """Measure in turn, write the section."""
    ours, theirs = Clock(), Clock()
    with tempfile.TemporaryDirectory() as name:
        root = make(Path(name) / "record", FILES, SIZE)
        commands = (
            (ours, [str(BIN / "leman"), "verify", str(root)]),
            (theirs, [str(BIN / "bagit.py"), "--validate", "--quiet", str(root)]),
        )
        for _, command in commands:  # warms the cache
            subprocess.run(command, capture_output=True, check=True)
        for _ in range(rounds):
            for clock, command in commands:
                with clock.run():
                    subprocess.run(command, capture_output=True, check=True)
        least = min(floor() for _ in range(5))
    with tempfile.TemporaryDirectory() as name:
        root = make(Path(name) / "record", 10 * FILES, 0)
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, root], capture_output=True, text=True, check=True
        )
    wall = ours.median / theirs.median
    used = sorted(ours.processor)[rounds // 2] / least
    peak = float(done.stdout)
    lines = [
        f"leman {ours.text(processor=True)},",
        f"`bagit.py --validate` {theirs.text(processor=True)}.",
        f"{wall:.2f} of its time (target ≤ 0.6: {verdict(wall, 0.6, at_least=False)}).",
        f"{used:.2f} times the processor time of SHA-256 alone, {least:.2f} s, the start of",
        f"Python included (target ≤ 1.5: {verdict(used, 1.5, at_least=False)}).",
        f"100,000 files: {peak:.0f} MB (target ≤ 150: {verdict(peak, 150, at_least=False)}).",
        "",
        f"{machine('bagit')}.",
    ]
    write("verify", "`leman verify` of 1 GB in 10,000 files", lines)


if __name__ == "__main__":
    main()
