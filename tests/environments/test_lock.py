"""A lock is resolved as of its date, tells why, and is named by what it builds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from package_index import File, Shelf, sdist, serve, wheel

from leman.environments.detect.specifiers import consistent
from leman.environments.index import Index
from leman.environments.lock import digest_of, finish, read, resolve, trial_for
from leman.environments.model import Interpreter, Lock, Want
from leman.environments.pythons import interpreters
from leman.environments.uv import Uv
from leman.errors import ResolutionError
from leman.reproduction.model import Isolation
from leman.reproduction.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from pathlib import Path

    from leman.config import Settings
    from leman.environments.ladder import Trial

PYTHON = interpreters()[-1]
DAY = date(2020, 1, 1)
MARCH = date(2018, 3, 1)


def silent(_message: str) -> None:
    """Hear nothing."""


def trial(
    shelf: Shelf,
    folder: Path,
    *wants: Want,
    constraints: tuple[Want, ...] = (),
    heavy: tuple[str, ...] = (),
) -> tuple[Trial, Uv]:
    """Return the first trial of `wants` as of 2020 on a local index, and the uv to ask."""
    index = Index(shelf.url, folder / "index")
    first = trial_for(
        wants,
        constraints=constraints,
        python=PYTHON,
        cutoff=DAY,
        index=index,
        heavy=frozenset(heavy),
    )
    return first, Uv(folder / "uv", shelf.url)


def lock(shelf: Shelf, folder: Path, *wants: Want, **more: Any) -> Lock:
    """Return the finished lock of `wants`."""
    first, uv = trial(shelf, folder, *wants, **more)
    text = resolve(first, uv, progress=silent)
    return finish(first, text, reason="a test's date", imports=("tool",))


def versions(made: Lock) -> dict[str, str]:
    """Return the version of each package."""
    return {one.name: one.version for one in made.packages}


def years(name: str, *numbers: int) -> list[File]:
    """Return releases 18.0, 19.0 …, each uploaded in the January of its year."""
    return [wheel(name, f"{n}.0", uploaded=f"20{n}-01-05") for n in numbers]


def test_nothing_newer_than_the_date_is_chosen(tmp_path: Path) -> None:
    """Neither of what is asked for nor of what that needs, and each says why it is there."""
    tool = wheel("tool", "1.0", requires=("other",))
    with serve(tool, *years("tool", 21), *years("other", 18, 19, 21)) as shelf:
        made = lock(shelf, tmp_path, Want("tool", evidence="import tool (a.ipynb:cell 0)"))
    assert versions(made) == {"tool": "1.0", "other": "19.0"}
    by_name = {one.name: one for one in made.packages}
    assert by_name["tool"].why == "import tool (a.ipynb:cell 0)"
    assert by_name["other"].origin == "dependency"
    assert by_name["other"].uploaded == "2019-01-05T12:00:00Z"
    assert not made.modifications
    assert not made.findings


def test_a_pin_newer_than_the_date_is_kept_and_moves_the_date(tmp_path: Path) -> None:
    """What the author names exactly was there for the author, and so was all of its time."""
    with serve(*years("tool", 18, 22), *years("other", 18, 21, 23)) as shelf:
        made = lock(shelf, tmp_path, Want("tool", "==22.0"), Want("other"))
    assert versions(made) == {"tool": "22.0", "other": "21.0"}
    assert made.cutoff == date(2022, 1, 5)
    assert not made.modifications


def test_what_came_after_the_date_altogether_is_allowed_and_said(tmp_path: Path) -> None:
    """A package younger than the notebook's date comes in its first version."""
    with serve(*years("tool", 22, 24)) as shelf:
        made = lock(shelf, tmp_path, Want("tool"))
    assert versions(made) == {"tool": "22.0"}
    assert "came after the cut-off" in made.attempts[0].reason


def test_a_first_wheel_moves_the_date_to_what_it_goes_with(tmp_path: Path) -> None:
    """Its needs of two years before it must be there; a package that can be built moves nothing."""
    maps = wheel("maps", "1.0", uploaded="2023-08-05", requires=("other>=21",))
    with serve(maps, *years("other", 18, 21, 23)) as shelf:
        made = lock(shelf, tmp_path, Want("maps"), Want("other"), heavy=("maps",))
    assert versions(made) == {"maps": "1.0", "other": "21.0"}
    assert made.cutoff == date(2021, 9, 4)
    assert "first wheel of maps" in made.cutoff_reason


