"""The conda tier, against channels that the tests make themselves."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from conda_channels import IN_2018, IN_2020, PREFIX, Channel

from leman.environments.conda import CondaBuilder, conda_version
from leman.environments.conda_child import outside
from leman.environments.model import Interpreter, Lock, Want
from leman.errors import EnvironmentBuildError, LemanError, ResolutionError, ToolError
from leman.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Interpreter("3.8.18", Path(sys.executable))


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """Make a Python that starts the tests' own, foo of 2018 and 2020, and what they need."""
    made = Channel(tmp_path / "channel")
    start = f'#!/bin/sh\n# of {PREFIX}\nexec {sys.executable} "$@"\n'
    made.add("python", "3.8.5", {"bin/python": start}, subdir="linux-64", timestamp=IN_2018)
    made.add("libbar", "1.0", {"lib/bar": "bar", "etc/bar": PREFIX}, timestamp=IN_2018)
    needs = ["python", "libbar >=1"]
    made.add("foo", "1.0", {"share/foo": "1.0"}, timestamp=IN_2018, depends=needs)
    made.add("foo", "2.0", {"share/foo": "2.0"}, timestamp=IN_2020, depends=needs)
    made.add("typing_extensions", "4.0", {"share/te": "4.0"}, timestamp=IN_2018)
    made.add("needy", "1.0", {"share/needy": ""}, timestamp=IN_2018, depends=["libbar >=2"])
    made.add("undated", "1.0", {"share/undated": ""})
    return made


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home folder, and remove it although its environments are read-only."""
    yield tmp_path / "home"
    remove_tree(tmp_path / "home")


def lock(builder: CondaBuilder, *wants: Want | str, by: date = date(2019, 1, 1)) -> Lock:
    """Lock packages by name."""
    asked = tuple(Want(one) if isinstance(one, str) else one for one in wants)
    return builder.lock(asked, constraints=(), python=PYTHON, cutoff=by)


def versions(made: Lock) -> dict[str, str]:
    """Return the version of every package of a lock."""
    return {one.name: one.version for one in made.packages}


def test_cutoff_chooses_the_build_of_its_day(channel: Channel, home: Path) -> None:
    """A build counts until the end of the cut-off day and not before it was made."""
    builder = CondaBuilder(home, (channel.address,))
    assert versions(lock(builder, "foo", by=date(2019, 12, 31)))["foo"] == "1.0"
    assert versions(lock(builder, "foo", by=date(2020, 1, 1)))["foo"] == "2.0"


def test_same_question_same_digest(channel: Channel, home: Path) -> None:
    """The digest depends on the packages, not on who asked for them or on the cut-off."""
    builder = CondaBuilder(home, (channel.address,))
    first = lock(builder, "foo")
    again = lock(builder, Want("foo", evidence="x.py:1"), by=date(2019, 6, 1))
    assert first.digest == again.digest
    assert first.text != again.text
    assert first.digest != lock(builder, "foo", by=date(2021, 1, 1)).digest


def test_lock_says_why(channel: Channel, home: Path) -> None:
    """Every package carries who asked for it, when it was built, and the Python is conda's."""
    made = lock(CondaBuilder(home, (channel.address,)), Want("foo", evidence="a.ipynb: import foo"))
    found = {one.name: one for one in made.packages}
    assert found["foo"].why == "a.ipynb: import foo"
    assert found["libbar"].why == "needed by foo"
    assert found["foo"].uploaded == "2018-01-01T00:00:00Z"
    assert made.python.version == "3.8.5"
    first = made.text.splitlines()[0]
    assert json.loads(first.removeprefix("# leman: "))["cutoff"] == "2019-01-01"


def test_conflict_keeps_rattlers_words(channel: Channel, home: Path) -> None:
    """What excludes itself is a ResolutionError that says which packages and why."""
    builder = CondaBuilder(home, (channel.address,))
    with pytest.raises(ResolutionError, match="libbar >=2, for which no candidates were found"):
        lock(builder, "needy")
    with pytest.raises(ResolutionError, match="uploaded after the cutoff date"):
        lock(builder, Want("foo", "==2.0"))
    with pytest.raises(ResolutionError, match="foo <1"):
        builder.lock(
            (Want("foo"),),
            constraints=(Want("foo", "<1"),),
            python=PYTHON,
            cutoff=date(2019, 1, 1),
        )
    with pytest.raises(ResolutionError, match=r"python 3\.11"):
        builder.lock(
            (), constraints=(), python=replace(PYTHON, version="3.11.1"), cutoff=date(2019, 1, 1)
        )


def test_names_as_pypi_writes_them(channel: Channel, home: Path) -> None:
    """A normalised name finds the package whose conda name has an underscore."""
    assert "typing_extensions" in versions(
        lock(CondaBuilder(home, (channel.address,)), "typing-extensions")
    )


