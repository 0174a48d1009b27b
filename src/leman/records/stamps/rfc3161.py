"""Ask an authority for a time stamp; check one without asking anybody."""

from __future__ import annotations

import re
import ssl
import warnings
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from rfc3161_client.errors import VerificationError

from leman.errors import ToolError, UsageError
from leman.findings import printable
from leman.records.layout import LARGEST_SIDE_FILE
from leman.records.model import Stamp
from leman.records.stamps import authority
from leman.records.stamps.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = "own"  # instead of an address
_SECONDS = 60.0
_TYPE = {"Content-Type": "application/timestamp-query"}  # RFC 3161 §3.4
_MOST_CERTIFICATES = 32
_NOT_ONE = "it is no RFC 3161 answer"
_NO_ROOT = "the root certificate that it leads to is not at hand, so it could not be checked"


def ask(where: str, what: bytes, *, own: Path, name: str) -> tuple[bytes, bytes]:
    """Return an authority's answer (DER) for `what`, and the chain of its certificate (PEM).

    `where` is an http(s) address, or ``own`` for the authority in the folder `own`, made under
    `name` if there is none. Raises ToolError where the authority refuses or is not reached.
    """
    request = (
        rfc3161_client.TimestampRequestBuilder()
        .data(what)
        .hash_algorithm(rfc3161_client.HashAlgorithm.SHA256)
        .build()
    )
    if where == OWN:
        known = roots_in(authority.open_authority(own, name))
        answer = authority.reply(own, request.as_bytes())
    else:
        known = system_roots()
        answer = _post(where, request.as_bytes())
    try:
        decoded = decode(answer)
    except ValueError as error:
        raise ToolError(
            f"{where} did not answer with a time stamp",
            hint="Give the address of an RFC 3161 authority.",
            output=answer[:200].decode(errors="replace"),
        ) from error
    if decoded.status not in (0, 1):
        raise ToolError(f"{where} refused to stamp", output=" ".join(decoded.status_string))
    chain = _chain(decoded, known)
    stamp = check(answer, chain, what, roots=known)
    if stamp.problem and stamp.problem != _NO_ROOT:
        raise ToolError(f"{where} answered with a stamp that does not hold: {stamp.problem}")
    return answer, chain


def _post(where: str, request: bytes) -> bytes:
    if not where.startswith(("https://", "http://")):
        raise UsageError(
            f"--timestamp {where}: expected an http or https address, or “{OWN}”",
            hint="Public authorities: http://timestamp.digicert.com, https://freetsa.org/tsr.",
        )
    import httpx  # noqa: PLC0415 - to check a stamp nobody is asked

    try:
        answer = httpx.post(
            where, content=request, headers=_TYPE, timeout=_SECONDS, follow_redirects=True
        )
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ToolError(
            f"the time-stamp authority {where} did not answer: {error}",
            hint="Publish without --timestamp and add the stamp later with `leman sign`, or use"
            f" --timestamp {OWN}.",
        ) from error
    if len(answer.content) > LARGEST_SIDE_FILE:
        raise ToolError(f"{where} answered with {len(answer.content)} bytes, far too many")
    return answer.content


def roots_in(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file, or of all such files in a folder.

    Raises UsageError where there is none.
    """
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    found: list[x509.Certificate] = []
    for file in files:
        try:
            found += _certificates(file.read_bytes())
        except (OSError, ValueError) as error:
            if file == path:
                raise UsageError(f"{path} holds no certificate: {error}") from error
    if not found:
        raise UsageError(
            f"{path} holds no certificate", hint="Give a PEM file with the authority's root."
        )
    return tuple(found)


def system_roots() -> tuple[x509.Certificate, ...]:
    """Return the certificates that this machine trusts; none where it has no such list."""
    file = ssl.get_default_verify_paths().cafile
    try:
        return tuple(_certificates(Path(file).read_bytes())) if file else ()
    except (OSError, ValueError):
        return ()


def _certificates(text: bytes) -> list[x509.Certificate]:
    if b"BEGIN CERTIFICATE" not in text:
        return []
    with warnings.catch_warnings():  # lists of systems hold certificates of odd old authorities
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificates(text)


def _chain(answer: rfc3161_client.TimeStampResponse, known: Sequence[x509.Certificate]) -> bytes:
    """Return an answer's certificates with the root that they lead to, if that is known."""
    chain = _inside(answer)
    roots = [one for one in known if any(link.issuer == one.subject for link in chain)]
    every = [*chain, *(one for one in roots if one not in chain)]
    return b"".join(one.public_bytes(Encoding.PEM) for one in every)


def _inside(answer: rfc3161_client.TimeStampResponse) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(one) for one in answer.signed_data.certificates]


def check(
    answer: bytes, chain: bytes, what: bytes, *, roots: Sequence[x509.Certificate], name: str = ""
) -> Stamp:
    """Check an answer (DER) over the bytes `what`; `chain` holds further certificates (PEM).

    A stamp that fits is one whether or not its authority is trusted; `roots` are those that the
    reader trusts. Validity is looked at as of the stamp's own moment. Never raises.
    """
    stamp = Stamp(name)
    try:
        decoded = decode(answer)
        inside, moment = _inside(decoded), decoded.tst_info.gen_time
    except Exception:  # noqa: BLE001 - a parser in Rust, on bytes from anywhere
        return replace(stamp, problem=_NOT_ONE)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    stamp = replace(stamp, moment=moment)
    try:
        every = [*inside, *_certificates(chain)]
        stamp = replace(stamp, authority=_authority(decoded, inside))
        self_signed = any(one.issuer == one.subject for one in every)
    except Exception:  # noqa: BLE001 - as above
        return replace(stamp, problem="the certificates with it cannot be read")
    if len(every) > _MOST_CERTIFICATES:
        return replace(stamp, problem=f"it comes with {len(every)} certificates")
    if roots and not _verified(decoded, what, roots):
        return replace(stamp, trusted=True)
    if not self_signed:
        return replace(stamp, problem=_NO_ROOT)
    return replace(stamp, problem=_verified(decoded, what, every))


def _verified(
    answer: rfc3161_client.TimeStampResponse, what: bytes, believed: Sequence[x509.Certificate]
) -> str:
    """Say what is wrong with an answer when `believed` are believed; "" where nothing is.

    The library believes every certificate that it is given, intermediates too: so none but those
    of the caller are passed. What the answer itself carries serves to build the chain.
    """
    verifier = rfc3161_client.VerifierBuilder(roots=list(believed)).build()
    try:
        verifier.verify_message(answer, what)
    except VerificationError as error:
        return _short(str(error))
    except Exception as error:  # noqa: BLE001 - a parser in Rust, on bytes from anywhere
        return f"{_NOT_ONE}: {error}"
    return ""


def _short(words: str) -> str:
    if "Mismatch between messages" in words:
        return "it is a stamp of something else"
    reasons = re.findall(r'(?:reason: |Verify error: )"?([^"\]]+)', words)
    return f"its signature does not hold: {reasons[0]}" if reasons else words[:300]


def _authority(
    answer: rfc3161_client.TimeStampResponse, certificates: Sequence[x509.Certificate]
) -> str:
    """Return the name of the certificate that the stamp says it is signed with, not of another."""
    told = next(iter(answer.signed_data.signer_infos), None)
    for one in certificates:
        if told and (one.issuer, one.serial_number) == (told.issuer, told.serial_number):
            names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            name = str(names[0].value) if names else one.subject.rfc4514_string()
            return printable(name[:200])
    return ""
