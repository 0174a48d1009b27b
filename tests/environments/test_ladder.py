"""Each rung reads uv's own words (0.9 to 0.13, kept as they were) and changes one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from leman.environments.index import Release
from leman.environments.ladder import Trial, climb
from leman.environments.model import Interpreter, Want

DAY = date(2018, 3, 1)

UNKNOWN = """error: No solution found when resolving dependencies
  cause: Because surely-no-such-thing was not found in the package registry and you require
         surely-no-such-thing, we can conclude that your requirements are unsatisfiable."""
NO_VERSION = """error: No solution found when resolving dependencies
  cause: Because there is no version of six==99.1 and you require six==99.1, we can conclude that
         your requirements are unsatisfiable."""
CONFLICT = """error: No solution found when resolving dependencies
  cause: Because requests==2.18.4 depends on urllib3>=1.21.1,<1.23 and you require requests==2.18.4,
         we can conclude that you require urllib3>=1.21.1,<1.23.
         And because you require urllib3==1.24, we can conclude that your requirements are
         unsatisfiable."""
NO_USABLE_WHEEL = """error: No solution found when resolving dependencies
  cause: Because numpy==1.26.0 has no usable wheels and you require numpy==1.26.0, we can conclude
         that your requirements are unsatisfiable.

hint: Wheels are required for `numpy` because building from source is disabled for `numpy` (i.e.,
with `--no-build-package numpy`)"""
NO_WHEEL_OF_ABI = """error: No solution found when resolving dependencies
  cause: Because numpy==1.10.0 has no wheels with a matching Python ABI tag (e.g., `cp36m`) and you
         require numpy==1.10.0, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.6 (`cp36m`), but we only found wheels for `numpy` (v1.10.0) with the
following Python ABI tags: `cp26m`, `cp26mu`, `cp27m`, `cp27mu`, `cp33m`, `cp34m`, `cp35m`"""
BAD_METADATA = """error: No solution found when resolving dependencies
  cause: Because pandas==0.22.0 has invalid metadata and you require pandas==0.22.0, we can conclude
         that your requirements are unsatisfiable.

hint: Metadata for `pandas` (v0.22.0) could not be parsed:
  after parsing `2011`, found `k`, which is not part of a valid version
  pytz (>=2011k)
        ^^^^^^^"""
BUILD_FAILED = """error: Failed to build `tool==1.0`
  cause: The build backend returned an error
  cause: Call to `backend.build_wheel` failed (exit status: 1)
         RuntimeError: no

hint: Build failures usually indicate a problem with the package or the build environment"""
BUILD_NEED = """error: Failed to build `tool==1.0`
  cause: The build backend returned an error
         ModuleNotFoundError: No module named 'numpy'

