"""An authority of one's own: the only caller of ``openssl ts``.

An institute's stamp proves a moment to those who trust the institute; where no public authority
can be reached it is what there is. The root's key signs one certificate and nothing else.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock

from leman.errors import ToolError
from leman.files import write_atomic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_YEARS = timedelta(days=365)
_SECONDS = 60
_POLICY = "1.3.6.1.4.1.4146.2.3"  # any: RFC 3161 §2.4.2 wants one to be named
_CONFIG = """\
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_cert = {home}/tsa.pem
signer_key = {home}/tsa.key
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def root_of(home: Path) -> Path:
    """Return where the certificate lies that readers must trust."""
    return home / "ca.pem"


def open_authority(home: Path, name: str) -> Path:
    """Make the authority in `home` unless it is there; return its root certificate's path.

    `name` is what readers see. Files are written one by one, the root's certificate last.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(home / ".lock"):
        if not root_of(home).is_file():
            _make(home, name)
    return root_of(home)


def _make(home: Path, name: str) -> None:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name(f"{name} root")
    root = _certificate(root_name, root_name, root_key, root_key, years=30, root=True)
    signer = _certificate(_name(name), root_name, key, root_key, years=15, root=False)
    write_atomic(home / "ca.key", _private(root_key), mode=0o600)
    write_atomic(home / "tsa.key", _private(key), mode=0o600)
    write_atomic(home / "tsa.pem", signer.public_bytes(serialization.Encoding.PEM))
    write_atomic(root_of(home), root.public_bytes(serialization.Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _private(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    *,
    years: int,
    root: bool,
) -> x509.Certificate:
    start = datetime.now(UTC) - timedelta(minutes=5)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + years * _YEARS)
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(_usage(root=root), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not root:  # RFC 3161 §2.3: this use alone, and critical
        only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(only, critical=True)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=root,
        crl_sign=root,
        encipher_only=False,
        decipher_only=False,
    )


def reply(home: Path, request: bytes) -> bytes:
    """Return the authority's answer (DER) to an RFC 3161 request. Raises ToolError."""
    program = shutil.which("openssl")
    if program is None:
        raise ToolError(
            "openssl was not found on PATH, and an authority of one's own needs it",
            hint="Install it (Debian: apt-get install openssl), or name a public authority's"
            " address with --timestamp.",
        )
    with tempfile.TemporaryDirectory(prefix="leman-stamp-") as name:
        folder = Path(name)
        (folder / "request.tsq").write_bytes(request)
        (folder / "serial").write_text(f"{secrets.randbits(63) | 1 << 62:X}\n")
        config = _CONFIG.format(folder=folder, home=home, policy=_POLICY)
        (folder / "openssl.cnf").write_text(config)
        done = subprocess.run(
            [
                *(program, "ts", "-reply", "-config", "openssl.cnf"),
                *("-queryfile", "request.tsq", "-out", "answer.tsr"),
            ],
            cwd=folder,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise ToolError(
                f"the time-stamp authority in {home} did not answer",
                hint="If its files are damaged, move that folder away: leman makes a new one.",
                output=words,
                code=done.returncode,
            )
        return (folder / "answer.tsr").read_bytes()
