"""What the server that is started by hand answers: the form that was asked for, on every wire."""

from __future__ import annotations

import base64
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, create_model

from llmring import LLMRequest, LLMRing, Message, image
from llmring.testing import PracticeServer
from llmring.testing.samples import sample
from llmring.testing.stand_in import stand_in

from ..conftest import Way

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)


class Unit(Enum):
    CELSIUS = "C"


class Kind(BaseModel):
    name: str
    below: list[Kind]
    above: Kind | None


class Report(BaseModel):
    city: str
    unit: Unit
    day: date
    highs: list[float]
    sure: bool
    source: int | str | None


def get_weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """The weather."""
    return f"warm in {city}, in {unit}"


@pytest.fixture
def by_hand(server: PracticeServer) -> PracticeServer:
    server.script(stand_in)
    return server


async def said(way: Way, content: Any, **options: Any) -> Any:
    async with LLMRing() as service:
        messages = [Message(role="user", content=content)]
        return await service.chat(LLMRequest(model=way.model, messages=messages, **options))


async def test_a_form_is_answered_with_a_sample(way: Way, by_hand: PracticeServer) -> None:
    answer = await said(way, "How was it?", response_format=Report)
    assert isinstance(answer.parsed, Report)


async def test_any_json(way: Way, by_hand: PracticeServer) -> None:
    if way.provider == "anthropic":
        pytest.skip("has no such form")
    answer = await said(way, "As JSON, please", response_format={"type": "json_object"})
    assert answer.content == '{"answer": "sample"}'


@pytest.mark.parametrize("text", ["Please use get_weather", "and get weather now"])
async def test_a_tool_that_is_named_is_called_and_its_result_told(way: Way, by_hand: PracticeServer, text: str) -> None:
    async with LLMRing() as service:
        conversation = service.conversation(way.model, tools=[get_weather])
        answer = await conversation.ask(text)
    assert answer.content == "The tool said: warm in sample, in C"


async def test_tools_that_nobody_names_are_told(way: Way, by_hand: PracticeServer) -> None:
    answer = await said(way, "Hello", tools=[get_weather])
    assert answer.content == "You said: Hello\nYou offered tools: get_weather. Name one, and it is called."
    answer = await said(way, "The forget_weather_station", tools=[get_weather])
    assert not answer.tool_calls


async def test_a_tool_that_must_be_called(way: Way, by_hand: PracticeServer) -> None:
    if way.provider == "ollama":
        pytest.skip("has no such choice")
    answer = await said(way, "Hello", tools=[get_weather], tool_choice="required")
    assert [it["function"]["name"] for it in answer.tool_calls] == ["get_weather"]
    answer = await said(way, "get_weather", tools=[get_weather], tool_choice="none")
    assert answer.content == "You said: get_weather"


async def test_what_is_attached_is_named(way: Way, by_hand: PracticeServer) -> None:
    answer = await said(way, [{"type": "text", "text": "Look"}, image(PIXEL)])
    kind = "image" if way.provider == "ollama" else "image/png"
    assert answer.content == f"You said: Look\nYou attached: {kind} ({len(PIXEL)} bytes)"


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.tuples(st.integers(-5, 5), st.integers(1, 9)).map(
        lambda it: Annotated[int, Field(gt=it[0], le=it[0] + it[1])]
    ),
    "number": st.tuples(st.floats(-5, 5), st.floats(0.5, 9)).map(
        lambda it: Annotated[float, Field(gt=it[0], lt=it[0] + it[1])]
    ),
    "step": st.integers(1, 9).map(lambda it: Annotated[int, Field(multiple_of=it, ge=it * 2 - 1)]),
    "text": st.integers(0, 20).map(lambda it: Annotated[str, Field(min_length=it, max_length=it + 1)]),
    "list": st.integers(0, 5).map(lambda it: Annotated[list[str], Field(min_length=it, max_length=it + 1)]),
    "set": st.integers(1, 5).map(lambda it: Annotated[set[int], Field(min_length=it)]),
    "plain": st.sampled_from(
        [str, int, float, bool, None, date, datetime, UUID, Unit, Literal["a"], Kind, dict[str, int], tuple[int, str]]
    ),
}


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_a_sample_fits(fields: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {name: (kind, ...) for name, kind in fields.items()}
    model = create_model("Model", **wanted)
    TypeAdapter(model).validate_python(sample(model.model_json_schema()))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "items": {"enum": [1]}, "minItems": 3, "uniqueItems": True},
        {"type": "string", "minLength": 10**12},
        {"type": 3, "properties": [], "required": {}},
        {"type": "integer", "minimum": "x", "multipleOf": 0},
        {"anyOf": "x"},
        True,
        None,
        [],
    ],
)
def test_an_odd_schema_has_an_end(schema: Any) -> None:
    sample(schema)
