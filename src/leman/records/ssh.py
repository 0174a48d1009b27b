"""SSH signatures (OpenSSH's PROTOCOL.sshsig): the only caller of ``ssh-keygen``.

Researchers have such keys, agents and hardware tokens hold them, and every machine with OpenSSH
8.2 or newer checks them: ``ssh-keygen -Y verify``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leman.errors import ToolError, UsageError
from leman.findings import printable
from leman.records.bag import reading
from leman.records.layout import LARGEST_SIDE_FILE
from leman.records.model import Signature

if TYPE_CHECKING:
    from datetime import datetime

_LARGEST_KEY = 65_536  # bytes
_SECONDS = 300  # a hardware key waits for a finger
_BLOB = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\s(.+?)-----END SSH SIGNATURE-----\s*", re.DOTALL
)
_GOOD = re.compile(r"with \S+ key (SHA256:\S+)")
_KIND = re.compile(rb"[a-z0-9@.-]{1,64}")  # of a key, such as ssh-ed25519
_CERTIFICATE = "-cert-v01@openssh.com"
_NEEDED = "OpenSSH 8.2 or newer brings it (Debian: apt-get install openssh-client)."


def sign(what: Path, *, key: Path, purpose: str) -> bytes:
    """Return the armoured signature over `what`.

    `key` is a private key, or the public half of one that an agent or a token holds. Raises
    ToolError with OpenSSH's own words where the key cannot be used.
    """
    with what.open("rb") as data:
        done = _run("sign", "-n", purpose, "-f", str(key), stdin=data.fileno())
    if done.returncode != 0 or not _BLOB.fullmatch(done.stdout):
        raise ToolError(
            f"{key} could not sign",
            hint="If it has a passphrase, add it to an agent first (ssh-add), or name another"
            " key with --key.",
            output=_words(done),
            code=done.returncode,
        )
    return done.stdout


def verify(
    what: Path,
    signature: Path,
    *,
    purpose: str,
    trust: Path | None,
    at: datetime | None = None,
) -> Signature:
    """Check a signature over `what`; who is trusted comes from an allowed-signers file."""
    name = signature.name.removesuffix(".sshsig")
    try:
        key = public_key(signature)
    except ValueError as error:
        return Signature(name, problem=str(error))
    try:
        with what.open("rb") as data:
            done = _run(
                "check-novalidate", "-n", purpose, "-s", str(signature), stdin=data.fileno()
            )
    except OSError as error:
        words = f"what it signs cannot be read: {reading.reason(error)}"
        return Signature(name, key, fingerprint(key), problem=words)
    match = _GOOD.search(done.stdout.decode(errors="replace"))
    found = Signature(name, key, match[1] if match else fingerprint(key))
    if done.returncode != 0 or match is None:
        return replace(found, problem=f"it does not fit what it signs: {_words(done)}")
    if _CERTIFICATE not in key and match[1] != fingerprint(key):
        return replace(found, problem="it can be read as one of another key")
    if trust is None:
        return found
    return replace(found, trusted=_trusted(what, signature, purpose, trust, at))


def _trusted(
    what: Path, signature: Path, purpose: str, trust: Path, at: datetime | None
) -> tuple[str, ...]:
    """Return the identities that `trust` gives to the signature's key, for this purpose and time.

    ``find-principals`` looks at keys alone; what else an entry demands is asked for with each.
    """
    moment = ["-O", f"verify-time={at:%Y%m%d%H%M%S}Z"] if at else []
    where = ["-s", str(signature), "-f", str(trust), *moment]
    found = _run("find-principals", *where, stdin=subprocess.DEVNULL)
    names = found.stdout.decode(errors="replace").split("\n") if found.returncode == 0 else []
    good = []
    for name in dict.fromkeys(filter(None, (part for line in names for part in line.split(",")))):
        with what.open("rb") as data:
            done = _run("verify", "-I", name, "-n", purpose, *where, stdin=data.fileno())
        if done.returncode == 0:
            good.append(name)
    return tuple(good)


def public_key(signature: Path) -> str:
    """Return the key inside a signature as OpenSSH writes it, such as ``ssh-ed25519 AAAA…``.

    Raises ValueError for what is no SSH signature.
    """
    try:
        armoured = _BLOB.fullmatch(reading.content(signature, most=LARGEST_SIDE_FILE))
        blob = base64.b64decode(armoured[1]) if armoured else b""
        if blob[:10] != b"SSHSIG\0\0\0\1":
            raise ValueError("it is no SSH signature")
        key = _string(blob, 10)
        kind = _string(key, 0)
        if not _KIND.fullmatch(kind):
            raise ValueError("it is no SSH signature")
        return f"{kind.decode()} {base64.b64encode(key).decode()}"
    except OSError as error:
        raise ValueError(f"it cannot be read: {reading.reason(error)}") from error
    except binascii.Error as error:
        raise ValueError(f"it cannot be read: {error}") from error


def with_key_beside(checked: Signature, beside: Path | None) -> Signature:
    """Return a check of a signature that also says whether the file `beside` holds its key."""
    if checked.problem or beside is None:
        return checked
    try:
        text = reading.content(beside, most=_LARGEST_KEY).decode()
    except OSError as error:
        return replace(checked, problem=f"{beside.name} cannot be read: {reading.reason(error)}")
    except UnicodeDecodeError:
        text = ""
    if len(text.strip().splitlines()) == 1 and text.split()[:2] == checked.key.split():
        return checked
    return replace(checked, problem=f"{beside.name} is not the key that it was made with")


def _string(blob: bytes, start: int) -> bytes:
    length = int.from_bytes(blob[start : start + 4], "big")
    found = blob[start + 4 : start + 4 + length]
    if len(found) != length or not found:
        raise ValueError("it is no SSH signature")
    return found


def fingerprint(key: str) -> str:
    """Return the ``SHA256:…`` of a public key as ``ssh-keygen -l`` shows it."""
    import hashlib  # noqa: PLC0415 - rarely needed

    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def public_half(key: Path) -> str:
    """Return the public key that belongs to the file `key`: type, key and comment.

    Raises UsageError where there is none.
    """
    beside = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = beside.read_text().strip()
        if fingerprint(text):
            return text
    if key.is_file():
        done = subprocess.run(
            [_program(), "-y", "-P", "", "-f", str(key)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout.decode(errors="replace").strip()
    raise UsageError(
        f"there is no public key beside {key}" if key.exists() else f"there is no key {key}",
        hint="Give the path of an SSH private key, or of the .pub of a key that ssh-agent holds.",
    )


def generate(path: Path, comment: str) -> None:
    """Make an Ed25519 key without a passphrase at `path`, atomically. Raises ToolError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        made = Path(folder) / path.name
        done = subprocess.run(
            [_program(), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(made)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ToolError(f"no key could be made at {path}", output=_words(done))
        made.with_name(f"{path.name}.pub").replace(path.with_name(f"{path.name}.pub"))
        made.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with contextlib.suppress(FileExistsError):  # another process was first: its key is ours
            os.link(made, path)
    with contextlib.suppress(OSError):  # of which the public half must be that of the key kept
        path.with_name(f"{path.name}.pub").write_text(_derived(path))


def _derived(path: Path) -> str:
    done = subprocess.run(
        [_program(), "-y", "-f", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout.decode()


def available() -> bool:
    """Tell whether signatures can be made and checked on this machine."""
    return shutil.which("ssh-keygen") is not None


def _program() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        raise ToolError("ssh-keygen was not found on PATH", hint=_NEEDED)
    return found


def _run(action: str, *arguments: str, stdin: int) -> subprocess.CompletedProcess[bytes]:
    command = [_program(), "-Y", action, *arguments]
    try:
        return subprocess.run(
            command, stdin=stdin, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"ssh-keygen did not answer within {_SECONDS} s",
            hint="A hardware key waits to be touched; an agent may wait for a confirmation.",
        ) from error


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr + b"\n" + done.stdout).decode(errors="replace")
    return printable(" ".join(text.split())[:500])
