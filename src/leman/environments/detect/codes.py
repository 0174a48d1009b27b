"""Every finding that detection can report: the one table that the documentation lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leman.findings import Finding

if TYPE_CHECKING:
    from leman.findings import Severity

FINDING_CODES: dict[str, str] = {
    "apt-invalid-name": "a line of apt.txt is not the name of a Debian package and was left out",
    "apt-listed": "system packages are asked for; leman does not install them itself",
    "conda-not-python": "conda packages that are not Python packages (compilers, C libraries)"
    " were left out",
    "conda-only": "conda packages that the Python package index does not have under any known name",
    "conflicting-declarations": "two files ask for different versions of a package; the file that"
    " comes first in leman's order of precedence rules",
    "direct-address": "a package is asked for by an address (git or http), which must be reachable",
    "docker-not-run": "a Dockerfile is not built; its base image and install commands are read as"
    " weak declarations",
    "dynamic-setup": "setup.py computes its requirements while it runs; it was not run, so they"
    " are unknown",
    "file-not-used": "a declaring file was found but not used, and why",
    "file-too-large": "a declaring file is larger than leman reads and was left out",
    "found-elsewhere": "a declaring file outside the usual place was read for versions only",
    "include-cycle": "requirement files include each other in a circle",
    "include-missing": "a requirement file includes a file that is not there",
    "include-outside": "a requirement file includes a file outside the repository; it was not read",
    "invalid-line": "a line could not be understood and was left out",
    "julia-unsupported": "the repository declares Julia packages; leman runs Python notebooks only",
    "link-outside": "a symbolic link leads out of the repository and was not followed",
    "local-build-path": "packages were installed from a folder of the author's machine: only their"
    " names are known, not their versions",
    "local-file-missing": "a package is asked for as a local file or folder that is not there",
    "local-version": "the author used a special build of a version (such as +cu101); the plain"
    " version is used",
    "module-name": "a requirement names a module; its distribution is used instead",
    "nix-unsupported": "the repository declares its environment for Nix, which leman does not use",
    "not-a-file": "something that is not a regular file has the name of a declaring file",
    "notebook-unreadable": "a notebook could not be read, so nothing that it declares is known",
    "odd-encoding": "a file is not UTF-8; another encoding was assumed",
    "option-not-used": "an installer's option (other index, links, flags) is not used",
    "platform-only": "packages that exist for another operating system alone",
    "python-conflict": "two files ask for different Python versions; the first in order rules",
    "r-unsupported": "the repository declares R packages; leman runs Python notebooks only",
    "repaired-file": "a file was broken (tabs, conflict markers) and was read after a repair",
    "runtime-not-understood": "runtime.txt does not name a Python version that can be understood",
    "specifier-dropped": "a version was written in a form that pip does not know; any is accepted",
    "too-many": "a file has more entries than leman reads; the rest was left out",
    "two-config-dirs": "both binder/ and .binder/ exist; only binder/ is used",
    "unreadable-file": "a file could not be parsed; it was left out or read line by line",
}

_SEVERITY: dict[str, Severity] = {
    "apt-invalid-name": "warning",
    "conda-only": "warning",
    "docker-not-run": "warning",
    "dynamic-setup": "warning",
    "file-too-large": "warning",
    "include-cycle": "warning",
    "include-missing": "warning",
    "include-outside": "warning",
    "invalid-line": "warning",
    "julia-unsupported": "warning",
    "link-outside": "warning",
    "local-build-path": "warning",
    "local-file-missing": "warning",
    "nix-unsupported": "warning",
    "not-a-file": "warning",
    "notebook-unreadable": "warning",
    "python-conflict": "warning",
    "r-unsupported": "warning",
    "repaired-file": "warning",
    "runtime-not-understood": "warning",
    "too-many": "warning",
    "two-config-dirs": "warning",
    "unreadable-file": "warning",
}


def finding(code: str, where: str, message: str, fix: str = "") -> Finding:
    """Return a finding of a documented code, with the severity that the code always has."""
    if code not in FINDING_CODES:
        raise KeyError(code)
    return Finding(code, _SEVERITY.get(code, "info"), where, message, fix)


def several(names: list[str], most: int = 8) -> str:
    """Return names as one readable list, the rest counted where there are too many."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
