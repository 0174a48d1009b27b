"""``data/leman-record.json``: what leman knows of a record, read back without believing it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from leman.findings import Finding, printable
from leman.records.bag import reading
from leman.records.layout import FACTS, FORMAT, LARGEST_FACTS, PAYLOAD, SOURCE
from leman.records.model import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# What each part is, where it is there; a list has one kind of item. Names that are not known are
# let alone: a later leman may write more. `compose` writes all of these.
_SHAPE: dict[str, Any] = {
    "leman": str,
    "created": str,
    "description": {
        "title": str,
        "authors": [{"name": str, "orcid": str, "affiliation": str, "roles": [str]}],
        "abstract": str,
        "licence": str,
        "keywords": [str],
        "version": str,
        "doi": str,
        "origins": [str],
    },
    "source": {
        "url": str,
        "revision": str,
        "content_id": str,
        "swhid": str,
        "subfolder": str,
        "missing": [str],
        "executable": [str],
        "empty_folders": [str],
        "left_out": [{"path": str, "why": str}],
    },
    "environments": [
        {"digest": str, "python": str, "cutoff": str, "lock": str, "notebooks": [str]}
    ],
    "notebooks": [{"path": str, "executed": str, "status": str, "same": str, "environment": str}],
    "exempt": [{"notebook": str, "cell": int, "tag": str}],
    "references": [{"path": str, "url": str, "size": int, "sha256": str}],
    "answers": dict,
}
_NEEDED = ("description", "source", "environments", "notebooks", "exempt", "references", "answers")
_VALUES = {str(one) for one in Value}
_PATH = re.compile(r"[^\0]+")
_MOST = 20  # complaints about one file


def read(
    root: Path, listed: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return the facts of the record in `root`, empty where they cannot be used, and why.

    `listed` are the digests of the payload manifest: the bytes read here must be those that it
    lists, and so must be the files that the facts name.
    """
    try:
        text = reading.content(root / FACTS, most=LARGEST_FACTS)
    except OSError as error:
        return {}, (_bad(f"it cannot be read: {reading.reason(error)}"),)
    if listed and FACTS in listed and hashlib.sha256(text).hexdigest() != listed[FACTS]:
        return {}, (_bad("it is not the file that the manifest lists"),)
    try:
        value = reading.strict_json(text)
    except (ValueError, RecursionError) as error:
        return {}, (_bad(f"it is no JSON: {str(error)[:200]}"),)
    wrong = _format(value) or _kinds(value)
    if wrong is not None:
        return {}, (wrong,)
    found = [_bad(words) for words in (*_paths(value), *_unlisted(value, listed or {}))]
    return value, tuple(found[:_MOST])


def _format(value: Any) -> Finding | None:  # noqa: ANN401 - from outside
    found = value.get("format") if isinstance(value, dict) else None
    if found == FORMAT:
        return None
    if isinstance(found, str) and found.startswith(FORMAT.partition("/")[0] + "/"):
        words = f"the record has the format {found[:40]}, this leman reads {FORMAT}"
        return Finding("future-format", "error", FACTS, words, "Use a newer leman.")
    return _bad(f"its format is {str(found)[:80]!r}, expected {FORMAT!r}")


def _kinds(value: dict[str, Any]) -> Finding | None:
    wrong = [name for name in _NEEDED if name not in value]
    wrong += _misfits(value, _SHAPE, "")
    wrong += _lacking(value, "notebooks", "path") + _lacking(value, "environments", "lock")
    answers = value.get("answers")
    for question, answer in answers.items() if isinstance(answers, dict) else ():
        fits = (
            isinstance(answer, dict)
            and isinstance(answer.get("reason"), str)
            and isinstance(answer.get("value"), str)
            and answer["value"] in _VALUES
        )
        wrong += [] if fits else [f"answers.{question[:40]}"]
    if not wrong:
        return None
    return _bad(f"{', '.join(dict.fromkeys(wrong[:_MOST]))}: missing or of the wrong kind")


def _misfits(value: Any, shape: Any, name: str) -> list[str]:  # noqa: ANN401 - from outside
    """Return the names of parts that are of another kind than `shape` has."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [name]
        return [
            found
            for key, inner in shape.items()
            if key in value
            for found in _misfits(value[key], inner, f"{name}.{key}".lstrip("."))
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [name]
        return [found for one in value for found in _misfits(one, shape[0], name)][:_MOST]
    fits = isinstance(value, shape) and not isinstance(value, bool)
    return [] if fits else [name]


def _lacking(value: dict[str, Any], name: str, key: str) -> list[str]:
    rows = value.get(name)
    rows = rows if isinstance(rows, list) else []
    return [f"{name}.{key}" for one in rows if isinstance(one, dict) and key not in one][:1]


def _followed(facts: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what leman would open: what it is, its path as the facts have it, that in the bag."""
    for one in facts["notebooks"]:
        yield "notebook", one["path"], f"{SOURCE}/{one['path']}"
        if one.get("executed"):
            yield "executed notebook", one["executed"], f"{PAYLOAD}/{one['executed']}"
    for one in facts["environments"]:
        yield "lock", one["lock"], f"{PAYLOAD}/{one['lock']}"


def _paths(facts: dict[str, Any]) -> Iterator[str]:
    """Check the paths that leman would follow: each stays inside the record."""
    named = [(what, path) for what, path, _ in _followed(facts)]
    source = facts["source"]
    for name in ("executable", "empty_folders"):
        named += [(f"file of {name}", path) for path in source.get(name, ())]
    for what, path in named:
        if not is_inside(path):
            yield f"the path of a {what} is {printable(path[:200])!r}, which leaves the record"


def _unlisted(facts: dict[str, Any], listed: Mapping[str, str]) -> Iterator[str]:
    for what, path, inside in _followed(facts):
        if listed and is_inside(path) and inside not in listed:
            yield f"the {what} {printable(path[:200])!r} is in no manifest"


def is_inside(path: str) -> bool:
    """Tell whether a relative POSIX path names something below where it starts."""
    parts = path.split("/")
    return bool(_PATH.fullmatch(path)) and not path.startswith("/") and ".." not in parts


def _bad(message: str) -> Finding:
    return Finding(
        "bad-facts", "error", FACTS, message, "Ask the record's author for another copy."
    )
