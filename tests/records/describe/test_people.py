"""Authors in a line, ORCID iDs and CRediT roles."""

from __future__ import annotations

import pytest

from leman.records.describe.people import ROLES, author, is_orcid, role
from leman.records.model import Person

ADA = "0000-0002-1825-0097"


@pytest.mark.parametrize(
    "identifier", [ADA, "0000-0001-5109-3700", "0000-0002-1694-233X", "0000-0002-1694-233x"]
)
def test_the_iDs_that_orcid_documents_are_right(identifier: str) -> None:  # noqa: N802
    """ORCID's own examples have the right check digit, and no other digit will do."""
    assert is_orcid(identifier)
    wrong = [digit for digit in "0123456789X" if digit != identifier[-1].upper()]
    assert not any(is_orcid(identifier[:-1] + digit) for digit in wrong)


@pytest.mark.parametrize("identifier", ["", "0000", "0000-0002-1825-00970", "abcd-0002-1825-0097"])
def test_what_has_not_the_form_is_no_id(identifier: str) -> None:
    """Too short, too long, letters: none is an ORCID iD."""
    assert not is_orcid(identifier)


@pytest.mark.parametrize(
    ("line", "person"),
    [
        ("Ada Lovelace", Person("Ada Lovelace")),
        (f"Ada Lovelace <{ADA}>", Person("Ada Lovelace", ADA)),
        (f"Ada Lovelace, https://orcid.org/{ADA}; Society", Person("Ada Lovelace", ADA, "Society")),
        (f"Ada Lovelace ({ADA})", Person("Ada Lovelace", ADA)),
        ("Ada Lovelace <ada@example.org>", Person("Ada Lovelace")),
        (
            f"Ada <ada@example.org> <{ADA}>; A, B [software]",
            Person("Ada", ADA, "A, B", ("Software",)),
        ),
        ("Ada Lovelace; Society, London", Person("Ada Lovelace", "", "Society, London")),
        ("Ada [SOFTWARE; Data Curation]", Person("Ada", "", "", ("Software", "Data curation"))),
        ("Ørsted-Müller d'Été", Person("Ørsted-Müller d'Été")),
    ],
)
def test_authors_are_read_as_people_write_them(line: str, person: Person) -> None:
    """A name, an iD in any of its forms, an institute, roles; mail addresses are left out."""
    assert author(line, "--author") == (person, [])


@pytest.mark.parametrize("line", ["", "  ", "<ada@example.org>", f"<{ADA}>"])
def test_a_line_without_a_name_is_nobody(line: str) -> None:
    """What has no name is left out."""
    assert author(line, "--author")[0] is None


@pytest.mark.parametrize("line", ["Ada <0000-0002-1825-0098>", "Ada <0000-0002-1825>"])
def test_a_mistyped_id_is_told(line: str) -> None:
    """A wrong check digit or a missing group is a finding; the author stays."""
    person, findings = author(line, "--author")
    assert person == Person("Ada")
    assert [one.code for one in findings] == ["orcid-invalid"]


def test_roles_are_known_in_any_spelling() -> None:
    """Case, kinds of dashes, `and` for `&`, and the address of a role make no difference."""
    assert len(ROLES) == 14
    for name, slug in ROLES.items():
        spellings = [name, name.upper(), name.replace("\u2013", "-"), name.replace("&", "and")]
        spellings += [slug, f"https://credit.niso.org/contributor-roles/{slug}/"]
        assert {role(one) for one in spellings} == {name}
    assert role("Visualisation") == "Visualization"
    assert role("Boss") == role("") == ""
