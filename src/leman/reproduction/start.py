"""What a source's `start` script sets: read, never run.

REES: `start` is run before the user's session and ends in ``exec "$@"``. Mostly it exports
variables; those with a plain value are taken over.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from leman.findings import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Declarations

_LIMIT = 100_000  # characters
_EXPORT = re.compile(r"export\s+([A-Za-z_]\w*)=(.*)")
_HARMLESS = re.compile(r"set\s+[-+]\w+(\s+pipefail)?|exec\s+\"?\$@\"?|true|:")
_COMPUTED = re.compile(r"[$`;&|<>()]")
# They would take the environment's own programs, or the private home, away from the notebook.
_OURS = {"PATH", "HOME", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_PRELOAD"}


def with_start(root: Path, declared: Declarations) -> Declarations:
    """Return `declared` with the variables that its `start` exports, and what was not followed."""
    if not declared.start:
        return declared
    try:
        text = (root / declared.start).read_text(encoding="utf-8", errors="replace")[:_LIMIT]
    except OSError:
        return declared
    variables, rest = exported(text)
    findings = declared.findings
    if rest:
        findings = (*findings, _not_run(declared.start, rest))
    return replace(
        declared,
        environment_variables={**declared.environment_variables, **variables},
        findings=findings,
    )


def exported(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that a script exports with plain values, and the lines not followed."""
    found: dict[str, str] = {}
    rest = []
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = raw.strip()
        if not line or line.startswith("#") or _HARMLESS.fullmatch(line):
            continue
        pair = _pair(line)
        if pair:
            found[pair[0]] = pair[1]
        else:
            rest.append(line)
    return found, tuple(rest)


def _pair(line: str) -> tuple[str, str] | None:
    match = _EXPORT.fullmatch(line)
    if not match or match[1] in _OURS or _COMPUTED.search(match[2]):
        return None
    try:
        words = shlex.split(match[2], comments=True)
    except ValueError:
        return None
    return (match[1], "".join(words)) if len(words) <= 1 else None


def _not_run(script: str, rest: tuple[str, ...]) -> Finding:
    first = rest[0][:80]
    more = f" and {len(rest) - 1} more" if len(rest) > 1 else ""
    return Finding(
        "start-not-run",
        "warning",
        script,
        f"{script} is not run, only its plain exports are taken over; not followed: {first}{more}",
        "Where a notebook fails for it: put what it does into postBuild, or into the notebook.",
    )
