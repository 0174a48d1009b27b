"""Which modules each Python has of its own.

``data/stdlib.tsv`` is from ``sys.stdlib_module_names`` of 3.10 to 3.14 and from the library
folders of 3.6 to 3.9; PEP 594 names what 3.13 removed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "data" / "stdlib.tsv"


@cache
def standard_library(python_minor: str) -> frozenset[str]:
    """Return the top-level modules of the standard library of Python `python_minor` (``3.8``).

    Windows' modules are among them, private ones are not. Raises ValueError for what is no
    ``3.x``.
    """
    major, _, rest = python_minor.partition(".")
    if major != "3" or not rest.split(".")[0].isdigit():
        raise ValueError(f"expected a version such as 3.8, found {python_minor!r}")
    minor = int(rest.split(".")[0])
    return frozenset(module for module, since, until in _spans() if since <= minor < until)


@cache
def ever_standard() -> frozenset[str]:
    """Return the top-level modules that any Python from 3.6 on has or had of its own."""
    return frozenset(module for module, _, _ in _spans())


@cache
def _spans() -> tuple[tuple[str, int, int], ...]:
    lines = _TABLE.read_text("utf-8").splitlines()[1:]
    rows = ([*line.split("\t"), "", ""][:3] for line in lines)
    return tuple((module, int(since or 0), int(until or 1000)) for module, since, until in rows)


# Module of Python 2 → what Python 3 has instead.
PYTHON_3_NAMES = {
    "BaseHTTPServer": "http.server",
    "CGIHTTPServer": "http.server",
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "Dialog": "tkinter.dialog",
    "DocXMLRPCServer": "xmlrpc.server",
    "FileDialog": "tkinter.filedialog",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "ScrolledText": "tkinter.scrolledtext",
    "SimpleHTTPServer": "http.server",
    "SimpleXMLRPCServer": "xmlrpc.server",
    "SocketServer": "socketserver",
    "StringIO": "io.StringIO",
    "Tix": "tkinter.tix",
    "Tkconstants": "tkinter.constants",
    "Tkinter": "tkinter",
    "UserDict": "collections.UserDict",
    "UserList": "collections.UserList",
    "UserString": "collections.UserString",
    "__builtin__": "builtins",
    "anydbm": "dbm",
    "cPickle": "pickle",
    "cStringIO": "io.StringIO",
    "commands": "subprocess",
    "cookielib": "http.cookiejar",
    "copy_reg": "copyreg",
    "dircache": "os.listdir",
    "dumbdbm": "dbm.dumb",
    "dummy_thread": "_dummy_thread",
    "exceptions": "builtins",
    "fpformat": "format strings",
    "gdbm": "dbm.gnu",
    "hotshot": "cProfile",
    "htmlentitydefs": "html.entities",
    "htmllib": "html.parser",
    "httplib": "http.client",
    "ihooks": "importlib",
    "md5": "hashlib",
    "mimetools": "email",
    "multifile": "email",
    "mutex": "threading",
    "new": "types",
    "popen2": "subprocess",
    "repr": "reprlib",
    "rfc822": "email",
    "robotparser": "urllib.robotparser",
    "sets": "the type set",
    "sgmllib": "html.parser",
    "sha": "hashlib",
    "statvfs": "os.statvfs",
    "thread": "_thread",
    "tkFileDialog": "tkinter.filedialog",
    "tkMessageBox": "tkinter.messagebox",
    "tkSimpleDialog": "tkinter.simpledialog",
    "ttk": "tkinter.ttk",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "user": "nothing",
    "whichdb": "dbm",
    "xmlrpclib": "xmlrpc.client",
}
PYTHON_2_MODULES = frozenset(PYTHON_3_NAMES)
