"""`python -m benchmarks [NAME ...]`: measure the speed of each, of all by default."""

from __future__ import annotations

import argparse

from benchmarks import build, help, launch, publish, run, verify  # noqa: A004 - named after what it measures

ALL = {"help": help.main, "run": run.main, "launch": launch.main, "build": build.main}
ALL |= {"publish": publish.main, "verify": verify.main}

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", choices=[*ALL, []], metavar="NAME")
    for name in arguments.parse_args().names or ALL:
        ALL[name]()
