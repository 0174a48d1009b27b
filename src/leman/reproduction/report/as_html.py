"""A report as one page that needs nothing else: no script, no font, no address, no network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from leman.reproduction.model import NotebookResult, OutputVerdict, Status, Verdict
from leman.reproduction.report import words
from leman.reproduction.report.as_json import lock_path
from leman.reproduction.report.differences import Row, rows
from leman.reproduction.report.pictures import ROLES, Picture, Pictures, collect
from leman.reproduction.report.templates import templates_in
from leman.reproduction.report.text import cut, shown, storable, without_password
from leman.reproduction.taxonomy import TAXONOMY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Environment as Templates

    from leman.reproduction.model import Report

MOST_IMAGE_BYTES = 8_000_000  # of embedded images, as base64
MOST_TEXT = 3_000_000  # characters of stored and new outputs on the page
_MOST_IN_FULL = 60  # outputs of one notebook and one verdict, shown side by side
_MOST_LISTED = 300  # of them named at all
_TEXT_LIMIT = 12_000  # characters of one text on the page
_MOST_OPEN = 6  # notebooks whose details stand open from the start

# The groups in which a notebook's outputs are told, the one to look at first.
_GROUPS: tuple[tuple[str, str, tuple[Verdict, ...]], ...] = (
    ("different", "What differs", (Verdict.DIFFERENT,)),
    ("volatile", "Changes at every run", (Verdict.VOLATILE,)),
    ("agreeing", "The same, with a rule applied", (Verdict.NORMALISED, Verdict.TOLERANT)),
    ("exempt", "Exempt by the author's tag", (Verdict.EXEMPT,)),
    ("not-compared", "Not compared", (Verdict.NOT_COMPARED,)),
)


@dataclass(frozen=True, slots=True)
class _Image:
    role: str
    path: str
    width: int
    height: int
    data: str  # base64, empty where the page had no room left


@dataclass(frozen=True, slots=True)
class _Output:
    place: str
    kind: str
    verdict: str
    detail: str
    rows: tuple[Row, ...]
    images: tuple[_Image, ...]
    left_out: bool  # the texts exist but the page had no room left


@dataclass(frozen=True, slots=True)
class _Group:
    key: str
    title: str
    outputs: tuple[_Output, ...]
    more: int


@dataclass(frozen=True, slots=True)
class _Notebook:
    number: int
    result: NotebookResult
    outcome: str
    label: str
    note: str  # what the table says where there is no reason
    counts: tuple[tuple[str, str, int], ...]  # verdict, its label, how many
    groups: tuple[_Group, ...]
    is_open: bool
    executed: str  # relative address, or empty


@dataclass(slots=True)
class _Room:
    """What the page may still hold; the only thing here that changes."""

    images: int = MOST_IMAGE_BYTES
    text: int = MOST_TEXT

    def text_fits(self, length: int) -> bool:
        if length > self.text:
            return False
        self.text -= length
        return True

    def image_fits(self, length: int) -> bool:
        if length > self.images:
            return False
        self.images -= length
        return True


def as_html(report: Report, pictures: Pictures | None = None) -> str:
    """Return the page. Everything that a notebook says is escaped; its images are re-encoded."""
    known = collect(report) if pictures is None else pictures
    room = _Room()
    grouped: dict[tuple[int, str], _Group] = {}
    for key, title, verdicts in _GROUPS:  # what differs gets the room first, of every notebook
        for number, one in enumerate(report.notebooks):
            if group := _group((key, title, verdicts), number, one, known, room):
                grouped[number, key] = group
    page = _templates().get_template("report.html.j2")
    return storable(page.render(_context(report, grouped)), limit=10**9)


def _templates() -> Templates:
    templates = templates_in(Path(__file__).parent)
    templates.filters.update(
        duration=words.duration,
        relative=_relative,
        cut=lambda text: cut(text, _TEXT_LIMIT),
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    templates.globals["verdict_label"] = lambda key: words.VERDICTS[Verdict(key)][0]
    return templates


def _context(report: Report, grouped: dict[tuple[int, str], _Group]) -> dict[str, Any]:
    outcomes = [words.outcome(one) for one in report.notebooks]
    verdicts = [
        output.verdict
        for one in report.notebooks
        if one.comparison
        for output in one.comparison.outputs
    ]
    to_look_at = sum(kind in ("no", "failed") for kind in outcomes)
    return {
        "style": Markup((Path(__file__).parent / "report.css").read_text()),  # noqa: S704 - ours
        "headline": words.headline(report),
        "remarks": words.remarks(report),
        "tone": _tone(report, outcomes),
        "report": report,
        "source_url": without_password(report.source.url),
        "revision": words.revision_words(report.source.revision),
        "moment": words.moment(report.started),
        "isolation": words.isolation_words(report.isolation),
        "bars": [
            _bar("Notebooks", [(k, label[0], outcomes.count(k)) for k, label in _outcome_items()]),
            _bar("Outputs", [(str(v), w[0], verdicts.count(v)) for v, w in _verdict_items()]),
        ],
        "notebooks": [
            _notebook(number, one, grouped, opened=to_look_at <= _MOST_OPEN)
            for number, one in enumerate(report.notebooks)
        ],
        "environments": [(one, lock_path(one)) for one in report.environments],
        "environment_names": {one.digest: _environment_name(one) for one in report.environments},
        "findings": words.findings_of(report),
        "legend_outcomes": _outcome_items(),
        "legend_reasons": _reasons(report),
        "legend_verdicts": [(str(verdict), text) for verdict, text in _verdict_items()],
    }


def _outcome_items() -> list[tuple[str, tuple[str, str]]]:
    return list(words.OUTCOMES.items())


def _verdict_items() -> list[tuple[Verdict, tuple[str, str]]]:
    return list(words.VERDICTS.items())


def _reasons(report: Report) -> list[tuple[str, str, str]]:
    """Return code, title and meaning of the reasons that occur in this report."""
    present = {one.reason for one in report.notebooks if one.reason}
    return [
        (str(reason), title, meaning)
        for reason, (title, meaning, _) in TAXONOMY.items()
        if reason in present
    ]


def _environment_name(one: Any) -> str:  # noqa: ANN401 - environments.model.Environment
    return f"Python {one.python.version} as of {one.cutoff.isoformat()}"


def _tone(report: Report, outcomes: Sequence[str]) -> str:
    if report.passed and not {"not-compared", "skipped"} & set(outcomes):
        return "good"
    return "bad" if {"no", "failed"} & set(outcomes) else "open"


def _bar(title: str, parts: Iterable[tuple[str, str, int]]) -> dict[str, Any]:
    """Return the segments of a stacked bar over 1000 units; small parts stay wide enough to see."""
    present = [part for part in parts if part[2]]
    total = sum(count for _, _, count in present)
    gap = 3
    usable = 1000 - gap * max(0, len(present) - 1)
    raw = [max(8.0, count / total * usable) for _, _, count in present]
    scale = usable / sum(raw) if raw else 1.0
    segments = []
    start = 0.0
    for (key, label, count), width in zip(present, raw, strict=True):
        segments.append((key, label, count, round(start, 1), round(width * scale, 1)))
        start += width * scale + gap
    spoken = ", ".join(f"{count} {label}" for _, label, count in present)
    return {"title": title, "total": total, "segments": segments, "spoken": spoken}


def _notebook(
    number: int, one: NotebookResult, grouped: dict[tuple[int, str], _Group], *, opened: bool
) -> _Notebook:
    outcome = words.outcome(one)
    counts = one.comparison.counts() if one.comparison else {}
    return _Notebook(
        number=number + 1,
        result=one,
        outcome=outcome,
        label=words.OUTCOMES[outcome][0],
        note=_note(counts),
        counts=tuple(
            (str(verdict), text[0], counts[str(verdict)])
            for verdict, text in reversed(_verdict_items())
            if counts.get(str(verdict))
        ),
        groups=tuple(grouped[number, key] for key, _, _ in _GROUPS if (number, key) in grouped),
        is_open=opened and (outcome == "no" or one.status is Status.FAILED),
        executed=_relative(one.executed) if one.executed else "",
    )


def _note(counts: dict[str, int]) -> str:
    differing, total = counts.get(str(Verdict.DIFFERENT), 0), sum(counts.values())
    if not differing:
        return ""
    if total == 1:
        return "Its output differs."
    return f"{differing} of {total} outputs {'differs' if differing == 1 else 'differ'}."


def _group(
    group: tuple[str, str, tuple[Verdict, ...]],
    number: int,
    one: NotebookResult,
    pictures: Pictures,
    room: _Room,
) -> _Group | None:
    key, title, verdicts = group
    outputs = one.comparison.outputs if one.comparison else ()
    chosen = [(place, each) for place, each in enumerate(outputs) if each.verdict in verdicts]
    if not chosen:
        return None
    views: list[_Output] = []
    for position, output in chosen[:_MOST_LISTED]:
        found = [
            (role, pictures[number, position, role])
            for role in ROLES
            if (number, position, role) in pictures
        ]
        views.append(_output(output, found, room, in_full=len(views) < _MOST_IN_FULL))
    return _Group(key, title, tuple(views), max(0, len(chosen) - _MOST_LISTED))


def _output(
    output: OutputVerdict, found: list[tuple[str, Picture]], room: _Room, *, in_full: bool
) -> _Output:
    stored, new = (shown(cut(text, _TEXT_LIMIT)) for text in (output.stored, output.new))
    has_text = bool(stored or new) and stored != new
    fits = in_full and has_text and room.text_fits(len(stored) + len(new))
    return _Output(
        place=f"Cell {output.cell + 1}, output {output.output + 1}",
        kind=output.kind,
        verdict=str(output.verdict),
        detail=output.detail,
        rows=rows(stored, new) if fits else (),
        images=tuple(_image(role, picture, room) for role, picture in found),
        left_out=has_text and not fits,
    )


def _image(role: str, picture: Picture, room: _Room) -> _Image:
    data = ""
    if room.image_fits(len(picture.png) * 4 // 3):
        data = base64.b64encode(picture.png).decode()
    return _Image(role, _relative(picture.path), picture.width, picture.height, data)


def _relative(path: str) -> str:
    """Return a path inside the report's folder as an address that cannot lead elsewhere."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "./" + "/".join(quote(part.encode("utf-8", "replace"), safe="") for part in parts)
