"""Where bytes lie: folders, object stores, WebDAV, SFTP and XRootD behind one interface.

Every back-end is chosen by the scheme of an address and is imported when it is first used.
Beyond the interface a storage may be able to do what `capabilities` lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leman.backends import Backend, load
from leman.lake.interface import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leman.lake.interface import Storage

_S3 = Backend("leman.lake.storage.objects:open_s3", "pip install 'leman[s3]'")
_DAV = Backend("leman.lake.storage.webdav:open_webdav")
_ROOT = Backend("leman.lake.storage.xrootd:open_xrootd", "pip install 'leman[xrootd]'")
BACKENDS = {
    "file": Backend("leman.lake.storage.local:open_local"),
    "s3": _S3,
    "gs": Backend("leman.lake.storage.objects:open_gcs", _S3.install),
    "az": Backend("leman.lake.storage.objects:open_azure", _S3.install),
    "webdav": _DAV,
    "webdavs": _DAV,
    "dav": _DAV,
    "davs": _DAV,
    "sftp": Backend("leman.lake.storage.sftp:open_sftp", "pip install 'leman[sftp]'"),
    "root": _ROOT,
    "roots": _ROOT,
}


def open_storage(address: str, options: Mapping[str, object] | None = None) -> Storage:
    """Return the storage at a folder's path or a URL, without talking to it yet.

    `options` are the back-end's own, secrets among them: an address holds none, since addresses
    are shown, stored and logged. Raises StorageError (refused) for an address or an option that
    cannot be used, LemanError for an unknown scheme or a package that is not installed.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        scheme, address = "file", address or "."
    elif _password(address):
        raise StorageError(
            "refused",
            f"the address of a {scheme} storage holds a password",
            hint="Take it out; give secrets as options that refer to the environment or a file.",
        )
    opened: Storage = load(BACKENDS, scheme)(address, options or {})
    return opened


def _password(address: str) -> bool:
    try:
        return urlsplit(address).password is not None
    except ValueError as error:
        raise StorageError("refused", f"an address cannot be read: {error}") from None
