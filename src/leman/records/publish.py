"""From a source to a record: run, pack, describe, seal, sign, and only then let it be seen."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from leman import __version__
from leman.environments.fetch import fetch
from leman.environments.git import git
from leman.environments.providers.scope import PUBLISHING
from leman.errors import SourceError, ToolError, UsageError
from leman.files import full_disk_said, remove_tree, write_atomic, write_json
from leman.records import compose, keys
from leman.records.bag.check import unheard
from leman.records.bag.seal import seal
from leman.records.crate import write_crate
from leman.records.describe import Wishes, describe, mistakes
from leman.records.layout import FACTS, FORMAT, PAGE, PROFILE, REPORT, SOURCE
from leman.records.model import Record
from leman.records.pack import pack
from leman.records.page import as_html
from leman.records.signing import Stamping, add_signature
from leman.records.swhid import directory_swhid
from leman.reproduction import report as reports
from leman.reproduction.reproduce import reproduce

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from leman.config import Settings
    from leman.environments.model import Source
    from leman.findings import Finding
    from leman.records.model import Reference
    from leman.reproduction.options import Options, Watcher

_OF_A_REPORT = ("report.json", "report.html", "environments", "notebooks", "images")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a publication is asked for beside its source.

    `report` is the folder of a run made before; `elsewhere` maps files to where readers get them;
    `key` names the key to sign with; `ssh` is the folder of the user's keys; without `sign` there
    is neither signature nor stamp. `timestamp` is an authority's address, ``own`` or empty.
    """

    wishes: Wishes = field(default_factory=Wishes)
    ref: str = ""
    notebooks: tuple[str, ...] = ()
    report: Path | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    key: Path | None = None
    ssh: Path = field(default_factory=lambda: Path.home() / ".ssh")
    sign: bool = True
    timestamp: str = ""
    authority: str = "leman time stamps"


@dataclass(frozen=True, slots=True)
class _Job:
    """What all steps of one publication share."""

    spec: str
    wanted: Wanted
    settings: Settings
    options: Options
    watcher: Watcher

    def fetch(self) -> Source:
        """Return the source as it is now."""

        def told(text: str) -> None:
            self.watcher.said("", text)

        return fetch(self.spec, ref=self.wanted.ref, cache=self.settings.cache, progress=told)


@dataclass(frozen=True, slots=True)
class Published:
    """A record that was made: `findings` tell the author what readers will miss."""

    record: Record
    key: keys.Key | None
    signature: str
    findings: tuple[Finding, ...]


