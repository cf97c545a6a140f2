"""The aliases, models and profiles that Python code names, as far as they are written there.

Only what stands in the text is found: strings, and constants of the module that hold one. What else a program asks
for, a comment says (`# llmring: uses NAME`). What must be bound is read strictly, where a call of llmring's or such a
comment says so; that an alias is used somehow is believed of any string that is its name.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..lockfile.files import plain
from .files import Code, code_in, strings_in
from .findings import Finding, Spot

if TYPE_CHECKING:
    from ..capabilities import Ability

__all__ = ["Project", "Use", "is_set", "uses_in"]

Kind = Literal["needs", "asks", "binds", "model", "profile", "registers", "mention"]

_CLASSES = frozenset({"LLMRequest", "LLMRing"})
"""Those of llmring that are told an alias or a profile."""
_METHODS: dict[str, Kind] = {
    "resolve_alias": "needs",
    "get_model_info": "needs",
    "conversation": "needs",
    "require_aliases": "needs",
    "has_alias": "asks",
    "unbind_alias": "asks",
    "bind_alias": "binds",
    "register_provider": "registers",
}
_FIRST = {"require_aliases": "aliases", "get_model_info": "model", "conversation": "model", "register_provider": "name"}
# Where each method takes its profile, counted from 0; `None` is by name alone.
_PROFILES: dict[str, int | None] = {
    **dict.fromkeys(_METHODS),
    **dict.fromkeys(("chat", "chat_stream", "run_tools", "stream_tools", "warm_up")),
    **dict.fromkeys(("resolve_alias", "has_alias"), 1),
    "list_aliases": 0,
}
_OURS = re.compile("|".join(_CLASSES).encode())
_CALLS = re.compile(rf"\.(?:{'|'.join(_PROFILES)}|register)\b".encode())
_LONGEST = 8
"""How many names may stand for one another."""
_IGNORED = re.compile(rb"#\s*llmring:\s*ignore\b")
_SAYS = re.compile(rb"#\s*llmring:\s*uses\b")
_USES = re.compile(r"#\s*llmring:\s*uses\s+([^\s,]+(?:\s*,\s*[^\s,]+)*)")
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*\(?([^#\n]*)|import[ \t]+([^#\n]+))", re.MULTILINE
)
_WORD = re.compile(rb"\w+")


@dataclass(frozen=True, slots=True)
class Use:
    """A name in the source code.

    Attributes:
        name: an alias, a `provider:model`, or a profile.
        kind: `"needs"`, an alias that must be bound; `"asks"`, one that is only asked about; `"binds"`, one that the
            program binds itself; `"model"`, a `provider:model`; `"profile"`; `"registers"`, a provider of the program's
            own; `"mention"`, any other string that is the name of an alias.
        spot: where it is written.
        profile: the only profile that is meant, where the code names one.
        needs: the abilities that a request of this model asks for: `"tools"`, `"structured_output"`.
        sets: the fields that it sets.
    """

    name: str
    kind: Kind
    spot: Spot
    profile: str | None = None
    needs: tuple[Ability, ...] = ()
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A project, as its files see it.

    Attributes:
        packages: the names of its own modules and packages.
        users: those of its files that import llmring, or something of a file that does.
        aliases: the names to be noticed in any string.
    """

    packages: frozenset[str] = frozenset()
    users: frozenset[Path] = frozenset()
    aliases: frozenset[str] = frozenset()

    @classmethod
    def of(cls, files: Iterable[Path], aliases: Iterable[str] = ()) -> Project:
        """That of some source files. A file that cannot be read imports nothing."""
        imports = {file: _imported_by(file) for file in files}
        packages = {part for file in imports for part in (file.stem, file.parent.name) if part.isidentifier()}
        users: set[Path] = set()
        names = {"llmring"}
        while more := [file for file in imports if file not in users and not names.isdisjoint(imports[file])]:
            users.update(more)
            names.update(file.parent.name if file.stem == "__init__" else file.stem for file in more)
        return cls(frozenset(packages), frozenset(users), frozenset(aliases))


def _imported_by(file: Path) -> set[str]:
    """The names that may be modules among what a file imports, and the modules that it imports from."""
    try:
        content = plain(file)
    except OSError:
        return set()
    if file.suffix == ".ipynb":
        return {"llmring"} if b"llmring" in content else set()
    found: set[str] = set()
    for module, names, modules in _IMPORT.findall(content):
        parts = _WORD.findall(module)
        words = [*parts[:1], *parts[-1:], *_WORD.findall(names), *_WORD.findall(modules)]
        found.update(word.decode(errors="replace") for word in words)
    return found


