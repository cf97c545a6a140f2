"""One schema in each wire's dialect: said as it is, in words, or refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter

from llmring.wire.schema_dialects import ANTHROPIC, GEMINI, OPENAI_STRICT, Dialect, UnsupportedKeyword, translate

DIALECTS = {"openai": OPENAI_STRICT, "anthropic": ANTHROPIC, "gemini": GEMINI}
Schema = dict[str, Any]

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NULL = {"type": "null"}


def thing(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed(**properties: Any) -> Schema:
    return {**thing(**properties), "additionalProperties": False}


def optional(schema: Schema, *names: str) -> Schema:
    return {**schema, "required": [name for name in schema["required"] if name not in names]}


class Refused(str):
    """The path of the keyword that is refused."""


# What a property of that schema becomes: in every dialect, or in each.
TABLE: list[tuple[str, Any, Any]] = [
    ("plain", {"type": "string", "description": "a name"}, {"type": "string", "description": "a name"}),
    ("title", {"type": "string", "title": "Name"}, {"gemini": {"type": "string", "title": "Name"}, "": STRING}),
    ("default", {"type": "integer", "default": 1}, {"anthropic": {"type": "integer", "default": 1}, "": INTEGER}),
    ("annotations", {"type": "integer", "examples": [1], "deprecated": True, "$comment": "why"}, INTEGER),
    ("nullable", {"type": ["string", "null"]}, {"type": ["string", "null"]}),
    ("union", {"anyOf": [STRING, NULL]}, {"anyOf": [STRING, NULL]}),
    ("one of", {"oneOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER]}),
    ("enum", {"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    ("enum of tables", {"enum": [{"a": 1}]}, Refused("enum")),
    (
        "enum of all kinds",
        {"enum": ["a", 1, None, True]},
        {"gemini": {"description": 'enum: ["a",1,null,true]'}, "": {"enum": ["a", 1, None, True]}},
    ),
    (
        "const",
        {"type": "string", "const": "a"},
        {"gemini": {"type": "string", "enum": ["a"]}, "": {"type": "string", "const": "a"}},
    ),
    (
        "const true",
        {"type": "boolean", "const": True},
        {"gemini": {"type": "boolean", "description": "const: true"}, "": {"type": "boolean", "const": True}},
    ),
    ("const null", {"type": "null", "const": None}, {"gemini": NULL, "": {"type": "null", "const": None}}),
    (
        "bounds of a number",
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.1},
        {
            "openai": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.1},
            "anthropic": {"type": "number", "description": "minimum: 0, exclusiveMaximum: 1, multipleOf: 0.1"},
            "gemini": {"type": "number", "minimum": 0, "description": "exclusiveMaximum: 1, multipleOf: 0.1"},
        },
    ),
    (
        "bounds of a text",
        {"type": "string", "minLength": 2, "maxLength": 3, "description": "a code"},
        {"type": "string", "description": "a code (minLength: 2, maxLength: 3)"},
    ),
    (
        "pattern",
        {"type": "string", "pattern": "^[a-z]+$"},
        {
            "gemini": {"type": "string", "description": 'pattern: "^[a-z]+$"'},
            "": {"type": "string", "pattern": "^[a-z]+$"},
        },
    ),
    (
        "group",
        {"type": "string", "pattern": "(?:a|b)"},
        {
            "gemini": {"type": "string", "description": 'pattern: "(?:a|b)"'},
            "": {"type": "string", "pattern": "(?:a|b)"},
        },
    ),
    ("lookahead", {"type": "string", "pattern": "^(?!a)"}, {"type": "string", "description": 'pattern: "^(?!a)"'}),
    ("word boundary", {"type": "string", "pattern": r"\ba"}, {"type": "string", "description": r'pattern: "\\ba"'}),
    ("date", {"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
    (
        "uuid",
        {"type": "string", "format": "uuid"},
        {
            "gemini": {"type": "string", "description": 'format: "uuid"'},
            "": {"type": "string", "format": "uuid"},
        },
    ),
    (
        "uri",
        {"type": "string", "format": "uri"},
        {
            "anthropic": {"type": "string", "format": "uri"},
            "": {"type": "string", "description": 'format: "uri"'},
        },
    ),
    (
        "format nobody knows",
        {"type": "string", "format": "binary"},
        {"type": "string", "description": 'format: "binary"'},
    ),
    ("list", {"type": "array", "items": STRING}, {"type": "array", "items": STRING}),
    (
        "lengths of a list",
        {"type": "array", "items": STRING, "minItems": 1, "maxItems": 3},
        {
            "anthropic": {"type": "array", "items": STRING, "minItems": 1, "description": "maxItems: 3"},
            "": {"type": "array", "items": STRING, "minItems": 1, "maxItems": 3},
        },
    ),
    (
        "two at least",
        {"type": "array", "items": STRING, "minItems": 2},
        {
            "anthropic": {"type": "array", "items": STRING, "description": "minItems: 2"},
            "": {"type": "array", "items": STRING, "minItems": 2},
        },
    ),
    (
        "set",
        {"type": "array", "items": STRING, "uniqueItems": True},
        {"type": "array", "items": STRING, "description": "uniqueItems: true"},
    ),
    (
        "tuple",
        {"type": "array", "prefixItems": [STRING, INTEGER], "minItems": 2, "maxItems": 2},
        {
            "gemini": {"type": "array", "prefixItems": [STRING, INTEGER], "minItems": 2, "maxItems": 2},
            "": Refused("prefixItems"),
        },
    ),
    ("list of anything", {"type": "array"}, {"gemini": {"type": "array"}, "": Refused("items")}),
    (
        "list of whatever",
        {"type": "array", "items": {}},
        {"gemini": {"type": "array", "items": {}}, "": Refused("items")},
    ),
    ("anything", {}, {"gemini": {}, "": Refused("")}),
    ("anything with a title", {"title": "Any"}, {"gemini": {"title": "Any"}, "": Refused("")}),
    ("anything, truly", True, {"gemini": {}, "": Refused("")}),
    ("nothing", False, Refused("")),
    ("no type", {"minLength": 1}, {"gemini": {"description": "minLength: 1"}, "": Refused("")}),
    (
        "object",
        thing(a=STRING),
        {"gemini": thing(a=STRING), "": closed(a=STRING)},
    ),
    ("closed object", closed(a=STRING), closed(a=STRING)),
    (
        "open object",
        {**thing(a=STRING), "additionalProperties": True},
        {"gemini": {**thing(a=STRING), "additionalProperties": True}, "": closed(a=STRING)},
    ),
    (
        "optional property",
        optional(thing(a=STRING, b=STRING), "b"),
        {
            "openai": closed(a=STRING, b=STRING),
            "anthropic": optional(closed(a=STRING, b=STRING), "b"),
            "gemini": optional(thing(a=STRING, b=STRING), "b"),
        },
    ),
    (
        "object or null",
        {"type": ["object", "null"], "properties": {"a": STRING}, "required": ["a"]},
        {
            "gemini": {"type": ["object", "null"], "properties": {"a": STRING}, "required": ["a"]},
            "": {
                "type": ["object", "null"],
                "properties": {"a": STRING},
                "required": ["a"],
                "additionalProperties": False,
            },
        },
    ),
    ("empty object", closed(), closed()),
    (
        "object of any keys",
        {"type": "object"},
        {"gemini": {"type": "object", "properties": {}}, "": Refused("properties (an object of any keys)")},
    ),
    (
        "table",
        {"type": "object", "additionalProperties": INTEGER},
        {
            "gemini": {"type": "object", "properties": {}, "additionalProperties": INTEGER},
            "": Refused("additionalProperties"),
        },
    ),
    (
        "required but unknown",
        {**closed(a=STRING), "required": ["b"]},
        {"gemini": {**closed(a=STRING), "required": ["b"]}, "": Refused("required")},
    ),
    (
        "number of properties",
        {**closed(a=STRING), "minProperties": 1},
        {**closed(a=STRING), "description": "minProperties: 1"},
    ),
    ("all of one", {"allOf": [STRING], "description": "d"}, {"type": "string", "description": "d"}),
    ("all of two", {"allOf": [STRING, {"minLength": 1}]}, Refused("allOf")),
    ("all of one that says otherwise", {"allOf": [STRING], "type": "integer"}, Refused("allOf")),
    ("all of anything", {"allOf": [True]}, Refused("allOf")),
    ("either and or", {"anyOf": [STRING], "oneOf": [INTEGER]}, Refused("oneOf")),
    (
        "properties and a choice of more",
        {**thing(a=STRING), "anyOf": [thing(b=STRING), thing(c=STRING)]},
        {"gemini": {**thing(a=STRING), "anyOf": [thing(b=STRING), thing(c=STRING)]}, "": Refused("anyOf")},
    ),
    (
        "one of the properties",
        {**thing(a=STRING), "anyOf": [{"required": ["a"]}]},
        {"gemini": {**thing(a=STRING), "anyOf": [{"required": ["a"]}]}, "": Refused("anyOf/0")},
    ),
    *(
        (word, {"type": "string", word: value}, Refused(word))
        for word, value in [
            ("not", NULL),
            ("if", NULL),
            ("patternProperties", {}),
            ("dependentSchemas", {}),
            ("contains", NULL),
            ("$dynamicRef", "#a"),
        ]
    ),
    ("names by reference", {**closed(a=STRING), "propertyNames": {"$ref": "#/$defs/N"}}, Refused("propertyNames")),
]


def wanted_of(dialect: str, wanted: Any) -> Any:
    """The row's word for that dialect; it has one for all, or one for the rest under ""."""
    if isinstance(wanted, dict) and wanted.keys() & {*DIALECTS, ""}:
        return wanted.get(dialect, wanted.get(""))
    return wanted


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("schema", "wanted"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_a_keyword_is_said_in_words_or_refused(dialect: str, schema: Any, wanted: Any) -> None:
    wanted = wanted_of(dialect, wanted)
    before = copy.deepcopy(schema)
    if isinstance(wanted, Refused):
        with pytest.raises(UnsupportedKeyword) as caught:
            translate(thing(value=schema), DIALECTS[dialect])
        assert caught.value.path == f"properties/value/{wanted}".rstrip("/")
    else:
        translated = translate(thing(value=schema), DIALECTS[dialect])
        assert translated["properties"] == {"value": wanted}
        assert translate(translated, DIALECTS[dialect]) == translated
    assert schema == before


def test_the_root_may_not_be_anything_where_objects_are_closed() -> None:
    with pytest.raises(UnsupportedKeyword, match="root, which allows anything"):
        translate({}, ANTHROPIC)
    assert translate({}, GEMINI) == {}


def test_words_beside_a_reference_stay() -> None:
    schema = {
        **closed(
            a={"$ref": "#/$defs/S", "description": "its a", "default": "x"}, b={"$ref": "#/$defs/S", "default": "x"}
        ),
        "$defs": {"S": STRING},
    }
    for dialect in DIALECTS.values():
        assert translate(schema, dialect)["properties"] == {
            "a": {"anyOf": [{"$ref": "#/$defs/S"}], "description": "its a"},
            "b": {"$ref": "#/$defs/S"},
        }
    bounded = {**closed(a={"$ref": "#/$defs/S", "maxLength": 3}), "$defs": {"S": STRING}}
    assert translate(bounded, OPENAI_STRICT)["properties"]["a"] == {
        "anyOf": [{"$ref": "#/$defs/S"}],
        "description": "maxLength: 3",
    }
    for key, value in {"type": "string", "enum": ["a"], "properties": {}, "anyOf": [STRING], "items": STRING}.items():
        with pytest.raises(UnsupportedKeyword):
            translate({**closed(a={"$ref": "#/$defs/S", key: value}), "$defs": {"S": STRING}}, GEMINI)


@pytest.mark.parametrize(
    "reference", ["#/$defs/Gone", "#anchor", "https://x.test/s.json", "other.json#/a", "#/properties/a/anyOf/7"]
)
def test_a_reference_to_elsewhere_is_refused(reference: str) -> None:
    schema = {**closed(a={"anyOf": [STRING, NULL]}, b={"$ref": reference})}
    for dialect in DIALECTS.values():
        with pytest.raises(UnsupportedKeyword) as caught:
            translate(schema, dialect)
        assert caught.value.path == "properties/b/$ref"


def test_references_into_the_schema_are_followed() -> None:
    schema = closed(
        a=closed(**{"x/y~z": STRING}),
        b={"$ref": "#/properties/a/properties/x~1y~0z"},
        c={"anyOf": [INTEGER, {"$ref": "#/properties/a"}]},
        d={"$ref": "#/properties/c/anyOf/0"},
    )
    for dialect in DIALECTS.values():
        assert translate(schema, dialect) == schema


class Node(BaseModel):
    name: str
    children: list[Node]


class Kin(BaseModel):
    child: Kin | None
    children: list[Kin] = []


class Ping(BaseModel):
    pong: Pong | None


class Pong(BaseModel):
    pings: list[Ping]


class Endless(BaseModel):
    next: Endless


RECURSIVE: dict[type[BaseModel], tuple[str, dict[str, tuple[list[str], str | None]]]] = {
    Node: ("$defs/Node/properties/children/items/$ref", {"Node": (["name"], 'required: ["children"]')}),
    Kin: ("$defs/Kin/properties/child/anyOf/0/$ref", {"Kin": ([], 'required: ["child"]')}),
    Ping: (
        "$defs/Pong/properties/pings/items/$ref",
        {"Ping": (["pong"], None), "Pong": ([], 'required: ["pings"]')},
    ),
    Endless: ("$defs/Endless/properties/next/$ref", {"Endless": ([], 'required: ["next"]')}),
}


@pytest.mark.parametrize("kind", RECURSIVE)
def test_recursion_is_carried_as_far_as_the_dialect_has_it(kind: Any) -> None:
    definitions = TypeAdapter(list[kind]).json_schema()["$defs"]
    schema = {**thing(value={"$ref": f"#/$defs/{kind.__name__}"}), "$defs": definitions}
    path, required = RECURSIVE[kind]

    with pytest.raises(UnsupportedKeyword) as caught:
        translate(schema, ANTHROPIC)
    assert caught.value.path == path

    if kind is Endless:
        # Every property is required there, and no answer would ever be whole.
        with pytest.raises(UnsupportedKeyword) as caught:
            translate(schema, OPENAI_STRICT)
        assert caught.value.path == path
    else:
        strict = translate(schema, OPENAI_STRICT)["$defs"][kind.__name__]
        assert strict["required"] == list(kind.model_fields)

    # Gemini takes references around in a circle only below properties that are not required.
    definitions = translate(schema, GEMINI)["$defs"]
    assert {name: (inner["required"], inner.get("description")) for name, inner in definitions.items()} == required


def test_a_root_that_refers_to_itself() -> None:
    tree = {**closed(name=STRING), "properties": {"name": STRING, "kids": {"type": "array", "items": {"$ref": "#"}}}}
    assert translate(tree, OPENAI_STRICT)["required"] == ["name", "kids"]
    assert translate(tree, GEMINI) == tree
    with pytest.raises(UnsupportedKeyword, match="properties/kids/items/\\$ref"):
        translate(tree, ANTHROPIC)


def test_a_circle_of_nothing_but_references_is_refused() -> None:
    for target in ({"$ref": "#/$defs/A"}, {"type": "array", "items": {"$ref": "#/$defs/A"}}):
        with pytest.raises(UnsupportedKeyword):
            translate({**thing(a={"$ref": "#/$defs/A"}), "$defs": {"A": target}}, GEMINI)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)] = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    good: Literal[True]
    price: Decimal
    tag: UUID | None = None


