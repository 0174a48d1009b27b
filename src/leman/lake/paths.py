"""Where a deterministic storage keeps a file.

Rucio's ``hash`` algorithm, so that nothing moves when a lake is handed over to a Rucio server.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leman.lake.model import DID


def path_of(did: DID) -> str:
    """Return ``scope/aa/bb/name``: aa and bb are the first digits of MD5 over ``scope:name``.

    Scopes ``user.x`` and ``group.x`` become folders (``user/x``), as in Rucio's
    ``RSEDeterministicTranslation.hash``.
    """
    digits = hashlib.md5(str(did).encode(), usedforsecurity=False).hexdigest()
    scope = did.scope
    if scope.startswith(("user", "group")):
        scope = scope.replace(".", "/")
    return f"{scope}/{digits[0:2]}/{digits[2:4]}/{did.name}"
