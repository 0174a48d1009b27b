"""Nothing is done to a record that `verify` does not name: one test each."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import tamperings
import tamperings_of_claims as claims
from signed_records import Lab, lab
from tamperings import Tampering

from leman.records.model import Question, Value
from leman.records.verify import verify

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tampering.md"
GROUPS = {
    "The usual ones": tamperings.USUAL,
    "Files": tamperings.FILES,
    "Manifests": tamperings.MANIFESTS,
    "Other tag files": claims.TAGS,
    "Facts": claims.CLAIMS,
    "Signatures, time stamps, statements": claims.PROOFS,
}
TABLE = [one for group in GROUPS.values() for one in group]
ASKED = (Question.INTACT, Question.SIGNED, Question.DATED)


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Make the good record, and what a forger has, once."""
    return lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def copy(laboratory: Lab, tmp_path: Path) -> Path:
    """Return a copy of the good record, to be damaged."""
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    return root


def test_a_good_record_is_intact_signed_and_dated(laboratory: Lab, copy: Path) -> None:
    """The control: without any damage there is no finding, and three answers are yes."""
    check = verify(copy, trust=laboratory.trust)
    assert check.findings == ()
    assert {check.answer(one).value for one in ASKED} == {Value.YES}
    assert [one.problem for one in check.statements] == [""]


@pytest.mark.parametrize("one", TABLE, ids=[one.name for one in TABLE])
def test_tampering_is_named(one: Tampering, laboratory: Lab, copy: Path) -> None:
    """What was done is named: by a finding with its place, or by the answer that is not yes."""
    one.damage(copy, laboratory)
    check = verify(copy, trust=laboratory.trust)
    found = [(finding.code, finding.where) for finding in check.findings]
    places = (one.where,) if isinstance(one.where, str) else one.where
    assert bool(found) == bool(one.code)
    assert not one.code or any((one.code, place) in found for place in places), found
    bad = " ".join(str(ask) for ask in ASKED if check.answer(ask).value is not Value.YES)
    assert bad == one.no, [check.answer(ask) for ask in ASKED]
    text = [finding.message + finding.where for finding in check.findings]
    assert all(line.isprintable() for line in text), "nothing that a terminal would obey"


def test_names_are_unique() -> None:
    """Each row of the table has a name of its own."""
    assert len({one.name for one in TABLE}) == len(TABLE)


@pytest.mark.parametrize("title", GROUPS)
def test_the_page_lists_what_is_tested(title: str) -> None:
    """Each table of the reference page has the rows of the test: same names, code and answers."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.*?) \| (.*?) \|$", section, re.MULTILINE)[1:]
    told = [(name, code.strip("`"), no) for name, code, no in rows]
    assert told == [(one.name, one.code, one.no.replace(" ", ", ")) for one in GROUPS[title]]
