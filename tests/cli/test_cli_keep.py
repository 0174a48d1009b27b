"""`leman keep` as a user meets it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records" / "store"))
from bags import content, record

if TYPE_CHECKING:
    from calling import Leman


@pytest.fixture
def keep(tmp_path: Path, leman: Leman, home: Path) -> list[Path]:
    """Make a keep of two storages with one record."""
    del home
    storages = [tmp_path / "disk one", tmp_path / "disk two"]
    assert leman("keep", "init", *map(str, storages)).code == 0
    said = leman("keep", "add", str(record(tmp_path / "one", nasty=True)))
    assert said.out.endswith("'Record 0': new record, 2 of 2 copies\n")
    assert said.code == 0
    return storages


def signature(storage: Path) -> Path:
    """Return a signature of the only record."""
    return next(storage.rglob("alice.pub"))


def test_a_whole_keep_says_so(keep: list[Path], leman: Leman) -> None:
    """`audit` ends with 0, and `list` shows its result from then on."""
    assert "Never audited" in leman("keep", "list").out
    said = leman("keep", "audit")
    assert (said.code, "nothing is damaged" in said.out) == (0, True)
    said = leman("keep", "list")
    assert "Record 0" in said.out
    assert "2 of 2" in said.out
    assert str(keep[0]) in said.out
    assert "Last audit: 20" in said.out


def test_damage_is_named_and_repaired(keep: list[Path], leman: Leman) -> None:
    """`audit` names the damaged file and ends with 1, `repair` makes it good and ends with 0."""
    path = signature(keep[0])
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    said = leman("keep", "audit")
    assert said.code == 1
    assert f"error changed: {path}" in said.out
    assert "1 of 2" in leman("keep", "list").out
    said = leman("keep", "repair")
    assert said.code == 0
    assert "Written: 1 file." in said.out
    assert leman("keep", "audit").code == 0


def test_what_is_lost_is_told_at_the_top(keep: list[Path], leman: Leman) -> None:
    """A file without a good copy is the first finding, by its name in the record."""
    for storage in keep:
        signature(storage).unlink()
    said = leman("keep", "repair")
    assert said.code == 1
    told = said.out.split("Now:\n")[1].splitlines()[0]
    assert told.startswith("error lost: sha256:")
    assert "'signatures/alice.pub'" in told
    assert "1 file LOST" in said.out


def test_a_storage_that_is_away_is_no_all_clear(keep: list[Path], leman: Leman) -> None:
    """Without one of the disks an audit ends with 1 and says what was not in reach."""
    keep[1].rename(keep[1].with_name("unplugged"))
    said = leman("keep", "audit")
    assert said.code == 1
    assert f"not in reach: {keep[1]}: there is no such folder; is its disk mounted?" in said.out
    assert "LOST" not in said.out
    assert "not in reach" in leman("keep", "list").out


def test_a_record_comes_out_again(keep: list[Path], leman: Leman, tmp_path: Path) -> None:
    """`get` writes the record that was added."""
    assert keep
    name = json.loads(leman("keep", "list", "--json").out)["records"][0]["id"]
    said = leman("keep", "get", name[7:15], str(tmp_path / "out"))
    assert said.code == 0
    assert content(tmp_path / "out") == content(tmp_path / "one")
    assert leman("keep", "get", name, str(tmp_path / "out")).code == 2
    assert leman("keep", "get", "ffff", str(tmp_path / "other")).code == 2


def test_a_scheduled_audit_runs_when_the_last_is_old(keep: list[Path], leman: Leman) -> None:
    """`--if-older-than` runs an audit that is due, and repeats the verdict of one that is not."""
    assert leman("keep", "audit", "--if-older-than", "7").out.startswith("20")
    signature(keep[0]).unlink()
    said = leman("keep", "audit", "--if-older-than", "7")
    assert said.out.startswith("Not audited again.")
    assert said.code == 0
    said = leman("keep", "audit", "--if-older-than", "0")
    assert said.code == 1
    assert leman("keep", "audit", "--if-older-than", "7").code == 1
    assert leman("keep", "audit", "--quick").code == 1


def test_json_is_for_programs(keep: list[Path], leman: Leman) -> None:
    """`--json` prints one object with the findings, whatever the verdict."""
    signature(keep[0]).unlink()
    said = leman("keep", "audit", "--json")
    value = json.loads(said.out)
    assert (said.code, value["clean"], value["findings"][0]["code"]) == (1, False, "missing")
    value = json.loads(leman("keep", "list", "--json").out)
    assert value["audit"]["clean"] is False
    assert value["records"][0]["copies"] == 1


def test_one_bad_record_does_not_stop_the_others(
    keep: list[Path], leman: Leman, tmp_path: Path
) -> None:
    """`add` takes what is intact, names what is not, and ends with 2."""
    assert keep
    bad = record(tmp_path / "bad", seed=1)
    (bad / "data" / "source" / "run.sh").write_text("changed")
    said = leman("keep", "add", str(bad), str(record(tmp_path / "good", seed=2)))
    assert said.code == 2
    assert "not intact: data/source/run.sh" in said.err
    assert "'Record 2': new record" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("audit",),
        ("repair",),
        ("add", "x"),
        ("get", "abcd", "x"),
        ("init", "x", "--name", "../x"),
        ("list", "--name", "a/b"),
    ],
)
def test_without_a_keep_there_is_a_sentence(
    leman: Leman, home: Path, arguments: tuple[str, ...]
) -> None:
    """Every command without a keep, or with a name that cannot be, ends with 2 and a remedy."""
    said = leman("keep", *arguments)
    assert said.code == 2
    assert said.err.startswith("leman: ")
    assert not (home / "records").exists() or not any((home / "records").iterdir())


def test_a_title_cannot_play_with_the_terminal(leman: Leman, home: Path, tmp_path: Path) -> None:
    """Control letters in a record's title are printed as what they are."""
    del home
    one = record(tmp_path / "one")
    facts = one / "data" / "leman-record.json"
    shutil.rmtree(one)
    from bags import bag  # noqa: PLC0415

    bag(one, {"data/x": b"x"}, title="\x1b[2J[red]x", side={})
    assert facts.is_file()
    leman("keep", "init", str(tmp_path / "a"))
    leman("keep", "add", str(one))
    said = leman("keep", "list")
    assert "\x1b" not in said.out
    assert "[red]x" in said.out
