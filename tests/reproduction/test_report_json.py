"""report.json: valid by its schema, whatever a notebook says."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import jsonschema
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.environments.model import Attempt, LockedPackage
from leman.errors import LemanError
from leman.findings import Finding
from leman.reproduction.model import (
    Comparison,
    Failure,
    NotebookResult,
    OutputVerdict,
    Reason,
    Report,
    Same,
    Status,
    Verdict,
)
from leman.reproduction.report import as_json, read, schema, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALIDATOR = jsonschema.Draft202012Validator(
    schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
# Any code point at all, lone surrogates included: notebooks come with everything.
ANY_TEXT = st.text(alphabet=st.characters(), max_size=40)


def test_the_schema_is_itself_valid() -> None:
    """schema.json is a JSON Schema of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("report", [samples.rich(), samples.empty()], ids=["rich", "empty"])
def test_reports_are_valid(report: Report) -> None:
    """A full report and an empty one are valid by the schema."""
    VALIDATOR.validate(as_json(report))


def test_every_field_is_described() -> None:
    """Every property in the schema says in words what it holds."""

    def undescribed(node: Any, where: str) -> Iterator[str]:
        if not isinstance(node, dict):
            return
        for name, value in node.get("properties", {}).items():
            target = schema()["$defs"][value["$ref"].split("/")[-1]] if "$ref" in value else value
            if not target.get("description"):
                yield f"{where}.{name}"
        for name, value in node.items():
            if isinstance(value, dict):
                yield from undescribed(value, f"{where}.{name}")

    assert list(undescribed(schema(), "")) == []


@pytest.mark.parametrize(
    ("definition", "values"),
    [
        ("verdict", [str(one) for one in Verdict]),
        ("same", [str(one) for one in Same]),
        ("status", [str(one) for one in Status]),
        ("reason", [str(one) for one in Reason]),
    ],
)
def test_every_value_of_the_model_is_in_the_schema(definition: str, values: list[str]) -> None:
    """The schema's enumerations are the model's, neither more nor fewer."""
    assert sorted(schema()["$defs"][definition]["enum"]) == sorted(values)


@pytest.mark.parametrize(
    ("type_", "field", "definition"),
    [
        (Attempt, "step", "attempt"),
        (LockedPackage, "kind", "package"),
        (LockedPackage, "origin", "package"),
        (Finding, "severity", "finding"),
    ],
)
def test_every_literal_of_the_model_is_in_the_schema(
    type_: type, field: str, definition: str
) -> None:
    """The words that a dataclass's field may hold are those that the schema allows."""
    assert field in {one.name for one in fields(type_)}
    words: list[str] = []
    for part in get_args(get_type_hints(type_)[field]):
        words += get_args(part) or [part]
    assert sorted(schema()["$defs"][definition]["properties"][field]["enum"]) == sorted(words)


def test_totals_add_up() -> None:
    """Statuses add up to the notebooks, levels of sameness to those that ran."""
    totals = as_json(samples.rich())["totals"]
    assert (totals["ran"], totals["failed"], totals["skipped"]) == (7, 1, 1)
    assert sum(totals["same"].values()) == totals["ran"]
    assert totals["same"] == {
        "exact": 2, "normalised": 2, "tolerant": 1, "no": 1, "not-compared": 1,
    }  # fmt: skip
    assert totals["reasons"] == {"missing-file": 1, "other-language": 1}
    assert totals["eligible"] == 7


def test_identical_outputs_are_counted_and_others_listed() -> None:
    """Each output is either identical and counted or listed with what it says."""
    (notebook,) = (
        one for one in as_json(samples.rich())["notebooks"] if one["path"] == "fits/redshift.ipynb"
    )
    assert len(notebook["outputs"]) == sum(notebook["counts"].values()) - 1
    assert notebook["counts"]["identical"] == 1
    assert set(notebook["outputs"][2]["images"]) == {"stored", "new", "difference"}


def test_a_token_in_the_address_is_not_written() -> None:
    """Whatever stands before the @ of the source's address stays out of the report."""
    text = json.dumps(as_json(samples.rich()))
    assert "secret-token" not in text
    assert "https://git.example.org/astro/redshift-fits" in text


@given(text=ANY_TEXT, cell=st.integers(0, 10**6), seconds=st.floats())
@settings(max_examples=60, deadline=None)
def test_nothing_that_a_notebook_says_breaks_the_report(
    text: str, cell: int, seconds: float
) -> None:
    """Surrogates, control characters, NaN and infinity give valid, loadable UTF-8 JSON."""
    output = OutputVerdict(cell, 0, text, Verdict.DIFFERENT, text, text, text, text, text, text)
    result = NotebookResult(
        text,
        Status.FAILED,
        Reason.OTHER,
        text,
        text,
        Comparison((output,), Same.NO),
        seconds=seconds if seconds >= 0 or math.isnan(seconds) else 0.0,
        failure=Failure(Reason.OTHER, text, text, text, cell),
    )
    value = as_json(replace(samples.empty(), notebooks=(result,), seconds=math.nan))
    VALIDATOR.validate(value)
    encoded = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(encoded) == value
    assert value["seconds"] is None


def test_huge_texts_are_cut_and_say_so() -> None:
    """A text of ten million characters is kept with its start, its end and the number left out."""
    huge = "start" + "x" * 10_000_000 + "end"
    output = OutputVerdict(0, 0, "stream", Verdict.DIFFERENT, "", huge, "")
    result = NotebookResult(
        "a.ipynb", Status.RAN, comparison=Comparison((output,), Same.NO), runs=1
    )
    stored = as_json(replace(samples.empty(), notebooks=(result,)))["notebooks"][0]["outputs"][0]
    assert len(stored["stored"]) < 21_000
    assert stored["stored"].startswith("start")
    assert stored["stored"].endswith("end")
    assert "characters left out" in stored["stored"]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """`read` gives back, from folder or file, what `write` wrote, and every named file is there."""
    page = write(samples.rich(), tmp_path / "report")
    value = read(tmp_path / "report")
    assert page == tmp_path / "report" / "report.html"
    assert value == read(page.with_name("report.json")) == as_json(samples.rich())
    assert (page.parent / value["environments"][0]["lock"]).read_text() == 'lock-version = "1.0"\n'
    named = [
        path
        for one in value["notebooks"]
        for output in one["outputs"]
        for path in output["images"].values()
    ]
    assert len(named) == 3
    assert all((page.parent / path).read_bytes().startswith(b"\x89PNG") for path in named)


def test_writing_twice_gives_the_same_files(tmp_path: Path) -> None:
    """A report written over itself changes no byte and leaves no temporary file."""

    def content() -> dict[str, bytes]:
        files = (one for one in tmp_path.rglob("*") if one.is_file())
        return {str(one.relative_to(tmp_path)): one.read_bytes() for one in files}

    write(samples.rich(), tmp_path)
    first = content()
    write(samples.rich(), tmp_path)
    assert content() == first
    assert not [name for name in first if "/." in f"/{name}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no report"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "has the format None"),
        (b'{"schema": "leman-report/2"}', "leman-report/2"),
    ],
)
def test_a_file_that_is_no_report_is_refused(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """`read` says what it found, what it expected and what to do, for everything else."""
    if content is not None:
        (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(LemanError, match=said) as caught:
        read(tmp_path)
    assert caught.value.hint
