"""One JSON schema, in each wire's dialect of it.

A keyword that a dialect lacks is put into the description, where the model reads it, or said in other words; what
cannot be said at all is refused with its path. The answer is checked against the original schema either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

__all__ = ["ANTHROPIC", "GEMINI", "OPENAI_STRICT", "Dialect", "UnsupportedKeyword", "translate"]


class UnsupportedKeyword(ValueError):
    """A keyword that a dialect has no words for.

    Attributes:
        path: where it stands, as in `properties/tags/uniqueItems`.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a wire understands.

    Attributes:
        keywords: those that are sent as they are, beside the ones that hold schemas.
        closed: objects must forbid further properties.
        all_required: objects must require every property.
        tuples: `prefixItems` is known.
        recursive: a schema may refer to itself.
        const: `const` is known; else it becomes an `enum` of one.
        lengths: bounds that `minItems` may have; `None` takes any.
    """

    keywords: frozenset[str]
    closed: bool = False
    all_required: bool = False
    tuples: bool = False
    recursive: bool = True
    const: bool = True
    lengths: frozenset[int] | None = None


_ANY = frozenset({"type", "enum", "description", "format"})

# Vendor's guide "Structured model outputs", section "Supported schemas".
OPENAI_STRICT = Dialect(
    _ANY
    | {"pattern", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "minItems", "maxItems"},
    closed=True,
    all_required=True,
)
# Vendor's guide "Structured outputs", section "JSON Schema limitations".
ANTHROPIC = Dialect(_ANY | {"default", "pattern", "minItems"}, closed=True, recursive=False, lengths=frozenset({0, 1}))
# Vendor's guide "Structured outputs", section "JSON schema support".
GEMINI = Dialect(_ANY | {"title", "minItems", "maxItems", "minimum", "maximum"}, tuples=True, const=False)

_ANNOTATIONS = frozenset({"title", "default", "examples", "$schema", "$id", "$comment", "discriminator", "deprecated"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


def translate(schema: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The schema in a dialect.

    Raises:
        UnsupportedKeyword: it says something that the dialect cannot.
    """
    if not dialect.recursive:
        _refuse_recursion(schema)
    return _node(schema, dialect, "")


def _node(schema: Any, dialect: Dialect, path: str) -> dict[str, Any]:
    if schema is True or schema == {}:
        if dialect.closed:
            raise UnsupportedKeyword(path or "the root, which allows anything")
        return {}
    if not isinstance(schema, dict):
        raise UnsupportedKeyword(path)
    if "$ref" in schema:
        # Siblings of a reference are annotations, or refused by every dialect.
        said: dict[str, Any] = {"$ref": schema["$ref"]}
        for key in ("$defs", "definitions"):
            if key in schema:
                said[key] = _each(schema[key], dialect, f"{path}{key}/")
        return said
    if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
        schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
        return _node(schema, dialect, path)
    said, unsaid = {}, {}
    for key, value in schema.items():
        here = f"{path}{key}"
        if key in ("properties", "$defs", "definitions"):
            said[key] = _each(value, dialect, f"{here}/")
        elif key == "items":
            said[key] = _node(value, dialect, f"{here}/")
        elif key in ("anyOf", "oneOf"):
            said["anyOf"] = [_node(option, dialect, f"{here}/{i}/") for i, option in enumerate(value)]
        elif key == "prefixItems":
            if not dialect.tuples:
                raise UnsupportedKeyword(here)
            said[key] = [_node(item, dialect, f"{here}/{i}/") for i, item in enumerate(value)]
        elif key == "additionalProperties":
            if not dialect.closed:
                said[key] = _node(value, dialect, f"{here}/") if isinstance(value, dict) else value
            elif isinstance(value, dict):
                raise UnsupportedKeyword(here)
        elif key == "const":
            said.update({"const": value} if dialect.const else {"enum": [value]})
        elif key == "required":
            said[key] = list(value)
        elif _known(key, value, dialect):
            said[key] = value
        elif key not in _ANNOTATIONS:
            _refuse_structure(key, here)
            unsaid[key] = value
    if said.get("type") == "object" or "properties" in said:
        if dialect.closed and not said.get("properties") and schema.get("additionalProperties") is not False:
            raise UnsupportedKeyword(f"{path}properties (an object of any keys)")
        _object(said, dialect)
    if unsaid:
        words = ", ".join(f"{key}: {to_json(value).decode()}" for key, value in unsaid.items())
        said["description"] = f"{said['description']} ({words})" if said.get("description") else words
    return said


def _known(key: str, value: Any, dialect: Dialect) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "minItems" and dialect.lengths is not None and value not in dialect.lengths:
        return False
    return key in dialect.keywords


def _refuse_structure(key: str, path: str) -> None:
    """Keywords that shape an answer; the others only bound a value, and can be said in words."""
    if key in ("allOf", "not", "if", "then", "else", "patternProperties", "dependentSchemas", "contains"):
        raise UnsupportedKeyword(path)


def _object(said: dict[str, Any], dialect: Dialect) -> None:
    said.setdefault("type", "object")
    said.setdefault("properties", {})
    if dialect.closed:
        said["additionalProperties"] = False
    if dialect.all_required:
        said["required"] = list(said["properties"])


def _each(schemas: dict[str, Any], dialect: Dialect, path: str) -> dict[str, Any]:
    return {name: _node(schema, dialect, f"{path}{name}/") for name, schema in schemas.items()}


def _refuse_recursion(schema: dict[str, Any]) -> None:
    definitions: dict[str, Any] = {**schema.get("definitions", {}), **schema.get("$defs", {})}

    def visit(node: Any, inside: tuple[str, ...], path: str) -> None:
        _references(node, path, lambda name, at: follow(name, inside, at))

    def follow(name: str, inside: tuple[str, ...], path: str) -> None:
        if name in inside:
            raise UnsupportedKeyword(path)
        if name in definitions:
            visit(definitions[name], (*inside, name), f"$defs/{name}")

    visit({k: v for k, v in schema.items() if k not in ("$defs", "definitions")}, (), "")


def _references(node: Any, path: str, found: Callable[[str, str], None]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}/{key}".lstrip("/")
            if key == "$ref" and isinstance(value, str):
                found("the root" if value == "#" else value.rsplit("/", 1)[-1], here)
            else:
                _references(value, here, found)
    elif isinstance(node, list):
        for position, value in enumerate(node):
            _references(value, f"{path}/{position}", found)
