"""Records to keep: valid bags, made without running anything."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING

from leman.records.bag import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NASTY = {
    "data/source/a name with spaces.txt": b"spaces\n",
    "data/source/line\nbreak%41.txt": b"a line break and a percent sign\n",
    "data/source/e\u0301te\u0301.txt": b"decomposed letters, as macOS writes them\n",
    "data/source/日本語/データ.csv": b"1,2\n",
    "data/source/-rf": b"looks like an option\n",
    "data/source/empty": b"",
    "data/source/also empty": b"",
}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bag(
    folder: Path, files: Mapping[str, bytes], *, title: str = "A record", side: Mapping[str, bytes]
) -> Path:
    """Write a record of the payload `files` (paths from the bag) and the `side` files."""
    facts = {
        "format": "leman-record/1",
        "description": {"title": title},
        "source": {"executable": ["run.sh"]},
    }
    payload = {**files, "data/leman-record.json": json.dumps(facts).encode()}
    lines = manifest.text((path, _sha(data)) for path, data in payload.items()).encode()
    size = sum(map(len, payload.values()))
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": f"Payload-Oxum: {size}.{len(payload)}\n".encode(),
        "manifest-sha256.txt": lines,
    }
    tag_manifest = manifest.text((path, _sha(data)) for path, data in tags.items()).encode()
    whole = {**payload, **tags, "tagmanifest-sha256.txt": tag_manifest, **side}
    for path, data in whole.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def record(folder: Path, *, seed: int = 0, files: int = 4, nasty: bool = False) -> Path:
    """Write a record of random bytes with a signature and a time stamp."""
    dice = random.Random(seed)
    payload = {
        f"data/source/{number % 3}/file-{number}.bin": dice.randbytes(dice.randrange(1, 3000))
        for number in range(files)
    }
    payload["data/source/run.sh"] = b"echo hello\n"
    side = {
        "signatures/alice.sshsig": dice.randbytes(200),
        "signatures/alice.pub": dice.randbytes(80),
        "timestamps/alice.tsr": dice.randbytes(300),
    }
    more = NASTY if nasty else {}
    return bag(folder, {**payload, **more}, title=f"Record {seed}", side=side)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
