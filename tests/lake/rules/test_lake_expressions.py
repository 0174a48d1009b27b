"""RSE expressions select what Rucio's do, and say where they cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.lake.model import RSE
from leman.lake.rules.expressions import InvalidRSEExpression, check, evaluate

# The storages of Rucio's own tests (five countries, numbers, two tags) under the names and
# attributes of its documentation.
_AT_EELA: dict[str, str | int | float | bool] = {"cloud": "ES", "tier": 3, "site": "EELA-UNLP"}
RSES = (
    RSE("EELA-UNLP_SCRATCHDISK", "/1", {**_AT_EELA, "type": "SCRATCHDISK", "SPAINSITES": True,
        "istape": False, "n": 10, "country": "at", "tag1": True}),
    RSE("EELA-UNLP_PRODDISK", "/2", {**_AT_EELA, "type": "PRODDISK", "SPAINSITES": "true",
        "n": "20", "country": "de", "tag1": True}),
    RSE("FR_SCRATCHDISK", "/3", {"cloud": "FR", "tier": 2, "type": "SCRATCHDISK", "n": 30,
        "country": "fr", "tag1": True}),
    RSE("FR_TAPE", "/4", {"cloud": "FR", "tier": 1, "type": "TAPE", "istape": True, "n": 40.5,
        "country": "uk", "tag2": True}, writable=False),
    RSE("IT_SCRATCHDISK", "/5", {"cloud": "IT", "tier": 1, "type": "SCRATCHDISK", "n": 50,
        "country": "us", "tag2": True}),
)  # fmt: skip
SELECTED = [
    # Rucio's documentation, chapter "RSE Expressions"
    ("EELA-UNLP_SCRATCHDISK", "1"),
    ("site=EELA-UNLP", "12"),
    ("type=SCRATCHDISK", "135"),
    ("SPAINSITES", "12"),
    ("EELA-UNLP_SCRATCHDISK | EELA-UNLP_PRODDISK", "12"),
    ("tier=1&country=us", "5"),
    ("cloud=ES\\type=SCRATCHDISK", "2"),
    ("tier=2&cloud=FR", "3"),
    ("tier=1\\country=us", "4"),
    ("tier=1\\country=US", "45"),
    ("cloud=IT|cloud=FR&type=SCRATCHDISK", "35"),
    ("(cloud=IT|cloud=FR)&type=SCRATCHDISK", "35"),
    ("type=SCRATCHDISK&(cloud=IT|cloud=FR)", "35"),
    ("type=SCRATCHDISK&cloud=IT|cloud=FR", "345"),
    # Rucio's tests of its parser
    ("country=uk", "4"),
    ("*", "12345"),
    ("tag1", "123"),
    ("(tag1)", "123"),
    ("tag1|tag2", "12345"),
    ("tag1\\FR_SCRATCHDISK", "12"),
    ("tag2&country=uk", "4"),
    ("tag1\\FR_SCRATCHDISK|country=fr", "123"),
    ("tag1\\(FR_SCRATCHDISK|country=fr)", "12"),
    ("(tag1|tag2)\\tag2|tag2&tag1", "123"),
    ("(((((tag1))))|country=us)&tag2|(country=at|country=de)", "125"),
    ("(*)&country=at", "1"),
    ("n<11", "1"),
    ("n<21", "12"),
    ("n>49", "5"),
    ("n>30", "45"),
    ("availability_write=False", "4"),
    # ours
    ("n>=30", "345"),
    ("n<=20", "12"),
    ("country!=us", "1234"),
    ("site!=EELA-UNLP", "345"),
    ("*_SCRATCHDISK", "135"),
    ("EELA*DISK", "12"),
    ("country=u*", "45"),
    ("istape=false", "1"),
    ("tier=1.0", "45"),
    ("n=40.5", "4"),
]


@pytest.mark.parametrize(("expression", "numbers"), SELECTED)
def test_selects(expression: str, numbers: str) -> None:
    """An expression selects what Rucio's documentation and tests say, in the order of names."""
    expected = sorted(rse.name for rse in RSES if rse.address[1:] in numbers)
    assert [rse.name for rse in evaluate(expression, RSES)] == expected
    assert evaluate(expression, RSES[::-1]) == evaluate(expression, RSES)


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("TEST_RSE1|", 10),
        ("TEST_RSE1)", 9),
        ("(TEST_RSE1", 0),
        ("", 0),
        ("a&&b", 2),
        ("a b", 2),
        ("a=", 2),
        ("a=b=c", 3),
        ("=b", 0),
        ("a|()", 3),
        ("a|#", 2),
        ("n<many", 2),
        ("a\\\\b", 2),
        ("((a)|b", 0),
        ("a" * 3001, 3000),
    ],
)
def test_place_of_errors(expression: str, place: int) -> None:
    """What does not parse is refused under Rucio's name, with the place in the text."""
    with pytest.raises(InvalidRSEExpression) as caught:
        check(expression)
    assert caught.value.kind == "InvalidRSEExpression"
    assert caught.value.place == place
    assert caught.value.hint


@pytest.mark.parametrize("expression", ["TEST_RSE999", "n<9", "n>51", "tag1&tag2", "*\\*"])
def test_nothing_fits(expression: str) -> None:
    """An expression that fits no RSE is an error that names those there are."""
    with pytest.raises(InvalidRSEExpression, match="no RSE fits") as caught:
        evaluate(expression, RSES)
    assert "FR_TAPE" in caught.value.hint


def test_deep_nesting() -> None:
    """Fifteen hundred parentheses are no stack overflow."""
    assert len(evaluate("(" * 1499 + "*" + ")" * 1499, RSES)) == 5


@given(st.text(alphabet="abn*=!<>|&\\() 1", max_size=30))
def test_any_text(text: str) -> None:
    """Any text is either an answer or an InvalidRSEExpression whose place is in the text."""
    places = range(-1, len(text) + 1)
    try:
        found: object = evaluate(text, RSES)
    except InvalidRSEExpression as error:
        found = error.place in places
    assert found
