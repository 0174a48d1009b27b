"""The only module that runs git, and it runs it as if every repository were hostile.

No hooks, no pager, no prompts, no replacement objects, no transport that can start a program.
Two ways to call it: `git` reads objects that are on this disk and can reach no network, not even
by the lazy fetch of a partial clone; `git_remote` talks to a server and gives up when the server
falls silent.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leman.environments.interface import silent
from leman.errors import SourceError, SpaceError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# What a repository's own configuration could otherwise make git execute or believe.
_SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "safe.directory=*"),
    *("-c", "log.showSignature=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "submodule.recurse=false"),
)
# A user's own way to reach servers stays; GIT_DIR and its kin (set inside hooks) must not leak in.
_KEPT = re.compile(r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_.*|PROXY_.*|HTTP_.*|CONFIG_.*)$")
_WORDS = 1500  # characters of git's own text that an error message keeps
REMOTE_PROTOCOLS = "https:http:ssh:git"


def git(
    *arguments: str,
    git_dir: Path | None = None,
    feed: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 900,
) -> bytes:
    """Run git on what lies on this disk and return its standard output.

    `feed` goes to its standard input. Global and system configuration are left out, so that two
    machines read the same. Raises ToolError with git's own words, SpaceError on a full disk.
    """
    command = _command(arguments, git_dir)
    full = _environment({"GIT_ALLOW_PROTOCOL": "none", "GIT_CONFIG_NOSYSTEM": "1"})
    full |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_NO_LAZY_FETCH": "1", **(environment or {})}
    try:
        done = subprocess.run(
            command,
            input=b"" if feed is None else feed,
            capture_output=True,
            env=full,
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise _no_git() from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"git {_verb(arguments)} did not end within {timeout:.0f} s") from None
    if done.returncode:
        raise _failure(arguments, done.stderr.decode(errors="replace"), done.returncode)
    return done.stdout


def git_remote(
    *arguments: str,
    git_dir: Path | None = None,
    feed: bytes = b"",
    stall: float = 120,
    progress: Callable[[str], None] = silent,
) -> bytes:
    """Run a git command that talks to a server and return its standard output.

    The process ends when git has said nothing for `stall` seconds (git reports progress several
    times a second while data flows). Raises ToolError with git's own words.
    """
    command = _command(arguments, git_dir)
    # No terminal is left to ask on: the session is new, and prompts are refused.
    full = _environment({"GIT_ALLOW_PROTOCOL": REMOTE_PROTOCOLS, "SSH_ASKPASS_REQUIRE": "never"})
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as source:
        source.write(feed)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=output,
                stderr=subprocess.PIPE,
                env=full,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _no_git() from None
        try:
            said = _listen(process, stall, progress)
        finally:
            _end(process)
        if process.returncode:
            raise _failure(arguments, said, process.returncode)
        output.seek(0)
        return output.read()


def lines_of(output: bytes) -> list[str]:
    """Split NUL-separated output (`-z`) into text; names that are no UTF-8 stay reversible."""
    return [part.decode(errors="surrogateescape") for part in output.split(b"\0") if part]


def is_git_directory(path: Path) -> bool:
    """Say whether `path` is a git directory itself: a bare repository or somebody's ``.git``."""
    return (
        (path / "HEAD").is_file()
        and (path / "objects").is_dir()
        and ((path / "refs").is_dir() or (path / "packed-refs").is_file())
    )


def check_ref(ref: str) -> str:
    """Return `ref` if git could mean a branch, tag or commit by it.

    The rules are those of git-check-ref-format(1), and no leading dash. Raises SourceError.
    """
    bad = (
        ref.startswith(("-", "/"))
        or ref.endswith(("/", ".", ".lock"))
        or any(part in ref for part in ("..", "@{", "//"))
        or any(letter in " ~^:?*[\\" or ord(letter) < 32 or ord(letter) == 127 for letter in ref)
    )
    if bad:
        raise SourceError(
            f"{ref!r} cannot be a branch, tag or commit",
            hint="Give a name such as v1.0 or main, or the hexadecimal id of a commit.",
        )
    return ref


def commit_of(git_dir: Path, ref: str) -> str | None:
    """Return the full id of the commit that `ref` names (``HEAD`` when empty), or None."""
    names = [ref, f"origin/{ref}"] if ref else ["HEAD"]
    for name in names:
        with contextlib.suppress(ToolError):
            found = git("rev-parse", "--verify", "-q", f"{name}^{{commit}}", git_dir=git_dir)
            return found.decode().strip()
    return None


