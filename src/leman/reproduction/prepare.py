"""From a source to its environments: one per group of notebooks of one Python and one time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman.config import Settings, settings
from leman.environments.clock import Wishes
from leman.environments.detect import declared, notebook_files
from leman.environments.fetch import fetch
from leman.environments.model import Cluster, Declarations, Environment, Source, Want
from leman.environments.tiers import Tier, together
from leman.errors import LemanError, SourceError, SpaceError
from leman.reproduction.enclosure import refuse_too_wide
from leman.reproduction.model import Isolation, Limits
from leman.reproduction.options import Nobody
from leman.reproduction.plan import Plan, declared_plan, plans
from leman.reproduction.post_build import Setting, post_build
from leman.reproduction.run import isolate
from leman.reproduction.work import kept_copy
from leman.reproduction.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from leman.reproduction.options import Watcher

_WARM = 60  # modules to import once when an environment is built


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source, the folder to work in, and the environments of its notebooks."""

    source: Source
    work: Path
    environments: tuple[tuple[Environment, tuple[str, ...]], ...]


def clusters(chosen: list[Plan], workshop: Workshop) -> Iterator[tuple[Cluster, list[Plan]]]:
    """Group plans that can share an environment: same Python, same quarter, no contradiction."""
    groups: list[list[Plan]] = []
    for plan in chosen:
        for group in groups:
            if _fits(plan, group, workshop):
                group.append(plan)
                break
        else:
            groups.append([plan])
    for group in groups:
        yield _cluster(group), group


def _fits(plan: Plan, group: list[Plan], workshop: Workshop) -> bool:
    first = group[0]
    if plan.era is None or first.era is None:
        return False
    if _python(plan, workshop) != _python(first, workshop):
        return False
    if _quarter(plan.era.cutoff) != _quarter(first.era.cutoff):
        return False
    if plan.conda.calls != first.conda.calls:
        return False
    versions = {want.name: want.text() for other in group for want in other.wants}
    return all(versions.get(want.name, want.text()) == want.text() for want in plan.wants)


def _python(plan: Plan, workshop: Workshop) -> str:
    if plan.era is None:
        return ""
    return workshop.interpreters_for(plan.era)[0].minor


def _quarter(day: date) -> tuple[int, int]:
    return day.year, (day.month - 1) // 3


def _cluster(group: list[Plan]) -> Cluster:
    eras = [plan.era for plan in group if plan.era]
    era = max(eras, key=lambda one: one.cutoff)
    wants: dict[str, Want] = {}
    limits: dict[str, Want] = {}
    for plan in group:
        wants.update({want.name: want for want in plan.wants if want.name not in wants})
        limits.update({want.name: want for want in plan.constraints})
    return Cluster(
        tuple(plan.path for plan in group),
        era,
        tuple(wants.values()),
        tuple(want for name, want in limits.items() if name not in wants),
    )


def alone(plan: Plan) -> Cluster:
    """Return the cluster of one notebook."""
    return _cluster([plan])


def modules_to_warm(group: list[Plan]) -> tuple[str, ...]:
    """Return what the notebooks of a group import from packages, for the bytecode to be there."""
    found: dict[str, None] = {}
    for plan in group:
        if plan.needs:
            for one in plan.needs.imports:
                if one.top not in plan.needs.local and not one.optional:
                    found[one.module] = None
    return tuple(sorted(found)[:_WARM])


def build(
    cluster: Cluster, group: list[Plan], workshop: Workshop, watcher: Watcher
) -> list[tuple[Plan, Environment | LemanError]]:
    """Return the environment of each plan of a group; a group that fails is tried one by one."""

    def told(message: str) -> None:
        watcher.said(group[0].path if len(group) == 1 else "", message)

    try:
        made = workshop.environment(
            cluster.wants,
            constraints=cluster.constraints,
            era=cluster.era,
            imports=modules_to_warm(group),
            progress=told,
            conda=together(plan.conda for plan in group),
        )
    except LemanError as error:
        if len(group) == 1:
            return [(group[0], error)]
        return [
            built for plan in group for built in build(_cluster([plan]), [plan], workshop, watcher)
        ]
    return [(plan, made) for plan in group]


def build_locked(
    source: Source, chosen: list[Plan], workshop: Workshop, watcher: Watcher
) -> tuple[list[tuple[Plan, Environment | LemanError]], list[Plan]]:
    """Return the environments of the plans that have a lock of the source's own, and the rest."""
    made: list[tuple[Plan, Environment | LemanError]] = []
    left = {plan.path: plan for plan in chosen}
    for lock in source.locks:
        group = [left.pop(path) for path in lock.notebooks if path in left]
        if not group:
            continue
        try:
            built = workshop.locked(lock, lambda text: watcher.said("", text))
            made += [(plan, built) for plan in group]
        except SpaceError:
            raise
        except LemanError as error:
            made += [(plan, error) for plan in group]
    return made, list(left.values())


