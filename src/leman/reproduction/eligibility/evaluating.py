"""The value of an expression as far as it is known, and what its calls do on the way."""

from __future__ import annotations

import ast
import operator
import posixpath
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leman.reproduction.eligibility.known import (
    ANY,
    MOST,
    ROOT,
    UNKNOWN,
    Named,
    added,
    attribute,
    builtin,
    each,
    either,
    formatted,
    item,
    items,
    joined,
    method,
    percent,
    text,
    whole,
)
from leman.reproduction.eligibility.touching import addressed, drawn, effects, guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leman.reproduction.eligibility.touching import Kind

STEPS = 60_000  # nodes looked at for one notebook, about half a second
HERE = "<folder>"  # the name of the working folder in a scope
_DEEPEST = 5  # calls of the notebook's own functions inside each other

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_PATHS = frozenset({"Path", "PurePath", "PosixPath", "PurePosixPath", "pathlib.Path"})
_SAME_PATH = frozenset({"normpath", "expanduser", "expandvars", "fspath", "Path", "PurePath"})


class Enough(Exception):  # noqa: N818 - no error: a bound was reached, what was found stands
    """The notebook was looked at for long enough."""


@dataclass(slots=True, eq=False)
class Routine:
    """A function of the code, with the scope that it was defined in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    home: dict[str, Any]
    owner: object = None  # the object of a method


@dataclass(slots=True, eq=False)
class Kept:
    """A class of the code, or an object of it: its methods, and what its attributes hold."""

    methods: dict[str, Routine]
    fields: dict[str, Any] = field(default_factory=dict)
    made: bool = False


class Evaluator:
    """The scope at one point of a notebook, and all that was found until there."""

    def __init__(self, exists: Callable[[str, bool], bool | None]) -> None:
        """Start with nothing known; `exists` tells what is known of a path and "may be made"."""
        self.exists = exists
        self.scope: dict[str, Any] = {}
        self.sure = True
        self.steps = 0
        self.depth = 0
        self.commands = False
        self.found: list[tuple[Kind, object, bool]] = []

    def enter(self, routine: Routine, args: Sequence[object], named: dict[str, object]) -> object:
        """Return what a call of the code's own function gives."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: object) -> None:
        """Bind what stands left of ``=``."""
        raise NotImplementedError

    @contextmanager
    def maybe(self, *, unsure: bool = True) -> Iterator[None]:
        """Whatever happens inside may as well not happen."""
        before = self.sure
        self.sure = before and not unsure
        try:
            yield
        finally:
            self.sure = before

    def add(self, kind: Kind, value: object) -> None:
        """Remember what a call does, where it surely does it; what may be written always counts."""
        if kind == "unless":  # as a program that ran, where the file is or may be there
            path = guard(value)
            kind = "network" if path and self._exists(path) is False else "command"
        if kind == "command":
            self.commands = True
        if self.sure or kind in {"write", "hand", "command"}:
            place = (
                each(self.placed, value) if kind not in {"address", "network", "command"} else value
            )
            self.found.append((kind, place, self.commands))

    def placed(self, name: object) -> object:
        """Return a path as seen from the working folder."""
        folder = self.scope.get(HERE, UNKNOWN)
        if isinstance(name, tuple):
            return tuple(map(self.placed, name))
        if not isinstance(name, str) or name.startswith(("~", ANY)):
            return name
        if name[1:2] == ":" or name.startswith(("/", "\\")):
            return name
        return joined(folder, name.replace("\\", "/"))

    def value(self, node: ast.expr | None) -> object:
        """Return what is known of an expression, and do what its calls do."""
        self.steps += 1
        if self.steps > STEPS:
            raise Enough
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler:
            return handler(node)
        for child in ast.iter_child_nodes(node) if node else ():
            if isinstance(child, ast.expr):
                self.value(child)
        return UNKNOWN

    def _constant(self, node: ast.Constant) -> object:
        value = node.value
        if isinstance(value, str) and (ANY in value or ROOT in value or len(value) > 4096):
            return UNKNOWN
        return value if isinstance(value, str | int | float) or value is None else UNKNOWN

    def _name(self, node: ast.Name) -> object:
        return self.scope.get(node.id, Named(node.id))

    def _tuple(self, node: ast.Tuple | ast.List | ast.Set) -> object:
        found: list[object] = []
        for one in node.elts:
            if isinstance(one, ast.Starred):
                inner = items(self.value(one.value))
                if inner is None:
                    return UNKNOWN
                found.extend(inner)
            else:
                found.append(self.value(one))
        return tuple(found) if len(found) <= 4096 else UNKNOWN

    _list = _set = _tuple

    def _dict(self, node: ast.Dict) -> object:
        found: dict[Any, object] = {}
        for key, one in zip(node.keys, node.values, strict=True):
            name, value = self.value(key), self.value(one)
            if not (isinstance(name, str | int | float) and whole(name)):
                return UNKNOWN
            found[name] = value
        return found

    def _joinedstr(self, node: ast.JoinedStr) -> object:
        out: object = ""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.value(part.value)
                spec = self.value(part.format_spec) if part.format_spec else ""
                shown = each(formatted, value, spec) if part.conversion in {-1, 115} else ANY
            else:
                shown = self.value(part)
            out = each(lambda left, right: text(left) + text(right), out, shown)
        return out

    def _binop(self, node: ast.BinOp) -> object:
        left, right = self.value(node.left), self.value(node.right)
        return each(lambda one, other: _combined(node.op, one, other), left, right)

    def _boolop(self, node: ast.BoolOp) -> object:
        last = self.value(node.values[0])
        for one in node.values[1:]:
            known = whole(last) or last is None
            if known and bool(last) is isinstance(node.op, ast.Or):
                return last
            with self.maybe(unsure=not known):
                value = self.value(one)
            last = value if known else UNKNOWN
        return last

    def _unaryop(self, node: ast.UnaryOp) -> object:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            known = whole(value) or value is None or isinstance(value, tuple | dict)
            return not value if known else UNKNOWN
        if isinstance(node.op, ast.USub) and isinstance(value, int | float):
            return -value
        return UNKNOWN

    def _compare(self, node: ast.Compare) -> object:
        left = self.value(node.left)
        rights = [self.value(one) for one in node.comparators]
        if len(rights) != 1:
            return UNKNOWN
        return each(lambda one, other: _compared(node.ops[0], one, other), left, rights[0])

    def _ifexp(self, node: ast.IfExp) -> object:
        test = self.truth(node.test)
        if test is not None:
            return self.value(node.body if test else node.orelse)
        with self.maybe():
            return either([self.value(node.body), self.value(node.orelse)])

    def truth(self, test: ast.expr) -> bool | None:
        """Return whether a test holds, None if that is not known."""
        with self.maybe():
            value = self.value(test)
        known = whole(value) or value is None or isinstance(value, tuple | dict)
        return bool(value) if known else None

    def _subscript(self, node: ast.Subscript) -> object:
        value = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            ends = [node.slice.lower, node.slice.upper, node.slice.step]
            known = [self.value(end) if end else None for end in ends]
            if not all(one is None or isinstance(one, int) for one in known):
                return UNKNOWN
            return each(lambda one: item(one, slice(*known)), value)
        return each(item, value, self.value(node.slice))

    def _attribute(self, node: ast.Attribute) -> object:
        value = self.value(node.value)
        if isinstance(value, Kept):
            return value.fields.get(node.attr, value.methods.get(node.attr, UNKNOWN))
        part = each(lambda one: attribute(one, node.attr), value)
        if part is not None:
            return part
        found = value.part(f".{node.attr}") if isinstance(value, Named) else Named(f"?.{node.attr}")
        if drawn(found.name):
            self.add("network", found.name)
        return found

    def _namedexpr(self, node: ast.NamedExpr) -> object:
        value = self.value(node.value)
        self.assign(node.target, value)
        return value

    def _lambda(self, _: ast.Lambda) -> object:
        return UNKNOWN

    def _listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> object:
        found: list[object] = []
        before = dict(self.scope)
        sure = self._turns(node.generators, lambda: found.append(self.value(node.elt)))
        self.scope.clear()
        self.scope.update(before)
        return tuple(found) if sure and len(found) <= 4096 else UNKNOWN

    _setcomp = _generatorexp = _listcomp

    def _dictcomp(self, node: ast.DictComp) -> object:
        found: list[tuple[object, object]] = []
        before = dict(self.scope)
        sure = self._turns(
            node.generators,
            lambda: found.append((self.value(node.key), self.value(node.value))),
        )
        self.scope.clear()
        self.scope.update(before)
        known = sure and all(isinstance(key, str | int) and whole(key) for key, _ in found)
        return dict(found) if known else UNKNOWN

    def _turns(self, loops: list[ast.comprehension], do: Callable[[], object]) -> bool:
        """Go through the loops of a comprehension; return whether every turn is known."""
        if not loops:
            do()
            return True
        loop = loops[0]
        over = items(self.value(loop.iter))
        known = over is not None and len(over) <= MOST
        for one in (over or ())[:MOST] if over is not None else (UNKNOWN,):
            self.assign(loop.target, one)
            tests = [self.truth(test) for test in loop.ifs]
            if False in tests:
                continue
            with self.maybe(unsure=None in tests):
                known = self._turns(loops[1:], do) and known and None not in tests
        return known

    def _call(self, node: ast.Call) -> object:
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            if owner is None or isinstance(owner, int | float):  # a value that is still to come
                owner = UNKNOWN
            if not isinstance(owner, Named | Kept):
                return self._method(owner, node)
            function = self._of(owner, node.func.attr)
        else:
            function = self.value(node.func)
        args, named = self._arguments(node)
        if isinstance(function, Routine):
            return self.enter(function, args, named)
        if isinstance(function, Kept):
            thing = Kept(function.methods, dict(function.fields), made=True)
            thing.methods = {
                name: Routine(one.node, one.home, thing) for name, one in thing.methods.items()
            }
            if "__init__" in thing.methods:
                self.enter(thing.methods["__init__"], args, named)
            return thing
        return self._foreign(function.name if isinstance(function, Named) else "?", args, named)

    def _of(self, owner: Named | Kept, name: str) -> object:
        if isinstance(owner, Kept):
            return owner.fields.get(name, owner.methods.get(name, Named(f"?.{name}")))
        return owner.part(f".{name}")

    def _arguments(self, node: ast.Call) -> tuple[list[object], dict[str, object]]:
        args: list[object] = []
        for one in node.args:
            if isinstance(one, ast.Starred):
                inner = items(self.value(one.value))
                args.extend((UNKNOWN,) if inner is None else inner)
            else:
                args.append(self.value(one))
        return args, {one.arg or "**": self.value(one.value) for one in node.keywords}

    def _method(self, owner: object, node: ast.Call) -> object:
        """Call a method of a text (or path), a list or a dict."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        args, named = self._arguments(node)
        if name in {"append", "extend", "insert", "remove", "pop", "clear", "update"}:
            return self._changed(owner, name, args, node)
        if name in {"read_text", "read_bytes", "write_text", "write_bytes", "open", "mkdir"}:
            if name == "open":
                mode = args[0] if args else named.get("mode", "r")
                return self._foreign("open", [owner, mode], {})
            self.add("read" if name.startswith("read") else "write", owner)
            return UNKNOWN
        if name in {"glob", "rglob"} and args:
            pattern = each(joined, owner, "**" if name == "rglob" else "", args[0])
            self.add("glob", pattern)
        elif name == "iterdir":
            self.add("list", owner)
        elif name in {"exists", "is_file", "is_dir"}:
            return self._exists(owner)
        return each(lambda one: method(one, name, args, named), owner)

    def _changed(self, owner: object, name: str, args: list[object], node: ast.Call) -> object:
        func = node.func
        if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name):
            return UNKNOWN
        new: object = UNKNOWN
        if isinstance(owner, tuple) and args and self.sure and len(owner) < 4096:
            if name == "append":
                new = (*owner, args[0])
            elif name == "extend" and isinstance(args[0], tuple):
                new = owner + args[0]
        if name in {"pop", "remove", "clear", "insert", "append", "extend"} or owner is not new:
            self.scope[func.value.id] = new
        return UNKNOWN

    def _exists(self, path: object) -> object:
        return each(lambda one: self._there(self.placed(one)), path)

    def _there(self, place: object) -> object:
        if not isinstance(place, str) or ANY in place:
            return UNKNOWN
        answer = self.exists(place, self.commands)
        if answer is False and any(kind == "write" for kind, _, _ in self.found):
            base = posixpath.basename(place)
            written = [text(one) for kind, one, _ in self.found if kind == "write"]
            if any(base in name or ANY in name for name in written):
                return UNKNOWN
        return UNKNOWN if answer is None else answer

    def _foreign(self, name: str, args: list[object], named: dict[str, object]) -> object:
        """Call a function that is not the code's own: what it gives, and what it does."""
        last = name.rsplit(".", maxsplit=1)[-1]
        known = self._paths(name, last, args)
        if known is not None:
            return known
        if "." not in name:
            found = builtin(name, args, named)
            if found is not None:
                return found
        if name == "os.chdir":
            self.scope[HERE] = each(self.placed, args[0]) if args else UNKNOWN
            return None
        for kind, value in effects(name, args, named):
            self.add("address" if kind == "read" and addressed(value) else kind, value)
        return Named(name).part("()")

    def _paths(self, name: str, last: str, args: list[object]) -> object:
        """Return what functions on paths give; None if it is none of these."""
        of_path = "path" in name.split(".")[-2:-1]
        if name in {"os.getcwd", "os.getcwdu", "pathlib.Path.cwd", "Path.cwd", "getcwd"}:
            return self.scope.get(HERE, UNKNOWN)
        if name in {"pathlib.Path.home", "Path.home"}:
            return "~"
        if last in _PATHS or (last == "join" and of_path):
            return each(joined, *args) if args else "."
        if args and of_path and last in {"exists", "isfile", "isdir", "lexists"}:
            return self._exists(args[0])
        return each(lambda one: self._parts(last, one), args[0]) if args and of_path else None

    def _parts(self, last: str, path: object) -> object:  # noqa: PLR0911 - one line a function
        if not isinstance(path, str):
            return UNKNOWN
        if last in {"abspath", "realpath"}:
            return self.placed(path)
        if last in _SAME_PATH:
            return path
        if last == "dirname":
            return posixpath.dirname(path)
        if last == "basename":
            return attribute(path, "name")
        if last == "splitext" and ANY not in posixpath.basename(path):
            return posixpath.splitext(path)
        return posixpath.split(path) if last == "split" and ANY not in path else UNKNOWN


