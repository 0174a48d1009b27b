"""The way of a record to a server: checked, packed, a draft found or made, its files brought.

What the server holds is asked for, never believed from the state file: that only says which draft
is ours. So a deposit that was killed at any moment goes on, and one record gets one draft.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from leman.environments.interface import silent
from leman.errors import DepositError
from leman.files import remove_tree, sha256_of
from leman.records.bag.check import Contents, check
from leman.records.deposit import state as states
from leman.records.deposit.interface import About, Draft, Stage, Upload
from leman.records.deposit.pack import pack
from leman.records.layout import FACTS, FORMAT, LARGEST_FACTS, TAG_MANIFEST
from leman.records.model import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.records.deposit.interface import Repository
    from leman.records.deposit.state import State

_SHOWN = 3  # findings in an error


class Describe(Protocol):
    """Writes a record's metadata in the words of a server; asks it where that is needed."""

    def __call__(self, record: Record) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the metadata and notes for the user."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for: `new` makes another draft although there is one."""

    site: str  # its address
    home: Path  # LEMAN_HOME
    community: str = ""
    new: bool = False


@dataclass(frozen=True, slots=True)
class Deposit:
    """A draft with all files of a record in it; `resumed` says that it was there before."""

    record: Record
    draft: Draft
    uploads: tuple[Upload, ...]
    notes: tuple[str, ...] = ()
    resumed: bool = False
    unproved: frozenset[str] = frozenset()  # names whose size alone could be compared


def opened(root: Path, progress: Callable[[str], None] = silent) -> tuple[Record, Contents]:
    """Return a record that is intact. Raises DepositError with what is wrong otherwise."""
    progress(f"checking every file of {root}")
    contents = Contents()
    wrong = [one for one in check(root, contents) if one.severity == "error"]
    if wrong:
        shown = "; ".join(f"{one.where}: {one.message}" for one in wrong[:_SHOWN])
        more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
        raise DepositError(
            f"{root} is no intact record, so it was not deposited: {shown}{more}",
            hint=f"`leman verify {root}` lists everything. Publish the work anew.",
        )
    record = f"sha256:{sha256_of(root / TAG_MANIFEST)}"
    return Record(record, root, _facts(root, contents)), contents


def _facts(root: Path, contents: Contents) -> dict[str, Any]:
    size = contents.listing.files.get(FACTS)
    facts: Any = None
    if size is not None and size <= LARGEST_FACTS:
        try:
            facts = json.loads((root / FACTS).read_bytes())
        except (ValueError, RecursionError):
            facts = None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DepositError(
            f"{root} has no {FACTS} of the format {FORMAT}",
            hint="It is a bag, but no record that this leman can describe. A newer one may.",
        )
    return facts


def deposit(
    root: Path,
    wish: Wish,
    via: Repository,
    describe: Describe,
    progress: Callable[[str], None] = silent,
) -> Deposit:
    """Bring the record in `root` into a draft, a new one or the one that was begun before.

    Raises DepositError, ConfigError, SpaceError; what was reached is kept.
    """
    record, contents = opened(root, progress)
    path = states.place(wish.home, record.id, wish.site)
    with states.alone(path):
        state = states.load(path, record.id, wish.site)
        draft, notes, resumed = _draft(record, state, wish, via, describe, progress)
        if not resumed or state.draft != draft.id:
            state = states.State(record.id, wish.site, draft.id, draft.page)
        state = states.save(path, state)
        work, unproved = path.with_suffix(".work"), set[str]()
        remove_tree(work)  # of a process that was killed
        try:
            work.mkdir(mode=0o700)
            uploads = pack(record, contents, work, progress)
            for upload in uploads:
                state, proved = _bring(path, state, upload, via)
                unproved |= set() if proved else {upload.name}
        finally:
            remove_tree(work)
        ready, more = via.prepare(draft.id, wish.community)
        states.save(path, replace(state, page=ready.page, doi=ready.doi))
    complaints = tuple(f"the server says of the description: {one}" for one in draft.complaints)
    elsewhere = len(contents.references)
    if elsewhere:
        notes += (f"{elsewhere} files are named by address and checksum only: not in the archive",)
    said = (*notes, *complaints, *more)
    return Deposit(record, ready, uploads, said, resumed, frozenset(unproved))


def _draft(
    record: Record,
    state: State,
    wish: Wish,
    via: Repository,
    describe: Describe,
    progress: Callable[[str], None],
) -> tuple[Draft, tuple[str, ...], bool]:
    """Return the draft to fill, notes, and whether it was there before."""
    notes: tuple[str, ...] = ()
    if not wish.new:
        found = via.read(state.draft) if state.draft else None
        if state.draft and found is None:
            notes = (f"the draft {state.draft} that was begun before is gone from the server",)
            progress(notes[0])
        candidates = (found,) if found else via.find(record.id)
        for one in candidates:
            if one.published or one.in_review:
                raise _already(one)
        if candidates:
            progress(f"going on with the draft {candidates[0].id}")
            return candidates[0], notes, True
    progress("describing the record to the server")
    metadata, about = describe(record)
    made = via.create(About(record.id, metadata, about))
    return made, (*notes, *about), False


def _already(one: Draft) -> DepositError:
    doi = f" ({one.doi})" if one.doi else ""
    if one.published:
        return DepositError(
            f"this record is public there already: {one.page}{doi}",
            hint="Use that one. For another deposit of the same record, give --new.",
        )
    return DepositError(
        f"this record waits for its community to take it: {one.page}",
        hint="There is nothing to do until they answer. For another deposit, give --new.",
    )


def _bring(path: Path, state: State, upload: Upload, via: Repository) -> tuple[State, bool]:
    """Upload one file and keep how far it has come; tell whether its checksum was compared."""
    known = state.files.get(upload.name)
    same = known is not None and known.sha256 == upload.sha256
    current = state

    def noted(stage: Stage) -> None:
        nonlocal current
        sent = states.Sent(stage, upload.sha256, upload.md5)
        current = states.save(path, current.having(upload.name, sent))

    sent = known is not None and same and known.stage is not Stage.REGISTERED
    proved = via.put(state.draft, upload, sent=sent, noted=noted)
    return current, proved


def publish(made: Deposit, wish: Wish, via: Repository) -> Draft:
    """Make a deposit public, or ask the community that was chosen. Raises DepositError."""
    path = states.place(wish.home, made.record.id, wish.site)
    with states.alone(path):
        sums = {one.name: one.md5 for one in made.uploads}
        draft = via.publish(made.draft.id, sums, wish.community)
        state = states.load(path, made.record.id, wish.site)
        states.save(path, replace(state, page=draft.page, doi=draft.doi, published=draft.published))
    return draft
