"""Nothing is lost: judged by comparing every byte with kept originals.

The full measurement is `python -m benchmarks.lose_nothing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from losing import KINDS, run

from leman.records.store.survey import Survey

if TYPE_CHECKING:
    from pathlib import Path

    from losing import Hits

    from leman.records.store.survey import Copy


@pytest.mark.parametrize("hits", ["two storages", "two copies of each record"])
def test_no_byte_is_lost_and_no_damage_unseen(tmp_path: Path, hits: Hits) -> None:
    """Rounds of damage with kills during repair end with every storage as it has to be."""
    outcome = run(tmp_path, seed=7, rounds=4, records=3, hits=hits)
    assert sum(outcome.faults.values()) >= 5
    assert outcome.crashes
    assert not outcome.undetected
    assert not outcome.worse
    assert not outcome.wrong
    assert not outcome.lost


def test_without_damage_nothing_is_found(tmp_path: Path) -> None:
    """The same rounds without any fault raise no alarm and change no byte."""
    outcome = run(tmp_path, seed=7, rounds=4, records=3, hits="none")
    assert outcome.alarms == 0
    assert not outcome.wrong


def test_the_judge_sees_what_a_blind_audit_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an audit that overlooks signatures, as a manifest does, the comparison tells it."""
    real = Survey.right

    def blind(self: Survey, copy: Copy, path: str) -> bool:
        return "/signatures/" in path or real(self, copy, path)

    monkeypatch.setattr(Survey, "right", blind)
    try:
        outcome = run(tmp_path, seed=2, rounds=5, records=3, hits="two storages")
    except AssertionError as told:  # while a record is added: compared with the record itself
        assert "signatures/" in str(told)  # noqa: PT017 - it may, and need not, come to this
        return
    assert outcome.faults["damage a signature"]
    assert outcome.undetected
    assert outcome.wrong
    assert len(KINDS) == 11
