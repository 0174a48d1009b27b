"""Why notebooks fail: every reason documented, and the rules that find the reason of an error.

The rules look at what Python and libraries say, in the order of `_RULES`: the first that fits
wins. They were written from error texts of the libraries themselves, so they name kinds of
errors, never repositories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.reproduction.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.model import Failure

# reason → (title, what it means, what to do about it)
TAXONOMY: dict[Reason, tuple[str, str, str]] = {
    Reason.NONE: ("No failure", "The notebook ran to its end.", ""),
    Reason.NOT_A_NOTEBOOK: (
        "Not a notebook",
        "The file is not JSON, or has neither cells nor worksheets.",
        "Look whether the file was cut short or is a Git LFS pointer.",
    ),
    Reason.OTHER_LANGUAGE: (
        "Another language",
        "The notebook's kernel is not Python's.",
        "Run it with the kernel of its language.",
    ),
    Reason.PYTHON_2: (
        "Python 2",
        "The code can only be read by Python 2, for which there are no environments.",
        "Convert the notebook (2to3), then run it again.",
    ),
    Reason.SYNTAX: (
        "Syntax error",
        "A cell is no valid Python, in any version that was tried.",
        "The author has to correct the cell.",
    ),
    Reason.NO_PYTHON: (
        "No such Python",
        "This machine has no interpreter of the version that the notebook needs.",
        "Install that version, for example with: uv python install <version>.",
    ),
    Reason.NO_ENVIRONMENT: (
        "No environment",
        "The packages that the notebook needs could not be resolved or built.",
        "Read the attempts in the report; a declared version may no longer exist.",
    ),
    Reason.MISSING_MODULE: (
        "Missing module",
        "An import failed although a package of that name may exist.",
        "Declare the package that holds the module, in requirements.txt for instance.",
    ),
    Reason.UNPUBLISHED_MODULE: (
        "Unpublished module",
        "The notebook imports a module that is neither in the source nor on the package index.",
        "Ask the author for the module, or add it to the repository.",
    ),
    Reason.SYSTEM_LIBRARY: (
        "Missing system library or program",
        "Something outside Python is not installed: a shared library or a program.",
        "Install it with the system's package manager, then run again.",
    ),
    Reason.MISSING_FILE: (
        "Missing file",
        "The notebook reads a file that is not in the source.",
        "Get the file (the paper's data statement may say where) and put it at the path shown.",
    ),
    Reason.MISSING_BLOB: (
        "Content not fetched",
        "The file is named in the source, but its content was not there (LFS, partial clone).",
        "Fetch it: git lfs pull, or a full clone.",
    ),
    Reason.ABSOLUTE_PATH: (
        "Path of the author's machine",
        "The notebook names a path that exists on the author's computer alone.",
        "Make the path relative to the notebook and add the file to the repository.",
    ),
    Reason.NETWORK: (
        "Network",
        "The notebook asked a host that did not answer, or the network was switched off.",
        "Run again with the network on; where the host is gone, look for an archived copy.",
    ),
    Reason.CREDENTIALS: (
        "Credentials",
        "The notebook needs a key, a login or a permission.",
        "Get credentials of your own; leman never passes yours on unasked.",
    ),
    Reason.HARDWARE: (
        "Hardware",
        "The notebook needs hardware that is not here, most often a GPU.",
        "Run it on a machine that has it.",
    ),
    Reason.INPUT: (
        "Waits for input",
        "A cell asks the user to type something.",
        "Replace input() by a value.",
    ),
    Reason.TIMEOUT: (
        "Too slow",
        "The cells together took longer than the limit.",
        "Run again with a larger --timeout.",
    ),
    Reason.MEMORY: (
        "Too much memory",
        "The notebook used, or asked for, more memory than it may have.",
        "Run it on a machine with more memory, or raise the limit.",
    ),
    Reason.PROCESSES: (
        "Too many processes",
        "The notebook started more processes than it may.",
        "Look at what it starts; raise the limit if it means well.",
    ),
    Reason.OUTPUT_LIMIT: (
        "Too much output",
        "The outputs grew beyond the limit, and the run was ended.",
        "Print less, or raise the limit.",
    ),
    Reason.KERNEL_DIED: (
        "Kernel died",
        "The kernel's process ended in the middle of a cell, by a crash or by its own will.",
        "Compiled packages that do not fit together are the usual cause: see the environment.",
    ),
    Reason.API_CHANGE: (
        "Changed interface",
        "A package no longer has, or does not yet have, what the code uses.",
        "Declare the version that the code was written for.",
    ),
    Reason.AUTHOR_ERROR: (
        "Error in the author's code",
        "The code itself raises, for example because cells were run in another order.",
        "Restart the kernel, run all cells, and correct what fails.",
    ),
    Reason.INTERRUPTED: (
        "Interrupted",
        "The run was stopped from outside before it ended.",
        "Run again.",
    ),
    Reason.OTHER: (
        "Another error",
        "An error that no rule explains; its text and traceback are in the report.",
        "Read the traceback.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Error:
    """An error as the rules see it. `said` is name and text; `context` the cell's stderr."""

    name: str
    text: str
    traceback: str
    source: str
    context: str

    @property
    def said(self) -> str:
        return f"{self.name}: {self.text}"


