"""What travels: tools, forms, reasoning, files and whole turns, on every wire, and in the vendors' own types."""

from __future__ import annotations

import asyncio
import base64
import re
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from llmring import parts
from llmring.dialects import ChatDialect
from llmring.request import prepare
from llmring.schemas import LLMRequest, Message, Role, ToolCall
from llmring.tool_dialects import dialect
from llmring.wire import anthropic, gemini, ollama, openai_chat, openai_responses
from llmring.wire.chat_requests import dialect_of
from llmring.wire.errors import CannotCarry
from llmring.wire.turns import digest_of, is_forced

from ..vendor_types import check
from .streams import WIRES

MODELS = {
    "openai-chat": "gpt-5-mini",
    "openai-responses": "gpt-5-mini",
    "anthropic": "claude-opus-5",
    "gemini": "gemini-3-flash",
    "ollama": "llama3.2",
}
USER = Message(role="user", content="Hi")
ISSUER = "vendor https://api.example.com"
OF_ISSUER = {"issuer": ISSUER}


def render(
    wire: str, request: LLMRequest, model: str | None = None, *, stream: bool = False, **more: Any
) -> dict[str, Any]:
    request, _ = asyncio.run(prepare(request))
    more = {"issuer": ISSUER, **more}
    model = model or MODELS[wire]
    if wire == "openai-chat":
        return openai_chat.render_request(request, model, stream=stream, **more)
    if wire == "openai-responses":
        return openai_responses.render_request(request, model, stream=stream, **more)
    if wire == "anthropic":
        return anthropic.render_request(request, model, stream=stream, **{"max_tokens": 64_000, **more})
    if wire == "gemini":
        return gemini.render_request(request, model, **more)
    if is_forced(request):
        more.setdefault("prompt", dialect("json"))
    return ollama.render_request(request, model, stream=stream, **more)


def ask(*messages: Message, **fields: Any) -> LLMRequest:
    return LLMRequest(model="alias", messages=list(messages or [USER]), **fields)


def added(wire: str, request: LLMRequest, model: str | None = None, **more: Any) -> dict[str, Any]:
    """What the body has beside a plain one's keys. The whole of it is of the vendor's types."""
    body = render(wire, request, model, **more)
    check(wire, body)
    return {
        key: value
        for key, value in body.items()
        if key not in ("model", "input", "messages", "contents", "store", "stream", "max_tokens", "include")
    }


def turns(wire: str, *messages: Message, model: str | None = None, **fields: Any) -> Any:
    """The conversation as it travels."""
    body = render(wire, ask(*messages, **fields), model)
    check(wire, body)
    return body[{"openai-responses": "input", "gemini": "contents"}.get(wire, "messages")]


