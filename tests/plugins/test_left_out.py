"""No test is left out silently, and none at all in CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[str], pytest.RunResult]

pytest_plugins = ("pytester",)

MODULE = """
import pytest

@pytest.mark.interpreter("3.2")
def test_of_an_old_python(): pass

def test_that_skips_itself(): pytest.skip("no moon tonight")

@pytest.mark.xfail(strict=True)
def test_known_to_fail(): assert False

def test_fine(): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the module above as the machine's owner (``""``) or as CI (``"true"``)."""
    pytester.makeconftest('pytest_plugins = ["plugins.left_out"]')
    pytester.makeini("[pytest]\nmarkers =\n  interpreter(version): x\n  network: x\n  browser: x")
    pytester.makepyfile(MODULE)

    def inner(ci: str) -> pytest.RunResult:
        monkeypatch.setenv("CI", ci)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider")

    return inner


def test_a_person_sees_what_was_left_out_and_why(run: Run) -> None:
    """Outside CI a lack skips tests, and the end of the run names each with its reason."""
    result = run("")
    result.assert_outcomes(passed=1, skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*left out*",
            "*::test_of_an_old_python: no CPython 3.2 on this machine",
            "*::test_that_skips_itself: no moon tonight",
        ]
    )


def test_in_ci_a_test_left_out_is_a_failure(run: Run) -> None:
    """With CI=true what would be skipped fails; what is known to fail stays as it is."""
    result = run("true")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*left out, which CI forbids: no moon tonight*"])
