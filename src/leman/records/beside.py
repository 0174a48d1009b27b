"""The files that grow beside a bag, signatures and time stamps: each is checked for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.findings import Finding
from leman.records import ssh
from leman.records.bag import reading
from leman.records.layout import (
    GROWING,
    LARGEST_SIDE_FILE,
    MOST_BESIDE,
    SIGNATURES,
    SIGNED_RECORD,
    STAMPS,
    TAG_MANIFEST,
)
from leman.records.model import Signature, Stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Beside:
    """The files that grow beside the bag in `root`, out of all `files` outside of its payload.

    `signers` is an allowed-signers file, `authorities` the roots of those that stamp; see Trust.
    """

    root: Path
    files: Collection[str]
    signers: Path | None
    authorities: Path | None

    def names(self, folder: str) -> list[str]:
        """Return the files of a folder that may lie there; none where there are too many."""
        start, allowed = f"{folder}/", GROWING[folder]
        found = [path for path in self.files if path.startswith(start)]
        if len(found) > MOST_BESIDE:
            return []
        return sorted(path for path in found if allowed.fullmatch(path[len(start) :]))

    def _halves(self, folder: str, ending: str) -> list[str]:
        names = (path.rpartition("/")[2] for path in self.names(folder))
        return [name.removesuffix(ending) for name in names if name.endswith(ending)]

    def _read(self, folder: str, name: str) -> bytes:
        return reading.content(self.root / folder / name, most=LARGEST_SIDE_FILE)

    def stamps(self) -> Iterator[Stamp]:
        """Yield the check of each time stamp."""
        names = self._halves(STAMPS, ".tsr")
        if not names:
            return
        from leman.records.stamps import rfc3161  # noqa: PLC0415 - slow, and often not needed

        given = self.authorities
        roots = rfc3161.roots_in(given) if given else rfc3161.system_roots()
        signatures, chains = self._halves(SIGNATURES, ".sshsig"), self._halves(STAMPS, ".pem")
        for name in names:
            if name not in signatures:
                yield Stamp(name, problem="the signature that it dates is not there")
                continue
            try:
                yield rfc3161.check(
                    self._read(STAMPS, f"{name}.tsr"),
                    self._read(STAMPS, f"{name}.pem") if name in chains else b"",
                    self._read(SIGNATURES, f"{name}.sshsig"),
                    roots=roots,
                    name=name,
                )
            except OSError as error:
                yield Stamp(name, problem=f"it cannot be read: {reading.reason(error)}")

    def signatures(self, stamps: tuple[Stamp, ...]) -> Iterator[Signature]:
        """Yield the check of each signature; one with a trusted stamp counts as of its moment."""
        if TAG_MANIFEST not in self.files:
            return
        moments = {one.name: one.moment for one in stamps if one.trusted and not one.problem}
        keys = self._halves(SIGNATURES, ".pub")
        for name in self._halves(SIGNATURES, ".sshsig"):
            checked = ssh.verify(
                self.root / TAG_MANIFEST,
                self.root / SIGNATURES / f"{name}.sshsig",
                purpose=SIGNED_RECORD,
                trust=self.signers,
                at=moments.get(name),
            )
            beside = self.root / SIGNATURES / f"{name}.pub" if name in keys else None
            yield ssh.with_key_beside(checked, beside)

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
            halves = set(self._halves(folder, whole)), set(self._halves(folder, part))
            for name in sorted(halves[1] - halves[0]):
                words = f"there is no {name}{whole} that it belongs to"
                yield Finding("half-missing", "error", f"{folder}/{name}{part}", words)
            for name in sorted(halves[0] - halves[1]):
                words = f"{name}{part} is missing beside it"
                yield Finding("half-missing", "error", f"{folder}/{name}{whole}", words)
