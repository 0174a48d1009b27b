"""What is known of a value before code runs: constants, texts with gaps, names of other things.

A value is a constant of Python (text, number, boolean), a tuple of values (for lists too), a dict
of them, `Choice` where a branch decides, or `Named` where only the origin is known. A text may
hold `ANY` where a part of it is not known, and begins with `ROOT` where it lies in the source.
A path is its text. Nothing here raises, and no value grows beyond a bound.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ANY = "\U0010ffff"  # any text; no character of Unicode, so no code means it
ROOT = "/\U0010fffe"  # the folder of the source
MOST = 64  # possible values, and turns of a loop
_LONGEST = 4096  # characters of a text
_WIDE = re.compile(r"\d{4}")  # a format that would make a text of megabytes
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])")
_PLAIN = frozenset(
    [
        "lower",
        "upper",
        "strip",
        "rstrip",
        "lstrip",
        "title",
        "capitalize",
        "replace",
        "split",
        "rsplit",
        "zfill",
        "splitlines",
        "removeprefix",
        "removesuffix",
        "startswith",
        "endswith",
        "rjust",
        "ljust",
    ]
)
_SAME = frozenset(
    ["resolve", "absolute", "as_posix", "expanduser", "copy", "__str__", "__fspath__"]
)


@dataclass(frozen=True, slots=True)
class Named:
    """A value of which only the origin is known: ``pandas.read_csv``, ``open()``, ``?``."""

    name: str = "?"

    def part(self, name: str) -> Named:
        """Return what an attribute or, with ``()``, a call of it is known as."""
        return Named(f"{self.name}{name}") if len(self.name) < 200 else UNKNOWN


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values; which one, only a run can tell."""

    options: tuple[Any, ...]


UNKNOWN = Named()


def options(value: object) -> tuple[Any, ...]:
    """Return all that a value may be."""
    return value.options if isinstance(value, Choice) else (value,)


def either(values: Iterable[object]) -> object:
    """Return the value that is one of several; unknown where one of them is, or too many are."""
    found: list[object] = []
    for value in values:
        for one in options(value):
            if isinstance(one, Named) and one not in found and found:
                return UNKNOWN
            if not any(one is other or _same(one, other) for other in found):
                found.append(one)
    if not found or len(found) > MOST or (len(found) > 1 and isinstance(found[0], Named)):
        return UNKNOWN
    return found[0] if len(found) == 1 else Choice(tuple(found))


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def each(function: Callable[..., object], *values: object) -> object:
    """Apply a function to every combination of what values may be."""
    ways = [options(value) for value in values]
    count = 1
    for way in ways:
        count *= len(way)
    if count > MOST:
        return UNKNOWN
    return either(_bounded(function(*one)) for one in itertools.product(*ways))


def _bounded(value: object) -> object:
    if isinstance(value, str | tuple | dict) and len(value) > _LONGEST:
        return UNKNOWN
    if isinstance(value, int) and abs(value) > 10**15:
        return UNKNOWN
    return value


def whole(value: object) -> bool:
    """Tell whether nothing of a constant is unknown."""
    if isinstance(value, str):
        return ANY not in value and ROOT not in value
    return isinstance(value, int | float | bool)


