r"""RSE expressions: which storages a rule speaks of.

The grammar is Rucio's (``rucio/core/rse_expression_parser.py`` and the chapter "RSE Expressions"
of its documentation), with four additions: ``!=``, ``<=``, ``>=``, and ``*`` inside words::

    expression = term { ("|" | "&" | "\") term }        union, intersection, difference
    term       = "(" expression ")" | word [ ("=" | "!=" | "<" | ">" | "<=" | ">=") word ]
    word       = letters, digits, ".", "_", "-", and "*" for anything

The three operators bind equally and from left to right: ``a|b&c`` is ``(a|b)&c``. A word alone is
the name of an RSE, or of an attribute that is true; ``*`` alone is every RSE. ``a!=b`` is
``(*\a=b)``: an RSE without the attribute is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.lake.model import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leman.lake.model import RSE

    Value = str | int | float | bool

# The column of Rucio's schema that holds an expression takes this many characters.
LONGEST = 3000
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z0-9._*-]+)|(?P<sign>!=|<=|>=|[=<>|&\\()]))")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SETS: dict[str, Callable[[frozenset[str], frozenset[str]], frozenset[str]]] = {
    "|": frozenset.union,
    "&": frozenset.intersection,
    "\\": frozenset.difference,
}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}
_COMPARISONS = {"=", "!=", *_ORDER}


class InvalidRSEExpression(LakeError):  # noqa: N818 - Rucio's name of it
    """An expression that does not parse, or that no RSE fits; `place` counts characters from 0."""

    def __init__(self, message: str, *, place: int = -1, hint: str = "") -> None:
        super().__init__("InvalidRSEExpression", message, hint=hint)
        self.place = place


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    place: int
    word: bool


def evaluate(expression: str, rses: Sequence[RSE]) -> tuple[RSE, ...]:
    """Return the RSEs that fit, in the order of their names, each once.

    Raises InvalidRSEExpression where the text does not parse (`place` says where), and where it
    parses but fits nothing, as Rucio does.
    """
    names = _Parser(expression, rses).all()
    if not names:
        raise InvalidRSEExpression(
            f"no RSE fits the expression {expression!r}",
            hint="There is no RSE at all." if not rses else f"There are: {_some(rses)}.",
        )
    found = {rse.name: rse for rse in rses if rse.name in names}
    return tuple(found[name] for name in sorted(found))


def check(expression: str) -> None:
    """Raise InvalidRSEExpression if an expression does not parse, whatever RSEs there are."""
    _Parser(expression, ()).all()


class _Parser:
    """Reads and evaluates at once, with its own stack: nesting has no limit but the length."""

    def __init__(self, expression: str, rses: Sequence[RSE]) -> None:
        if len(expression) > LONGEST:
            raise InvalidRSEExpression(
                f"the RSE expression has {len(expression)} characters, at most {LONGEST} are taken",
                place=LONGEST,
                hint="Give the RSEs a common attribute, and ask for that.",
            )
        self.expression = expression
        self.rses = rses
        self.tokens = list(_tokens(expression))
        self.at = 0

    def all(self) -> frozenset[str]:
        """Return the names that fit the whole text."""
        # Each open parenthesis keeps what stood before it: a set and an operator, or nothing.
        outer: list[tuple[frozenset[str] | None, str, int]] = []
        left: frozenset[str] | None = None
        operator = ""
        while True:
            opened = self._take("(")
            if opened:
                outer.append((left, operator, opened.place))
                left, operator = None, ""
                continue
            term = self._term()
            left = term if left is None else _SETS[operator](left, term)
            while outer and self._take(")"):
                before, operator, _ = outer.pop()
                left = left if before is None else _SETS[operator](before, left)
            joined = self._take(*_SETS)
            if not joined:
                break
            operator = joined.text
        self._end(outer[-1][2] if outer else None)
        return left

    def _take(self, *texts: str) -> _Token | None:
        if self.at < len(self.tokens) and self.tokens[self.at].text in texts:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def _word(self, expected: str) -> _Token:
        if self.at >= len(self.tokens):
            raise self._error(len(self.expression), f"the end, expected {expected}")
        token = self.tokens[self.at]
        if not token.word:
            raise self._error(token.place, f"{token.text!r}, expected {expected}")
        self.at += 1
        return token

    def _term(self) -> frozenset[str]:
        key = self._word("the name of an RSE or attribute, or '('")
        comparison = self._take(*_COMPARISONS)
        if comparison is None:
            return frozenset(rse.name for rse in self.rses if _is(rse, key.text))
        value = self._word("a value")
        if comparison.text in _ORDER:
            if not _NUMBER.fullmatch(value.text):
                raise self._error(value.place, f"{value.text!r}, expected a number")
            compare, bound = _ORDER[comparison.text], float(value.text)
            numbers = ((rse.name, _number(_value(rse, key.text))) for rse in self.rses)
            return frozenset(
                name for name, one in numbers if one is not None and compare(one, bound)
            )
        equal = frozenset(
            rse.name for rse in self.rses if _equals(_value(rse, key.text), value.text)
        )
        if comparison.text == "=":
            return equal
        return frozenset(rse.name for rse in self.rses) - equal

    def _end(self, opened: int | None) -> None:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            what = "')' without '('" if token.text == ")" else f"{token.text!r}"
            raise self._error(token.place, f"{what}, expected an operator (| & \\) or the end")
        if opened is not None:
            raise self._error(opened, "'(' that is never closed")

    def _error(self, place: int, what: str) -> InvalidRSEExpression:
        return _invalid(self.expression, place, what)


def _tokens(expression: str) -> Iterator[_Token]:
    at = 0
    end = len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            at += len(expression[at:]) - len(expression[at:].lstrip())
            raise _invalid(expression, at, f"{expression[at]!r}, which has no meaning here")
        kind = match.lastgroup or ""
        yield _Token(match[kind], match.start(kind), kind == "word")
        at = match.end()


def _invalid(expression: str, place: int, what: str) -> InvalidRSEExpression:
    return InvalidRSEExpression(
        f"the RSE expression {expression!r} cannot be read at character {place + 1}: found {what}",
        place=place,
        hint="Write names and conditions joined by | & \\, such as tier=1&(country=FR|country=DE).",
    )


def _value(rse: RSE, key: str) -> Value | None:
    # Rucio looks at the columns of its table of RSEs first, then at the attributes.
    match key:
        case "rse":
            return rse.name
        case "deterministic":
            return rse.deterministic
        case "availability_read":
            return rse.readable
        case "availability_write":
            return rse.writable
        case "availability_delete":
            return rse.deletable
        case _:
            return rse.attributes.get(key)


def _is(rse: RSE, word: str) -> bool:
    if "*" in word:
        return _like(rse.name, word) or any(
            _like(key, word) and _equals(value, "true") for key, value in rse.attributes.items()
        )
    return rse.name == word or _equals(_value(rse, word), "true")


def _equals(value: Value | None, text: str) -> bool:
    if value is None:
        return False
    if isinstance(value, bool) or str(value).lower() in ("true", "false"):
        return str(value).lower() == text.lower() or text == "*"
    if "*" in text:
        return _like(str(value), text)
    one, other = _number(value), _number(text)
    if one is not None and other is not None:
        return one == other
    return str(value) == text


def _like(text: str, pattern: str) -> bool:
    """Match ``*``; in linear time, for a pattern such as ``*a*a*a*a*b`` is nobody's weapon."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _number(value: Value | None) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    return float(value) if value is not None and _NUMBER.fullmatch(value) else None


def _some(rses: Sequence[RSE]) -> str:
    names = sorted(rse.name for rse in rses)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
