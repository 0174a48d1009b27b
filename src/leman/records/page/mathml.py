"""TeX as MathML Core, which browsers set without a script (https://www.w3.org/TR/mathml-core/).

What papers and notebooks use most is understood; anything else makes the whole formula stay TeX,
for half a formula would be a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.entities import html5
from typing import NamedTuple

_DEEPEST = 30  # groups inside one another
_PIECE = re.compile(r"\\[A-Za-z]+\*?|\\.|\d+(?:\.\d+)?|[^\s]", re.DOTALL)
_ENVIRONMENT = re.compile(r"\{([A-Za-z]+\*?)\}")
_RAW = re.compile(r"\{([^{}\\$]*)\}")

# Names that TeX and HTML have in common, as letters and as operators.
_LETTERS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi"
    " pi rho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi"
    " Sigma Phi Psi Omega ell hbar nabla Re Im aleph emptyset"
)
_OPERATORS = (
    "times div pm mp cdot ast star leq le geq ge ne approx sim simeq cong equiv propto in notin"
    " ni subset supset cup cap forall langle rangle ll oplus otimes perp parallel mapsto rightarrow"
    " leftarrow Rightarrow Leftarrow Leftrightarrow sum prod int oint mid wedge vee"
)
_OTHERS = {
    "neq": "ne", "exists": "exist", "to": "rightarrow", "gg": "Gt",
    "ldots": "hellip", "dots": "hellip", "cdots": "ctdot", "circ": "compfn", "prime": "prime",
    "subseteq": "subseteq", "iff": "Longleftrightarrow", "lfloor": "lfloor", "rfloor": "rfloor",
    "lVert": "Vert", "rVert": "Vert", "Vert": "Vert", "vert": "vert", "lvert": "vert",
    "rvert": "vert", "degree": "deg", "backslash": "bsol", "lbrace": "lbrace", "rbrace": "rbrace",
}  # fmt: skip
_NAMES = {one: html5[f"{one};"] for one in _LETTERS.split()}
_NAMES |= {"infty": html5["infin;"], "partial": html5["part;"]}
_SIGNS = {one: html5[f"{one};"] for one in _OPERATORS.split()}
_SIGNS |= {one: html5[f"{other};"] for one, other in _OTHERS.items() if one not in _NAMES}
_SIGNS |= {one: one for one in "{}%$#&_|"}
_FUNCTIONS = (
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp min max sup inf lim"
    " arg det dim ker gcd deg Pr"
)
_UNDER = ("sum", "prod", "lim", "min", "max", "sup", "inf")  # limits above and below
_ACCENTS = {
    "hat": "^", "widehat": "^", "bar": html5["macr;"], "overline": html5["macr;"], "tilde": "~",
    "widetilde": "~", "vec": html5["rightarrow;"], "dot": html5["dot;"], "ddot": html5["Dot;"],
}  # fmt: skip
_SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.3em", "quad": "1em",
           "qquad": "2em", "!": "0em"}  # fmt: skip
_UPRIGHT = frozenset(("text", "mathrm", "textrm", "operatorname", "mbox", "textit", "textbf"))
_STYLES = {"mathbf": "", "boldsymbol": "", "bm": "", "mathbb": "opf", "mathcal": "scr",
           "mathfrak": "fr"}  # fmt: skip
_SILENT = (
    "displaystyle textstyle limits nolimits nonumber notag big Big bigg Bigg bigl bigr Bigl Bigr"
    " middle"
)
_FENCES = {
    "matrix": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "vmatrix": ("|", "|"),
    "cases": ("{", ""), "align": ("", ""), "aligned": ("", ""), "equation": ("", ""),
    "gather": ("", ""), "array": ("", ""), "eqnarray": ("", ""), "split": ("", ""),
}  # fmt: skip


class Node(NamedTuple):
    """An element of MathML: text or children."""

    name: str
    children: tuple[Node, ...] = ()
    text: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


class _UnknownError(Exception):
    """The formula says what is not understood here."""


def formula(source: str) -> Node | None:
    """Return a formula with its signs (``$…$``, ``$$…$$``, an environment), or None."""
    block = source.startswith(("$$", "\\begin"))
    inner = source.strip("$")
    reader = _Reader(inner)
    try:
        content = reader.row(())
        if reader.position < len(inner.rstrip()) or not content:
            return None
    except _UnknownError:
        return None
    attributes = (("display", "block"),) if block else ()
    if not block and inner.startswith("\\displaystyle"):
        attributes = (("displaystyle", "true"),)
    return Node("math", (_row(content),), attributes=attributes)


def _row(nodes: tuple[Node, ...]) -> Node:
    return nodes[0] if len(nodes) == 1 else Node("mrow", nodes)


@dataclass(slots=True)
class _Reader:
    """Reads a formula from left to right."""

    source: str
    position: int = 0
    depth: int = 0

    def peek(self) -> str:
        found = _PIECE.search(self.source, self.position)
        return found[0] if found else ""

    def take(self) -> str:
        found = _PIECE.search(self.source, self.position)
        if not found:
            raise _UnknownError
        self.position = found.end()
        return found[0]

    def deeper(self) -> None:
        """Count a level, of which there is an end."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _UnknownError

    def row(self, ends: tuple[str, ...]) -> tuple[Node, ...]:
        """Read until one of `ends`, which is left, or the end of the formula."""
        self.deeper()
        nodes: list[Node] = []
        while (piece := self.peek()) and piece not in ends:
            if piece in ("}", "&", "\\\\", "\\right", "\\end"):
                raise _UnknownError
            if one := self.scripted():
                nodes.append(one)
            if piece[1:] in _FUNCTIONS.split() and self.peek() not in ("", "(", "}", "\\right"):
                nodes.append(Node("mspace", attributes=(("width", _SPACES[","]),)))
        if ends and not self.peek():
            raise _UnknownError
        self.depth -= 1
        return tuple(nodes)

    def scripted(self) -> Node | None:
        """Read one thing with what stands below and above it."""
        first = self.peek()
        base = Node("mrow") if first in ("_", "^") else self.one()
        below = above = None
        while (piece := self.peek()) in ("_", "^", "'"):
            self.take()
            if piece == "_" and below is None:
                below = self.argument()
            elif piece == "^" and above is None:
                above = self.argument()
            elif piece == "'" and above is None:
                above = Node("mo", text=html5["prime;"])
            else:
                raise _UnknownError
        if base is None or (below is None and above is None):
            return base
        return _scripts(base, below, above, under=first.lstrip("\\") in _UNDER)

    def argument(self) -> Node:
        """Read a group or a single thing."""
        self.deeper()
        one = self.one()
        self.depth -= 1
        if one is None:
            raise _UnknownError
        return one

    def group(self) -> Node:
        """Read what stands in braces, whose first was read."""
        content = self.row(("}",))
        self.take()
        return _row(content)

    def one(self) -> Node | None:
        """Read one piece or command; None where it stands for nothing."""
        piece = self.take()
        if piece == "{":
            return self.group()
        if piece.startswith("\\"):
            return self.command(piece[1:])
        if piece[0].isdigit():
            return Node("mn", text=piece)
        if piece.isalpha():
            return Node("mi", text=piece)
        if piece in "+-=<>()[]/,.:;!?|*":
            return Node("mo", text=html5["minus;"] if piece == "-" else piece)
        raise _UnknownError

    def command(self, name: str) -> Node | None:
        """Read a command whose backslash was taken off; None where it stands for nothing."""
        if name in _NAMES or name in _FUNCTIONS.split():
            return Node("mi", text=_NAMES.get(name, name))
        if name in _SIGNS:
            return Node("mo", text=_SIGNS[name])
        if name in _SPACES:
            return Node("mspace", attributes=(("width", _SPACES[name]),))
        if name in _SILENT.split() or (name == "label" and self.raw()):
            return None
        if name == "mathrm" and not _RAW.match(self.source, self.position):
            return _upright(self.argument())
        return Node("mtext", text=self.raw()) if name in _UPRIGHT else self.built(name)

    def built(self, name: str) -> Node:
        """Read a command that has arguments."""
        if name in ("frac", "dfrac", "tfrac"):
            return Node("mfrac", (self.argument(), self.argument()))
        if name == "sqrt":
            return self.root()
        if name in _ACCENTS:
            accent = Node("mo", text=_ACCENTS[name])
            return Node("mover", (self.argument(), accent), attributes=(("accent", "true"),))
        if name in _STYLES:
            text = self.raw()
            if not re.fullmatch("[A-Za-z]", text):
                raise _UnknownError
            return Node("mi", text=_styled(text, _STYLES[name]))
        if name == "left":
            return self.fenced()
        if name == "begin":
            return self.environment()
        raise _UnknownError

    def raw(self) -> str:
        """Read text in braces as it is."""
        found = _RAW.match(self.source, self.position)
        if not found:
            raise _UnknownError
        self.position = found.end()
        return found[1]

    def root(self) -> Node:
        if self.peek() != "[":
            return Node("msqrt", (self.argument(),))
        self.take()
        degree = self.row(("]",))
        self.take()
        return Node("mroot", (self.argument(), _row(degree)))

    def fenced(self) -> Node:
        opening = self.delimiter()
        content = self.row(("\\right",))
        self.take()
        return Node("mrow", (*opening, *content, *self.delimiter()))

    def delimiter(self) -> tuple[Node, ...]:
        piece = self.take()
        sign = _SIGNS.get(piece[1:], "") if piece.startswith("\\") else piece
        if piece == ".":
            return ()
        if sign not in "()[]|/{}" and piece[1:] not in _SIGNS:
            raise _UnknownError
        return (Node("mo", text=sign, attributes=(("stretchy", "true"),)),)

    def environment(self) -> Node:
        found = _ENVIRONMENT.match(self.source, self.position)
        if not found or found[1].rstrip("*") not in _FENCES:
            raise _UnknownError
        self.position = found.end()
        name = found[1]
        if name == "array":
            self.raw()
        rows: list[list[Node]] = [[]]
        while True:
            rows[-1].append(Node("mtd", self.row(("&", "\\\\", "\\end"))))
            piece = self.take()
            if piece == "\\\\":
                rows.append([])
            elif piece == "\\end":
                break
        if self.raw() != name:
            raise _UnknownError
        left, right = _FENCES[name.rstrip("*")]
        table = Node("mtable", tuple(Node("mtr", tuple(cells)) for cells in rows))
        fences = [(Node("mo", text=one),) if one else () for one in (left, right)]
        return Node("mrow", (*fences[0], table, *fences[1]))


def _scripts(base: Node, below: Node | None, above: Node | None, *, under: bool) -> Node:
    if below is not None and above is not None:
        return Node("munderover" if under else "msubsup", (base, below, above))
    if below is not None:
        return Node("munder" if under else "msub", (base, below))
    return Node("mover" if under else "msup", (base, *((above,) if above else ())))


def _styled(letter: str, style: str) -> str:
    """Return a letter in bold, double-struck as the sets of numbers are, in script or Fraktur."""
    if style:
        return html5[f"{letter}{style};"]
    start = 0x1D400 if letter.isupper() else 0x1D41A
    return chr(start + ord(letter.upper()) - ord("A"))


def _upright(node: Node) -> Node:
    """Return a formula whose letters stand upright, as those of units do."""
    if node.name == "mi":
        return node._replace(attributes=(("mathvariant", "normal"),))
    return node._replace(children=tuple(map(_upright, node.children)))
