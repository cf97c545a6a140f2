"""Models are told of tools, calls and results as text, in the form that they know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.exceptions import ConfigurationError, InvalidRequestError
from llmring.schemas import LLMRequest, Message, ToolCall
from llmring.tool_dialects import Call, ToolDialect, dialect, dialect_names, dialect_of_template, told

from .test_reading import TABLE, read

NAMES = sorted(dialect_names())
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather; costs $5.",
        "parameters": {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "$defs": {"City": {}}},
        "strict": True,
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}
SEARCH = {"type": "web_search"}


def call(name: str, id: str, arguments: str) -> ToolCall:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_names() -> None:
    assert {"auto", "deepseek", "function", "hermes", "json", "llama", "mistral", "pythonic", "xml"} <= {*NAMES}
    assert {"command", "dsml", "functiongemma", "gemma", "glm", "harmony", "kimi", "minimax", "seed"} <= {*NAMES}
    assert [dialect(name).name for name in NAMES] == NAMES
    with pytest.raises(ConfigurationError, match=r"no tool dialect 'morse'; there are .*hermes"):
        dialect("morse")


@pytest.mark.parametrize("row", TABLE["templates"], ids=lambda row: row["source"].split(",")[0].replace(" ", "-"))
def test_a_chat_template_says_its_dialect(row: dict[str, Any]) -> None:
    found = dialect_of_template(row["template"])
    assert (found.name if found else None) == row["dialect"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_prompt_says_of_tools(name: str) -> None:
    said = dialect(name).describe([WEATHER, SEARCH, TIME])
    assert "get_weather" in said
    assert "get_time" in said
    assert "costs $5" in said
    assert '"$ref":"#/$defs/City"' in said
    assert "web_search" not in said
    assert "strict" not in said
    assert said == said.strip()
    assert said.endswith("If none of them is needed, just answer.")
    assert said == dialect(name).describe([WEATHER, TIME], "auto")


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_among_the_tools(name: str) -> None:
    it = dialect(name)
    assert it.describe([WEATHER, TIME], "none") == it.describe([]) == it.describe([SEARCH]) == ""
    assert "You must call one of them now" in it.describe([WEATHER, TIME], "required")
    one = it.describe([WEATHER, TIME], {"type": "function", "function": {"name": "get_time"}})
    assert "You must call get_time now" in one
    assert "get_weather" not in one


CALLS = [call("get_weather", "call_1", '{"city": "Zürich", "days": 2}'), call("get_time", "call_2", "")]
WRITTEN = {
    "xml": "<tool_call>\n<function=get_weather>\n<parameter=city>\nZürich\n</parameter>\n<parameter=days>\n2\n"
    "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
    "mistral": '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city":"Zürich","days":2}}, '
    '{"name": "get_time", "arguments": {}}]',
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Zürich","days":2}}\n</tool_call>\n'
    '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    "function": '<function=get_weather>{"city":"Zürich","days":2}</function>\n<function=get_time>{}</function>',
    "pythonic": "[get_weather(city='Zürich', days=2), get_time()]",
    "llama": '{"name": "get_weather", "parameters": {"city":"Zürich","days":2}}\n'
    '{"name": "get_time", "parameters": {}}',
    "json": '{"tool_calls": [{"name": "get_weather", "arguments": {"city":"Zürich","days":2}}, '
    '{"name": "get_time", "arguments": {}}]}',
}
RESULTS = {
    "xml": "<tool_response>\nsun\n</tool_response>\n<tool_response>\n12:00\n</tool_response>",
    "mistral": '[TOOL_RESULTS] {"content": "sun"}[/TOOL_RESULTS][TOOL_RESULTS] {"content": "12:00"}[/TOOL_RESULTS]',
    "hermes": "<tool_response>\nsun\n</tool_response>\n<tool_response>\n12:00\n</tool_response>",
    "function": "Result of get_weather: sun\nResult of get_time: 12:00",
    "pythonic": "Result of get_weather: sun\nResult of get_time: 12:00",
    "llama": "Result of get_weather: sun\nResult of get_time: 12:00",
    "json": "Result of get_weather: sun\nResult of get_time: 12:00",
}


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_former_turns(name: str) -> None:
    it = dialect(name)
    assert it.calls(CALLS) == WRITTEN[name]
    assert it.results([("get_weather", "sun"), ("get_time", "12:00")]) == RESULTS[name]
    assert read(name, WRITTEN[name]) == [Call("get_weather", '{"city":"Zürich","days":2}'), Call("get_time", "{}")]


def test_deepseek_writes_and_reads_blocks() -> None:
    it = dialect("deepseek")
    written = it.calls(CALLS)
    assert written.count("get_") == 2
    assert written.startswith(it.calls(CALLS[:1])[:20])
    assert read("deepseek", written) == [Call("get_weather", '{"city":"Zürich","days":2}'), Call("get_time", "{}")]
    assert it.results([("a", "sun"), ("b", "12:00")]).find("sun") < it.results([("a", "sun"), ("b", "12:00")]).find(
        "12:"
    )


class Shouting(ToolDialect):
    """A dialect of somebody else's."""

    name = "shouting"

    def describe(self, tools: Any, tool_choice: Any = None) -> str:
        return "" if tool_choice == "none" else "TOOLS!"

    def calls(self, calls: Any) -> str:
        return "CALL!"

    def results(self, results: Any) -> str:
        return f"RESULTS! {results}"

    def reader(self, tools: Any) -> Any:
        return dialect("json").reader(tools)


