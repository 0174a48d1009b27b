"""What varies: how bytes are signed, and how a signature over them is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from leman.records.model import Signature


class Signer(Protocol):
    """A kind of signature, detached from what it signs."""

    def sign(self, what: Path, *, key: Path, purpose: str) -> bytes:
        """Return a signature over the bytes of `what`, good for `purpose` alone.

        Raises ToolError with what to do where the key cannot be used.
        """
        ...

    def verify(
        self,
        what: Path,
        signature: Path,
        *,
        purpose: str,
        trust: Path | None,
        at: datetime | None = None,
    ) -> Signature:
        """Check a signature; `trust` is the reader's own list of keys, None to ask nobody.

        With `at`, keys count as the list has them at that moment. Never raises for a bad signature.
        """
        ...
