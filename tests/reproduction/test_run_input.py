"""What the author typed is typed again; nothing is made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from notebooks import code, error, execute, outputs, write

from leman.reproduction.model import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import BuiltEnvironment

pytestmark = pytest.mark.network  # the environments are built from the package index


def printed(text: str) -> dict[str, Any]:
    """Return a stored output of print()."""
    return {"output_type": "stream", "name": "stdout", "text": text}


DEBUGGED = """> <ipython-input-2-aa>(2)<module>()
----> 2 divide(0)
ipdb> print(text)
ipdb> quit
"""


@pytest.mark.parametrize("kernel", ["kernel_environment", "old_kernel_environment"])
@pytest.mark.interpreter("3.6")
def test_stored_answers_are_given_again(
    kernel: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In their order, between what is printed, and shown as the author's page showed them."""
    environment: BuiltEnvironment = request.getfixturevalue(kernel)
    said = "start\nname? Ann\nhello Ann\nage? 7\n"
    asks = "print('start'); n = input('name? '); print('hello', n); age = int(input('age? '))"
    done = execute(write(tmp_path / "a.ipynb", code(asks, printed(said)), "n, age"), environment)
    assert done.failure is None
    assert outputs(done) == [[said], ["('Ann', 7)"]]


def test_a_session_of_the_debugger_is_repeated(
    kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """Command by command, after the error that it looks into."""
    fails = code("text = 'shown'; 1/0", error("ZeroDivisionError"))
    debugs = code("%debug", printed(DEBUGGED))
    done = execute(write(tmp_path / "a.ipynb", fails, debugs, "'on'"), kernel_environment)
    assert done.failure is None
    whole = outputs(done)
    assert whole[2] == ["'on'"]
    assert "ipdb> print(text)\nshown\n" in "".join(whole[1])
    assert whole[1][-1].endswith("ipdb> quit\n")


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("input('name? ')", []),
        ("input('name? ')", [printed("other? Ann\n")]),
        ("input('name? '); input('name? ')", [printed("name? Ann\n")]),
        ("import getpass; getpass.getpass('key? '); input", [printed("key? ········\n")]),
        ("input()", [printed("Ann\n")]),
    ],
)
def test_a_question_without_an_answer_ends_the_notebook(
    source: str, stored: list[dict[str, Any]], kernel_environment: BuiltEnvironment, tmp_path: Path
) -> None:
    """Nothing stored, another question, one question more, a secret, no question."""
    notebook = write(tmp_path / "a.ipynb", code(source, *stored), "print('never')")
    done = execute(notebook, kernel_environment)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.cell) == (Reason.INPUT, 0)
    assert outputs(done)[1] == []
