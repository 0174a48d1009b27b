"""A source is described from what its author keeps there; what is given by hand wins."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leman.records.describe import Wishes, describe, mistakes
from leman.records.describe.codes import FINDING_CODES
from leman.records.model import Description, Person

if TYPE_CHECKING:
    from pathlib import Path

    from leman.findings import Finding

ADA = "0000-0002-1825-0097"
CFF = f"""\
cff-version: 1.2.0
message: Please cite
title: "Sunspots: a study"
type: software
authors:
  - given-names: Ada
    name-particle: von
    family-names: Lovelace
    orcid: https://orcid.org/{ADA}
    affiliation: Analytical Society
  - name: The Engine Team
abstract: >-
  Counts of sunspots
  over the years.
license: MIT
keywords: [sun, spots]
version: 1.10
doi: 10.5281/zenodo.1234
preferred-citation:
  type: article
  title: The paper
  doi: 10.1000/paper
  authors: [{{given-names: Someone, family-names: Else}}]
"""
MIT = """MIT License

Copyright (c) 2020 Ada Lovelace

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction.
The above copyright notice and this permission notice shall be included in all copies.
"""


def described(root: Path, wishes: Wishes | None = None) -> tuple[Description, list[Finding]]:
    """Describe a folder that has no history."""
    description, findings = describe(root, None, wishes or Wishes())
    return description, list(findings)


def codes(findings: list[Finding]) -> set[str]:
    """Return the codes of findings."""
    return {one.code for one in findings}


def test_a_citation_file_says_it_all(tmp_path: Path) -> None:
    """CITATION.cff gives title, people, abstract, licence, keywords, version and DOI."""
    (tmp_path / "CITATION.cff").write_text(CFF)
    description, findings = described(tmp_path)
    assert description == Description(
        title="Sunspots: a study",
        authors=(
            Person("Ada von Lovelace", ADA, "Analytical Society"),
            Person("The Engine Team"),
        ),
        abstract="Counts of sunspots over the years.",
        licence="MIT",
        keywords=("sun", "spots"),
        version="1.10",
        doi="10.5281/zenodo.1234",
        origins=("CITATION.cff",),
    )
    assert not findings


def test_a_preferred_citation_fills_gaps_but_its_doi_is_another_work(tmp_path: Path) -> None:
    """Title and people of the paper stand in; its DOI does not name the notebooks."""
    (tmp_path / "CITATION.cff").write_text(
        "preferred-citation:\n  title: The paper\n  doi: 10.1000/paper\n"
        "  authors: [{given-names: Ada, family-names: Lovelace}]\n"
    )
    description, _ = described(tmp_path)
    assert (description.title, description.authors) == ("The paper", (Person("Ada Lovelace"),))
    assert description.doi == ""


def test_codemeta_3_gives_people_and_their_roles(tmp_path: Path) -> None:
    """Entries of type Role point to people; those roles that CRediT has are kept."""
    author: dict[str, Any] = {
        "type": "Person",
        "id": f"https://orcid.org/{ADA}",
        "givenName": "Ada",
    }
    author |= {"familyName": "Lovelace", "affiliation": {"type": "Organization", "name": "Society"}}
    roles = [
        {"type": "Role", "schema:author": f"https://orcid.org/{ADA}", "schema:roleName": name}
        for name in ("software", "Writing - review and editing", "Queen")
    ]
    value = {
        "@context": "https://w3id.org/codemeta/3.0",
        "type": "SoftwareSourceCode",
        "name": "Engine",
        "author": [author, *roles],
        "license": "https://spdx.org/licenses/Apache-2.0",
        "keywords": "a, b",
        "identifier": {"@type": "PropertyValue", "value": "https://doi.org/10.5281/zenodo.9"},
        "version": 2,
    }
    (tmp_path / "codemeta.json").write_text(json.dumps(value))
    description, findings = described(tmp_path)
    expected = ("Software", "Writing – review & editing")  # noqa: RUF001 - as CRediT writes it
    assert description.authors == (Person("Ada Lovelace", ADA, "Society", expected),)
    assert description.licence == "Apache-2.0"
    assert (description.version, description.doi) == ("2", "10.5281/zenodo.9")
    assert description.keywords == ("a", "b")
    assert codes(findings) == {"abstract-missing"}


def test_codemeta_2_and_expanded_names_are_read(tmp_path: Path) -> None:
    """Keywords with @, value objects, lists and names of schema.org make no difference."""
    value = {
        "@graph": [
            {
                "@type": "SoftwareSourceCode",
                "schema:name": {"@value": "Engine"},
                "author": {
                    "@list": [{"@type": "Person", "@id": f"https://orcid.org/{ADA}", "name": "Ada"}]
                },
                "license": {"@id": "https://spdx.org/licenses/GPL-3.0+.html"},
            }
        ]
    }
    (tmp_path / "codemeta.json").write_text(json.dumps(value))
    description, _ = described(tmp_path)
    assert description.title == "Engine"
    assert description.authors == (Person("Ada", ADA),)
    assert description.licence == "GPL-3.0-or-later"


def test_a_deposit_of_zenodo_is_read(tmp_path: Path) -> None:
    """Names are turned round, HTML becomes text, short names of licences are known."""
    value = {
        "title": "Deposit",
        "creators": [{"name": "Lovelace, Ada", "orcid": ADA, "affiliation": "Society"}],
        "description": "<p>One &amp; two.</p><p>Three <b>four</b>.</p>",
        "license": "cc-by-4.0",
        "keywords": ["x"],
    }
    (tmp_path / ".zenodo.json").write_text(json.dumps(value))
    description, _ = described(tmp_path)
    assert description.authors == (Person("Ada Lovelace", ADA, "Society"),)
    assert description.abstract == "One & two.\n\nThree four ."
    assert description.licence == "CC-BY-4.0"


def test_a_project_file_gives_authors_and_licence_but_a_readme_the_title(tmp_path: Path) -> None:
    """The name of a distribution is a title only where nothing else is."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "sun-spots"\nversion = "3"\ndescription = "Count spots."\n'
        'authors = [{name = "Ada", email = "ada@example.org"}]\n'
        'license = {text = "MIT"}\nkeywords = ["sun"]\n'
    )
    description, _ = described(tmp_path)
    assert (description.title, description.licence) == ("sun-spots", "MIT")
    assert description.authors == (Person("Ada"),)
    (tmp_path / "README.md").write_text("# Spots on the sun\n\nA longer text on the sun.\n")
    description, _ = described(tmp_path)
    assert description.title == "Spots on the sun"
    assert description.abstract == "Count spots."
    assert description.origins == ("pyproject.toml", "README.md")


