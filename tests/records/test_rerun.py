"""A record run again: in its locked environment, against what was stored and what was published."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from record_samples import replace_in, seal_anew

from leman.environments.fetch import fetch
from leman.errors import SourceError
from leman.records.examine import Examined, Wanted, examine
from leman.records.model import Question, Value
from leman.records.verify import Trust, verify
from leman.reproduction.options import Nobody, Options
from leman.reproduction.prepare import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from record_samples import Sample

    from leman.config import Settings

ALL = frozenset(Question)


def _examine(record: Path, settings: Settings, **more: object) -> Examined:
    wanted = Wanted(asked=ALL, rerun=True, options=Options(twice=True, network=False))
    return examine(
        str(record),
        settings=settings,
        wanted=replace(wanted, **more),  # type: ignore[arg-type]
        watcher=Nobody(),
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_five_answers_are_yes_for_a_copy_elsewhere_without_network(
    sample: Sample, record: Path, shared_home: Settings
) -> None:
    """The walk-through: publish, copy, verify with a re-run; the record is as it was before."""
    before = _files(record)
    done = _examine(record, shared_home, trust=Trust(sample.signers, sample.authorities))
    assert {one.question: one.value for one in done.check.answers} == dict.fromkeys(
        Question, Value.YES
    ), done.check.answers
    assert done.check.holds
    assert _files(record) == before
    assert done.statement["predicate"]["rerun"]["network"] is False


@pytest.mark.parametrize(
    "where", ["data/source/mean.ipynb", "data/report/notebooks/mean.ipynb"], ids=["stored", "run"]
)
def test_one_changed_digit_is_named_by_notebook_cell_and_value(
    where: str, sample: Sample, record: Path, shared_home: Settings
) -> None:
    """An author who changes one digit and signs again is found out by the re-run."""
    replace_in(record / where, "max 3.02", "max 3.03")
    seal_anew(record, sample.done.key)
    done = _examine(record, shared_home)
    assert done.check.answer(Question.INTACT).value is Value.YES, done.check.answers
    assert done.check.answer(Question.RERUNS).value is Value.YES, done.check.answers
    same = done.check.answer(Question.SAME)
    assert same.value is Value.NO, done.check.answers
    for words in ("mean.ipynb, cell 3, output 1", "max 3.03", "max 3.02"):
        assert words in same.reason
    assert not done.check.holds


def test_a_record_that_is_not_intact_is_not_run(record: Path, shared_home: Settings) -> None:
    """One flipped byte, and no code of the record is started."""
    target = record / "data/source/mean.ipynb"
    target.write_bytes(target.read_bytes().replace(b"max(h)", b"min(h)"))
    done = _examine(record, shared_home)
    assert done.check.answer(Question.INTACT).value is Value.NO
    assert done.check.answer(Question.RERUNS).value is Value.NOT_CHECKED
    assert "not intact is not run" in done.check.answer(Question.RERUNS).reason


def test_a_lock_that_cannot_be_built_is_a_no(
    sample: Sample, record: Path, shared_home: Settings
) -> None:
    """Without the locked environment nothing counts as run, and the reason says so."""
    lock = next(record.glob("data/report/environments/*/pylock.toml"))
    lock.write_text("this is no lock")
    seal_anew(record, sample.done.key)
    done = _examine(record, shared_home)
    answer = done.check.answer(Question.RERUNS)
    assert answer.value is Value.NO
    assert "no lock that leman wrote" in answer.reason


def test_a_signed_report_becomes_a_statement_of_the_record(
    sample: Sample, record: Path, shared_home: Settings, tmp_path: Path
) -> None:
    """--report --sign --add: the next reader sees who re-ran it and what came out."""
    assert sample.done.key is not None
    done = _examine(
        record,
        shared_home,
        report=tmp_path / "out",
        sign=True,
        add=True,
        key=sample.done.key.path,
    )
    assert done.added is not None
    assert (tmp_path / "out" / "rerun" / "report.html").is_file()
    check = verify(record, trust=Trust(sample.signers))
    assert check.record.id == sample.done.record.id
    (statement,) = check.statements
    assert statement.problem == ""
    assert statement.signature is not None
    assert statement.signature.trusted == ("author@example.org",)
    answers = statement.content["predicate"]["answers"]
    assert answers["same results"]["value"] == "yes"


def test_a_record_is_a_source_like_any_other(
    sample: Sample, record: Path, shared_home: Settings
) -> None:
    """`leman run record/` gets the author's files with modes and empty folders, and the locks."""
    source = fetch(str(record), cache=shared_home.cache)
    assert source.content_id == sample.done.record.id
    assert source.notebooks == ("draws.ipynb", "mean.ipynb")
    assert (source.path / "tool.sh").stat().st_mode & 0o100
    assert (source.path / "out").is_dir()
    assert [lock.notebooks for lock in source.locks] == [("draws.ipynb", "mean.ipynb")]


def test_to_launch_a_record_works_on_a_copy(record: Path, shared_home: Settings) -> None:
    """The folder that is opened is not the record, so saving changes no record."""
    prepared = prepare(str(record), own=shared_home)
    assert not prepared.work.is_relative_to(record)
    digests = {environment.digest for environment, _ in prepared.environments}
    facts = verify(record).record.facts
    assert digests == {one["digest"] for one in facts["environments"]}


def test_a_damaged_record_is_no_source(record: Path, shared_home: Settings) -> None:
    """`leman run` refuses it with the name of the file, instead of running something else."""
    (record / "data/source/data/heights.csv").write_text("0\n")
    with pytest.raises(SourceError, match=r"not intact: data/source/data/heights\.csv"):
        fetch(str(record), cache=shared_home.cache)


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_a_packed_record_is_verified_and_run(
    kind: str, sample: Sample, tmp_path: Path, shared_home: Settings
) -> None:
    """What a deposit holds is an archive: both commands take it as it is."""
    folder = sample.done.record.path
    packed = shutil.make_archive(str(tmp_path / "record"), kind, folder.parent, folder.name)
    done = examine(packed, settings=shared_home, wanted=Wanted(), watcher=Nobody())
    assert done.check.holds
    assert done.check.record.id == sample.done.record.id
    assert fetch(packed, cache=shared_home.cache).content_id == sample.done.record.id
