"""The machine's Pythons are found by policy, and a missing one is named with the way to get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leman.environments.model import Interpreter
from leman.environments.pythons import MINORS, choose, interpreters, key, nearest
from leman.errors import NoPythonError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def machine(*minors: str) -> tuple[Interpreter, ...]:
    """Return interpreters of these minor versions."""
    return tuple(Interpreter(f"{minor}.1", Path(f"python{minor}")) for minor in minors)


def test_each_found_python_is_what_it_says() -> None:
    """One of each minor version, the oldest first, and each tells the same version itself."""
    found = interpreters()
    assert HERE in {one.minor for one in found}
    assert [one.minor for one in found] == sorted({one.minor for one in found}, key=key)
    for one in found:
        code = "import platform; print(platform.python_version())"
        said = subprocess.run([one.path, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == one.version


def test_a_folder_of_the_users_comes_first(tmp_path: Path) -> None:
    """What the user names wins over pyenv, uv and PATH, as a folder or as its bin folder."""
    root = tmp_path / "mine"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / f"python{HERE}").symlink_to(Path(sys.executable).resolve())
    for folder in (root, root / "bin"):
        found = {one.minor: one for one in interpreters((folder,))}
        assert found[HERE].origin == "settings"
        assert found[HERE].path == root / "bin" / f"python{HERE}"


def test_what_only_looks_like_a_python_is_passed_over(tmp_path: Path) -> None:
    """A file that does not run, or that answers something else, is none."""
    broken = tmp_path / "python3.7"
    broken.write_text("#!/bin/sh\necho no version\n")
    broken.chmod(0o755)
    (tmp_path / "python3.8").write_text("not even a program")
    (tmp_path / "python3.9-config").write_text("")
    assert not [one for one in interpreters((tmp_path,)) if one.path.parent == tmp_path]


def test_a_python_that_another_outranks_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minor version that a folder of the user's has is not asked for again elsewhere."""
    (tmp_path / f"python{HERE}").symlink_to(Path(sys.executable).resolve())
    asked: list[Path] = []

    def version(path: Path) -> str:
        asked.append(path)
        return f"{HERE}.1"

    monkeypatch.setattr("leman.environments.pythons._version_of", version)
    interpreters((tmp_path,))
    assert asked[0] == tmp_path / f"python{HERE}"
    assert not [path for path in asked[1:] if path.name == f"python{HERE}"]


def test_wanted_pythons_are_chosen_in_their_order() -> None:
    """The order of wishes counts, what the machine lacks is passed over."""
    chosen = choose(("3.7", "3.9", "3.6"), machine("3.6", "3.7", "3.12"))
    assert [one.minor for one in chosen] == ["3.7", "3.6"]


def test_a_missing_python_is_named_with_the_way_to_get_it() -> None:
    """The message says what is needed and what is here; the hint how to get it."""
    with pytest.raises(NoPythonError, match=r"needs Python 3\.6 or 3\.7; .* has 3\.12") as caught:
        choose(("3.6", "3.7"), machine("3.12"))
    assert "uv python install 3.6" in caught.value.hint
    assert "--python" in caught.value.hint
    with pytest.raises(NoPythonError, match="has none"):
        choose(("3.6",), ())


def test_the_nearest_comes_first_and_of_two_the_newer() -> None:
    """As far as numbers of versions go."""
    assert nearest(("3.8",), machine("3.6", "3.7", "3.9", "3.13")) == ("3.9", "3.7", "3.6", "3.13")


def test_minor_versions_are_compared_as_numbers() -> None:
    """3.10 comes after 3.9."""
    assert sorted(MINORS, key=key) == list(MINORS)
    assert key("3.10") > key("3.9")
