"""The child process in which py-rattler works: a request on stdin, the answer in a file.

Run as ``python -P -m leman.environments.conda_child``. The request is one JSON object: ``task``
(``solve`` or ``install``), ``answer`` (the file to write), ``cache`` and the task's own fields.
Lines on stdout are progress. The answer is complete once its file exists: py-rattler was seen to
crash the interpreter while it shut down, so the exit code says nothing, and the process leaves
without shutting down.

The child, not its parent, holds the lock of the environment that it builds: a parent that is
killed cannot leave a build running that nobody has locked.

Nothing that a package brings is executed here: no link script, no byte-compilation by the
environment's own Python, but for the warm-up in a sandbox if the request says ``sandboxed`` (else
notebooks run without one as well). Channels are named by sources that nobody has reviewed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import rattler
from filelock import FileLock
from packaging.utils import canonicalize_name
from rattler import Channel, ChannelConfig, ChannelPriority, LockFile, LockPlatform
from rattler.exceptions import SolverError
from rattler.install import InstallerReporter

from leman import sandbox
from leman.environments.bytecode import warm, warm_command
from leman.environments.uv import unwrapped
from leman.files import remove_tree, sha256_of, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rattler import RepoDataRecord

SOLVE_TIME = timedelta(minutes=5)  # for one try; a search that long will not end
HERE = rattler.Subdir.current()
PLATFORM = str(HERE)


def say(line: str) -> None:
    """Report progress; a parent that went away does not stop the work."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


def digest_of(records: list[RepoDataRecord]) -> str:
    """Return the SHA-256 over what determines an environment: platform, packages, hashes, URLs."""
    lines = sorted(
        f"{one.name.normalized} {one.version} {one.build}"
        f" {(one.sha256 or one.md5 or b'').hex()} {one.url}"
        for one in records
    )
    return hashlib.sha256("\n".join([f"conda {PLATFORM}", *lines]).encode()).hexdigest()


async def solve(request: dict[str, Any]) -> dict[str, Any]:
    """Resolve ``wants`` and ``constraints`` (name, conda version, optional) in ``channels``.

    An optional package that no channel has is left out and named in ``missing``.
    """
    alias = request["alias"]
    config = ChannelConfig(channel_alias=alias) if alias else ChannelConfig()
    channels = [Channel(name, config) for name in request["channels"]]
    gateway = rattler.Gateway(cache_dir=Path(request["cache"]) / "repodata")
    say(f"reading the index of {', '.join(request['channels'])}")
    known = await gateway.names(channels, [HERE, "noarch"])
    specs, limits, missing = _specs({name.normalized for name in known}, request)
    midnight = datetime.fromisoformat(request["cutoff"]).replace(tzinfo=UTC) + timedelta(days=1)
    tries: list[list[str]] = []
    for what, how in _rungs(len(channels)):
        say(f"solving {len(specs)} packages: {what}")
        try:
            records = await rattler.solve(
                channels,
                specs,
                gateway=gateway,
                platforms=[HERE, "noarch"],
                virtual_packages=rattler.VirtualPackage.detect(),
                timeout=SOLVE_TIME,
                exclude_newer=midnight - timedelta(milliseconds=1),
                constraints=limits,
                **how,
            )
        except SolverError as error:
            tries.append([what, str(error)])
        else:
            return _solved(records, channels) | {
                "missing": missing,
                "tries": [*tries, [what, ""]],
            }
    return {"error": "SolverError", "words": tries[-1][1]}


async def install(request: dict[str, Any]) -> dict[str, Any]:
    """Build the environment of the lock ``text`` at ``target``, or find it there.

    It is linked in a folder beside, with the prefix of its final place, and renamed when whole.
    """
    target, cache = Path(request["target"]), Path(request["cache"]) / "packages"
    building = target.with_name(f".build-{target.name}-conda")
    records = _records_of(request["text"])
    if (found := digest_of(records)) != request["digest"]:
        return {"error": "LockError", "words": f"the packages in its text have the digest {found}"}
    if changed := [one.url for one in records if _changed(one)]:
        return {"error": "LockError", "words": f"changed since the lock: {', '.join(changed)}"}
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_dir():  # noqa: ASYNC240 - there is nothing else to do meanwhile
            return {}
        remove_tree(building)  # what a killed build left
        await rattler.install(
            records,
            building,
            cache_dir=cache,
            show_progress=False,
            execute_link_scripts=False,
            reporter=Reporter(  # type: ignore[abstract] # the empty bodies are the defaults
                records, cache, Path(request["answer"])
            ),
            alternative_target_prefix=target,
        )
        (building / "conda-meta" / "leman.lock").write_text(request["text"])
        if request["imports"]:
            say("compiling what the notebooks import")
            wrap = _boxed if request["sandboxed"] else unwrapped
            warm(building, tuple(request["imports"]), warm_command(building, wrap))
        write_json(building / "leman.json", {"digest": request["digest"], "kind": "conda"})
        _make_read_only(building)
        building.rename(target)
    return {}


def _boxed(command: list[str], writable: tuple[Path, ...]) -> list[str]:
    readable = sandbox.interpreter_folders(Path(command[0]))
    box = sandbox.Sandbox(cwd=writable[0], writable=writable, readable=readable)
    return sandbox.command(box, command)


