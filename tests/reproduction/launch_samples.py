"""What the tests of `launch` share with the processes that they start; cheap to import."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from leman.environments.model import Environment, Interpreter, Lock


def environment_at(path: Path, digest: str = "ab" * 32) -> Environment:
    """Describe the environment in a folder."""
    python = Interpreter("{}.{}.{}".format(*sys.version_info[:3]), Path(sys.executable))
    lock = Lock("", digest, python, date(2020, 5, 1), "", ())
    return Environment(digest, path, python, lock.cutoff, lock)
