"""Which licence: an SPDX expression from the name of a licence, or from its text.

Texts are told by sentences that only this licence has, so that another copyright line, another
line length or a missing appendix make no difference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from leman.records.describe.codes import finding
from leman.records.describe.said import Said, line

if TYPE_CHECKING:
    from leman.environments.detect.tree import Tree
    from leman.findings import Finding

_FILE = re.compile(r"(?i)^(?:licen[cs]e|copying|unlicense)(?:[._-].*)?$")
_LARGEST = 400_000  # bytes; the longest licence that is used has some 35 000
_MOST_FILES = 20
_HEAD = 500  # characters in which a long licence names itself
_GNU = "gnu {}general public license version {}"
_CC = re.compile(
    r"(?:creative commons )?attribution((?:[- ](?:noncommercial|noderivatives|sharealike))*)"
    r" (4\.0 international|3\.0 unported)"
)
_PARTS = {"noncommercial": "-NC", "noderivatives": "-ND", "sharealike": "-SA"}
_REDISTRIBUTION = (
    "redistribution and use in source and binary forms, with or without modification, are permitted"
)
# Licences that name themselves at their beginning, the longer name before one that it holds.
_NAMED = (
    (_GNU.format("affero ", "3"), "AGPL-3.0-only"),
    (_GNU.format("lesser ", "3"), "LGPL-3.0-only"),
    (_GNU.format("lesser ", "2.1"), "LGPL-2.1-only"),
    (_GNU.format("library ", "2"), "LGPL-2.0-only"),
    (_GNU.format("", "3"), "GPL-3.0-only"),
    (_GNU.format("", "2"), "GPL-2.0-only"),
    ("apache license version 2.0", "Apache-2.0"),
    ("mozilla public license version 2.0", "MPL-2.0"),
    ("mozilla public license, version 2.0", "MPL-2.0"),
    ("european union public licence v. 1.2", "EUPL-1.2"),
    ("eclipse public license - v 2.0", "EPL-2.0"),
    ("boost software license - version 1.0", "BSL-1.0"),
    ("the artistic license 2.0", "Artistic-2.0"),
    ("cc0 1.0 universal", "CC0-1.0"),
    ("open data commons open database license", "ODbL-1.0"),
    ("odc open database license", "ODbL-1.0"),
    ("open data commons attribution license", "ODC-By-1.0"),
    ("odc public domain dedication and licence", "PDDL-1.0"),
    ("cecill free software license agreement", "CECILL-2.1"),
    ("a. history of the software", "Python-2.0"),
    ("python software foundation license version 2", "PSF-2.0"),
    ("do what the fuck you want to public license", "WTFPL"),
)
# Short licences: sentences that are in the text, and sentences that are not.
_MIT = "permission is hereby granted, free of charge, to any person obtaining a copy of this"
_ISC = "permission to use, copy, modify, and/or distribute this software for any purpose"
_SHORT: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("MIT", (_MIT, "permission notice shall be included"), ("except as contained in this notice",)),
    ("MIT-0", (_MIT,), ("permission notice shall be included", "redistributions of source code")),
    ("X11", (_MIT, "except as contained in this notice"), ()),
    ("ISC", (_ISC, "provided that the above copyright notice"), ()),
    ("0BSD", (_ISC,), ("provided that the above copyright notice",)),
    ("BSD-4-Clause", (_REDISTRIBUTION, "all advertising materials mentioning"), ()),
    (
        "BSD-3-Clause",
        (_REDISTRIBUTION, "used to endorse or promote products"),
        ("all advertising materials mentioning", "no express or implied licenses to any party's"),
    ),
    (
        "BSD-3-Clause-Clear",
        (_REDISTRIBUTION, "no express or implied licenses to any party's"),
        (),
    ),
    (
        "BSD-2-Clause",
        (_REDISTRIBUTION, "redistributions in binary form must reproduce"),
        ("used to endorse or promote products", "all advertising materials mentioning"),
    ),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",), ()),
    ("Zlib", ("altered source versions must be plainly marked as such",), ()),
)
# What people write instead of an identifier, without case, brackets, punctuation and "license".
_ALIASES = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "bsd 2": "BSD-2-Clause",
    "bsd 3": "BSD-3-Clause",
    "2 bsd": "BSD-2-Clause",
    "3 bsd": "BSD-3-Clause",
    "simplified bsd": "BSD-2-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "cc zero": "CC0-1.0",
    "cc0 1.0 universal": "CC0-1.0",
    "creative commons zero v1.0 universal": "CC0-1.0",
    "cc by": "CC-BY-4.0",
    "cc by sa": "CC-BY-SA-4.0",
    "expat": "MIT",
    "isc": "ISC",
    "mit": "MIT",
    "mozilla public 2.0": "MPL-2.0",
    "mpl 2": "MPL-2.0",
    "unlicense": "Unlicense",
}
_NOISE = re.compile(r"\([^()]*\)|\blicen[cs]ed?\b|\bversion\b|\bclause\b|\bthe\b|[,:'\"_\s-]+")
_GNU_NAME = re.compile(r"\bgnu\b|\b[al]?gpl|general public")
_CC_NAME = re.compile(
    r"(?:cc|creative commons)[ -](?:by|attribution)((?:[ -](?:nc|nd|sa|non ?commercial|no ?deriv\w*"
    r"|share ?alike))*)[ -]v?([1-4]\.[05])(?: international| unported)?"
)
_DEPRECATED = re.compile(r"\b((?:A|L)?GPL-[0-9.]+)(\+)?(?![0-9.+-])")


def spdx(name: str) -> str:
    """Return the SPDX expression for what a file calls its licence, "" where none is known."""
    given = line(name)
    if not given or len(given) > 200:
        return ""
    if match := re.match(
        r"https?://(?:www\.)?(?:spdx|opensource)\.org/licenses?/([\w.+-]+)", given
    ):
        given = match[1].removesuffix(".html").removesuffix(".json")
    elif match := re.match(
        r"https?://creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/([0-9.]+)", given
    ):
        given = f"CC-{match[1]}-{match[3]}" if match[1] else f"CC0-{match[3]}"
    plain = " ".join(_NOISE.sub(" ", given.lower()).split()).strip(". ")
    if known := _ALIASES.get(plain) or _family(given.lower()):
        return known
    try:
        known = str(canonicalize_license_expression(given))
    except (InvalidLicenseExpression, ValueError, RecursionError, SyntaxError):
        return ""
    # SPDX gave up the names that leave open whether later versions are meant.
    return _DEPRECATED.sub(lambda found: found[1] + ("-or-later" if found[2] else "-only"), known)


def _family(name: str) -> str:
    """Return the identifier for a GNU or Creative Commons licence in any of their spellings."""
    if match := _CC_NAME.fullmatch(name.replace(" license", "").strip()):
        kinds = re.findall(r"nc|non|nd|no ?deriv|sa|share", match[1])
        letters = {"nc": "-NC", "non": "-NC", "sa": "-SA", "share": "-SA"}
        return f"CC-BY{''.join(letters.get(one, '-ND') for one in kinds)}-{match[2]}"
    if not _GNU_NAME.search(name) or re.search(r"\band\b|\bwith\b|\bgpl.*\bor\b(?! ?later)", name):
        return ""
    version = re.search(r"(?<![0-9.])([23])(?:\.([01]))?(?![0-9.]*[0-9])", name)
    if version is None:
        return ""
    kind = (
        "A" if re.search(r"affero|agpl", name) else "L" if re.search(r"lesser|lgpl", name) else ""
    )
    later = re.search(r"later|newer|above|\+", name)
    return f"{kind}GPL-{version[1]}.{version[2] or '0'}-{'or-later' if later else 'only'}"


def named(value: object, origin: str) -> tuple[str, list[Finding]]:
    """Return the SPDX expression for an entry of a metadata file, and a finding for another."""
    given = line(value)
    known = spdx(given)
    if known or not given:
        return known, []
    message = f"{given[:80]!r} in {origin} is no licence that SPDX lists; it was left out"
    fix = "Give an identifier of https://spdx.org/licenses, such as CC-BY-4.0 or MIT."
    return "", [finding("licence-unknown", origin, message, fix)]


def licence_of(content: str) -> tuple[str, ...]:
    """Return the SPDX identifiers of the licences whose texts are in a text."""
    plain = re.sub(r"[*#_>|]|//|\\|={3,}|-{3,}", " ", content.lower())
    plain = re.sub(r"[\u2018\u2019`]", "'", plain)
    plain = " ".join(plain.split())
    head = re.sub(r" ?, ?(?=version)", " ", plain[:_HEAD]).replace(
        "license v3", "license version 3"
    )
    plain = plain.replace("modify, and distribute this", "modify, and/or distribute this")
    found = [identifier for phrase, identifier in _NAMED if phrase in head][:1]
    if found[:1] == ["Python-2.0"]:
        return ("Python-2.0",)  # a stack of licences, one of them much like ISC
    found += [
        identifier
        for identifier, present, absent in _SHORT
        if all(one in plain for one in present) and not any(one in plain for one in absent)
    ]
    if not found:
        found += [identifier for phrase, identifier in _NAMED[6:] if phrase in plain][:1]
    if match := _CC.search(plain if len(plain) < 3_000 or "attribution" in head else ""):
        kinds = "".join(_PARTS[part] for part in re.findall(r"[a-z]+", match[1]))
        found.append(f"CC-BY{kinds}-{match[2][:3]}")
    return tuple(dict.fromkeys(found))


def read_licences(tree: Tree) -> Said:
    """Read the files of the root that are called LICENSE, COPYING and the like."""
    found: list[Finding] = []
    seen: dict[str, str] = {}  # identifier → the first file that holds it
    unknown = ""
    names = sorted(name for name in tree.names if _FILE.match(name))
    for name in names[:_MOST_FILES]:
        content, told = tree.read(name, largest=_LARGEST)
        found += told
        identifiers = licence_of(content or "")
        if content is not None and not identifiers:
            unknown = unknown or name
        for identifier in identifiers:
            seen.setdefault(identifier, name)
    if any(one.startswith("LGPL-3") for one in seen):
        seen.pop("GPL-3.0-only", None)  # LGPL 3 is a supplement to the text of GPL 3
    origin = next(iter(seen.values()), "") or unknown
    if not seen and unknown:
        message = f"the licence in {unknown} was not recognised"
        fix = "Name it with --license, by an identifier of https://spdx.org/licenses."
        found.append(finding("licence-unknown", unknown, message, fix))
    if len(seen) > 1:
        message = f"licences were found in {', '.join(dict.fromkeys(seen.values()))}:"
        message += f" {', '.join(seen)}; the record says that all of them apply"
        fix = "Say with --license what holds, such as 'MIT OR Apache-2.0' where one may choose."
        found.append(finding("licence-several", origin, message, fix))
    for identifier, name in seen.items():
        if "GPL" in identifier:
            version = identifier.removesuffix("-only")
            message = f"the text of {version} was found, which does not speak of later versions"
            fix = f"If you allow them, say it with --license {version}-or-later."
            found.append(finding("licence-or-later", name, message, fix))
    return Said(origin, licence=" AND ".join(seen), findings=tuple(found))
