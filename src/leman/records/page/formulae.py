"""TeX in Markdown, found as Jupyter finds it and kept as it is until it is set.

Without these rules ``$a_1 b_1$`` would become emphasis, and backslashes would vanish.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

from bleach.html5lib_shim import Filter
from markdown_it.common.utils import escapeHtml

from leman.records.page.mathml import Node, formula

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    from leman.records.page.prose import Outline

_Tag = dict[str, Any]  # a token of html5lib
_LONGEST = 5_000  # characters of one formula
_BEGIN = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")


def with_formulae(parser: MarkdownIt) -> MarkdownIt:
    r"""Return the parser, which now knows ``$…$``, ``$$…$$`` and ``\begin{…}…\end{…}``."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before(
        "fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.add_render_rule("formula", _render)
    parser.add_render_rule("formula_block", _render_block)
    return parser


def _end(text: str, start: int) -> tuple[int, bool] | None:
    """Return where the formula that begins at `start` ends, and whether it stands by itself."""
    if text.startswith("$$", start):
        end = text.find("$$", start + 2, start + _LONGEST)
        return (end + 2, True) if end > start + 2 else None
    if text.startswith("$", start):
        end = text.find("$", start + 1, start + _LONGEST)
        inner = text[start + 1 : end]
        # "5 $ and 6 $" is money: as in Pandoc, no blank inside the signs, no digit after them
        fine = inner.strip() == inner != "" and not text[end + 1 : end + 2].isdigit()
        return (end + 1, False) if end > start and fine and "\n\n" not in inner else None
    if found := _BEGIN.match(text, start):
        closing = f"\\end{{{found[1]}}}"
        end = text.find(closing, found.end(), start + _LONGEST)
        return (end + len(closing), True) if end > 0 else None
    return None


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the parser's interface
    if state.src[state.pos] not in "$\\":
        return False
    found = _end(state.src, state.pos)
    if found is None or found[0] > state.posMax:
        return False
    if not silent:
        token = state.push("formula", "code", 0)
        token.content = state.src[state.pos : found[0]]
    state.pos = found[0]
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    begin = state.bMarks[start] + state.tShift[start]
    line = state.src[begin : begin + 30]
    if state.is_code_block(start) or not (line.startswith("$$") or _BEGIN.match(line)):
        return False
    found = _end(state.src, begin)
    if found is None:
        return False
    last = start
    while last < end and state.eMarks[last] < found[0]:
        last += 1
    if last >= end or state.src[found[0] : state.eMarks[last]].strip():
        return False
    if not silent:
        state.line = last + 1
        token = state.push("formula_block", "pre", 0)
        token.content = state.src[begin : found[0]]
        token.map = [start, state.line]
    return True


def _render(_self: object, tokens: Sequence[Token], index: int, *_rest: object) -> str:
    return f'<code class="tex">{escapeHtml(tokens[index].content)}</code>'


def _render_block(_self: object, tokens: Sequence[Token], index: int, *_rest: object) -> str:
    return f'<p><code class="tex">{escapeHtml(tokens[index].content)}</code></p>\n'


class Formulae(Filter):  # type: ignore[misc]
    """Sets the formulae among tokens that bleach let through; one that is not known stays TeX."""

    def __init__(self, source: Any, outline: Outline) -> None:  # noqa: ANN401 - tokens of html5lib
        super().__init__(source)
        self.outline = outline

    def __iter__(self) -> Iterator[_Tag]:
        """Yield the tokens, each formula's replaced by those of its elements."""
        held: list[_Tag] = []
        for token in super().__iter__():
            if held:
                held.append(token)
                if token["type"] in ("StartTag", "EndTag", "EmptyTag"):
                    yield from self._set(held)
                    held = []
            elif token["type"] == "StartTag" and token["data"].get((None, "class")) == "tex":
                held.append(token)
            else:
                yield token
        yield from held

    def _set(self, held: list[_Tag]) -> Iterator[_Tag]:
        whole = held[-1]["type"] == "EndTag" and held[-1]["name"] == "code"
        found = formula("".join(map(letters, held))) if whole else None
        if found is None:
            self.outline.formulae = True
            yield from held
        else:
            yield from _tokens(found)


def letters(token: _Tag) -> str:
    """Return the text that a token holds."""
    if token["type"] == "Entity":
        return unescape(f"&{token['name']};")
    return str(token["data"]) if token["type"] in ("Characters", "SpaceCharacters") else ""


def tag(kind: str, name: str, data: dict[str, str] | None = None) -> _Tag:
    """Return a token for an element."""
    attributes = {(None, key): value for key, value in (data or {}).items()}
    space = "http://www.w3.org/1999/xhtml"
    return {"type": kind, "name": name, "namespace": space, "data": attributes}


def words(text: str) -> _Tag:
    """Return a token for text, which is escaped when it is written."""
    return {"type": "Characters", "data": text}


def _tokens(node: Node) -> Iterator[_Tag]:
    yield tag("StartTag", node.name, dict(node.attributes))
    if node.text:
        yield words(node.text)
    for one in node.children:
        yield from _tokens(one)
    yield tag("EndTag", node.name)