class Owner(BaseModel):
    """Who owns pets."""

    name: Annotated[str, Field(min_length=1, pattern="^[A-Z]")]
    colour: Colour = Field(Colour.RED, description="the favourite")
    pets: Annotated[list[Annotated[Cat | Dog, Field(discriminator="kind")]], Field(max_length=3)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_pydantic_model_of_everyday_use_goes_everywhere(dialect: str) -> None:
    translated = translate(Owner.model_json_schema(), DIALECTS[dialect])
    Draft202012Validator.check_schema(translated)
    answer = {
        "name": "Ann",
        "colour": "blue",
        "pets": [{"kind": "cat", "lives": 9}, {"kind": "dog", "good": True, "price": 1.5, "tag": None}],
    }
    Draft202012Validator(translated).validate(answer)
    assert Owner.model_validate(answer).pets[0].kind == "cat"


# Schemas as pydantic makes them, and answers to them.

NAMES = st.sampled_from(["a", "b", "title", "items", "$ref"])
BOUND = st.integers(0, 3)
DEFINED = ("One", "Two")


def bounds(*keys: str) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, BOUND))


def either(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*strategies)


LEAVES = either(
    bounds("minLength", "maxLength").map(lambda more: {"type": "string", **more}),
    bounds("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum").map(lambda more: {"type": "integer", **more}),
    st.sampled_from(["^[ab]*$", "^(?!a)", r"\bb"]).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(["boolean", "null", "number"]).map(lambda kind: {"type": kind}),
    st.lists(either(st.sampled_from(["x", "y"]), BOUND), min_size=1, unique=True).map(lambda values: {"enum": values}),
    st.sampled_from(
        [{"type": "string", "const": "x"}, {"type": "boolean", "const": True}, {"type": ["string", "null"]}]
    ),
    st.sampled_from(DEFINED).map(lambda name: {"$ref": f"#/$defs/{name}"}),
    st.sampled_from(DEFINED).map(lambda name: {"$ref": f"#/$defs/{name}", "description": "see there", "default": None}),
)