def test_an_unknown_package_is_dropped_and_recorded(tmp_path: Path) -> None:
    """The others are locked; the lock's modifications name what is missing."""
    with serve(wheel("tool", "1.0")) as shelf:
        made = lock(shelf, tmp_path, Want("tool"), Want("no-such-thing", "==3"))
    assert versions(made) == {"tool": "1.0"}
    assert [(one.kind, one.target) for one in made.modifications] == [("drop", "no-such-thing")]


def test_a_version_that_never_was_is_unpinned_and_recorded(tmp_path: Path) -> None:
    """Another version of the package is better than none."""
    with serve(*years("tool", 18, 19, 21)) as shelf:
        made = lock(shelf, tmp_path, Want("tool", "==99"))
    assert versions(made) == {"tool": "19.0"}
    assert [(one.kind, one.detail) for one in made.modifications] == [("unpin", "tool==99")]


def test_a_limit_holds_for_what_another_package_needs(tmp_path: Path) -> None:
    """A declared version of a package that nothing imports counts where it is pulled in."""
    tool = wheel("tool", "1.0", requires=("other",))
    limits = (Want("other", "==18.0"), Want("unused", "==1"))
    with serve(tool, *years("other", 18, 19)) as shelf:
        made = lock(shelf, tmp_path, Want("tool"), constraints=limits)
    assert versions(made) == {"tool": "1.0", "other": "18.0"}


def test_limits_that_contradict_a_want_are_freed(tmp_path: Path) -> None:
    """A merely listed version gives way to what an imported package needs."""
    tool = wheel("tool", "1.0", requires=("other>=19",))
    with serve(tool, *years("other", 18, 19)) as shelf:
        limits = (Want("other", "==18.0"),)
        made = lock(shelf, tmp_path, Want("tool"), constraints=limits)
    assert versions(made) == {"tool": "1.0", "other": "19.0"}
    assert [(one.kind, one.target) for one in made.modifications] == [("unpin", "other")]


def test_loose_names_never_go_back_to_another_decade(tmp_path: Path) -> None:
    """Where nothing recent fits, uv may not answer with a release of long ago."""
    old = wheel("tool", "0.1", uploaded="2009-01-01")
    new = wheel("tool", "19.0", uploaded="2019-01-05", requires=("other>5",))
    with serve(old, new, wheel("other", "1.0")) as shelf:
        first, _ = trial(shelf, tmp_path, Want("tool"))
    assert first.floors["tool"] == ">=19.0"


def test_an_index_without_dates_is_used_and_said(tmp_path: Path) -> None:
    """Without upload times the date has no effect: nothing is dropped, and the lock says so."""
    tool = wheel("tool", "1.0", requires=("other",))
    with serve(tool, *years("other", 18, 21), form="html") as shelf:
        made = lock(shelf, tmp_path, Want("tool"))
    assert versions(made) == {"tool": "1.0", "other": "21.0"}
    assert [one.code for one in made.findings] == ["index-without-dates"]
    assert not made.modifications


@pytest.mark.parametrize("offline", [False, True])
def test_an_unreachable_index_is_said_and_nothing_dropped(tmp_path: Path, *, offline: bool) -> None:
    """Silence of the index is no answer: the error names the index and what to do."""
    index = Index("http://127.0.0.1:9/simple", tmp_path / "index", offline=offline)
    wants = (Want("tool"), Want("other", "==1"))
    first = trial_for(wants, constraints=(), python=PYTHON, cutoff=DAY, index=index)
    uv = Uv(tmp_path / "uv", index.url, offline=offline, environment={"UV_HTTP_RETRIES": "0"})
    with pytest.raises(ResolutionError, match="could not be reached") as caught:
        resolve(first, uv, progress=silent)
    assert "LEMAN_INDEX_URL" in caught.value.hint
    assert not first.modifications


