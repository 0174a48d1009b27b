"""Rucio's filters: what they find, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leman.lake.catalogue import NewDID
from leman.lake.catalogue.filters import Comparison, parse
from leman.lake.model import DID, DIDType, LakeError

if TYPE_CHECKING:
    from leman.lake.catalogue import Catalogue
    from leman.lake.catalogue.filters import Filters


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("", ()),
        ({}, ()),
        ("a=1", ((("a", "=", 1),),)),
        ("a>=1.5, b!=x", ((("a", ">=", 1.5), ("b", "!=", "x")),)),
        ("a<1;b=true", ((("a", "<", 1),), (("b", "=", True),))),
        ("1<=a<10", ((("a", ">=", 1), ("a", "<", 10)),)),
        ("10 > a >= 1", ((("a", "<", 10), ("a", ">=", 1)),)),
        ({"a.gte": "1", "b": "x*"}, ((("a", ">=", 1), ("b", "=", "x*")),)),
        ([{"a": 1}, {"a": 2}], ((("a", "=", 1),), (("a", "=", 2),))),
        ({"name": "123"}, ((("name", "=", "123"),),)),
        ({"a.b": 1}, ((("a.b", "=", 1),),)),
        ("a='1'", ((("a", "=", "1"),),)),
        (
            "created_after=2026-01-02",
            ((("created_at", ">=", datetime(2026, 1, 2, tzinfo=UTC)),),),
        ),
    ],
)
def test_filters_are_parsed_as_rucio_does(filters: Filters, expected: Any) -> None:
    """Both forms give comparisons with typed values."""
    assert parse(filters) == tuple(tuple(Comparison(*one) for one in group) for group in expected)


@pytest.mark.parametrize(
    "filters",
    [
        "a",
        "=1",
        "a=",
        "a==1",
        "a=1,",
        ";",
        "a=1=2",
        "a>x*",
        "1<a",
        "a<b>c!=d",
        {"a": []},
        {1: 2},
        7,
        [1],
        ",".join(f"k{n}=1" for n in range(300)),
        "a=" + "x" * 600,
        "a=" + "*x" * 11,
    ],
)
def test_what_is_no_filter_is_told(filters: Any) -> None:
    """Anything else is DIDFilterSyntaxError, except a mirrored comparison, which is one."""
    if filters == "1<a":
        assert parse(filters) == ((Comparison("1", "<", "a"),),)  # as Rucio reads it
        return
    with pytest.raises(LakeError) as caught:
        parse(filters)
    assert caught.value.kind == "DIDFilterSyntaxError"


def test_one_criterion_twice_is_told() -> None:
    """As in Rucio, the same key with the same operator is a mistake."""
    with pytest.raises(LakeError) as caught:
        parse("a=1,a=2")
    assert caught.value.kind == "DuplicateCriteriaInDIDFilter"


@given(st.text(alphabet="ab01.*,;=<>!'\"\\%_ ()-\0é", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text brings the parser to anything but comparisons or LakeError."""
    try:
        groups = parse(text)
    except LakeError:
        return
    assert all(one.key for group in groups for one in group)


FOUND: tuple[tuple[Filters, str | None], ...] = (
    ("", "run1 run10 run2 ru_n Run1"),
    ("name=run*", "run1 run10 run2"),
    ("name=*n1", "run1 Run1"),
    ("name=ru_n", "ru_n"),
    ("name=ru_*", "ru_n"),
    ("name=r*1*", "run1 run10"),
    ("name!=run*", "ru_n Run1"),
    ("name=run1", "run1"),
    ("number>=2", "run10 run2"),
    ("number=1", "run1"),
    ("1<=number<10", "run1 run2"),
    ("number!=1", "run10 run2"),
    ("project=at*", "run1 run2"),
    ("project=%", ""),
    ("project=*", "run1 run10 run2"),
    ("project>b", "run10"),
    ("good=true", "run1"),
    ("good=false", "run2"),
    ("good=1", ""),
    ("number=1;number=10", "run1 run10"),
    ("number>0,project=cms", "run10"),
    ("day>=2026-02-01", "run2"),
    ("length=0", "run1 run10 run2 ru_n Run1"),
    ("is_open=true,name=run2", "run2"),
    ("bytes>1e30", ""),
    ("bytes<1e30,name=run2", "run2"),
    ("created_after=2020-01-01,name=run2", "run2"),
    ("created_before=2020-01-01", ""),
    ("account=ada,scope=user.ada,name=run1", "run1"),
    ("did_type=FILE", ""),
    ("number=9" + "9" * 400, ""),
    ("name=' OR 1=1 --", None),
    ("name=x' OR 'a'*", ""),
    ("name; DROP TABLE dids", None),
    ("length=abc", None),
    ("created_at=yesterday", None),
    ({"number.gt": 1, "project.ne": "cms"}, "run2"),
)


def test_filters_find_the_same_in_every_database(catalogue: Catalogue) -> None:
    """Names by wildcard with case, numbers as numbers, texts as texts; None: refused."""
    given_metadata: dict[str, dict[str, Any]] = {
        "run1": {"number": 1, "project": "atlas", "good": True, "day": "2026-01-01"},
        "run10": {"number": 10.0, "project": "cms", "day": "2025-12-31"},
        "run2": {"number": 2, "project": "at%las", "good": False, "day": "2026-02-01"},
        "ru_n": {},
        "Run1": {"number": "one"},
    }
    new = [
        NewDID(DID("user.ada", name), DIDType.DATASET, metadata=values)
        for name, values in given_metadata.items()
    ]
    catalogue.dids.add(new, account="ada")
    for filters, expected in FOUND:
        try:
            names = [one.did.name for one in catalogue.dids.find("user.ada", filters)]
        except LakeError as error:
            assert (error.kind, expected) == ("DIDFilterSyntaxError", None), filters  # noqa: PT017
        else:
            assert expected is not None, filters
            assert names == sorted(expected.split()), filters
