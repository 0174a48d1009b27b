"""Does leman build what repo2docker's own test repositories declare? Their verify scripts say.

`python -m benchmarks.conformance --repo2docker CLONE --workdir DIR [--only TEXT] [--save]`

CLONE is a clone or a bare git directory of repo2docker, fetched by whoever runs this; nothing of
it is kept here. Each folder of its tests/ with a `verify` script is one case: leman builds the
environment that the case declares (nothing is inferred from the script, which asks for what must
not be there, too), runs the case's postBuild, takes over the variables of its `start`, and runs
`verify` in a sandbox, in a work copy, with the environment first on PATH. Cases that declare no
Python get repo2docker's default. What checks a container image, or needs what leman does not
build, is told as not applicable, with the reason. `--save` writes the table to RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from benchmarks.measuring import put
from leman import sandbox
from leman.config import Settings
from leman.environments.clock import Wishes
from leman.environments.detect import declared
from leman.environments.git import git, lines_of
from leman.environments.model import Source
from leman.environments.system import missing_packages
from leman.errors import LemanError
from leman.files import remove_tree, write_atomic
from leman.reproduction.model import Limits
from leman.reproduction.options import Nobody
from leman.reproduction.plan import declared_plan
from leman.reproduction.post_build import Setting, post_build
from leman.reproduction.prepare import alone, build
from leman.reproduction.run import isolate
from leman.reproduction.start import with_start
from leman.reproduction.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from leman.environments.model import Declarations, Environment

DEFAULT_PYTHON = "3.10"  # repo2docker's, in docs/source/configuration/languages
SECONDS = 120

# Why a case says nothing about leman; by the beginning of its name, the longest first.
NOT_APPLICABLE = {
    "base/": "checks the image: its user, its Node.js",
    "conda/downgrade": "a C++ kernel and the exact builds of conda-forge",
    "conda/py-r": "R",
    "conda/py2": "Python 2",
    "conda/py35": "asks for the image's micromamba by version",
    "conda/py36-postBuild": "asks the image's conda for lists of packages",
    "conda/r": "R",
    "dockerfile/": "a Dockerfile is reported, not built",
    "external/": "large repositories of others",
    "julia/": "Julia",
    "nix/": "Nix",
    "pipfile/py2": "Python 2",
    "r/": "R",
    "ui/": "checks the web pages that the image serves",
    "venv/default": "needs repo2docker's --appendix",
    "venv/postBuild": "checks extensions of the image's server and Node.js",
    "venv/py2": "Python 2",
    "venv/usr-bin": "checks the image's PATH, which this benchmark sets itself",
}
_PIP = """#!{python}
import importlib.metadata, sys
if sys.argv[1:2] == ["list"]:
    for one in importlib.metadata.distributions():
        print(one.metadata["Name"], one.version)
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: `verdict` is pass, fail or not applicable."""

    case: str
    verdict: str
    reason: str = ""
    python: str = ""


def main() -> None:
    """Run the cases and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repo2docker", type=Path, required=True, metavar="CLONE")
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds TEXT")
    parser.add_argument("--save", action="store_true", help="write the table to RESULTS.md")
    given = parser.parse_args()
    work = given.workdir.resolve()
    git_dir, commit = clone(given.repo2docker.resolve())
    remove_tree(work / "cases")
    export(git_dir, commit, work / "cases")
    workshop = open_workshop(Settings(work / "home"), isolate("sandbox"))
    results = []
    for folder in cases(work / "cases"):
        if given.only in folder.relative_to(work / "cases").as_posix():
            results.append(result_of(folder, work, workshop))
            print(row(results[-1]), flush=True)
    text = page(results, commit)
    print(f"\n{text}")
    if given.save:
        put("conformance", text)


def clone(path: Path) -> tuple[Path, str]:
    """Return the git directory of a clone and its commit."""
    git_dir = path / ".git" if (path / ".git").exists() else path
    return git_dir, git("rev-parse", "HEAD", git_dir=git_dir).decode().strip()


def export(git_dir: Path, commit: str, target: Path) -> None:
    """Lay out the commit's tests folder, with the modes of its scripts."""
    listed = lines_of(git("ls-tree", "-rz", commit, "tests", git_dir=git_dir))
    for line in listed:
        facts, _, name = line.partition("\t")
        mode, kind, oid = facts.split()
        if kind == "blob" and mode != "120000":
            path = target / PurePosixPath(name).relative_to("tests")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(git("cat-file", "blob", oid, git_dir=git_dir))
            path.chmod(0o755 if mode == "100755" else 0o644)


def cases(root: Path) -> list[Path]:
    """Return the folders that hold a verify script."""
    return sorted(path.parent for path in root.rglob("verify") if path.is_file())