def test_what_no_channel_has_is_left_out_and_said(channel: Channel, home: Path) -> None:
    """A name that conda lacks is dropped with a finding; a kernel, or everything, may not lack."""
    builder = CondaBuilder(home, (channel.address,))
    made = lock(builder, "foo", "nowhere", Want("direct", url="git+https://example.org/x"))
    assert [one.where for one in made.findings] == ["nowhere", "direct"]
    assert [(one.kind, one.target) for one in made.modifications] == [
        ("drop", "nowhere"),
        ("drop", "direct"),
    ]
    with pytest.raises(ResolutionError, match="nowhere"):
        lock(builder, "nowhere")
    with pytest.raises(ResolutionError, match="ipykernel"):
        lock(builder, "foo", Want("ipykernel", origin="kernel"))


def test_undated_builds_come_last_and_are_said(channel: Channel, home: Path) -> None:
    """A build without a date is taken only where no dated one will do, with a finding."""
    channel.add("foo", "9.0", {"share/foo": "9.0"})
    builder = CondaBuilder(home, (channel.address,))
    assert versions(lock(builder, "foo"))["foo"] == "1.0"
    made = lock(builder, "undated")
    assert [(one.code, one.where) for one in made.findings] == [("conda-undated", "undated 1.0")]
    assert [one.outcome == "solved" for one in made.attempts] == [False, True]


def test_second_channel_helps_out(channel: Channel, home: Path, tmp_path: Path) -> None:
    """The first channel wins, unless only a mixture of both is an answer."""
    second = Channel(tmp_path / "second")
    second.add("libbar", "2.0", {"lib/bar": "2"}, timestamp=IN_2018)
    builder = CondaBuilder(home, (channel.address, second.address))
    assert versions(lock(builder, "foo"))["libbar"] == "1.0"
    assert versions(lock(builder, "needy"))["libbar"] == "2.0"


def test_unreachable_and_unknown_channels(home: Path, tmp_path: Path) -> None:
    """A channel that does not answer or exist is no ResolutionError: no package is to blame."""
    for name in ("http://127.0.0.1:9/channel", (tmp_path / "none").as_uri()):
        with pytest.raises(EnvironmentBuildError, match="no conda environment") as caught:
            lock(CondaBuilder(home, (name,)), "foo")
        assert not isinstance(caught.value, ResolutionError)
        assert "network" in caught.value.hint
    with pytest.raises(EnvironmentBuildError, match=r"127\.0\.0\.1:9/plain"):
        lock(CondaBuilder(home, ("plain",), alias="http://127.0.0.1:9/"), "foo")


def test_installed_environment_works(channel: Channel, home: Path) -> None:
    """Files lie there with the final prefix, read-only, and a second install finds them."""
    builder = CondaBuilder(home, (channel.address,))
    made = lock(builder, "foo")
    said: list[str] = []
    environment = builder.install(made, progress=said.append)
    assert "linking foo" in said
    assert environment.path == home / "environments" / made.digest[:32]
    assert (environment.path / "etc/bar").read_text() == str(environment.path)
    assert f"# of {environment.path}" in environment.executable.read_text()
    assert psutil.Popen([environment.executable, "-c", "print()"], stdout=-3).wait() == 0
    assert (environment.path / "conda-meta/leman.lock").read_text() == made.text
    assert not any(path.stat().st_mode & 0o222 for path in environment.path.rglob("*"))
    said.clear()
    assert builder.install(made, progress=said.append) == environment
    assert said == []


def test_environments_share_files(channel: Channel, home: Path) -> None:
    """A second environment hard-links what the first one has, and both stay whole."""
    builder = CondaBuilder(home, (channel.address,))
    one = builder.install(lock(builder, "foo"))
    two = builder.install(lock(builder, "foo", by=date(2021, 1, 1)))
    assert (one.path / "lib/bar").stat().st_ino == (two.path / "lib/bar").stat().st_ino
    assert (two.path / "etc/bar").read_text() == str(two.path)
    assert (one.path / "share/foo").read_text() == "1.0"
    assert (two.path / "share/foo").read_text() == "2.0"


def test_changed_lock_or_package_is_refused(channel: Channel, home: Path) -> None:
    """Neither a lock that was edited nor a package that was replaced is installed."""
    builder = CondaBuilder(home, (channel.address,))
    made = lock(builder, "foo")
    with pytest.raises(EnvironmentBuildError, match="digest"):
        builder.install(replace(made, text=made.text.replace("foo-1.0", "foo-2.0")))
    with gate(channel) as (address, server):
        server.opened.set()
        fetched = lock(CondaBuilder(home, (address,)), "foo")
        with (channel.folder / "noarch/foo-1.0-0.tar.bz2").open("ab") as file:
            file.write(b"x")
        for one, words in ((made, "changed since the lock"), (fetched, "hash mismatch")):
            with pytest.raises(EnvironmentBuildError, match=words):
                builder.install(one)
            assert not (home / "environments" / one.digest[:32]).exists()


