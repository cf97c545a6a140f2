"""Calls made of what a model wrote: its JSON or Python literals, held against the tools of the request."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

__all__ = [
    "MOST_CALLS",
    "NAME_KEYS",
    "BrokenCall",
    "Call",
    "Event",
    "Text",
    "Tools",
    "Unreadable",
    "json_calls",
    "marked_value",
    "python_calls",
]

MOST_CALLS = 1024
"""Calls of one answer at most, broken ones and what only looked like one among them: each is some work."""
NAME_KEYS = ("name", "tool_name", "function", "tool")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")
_NAME = re.compile(r"""["'](?:name|tool_name|function|tool)["']\s*:\s*["']([^"'{}]{1,128})["']""")
_PYTHON_LIMIT, _PYTHON_OF_ANSWER = 65_536, 262_144
"""Characters of Python at most, of a call and of an answer: its parser takes more time and memory than JSON's."""
_MOST_VALUES = 32_768
"""Values of an answer that are held against schemas, each some work, twice for a text between tags."""
_BARE_KEY = re.compile(r"([{,]\s*)([\w.\-]+)\s*:")
_ESCAPE = re.compile(r"""\\(.)""", re.DOTALL)
_RAW = re.compile(r"""\b[rR]["']""")
_SKIPPED = "|".join([rf"{quote}(?:\\.|[^\\])*?(?:{quote}|\Z)" for quote in ("'''", '"""', "'", '"')] + [r"#[^\n]*"])
"""Texts and comments of Python; what has no end goes to the end of all, so that each character is looked at once."""
_ESCAPES = frozenset("\n\\'\"abfnrtv0xNuU")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True, slots=True)
class Text:
    """Text of the answer, a piece of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the request's tools, whose arguments fit its schema.

    Attributes:
        name: the tool's.
        arguments: a JSON object.
        id: the model's own id of the call, `None` where it gave none.
    """

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenCall:
    """What was meant for a call and is none: broken or cut, or its arguments do not fit the tool.

    Attributes:
        name: the tool's, `None` where it did not come to that.
        written: what the model wrote.
        reason: what is wrong with it.
        cut: the answer ended before it did.
    """

    name: str | None
    written: str
    reason: str
    cut: bool = False


Event = Text | Call | BrokenCall


class Unreadable(Exception):
    """What is written is no value; the message says why."""


class Tools:
    """The functions of a request, by name, and how much of an answer may still be read as calls of them."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        functions = [tool["function"] for tool in definitions if tool.get("type") == "function"]
        self._schemas: dict[str, dict[str, Any]] = {f["name"]: f.get("parameters") or {} for f in functions}
        self._validators: dict[str, Any] = {}
        self._values_left, self._python_left = _MOST_VALUES, _PYTHON_OF_ANSWER
        self._stand_ins = _StandIns(self._schemas)

    def __contains__(self, name: object) -> bool:
        return name in self._schemas

    def __iter__(self) -> Iterator[str]:
        return iter(self._schemas)

    def __bool__(self) -> bool:
        return bool(self._schemas)

    def keys(self, name: str) -> Container[str]:
        """The names of a tool's parameters."""
        return self._schemas[name].get("properties") or {}

    def named(self, written: str) -> str | None:
        """The tool that broken JSON names first, if it is one of the request's."""
        found = _NAME.search(written)
        return found[1] if found and found[1] in self else None

    def call(self, name: str, arguments: Any, written: str, id: Any = None) -> Call | BrokenCall:
        """The call, if the arguments are what the tool takes."""
        if isinstance(arguments, str) and arguments.strip():
            try:  # Granite 4 and others write the object as JSON in a text.
                arguments = self.value_of(arguments)
            except Unreadable as error:
                return BrokenCall(name, written, f"the arguments are no object: {error}")
        arguments = {} if arguments in (None, "") else arguments
        if not isinstance(arguments, dict):
            return BrokenCall(name, written, f"the arguments are no object but {type(arguments).__name__}")
        try:
            rendered = _WRITER.encode(arguments)
            rendered.encode()
        except (TypeError, ValueError, RecursionError) as error:  # bytes, a set, infinity, half a character
            return BrokenCall(name, written, f"JSON cannot say the arguments: {error}")
        if misfit := self._misfit(name, json.loads(rendered)):
            return BrokenCall(name, written, f"the arguments do not fit: {misfit}")
        return Call(name, rendered, str(id) if isinstance(id, str | int) and id != "" else None)

    def typed(self, name: str, key: str, written: str, *, is_text: bool = False) -> Any:
        """The value that a text between tags stands for: what its schema takes, the text itself if nothing else.

        Args:
            name, key: of the tool and its parameter.
            written: the text.
            is_text: the model said that it is one, so it is wherever the schema lets it.
        """
        try:
            value = self.value_of(written)
        except Unreadable:
            return written
        if isinstance(value, str):
            return written
        part = (self._schemas[name].get("properties") or {}).get(key)
        schema = part if isinstance(part, dict) else {}
        is_text = is_text or bool(self._misfit(name, value, schema))
        return written if is_text and not self._misfit(name, written, schema) else value

    def _misfit(self, name: str, value: Any, schema: dict[str, Any] | None = None) -> str:
        """What a tool's schema, or the part of it, has against a value."""
        values = [value]
        for it in values:
            if len(values) > self._values_left:
                self._values_left = 0
                return f"there are more than {_MOST_VALUES:,} values in the calls of the answer"
            values += it.values() if isinstance(it, dict) else it if isinstance(it, list) else ()
        self._values_left -= len(values)
        if name not in self._validators:
            self._validators[name] = _validator(self._schemas[name])
        validator = self._validators[name] if schema is None else self._validators[name].evolve(schema=schema)
        try:
            errors = list(islice(validator.iter_errors(value), 3))
        except Exception:  # The schema is no schema, which is not the model's fault.
            return ""
        return "; ".join(f"{'/'.join(map(str, e.absolute_path)) or 'the whole'}: {e.message[:200]}" for e in errors)

    def value_of(self, written: str) -> Any:
        """The value that a text in JSON, or a Python literal, stands for.

        Raises:
            Unreadable: it is neither.
        """
        if (word := written.strip()) in _WORDS:
            return _WORDS[word]
        try:
            return _JSON.decode(written)
        except (ValueError, RecursionError) as error:
            try:
                if word.startswith(("{", "[")) and word.endswith(("}", "]")):
                    return _literal(self.python(word))
            except (Unreadable, TypeError, RecursionError):
                pass
            raise Unreadable(f"{error}") from None

    def python(self, written: str) -> ast.expr:
        """The tree of an expression, the names of tools in it as they are.

        Raises:
            Unreadable: it is none, or there is more Python in the answer than is read.
        """
        if len(written) > _PYTHON_LIMIT:
            raise Unreadable(f"it has more than {_PYTHON_LIMIT:,} characters")
        self._python_left -= len(written)
        if self._python_left < 0:
            raise Unreadable(f"the answer has more than {_PYTHON_OF_ANSWER:,} characters of Python")
        # A backslash that escapes nothing is itself, as in a pattern; Python would warn of it.
        if not _RAW.search(written):
            written = _ESCAPE.sub(lambda found: found[0] if found[1] in _ESCAPES else "\\" + found[0], written)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # of what a model wrote, as `1if`
                return self._stand_ins.parse(written)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise Unreadable(getattr(error, "msg", None) or f"{type(error).__name__}: {error}") from None


class _StandIns:
    """Has Python read names that are none of its own, as `mcp:search` and `get-time`: others stand in for them."""

    def __init__(self, names: Iterable[str]) -> None:
        parts = {name: name.split(".") for name in names}
        odd = [name for name, its in parts.items() if not all(it.isidentifier() and not iskeyword(it) for it in its)]
        self._odd = sorted(odd, key=len, reverse=True)
        called = "|".join(map(re.escape, self._odd))
        self._called = re.compile(rf"{_SKIPPED}|(?<![\w.\-])({called})(?=\s*\()", re.DOTALL)

    def parse(self, written: str) -> ast.expr:
        if not self._odd:
            return ast.parse(written, mode="eval").body
        taken = set(re.findall(r"\w+", normalize("NFKC", written)))  # as Python reads names
        free = (f"_{number}" for number in count() if f"_{number}" not in taken)
        stands = dict(zip(self._odd, free, strict=False))
        names = {stand: name for name, stand in stands.items()}
        written = self._called.sub(lambda found: stands[found[1]] if found[1] else found[0], written)
        tree = ast.parse(written, mode="eval").body
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = names.get(node.id, node.id)
        return tree


def _validator(schema: dict[str, Any]) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    # The registry is empty: without one, references to elsewhere would be fetched.
    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def marked_value(tools: Tools, name: str, body: str, mark: str) -> Any:
    """The arguments of a call whose texts stand between marks, and whose keys stand as they are.

    Raises:
        Unreadable: they are none.
    """
    parts = [
        json.dumps(part) if at % 2 else _BARE_KEY.sub(r'\1"\2":', part) for at, part in enumerate(body.split(mark))
    ]
    value = tools.value_of("".join(parts))
    if not isinstance(value, dict):
        return value
    return {key: tools.typed(name, key, it, is_text=True) if isinstance(it, str) else it for key, it in value.items()}


def json_calls(tools: Tools, written: str, body: str, *, marked: bool) -> Iterator[Event | None]:
    """The calls of an object, or of a list of them. `None` stands for all, where there is no call in it."""
    try:
        value = tools.value_of(body)
    except Unreadable as error:
        name = tools.named(body)
        broken = name is not None or (marked and not _NAME.search(body))
        yield BrokenCall(name, written, f"the call is no JSON: {error}") if broken else None
        return
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    found = [(item, *_parts(item)) for item in (value[: MOST_CALLS + 1] if isinstance(value, list) else [value])]
    if not any(name in tools and (marked or given) for _, name, given, _ in found):
        yield None
        return
    for item, name, _, arguments in found:
        if name in tools:
            yield tools.call(str(name), arguments, written, item.get("id", item.get("tool_call_id")))
        else:
            yield Text(json.dumps(item, ensure_ascii=False))


def _parts(item: Any) -> tuple[str | None, bool, Any]:
    """The name, whether there are arguments, and the arguments of what may be a call."""
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]
    if not isinstance(item, dict):
        return None, False, None
    name = next((item[key] for key in NAME_KEYS if isinstance(item.get(key), str)), None)
    key = next((key for key in _ARGUMENT_KEYS if key in item), None)
    return name, key is not None, item.get(key) if key else None


