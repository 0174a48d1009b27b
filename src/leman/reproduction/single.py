"""One notebook: run it, repair what can be repaired, run it again, compare."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from leman.environments.model import Attempt, Modification
from leman.environments.names import distribution_for
from leman.errors import LemanError, SpaceError
from leman.files import remove_tree
from leman.reproduction.compare import compare
from leman.reproduction.drawing import drawings, figures_differ, home_for, nearer
from leman.reproduction.model import (
    Comparison,
    Execution,
    Failure,
    NotebookResult,
    Reason,
    Same,
    Status,
)
from leman.reproduction.plan import has_outputs, inline_from_the_start
from leman.reproduction.post_build import combined_home
from leman.reproduction.repair import PACKAGES, Case, repair
from leman.reproduction.run import Surroundings, execute
from leman.reproduction.taxonomy import TAXONOMY, missing_module, missing_path
from leman.reproduction.warm import warm_home
from leman.reproduction.work import restore_order
from leman.sandbox import interpreter_folders

if TYPE_CHECKING:
    from leman.environments.model import Environment, Source
    from leman.reproduction.options import Options, Watcher
    from leman.reproduction.plan import Plan
    from leman.reproduction.workshop import Workshop

# No change of packages, files or order helps against these.
_FINAL = {
    Reason.INTERRUPTED,
    Reason.TIMEOUT,
    Reason.OUTPUT_LIMIT,
    Reason.PROCESSES,
    Reason.MEMORY,
    Reason.INPUT,
    Reason.SYNTAX,
    Reason.CREDENTIALS,
    Reason.NOT_A_NOTEBOOK,
}


# How it ends when a pointer is read where content should be.
_OF_POINTERS = {Reason.AUTHOR_ERROR, Reason.OTHER, Reason.API_CHANGE, Reason.KERNEL_DIED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notebook runs: the source, its work copies, and the report's folder.

    `home` is what private homes start with beside an environment's own.
    """

    source: Source
    work: Path
    again: Path | None
    output: Path
    variables: tuple[tuple[str, str], ...] = ()
    home: Path | None = None


@dataclass(slots=True)
class _State:
    """What a notebook is run with at this moment; the best one is kept."""

    environment: Environment
    failure: Failure | None = None
    reached: int = -1


def run_one(
    plan: Plan,
    environment: Environment,
    place: Place,
    workshop: Workshop,
    options: Options,
    watcher: Watcher,
) -> tuple[NotebookResult, dict[str, Environment]]:
    """Return the result of one notebook and the environments that it was run in."""
    worker = _Worker(plan, place, workshop, options, watcher)
    case = worker.case(environment)
    began = time.monotonic()
    execution, final = worker.until_it_runs(case, environment)
    result = worker.result(case, execution, final)
    if execution.failure is None:
        result = worker.compared(case, execution, final, result)
    return (
        replace(result, seconds=round(time.monotonic() - began, 3)),
        {final.digest: final},
    )


