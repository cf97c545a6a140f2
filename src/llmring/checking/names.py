"""What the names of a module stand for: those that are given one value where they belong, and never another one."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

__all__ = ["Names"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Key = tuple[ast.AST, str]


class Names:
    """The names of a module, each in the module, the class or the function to which it belongs.

    A parameter stands for its default, an attribute of a class for what the class or its `self` is given, the value of
    an enumeration's member for what the member is given. The variable of a loop stands for the items, as `*items`.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._scope: dict[ast.AST, ast.AST] = {}  # of each node,
        self._around: dict[ast.AST, ast.AST] = {}  # and what is around each scope
        self._stored: Counter[_Key] = Counter()
        self._given: dict[_Key, ast.expr] = {}
        self._shared: set[str] = set()  # names that a function gives to somebody else's scope
        self._walk(tree)
        for node, scope in self._scope.items():
            self._stored.update((scope, name) for name in _stored(node))
            self._attribute(node)
            for target, value in _given(node):
                self._give(target, value)

    def value(self, node: ast.expr) -> ast.expr | None:
        """What a name or an attribute stands for; `None` where that cannot be told."""
        match node:
            case ast.Name(id=name):
                key = next((it for it in self._visible(node, name) if it in self._stored), None)
            case ast.Attribute(value=member, attr="value") if (of_enum := self._member(member)) is not None:
                key = of_enum
            case ast.Attribute():
                key = self._key(node)
            case _:
                return None
        if key is None or self._stored[key] != 1 or key[1] in self._shared:
            return None
        return self._given.get(key)

    def _member(self, node: ast.expr) -> _Key | None:
        """The member of an enumeration that an expression stands for."""
        found = (self.value(node) if isinstance(node, ast.Name) else None) or node
        key = self._key(found) if isinstance(found, ast.Attribute) else None
        is_enum = key is not None and any(ast.unparse(it).endswith("Enum") for it in getattr(key[0], "bases", ()))
        return key if is_enum else None

    def _walk(self, tree: ast.Module) -> None:
        nodes: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
        while nodes:
            node, scope = nodes.pop()
            self._scope[node] = scope
            inner = scope
            if isinstance(node, _Function | ast.ClassDef):
                inner = node
                self._around[node] = scope
            elif isinstance(node, ast.Global | ast.Nonlocal):
                self._shared.update(node.names)
            for child in ast.iter_child_nodes(node):
                is_default = isinstance(node, ast.arguments) and not isinstance(child, ast.arg)
                nodes.append((child, self._around[scope] if is_default else inner))

    def _attribute(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and (key := self._key(node)):
            self._stored[key] += 1

    def _give(self, target: ast.AST, value: ast.expr) -> None:
        key = None
        match target:
            case ast.Name(id=name) | ast.arg(arg=name):
                key = self._scope[target], name
            case ast.Attribute():
                key = self._key(target)
        if key is not None:
            self._given[key] = value

    def _visible(self, node: ast.AST, name: str) -> Iterator[_Key]:
        """Where a name is looked for, from the inside: a class is seen by what stands directly in it."""
        scope = self._scope[node]
        yield scope, name
        while scope in self._around:
            scope = self._around[scope]
            if not isinstance(scope, ast.ClassDef):
                yield scope, name

    def _key(self, node: ast.Attribute) -> _Key | None:
        """The class that an attribute is of, for `self.x`, `cls.x` and `Class.x`; and its name."""
        if not isinstance(node.value, ast.Name):
            return None
        if node.value.id not in ("self", "cls"):
            classes = [it for it in self._around if isinstance(it, ast.ClassDef) and it.name == node.value.id]
            return (classes[0], node.attr) if len(classes) == 1 else None
        scope: ast.AST | None = self._scope[node]
        while scope is not None and not isinstance(scope, ast.ClassDef):
            scope = self._around.get(scope)
        return (scope, node.attr) if scope is not None else None


def _stored(node: ast.AST) -> Iterator[str]:
    """The names that a node itself gives a value."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def _given(node: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    """What a statement gives to which target, and a function's parameters to themselves."""
    match node:
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            if node.defaults:
                yield from zip(positional[-len(node.defaults) :], node.defaults, strict=True)
            yield from ((it, value) for it, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value)
        case ast.For(target=target, iter=items) | ast.comprehension(target=target, iter=items):
            yield target, ast.Starred(items, ast.Load())