@pytest.mark.parametrize(
    ("table", "licence"),
    [
        ('license = "BSD-3-Clause OR Apache-2.0"', "Apache-2.0 OR BSD-3-Clause"),
        (
            'classifiers = ["License :: OSI Approved :: GNU GPL v2 or later (GPLv2+)"]',
            "GPL-2.0-or-later",
        ),
        ('license = {file = "LICENSE"}\nclassifiers = ["License :: OSI Approved :: BSD"]', ""),
    ],
)
def test_licences_of_project_files_are_expressions(
    tmp_path: Path, table: str, licence: str
) -> None:
    """An SPDX expression, a classifier without doubt; "BSD" alone could be any of four."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\n{table}\n')
    found = described(tmp_path)[0].licence
    assert sorted(found.split()) == sorted(licence.split())


def test_poetry_and_setup_cfg_are_read(tmp_path: Path) -> None:
    """Older project files say the same in other words; what they compute stays unknown."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "p"\nauthors = ["Ada Lovelace <ada@example.org>"]\n'
    )
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nname = s\nversion = attr: s.__version__\nlicense = MIT License\n"
        "author = Bob\nkeywords = a, b\n"
    )
    description, _ = described(tmp_path)
    assert description.authors == (Person("Ada Lovelace"),)
    assert (description.title, description.licence, description.version) == ("p", "MIT", "")