def uses_in(path: Path, project: Project) -> tuple[list[Use], list[Finding]]:
    """The names in a Python file or a notebook, in the order in which they stand, and what could not be read of it.

    Args:
        path: the file. A line with the comment `# llmring: ignore` is passed over.
        project: what it belongs to.
    """
    try:
        content = plain(path)
    except OSError as error:
        return [], [_unreadable(Spot(path), f"it cannot be read: {error.strerror}")]
    named = strings_in(content.decode(errors="replace"), project.aliases)
    uses = [Use(name, "mention", Spot(path)) for name in sorted(named)]
    if not (_OURS.search(content) or _SAYS.search(content) or (path in project.users and _CALLS.search(content))):
        return uses, []
    code, faults = code_in(content, notebook=path.suffix == ".ipynb")
    if code is not None:
        uses += sorted(_Scan(path, code, project).uses(), key=lambda use: use.spot)
    spots = [Spot(path, fault.line, 1 if fault.line else 0, cell=fault.cell) for fault in faults]
    return uses, [_unreadable(spot, fault.why) for spot, fault in zip(spots, faults, strict=True)]


def _unreadable(spot: Spot, why: str) -> Finding:
    message = f"The {'cell' if spot.cell else 'file'} was passed over: {why}."
    return Finding("source-unreadable", "warning", spot, message, "Fix it, or check other paths.")


class _Scan:
    """The names in the code of one file."""

    def __init__(self, path: Path, code: Code, project: Project) -> None:
        self._path = path
        self._code = code
        self._lines = code.text.splitlines()
        self._classes, self._foreign = _imports(code.tree, {"llmring", *project.packages})
        self._is_user = path in project.users or bool(self._classes)
        self._constants = _constants(code.tree)
        self._requests = {name for name, value in _given(code.tree) if self._called(value) == "LLMRequest"}
        self._profile_of: dict[ast.expr, str] = {}

    def uses(self) -> Iterator[Use]:
        if _SAYS.search(self._code.text):
            yield from self._said()
        for node in ast.walk(self._code.tree):  # a call comes before its arguments
            if isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and target.attr == "model" and self._is_request(target):
                        yield from self._named(node.value, "needs")

    def _said(self) -> Iterator[Use]:
        """The aliases that comments name."""
        for token in tokenize.tokenize(BytesIO(self._code.text).readline):
            if token.type == tokenize.COMMENT and (found := _USES.match(token.string)):
                line, column = token.start
                for name in re.finditer(r"[^\s,]+", found[1]):
                    yield Use(name[0], "needs", self._spot(line, column + found.start(1) + name.start()))

    def _call(self, call: ast.Call) -> Iterator[Use]:
        called = self._called(call)
        if called == "LLMRequest":
            needs, sets = tuple(self._needs(call)), tuple(self._sets(call))
            for use in self._named(self._model(call), "needs", self._profile_of.get(call)):
                yield replace(use, needs=needs, sets=sets)
        elif called == "LLMRing":
            yield from self._named(_argument(call, "profile", 1), "profile")
            yield from self._bound(self._known(_argument(call, "aliases")))
        elif called == "model_copy" and self._is_request(call.func):
            yield from self._named(_entry(self._known(_argument(call, "update")), "model"), "needs")
        elif called == "register" and _root(call.func) == "llmring":
            yield from self._named(_argument(call, "name", 0), "registers")
        elif called in _PROFILES and isinstance(call.func, ast.Attribute) and self._is_user:
            yield from self._method(call, called)

    def _bound(self, aliases: ast.expr | None) -> Iterator[Use]:
        """The aliases that a service is given beside the file, and their models."""
        for alias, models in zip(aliases.keys, aliases.values, strict=True) if isinstance(aliases, ast.Dict) else ():
            yield from self._named(alias, "binds")
            for use in self._named(models, "model", several=True):
                yield from (Use(model.strip(), "model", use.spot) for model in use.name.split(","))

    def _called(self, node: ast.AST | None) -> str | None:
        """The class or the method that is called, or the class that an annotation names."""
        named = node.func if isinstance(node, ast.Call) else node
        if isinstance(named, ast.Name):
            return self._classes.get(named.id)
        return named.attr if isinstance(named, ast.Attribute) and _root(named) not in self._foreign else None

    def _model(self, call: ast.Call) -> ast.expr | None:
        """The model of a request, named by itself or in a dictionary of arguments."""
        tables = (_entry(self._known(it.value), "model") for it in call.keywords if it.arg is None)
        return _argument(call, "model") or next((model for model in tables if model is not None), None)

    def _sets(self, call: ast.Call) -> Iterator[str]:
        """The fields that a request is given, and not as nothing."""
        for it in call.keywords:
            if it.arg is not None and is_set(it.arg, it.value.value if isinstance(it.value, ast.Constant) else it):
                yield it.arg

    def _needs(self, call: ast.Call) -> Iterator[Ability]:
        """What a request asks of its model: tools, where some may be given; an answer to a schema."""
        tools = self._known(_argument(call, "tools"))
        if isinstance(tools, ast.List | ast.Tuple) and tools.elts:
            yield "tools"
        form = self._known(_argument(call, "response_format"))
        kind = self._known(_entry(form, "type"))
        if (isinstance(kind, ast.Constant) and kind.value == "json_schema") or _is_type(form):
            yield "structured_output"

    def _known(self, node: ast.expr | None) -> ast.expr | None:
        """An expression, or what it stands for if it is a constant."""
        return self._constants.get(node.id, node) if isinstance(node, ast.Name) else node

    def _is_request(self, node: ast.expr) -> bool:
        return (name := _root(node)) in self._requests or self._classes.get(name or "") == "LLMRequest"

    def _method(self, call: ast.Call, called: str) -> Iterator[Use]:
        profiles = list(self._named(_argument(call, "profile", _PROFILES[called]), "profile"))
        profile = profiles[0].name if len(profiles) == 1 else None
        yield from profiles
        if called in _METHODS:
            aliases = _argument(call, _FIRST.get(called, "alias"), 0)
            yield from self._named(aliases, _METHODS[called], profile, several=called == "require_aliases")
        if called == "warm_up":
            for alias in call.args:
                yield from self._named(alias, "needs", profile)
        if called in ("chat", "chat_stream", "run_tools", "stream_tools") and profile is not None and call.args:
            self._profile_of[call.args[0]] = profile
        if called == "bind_alias":
            for use in self._named(_argument(call, "models", 1), "model", several=True):
                yield from (Use(model.strip(), "model", use.spot) for model in use.name.split(","))

    def _named(
        self, node: ast.expr | None, kind: Kind, profile: str | None = None, *, several: bool = False
    ) -> Iterator[Use]:
        for text in self._strings(node, several=several) if node is not None else ():
            before = self._lines[text.lineno - 1][: text.col_offset]
            if not _IGNORED.search(self._lines[text.lineno - 1]):
                spot = self._spot(text.lineno, len(before.decode(errors="replace")))
                yield Use(str(text.value), kind, spot, profile)

    def _strings(self, node: ast.expr, *, several: bool, depth: int = 0) -> Iterator[ast.Constant]:
        """The strings that an expression may be; each at the place where it is written."""
        match node:
            case ast.Constant(value=str()):
                yield node
            case ast.Name() if depth < _LONGEST and (value := self._known(node)) not in (node, None):
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

    def _spot(self, line: int, column: int) -> Spot:
        cell, line = self._code.cells[line - 1] if self._code.cells else (0, line)
        return Spot(self._path, line, column + 1, cell=cell)