hint: This error likely indicates that `tool@1.0` depends on `numpy`, but doesn't declare it as a
build dependency. If `tool` is a first-party package, consider adding `numpy` to its
`build-system.requires`."""
NO_PARSE = """error: Couldn't parse requirement in `wanted.in` at position 0
  cause: expected version to start with a number, but no leading ASCII digits were found
         six===a b
            ^^^^^^"""
NOTHING_AT_ALL = """error: No solution found when resolving dependencies
  cause: Because there are no versions of tool and you require tool, we can conclude that your
         requirements are unsatisfiable."""
ALL = (
    *(UNKNOWN, NO_VERSION, CONFLICT, NO_USABLE_WHEEL, NO_WHEEL_OF_ABI, BAD_METADATA),
    *(BUILD_FAILED, BUILD_NEED, NO_PARSE, NOTHING_AT_ALL),
)


def trial(*wants: Want, **options: object) -> Trial:
    """Return a trial for Python 3.6 in March 2018."""
    python = Interpreter("3.6.15", Path("python3.6"))
    whole = {want.name: want for want in (Want("ipykernel", origin="kernel"), *wants)}
    return Trial(wants=whole, python=python, cutoff=DAY, **{"releases": {}, **options})  # type: ignore[arg-type]


def release(version: str, day: date, *, wheel: bool) -> Release:
    """Return a release for every Python, with or without a wheel."""
    return Release(Version(version), day, frozenset({"any"} if wheel else ()), sdist=True)


def kinds(after: Trial) -> list[tuple[str, str]]:
    """Return what was changed, in order."""
    return [(one.kind, one.target) for one in after.modifications]


def test_an_unknown_package_is_dropped() -> None:
    """A name that the index lacks goes, the rest stays, and the reason is kept."""
    one = trial(Want("surely-no-such-thing"), Want("six", "==1.11"))
    assert climb(one, UNKNOWN)
    assert kinds(one) == [("drop", "surely-no-such-thing")]
    assert one.wants["six"].specifier == "==1.11"
    assert "no such package" in one.attempts[0].reason


def test_an_unknown_dependency_is_excluded() -> None:
    """A name that only another package asks for is left out of the resolution."""
    one = trial(Want("six"))
    assert climb(one, UNKNOWN)
    assert one.question().excludes == ("surely-no-such-thing",)


@pytest.mark.parametrize(
    ("complaint", "want"),
    [
        (NO_VERSION, Want("six", "==99.1")),
        (NO_USABLE_WHEEL, Want("numpy", "==1.26.0")),
        (NO_WHEEL_OF_ABI, Want("numpy", "==1.10.0")),
        (NO_PARSE, Want("six", "===a b")),
    ],
)
def test_a_version_that_cannot_be_had_is_unpinned(complaint: str, want: Want) -> None:
    """The package stays, its version is free, and what was asked for is recorded."""
    one = trial(want, only_binary={"numpy"})
    assert climb(one, complaint)
    assert kinds(one) == [("unpin", want.name)]
    assert one.wants[want.name] == replace(want, specifier="")
    assert want.specifier in one.modifications[0].detail


def test_of_two_versions_that_exclude_each_other_the_declared_one_goes_first() -> None:
    """What a notebook imports keeps its version longer than what is merely listed."""
    imported = Want("requests", "==2.18.4", origin="inferred")
    one = trial(imported, Want("urllib3", "==1.24", origin="declared"))
    assert climb(one, CONFLICT)
    assert kinds(one) == [("unpin", "urllib3")]
    assert climb(one, CONFLICT)
    assert kinds(one)[1:] == [("unpin", "requests")]


def test_of_two_versions_a_mere_limit_goes_before_a_want() -> None:
    """A declared version of something that no notebook imports is freed before all others."""
    limits = {"urllib3": Want("urllib3", "==1.24", origin="declared")}
    one = trial(Want("requests", "==2.18.4", origin="declared"), constraints=limits)
    assert climb(one, CONFLICT)
    assert kinds(one) == [("unpin", "urllib3")]
    assert one.wants["requests"].specifier == "==2.18.4"


def test_unreadable_metadata_are_replaced_for_releases_near_the_date() -> None:
    """Nothing is unpinned or dropped: the metadata of each release of that age are given."""
    known = (
        release("0.3", date(2011, 1, 1), wheel=False),
        release("0.22.0", date(2017, 12, 30), wheel=True),
        release("1.0", date(2020, 1, 1), wheel=True),
    )
    one = trial(Want("pandas", "==0.22.0"), releases={"pandas": known})
    assert climb(one, BAD_METADATA)
    assert [key for key, _ in one.metadata.items()] == [("pandas", "0.22.0")]
    assert one.wants["pandas"].specifier == "==0.22.0"
    assert "pytz" in one.metadata["pandas", "0.22.0"]


def test_a_build_that_lacks_a_package_is_given_it_first() -> None:
    """An undeclared build dependency costs neither a version nor a package."""
    one = trial(Want("tool", "==1.0"))
    assert climb(one, BUILD_NEED)
    assert kinds(one) == [("build-need", "tool")]
    assert one.question().build_dependencies == {"tool": ("numpy",)}


def test_what_does_not_build_is_taken_as_a_wheel_then_unpinned_then_dropped() -> None:
    """A missing package breaks a notebook for sure, so it is dropped last."""
    wheels = (release("0.9", date(2017, 1, 1), wheel=True),)
    one = trial(Want("tool", "==1.0"), releases={"tool": wheels})
    assert climb(one, BUILD_FAILED)
    assert kinds(one) == [("wheels-only", "tool"), ("unpin", "tool")]
    assert climb(one, BUILD_FAILED)
    assert kinds(one)[2:] == [("drop", "tool")]
    two = trial(Want("tool", "==1.0"))
    assert climb(two, BUILD_FAILED)
    assert climb(two, BUILD_FAILED)
    assert kinds(two) == [("unpin", "tool"), ("drop", "tool")]


def test_a_name_without_any_release_is_dropped() -> None:
    """Where nothing suits the date and the Python, the package goes."""
    one = trial(Want("tool"))
    assert climb(one, NOTHING_AT_ALL)
    assert "tool" not in one.wants


def test_words_that_no_rung_knows_change_nothing() -> None:
    """An error of another kind ends the climb and leaves the trial as it is."""
    one = trial(Want("six", "==1.11"))
    assert not climb(one, "error: something quite different happened")
    assert not one.modifications
    assert one.wants["six"].specifier == "==1.11"


def test_a_question_holds_what_the_trial_holds() -> None:
    """Floors go as constraints, and a pinned pre-release allows pre-releases."""
    one = trial(Want("tool", "==2.0rc1", extras=("all",)), floors={"numpy": ">=1.9"})
    asked = one.question()
    assert asked.requirements == ("ipykernel", "tool[all]==2.0rc1")
    assert asked.constraints == ("numpy>=1.9",)
    assert asked.prereleases
    assert asked.cutoff == DAY


NAMES = ("numpy", "six", "tool", "pandas", "requests", "urllib3", "ipykernel")
FORMS = (
    "Because {0} was not found in the package registry and you require {0}, we can",
    "Because there is no version of {0}==1.0 and you require {0}==1.0, we can conclude",
    "Because {0}==1.0 has no usable wheels and you require {0}==1.0, we can conclude",
    "Because {0}==1.0 depends on {1}<2 and you require {1}==2.0, we can conclude",
    "Because there are no versions of {0} and you require {0}, we can conclude",
    "Failed to build `{0}==1.0`",
    "likely indicates that `{0}@1.0` depends on `{1}`, but",
    "Metadata for `{0}` (v1.0) could not be parsed: {1}",
    "Couldn't parse requirement in `wanted.in` at position 0 cause: {0}===a b",
    "Because only {0}<2 is available and {1}==1.0 depends on {0}>=2",
    "Because all versions of {0} have no wheels and you require {0}",
    "building from source is disabled for `{0}` and `{1}`",
)
names = st.sampled_from(NAMES)
complaints = st.builds(lambda form, a, b: form.format(a, b), st.sampled_from(FORMS), names, names)
texts = st.one_of(complaints, st.sampled_from(ALL), st.text(max_size=80))
wanted = st.lists(
    st.builds(
        Want,
        names,
        st.sampled_from(["", "==1.0", ">=1,<2", "===a b"]),
        origin=st.sampled_from(["declared", "inferred", "kernel"]),
    )
)


@given(
    wants=wanted,
    limits=wanted,
    said=st.lists(texts, min_size=1, max_size=4),
    with_wheels=st.booleans(),
)
def test_a_climb_always_ends_and_keeps_the_kernel(
    *, wants: list[Want], limits: list[Want], said: list[str], with_wheels: bool
) -> None:
    """However uv complains, in turns and for ever: no rung is climbed without end."""
    known = {name: (release("1.0", DAY, wheel=with_wheels),) for name in NAMES}
    one = trial(
        *wants,
        constraints={want.name: want for want in limits if want.name != "ipykernel"},
        floors={"numpy": ">=0.5"},
        only_binary={"pandas"},
        releases=known,
    )
    steps = 0
    while any(climb(one, text) for text in said):
        steps += 1
        assert steps < 200
        one.question()
    assert "ipykernel" in one.wants
    assert "ipykernel" not in one.excludes
    assert len(one.attempts) >= len([m for m in one.modifications if m.kind == "drop"])
