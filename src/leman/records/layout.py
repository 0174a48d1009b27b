"""Where things lie in a record; `docs/reference/record-format.md` documents every name.

A record is a BagIt 1.0 bag (RFC 8493) whose payload is an RO-Crate. Three folders may grow after
it was made and are in no manifest: each file in them proves itself.
"""

from __future__ import annotations

import re

FORMAT = "leman-record/1"
PROFILE = "leman-record-v1"  # of the bag, in bag-info.txt

PAYLOAD = "data"
FACTS = "data/leman-record.json"
CRATE = "data/ro-crate-metadata.json"
SOURCE = "data/source"
REPORT = "data/report"

DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
FETCH = "fetch.txt"
PAGE = "record.html"

SIGNATURES = "signatures"  # NAME.sshsig, NAME.pub
STAMPS = "timestamps"  # NAME.tsr over signatures/NAME.sshsig, NAME.pem with the chain
STATEMENTS = "statements"  # NAME.json, NAME.json.sshsig, NAME.json.pub

TAGS = frozenset({DECLARATION, INFO, MANIFEST, FETCH, PAGE})  # what the tag manifest may list
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
GROWING = {
    SIGNATURES: re.compile(rf"{NAME}\.(?:sshsig|pub)"),
    STAMPS: re.compile(rf"{NAME}\.(?:tsr|pem)"),
    STATEMENTS: re.compile(rf"{NAME}\.json(?:\.sshsig|\.pub)?"),
}

SIGNED_RECORD = "leman-record@v1"  # SSHSIG namespaces: no signature is good for another purpose
SIGNED_STATEMENT = "leman-statement@v1"

MOST_FILES = 1_000_000
MOST_BESIDE = 1000  # files in a folder that may grow
LARGEST_MANIFEST = 512 * 1024**2  # bytes
LARGEST_FACTS = 64 * 1024**2
LARGEST_SIDE_FILE = 4 * 1024**2  # of a signature, time stamp or statement
DEEPEST = 64  # folders
LONGEST_PATH = 4096  # bytes