@contextmanager
def shadow(objects: Path, head: str) -> Iterator[dict[str, str]]:
    """Give the environment of a throw-away git directory that borrows an object store.

    `head` is the commit that HEAD shall be; the index is empty.
    """
    with tempfile.TemporaryDirectory(prefix="leman-git-") as name:
        folder = Path(name)
        (folder / "refs").mkdir()
        (folder / "objects").mkdir()
        (folder / "HEAD").write_text(f"{head}\n")
        if len(head) == 64:  # a repository that names its objects by SHA-256
            text = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256\n"
            (folder / "config").write_text(text)
        yield {
            "GIT_DIR": str(folder),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_INDEX_FILE": str(folder / "index"),
        }


def objects_of(git_dir: Path) -> Path:
    """Return the object store of a git directory, that of the main one for a linked work tree."""
    common = git_dir / "commondir"
    if common.is_file():
        return (git_dir / common.read_text().strip() / "objects").resolve()
    return (git_dir / "objects").resolve()


def present(git_dir: Path, oids: Iterable[str]) -> dict[str, int]:
    """Return id → size in bytes of those objects that are there."""
    feed = "".join(f"{oid}\n" for oid in dict.fromkeys(oids) if oid).encode()
    if not feed:
        return {}
    # Through the shadow, because git dies of an absent object where its configuration promises it.
    with shadow(objects_of(git_dir), "0" * 40) as environment:
        said = git("cat-file", "--batch-check", environment=environment, feed=feed).decode()
    fields = (line.split() for line in said.splitlines())
    return {part[0]: int(part[2]) for part in fields if part[-1] != "missing"}


def read_objects(
    git_dir: Path, oids: Iterable[str], *, largest: int = 1 << 62
) -> Iterator[tuple[str, bytes]]:
    """Yield (id, content) of the objects that are there; larger ones (bytes) are passed over."""
    sizes = present(git_dir, oids)
    feed = "".join(f"{oid}\n" for oid, size in sizes.items() if size <= largest).encode()
    said = git("cat-file", "--batch", git_dir=git_dir, feed=feed) if feed else b""
    at = 0
    while at < len(said):
        end = said.index(b"\n", at)
        oid, _, size = said[at:end].decode().split()
        yield oid, said[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)


def words_of(error: ToolError) -> str:
    """Return git's own words in one line, fit for a message."""
    return " ".join(error.output.split()) or error.message


def _command(arguments: tuple[str, ...], git_dir: Path | None) -> list[str]:
    where = [f"--git-dir={git_dir}"] if git_dir else []
    return ["git", *_SAFE, *where, *arguments]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # A child process needs PATH, HOME and proxies; nothing is decided here from their values.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or _KEPT.match(k)}
    fixed = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }
    return kept | fixed | dict(more)


def _listen(process: subprocess.Popen[bytes], stall: float, progress: Callable[[str], None]) -> str:
    """Collect what git says on standard error, and pass its progress on twice a second."""
    stream: IO[bytes] | None = process.stderr
    if stream is None:
        return ""
    said = b""
    told = 0.0
    while True:
        ready, _, _ = select.select([stream], [], [], stall)
        if not ready:
            _end(process)
            raise ToolError(
                f"the server said nothing for {stall:.0f} s, so git was stopped",
                hint="Try again later, or clone the repository yourself and give the folder.",
                output=_tidy(said.decode(errors="replace")),
            )
        part = os.read(stream.fileno(), 65536)
        if not part:
            break
        said = (said + part)[-20_000:]
        now = time.monotonic()
        last = part.decode(errors="replace").replace("\r", "\n").strip().rpartition("\n")[2]
        if "%" in last and now - told > 0.5:
            told = now
            progress(last.removeprefix("remote: ").strip())
    process.wait()
    return said.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stderr:
        process.stderr.close()


def _tidy(said: str) -> str:
    """Drop progress lines, keep the words."""
    kept = [
        line.strip()
        for line in said.replace("\r", "\n").splitlines()
        if not re.search(r"\d%", line)
    ]
    return "\n".join(line for line in kept if line)[-_WORDS:]


def _failure(arguments: tuple[str, ...], said: str, code: int) -> ToolError | SpaceError:
    words = _tidy(said)
    if "No space left on device" in words or "Disk quota exceeded" in words:
        return SpaceError(
            "the disk is full: git could not write",
            hint="Free some space and run again: nothing half-written was kept.",
        )
    return ToolError(f"git {_verb(arguments)} failed: {words}", output=words, code=code)


def _verb(arguments: tuple[str, ...]) -> str:
    return arguments[2] if arguments[0] == "-c" else arguments[0]


def _no_git() -> ToolError:
    return ToolError("git is not installed", hint="Install git (for example: apt install git).")
