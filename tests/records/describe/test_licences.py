"""Licences are known by their names and by their texts."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest

from leman.environments.detect.tree import Tree
from leman.records.describe.licences import licence_of, read_licences, spdx

ROOT = Path(__file__).parents[3]
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
    " and associated documentation files... The above copyright notice and this permission notice"
    " shall be included in all copies."
)
BSD2 = (
    "Redistribution and use in source and binary forms, with or without modification, are"
    " permitted provided that: Redistributions in binary form must reproduce the above copyright."
)
BSD3 = BSD2 + " The names may not be used to endorse or promote products derived from this."
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose with or"
ISC += " without fee is hereby granted, provided that the above copyright notice appear."
GPL3 = "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n ... GNU Affero General Public"
TEXTS = {
    "MIT": MIT,
    "BSD-2-Clause": BSD2,
    "BSD-3-Clause": BSD3,
    "BSD-4-Clause": BSD3 + " All advertising materials mentioning features of this must say so.",
    "ISC": ISC,
    "0BSD": ISC.partition(", provided")[0],
    "Apache-2.0": "Apache License\n Version 2.0, January 2004\n http://www.apache.org/licenses/",
    "GPL-3.0-only": GPL3,
    "GPL-2.0-only": "GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991",
    "LGPL-3.0-only": "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007",
    "LGPL-2.1-only": "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999",
    "AGPL-3.0-only": "GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007",
    "MPL-2.0": "Mozilla Public License Version 2.0\n====",
    "CC0-1.0": "Creative Commons Legal Code\n\nCC0 1.0 Universal",
    "CC-BY-4.0": "Attribution 4.0 International\n\n=====\n\nCreative Commons Corporation",
    "CC-BY-SA-4.0": "Creative Commons Attribution-ShareAlike 4.0 International Public License",
    "CC-BY-NC-ND-4.0": "# Attribution-NonCommercial-NoDerivatives 4.0 International",
    "Unlicense": "This is free and unencumbered software released into the public domain.",
    "Python-2.0": "A. HISTORY OF THE SOFTWARE\n====" + ISC,
}


@pytest.mark.parametrize(("identifier", "text"), TEXTS.items(), ids=TEXTS)
def test_a_text_is_known_by_its_own_sentences(identifier: str, text: str) -> None:
    """Line ends, case, quotation marks and a copyright line do not matter."""
    assert licence_of(text) == (identifier,)
    told = "Copyright (c) 2020 Ada\n\n" + text.replace(" ", "\n  ")
    assert licence_of(told) == (identifier,)


@pytest.mark.parametrize("text", ["", "All rights reserved.", "Ask me.", "MIT", "\0" * 100])
def test_what_is_no_licence_is_none(text: str) -> None:
    """A text without the sentences of a licence is not guessed at."""
    assert licence_of(text) == ()


def test_licences_as_others_publish_them_are_known() -> None:
    """The files that packages installed here bring are told as their metadata say."""
    stated = {"pyyaml": "MIT", "click": "BSD-3-Clause", "bagit": "", "httpx": "BSD-3-Clause"}
    for name, expected in stated.items():
        files = [one for one in distribution(name).files or () if one.name.startswith("LICENSE")]
        for one in files:
            assert licence_of(one.read_text()) == (expected,)
    assert licence_of((ROOT / "LICENSE").read_text()) == ("BSD-3-Clause",)


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("MIT", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("BSD 3-Clause License", "BSD-3-Clause"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("GPL-3.0", "GPL-3.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPLv3", "GPL-3.0-only"),
        ("GNU Lesser General Public License v2.1 or later", "LGPL-2.1-or-later"),
        ("GNU Affero General Public License v3", "AGPL-3.0-only"),
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("http://spdx.org/licenses/GPL-3.0-or-later.html", "GPL-3.0-or-later"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("BSD", ""),
        ("GPL", ""),
        ("Proprietary", ""),
        ("(((((", ""),
        ("MIT AND", ""),
        ("x" * 10_000, ""),
    ],
)
def test_names_of_licences_become_identifiers(name: str, identifier: str) -> None:
    """What is written in many ways is told by one identifier; what is ambiguous by none."""
    assert spdx(name) == identifier


def tree(root: Path) -> Tree:
    """Return the root folder's files."""
    return Tree(root, tuple(sorted(path.name for path in root.iterdir())))


def test_several_licences_all_apply_and_are_told(tmp_path: Path) -> None:
    """Code under MIT, texts under CC BY: both hold, and the author is asked to say it."""
    (tmp_path / "LICENSE").write_text(MIT)
    (tmp_path / "LICENSE-TEXT.md").write_text(TEXTS["CC-BY-4.0"])
    said = read_licences(tree(tmp_path))
    assert said.licence == "MIT AND CC-BY-4.0"
    assert [one.code for one in said.findings] == ["licence-several"]


def test_lgpl_3_brings_the_text_of_gpl_3(tmp_path: Path) -> None:
    """COPYING beside COPYING.LESSER is one licence, whose later versions the author may add."""
    (tmp_path / "COPYING").write_text(GPL3)
    (tmp_path / "COPYING.LESSER").write_text(TEXTS["LGPL-3.0-only"])
    said = read_licences(tree(tmp_path))
    assert said.licence == "LGPL-3.0-only"
    assert [one.code for one in said.findings] == ["licence-or-later"]


def test_an_unknown_text_is_told(tmp_path: Path) -> None:
    """A licence of somebody's own is no reason to record another."""
    (tmp_path / "LICENCE.txt").write_text("You may look at it on Sundays.")
    said = read_licences(tree(tmp_path))
    assert said.licence == ""
    assert [one.code for one in said.findings] == ["licence-unknown"]
