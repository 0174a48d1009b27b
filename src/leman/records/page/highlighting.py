"""Code with its words coloured: a handful of classes, and no markup but our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

from leman.reproduction.report.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygments.lexer import Lexer
    from pygments.token import _TokenType

LONGEST = 30_000  # characters that are coloured; longer code is shown plain

# Those that hostile code of `LONGEST` characters keeps busy for two seconds at most; thirty
# thousand newlines keep Pygments' lexers of C and MATLAB busy for minutes.
_LANGUAGES = ("python", "r", "julia", "bash", "sql", "octave", "fortran")

# What a token belongs to, looked up from the token towards the root.
_CLASSES: dict[_TokenType, str] = {
    Token.Comment: "c",
    Token.Comment.Preproc: "k",
    Token.Keyword: "k",
    Token.Operator.Word: "k",
    Token.Literal.String: "s",
    Token.Literal.Number: "m",
    Token.Name.Function: "f",
    Token.Name.Class: "f",
    Token.Name.Decorator: "f",
    Token.Name.Builtin: "b",
    Token.Name.Exception: "b",
}


def lexer(language: str) -> Lexer | None:
    """Return what cuts code of `language` into words, or None where it is not known."""
    name = language.lower()
    if name in ("ipython", "ipython3", "ipython2"):
        name = "python"
    if name not in _LANGUAGES:
        return None
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def highlighted(code: str, cutter: Lexer | None) -> Markup:
    """Return code as markup; what would hide or reorder characters is made visible."""
    text = shown(code)
    if cutter is None or len(text) > LONGEST:
        return escape(text)
    return Markup("".join(_spans(cutter.get_tokens(text))))  # noqa: S704 - each part is escaped


def _spans(tokens: Iterable[tuple[_TokenType, str]]) -> Iterable[str]:
    kept, text = "", ""
    for kind, piece in tokens:
        found = _class(kind) if piece.strip() else kept  # blanks go with what stands before them
        if found != kept:
            yield _span(kept, text)
            kept, text = found, ""
        text += piece
    yield _span(kept, text)


def _class(kind: _TokenType | None) -> str:
    while kind is not None:
        if kind in _CLASSES:
            return _CLASSES[kind]
        kind = kind.parent
    return ""


def _span(name: str, text: str) -> str:
    plain = str(escape(text))
    return f'<span class="{name}">{plain}</span>' if name and plain else plain
