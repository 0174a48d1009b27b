"""Repositories with a history, made on the spot."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def commit_all(folder: Path, day: str) -> None:
    """Make a folder a repository with one commit of that day, free of this machine's settings."""
    when = f"{day}T12:00:00Z"
    person = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", when))
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    clean = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Analysis")):
        subprocess.run(["git", *command], cwd=folder, env={**kept, **clean, **person}, check=True)