def python_calls(tools: Tools, first: str, written: str, body: str) -> Iterator[Event | None]:
    """The calls of `f(a=1)`, or of a list of them, of which the first is of a known tool; `None` as of `json_calls`."""
    try:
        tree = tools.python(body)
        nodes = tree.elts[: MOST_CALLS + 1] if isinstance(tree, ast.List) else [tree]
        found = [(node, ast.unparse(node.func) if isinstance(node, ast.Call) else "") for node in nodes]
    except (Unreadable, RecursionError) as error:
        yield BrokenCall(first, written, f"the call is no Python: {error}")
        return
    named = [(node, full if full in tools else full.removesuffix(".call")) for node, full in found]
    if not any(name in tools for _, name in named):
        yield None
        return
    for node, name in named:
        if isinstance(node, ast.Call) and name in tools:
            yield _python_call(tools, written, name, node)
        else:
            yield Text(ast.unparse(node))


def _python_call(tools: Tools, written: str, name: str, node: ast.Call) -> Call | BrokenCall:
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        return BrokenCall(name, written, "an argument has no name")
    try:
        arguments = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    except (Unreadable, TypeError, RecursionError):
        return BrokenCall(name, written, "an argument is no literal value")
    return tools.call(name, arguments, written)


def _literal(node: ast.AST | None) -> Any:
    """The value of a literal, JSON's words for true, false and null taken as Python's.

    Raises:
        Unreadable: it is none.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [*map(_literal, parts)]
        case ast.Dict(keys=keys, values=values):
            return dict(zip(map(_literal, keys), map(_literal, values), strict=True))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(sign, ast.USub) else value
    raise Unreadable("it is no literal value")


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_JSON = json.JSONDecoder(strict=False, parse_constant=_no_number)
