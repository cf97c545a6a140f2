"""Definitions out of Python functions, and the choice among them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import json
import math
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Union

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from llmring import LLMRequest, Message, tool
from llmring.exceptions import InvalidRequestError
from llmring.tools import definitions

if TYPE_CHECKING:
    from somewhere_else import Elsewhere  # type: ignore[import-not-found]


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    title: str = Field("", description="Mr, Mrs, ...")


@dataclasses.dataclass
class Point:
    x: int
    y: list[int] = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Query(TypedDict):
    text: str


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Desk:
    def book(self, seats: int) -> None:
        """Book seats."""

    @classmethod
    def open(cls, at: str) -> None:
        """Open it."""

    @staticmethod
    def close(at: str) -> None:
        """Close it."""

    def __call__(self, seats: int) -> None:
        """Ask the desk."""


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    definition = tool(function)
    json.dumps(definition, allow_nan=False)
    schema: dict[str, Any] = definition["function"]["parameters"]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    return schema


def one(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """The schema of a function's one parameter of that type."""

    def function(value: Any) -> None: ...

    function.__annotations__ = {"value": annotation}
    if default is not ...:
        function.__defaults__ = (default,)
    schema = parameters(function)
    assert (default is ...) == ("value" in schema.get("required", []))
    inner: dict[str, Any] = schema["properties"]["value"]
    return inner


NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (Any, {}),
        (None, NULL),
        (object, {}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Literal["a"], {"type": "string", "const": "a"}),
        (Optional[int], {"anyOf": [{"type": "integer"}, NULL]}),  # noqa: UP045
        (int | None, {"anyOf": [{"type": "integer"}, NULL]}),
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        ),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (datetime.date, {"type": "string", "format": "date"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Address, {"$ref": "#/$defs/Address"}),
        (Point, {"$ref": "#/$defs/Point"}),
        (Colour, {"$ref": "#/$defs/Colour"}),
        (Query, {"$ref": "#/$defs/Query"}),
        (Tree, {"$ref": "#/$defs/Tree"}),
        (Annotated[int, Field(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
        (Annotated[str, Field(description="its name")], {"type": "string", "description": "its name"}),
        (Annotated[str, "a plain remark"], {"type": "string"}),
        (Annotated[str, Field(alias="other")], {"type": "string"}),
        ("int | None", {"anyOf": [{"type": "integer"}, NULL]}),
        ("list['Address']", {"type": "array", "items": {"$ref": "#/$defs/Address"}}),
    ],
    ids=repr,
)
def test_a_type_becomes_a_schema(annotation: Any, schema: dict[str, Any]) -> None:
    assert one(annotation) == schema


@pytest.mark.parametrize(
    ("annotation", "default", "schema"),
    [
        (int, 3, {"type": "integer", "default": 3}),
        (str | None, None, {"anyOf": [{"type": "string"}, NULL], "default": None}),
        (Colour, Colour.RED, {"$ref": "#/$defs/Colour", "default": "red"}),
        (Level, Level.HIGH, {"$ref": "#/$defs/Level", "default": 2}),
        (
            Address,
            Address(street="a", title="Mr"),
            {"$ref": "#/$defs/Address", "default": {"street": "a", "title": "Mr"}},
        ),
        (datetime.date, datetime.date(2026, 1, 2), {"type": "string", "format": "date", "default": "2026-01-02"}),
        (dict[str, Any], {"title": "Dr"}, {"type": "object", "additionalProperties": True, "default": {"title": "Dr"}}),
        pytest.param(Any, object(), {}, id="any object"),
        (float, math.inf, {"type": "number"}),
        (float, math.nan, {"type": "number"}),
        (
            int,
            Field(5, ge=1, description="how many"),
            {"type": "integer", "minimum": 1, "default": 5, "description": "how many"},
        ),
    ],
    ids=repr,
)
def test_a_default_makes_a_parameter_optional(annotation: Any, default: Any, schema: dict[str, Any]) -> None:
    assert one(annotation, default) == schema


def test_a_field_without_a_default_is_required() -> None:
    def function(value: int = Field(description="how many")) -> None: ...

    assert parameters(function) == {
        "type": "object",
        "properties": {"value": {"type": "integer", "description": "how many"}},
        "required": ["value"],
    }


def test_nested_types_are_told_once() -> None:
    def move(who: Address, to: list[Address], via: Point | None = None) -> None: ...

    schema = parameters(move)
    assert set(schema["$defs"]) == {"Address", "Point"}
    assert schema["$defs"]["Address"] == {
        "type": "object",
        "description": "Where somebody lives.",
        "properties": {
            "street": {"type": "string"},
            "title": {"type": "string", "default": "", "description": "Mr, Mrs, ..."},
        },
        "required": ["street"],
    }


def test_a_function_without_parameters_or_types() -> None:
    def ping() -> None: ...

    def guess(what, how=1):  # type: ignore[no-untyped-def]
        ...

    assert tool(ping) == {
        "type": "function",
        "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}},
    }
    assert parameters(guess)["properties"] == {"what": {}, "how": {"default": 1}}
    assert parameters(guess)["required"] == ["what"]


GOOGLE = """Find hotels.

    Any star counts.

    Args:
        city: its name,
            without the country.
        stars (int): how many.

    Returns:
        Their names.
    """
NUMPY = """Find hotels.

    Any star counts.

    Parameters
    ----------
    city : str
        its name,
        without the country.
    stars : int, optional
        how many.

    Returns
    -------
    list
        Their names.
    """
SPHINX = """Find hotels.

    Any star counts.

    :param city: its name,
        without the country.
    :param int stars: how many.
    :returns: Their names.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_a_docstring_describes(docstring: str) -> None:
    def hotels(city: str, stars: Annotated[int, Field(description="1 to 5")] = 3) -> list[str]:
        return []

    hotels.__doc__ = docstring
    function = tool(hotels)["function"]
    assert function["description"] == "Find hotels.\n\nAny star counts."
    described = {name: inner["description"] for name, inner in function["parameters"]["properties"].items()}
    assert described == {"city": "its name,\nwithout the country.", "stars": "1 to 5"}


@given(st.text())
def test_no_docstring_is_too_odd(docstring: str) -> None:
    def function(a: int) -> None: ...

    function.__doc__ = docstring
    assert parameters(function)["properties"]["a"]["type"] == "integer"


def test_a_docstring_that_cannot_be_parsed_is_taken_as_it_is() -> None:
    def function(a: int) -> None:
        """Do it.

        :param: nothing
        """

    assert "Do it." in tool(function)["function"]["description"]


NAMES = [
    "_id",
    "__x",
    "model_config",
    "model_x",
    "json",
    "copy",
    "schema",
    "dict",
    "validate",
    "title",
    "default",
    "type",
]


@pytest.mark.parametrize("name", [*NAMES, "self_", "größe", "parameter_0", "properties", "fields", "construct"])
def test_any_name_of_a_parameter_will_do(name: str) -> None:
    space: dict[str, Any] = {}
    exec(f'def function({name}: int, other: str = ""): ...', space)
    assert parameters(space["function"]) == {
        "type": "object",
        "properties": {name: {"type": "integer"}, "other": {"type": "string", "default": ""}},
        "required": [name],
    }


def test_methods_are_taken_bound() -> None:
    for method, wanted in ((Desk().book, "seats"), (Desk.open, "at"), (Desk().open, "at"), (Desk.close, "at")):
        assert list(parameters(method)["properties"]) == [wanted]
    assert tool(Desk().book)["function"]["description"] == "Book seats."
    with pytest.raises(InvalidRequestError, match=r"method without its object; pass it bound, as in `thing\.book`"):
        tool(Desk.book)


def test_an_object_that_can_be_called_is_called_by_its_class() -> None:
    function = tool(Desk())["function"]
    assert (function["name"], function["description"]) == ("Desk", "Ask the desk.")
    assert function["parameters"]["properties"] == {"seats": {"type": "integer"}}


def test_what_a_partial_has_filled_in_is_not_asked_for() -> None:
    def search(query: str, limit: int, connection: Callable[[], None]) -> None:
        """Search."""

    bound = functools.partial(functools.partial(search, connection=print), limit=5)
    assert tool(bound)["function"]["name"] == "search"
    assert tool(bound)["function"]["description"] == "Search."
    assert parameters(bound)["properties"] == {"query": {"type": "string"}}
    assert parameters(functools.partial(search, "cats", connection=print))["properties"] == {
        "limit": {"type": "integer"}
    }


def test_decorated_and_async_functions_are_seen_through() -> None:
    async def fetch(url: str) -> str:
        """Fetch it."""
        return url

    @functools.wraps(fetch)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fetch(*args, **kwargs)

    @functools.lru_cache
    def cached(url: str) -> str:
        """Fetch it."""
        return url

    assert tool(fetch) == tool(wrapper)
    assert tool(cached)["function"]["parameters"] == tool(fetch)["function"]["parameters"]
    assert tool(cached)["function"]["description"] == "Fetch it."


def test_what_is_returned_need_not_be_there() -> None:
    def lookup(name: str) -> Elsewhere: ...

    assert parameters(lookup)["required"] == ["name"]


def test_functions_of_a_namespace_of_their_own() -> None:
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Own: ...\nfrom typing import *\ndef f(a: 'Literal[1, 2]', b: 'Optional[int]' = None): ...", space)
    assert parameters(space["f"])["properties"]["a"] == {"type": "integer", "enum": [1, 2]}


def test_every_number_is_right() -> None:
    def pay(amount: decimal.Decimal, within: datetime.timedelta, at: datetime.datetime) -> None: ...

    assert parameters(pay)["properties"]["within"] == {"type": "string", "format": "duration"}
    assert parameters(pay)["properties"]["amount"]["anyOf"][0] == {"type": "number"}


def unresolvable(name: Elsewhere) -> None: ...


def star(*names: str) -> None: ...


def stars(**names: str) -> None: ...


def positional(name: str, /) -> None: ...


def callback(then: Callable[[int], int]) -> None: ...


def opaque(thing: Desk) -> None: ...


def remark(city: "its name, please") -> None: ...  # type: ignore[valid-type]  # noqa: F722


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (unresolvable, "unresolvable: its annotations cannot be resolved: name 'Elsewhere' is not defined"),
        (remark, "remark: its annotations cannot be resolved"),
        (star, r"star: the parameter \*names: .* cannot be filled from JSON; a tool takes named parameters only"),
        (stars, r"stars: the parameter \*\*names"),
        (positional, "positional: the parameter name"),
        (callback, "callback: its parameters have no JSON schema: "),
        (opaque, "opaque: its parameters have no JSON schema: "),
        (lambda city: city, "<lambda> cannot be a tool: it takes a function with a name"),
        (Address, "Address cannot be a tool"),
        (int, "int cannot be a tool"),
        (max, "max has no signature to read"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_no_json_can_fill_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words) as caught:
        tool(function)
    assert "\n" not in str(caught.value)


def asking(**fields: Any) -> LLMRequest:
    return definitions(LLMRequest(model="m", messages=[Message(role="user", content="hi")], **fields))


def ping() -> None:
    """Ping."""


def pong(times: int) -> None:
    """Pong."""


PING = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}}}


def test_functions_and_definitions_may_be_mixed() -> None:
    given = {"type": "function", "function": {"name": "bare"}}
    native = {"type": "web_search"}
    asked = asking(tools=[ping, given, native, {"google_search": {}}])
    assert asked.tools == [
        {**PING, "function": {**PING["function"], "description": "Ping."}},  # type: ignore[dict-item]
        {"type": "function", "function": {"name": "bare", "parameters": {"type": "object", "properties": {}}}},
        native,
        {"google_search": {}},
    ]
    assert given == {"type": "function", "function": {"name": "bare"}}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("ping", {"type": "function", "function": {"name": "ping"}}),
        ({"type": "function", "function": {"name": "ping"}}, {"type": "function", "function": {"name": "ping"}}),
        ({"type": "function", "name": "ping"}, {"type": "function", "function": {"name": "ping"}}),
        ({"type": "tool", "name": "ping"}, {"type": "function", "function": {"name": "ping"}}),
    ],
)
def test_a_choice_is_said_in_one_form(choice: Any, wanted: Any) -> None:
    assert asking(tools=[ping, pong], tool_choice=choice).tool_choice == wanted


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_a_choice_among_no_tools_is_none(choice: str | None) -> None:
    assert asking(tool_choice=choice).tool_choice is None
    assert asking(tools=[], tool_choice=choice).tool_choice is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tool_choice": "required"}, "tool_choice is 'required', but the request has no tools"),
        ({"tool_choice": "ping", "tools": []}, "tool_choice is 'ping', but the request has no tools"),
        ({"tool_choice": "pnig", "tools": [ping, pong]}, "one of the tools: ping, pong"),
        ({"tool_choice": {"type": "auto"}, "tools": [ping]}, "tool_choice is"),
        ({"tool_choice": {"type": "web_search"}, "tools": [ping]}, "one of the tools: ping"),
        ({"tool_choice": "search", "tools": [{"type": "web_search"}]}, "one of the tools: web_search"),
        ({"tool_choice": "search", "tools": [{"googleSearch": {}}, {}]}, "one of the tools: googleSearch, {}"),
        ({"tools": [ping, ping]}, "Two tools are called 'ping'"),
        ({"tools": [ping, PING]}, "Two tools are called 'ping'"),
        ({"tools": ["ping"]}, r"tools\[0\] is neither a function nor a definition"),
        ({"tools": [ping, {"type": "function"}]}, r"tools\[1\] is neither"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, r"tools\[0\] is neither"),
        ({"tools": [{"type": "function", "function": "ping"}]}, r"tools\[0\] is neither"),
    ],
)
def test_what_cannot_be_offered_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        asking(**fields)


def test_a_function_is_read_once_and_not_kept() -> None:
    def once(a: int) -> None: ...

    first, second = asking(tools=[once]).tools, asking(tools=[once]).tools
    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert tool(once) is not tool(once)
    alive = weakref.ref(once)
    del once
    gc.collect()
    assert alive() is None


def test_what_is_kept_of_a_function_is_not_its_wrappers() -> None:
    """Who wraps a function copies its attributes."""

    def count(a: int) -> None: ...

    asking(tools=[count])

    @functools.wraps(count)
    def renamed(b: str) -> None: ...

    del renamed.__wrapped__
    renamed.__annotations__ = {"b": str}
    renamed.__name__ = "renamed"
    tools = asking(tools=[renamed]).tools
    assert tools is not None
    definition = tools[0]
    assert definition["function"]["name"] == "renamed"
    assert list(definition["function"]["parameters"]["properties"]) == ["b"]
