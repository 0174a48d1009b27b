"""Records of Zenodo and InvenioRDM as sources, from a server that answers as they do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from source_places import Handler, invenio, md5, sample, site, zenodo
from test_provider_archive import zipped

from leman.environments.providers.invenio import Invenio
from leman.environments.providers.unpack import Bounds
from leman.environments.testing import ProviderContract
from leman.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from source_places import Site

    from leman.environments.model import Source

FILES = {"analysis.ipynb": sample()["analysis.ipynb"].encode(), "table.csv": b"x\n1\n"}


@pytest.fixture
def web() -> Iterator[Site]:
    """Serve on the loopback."""
    with site() as made:
        yield made


@pytest.fixture
def waits() -> list[float]:
    """Collect the waits that were asked for."""
    return []


@pytest.fixture
def provider(web: Site, waits: list[float]) -> Invenio:
    """Give a provider that asks the site for DOIs and Zenodo, and waits for nothing."""
    return Invenio(doi=f"{web.url}/doi", zenodo=web.url, pause=waits.append)


def fetch(provider: Invenio, spec: str, cache: Path) -> Source:
    """Fetch by the provider alone."""
    address = provider.detect(spec)
    assert address is not None
    return provider.fetch(address, ref="", into=cache)


class TestZenodo(ProviderContract):
    """A record with a single archive, by Zenodo's DOI."""

    @pytest.fixture
    def provider(self, web: Site) -> Invenio:
        return Invenio(doi=f"{web.url}/doi", zenodo=web.url, pause=lambda _: None)

    @pytest.fixture
    def spec(self, tmp_path: Path, web: Site) -> str:
        archive = zipped(tmp_path / "s.zip", sample())
        zenodo(web, {"owner/study-v1.0.zip": archive.read_bytes()})
        return "https://doi.org/10.5281/zenodo.123"

    @pytest.fixture
    def broken(self) -> str:
        return "10.5281/zenodo.404"


class TestInvenioRDM(ProviderContract):
    """A record with loose files, by the address of its page."""

    @pytest.fixture
    def provider(self) -> Invenio:
        return Invenio(pause=lambda _: None)

    @pytest.fixture
    def spec(self, web: Site) -> str:
        return invenio(web, {name: text.encode() for name, text in sample().items()})

    @pytest.fixture
    def broken(self, web: Site) -> str:
        return f"{web.url}/records/99999-99999"


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        ("10.5281/zenodo.1", "doi:10.5281/zenodo.1"),
        ("doi:10.5281/zenodo.1", "doi:10.5281/zenodo.1"),
        ("https://doi.org/10.5281/zenodo.1", "doi:10.5281/zenodo.1"),
        ("http://dx.doi.org/10.1234/a(b)", "doi:10.1234/a(b)"),
        ("https://zenodo.org/records/1", None),
        ("https://zenodo.org/record/1", None),
        ("https://zenodo.org/api/records/1", None),
        ("https://zenodo.org/records/1/files/a.zip?download=1", None),
        ("https://zenodo.org/records/1?preview=1", None),
        ("https://data.example.edu/records/abcde-12x45", None),
    ],
)
def test_forms_of_records_are_known(spec: str, address: str | None) -> None:
    """DOIs in all their forms and the pages of records are recognised."""
    assert Invenio().detect(spec) == (address or spec)


@pytest.mark.parametrize(
    "spec", ["https://github.com/o/n", "https://h.org/records/name.git", "10.5281", "https://h.org"]
)
def test_other_addresses_are_left_alone(spec: str) -> None:
    """Addresses of repositories are not taken for records."""
    assert Invenio().detect(spec) is None


def test_a_doi_is_resolved_and_all_versions_lead_to_the_newest(
    web: Site, provider: Invenio, tmp_path: Path
) -> None:
    """Another site's DOI is followed by redirects; Zenodo's DOI of all versions gives the last."""
    page = invenio(web, FILES)
    web.put("/records/abcde-12345", b"<html>")
    web.send("/doi/10.1234/abc", page)
    source = fetch(provider, "10.1234/abc", tmp_path / "cache")
    assert (source.url, source.revision) == (page, "abcde-12345")
    assert str(source.published) == "2022-05-31"
    zenodo(web, FILES, number=125)
    web.send("/api/records/124", "/api/records/125")
    assert fetch(provider, "10.5281/zenodo.124", tmp_path / "cache").revision == "125"


