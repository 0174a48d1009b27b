"""A conda channel in a folder, made by tests: the layout of conda's own channels.

Format: https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "/opt/placeholder_" + "p" * 80
IN_2018, IN_2020 = 1514764800000, 1577836800000  # milliseconds, 1 January


@dataclass
class Channel:
    """A conda channel in a folder: `add` writes a package and its line in ``repodata.json``.

    Files are texts or bytes by path; `links` are symbolic links (path → target).
    """

    folder: Path
    index: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, version: str, files: Mapping[str, str | bytes], **facts: Any) -> None:
        subdir, links = facts.pop("subdir", "noarch"), facts.pop("links", {})
        contents = {p: t.encode() if isinstance(t, str) else t for p, t in files.items()}
        index = {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "depends": [],
            "subdir": subdir,
            **({"noarch": "generic"} if subdir == "noarch" else {}),
            **facts,
        }
        paths = [
            {
                "_path": path,
                "path_type": "hardlink",
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_in_bytes": len(data),
                **(
                    {"prefix_placeholder": PREFIX, "file_mode": "text"}
                    if PREFIX.encode() in data
                    else {}
                ),
            }
            for path, data in contents.items()
        ]
        paths += [{"_path": path, "path_type": "softlink"} for path in links]
        info = {"info/index.json": index, "info/paths.json": {"paths": paths, "paths_version": 1}}
        everything = contents | {path: json.dumps(value).encode() for path, value in info.items()}
        file = self.folder / subdir / f"{name}-{version}-0.tar.bz2"
        file.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(file, "w:bz2", compresslevel=1) as archive:
            for path, data in everything.items():
                if ".." not in path:
                    member = tarfile.TarInfo(path)
                    member.size, member.mode = len(data), 0o755 if "bin/" in path else 0o644
                    archive.addfile(member, io.BytesIO(data))
            for path, target in links.items():
                member = tarfile.TarInfo(path)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        content = file.read_bytes()
        self.index.setdefault(subdir, {})[file.name] = index | {
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for place in ("noarch", "linux-64"):
            (self.folder / place).mkdir(exist_ok=True)
            repodata = {"info": {"subdir": place}, "packages": self.index.get(place, {})}
            (self.folder / place / "repodata.json").write_text(json.dumps(repodata))

    @property
    def address(self) -> str:
        return self.folder.as_uri()