@dataclass(frozen=True, slots=True)
class _Worker:
    """The things that stay the same while one notebook is run several times."""

    plan: Plan
    place: Place
    workshop: Workshop
    options: Options
    watcher: Watcher

    @property
    def out(self) -> Path:
        """Where the executed notebook is written."""
        return self.place.output / "notebooks" / self.plan.path

    def case(self, environment: Environment) -> Case:
        """Return the notebook as a case, before anything was repaired."""
        plan = self.plan
        if plan.era is None or plan.needs is None:
            raise LemanError(f"{plan.path} has no plan")
        return Case(
            path=plan.path,
            work=self.place.work,
            era=plan.era,
            wants=plan.wants,
            constraints=plan.constraints,
            packages=environment.lock.packages,
            python=environment.python.minor,
            site=site_packages(environment),
            source=self.place.source,
            boxed=self._boxed(environment),
            python_paths=plan.needs.paths,
            modifications=[
                Modification("path", folder, "on PYTHONPATH, for modules of the source itself")
                for folder in plan.needs.paths
            ],
        )

    def _boxed(self, environment: Environment) -> tuple[Path, ...] | None:
        """Return what the sandbox shows of this machine, None where there is no sandbox."""
        if self.workshop.isolation.level != "sandbox":
            return None
        return (self.place.work.resolve(), *interpreter_folders(environment.executable))

    def until_it_runs(self, case: Case, environment: Environment) -> tuple[Execution, Environment]:
        """Run, repair, and run again, keeping what came furthest."""
        execution = self.execute(case, environment, self.place.work, self.out)
        for _ in range(self.options.repairs):
            failure = execution.failure
            if failure is None or failure.reason in _FINAL:
                break
            before = _snapshot(case)
            if not repair(case, failure):
                break
            self.watcher.said(case.path, case.attempts[-1].action)
            try:
                changed = self.prepared(case, environment)
            except SpaceError:
                raise
            except LemanError as error:
                _restore(case, before, error.message)
                continue
            new = self.execute(case, changed, self.place.work, self.out)
            if _worse(new.failure, failure):
                _restore(case, before, _told(new.failure))
                if changed is not environment:
                    case.packages = environment.lock.packages
                continue
            case.attempts[-1] = replace(case.attempts[-1], outcome=_told(new.failure))
            execution, environment = new, changed
        return execution, environment

    def prepared(self, case: Case, environment: Environment) -> Environment:
        """Do what the last repair asks for outside the notebook itself."""
        for other in case.first_run:
            if other not in case.done:
                case.done.add(other)
                self._run_other(case, other, environment)
        if not case.changed_environment:
            return environment
        case.changed_environment = False
        made = self.workshop.environment(
            case.wants,
            constraints=case.constraints,
            era=replace(case.era, pythons=(environment.python.minor,)),
            imports=tuple(environment.lock.imports),
            progress=lambda text: self.watcher.said(case.path, text),
            fixed=True,
            conda=self.plan.conda,
        )
        case.packages = made.lock.packages
        case.site = site_packages(made)
        return made

    def _run_other(self, case: Case, other: str, environment: Environment) -> None:
        """Run another notebook for the files that it writes; its failure is not ours."""
        scratch = self.place.output / f".first-{case.path.replace('/', '_')}"
        self.execute(_beside(case, other, case.work), environment, self.place.work, scratch)
        scratch.unlink(missing_ok=True)

    def execute(self, case: Case, environment: Environment, work: Path, out: Path) -> Execution:
        """Run the notebook once, as the case stands."""
        home = self.workshop.settings.home
        paths = [str((work / folder).resolve()) for folder in case.python_paths]
        variables = dict(self.place.variables)
        if paths:
            variables["PYTHONPATH"] = ":".join(paths)
        surroundings = Surroundings(
            hidden=(home,),
            variables=tuple(variables.items()),
            home=self._home(case, environment),
            aliases=tuple((alias, (work / target).resolve()) for alias, target in case.aliases),
            inline=inline_from_the_start(self.plan.document or {}) and case.has("matplotlib"),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        return execute(
            work / case.path,
            out=out,
            environment=environment,
            work=work,
            limits=self.options.limits,
            isolation=self.workshop.isolation,
            surroundings=surroundings,
            on_cell=lambda done, total: self.watcher.cell(case.path, done, total),
        )

    def _home(self, case: Case, environment: Environment) -> Path | None:
        folder = self.workshop.settings.cache / "homes" / environment.digest
        own = self.place.work.parent / "homes" / environment.digest
        home = combined_home(warm_home(environment, folder), self.place.home, own)
        if case.drawing is None:
            return home
        return home_for(case.drawing, home, own.with_name(f"{own.name}-{case.drawing.name}"))

    def result(self, case: Case, execution: Execution, environment: Environment) -> NotebookResult:
        """Return what is known of the notebook without its comparison."""
        failure = execution.failure
        reason = self._reason(case, failure) if failure else Reason.NONE
        plan = self.plan
        return NotebookResult(
            plan.path,
            Status.FAILED if failure else Status.RAN,
            reason,
            _told(failure) if failure else "",
            advice=_advice(reason),
            environment=environment.digest,
            runs=1 + sum(one.step == "run" for one in case.attempts),
            eligible=plan.eligibility.eligible,
            eligible_reason=plan.eligibility.detail,
            failure=replace(failure, reason=reason) if failure else None,
            executed=f"notebooks/{plan.path}" if self.out.exists() else "",
            attempts=tuple(case.attempts),
            modifications=tuple(case.modifications),
        )

    def _reason(self, case: Case, failure: Failure) -> Reason:
        """Name the reason more exactly where the source itself tells more than the error."""
        if failure.reason is Reason.MISSING_MODULE:
            module = (missing_module(failure) or "").split(".")[0]
            if module and distribution_for(module) is None and not case.has(module):
                return Reason.UNPUBLISHED_MODULE
        if failure.reason is Reason.MISSING_FILE:
            wanted = PurePosixPath((missing_path(failure) or "").replace("\\", "/")).name
            if wanted and any(
                PurePosixPath(one).name == wanted for one in self.place.source.missing
            ):
                return Reason.MISSING_BLOB
        if (
            failure.reason in _OF_POINTERS
            and failure.name != "NameError"
            and self._pointer(failure)
        ):
            return Reason.MISSING_BLOB
        return failure.reason

    def _pointer(self, failure: Failure) -> str:
        """Return the file that a failing cell names and whose content is not here, else ""."""
        cells = as_format_4(self.plan.document or {}).get("cells", [])
        inside = 0 <= failure.cell < len(cells)
        code = "".join(cells[failure.cell].get("source") or "") if inside else ""
        names = [PurePosixPath(one).name for one in self.place.source.missing]
        return next((name for name in names if name in code), "")

    def compared(
        self, case: Case, execution: Execution, environment: Environment, result: NotebookResult
    ) -> NotebookResult:
        """Compare with the stored outputs, and with a second run where something differs."""
        if case.order:
            restore_order(self.out, case.order)
        stored = as_format_4(self.plan.document or {})
        new, earlier = _load(execution.notebook), self.options.expected.get(case.path)
        result = self._judged(result, stored, earlier, new, None)
        first = result.comparison
        if first and figures_differ(first) and case.boxed is not None:
            new, _ = self._drawn(case, environment, stored, (new, first))
            result = self.result(case, execution, environment)
            result = self._judged(result, stored, earlier, new, None)
        unsure = {Same.NO, Same.NOT_COMPARED} & {
            one.same for one in (result.comparison, result.expected) if one and one.outputs
        }
        if unsure and self.place.again is not None:
            self.watcher.said(case.path, "running a second time")
            second = self._again(case, environment)
            result = replace(result, runs=result.runs + 1)
            if second is not None:
                result = self._judged(result, stored, earlier, new, second)
        return result

    def _judged(
        self,
        result: NotebookResult,
        stored: dict[str, Any],
        earlier: dict[str, Any] | None,
        new: dict[str, Any],
        second: dict[str, Any] | None,
    ) -> NotebookResult:
        """Compare with what the author stored and, if it is given, with an earlier run."""
        rtol, nothing = self.options.rtol, Comparison((), Same.NOT_COMPARED)
        return replace(
            result,
            comparison=compare(stored, new, second, rtol=rtol) if has_outputs(stored) else nothing,
            expected=compare(earlier, new, second, rtol=rtol) if earlier else None,
        )

    def _drawn(
        self,
        case: Case,
        environment: Environment,
        stored: dict[str, Any],
        best: tuple[dict[str, Any], Comparison],
    ) -> tuple[dict[str, Any], Comparison]:
        """Run once more for each other way that the figures may have been drawn; keep what fits."""
        for one in drawings(self.plan.document or {}, case.site):
            self.watcher.said(case.path, f"drawing figures otherwise: {one.name}")
            kept, case.drawing = case.drawing, one
            out = self.place.work.parent / f"drawn-{case.path.replace('/', '_')}"
            failure = self.execute(case, environment, self.place.work, out).failure
            outcome = f"taken back: {_told(failure)}" if failure else "taken back: no nearer"
            if failure is None:
                if case.order:
                    restore_order(out, case.order)
                new = _load(out)
                comparison = compare(stored, new, None, rtol=self.options.rtol)
                if nearer(comparison, best[1]):
                    best, kept, outcome = (new, comparison), one, "more outputs are the same"
                    out.replace(self.out)
                    case.modifications.append(Modification("drawing", case.path, one.detail))
            case.drawing = kept
            case.attempts.append(Attempt("run", f"draw: {one.name}", "figures differ", outcome))
            out.unlink(missing_ok=True)
        return best

    def _again(self, case: Case, environment: Environment) -> dict[str, Any] | None:
        work = self.place.again
        if work is None:
            return None
        for step in case.replay:
            step(work)
        for other in case.first_run:
            self.execute(_beside(case, other, work), environment, work, work.parent / "first.ipynb")
        out = work.parent / f"again-{case.path.replace('/', '_')}"
        execution = self.execute(case, environment, work, out)
        if execution.failure is not None:
            return None
        if case.order:
            restore_order(out, case.order)
        second = _load(out)
        remove_tree(out)
        return second


def _beside(case: Case, other: str, work: Path) -> Case:
    """Return another notebook as a case that finds what this one finds."""
    side = Case(other, work, case.era, case.wants, case.constraints)
    side.aliases, side.python_paths = case.aliases, case.python_paths
    return side


def site_packages(environment: Environment) -> Path | None:
    """Return the folder of an environment's packages."""
    return next(iter(environment.path.glob("lib/python3*/site-packages")), None)


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def as_format_4(document: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook in format 4; an older one is converted as it was for its run."""
    if "cells" in document:
        return document
    import nbformat  # noqa: PLC0415 - slow, and rarely needed

    try:
        upgraded: dict[str, Any] = nbformat.reads(json.dumps(document), as_version=4)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - nbformat raises whatever it meets
        return {"cells": []}
    return upgraded


def _worse(new: Failure | None, old: Failure) -> bool:
    """Tell whether a repair made the notebook end earlier than before."""
    return new is not None and (new.cell < old.cell or new.reason == Reason.KERNEL_DIED)


def _snapshot(case: Case) -> tuple[Any, ...]:
    return case.wants, case.constraints, case.era, case.packages, tuple(case.modifications)


def _restore(case: Case, before: tuple[Any, ...], outcome: str) -> None:
    *packages, told = before
    case.wants, case.constraints, case.era, case.packages = packages
    new = [one for one in case.modifications if one not in told]
    case.modifications[:] = [*told, *(one for one in new if one.kind not in PACKAGES)]
    case.changed_environment = False
    case.attempts[-1] = replace(case.attempts[-1], outcome=f"taken back: {outcome}")


def _told(failure: Failure | None) -> str:
    if failure is None:
        return "it runs"
    text = " ".join(failure.text.split())[:300]
    where = f" (cell {failure.cell})" if failure.cell >= 0 else ""
    return f"{failure.name}: {text}{where}" if failure.name else f"{text}{where}"


def _advice(reason: Reason) -> str:
    return TAXONOMY[reason][2] if reason in TAXONOMY else ""
