"""Run a source's notebooks in the environments of their dates, compare, repair, report."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from leman import __version__
from leman.environments.clock import Wishes
from leman.environments.model import Cluster, Declarations, Environment, Source
from leman.errors import LemanError, SourceError, SpaceError
from leman.files import remove_tree
from leman.reproduction.model import (
    Limits,
    NotebookResult,
    Reason,
    Report,
    Status,
)
from leman.reproduction.options import Nobody, Options, Watcher
from leman.reproduction.plan import Plan
from leman.reproduction.post_build import Setting, post_build
from leman.reproduction.prepare import build, build_locked, clusters, look_at
from leman.reproduction.run import isolate
from leman.reproduction.single import Place, run_one
from leman.reproduction.start import with_start
from leman.reproduction.taxonomy import TAXONOMY
from leman.reproduction.work import work_copy
from leman.reproduction.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from pathlib import Path

    from leman.config import Settings
    from leman.findings import Finding

Look = Callable[[Source, Wishes | None], tuple[Declarations, tuple[Plan, ...]]]

# Skipped: nothing that leman promises to run; all others count as failed.
_SKIPPED = {Reason.OTHER_LANGUAGE, Reason.PYTHON_2}
_SECOND_CHANCE = {Reason.MISSING_FILE, Reason.ABSOLUTE_PATH, Reason.UNPUBLISHED_MODULE}


@dataclass(frozen=True, slots=True)
class _Run:
    """What all notebooks of one run share."""

    source: Source
    declared: Declarations
    options: Options
    workshop: Workshop
    output: Path
    work: Path
    again: Path | None
    watcher: Watcher
    home: Path | None = None


def reproduce(
    source: Source,
    *,
    output: Path,
    settings: Settings,
    options: Options | None = None,
    watcher: Watcher | None = None,
    look: Look = look_at,
) -> Report:
    """Run every notebook of `source` and compare its outputs with the stored ones.

    Executed notebooks are written below ``output/notebooks``. Raises SourceError where there is
    no notebook at all, IsolationError where a sandbox was asked for and cannot be had, SpaceError
    where the disk is full; whatever happens to one notebook is in its result. `look` says what a
    source declares and plans its notebooks.
    """
    asked, heard = options or Options(), watcher or Nobody()
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    isolation = isolate(asked.isolation, network=asked.network)
    declared, found = look(source, asked.wishes)
    declared = with_start(source.path, declared)
    if not found:
        raise SourceError(
            f"there is no notebook in {source.url}",
            hint="leman runs files that end in .ipynb; give the folder that holds them.",
        )
    heard.planned(tuple(plan.path for plan in found))
    workshop = open_workshop(settings, isolation, tier=asked.builder)
    remove_tree(output / "notebooks")
    with ExitStack() as stack:
        place = settings.cache / "work"
        work = stack.enter_context(work_copy(source, place))
        again = stack.enter_context(work_copy(source, place)) if asked.twice else None
        run = _Run(source, declared, asked, workshop, output, work, again, heard)
        results, environments, seen = _results(run, found)
    return Report(
        source=source,
        environments=environments,
        notebooks=tuple(results),
        isolation=isolation,
        started=started,
        seconds=time.monotonic() - began,
        leman=__version__,
        machine=_machine(),
        findings=(
            *source.findings,
            *declared.findings,
            *(finding for plan in found for finding in plan.findings),
            *seen,
        ),
    )


def _machine() -> dict[str, str]:
    import os  # noqa: PLC0415

    return {
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
        "uv": version("uv"),
    }


def _results(
    run: _Run, found: tuple[Plan, ...]
) -> tuple[list[NotebookResult], tuple[Environment, ...], tuple[Finding, ...]]:
    done: dict[str, NotebookResult] = {}
    used: dict[str, Environment] = {}
    ready = [plan for plan in found if plan.era]
    for plan in found:
        if not plan.era:
            done[plan.path] = _not_run(plan)
            run.watcher.finished(done[plan.path])
    pairs: list[tuple[Plan, Environment | LemanError]] = []
    given, ready = build_locked(run.source, ready, run.workshop, run.watcher)
    pairs += given
    for cluster, group in _grouped(ready, run, done):
        pairs += build(cluster, group, run.workshop, run.watcher)
    order = {plan.path: number for number, plan in enumerate(found)}
    pairs.sort(key=lambda pair: order[pair[0].path])
    run, seen = _with_post_build(run, pairs)
    with ThreadPoolExecutor(max(1, run.options.jobs)) as pool:
        for result, own in pool.map(lambda pair: _one(run, *pair), pairs):
            done[result.path] = result
            used.update(own)
    for plan, environment in pairs:  # what another notebook wrote meanwhile may be there now
        if done[plan.path].reason in _SECOND_CHANCE and len(pairs) > 1:
            result, own = _one(run, plan, environment, second=True)
            if result.status is Status.RAN:
                done[plan.path] = result
                used.update(own)
    for plan in found:
        run.watcher.finished(done[plan.path])
    named = {result.environment for result in done.values()}
    environments = tuple(one for digest, one in used.items() if digest in named)
    return [done[plan.path] for plan in found], environments, seen


def _with_post_build(
    run: _Run, pairs: list[tuple[Plan, Environment | LemanError]]
) -> tuple[_Run, tuple[Finding, ...]]:
    """Run the source's postBuild in each work copy, with the environment of most notebooks."""
    script = run.declared.post_build
    built = [one for _, one in pairs if isinstance(one, Environment)]
    if not script or not built:
        return run, ()
    run.watcher.said("", f"running {script}")
    setting = Setting(
        Counter(built).most_common(1)[0][0],
        run.workshop.isolation,
        run.options.limits,
        run.declared.environment_variables,
        hidden=(run.workshop.settings.home,),
    )
    first = post_build(script, run.work, setting)
    if run.again:
        post_build(script, run.again, setting)
    return replace(run, home=first.home), first.findings