def request(*messages: Message, **more: Any) -> LLMRequest:
    return LLMRequest(model="p:m", messages=list(messages), tools=[WEATHER, TIME], **more)


def test_a_conversation_as_text() -> None:
    shouting: ToolDialect = Shouting()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    given = request(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Weather and time?"),
        Message(role="assistant", content="I look.", tool_calls=CALLS),
        Message(role="tool", tool_call_id="call_1", content={"sun": True}),
        Message(role="tool", tool_call_id="call_2", content=[{"type": "text", "text": "12:00"}, picture]),
        Message(role="user", content="And?"),
        Message(role="assistant", content=[{"type": "text", "text": "Once more."}], tool_calls=CALLS[1:]),
        Message(role="tool", tool_call_id="call_2", content=None),
        tool_choice="required",
        seed=3,
    )
    before = given.model_dump()
    text = told(given, shouting)
    assert given.model_dump() == before
    assert (text.tools, text.tool_choice, text.seed) == (None, None, 3)
    assert [(m.role, m.content, m.tool_calls) for m in text.messages] == [
        ("system", "Be brief.\n\nTOOLS!", None),
        ("user", "Weather and time?", None),
        ("assistant", "I look.\nCALL!", None),
        (
            "user",
            [
                {
                    "type": "text",
                    "text": "RESULTS! [('get_weather', '{\"sun\":true}'), ('get_time', '12:00')]\n\nAnd?",
                },
                picture,
            ],
            None,
        ),
        ("assistant", [{"type": "text", "text": "Once more."}, {"type": "text", "text": "CALL!"}], None),
        ("user", "RESULTS! [('get_time', '')]", None),
    ]


def test_a_system_prompt_where_there_is_none() -> None:
    asked = told(request(Message(role="user", content="Hi")), Shouting())
    assert [(m.role, m.content) for m in asked.messages] == [("system", "TOOLS!"), ("user", "Hi")]
    asked = told(request(Message(role="user", content="Hi"), tool_choice="none"), Shouting())
    assert [(m.role, m.content) for m in asked.messages] == [("user", "Hi")]
    only_calls = Message(role="assistant", content=None, tool_calls=CALLS)
    assert told(request(Message(role="user"), only_calls), Shouting()).messages[-1].content == "CALL!"


def test_a_request_without_tools_says_nothing_of_them() -> None:
    plain = LLMRequest(model="p:m", messages=[Message(role="user", content="Hi")])
    for name in NAMES:
        assert told(plain, dialect(name)) == plain
        assert "get_weather" in str(told(request(*plain.messages), dialect(name)).messages[0].content)


def test_what_the_user_says_behind_results_is_one_turn_with_them() -> None:
    given = request(
        Message(role="user", content="Time?"),
        Message(role="assistant", tool_calls=CALLS[1:]),
        Message(role="tool", tool_call_id="call_2", content="12:00"),
        Message(role="user", content="In words."),
    )
    turns = told(given, Shouting()).messages
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[-1].content == "RESULTS! [('get_time', '12:00')]\n\nIn words."
    assert given.messages[-1].content == "In words."


def test_arguments_of_a_former_call_that_are_no_object() -> None:
    for arguments in ("[1]", '{"city": '):
        given = request(Message(role="assistant", tool_calls=[call("get_weather", "call_1", arguments)]))
        with pytest.raises(InvalidRequestError, match="no JSON object"):
            told(given, dialect("hermes"))


def test_the_forms_have_their_sources() -> None:
    for name in NAMES:
        assert getattr(dialect(name), "source", "")
        assert json.dumps(dialect(name).describe([TIME]))
