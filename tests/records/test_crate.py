"""A record's descriptor is an RO-Crate 1.1 and a Process Run Crate 0.5 that anybody can read."""

from __future__ import annotations

import copy
import json
import os
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from rocrate.rocrate import ROCrate

from leman.records.crate import NAME, PROFILE, write_crate

if TYPE_CHECKING:
    from pathlib import Path

ADA = "https://orcid.org/0000-0002-1825-0097"
DIGEST = "f0c9ba1133979a5cf8e4367b4c8eb9f6337dfa5ee4b3f346238db68f655b293a"
LOCK = f"report/environments/{DIGEST[:12]}/pylock.toml"
COMMIT = "9940ca9648241558412800805fd968ddef05b9de"


def notebook(path: str, status: str = "ran", *, executed: bool = True) -> dict[str, Any]:
    """Return the facts of one notebook."""
    return {
        "path": path,
        "executed": f"report/notebooks/{path}" if executed else "",
        "status": status,
        "same": "exact" if status == "ran" else "not-compared",
        "environment": DIGEST if status != "skipped" else "",
    }


FACTS: dict[str, Any] = {
    "format": "leman-record/1",
    "leman": "0.1.0",
    "created": "2026-11-25T13:00:00+00:00",
    "description": {
        "title": "Sunspots",
        "authors": [
            {
                "name": "Ada Lovelace",
                "orcid": ADA.rpartition("/")[2],
                "affiliation": "Society",
                "roles": ["Software", "Writing – original draft"],  # noqa: RUF001 - as in CRediT
            },
            {"name": "Bob Ro", "orcid": "", "affiliation": "Society", "roles": []},
        ],
        "abstract": "Counts of spots.",
        "licence": "CC-BY-4.0",
        "keywords": ["sun"],
        "version": "1.0",
        "doi": "10.5281/zenodo.1",
        "origins": ["README.md", "history"],
    },
    "source": {
        "url": "https://example.org/ada/sunspots",
        "revision": COMMIT,
        "content_id": f"git:{COMMIT}",
        "swhid": f"swh:1:dir:{COMMIT}",
    },
    "environments": [
        {
            "digest": DIGEST,
            "python": "3.11.7",
            "cutoff": "2023-06-01",
            "lock": LOCK,
            "notebooks": ["a.ipynb"],
        }
    ],
    "notebooks": [
        notebook("a.ipynb"),
        notebook("sub dir/b #1 é?.ipynb", "failed"),
        notebook("c.ipynb", "failed", executed=False),
        notebook("d.ipynb", "skipped", executed=False),
    ],
    "exempt": [],
    "references": [
        {"path": "big.csv", "url": "https://example.org/big.csv", "size": 5, "sha256": "ab" * 32}
    ],
    "answers": {},
}
REPORT = {
    "started": "2026-11-25T12:57:35+00:00",
    "seconds": 24.5,
    "notebooks": [{"path": "c.ipynb", "reason": "missing-file", "message": "no x.csv"}],
}


def payload(root: Path, facts: dict[str, Any], *, report: object = REPORT) -> Path:
    """Lay out the files that some facts tell of."""
    data = root / "data"
    for one in facts["notebooks"]:
        for path in (f"source/{one['path']}", one["executed"]):
            if path:
                (data / path).parent.mkdir(parents=True, exist_ok=True)
                (data / path).write_text("{}")
    for path in ("source/README.md", "report/report.html", LOCK, "leman-record.json"):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text("x")
    (data / "report/report.json").write_text(json.dumps(report))
    return data


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing ask a network."""

    def refuse(*_: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a payload whose descriptor is written."""
    folder = payload(tmp_path, FACTS)
    write_crate(folder, FACTS)
    return folder


def graph(data: Path) -> dict[str, dict[str, Any]]:
    """Return the entities of a descriptor by identifier; none may be there twice."""
    told = json.loads((data / NAME).read_text())["@graph"]
    found = {one["@id"]: one for one in told}
    assert len(found) == len(told)
    return found