def _any(*patterns: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)


_NO_MODULE = re.compile(r"No module named ['\"]?([\w.\-]+)")
_NEEDED = _any(  # optional dependencies, in the words of the packages that want them
    r"Missing optional dependency ['\"`]*(?P<a>[\w.\-]+)",
    r"[`'\"](?P<b>[\w.\-]+)[`'\"] (?:is not installed|must be installed|package is required)",
    r"(?P<c>[\w.\-]+) (?:is not installed|must be installed|is required to|needs to be installed)",
    r"requires? (?:the )?[`'\"]?(?P<d>[\w.\-]+)[`'\"]? (?:package|module|library|to be installed)",
    r"(?:pip|conda) install (?:-\S+ )*['\"]?(?P<e>[A-Za-z][\w.\-]+)",
    r"Install (?P<f>[a-z][\w.\-]+) (?:>=?\s*[\w.]+ )?(?:for|to use)",
    r"unrecognized engine (?P<g>\w+)",
    r"(?P<h>[\w.\-]+) not found,? (?:please )?install",
)
_LIBRARY = _any(
    r"\.(?:so|dylib|dll)[\w.]*['\"]?:? (?:cannot open|can't open|not found|image not found)",
    r"cannot open shared object file",
    r"DLL load failed",
    r"(?:could not|cannot|unable to|couldn't|can't) (?:find|load|locate) (?:the )?"
    r"(?:\S+ ){0,3}(?:shared )?(?:librar(?:y|ies)|dll)",
    r"OSError: no library called",
    r"command not found",
    r"sh: (?:line )?(?:\d+: )?\S+: not found",
    r"could not find lib\b",
    r"\b[\w+-]+\.(?:so|dylib|dll)\b",
    r"ExecutableNotFound",
    r"failed to (?:execute|process because) \S*.*(?:PATH|executable)",
    r"latex could not be found",
    r"(?:ffmpeg|ImageMagick|pandoc|graphviz|dot|java|gmt|R) (?:is |was )?(?:not (?:found|installed|"
    r"available)|unavailable|could not be found)",
    r"No such file or directory: ['\"](?:latex|pdflatex|xelatex|dvipng|dot|neato|ffmpeg|gs|git|"
    r"java|Rscript|R|pandoc|convert|magick|make|gcc|g\+\+|cmake|gmt|nvidia-smi|wget|curl|docker)['\"]",
    r"MovieWriter \S+ unavailable",
    r"GLIBC(?:XX)?_[\d.]+['\"]? not found",
    r"JAVA_HOME|JVMNotFound|Java gateway process exited|No JVM shared library",
    r"Could not find GLEW|Could not initiali[sz]e GL|libGL|glfw.*not (?:found|init)",
    r"no display name and no \$DISPLAY|could not connect to display|cannot connect to X server",
    r"(?:tkinter|_tkinter|_ctypes|_sqlite3|_bz2|_lzma|_curses)['\"]?$",
)
_NOT_THERE = _any(
    r"FileNotFoundError",
    r"No such file or directory",
    r"\[Errno 2\]",
    r"does not exist(?! in| on axis)",
    r"(?:file|directory|path|folder|dataset) (?:\S+ ){0,6}(?:not found|doesn't exist|is missing)",
    r"(?:could not|cannot|can't|couldn't|unable to|failed to) (?:open|find|read|load|locate)"
    r" (?:the )?(?:\w+ )?(?:file|path|director|dataset|image)",
    r"not found\.?$",
    r"did not find a match",  # xarray's list of engines for a file that is not there
    r"no files to open|non-existent directory",
    r"not recognized as (?:being in )?a supported file format",
    r"unable to (?:synchronously )?open (?:file|object)",
    r"HDF5 file .* does not exist",
)
_PATH_ERRORS = frozenset(
    {"FileNotFoundError", "IOError", "OSError", "NotADirectoryError", "HDF5ExtError"}
    | {"RasterioIOError", "DriverError", "CPLE_OpenFailedError", "DataSourceError"}
)
_REFUSED = re.compile(r"\[Errno (?:1|13|30)\]|Permission denied|Read-only file system")
_NETWORK = _any(
    r"Please use the NLTK Downloader|Can't find model '\w+_\w+'",
    r"^URLError|ConnectionError|ConnectTimeout|ReadTimeout|ConnectionRefused|ConnectionReset",
    r"gaierror|SSLError|SSLCertVerification|RemoteDisconnected|ProxyError|MaxRetryError",
    r"NewConnectionError|ServerNotFoundError|HTTPError|HTTPStatusError|ConnectError|EndpointConn",
    r"IncompleteRead|ContentTooShort|ClientConnector|ServiceUnavailable|RemoteServiceError",
    r"Max retries exceeded",
    r"name resolution|Name or service not known|nodename nor servname|No address associated",
    r"Network is unreachable|Connection (?:refused|reset|timed out|aborted)|No route to host",
    r"(?:could not|cannot|couldn't|unable to|failed to) (?:connect|download|resolve|reach|fetch)",
    r"HTTP (?:Error|status)(?: code)?:? [45]\d\d",
    r"urlopen error|getaddrinfo failed",
    r"offline mode|LocalEntryNotFoundError",
)
_CREDENTIALS = _any(
    r"NoCredentials|PartialCredentials|DefaultCredentialsError|CredentialsError|AuthenticationError",
    r"AuthorizationError|InvalidApiKey|NotAuthenticated|TokenRequired|LoginError|GatedRepo",
    r"(?:api|access|secret)[ _-]?(?:key|token)s? (?:\S+ ){0,4}"
    r"(?:must|required|not|missing|is|invalid|needed|provided)",
    r"(?:provide|set|missing|no|invalid|incorrect|need) (?:\S+ ){0,4}"
    r"(?:api|access|secret)[ _-]?(?:key|token)",
    r"(?:HTTP )?(?:Error|status)(?: code)?:? ?40[13]",
    r"40[13] (?:Client Error|Unauthorized|Forbidden)",
    r"credentials (?:\S+ ){0,4}(?:not|missing|required|invalid|could)",
    r"(?:unable to locate|no|missing|could not find) credentials",
    r"(?:not authenticated|authentication (?:failed|required)|must be logged in|access denied"
    r"|please (?:log ?in|authenticate|run `?\w+ (?:login|auth)))",
)
_HARDWARE = _any(
    r"CUDA (?:driver|error|unavailable|not available|is not)|Torch not compiled with CUDA",
    r"No CUDA|no NVIDIA driver|Found no NVIDIA|nvcc|cudaError|CUDARuntimeError|cuInit|libcuda",
    r"(?:GPU|TPU)s? (?:\S+ ){0,3}(?:not|unavailable|required|found)|no (?:GPU|TPU)|MPS backend",
    r"Attempting to deserialize object on a CUDA device|CudaSupportError|CudaDriverError",
    r"requires? (?:a )?(?:GPU|CUDA)|serial\.?(?:util\.)?SerialException|No Devices? found",
)
_REMOVED = _any(
    r"has been (?:removed|renamed|deprecated|moved)|was (?:removed|renamed|deprecated) (?:in|from)",
    r"no longer (?:supported|available|exists|accepts|a )",
    r"is not (?:a )?supported (?:any more|since)",
    r"is deprecated|was moved to|removed in (?:favou?r|version|\d)",
    r"unexpected keyword argument|got multiple values for|takes \d+ positional arguments?",
    r"missing \d+ required (?:positional|keyword)|positional arguments? but|does not take",
    r"(?:is|are) not (?:a )?valid (?:package )?style|is not a valid value for|Unknown property",
    r"has no (?:property|attribute)|object is not callable.*module",
    r"binary incompatib|numpy\.(?:dtype|ufunc|ndarray) size changed|_ARRAY_API",
    r"compiled using NumPy 1|multiarray failed to import|module compiled against API",
    r"Descriptors cannot (?:not )?be created directly",
    r"unrecognized arguments?|invalid keyword argument|got an unexpected",
    r"Unrecognized (?:keyword|configuration|option)",
)
_CALLED = re.compile(
    r"(?:module ['\"][\w.]+['\"]|type object ['\"]\w+['\"]|['\"][\w.]+['\"] (?:object|module))"
    r" has no attribute"
)
_OWN_NOUNS = frozenset({"str", "int", "float", "list", "dict", "tuple", "set", "NoneType", "bool"})
# Folders that hold people's own files: nobody else's machine has what lies there.
_ABSOLUTE = re.compile(
    r"^(?:[A-Za-z]:[\\/]|\\\\\w|~/|/(?:Users|home|content|kaggle|mnt|media|data\d*|scratch|work"
    r"|projects?|gpfs\w*|lustre\w*|nfs\w*|Volumes|root|users?|export|storage|net|global|glade|srv"
    r"|cluster|beegfs|local|dbfs|workspace|app)/)"
)
_LIBRARY_FRAME = re.compile(r"(?:site|dist)-packages[/\\]")
_ENVIRON = re.compile(r"(?:os\.)?(?:environ|getenv)\b|userdata\.get|secrets?\b")


