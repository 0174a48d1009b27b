"""The ways in which a hostile hand touches a record: each returns a function that does it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from typing import TYPE_CHECKING, Any

from signed_records import FACTS, Lab, facts, sealed, tags_sealed

from leman.files import sha256_of
from leman.records.layout import MANIFEST, SIGNATURES, STAMPS, STATEMENTS, TAG_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Damage = Callable[[Path, Lab], object]


def edit(path: str, old: str, new: str) -> Damage:
    """Replace a part of a file."""

    def damage(root: Path, _: Lab) -> None:
        text = (root / path).read_bytes()
        assert old.encode() in text
        (root / path).write_bytes(text.replace(old.encode(), new.encode(), 1))

    return damage


def write(path: str, content: bytes | str = "x") -> Damage:
    """Write a file, whatever is there."""

    def damage(root: Path, _: Lab) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        (root / path).write_bytes(data)

    return damage


def append(path: str, text: str) -> Damage:
    """Add to the end of a file."""

    def damage(root: Path, _: Lab) -> None:
        with (root / path).open("a") as file:
            file.write(text)

    return damage


def cut(path: str, size: int = 7) -> Damage:
    """Cut a file off."""
    return lambda root, _: os.truncate(root / path, size)


def remove(*paths: str) -> Damage:
    """Remove files."""

    def damage(root: Path, _: Lab) -> None:
        for path in paths:
            (root / path).unlink()

    return damage


def without(*folders: str) -> Damage:
    """Remove folders."""

    def damage(root: Path, _: Lab) -> None:
        for folder in folders:
            shutil.rmtree(root / folder)

    return damage


def mode(path: str, bits: int) -> Damage:
    """Change the rights on a file."""
    return lambda root, _: (root / path).chmod(bits)


def all_of(*damages: Damage) -> Damage:
    """Do one after the other."""
    return lambda root, lab: [damage(root, lab) for damage in damages]


def swapped(one: str, other: str) -> Damage:
    """Give two files each other's content."""

    def damage(root: Path, _: Lab) -> None:
        first, second = (root / one).read_bytes(), (root / other).read_bytes()
        (root / one).write_bytes(second)
        (root / other).write_bytes(first)

    return damage


def linked(path: str) -> Damage:
    """Put a link to equal bytes in place of a file or folder."""

    def damage(root: Path, _: Lab) -> None:
        aside = root.parent / "aside"
        (root / path).rename(aside)
        (root / path).symlink_to(aside)

    return damage


def link(path: str, target: str) -> Damage:
    """Add a symbolic link."""
    return lambda root, _: (root / path).symlink_to(target)


def hard_linked(path: str) -> Damage:
    """Make a file one with another that lies outside of the record."""
    return lambda root, _: os.link(root / path, root.parent / "outside")


def pipe(path: str) -> Damage:
    """Put a named pipe, which nobody writes to, in place of what is there."""

    def damage(root: Path, _: Lab) -> None:
        (root / path).unlink(missing_ok=True)
        os.mkfifo(root / path)

    return damage


def listening(path: str) -> Damage:
    """Add a socket (its address may have no more than 107 bytes)."""

    def damage(root: Path, _: Lab) -> None:
        here = os.open(root / path.rpartition("/")[0], os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.rpartition('/')[2]}")
        os.close(here)

    return damage


def folders(path: str) -> Damage:
    """Add empty folders."""
    return lambda root, _: (root / path).mkdir(parents=True)


def resealed(*damages: Damage) -> Damage:
    """Make all manifests anew after some damage, as a forger does who has no key."""

    def damage(root: Path, lab: Lab) -> None:
        shutil.rmtree(root / STATEMENTS)
        all_of(*damages)(root, lab)
        sealed(root)

    return damage


def by_author(*damages: Damage) -> Damage:
    """Do it as the author, who is the attacker here: the record is sealed and signed anew."""

    def damage(root: Path, lab: Lab) -> None:
        shutil.rmtree(root / STATEMENTS)
        all_of(*damages)(root, lab)
        sealed(root)
        lab.sign(root)

    return damage


def tags_by_author(*damages: Damage) -> Damage:
    """Likewise with tag files that were written by hand: only their own list is made anew."""

    def damage(root: Path, lab: Lab) -> None:
        shutil.rmtree(root / STATEMENTS)
        all_of(*damages)(root, lab)
        tags_sealed(root)
        lab.sign(root)

    return damage


def listing(change: Callable[[str], str | bytes]) -> Damage:
    """Write another payload manifest, as the author."""

    def rewrite(root: Path, _: Lab) -> None:
        text = change((root / MANIFEST).read_text())
        (root / MANIFEST).write_bytes(text.encode() if isinstance(text, str) else text)

    return tags_by_author(rewrite)


def entry(path: str) -> Damage:
    """List one more path in the payload manifest, as the author."""
    return listing(lambda text: f"{text}{'ab' * 32}  {path}\n")


def tag_entry(path: str) -> Damage:
    """List one more path in the tag manifest, as the author."""
    return _tags(lambda root, text: f"{text}{sha256_of(root / path)}  {path}\n")


def tags_without(path: str) -> Damage:
    """List a tag file no more, as the author."""
    return _tags(
        lambda _, text: "".join(
            line for line in text.splitlines(keepends=True) if not line.endswith(f"  {path}\n")
        )
    )


def _tags(change: Callable[[Path, str], str]) -> Damage:
    def damage(root: Path, lab: Lab) -> None:
        shutil.rmtree(root / STATEMENTS)
        text = (root / TAG_MANIFEST).read_text()
        (root / TAG_MANIFEST).write_text(change(root, text))
        lab.sign(root)

    return damage


def elsewhere(line: str, *, far: str = "data/source/far.csv") -> Damage:
    """Write a line into fetch.txt, as the author, for a file that the manifest lists."""

    def damage(root: Path, _: Lab) -> None:
        manifest = (root / MANIFEST).read_text()
        if far not in manifest:
            (root / MANIFEST).write_text(f"{manifest}{'ab' * 32}  {far}\n")
        (root / "fetch.txt").write_text(f"{line}\n")

    return tags_by_author(damage)


def saying(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Write other facts, as the author."""

    def rewrite(root: Path, _: Lab) -> None:
        found = facts()
        change(found)
        (root / FACTS).write_text(json.dumps(found))

    return by_author(rewrite)


def facts_are(content: bytes | str) -> Damage:
    """Write what are no facts, as the author."""
    return by_author(write(FACTS, content))


def copied(path: str, *, other: str = "") -> Damage:
    """Copy a file of another record by the same author over the one here."""

    def damage(root: Path, lab: Lab) -> None:
        shutil.copyfile(lab.other / (other or path), root / path)

    return damage


def renamed(folder: str, old: str, new: str) -> Damage:
    """Rename all files of one name in a growing folder."""

    def damage(root: Path, _: Lab) -> None:
        for file in sorted((root / folder).glob(f"{old}.*")):
            file.rename(file.with_name(file.name.replace(old, new, 1)))

    return damage


def signed_by_another(root: Path, lab: Lab) -> None:
    """Sign as mallory under alice's name."""
    shutil.rmtree(root / SIGNATURES)
    shutil.rmtree(root / STAMPS)
    lab.sign(root, key=lab.mallory)
