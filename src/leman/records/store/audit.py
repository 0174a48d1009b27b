"""Every byte on every storage against inventories and catalogue: each difference is a finding."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from leman.errors import SourceError
from leman.files import write_json
from leman.findings import Finding
from leman.records.store import roots
from leman.records.store.keep import OWN_CATALOGUE, why_away
from leman.records.store.names import ASIDE, CATALOGUE
from leman.records.store.survey import Survey, settle, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leman.records.store.keep import Keep, Opened
    from leman.records.store.roots import Ground
    from leman.records.store.survey import Copy

_SAVED = "audit.json"
_MOST_FINDINGS = 1000  # of one audit: beyond, they are counted
_MOST_HELD = 100_000  # while they are gathered and sorted
_SEVERITIES = ("error", "warning", "info")
_ORDER = {"lost": 0, "inventory-lost": 0, "not-in-reach": 1}
_BRING = "Bring back the storages that are away, then audit again."
_REPAIR = "`leman keep repair` makes it again from a good copy."


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit saw. `moment` is UTC, ISO 8601; `read` counts bytes.

    `copies` is record → how many of its copies are good, of `storages`. `away` are storages that
    were not in reach: path and reason.
    """

    moment: str
    full: bool
    storages: int
    copies: dict[str, int] = field(default_factory=dict)
    away: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    read: int = 0
    more: int = 0  # findings beyond the most that are kept

    @property
    def errors(self) -> list[Finding]:
        """What is damaged."""
        return [one for one in self.findings if one.severity == "error"]

    @property
    def clean(self) -> bool:
        """True when everything was looked at and nothing is damaged."""
        return not self.errors and not self.away

    @property
    def lost(self) -> list[Finding]:
        """Files of which no good copy is left."""
        return [one for one in self.findings if one.code in {"lost", "inventory-lost"}]


def unheard(_done: int, _total: int) -> None:
    """Report progress to nobody."""


def audit(
    opened: Opened, *, quick: bool = False, progress: Callable[[int, int], None] = unheard
) -> Audit:
    """Look at everything in reach; nothing is changed but the saved result.

    `progress` gets bytes read and bytes to read.
    """
    grounds = [roots.surveyed(opened, storage) for storage in opened.storages]
    tally = Tally(opened, quick=quick)
    for whole in surveyed(opened, grounds, quick=quick, progress=progress):
        tally.add(whole)
    return tally.result(grounds)


def surveyed(
    opened: Opened,
    grounds: list[Ground],
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] = unheard,
) -> Iterator[Survey]:
    """Yield the survey of each record that the catalogue or a storage knows."""
    names = sorted({*opened.catalogue, *roots.uncatalogued(opened, grounds)})
    total = sum(entry.size for entry in opened.catalogue.values()) * len(opened.storages)
    done = 0

    def read(size: int) -> None:
        nonlocal done
        done += size
        progress(done, max(done, total))

    left = roots.leftovers(opened.storages)
    hidden = roots.Hidden(opened)
    for record in names:
        entry = opened.catalogue.get(record)
        found = survey(record, entry, opened.storages, quick=quick, also=left, progress=read)
        if not all(found.good(copy) for copy in found.copies):
            _check_still_here(opened)
        if not quick and (found.lost() or not found.proven):
            for digest, paths in hidden.files().items():
                found.found.setdefault(digest, []).extend(paths)
            settle(found)
        yield found


def _check_still_here(opened: Opened) -> None:
    """Raise SourceError where a storage went away meanwhile: what it has is not lost."""
    for storage in opened.storages:
        if reason := why_away(opened.keep, storage, opened.catalogue):
            raise SourceError(
                f"{storage.path} went out of reach while it was being read: {reason}",
                hint="Nothing was concluded, and no result kept. Bring it back, then run again.",
            )


@dataclass(slots=True)
class Tally:
    """Gathers an audit, one record at a time: a keep may have more files than fit into memory."""

    opened: Opened
    quick: bool = False
    findings: list[Finding] = field(default_factory=list)
    copies: dict[str, int] = field(default_factory=dict)
    read: int = 0
    more: int = 0

    def add(self, whole: Survey) -> None:
        """Judge one record."""
        for one in _of_record(self.opened, whole):
            if len(self.findings) < _MOST_HELD or one.code in _ORDER:
                self.findings.append(one)
            else:
                self.more += 1
        good = sum(whole.good(copy) for copy in whole.copies)
        self.copies[whole.record] = good if whole.known else 0
        if not self.quick:
            self.read += sum(sum(copy.sizes.values()) for copy in whole.copies)

    def result(self, grounds: list[Ground]) -> Audit:
        """Judge the rest, sort the findings, the gravest first, and save the audit."""
        found = self.findings + [one for ground in grounds for one in _of_ground(ground)]
        found += _of_catalogue(self.opened)
        found.sort(key=lambda one: (_SEVERITIES.index(one.severity), _ORDER.get(one.code, 2)))
        away = self.opened.away.items()
        result = Audit(
            moment=datetime.now(UTC).isoformat(timespec="seconds"),
            full=not self.quick,
            storages=len(self.opened.keep.storages),
            copies=self.copies,
            away=tuple((str(storage.path), reason) for storage, reason in away),
            findings=tuple(found[:_MOST_FINDINGS]),
            read=self.read,
            more=max(0, len(found) - _MOST_FINDINGS) + self.more,
        )
        save(self.opened.keep, result)
        return result


