"""A record's facts in the words of InvenioRDM."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from deposited_record import facts
from hypothesis import given
from hypothesis import strategies as st
from invenio_server import LICENCES, TYPES

from leman.records.deposit.metadata import described, is_orcid, public, split_name
from leman.records.model import Record

ID = "sha256:" + "ab" * 32


def known(vocabulary: str, word: str) -> bool:
    """Know the words of the test server."""
    return word in {"licenses": LICENCES, "resourcetypes": TYPES}[vocabulary]


def mapped(told: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata and notes of a record with these facts."""
    record = Record(ID, Path("record"), told)
    return described(record, publisher="Zenodo", today=date(2026, 11, 26), known=known)


def test_all_that_a_record_says_of_itself_is_passed_on() -> None:
    """Each field of the description lands where the server's reference has it."""
    metadata, _ = mapped(facts())
    text = metadata.pop("description")
    assert metadata == {
        "title": "Sunspots and carbon dioxide",
        "creators": [
            {
                "person_or_org": {
                    "type": "personal",
                    "family_name": "Carberry",
                    "given_name": "Josiah",
                    "identifiers": [{"scheme": "orcid", "identifier": "0000-0002-1825-0097"}],
                },
                "affiliations": [{"name": "Brown University"}],
            }
        ],
        "publication_date": "2026-11-26",
        "resource_type": {"id": "software-computationalnotebook"},
        "publisher": "Zenodo",
        "identifiers": [{"scheme": "other", "identifier": ID}],
        "dates": [{"date": "2026-11-25", "type": {"id": "created"}}],
        "rights": [{"id": "bsd-3-clause"}],
        "subjects": [{"subject": "sunspots"}, {"subject": "climate"}],
        "related_identifiers": [
            {
                "identifier": "https://git.example.org/ada/sunspots",
                "scheme": "url",
                "relation_type": {"id": "isderivedfrom"},
            },
            {
                "identifier": "swh:1:dir:" + "0a" * 20,
                "scheme": "other",
                "relation_type": {"id": "isderivedfrom"},
            },
            {
                "identifier": "10.1234/paper.5",
                "scheme": "doi",
                "relation_type": {"id": "references"},
            },
        ],
        "version": "1.2",
    }
    assert text.startswith("<p>Two curves, and &lt;what&gt; they share.</p>\n<p>Nothing.</p>")
    assert f"leman verify leman-record-{'ab' * 6}" in text
    assert ID in text


def test_a_record_that_says_nothing_of_itself_has_what_the_server_needs() -> None:
    """Without a description there are a title, a type and a date, and notes on what is missing."""
    metadata, notes = mapped({"format": "leman-record/1"})
    assert metadata["title"]
    assert metadata["creators"] == []
    assert "rights" not in metadata
    assert any("names no author" in one for one in notes)
    assert any("names no licence" in one for one in notes)


@pytest.mark.parametrize(
    ("licence", "rights"),
    [
        ("MIT", [{"id": "mit"}]),
        ("MIT OR Apache-2.0", [{"id": "mit"}, {"id": "apache-2.0"}]),
        ("(MIT AND CC-BY-4.0)", [{"id": "mit"}, {"id": "cc-by-4.0"}]),
    ],
)
def test_licences_that_the_server_knows_are_given_by_their_identifier(
    licence: str, rights: list[dict[str, str]]
) -> None:
    """SPDX identifiers are lower-cased, expressions taken apart."""
    assert mapped(facts(licence=licence))[0]["rights"] == rights


@pytest.mark.parametrize("licence", ["GPL-3.0", "MIT WITH odd-exception", "Do as you like"])
def test_other_licences_are_given_in_words(licence: str) -> None:
    """What the server does not know would be refused, so it is a title, and a note says so."""
    metadata, notes = mapped(facts(licence=licence))
    (right,) = metadata["rights"]
    assert licence in right["title"]["en"]
    assert any(licence in one for one in notes)


@pytest.mark.parametrize(
    ("name", "family", "given_name"),
    [
        ("Josiah Carberry", "Carberry", "Josiah"),
        ("Carberry, Josiah S.", "Carberry", "Josiah S."),
        ("Ludwig van Beethoven", "van Beethoven", "Ludwig"),
        ("Johannes Diderik van der Waals", "van der Waals", "Johannes Diderik"),
        ("Martin Luther King Jr.", "King Jr.", "Martin Luther"),
        ("Lars Holm Nielsen", "Nielsen", "Lars Holm"),
        ("Plato", "Plato", ""),
        ("van Gogh", "Gogh", "van"),
    ],
)
def test_names_are_split(name: str, family: str, given_name: str) -> None:
    """A comma decides; else the last word is the family's, with its particles."""
    assert split_name(name) == (family, given_name)


@pytest.mark.parametrize("name", ["The leman developers", "ATLAS Collaboration", "CSIRO survey"])
def test_groups_are_organisations(name: str) -> None:
    """What is named like a group and has no ORCID is no person."""
    (creator,) = mapped(facts(authors=[{"name": name}]))[0]["creators"]
    assert creator["person_or_org"] == {"type": "organizational", "name": name}


def test_an_orcid_that_is_none_is_left_out_and_told() -> None:
    """The check digit is checked: a wrong identifier would be refused or be somebody else's."""
    assert is_orcid("0000-0002-1825-0097")
    assert is_orcid("0000-0002-1694-233X")
    assert not is_orcid("0000-0002-1825-0098")
    author = {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0098"}
    metadata, notes = mapped(facts(authors=[author]))
    assert "identifiers" not in metadata["creators"][0]["person_or_org"]
    assert any("ORCID of Ada Lovelace" in one for one in notes)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://git.example.org/a/b", "https://git.example.org/a/b"),
        ("https://ada:secret@git.example.org/a?token=x#y", "https://git.example.org/a"),
        ("/home/ada/project", ""),
        ("file:///home/ada/project", ""),
        ("git@git.example.org:a/b", ""),
        ("http://[", ""),
    ],
)
def test_addresses_are_public_ones(url: str, seen: str) -> None:
    """No name, password, query or folder of the author's machine is published."""
    assert public(url) == seen


def test_a_source_with_a_doi_is_named_by_it_once() -> None:
    """Where source and description have one DOI, the record is derived from it."""
    told = facts(doi="10.5281/zenodo.7")
    told["source"]["url"] = "https://doi.org/10.5281/zenodo.7"
    told["source"]["swhid"] = "swh:1:dir:nonsense"
    related = mapped(told)[0]["related_identifiers"]
    assert [(one["identifier"], one["relation_type"]["id"]) for one in related] == [
        ("10.5281/zenodo.7", "isderivedfrom")
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ("title", "authors", "abstract", "licence", "keywords", "version", "doi")


@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.dictionaries(st.sampled_from(("url", "revision", "swhid")), JSON),
    JSON,
)
def test_whatever_facts_hold_the_metadata_has_its_form(
    own: dict[str, Any], source: dict[str, Any], rest: Any
) -> None:
    """Facts of any shape give a title, creators with names and texts without control characters."""
    told = {"description": own, "source": source, "notebooks": rest, "created": rest}
    metadata, _ = mapped(told)
    assert metadata["title"].isprintable()
    for creator in metadata["creators"]:
        who = creator["person_or_org"]
        assert who.get("family_name") or who.get("name")
