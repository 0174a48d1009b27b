"""Where a deposit goes, and the token that opens the door: neither may leak the other."""

from __future__ import annotations

import ipaddress
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leman.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KNOWN = {"zenodo": "https://zenodo.org", "zenodo-sandbox": "https://sandbox.zenodo.org"}
_LONGEST_TOKEN = 4096  # bytes
_WHERE = "Make one in your account on the server, under Applications, “Personal access tokens”."


@dataclass(frozen=True, slots=True)
class Site:
    """A server: `url` without a slash at its end; the token is shown by nothing."""

    url: str
    token: str = field(repr=False)

    @property
    def host(self) -> str:
        """The name of the server, with its port where it is not the usual one."""
        return urlsplit(self.url).netloc

    @property
    def publisher(self) -> str:
        """The name under which the server publishes: a DOI cannot be registered without one."""
        return "Zenodo" if self.url in KNOWN.values() else self.host


def address(to: str) -> str:
    """Return the address that ``--to`` means. Raises UsageError.

    A token must not go over an open line, so plain http is for this machine alone.
    """
    if to in KNOWN:
        return KNOWN[to]
    try:
        parts = urlsplit(to)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--to {to!r}: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "--to has a name or password in its address",
            hint="Give the address alone; the token comes from LEMAN_DEPOSIT_TOKEN or a file.",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"--to {to!r}: expected zenodo, zenodo-sandbox or the address of an InvenioRDM server",
            hint="For example https://repository.example.org",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(
            f"--to {to!r}: a token is sent over https only",
            hint="Use the server's https address.",
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = re.sub(r"/api/?$", "", parts.path).rstrip("/")
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{path}"


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token(own: str, file: Path | None, warn: Callable[[str], None]) -> str:
    """Return the token of a file, or else `own`, the one of the environment.

    `warn` is told of a file that others can read. Raises ConfigError, which never holds a token.
    """
    if file is None:
        if not own.strip():
            raise ConfigError(
                "there is no token: LEMAN_DEPOSIT_TOKEN is not set and --token-file not given",
                hint=f"{_WHERE} It needs the scopes deposit:write and deposit:actions.",
            )
        return _checked(own, "LEMAN_DEPOSIT_TOKEN")
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST_TOKEN + 1)
        info = file.stat()
    except OSError as error:
        raise ConfigError(
            f"--token-file {file} cannot be read: {error.strerror}",
            hint="Give a file that holds the token and nothing else.",
        ) from error
    if stat.S_ISREG(info.st_mode) and info.st_mode & 0o077:
        warn(f"others can read {file}, which holds a token; to end that: chmod 600 {file}")
    return _checked(content.decode("latin-1"), f"--token-file {file}")


def _checked(text: str, where: str) -> str:
    found = text.strip()
    if not re.fullmatch(rf"[!-~]{{1,{_LONGEST_TOKEN}}}", found):
        raise ConfigError(
            f"{where} holds no token: expected one word of letters, digits and signs",
            hint=_WHERE,
        )
    return found
