"""Install commands, wherever they stand (notebook cells, Dockerfiles, scripts), read statically."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from typing import TYPE_CHECKING

from leman.environments.detect.condaspec import conda_items
from leman.environments.detect.reading import Channel, SystemPackage
from leman.environments.detect.requirements import requirement_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

_MOST_COMMAND = 8_000  # characters; longer ones are data
DEBIAN_NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:[=/][\w.+:~-]+)?$")
_PROGRAM = re.compile(
    r"(?P<pip>(?:^|\s|/)(?:uv\s+)?pip[0-9.]*)\s|(?P<conda>(?:^|\s|/)(?:conda|mamba|micromamba))\s"
    r"|(?P<apt>(?:^|\s|/)(?:apt|apt-get|aptitude))\s"
)
# Options that are followed by a value of their own.
_PIP_VALUES_TEXT = (
    "-i --index-url --extra-index-url -f --find-links -t --target --prefix --root --src "
    "--timeout --trusted-host --proxy --cert --platform --python-version --abi "
    "--implementation --retries --progress-bar --no-binary --only-binary --global-option "
    "--cache-dir --python -p --log --upgrade-strategy --exclude-newer --config-settings "
    "--uploaded-prior-to"
)
_PIP_VALUES = frozenset(_PIP_VALUES_TEXT.split())
_CONDA_VALUES = frozenset(
    ["-n", "--name", "-p", "--prefix", "-c", "--channel", "--file", "-f", "--solver", "--platform"]
)
_APT_VALUES = frozenset({"-o", "-c", "-t", "--target-release"})


def installs(tree: Tree, where: str, command: str, origin: str) -> Iterator[Item]:
    """Yield what the install commands in a shell line ask for; `where` is the file they stand in.

    Words that only a running shell or Python could know (``$NAME``, ``{name}``) are left out.
    """
    if len(command) > _MOST_COMMAND:
        return
    for part in re.split(r"&&|\|\||;(?![^\"']*[\"'])|\n|(?<![\"'\w])\|(?![\"'])", command):
        match = _PROGRAM.search(f" {part.strip()}")
        if match is None:
            continue
        words = _words(f" {part.strip()}"[match.end() :])
        if not words:
            continue
        if match["pip"]:
            yield from _pip(tree, where, words, origin)
        elif match["conda"]:
            yield from _conda(words, origin)
        elif "install" in words:
            yield from _apt(words[words.index("install") + 1 :], origin)


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # an odd quote
        words = text.split("#", maxsplit=1)[0].split()
    return list(takewhile(lambda word: not re.match(r"^(?:[12&]?>|<(?!=)|\|)", word), words))


def _wanted(words: Sequence[str], with_value: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (option, value) for options that matter and ("", word) for plain words."""
    iterator = iter(words)
    for word in iterator:
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            if option in with_value or option in ("-r", "--requirement", "-e", "--editable"):
                yield option, value if equals else next(iterator, "")
        elif "$" not in word and "{" not in word and word not in ("\\", "."):
            yield "", word
        elif word == ".":
            yield "-e", word


def _pip(tree: Tree, where: str, words: list[str], origin: str) -> Iterator[Item]:
    if words[0] != "install":
        return
    for option, word in _wanted(words[1:], _PIP_VALUES):
        if "$" in word or "{" in word:
            continue
        if option in ("-r", "--requirement"):
            yield from requirement_line(tree, where, f"-r {word}", origin, frozenset({where}))
        elif option in ("-e", "--editable"):
            yield from requirement_line(tree, where, f"-e {word}", origin)
        elif not option:
            yield from requirement_line(tree, where, word, origin)


def _conda(words: list[str], origin: str) -> Iterator[Item]:
    if words[0] not in ("install", "create", "update"):
        return
    for option, word in _wanted(words[1:], _CONDA_VALUES):
        if option in ("-c", "--channel") and re.match(r"^[\w./:-]+$", word):
            yield Channel(word)
        elif not option and re.match(r"^[A-Za-z0-9_]", word) and word != "all":
            yield from conda_items(word, origin)


def _apt(words: list[str], origin: str) -> Iterator[Item]:
    for option, word in _wanted(words, _APT_VALUES):
        if not option and DEBIAN_NAME.match(word):
            yield SystemPackage(re.split(r"[=/]", word)[0], origin)
