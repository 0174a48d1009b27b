"""A record's payload described as an RO-Crate 1.1 and Process Run Crate 0.5.

Why these versions: `docs/explanation/record-decisions.md`. Only the descriptor is written; the
files that it tells of are neither copied nor changed. The same facts and the same files give the
same bytes: nothing is taken from the clock, and no identifier is drawn at random.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.dataset import Dataset
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from leman.files import write_atomic
from leman.records.describe.people import ROLES

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ro-crate-metadata.json"
VERSION = "1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_REPORT = "report/report.json"
_PYLOCK = "https://peps.python.org/pep-0751/"
_PYTHON = "https://www.python.org/"
_STATUS = {
    "ran": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
}
# Media types by ending: those of the standard library vary with the machine.
_FORMATS = {
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".html": "text/html",
    ".toml": "application/toml",
    ".md": "text/markdown",
    ".rst": "text/prs.fallenstein.rst",
    ".txt": "text/plain",
    ".py": "text/x-python",
    ".cff": "application/yaml",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".zip": "application/zip",
    ".gz": "application/gzip",
    ".tar": "application/x-tar",
    ".nc": "application/netcdf",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".fits": "application/fits",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".pdf": "application/pdf",
}
_LARGEST_REPORT = 256 * 1024**2  # bytes
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def write_crate(data: Path, facts: dict[str, Any]) -> None:
    """Write ``ro-crate-metadata.json`` into `data`, the payload of a record.

    `facts` is the content of ``leman-record.json`` (see the record format's reference page). The
    times of the run and the words of errors are read from ``report/report.json`` where it is.
    """
    crate = ROCrate(version=VERSION)
    # RO-Crate 1.1 does not know the term; later versions map it as is done here.
    crate.metadata.extra_terms["sha256"] = "http://schema.org/sha256"
    people = _people(crate, facts)
    _root(crate, facts, people)
    _source(crate, data, facts)
    _report(crate, data, facts)
    _runs(crate, data, facts, people)
    told = crate.metadata.generate()
    told["@graph"] = [_single(entity) for entity in told["@graph"]]
    text = json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomic(data / NAME, text.encode(errors="replace"))


def _single(entity: dict[str, Any]) -> dict[str, Any]:
    """Write a list of one as the one, as RO-Crate 1.1 recommends for its JSON-LD."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }


def _root(crate: Any, facts: dict[str, Any], people: list[Any]) -> None:  # noqa: ANN401
    description = facts.get("description", {})
    root = crate.root_dataset
    root["name"] = description.get("title") or "Untitled"
    root["description"] = description.get("abstract") or (
        "Notebooks with the environment that they ran in and the results of running them."
    )
    root["datePublished"] = facts.get("created", "")
    root["license"] = _licence(crate, description.get("licence", ""))
    root["conformsTo"] = _work(crate, PROFILE, "Process Run Crate", version="0.5")
    for key, value in (
        ("keywords", description.get("keywords")),
        ("version", description.get("version")),
        ("author", list(dict.fromkeys(people))),
    ):
        if value:
            root[key] = value
    if description.get("doi"):
        root["identifier"] = f"https://doi.org/{description['doi']}"
    if roles := _roles(crate, facts, people):
        root["contributor"] = roles


def _people(crate: Any, facts: dict[str, Any]) -> list[Any]:  # noqa: ANN401
    """Add the authors and the organisations that they belong to."""
    people = []
    places: dict[str, Any] = {}
    for number, one in enumerate(facts.get("description", {}).get("authors", ()), 1):
        orcid = one.get("orcid")
        identifier = f"https://orcid.org/{orcid}" if orcid else f"#author-{number}"
        person = {"@type": "Person", "name": one.get("name", "")}
        if place := one.get("affiliation"):
            if place not in places:
                label = f"#organisation-{len(places) + 1}"
                places[place] = _entity(crate, label, {"@type": "Organization", "name": place})
            person["affiliation"] = places[place]
        people.append(_entity(crate, identifier, person))
    return people


def _roles(crate: Any, facts: dict[str, Any], people: list[Any]) -> list[Any]:  # noqa: ANN401
    """Add CRediT roles as schema.org's Role, which stands between the work and a person.

    The pattern is that of https://schema.org/Role: the property that leads to the role is
    repeated in it. `author` keeps leading to people, which is what readers of crates look for.
    """
    roles = []
    authors = facts.get("description", {}).get("authors", ())
    for number, (one, person) in enumerate(zip(authors, people, strict=True), 1):
        for name in one.get("roles", ()):
            slug = ROLES.get(name, "")
            label = slug or re.sub(r"[^a-z0-9]+", "-", name.lower())
            role = {"@type": "Role", "name": name, "roleName": name, "contributor": person}
            if slug:
                role["url"] = f"https://credit.niso.org/contributor-roles/{slug}/"
            roles.append(_entity(crate, f"#role-{number}-{label}", role))
    return roles


def _licence(crate: Any, expression: str) -> Any:  # noqa: ANN401
    """Add the licence: an SPDX page, or an expression with the pages of its parts."""
    if not expression:
        text = "The authors state no licence: ask them before using more than the law allows."
        return _work(crate, "#no-licence", "No licence stated", description=text)
    names = [one for one in _SPDX.findall(expression) if one not in {"AND", "OR", "WITH"}]
    parts = [
        _work(crate, address, one, identifier=one, url=address)
        for one in dict.fromkeys(names)
        if (address := f"https://spdx.org/licenses/{quote(one)}")
    ]
    if expression in names:
        return parts[0]
    text = "An expression as SPDX defines it (ISO/IEC 5962, annex D)."
    return _work(crate, "#licence", expression, description=text, mentions=parts)


def _source(crate: Any, data: Path, facts: dict[str, Any]) -> None:  # noqa: ANN401
    """Add the author's files: the folder as a whole, notebooks and what they are described in."""
    source = facts.get("source", {})
    whole = {
        "name": "Source",
        "description": "The author's files as they were stored. All of them are listed with"
        " their SHA-256 in the manifest of the record.",
    }
    if swhid := source.get("swhid"):
        whole["identifier"] = swhid
    if origin := _origin(crate, source):
        whole["isBasedOn"] = origin
    folder = _folder(crate, "source", whole)
    language = {"@type": "ComputerLanguage", "name": "Python", "url": _PYTHON}
    python = _entity(crate, _PYTHON, {**language, "identifier": {"@id": _PYTHON}})
    parts = []
    version = source.get("revision") or source.get("content_id") or source.get("swhid")
    for one in facts.get("notebooks", ()):
        more = {
            "@type": ["File", "SoftwareSourceCode"],
            "description": "Notebook with its outputs, as its author stored it",
            "programmingLanguage": python,
            **({"version": version} if version else {}),
            **({"url": source["url"]} if _is_web(source.get("url", "")) else {}),
        }
        parts.append(_file(crate, data, f"source/{one['path']}", one["path"], more))
    known = {one["path"] for one in facts.get("notebooks", ())}
    parts += [
        _file(crate, data, f"source/{name}", name, {})
        for name in facts.get("description", {}).get("origins", ())
        if name not in known and (data / "source" / name).is_file()
    ]
    parts += _references(crate, facts)
    if kept := [one for one in parts if one is not None]:
        folder["hasPart"] = kept


def _origin(crate: Any, source: dict[str, Any]) -> Any:  # noqa: ANN401
    """Add the repository that the source came from, if others can reach it."""
    url = source.get("url", "")
    if not _is_web(url):
        return None
    revision = source.get("revision", "")
    facts = {"@type": "SoftwareSourceCode", "name": "Origin of the source", "url": url}
    facts |= {"codeRepository": url}
    if revision:
        facts["version"] = revision
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        facts["identifier"] = f"swh:1:rev:{revision}"
    return _entity(crate, url, facts)


def _references(crate: Any, facts: dict[str, Any]) -> list[Any]:  # noqa: ANN401
    """Add files that the record refers to without holding them."""
    by_address: dict[str, list[dict[str, Any]]] = {}
    for one in facts.get("references", ()):
        if _is_web(one["url"]):
            by_address.setdefault(one["url"], []).append(one)
    added = []
    for url, same in by_address.items():
        first = same[0]
        paths = [f"source/{one['path']}" for one in same]
        more = {
            "name": first["path"],
            "alternateName": paths if len(paths) > 1 else paths[0],  # where the notebooks look
            "contentUrl": url,
            "contentSize": str(first["size"]),
            "sha256": first["sha256"],
            "encodingFormat": _format(first["path"]),
            "sdDatePublished": facts.get("created", ""),
        }
        added.append(crate.add(File(crate, source=url, properties=more)))
    return added


def _report(crate: Any, data: Path, facts: dict[str, Any]) -> None:  # noqa: ANN401
    """Add what leman wrote: the report, the locks, the notebooks as they were executed."""
    text = "What came of running the notebooks: the report, locks, and notebooks as executed."
    folder = _folder(crate, "report", {"name": "Report", "description": text})
    peps = _work(
        crate, _PYLOCK, "PEP 751: a file format to record Python dependencies", url=_PYLOCK
    )
    parts = [
        _file(crate, data, _REPORT, "Report for programs", {}),
        _file(crate, data, "report/report.html", "Report for people", {}),
    ]
    for one in facts.get("environments", ()):
        if one.get("lock"):
            name = f"Lock of the environment {one['digest'][:12]}: Python {one['python']}"
            text = f"Every package with its hashes, none newer than {one.get('cutoff')}."
            more = {"conformsTo": peps, "description": text}
            parts.append(_file(crate, data, one["lock"], name, more))
    for one in facts.get("notebooks", ()):
        if one.get("executed"):
            text = "Notebook with the outputs of this run"
            name = f"{one['path']} as executed"
            parts.append(_file(crate, data, one["executed"], name, {"description": text}))
    if kept := [one for one in parts if one is not None]:
        folder["hasPart"] = kept
    text = "What leman knows of the record, for programs; crates are for everybody else's."
    _file(crate, data, "leman-record.json", "Facts of the record", {"description": text})


def _runs(crate: Any, data: Path, facts: dict[str, Any], people: list[Any]) -> None:  # noqa: ANN401
    """Add one action a notebook that was run. Those that were skipped have none."""
    told = _told(data)
    locks = {one["digest"]: one for one in facts.get("environments", ())}
    leman = _leman(crate, facts)
    actions = []
    for one in facts.get("notebooks", ()):
        if one.get("status") not in _STATUS:
            continue
        environment = locks.get(one.get("environment", ""), {})
        result = one.get("executed") or _REPORT
        more = {
            "@type": "CreateAction",
            "name": f"Run of {one['path']}",
            "description": _words(one, environment, facts),
            "instrument": [leman, *_pythons(crate, environment)],
            "object": _known(crate, f"source/{one['path']}", environment.get("lock"), "source/"),
            "actionStatus": _STATUS[one["status"]],
            **_times(told),
        }
        if results := _known(crate, result):
            more["result"] = results
        if people:  # those in whose name it is published answer for the run
            more["agent"] = list(dict.fromkeys(people))
        if one["status"] == "failed":
            more["error"] = _error(told, one["path"])
        actions.append(_entity(crate, f"#run-{quote(one['path'], errors='surrogateescape')}", more))
    if actions:
        crate.root_dataset["mentions"] = actions


def _leman(crate: Any, facts: dict[str, Any]) -> Any:  # noqa: ANN401
    version = facts.get("leman", "")
    more = {"@type": "SoftwareApplication", "name": "leman"}
    text = "Runs notebooks in the environment of their date and compares every output."
    return _entity(crate, "#leman", {**more, "softwareVersion": version, "description": text})


def _pythons(crate: Any, environment: dict[str, Any]) -> list[Any]:  # noqa: ANN401
    version = environment.get("python", "")
    if not version:
        return []
    address = f"{_PYTHON}downloads/release/python-{version.replace('.', '')}/"
    more = {"@type": "SoftwareApplication", "name": "Python", "url": address}
    return [_entity(crate, address, {**more, "softwareVersion": version})]


def _words(one: dict[str, Any], environment: dict[str, Any], facts: dict[str, Any]) -> str:
    """Say in a sentence or two what was done."""
    words = f"leman {facts.get('leman', '')} ran {one['path']}"
    if environment:
        words += f" in the environment {environment['digest'][:12]}"
        words += f" (Python {environment['python']}"
        words += f", packages up to {environment['cutoff']})" if environment.get("cutoff") else ")"
    same = {
        "exact": "all outputs are exactly those that were stored",
        "normalised": "all outputs are those that were stored, addresses and the like left out",
        "tolerant": "all outputs are those that were stored, within tolerances",
        "no": "an output differs from that stored",
    }.get(one.get("same", ""), "there was nothing to compare with")
    came = f"to its end; {same}" if one["status"] == "ran" else "and it failed"
    return f"{words} {came}. Times are those of the whole run."


def _told(data: Path) -> dict[str, Any]:
    """Read the report, if it is there and one."""
    path = data / _REPORT
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _LARGEST_REPORT:
            value = json.loads(path.read_bytes())
            return value if isinstance(value, dict) else {}
    return {}


def _times(told: dict[str, Any]) -> dict[str, str]:
    """Return when the run began and ended; the times of a single notebook are not kept."""
    try:
        begin = datetime.fromisoformat(told["started"])
        end = begin + timedelta(seconds=float(told["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}
    if begin.tzinfo is None:
        return {}
    return {
        "startTime": begin.isoformat(timespec="seconds"),
        "endTime": end.isoformat(timespec="seconds"),
    }


def _error(told: dict[str, Any], path: str) -> str:
    notebooks = told.get("notebooks")
    for one in notebooks if isinstance(notebooks, list) else []:
        if isinstance(one, dict) and one.get("path") == path:
            words = [str(one.get(key) or "") for key in ("reason", "message")]
            return ": ".join(filter(None, words)) or "it did not run to its end"
    return "it did not run to its end"


def _entity(crate: Any, identifier: str, properties: dict[str, Any]) -> Any:  # noqa: ANN401
    return crate.add(ContextEntity(crate, identifier, properties=properties))


def _work(crate: Any, address: str, name: str, **more: Any) -> Any:  # noqa: ANN401
    return _entity(crate, address, {"@type": "CreativeWork", "name": name, **more})


def _folder(crate: Any, path: str, properties: dict[str, Any]) -> Any:  # noqa: ANN401
    return crate.add(Dataset(crate, dest_path=path, properties=properties))


def _file(crate: Any, data: Path, path: str, name: str, more: dict[str, Any]) -> Any:  # noqa: ANN401
    """Add a file of the payload; None if it is not there, or no address can hold its name."""
    with suppress(OSError, ValueError):
        size = (data / path).stat().st_size
        path.encode()
        properties = {"name": name, "encodingFormat": _format(path), "contentSize": str(size)}
        return crate.add(File(crate, dest_path=path, properties={**properties, **more}))
    return None


def _known(crate: Any, *paths: str | None) -> list[Any]:  # noqa: ANN401
    """Return those of some files that the crate tells of."""
    found = (crate.get(quote(path)) for path in paths if path and _is_text(path))
    return [one for one in found if one is not None]


def _is_text(path: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def _is_web(address: str) -> bool:
    return bool(re.match(r"https?://[^\s/]+", address))


def _format(path: str) -> str:
    return _FORMATS.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")
