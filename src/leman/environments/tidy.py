"""Free disk space: environments that nobody used lately, and what the cache holds for nobody.

Nothing goes that a living process uses, and nothing that cannot be fetched or built again.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from leman.environments.build import built, discard, prune
from leman.environments.interface import silent
from leman.environments.shares import Shares
from leman.environments.shelf import at
from leman.environments.uv import Uv
from leman.files import IN_USE, remove_tree, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leman.config import Settings

_HOUR = 3600
_DAY = 86400
_SOURCES = {"sources": "source", "git": "clone", "downloads": "download"}  # folder → what is in it


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed (or would be): its kind in a word, and the bytes that it held.

    Environments and uv's cache share files: what is removed for its age may live on in the other;
    what is removed for a quota takes with it what nobody else has.
    """

    kind: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Wish:
    """How much to remove: what was not used for `keep_days`; more until `quota` bytes hold.

    `everything` means all environments and the whole cache. With `dry` nothing is removed.
    """

    keep_days: float = 90
    quota: int | None = None
    everything: bool = False
    dry: bool = False


def total(settings: Settings) -> int:
    """Return the bytes of environments and cache, files that they share counted once."""
    return size_of(settings.environments, settings.cache)


def tidy(
    settings: Settings, wish: Wish, progress: Callable[[str], None] = silent
) -> Iterator[Removed]:
    """Remove and yield what `wish` says, the cheapest to get back first.

    Leftovers of processes that died, then what was not used for long, then over the quota: the
    cache of sources, packages that no environment has, then environments, the longest unused
    first, each with the packages that none has any more: files are shared, so one without the
    other frees nothing.
    """
    gone: set[Path] = set()
    for one in _steps(settings, wish, gone, progress):
        if one.path not in gone:  # with `dry`, it is still there when it is looked for again
            gone.add(one.path)
            yield one


def _steps(
    settings: Settings, wish: Wish, gone: set[Path], progress: Callable[[str], None]
) -> Iterator[Removed]:
    yield from _old(settings, wish, progress)
    if wish.quota is not None and not wish.everything:
        yield from _down_to(wish.quota, settings, gone, progress, dry=wish.dry)
        yield from _for_nobody(settings, dry=wish.dry)


def _old(settings: Settings, wish: Wish, progress: Callable[[str], None]) -> Iterator[Removed]:
    keep = 0.0 if wish.everything else wish.keep_days
    yield from _work(settings.cache / "work", dry=wish.dry)
    for path, size in prune(
        settings.environments, keep_days=keep, everything=wish.everything, dry=wish.dry
    ):
        yield Removed("leftover" if path.name.startswith(".") else "environment", path, size)
    yield from _sources(settings.cache, keep, dry=wish.dry)
    if wish.everything:
        yield from _packages(settings, wish, progress)
    elif not wish.dry and (settings.cache / "uv").is_dir():
        progress("asking uv to prune its cache")
        Uv(settings.cache / "uv").prune_cache(everything=False)
    yield from _for_nobody(settings, dry=wish.dry)


def _down_to(
    quota: int, settings: Settings, gone: set[Path], progress: Callable[[str], None], *, dry: bool
) -> Iterator[Removed]:
    """Remove until `quota` bytes are left; `gone` is what went before, or with `dry` would have."""
    uv = Uv(settings.cache / "uv")
    packages = [*uv.unpacked(), *settings.cache.glob("conda/packages/*/")]
    sources = [path for name in _SOURCES for path in settings.cache.glob(f"{name}/*")]
    environments = list(built(settings.environments))
    parts = {*packages, *sources, *environments}
    shares = Shares([*parts, *_rest([settings.environments, settings.cache], parts)])
    for path in gone:
        shares.remove(path)
    if shares.total <= quota:
        return
    progress("over the quota: removing what can be had again")
    for one in _sources(settings.cache, 0.0, dry=dry):
        shares.remove(one.path)
        yield one
        if shares.total <= quota:
            return
    if freed := _unshared(uv, packages, shares, quota, dry=dry):
        yield Removed("packages", settings.cache, freed)
    for path in environments:
        if shares.total <= quota:
            return
        if path not in gone and discard(path, dry=dry):
            freed = shares.remove(path)
            freed += _unshared(uv, packages, shares, quota, dry=dry)
            yield Removed("environment", path, freed)