def nested(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    def of_properties(properties: Schema) -> st.SearchStrategy[Schema]:
        required = st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([])
        more = st.fixed_dictionaries(
            {}, optional={"additionalProperties": either(st.booleans(), inner), "minProperties": BOUND}
        )
        return st.builds(
            lambda needed, extra: {"type": "object", "properties": properties, "required": needed, **extra},
            required,
            more,
        )

    return either(
        st.dictionaries(NAMES, inner, max_size=3).flatmap(of_properties),
        st.builds(lambda items, more: {"type": "array", "items": items, **more}, inner, bounds("minItems", "maxItems")),
        inner.map(lambda items: {"type": "array", "items": items, "uniqueItems": True}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda only: {"allOf": [only], "title": "Only"}),
        st.lists(inner, min_size=1, max_size=2).map(lambda items: {"type": "array", "prefixItems": items}),
    )


def descends(schema: Schema) -> bool:
    """Whether no definition speaks of the very value that it is asked about again: jsonschema would follow for ever."""

    def of_the_same(it: Schema) -> set[str]:
        options = [*it.get("anyOf", ()), *it.get("allOf", ())]
        named = {it["$ref"].rsplit("/", 1)[-1]} if "$ref" in it else set()
        return named.union(*map(of_the_same, options))

    one, two = (of_the_same(schema["$defs"][name]) for name in DEFINED)
    return "One" not in one and "Two" not in two and not ("Two" in one and "One" in two)


NODES = st.recursive(LEAVES, nested, max_leaves=8)
SCHEMAS = st.builds(
    lambda root, one, two: {**thing(value=root), "$defs": {"One": one, "Two": two}}, NODES, NODES, NODES
).filter(descends)


@st.composite
def answers(draw: st.DrawFn, schema: Schema, root: Schema, depth: int = 0) -> Any:
    """An answer to a translated schema; not every one is valid, but most are."""
    assume(depth < 12)

    def below(inner: Schema) -> Any:
        return draw(answers(inner, root, depth + 1))

    if "$ref" in schema:
        return below(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
    if "anyOf" in schema:
        return below(draw(st.sampled_from(schema["anyOf"])))
    if "enum" in schema or "const" in schema:
        return draw(st.sampled_from(schema.get("enum", [schema.get("const")])))
    kind = schema.get("type", "string")
    kind = draw(st.sampled_from(kind)) if isinstance(kind, list) else kind
    if kind == "object":
        names = [
            n for n in schema["properties"] if n in schema.get("required", ()) or (depth < 5 and draw(st.booleans()))
        ]
        extra = ["more"] if schema.get("additionalProperties") is not False and draw(st.booleans()) else []
        return {name: below(schema["properties"][name]) for name in names} | dict.fromkeys(extra, "x")
    if kind == "array":
        least = max(schema.get("minItems", 0), 0)
        most = schema.get("maxItems", least if depth > 4 else least + 2)
        fixed = schema.get("prefixItems", [])
        assume(least <= most)
        length = draw(st.integers(least, most))
        items = [*fixed, *[schema.get("items", STRING)] * length]
        return [below(item) for item in items[:length]]
    low, high = schema.get("minimum", -5), schema.get("maximum", 5)
    assume(low <= high)
    plain = {
        "integer": st.integers(low, high),
        "number": st.integers(low, high) | st.floats(low, high),
        "string": st.text("abx", max_size=4),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return draw(plain[kind])


def words_of(translated: Any) -> Iterator[str]:
    """All descriptions of a schema."""
    if isinstance(translated, dict):
        for key, value in translated.items():
            if key == "description" and isinstance(value, str):
                yield value
            else:
                yield from words_of(value)
    elif isinstance(translated, list):
        for value in translated:
            yield from words_of(value)


def excused(error: Any, words: str) -> bool:
    """Whether the keyword that an answer breaks was said in words."""
    if error.validator == "anyOf":
        options = {e.schema_path[0]: True for e in error.context}
        for e in error.context:
            options[e.schema_path[0]] &= excused(e, words)
        return any(options.values())
    return f"{error.validator}: " in words


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(schema=SCHEMAS, dialect=st.sampled_from(list(DIALECTS.values())), data=st.data())
def test_nothing_is_weakened_in_silence(schema: Schema, dialect: Dialect, data: st.DataObject) -> None:
    Draft202012Validator.check_schema(schema)
    before = copy.deepcopy(schema)
    try:
        translated = translate(schema, dialect)
    except UnsupportedKeyword:
        return
    finally:
        assert schema == before
    Draft202012Validator.check_schema(translated)
    assert translate(translated, dialect) == translated
    answer = data.draw(answers(translated, translated))
    assume(Draft202012Validator(translated).is_valid(answer))
    words = " ".join(words_of(translated))
    for error in Draft202012Validator(schema).iter_errors(answer):
        assert excused(error, words), error


# Any JSON schema at all.

ANY_SCHEMA: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.just({})
    | st.sampled_from([{"type": k} for k in ("string", "object", "array", "null", "integer")]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], ["array", "string"]]),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "patternProperties": st.dictionaries(NAMES, inner, max_size=1),
            "additionalProperties": inner,
            "required": st.lists(NAMES, unique=True),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "enum": st.lists(
                st.none() | st.booleans() | BOUND | st.text("a") | st.just([1]), max_size=3, unique_by=repr
            ),
            "const": st.none() | st.booleans() | BOUND | st.dictionaries(NAMES, BOUND),
            "description": st.text("ab"),
            "format": st.sampled_from(["date", "email", "odd"]),
            "pattern": st.sampled_from(["a", "(?=a)"]),
            "minItems": BOUND,
            "propertyNames": inner,
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/properties/a", "#/items", "#a", "https://x.test/"]),
            "$defs": st.dictionaries(st.just("a"), inner, max_size=1),
        },
    ),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    schema=ANY_SCHEMA.filter(lambda schema: isinstance(schema, dict)), dialect=st.sampled_from(list(DIALECTS.values()))
)
def test_any_schema_is_translated_or_refused(schema: Schema, dialect: Dialect) -> None:
    Draft202012Validator.check_schema(schema)
    try:
        translated = translate(schema, dialect)
    except UnsupportedKeyword:
        return
    Draft202012Validator.check_schema(json.loads(json.dumps(translated)))
    assert translate(translated, dialect) == translated


NOWHERE = {"$ref": "#/$defs/nobody"}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (thing(a=NOWHERE), "properties/a/$ref"),
        ({"anyOf": [STRING, NOWHERE]}, "anyOf/1/$ref"),
        ({"type": "array", "items": NOWHERE}, "items/$ref"),
        ({"type": "array", "prefixItems": [STRING, NOWHERE]}, "prefixItems/1/$ref"),
        ({"type": "object", "additionalProperties": NOWHERE}, "additionalProperties/$ref"),
        ({**thing(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"type": "array", "items": NOWHERE}}}, "$defs/x/items/$ref"),
    ],
)
def test_a_reference_to_nowhere_is_refused_at_its_place(schema: Schema, path: str) -> None:
    with pytest.raises(UnsupportedKeyword) as caught:
        translate(schema, GEMINI)
    assert caught.value.path == path