def test_a_notebook_gives_its_heading(tmp_path: Path) -> None:
    """Without a README the first notebook in natural order names the work."""
    for name, heading in (("fig10.ipynb", "Later"), ("fig2.ipynb", "Sooner")):
        cells = [{"cell_type": "code", "source": "# no"}]
        cells += [
            {"cell_type": "markdown", "source": f"# {heading}\n\nWhat is told in the notebook."}
        ]
        (tmp_path / name).write_text(json.dumps({"cells": cells}))
    description, _ = described(tmp_path)
    assert (description.title, description.abstract) == ("Sooner", "What is told in the notebook.")


def test_what_is_given_wins_and_mistakes_in_it_are_errors(tmp_path: Path) -> None:
    """Wishes come first; a mistyped iD or licence that was typed just now is an error."""
    (tmp_path / "CITATION.cff").write_text(CFF)
    wishes = Wishes(
        title="Mine",
        authors=(f"Bob Ro <{ADA}>; Institute [Software; writing - original draft]",),
        abstract="Short.",
        licence="cc-by-4.0",
        keywords=("k",),
        version="9",
    )
    description, findings = described(tmp_path, wishes)
    roles = ("Software", "Writing – original draft")  # noqa: RUF001 - as CRediT writes it
    assert description == Description(
        "Mine",
        (Person("Bob Ro", ADA, "Institute", roles),),
        "Short.",
        "CC-BY-4.0",
        ("k",),
        "9",
        "10.5281/zenodo.1234",
        ("CITATION.cff",),
    )
    assert not findings
    wishes = Wishes(authors=("Bob <0000-0002-1825-0098> [Boss]",), licence="Mine")
    _, findings = described(tmp_path, wishes)
    errors = {one.code for one in findings if one.severity == "error"}
    assert errors == {"orcid-invalid", "role-unknown", "licence-unknown"}
    assert {one.code for one in mistakes(wishes)} == errors


def test_a_bare_folder_tells_its_author_what_to_add(tmp_path: Path) -> None:
    """Title, authors, licence and abstract are asked for, each with what to do."""
    description, findings = described(tmp_path)
    assert description == Description("Untitled")
    wanted = {"title-missing", "authors-missing", "licence-missing", "abstract-missing"}
    assert codes(findings) == wanted
    assert all(one.fix for one in findings)


def test_a_licence_that_differs_from_its_text_is_told(tmp_path: Path) -> None:
    """CITATION.cff says Apache-2.0, the file LICENSE is MIT: the author should know."""
    (tmp_path / "CITATION.cff").write_text(CFF.replace("license: MIT", "license: Apache-2.0"))
    (tmp_path / "LICENSE").write_text(MIT)
    description, findings = described(tmp_path)
    assert description.licence == "Apache-2.0"
    assert codes(findings) == {"licence-differs"}
    assert not described(tmp_path, Wishes(licence="MIT"))[1]


