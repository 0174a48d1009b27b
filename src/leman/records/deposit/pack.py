"""The files that a deposit consists of: one archive of the whole record, two pages, checksums.

Servers keep flat lists of at most a hundred files or so, hence the archive. It is a zip whose
members are stored, not compressed: then the same record gives the same bytes on every machine,
whatever its zlib; no member swells when unpacked; and most of what is large is compressed already.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from typing import TYPE_CHECKING

from leman.environments.interface import silent
from leman.errors import DepositError
from leman.files import full_disk_said, write_atomic
from leman.records.deposit.interface import Upload
from leman.records.layout import MANIFEST, PAGE, REPORT, SOURCE, TAG_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leman.records.bag.check import Contents
    from leman.records.model import Record

CHECKSUMS = "checksums-sha256.txt"
REPORT_PAGE = "report.html"
_BLOCK = 1 << 20  # bytes
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's zero: the time of a file is no part of a record
_UNIX = 3  # the system whose permissions a member bears (APPNOTE 4.4.2)


def stem(record: str) -> str:
    """Return the name of a record's archive without its ending, from the record's id."""
    return f"leman-record-{record.partition(':')[2][:12]}"


def pack(
    record: Record, contents: Contents, folder: Path, progress: Callable[[str], None] = silent
) -> tuple[Upload, ...]:
    """Write the archive of a record and its checksums into `folder`, and tell what to upload.

    `contents` is what the check of the record found: a file that is no longer as it was then is
    not packed. Raises DepositError, SpaceError.
    """
    name = f"{stem(record.id)}.zip"
    progress(f"packing {len(contents.listing.files)} files into {name}")
    with full_disk_said(folder):
        _archive(record, contents, folder / name)
    found = [upload(folder / name, name)]
    for path, called in ((PAGE, PAGE), (f"{REPORT}/{REPORT_PAGE}", REPORT_PAGE)):
        if path in contents.listing.files:
            found.append(upload(record.path / path, called))
    lines = "".join(f"{one.sha256}  {one.name}\n" for one in found)
    return (*found, upload(write_atomic(folder / CHECKSUMS, lines), CHECKSUMS))


def upload(path: Path, name: str) -> Upload:
    """Describe a file by its size and digests. Raises OSError."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return Upload(name, path, size, sha256.hexdigest(), md5.hexdigest())


def _executable(record: Record) -> frozenset[str]:
    # By the facts, not by the disk: copies of a record lose permissions, but are the same record.
    source = record.facts.get("source")
    listed = source.get("executable") if isinstance(source, dict) else None
    paths = listed if isinstance(listed, list) else []
    return frozenset(f"{SOURCE}/{path}" for path in paths if isinstance(path, str))


def _archive(record: Record, contents: Contents, target: Path) -> None:
    executable = _executable(record)
    digests = {
        path: digest
        for name in (TAG_MANIFEST, MANIFEST)
        for path, digest in contents.manifests.get(name, {}).items()
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for path in sorted(contents.listing.files):
            size = contents.listing.files[path]
            info = zipfile.ZipInfo(f"{stem(record.id)}/{path}", _EPOCH)
            info.create_system = _UNIX
            mode = 0o755 if path in executable else 0o644
            info.external_attr = (stat.S_IFREG | mode) << 16
            info.file_size = size  # beyond 2 GB the header has another form
            whole, total = hashlib.sha256(), 0
            with packed.open(info, "w") as out:
                for block in _blocks(record.path / path):
                    total += len(block)
                    if total > size:
                        break
                    whole.update(block)
                    out.write(block)
            if total != size or whole.hexdigest() != digests.get(path, whole.hexdigest()):
                raise DepositError(
                    f"{path} changed while the record was being packed",
                    hint="Leave the record alone until the deposit is made, and run again.",
                )


def _blocks(path: Path) -> Iterator[bytes]:
    # No link is followed: what the check has seen was a file.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        while block := file.read(_BLOCK):
            yield block
