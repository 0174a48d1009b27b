"""The key that a user signs with: the one named, the user's own SSH key, or one made for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.records import ssh

if TYPE_CHECKING:
    from pathlib import Path

# Order is policy: what is strongest and shortest first. DSA is none that OpenSSH still signs with.
_OWN = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa")
_MADE = "leman_ed25519"


@dataclass(frozen=True, slots=True)
class Key:
    """A key to sign with: `public` is its public half, `made` says that it was made just now."""

    path: Path
    public: str
    made: bool = False

    @property
    def fingerprint(self) -> str:
        """The ``SHA256:…`` of the key."""
        return ssh.fingerprint(self.public)


def choose(named: Path | None, *, own: Path, home: Path) -> Key:
    """Return the key to sign with.

    `named` is what the user gave, `own` the folder of the user's SSH keys (``~/.ssh``), `home`
    LEMAN_HOME, where a key is made if there is none. Raises UsageError, ToolError.
    """
    if named is not None:
        return Key(named, ssh.public_half(named))
    for name in _OWN:
        path = own / name
        if path.is_file():
            return Key(path, ssh.public_half(path))
    path = home / "keys" / _MADE
    made = not path.is_file()
    if made:
        ssh.generate(path, "leman")
    return Key(path, ssh.public_half(path), made=made)


def name_for(key: Key) -> str:
    """Return a file name for signatures with this key: its comment, or the start of its print."""
    import re  # noqa: PLC0415

    comment = " ".join(key.public.split()[2:])
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", comment).strip("-._")[:40]
    short = re.sub(r"[^A-Za-z0-9]", "", key.fingerprint.partition(":")[2])[:8]
    return f"{plain}-{short}" if plain else short
