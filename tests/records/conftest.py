"""A small published record, made once a session; each test gets a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from record_samples import Sample, write_source

from leman.records.publish import Wanted, publish
from leman.reproduction.options import Nobody, Options

if TYPE_CHECKING:
    from leman.config import Settings


@pytest.fixture(scope="session")
def sample(shared_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Publish a source of two notebooks with a new key and a time stamp of one's own authority."""
    folder = tmp_path_factory.mktemp("published")
    source = write_source(folder / "tides")
    (folder / "ssh").mkdir()
    done = publish(
        str(source),
        folder / "record",
        settings=shared_home,
        wanted=Wanted(ssh=folder / "ssh", timestamp="own"),
        options=Options(twice=True),
        watcher=Nobody(),
    )
    assert done.key is not None
    signers = folder / "allowed_signers"
    signers.write_text(f"author@example.org {done.key.public}\n")
    authorities = shared_home.home / "keys" / "authority" / "ca.pem"
    return Sample(done, source, shared_home.home, signers, authorities)


@pytest.fixture
def record(sample: Sample, tmp_path: Path) -> Path:
    """Return a copy of the record that a test may damage."""
    return Path(shutil.copytree(sample.done.record.path, tmp_path / "record"))
