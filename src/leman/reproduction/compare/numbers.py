"""When two printed numbers are the same number.

Only what is printed can be compared, so the printed digits count: where both sides print the
same few digits and the digits differ, the numbers differ. Where one side prints more digits
(NumPy prints eight, a scalar's repr seventeen, pandas six) the longer one is rounded to the
length of the shorter one.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leman.reproduction.compare.values import Tolerance

# A sign belongs to the number unless it follows something that it could be subtracted from.
# ".5" is a number, the ".3" of a version "1.2.3" is not.
NUMBER = (
    r"(?:(?<![\w.)\]])[+-])?(?:\d+(?:\.(?!\.)\d*)?|(?<![\d.])\.\d+)(?:[eE][+-]?\d{1,4}(?![\w.]))?"
)
_IS_NUMBER = re.compile(r"[+-]?(?:\d|\.\d)")
_IS_INTEGER = re.compile(r"[+-]?\d+\Z")
_LONGEST = 400  # digits; a longer one is compared as text
_FEWEST = 4  # significant digits that the shorter side must show before rounding may explain it
_EPSILONS = 4 * 2.220446049250313e-16


class Match(IntEnum):
    """How well two pieces match, best first."""

    SAME = 0
    VALUE = 1  # the same, written differently
    NEAR = 2  # within the tolerance
    FAR = 3


def is_number(token: str) -> bool:
    """Say whether a token of `lines.tokens` is a number."""
    return _IS_NUMBER.match(token) is not None


def match_numbers(stored: str, new: str, tolerance: Tolerance) -> Match:
    """Compare two number tokens. Whole numbers must be equal, whatever the tolerance."""
    if stored == new:
        return Match.SAME
    if len(stored) > _LONGEST or len(new) > _LONGEST:
        return Match.FAR
    if _IS_INTEGER.match(stored) and _IS_INTEGER.match(new):
        same = stored.lstrip("+") == new.lstrip("+") or _both_zero(stored, new)
        return Match.VALUE if same else Match.FAR
    try:
        a, b = Decimal(stored), Decimal(new)
        if a == b:
            return Match.VALUE
        if _near(float(a), float(b), tolerance) or _rounds_to(a, b):
            return Match.NEAR
    except (InvalidOperation, OverflowError, ValueError):
        pass
    return Match.FAR


def _both_zero(stored: str, new: str) -> bool:
    return stored.lstrip("+-") == new.lstrip("+-") == "0"


def _near(a: float, b: float, tolerance: Tolerance) -> bool:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b
    return abs(a - b) <= tolerance.atol + tolerance.rtol * max(abs(a), abs(b))


def _rounds_to(a: Decimal, b: Decimal) -> bool:
    """Say whether the number with more decimals, rounded, gives the one with fewer."""
    places_a, places_b = _exponent(a), _exponent(b)
    if places_a == places_b:
        return False
    short, long = (a, b) if places_a > places_b else (b, a)
    # "100." and "1e3" print no decimals: nothing says to which digit they were rounded.
    if _exponent(short) >= 0 and "E" not in str(short):
        return False
    if len(short.as_tuple().digits) < _FEWEST:
        return False
    unit = Decimal(1).scaleb(_exponent(short))
    return any(
        long.quantize(unit, rounding=way) == short for way in (ROUND_HALF_EVEN, ROUND_HALF_UP)
    )


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def rounding_noise(stored: str, new: str, scale: float) -> bool:
    """Say whether two numbers are noise around zero beside siblings as large as `scale`.

    True only where one is exactly zero or their signs differ, and both lie within a few units
    of double precision of `scale`: two positive tiny numbers (p values) are never noise.
    """
    try:
        a, b = Decimal(stored), Decimal(new)  # a float would call 1e-400 zero
    except InvalidOperation:
        return False
    if not (math.isfinite(scale) and float(max(abs(a), abs(b))) <= _EPSILONS * scale):
        return False
    return a == 0 or b == 0 or (a < 0) != (b < 0)


def relative_difference(stored: str, new: str) -> float:
    """Return |a - b| / max(|a|, |b|), infinite where either cannot be read."""
    try:
        a, b = float(stored), float(new)
    except (ValueError, OverflowError):
        return math.inf
    largest = max(abs(a), abs(b))
    if not math.isfinite(largest):
        return math.inf
    return abs(a - b) / largest if largest else 0.0
