"""Many at once: writers, people, files."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from leman.lake.catalogue import Catalogue, NewDID, NewReplica, open_catalogue
from leman.lake.model import DID, DIDType, LakeError

if TYPE_CHECKING:
    from collections.abc import Callable

WRITER = """
import sys
from leman.lake.catalogue import NewReplica, open_catalogue
from leman.lake.model import DID
url, number = sys.argv[1:]
with open_catalogue(url) as catalogue:
    for call in range(12):
        names = [DID("user.ada", f"w{number}.{call}.{n}") for n in range(20)]
        same = [DID("user.ada", f"same{n}") for n in range(20)]
        with catalogue.writing():
            new = [NewReplica(name, 10) for name in names + same]
            catalogue.replicas.add("HERE", new, account="ada")
            catalogue.contents.attach({DID("user.ada", "all"): names + same}, again=True)
"""


def did(name: str) -> DID:
    """Return a name in ada's scope."""
    return DID("user.ada", name)


def test_eight_writers_at_once_all_succeed(catalogue: Catalogue, url: str) -> None:
    """96 calls of eight processes, half of them with the same files: no error, exact sums."""
    catalogue.dids.add([NewDID(did("all"), DIDType.DATASET)], account="ada")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(number)], stderr=subprocess.PIPE, text=True
        )
        for number in range(8)
    ]
    errors = [one.communicate()[1] for one in started]
    assert errors == [""] * 8
    entry = next(catalogue.dids.get([did("all")]))
    assert (entry.length, entry.size) == (8 * 12 * 20 + 20, (8 * 12 * 20 + 20) * 10)
    assert catalogue.topology.usage()["HERE"].files == entry.length
    assert catalogue.quotas.wrong() == []


def at_once(*changes: Callable[[], None]) -> list[str]:
    """Run in threads; return the kinds of errors."""
    kinds: list[str] = []
    barrier = threading.Barrier(len(changes))

    def run(change: Callable[[], None]) -> None:
        barrier.wait()
        try:
            change()
        except LakeError as error:
            kinds.append(error.kind)

    threads = [threading.Thread(target=run, args=(change,)) for change in changes]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return kinds


def test_two_people_attach_at_once(catalogue: Catalogue) -> None:
    """The same file by both goes in once; one of them hears that it is there."""
    for round_ in range(10):
        file, top = did(f"f{round_}"), did(f"s{round_}")
        catalogue.dids.add(
            [NewDID(file, DIDType.FILE, 7), NewDID(top, DIDType.DATASET)], account="ada"
        )

        def attach(top: DID = top, file: DID = file) -> None:
            catalogue.contents.attach({top: [file]})

        assert at_once(attach, attach) == ["FileAlreadyExists"]
        entry = next(catalogue.dids.get([top]))
        assert (entry.length, entry.size) == (1, 7)


def test_two_containers_attached_to_each_other_at_once_make_no_circle(
    catalogue: Catalogue,
) -> None:
    """One of two halves of a circle is refused, whoever comes first."""
    for round_ in range(10):
        one, two = did(f"a{round_}"), did(f"b{round_}")
        boxes = [NewDID(name, DIDType.CONTAINER) for name in (one, two)]
        catalogue.dids.add(boxes, account="ada")

        def attach(parent: DID, child: DID) -> Callable[[], None]:
            return lambda: catalogue.contents.attach({parent: [child]})

        assert at_once(attach(one, two), attach(two, one)) == ["UnsupportedOperation"]


def test_two_that_condemn_at_once_leave_a_copy(catalogue: Catalogue) -> None:
    """Of two good copies, each the other's reason to go, one stays."""
    moment = datetime.now(UTC)
    for round_ in range(10):
        file = did(f"f{round_}")
        gone: list[DID] = []
        for rse in ("HERE", "THERE"):
            new = [NewReplica(file, 1, tombstone=moment)]
            catalogue.replicas.add(rse, new, account="ada")

        def condemn(rse: str, file: DID = file, gone: list[DID] = gone) -> Callable[[], None]:
            later = moment + timedelta(1)
            return lambda: gone.extend(catalogue.deletions.condemn(rse, [file], later))

        assert at_once(condemn("HERE"), condemn("THERE")) == []
        assert gone == [file]


def test_a_listing_waits_for_nobody(catalogue: Catalogue) -> None:
    """A reader that stops half-way keeps no writer waiting, and then goes on."""
    new = [NewReplica(did(f"f{n:05}"), 1) for n in range(12_000)]
    catalogue.replicas.add("HERE", new, account="ada")
    catalogue.dids.add([NewDID(did("s"), DIDType.DATASET)], account="ada")
    catalogue.contents.attach({did("s"): [one.did for one in new]})
    listing = catalogue.contents.files(did("s"))
    next(listing)
    catalogue.contents.detach(did("s"), [did("f11999")])
    assert sum(1 for _ in listing) == 12_000 - 2


def test_a_large_data_set_is_listed_in_bounded_memory(tmp_path: object) -> None:
    """Memory of a listing is that of a page, however long the data set is."""
    with open_catalogue(f"sqlite:///{tmp_path}/c.sqlite") as catalogue:
        catalogue.scopes.add("user.ada", "root")
        catalogue.dids.add([NewDID(did("s"), DIDType.DATASET)], account="root")
        for start in range(0, 60_000, 20_000):
            new = [NewDID(did(f"f{n}"), DIDType.FILE, 1) for n in range(start, start + 20_000)]
            catalogue.dids.add(new, account="root")
            catalogue.contents.attach({did("s"): [one.did for one in new]})
        del new
        tracemalloc.start()
        assert sum(one.size for one in catalogue.contents.files(did("s"))) == 60_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40_000_000  # 60,000 entries would take more than 60 MB
