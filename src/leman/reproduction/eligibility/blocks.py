"""What stands inside a loop or a function: jumps, and names that it binds or changes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMOVES = frozenset({"remove", "unlink", "rmtree"})


@dataclass(frozen=True, slots=True)
class Block:
    """The traits of a block of code, nested ones included."""

    size: int = 0
    breaks: bool = False
    returns: bool = False
    yields: bool = False
    removes: bool = False
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()  # names that a method is called of
    shared: frozenset[str] = frozenset()  # names declared global


def traits_of(body: Sequence[ast.AST]) -> Block:
    """Return the traits of statements."""
    kinds: set[type[ast.AST]] = set()
    binds, changes, shared, removes, size = set(), set(), set(), False, 0
    for one in (inner for stmt in body for inner in ast.walk(stmt)):
        size += 1
        kinds.add(type(one))
        match one:
            case ast.Name(id=name, ctx=ast.Store()):
                binds.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                changes.add(name)
            case ast.Global(names=names):
                shared.update(names)
        removes = removes or (isinstance(one, ast.Attribute) and one.attr in _REMOVES)
    return Block(
        size,
        breaks=ast.Break in kinds,
        returns=bool({ast.Return, ast.Raise} & kinds),
        yields=bool({ast.Yield, ast.YieldFrom} & kinds),
        removes=removes,
        binds=frozenset(binds),
        changes=frozenset(changes),
        shared=frozenset(shared),
    )
