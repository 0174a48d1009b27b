"""What the parts of a comparison hand to one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from leman.reproduction.model import Verdict


class Line(NamedTuple):
    """A piece of an output that is compared with its counterpart, and where it stands.

    A line of text, a cell of a table, or a leaf of a JSON document.
    """

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers with a fraction may lie apart: |a - b| <= atol + rtol * max(|a|, |b|)."""

    rtol: float = 1e-9
    atol: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one pair of outputs, before it is placed in its cell.

    `failed` says that the comparison itself broke: nothing may then be concluded.
    """

    verdict: Verdict
    detail: str = ""
    picture: str = ""
    failed: bool = False

    @property
    def equal(self) -> bool:
        """Whether the two outputs were positively found equal."""
        return self.verdict in _ORDER[:3]


_ORDER = (
    Verdict.IDENTICAL,
    Verdict.NORMALISED,
    Verdict.TOLERANT,
    Verdict.NOT_COMPARED,
    Verdict.DIFFERENT,
)


def weakest(judgements: list[Judgement]) -> Judgement:
    """Return the judgement that decides over parts of one output; none at all: identical."""
    if not judgements:
        return Judgement(Verdict.IDENTICAL)
    return max(judgements, key=lambda one: _ORDER.index(one.verdict))