def _combined(sign: ast.operator, left: object, right: object) -> object:  # noqa: PLR0911 - signs
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if numbers:
        function = _ARITHMETIC.get(type(sign))
        if function is None or abs(left) > 10**9 or abs(right) > 10**9:  # type: ignore[arg-type]
            return UNKNOWN
        return function(left, right) if right or isinstance(sign, ast.Add | ast.Sub) else UNKNOWN
    if isinstance(sign, ast.Add):
        return added(left, right)
    if isinstance(sign, ast.Mod) and isinstance(left, str):
        return percent(left, right)
    if isinstance(sign, ast.Div) and (isinstance(left, str) or isinstance(right, str)):
        return joined(left, right)
    if isinstance(sign, ast.Mult) and isinstance(left, tuple) and isinstance(right, int):
        return left * right if 0 <= len(left) * right <= 4096 else UNKNOWN
    return UNKNOWN


def _compared(sign: ast.cmpop, left: object, right: object) -> object:
    if isinstance(sign, ast.In | ast.NotIn):
        over = items(right)
        if over is None or not whole(left) or not all(map(whole, over)):
            return UNKNOWN
        inside = (
            (left in right) if isinstance(left, str) and isinstance(right, str) else left in over
        )
        return inside is isinstance(sign, ast.In)
    none = left is None or right is None
    known = all(whole(one) or one is None for one in (left, right))
    if not known or (none and not isinstance(sign, ast.Is | ast.IsNot | ast.Eq | ast.NotEq)):
        return UNKNOWN
    try:
        return bool(_ORDER[type(sign)](left, right))
    except (TypeError, KeyError):
        return UNKNOWN
