"""Five answers about a record, each apart."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from record_samples import seal_anew

from leman.errors import SourceError
from leman.records import keys, ssh
from leman.records.model import Question, Value
from leman.records.signing import Stamping, add_signature
from leman.records.verify import Trust, verify

if TYPE_CHECKING:
    from pathlib import Path

    from record_samples import Sample


def _key(folder: Path, name: str) -> keys.Key:
    ssh.generate(folder / name, f"{name}@example.org")
    return keys.Key(folder / name, ssh.public_half(folder / name))


def test_a_good_record_is_intact_signed_and_dated(sample: Sample, record: Path) -> None:
    """All three hold for a reader who trusts the key and the authority; nothing was run."""
    check = verify(record, trust=Trust(sample.signers, sample.authorities))
    values = {one.question: one.value for one in check.answers}
    assert values == {
        Question.INTACT: Value.YES,
        Question.SIGNED: Value.YES,
        Question.DATED: Value.YES,
        Question.RERUNS: Value.NOT_CHECKED,
        Question.SAME: Value.NOT_CHECKED,
    }
    assert check.findings == ()
    assert check.record.id == sample.done.record.id
    assert check.signatures[0].trusted == ("author@example.org",)


def test_a_key_that_nobody_vouched_for_signs_but_is_not_trusted(
    record: Path, tmp_path: Path
) -> None:
    """Without a list the key is shown; with a list that lacks it the answer is no."""
    assert "nobody was asked" in verify(record).answer(Question.SIGNED).reason
    other = _key(tmp_path, "other")
    (tmp_path / "allowed").write_text(f"other@example.org {other.public}\n")
    answer = verify(record, trust=Trust(tmp_path / "allowed")).answer(Question.SIGNED)
    assert answer.value is Value.NO
    assert "does not trust SHA256:" in answer.reason


def test_an_authority_that_is_not_trusted_dates_nothing(record: Path) -> None:
    """The stamp holds, its moment is told, and yet the answer is no."""
    answer = verify(record).answer(Question.DATED)
    assert answer.value is Value.NO
    assert "no authority that is trusted here" in answer.reason


def test_a_record_resealed_by_another_is_signed_by_another(
    sample: Sample, record: Path, tmp_path: Path
) -> None:
    """Who changes data and manifests can sign only as himself: the reader's list tells."""
    (record / "data/source/data/heights.csv").write_text("9\n")
    assert seal_anew(record, _key(tmp_path, "mallory")) != sample.done.record.id
    check = verify(record, trust=Trust(sample.signers, sample.authorities))
    assert check.answer(Question.INTACT).value is Value.YES
    assert check.answer(Question.SIGNED).value is Value.NO
    assert check.answer(Question.DATED).value is Value.NO


def test_a_referee_signs_later_and_the_bag_stays_as_it_is(
    sample: Sample, record: Path, tmp_path: Path
) -> None:
    """A second signature with its own stamp: same record id, two signers, both counted."""
    before = {path: path.read_bytes() for path in record.glob("data/**/*") if path.is_file()}
    referee = _key(tmp_path, "referee")
    name = add_signature(
        record, referee, name="referee", stamping=Stamping("own", tmp_path / "tsa", "Journal")
    )
    with sample.signers.open() as known:
        both = known.read() + f"referee@example.org {referee.public}\n"
    (tmp_path / "both").write_text(both)
    check = verify(record, trust=Trust(tmp_path / "both", tmp_path / "tsa/ca.pem"))
    assert name == "referee"
    assert check.record.id == sample.done.record.id
    assert [one.trusted for one in check.signatures] == [
        ("author@example.org",),
        ("referee@example.org",),
    ]
    assert check.answer(Question.DATED).reason.startswith("referee's signature")
    assert before == {path: path.read_bytes() for path in before}


def test_a_signature_is_stamped_later_without_being_made_anew(
    sample: Sample, record: Path, tmp_path: Path
) -> None:
    """Signing again with the same key and an authority keeps the signature and adds the stamp."""
    shutil.rmtree(record / "timestamps")
    (signature,) = (record / "signatures").glob("*.sshsig")
    before = signature.read_bytes()
    assert sample.done.key is not None
    add_signature(record, sample.done.key, stamping=Stamping("own", tmp_path / "tsa", "Later"))
    assert signature.read_bytes() == before
    check = verify(record, trust=Trust(None, tmp_path / "tsa/ca.pem"))
    assert check.answer(Question.DATED).value is Value.YES


def test_a_key_that_expired_counts_at_the_moment_of_a_trusted_stamp(
    sample: Sample, record: Path, tmp_path: Path
) -> None:
    """An entry valid until after the stamp trusts the signature, with the stamp and not without."""
    assert sample.done.key is not None
    long_ago = 'author@example.org valid-before="20200101"'
    (tmp_path / "expired").write_text(f"{long_ago} {sample.done.key.public}\n")
    trust = Trust(tmp_path / "expired", sample.authorities)
    assert verify(record, trust=trust).answer(Question.SIGNED).value is Value.NO
    stamp = next((record / "timestamps").glob("*.tsr"))
    assert stamp.stat().st_size
    soon = 'author@example.org valid-after="20200101"'
    (tmp_path / "valid").write_text(f"{soon} {sample.done.key.public}\n")
    trust = Trust(tmp_path / "valid", sample.authorities)
    assert verify(record, trust=trust).answer(Question.SIGNED).value is Value.YES


def test_a_key_for_another_purpose_is_not_trusted(
    sample: Sample, record: Path, tmp_path: Path
) -> None:
    """An allowed signer whose entry names other namespaces does not count."""
    assert sample.done.key is not None
    (tmp_path / "git-only").write_text(
        f'author@example.org namespaces="git" {sample.done.key.public}\n'
    )
    answer = verify(record, trust=Trust(tmp_path / "git-only")).answer(Question.SIGNED)
    assert answer.value is Value.NO


def test_what_is_no_record_is_said_to_be_none(tmp_path: Path) -> None:
    """A folder without a bag ends with a sentence, not with findings."""
    with pytest.raises(SourceError, match="is no record"):
        verify(tmp_path)


def test_the_answers_do_not_depend_on_where_the_record_lies(sample: Sample, tmp_path: Path) -> None:
    """A copy made by other programs (tar) in a folder of another name is the same record."""
    target = tmp_path / "élan vital"
    target.mkdir()
    packed = tmp_path / "record.tar"
    folder = sample.done.record.path
    subprocess.run(["tar", "-C", folder, "-cf", packed, "."], check=True)
    subprocess.run(["tar", "-C", target, "-xf", packed], check=True)
    check = verify(target, trust=Trust(sample.signers, sample.authorities))
    assert check.record.id == sample.done.record.id
    assert check.findings == ()
