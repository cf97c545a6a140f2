"""Response formats: read once, however often they are asked for, and always as they are at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, create_model

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import InvalidRequestError, ProviderResponseError
from llmring.schemas import FinishReason, LLMResponse
from llmring.structured import answer_format
from llmring.testing import PracticeServer

from .conftest import Way


def ask(form: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=[Message(role="user", content="Which?")], response_format=form)


def table(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}


async def test_a_type_is_read_once_and_asked_for_in_the_same_words(way: Way, server: PracticeServer) -> None:
    asked = []

    class River(BaseModel):
        name: str

        @classmethod
        def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
            asked.append(cls)
            return handler(core)

    async with LLMRing() as service:
        for _ in range(3):
            server.reply('{"value": [{"name": "Rhine"}]}')
            request = ask(list[River]).model_copy(update={"model": f"{way.provider}:m"})
            assert (await service.chat(request)).parsed == [River(name="Rhine")]
    assert len(asked) == 1
    bodies = [it.body for it in server.requests]
    assert bodies[0] == bodies[1] == bodies[2]


async def test_a_schema_that_is_changed_is_another(server: PracticeServer) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
    request = ask(table(schema)).model_copy(update={"model": "openai:m"})
    async with LLMRing() as service:
        server.reply('{"n": 3}')
        assert (await service.chat(request)).parsed == {"n": 3}
        schema["properties"]["n"]["maximum"] = 2
        server.reply('{"n": 3}')
        with pytest.raises(ProviderResponseError, match="3 is greater than the maximum of 2"):
            await service.chat(request)
    assert b'"maximum":2' in server.requests[1].raw


def test_what_is_equal_and_not_the_same_is_kept_apart() -> None:
    def schema(form: Any) -> Any:
        return answer_format(ask(form))[0].response_format["json_schema"]["schema"]["properties"]["value"]

    assert [schema(it)["anyOf"] for it in (int | str, str | int)] == [
        [{"type": "integer"}, {"type": "string"}],
        [{"type": "string"}, {"type": "integer"}],
    ]
    named = [create_model("Odd", field=(it, ...)) for it in (int, str)]
    kinds = [answer_format(ask(it))[0].response_format["json_schema"]["schema"]["properties"] for it in named]
    assert [it["field"]["type"] for it in kinds] == ["integer", "string"]


@pytest.mark.parametrize("form", [Annotated[int, Field(gt=3)], TypeAdapter(list[int]), table({"enum": ("a", "b")})])
def test_what_has_no_hash_or_one_of_its_own(form: Any) -> None:
    assert answer_format(ask(form)) is not None
    assert answer_format(ask(form))[0] == answer_format(ask(form))[0]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objekt"}, "is no JSON schema: type: 'objekt' is not valid"),
        ({"$ref": "#/nowhere"}, "refers to .*nowhere, which is not in it"),
        ({"default": object()}, "response_format's schema cannot be sent: .*unknown type"),
        ({"title": "\ud800"}, "response_format's schema cannot be sent: .*surrogate"),
    ],
)
def test_a_schema_that_is_none_is_refused_each_time(schema: dict[str, Any], words: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match=words):
            answer_format(ask(table(schema)))


class Branch(BaseModel):
    """Recursive: its schema is but a `$ref` to one of its definitions."""

    name: str
    branches: list[Branch] = []


@pytest.mark.parametrize("provider", ["openai", "google", "ollama"])
async def test_a_recursive_model_is_sent_as_the_object_that_it_is(provider: str, server: PracticeServer) -> None:
    """Not below a `value`, and not as a bare reference, which vendors refuse at the root."""
    assert "$ref" in TypeAdapter(Branch).json_schema()
    sent = answer_format(ask(Branch))[0].response_format["json_schema"]["schema"]
    assert (sent["type"], set(sent["properties"])) == ("object", {"name", "branches"})
    assert "$ref" not in sent
    server.reply('{"name": "trunk", "branches": [{"name": "twig"}]}')
    async with LLMRing() as service:
        parsed = (await service.chat(ask(Branch).model_copy(update={"model": f"{provider}:m"}))).parsed
    assert parsed == Branch(name="trunk", branches=[Branch(name="twig")])


class Opaque:
    """Nothing that pydantic knows how to read."""


def flow(river: str) -> int:
    """A function has arguments, which have a schema, but is no form of an answer."""
    return len(river)


@pytest.mark.parametrize(
    "form",
    [Opaque, list[Opaque], Callable[[], int], list.__class_getitem__("Unheard"), list.__class_getitem__("1 +"), flow],
)
def test_a_type_without_a_schema_is_refused(form: Any) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="response_format"):
            answer_format(ask(form))


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "object"}, "answer"),
        ({"type": "object", "title": "River"}, "River"),
        ({"type": "object", "title": "A river, or two"}, "A_river_or_two"),
    ],
)
def test_the_name_of_a_schema_is_its_title(schema: dict[str, Any], name: str) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert answer_format(ask(form))[0].response_format["json_schema"]["name"] == name
    assert answer_format(ask(table(schema)))[0].response_format["json_schema"]["name"] == "n"


def test_a_schema_that_holds_itself() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["itself"] = schema
    with pytest.raises(InvalidRequestError, match=r"cannot be sent: .*[Cc]ircular"):
        answer_format(ask(table(schema)))


@pytest.mark.parametrize("depth", [205, 225, 260, 5000])
def test_a_schema_that_is_too_deep_is_refused(depth: int) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(InvalidRequestError, match="response_format"):
        answer_format(ask(table(schema)))


@pytest.mark.parametrize("provider", ["openai", "ollama"])
async def test_what_is_changed_in_one_request_is_not_in_another(provider: str, server: PracticeServer) -> None:
    form = table({"type": "object", "additionalProperties": {"type": "integer"}})
    changed, _ = answer_format(ask(form))
    assert isinstance(changed.response_format, dict)
    changed.response_format["json_schema"]["schema"]["maxProperties"] = 1
    server.reply('{"a": 1, "b": 2}')
    async with LLMRing() as service:
        asked = ask(form).model_copy(update={"model": f"{provider}:m"})
        assert (await service.chat(asked)).parsed == {"a": 1, "b": 2}
    assert b"maxProperties" not in server.requests[0].raw


async def test_a_model_that_is_rebuilt_is_another(server: PracticeServer) -> None:
    model = create_model("River", length=(str, ...))
    async with LLMRing() as service:
        asked = ask(model).model_copy(update={"model": "ollama:m"})
        server.reply('{"length": "far"}')
        assert (await service.chat(asked)).parsed == model(length="far")
        model.model_fields["length"].annotation = int
        model.model_rebuild(force=True)
        server.reply('{"length": 3}')
        assert (await service.chat(asked)).parsed == model(length=3)


def check(form: Any, text: str, *, at: int = 0, finish_reason: FinishReason = "stop") -> Any:
    """What is made of an answer."""
    read = answer_format(ask(form))[1]
    assert read is not None
    return read.check(LLMResponse("openai:m", text, finish_reason=finish_reason), "openai", "m", at=at)


def sent(form: Any) -> Any:
    return answer_format(ask(form))[0].response_format["json_schema"]["schema"]


OBJECT = {"type": "json_object"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value": {"a": 1}}', {"value": {"a": 1}}),
        ('{"value": 1}', {"value": 1}),
        ('  {"a": 1}\n', {"a": 1}),
        ('```\n{"a": 1}\n```', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('\n```JSON \n{"a": 1}\n  ```\n', {"a": 1}),
        ('Hm.</think>{"a": 1}', {"a": 1}),
        ('{"a": 0}</think>{"a": 1}', {"a": 1}),
        ('Hm.</think>```json\n{"a": 1}\n```', {"a": 1}),
        ('Hm, "</think>" ends it.</think>{"a": 1}', {"a": 1}),
        ('Hm.</think>{"a": "</think>"}', {"a": "</think>"}),
        ('{"a": "</think>"}', {"a": "</think>"}),
    ],
)
def test_what_stands_around_an_answer_is_no_part_of_it(text: str, expected: Any) -> None:
    assert check(OBJECT, text) == expected
    assert check(OBJECT, f"commentary{text}", at=len("commentary")) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "It is JSON, but no object"),
        ("1", "It is JSON, but no object"),
        ("", "It is not JSON: "),
        ('{"a": NaN}', "It is not JSON: "),
        ('```python\n{"a": 1}\n```', "It is not JSON: "),
        ('```json\n{"a": 1}```', "It is not JSON: "),
        ('```json\n{"a": 1}', "It is not JSON: "),
        ('{"a": 1}\n```', "It is not JSON: "),
        ("Hm.</think>nothing", "It is not JSON: "),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, words: str) -> None:
    said = "The answer of openai:m does not have the form that was asked for. "
    with pytest.raises(ProviderResponseError) as caught:
        check(OBJECT, text)
    assert str(caught.value).startswith(said + words)
    assert str(caught.value).endswith(f"It was: {text}")
    assert caught.value.partial is not None
    assert caught.value.partial.content == text


def test_an_answer_that_only_calls_tools_has_none() -> None:
    assert check(OBJECT, "", finish_reason="tool_calls") is None
    assert check(OBJECT, "I look.", finish_reason="tool_calls") is None
    assert check(OBJECT, '{"a": 1}', finish_reason="tool_calls") == {"a": 1}


def test_why_an_answer_may_not_be_there() -> None:
    with pytest.raises(
        ProviderResponseError, match=r"not have the form .* was cut off at max_tokens: raise it\. It is"
    ):
        check(OBJECT, '{"a": ', finish_reason="length")
    with pytest.raises(ProviderResponseError, match=r"refused to answer.* another model\. It said: I cannot\.$"):
        check(OBJECT, "I cannot.", finish_reason="content_filter")
    with pytest.raises(ProviderResponseError, match=r"refused to answer.* choose another model\.$"):
        check(OBJECT, " ", finish_reason="content_filter")
    for length, shown in ((500, "x" * 500), (501, "x" * 499 + "…")):
        with pytest.raises(ProviderResponseError, match=f"It was: {shown}$"):
            check(OBJECT, "x" * length)


@pytest.mark.parametrize("form", [table({"type": "array", "items": {"type": "integer"}}), list[int]])
def test_five_reasons_are_told_at_most(form: Any) -> None:
    with pytest.raises(ProviderResponseError) as caught:
        check(form, '{"value": ["a", "b", "c", "d", "e", "f", "g"]}')
    reasons = str(caught.value).partition("asked for. ")[2].partition(". It was: ")[0].split("; ")
    assert [it.partition(": ")[0] for it in reasons] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("word", ["$defs", "definitions"])
def test_references_are_moved_with_the_root(word: str) -> None:
    """What is no object travels under a key; what is defined for all stays where it is."""
    leaf = {"type": "string", "enum": ["$ref", "#"]}
    schema = {
        "type": "array",
        "items": {"anyOf": [{"$ref": f"#/{word}/leaf"}, {"$ref": "#"}, {"$ref": "#/items/anyOf/0"}]},
        word: {"leaf": leaf, "whole": {"$ref": "#"}},
    }
    moved = [{"$ref": f"#/{word}/leaf"}, {"$ref": "#/properties/value"}, {"$ref": "#/properties/value/items/anyOf/0"}]
    assert sent(table(schema)) == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"anyOf": moved}}},
        "required": ["value"],
        "additionalProperties": False,
        word: {"leaf": leaf, "whole": {"$ref": "#/properties/value"}},
    }
    assert check(table(schema), '{"value": ["#", ["$ref", []]]}') == ["#", ["$ref", []]]
    with pytest.raises(ProviderResponseError, match="does not have the form"):
        check(table(schema), '{"value": [["a"]]}')


def test_a_property_by_the_name_of_a_reference_is_none() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"$ref": {"type": "string"}}}}
    assert sent(table(schema))["properties"] == {"value": schema}
