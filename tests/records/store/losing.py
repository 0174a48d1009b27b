"""Damage a keep in many ways, with crashes in between, and see whether a byte is lost.

The keep itself is never asked whether all is well: every byte is compared with kept originals.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bags import content, record
from crashing import crashed

from leman.records.store.add import add
from leman.records.store.audit import audit
from leman.records.store.keep import opened
from leman.records.store.names import object_path
from leman.records.store.repair import repair
from leman.records.store.start import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leman.records.store.audit import Audit

Hits = Literal["two storages", "two copies of each record", "none"]
Tree = dict[str, bytes]


@dataclass(slots=True)
class Outcome:
    """What many rounds came to. All but `alarms` has to be 0, and `alarms` too without faults."""

    faults: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    repairs: int = 0
    undetected: list[str] = field(default_factory=list)  # faults that no finding names
    worse: list[str] = field(default_factory=list)  # bytes that a crash took the last copy of
    wrong: list[str] = field(default_factory=list)  # files of storages that are not the original
    lost: int = 0  # records of which no storage has every byte
    alarms: int = 0  # audits that found something


@dataclass(slots=True)
class Trial:
    """One keep of several storages, with originals beside it that nothing touches."""

    folder: Path
    dice: random.Random
    originals: dict[str, Path] = field(default_factory=dict)  # record id → folder
    kept: dict[str, Tree] = field(default_factory=dict)  # storage → every byte as it should be
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def home(self) -> Path:
        """Where the keep is registered."""
        return self.folder / "home"

    @property
    def storages(self) -> list[Path]:
        """The storages."""
        return [self.folder / f"storage-{number}" for number in range(3)]


def run(folder: Path, *, seed: int, rounds: int, records: int, hits: Hits) -> Outcome:
    """Keep some records on three storages; damage, audit, crash and repair them in rounds."""
    trial = Trial(folder, random.Random(seed))
    start(trial.home, trial.storages, "records")
    for number in range(records):
        _add(trial, record(folder / f"original-{number}", seed=seed * 100 + number))
    _keep(trial)
    for number in range(rounds):
        damaged = _damage(trial, hits) if hits != "none" else []
        with opened(trial.home) as keep:
            found = audit(keep)
        _judge_audit(trial, damaged, found)
        _repair(trial, crashes=trial.dice.randrange(4) if hits != "none" else 0)
        _compare(trial, number)
        if number % 3 == 2:
            _grow(trial, seed, number)
    return trial.outcome


def _add(trial: Trial, folder: Path) -> None:
    with opened(trial.home) as keep:
        trial.originals[add(keep, folder).record] = folder


def _keep(trial: Trial) -> None:
    """Take what the storages have for right, once it was compared with the records themselves."""
    for storage in trial.storages:
        tree = content(storage)
        for name, folder in trial.originals.items():
            for path, data in content(folder).items():
                places = [f"{object_path(name)}/v{n}/content/{path}" for n in range(1, 20)]
                if all(tree.get(place) != data for place in places):
                    trial.outcome.wrong.append(f"{storage.name}: {path} of {name}")
        trial.kept[storage.name] = tree


def _grow(trial: Trial, seed: int, number: int) -> None:
    """Add a record, and a signature to another; a crash comes between, and it is done again."""
    new = record(trial.folder / f"original-{number}-new", seed=seed * 100 + 50 + number)
    old = trial.dice.choice(list(trial.originals.values()))
    (old / "signatures" / f"referee-{number}.sshsig").write_bytes(trial.dice.randbytes(150))
    for folder in (new, old):
        killed = crashed(trial.home, trial.dice.randrange(1, 90), "add", str(folder))
        trial.outcome.crashes += killed
        _add(trial, folder)
    _repair(trial, crashes=0)
    _keep(trial)


def _contents(trial: Trial) -> set[str]:
    """Return the digests of the kept files that some storage has somewhere."""
    wanted = {
        hashlib.sha256(one).hexdigest() for tree in trial.kept.values() for one in tree.values()
    }
    here = {
        hashlib.sha256(one).hexdigest()
        for storage in trial.storages
        for one in content(storage).values()
    }
    return wanted & here


def _repair(trial: Trial, *, crashes: int) -> None:
    for _ in range(crashes):
        before = _contents(trial)
        step = int(2 ** trial.dice.uniform(0, 9))
        trial.outcome.crashes += crashed(trial.home, step, "repair")
        trial.outcome.worse += sorted(before - _contents(trial))
    with opened(trial.home) as keep:
        done = repair(keep)
    trial.outcome.repairs += 1
    if not done.after.clean:
        trial.outcome.wrong += [f"{one.code} {one.where}" for one in done.after.errors]


def _compare(trial: Trial, number: int) -> None:
    whole = dict.fromkeys(trial.originals, 0)
    for storage in trial.storages:
        aside = "extensions/leman-keep/"
        now = {path: data for path, data in content(storage).items() if not path.startswith(aside)}
        kept = trial.kept[storage.name]
        wrong = [path for path in {**kept, **now} if kept.get(path) != now.get(path)]
        trial.outcome.wrong += [f"round {number}: {storage.name}/{path}" for path in wrong]
        for name in whole:
            root = f"{object_path(name)}/"
            whole[name] += not any(path.startswith(root) for path in wrong)
        shutil.rmtree(storage / "extensions" / "leman-keep", ignore_errors=True)
    trial.outcome.lost += sum(not copies for copies in whole.values())


def _judge_audit(trial: Trial, damaged: list[tuple[str, Path, Path]], found: Audit) -> None:
    trial.outcome.alarms += not found.clean
    places = [one.where for one in found.errors]
    for kind, place, storage in damaged:
        if _is_as_kept(trial, place, storage):
            continue  # another fault undid it
        if not any(_about(where, str(place)) for where in places):
            trial.outcome.undetected.append(f"{kind}: {place}")


def _about(where: str, place: str) -> bool:
    """Tell whether a finding at `where` is of `place`, of what is in it, or of what it is in."""
    return where == place or where.startswith(f"{place}/") or place.startswith(f"{where}/")


def _is_as_kept(trial: Trial, place: Path, storage: Path) -> bool:
    if not place.is_relative_to(storage):
        return False  # the keeper's own catalogue
    start_ = place.relative_to(storage).as_posix()
    kept = {
        path: data
        for path, data in trial.kept[storage.name].items()
        if path == start_ or path.startswith(f"{start_}/")
    }
    now = {
        path: data
        for path, data in content(storage).items()
        if path == start_ or path.startswith(f"{start_}/")
    }
    odd = any(
        one.is_symlink() or (one.is_dir() and not any(one.iterdir())) for one in place.rglob("*")
    )
    return kept == now and not odd and not place.is_symlink()


def _damage(trial: Trial, hits: Hits) -> list[tuple[str, Path, Path]]:
    """Do some faults; return of each its kind, the place where it must be seen, the storage."""
    dice = trial.dice
    two = dice.sample(trial.storages, 2)
    chosen = {
        name: two if hits == "two storages" else dice.sample(trial.storages, 2)
        for name in trial.originals
    }
    done = []
    for _ in range(dice.randrange(1, 10)):
        name = dice.choice(list(chosen))
        storage = dice.choice(chosen[name])
        kind = dice.choice(list(KINDS))
        if kind == "damage the catalogue":
            own = trial.home / "records" / "catalogue.json"
            places = [own, *(one / "leman-catalogue.json" for one in two)]
            place = dice.choice(places)
            _spoil(place, dice)
        else:
            root = storage / object_path(name)
            if not root.is_dir() or root.is_symlink():
                continue  # gone by an earlier fault
            hit = KINDS[kind](root, dice)
            if hit is None:
                continue
            place = root if kind == "delete an object" else hit
        trial.outcome.faults[kind] += 1
        done.append((kind, place, storage))
    return done


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def _pick(root: Path, dice: random.Random, pattern: str = "*") -> Path | None:
    found = [path for path in _files(root) if path.match(pattern) and path.stat().st_size]
    return dice.choice(found) if found else None


def _spoil(path: Path, dice: random.Random) -> None:
    """Change, cut or remove a file."""
    if not path.is_file():
        return
    data = bytearray(path.read_bytes())
    way = dice.randrange(3)
    if way == 0 or not data:
        path.unlink()
    elif way == 1:
        path.chmod(0o644)
        path.write_bytes(data[: dice.randrange(len(data))])
    else:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.chmod(0o644)
        path.write_bytes(data)


def flip(root: Path, dice: random.Random) -> Path | None:
    """Flip one bit of a file."""
    if path := _pick(root, dice):
        data = bytearray(path.read_bytes())
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.chmod(0o644)
        path.write_bytes(data)
    return path


def truncate(root: Path, dice: random.Random) -> Path | None:
    """Cut off the end of a file."""
    if path := _pick(root, dice):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])
    return path


def delete_file(root: Path, dice: random.Random) -> Path | None:
    """Remove a file."""
    if path := _pick(root, dice):
        path.unlink()
    return path


def delete_object(root: Path, dice: random.Random) -> Path | None:
    """Remove a whole object, sometimes with the folders above it."""
    shutil.rmtree(root)
    if dice.random() < 0.3 and not any(root.parent.iterdir()):
        root.parent.rmdir()
    return root


def delete_inventory(root: Path, dice: random.Random) -> Path | None:
    """Remove an inventory."""
    if path := _pick(root, dice, "inventory.json"):
        path.unlink()
    return path


def edit_sidecar(root: Path, dice: random.Random) -> Path | None:
    """Put another digest into a sidecar, sometimes with an inventory that fits it."""
    path = _pick(root, dice, "inventory.json.sha256")
    if path is None:
        return None
    inventory = path.with_name("inventory.json")
    data = b"{}"
    if inventory.is_file() and dice.random() < 0.5:
        data = inventory.read_bytes().replace(b"record added", b"record edited")
        inventory.write_bytes(data)
    path.chmod(0o644)
    path.write_text(f"{hashlib.sha256(data).hexdigest()} inventory.json\n")
    return path


def add_file(root: Path, dice: random.Random) -> Path | None:
    """Add a file where none belongs."""
    folders = sorted({path.parent for path in _files(root)})
    if not folders:
        return None
    path = dice.choice(folders) / f"added-{dice.randrange(100)}.bin"
    path.write_bytes(dice.randbytes(20))
    return path


def swap(root: Path, dice: random.Random) -> Path | None:
    """Let two files change their names."""
    files = [path for path in _files(root) if path.stat().st_size]
    if len(files) < 2:
        return None
    one, other = dice.sample(files, 2)
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return one


def replace(root: Path, dice: random.Random) -> Path | None:
    """Put a link to the same bytes, one to nothing, or an empty folder in a file's place."""
    path = _pick(root, dice)
    if path is None:
        return None
    way = dice.randrange(3)
    if way == 0:
        other = root.parents[4] / f"elsewhere-{dice.randrange(10**9)}"
        path.rename(other)
        path.symlink_to(other)
    else:
        path.unlink()
        if way == 1:
            path.symlink_to("/nothing")
        else:
            path.mkdir()
    return path


def damage_signature(root: Path, dice: random.Random) -> Path | None:
    """Change, cut or remove a signature, which no manifest lists."""
    if path := _pick(root, dice, "signatures/*"):
        _spoil(path, dice)
    return path


KINDS: dict[str, Callable[[Path, random.Random], Path | None]] = {
    "flip a bit": flip,
    "cut a file": truncate,
    "delete a file": delete_file,
    "delete an object": delete_object,
    "delete an inventory": delete_inventory,
    "edit a sidecar": edit_sidecar,
    "add a file": add_file,
    "swap two files": swap,
    "link or empty folder": replace,
    "damage a signature": damage_signature,
    "damage the catalogue": lambda _root, _dice: None,
}
