"""What a notebook's code surely does with files and addresses, told without running it.

Code cells are walked in order with what is known of each name. A loop over known values is gone
through turn by turn, a function of the notebook is entered where it is called, a branch is
followed where its test is known. What stands under ``try``, under a test that is not known or
behind a ``return`` that may happen is not sure, and only counts as something that may be written.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from leman.environments.infer import python_source
from leman.reproduction.eligibility.blocks import Block, traits_of
from leman.reproduction.eligibility.evaluating import HERE, Enough, Evaluator, Kept, Routine
from leman.reproduction.eligibility.known import (
    MOST,
    ROOT,
    UNKNOWN,
    Named,
    added,
    each,
    either,
    items,
    options,
)
from leman.reproduction.eligibility.touching import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from leman.reproduction.eligibility.touching import Kind

_LONGEST = 300_000  # characters of a cell
_LINE = 2_000  # characters of a magic
_WHOLE = 1_000_000  # characters of a notebook
_DEEPEST = 5  # calls of own functions inside each other
_SHELL = re.compile(r"^(\s*)(?:[\w, ]+=\s*)?!{1,2}\s*(.*)$")
_FOLDER = re.compile(r"^(\s*)%?cd\s+([^\s'\"=].*?|'[^']*'|\"[^\"]*\")\s*$")
_SCRIPT = re.compile(r"^\s*%%(?:bash|sh|system|!|script\s+(?:bash|sh))\b.*\n")
_RUN = re.compile(r"^(\s*)%run\b(.*)$")


@dataclass(frozen=True, slots=True)
class Touch:
    """Something that a notebook does with a file, a folder or an address.

    `names` are the possible values, of which one holds; a path of the source begins with
    `known.ROOT`, and what is not known of it is `known.ANY`. `after_command` tells that a program
    ran before, which may have written anything.
    """

    kind: Kind
    names: tuple[str, ...]
    after_command: bool = False


class Flow(IntEnum):
    """Whether what stands behind a statement is reached."""

    GOES_ON = 0
    MAY_LEAVE = 1
    LEAVES = 2


def touches(
    cells: Iterable[str],
    *,
    folder: str = "",
    exists: Callable[[str, bool], bool | None] = lambda _, __: None,
    modules: Callable[[str], tuple[str, str] | None] = lambda _: None,
) -> tuple[Touch, ...]:
    """Return what cells (as in a notebook, with magics) surely do, in their order.

    `folder` is the notebook's, below the source; `exists` says of a path (and whether a program
    ran before) if it is there, None where a run may make it; `modules` gives the path and code of
    a module of the source. Never raises for what code says.
    """
    walk = _Walk(exists, modules)
    walk.scope["__name__"] = "__main__"
    walk.scope[HERE] = f"{ROOT}/{folder}" if folder not in {"", "."} else ROOT
    room = _WHOLE
    for cell in cells:
        room -= len(cell)
        if room < 0:
            break
        try:
            walk.cell(cell)
        except Enough:
            break
        except (RecursionError, MemoryError):
            walk.forget()
    return tuple(_touches(walk.found))


def _touches(found: list[tuple[Kind, object, bool]]) -> Iterator[Touch]:
    seen: set[tuple[Kind, tuple[str, ...]]] = set()
    for kind, value, after in found:
        for one in value if isinstance(value, tuple) else (value,):
            names = tuple(name for name in options(one) if isinstance(name, str))
            if len(names) == len(options(one)) and (kind, names) not in seen:
                seen.add((kind, names))
                yield Touch(kind, names, after)


class _Walk(Evaluator):
    """Statements, one after the other."""

    def __init__(
        self,
        exists: Callable[[str, bool], bool | None],
        modules: Callable[[str], tuple[str, str] | None],
    ) -> None:
        super().__init__(exists)
        self.modules = modules
        self.seen: dict[ast.AST, Block] = {}
        self.loaded: dict[str, Kept] = {}

    def forget(self) -> None:
        """Take everything that is known of names as not known, but for the working folder."""
        self.sure, self.depth = True, 0
        for name in self.scope:
            if name != HERE:
                self.scope[name] = UNKNOWN

    def cell(self, cell: str) -> None:
        """Go through one cell."""
        script = _SCRIPT.match(cell)
        if script:
            for kind, value in shell(cell[script.end() :]):
                self.add(kind, value)
            return
        code = python_source("\n".join(map(_plain, cell.splitlines())))
        tree = _parsed(code) if len(code) <= _LONGEST else None
        if tree is None:
            self.forget()
        else:
            self.block(tree.body)

    def block(self, body: Sequence[ast.stmt]) -> Flow:
        """Go through statements; return whether what follows them is reached."""
        flow = Flow.GOES_ON
        before = self.sure
        for one in body:
            self.steps += 1
            if self.steps % 64 == 0:
                self.value(None)
            went = self._statement(one)
            flow = max(flow, went)
            if went is Flow.LEAVES:
                break
            if went is Flow.MAY_LEAVE:
                self.sure = False
        self.sure = before
        return flow

    def _statement(self, node: ast.stmt) -> Flow:
        handler = getattr(self, f"_do_{type(node).__name__.lower()}", None)
        if handler:
            return handler(node) or Flow.GOES_ON
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
        return Flow.GOES_ON

    def _do_assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.assign(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.assign(node.target, self.value(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        value = self.value(node.value)
        if isinstance(node.target, ast.Name):
            expression = ast.BinOp(node.target, node.op, node.value)
            plain = isinstance(node.op, ast.Add) and self.scope.get(node.target.id) is not None
            old = self.scope.get(node.target.id, UNKNOWN)
            new = each(added, old, value) if plain and not _number(value) else UNKNOWN
            self.scope[node.target.id] = new if not _number(value) else self.value(expression)

    def assign(self, target: ast.expr, value: object) -> None:
        """Bind what stands left of ``=``."""
        if isinstance(target, ast.Name):
            self.scope[target.id] = value
        elif isinstance(target, ast.Starred):
            self.assign(target.value, UNKNOWN)
        elif isinstance(target, ast.Tuple | ast.List):
            parts = items(value)
            starred = any(isinstance(one, ast.Starred) for one in target.elts)
            if parts is None or len(parts) != len(target.elts) or starred:
                parts = (UNKNOWN,) * len(target.elts)
            for one, part in zip(target.elts, parts, strict=True):
                self.assign(one, part)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value)
            if isinstance(owner, Kept):
                owner.fields[target.attr] = value if self.sure else UNKNOWN
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            old, key = self.scope.get(target.value.id), self.value(target.slice)
            known = isinstance(old, dict) and isinstance(key, str | int) and self.sure
            new = {**old, key: value} if isinstance(old, dict) and known else UNKNOWN
            self.scope[target.value.id] = new

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript | ast.Attribute):
                target = target.value  # noqa: PLW2901 - what it is deleted from
            if isinstance(target, ast.Name):
                self.scope[target.id] = UNKNOWN

    def _do_if(self, node: ast.If) -> Flow:
        test = self.truth(node.test)
        if test is not None:
            return self.block(node.body if test else node.orelse)
        return self._branches([node.body, node.orelse])

    def _branches(self, ways: Sequence[Sequence[ast.stmt]]) -> Flow:
        """Go through blocks of which one is run; what they bind is one of several values."""
        before = dict(self.scope)
        ends, flows = [], []
        for body in ways:
            self._restore(before)
            with self.maybe():
                flows.append(self.block(body))
            if flows[-1] is not Flow.LEAVES:
                ends.append(dict(self.scope))
        ends = ends or [before]
        self._restore(ends[0])
        for name in {name for end in ends for name in end} if len(ends) > 1 else ():
            values = [end.get(name, UNKNOWN) for end in ends]
            if any(value is not values[0] for value in values):
                self.scope[name] = either(values)
        return min(flows) if min(flows) == max(flows) else Flow.MAY_LEAVE

    def _restore(self, scope: dict[str, Any]) -> None:
        self.steps += len(scope) // 8
        self.scope.clear()
        self.scope.update(scope)

    def _do_try(self, node: ast.Try) -> Flow:
        if not node.handlers:
            flow = self.block(node.body)
        else:
            flow = self._branches(
                [[*node.body, *node.orelse], *(one.body for one in node.handlers)]
            )
        return max(flow, self.block(node.finalbody))

    _do_trystar = _do_try

    def _traits(self, node: ast.AST, body: Sequence[ast.stmt]) -> Block:
        if node not in self.seen:
            self.seen[node] = traits_of(body)
            self.steps += self.seen[node].size
        return self.seen[node]

    def _do_for(self, node: ast.For | ast.AsyncFor) -> Flow:
        with self.maybe(unsure=self._traits(node, node.body).removes):
            over = items(self.value(node.iter))
        flow = self._unknown_turn(node) if over is None else self._turns_of(node, over)
        return max(flow, self.block(node.orelse))

    def _turns_of(self, node: ast.For | ast.AsyncFor, over: tuple[Any, ...]) -> Flow:
        flow, before, traits = Flow.GOES_ON, self.sure, self._traits(node, node.body)
        for one in over[:MOST]:
            self.assign(node.target, one)
            went = self.block(node.body)
            if went and traits.returns:
                flow = Flow.MAY_LEAVE
            if went is Flow.LEAVES and (traits.breaks or flow):
                break
            if went and (traits.breaks or flow):
                self.sure = False
        self.sure = before
        if len(over) > MOST:
            self._blur(node, traits)
        return flow

    def _unknown_turn(self, node: ast.For | ast.AsyncFor | ast.While) -> Flow:
        traits = self._traits(node, node.body)
        self._blur(node, traits)
        flow = self.block(node.body)
        self._blur(node, traits)
        return Flow.MAY_LEAVE if flow and traits.returns else Flow.GOES_ON

    def _blur(self, node: ast.For | ast.AsyncFor | ast.While, traits: Block) -> None:
        """Take what a loop binds or changes as not known."""
        if not isinstance(node, ast.While):
            self.assign(node.target, UNKNOWN)
        for name in traits.binds:
            self.scope[name] = UNKNOWN
        for name in traits.changes:
            if isinstance(self.scope.get(name), tuple | dict):
                self.scope[name] = UNKNOWN

    _do_asyncfor = _do_for

    def _do_while(self, node: ast.While) -> Flow:
        self._blur(node, self._traits(node, node.body))
        test = self.truth(node.test)
        with self.maybe(unsure=test is None):
            return self._unknown_turn(node) if test is not False else Flow.GOES_ON

    def _do_with(self, node: ast.With | ast.AsyncWith) -> Flow:
        hidden = False
        for one in node.items:
            value = self.value(one.context_expr)
            hidden = hidden or (isinstance(value, Named) and "suppress" in value.name)
            if one.optional_vars:
                self.assign(one.optional_vars, value)
        with self.maybe(unsure=hidden):
            return self.block(node.body)

    _do_asyncwith = _do_with

    def _do_return(self, node: ast.Return) -> Flow:
        value = self.value(node.value) if node.value else None
        self.scope.setdefault("<returned>", []).append(value)
        return Flow.LEAVES

    def _do_raise(self, node: ast.Raise) -> Flow:
        self.value(node.exc)
        return Flow.LEAVES

    def _do_break(self, _: ast.Break) -> Flow:
        return Flow.LEAVES

    _do_continue = _do_break

    def _do_match(self, node: ast.Match) -> Flow:
        self.value(node.subject)
        return self._branches([*(one.body for one in node.cases), []])

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            self.scope[alias.asname or name] = self._module(name) or Named(name)

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        module = self._module("." * node.level + (node.module or ""))
        for alias in node.names:
            name = f"{node.module or ''}.{alias.name}"
            if module is None:
                if alias.name != "*":
                    self.scope[alias.asname or alias.name] = self._module(name) or Named(name)
            elif alias.name == "*":
                self.scope.update(module.fields)
            else:
                kept = module.fields.get(alias.name, Named(name))
                self.scope[alias.asname or alias.name] = kept

    def _module(self, name: str) -> Kept | None:
        """Run the top level of a module of the source; return what it defines."""
        if name in self.loaded:
            return self.loaded[name]
        found = self.modules(name) if self.depth < _DEEPEST else None
        tree = _parsed(found[1]) if found and len(found[1]) <= _LONGEST else None
        if found is None or tree is None:
            return None
        outer, folder = self.scope, self.scope.get(HERE, UNKNOWN)
        self.loaded[name] = module = Kept({}, {HERE: folder, "__file__": f"{ROOT}/{found[0]}"})
        self.scope = module.fields
        self.scope["__name__"] = name
        self.depth += 1
        try:
            self.block(tree.body)
        finally:
            self.depth -= 1
            self.scope = outer
        outer[HERE] = module.fields.pop(HERE, folder)
        module.fields.pop("__file__", None)
        module.fields.pop("__name__", None)
        return module

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope[node.name] = Routine(node, self.scope)

    _do_asyncfunctiondef = _do_functiondef

    def _do_classdef(self, node: ast.ClassDef) -> None:
        bodies = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        kept = Kept({one.name: Routine(one, self.scope) for one in bodies})
        for one in node.body:
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                kept.fields[one.targets[0].id] = self.value(one.value)
        self.scope[node.name] = kept

    def enter(self, routine: Routine, args: Sequence[object], named: dict[str, object]) -> object:
        """Go through a function of the code with what it is called with."""
        if self.depth >= _DEEPEST:
            return UNKNOWN
        outer, node = self.scope, routine.node
        traits = self._traits(node, node.body)
        given = [routine.owner, *args] if routine.owner is not None else list(args)
        self.steps += 8 + len(routine.home) // 8
        inner = {**routine.home, HERE: outer.get(HERE, UNKNOWN), "<returned>": []}
        self.scope = routine.home
        inner.update(self._bound(node.args, given, named))
        self.scope = inner
        self.depth += 1
        try:
            if self.block(node.body) is not Flow.LEAVES:
                inner["<returned>"].append(None)
        finally:
            self.depth -= 1
            self.scope = outer
        outer[HERE] = inner.get(HERE, UNKNOWN)
        for one in traits.shared:
            routine.home[one] = inner.get(one, UNKNOWN)
        returned = inner.get("<returned>")
        return either(returned) if isinstance(returned, list) and not traits.yields else UNKNOWN

    def _bound(
        self, wanted: ast.arguments, args: Sequence[object], named: dict[str, object]
    ) -> Iterator[tuple[str, object]]:
        names = [one.arg for one in (*wanted.posonlyargs, *wanted.args)]
        defaults = dict(zip(names[::-1], wanted.defaults[::-1], strict=False))
        for one, default in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True):
            if default:
                defaults[one.arg] = default
        for name in [*names, *(one.arg for one in wanted.kwonlyargs)]:
            place = names.index(name) if name in names else len(args)
            if place < len(args):
                yield name, args[place]
            elif name in named:
                yield name, named[name]
            else:
                spread = "**" in named
                yield name, UNKNOWN if spread else self.value(defaults.get(name))
        for rest in (wanted.vararg, wanted.kwarg):
            if rest:
                yield rest.arg, UNKNOWN


def _plain(line: str) -> str:
    """Return a magic that matters as Python: a shell's line, a change of folder."""
    if len(line) > _LINE:
        return line
    if match := _SHELL.match(line):
        return f"{match[1]}get_ipython().system({match[2]!r})"
    if match := _FOLDER.match(line):
        return f"{match[1]}__import__('os') and os.chdir({match[2].strip(chr(39) + chr(34))!r})"
    if match := _RUN.match(line):
        return f"{match[1]}get_ipython().system({'run ' + match[2]!r})"
    return line


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _number(value: object) -> bool:
    return isinstance(value, int | float)