def _rest(folders: list[Path], parts: set[Path]) -> Iterator[Path]:
    """Yield what together holds all that lies below `folders`, but for `parts`."""
    above = {parent for part in parts for parent in part.parents}
    for folder in folders:
        if folder in above:
            yield from _rest([one for one in folder.iterdir() if one not in parts], parts)
        else:
            yield folder


def _unshared(uv: Uv, packages: list[Path], shares: Shares, quota: int, *, dry: bool) -> int:
    """Remove packages that nobody shares until `quota` holds; return the bytes."""
    freed = 0
    with contextlib.ExitStack() as stack:
        if packages and not dry:
            stack.enter_context(uv.alone())
        for path in list(packages):
            if shares.total <= quota:
                break
            if shares.alone(path):
                packages.remove(path)
                freed += shares.remove(path)
                if not dry:
                    remove_tree(path)
    return freed


def _work(folder: Path, *, dry: bool) -> Iterator[Removed]:
    """Remove work copies whose process is gone: its lock is free."""
    for holder in sorted(folder.glob("work-*")):
        lock = holder / IN_USE
        with contextlib.suppress(Timeout, OSError):
            if not lock.exists() and time.time() - holder.stat().st_mtime < _HOUR:
                continue  # it may be being made at this moment
            with FileLock(lock, timeout=0):
                yield _removed("work copy", holder, dry=dry)


def _sources(cache: Path, keep_days: float, *, dry: bool) -> Iterator[Removed]:
    """Remove fetched sources and clones that were not read for `keep_days`, oldest first."""
    found = [(path, kind) for name, kind in _SOURCES.items() for path in cache.glob(f"{name}/*")]
    for path, kind in sorted(found, key=lambda one: _read_at(one[0])):
        if time.time() - _read_at(path) < keep_days * _DAY:
            continue
        name = path.name.removeprefix(".partial-")
        with contextlib.suppress(Timeout, OSError):
            (cache / "locks").mkdir(exist_ok=True)
            with FileLock(cache / "locks" / f"{name}.lock", timeout=0):
                yield _removed(kind, path, dry=dry)


def _read_at(path: Path) -> float:
    """Return when a source was last read, in seconds since 1970, as far as the disk notes it."""
    times = [0.0]
    for name in ("", "source.json", "FETCH_HEAD", "HEAD"):
        with contextlib.suppress(OSError):
            info = (path / name).stat()
            # A folder's access time moves with every look at it, a file's with reading alone.
            times.append(max(info.st_mtime, info.st_atime) if name else info.st_mtime)
    return max(times)


def _packages(settings: Settings, wish: Wish, progress: Callable[[str], None]) -> Iterator[Removed]:
    """Empty the caches of packages and of index pages."""
    progress("emptying the caches of packages")
    uv = settings.cache / "uv"
    if uv.is_dir():
        size = size_of(uv)
        if not wish.dry:
            Uv(uv).prune_cache(everything=True)
        yield Removed("packages", uv, size)
    for name in ("conda", "index"):
        if (settings.cache / name).is_dir():
            yield _removed("packages", settings.cache / name, dry=wish.dry)


def _for_nobody(settings: Settings, *, dry: bool) -> Iterator[Removed]:
    """Remove what the cache keeps for environments and folders that are gone."""
    digests = {at(path).digest for path in built(settings.environments)}
    for home in sorted(settings.cache.glob("homes/*")):
        if home.name not in digests:
            yield _removed("home", home, dry=dry)
    for memo in sorted(settings.cache.glob("locks/*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(memo.read_text())["digest"] not in digests:
                yield _removed("memo", memo, dry=dry)
    for memo in sorted(settings.cache.glob("digests/*.json")):
        with contextlib.suppress(OSError):
            if time.time() - memo.stat().st_mtime > 90 * _DAY:
                yield _removed("memo", memo, dry=dry)


def _removed(kind: str, path: Path, *, dry: bool) -> Removed:
    size = size_of(path) if path.is_dir() else path.stat().st_size
    if not dry:
        remove_tree(path)
    return Removed(kind, path, size)
