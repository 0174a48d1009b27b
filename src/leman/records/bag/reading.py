"""Small files of strangers, read whole: never a link, a pipe or more bytes than expected."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe waits for ever


def content(path: Path, *, most: int) -> bytes:
    """Return the bytes of the regular file `path`. Raises OSError, also for more than `most`."""
    handle = os.open(path, _FLAGS)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    return found


def reason(error: OSError) -> str:
    """Return why a file could not be read, without its path."""
    return error.strerror or str(error)


def strict_json(text: bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return the value of a JSON text (RFC 8259): UTF-8, each name once, no NaN.

    What two readers might read differently, or could not write again, is refused. Raises
    ValueError, RecursionError.
    """
    value = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    if b"\\ud" in text.lower():  # half a character?
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"it has {twice[:80]!r} twice")
    return found


def _no_number(name: str) -> Any:  # noqa: ANN401
    raise ValueError(f"{name} is no number of JSON")
