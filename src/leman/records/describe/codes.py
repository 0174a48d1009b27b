"""Every finding that describing a source can report: the one table that the documentation lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leman.findings import Finding

if TYPE_CHECKING:
    from leman.findings import Severity

FINDING_CODES: dict[str, tuple[Severity, str]] = {
    "abstract-missing": ("info", "nothing says what the work is about"),
    "authors-from-history": (
        "warning",
        "no file names the authors; they were taken from the history of the repository",
    ),
    "authors-missing": ("warning", "nothing says who made the work"),
    "authors-too-many": ("warning", "more authors are named than a record lists"),
    "licence-differs": ("warning", "a file names another licence than the text of the licence"),
    "licence-missing": ("warning", "nothing says what others may do with the work"),
    "licence-or-later": (
        "info",
        "the text of a GNU licence does not say whether later versions may be chosen, too",
    ),
    "licence-several": ("warning", "several licences were found; the record says that all apply"),
    "licence-unknown": ("warning", "a licence has no SPDX identifier that is known"),
    "metadata-odd": ("warning", "an entry of a metadata file is not of the kind it should be"),
    "metadata-unreadable": ("warning", "a metadata file could not be parsed and was left out"),
    "orcid-invalid": ("warning", "an ORCID iD is mistyped: its check digit does not fit"),
    "role-unknown": ("warning", "a role is none of the 14 of CRediT and was left out"),
    "title-missing": ("warning", "nothing gives the work a title"),
}


def finding(code: str, where: str, message: str, fix: str = "") -> Finding:
    """Return a finding of a code of the table."""
    return Finding(code, FINDING_CODES[code][0], where, message, fix)