def test_no_answer_at_all_names_the_cause(tmp_path: Path) -> None:
    """Where the ladder ends, uv's own first cause is in the message."""
    with serve(sdist("ipykernel", "1.0", prelude="raise RuntimeError('no')")) as shelf:
        first, uv = trial(shelf, tmp_path, Want("ipykernel"))
        with pytest.raises(ResolutionError, match=r"Python 3\.\d+ as of 2020-01-01"):
            resolve(first, uv, progress=silent)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lock:
    """Return a lock with a dropped package."""
    with serve(wheel("tool", "1.0", requires=("other",)), wheel("other", "1.0")) as shelf:
        folder = tmp_path_factory.mktemp("lock")
        return lock(shelf, folder, Want("tool", evidence="an import"), Want("no-such-thing"))


def test_a_lock_is_read_as_it_was_written(made: Lock) -> None:
    """Cut-off, reasons, attempts and modifications survive in the file."""
    assert read(made.text, PYTHON) == made


def test_provenance_does_not_change_the_digest(made: Lock) -> None:
    """The same files on the same Python are the same environment, whatever led there."""
    other = made.text.replace("an import", "another import").replace("a test's date", "x")
    other = "# a remark\n" + other
    assert other != made.text
    assert digest_of(other, PYTHON) == made.digest


def test_what_is_built_changes_the_digest(made: Lock) -> None:
    """Another file, another version or another Python is another environment."""
    texts = {
        made.text.replace('\nversion = "1.0"', '\nversion = "1.1"', 1),
        made.text.replace('sha256 = "', 'sha256 = "f', 1),
    }
    digests = {digest_of(text, PYTHON) for text in texts}
    digests.add(digest_of(made.text, replace(PYTHON, version="3.9.1")))
    assert len(digests | {made.digest}) == 4


def test_a_foreign_lock_is_read(made: Lock) -> None:
    """A ``pylock.toml`` of another tool has packages and no provenance."""
    foreign = read(made.text.split("[tool", maxsplit=1)[0], PYTHON)
    assert versions(foreign) == versions(made)
    assert foreign.digest == made.digest
    assert not foreign.attempts


def test_versions_are_consistent_with_specifiers() -> None:
    """An unreadable specifier excludes nothing."""
    assert consistent(">=1,<2", "1.5")
    assert not consistent("==2", "1.5")
    assert consistent("no specifier", "1.5")


# What only the real index shows.


@pytest.fixture(scope="module")
def workshop(shared_home: Settings) -> Workshop:
    """Return the tools of the session's home, without a sandbox."""
    return open_workshop(shared_home, Isolation("none", network=True, detail=""))


@pytest.fixture(scope="module")
def python36() -> Interpreter:
    """Return this machine's Python 3.6."""
    return next(one for one in interpreters() if one.minor == "3.6")


def real(workshop: Workshop, python: Interpreter, *wants: Want) -> Lock:
    """Return a lock of March 2018 from the real index."""
    builder = workshop.builder
    first = builder.trial(wants, constraints=(), python=python, cutoff=MARCH)
    return finish(first, resolve(first, builder.uv, progress=silent), reason="", imports=())


@pytest.mark.network
@pytest.mark.interpreter("3.6")
def test_numpy_and_pandas_of_march_2018(workshop: Workshop, python36: Interpreter) -> None:
    """The versions of that month, although pandas' metadata of then are not readable today."""
    made = real(workshop, python36, Want("numpy"), Want("pandas"), Want("ipykernel"))
    found = versions(made)
    assert found["numpy"] == "1.14.1"
    assert found["pandas"] == "0.22.0"
    assert found["ipykernel"].startswith("4.")
    # The one exception: every build of a source distribution needs a later setuptools.
    assert all(one.uploaded < "2018-03-02" for one in made.packages if one.name != "setuptools")
    assert all(one.kind == "wheel" for one in made.packages if one.name in {"numpy", "pandas"})


@pytest.mark.network
@pytest.mark.interpreter("3.6")
def test_a_real_pin_newer_than_the_date(workshop: Workshop, python36: Interpreter) -> None:
    """A version of 2020 in a repository of 2018 is taken, with the others of its time."""
    found = versions(real(workshop, python36, Want("pandas", "==1.0.1"), Want("six")))
    assert found["pandas"] == "1.0.1"
    assert found["six"] == "1.14.0"
