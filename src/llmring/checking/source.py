"""The aliases, models and profiles that Python code names, as far as they are written there.

Only what stands in the text is found: strings, and constants of the module that hold one. What is put together while
the program runs is not guessed at. What must be bound is read strictly, where a call of llmring's says so; that an
alias is used somehow is believed of any string that is its name.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..lockfile.reading import plain
from .findings import Spot
from .names import Names
from .notebooks import code_of
from .surroundings import Surroundings
from .syntax import CLASSES, argument, entry, foreign, given, imported, root
from .texts import strings_in

__all__ = ["Unreadable", "Use", "uses_in"]

Kind = Literal["needs", "wonders", "binds", "model", "profile", "mention"]

_METHODS: dict[str, Kind] = {
    "resolve_alias": "needs",
    "get_model_info": "needs",
    "require_aliases": "needs",
    "has_alias": "wonders",
    "unbind_alias": "wonders",
    "bind_alias": "binds",
}
_FIRST = {"require_aliases": "aliases", "get_model_info": "model"}
# Where each method takes its profile, counted from 0; `None` is by name alone.
_PROFILES: dict[str, int | None] = {
    **dict.fromkeys(_METHODS),
    **dict.fromkeys(("chat", "chat_stream", "warm_up")),
    **dict.fromkeys(("resolve_alias", "has_alias"), 1),
    "list_aliases": 0,
}
_OURS = re.compile("|".join(CLASSES).encode())
_CALLS = re.compile(rf"\.(?:{'|'.join(_PROFILES)})\b".encode())
_LONGEST = 8
"""How many names may stand for one another."""
_IGNORED = re.compile(rb"#\s*llmring:\s*ignore\b")


@dataclass(frozen=True, slots=True)
class Use:
    """A name in the source code.

    Attributes:
        name: an alias, a `provider:model`, or a profile.
        kind: `"needs"`, an alias that must be bound; `"wonders"`, one that is asked about; `"binds"`, one that the
            program binds itself; `"model"`, a `provider:model`; `"profile"`; `"mention"`, any other string that is the
            name of an alias.
        spot: where it is written.
        profile: the only profile that is meant, where the code names one.
    """

    name: str
    kind: Kind
    spot: Spot
    profile: str | None = None


class Unreadable(Exception):
    """A source file, or a cell of a notebook, that cannot be parsed. Its message says why.

    Attributes:
        line, cell: where, 0 if that is not known.
        uses: what could be found all the same.
    """

    def __init__(self, message: str, line: int = 0, cell: int = 0, uses: Sequence[Use] = ()) -> None:
        super().__init__(message)
        self.line, self.cell, self.uses = line, cell, uses


def uses_in(path: Path, around: Surroundings) -> list[Use]:
    """The names in a Python file or a notebook, in the order in which they stand.

    Args:
        path: the file. A line with the comment `# llmring: ignore` is passed over.
        around: the project that it belongs to.

    Raises:
        Unreadable: it cannot be read or parsed.
    """
    try:
        content = plain(path)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    named = strings_in(content.decode(errors="replace"), around.aliases)
    mentioned = [Use(name, "mention", Spot(path)) for name in sorted(named)]
    if not (_OURS.search(content) or (path in around.users and _CALLS.search(content))):
        return mentioned
    try:
        return [*mentioned, *_found(path, content, around)]
    except Unreadable as error:
        error.uses = [*mentioned, *error.uses]
        raise


def _found(path: Path, content: bytes, around: Surroundings) -> list[Use]:
    if path.suffix != ".ipynb":
        code = content.removeprefix(b"\xef\xbb\xbf")
        return _in_order(_Scan(path, code, _parsed(code), around))
    try:
        cells = code_of(content)
    except ValueError as error:
        raise Unreadable(f"it is no valid notebook: {error}") from None
    uses = _in_order(_Scan(path, cells.code, _parsed(cells.code), around, cells.places))
    for cell, line, complaint in cells.faults:
        raise Unreadable(f"a cell is no valid Python: {complaint}", line, cell, uses)
    return uses


def _in_order(scan: _Scan) -> list[Use]:
    return sorted(scan.uses(), key=lambda use: use.spot)


def _parsed(code: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        raise Unreadable(f"it is no valid Python: {error.msg}", error.lineno or 0) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"it is no valid Python: {error}") from None


class _Scan:
    def __init__(
        self,
        path: Path,
        code: bytes,
        tree: ast.Module,
        around: Surroundings,
        places: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._path = path
        self._lines = code.splitlines()
        self._places = places
        self._tree = tree
        self._classes = imported(tree, {"llmring", *around.packages})
        self._is_user = path in around.users or bool(self._classes)
        self._foreign = foreign(tree, {"llmring", *around.packages})
        self._names = Names(tree)
        self._requests = {name for name, value in given(tree) if self._called(value) == "LLMRequest"}
        self._profile_of: dict[ast.expr, str] = {}

    def uses(self) -> Iterator[Use]:
        for node in ast.walk(self._tree):  # a call comes before its arguments
            if isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, ast.Assign):
                yield from self._assignment(node)

    def _call(self, call: ast.Call) -> Iterator[Use]:
        called = self._called(call)
        if called == "LLMRequest":
            yield from self._named(self._model(call), "needs", self._profile_of.get(call))
        elif called == "LLMRing":
            yield from self._named(argument(call, "profile", 1), "profile")
        elif called == "model_copy" and self._is_request(call.func):
            yield from self._named(entry(self._known(argument(call, "update")), "model"), "needs")
        elif called in _PROFILES and isinstance(call.func, ast.Attribute) and self._is_user:
            yield from self._method(call, called)

    def _called(self, node: ast.AST | None) -> str | None:
        """The class or the method that is called, or the class that an annotation names."""
        named = node.func if isinstance(node, ast.Call) else node
        if isinstance(named, ast.Name):
            return self._classes.get(named.id)
        return named.attr if isinstance(named, ast.Attribute) and root(named) not in self._foreign else None

    def _model(self, call: ast.Call) -> ast.expr | None:
        """The model of a request, named by itself or in a dictionary of arguments."""
        tables = (entry(self._known(it.value), "model") for it in call.keywords if it.arg is None)
        return argument(call, "model") or next((model for model in tables if model is not None), None)

    def _known(self, node: ast.expr | None) -> ast.expr | None:
        """An expression, or what it stands for if it is a name."""
        return (self._names.value(node) or node) if node is not None else None

    def _is_request(self, node: ast.expr) -> bool:
        return (name := root(node)) in self._requests or self._classes.get(name or "") == "LLMRequest"

    def _method(self, call: ast.Call, called: str) -> Iterator[Use]:
        profiles = list(self._named(argument(call, "profile", _PROFILES[called]), "profile"))
        profile = profiles[0].name if len(profiles) == 1 else None
        yield from profiles
        if called in _METHODS:
            aliases = argument(call, _FIRST.get(called, "alias"), 0)
            yield from self._named(aliases, _METHODS[called], profile, several=called == "require_aliases")
        if called == "warm_up":
            for alias in call.args:
                yield from self._named(alias, "needs", profile)
        if called in ("chat", "chat_stream") and profile is not None and call.args:
            self._profile_of[call.args[0]] = profile
        if called == "bind_alias":
            for use in self._named(argument(call, "models", 1), "model", several=True):
                for model in use.name.split(","):
                    yield Use(model.strip(), "model", use.spot)

    def _assignment(self, statement: ast.Assign) -> Iterator[Use]:
        for target in statement.targets:
            if isinstance(target, ast.Attribute) and target.attr == "model" and self._is_request(target):
                yield from self._named(statement.value, "needs")

    def _named(
        self, node: ast.expr | None, kind: Kind, profile: str | None = None, *, several: bool = False
    ) -> Iterator[Use]:
        for text in self._strings(node, several=several) if node is not None else ():
            spot = self._spot(text)
            if not _IGNORED.search(self._lines[text.lineno - 1]):
                yield Use(str(text.value), kind, spot, profile)

    def _strings(self, node: ast.expr, *, several: bool, depth: int = 0) -> Iterator[ast.Constant]:
        """The strings that an expression may be; each at the place where it is written."""
        match node:
            case ast.Constant(value=str()):
                yield node
            case ast.Name() | ast.Attribute() if depth < _LONGEST and (value := self._names.value(node)):
                for text in self._strings(value, several=several, depth=depth + 1):
                    yield ast.copy_location(ast.Constant(text.value), node)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._strings(body, several=several, depth=depth)
                yield from self._strings(orelse, several=several, depth=depth)
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self._strings(value, several=several, depth=depth)
            case ast.Starred(value=items) if isinstance(self._known(items), ast.List | ast.Tuple | ast.Set):
                yield from self._strings(items, several=True, depth=depth)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items) if several:
                for item in items:
                    yield from self._strings(item, several=False, depth=depth)

    def _spot(self, node: ast.expr) -> Spot:
        before = self._lines[node.lineno - 1][: node.col_offset]
        cell, line = self._places[node.lineno - 1] if self._places else (0, node.lineno)
        return Spot(self._path, line, len(before.decode(errors="replace")) + 1, cell=cell)
