"""What describing can find is documented."""

from __future__ import annotations

from pathlib import Path

from leman.records.describe.codes import FINDING_CODES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "findings.md"


def test_every_finding_of_a_description_is_documented() -> None:
    """Each code has a row with its severity and meaning, as the program has them."""
    page = PAGE.read_text()
    for code, (severity, meaning) in FINDING_CODES.items():
        assert f"| `{code}` | {severity} | {meaning} |" in page