def why_not(name: str) -> str:
    """Return why a case is not applicable, "" if it is."""
    fitting = [start for start in NOT_APPLICABLE if name.startswith(start)]
    return NOT_APPLICABLE[max(fitting, key=len)] if fitting else ""


def result_of(folder: Path, work: Path, workshop: Workshop) -> Result:
    """Build one case's environment and run its verify script."""
    name = folder.relative_to(work / "cases").as_posix()
    if reason := why_not(name):
        return Result(name, "not applicable", reason)
    found = with_start(folder, declared(folder))
    if found.apt and (lacking := missing_packages(found.apt)):
        reason = f"this machine lacks {', '.join(lacking)}, as leman says"
        return Result(name, "not applicable", reason)
    source = Source(name, "", folder, f"case:{name}")
    python = "" if found.python else DEFAULT_PYTHON
    plan = declared_plan(source, found, Wishes(python))
    made = build(alone(plan), [plan], workshop, Nobody())[0][1]
    if isinstance(made, LemanError):
        return Result(name, "fail", first_line(made.message))
    error = verified(folder, work / "run", made, found, workshop)
    given = f"{made.python.minor}{' (given)' if python else ''}"
    return Result(name, "fail" if error else "pass", error, given)


def verified(
    folder: Path, place: Path, environment: Environment, found: Declarations, workshop: Workshop
) -> str:
    """Run postBuild and verify in a copy; return the end of what failed, "" for success."""
    remove_tree(place)
    copy, tools, home = place / "copy", place / "tools", place / "home"
    shutil.copytree(folder, copy, symlinks=True)
    tools.mkdir()
    home.mkdir()
    write_atomic(tools / "pip", _PIP.format(python=environment.executable), mode=0o755)
    if found.post_build:
        variables = found.environment_variables
        setting = Setting(environment, workshop.isolation, Limits(), variables)
        built = post_build(found.post_build, copy, setting)
        failed = [one for one in built.findings if one.severity != "info"]
        if failed:
            return f"postBuild: {first_line(failed[0].message)}"
        home = built.home or home
    box = sandbox.Sandbox(
        cwd=copy,
        writable=(copy,),
        readable=(*sandbox.interpreter_folders(environment.executable), tools),
        network=False,
        environment=variables_for(copy, tools, environment, found),
        home=home,
    )
    done = subprocess.run(
        sandbox.command(box, by_first_line(copy / "verify", environment)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return last_line(done.stdout + done.stderr) if done.returncode else ""


def variables_for(
    copy: Path, tools: Path, environment: Environment, found: Declarations
) -> dict[str, str]:
    """Return what Binder's image sets for a session, with this environment first on PATH."""
    local = f"{sandbox.HOME}/.local/bin:{copy}/.local/bin"
    bins = f"{environment.executable.parent}:{tools}"
    projects = [
        str(copy / folder) for folder in found.local_projects if not found.no_project_install
    ]
    return {
        **found.environment_variables,
        "PATH": f"{local}:{bins}:{sandbox.SYSTEM_PATH}",
        "PYTHONPATH": ":".join(projects),
        "REPO_DIR": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def by_first_line(script: Path, environment: Environment) -> list[str]:
    """Return how to start a script whose first line may name a place of the image."""
    words = script.read_text().partition("\n")[0].removeprefix("#!").split()
    words = words[1:] if words[0] == "/usr/bin/env" else words
    program = PurePosixPath(words[0]).name
    if program.startswith("python"):
        return [str(environment.executable), str(script)]
    # A login shell would reset PATH from the machine's own profile.
    options = [word for word in words[1:] if word not in {"-il", "-l", "-i"}]
    return [f"/bin/{program}", *options, str(script)]


def first_line(text: str) -> str:
    """Return a short first line."""
    return " ".join(text.split())[:160]


def last_line(text: str) -> str:
    """Return the last line that names an error, else the last one, or that there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line] or lines
    return telling[-1][:160] if telling else "it said nothing"


def row(one: Result) -> str:
    """Return one line of the table."""
    return f"| {one.case} | {one.verdict} | {one.python} | {one.reason.replace('|', '/')} |"


def page(results: list[Result], commit: str) -> str:
    """Return the section for RESULTS.md."""
    counts = Counter(one.verdict for one in results)
    told = f"{counts['pass']} pass, {counts['fail']} fail, {counts['not applicable']} do not apply"
    intro = (
        f"repo2docker's own cases at its commit {commit[:10]}, on {datetime.now(UTC):%Y-%m-%d}:"
        f" {told}. Made by `python -m benchmarks.conformance`, which says how; (given): the"
        f" case names no Python and got repo2docker's default, {DEFAULT_PYTHON}."
    )
    return "\n".join(
        [
            "## Conformance",
            "",
            intro,
            "",
            "| Case | Verdict | Python | Why |",
            "|---|---|---|---|",
            *map(row, results),
        ]
    )


if __name__ == "__main__":
    main()