def ids(value: Any) -> list[str]:
    """Return the identifiers that a property leads to."""
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_the_root_says_what_the_work_is(data: Path) -> None:
    """Title, abstract, date, licence, people, DOI and the profile are those of the facts."""
    told = graph(data)
    root = told["./"]
    assert (root["name"], root["description"]) == ("Sunspots", "Counts of spots.")
    assert root["datePublished"] == "2026-11-25T13:00:00+00:00"
    assert ids(root["license"]) == ["https://spdx.org/licenses/CC-BY-4.0"]
    assert ids(root["conformsTo"]) == [PROFILE]
    assert ids(root["author"]) == [ADA, "#author-2"]
    assert root["identifier"] == "https://doi.org/10.5281/zenodo.1"
    assert (root["keywords"], root["version"]) == ("sun", "1.0")
    assert (
        told[ADA]["affiliation"] == told["#author-2"]["affiliation"] == {"@id": "#organisation-1"}
    )
    version = told[NAME]["conformsTo"]
    assert version == {"@id": "https://w3id.org/ro/crate/1.1"}


def test_roles_lead_to_people_and_to_credit(data: Path) -> None:
    """Each CRediT role is a Role between the work and the person."""
    told = graph(data)
    roles = [told[one] for one in ids(told["./"]["contributor"])]
    assert [one["roleName"] for one in roles] == FACTS["description"]["authors"][0]["roles"]
    assert all(one["contributor"] == {"@id": ADA} for one in roles)
    assert roles[1]["url"] == "https://credit.niso.org/contributor-roles/writing-original-draft/"


def test_every_run_is_an_action(data: Path) -> None:
    """Who ran what with what, on what, when, with which result; what was skipped has none."""
    told = graph(data)
    assert ids(told["./"]["mentions"]) == [
        "#run-a.ipynb",
        "#run-sub%20dir/b%20%231%20%C3%A9%3F.ipynb",
        "#run-c.ipynb",
    ]
    run = told["#run-a.ipynb"]
    assert ids(run["object"]) == ["source/a.ipynb", LOCK, "source/"]
    assert ids(run["result"]) == ["report/notebooks/a.ipynb"]
    assert ids(run["agent"]) == [ADA, "#author-2"]
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "error" not in run
    assert run["startTime"] == "2026-11-25T12:57:35+00:00"
    assert run["endTime"] == "2026-11-25T12:57:59+00:00"
    leman, python = (told[one] for one in ids(run["instrument"]))
    assert (leman["name"], leman["softwareVersion"]) == ("leman", "0.1.0")
    assert (python["name"], python["softwareVersion"]) == ("Python", "3.11.7")