def _grouped(
    ready: list[Plan], run: _Run, done: dict[str, NotebookResult]
) -> Iterator[tuple[Cluster, list[Plan]]]:
    """Yield clusters; without any Python on this machine each notebook fails for that reason."""
    try:
        yield from clusters(ready, run.workshop)
    except LemanError as error:
        for plan in ready:
            done[plan.path] = _failed(plan, error)


def _one(
    run: _Run, plan: Plan, environment: Environment | LemanError, *, second: bool = False
) -> tuple[NotebookResult, dict[str, Environment]]:
    if isinstance(environment, SpaceError):
        raise environment
    if isinstance(environment, LemanError):
        result = _failed(plan, environment)
        run.watcher.finished(result)
        return result, {}
    place = Place(
        source=run.source,
        work=run.work,
        again=run.again,
        output=run.output,
        variables=tuple(sorted(run.declared.environment_variables.items())),
        home=run.home,
    )
    result, used = run_one(plan, environment, place, run.workshop, run.options, run.watcher)
    if not second:
        run.watcher.finished(result)
    return result, used


def _not_run(plan: Plan) -> NotebookResult:
    skipped = plan.reason in _SKIPPED
    return NotebookResult(
        plan.path,
        Status.SKIPPED if skipped else Status.FAILED,
        plan.reason,
        plan.message,
        advice=advice_for(plan.reason),
        eligible=False,
        eligible_reason=plan.reason.value,
    )


def _failed(plan: Plan, error: LemanError) -> NotebookResult:
    from leman.errors import NoPythonError  # noqa: PLC0415

    reason = Reason.NO_PYTHON if isinstance(error, NoPythonError) else Reason.NO_ENVIRONMENT
    return NotebookResult(
        plan.path,
        Status.FAILED,
        reason,
        error.message,
        advice=error.hint or advice_for(reason),
        eligible=plan.eligibility.eligible,
        eligible_reason=plan.eligibility.detail,
    )


def advice_for(reason: Reason) -> str:
    """Return what a user can do about a reason; "" where there is none."""
    return TAXONOMY[reason][2] if reason in TAXONOMY else ""


def limited(limits: Limits, seconds: float) -> Limits:
    """Return `limits` with less time."""
    return replace(limits, seconds=max(10.0, seconds))
