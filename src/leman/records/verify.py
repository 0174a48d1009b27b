"""Five answers about a record, each apart; nothing is run here (see `rerun`)."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leman.errors import SourceError, UsageError
from leman.findings import Finding, shown
from leman.records import facts as known_facts
from leman.records import statements
from leman.records.bag import reading
from leman.records.bag.check import Contents, check, unheard
from leman.records.bag.listing import capped
from leman.records.beside import Beside
from leman.records.layout import (
    LARGEST_SIDE_FILE,
    MANIFEST,
    PAYLOAD,
    SOURCE,
    STATEMENTS,
    TAG_MANIFEST,
)
from leman.records.model import Answer, Check, Question, Record, Signature, Stamp, Statement, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HINT = "Give the folder (or archive) that `leman publish` wrote."
NOT_RUN = "nothing was run; --rerun does"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a reader trusts: an allowed-signers file, and roots of time-stamp authorities (PEM).

    None for the first asks nobody who signed; None for the second means this machine's own list.
    """

    signers: Path | None = None
    authorities: Path | None = None


def verify(
    root: Path,
    *,
    trust: Trust | None = None,
    asked: frozenset[Question] = frozenset({Question.INTACT, Question.SIGNED}),
    progress: Callable[[int, int], None] = unheard,
) -> Check:
    """Look at the record in the folder `root`; what is wrong is in the result, never raised.

    `asked` are the questions on whose answers `Check.holds` depends. Raises SourceError where
    there is no record at all, UsageError for a list of trusted keys that cannot be read.
    """
    believed = trust or Trust()
    _refuse_what_is_none(root, believed)
    contents = Contents()
    identity = _id(root)
    findings = list(check(root, contents, progress=progress))
    facts, wrong = known_facts.read(root, contents.manifests[MANIFEST])
    record = Record(identity, root, facts)
    findings += [*wrong, *capped(_modes(facts, contents))]
    start = f"{PAYLOAD}/"
    tags = [path for path in contents.listing.files if not path.startswith(start)]
    side = Beside(root, tags, believed.signers, believed.authorities)
    stamps = tuple(side.stamps())
    signatures = tuple(side.signatures(stamps))
    said = tuple(statements.read_all(record, side.names(STATEMENTS), believed.signers))
    findings += [*side.findings(signatures, stamps), *_about_statements(said)]
    if _id(root) != identity:  # what was signed is not what was checked
        words = "it changed while the record was being verified"
        findings.append(Finding("changed", "error", TAG_MANIFEST, words))
    findings = [shown(one) for one in findings]
    answers = (
        _intact(findings, contents),
        _signed(signatures, believed),
        _dated(signatures, stamps, believed),
        Answer(Question.RERUNS, Value.NOT_CHECKED, NOT_RUN),
        Answer(Question.SAME, Value.NOT_CHECKED, NOT_RUN),
    )
    return Check(
        record=record,
        answers=tuple(replace(one, asked=one.question in asked) for one in answers),
        findings=tuple(findings),
        signatures=signatures,
        stamps=stamps,
        statements=said,
        files=len(contents.listing.files),
        size=contents.listing.size,
    )


def _refuse_what_is_none(root: Path, trust: Trust) -> None:
    try:
        kind = root.stat().st_mode
        there = {entry.name for entry in os.scandir(root)} if stat.S_ISDIR(kind) else set()
    except (OSError, ValueError) as error:
        words = reading.reason(error) if isinstance(error, OSError) else str(error)
        raise SourceError(f"{root} cannot be read: {words}", hint=_HINT) from error
    if not there & {TAG_MANIFEST, PAYLOAD}:
        raise SourceError(
            f"{root} is no record: it holds neither {TAG_MANIFEST} nor {PAYLOAD}/", hint=_HINT
        )
    if trust.signers is not None:
        try:
            with trust.signers.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise UsageError(f"{trust.signers} cannot be read: {reading.reason(error)}") from error


def _id(root: Path) -> str:
    try:
        text = reading.content(root / TAG_MANIFEST, most=LARGEST_SIDE_FILE)
    except OSError:  # which `check` reports
        return ""
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _modes(facts: dict[str, object], contents: Contents) -> Iterator[Finding]:
    """Tell of the right to be executed: no manifest covers it, and copying may lose it."""
    source = facts.get("source")
    wanted = source.get("executable") if isinstance(source, dict) else None
    if not isinstance(wanted, list):
        return
    stored = {f"{SOURCE}/{path}" for path in wanted if isinstance(path, str)}
    for path in sorted(contents.listing.executable - stored):
        if path.startswith("data/"):
            yield Finding(
                "mode", "warning", path, "it may be executed, which the author's file may not"
            )
    for path in sorted((stored & contents.listing.files.keys()) - contents.listing.executable):
        yield Finding(
            "mode", "warning", path, "the author's file may be executed, this copy may not"
        )


def _about_statements(said: tuple[Statement, ...]) -> Iterator[Finding]:
    for one in said:
        if one.problem:
            yield Finding("bad-statement", "error", f"statements/{one.name}.json", one.problem)


def _intact(findings: list[Finding], contents: Contents) -> Answer:
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        first = errors[0]
        rest = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        where = f"{first.where}: " if first.where else ""
        return Answer(Question.INTACT, Value.NO, f"{where}{first.message}{rest}")
    count, size = len(contents.listing.files), contents.listing.size
    words = f"{count} files, {size / 1e6:.1f} MB: all as listed, nothing added"
    if contents.references:
        words += f"; {len(contents.references)} more are elsewhere and were not looked at"
    return Answer(Question.INTACT, Value.YES, words)


def _signed(signatures: tuple[Signature, ...], trust: Trust) -> Answer:
    good = [one for one in signatures if not one.problem]
    if not good:
        words = "no signature holds" if signatures else "there is no signature"
        return Answer(Question.SIGNED, Value.NO, words)
    if trust.signers is None:
        keys = ", ".join(f"{one.name} ({one.fingerprint})" for one in good)
        words = f"by {keys}; whose keys these are, nobody was asked (--trust)"
        return Answer(Question.SIGNED, Value.YES, words)
    trusted = [one for one in good if one.trusted]
    if not trusted:
        keys = ", ".join(one.fingerprint for one in good)
        words = f"the signatures hold, but {trust.signers.name} does not trust {keys}"
        return Answer(Question.SIGNED, Value.NO, words)
    names = ", ".join(f"{', '.join(one.trusted)} ({one.fingerprint})" for one in trusted)
    return Answer(Question.SIGNED, Value.YES, f"by {names}, trusted by {trust.signers.name}")


def _dated(signatures: tuple[Signature, ...], stamps: tuple[Stamp, ...], trust: Trust) -> Answer:
    counting = {
        one.name for one in signatures if not one.problem and (one.trusted or not trust.signers)
    }
    usable = [one for one in stamps if not one.problem and one.name in counting]
    trusted = [one for one in usable if one.trusted]
    if trusted:
        words = "; ".join(
            f"{one.name}'s signature was there on {one.moment:%Y-%m-%d %H:%M:%S} UTC,"
            f" says {one.authority or 'its authority'}"
            for one in trusted
        )
        return Answer(Question.DATED, Value.YES, words)
    if usable:
        one = usable[0]
        words = (
            f"a stamp of {one.moment:%Y-%m-%d %H:%M} UTC by {one.authority or 'an authority'}"
            " holds, but leads to no authority that is trusted here (--authorities)"
        )
        return Answer(Question.DATED, Value.NO, words)
    words = "no time stamp holds" if stamps else "there is no time stamp"
    return Answer(Question.DATED, Value.NO, words)