class Reporter(InstallerReporter):
    """Says what is being linked, and refuses unsafe packages before rattler links them.

    rattler 0.28 follows ``..`` in the paths that a package lists. An exception from a callback
    would not stop it, so the process writes its answer and leaves.
    """

    def __init__(self, records: list[RepoDataRecord], cache: Path, answer: Path) -> None:
        self._versions = {one.name.normalized: f"{one.version}-{one.build}" for one in records}
        self._cache, self._answer = cache, answer
        self._names: list[str] = []

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:  # noqa: ARG002
        """Remember the package under a number."""
        self._names.append(package_name)
        return len(self._names) - 1

    def on_populate_cache_complete(self, cache_entry: int) -> None:
        """Look at a package that is unpacked and not yet linked."""
        name = self._names[cache_entry]
        for listing in self._cache.glob(f"{name}-{self._versions[name]}*/info/paths.json"):
            for path in outside(json.loads(listing.read_bytes())):
                words = f"the package {name} names a file outside of the environment: {path}"
                _leave(self._answer, {"error": "UnsafePackageError", "words": words})

    def on_link_start(self, operation: int, package_name: str) -> int:  # noqa: ARG002
        """Say which package is being linked."""
        say(f"linking {package_name}")
        return 0


def outside(listing: dict[str, Any]) -> Iterator[str]:
    """Yield the paths of a ``paths.json`` (conda package format) that leave the environment."""
    for entry in listing.get("paths", ()):
        path = PurePosixPath(entry["_path"])
        if path.is_absolute() or ".." in path.parts:
            yield str(path)


def _specs(known: set[str], request: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Return specs, constraints and missing names, with names as the channels spell them.

    They are compared as PyPI writes them: its ``typing-extensions`` is ``typing_extensions`` here.
    ``names`` gives further names, the one to take first in front.
    """
    spelled = {canonicalize_name(name): name for name in sorted(known)}

    def find(name: str) -> str | None:
        tried = (
            one if one in known else spelled.get(canonicalize_name(one))
            for one in request["names"].get(name, [name])
        )
        return next(filter(None, tried), None)

    wants, limits = request["wants"], request["constraints"]
    specs = [f"{find(name) or name} {v}".strip() for name, v, may in wants if find(name) or not may]
    bounds = [f"{find(name)} {version}" for name, version, _ in limits if version and find(name)]
    return specs, bounds, [name for name, _, may in wants if may and not find(name)]


def _rungs(channels: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what to try, in the order of faith in its dates and in the author's channels."""
    strict: dict[str, Any] = {"channel_priority": ChannelPriority.Strict}
    mixed: dict[str, Any] = {"channel_priority": ChannelPriority.Disabled}
    dated = {"timestamp_policy": "require-timestamp"}
    yield "each package from the first channel that has it, dated builds only", dated | strict
    if channels > 1:  # conda mixed channels by default until 4.6 (2019)
        yield "packages from any channel, dated builds only", dated | mixed
    # conda's builds bear dates since 2017; a private channel may never have had them.
    yield (
        "packages from any channel, undated builds too",
        mixed | {"timestamp_policy": "allow-missing"},
    )


def _solved(records: list[RepoDataRecord], channels: list[Channel]) -> dict[str, Any]:
    place = LockPlatform(PLATFORM)
    lock = LockFile([place])
    lock.set_channels("default", [channel.to_lock_channel() for channel in channels])
    for record in records:
        lock.add_conda_package("default", place, record)
    with tempfile.TemporaryDirectory() as folder:
        lock.to_path(Path(folder) / "lock")
        text = (Path(folder) / "lock").read_text()
    packages = [
        {
            "name": one.name.normalized,
            "version": str(one.version),
            "uploaded": f"{one.timestamp:%Y-%m-%dT%H:%M:%SZ}" if one.timestamp else "",
            "depends": [depend.split()[0] for depend in one.depends],
        }
        for one in sorted(records, key=lambda record: record.name.normalized)
    ]
    return {"text": text, "digest": digest_of(_records_of(text)), "packages": packages}


def _records_of(text: str) -> list[RepoDataRecord]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lock"
        path.write_text(text)
        environment = LockFile.from_path(path).default_environment()
    rows = environment.conda_repodata_records() if environment else {}
    return rows.get(PLATFORM, [])


def _changed(record: RepoDataRecord) -> bool:
    # rattler 0.28 compares the hash of what it downloads, but not of local files.
    path = Path(unquote(urlsplit(record.url).path))
    local = record.url.startswith("file:") and record.sha256 and path.is_file()
    return bool(local) and sha256_of(path) != (record.sha256 or b"").hex()


def _make_read_only(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(parent) / name for name in names), Path(parent)):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
    folder.chmod(0o755)  # others remove it by renaming it first


def _leave(path: Path, answer: dict[str, Any]) -> None:
    write_json(path, answer)
    os._exit(0)


def main() -> None:
    """Do the task of the request and leave the answer."""
    request = json.load(sys.stdin)
    task = {"solve": solve, "install": install}[request["task"]]
    try:
        answer = asyncio.run(task(request))
    except BaseException as error:  # noqa: BLE001 - Rust's panics are BaseExceptions
        answer = {"error": type(error).__name__, "words": str(error)}
    _leave(Path(request["answer"]), answer)


if __name__ == "__main__":
    main()
