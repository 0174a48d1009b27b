"""What a keep writes is OCFL 1.1, as another program judges it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bags import content, record
from keeps import made, write

from leman.records.store.names import object_id, object_path, record_at

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return ocfl-py's validator, in an environment of its own."""
    folder = tmp_path_factory.mktemp("ocfl") / "environment"
    uv = str(Path(sys.executable).parent / "uv")
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True, env=quiet)
    target = ["--python", str(folder / "bin" / "python")]
    subprocess.run([uv, "pip", "install", "-q", *target, "ocfl-py==2.1.0"], check=True, env=quiet)
    return folder / "bin" / "ocfl-validate.py"


def validated(validator: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Validate a storage root or an object."""
    command = [str(validator.with_name("python")), str(validator), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.network
def test_storages_are_valid_in_every_state(tmp_path: Path, validator: Path) -> None:
    """After records, new versions, damage and repair, ocfl-py finds each storage valid."""
    kept = made(tmp_path)
    one = record(tmp_path / "one", seed=1, nasty=True)
    kept.add(one)
    kept.add(record(tmp_path / "two", seed=2))
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    added = kept.add(one)
    states = [kept.storages[0]]
    shutil.rmtree(kept.object(added.record, 1))
    (kept.object(added.record, 2) / "v2" / "inventory.json").unlink()
    assert kept.repair().after.clean
    states += kept.storages[1:]
    for storage in states:
        told = validated(validator, storage)
        assert told.returncode == 0, told.stdout + told.stderr
    told = validated(validator, kept.object(added.record))
    warnings = {line[:6] for line in told.stdout.splitlines() if line.startswith("[")}
    assert warnings <= {"[W004]"}  # SHA-256, not SHA-512: the digests are those of the manifests


def test_an_object_lies_where_the_layout_says(tmp_path: Path) -> None:
    """The path is that of extension 0003, and tells the record again."""
    name = f"sha256:{'ab' * 32}"
    assert object_id(name) == f"nih:sha-256;{'ab' * 32}"
    path = object_path(name)
    assert path.split("/")[3] == f"nih%3asha-256%3b{'ab' * 32}"
    assert record_at(path) == name
    assert record_at("000/000/000/" + path.split("/")[3]) == ""
    kept = made(tmp_path, 1)
    layout = json.loads((kept.storages[0] / "ocfl_layout.json").read_bytes())
    folder = kept.storages[0] / "extensions" / layout["extension"]
    assert json.loads((folder / "config.json").read_bytes())["extensionName"] == layout["extension"]


def test_the_first_version_is_the_record_itself(tmp_path: Path) -> None:
    """Whoever copies v1/content has the record, without any program."""
    kept = made(tmp_path, 1)
    one = record(tmp_path / "one", nasty=True)
    added = kept.add(one)
    assert content(kept.object(added.record) / "v1" / "content") == content(one)


def test_every_version_has_an_inventory_that_stays(tmp_path: Path) -> None:
    """A new signature makes a new version, which adds files and changes none of the old."""
    kept = made(tmp_path, 1)
    one = record(tmp_path / "one")
    added = kept.add(one)
    before = content(kept.object(added.record) / "v1")
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    kept.add(one)
    root = kept.object(added.record)
    assert content(root / "v1") == before
    assert set(content(root / "v2")) == {
        "inventory.json",
        "inventory.json.sha256",
        "content/signatures/bob.sshsig",
    }
    assert (root / "inventory.json").read_bytes() == (root / "v2" / "inventory.json").read_bytes()


def _edit(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        value = json.loads((root / "inventory.json").read_bytes())
        change(value)
        write(root / "inventory.json", json.dumps(value).encode())

    return do


DEFECTS: dict[str, Callable[[Path], object]] = {
    "E001_extra_dir_in_root": lambda root: (root / "extra").mkdir(),
    "E001_extra_file_in_root": lambda root: (root / "extra").write_text("x"),
    "E003_no_decl": lambda root: (root / "0=ocfl_object_1.1").unlink(),
    "E003_two_decl": lambda root: (root / "0=ocfl_object_1.0").write_text("ocfl_object_1.0\n"),
    "E007_bad_declaration_contents": lambda root: write(root / "0=ocfl_object_1.1", b"x\n"),
    "E010_missing_versions": lambda root: shutil.rmtree(root / "v1"),
    "E015_content_not_in_content_dir": lambda root: (root / "v1" / "x.txt").write_text("x"),
    "E023_extra_file": lambda root: (root / "v1" / "content" / "x.txt").write_text("x"),
    "E024_empty_dir_in_content": lambda root: (root / "v1" / "content" / "x").mkdir(),
    "E036_no_id": _edit(lambda value: value.pop("id")),
    "E037_inconsistent_id": _edit(lambda value: value.update(id="urn:other")),
    "E040_head_not_most_recent": _edit(lambda value: value.update(head="v1")),
    "E041_no_manifest": _edit(lambda value: value.pop("manifest")),
    "E058_no_sidecar": lambda root: (root / "inventory.json.sha256").unlink(),
    "E060_inventory_digest_mismatch": lambda root: write(
        root / "inventory.json.sha256", b"0" * 64 + b" inventory.json\n"
    ),
    "E061_invalid_sidecar": lambda root: write(root / "inventory.json.sha256", b"nonsense\n"),
    "E063_no_inv": lambda root: (root / "inventory.json").unlink(),
    "E064_different_root_and_latest": lambda root: write(root / "v2" / "inventory.json", b"{}"),
    "E067_file_in_extensions_dir": lambda root: (root / "extensions").mkdir(),
    "E092_content_digest_mismatch": lambda root: write(
        root / "v1" / "content" / "signatures" / "alice.pub", b"changed"
    ),
    "E092_content_missing": lambda root: (root / "v1" / "content" / "bagit.txt").unlink(),
    "E090_link": lambda root: (root / "v1" / "content" / "link").symlink_to("bagit.txt"),
    "W010_no_version_inventory": lambda root: (root / "v1" / "inventory.json").unlink(),
    "W011_version_inv_diff_metadata": lambda root: write(root / "v1" / "inventory.json", b"{}"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_of_an_object_is_found_and_mended(tmp_path: Path, defect: str) -> None:
    """Each kind of defect that OCFL's own fixtures show is found in one copy, and made good."""
    kept = made(tmp_path, 2)
    one = record(tmp_path / "one")
    kept.add(one)
    (one / "signatures" / "bob.sshsig").write_bytes(b"bob")
    added = kept.add(one)
    before = kept.trees()
    DEFECTS[defect](kept.object(added.record))
    found = kept.audit()
    assert found.errors
    assert all(one.where.startswith(str(kept.storages[0])) for one in found.errors)
    assert found.copies == {added.record: 1}
    assert kept.repair().after.clean
    assert kept.trees() == before
    assert kept.audit().clean
