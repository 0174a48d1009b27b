"""A record's facts in the words of InvenioRDM.

The fields are those of https://inveniordm.docs.cern.ch/reference/metadata; they follow DataCite.
Facts may be anybody's: whatever is not of the expected form is left out.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from leman.records.deposit.pack import stem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from leman.records.model import Record

# Order is policy: what a record is, then what the server may call it instead.
RESOURCE_TYPES = ("software-computationalnotebook", "software", "other")
_SWHID = re.compile(r"swh:1:(?:cnt|dir|rev|rel|snp):[0-9a-f]{40}")
_DOI = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_PARTICLES = frozenset(
    (
        *("af", "al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos"),
        *("du", "el", "ibn", "la", "le", "ten", "ter", "van", "von", "zu", "zum", "zur"),
    )
)
_SUFFIXES = frozenset({"jr", "jr.", "sr", "sr.", "ii", "iii", "iv"})
_ORGANISATION = re.compile(
    r"\b(?:collaboration|consortium|team|group|developers|contributors|institute|university|"
    r"laborator(?:y|ies)|project|foundation|survey|observatory|centre|center|society)\b",
    re.IGNORECASE,
)
_LONGEST_VERSION = 191  # characters that the server takes
_LICENCE_TITLE = "Licence as its author states it: {}"


def described(
    record: Record, *, publisher: str, today: date, known: Callable[[str, str], bool]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata of a record, and notes on what its author has to look at.

    `known(vocabulary, id)` says whether the server's vocabulary has a word.
    """
    own = _table(record.facts.get("description"))
    creators, notes = _creators(own.get("authors"))
    rights, about_rights = _rights(_text(own.get("licence")), known)
    kind = next((one for one in RESOURCE_TYPES[:-1] if known("resourcetypes", one)), "other")
    metadata: dict[str, Any] = {
        "title": _text(own.get("title")) or "A record of notebooks",
        "creators": creators,
        "description": _description(record, own),
        "publication_date": today.isoformat(),
        "resource_type": {"id": kind},
        "publisher": publisher,
        "identifiers": [{"scheme": "other", "identifier": record.id}],
    }
    created = _text(record.facts.get("created"))[:10]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", created):
        metadata["dates"] = [{"date": created, "type": {"id": "created"}}]
    keywords = [_text(one) for one in _list(own.get("keywords"))]
    more = {
        "rights": rights,
        "subjects": [{"subject": word} for word in dict.fromkeys(filter(None, keywords))],
        "related_identifiers": _related(record, own),
        "version": _text(own.get("version"))[:_LONGEST_VERSION],
    }
    metadata |= {name: value for name, value in more.items() if value}
    return metadata, (*notes, *about_rights)


def split_name(name: str) -> tuple[str, str]:
    """Return family name and given name; a guess where no comma tells them apart.

    Particles in lower case belong to the family name: Ludwig van Beethoven is van Beethoven.
    """
    if "," in name:
        family, _, given = name.partition(",")
        return family.strip(), given.strip()
    words = name.split()
    start = len(words) - 1
    if start > 1 and words[start].lower() in _SUFFIXES:
        start -= 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return " ".join(words[start:]), " ".join(words[:start])


def is_orcid(text: str) -> bool:
    """Check the last character, ISO 7064 MOD 11-2, of a bare identifier."""
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return text[-1] == ("X" if rest == 10 else str(rest))


def _creators(authors: object) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    creators: list[dict[str, Any]] = []
    notes: list[str] = []
    for one in map(_table, _list(authors)):
        name = _text(one.get("name"))
        if not name:
            continue
        found = _ORCID.fullmatch(_text(one.get("orcid")))
        orcid = found[1] if found and is_orcid(found[1]) else ""
        if one.get("orcid") and not orcid:
            notes.append(f"the ORCID of {name} is none, and was left out")
        if _ORGANISATION.search(name) and not orcid:
            who: dict[str, Any] = {"type": "organizational", "name": name}
        else:
            family, given = split_name(name)
            who = {"type": "personal", "family_name": family, "given_name": given}
        if orcid:
            who["identifiers"] = [{"scheme": "orcid", "identifier": orcid}]
        creator: dict[str, Any] = {"person_or_org": who}
        if affiliation := _text(one.get("affiliation")):
            creator["affiliations"] = [{"name": affiliation}]
        creators.append(creator)
    if not creators:
        notes.append("the record names no author: add the creators to the draft")
    else:
        shown = "; ".join(_shown(one["person_or_org"]) for one in creators)
        notes.append(f"creators: {shown} (see whether family and given names are right)")
    return creators, tuple(notes)


