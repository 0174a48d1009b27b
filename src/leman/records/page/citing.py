"""A record as one cites it: a sentence, and an entry for BibTeX."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{one: f"\\{one}" for one in "#$%&_"},
}


def sentence(title: str, authors: Sequence[str], year: str, version: str, address: str) -> str:
    """Return the record as a reference list has it."""
    who = _listed(authors) or "Anonymous"
    which = f" (version {version})" if version else ""
    where = f" {address}" if address else ""
    return f"{who} ({year or 'undated'}). {title}{which} [Notebooks and their results].{where}"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def bibtex(
    title: str, authors: Sequence[str], year: str, version: str, *, doi: str, url: str
) -> str:
    """Return an entry that BibTeX and biber read; every character with a meaning is escaped."""
    fields = {
        "author": " and ".join(_name(one) for one in authors),
        "title": f"{{{_plain(title)}}}",  # in two pairs of braces its capitals stay
        "year": year,
        "version": _plain(version),
        "doi": _address(doi),
        "url": _address(url),
        "note": "Notebooks and their results",
    }
    width = max(map(len, fields))
    lines = [f"  {key:<{width}} = {{{value}}}," for key, value in fields.items() if value]
    return "\n".join([f"@misc{{{_key(title, authors, year)},", *lines, "}"])


def _name(name: str) -> str:
    plain = _plain(name)  # a name that reads as two, such as an institute's, is one in braces
    return f"{{{plain}}}" if " and " in f" {plain} " or plain.count(",") > 1 else plain


def _plain(text: str) -> str:
    return "".join(_SPECIAL.get(one, one) for one in " ".join(text.split()))


def _address(text: str) -> str:
    return re.sub(r"[{}\\\s]", "", text)


def _key(title: str, authors: Sequence[str], year: str) -> str:
    family = authors[0].partition(",")[0].split() if authors else []
    first = next((one for one in title.split() if len(_ascii(one)) > 3), title)
    return (_ascii(family[-1] if family else "") + year + _ascii(first)) or "record"


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())[:40]
