"""What is to be run, decided before anything runs: needs, era, and what cannot run at all."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leman.environments.clock import Wishes, era_of, language_version
from leman.environments.detect import stored_figures
from leman.environments.detect.notebooks import code_cells
from leman.environments.detect.poetry import rows
from leman.environments.infer import Needs, needs_of, wants_of
from leman.environments.tiers import NO_NEED, CondaNeed, conda_need
from leman.reproduction.model import ELIGIBLE, Eligibility, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from leman.environments.model import Declarations, Era, Source, Want
    from leman.findings import Finding


@dataclass(frozen=True, slots=True)
class Plan:
    """One notebook and how it shall be run; with a `reason`, it will not be, and why."""

    path: str
    era: Era | None = None
    needs: Needs | None = None
    wants: tuple[Want, ...] = ()
    constraints: tuple[Want, ...] = ()
    findings: tuple[Finding, ...] = ()
    eligibility: Eligibility = ELIGIBLE
    reason: Reason = Reason.NONE
    message: str = ""
    document: dict[str, Any] | None = None
    conda: CondaNeed = NO_NEED


def plans(
    source: Source,
    notebooks: tuple[str, ...],
    declared: Declarations,
    wishes: Wishes,
    *,
    judged: bool = True,
) -> Iterator[Plan]:
    """Yield one plan a notebook, in their order; all are called eligible unless `judged`."""
    for path in notebooks:
        plan = _plan(source, path, declared, wishes)
        yield _judged(source, plan) if judged else plan


def read_notebook(source: Source, path: str) -> dict[str, Any] | Plan:
    """Return a notebook's JSON, or the plan that says why there is none."""
    if path in source.missing:
        return Plan(path, reason=Reason.MISSING_BLOB, message="its content is not in this copy")
    if not (source.path / path).resolve().is_relative_to(source.path.resolve()):
        return Plan(
            path, reason=Reason.NOT_A_NOTEBOOK, message="it is a link that leaves the source"
        )
    try:
        document = json.loads((source.path / path).read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError) as error:
        return Plan(
            path, reason=Reason.NOT_A_NOTEBOOK, message=f"it is no valid JSON: {str(error)[:160]}"
        )
    except OSError as error:
        return Plan(path, reason=Reason.MISSING_BLOB, message=str(error))
    if not isinstance(document, dict) or not ("cells" in document or "worksheets" in document):
        return Plan(path, reason=Reason.NOT_A_NOTEBOOK, message="it has no cells")
    return document


def _plan(source: Source, path: str, declared: Declarations, wishes: Wishes) -> Plan:
    document = read_notebook(source, path)
    if isinstance(document, Plan):
        return document
    other = other_language(document)
    if other:
        return Plan(
            path,
            reason=Reason.OTHER_LANGUAGE,
            message=f"its kernel is {other}; leman runs Python 3",
            document=document,
        )
    needs = needs_of(source.path, path, document)
    if _is_python_2(document, needs):
        return Plan(path, reason=Reason.PYTHON_2, message="its code is Python 2", document=document)
    era = era_of(source, path, document, declared, wishes)
    wants, limits, findings = wants_for(needs, declared, path, on=era.cutoff, era=era)
    conda = conda_need(needs, declared, on=era.cutoff, minor=era.pythons[0])
    if conda.calls:  # conda may have what the index does not know
        findings = tuple(one for one in findings if one.code != "unknown-module")
    return Plan(
        path,
        era=era,
        needs=needs,
        wants=wants,
        constraints=limits,
        findings=findings,
        conda=conda,
        document=document,
    )


def _judged(source: Source, plan: Plan) -> Plan:
    from leman.reproduction.eligibility import eligibility_of  # noqa: PLC0415 - slow to load

    if plan.document is None or plan.needs is None:
        return plan  # it is not run at all: its reason says why
    verdict = eligibility_of(source, plan.path, plan.document, plan.needs, plan.findings)
    return replace(plan, eligibility=verdict)


def declared_plan(source: Source, declared: Declarations, wishes: Wishes) -> Plan:
    """Plan the environment that a source declares, for one without notebooks (its path is "").

    Without code to look at, everything that the ruling files ask for is installed.
    """
    ruling = tuple(one for one in declared.requirements if one.name in declared.ruling)
    era = era_of(source, "", {}, declared, wishes)
    alone = replace(declared, requirements=ruling)
    wants, limits, findings = wants_for(Needs(), alone, "", on=era.cutoff, era=era)
    return Plan("", era=era, needs=Needs(), wants=wants, constraints=limits, findings=findings)


def wants_for(
    needs: Needs, declared: Declarations, path: str, *, on: date, era: Era
) -> tuple[tuple[Want, ...], tuple[Want, ...], tuple[Finding, ...]]:
    """Join what a notebook imports with what is declared, for the era's first Python."""
    own = declared.per_notebook.get(path, ())
    return wants_of(needs, declared, own, on=on, minor=era.pythons[0])


def other_language(document: dict[str, Any]) -> str:
    """Return the language of a notebook that is not Python's, else ""."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    spec = metadata.get("kernelspec")
    info = metadata.get("language_info")
    spec = spec if isinstance(spec, dict) else {}
    info = info if isinstance(info, dict) else {}
    language = str(info.get("name") or spec.get("language") or metadata.get("language") or "")
    if language.lower() in {"python", "ipython", "python3", ""}:
        kernel = f"{spec.get('name', '')} {spec.get('display_name', '')}".lower()
        named = ("julia", "bash", "octave", "matlab", "sagemath", "xeus-cling", "scala", "ruby")
        if not language and kernel.split()[:1] == ["ir"]:
            return "R"
        return next((one for one in named if not language and one in kernel), "")
    return language


def _is_python_2(document: dict[str, Any], needs: Needs) -> bool:
    version = language_version(document)
    if version.startswith("2"):
        return bool(needs.syntax) and needs.python_2
    return needs.python_2 and not version


def has_outputs(document: dict[str, Any]) -> bool:
    """Tell whether any code cell of a notebook stores an output."""
    sheets = document.get("worksheets")
    holders = [document, *(sheets if isinstance(sheets, list) else [])]
    return any(
        isinstance(cell, dict) and cell.get("outputs")
        for holder in holders
        if isinstance(holder, dict)
        for cell in rows(holder.get("cells"))
    )


def inline_from_the_start(document: dict[str, Any]) -> bool:
    """Tell whether figures were shown in the author's session before matplotlib was imported.

    Without ``%matplotlib`` the cell that imports it shows none; the author ran it twice, or had
    the setting in a profile: the stored outputs hold figures all the same.
    """
    code = "\n".join(source for _, source in code_cells(document))
    if re.search(r"%matplotlib|%pylab|matplotlib\.use\(|'matplotlib'|switch_backend", code):
        return False
    return bool(stored_figures(document).version)
