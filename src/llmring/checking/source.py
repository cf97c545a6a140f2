"""The aliases, models and profiles that Python code names, as far as they are written there.

Only what stands in the text is found: strings, and constants of the module that hold one. What is put together while
the program runs is not guessed at.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .findings import Spot

__all__ = ["Unreadable", "Use", "uses_in"]

Kind = Literal["needs", "wonders", "binds", "model", "profile"]

_CLASSES = frozenset({"LLMRequest", "LLMRing"})
_METHODS: dict[str, Kind] = {
    "resolve_alias": "needs",
    "get_model_info": "needs",
    "require_aliases": "needs",
    "has_alias": "wonders",
    "unbind_alias": "wonders",
    "bind_alias": "binds",
}
_FIRST = {"require_aliases": "aliases", "get_model_info": "model"}
_WORTH_A_LOOK = re.compile("|".join([*_CLASSES, *_METHODS]).encode())
_IGNORED = re.compile(rb"#\s*llmring:\s*ignore\b")


@dataclass(frozen=True, slots=True)
class Use:
    """A name in the source code.

    Attributes:
        name: an alias, a `provider:model`, or a profile.
        kind: `"needs"`, an alias that must be bound; `"wonders"`, one that is asked about; `"binds"`, one that the
            program binds itself; `"model"`, a `provider:model`; `"profile"`.
        spot: where it is written.
        profile: the only profile that is meant, where the code names one.
    """

    name: str
    kind: Kind
    spot: Spot
    profile: str | None = None


class Unreadable(Exception):
    """A source file that cannot be parsed. Its message says why; `line` is where, 0 if that is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def uses_in(path: Path, own_packages: Collection[str] = ()) -> list[Use]:
    """The names in a Python file or a notebook, in the order in which they stand.

    Args:
        path: the file. A line with the comment `# llmring: ignore` is passed over.
        own_packages: the project's own top-level packages, from which `LLMRequest` may be imported too.

    Raises:
        Unreadable: it cannot be read or parsed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    if not _WORTH_A_LOOK.search(content):
        return []
    if path.suffix == ".ipynb":
        code, places = _joined(content)
    else:
        code, places = content.removeprefix(b"\xef\xbb\xbf"), None
    tree = _parsed(code)
    scan = _Scan(path, code.splitlines(), places, tree, {"llmring", *own_packages})
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


def _joined(content: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """The code of a notebook's cells as one text, and the cell and the line in it of each of its lines."""
    try:
        cells = json.loads(content)["cells"]
        sources = [(n, "".join(it["source"])) for n, it in enumerate(cells, 1) if it["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Unreadable(f"it is no valid notebook: {type(error).__name__}") from None
    text: list[str] = []
    places: list[tuple[int, int]] = []
    for number, source in sources:
        if source.lstrip().startswith("%%"):
            continue
        for line, written in enumerate(re.split(r"\r\n|\r|\n", source), 1):
            magic = re.match(r"\s*(?=[%!?])", written)
            text.append(f"{magic[0]}pass" if magic else written)
            places.append((number, line))
    return "\n".join(text).encode(errors="replace"), places


class _Scan:
    def __init__(
        self,
        path: Path,
        lines: list[bytes],
        places: list[tuple[int, int]] | None,
        tree: ast.Module,
        packages: Collection[str],
    ) -> None:
        self._path = path
        self._lines = lines
        self._places = places
        self._tree = tree
        self._classes = _imported(tree, packages)
        self._constants = _constants(tree)

    def uses(self) -> Iterator[Use]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._call(node)

    def _call(self, call: ast.Call) -> Iterator[Use]:
        if isinstance(call.func, ast.Name):
            called = self._classes.get(call.func.id)
        else:
            called = call.func.attr if isinstance(call.func, ast.Attribute) else None
        if called == "LLMRequest":
            yield from self._named(_argument(call, "model"), "needs")
        elif called == "LLMRing":
            yield from self._named(_argument(call, "profile", 1), "profile")
        elif called in _METHODS and isinstance(call.func, ast.Attribute):
            yield from self._method(call, called)

    def _method(self, call: ast.Call, called: str) -> Iterator[Use]:
        position = 1 if called in ("resolve_alias", "has_alias") else None
        profiles = list(self._named(_argument(call, "profile", position), "profile"))
        profile = profiles[0].name if len(profiles) == 1 else None
        yield from profiles
        aliases = _argument(call, _FIRST.get(called, "alias"), 0)
        yield from self._named(aliases, _METHODS[called], profile, several=called == "require_aliases")
        if called == "bind_alias":
            for use in self._named(_argument(call, "models", 1), "model", several=True):
                for model in use.name.split(","):
                    yield Use(model.strip(), "model", use.spot)

    def _named(
        self, node: ast.expr | None, kind: Kind, profile: str | None = None, *, several: bool = False
    ) -> Iterator[Use]:
        for text in self._strings(node, several=several) if node is not None else ():
            spot = self._spot(text)
            if not _IGNORED.search(self._lines[text.lineno - 1]):
                yield Use(str(text.value), kind, spot, profile)

    def _strings(self, node: ast.expr, *, several: bool) -> Iterator[ast.Constant]:
        """The strings that an expression may be; each at the place where it is written."""
        match node:
            case ast.Constant(value=str()):
                yield node
            case ast.Name(id=name) if name in self._constants:
                for text in self._strings(self._constants[name], several=several):
                    yield ast.copy_location(ast.Constant(text.value), node)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._strings(body, several=several)
                yield from self._strings(orelse, several=several)
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self._strings(value, several=several)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items) if several:
                for item in items:
                    yield from self._strings(item, several=False)

    def _spot(self, node: ast.expr) -> Spot:
        before = self._lines[node.lineno - 1][: node.col_offset]
        cell, line = self._places[node.lineno - 1] if self._places else (0, node.lineno)
        return Spot(self._path, line, len(before.decode(errors="replace")) + 1, cell=cell)


def _argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or len(call.args) <= position:
        return None
    starred = any(isinstance(it, ast.Starred) for it in call.args[: position + 1])
    return None if starred else call.args[position]


def _imported(tree: ast.Module, packages: Collection[str]) -> dict[str, str]:
    """By which names a module knows our classes."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level or (node.module or "").partition(".")[0] in packages:
            for it in node.names:
                if it.name == "*":
                    names.update({name: name for name in _CLASSES})
                elif it.name in _CLASSES:
                    names[it.asname or it.name] = it.name
    return names


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The values of a module's names that are given one once, and never another one."""
    stored = Counter(
        node.id if isinstance(node, ast.Name) else node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))
    )
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if stored[name] == 1 and isinstance(value, ast.Constant | ast.List | ast.Tuple | ast.Set):
                found[name] = value
    return found
