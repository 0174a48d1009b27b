"""From an error's text to the Debian package that the machine lacks."""

from __future__ import annotations

import pytest

from leman.environments.system import missing_packages, system_package_for


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "libgl1"),
        ("OSError: sndfile library not found", "libsndfile1"),
        ("ExecutableNotFound: failed to execute ['dot', '-Tsvg']", "graphviz"),
        ("RuntimeError: Failed to process string with tex because latex could not be found",
         "texlive-latex-base texlive-latex-extra texlive-fonts-recommended dvipng cm-super"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", "ffmpeg"),
        ("GMTCLibNotFoundError: Error loading the GMT shared library", "libgmt-dev gmt"),
        ("OSError: No wkhtmltopdf executable found", "wkhtmltopdf"),
        ("Exception: Java gateway process exited; JAVA_HOME is not set", "default-jre-headless"),
        ("error: command '/usr/bin/gcc' failed: No such file or directory", "gcc libc6-dev"),
        ("fatal error: Python.h: No such file or directory", "python3-dev"),
    ],
)  # fmt: skip
def test_what_is_missing(text: str, package: str) -> None:
    """An error that names a missing library or program gives the package that brings it."""
    found = system_package_for(text)
    assert found is not None
    assert found[1] == package


def test_an_unknown_library_is_named() -> None:
    """A shared library that the table lacks is named, without a package."""
    text = "libfoo.so.3: cannot open shared object file: No such file or directory"
    assert system_package_for(text) == ("libfoo.so.3", "")


@pytest.mark.parametrize(
    "text",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'",
        "FileNotFoundError: [Errno 2] No such file or directory: '../muscle_samples.csv'",
        "NameError: name 'R' is not defined",
        "KeyError: 'java'",
        "ModuleNotFoundError: No module named 'graphviz'",
        "",
    ],
)
def test_other_errors_lack_nothing(text: str) -> None:
    """A missing data file or module is no missing system package."""
    assert system_package_for(text) is None


def test_what_is_installed_is_not_missing() -> None:
    """Where dpkg can tell, only what neither is installed nor provided by another is missing."""
    found = missing_packages(("dpkg", "awk", "no-such-package"))
    assert found is None or found == ("no-such-package",)
