"""Who wrote what a repository holds, asked of its history where no file says it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments.git import commit_of, git, objects_of, shadow
from leman.errors import LemanError
from leman.records.describe.codes import finding
from leman.records.describe.said import Said, line
from leman.records.model import Person

if TYPE_CHECKING:
    from pathlib import Path as _Path

_MOST_COMMITS = 100_000
_MOST_NAMES = 50  # beyond, who counts as an author is not for a program to say
_BOT = re.compile(
    r"(?i)\[bot\]|\bbot\b|^(?:dependabot|renovate|github|github[ -]actions?|gitlab|travis|codecov"
    r"|pre-commit.*|allcontributors|greenkeeper|imgbot|snyk.*|semantic-release.*|root|unknown"
    r"|your name|user|ubuntu|jovyan)$|^(?:actions|noreply)@github\.com$|\[bot\]@"
)
_LINE = re.compile(r"\s*([0-9]+)\t(.*?)\s*(?:<([^<>]*)>)?$")


def read_history(git_dir: _Path, revision: str = "") -> Said:
    """Return the authors of the commits up to `revision` (HEAD when empty), most commits first.

    Reads nothing of the repository but its objects: neither its configuration nor its hooks.
    """
    try:
        commit = commit_of(git_dir, revision)
        listed = _listed(git_dir, commit) if commit else ""
    except (LemanError, OSError, ValueError):  # a history that git cannot walk says nothing
        return Said("history")
    names = _people(listed)
    if not names:
        return Said("history")
    shown = names[:_MOST_NAMES]
    message = f"no file names the authors; the history names {', '.join(shown[:5])}"
    message += f" and {len(names) - 5} more" if len(names) > 5 else ""
    fix = "Check the names, and write a CITATION.cff or give --author for each."
    told = finding("authors-from-history", "history", message, fix)
    return Said("history", authors=tuple(map(Person, shown)), findings=(told,))


def _people(listed: str) -> list[str]:
    """Return names by number of commits; one person under two names or addresses counts once.

    Two lines are one person where the address is the same, or the letters of the name are
    ("NoraLoose", "Nora Loose"); the name that looks most like one is kept.
    """
    people: list[tuple[int, str]] = []  # commits, name
    known: dict[str, int] = {}  # letters of a name, or an address → place in that list
    for one in listed.splitlines():
        match = _LINE.match(one)
        name = line(match[2]) if match else ""
        if not match or not name or _BOT.search(name) or _BOT.search(match[3] or ""):
            continue
        letters = re.sub(r"[\W_]+", "", name.casefold())
        marks = [mark for mark in (letters, (match[3] or "").casefold()) if mark]
        same = {known[mark] for mark in marks if mark in known}
        joined = [people[place] for place in sorted(same)] + [(int(match[1]), name)]
        for place in same:
            people[place] = (0, "")
        full = max((spelled for _, spelled in joined), key=lambda one: one.count(" "))
        people.append((sum(count for count, _ in joined), full))
        known |= {mark: len(people) - 1 for mark, place in known.items() if place in same}
        known |= dict.fromkeys(marks, len(people) - 1)
    people.sort(key=lambda person: (-person[0], person[1]))
    return [name for count, name in people if count]


def _listed(git_dir: _Path, commit: str) -> str:
    objects = objects_of(git_dir)
    with shadow(objects, commit) as environment:
        cut = objects.parent / "shallow"
        if cut.is_file():  # else git would miss the parents that a shallow clone does not have
            (Path(environment["GIT_DIR"]) / "shallow").write_bytes(cut.read_bytes())
        said = git(
            *("-c", "core.bare=true", "-c", "mailmap.blob=HEAD:.mailmap"),
            *("shortlog", "-sne", f"--max-count={_MOST_COMMITS}", "HEAD"),
            environment=environment,
            timeout=120,
        )
    return said.decode(errors="replace")