def text(value: object) -> str:
    """Return a value as text; None is what authors put where a value is to come."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ANY


def formatted(value: object, spec: str = "") -> str:
    """Return a value as a format string shows it."""
    if not spec or isinstance(value, Named):
        return text(value)
    if not whole(value) or _WIDE.search(spec) or ANY in spec:
        return ANY
    try:
        return format(value, spec)
    except (ValueError, TypeError):
        return ANY


def percent(template: str, given: object) -> object:
    """Return ``template % given``."""
    values = list(given) if isinstance(given, tuple) else [given]
    if _WIDE.search("".join(match[0] for match in _PERCENT.finditer(template))):
        return ANY

    def one(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        if match[1]:
            value = given.get(match[1], UNKNOWN) if isinstance(given, dict) else UNKNOWN
        else:
            value = values.pop(0) if values else UNKNOWN
        if match[2] == "s" and match[0] == "%s":
            return text(value)
        if not whole(value):
            return ANY
        try:
            return str(re.sub(r"\(\w+\)", "", match[0]) % value)
        except (ValueError, TypeError):
            return ANY

    return _PERCENT.sub(one, template)


def braces(template: str, args: Sequence[object], named: Mapping[str, object]) -> object:
    """Return ``template.format(*args, **named)``."""
    out, number = [], 0
    try:
        for literal, name, spec, how in string.Formatter().parse(template):
            out.append(literal)
            if name is None:
                continue
            if not name:
                name, number = str(number), number + 1  # noqa: PLW2901 - as format() counts
            value = named.get(name, UNKNOWN)
            if name.isdecimal() and len(name) < 4 and int(name) < len(args):
                value = args[int(name)]
            out.append(ANY if how == "r" or "{" in (spec or "") else formatted(value, spec or ""))
    except ValueError:
        return UNKNOWN
    return "".join(out)


def joined(*parts: object) -> object:
    """Return ``os.path.join``; a part that is not known may be any text."""
    names = [ANY if isinstance(part, Named) else part for part in parts]
    if not names or not all(isinstance(name, str) for name in names):
        return UNKNOWN
    return posixpath.join(*[str(name) for name in names])


def added(left: object, right: object) -> object:
    """Return ``left + right``; None is what authors put where a value is to come."""
    left, right = (UNKNOWN if one is None else one for one in (left, right))
    if isinstance(left, str | Named) and isinstance(right, str | Named):
        both = isinstance(left, Named) and isinstance(right, Named)
        return UNKNOWN if both else text(left) + text(right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return left + right
    return UNKNOWN


def attribute(value: object, name: str) -> object:
    """Return a part of a path: its parent, name, stem or suffix; None if it has no such part."""
    if not isinstance(value, str) or name not in {"parent", "name", "stem", "suffix"}:
        return None
    folder, base = posixpath.split(value.rstrip("/"))
    if name == "parent":
        return (folder or ".") if value not in {".", ".."} else UNKNOWN
    if ANY in base or ROOT[1:] in base:
        return UNKNOWN
    stem, suffix = posixpath.splitext(base)
    return {"name": base, "stem": stem, "suffix": suffix}[name]


def method(  # noqa: PLR0911 - one line a method
    value: object, name: str, args: Sequence[Any], named: Mapping[str, Any]
) -> object:
    """Return what a method of a text, path, list or dict gives, where that is known."""
    if isinstance(value, str):
        if name == "format":
            return braces(value, args, named)
        if name == "join" and args and isinstance(args[0], tuple):
            return value.join(map(text, args[0]))
        if name == "joinpath":
            return joined(value, *args)
        if name in _SAME:
            return value
        if name in {"with_suffix", "with_name"} and args and isinstance(args[0], str):
            folder, base = posixpath.split(value)
            base = posixpath.splitext(base)[0] + args[0] if name == "with_suffix" else args[0]
            return posixpath.join(folder, base)
        if name in _PLAIN and whole(value) and all(whole(one) or one is None for one in args):
            return _plain(value, name, args)
    if isinstance(value, dict) and not args and name in {"keys", "values", "items"}:
        return tuple(getattr(value, name)())
    if isinstance(value, dict) and name == "get" and args and whole(args[0]):
        return value.get(args[0], args[1] if len(args) > 1 else UNKNOWN)
    return value if isinstance(value, tuple | dict) and name == "copy" else UNKNOWN


def _plain(value: str, name: str, args: Sequence[Any]) -> object:
    if name in {"zfill", "rjust", "ljust"} and (not args or not 0 <= _number(args[0]) < 100):
        return UNKNOWN
    try:
        found = getattr(value, name)(*args)
    except (ValueError, TypeError, OverflowError):
        return UNKNOWN
    return tuple(found) if isinstance(found, list) else found


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else -1


def item(value: object, key: object) -> object:
    """Return ``value[key]``."""
    usable = isinstance(value, tuple | dict) or (isinstance(value, str) and whole(value))
    if not usable or not (whole(key) or isinstance(key, slice)):
        return UNKNOWN
    try:
        return value[key]  # type: ignore[index]
    except (LookupError, TypeError, ValueError):
        return UNKNOWN


def builtin(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> object:  # noqa: C901, PLR0911 - one line a function
    """Return what a builtin function gives, where that is known; None if it is none of these."""
    first = args[0] if args else UNKNOWN
    tuples = [one for one in map(_items, args) if one is not None]
    listed = tuples[0] if tuples and len(tuples) == len(args) else None
    match name:
        case "str" | "repr":
            return text(first)
        case "int" | "float" if whole(first):
            return _cast(int if name == "int" else float, first)
        case "len" if isinstance(first, tuple | dict):
            return len(first)
        case "list" | "tuple" | "iter" if not args:
            return ()
        case "list" | "tuple" | "iter" | "set" if listed is not None:
            return listed
        case "reversed" if listed is not None:
            return listed[::-1]
        case "sorted" if listed is not None and all(isinstance(one, str) for one in listed):
            return tuple(sorted(listed)) if not named else listed
        case "enumerate" if listed is not None:
            start = named.get("start", 0)
            return tuple(enumerate(listed, start if isinstance(start, int) else 0))
        case "zip" if listed is not None:
            return tuple(zip(*tuples, strict=False))
        case "range" if args and all(isinstance(one, int) for one in args):
            return _range(args)
        case "dict" if not args:
            return dict(named)
        case "dict" if isinstance(first, dict):
            return {**first, **named}
    return None


def _cast(kind: type[int | float], value: Any) -> object:  # noqa: ANN401 - a constant
    try:
        return kind(value)
    except (ValueError, OverflowError):
        return UNKNOWN


def _range(args: Sequence[int]) -> object:
    try:
        return tuple(itertools.islice(range(*args[:3]), _LONGEST))
    except ValueError:
        return UNKNOWN


def _items(value: object) -> tuple[Any, ...] | None:
    if isinstance(value, dict):
        return tuple(value)
    if isinstance(value, str) and whole(value):
        return tuple(value)
    return value if isinstance(value, tuple) else None


def items(value: object) -> tuple[Any, ...] | None:
    """Return what a loop over a value goes through, or None where that is not known."""
    return _items(value)
