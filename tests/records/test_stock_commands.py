"""A record is checked without leman, with the commands that its reference page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leman.config import settings
from leman.records.examine import Wanted, examine
from leman.reproduction.options import Nobody

if TYPE_CHECKING:
    from record_samples import Sample

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "record-format.md"
ROOT = Path(__file__).parents[2]


def shown() -> list[str]:
    """Return the command lines of the page."""
    return re.findall(r"^\$ (.*)$", PAGE.read_text(), re.MULTILINE)


def _prepared(sample: Sample, record: Path) -> dict[str, str]:
    """Lay out what the page speaks of: allowed signers, an authority's root, a statement."""
    assert sample.done.key is not None
    wanted = Wanted(sign=True, add=True, key=sample.done.key.path)
    examine(str(record), settings=settings(), wanted=wanted, watcher=Nobody())
    entry = f"ada@example.org {sample.done.key.public}\n"
    (record.parent / "allowed_signers").write_text(entry)
    shutil.copyfile(sample.authorities, record.parent / "ca.pem")
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _run(line: str, record: Path, environment: dict[str, str], name: str) -> int:
    line = line.replace("NAME", name)
    line = line.replace("-f allowed_signers", "-f ../allowed_signers")
    line = line.replace("-CAfile ca.pem", "-CAfile ../ca.pem")
    # A loop's exit code is its last command's; the page's loops have one file each here.
    done = subprocess.run(
        ["bash", "-ec", line], cwd=record, env=environment, capture_output=True, check=False
    )
    return done.returncode


def test_the_page_shows_each_stock_program() -> None:
    """The page has commands of four programs, none of them leman."""
    programs = {re.split(r"[ ;]", re.sub(r"^for .*; do ", "", line))[0] for line in shown()}
    assert programs == {"sha256sum", "ssh-keygen", "openssl", "bagit.py"}


@pytest.mark.parametrize("line", shown(), ids=lambda line: line[:60])
def test_each_command_accepts_a_good_record(line: str, sample: Sample, record: Path) -> None:
    """Exactly what the page shows ends with 0 on a record that leman made."""
    environment = _prepared(sample, record)
    assert _run(line, record, environment, sample.done.signature) == 0


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        (line, damaged)
        for line in shown()
        for program, damaged in (
            ("tagmanifest-sha256.txt", "bag-info.txt"),
            (" manifest-sha256.txt", "data/source/data/heights.csv"),
            ("ssh-keygen", "tagmanifest-sha256.txt"),
            ("openssl", "signatures/NAME.sshsig"),
            ("bagit.py", "data/source/README.md"),
        )
        if program in line and "statements" not in line and (program[0] != "t" or "sum" in line)
    ],
    ids=lambda text: text[:50],
)
def test_each_command_refuses_a_damaged_one(
    line: str, damaged: str, sample: Sample, record: Path
) -> None:
    """One changed byte where the command looks, and it does not end with 0."""
    environment = _prepared(sample, record)
    target = record / damaged.replace("NAME", sample.done.signature)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))
    assert _run(line, record, environment, sample.done.signature) != 0


def test_a_stranger_verifies_it_in_a_fresh_environment_without_network(
    sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another user, another Python environment, another folder, no network: the same answers."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    stranger = 65534  # nobody
    folder = Path(tmp_path_factory.mktemp("elsewhere"))
    uv = str(Path(sys.executable).with_name("uv"))
    environment, wheels = folder / "environment", folder / "wheels"
    python = ["--python", str(environment / "bin/python")]
    build = ["--wheel", "--no-build-isolation", "--python", sys.executable, "-o", str(wheels)]
    subprocess.run([uv, "build", "-q", *build, str(ROOT)], check=True)
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(environment)], check=True)
    pinned = ["-r", str(ROOT / "requirements" / "runtime.txt")]
    for what in (pinned, [str(next(wheels.glob("*.whl")))]):
        install = [uv, "pip", "install", "-q", "--no-deps", *python, *what]
        subprocess.run(install, check=True)
    shutil.copytree(sample.done.record.path, folder / "record")
    shutil.copyfile(sample.signers, folder / "allowed_signers")
    shutil.copyfile(sample.authorities, folder / "ca.pem")
    home = folder / "home"
    home.mkdir()
    os.chown(home, stranger, stranger)
    for parent in [folder, *folder.parents][:-2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [
            *("unshare", "--net", "setpriv", f"--reuid={stranger}", f"--regid={stranger}"),
            *("--clear-groups", str(environment / "bin/leman"), "verify", "record", "--dated"),
            *("--trust", "allowed_signers", "--authorities", "ca.pem"),
        ],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LEMAN_HOME": str(home / "leman")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sample.done.record.id in done.stdout
