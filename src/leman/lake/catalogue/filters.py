"""Rucio's filters for listing DIDs, parsed into values; nothing of them is ever executed.

The text form is ``name=run*,length>=10;project=atlas``: comma is *and*, semicolon is *or*, and
``1<=length<10`` is two comparisons. The form of the REST interface is a dict (*and*) or a list of
dicts (*or*), an operator standing behind a dot: ``{"length.gte": 10}``. ``*`` stands for any text,
with ``=`` and ``!=``. Both as in Rucio's ``FilterEngine`` and ``parse_did_filter_from_string_fe``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Operator = Literal["=", "!=", ">", ">=", "<", "<="]
Filters: TypeAlias = "str | Mapping[str, Any] | Sequence[Mapping[str, Any]]"

_SUFFIXES: dict[str, Operator] = {
    "": "=",
    "ne": "!=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
}
_MIRRORED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPERATOR = re.compile(r"(>=|<=|!=|>|<|=)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DATES = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%fZ",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%a, %d %b %Y %H:%M:%S UTC",
)
_MANY = 200  # comparisons; more is no question of a person
_LONG = 500  # characters of a value
_STARS = 10  # in one pattern


@dataclass(frozen=True, slots=True)
class Comparison:
    """A key, an operator, and a value: text (perhaps with ``*``), number, bool or moment."""

    key: str
    operator: Operator
    value: str | int | float | bool | datetime


def parse(filters: Filters) -> tuple[tuple[Comparison, ...], ...]:
    """Return alternatives, each a conjunction; no alternative at all where nothing is filtered.

    Raises LakeError (DIDFilterSyntaxError; DuplicateCriteriaInDIDFilter).
    """
    if isinstance(filters, str):
        groups = [_conjunction(part) for part in filters.split(";")] if filters.strip() else []
    elif isinstance(filters, dict):
        groups = [_of_mapping(filters)] if filters else []
    elif isinstance(filters, list | tuple) and all(isinstance(one, dict) for one in filters):
        groups = [_of_mapping(one) for one in filters]
    else:
        raise _wrong("a filter is a text, a dict or a list of dicts")
    if sum(len(group) for group in groups) > _MANY:
        raise _wrong(f"more than {_MANY} comparisons")
    for group in groups:
        pairs = [(one.key, one.operator) for one in group]
        if len(set(pairs)) != len(pairs):
            message = "the same key is compared twice with one operator"
            raise LakeError("DuplicateCriteriaInDIDFilter", message)
    return tuple(groups)


def _wrong(what: str) -> LakeError:
    hint = "Write name=run*,length>=10 (comma: and; semicolon: or)."
    return LakeError("DIDFilterSyntaxError", what, hint=hint)


def _conjunction(text: str) -> tuple[Comparison, ...]:
    return tuple(one for part in text.split(",") for one in _comparisons(part.strip()))


def _comparisons(text: str) -> list[Comparison]:
    parts = [part.strip() for part in _OPERATOR.split(text)]
    if not all(parts):
        raise _wrong(f"{text!r} is no comparison")
    if len(parts) == 3 and (operator := _operator(parts[1])):
        return [_comparison(parts[0], operator, parts[2])]
    if len(parts) == 5 and parts[1] in _MIRRORED and parts[3] in _MIRRORED:
        lower, upper = _operator(parts[1]), _operator(parts[3])
        return [
            _comparison(parts[2], _MIRRORED[lower], parts[0]),
            _comparison(parts[2], upper, parts[4]),
        ]
    raise _wrong(f"{text!r} is no comparison")


def _operator(text: str) -> Operator:
    return next(one for one in _SUFFIXES.values() if one == text)


def _of_mapping(given: Mapping[str, Any]) -> tuple[Comparison, ...]:
    found = []
    for key, value in given.items():
        if not isinstance(key, str):
            raise _wrong(f"{key!r} is no key")
        name, dot, suffix = key.rpartition(".")
        if not dot:
            name, suffix = key, ""
        if suffix not in _SUFFIXES:  # a key of metadata that has a dot in it
            name, suffix = key, ""
        found.append(_comparison(name, _SUFFIXES[suffix], value))
    return tuple(found)


def _comparison(key: str, operator: Operator, value: Any) -> Comparison:  # noqa: ANN401 - JSON
    old = {"created_after": ">=", "created_before": "<="}
    if key in old:
        key, operator = "created_at", _operator(old[key])
    if not isinstance(value, str | int | float | bool | datetime):
        raise _wrong(f"{key} is compared with {value!r}, which is no single value")
    if isinstance(value, str):
        if len(value) > _LONG or not value.isprintable() or value.count("*") > _STARS:
            raise _wrong(f"{key} is compared with a text that is too long or not printable")
        if "*" in value and operator not in {"=", "!="}:
            raise _wrong(f"{key}: wildcards go with = and != only")
        if key not in {"name", "scope", "account", "adler32", "md5", "guid"}:
            value = _typed(value)
    return Comparison(key, operator, value)


def _typed(text: str) -> str | int | float | bool | datetime:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]  # quoted: a text, whatever it looks like
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return text