def test_a_doi_of_an_article_is_explained(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """A DOI that leads to a publisher names where it leads and what to give instead."""
    web.send("/doi/10.1234/article", f"{web.url}/articles/7")
    web.put("/articles/7", b"", code=403)
    with pytest.raises(SourceError, match="articles/7") as caught:
        fetch(provider, "10.1234/article", tmp_path / "cache")
    assert "code or data" in caught.value.hint
    with pytest.raises(SourceError, match="does not exist"):
        fetch(provider, "10.1234/none", tmp_path / "cache")


def test_code_among_data_becomes_the_top(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """The one archive with notebooks is the source; data lie beside, archives also unpacked."""
    code = zipped(tmp_path / "c.zip", {**sample(), "table.csv": "mine"}).read_bytes()
    more = zipped(tmp_path / "d.zip", {"big.csv": "1"}, top="").read_bytes()
    files = {"code.zip": code, "raw.zip": more, "table.csv": b"theirs", "notes.txt": b""}
    zenodo(web, files)
    source = fetch(provider, f"{web.url}/records/123", tmp_path / "cache")
    names = {
        path.relative_to(source.path).as_posix()
        for path in source.path.rglob("*")
        if path.is_file()
    }
    assert names == {
        *("analysis.ipynb", "data/table.csv", "table.csv", "code.zip", "raw.zip"),
        *("raw/big.csv", "notes.txt"),
    }
    assert (source.path / "table.csv").read_text() == "mine"
    assert [one.code for one in source.findings] == ["unpacked", "unpacked", "name-taken"]


def test_one_file_of_a_record(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """The address of a file gives that file alone; an unknown one is named."""
    zenodo(web, {**FILES, "other.ipynb": b"{}"})
    base = f"{web.url}/records/123/files"
    source = fetch(provider, f"{base}/analysis.ipynb?download=1", tmp_path / "cache")
    assert [one.name for one in source.path.iterdir()] == ["analysis.ipynb"]
    with pytest.raises(SourceError, match=r"no file called 'no\.txt'"):
        fetch(provider, f"{base}/no.txt", tmp_path / "cache")


def test_a_second_fetch_asks_for_the_record_alone(
    web: Site, provider: Invenio, tmp_path: Path
) -> None:
    """What was verified once is not downloaded again."""
    zenodo(web, FILES)
    fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    web.asked.clear()
    fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert [path for _, path, _ in web.asked] == ["/api/records/123"]


def test_a_broken_connection_goes_on_where_it_stopped(
    web: Site, provider: Invenio, tmp_path: Path
) -> None:
    """After a break only the rest is asked for, and the whole is what the checksum says."""
    body = bytes(range(256)) * 1000
    zenodo(web, {"a.bin": body, **FILES})
    path = "/api/records/123/files/a.bin/content"

    def breaking(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        part = body[start : start + 100_000]
        more = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if asked else {}
        whole = len(body) - start
        handler.say(
            part,
            code=206 if asked else 200,
            headers={**more, "ETag": '"1"'},
            promise=None if len(part) == whole else whole,
        )

    web.answers[path] = breaking
    source = fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert (source.path / "a.bin").read_bytes() == body
    ranges = [headers.get("Range") for _, asked, headers in web.asked if asked == path]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(ranges[1:])


def test_a_server_without_ranges_starts_again(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """Where the rest cannot be had alone, the file is read from its start, and is whole."""
    zenodo(web, FILES)
    path, body = "/api/records/123/files/table.csv/content", FILES["table.csv"]
    calls: list[int] = []

    def once_broken(handler: Handler) -> None:
        calls.append(1)
        if len(calls) == 1:
            handler.say(body[:2], promise=len(body))
        else:
            handler.say(body)

    web.answers[path] = once_broken
    source = fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert (source.path / "table.csv").read_bytes() == body


def test_damage_is_found(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """A file that twice is not what its checksum says is refused, and nothing is kept."""
    zenodo(web, FILES)
    web.put("/api/records/123/files/table.csv/content", b"x\n2\n")
    with pytest.raises(SourceError, match="damaged twice"):
        fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert list((tmp_path / "cache" / "sources").iterdir()) == []


def test_a_busy_server_is_waited_for(
    web: Site, provider: Invenio, waits: list[float], tmp_path: Path
) -> None:
    """429 and 503 are answered by the wait that the server names; too long a one is told."""
    record = zenodo(web, FILES)
    good = web.answers["/api/records/123"]
    answers = [
        lambda handler: handler.say(b"{}", code=429, headers={"Retry-After": "7"}),
        lambda handler: handler.say(b"{}", code=503),
        good,
    ]

    def next_one(handler: Handler) -> None:
        answers.pop(0)(handler)

    web.answers["/api/records/123"] = next_one
    assert fetch(provider, "10.5281/zenodo.123", tmp_path / "cache").revision == str(record["id"])
    assert waits == [7.0, 2.0]
    web.put("/api/records/123", b"{}", code=429, headers={"Retry-After": "3600"})
    with pytest.raises(SourceError, match="3600 s"):
        fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")


@pytest.mark.parametrize(
    ("code", "said"),
    [(403, "restricted"), (404, "does not exist"), (410, "removed"), (500, "5 attempts")],
)
def test_refusals_are_told_in_words(
    web: Site, provider: Invenio, tmp_path: Path, code: int, said: str
) -> None:
    """Each refusal says what it means, with the server's own words."""
    web.put_json("/api/records/9", {"status": code, "message": "Why so."}, code=code)
    with pytest.raises(SourceError, match=said) as caught:
        fetch(provider, "10.5281/zenodo.9", tmp_path / "cache")
    assert code == 500 or "Why so." in caught.value.message


def test_a_record_without_files_says_where_they_are(
    web: Site, provider: Invenio, tmp_path: Path
) -> None:
    """A record that points to a repository names it; a restricted one says so."""
    tree = "https://github.com/o/n/tree/v1"
    related = [{"identifier": tree, "relation": "isSupplementTo", "scheme": "url"}]
    zenodo(web, {}, related_identifiers=related)
    with pytest.raises(SourceError, match="holds no files") as caught:
        fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert tree in caught.value.hint
    zenodo(web, {}, access_right="embargoed")
    with pytest.raises(SourceError, match="embargoed"):
        fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")


def test_file_names_of_records_are_hostile(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """A file name that climbs out is refused."""
    record = zenodo(web, FILES)
    url = web.put("/evil", b"x")
    entry = {"key": "../../evil", "size": 1, "checksum": md5(b"x"), "links": {"self": url}}
    record["files"].append(entry)
    web.put_json("/api/records/123", record)
    with pytest.raises(SourceError, match="forbidden"):
        fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")


def test_too_much_data_is_left_out(web: Site, tmp_path: Path) -> None:
    """Small files come first; what goes beyond the bound is missing and named."""
    zenodo(web, {**FILES, "huge.bin": b"0" * 5000})
    provider = Invenio(zenodo=web.url, bounds=Bounds(total=2000))
    source = fetch(provider, "10.5281/zenodo.123", tmp_path / "cache")
    assert source.missing == ("huge.bin",)
    assert [one.code for one in source.findings] == ["too-large"]


def test_a_site_that_is_no_invenio(web: Site, provider: Invenio, tmp_path: Path) -> None:
    """An address that looks like a record but answers otherwise is told so."""
    web.put("/api/records/5", b"<html>")
    with pytest.raises(SourceError, match="no JSON"):
        fetch(provider, f"{web.url}/records/5", tmp_path / "cache")
    with pytest.raises(SourceError, match="attempts"):
        fetch(provider, "http://127.0.0.1:9/records/5", tmp_path / "cache")
