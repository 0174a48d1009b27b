"""Real servers for the tests of storages: started, stopped, stopped hard and started again."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import json
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody uses."""
    ports: list[int] = []
    while len(ports) < count:
        # Below those that the kernel gives to outgoing connections, which come and go.
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


@dataclass(slots=True)
class Server:
    """A program that listens on `port` of the loopback interface."""

    command: Sequence[str | Path]
    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60) -> None:
        """Start it and wait until it listens."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"no server: {(self.folder / 'log').read_text()[-2000:]}")

    def freeze(self) -> None:
        """Have it answer nothing any more, as a machine that hangs; `kill` still works."""
        assert self.process
        whole = psutil.Process(self.process.pid)
        for one in [whole, *whole.children(recursive=True)]:
            one.suspend()

    def kill(self) -> None:
        """Stop it at once, as a power cut would; some take half a minute to stop by themselves."""
        if self.process:
            with contextlib.suppress(psutil.NoSuchProcess):
                whole = psutil.Process(self.process.pid)
                # sshd's sessions are in groups of their own.
                for one in [whole, *whole.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()
            self.process.wait()
            self.process = None


@dataclass(slots=True)
class S3(Server):
    """SeaweedFS; the identity `lake` may do anything, `guest` may read the bucket `lake`."""

    def options(self, **more: object) -> dict[str, object]:
        """Return the options of a storage on it, in which little patience is taken."""
        return {
            "endpoint": f"http://127.0.0.1:{self.port}",
            "access_key": "lake",
            "secret_key": "lake-s3cr3t",
            "retries": 2,
            "retry_seconds": 2.0,
            "connect_seconds": 2.0,
            "timeout_seconds": 30.0,
            **more,
        }

    def start(self, seconds: float = 60) -> None:
        """Start it, and wait until it also stores: it listens a little before."""
        Server.start(self, seconds)
        from leman.lake.interface import StorageError  # noqa: PLC0415
        from leman.lake.storage import open_storage  # noqa: PLC0415
        from leman.lake.testing import store  # noqa: PLC0415

        storage = open_storage("s3://lake/ready", self.options())
        end = time.monotonic() + seconds
        while True:
            try:
                store(storage, "ready", b"x")
                storage.delete("ready")
            except StorageError:
                if time.monotonic() > end or not self.process or self.process.poll() is not None:
                    raise
                time.sleep(0.2)
            else:
                return


def s3(folder: Path) -> S3:
    """Return a SeaweedFS that keeps its files in a folder."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    people = [("lake", actions), ("guest", ["Read:lake", "List:lake"])]
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": f"{name}-s3cr3t"}],
            "actions": allowed,
        }
        for name, allowed in people
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names = ["master", "volume", "filer", "s3"]
    ports = free_ports(8)
    places = [f"-{name}.port={port}" for name, port in zip(names, ports[:4], strict=True)]
    places += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[4:], strict=True)]
    command: list[str | Path] = [
        Path(sys.executable).with_name("weed"),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        "-volume.max=0",  # else a second bucket finds no volume
        "-master.volumeSizeLimitMB=256",
        "-master.telemetry=false",
        "-filer",
        "-s3",
        "-s3.config=s3.json",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *places,
    ]
    return S3(command, folder, ports[3], {"GOMEMLIMIT": "512MiB"})


def webdav(folder: Path) -> Server:
    """Return a WsgiDAV that shows `folder`/share to the user `lake`."""
    (folder / "share").mkdir(exist_ok=True)
    (port,) = free_ports(1)
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "provider_mapping": {"/": str(folder / "share")},
        "http_authenticator": {"accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": {"lake": {"password": "dav-s3cr3t"}}}},
        "verbose": 1,
    }
    (folder / "wsgidav.json").write_text(json.dumps(settings))
    program = Path(sys.executable).with_name("wsgidav")
    command: list[str | Path] = [program, "--config", folder / "wsgidav.json"]
    return Server(command, folder, port)


def xrootd(folder: Path) -> Server:
    """Return an XRootD that exports data/lake, in its folder, as /lake."""
    (port,) = free_ports(1)
    if os.geteuid() == 0:
        # It refuses to be root, and pytest closes its own folders to all others.
        folder = Path(tempfile.mkdtemp(prefix="leman-xrootd-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "data" / "lake").mkdir(parents=True, exist_ok=True)
    (folder / "admin").mkdir(exist_ok=True)
    (folder / "xrootd.cfg").write_text(
        f"xrd.port {port}\n"
        "xrd.network nodnr\n"
        "all.export /lake\n"
        f"oss.localroot {folder / 'data'}\n"
        f"all.adminpath {folder / 'admin'}\n"
        f"all.pidpath {folder / 'admin'}\n"
        "xrootd.chksum max 4 adler32\n"
    )
    command: list[str | Path] = ["xrootd", "-c", folder / "xrootd.cfg", "-n", "test"]
    if os.geteuid() == 0:
        command += ["-R", "nobody"]
        _give(folder, "nobody")
    return Server(command, folder, port)


def sftp(folder: Path) -> Server:
    """Return an OpenSSH server with a key pair in `folder`, for whoever runs the tests."""
    (port,) = free_ports(1)
    for name in ("host", "user"):
        key = folder / f"{name}_key"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    host = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
    (folder / "share").mkdir()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPidFile none\nUsePAM no\n"
        "StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n"
        "MaxSessions 100\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
    return Server(command, folder, port)


def me() -> str:
    """Return the name of the user who runs the tests."""
    return getpass.getuser()


def _give(folder: Path, name: str) -> None:
    who = pwd.getpwnam(name)
    for one in [folder, *folder.rglob("*")]:
        os.chown(one, who.pw_uid, who.pw_gid)