def publish(
    spec: str,
    output: Path,
    *,
    settings: Settings,
    wanted: Wanted,
    options: Options,
    watcher: Watcher,
) -> Published:
    """Run the source `spec` names, or take `wanted.report`, and make the record in `output`.

    `output` appears complete and signed, or not at all. Raises UsageError where it is in the way,
    SourceError for a source that cannot be published as it is, and what `reproduce` raises.
    """
    job = _Job(spec, wanted, settings, options, watcher)
    _refuse_taken(output)
    _refuse_mistakes(wanted.wishes)
    key = keys.choose(wanted.key, own=wanted.ssh, home=settings.home) if wanted.sign else None
    with _staging(output) as root:
        source = _fetched(job)
        url = public_url(source)
        report = _report(job, source, url, root / REPORT)
        watcher.said("", "packing")
        packed = pack(source.path, root / SOURCE, wanted.elsewhere)
        _unchanged(job, source)
        description, findings = describe(
            source.path, source.git_dir, job.wanted.wishes, revision=source.revision
        )
        made = compose.Made(
            source,
            url,
            directory_swhid(root / SOURCE),
            description,
            packed,
            report,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        answers = compose.answers_of(
            report,
            signer=key.fingerprint if key else "",
            stamped=_authority(wanted.timestamp) if key else "",
        )
        facts = compose.compose(made, answers)
        number = _seal(root, facts, packed.references, watcher)
        name = ""
        if key:
            watcher.said("", f"signing with {key.path}")
            name = add_signature(root, key, stamping=stamping(wanted, settings))
        _appear(root, output)
    return Published(Record(number, output, facts), key, name, findings)


def _authority(where: str) -> str:
    return "an authority of the publisher's own" if where == "own" else where


def stamping(wanted: Wanted, settings: Settings) -> Stamping | None:
    """Return where the time stamp comes from, None where none is asked for."""
    if not wanted.timestamp:
        return None
    return Stamping(wanted.timestamp, settings.home / "keys" / "authority", wanted.authority)


def _refuse_taken(output: Path) -> None:
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists() or output.is_symlink():
        raise UsageError(
            f"{output} is there already",
            hint="A record is never changed: give the name of a new folder with --output.",
        )


def _refuse_mistakes(wishes: Wishes) -> None:
    """Tell of a mistyped author or licence before anything runs, not after."""
    for finding in mistakes(wishes):
        raise UsageError(f"{finding.where}: {finding.message}", hint=finding.fix)


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """Yield a folder beside `output`; what a killed publication left there is removed."""
    parent = output.absolute().parent
    with full_disk_said(output):
        parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(parent / f"{PUBLISHING}{output.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another leman is publishing to {output} at this moment",
            hint="Wait for it, or give another folder.",
        ) from None
    try:
        for left in parent.glob(f"{PUBLISHING}{output.name}.new-*"):
            remove_tree(left)
        root = Path(tempfile.mkdtemp(prefix=f"{PUBLISHING}{output.name}.new-", dir=parent))
        try:
            with full_disk_said(output):
                yield root
        finally:
            remove_tree(root)
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def _fetched(job: _Job) -> Source:
    source = job.fetch()
    if source.locks:
        raise SourceError(
            f"{job.spec} is a record already",
            hint="Add a signature with `leman sign`, or publish the source that it was made of.",
        )
    names = job.wanted.notebooks
    for name in names:
        if not (source.path / name).is_file():
            raise UsageError(f"--notebook {name}: there is no such file in {source.url}")
    return replace(source, notebooks=names) if names else source


def public_url(source: Source) -> str:
    """Return where others get the source: never a path of this machine, never a password."""
    url = source.url
    if source.git_dir is not None and not re.match(r"\w+://|\w[\w.-]*@", url):
        url = _origin(source.git_dir) or Path(url).name
    elif Path(url).exists():
        url = Path(url).name
    return re.sub(r"(?<=://)[^/@\s]+@", "", url)


def _origin(git_dir: Path) -> str:
    with suppress(ToolError, OSError):
        found = git("config", "--file", str(git_dir / "config"), "--get", "remote.origin.url")
        url = found.decode(errors="replace").strip()
        return url if re.match(r"(https?|ssh|git)://|[\w.-]+@", url) else ""
    return ""


def _report(job: _Job, source: Source, url: str, target: Path) -> dict[str, Any]:
    if job.wanted.report is not None:
        _take_report(source, url, job.wanted.report, target)
        return reports.read(target)
    done = reproduce(
        replace(source, url=url),
        output=target,
        settings=job.settings,
        options=job.options,
        watcher=job.watcher,
    )
    reports.write(done, target)
    return reports.read(target)


def _take_report(source: Source, url: str, given: Path, target: Path) -> None:
    """Copy a report that `leman run` wrote of this very source, without this machine's paths."""
    found = reports.read(given)
    content = found["source"]["content_id"]
    if content != source.content_id:
        raise UsageError(
            f"the report in {given} is of {content}, the source is now {source.content_id}",
            hint="Run `leman run` again, or leave --report out.",
        )
    target.mkdir(parents=True)
    for name in _OF_A_REPORT:
        if (given / name).is_dir():
            shutil.copytree(given / name, target / name, symlinks=False)
        elif (given / name).is_file():
            shutil.copyfile(given / name, target / name)
    for name in ("report.json", "report.html"):
        with suppress(FileNotFoundError):
            text = (target / name).read_text()
            write_atomic(target / name, text.replace(found["source"]["url"], url))


def _unchanged(job: _Job, source: Source) -> None:
    """Refuse to publish files other than those that were run."""
    if source.path.is_relative_to(job.settings.cache):
        return
    if job.fetch().content_id != source.content_id:
        raise SourceError(
            f"{job.spec} changed while it was being published",
            hint="Publish again when nobody writes there.",
        )


def _seal(
    root: Path, facts: dict[str, Any], references: Iterable[Reference], watcher: Watcher
) -> str:
    data = root / "data"
    write_json(root / FACTS, facts)
    write_crate(data, facts)
    write_atomic(root / PAGE, as_html(facts, data))
    watcher.said("", "sealing")
    return seal(root, info=_info(facts), references=references, progress=unheard)


def _info(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    described = facts["description"]
    yield "Bagging-Date", facts["created"][:10]
    yield "Bag-Software-Agent", f"leman {__version__}"
    yield "External-Description", described["title"]
    for author in described["authors"]:
        yield "Contact-Name", author["name"]
    yield "Leman-Record-Format", FORMAT
    yield "Leman-Record-Profile", PROFILE


def _appear(root: Path, output: Path) -> None:
    """Make the record visible under its name, all bytes on the disk first."""
    if hasattr(os, "sync"):
        os.sync()
    root.chmod(0o755)
    with suppress(FileNotFoundError):
        output.rmdir()  # an empty one was allowed
    root.rename(output)