def classify(
    name: str, text: str, *, traceback: str = "", source: str = "", context: str = ""
) -> Reason:
    """Return why a cell failed, from the error's name and text as Python gave them.

    `traceback` and `source` (the code up to and with the cell) tell whose code raised; `context`
    is what the cell wrote to stderr, where a failing program says what it lacks. All without ANSI
    colours.
    """
    error = _Error(name.rpartition(".")[2], text, traceback, source, context)
    for rule, reason in _RULES:
        if rule(error):
            return reason
    return Reason.OTHER if _from_library(error) else Reason.AUTHOR_ERROR


def missing_module(failure: Failure) -> str | None:
    """Return the module, or the distribution, that an error asks for: "yaml", "openpyxl"."""
    found = _NO_MODULE.search(failure.text) or _NO_MODULE.search(failure.name)
    if found:
        return str(found[1]).strip(".") or None
    if failure.reason is not Reason.MISSING_MODULE:
        return None
    needed = _NEEDED.search(failure.text)
    return next((group for group in needed.groups() if group), None) if needed else None


def missing_path(failure: Failure) -> str | None:
    """Return the path of the file that an error could not find, as the error spells it."""
    if failure.reason not in {Reason.MISSING_FILE, Reason.ABSOLUTE_PATH, Reason.MISSING_BLOB}:
        return None
    return _path_in(failure.text)


