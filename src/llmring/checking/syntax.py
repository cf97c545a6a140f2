"""What the syntax tree of a module says of its names and its calls."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

__all__ = ["CLASSES", "argument", "entry", "foreign", "given", "imported", "root"]

CLASSES = frozenset({"LLMRequest", "LLMRing"})
"""Those of llmring that are told an alias or a profile."""


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument of a call, by its name or its position; `None` where it is not there, or cannot be told."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or len(call.args) <= position:
        return None
    starred = any(isinstance(it, ast.Starred) for it in call.args[: position + 1])
    return None if starred else call.args[position]


def entry(table: ast.expr | None, key: str) -> ast.expr | None:
    """What a dictionary that is written out has under a key."""
    if isinstance(table, ast.Call):
        return argument(table, key) if isinstance(table.func, ast.Name) and table.func.id == "dict" else None
    pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
    found = [value for it, value in pairs if isinstance(it, ast.Constant) and it.value == key]
    return found[-1] if found else None


def root(node: ast.expr) -> str | None:
    """The name that an expression like `a.b().c` begins with."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript | ast.Await):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def imported(tree: ast.Module, packages: Collection[str]) -> dict[str, str]:
    """By which names a module knows our classes."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level or (node.module or "").partition(".")[0] in packages:
            for it in node.names:
                if it.name == "*":
                    names.update({name: name for name in CLASSES})
                elif it.name in CLASSES:
                    names[it.asname or it.name] = it.name
    return names


def foreign(tree: ast.Module, packages: Collection[str]) -> set[str]:
    """The names that a module has from somebody else's package."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bound = [(it.asname or it.name.partition(".")[0], it.name) for it in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            bound = [(it.asname or it.name, node.module or "") for it in node.names]
        else:
            continue
        names.update(name for name, module in bound if module.partition(".")[0] not in packages)
    return names


def given(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """What each name is given anywhere in a module, or said to be."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                yield name, annotation
                yield name, value
            case ast.arg(arg=name, annotation=annotation):
                yield name, annotation
