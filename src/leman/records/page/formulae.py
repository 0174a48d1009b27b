"""TeX in Markdown, found as Jupyter finds it and kept as it is: a page without scripts shows TeX.

Without these rules ``$a_1 b_1$`` would become emphasis, and backslashes would vanish.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it.common.utils import escapeHtml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

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
    return f'<pre><code class="tex">{escapeHtml(tokens[index].content)}</code></pre>\n'
