# ruff: noqa: S101 - tests state what they prove by assert
"""The contract of a Provider as a test class, for our providers and for anybody's own.

Inherit from it, give the two fixtures, and pytest runs every promise against your provider.
"""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from leman.environments.providers.folder import digest
from leman.errors import SourceError

if TYPE_CHECKING:
    from leman.environments.interface import Provider
    from leman.environments.model import Source

_CONTENT_ID = re.compile(r"git:([0-9a-f]{40}|[0-9a-f]{64})|sha256:[0-9a-f]{64}")


class ProviderContract:
    """What every provider promises.

    Override the fixtures: `provider`; `spec`, a source that exists and holds ``analysis.ipynb``
    and ``data/table.csv``; `broken`, one of the same kind that cannot be fetched.
    """

    foreign = ("", "no/such/place", "ftp://example.org/x", "ext::sh -c date", "a b")

    @pytest.fixture
    def provider(self) -> Provider:
        """Give the provider under test."""
        raise NotImplementedError

    @pytest.fixture
    def spec(self) -> str:
        """Give the address of a source that exists."""
        raise NotImplementedError

    @pytest.fixture
    def broken(self) -> str:
        """Give the address of a source that looks right and cannot be fetched."""
        raise NotImplementedError

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        """Give a cache folder that does not exist yet."""
        return tmp_path / "cache"

    def test_detect_knows_its_own(self, provider: Provider, spec: str) -> None:
        """A provider recognises what it fetches, and what it returned it recognises again."""
        address = provider.detect(spec)
        assert address is not None
        assert provider.detect(address) == address

    def test_detect_leaves_the_rest_alone(self, provider: Provider) -> None:
        """A provider claims nothing that is no source, and does not raise over it."""
        assert [provider.detect(one) for one in self.foreign] == [None] * len(self.foreign)

    def test_detect_touches_no_network(
        self, provider: Provider, spec: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Recognition works with no network."""

        def refuse(*_: object, **__: object) -> NoReturn:
            raise AssertionError("detect opened a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        assert provider.detect(spec)

    def test_fetch_describes_the_source(self, provider: Provider, spec: str, cache: Path) -> None:
        """A source has its files on this disk, a content id, and paths relative to itself."""
        source = _fetch(provider, spec, cache)
        assert source.path.is_absolute()
        assert (source.path / "analysis.ipynb").is_file()
        assert (source.path / "data" / "table.csv").read_text() == "x\n1\n"
        assert _CONTENT_ID.fullmatch(source.content_id)
        assert source.url
        for path in (*source.notebooks, *source.missing):
            assert not Path(path).is_absolute()
            assert ".." not in Path(path).parts

    def test_fetch_twice_is_the_same(self, provider: Provider, spec: str, cache: Path) -> None:
        """Fetching again gives an equal source, and the files stay as they were."""
        first = _fetch(provider, spec, cache)
        before = digest(first.path, cache)
        assert _fetch(provider, spec, cache) == first
        assert digest(first.path, cache) == before

    def test_two_caches_agree(self, provider: Provider, spec: str, tmp_path: Path) -> None:
        """The content id names the content, not the place or time of the fetch."""
        one, two = (_fetch(provider, spec, tmp_path / name) for name in ("one", "two"))
        assert one.content_id == two.content_id
        assert digest(one.path, tmp_path / "d") == digest(two.path, tmp_path / "d")

    def test_two_at_once(self, provider: Provider, spec: str, cache: Path) -> None:
        """Two who fetch the same source at the same time both get all of it."""
        got: list[Source] = []
        threads = [
            threading.Thread(target=lambda: got.append(_fetch(provider, spec, cache)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 2
        assert got[0] == got[1]

    def test_a_broken_source_leaves_nothing(
        self, provider: Provider, broken: str, cache: Path
    ) -> None:
        """What cannot be fetched is a SourceError with a message, and no half of it stays."""
        with pytest.raises(SourceError, match=r"\w"):
            _fetch(provider, broken, cache)
        assert list(cache.glob("sources/*")) == []
        assert list(cache.glob("*/.partial-*")) == []

    def test_leftovers_are_swept(self, provider: Provider, spec: str, cache: Path) -> None:
        """What an interrupted fetch left behind is gone after the next one."""
        left = cache / "sources" / ".partial-git-0"
        (left / "tree").mkdir(parents=True)
        source = _fetch(provider, spec, cache)
        assert not left.exists() or not source.path.is_relative_to(cache)


def _fetch(provider: Provider, spec: str, cache: Path) -> Source:
    address = provider.detect(spec)
    assert address is not None
    return provider.fetch(address, ref="", into=cache)
