"""What a machine lacks leaves tests out, by name and reason; in CI nothing may be left out.

Markers: ``interpreter("3.7")``, ``browser`` and ``network`` say what a test needs. Whatever else
skips a test counts as left out as well, so that no skip is ever silent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leman.environments.pythons import interpreters

if TYPE_CHECKING:
    from collections.abc import Generator

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def in_ci() -> bool:
    """Tell whether this is a CI run, where a test that cannot run is a failure."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


@cache
def minors() -> frozenset[str]:
    """Return the minor versions of CPython on this machine, as leman finds them."""
    return frozenset(one.minor for one in interpreters())


@cache
def browser() -> str:
    """Return the path of a Chromium or Chrome, or an empty string."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), "")
    return found or (str(MAC_CHROME) if MAC_CHROME.exists() else "")


@cache
def index_answers() -> bool:
    """Ask the package index for one small package, as the tests would."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not uv:
        return False
    asked = subprocess.run(
        [uv, "pip", "compile", "--quiet", "--no-cache", "-"],
        input="six",
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return asked.returncode == 0


def lacking(item: pytest.Item) -> str:
    """Return what this machine lacks for a test, or an empty string."""
    for mark in item.iter_markers("interpreter"):
        absent = [str(minor) for minor in mark.args if str(minor) not in minors()]
        if absent:
            return f"no CPython {', '.join(absent)} on this machine"
    if item.get_closest_marker("browser") and not browser():
        return "no chromium or chrome on this machine"
    if item.get_closest_marker("network") and not index_answers():
        return "no package index answers"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out before its fixtures are made."""
    if reason := lacking(item):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of the browser for tests marked ``browser``."""
    return browser()


def reason_of(report: Any) -> str:
    """Return why a report says skipped."""
    told = report.longrepr
    text = told[2] if isinstance(told, tuple) else str(told)
    return text.removeprefix("Skipped: ")


def refuse(report: Any) -> Any:
    """Turn a skip into a failure where nothing may be left out."""
    if report.skipped and not hasattr(report, "wasxfail") and in_ci():
        report.outcome = "failed"
        report.longrepr = f"left out, which CI forbids: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse skipped tests in CI."""
    report = yield
    refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse skipped modules in CI."""
    report = yield
    refuse(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name every test that was left out, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("left out")
    for report in skipped:
        terminalreporter.write_line(f"{report.nodeid}: {reason_of(report)}")
