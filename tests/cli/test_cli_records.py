"""`leman publish`, `verify` and `sign` as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from leman.cli.main import cli
from leman.errors import LemanError

if TYPE_CHECKING:
    from click.testing import Result

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "print(6 * 7)",
            "execution_count": 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "42\n"}],
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a LEMAN_HOME that all tests of this module share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def made(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a record published by the command itself, and what it said beside it."""
    folder = tmp_path_factory.mktemp("cli-record")
    (folder / "answer").mkdir()
    (folder / "answer" / "a.ipynb").write_text(json.dumps(NOTEBOOK))
    (folder / "answer" / "runtime.txt").write_text("python-3.11-2024-05-01\n")
    done = leman(
        home,
        *("publish", str(folder / "answer"), "-o", str(folder / "record")),
        *("--title", "The answer", "--author", "Ada Lovelace <0000-0002-1825-0097>"),
        *("--license", "CC-BY-4.0", "--timestamp", "own", "--network", "off"),
    )
    assert done.exit_code == 0, done.output
    (folder / "said.txt").write_text(done.output)
    return folder / "record"


def leman(home: Path, *words: str) -> Result:
    """Run a command as in a home without SSH keys."""
    return CliRunner().invoke(
        cli, words, env={"LEMAN_HOME": str(home), "HOME": str(home)}, catch_exceptions=True
    )


def test_publish_says_what_it_made_and_with_which_key(made: Path, home: Path) -> None:
    """The five answers, the key and that it was made, the id, and how to check it."""
    said = (made.parent / "said.txt").read_text()
    for words in (
        *("intact        yes", "signed        yes", "dated         yes", "reruns        yes"),
        *("same results  yes", "since you have none", "SHA256:", "sha256:", "record.html"),
        f"leman verify {made}",
    ):
        assert words in said, words
    assert str(home / "keys" / "leman_ed25519") in said
    facts = json.loads((made / "data" / "leman-record.json").read_text())
    assert facts["description"]["title"] == "The answer"
    assert facts["description"]["authors"][0]["orcid"] == "0000-0002-1825-0097"
    assert facts["description"]["licence"] == "CC-BY-4.0"


def test_verify_exits_with_0_1_and_2(made: Path, home: Path, tmp_path: Path) -> None:
    """0 if all that was asked for holds, 1 if something does not, 2 if there is no record."""
    assert leman(home, "verify", str(made)).exit_code == 0
    assert leman(home, "verify", str(made), "--dated").exit_code == 1
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    (copy / "data" / "source" / "a.ipynb").write_text("{}")
    done = leman(home, "verify", str(copy))
    assert done.exit_code == 1
    assert "data/source/a.ipynb" in done.output
    missing = leman(home, "verify", str(tmp_path / "none"))
    assert isinstance(missing.exception, LemanError)
    assert missing.exception.exit_code == 2


def test_verify_tells_a_machine_the_same_as_a_person(made: Path, home: Path) -> None:
    """--json prints the statement: every answer with its value, reason, and whether it counts."""
    done = leman(home, "verify", str(made), "--json")
    answers = json.loads(done.stdout)["predicate"]["answers"]
    assert answers["intact"] == {
        "value": "yes",
        "reason": answers["intact"]["reason"],
        "asked": True,
    }
    assert answers["reruns"]["value"] == "not checked"
    assert answers["reruns"]["asked"] is False


def test_all_that_a_reader_can_ask_for_at_once(made: Path, home: Path, tmp_path: Path) -> None:
    """The README's walk-through: trust, date, re-run, compare; a report that others can check."""
    pub = next((made / "signatures").glob("*.pub")).read_text()
    (tmp_path / "allowed").write_text(f"me@example.org {pub}")
    done = leman(
        home,
        *("verify", str(made), "--rerun", "--same", "--dated", "--network", "off"),
        *("--trust", str(tmp_path / "allowed"), "--authorities", str(made / "timestamps")),
        *("--report", str(tmp_path / "check"), "--sign"),
    )
    assert done.exit_code == 0, done.output
    assert "me@example.org" in done.output
    names = {path.name for path in (tmp_path / "check").iterdir()}
    assert names == {
        *("verification.json", "verification.json.sshsig", "verification.json.pub", "rerun"),
    }
    assert not (made / "statements").exists()


def test_sign_adds_a_signature_and_refuses_a_damaged_record(
    made: Path, home: Path, tmp_path: Path
) -> None:
    """A second name signs the same record; what is not intact is not signed."""
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    done = leman(home, "sign", str(copy), "--name", "institute")
    assert done.exit_code == 0, done.output
    assert (copy / "signatures" / "institute.sshsig").is_file()
    assert leman(home, "verify", str(copy)).exit_code == 0
    (copy / "record.html").write_text("another page")
    refused = leman(home, "sign", str(copy), "--name", "referee")
    assert isinstance(refused.exception, LemanError)
    assert "not intact" in refused.exception.message
    assert not (copy / "signatures" / "referee.sshsig").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "{record}", "--trust", "none"), "there is no such file"),
        (("verify", "{record}", "--report", "{record}"), "other files in it"),
        (("publish", ".", "-o", "{record}"), "is there already"),
        (("publish", ".", "--by-reference", "a.csv"), "expected PATH=URL"),
        (("publish", ".", "--by-reference", "a.csv=file:///etc/passwd"), "expected PATH=URL"),
        (("publish", ".", "--license", "my own"), "--license"),
        (("publish", ".", "--author", "Ada <0000-0002-1825-0098>"), "--author"),
        (("publish", ".", "--python", "2"), "expected a version"),
        (("sign", "{record}", "--name", "../x"), "expected letters"),
        (("sign", "{record}", "--key", "none"), "there is no key"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: tuple[str, ...], message: str, made: Path, home: Path
) -> None:
    """Bad options end with what was found and what was expected, before anything runs."""
    done = leman(home, *(word.replace("{record}", str(made)) for word in words))
    assert isinstance(done.exception, LemanError), done.output
    assert message in done.exception.message