def call(id: str, name: str, arguments: str = "{}") -> ToolCall:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather in a city.

    Args:
        city: its name.
    """
    return {}


def ping() -> None: ...


PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "its name."}, "days": {"type": "integer", "default": 1}},
    "required": ["city"],
}
EMPTY = {"type": "object", "properties": {}}
ABOUT = "The weather in a city."
IN_OPENAI = [
    {"type": "function", "function": {"name": "weather", "description": ABOUT, "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "ping", "parameters": EMPTY}},
]

TOOLS: dict[str, Any] = {
    "openai-chat": IN_OPENAI,
    "openai-responses": [
        {"type": "function", "name": "weather", "description": ABOUT, "parameters": PARAMETERS, "strict": False},
        {"type": "function", "name": "ping", "parameters": EMPTY, "strict": False},
    ],
    "anthropic": [
        {"name": "weather", "description": ABOUT, "input_schema": PARAMETERS},
        {"name": "ping", "input_schema": EMPTY},
    ],
    "gemini": [
        {
            "functionDeclarations": [
                {"name": "weather", "description": ABOUT, "parametersJsonSchema": PARAMETERS},
                {"name": "ping"},
            ]
        }
    ],
    "ollama": IN_OPENAI,
}


@pytest.mark.parametrize("wire", WIRES)
def test_tools(wire: str) -> None:
    assert added(wire, ask(tools=[weather, ping])) == {"tools": TOOLS[wire]}
    assert added(wire, ask(tools=[])) == {}


CHOICES: dict[str, dict[str, Any]] = {
    "openai-chat": {
        "auto": "auto",
        "none": "none",
        "required": "required",
        "ping": {"type": "function", "function": {"name": "ping"}},
    },
    "openai-responses": {
        "auto": "auto",
        "none": "none",
        "required": "required",
        "ping": {"type": "function", "name": "ping"},
    },
    "anthropic": {
        "auto": {"type": "auto"},
        "none": {"type": "none"},
        "required": {"type": "any"},
        "ping": {"type": "tool", "name": "ping"},
    },
    "gemini": {
        "auto": {"functionCallingConfig": {"mode": "AUTO"}},
        "none": {"functionCallingConfig": {"mode": "NONE"}},
        "required": {"functionCallingConfig": {"mode": "ANY"}},
        "ping": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["ping"]}},
    },
}


@pytest.mark.parametrize("wire", CHOICES)
@pytest.mark.parametrize("choice", ["auto", "none", "required", "ping"])
def test_a_choice_of_tools(wire: str, choice: str) -> None:
    key = "toolConfig" if wire == "gemini" else "tool_choice"
    assert added(wire, ask(tools=[weather, ping], tool_choice=choice)) == {
        "tools": TOOLS[wire],
        key: CHOICES[wire][choice],
    }


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_without_tools_is_not_sent(wire: str, choice: str) -> None:
    assert added(wire, ask(tool_choice=choice)) == {}


NATIVE: dict[str, Any] = {
    "openai-responses": {"type": "web_search"},
    "anthropic": {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    "gemini": {"googleSearch": {}},
}


@pytest.mark.parametrize("wire", NATIVE)
def test_a_tool_that_the_provider_runs_is_passed_on(wire: str) -> None:
    assert added(wire, ask(tools=[NATIVE[wire]])) == {"tools": [NATIVE[wire]]}
    assert added(wire, ask(tools=[weather, ping, NATIVE[wire]])) == {"tools": [*TOOLS[wire], NATIVE[wire]]}


FORCED: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("openai-responses", {"type": "web_search"}, "web_search", {"type": "web_search"}),
    ("openai-responses", {"type": "file_search"}, {"type": "file_search"}, {"type": "file_search"}),
    (
        "openai-responses",
        {"type": "mcp", "server_label": "wiki", "server_url": "https://x.test"},
        {"type": "mcp", "server_label": "wiki", "name": "ask"},
        {"type": "mcp", "server_label": "wiki", "name": "ask"},
    ),
    ("anthropic", NATIVE["anthropic"], "web_search", {"type": "tool", "name": "web_search"}),
    ("anthropic", NATIVE["anthropic"], {"type": "web_search_20250305"}, {"type": "tool", "name": "web_search"}),
    ("anthropic", NATIVE["anthropic"], {"type": "tool", "name": "web_search"}, {"type": "tool", "name": "web_search"}),
    ("openai-chat", {"type": "web_search"}, {"type": "web_search"}, {"type": "web_search"}),
]


@pytest.mark.parametrize(("wire", "tool", "choice", "said"), FORCED)
def test_a_tool_that_the_provider_runs_can_be_chosen(wire: str, tool: dict[str, Any], choice: Any, said: Any) -> None:
    assert render(wire, ask(tools=[ping, tool], tool_choice=choice))["tool_choice"] == said


@pytest.mark.parametrize(
    ("wire", "tool", "choice"),
    [("gemini", {"googleSearch": {}}, "googleSearch"), ("ollama", {"type": "web_search"}, "web_search")],
)
def test_a_choice_that_the_wire_cannot_carry(wire: str, tool: dict[str, Any], choice: str) -> None:
    with pytest.raises(CannotCarry):
        render(wire, ask(tools=[ping, tool], tool_choice=choice))


CODE: dict[str, Any] = {"type": "custom", "custom": {"name": "code", "description": "Runs Python."}}
AS_FUNCTION = {
    "type": "function",
    "function": {
        "name": "code",
        "description": "Runs Python.",
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        },
    },
}
WITHOUT_CUSTOM_TOOLS = ("openai-chat", "ollama")


@pytest.mark.parametrize("wire", WITHOUT_CUSTOM_TOOLS)
def test_a_custom_tool_where_there_are_none_is_a_function(wire: str) -> None:
    assert added(wire, ask(tools=[CODE])) == added(wire, ask(tools=[AS_FUNCTION]))
    chosen = added(wire, ask(tools=[CODE, ping], tool_choice="code"))
    assert chosen == added(wire, ask(tools=[AS_FUNCTION, ping], tool_choice="code"))
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[0-9]+"}
    with pytest.raises(CannotCarry, match="'code' holds its text to a grammar"):
        render(wire, ask(tools=[{"type": "custom", "name": "code", "format": grammar}]))


def test_what_anthropic_calls_custom_is_its_own_form_of_a_function() -> None:
    tool = {"type": "custom", "name": "clock", "input_schema": EMPTY}
    assert added("anthropic", ask(tools=[tool])) == {"tools": [tool]}


@pytest.mark.parametrize("wire", WIRES)
def test_a_strict_tool(wire: str) -> None:
    function = {"name": "f", "parameters": {**EMPTY, "additionalProperties": False}, "strict": True}
    body = render(wire, ask(tools=[{"type": "function", "function": function}]))
    assert ("'strict': True" in str(body["tools"])) == (wire != "gemini")


@pytest.mark.parametrize("wire", WIRES)
def test_a_mark_for_caching_tools_goes_to_anthropic_only(wire: str) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    tool = {"type": "function", "function": {"name": "ping"}, "cache_control": mark}
    tools = added(wire, ask(tools=[tool]))["tools"]
    if wire == "anthropic":
        assert tools == [{"name": "ping", "input_schema": EMPTY, "cache_control": mark}]
    else:
        assert "cache_control" not in str(tools)


# A round of calls

ROUND = [
    Message(role="user", content="Weather in Paris and Rome?"),
    Message(
        role="assistant",
        content="Let me look.",
        tool_calls=[call("call_1", "weather", '{"city": "Paris"}'), call("call_2", "ping")],
    ),
    Message(role="tool", tool_call_id="call_1", content={"temperature": 21}),
    Message(role="tool", tool_call_id="call_2", content="pong"),
    Message(role="user", content="Thanks."),
]

ROUNDS: dict[str, Any] = {
    "openai-chat": [
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [call("call_1", "weather", '{"city": "Paris"}'), call("call_2", "ping")],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": '{"temperature":21}'},
        {"role": "tool", "tool_call_id": "call_2", "content": "pong"},
        {"role": "user", "content": "Thanks."},
    ],
    "openai-responses": [
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {"type": "message", "role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'},
        {"type": "function_call", "call_id": "call_2", "name": "ping", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": '{"temperature":21}'},
        {"type": "function_call_output", "call_id": "call_2", "output": "pong"},
        {"role": "user", "content": "Thanks."},
    ],
    "anthropic": [
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "call_2", "name": "ping", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": '{"temperature":21}'},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "pong"},
            ],
        },
        {"role": "user", "content": "Thanks."},
    ],
    "gemini": [
        {"role": "user", "parts": [{"text": "Weather in Paris and Rome?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Let me look."},
                {
                    "functionCall": {"name": "weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"functionCall": {"name": "ping", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"temperature": 21}}},
                {"functionResponse": {"name": "ping", "response": {"result": "pong"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "Thanks."}]},
    ],
    "ollama": [
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Paris"}}},
                {"function": {"name": "ping", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "weather", "content": '{"temperature":21}'},
        {"role": "tool", "tool_name": "ping", "content": "pong"},
        {"role": "user", "content": "Thanks."},
    ],
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_round_of_calls(wire: str) -> None:
    assert turns(wire, *ROUND, tools=[weather, ping]) == ROUNDS[wire]


@pytest.mark.parametrize("wire", WIRES)
def test_a_system_message_in_between_does_not_part_the_results(wire: str) -> None:
    between = [*ROUND[:3], Message(role="system", content="Be brief."), *ROUND[3:]]
    if wire in ("anthropic", "gemini"):
        assert turns(wire, *between) == ROUNDS[wire]


def test_older_gemini_models_are_sent_no_signature() -> None:
    assert "thoughtSignature" not in str(turns("gemini", *ROUND, model="gemini-2.5-flash"))
    assert "skip_" in str(turns("gemini", *ROUND, model="gemini-flash-latest"))
    for model in ("models/gemini-flash-latest", "gemini-flash-lite-latest", "google/gemini-pro-latest"):
        assert "skip_" in str(turns("gemini", *ROUND, model=model))
        thinking = added("gemini", ask(reasoning_effort="low"), model)["generationConfig"]["thinkingConfig"]
        assert thinking == {"includeThoughts": True, "thinkingLevel": "LOW"}
    assert "skip_" in str(turns("gemini", *ROUND, model="models/gemini-4-argon"))
    for model in ("gemini-live-2.5-flash", "google/gemini-2.5-flash", "gemini-embedding-001"):
        assert "skip_" not in str(turns("gemini", *ROUND, model=model))


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
RESULT_PARTS = [parts.text("See:"), parts.image(f"data:image/png;base64,{PNG}")]
PICTURED: dict[str, Any] = {
    "openai-responses": {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [
            {"type": "input_text", "text": "See:"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
        ],
    },
    "anthropic": {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "call_1",
                "content": [
                    {"type": "text", "text": "See:"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            }
        ],
    },
    "gemini": {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "name": "ping",
                    "response": {"result": "See:"},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                }
            }
        ],
    },
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_result_with_a_picture(wire: str) -> None:
    turn = Message(role="assistant", tool_calls=[call("call_1", "ping")])
    result = Message(role="tool", tool_call_id="call_1", content=RESULT_PARTS)
    if wire in PICTURED:
        assert turns(wire, USER, turn, result)[-1] == PICTURED[wire]
    else:
        with pytest.raises(CannotCarry, match=r"a tool's result .* takes text only, not a part of type 'image_url'"):
            turns(wire, USER, turn, result)


@pytest.mark.parametrize(("role", "content"), [("tool", object()), ("user", 5), ("user", ["a"]), ("assistant", True)])
def test_what_no_message_can_hold(role: Role, content: Any) -> None:
    with pytest.raises(ValidationError):
        Message(role=role, content=content)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"city": "Paris"}, {"city": "Rome"}], '[{"city":"Paris"},{"city":"Rome"}]'),
        ({"größe": 1}, '{"größe":1}'),
        (["Ritz", "Meurice"], '["Ritz","Meurice"]'),
        ([], "[]"),
        ([{"type": "text"}, "a"], '[{"type":"text"},"a"]'),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_result_as_text_or_json(wire: str, content: Any, said: str) -> None:
    turn = Message(role="assistant", tool_calls=[call("call_1", "ping")])
    result = turns(wire, USER, turn, Message(role="tool", tool_call_id="call_1", content=content))[-1]
    if wire == "openai-responses":
        result = result["output"]
    elif wire == "gemini":
        (part,) = result["parts"]
        result = part["functionResponse"]["response"]
        if isinstance(content, dict):
            assert result == content
            return
        if not isinstance(content, str) and said.startswith(("[", "5", "1", "t")):
            assert result == {"result": content}
            return
        result = result["result"]
    elif wire == "anthropic":
        result = result["content"][0]["content"]
    else:
        result = result["content"]
    if isinstance(result, list):
        result = "\n".join(block["text"] for block in result)
    assert result == said


# Foreign conversations

FOREIGN = {
    "openai_chat": {"provider": "deepseek", "reasoning_content": "SECRET"},
    "openai_responses": {"items": [{"type": "reasoning", "id": "rs_SECRET", "summary": []}, {"type": "message"}]},
    "anthropic": {"blocks": [{"type": "thinking", "thinking": "SECRET", "signature": "SECRET"}]},
    "google": {"parts": [{"call": True, "signature": "U0VDUkVU"}, {"call": True, "signature": "U0VDUkVU"}]},
    "ollama": {"thinking": "SECRET"},
}
OWN = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic": "anthropic",
    "gemini": "google",
    "ollama": "ollama",
}
IDS = {
    "openai-chat": r"[a-zA-Z0-9_-]{1,40}",
    "openai-responses": r"[a-zA-Z0-9_-]{1,64}",
    "anthropic": r"[a-zA-Z0-9_-]{1,64}",
}


def ids_in(node: Any) -> list[str]:
    """All ids of calls, in order."""
    if isinstance(node, list):
        return [id for item in node for id in ids_in(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("id", "call_id", "tool_call_id", "tool_use_id") if key in node]
    return own + [id for value in node.values() for id in ids_in(value)]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("id", ["functions.get:0", "x" * 80, "chatcmpl-tool-" + "a" * 32, "fc|1 2", "ü", "0"])
def test_a_foreign_turn_is_mapped_or_dropped(wire: str, id: str) -> None:
    metadata = {key: value for key, value in FOREIGN.items() if key != OWN[wire]}
    foreign = [
        USER,
        Message(
            role="assistant",
            content="",
            tool_calls=[call(id, "ping"), call(f"{id}-2", "weather", '{"city": "A"}')],
            metadata=metadata,
        ),
        Message(role="tool", tool_call_id=id, content="pong"),
        Message(role="tool", tool_call_id=f"{id}-2", content="fair"),
    ]
    sent = turns(wire, *foreign)
    assert "SECRET" not in str(sent)
    assert "U0VDUkVU" not in str(sent)
    if wire in IDS:
        used = ids_in(sent)
        assert len(used) == 4
        assert used[:2] == used[2:]
        assert len(set(used)) == 2
        assert all(re.fullmatch(IDS[wire], id) for id in used)
    else:
        assert ids_in(sent) == []


def test_mistral_takes_ids_of_nine_letters_and_its_own_words() -> None:
    request = ask(*ROUND, seed=3, extra_params={"service_tier": "flex"})
    body = render("openai-chat", request, dialect=dialect_of("api.mistral.ai", "x"))
    assert (body["random_seed"], "seed" in body, "service_tier" in body) == (3, False, False)
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", id) for id in ids_in(body["messages"]))
    assert "stream_options" not in render(
        "openai-chat", request, stream=True, dialect=dialect_of("api.mistral.ai", "x")
    )


def test_mistral_hears_something_in_each_turn_of_the_model() -> None:
    silent = [USER, Message(role="assistant", content=""), *ROUND, USER]
    body = render("openai-chat", ask(*silent), dialect=dialect_of("api.mistral.ai", "x"))
    said = [(m["role"], bool(m["content"] or m.get("tool_calls"))) for m in body["messages"]]
    assert all(says for _, says in said)
    roles = [role for role, _ in said]
    assert ("tool", "user") not in pairwise(roles)
    plain = render("openai-chat", ask(*silent), dialect=dialect_of("example.com", "x"))
    assert len(plain["messages"]) == len(silent)


def test_deepseek_is_told_of_a_schema_in_words() -> None:
    table = {"name": "x", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    request = ask(USER, response_format={"type": "json_schema", "json_schema": table})
    body = render("openai-chat", request, dialect=dialect_of("api.deepseek.com", "x"))
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"
    assert '"city"' in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("item", "stored", "goes_back"),
    [
        ({"encrypted_content": "ZW5j"}, False, True),
        ({"encrypted_content": None}, False, False),
        ({}, False, False),
        ({}, True, True),
        # Servers that keep nothing show the thinking itself, and want it back so.
        ({"content": [{"type": "reasoning_text", "text": "Hm."}]}, False, True),
    ],
)
def test_reasoning_that_its_vendor_has_not_kept_is_left_out(
    item: dict[str, Any], stored: bool, goes_back: bool
) -> None:
    thinking = {"type": "reasoning", "id": "rs_1", "summary": [], **item}
    turn = Message(
        role="assistant",
        content="Hm.",
        tool_calls=[call("call_1", "ping")],
        metadata={
            "issuer": ISSUER,
            "openai_responses": {"items": [thinking, {**MESSAGE_ITEM, "lengths": [3]}, CALL_ITEM]},
        },
    )
    result = Message(role="tool", tool_call_id="call_1", content="pong")
    extra: dict[str, Any] = {"extra_params": {"store": True}} if stored else {}
    sent = turns("openai-responses", USER, turn, result, **extra)
    assert ("rs_1" in str(sent)) == goes_back
    # What belongs to the reasoning is not named by an id either.
    assert ("msg_1" in str(sent), "fc_1" in str(sent)) == (goes_back, goes_back)
    assert [item.get("type") for item in sent[-2:]] == ["function_call", "function_call_output"]


@pytest.mark.parametrize("wire", ["anthropic", "gemini", "ollama"])
def test_a_call_whose_arguments_are_no_object_cannot_be_sent_back(wire: str) -> None:
    for arguments in ("[1]", "nonsense", '"a"'):
        with pytest.raises(CannotCarry, match=re.escape(arguments)):
            turns(wire, USER, Message(role="assistant", tool_calls=[call("c", "ping", arguments)]))
    assert turns(wire, USER, Message(role="assistant", tool_calls=[call("c", "ping", "")]))


# Turns that go back to where they came from

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
SEARCH = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
]
REASONING_ITEM = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ZW5j"}
MESSAGE_ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
CALL_ITEM = {"type": "function_call", "id": "fc_1", "status": "completed"}
EXECUTED = {"executableCode": {"language": "PYTHON", "code": "1"}}
MISTRAL_THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
DIGEST = digest_of(12, [call("call_1", "ping")])

KEPT: dict[str, tuple[dict[str, Any], Any]] = {
    "anthropic": (
        {
            "anthropic": {
                "blocks": [
                    THOUGHT,
                    {"type": "text", "length": 3},
                    *SEARCH,
                    {"type": "text", "length": 9},
                    {"type": "tool_use"},
                ]
            }
        },
        [
            {
                "role": "assistant",
                "content": [
                    THOUGHT,
                    {"type": "text", "text": "Let"},
                    *SEARCH,
                    {"type": "text", "text": " me look."},
                    {"type": "tool_use", "id": "call_1", "name": "ping", "input": {}},
                ],
            }
        ],
    ),
    "openai-responses": (
        {"openai_responses": {"items": [REASONING_ITEM, {**MESSAGE_ITEM, "lengths": [3, 9]}, CALL_ITEM]}},
        [
            REASONING_ITEM,
            {
                **MESSAGE_ITEM,
                "content": [
                    {"type": "output_text", "text": "Let", "annotations": []},
                    {"type": "output_text", "text": " me look.", "annotations": []},
                ],
            },
            {**CALL_ITEM, "call_id": "call_1", "name": "ping", "arguments": "{}"},
        ],
    ),
    "gemini": (
        {
            "google": {
                "parts": [{"length": 12, "signature": "c2ln"}, {"part": EXECUTED}, {"call": True, "signature": "c2lo"}]
            }
        },
        [
            {
                "role": "model",
                "parts": [
                    {"text": "Let me look.", "thoughtSignature": "c2ln"},
                    EXECUTED,
                    {"functionCall": {"name": "ping", "args": {}, "id": "call_1"}, "thoughtSignature": "c2lo"},
                ],
            }
        ],
    ),
    "openai-chat": (
        {
            "openai_chat": {
                "fields": {"reasoning_content": "Hm."},
                "parts": [[0, MISTRAL_THOUGHT], [3, {**MISTRAL_THOUGHT, "closed": True}]],
                "extras": [{"extra_content": {"google": {"thought_signature": "c2ln"}}}],
                "digest": DIGEST,
            }
        },
        [
            {
                "role": "assistant",
                "content": [
                    MISTRAL_THOUGHT,
                    {"type": "text", "text": "Let"},
                    {**MISTRAL_THOUGHT, "closed": True},
                    {"type": "text", "text": " me look."},
                ],
                "reasoning_content": "Hm.",
                "tool_calls": [
                    {**call("call_1", "ping"), "extra_content": {"google": {"thought_signature": "c2ln"}}},
                ],
            }
        ],
    ),
    "ollama": (
        {"ollama": {"thinking": "Hm.", "before": "<think>So.</think>\n", "digest": DIGEST}},
        [
            {
                "role": "assistant",
                "content": "<think>So.</think>\nLet me look.",
                "thinking": "Hm.",
                "tool_calls": [{"id": "call_1", "function": {"name": "ping", "arguments": {}}}],
            }
        ],
    ),
}


@pytest.mark.parametrize("wire", KEPT)
def test_a_turn_goes_back_as_it_came(wire: str) -> None:
    metadata, wanted = KEPT[wire]
    turn = Message(
        role="assistant", content="Let me look.", tool_calls=[call("call_1", "ping")], metadata=OF_ISSUER | metadata
    )
    body = render(wire, ask(USER, turn, Message(role="tool", tool_call_id="call_1", content="pong")))
    if wire != "openai-chat":  # whose vendor has no such fields
        check(wire, body)
    sent = body[{"openai-responses": "input", "gemini": "contents"}.get(wire, "messages")]
    assert sent[1:-1] == wanted
    if wire == "gemini":
        assert sent[-1]["parts"] == [
            {"functionResponse": {"id": "call_1", "name": "ping", "response": {"result": "pong"}}}
        ]


@pytest.mark.parametrize("wire", KEPT)
@pytest.mark.parametrize(
    "change",
    [
        {"content": "Let me see"},
        {"content": "Let me look. Now."},
        {"content": [{"type": "text", "text": "Let me look."}]},
        {"tool_calls": []},
        {"tool_calls": [call("call_1", "ping"), call("call_2", "ping")]},
    ],
)
def test_a_turn_that_was_changed_goes_back_plain(wire: str, change: dict[str, Any]) -> None:
    metadata, _ = KEPT[wire]
    plain = {"role": "assistant", "content": "Let me look.", "tool_calls": [call("call_1", "ping")], **change}
    results = [Message(role="tool", tool_call_id=it["id"], content="pong") for it in plain["tool_calls"]]
    sent = turns(wire, USER, Message(**plain, metadata=OF_ISSUER | metadata), *results)
    assert sent == turns(wire, USER, Message(**plain, metadata=OF_ISSUER), *results)


@pytest.mark.parametrize("wire", ["openai-chat", "ollama"])
def test_a_call_that_was_changed_is_told_from_the_one_that_was_made(wire: str) -> None:
    metadata, _ = KEPT[wire]
    plain: dict[str, Any] = {"role": "assistant", "content": "Let me look."}
    for changed in (call("call_1", "pong"), call("call_1", "ping", '{"x": 1}')):
        result = Message(role="tool", tool_call_id="call_1", content="pong")
        sent = turns(wire, USER, Message(**plain, tool_calls=[changed], metadata=OF_ISSUER | metadata), result)
        assert sent == turns(wire, USER, Message(**plain, tool_calls=[changed], metadata=OF_ISSUER), result)


@pytest.mark.parametrize("wire", KEPT)
def test_what_is_kept_goes_to_no_other_issuer(wire: str) -> None:
    metadata, _ = KEPT[wire]
    plain: dict[str, Any] = {"role": "assistant", "content": "Let me look.", "tool_calls": [call("call_1", "ping")]}
    result = Message(role="tool", tool_call_id="call_1", content="pong")
    bare = turns(wire, USER, Message(**plain), result)
    for issuer in ({"issuer": "vendor https://elsewhere.example.com"}, {"issuer": "other https://api.example.com"}, {}):
        assert turns(wire, USER, Message(**plain, metadata=issuer | metadata), result) == bare


THINKS = [("api.deepseek.com", "x"), ("127.0.0.1", "deepseek"), ("api.moonshot.cn", "x"), ("api.kimi.com", "x")]


@pytest.mark.parametrize(("host", "name"), THINKS)
def test_who_insists_on_thinking_gets_it_in_every_turn_once_there_are_calls(host: str, name: str) -> None:
    def thoughts(*messages: Message) -> list[Any]:
        body = render("openai-chat", ask(USER, *messages), dialect=dialect_of(host, name))
        return [m.get("reasoning_content") for m in body["messages"] if m["role"] == "assistant"]

    def kept(thought: str, length: int, *calls: ToolCall) -> dict[str, Any]:
        fields = {"reasoning_content": thought}
        return OF_ISSUER | {"openai_chat": {"fields": fields, "digest": digest_of(length, calls)}}

    pinged = call("a", "ping")
    own = Message(role="assistant", tool_calls=[pinged], metadata=kept("", 0, pinged))
    final = Message(role="assistant", content="Done.", metadata=kept("So.", 5))
    anothers = Message(role="assistant", content="I am another.", metadata={"issuer": "x y", "anthropic": {}})
    result = Message(role="tool", tool_call_id="a", content="pong")
    assert thoughts(own, result, final, anothers) == ["", "So.", " "]
    assert thoughts(final, anothers) == ["So.", None]
    assert dialect_of("127.0.0.1", "openai") == dialect_of("example.com", "x") == ChatDialect()


def test_a_call_of_another_gets_the_word_that_gemini_insists_on() -> None:
    first, second = call("a", "ping"), call("b", "ping")
    anothers = Message(role="assistant", tool_calls=[first, second])
    body = render("openai-chat", ask(USER, anothers), dialect=dialect_of("generativelanguage.googleapis.com", "x"))
    word = {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert body["messages"][1]["tool_calls"] == [{**first, "extra_content": word}, second]


def test_a_custom_tool_where_it_is_one() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[0-9]+"}
    inner = {"syntax": "regex", "definition": "[0-9]+"}
    nested: dict[str, Any] = {"name": "code", "format": {"type": "grammar", "grammar": inner}}
    dialect = dialect_of("api.openai.com", "x")
    for tool in ({"type": "custom", "name": "code", "format": grammar}, {"type": "custom", "custom": nested}):
        assert added("openai-chat", ask(tools=[tool], tool_choice="code"), dialect=dialect) == {
            "tools": [{"type": "custom", "custom": nested}],
            "tool_choice": {"type": "custom", "custom": {"name": "code"}},
        }
    handed = call("a", "code", '{"input": "print(1)"}')
    back = {"id": "a", "type": "custom", "custom": {"name": "code", "input": "print(1)"}}

    def sent(made: ToolCall, metadata: dict[str, Any], **more: Any) -> Any:
        turn = Message(role="assistant", tool_calls=[made], metadata=metadata)
        return render("openai-chat", ask(USER, turn, **more))["messages"][1]["tool_calls"][0]

    # To whom it came from it goes back as it came; to others as a function's.
    kept = OF_ISSUER | {"openai_chat": {"customs": [True], "digest": digest_of(0, [handed])}}
    assert sent(handed, kept) == back
    assert sent(handed, kept | {"issuer": "x"}) == sent(handed, {}) == handed
    request = ask(USER, Message(role="assistant", tool_calls=[handed]), tools=[{"type": "custom", "name": "code"}])
    assert render("openai-chat", request, dialect=dialect)["messages"][1]["tool_calls"] == [back]


def test_a_gemini_turn_of_an_older_model_gets_the_signature_that_a_newer_one_insists_on() -> None:
    turn = Message(
        role="assistant",
        content="Hm.",
        tool_calls=[call("a", "ping"), call("b", "ping")],
        metadata={
            "issuer": ISSUER,
            "google": {"parts": [{"length": 3, "signature": "c2ln"}, {"call": False}, {"call": False}]},
        },
    )
    _, first, second = turns("gemini", USER, turn)[1]["parts"]
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second


# Forms of the answer

CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
LIST = {"type": "array", "items": {"type": "string"}}
WRAPPED = {"type": "object", "properties": {"value": LIST}, "required": ["value"], "additionalProperties": False}


def form(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, **more}}


FORMS: dict[str, Any] = {
    "openai-chat": lambda schema: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}
    },
    "openai-responses": lambda schema: {
        "text": {"format": {"type": "json_schema", "name": "city", "strict": True, "schema": schema}}
    },
    "anthropic": lambda schema: {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
    "gemini": lambda schema: {
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}
    },
    "ollama": lambda schema: {"format": schema},
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_schema(wire: str) -> None:
    assert added(wire, ask(response_format=form(CITY))) == FORMS[wire](CITY)
    assert added(wire, ask(response_format=form(LIST))) == FORMS[wire](WRAPPED)


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses"])
def test_strictness(wire: str) -> None:
    def sent(form: dict[str, Any]) -> dict[str, Any]:
        body = added(wire, ask(response_format=form))
        found: dict[str, Any] = (
            body["text"]["format"] if wire == "openai-responses" else body["response_format"]["json_schema"]
        )
        return found

    table = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert sent(form(CITY, strict=False)).get("strict") is False
    assert sent(form(CITY, description="Of a city."))["description"] == "Of a city."
    assert sent(form(table)) | {"strict": False, "schema": table} == sent(form(table))
    with pytest.raises(
        CannotCarry, match=r"strict mode cannot express the schema's additionalProperties; leave out \"strict\""
    ):
        sent(form(table, strict=True))


@pytest.mark.parametrize("wire", WIRES)
def test_what_describes_a_form_is_sent(wire: str) -> None:
    schema = {**CITY, "description": "A place."}
    for asked, words in ((form(schema, description="Where to go."), "Where to go."), (form(schema), "A place.")):
        body = str(added(wire, ask(response_format=asked)))
        assert "A place." in body
        assert words in body


@pytest.mark.parametrize(
    ("wire", "schema", "path"),
    [
        ("anthropic", {"type": "object", "additionalProperties": {"type": "integer"}}, "additionalProperties"),
        ("anthropic", {"type": "object", "properties": {"a": {"not": {}}}}, "properties/a/not"),
        (
            "anthropic",
            {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}},
            r"properties/kids/items/\$ref",
        ),
        ("gemini", {"type": "object", "properties": {"a": {"not": {}}}}, "properties/a/not"),
    ],
)
def test_a_schema_that_cannot_be_said_is_refused(wire: str, schema: dict[str, Any], path: str) -> None:
    with pytest.raises(CannotCarry, match=f"cannot express the schema's {path}"):
        added(wire, ask(response_format=form(schema)))


JSON_OBJECT: dict[str, Any] = {
    "openai-chat": {"response_format": {"type": "json_object"}},
    "openai-responses": {"text": {"format": {"type": "json_object"}}},
    "anthropic": {"system": [{"type": "text", "text": "Answer with one JSON object and nothing else."}]},
    "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
    "ollama": {"format": "json"},
}


@pytest.mark.parametrize("wire", WIRES)
def test_any_json_object(wire: str) -> None:
    assert added(wire, ask(json_response=True)) == JSON_OBJECT[wire]
    assert added(wire, ask(response_format={"type": "json_object"})) == JSON_OBJECT[wire]
    assert added(wire, ask(response_format={"type": "text"})) == {}


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses", "ollama"])
def test_json_is_spoken_of_where_no_message_does(wire: str) -> None:
    # Bytes of a picture may spell it by chance.
    picture = Message(role="user", content=[parts.text("Hi"), parts.image("data:image/png;base64,JSON")])
    for message in (USER, picture):
        first = turns(wire, message, json_response=True)[0]
        assert first == {"role": "system", "content": "Answer with one JSON object and nothing else."}
    spoken = Message(role="user", content=[parts.text("Hi, as Json")])
    assert len(turns(wire, spoken, json_response=True)) == 1


def test_ollama_is_told_the_form_that_it_is_held_to() -> None:
    said = turns("ollama", response_format=form(CITY))[0]
    assert said["role"] == "system"
    assert said["content"].startswith('Answer with JSON of this schema and nothing else: {"type":"object"')


# Thinking

BUDGETS: list[tuple[dict[str, Any], int]] = [
    ({"reasoning_effort": "medium"}, 8192),
    ({"reasoning_effort": "high"}, 24_576),
    ({"reasoning_effort": "xhigh"}, 32_768),
    ({"reasoning_effort": "low", "reasoning_tokens": 9000}, 9000),
]
THINKING: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("openai-chat", "gpt-5-mini", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ("openai-chat", "gpt-5-mini", {"reasoning_tokens": 0}, {"reasoning_effort": "none"}),
    ("openai-chat", "gpt-5-mini", {"reasoning_tokens": 5000}, {"reasoning_effort": "medium"}),
    (
        "openai-responses",
        "gpt-5-mini",
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high", "summary": "auto"}},
    ),
    ("openai-responses", "gpt-5-mini", {"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}),
    ("openai-responses", "gpt-5-mini", {"reasoning_tokens": 100}, {"reasoning": {"effort": "low", "summary": "auto"}}),
    (
        "anthropic",
        "claude-opus-5",
        {"reasoning_effort": "high"},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
    ),
    (
        "anthropic",
        "claude-opus-4-6",
        {"reasoning_effort": "max"},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
    ),
    (
        "anthropic",
        "claude-sonnet-4-6",
        {"reasoning_effort": "minimal"},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
    ),
    ("anthropic", "claude-opus-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ("anthropic", "claude-opus-5", {"reasoning_tokens": 0}, {"thinking": {"type": "disabled"}}),
    *(
        ("anthropic", model, {"reasoning_tokens": 2000}, {"thinking": {"type": "enabled", "budget_tokens": 2000}})
        for model in (
            "claude-3-7-sonnet-20250219",
            "claude-opus-4-20250514",
            "claude-opus-4-1",
            "claude-opus-4-5-20251101",
            "claude-sonnet-4-0",
            "claude-sonnet-4-5",
            "claude-haiku-4-5",
        )
    ),
    (
        "anthropic",
        "claude-haiku-4-5",
        {"reasoning_effort": "low"},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    # The budget must be below max_tokens, and at least 1024.
    (
        "anthropic",
        "claude-haiku-4-5",
        {"reasoning_effort": "high", "max_tokens": 4000},
        {"thinking": {"type": "enabled", "budget_tokens": 3999}},
    ),
    (
        "anthropic",
        "claude-haiku-4-5",
        {"reasoning_effort": "high", "max_tokens": 100},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    (
        "gemini",
        "gemini-3-flash",
        {"reasoning_effort": "low"},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}},
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        {"reasoning_effort": "low"},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2048}}},
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        {"reasoning_tokens": 512},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512}}},
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        {"reasoning_tokens": 0},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        {"reasoning_effort": "none"},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
    ),
    *(
        (
            "gemini",
            "gemini-2.5-pro",
            fields,
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": budget}}},
        )
        for fields, budget in BUDGETS
    ),
    ("ollama", "qwen3", {"reasoning_effort": "high"}, {"think": True}),
    ("ollama", "qwen3", {"reasoning_tokens": 0}, {"think": False}),
    ("ollama", "gpt-oss:20b", {"reasoning_effort": "high"}, {"think": "high"}),
    ("ollama", "gpt-oss:20b", {"reasoning_effort": "xhigh"}, {"think": True}),
]


@pytest.mark.parametrize(("wire", "model", "fields", "wanted"), THINKING)
def test_thinking(wire: str, model: str, fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert added(wire, ask(**fields), model) == wanted


@pytest.mark.parametrize(
    ("model", "fields", "included"),
    [
        ("gpt-5-mini", {}, True),
        ("gpt-6.1-sol", {}, True),
        ("o4-mini", {}, True),
        ("codex-mini-latest", {}, True),
        ("gpt-4.1", {}, False),
        ("gpt-4o", {}, False),
        ("gpt-5-chat-latest", {}, False),
        ("openai/gpt-5", {}, True),
        ("azure/openai/o4-mini", {}, True),
        ("ft:gpt-5-mini:org::1", {}, True),
        ("openai/gpt-4.1", {}, False),
        ("openai/gpt-oss-120b", {}, False),
        ("vendor/proto3", {}, False),
        ("gpt-4.1", {"reasoning_effort": "low"}, True),
    ],
)
def test_models_that_think_are_asked_for_their_encrypted_reasoning(
    model: str, fields: dict[str, Any], included: bool
) -> None:
    body = render("openai-responses", ask(**fields), model)
    assert body.get("include") == (["reasoning.encrypted_content"] if included else None)
    assert body["store"] is False


# Files

PDF = base64.b64encode(b"%PDF-1.7").decode()
WAV = base64.b64encode(b"RIFF\x10\0\0\0WAVEfmt ").decode()
TEXT = base64.b64encode(b"a,b").decode()
URL = "https://x.test/cat.png"

FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "picture by address": (
        parts.image(URL),
        {
            "openai-chat": {"type": "image_url", "image_url": {"url": URL}},
            "openai-responses": {"type": "input_image", "image_url": URL, "detail": "auto"},
            "anthropic": {"type": "image", "source": {"type": "url", "url": URL}},
            "gemini": {"fileData": {"fileUri": URL, "mimeType": "image/png"}},
            "ollama": "Ollama fetches no pictures by address",
        },
    ),
    "picture": (
        parts.image(f"data:image/png;base64,{PNG}", detail="high"),
        {
            "openai-chat": {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"},
            },
            "openai-responses": {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"},
            "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            "gemini": {"inlineData": {"mimeType": "image/png", "data": PNG}},
            "ollama": {"images": [PNG]},
        },
    ),
    "picture in short": (
        {"type": "image_url", "image_url": URL},
        {"openai-chat": {"type": "image_url", "image_url": {"url": URL}}},
    ),
    "picture that is no base64": (
        parts.image("data:image/png,%89PNG%0D%0A%1A%0A"),
        {
            "openai-chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        },
    ),
    "picture of a kind": (
        parts.image("data:image/tiff;base64,AAAA"),
        {"anthropic": "takes no pictures of type image/tiff; convert it to PNG or JPEG"},
    ),
    "PDF": (
        parts.document(base64.b64decode(PDF), filename="a.pdf"),
        {
            "openai-chat": {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            },
            "openai-responses": {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{PDF}",
            },
            "anthropic": {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
            "gemini": {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
            "ollama": "Ollama takes text and pictures, no document of type application/pdf",
        },
    ),
    "PDF without a name": (
        parts.document(base64.b64decode(PDF)),
        {
            "openai-chat": {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            },
            "openai-responses": {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": f"data:application/pdf;base64,{PDF}",
            },
            "anthropic": {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
        },
    ),
    "PDF by address": (
        parts.document("https://x.test/a.pdf"),
        {
            "openai-chat": "Chat Completions takes no documents by address",
            "openai-responses": {"type": "input_file", "file_url": "https://x.test/a.pdf"},
            "anthropic": {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
            "gemini": {"fileData": {"fileUri": "https://x.test/a.pdf", "mimeType": "application/pdf"}},
            "ollama": "Ollama takes text and pictures, no document of type application/pdf",
        },
    ),
    "text": (
        parts.document(b"a,b", filename="a.csv"),
        {
            "openai-chat": {"type": "text", "text": '<document name="a.csv">\na,b\n</document>'},
            "openai-responses": {
                "type": "input_file",
                "filename": "a.csv",
                "file_data": f"data:text/csv;base64,{TEXT}",
            },
            "anthropic": {
                "type": "document",
                "title": "a.csv",
                "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
            },
            "gemini": {"inlineData": {"mimeType": "text/csv", "data": TEXT}},
            "ollama": {"content": '<document name="a.csv">\na,b\n</document>'},
        },
    ),
    "text that is none": (
        {"type": "file", "file": {"file_data": "data:text/plain;base64,a"}},
        {"openai-chat": "its document document.txt is not base64", "anthropic": "is not base64"},
    ),
    "office document": (
        {"type": "file", "file": {"file_data": "data:application/msword;base64,AAAA", "filename": "a.doc"}},
        {
            "openai-chat": "takes no documents of type application/msword; convert it to PDF or text",
            "openai-responses": {
                "type": "input_file",
                "filename": "a.doc",
                "file_data": "data:application/msword;base64,AAAA",
            },
            "anthropic": "takes no documents of type application/msword; convert it to PDF or text",
            "gemini": "takes no documents of type application/msword; convert it to PDF or text",
            "ollama": "Ollama takes text and pictures, no document of type application/msword",
        },
    ),
    "uploaded document": (
        {"type": "file", "file": {"file_id": "file-1"}},
        {
            "openai-chat": {"type": "file", "file": {"file_id": "file-1"}},
            "openai-responses": {"type": "input_file", "file_id": "file-1"},
            "anthropic": {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
            "gemini": {"fileData": {"fileUri": "file-1"}},
            "ollama": "Ollama takes text and pictures, no document of type unknown",
        },
    ),
    "uploaded picture": (
        {
            "type": "file",
            "file": {"file_id": "file-1", "media_type": "image/png", "detail": "low", "filename": "a.png"},
        },
        {
            "openai-chat": "takes no pictures and no sound by a file's id",
            "openai-responses": {"type": "input_image", "file_id": "file-1", "detail": "low"},
            "anthropic": {"type": "image", "source": {"type": "file", "file_id": "file-1"}},
            "gemini": {"fileData": {"fileUri": "file-1", "mimeType": "image/png"}},
            "ollama": "Ollama fetches no pictures by address",
        },
    ),
    "uploaded sound": (
        {"type": "file", "file": {"file_id": "file-1", "media_type": "audio/wav"}},
        {
            "openai-chat": "takes no pictures and no sound by a file's id",
            "openai-responses": "the Responses API takes no audio",
            "anthropic": "Anthropic's API takes no audio",
            "gemini": {"fileData": {"fileUri": "file-1", "mimeType": "audio/wav"}},
            "ollama": "Ollama takes text and pictures, no audio of type audio/wav",
        },
    ),
    "registered file": (
        {"type": "file", "file": {"handle": "1", "filename": "a.pdf", "media_type": "application/pdf"}},
        dict.fromkeys(WIRES, "its file a.pdf was registered with the files of a service"),
    ),
    "sound": (
        parts.audio(base64.b64decode(WAV)),
        {
            "openai-chat": {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            "openai-responses": "the Responses API takes no audio",
            "anthropic": "Anthropic's API takes no audio",
            "gemini": {"inlineData": {"mimeType": "audio/wav", "data": WAV}},
            "ollama": "Ollama takes text and pictures, no audio of type audio/wav",
        },
    ),
    "nothing": (
        {"type": "image_url", "image_url": {}},
        dict.fromkeys(WIRES, "its image has neither data nor an address"),
    ),
    "no sound": (
        {"type": "input_audio", "input_audio": {"format": "wav"}},
        dict.fromkeys(WIRES, "its audio has no data"),
    ),
}


@pytest.mark.parametrize(
    ("wire", "part", "wanted"),
    [
        pytest.param(w, part, wanted, id=f"{name}-{w}")
        for name, (part, row) in FILES.items()
        for w, wanted in row.items()
    ],
)
def test_a_file(wire: str, part: dict[str, Any], wanted: Any) -> None:
    message = Message(role="user", content=[parts.text("Look:"), part])
    if isinstance(wanted, str):
        with pytest.raises(CannotCarry, match=wanted):
            turns(wire, message)
        return
    (sent,) = turns(wire, message)
    said = {"openai-responses": {"type": "input_text", "text": "Look:"}, "gemini": {"text": "Look:"}}
    if wire == "ollama":
        content = "\n".join(filter(None, ["Look:", wanted.get("content")]))
        assert sent == {"role": "user", **wanted, "content": content}
    else:
        assert sent == {
            "role": "user",
            "parts" if wire == "gemini" else "content": [said.get(wire, parts.text("Look:")), wanted],
        }


@pytest.mark.parametrize("wire", WIRES)
def test_a_table_as_a_users_words_is_json(wire: str) -> None:
    assert '{"a":1}' in str(turns(wire, Message(role="user", content={"a": 1})))
    assert (
        turns(wire, Message(role="user", content={"a": 1})) == turns(wire, Message(role="user", content='{"a":1}'))
        or wire == "anthropic"
    )


# Marks for prompt caching

MARK = {"type": "ephemeral"}


def test_marks_for_caching_go_to_anthropic() -> None:
    marked = {"cache_control": MARK}
    body = render(
        "anthropic",
        ask(
            Message(role="system", content="Long.", metadata=marked),
            Message(role="user", content="Hi", metadata=marked),
            Message(role="assistant", content="", tool_calls=[call("c", "ping")], metadata=marked),
            Message(role="tool", tool_call_id="c", content="pong", metadata=marked),
            Message(
                role="user",
                content=[
                    {**parts.text("a"), "cache_control": MARK},
                    {**parts.image(URL), "cache_control": MARK},
                    parts.text("b"),
                ],
            ),
        ),
    )
    check("anthropic", body)
    assert body["system"] == [{"type": "text", "text": "Long.", **marked}]
    first, turn, result, last = body["messages"]
    assert first["content"] == [{"type": "text", "text": "Hi", **marked}]
    assert turn["content"] == [{"type": "tool_use", "id": "c", "name": "ping", "input": {}, **marked}]
    assert result["content"] == [{"type": "tool_result", "tool_use_id": "c", "content": "pong", **marked}]
    assert [block.get("cache_control") for block in last["content"]] == [MARK, MARK, None]


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "anthropic"])
def test_marks_for_caching_are_not_sent_to_others(wire: str) -> None:
    marked = Message(
        role="user", content=[{**parts.text("a"), "cache_control": MARK}], metadata={"cache_control": MARK}
    )
    assert "cache_control" not in str(turns(wire, marked))


# Ollama's models without tools of their own


def test_ollama_tells_of_tools_in_words() -> None:
    body = render("ollama", ask(*ROUND, tools=[weather, ping]), prompt=dialect("json"))
    check("ollama", body)
    assert "tools" not in body
    assert "format" not in body
    system, _, turn, results = body["messages"]
    assert '"name":"weather"' in system["content"]
    assert "just answer" in system["content"]
    assert turn == {
        "role": "assistant",
        "content": 'Let me look.\n{"tool_calls": [{"name": "weather", "arguments": {"city":"Paris"}}, '
        '{"name": "ping", "arguments": {}}]}',
    }
    said = 'Result of weather: {"temperature":21}\nResult of ping: pong\n\nThanks.'
    assert results == {"role": "user", "content": said}


def calling(**arguments: dict[str, Any]) -> dict[str, Any]:
    """The form of an answer that calls one or several of these tools, each with such arguments."""
    kinds = [
        {
            "type": "object",
            "properties": {"name": {"enum": [name]}, "arguments": schema},
            "required": ["name", "arguments"],
        }
        for name, schema in arguments.items()
    ]
    calls = {"type": "array", "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}, "minItems": 1}
    return {"type": "object", "properties": {"tool_calls": calls}, "required": ["tool_calls"]}


@pytest.mark.parametrize(
    ("choice", "expected"), [("required", calling(weather=PARAMETERS, ping=EMPTY)), ("ping", calling(ping=EMPTY))]
)
def test_ollama_forces_a_call_by_the_form_of_the_answer(choice: str, expected: dict[str, Any]) -> None:
    body = render("ollama", ask(tools=[weather, ping], tool_choice=choice))
    check("ollama", body)
    assert "tools" not in body
    assert body["format"] == expected
    assert f"You must call {'one of them' if choice == 'required' else choice} now" in body["messages"][0]["content"]


def test_ollama_without_tools_of_its_own_may_answer_in_the_form_or_call() -> None:
    body = render("ollama", ask(tools=[ping], response_format=form(CITY)), prompt=dialect("json"))
    check("ollama", body)
    calls, answer = body["format"]["anyOf"]
    assert calls == calling(ping=EMPTY)
    assert answer == CITY
    said = body["messages"][0]["content"]
    assert said.index("If none of them is needed, just answer.") < said.index("Answer with JSON of this schema")


@pytest.mark.parametrize("word", ["$defs", "definitions"])
def test_ollamas_references_point_to_where_their_targets_stand(word: str) -> None:
    """The form of the answer is one of two there, and what it refers to is looked for at the top."""
    city = {"type": "string", "maxLength": 80}
    schema = {**CITY, "properties": {"city": {"$ref": f"#/{word}/City"}}, word: {"City": city}}
    with_references = {"type": "function", "function": {"name": "look", "parameters": schema}}
    body = render("ollama", ask(tools=[with_references, ping], response_format=form(schema)), prompt=dialect("json"))
    check("ollama", body)
    calls, answer = body["format"]["anyOf"]
    assert body["format"] == {"anyOf": [calls, answer], word: {"City": city}}
    assert answer == {key: value for key, value in schema.items() if key != word}
    assert calls == calling(look={"type": "object"}, ping=EMPTY)
    alone = render("ollama", ask(response_format=form(schema)))
    assert alone["format"] == schema


def test_ollama_tells_results_in_words_to_a_model_without_tools_even_if_none_may_be_called() -> None:
    body = render("ollama", ask(*ROUND, tools=[weather, ping], tool_choice="none"), prompt=dialect("json"))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert "tools" not in body


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
def test_everything_at_once_is_of_the_vendors_types(wire: str, stream: bool) -> None:
    body = render(
        wire,
        ask(
            Message(role="system", content="Be brief."),
            *ROUND,
            max_tokens=5000,
            tools=[weather, ping],
            tool_choice="auto",
            response_format=form(CITY),
            reasoning_effort="low",
            **(
                {"stop": ["x"], "seed": 1, "temperature": 0.5, "top_p": 0.9}
                if wire not in ("anthropic", "openai-responses")
                else {}
            ),
        ),
        stream=stream,
    )
    check(wire, body)


AGAIN = [
    USER,
    Message(role="assistant", tool_calls=[call("call_0", "ping"), call("call_1", "pong")]),
    Message(role="tool", tool_call_id="call_1", content="b"),
    Message(role="tool", tool_call_id="call_0", content="a"),
    Message(role="assistant", tool_calls=[call("call_0", "pang")]),
    Message(role="tool", tool_call_id="call_0", content="c"),
]
"""What came from a server that counts its calls anew in each turn."""


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses", "anthropic"])
def test_an_id_that_comes_again_stands_for_one_call_only(wire: str) -> None:
    said = repr(turns(wire, *AGAIN))
    key = {"openai-chat": "'id'", "openai-responses": "'call_id'", "anthropic": "'id'"}[wire]
    answers = {"openai-chat": "'tool_call_id'", "openai-responses": "'call_id'", "anthropic": "'tool_use_id'"}[wire]
    ids = re.findall(rf"(?<!\w){key}: '(\w+)'", said)
    answered = re.findall(rf"{answers}: '(\w+)'", said)
    if wire == "openai-responses":
        ids, answered = [*ids[:2], ids[4]], [*ids[2:4], ids[5]]
    assert ids[:2] == ["call_0", "call_1"]
    assert len(set(ids)) == 3
    assert answered == [ids[1], ids[0], ids[2]]
    # It stays the same when the conversation goes on.
    assert said[:-1] in repr(turns(wire, *AGAIN, Message(role="assistant", content="Done.")))


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses", "anthropic"])
def test_a_call_of_who_is_asked_keeps_an_id_that_another_has_used(wire: str) -> None:
    foreign, own = AGAIN[:4], AGAIN[4].model_copy(update={"metadata": OF_ISSUER})
    said = repr(turns(wire, *foreign, own, AGAIN[5]))
    assert said.count("'call_0'") == 2, "its call and the result"
    everything_own = [m.model_copy(update={"metadata": OF_ISSUER}) if m.tool_calls else m for m in AGAIN]
    assert repr(turns(wire, *everything_own)).count("'call_0'") == 4


@pytest.mark.parametrize("model", [MODELS["gemini"], MODELS["ollama"]])
def test_a_result_is_of_the_call_before_it(model: str) -> None:
    wire = "gemini" if model == MODELS["gemini"] else "ollama"
    said = repr(turns(wire, *AGAIN))
    key = "'functionResponse': {'name'" if wire == "gemini" else "'tool_name'"
    assert re.findall(rf"{key}: '(\w+)'", said) == ["pong", "ping", "pang"]
