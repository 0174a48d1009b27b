"""The environments that are on this machine: find them and read what is known of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from leman.environments import lock as locks
from leman.environments.build import built, last_used
from leman.environments.model import (
    Attempt,
    Environment,
    Interpreter,
    Lock,
    LockedPackage,
    Modification,
)
from leman.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{4,64}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Installed:
    """A folder of the environments' folder; `problem` says why `environment` is None.

    `used` is in seconds since 1970. `kind` names who built it.
    """

    path: Path
    digest: str
    kind: Literal["uv", "conda"]
    used: float
    environment: Environment | None
    problem: str = ""


def installed(home: Path) -> Iterator[Installed]:
    """Yield every complete environment below `home`, the one used longest ago first."""
    for path in built(home):
        yield at(path)


def at(path: Path) -> Installed:
    """Read the environment in the folder `path`; what cannot be read is told, not raised."""
    digest, kind, used = path.name, "uv", last_used(path)
    try:
        facts = json.loads((path / "leman.json").read_text())
        digest, kind = facts.get("digest", path.name), facts.get("kind", "uv")
        lock = _conda(path, digest) if kind == "conda" else _uv(path)
        environment = Environment(digest, path, lock.python, lock.cutoff, lock)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        words = f"{type(error).__name__}: {error}"
        return Installed(path, digest, "conda" if kind == "conda" else "uv", used, None, words)
    return Installed(path, digest, "conda" if kind == "conda" else "uv", used, environment)


def looks_like_digest(text: str) -> bool:
    """Tell whether `text` may be a digest or the start of one: 4 to 64 hexadecimal digits."""
    return bool(_DIGEST.fullmatch(text))


def find(home: Path, prefix: str) -> Installed:
    """Return the environment whose digest starts with `prefix`.

    Raises UsageError where there is none, or more than one.
    """
    fitting = [path for path in built(home) if _digest(path).startswith(prefix.lower())]
    if not fitting:
        raise UsageError(
            f"no environment on this machine has a digest that starts with {prefix}",
            hint="`leman env list` names those that are here.",
        )
    if len(fitting) > 1:
        names = ", ".join(_digest(path)[:20] for path in fitting[:5])
        raise UsageError(
            f"{len(fitting)} environments have a digest that starts with {prefix}: {names}",
            hint="Give more of its digits.",
        )
    return at(fitting[0])


def _digest(path: Path) -> str:
    try:
        return str(json.loads((path / "leman.json").read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return path.name


def _uv(path: Path) -> Lock:
    text = (path / "pylock.toml").read_text()
    settings = (path / "pyvenv.cfg").read_text()
    version = re.search(r"^version(?:_info)? = (\S+)", settings, re.MULTILINE)
    return locks.read(text, Interpreter(version[1] if version else "?", path / "bin" / "python"))


def _conda(path: Path, digest: str) -> Lock:
    """Read what `CondaBuilder` left: its lock, and one record per package in ``conda-meta``."""
    text = (path / "conda-meta" / "leman.lock").read_text()
    known: dict[str, Any] = json.loads(text.partition("\n")[0].removeprefix("# leman: "))
    reasons = known.get("packages", {})
    records = [json.loads(one.read_text()) for one in sorted(path.glob("conda-meta/*.json"))]
    packages = tuple(
        LockedPackage(
            record["name"],
            record["version"],
            _moment(record.get("timestamp")),
            "conda",
            *reasons.get(record["name"], ("dependency", "")),
        )
        for record in records
    )
    python = next((one.version for one in packages if one.name == "python"), "?")
    channels = ", ".join(known.get("channels", ()))
    return Lock(
        text=text,
        digest=digest,
        python=Interpreter(python, path / "bin" / "python", "conda"),
        cutoff=date.fromisoformat(known["cutoff"]),
        cutoff_reason=f"conda packages from {channels}",
        packages=packages,
        attempts=tuple(
            Attempt("lock", f"conda: {what}", f"channels {channels}", words or "solved")
            for what, words in known.get("attempts", ())
        ),
        modifications=(
            *(
                Modification("unpin", name, f"{specifier} does not go with the rest in conda")
                for name, specifier in known.get("unpinned", ())
            ),
            *(
                Modification("drop", name, "no conda package of this name")
                for name in known.get("dropped", ())
            ),
        ),
    )


def _moment(timestamp: float | None) -> str:
    """Return a conda record's ``timestamp`` (milliseconds, seconds in old ones) as ISO 8601."""
    if not timestamp:
        return ""
    seconds = timestamp / 1000 if timestamp > 253402300799 else timestamp
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
