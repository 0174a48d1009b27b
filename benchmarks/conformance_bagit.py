"""The BagIt conformance suite of the Library of Congress, from a copy of its repository.

`python -m benchmarks.conformance_bagit FOLDER [--save]`; the suite is public domain and not part of
this repository. A bag of `valid` must be accepted, one of `invalid` and `linux-only` refused, one
of `warning` accepted with a warning.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import machine, write
from leman.records.bag.general import validate

# git's users ignore this file, so copies of the suite lack it; its digest there is of no bytes.
_IGNORED = Path("v0.97/warning/special-system-files/data/.DS_Store")


def judged(bag: Path) -> tuple[bool, bool]:
    """Return whether leman accepts a bag, and whether it warns."""
    found = list(validate(bag))
    wrong = any(one.severity == "error" for one in found)
    return not wrong, any(one.severity == "warning" for one in found)


def main() -> None:
    """Judge every bag, print what is not as it should be, and a line of totals."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("suite", type=Path)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    added = not (given.suite / _IGNORED).exists()
    (given.suite / _IGNORED).touch()
    bags = [one for one in sorted(given.suite.glob("v*/*/*")) if one.is_dir()]
    good = theirs = 0
    here = [one for one in bags if one.parent.name != "windows-only"]
    for bag in here:
        kind = bag.parent.name
        accepted, warned = judged(bag)
        right = accepted == (kind in {"valid", "warning"}) and (kind != "warning" or warned)
        good += right
        done = subprocess.run(
            [Path(sys.executable).with_name("bagit.py"), "--validate", "--quiet", bag],
            capture_output=True,
            check=False,
        )
        theirs += (done.returncode == 0) == (kind in {"valid", "warning"})
        if not right:
            print(f"{bag.relative_to(given.suite)}: accepted {accepted}, warned {warned}")
    words = f"leman judges {good} of {len(here)} bags as the suite does, bagit.py {theirs}"
    print(words)
    if given.save:
        note = " An empty `.DS_Store` was added, which copies by git lack." if added else ""
        lines = [f"{words} (without looking at its warnings).{note}", "", f"{machine('bagit')}."]
        write("conformance-bagit", "BagIt conformance suite, without its Windows-only bags", lines)


if __name__ == "__main__":
    main()
