"""Are records what RO-Crate and Process Run Crate ask for? The profiles' own validator says.

`python -m benchmarks.conformance_records RECORD… --validator PYTHON --ro-crate CLONE [--save]`

RECORD is a record, or its folder data/. PYTHON is an interpreter of an environment of its own
that has roc-validator; CLONE is a clone or a bare git directory of ResearchObject/ro-crate, from
which the JSON-LD contexts are taken, so that nothing is asked of a network. Both are fetched by
whoever runs this. `--save` writes the table to RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import put
from leman.environments.git import git
from leman.errors import LemanError

PROFILES = ("ro-crate-1.1", "process-run-crate-0.5")
LEVELS = ("REQUIRED", "RECOMMENDED")
CONTEXTS = {
    f"https://w3id.org/ro/crate/{version}/context": f"docs/_specification/{version}/context.jsonld"
    for version in ("1.1", "1.2", "1.3")
}
SECONDS = 600
# Runs in the validator's environment: fills its cache of web pages with the contexts, then
# validates. Links to data elsewhere are not tried.
VALIDATE = r"""
import importlib.metadata, io, json, sys
from pathlib import Path
import requests
from requests_cache import CachedSession
from urllib3.response import HTTPResponse

asked = json.loads(sys.stdin.read())

class Stored(requests.adapters.BaseAdapter):
    def send(self, request, **_):
        kind = {"Content-Type": "application/ld+json"}
        body = io.BytesIO(Path(asked["contexts"][request.url]).read_bytes())
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers.update(kind)
        answer.raw = HTTPResponse(
            body=body, status=200, headers=kind, preload_content=False,
            request_method="GET", request_url=request.url,
        )
        return answer

    def close(self):
        pass

session = CachedSession(cache_name=asked["cache"], backend="sqlite", expire_after=-1)
session.mount("https://", Stored())
for address in asked["contexts"]:
    session.get(address, headers={"Accept": "application/ld+json, application/json"})

from rocrate_validator import models, services
results = []
for crate in asked["crates"]:
    for profile in asked["profiles"]:
        for level in asked["levels"]:
            settings = services.ValidationSettings(
                rocrate_uri=crate, profile_identifier=profile, requirement_severity=level,
                cache_path=Path(asked["cache"]), offline=True, skip_availability_check=True,
            )
            told = services.validate(settings)
            issues = [
                (one.severity.name, one.check.identifier, one.message) for one in told.get_issues()
            ]
            results.append((crate, profile, level, issues))
print(json.dumps([importlib.metadata.version("roc-validator"), results]))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What the validator says of one crate at one level: `issues` are (level, check, words)."""

    crate: str
    profile: str
    level: str
    issues: tuple[tuple[str, str, str], ...]


def main() -> None:
    """Validate the records and print a table; exit with 1 where a requirement is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("records", type=Path, nargs="+", metavar="RECORD")
    parser.add_argument("--validator", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--ro-crate", type=Path, required=True, metavar="CLONE")
    parser.add_argument("--save", action="store_true", help="write the table to RESULTS.md")
    given = parser.parse_args()
    clone = given.ro_crate.resolve()
    git_dir = clone / ".git" if (clone / ".git").exists() else clone
    with tempfile.TemporaryDirectory() as work:
        contexts = export(git_dir, Path(work))
        # The folder data/ itself: given a bag, the validator looks for files in the wrong place.
        crates = [payload(one.resolve()) for one in given.records]
        version, results = validate(given.validator, crates, contexts, Path(work))
    text = page(version, results)
    print(text)
    if given.save:
        put("conformance of records", text)
    raise SystemExit(int(any(one.issues for one in results if one.level == "REQUIRED")))


def payload(record: Path) -> str:
    """Return the folder of a record that is the crate."""
    inside = record / "data"
    return str(inside if (inside / "ro-crate-metadata.json").is_file() else record)


def export(git_dir: Path, work: Path) -> dict[str, str]:
    """Lay out the contexts of a clone; return address → file."""
    contexts = {}
    for address, name in CONTEXTS.items():
        try:
            content = git("cat-file", "blob", f"HEAD:{name}", git_dir=git_dir)
        except LemanError as error:
            print(f"{name}: {error.message}")
            continue
        contexts[address] = str(work / name.replace("/", "-"))
        Path(contexts[address]).write_bytes(content)
    return contexts


def validate(
    python: Path, crates: list[str], contexts: dict[str, str], work: Path
) -> tuple[str, list[Result]]:
    """Run the validator in its own environment; return its version and what it said."""
    asked = {
        "cache": str(work / "cache"),
        "contexts": contexts,
        "crates": crates,
        "profiles": PROFILES,
        "levels": LEVELS,
    }
    done = subprocess.run(
        [str(python), "-c", VALIDATE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    version, told = json.loads(done.stdout.splitlines()[-1])
    results = [
        Result(crate, profile, level, tuple((one[0], one[1], one[2]) for one in issues))
        for crate, profile, level, issues in told
    ]
    return version, results


def page(version: str, results: list[Result]) -> str:
    """Return the section for RESULTS.md."""
    intro = (
        f"{len({one.crate for one in results})} records, validated by roc-validator {version} on"
        f" {datetime.now(UTC):%Y-%m-%d}, links to data elsewhere not tried. Made by"
        " `python -m benchmarks.conformance_records`, which says how; what is recommended and not"
        " done is explained in `docs/explanation/record-decisions.md`."
    )
    rows = []
    for profile in PROFILES:
        for level in LEVELS:
            these = [one for one in results if (one.profile, one.level) == (profile, level)]
            bad = [one for one in these if any(issue[0] == level for issue in one.issues)]
            rows.append(f"| {profile} | {level} | {len(these) - len(bad)} of {len(these)} |")
    counted = Counter(
        (check, words_of(words))
        for one in results
        if one.profile == PROFILES[-1] and one.level == LEVELS[-1]
        for _, check, words in one.issues
    )
    told = [f"| {check} | {words} | {count} |" for (check, words), count in sorted(counted.items())]
    lines = ["## Conformance of records", "", intro, "", "| Profile | Level | Records without an"]
    lines[-1] += " issue |"
    lines += ["|---|---|---|", *rows]
    if told:
        lines += ["", "| Check | What it says | Times |", "|---|---|---|", *told]
    return "\n".join(lines)


def words_of(message: str) -> str:
    """Return a message without the names of one record, fit for a table."""
    plain = re.sub(r"https?://\S+|#run-\S+|\"[^\"]*\"", "…", message)
    return " ".join(plain.split()).replace("|", "/")[:160]


if __name__ == "__main__":
    main()
