"""One JSON schema, in each wire's dialect of it.

A keyword that a dialect lacks is put into the description, where the model reads it, or said in other words; what
cannot be said at all is refused with its path. The answer is checked against the original schema either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_json

__all__ = ["ANTHROPIC", "GEMINI", "OPENAI_STRICT", "Dialect", "UnsupportedKeyword", "translate"]


class UnsupportedKeyword(ValueError):
    """A keyword that a dialect has no words for.

    Attributes:
        path: where it stands, as in `properties/tags/uniqueItems`.
    """

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/") or "root, which allows anything"
        super().__init__(self.path)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a wire understands.

    Attributes:
        keywords: those that are sent as they are, beside the ones that hold schemas.
        formats: values of `format` that are sent as they are.
        enums: the types of the values that `enum` and `const` may have.
        closed: objects must forbid further properties, and everything must say what it is.
        all_required: objects must require every property.
        tuples: `prefixItems` is known.
        const: `const` is known; else it becomes an `enum` of one.
        recursion: where a schema may refer to itself.
        lengths: bounds that `minItems` may have; `None` takes any.
    """

    keywords: frozenset[str]
    formats: frozenset[str]
    enums: tuple[type, ...] = (str, int, float, bool, type(None))
    closed: bool = False
    all_required: bool = False
    tuples: bool = False
    const: bool = True
    recursion: Literal["anywhere", "below optional properties", "nowhere"] = "anywhere"
    lengths: frozenset[int] | None = None


_ANY = frozenset({"type", "enum", "const", "description", "format"})
_DATES = frozenset({"date-time", "time", "date"})
_FORMATS = _DATES | {"duration", "email", "hostname", "ipv4", "ipv6", "uuid"}

# Vendor's guide "Structured model outputs", section "Supported schemas".
OPENAI_STRICT = Dialect(
    _ANY
    | {"pattern", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "minItems", "maxItems"},
    formats=_FORMATS,
    closed=True,
    all_required=True,
)
# Vendor's guide "Structured outputs", section "JSON Schema limitations".
ANTHROPIC = Dialect(
    _ANY | {"default", "pattern", "minItems"},
    formats=_FORMATS | {"uri"},
    closed=True,
    recursion="nowhere",
    lengths=frozenset({0, 1}),
)
# Vendor's guide "Structured outputs", section "JSON schema support", and its SDK's words on `response_json_schema`.
GEMINI = Dialect(
    _ANY | {"title", "minItems", "maxItems", "minimum", "maximum"},
    formats=_DATES,
    enums=(str, int, float),
    tuples=True,
    const=False,
    recursion="below optional properties",
)

_ANNOTATIONS = frozenset(
    "title default examples deprecated readOnly writeOnly discriminator $schema $id $comment $anchor".split()  # noqa: SIM905
)
# Keywords that shape an answer; most others only bound a value, and can be said in words.
_SHAPES = frozenset(
    "allOf not if then else patternProperties dependentSchemas contains $dynamicRef $recursiveRef".split()  # noqa: SIM905
)
_KINDS = ("type", "anyOf", "enum", "const", "$ref")
# Lookaround, back-references and word boundaries: no vendor's patterns have them.
_INTRICATE = re.compile(r"\(\?(?!:)|\\[bB1-9]")