def test_the_history_names_people_but_no_programs(tmp_path: Path) -> None:
    """Authors by commits, bots left out, names joined by .mailmap, the author asked to check."""
    root = tmp_path / "repo"
    root.mkdir()

    def git(*arguments: str, name: str = "Ada", mail: str = "ada@example.org") -> None:
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_COMMITTER_NAME": name}
        who |= {"GIT_COMMITTER_EMAIL": mail, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        subprocess.run(["git", *arguments], cwd=root, env=who, check=True, capture_output=True)

    def commit(name: str, mail: str) -> None:
        git("commit", "-q", "--allow-empty", "-m", "x", name=name, mail=mail)

    git("init", "-q")
    (root / ".mailmap").write_text("Ada Lovelace <ada@example.org> <al@home>\n")
    git("add", ".mailmap")
    commit("al", "al@home")
    commit("Ada Lovelace", "ada@example.org")
    for _ in range(3):
        commit("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
    commit("BobRo", "bob@example.org")
    commit("Bob Ro", "bob@home")
    commit("b", "bob@home")
    commit("a", "bob@home")
    # What the configuration of a hostile repository would make git run or read must not matter.
    git("config", "core.pager", "false")
    git("config", "mailmap.file", "/dev/null")
    git("config", "core.hooksPath", str(tmp_path))
    description, findings = describe(root, root / ".git", Wishes())
    assert description.authors == (Person("Bob Ro"), Person("Ada Lovelace"))
    assert description.origins == ("history",)
    assert "authors-from-history" in codes(list(findings))
    shallow = tmp_path / "shallow"
    run = ["git", "clone", "-q", "--depth", "1", f"file://{root}", str(shallow)]
    subprocess.run(run, check=True, capture_output=True)
    description, _ = describe(shallow, shallow / ".git", Wishes())
    assert description.authors == (Person("a"),)


def test_a_history_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    """A git directory without commits, or none at all, leaves the authors open."""
    for git_dir in (tmp_path / "none", tmp_path):
        description, findings = describe(tmp_path, git_dir, Wishes())
        assert not description.authors
        assert "authors-missing" in codes(list(findings))


HOSTILE = {
    "a billion laughs": "a: &a [x, x]\nb: &b [*a, *a]\nauthors: [*b, *b, {name: *b}]\ntitle: *b\n",
    "recursion": "authors: &a [*a]\ntitle: &t {x: *t}\n",
    "tags": "title: !!python/object/apply:os.system [echo]\nauthors: !x [!!binary aGk=]\n",
    "depth": "title: " + "[" * 5_000,
    "depth of blocks": "title:\n" + "".join(f"{' ' * n}-\n" for n in range(1_000)),
    "no table": "- a\n- b\n",
    "no YAML": "a: b: c\n\t- {",
    "wrong kinds": "title: [1]\nauthors: Ada\nabstract: {a: b}\nlicense: {x: y}\nkeywords: {}\n",
    "wrong people": "authors: [Ada, 1, [x], {family-names: [x], orcid: {a: b}}]\n",
    "controls": 'title: "a\\u001b[31mb\\u202ec\\0"\n',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_citation_files_become_findings(tmp_path: Path, content: str) -> None:
    """Nothing is run, nothing raised; what cannot be read is told."""
    (tmp_path / "CITATION.cff").write_text(content)
    description, findings = described(tmp_path)
    assert all(ord(letter) >= 32 and letter != "\u202e" for letter in description.title)
    assert findings
    assert codes(findings) <= set(FINDING_CODES)


def test_files_that_must_not_be_read_are_not(tmp_path: Path) -> None:
    """Links that leave the source, pipes and files beyond all measure are told and left out."""
    outside = tmp_path / "outside"
    outside.write_text(CFF)
    root = tmp_path / "source"
    root.mkdir()
    (root / "CITATION.cff").symlink_to(outside)
    os.mkfifo(root / "LICENSE")
    (root / "codemeta.json").write_bytes(b" " * 2_000_000)
    description, findings = described(root)
    assert description.title == "Untitled"
    assert {"link-outside", "not-a-file", "file-too-large"} <= codes(findings)


NAMES = ("CITATION.cff", "codemeta.json", ".zenodo.json", "pyproject.toml", "setup.cfg")
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("10.5281/x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ENTRIES = st.dictionaries(
    st.sampled_from(
        [
            *("title", "name", "author", "authors", "creators", "license", "keywords", "version"),
            *("doi", "description", "abstract", "identifier", "identifiers", "@graph", "project"),
            *("preferred-citation", "@id", "type", "affiliation"),
        ]
    ),
    VALUES,
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(NAMES), value=ENTRIES, noise=st.binary(max_size=30))
def test_no_metadata_file_stops_a_description(
    tmp_path: Path, name: str, value: dict[str, object], noise: bytes
) -> None:
    """Whatever is in these files, of whatever kind, the answer is a description."""
    for content in (json.dumps(value).encode(), noise, b'[project]\nlicense = "' + noise):
        (tmp_path / name).write_bytes(content)
        description, _ = described(tmp_path)
        description.title.encode()
        "".join(one.name for one in description.authors).encode()
    (tmp_path / name).unlink()
