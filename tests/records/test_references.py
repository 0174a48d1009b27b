"""Files of a record that lie elsewhere."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from record_samples import HEIGHTS

from leman.environments.fetch import fetch
from leman.errors import SourceError
from leman.records.model import Question
from leman.records.publish import Published, Wanted, publish
from leman.records.verify import verify
from leman.reproduction.options import Nobody, Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from record_samples import Sample

    from leman.config import Settings


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _published(source: Path, url: str, folder: Path, home: Settings) -> Published:
    """Publish a source whose heights lie at `url`."""
    return publish(
        str(source),
        folder / "record",
        settings=home,
        wanted=Wanted(ssh=folder / "no", elsewhere={"data/heights.csv": url}),
        options=Options(),
        watcher=Nobody(),
    )


def test_a_file_left_out_is_named_checked_and_fetched_to_be_run(
    sample: Sample, shared_home: Settings, tmp_path: Path
) -> None:
    """The record lacks the file, says where it is, and `leman run` gets exactly that file."""
    source = shutil.copytree(sample.source, tmp_path / "tides", symlinks=True)
    (tmp_path / "www").mkdir()
    shutil.copy(source / "data/heights.csv", tmp_path / "www" / "h.csv")
    with served(tmp_path / "www") as site:
        done = _published(source, f"{site}/h.csv", tmp_path, shared_home)
        assert not (done.record.source / "data/heights.csv").exists()
        check = verify(done.record.path)
        assert check.holds
        assert "1 more are elsewhere" in check.answer(Question.INTACT).reason
        found = fetch(str(done.record.path), cache=shared_home.cache)
        text = (found.path / "data/heights.csv").read_text()
        assert text.split() == [str(height) for height in HEIGHTS]


def test_another_file_at_the_address_is_refused(
    sample: Sample, shared_home: Settings, tmp_path: Path
) -> None:
    """What changed on the server since publication is never run."""
    source = shutil.copytree(sample.source, tmp_path / "tides", symlinks=True)
    (source / "README.md").write_text("# Another record\n")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "h.csv").write_text("9\n9\n9\n9\n9\n")
    with served(tmp_path / "www") as site:
        done = _published(source, f"{site}/h.csv", tmp_path, shared_home)
        with pytest.raises(SourceError, match="does not hold the data/heights"):
            fetch(str(done.record.path), cache=shared_home.cache)


def test_a_file_that_is_not_to_be_had_is_missing_not_fatal(
    sample: Sample, shared_home: Settings, tmp_path: Path
) -> None:
    """Without its server the record is still a source; the file is reported as missing."""
    source = shutil.copytree(sample.source, tmp_path / "tides", symlinks=True)
    (source / "README.md").write_text("# A third record\n")
    done = _published(source, "http://127.0.0.1:9/h.csv", tmp_path, shared_home)
    found = fetch(str(done.record.path), cache=shared_home.cache)
    assert found.missing == ("data/heights.csv",)
