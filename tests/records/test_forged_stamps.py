"""Certificates that a forger makes out of what an honest authority gave: none is trusted."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from leman.records.stamps import rfc3161
from leman.records.stamps.decoding import in_order

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

WHAT = b"a signature"
NOW = datetime.now(UTC)
_CONFIG = """\
[tsa]
default_tsa = forged
[forged]
serial = serial
signer_cert = tsa.pem
certs = chain.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


def name(text: str) -> x509.Name:
    """Return a name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Maker:
    """A key with a certificate, which may sign further ones whether it should or not."""

    def __init__(
        self,
        subject: str,
        issuer: Maker | None = None,
        *,
        ca: bool = False,
        stamps: bool = False,
        days: tuple[int, int] = (-10, 10),
    ) -> None:
        self.subject = name(subject)
        self.key: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
        by = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(by.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if stamps:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        self.certificate = builder.sign(by.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """The certificate as text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def stamp(folder: Path, signer: Maker, *chain: Maker) -> bytes:
    """Return an answer signed by any key, which brings a chain."""
    request = TimestampRequestBuilder().data(WHAT).hash_algorithm(HashAlgorithm.SHA256).build()
    private = signer.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for file, content in {
        "tsa.pem": signer.pem,
        "tsa.key": private,
        "chain.pem": b"".join(one.pem for one in (signer, *chain)),
        "serial": b"01\n",
        "openssl.cnf": _CONFIG.encode(),
        "request.tsq": request.as_bytes(),
    }.items():
        (folder / file).write_bytes(content)
    command = "openssl ts -reply -config openssl.cnf -queryfile request.tsq -out answer.tsr"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return (folder / "answer.tsr").read_bytes()


ROOT = Maker("Institute root", ca=True)
HONEST = Maker("Institute", ROOT, stamps=True)


def checked(folder: Path, signer: Maker, *chain: Maker) -> tuple[bool, str]:
    """Return whether a forged stamp is trusted by who trusts the honest root, and its problem."""
    answer = stamp(folder, signer, *chain)
    beside = b"".join(one.pem for one in (signer, *chain, ROOT))
    found = rfc3161.check(answer, beside, WHAT, roots=[ROOT.certificate])
    return found.trusted, found.problem


def test_the_honest_authority_is_trusted(tmp_path: Path) -> None:
    """The control: a certificate of the root that may stamp, and one with others in between.

    Whatever order the authority's certificates have in its answer.
    """
    assert checked(tmp_path, HONEST) == (True, "")
    for words in ("x", "an authority with a long name in between", "y"):
        between = Maker(words, ROOT, ca=True)
        signer = Maker("Institute 2", between, stamps=True)
        assert checked(tmp_path, signer, between) == (True, "")
        assert checked(tmp_path, signer, ROOT, between) == (True, "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_may_be_put_in_order(text: bytes) -> None:
    """What is no DER comes back as it was."""
    assert in_order(text) == text
    assert in_order(b"\x30\x80" + text) == b"\x30\x80" + text


def forgeries() -> dict[str, tuple[Maker, ...]]:
    """Return the signer and its chain, by what the forger tried."""
    false_root = Maker("Institute root", ca=True)
    person = Maker("a person's certificate", ROOT)
    return {
        "a root of the same name": (Maker("Institute", false_root, stamps=True), false_root),
        "a root of the same name, the true one beside it": (
            *(Maker("Institute", false_root, stamps=True), ROOT),
        ),
        "a certificate that is no authority's": (Maker("Institute", person, stamps=True), person),
        "a stamper's certificate as an authority": (
            *(Maker("Institute", HONEST, stamps=True), HONEST),
        ),
        "a certificate that signed itself": (Maker("Institute root", stamps=True),),
        "a certificate that ended before the stamp": (
            Maker("Institute", ROOT, stamps=True, days=(-10, -1)),
        ),
        "a certificate that begins after the stamp": (
            Maker("Institute", ROOT, stamps=True, days=(1, 10)),
        ),
    }


@pytest.mark.parametrize("tried", forgeries())
def test_a_forged_authority_is_never_trusted(tried: str, tmp_path: Path) -> None:
    """Whatever chain a forger builds below or beside an honest root, it is not trusted."""
    trusted, problem = checked(tmp_path, *forgeries()[tried])
    assert not trusted
    assert "no RFC 3161" not in problem, "it was understood, and refused for what it is"