_QUOTED = re.compile(r"""(?:b|u)?(['"`])((?:(?!\1).)+)\1""")
_BARE = re.compile(r"((?:[A-Za-z]:[\\/]|\.{0,2}/|~/)?[\w.@%+*-]+(?:[/\\][\w.@%+ *-]+)*\.\w{1,8})\b")
_AFTER = re.compile(r"(?:No such file or directory|[Ff]ile|directory|path):? +([^\s'\"]+)")


def _path_in(text: str) -> str | None:
    quoted = [str(found[1]).replace("\\\\", "\\") for found in _QUOTED.findall(text)]
    # A path that looks like one is better than a quoted word such as a mode ('r') or an engine.
    for found in quoted:
        if re.search(r"[/\\]|\.\w{1,8}$", found) and not found.startswith(("http://", "https://")):
            return found
    bare = _BARE.search(_without_addresses(text))
    if bare:
        return str(bare[1])
    if quoted and _NOT_THERE.search(text):
        return quoted[0]
    after = _AFTER.search(text)
    return str(after[1]).rstrip(".,:;") if after else None


def _without_addresses(text: str) -> str:
    return re.sub(r"\w+://\S+", " ", text)


def _is_missing_module(error: _Error) -> bool:
    if error.name == "ModuleNotFoundError" or _NO_MODULE.search(error.text):
        return not _LIBRARY.search(error.said)
    if _CANNOT_IMPORT.search(error.text) or _REMOVED.search(error.text):
        return False
    # "x is required to …" says less outside an ImportError, unless it speaks of installing.
    spoken = error.name in _OPTIONAL or "install" in error.text.lower()
    return spoken and _NEEDED.search(error.text) is not None


_OPTIONAL = frozenset({"ImportError", "OptionalDependencyError", "MissingDependencyError"})
_CANNOT_IMPORT = re.compile(r"cannot import name|dynamic module does not define|undefined symbol")