def _shown(who: dict[str, Any]) -> str:
    names = [who.get("family_name", ""), who.get("given_name", "")]
    return str(who.get("name") or ", ".join(filter(None, names)))


def _rights(
    licence: str, known: Callable[[str, str], bool]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return SPDX identifiers as the server writes them, or the author's words."""
    if not licence:
        return [], ("the record names no licence: choose one in the draft",)
    parts = re.split(r"\s+(?:AND|OR)\s+", licence.strip("() "))
    ids = [part.lower() for part in parts if _SPDX.fullmatch(part)]
    if len(ids) == len(parts) and all(known("licenses", one) for one in ids):
        return [{"id": one} for one in ids], ()
    title = _LICENCE_TITLE.format(licence[:200])
    return [{"title": {"en": title}}], (
        f"the server does not know the licence {licence[:200]!r}: it is given in words",
    )


def _description(record: Record, own: dict[str, Any]) -> str:
    abstract = re.split(r"\n\s*\n", _text(own.get("abstract"), lines=True).strip())
    parts = [f"<p>{escape(' '.join(one.split()))}</p>" for one in abstract if one.strip()]
    notebooks = len(_list(record.facts.get("notebooks")))
    count = f"{notebooks} notebook{'s' * (notebooks != 1)}"
    archive = f"{stem(record.id)}.zip"
    parts.append(
        f"<p>This is a leman record of {count}: the author's files, the environment of the run and"
        " its results, in one archive. Anybody can check that its files are intact, and run it"
        " again: unpack the archive and call</p>"
        f"<pre>leman verify {stem(record.id)}\nleman verify {stem(record.id)} --rerun</pre>"
        f"<p>Archive: <code>{archive}</code><br>Record: <code>{escape(record.id)}</code></p>"
    )
    source = _table(record.facts.get("source"))
    url, revision = public(_text(source.get("url"))), _text(source.get("revision"))
    if url:
        at = f", revision <code>{escape(revision)}</code>" if revision else ""
        parts.append(f"<p>Source: {escape(url)}{at}</p>")
    references = len(_list(record.facts.get("references")))
    if references:
        parts.append(
            f"<p>{references} large files are named with address and checksum, but are not in the"
            " archive.</p>"
        )
    return "\n".join(parts)


def _related(record: Record, own: dict[str, Any]) -> list[dict[str, Any]]:
    source = _table(record.facts.get("source"))
    found: dict[tuple[str, str], str] = {}
    url = public(_text(source.get("url")))
    if url:
        doi = _DOI.fullmatch(url)
        found["doi" if doi else "url", doi[1] if doi else url] = "isderivedfrom"
    swhid = _text(source.get("swhid"))
    if _SWHID.fullmatch(swhid):  # no scheme of its own: the server's list has none
        found["other", swhid] = "isderivedfrom"
    doi = _DOI.fullmatch(_text(own.get("doi")))
    if doi:  # of the work: its paper or an earlier deposit, who knows
        found.setdefault(("doi", doi[1]), "references")
    return [
        {"identifier": identifier, "scheme": scheme, "relation_type": {"id": relation}}
        for (scheme, identifier), relation in found.items()
    ]


def public(url: str) -> str:
    """Return an address that anybody may see, "" for one of this machine: no name, no password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _text(value: object, *, lines: bool = False) -> str:
    if not isinstance(value, str):
        return ""
    kept = "".join(one for one in value if one.isprintable() or one.isspace())
    return kept if lines else " ".join(kept.split())


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
