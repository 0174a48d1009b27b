"""Signatures and time stamps beside a record: made now or years later, the bag untouched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.errors import SourceError, UsageError
from leman.files import write_atomic
from leman.records import keys, ssh
from leman.records.layout import NAME, SIGNATURES, SIGNED_RECORD, STAMPS, TAG_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.keys import Key


@dataclass(frozen=True, slots=True)
class Stamping:
    """Where to get a time stamp: an address or ``own``, and one's own authority's folder, name."""

    where: str
    own: Path
    name: str


def add_signature(record: Path, key: Key, *, name: str = "", stamping: Stamping | None) -> str:
    """Sign the record in `record`, stamp the signature if asked, and return the signature's name.

    The bag itself is not touched. Raises UsageError for a name that is taken by another key,
    ToolError where the key or the authority does not do its part; nothing half-made is left.
    """
    what = record / TAG_MANIFEST
    if not what.is_file() or what.is_symlink():
        raise SourceError(f"{record} is no record: it has no {TAG_MANIFEST}")
    refuse_links(record / SIGNATURES, record / STAMPS)
    chosen = name or keys.name_for(key)
    if not re.fullmatch(NAME, chosen):
        raise UsageError(f"--name {chosen}: expected letters, digits, “.”, “_” and “-”, at most 64")
    target = record / SIGNATURES / f"{chosen}.sshsig"
    if target.exists() and not _ours(target, key):
        raise UsageError(
            f"{target.name} is there already, made with another key",
            hint="Give this signature another name with --name.",
        )
    armoured = target.read_bytes() if target.exists() else b""
    if not armoured or ssh.verify(what, target, purpose=SIGNED_RECORD, trust=None).problem:
        armoured = ssh.sign(what, key=key.path, purpose=SIGNED_RECORD)
    answer = _stamp(armoured, stamping) if stamping else None
    write_atomic(target.with_name(f"{chosen}.pub"), f"{key.public}\n")
    write_atomic(target, armoured)
    if answer:
        stamp, chain = answer
        write_atomic(record / STAMPS / f"{chosen}.pem", chain)
        write_atomic(record / STAMPS / f"{chosen}.tsr", stamp)
    return chosen


def refuse_links(*folders: Path) -> None:
    """Raise SourceError for a folder that is a link: what is written there lands elsewhere."""
    for one in folders:
        if one.is_symlink() or (one.exists() and not one.is_dir()):
            raise SourceError(
                f"{one} is no folder, so nothing is written into it",
                hint="A record holds no links: get another copy.",
            )


def _stamp(armoured: bytes, stamping: Stamping) -> tuple[bytes, bytes]:
    from leman.records.stamps import rfc3161  # noqa: PLC0415 - slow, and often not needed

    return rfc3161.ask(stamping.where, armoured, own=stamping.own, name=stamping.name)


def _ours(signature: Path, key: Key) -> bool:
    try:
        return ssh.fingerprint(ssh.public_key(signature)) == key.fingerprint
    except ValueError:
        return False