def _problem(code: str, where: object, message: str, fix: str = _REPAIR) -> Finding:
    return Finding(code, "error", str(where), message, fix)


def _of_record(opened: Opened, whole: Survey) -> Iterator[Finding]:
    if not whole.truth:
        yield _no_inventory(opened, whole)
        return
    if not whole.known and not whole.proven and opened.away and not whole.quick:
        words = "its newest inventory is on no storage in reach"
        yield _problem("not-in-reach", whole.record, words, _BRING)
    elif not whole.known:
        words = "the catalogue does not have its newest inventory"
        yield _problem("not-catalogued", whole.record, words, "`leman keep repair` enters it.")
    for path in whole.lost():
        yield _lost(opened, whole, path)
    gone = set(whole.lost())
    for copy in whole.copies:
        for one in _of_copy(whole, copy):
            path = one.where.removeprefix(f"{copy.root}/")
            yield replace(one, fix="") if path in gone else one


def _no_inventory(opened: Opened, whole: Survey) -> Finding:
    if opened.away:
        words = "no storage in reach has an inventory of it that can be read"
        return _problem("not-in-reach", whole.record, words, _BRING)
    words = "no inventory of it is left that can be read; its files stay where they are"
    return _problem("inventory-lost", whole.record, words, "Add the record again from a copy.")


def _lost(opened: Opened, whole: Survey, path: str) -> Finding:
    names = [repr(name) for name in whole.truth[-1].logical(path)] or [f"{path!r}, an older state"]
    where, digest = f"{whole.record} {', '.join(names)}", whole.expected[path]
    if opened.away:
        words = f"no storage in reach has a good copy (SHA-256 {digest})"
        return _problem("not-in-reach", where, words, _BRING)
    words = f"no good copy is left (SHA-256 {digest}); what is there of it is kept"
    return _problem("lost", where, words, "Add the record again from a copy elsewhere.")


def _of_copy(whole: Survey, copy: Copy) -> Iterator[Finding]:
    if not copy.present:
        yield _problem("copy-missing", copy.root, f"there is no copy of {whole.record} here")
        return
    for path in whole.wrong(copy):
        where = copy.root / path
        if path in copy.unread:
            yield _problem("unreadable", where, copy.unread[path])
        elif path in copy.odd:
            yield _problem("no-file", where, f"{copy.odd[path]} is in the place of a file")
        elif path not in copy.sizes:
            yield _problem("missing", where, "a file of the record is not here")
        else:
            found = copy.digests.get(path, "")
            words = f"its SHA-256 is {found}, it has to be {whole.expected[path]}"
            yield _problem("changed", where, words)
    for path in whole.unlisted(copy):
        words = f"{copy.odd.get(path, 'a file')} that no inventory lists"
        yield _problem("unexpected", copy.root / path, words, "`leman keep repair` sets it aside.")


def _of_ground(ground: Ground) -> Iterator[Finding]:
    root = ground.storage.path
    for path in ground.wrong:
        if path != CATALOGUE:
            yield _problem("storage-file", root / path, "it is not as it was written")
        else:
            yield _problem("catalogue", root / path, "this copy of the catalogue is not right")
    for path, words in ground.unread.items():
        yield _problem("unreadable", root / path, words, "")
    for path in ground.unknown:
        words = "it is not the object of any record that is known, and is left as it is"
        yield _problem("unknown-object", root / path, words, "See what it is, then take it away.")
    for path in (*ground.strays, *ground.empty):
        words = "it does not belong into a store"
        yield _problem("stray", root / path, words, "`leman keep repair` sets it aside.")
    for path in ground.guests:
        words = "not of leman; it is left as it is"
        yield Finding("guest", "warning", str(root / path), words)
    if ground.aside:
        words = f"{ground.aside} file{'s' * (ground.aside != 1)} set aside by a repair"
        where = str(root / ASIDE)
        yield Finding("set-aside", "info", where, words, "Look at them, then remove them.")


def _of_catalogue(opened: Opened) -> Iterator[Finding]:
    own = opened.keep.folder / OWN_CATALOGUE
    if own in opened.troubles:
        yield _problem("catalogue", own, f"the keeper's own catalogue: {opened.troubles[own]}")


def save(keep: Keep, result: Audit) -> None:
    """Keep a result beside earlier ones of the other kind."""
    path = keep.folder / _SAVED
    kinds = {name: asdict(one) for name, one in _saved(path).items()}
    write_json(path, {**kinds, "full" if result.full else "quick": asdict(result)})


def last(keep: Keep, *, quick: bool = False) -> Audit | None:
    """Return the last full audit, or the last quick one."""
    return _saved(keep.folder / _SAVED).get("quick" if quick else "full")


def is_recent(result: Audit, days: float) -> bool:
    """Tell whether an audit is no older than so many days."""
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(result.moment)
    except (ValueError, TypeError):
        return False
    return timedelta(0) <= age <= timedelta(days=days)


def _saved(path: Path) -> dict[str, Audit]:
    try:
        value = json.loads(path.read_bytes())
        return {name: _audit(one) for name, one in value.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # an audit whose result is damaged counts as none


def _audit(value: dict[str, object]) -> Audit:
    findings = tuple(Finding(**one) for one in value.pop("findings"))  # type: ignore[attr-defined]
    away = tuple((str(path), str(why)) for path, why in value.pop("away"))  # type: ignore[attr-defined]
    return Audit(findings=findings, away=away, **value)  # type: ignore[arg-type]
