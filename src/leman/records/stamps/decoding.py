"""Read RFC 3161 answers, also those whose certificates stand in another order than DER wants.

``openssl ts`` writes an authority's chain in the order in which it was configured; the parser of
rfc3161-client refuses a SET OF that is not sorted (X.690 §11.6). Nothing signs that order, so it
may be put right in a copy.
"""

from __future__ import annotations

import rfc3161_client

_CERTIFICATES = 0xA0  # [0] IMPLICIT SET OF in SignedData (RFC 5652 §5.1)
_Part = tuple[int, int, int, int]  # tag, where it begins, where its content begins, where it ends


def decode(answer: bytes) -> rfc3161_client.TimeStampResponse:
    """Return an answer (DER). Raises ValueError for what is none."""
    try:
        return rfc3161_client.decode_timestamp_response(answer)
    except ValueError:
        ordered = in_order(answer)
        if ordered == answer:
            raise
        return rfc3161_client.decode_timestamp_response(ordered)


def in_order(answer: bytes) -> bytes:
    """Return an answer with its certificates sorted, unchanged where it has no such part."""
    try:
        (whole,) = _parts(answer, 0, len(answer))
        _, token = _inside(answer, whole)  # after the status
        _, content = _inside(answer, token)  # after the type of the content
        (signed,) = _inside(answer, content)
        for part in _inside(answer, signed):
            if part[0] == _CERTIFICATES:
                rows = sorted(answer[begin:end] for _, begin, _, end in _inside(answer, part))
                return answer[: part[2]] + b"".join(rows) + answer[part[3] :]
    except ValueError:
        pass
    return answer


def _inside(der: bytes, part: _Part) -> list[_Part]:
    return _parts(der, part[2], part[3])


def _parts(der: bytes, start: int, stop: int) -> list[_Part]:
    """Return the parts of DER one after another. Raises ValueError for what is none."""
    found = []
    while start < stop:
        head = der[start : start + 2]
        if len(head) < 2:
            raise ValueError("it is cut off")
        inner, size = start + 2, head[1]
        if size >= 0x80:
            inner += size & 0x7F
            size = int.from_bytes(der[start + 2 : inner], "big")
        if inner + size > stop:
            raise ValueError("it is cut off")
        found.append((head[0], start, inner, inner + size))
        start = inner + size
    return found
