"""How many notebooks of a list of repositories run again, and how many give the same results.

    python -m benchmarks.reproduction --repositories LIST --workdir DIR \
        --arms pip,inferred,dated,full [--limit N] [--resume] [--jobs N]

LIST holds one repository a line: ``owner/name``, a git address, or the path of a local git
directory (bare and partial clones included); a name and a path may be given, separated by a tab.

Protocol. Of each repository the notebooks that are Python 3 by their metadata and store at least
one output; at most three, evenly spaced in natural order. 600 s a notebook. Nothing is excluded
from the primary rate; eligibility is decided from the source alone, before anything runs. The
arms, each from a work copy of its own:

pip       the Python that runs leman, ``requirements.txt`` at today's versions, or Jupyter alone
inferred  the same Python, what the notebooks import and declare, at today's versions
dated     Python and packages as of the notebook's date; one pass, no repair
full      ``leman run --twice``: dated, with the repairs
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leman.config import Settings, settings
from leman.environments.build import free_space
from leman.environments.clock import Wishes, language_version
from leman.environments.fetch import fetch
from leman.environments.model import Declarations, Era, Source, Want
from leman.environments.tidy import Wish, tidy, total
from leman.errors import LemanError
from leman.reproduction.model import Limits, NotebookResult, Report, Same, Status
from leman.reproduction.options import Options
from leman.reproduction.plan import Plan, has_outputs
from leman.reproduction.prepare import look_at
from leman.reproduction.report.write import write
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ARMS = ("pip", "inferred", "dated", "full")
MOST = 3
_ROOM = 12_000_000_000  # bytes that stay free, for an environment with CUDA and its downloads
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_WRITING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Bench:
    """The settings of one run of the protocol."""

    workdir: Path
    own: Settings
    seconds: float
    network: bool

    @property
    def lines(self) -> Path:
        """One JSON line a notebook and arm; one with "done" closes each repository and arm."""
        return self.workdir / "notebooks.jsonl"


def chosen(source: Source) -> tuple[str, ...]:
    """Return the notebooks of the sample: Python 3, with outputs, at most three, evenly spaced."""
    _, found = look_at(source)
    fit = [
        plan.path
        for plan in found
        if plan.document and plan.era and has_outputs(plan.document) and _python_3(plan.document)
    ]
    if len(fit) <= MOST:
        return tuple(fit)
    return tuple(fit[round(step * (len(fit) - 1) / (MOST - 1))] for step in range(MOST))


def _python_3(document: dict[str, Any]) -> bool:
    return not language_version(document).startswith("2")


def look_as(arm: str) -> Callable[[Source, Wishes | None], tuple[Declarations, tuple[Plan, ...]]]:
    """Return what plans notebooks in the way of an arm."""

    def look(source: Source, wishes: Wishes | None) -> tuple[Declarations, tuple[Plan, ...]]:
        if arm in {"dated", "full"}:
            return look_at(source, wishes)
        today = Wishes(_HERE, datetime.now(UTC).date())
        declared, found = look_at(source, today)
        if arm == "inferred":
            return declared, tuple(map(_today, found))
        lines = _requirements_txt(declared)
        return declared, tuple(_only(_today(plan), lines) for plan in found)

    return look


def _today(plan: Plan) -> Plan:
    if plan.era is None:
        return plan
    return replace(plan, era=Era(plan.era.cutoff, "today", (_HERE,), "today's"))


def _requirements_txt(declared: Declarations) -> tuple[Want, ...]:
    listed = [
        one for one in declared.requirements if one.origin.split(":")[0] == "requirements.txt"
    ]
    wants = [Want(one.name, one.specifier, one.extras, one.url, "declared") for one in listed]
    names = {want.name for want in wants}
    return (*wants, *([] if "ipykernel" in names else [Want("ipykernel", origin="kernel")]))


def _only(plan: Plan, wants: tuple[Want, ...]) -> Plan:
    needs = replace(plan.needs, paths=()) if plan.needs else None
    return replace(plan, wants=wants, constraints=(), needs=needs)


def run_repository(name: str, spec: str, arm: str, bench: Bench) -> list[dict[str, Any]]:
    """Run one repository in the way of one arm; return a line a notebook."""
    try:
        source = fetch(spec, cache=bench.own.cache)
        notebooks = chosen(source)
    except LemanError as error:
        return [{"repository": name, "arm": arm, "error": f"source: {error.message}"[:500]}]
    if not notebooks:
        return [{"repository": name, "arm": arm, "error": "no Python 3 notebook with outputs"}]
    output = bench.workdir / "reports" / arm / name.replace("/", "__")
    options = Options(
        limits=Limits(seconds=bench.seconds),
        twice=arm == "full",
        network=bench.network,
        repairs=Options().repairs if arm == "full" else 0,
    )
    report = reproduce(
        replace(source, notebooks=notebooks),
        output=output,
        settings=bench.own,
        options=options,
        look=look_as(arm),
    )
    write(report, output)
    return [_line(name, arm, one, report) for one in report.notebooks]


def _line(name: str, arm: str, one: NotebookResult, report: Report) -> dict[str, Any]:
    found = [made for made in report.environments if made.digest == one.environment]
    return {
        "repository": name,
        "notebook": one.path,
        "arm": arm,
        "status": one.status.value,
        "reason": one.reason.value,
        "message": one.message[:300],
        "same": one.same.value,
        "counts": one.comparison.counts() if one.comparison else {},
        "seconds": one.seconds,
        "eligible": one.eligible,
        "eligible_reason": one.eligible_reason[:200],
        "python": found[0].python.version if found else "",
        "cutoff": str(found[0].cutoff) if found else "",
        "attempts": [f"{a.action} -> {a.outcome}"[:200] for a in one.attempts],
    }


def _one(task: tuple[str, str, str], bench: Bench) -> None:
    name, spec, arm = task
    began = time.monotonic()
    try:
        lines = run_repository(name, spec, arm, bench)
    except LemanError as error:
        lines = [{"repository": name, "arm": arm, "error": error.message[:500]}]
    except Exception:  # noqa: BLE001 - a defect of ours must not hide the other repositories
        lines = [{"repository": name, "arm": arm, "error": traceback.format_exc()[-1500:]}]
    lines.append({"repository": name, "arm": arm, "done": round(time.monotonic() - began, 1)})
    with _WRITING, bench.lines.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    _make_room(bench)
    ran = sum(line.get("status") == "ran" for line in lines)
    print(f"{arm:9} {name}: {ran} of {len(lines) - 1} ran, {lines[-1]['done']} s", flush=True)


def _make_room(bench: Bench) -> None:
    """Remove the environments not used for longest while the disk is nearly full."""
    home = bench.own.environments
    if home.exists() and free_space(home) < _ROOM:
        wish = Wish(keep_days=3650, quota=max(0, total(bench.own) - _ROOM))
        for _ in tidy(bench.own, wish):
            pass


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927)."""
    if of == 0:
        return 0.0, 1.0
    z, p = 1.959964, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return the Markdown table of rates, a column an arm, and the causes of failure."""
    every = [line for line in lines if "notebook" in line]
    arms = [arm for arm in ARMS if any(line["arm"] == arm for line in every)]
    by_arm = {arm: [line for line in every if line["arm"] == arm] for arm in arms}
    rows = [
        ("notebooks (repositories)", _size),
        ("ran, of all", lambda found: _rate(found, _ran, lambda _: True)),
        ("ran, of the eligible", lambda found: _rate(found, _ran, lambda one: one["eligible"])),
        ("same: exact", lambda found: _rate(found, _same("exact"), lambda _: True)),
        ("same: up to normalised", lambda f: _rate(f, _same("exact", "normalised"), lambda _: 1)),
        (
            "same: up to tolerant, volatile left out",
            lambda found: _rate(found, _same("exact", "normalised", "tolerant"), lambda _: True),
        ),
        ("outputs same, of compared", _outputs),
        ("median seconds a notebook", _seconds),
    ]
    out = ["| | " + " | ".join(arms) + " |", "|---|" + "---|" * len(arms)]
    out += [f"| {name} | " + " | ".join(f(by_arm[a]) for a in arms) + " |" for name, f in rows]
    out += ["", "| cause of failure | " + " | ".join(arms) + " |", "|---|" + "---|" * len(arms)]
    causes = {arm: Counter(one["reason"] for one in by_arm[arm] if not _ran(one)) for arm in arms}
    for cause, _ in sum(causes.values(), Counter()).most_common():
        out.append(f"| {cause} | " + " | ".join(str(causes[arm][cause]) for arm in arms) + " |")
    return "\n".join(out)


def _ran(line: dict[str, Any]) -> bool:
    return bool(line["status"] == Status.RAN.value)


def _same(*levels: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: _ran(line) and line["same"] in {Same(level).value for level in levels}


def _size(found: list[dict[str, Any]]) -> str:
    return f"{len(found)} ({len({line['repository'] for line in found})})"


def _rate(
    found: list[dict[str, Any]],
    hit: Callable[[dict[str, Any]], bool],
    counted: Callable[[dict[str, Any]], Any],
) -> str:
    base = [line for line in found if counted(line)]
    hits = sum(map(hit, base))
    low, high = wilson(hits, len(base))
    share = hits / len(base) if base else 0.0
    return f"{hits}/{len(base)} = {share:.0%} ({low:.0%} to {high:.0%})"


def _outputs(found: list[dict[str, Any]]) -> str:
    total: Counter[str] = Counter()
    for line in found:
        total.update(line["counts"])
    same = total["identical"] + total["normalised"] + total["tolerant"]
    compared = same + total["different"]
    return f"{same}/{compared} = {same / compared:.0%}" if compared else "-"


def _seconds(found: list[dict[str, Any]]) -> str:
    seconds = sorted(line["seconds"] for line in found if _ran(line))
    return f"{seconds[len(seconds) // 2]:.1f}" if seconds else "-"


def _tasks(path: Path, arms: list[str], limit: int, done: set[tuple[str, str]]) -> list[Any]:
    rows = [line.strip() for line in path.read_text().splitlines()]
    rows = [row for row in rows if row and not row.startswith("#")][: limit or None]
    tasks = []
    for row in rows:
        name, _, spec = row.partition("\t")
        spec = spec or name
        local = Path(spec).expanduser()
        if not local.exists() and "://" not in spec and spec.count("/") == 1:
            spec = f"gh:{spec}"
        tasks += [(name, spec, arm) for arm in arms if (name, arm) not in done]
    return tasks


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an earlier run; what a full disk or a kill cut short is passed over."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def main() -> None:
    """Run the protocol and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--limit", type=int, default=0, help="only the first N repositories")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run finished")
    parser.add_argument("--jobs", type=int, default=1, help="repositories at the same time")
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.add_argument("--network", choices=["on", "off"], default="on")
    given = parser.parse_args()
    arms = given.arms.split(",")
    if unknown := set(arms) - set(ARMS):
        parser.error(f"unknown arms: {', '.join(sorted(unknown))}; known: {', '.join(ARMS)}")
    given.workdir.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.workdir, settings(), given.timeout, given.network == "on")
    if not given.resume:
        bench.lines.unlink(missing_ok=True)
    done = {(one["repository"], one["arm"]) for one in _read(bench.lines) if "done" in one}
    tasks = _tasks(given.repositories, arms, given.limit, done)
    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(lambda task: _one(task, bench), tasks))
    lines = _read(bench.lines)
    for line in lines:
        if "error" in line:
            print(f"not counted: {line['repository']} ({line['arm']}): {line['error']}")
    text = table(lines)
    (bench.workdir / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