def test_package_that_writes_outside_is_refused(channel: Channel, home: Path) -> None:
    """A path with ``..`` in a package ends the build before anything of it is linked."""
    channel.add("evil", "1.0", {"../libbar-1.0-0/lib/bar": "bar"}, timestamp=IN_2018)
    builder = CondaBuilder(home, (channel.address,))
    with pytest.raises(EnvironmentBuildError, match="evil names a file outside"):
        builder.install(lock(builder, "evil", "libbar"))
    assert not (home / "environments/libbar-1.0-0").exists()
    assert list(outside({"paths": [{"_path": "/x"}, {"_path": "a/b"}, {"_path": "a/../b"}]})) == [
        "/x",
        "a/../b",
    ]


@dataclass
class Gate:
    """What a server lets through: libbar waits until `opened`; `asked` counts requests for it."""

    opened: threading.Event = field(default_factory=threading.Event)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    count: list[str] = field(default_factory=list)


@contextmanager
def gate(channel: Channel) -> Iterator[tuple[str, Gate]]:
    """Serve a channel over HTTP, and let the package libbar wait until the gate opens."""
    keeper = Gate()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if "libbar" in self.path:
                keeper.count.append(self.path)
                keeper.asked.release()
                keeper.opened.wait(30)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Handler, directory=str(channel.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keeper
        keeper.opened.set()
        server.shutdown()


def test_killed_build_is_repaired(channel: Channel, home: Path) -> None:
    """Kill -9 in the middle leaves nothing at the final place; the next build is whole."""
    with gate(channel) as (address, server), ThreadPoolExecutor() as pool:
        builder = CondaBuilder(home, (address,))
        made = lock(builder, "foo")
        building = pool.submit(builder.install, made)
        assert server.asked.acquire(timeout=30)
        for child in psutil.Process().children():
            if "leman.environments.conda_child" in child.cmdline():
                child.kill()
        with pytest.raises(ToolError, match="without an answer"):
            building.result()
        leftover = home / "environments" / f".build-{made.digest[:32]}-conda"
        assert leftover.exists()
        assert not (home / "environments" / made.digest[:32]).exists()
        server.opened.set()
        environment = builder.install(made)
        assert (environment.path / "lib/bar").read_text() == "bar"
        assert not leftover.exists()


def test_two_builders_at_once(channel: Channel, home: Path) -> None:
    """Two processes that build the same lock end with one build and the same environment."""
    with gate(channel) as (address, server), ThreadPoolExecutor() as pool:
        builder = CondaBuilder(home, (address,))
        made = lock(builder, "foo")
        builds = [pool.submit(CondaBuilder(home, (address,)).install, made) for _ in range(2)]
        assert server.asked.acquire(timeout=30)
        server.opened.set()
        first, second = (one.result() for one in builds)
        assert first == second
        assert len(server.count) == 1
        assert (first.path / "lib/bar").read_text() == "bar"


def test_without_rattler(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where py-rattler is missing, the message says how to install it."""
    monkeypatch.setitem(sys.modules, "rattler", None)
    with pytest.raises(LemanError, match="py-rattler") as caught:
        lock(CondaBuilder(home), "foo")
    assert "leman[conda]" in caught.value.hint


def test_channels_of_conda_settings(home: Path) -> None:
    """The words of conda's settings become channels; none at all means conda-forge."""
    assert CondaBuilder(home, ("defaults", "x", "nodefaults", "x")).channels == ("anaconda", "x")
    assert CondaBuilder(home, ()).channels == ("conda-forge",)


@pytest.mark.parametrize(
    ("pep440", "conda"),
    [
        ("", ""),
        ("==1.0", "==1.0"),
        ("===1.0", "==1.0"),
        ("==1.0.*", "1.0.*"),
        (">=1,!=1.5.*,<2", "!=1.5.*,<2,>=1"),
        ("~=1.4", "~=1.4"),
        ("=1.2", "=1.2"),
        ("1.*|>=3", "1.*|>=3"),
    ],
)
def test_specifiers(pep440: str, conda: str) -> None:
    """PEP 440 is written as conda reads it; conda's own syntax passes."""
    assert conda_version(pep440) == conda


def test_specifier_smuggles_nothing_in() -> None:
    """Brackets, with which a conda spec names another channel or address, are refused."""
    with pytest.raises(ResolutionError):
        conda_version("[url=file:///evil.conda]")