def test_a_failed_run_tells_its_error(data: Path) -> None:
    """The reason is that of the report; without an executed notebook the report is the result."""
    run = graph(data)["#run-c.ipynb"]
    assert run["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert run["error"] == "missing-file: no x.csv"
    assert ids(run["result"]) == ["report/report.json"]


def test_source_lock_and_references_are_told(data: Path) -> None:
    """The SWHID, where the source came from, what the lock is, and how to get what is not here."""
    told = graph(data)
    assert told["source/"]["identifier"] == FACTS["source"]["swhid"]
    origin = told[told["source/"]["isBasedOn"]["@id"]]
    assert origin["codeRepository"] == FACTS["source"]["url"]
    assert (origin["version"], origin["identifier"]) == (COMMIT, f"swh:1:rev:{COMMIT}")
    assert told[LOCK]["conformsTo"] == {"@id": "https://peps.python.org/pep-0751/"}
    reference = told["https://example.org/big.csv"]
    assert reference["contentUrl"] == reference["@id"]
    assert (reference["contentSize"], reference["sha256"]) == ("5", "ab" * 32)
    assert reference["alternateName"] == "source/big.csv"
    assert "source/README.md" in ids(told["source/"]["hasPart"])


def test_every_file_is_there_and_every_link_leads_somewhere(data: Path) -> None:
    """The crate tells of no file that is not in the payload, and of no entity that it lacks."""
    told = graph(data)
    parts = set(ids(told["./"]["hasPart"]))
    for identifier, one in told.items():
        kinds = one["@type"] if isinstance(one["@type"], list) else [one["@type"]]
        if {"File", "Dataset"} & set(kinds) and identifier != "./":
            assert identifier in parts
            path = re.sub(r"%([0-9A-F]{2})", lambda hit: chr(int(hit[1], 16)), identifier)
            name = os.fsdecode(path.encode("latin-1"))
            assert identifier.startswith("https://") or (data / name).exists()
        for key, value in one.items():
            for link in value if isinstance(value, list) else [value]:
                if isinstance(link, dict) and (identifier, key) != (NAME, "conformsTo"):
                    assert link["@id"] in told


def test_the_library_reads_what_it_wrote(data: Path) -> None:
    """Others load the crate and find its people, runs and files."""
    crate = ROCrate(data)
    assert crate.root_dataset["name"] == "Sunspots"
    assert [one["name"] for one in crate.root_dataset["author"]] == ["Ada Lovelace", "Bob Ro"]
    assert len(crate.get_by_type("CreateAction")) == 3
    assert crate.get("source/a.ipynb")["encodingFormat"] == "application/x-ipynb+json"


def test_the_same_facts_give_the_same_bytes_and_nothing_else(tmp_path: Path) -> None:
    """No clock, no random identifier; no other file is written or changed."""
    data = payload(tmp_path, FACTS)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    write_crate(data, copy.deepcopy(FACTS))
    first = (data / NAME).read_bytes()
    write_crate(data, FACTS)
    assert (data / NAME).read_bytes() == first
    after = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert {path: when for path, when in after.items() if path.name != NAME} == before


@pytest.mark.parametrize(
    ("expression", "name", "parts"),
    [
        ("", "No licence stated", []),
        ("MIT", "MIT", []),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0", ["MIT", "Apache-2.0"]),
    ],
)
def test_a_crate_always_has_a_licence(
    tmp_path: Path, expression: str, name: str, parts: list[str]
) -> None:
    """RO-Crate requires one: that none is stated is said, an expression names its parts."""
    facts = copy.deepcopy(FACTS)
    facts["description"]["licence"] = expression
    data = payload(tmp_path, facts)
    write_crate(data, facts)
    told = graph(data)
    licence = told[told["./"]["license"]["@id"]]
    assert licence["name"] == name
    assert [told[one]["name"] for one in ids(licence.get("mentions", []))] == parts


@pytest.mark.parametrize("report", ["no report", [], {"started": 1}, {"notebooks": [1]}])
def test_a_report_that_says_nothing_is_no_obstacle(tmp_path: Path, report: object) -> None:
    """Without times and words of errors the actions have neither, but are there."""
    data = payload(tmp_path, FACTS, report=report)
    write_crate(data, FACTS)
    told = graph(data)
    assert "endTime" not in told["#run-a.ipynb"]
    assert told["#run-c.ipynb"]["error"] == "it did not run to its end"


def test_the_least_facts_are_enough(tmp_path: Path) -> None:
    """No authors, no notebooks, a source on somebody's disk: no path of that disk is told."""
    facts = {"created": "2026-11-25", "source": {"url": "/home/ada/secret"}, "notebooks": []}
    data = payload(tmp_path, facts)
    write_crate(data, facts)
    assert "secret" not in (data / NAME).read_text()
    assert graph(data)["./"]["name"] == "Untitled"


def test_names_that_no_address_can_hold_are_passed_over(tmp_path: Path) -> None:
    """A notebook whose name is no text has its run, but no file of its own in the crate."""
    facts = copy.deepcopy(FACTS)
    facts["notebooks"] = [notebook("caf\udce9.ipynb")]
    data = payload(tmp_path, facts)
    write_crate(data, facts)
    assert ids(graph(data)["./"]["mentions"])


def test_ten_thousand_source_files_make_no_larger_crate(tmp_path: Path) -> None:
    """The folder stands for its files, which the manifest of the record lists."""
    data = payload(tmp_path, FACTS)
    write_crate(data, FACTS)
    small = (data / NAME).read_bytes()
    many = data / "source" / "many"
    many.mkdir()
    for number in range(10_000):
        (many / str(number)).touch()
    write_crate(data, FACTS)
    assert (data / NAME).read_bytes() == small