def _is_api_change(error: _Error) -> bool:
    if error.name == "ImportError":
        return True
    lacking = _CALLED.search(error.text) if error.name == "AttributeError" else None
    if lacking:
        noun = re.search(r"['\"](\w+)['\"] object", error.text)
        if noun is None or _from_library(error):
            return True
        return noun[1] not in _OWN_NOUNS and not _defines(error, noun[1])
    if not _REMOVED.search(error.text):
        return False
    return _from_library(error) or not _calls_own(error)


def _calls_own(error: _Error) -> bool:
    """Tell whether a call that does not fit is to what the notebook itself defines."""
    called = re.match(r"(?:<lambda>|([\w.]+))\(\)", error.text)
    if not called:
        return False
    if called[1] is None:
        return True
    names = str(called[1]).split(".")
    if names == ["__init__"]:  # before Python 3.10 the class is not named
        names = re.findall(r"(\w+)\(", _failing_lines(error))
    return any(_defines(error, name) for name in names)


def _defines(error: _Error, name: str) -> bool:
    pattern = rf"\b(?:def|class) {re.escape(name)}\b"
    return re.search(pattern, f"{error.source}\n{error.traceback}") is not None


def _is_missing_file(error: _Error) -> bool:
    if error.name in _PATH_ERRORS and _NOT_THERE.search(error.said):
        return True
    return bool(_NOT_THERE.search(error.said)) and _path_in(error.text) is not None


def _is_absolute(error: _Error) -> bool:
    path = _path_in(error.text) or ""
    if _REFUSED.search(error.text):  # written to where nobody may write, or read from there
        return path.startswith("/") or bool(_ABSOLUTE.search(path))
    return _is_missing_file(error) and bool(_ABSOLUTE.search(path))


def _is_credentials(error: _Error) -> bool:
    if error.name == "KeyError":
        return bool(_ENVIRON.search(_failing_lines(error)))
    return bool(_CREDENTIALS.search(error.said))


def _failing_lines(error: _Error) -> str:
    """Return the lines that a traceback points at, or the last one where it points at none."""
    arrows = re.findall(r"^-+> ?\d+ (.*)$", error.traceback, re.MULTILINE)
    return "\n".join(arrows) or error.source.strip().rpartition("\n")[2]


def _is_network(error: _Error) -> bool:
    return bool(_NETWORK.search(error.name) or _NETWORK.search(error.text))


def _is_library(error: _Error) -> bool:
    if _LIBRARY.search(error.said):
        return True
    shell = error.name in {"CalledProcessError", "FileNotFoundError", "RuntimeError", "OSError"}
    return shell and bool(_LIBRARY.search(error.context))


def _from_library(error: _Error) -> bool:
    """Tell whether the innermost frame, or any at all, is in an installed package."""
    return bool(_LIBRARY_FRAME.search(error.traceback))


def _named(*names: str) -> Callable[[_Error], bool]:
    return lambda error: error.name in names


# The order is policy. What names its cause beyond doubt comes first; a missing library is told
# before a missing module, because both are ImportErrors; hardware before libraries, because a
# missing libcuda is no use to install; credentials before the network, because a 403 is an
# HTTPError; files after both, because "not found" is also what hosts say; interfaces last,
# because their words are the most common ones.
_RULES: tuple[tuple[Callable[[_Error], bool], Reason], ...] = (
    (_named("StdinNotImplementedError"), Reason.INPUT),
    (_named("SyntaxError", "IndentationError", "TabError"), Reason.SYNTAX),
    (_named("MemoryError", "ArrayMemoryError", "_ArrayMemoryError"), Reason.MEMORY),
    (_named("NameError", "UnboundLocalError", "SystemExit"), Reason.AUTHOR_ERROR),
    (_named("KeyboardInterrupt"), Reason.INTERRUPTED),
    (lambda error: "No space left on device" in error.text, Reason.OTHER),
    (lambda error: bool(_HARDWARE.search(error.said)), Reason.HARDWARE),
    (_is_library, Reason.SYSTEM_LIBRARY),
    (lambda error: "agic function" in error.text, Reason.MISSING_MODULE),
    (_is_missing_module, Reason.MISSING_MODULE),
    (_is_credentials, Reason.CREDENTIALS),
    (_is_network, Reason.NETWORK),
    (_is_absolute, Reason.ABSOLUTE_PATH),
    (_is_missing_file, Reason.MISSING_FILE),
    (_is_api_change, Reason.API_CHANGE),
)
