"""Small repositories, one per declaring file: tests/repos/declares-*/expected.toml says what."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leman.environments.detect import declared

if TYPE_CHECKING:
    from leman.environments.model import Declarations, Requirement

CASES = sorted((Path(__file__).parents[1] / "repos").glob("declares-*"))


def shown(requirement: Requirement) -> str:
    """Return a requirement and where it stands as one readable line."""
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    url = f" @ {requirement.url}" if requirement.url else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    text = f"{requirement.name}{extras}{requirement.specifier}{url}{marker}"
    return f"{text} ({requirement.origin})"


def told(found: Declarations) -> dict[str, Any]:
    """Return declarations as a TOML file can hold them, without what is empty."""
    value: dict[str, Any] = {
        "python": found.python,
        "python_origin": found.python_origin,
        "cutoff": found.cutoff,
        "files": list(found.files),
        "requirements": [shown(one) for one in found.requirements],
        "conda_only": [shown(one) for one in found.conda_only],
        "conda_channels": list(found.conda_channels),
        "local_projects": list(found.local_projects),
        "no_project_install": found.no_project_install,
        "apt": list(found.apt),
        "post_build": found.post_build,
        "start": found.start,
        "environment_variables": found.environment_variables,
        "per_notebook": {
            name: [shown(one) for one in entries] for name, entries in found.per_notebook.items()
        },
        "findings": [f"{one.code} ({one.where})" for one in found.findings],
    }
    return {key: entry for key, entry in value.items() if entry}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_repository_declares_what_its_case_says(case: Path) -> None:
    """Everything read from the repository, and every finding, is what expected.toml holds."""
    expected = tomllib.loads((case / "expected.toml").read_text())["declared"]
    assert told(declared(case)) == expected


def test_there_are_cases() -> None:
    """The cases were found where they are looked for."""
    assert len(CASES) >= 30