def is_set(field: str, value: object) -> bool:
    """Whether a field of a request says something with this value, that a model which does not take it would refuse.

    Where a model chooses its words by itself, 1 is what it does anyway.
    """
    return value is not None and not (field in ("temperature", "top_p") and value == 1)


def _argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument of a call, by its name or its position; `None` where it is not there, or cannot be told."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or len(call.args) <= position:
        return None
    starred = any(isinstance(it, ast.Starred) for it in call.args[: position + 1])
    return None if starred else call.args[position]


def _entry(table: ast.expr | None, key: str) -> ast.expr | None:
    """What a dictionary that is written out has under a key."""
    if isinstance(table, ast.Call):
        return _argument(table, key) if isinstance(table.func, ast.Name) and table.func.id == "dict" else None
    pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
    found = [value for it, value in pairs if isinstance(it, ast.Constant) and it.value == key]
    return found[-1] if found else None


def _is_type(node: ast.expr | None) -> bool:
    """Whether an expression is a class by its name, or a list or such of one: `City`, `shop.City`, `list[City]`."""
    if isinstance(node, ast.Subscript):
        return True
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name[:1].isupper() and not name.isupper()


def _root(node: ast.expr) -> str | None:
    """The name that an expression like `a.b().c` begins with."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript | ast.Await):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _imports(tree: ast.Module, packages: Collection[str]) -> tuple[dict[str, str], set[str]]:
    """By which names a module knows our classes, and the names that it has from somebody else's package."""
    classes: dict[str, str] = {}
    foreign: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").partition(".")[0] in packages):
            for it in node.names:
                classes |= {it.asname or name: name for name in _CLASSES if it.name in (name, "*")}
        elif isinstance(node, ast.ImportFrom):
            foreign.update(it.asname or it.name for it in node.names)
        elif isinstance(node, ast.Import):
            others = (it for it in node.names if it.name.partition(".")[0] not in packages)
            foreign.update(it.asname or it.name.partition(".")[0] for it in others)
    return classes, foreign


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The names that a module gives a value, and that nothing in it, at whatever place, gives another one."""
    given: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                given[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                given[name] = value
    stored = Counter(name for node in ast.walk(tree) for name in _stored(node))
    return {name: value for name, value in given.items() if stored[name] == 1}


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


def _given(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
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
