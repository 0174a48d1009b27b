"""Five answers about a record, each apart; nothing is run here (see `rerun`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leman.errors import SourceError
from leman.files import sha256_of
from leman.findings import Finding
from leman.records import facts as known_facts
from leman.records import statements
from leman.records.bag.check import Contents, check, unheard
from leman.records.layout import (
    FACTS,
    SIGNATURES,
    SIGNED_RECORD,
    SOURCE,
    STAMPS,
    TAG_MANIFEST,
)
from leman.records.model import Answer, Check, Question, Record, Signature, Stamp, Statement, Value
from leman.records.sign import ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    if not root.is_dir() or not ((root / TAG_MANIFEST).exists() or (root / "data").is_dir()):
        raise SourceError(
            f"{root} is no record: it holds neither {TAG_MANIFEST} nor data/",
            hint="Give the folder (or archive) that `leman publish` wrote.",
        )
    contents = Contents()
    findings = list(check(root, contents, progress=progress))
    facts, wrong = known_facts.read(root) if FACTS in contents.listing.files else ({}, ())
    if not facts and not wrong:
        wrong = (Finding("bad-facts", "error", FACTS, "it is not there"),)
    record = Record(_id(root, contents), root, facts)
    findings += [*wrong, *_modes(facts, contents)]
    side = _Side(root, contents, believed)
    stamps = tuple(side.stamps())
    signatures = tuple(side.signatures(stamps))
    said = tuple(statements.read_all(record, contents.listing.files, believed.signers))
    findings += [*side.findings(signatures, stamps), *_about_statements(said)]
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


def _id(root: Path, contents: Contents) -> str:
    present = TAG_MANIFEST in contents.listing.files
    return f"sha256:{sha256_of(root / TAG_MANIFEST)}" if present else ""


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


@dataclass(frozen=True, slots=True)
class _Side:
    """The files that grow beside a bag: signatures and time stamps."""

    root: Path
    contents: Contents
    trust: Trust

    def _names(self, folder: str, ending: str) -> list[str]:
        start = f"{folder}/"
        return sorted(
            path.removeprefix(start).removesuffix(ending)
            for path in self.contents.listing.files
            if path.startswith(start) and path.endswith(ending) and path.count("/") == 1
        )

    def stamps(self) -> Iterator[Stamp]:
        """Yield the check of each time stamp."""
        names = self._names(STAMPS, ".tsr")
        if not names:
            return
        from leman.records.stamps import rfc3161  # noqa: PLC0415 - slow, and often not needed

        given = self.trust.authorities
        roots = rfc3161.roots_in(given) if given else rfc3161.system_roots()
        for name in names:
            signature = self.root / SIGNATURES / f"{name}.sshsig"
            if f"{SIGNATURES}/{name}.sshsig" not in self.contents.listing.files:
                yield Stamp(name, problem="the signature that it dates is not there")
                continue
            chain = self.root / STAMPS / f"{name}.pem"
            beside = f"{STAMPS}/{name}.pem" in self.contents.listing.files
            yield rfc3161.check(
                (self.root / STAMPS / f"{name}.tsr").read_bytes(),
                chain.read_bytes() if beside else b"",
                signature.read_bytes(),
                roots=roots,
                name=name,
            )

    def signatures(self, stamps: tuple[Stamp, ...]) -> Iterator[Signature]:
        """Yield the check of each signature; one with a trusted stamp counts as of its moment."""
        if TAG_MANIFEST not in self.contents.listing.files:
            return
        moments = {one.name: one.moment for one in stamps if one.trusted and not one.problem}
        for name in self._names(SIGNATURES, ".sshsig"):
            checked = ssh.Ssh().verify(
                self.root / TAG_MANIFEST,
                self.root / SIGNATURES / f"{name}.sshsig",
                purpose=SIGNED_RECORD,
                trust=self.trust.signers,
                at=moments.get(name),
            )
            beside = self.root / SIGNATURES / f"{name}.pub"
            known = f"{SIGNATURES}/{name}.pub" in self.contents.listing.files
            if not checked.problem and known and not _same_key(beside, checked.key):
                words = f"{name}.pub is not the key that it was made with"
                checked = replace(checked, problem=words)
            yield checked

    def findings(
        self, signatures: tuple[Signature, ...], stamps: tuple[Stamp, ...]
    ) -> Iterator[Finding]:
        """Yield what is wrong with the files beside the bag."""
        for one in signatures:
            if one.problem:
                where = f"{SIGNATURES}/{one.name}.sshsig"
                yield Finding("bad-signature", "error", where, one.problem)
        for stamp in stamps:
            if stamp.problem:
                yield Finding("bad-stamp", "error", f"{STAMPS}/{stamp.name}.tsr", stamp.problem)
        for folder, whole, part in (
            (SIGNATURES, ".sshsig", ".pub"),
            (STAMPS, ".tsr", ".pem"),
        ):
            halves = set(self._names(folder, whole)), set(self._names(folder, part))
            for name in sorted(halves[1] - halves[0]):
                words = f"there is no {name}{whole} that it belongs to"
                yield Finding("half-missing", "error", f"{folder}/{name}{part}", words)
            for name in sorted(halves[0] - halves[1]):
                words = f"{name}{part} is missing beside it"
                yield Finding("half-missing", "error", f"{folder}/{name}{whole}", words)


def _same_key(path: Path, key: str) -> bool:
    try:
        return path.read_text().split()[:2] == key.split()
    except (OSError, UnicodeDecodeError):
        return False


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