def look_at_all(
    source: Source, wishes: Wishes | None = None
) -> tuple[Declarations, tuple[Plan, ...]]:
    """Do as `look_at`, but judge no notebook's eligibility: nothing is to be run.

    A source without notebooks gets the plan of what it declares.
    """
    found, planned = look_at(source, wishes, judged=False)
    if not planned and found.files:
        planned = (declared_plan(source, found, wishes or Wishes()),)
    return found, planned


def look_at(
    source: Source, wishes: Wishes | None = None, *, judged: bool = True
) -> tuple[Declarations, tuple[Plan, ...]]:
    """Return what a source declares and one plan for each of its notebooks."""
    names = notebook_files(source.path, source.notebooks)
    names = tuple(dict.fromkeys([*names, *_absent(source)]))
    found = declared(source.path, names)
    return found, tuple(plans(source, names, found, wishes or Wishes(), judged=judged))


def _absent(source: Source) -> list[str]:
    """Return notebooks that the source names but whose content is not here."""
    wanted = [path for path in source.missing if path.endswith(".ipynb")]
    hidden = [path for path in wanted if not any(p.startswith(".") for p in Path(path).parts)]
    return [path for path in hidden if not source.notebooks or path in source.notebooks]


def prepare(  # noqa: PLR0913 - the options of `leman launch`
    spec: str,
    *,
    ref: str = "",
    python: str = "",
    date: date | None = None,
    notebook: str = "",
    builder: Tier = "auto",
    isolation: Isolation | None = None,
    own: Settings | None = None,
    watcher: Watcher | None = None,
) -> Prepared:
    """Return a source with its environments built, and the folder to work in.

    A folder of the user's own is that folder. Anything fetched has a folder below LEMAN_HOME/work
    that is made once and kept, with all that the user changes in it, for the next time.
    Packages and a ``postBuild`` are built under `isolation`, by default the best that this machine
    gives. Raises SourceError where there is no notebook that could be opened, IsolationError for a
    folder that no sandbox may show, such as the whole home, and the reason why no environment
    could be built where there is none.
    """
    chosen = own or settings()
    heard = watcher or Nobody()
    source = fetch(spec, ref=ref, cache=chosen.cache, progress=lambda text: heard.said("", text))
    if notebook:
        source = replace(source, notebooks=(notebook,))
    kept_apart = isolation or isolate("auto")
    if isolation and isolation.level == "sandbox" and not source.path.is_relative_to(chosen.cache):
        refuse_too_wide(source.path)  # now rather than when all is built
    workshop = open_workshop(chosen, kept_apart, tier=builder)
    declared, found = look_at_all(source, Wishes(python, date))
    made = environments_of(source, found, workshop, heard)
    work, script = source.path, declared.post_build

    def fill(copy: Path) -> None:
        most = max(made, key=lambda pair: len(pair[1]))[0]
        variables = declared.environment_variables
        setting = Setting(most, workshop.isolation, Limits(), variables, hidden=(chosen.home,))
        heard.said("", f"running {script}")
        for finding in post_build(script, copy, setting).findings:
            heard.said("", finding.message)

    if work.is_relative_to(chosen.cache):
        work = kept_copy(source, chosen.home / "work", *([fill] if script else []))
    elif script:
        heard.said("", f"{script} is not run in a folder of yours; run it there if you trust it")
    return Prepared(source, work, made)


def environments_of(
    source: Source, found: tuple[Plan, ...], workshop: Workshop, heard: Watcher
) -> tuple[tuple[Environment, tuple[str, ...]], ...]:
    """Return the environments of a source's plans, built where they were not, with their notebooks.

    A notebook that gets none is told to `heard`; the reason is raised where none gets one.
    """
    ready = [plan for plan in found if plan.era]
    if not ready:
        raise SourceError(
            f"{source.url} has no Python notebook" + (f": {found[0].message}" if found else ""),
            hint="leman opens and locks notebooks (.ipynb) whose language is Python 3.",
        )
    made: dict[str, tuple[Environment, list[str]]] = {}
    failed: LemanError | None = None
    pairs, rest = build_locked(source, ready, workshop, heard)
    for cluster, group in clusters(rest, workshop):
        pairs += build(cluster, group, workshop, heard)
    for plan, result in pairs:
        if isinstance(result, LemanError):
            failed = result
            heard.said(plan.path, f"no environment: {result.message}")
        else:
            made.setdefault(result.digest, (result, []))[1].append(plan.path)
    if not made and failed:
        raise failed
    return tuple((one, tuple(filter(None, names))) for one, names in made.values())
