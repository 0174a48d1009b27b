"""Before anything runs each notebook has a plan, or the reason why it will not run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import book, cell, printed, source

from leman.environments.clock import Wishes
from leman.environments.model import Declarations, Requirement
from leman.reproduction.model import ELIGIBLE, Reason
from leman.reproduction.plan import Plan, has_outputs, other_language, plans

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = {"name": "python", "version": "3.8.5"}


def plan(folder: Path, content: Any, declared: Declarations | None = None) -> Plan:
    """Return the plan of one notebook with this content."""
    made = source(folder, {"a.ipynb": content})
    return next(iter(plans(made, ("a.ipynb",), declared or Declarations(), Wishes())))


def test_a_notebook_gets_an_era_and_packages(tmp_path: Path) -> None:
    """What it imports in the versions declared, with the Python that wrote it."""
    declared = Declarations((Requirement("pandas", "==1.0.1", origin="requirements.txt:1"),))
    found = plan(tmp_path, book("import pandas", language_info=PYTHON), declared)
    assert found.reason is Reason.NONE
    assert found.era
    assert found.era.pythons[0] == "3.8"
    texts = {want.text() for want in found.wants}
    assert texts == {"pandas==1.0.1", "ipykernel"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("this is no JSON", Reason.NOT_A_NOTEBOOK),
        ("[" * 100_000, Reason.NOT_A_NOTEBOOK),
        ("[]", Reason.NOT_A_NOTEBOOK),
        ('{"a": 1}', Reason.NOT_A_NOTEBOOK),
        (book("x <- 1", language_info={"name": "R"}), Reason.OTHER_LANGUAGE),
        (book("x <- 1", kernelspec={"name": "ir", "language": "R"}), Reason.OTHER_LANGUAGE),
        (book("x", kernelspec={"name": "julia-1.6"}), Reason.OTHER_LANGUAGE),
        (book("print 'x'"), Reason.PYTHON_2),
        (book("print 'x'", language_info={"name": "python", "version": "2.7.9"}), Reason.PYTHON_2),
    ],
)
def test_what_cannot_run_says_why(content: Any, reason: Reason, tmp_path: Path) -> None:
    """No environment is planned for what is no notebook of Python 3."""
    found = plan(tmp_path, content)
    assert found.reason is reason
    assert found.message
    assert found.era is None


def test_python_2_in_name_only_is_run(tmp_path: Path) -> None:
    """Metadata of Python 2 around code that Python 3 reads are no obstacle."""
    found = plan(tmp_path, book("print('x')", language_info={"name": "python", "version": "2.7.9"}))
    assert found.reason is Reason.NONE
    assert found.era


def test_a_notebook_whose_content_is_not_here_is_said(tmp_path: Path) -> None:
    """A missing blob is another thing than a broken file."""
    made = source(tmp_path, {}, missing=("a.ipynb",))
    found = list(plans(made, ("a.ipynb", "b.ipynb"), Declarations(), Wishes()))
    assert [one.reason for one in found] == [Reason.MISSING_BLOB, Reason.MISSING_BLOB]


def test_notebooks_of_format_3_have_plans(tmp_path: Path) -> None:
    """Their cells lie in worksheets and call their source input."""
    old = {"cell_type": "code", "input": "import yaml", "outputs": [printed("x")]}
    document = {"worksheets": [{"cells": [old]}], "metadata": {}, "nbformat": 3}
    found = plan(tmp_path, document)
    assert found.reason is Reason.NONE
    assert "pyyaml" in {want.name for want in found.wants}
    assert has_outputs(document)


def test_only_outputs_of_cells_count() -> None:
    """A notebook without any stored output cannot be compared."""
    assert has_outputs(book(cell("1", printed("1"))))
    assert not has_outputs(book("1", "2"))
    assert not has_outputs({"cells": None})
    assert not has_outputs({"worksheets": [3, {"cells": [4]}]})


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"language_info": {"name": "python"}},
        {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        {"kernelspec": {"name": "conda-env-julia_project-py", "language": "python"}},
        {"kernelspec": None, "language_info": []},
    ],
)
def test_python_is_not_another_language(metadata: dict[str, Any]) -> None:
    """Nothing said, or Python said, whatever the kernel is called."""
    assert other_language({"metadata": metadata}) == ""


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=6) | st.just("import numpy"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["source", "cell_type", "metadata", "outputs", "cells", "name", "kernelspec"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(document=st.fixed_dictionaries({"cells": values}, optional={"metadata": values}))
def test_no_shape_of_a_notebook_ends_the_planning(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One strange file must not keep the others from running."""
    found = plan(tmp_path_factory.mktemp("strange"), document)
    assert isinstance(found, Plan)
    has_outputs(document)


def test_a_notebook_is_judged_only_where_it_is_to_be_run(tmp_path: Path) -> None:
    """Without judgement the plan is the same but for the eligibility, which is not looked at."""
    made = source(tmp_path, {"a.ipynb": book("import pandas\npandas.read_csv('gone.csv')")})
    given = (made, ("a.ipynb",), Declarations(), Wishes())
    (judged,), (open_alone,) = plans(*given), plans(*given, judged=False)
    assert not judged.eligibility.eligible
    assert open_alone == replace(judged, eligibility=ELIGIBLE)