def translate(schema: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The schema in a dialect.

    Raises:
        UnsupportedKeyword: it says something that the dialect cannot.
    """
    said = _node(schema, dialect, "")
    for path, reference in _references(said, ""):
        if _target(said, reference) is None:
            raise UnsupportedKeyword(path)
    while (found := _Recursion(said, dialect).find(said, "", None)) is not None:
        path, owner = found
        if dialect.recursion != "below optional properties" or owner is None:
            raise UnsupportedKeyword(path)
        table, name = owner
        table["required"].remove(name)
        _say(table, {"required": [name]})
    return said


def _node(schema: Any, dialect: Dialect, path: str) -> dict[str, Any]:
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        raise UnsupportedKeyword(path)
    schema = _merged(schema, path)
    said: dict[str, Any] = {}
    unsaid: dict[str, Any] = {}
    for key, value in schema.items():
        here = f"{path}{key}"
        if key in ("properties", "$defs", "definitions"):
            said[key] = {name: _node(inner, dialect, f"{here}/{name}/") for name, inner in value.items()}
        elif key == "items":
            said[key] = _node(value, dialect, f"{here}/")
        elif key in ("anyOf", "oneOf"):
            if "anyOf" in said or "$ref" in schema:
                raise UnsupportedKeyword(here)
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
        elif key in ("const", "enum"):
            if _is_enum(values := value if key == "enum" else [value], dialect, here):
                said |= {key: value} if dialect.const or key == "enum" else {"enum": values}
            elif values != [None]:
                unsaid[key] = value
        elif key == "required":
            said[key] = list(value)
        elif key == "$ref" or _known(key, value, dialect):
            said[key] = value
        elif key in _SHAPES or b'"$ref"' in to_json(value):
            raise UnsupportedKeyword(here)
        elif key not in _ANNOTATIONS:
            unsaid[key] = value
    _say(said, unsaid)
    return _whole(said, schema, dialect, path)


def _merged(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema with an `allOf` of one in it rather than below it."""
    whole = schema.get("allOf")
    if not isinstance(whole, list) or len(whole) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    if not isinstance(whole[0], dict) or (whole[0].keys() & rest.keys()) - _ANNOTATIONS - {"description"}:
        raise UnsupportedKeyword(f"{path}allOf")
    return _merged({**whole[0], **rest}, path)


def _whole(said: dict[str, Any], schema: dict[str, Any], dialect: Dialect, path: str) -> dict[str, Any]:
    """The node with what the dialect wants beside what the schema says."""
    if "$ref" in said:
        for key in said.keys() & _ANNOTATIONS:
            del said[key]
        beside = said.keys() - {"$ref", "$defs", "definitions"}
        if beside - {"description"}:
            raise UnsupportedKeyword(f"{path}$ref")
        if beside:
            # No dialect takes anything beside a reference.
            said["anyOf"] = [{"$ref": said.pop("$ref")}]
        return said
    if "properties" in said:
        said.setdefault("type", "object")
    if "items" in said or "prefixItems" in said:
        said.setdefault("type", "array")
    if _may_be(said, "object"):
        _object(said, schema, dialect, path)
    if dialect.closed:
        if not any(kind in said for kind in _KINDS):
            raise UnsupportedKeyword(path)
        if _may_be(said, "array") and "items" not in said:
            raise UnsupportedKeyword(f"{path}items")
        if "anyOf" in said and said.keys() & {"properties", "items"}:
            # Each option would have to be closed by itself.
            raise UnsupportedKeyword(f"{path}anyOf")
    return said


def _object(said: dict[str, Any], schema: dict[str, Any], dialect: Dialect, path: str) -> None:
    properties = said.setdefault("properties", {})
    if not dialect.closed:
        return
    if not properties and schema.get("additionalProperties") is not False:
        raise UnsupportedKeyword(f"{path}properties (an object of any keys)")
    if set(said.get("required", ())) - set(properties):
        raise UnsupportedKeyword(f"{path}required")
    said["additionalProperties"] = False
    if dialect.all_required:
        said["required"] = list(properties)


def _known(key: str, value: Any, dialect: Dialect) -> bool:
    if key == "format":
        return value in dialect.formats
    if key == "pattern" and _INTRICATE.search(value):
        return False
    if key == "minItems" and dialect.lengths is not None:
        return value in dialect.lengths
    return key in dialect.keywords


def _is_enum(values: list[Any], dialect: Dialect, path: str) -> bool:
    if any(isinstance(value, dict | list) for value in values):
        raise UnsupportedKeyword(path)
    return all(type(value) in dialect.enums for value in values)


def _may_be(said: dict[str, Any], kind: str) -> bool:
    type = said.get("type")
    return kind in type if isinstance(type, list) else type == kind


def _say(said: dict[str, Any], unsaid: dict[str, Any]) -> None:
    """Put keywords into the description."""
    if unsaid:
        words = ", ".join(f"{key}: {to_json(value).decode()}" for key, value in unsaid.items())
        said["description"] = f"{said['description']} ({words})" if said.get("description") else words


def _children(node: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The schemas directly inside a translated one, but for its definitions: keyword, name or number, schema."""
    for name, inner in node.get("properties", {}).items():
        yield "properties", f"{name}/", inner
    for key in ("anyOf", "prefixItems"):
        for position, inner in enumerate(node.get(key, ())):
            yield key, f"{position}/", inner
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield key, "", node[key]


def _references(node: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if "$ref" in node:
        yield f"{path}$ref", node["$ref"]
    for key, name, inner in _children(node):
        yield from _references(inner, f"{path}{key}/{name}")
    for key in ("$defs", "definitions"):
        for name, inner in node.get(key, {}).items():
            yield from _references(inner, f"{path}{key}/{name}/")


def _target(root: dict[str, Any], reference: str) -> dict[str, Any] | None:
    """What a reference points at, `None` if that is not here."""
    start, *steps = reference.split("/")
    node: Any = root if start == "#" else None
    for step in steps:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


_Owner = tuple[dict[str, Any], str]


class _Recursion:
    """A search for a place where a schema refers to itself though the dialect forbids it there."""

    def __init__(self, root: dict[str, Any], dialect: Dialect) -> None:
        self._root = root
        self._dialect = dialect
        self._inside: dict[str, _Owner | None] = {"#": None}
        self._done: set[str] = set()

    def find(self, node: dict[str, Any], path: str, owner: _Owner | None) -> tuple[str, _Owner | None] | None:
        """Its path, and the required property on the way around, if there is one: the object and the name."""
        if (reference := node.get("$ref")) is not None:
            return self._follow(reference, path, owner)
        for key, name, inner in _children(node):
            above = owner
            if key == "properties" and name[:-1] in node.get("required", ()):
                above = (node, name[:-1])
            elif self._may_go_around(node, key):
                continue
            if (found := self.find(inner, f"{path}{key}/{name}", above)) is not None:
                return found
        return None

    def _may_go_around(self, node: dict[str, Any], key: str) -> bool:
        if self._dialect.recursion == "below optional properties":
            return key == "properties"
        # There must be a way to an end: an empty list, or another option.
        return self._dialect.recursion == "anywhere" and (key == "items" or (key == "anyOf" and len(node[key]) > 1))

    def _follow(self, reference: str, path: str, owner: _Owner | None) -> tuple[str, _Owner | None] | None:
        if reference in self._inside:
            return f"{path}$ref", owner if owner is not self._inside[reference] else None
        target = _target(self._root, reference)
        if target is None or reference in self._done:
            return None
        self._inside[reference] = owner
        found = self.find(target, f"{reference[2:]}/", owner)
        del self._inside[reference]
        self._done.add(reference)
        return found
