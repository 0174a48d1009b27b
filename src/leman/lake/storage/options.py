"""Options of a back-end: strictly read, with the nearest known one named for a wrong one."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from leman.lake.interface import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Options = TypeVar("Options")


def read_options(kind: type[Options], given: Mapping[str, object]) -> Options:
    """Return `given` as the dataclass `kind`, whose fields are str, int, float or bool.

    Raises StorageError (refused) for unknown names and unfit values; a value is never repeated in
    a message, since it may be a secret.
    """
    fields: dict[str, Any] = {one.name: one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    read: dict[str, object] = {}
    for name, value in given.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            known = ", ".join(fields) or "none"
            raise StorageError(
                "refused",
                f"a storage of this kind has no option {name!r}",
                hint=f"Did you mean {near[0]}?" if near else f"Known ones: {known}.",
            )
        wanted = type(fields[name].default)
        fits = isinstance(value, wanted) or (wanted is float and isinstance(value, int))
        if not fits or (wanted is not bool and isinstance(value, bool)):
            raise StorageError(
                "refused",
                f"the option {name!r} of a storage is of type {type(value).__name__},"
                f" expected {wanted.__name__}",
            )
        read[name] = value
    return kind(**read)


def place_of(address: str) -> tuple[SplitResult, str]:
    """Return the parts of a URL and its path without outer slashes, unquoted.

    Raises StorageError (refused) for one without a host, or with a query.
    """
    place = urlsplit(address)
    try:
        host, _ = place.hostname, place.port
    except ValueError as error:
        raise StorageError("refused", f"an address cannot be read: {error}") from None
    if not host or place.query or place.fragment:
        raise StorageError(
            "refused",
            f"the address {place.scheme}://{place.hostname or ''}… cannot be used",
            hint="Expected scheme://host/folder, without '?' and '#'.",
        )
    return place, unquote(place.path).strip("/")
