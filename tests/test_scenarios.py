"""One table of turns, over every wire, through the real SDKs and a real socket: streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from llmring import LLMRequest, LLMResponse, LLMRing, Message, audio, document, image, text
from llmring.exceptions import (
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    ModelCapabilityError,
    ProviderResponseError,
)
from llmring.lockfile import create
from llmring.testing import PracticeServer, Reply, Tokens, ToolCallScript

LOCKFILE = """\
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

[providers.responses]
sdk = "openai"
base_url = "{url}/v1"
api_key_env = "OPENAI_API_KEY"
api = "responses"
"""
WIRES = {
    "openai-chat": "openai:gpt-6-luna",
    "openai-responses": "responses:gpt-6-luna",
    "anthropic": "anthropic:claude-sonnet-5-5",
    "gemini": "google:gemini-3.8-flash",
    "ollama": "ollama:llama3.2",
}
PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 24
PDF = b"%PDF-1.4 and so on"
WAVE = b"RIFF\x24\0\0\0WAVEfmt "

Ask = Callable[..., Awaitable[LLMResponse]]


@dataclass
class Table:
    """What a scenario needs: the server, the way to ask, and who is asked."""

    server: PracticeServer
    wire: str
    model: str
    ask: Ask

    def body(self) -> Any:
        return self.server.requests[-1].body


@pytest.fixture(params=["streamed", "whole"])
def manner(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def table(request: pytest.FixtureRequest, server: PracticeServer, bare: Path, manner: str) -> Table:
    create("llmring.lock", LOCKFILE.format(url=server.url))
    wire = request.param

    async def ask(*messages: Message, model: str = WIRES[wire], **fields: Any) -> LLMResponse:
        asked = LLMRequest(model=model, messages=list(messages) or [user("Hello")], **fields)
        async with LLMRing(timeout=10) as ring:
            if manner == "whole":
                return await ring.chat(asked)
            stream = ring.chat_stream(asked)
            advanced = [len(chunk.tool_calls) async for chunk in stream if chunk.tool_calls is not None]
            assert advanced == sorted(advanced), "a snapshot holds every call so far"
            return await stream.final_response()

    return Table(server, wire, WIRES[wire], ask)


def user(content: Any) -> Message:
    return Message(role="user", content=content)


def weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: its name.
        days: how many.
    """
    return f"sun in {city} for {days}"


def clock() -> str:
    """The time."""
    return "noon"


def calls_of(response: LLMResponse) -> list[tuple[str, Any]]:
    assert response.tool_calls is not None
    ids = [call["id"] for call in response.tool_calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in response.tool_calls]


async def test_a_call(table: Table) -> None:
    table.server.reply(Reply(text="Let me look.", tool_calls=[ToolCallScript("weather", {"city": "Köln", "days": 2})]))
    response = await table.ask(tools=[weather])
    assert response.finish_reason == "tool_calls"
    assert response.content == "Let me look."
    assert calls_of(response) == [("weather", {"city": "Köln", "days": 2})]
    assert "The weather in a city." in json.dumps(table.body())


async def test_parallel_calls_and_one_without_arguments(table: Table) -> None:
    nested = {"city": "Rome", "where": {"lat": 41.9, "tags": ["a", {"b": None}]}}
    table.server.reply(Reply(tool_calls=[ToolCallScript("clock"), ToolCallScript("weather", nested)]))
    response = await table.ask(tools=[weather, clock])
    assert calls_of(response) == [("clock", {}), ("weather", nested)]


async def test_the_loop(table: Table) -> None:
    table.server.reply(
        Reply(
            reasoning="Two things to ask.",
            tool_calls=[ToolCallScript("clock"), ToolCallScript("weather", {"city": "Oslo"})],
        )
    )
    asked = [user("What is the time and the weather?")]
    response = await table.ask(*asked, tools=[weather, clock], reasoning_effort="low")
    assert response.reasoning == "Two things to ask."
    asked.append(response.to_message())
    for call in response.tool_calls or ():
        result: Any = {"answer": "noon"} if call["function"]["name"] == "clock" else "sun"
        asked.append(Message(role="tool", tool_call_id=call["id"], content=result))
    table.server.reply(Reply(text="Noon, and sun."))
    assert (await table.ask(*asked, tools=[weather, clock], reasoning_effort="low")).content == "Noon, and sun."
    sent = json.dumps(table.body())
    assert "noon" in sent
    assert "sun" in sent
    if table.wire == "anthropic":
        thinking, first, second = table.body()["messages"][1]["content"]
        assert (thinking["type"], bool(thinking["signature"])) == ("thinking", True)
        assert (first["type"], second["type"]) == ("tool_use", "tool_use")
        results = table.body()["messages"][2]["content"]
        assert [block["tool_use_id"] for block in results] == [first["id"], second["id"]]
    elif table.wire == "gemini":
        said, results = table.body()["contents"][1:]
        assert any("thoughtSignature" in part for part in said["parts"])
        assert [part["functionResponse"]["name"] for part in results["parts"]] == ["clock", "weather"]
        assert results["parts"][1]["functionResponse"]["response"] == {"result": "sun"}
    elif table.wire == "openai-responses":
        kinds = [item.get("type") for item in table.body()["input"]]
        assert kinds == [None, "reasoning", "function_call", "function_call", *["function_call_output"] * 2]
        assert table.body()["input"][1]["encrypted_content"]
        assert table.body()["store"] is False
    elif table.wire == "ollama":
        assert [m.get("tool_name") for m in table.body()["messages"]] == [None, None, "clock", "weather"]
    else:
        assert [m["role"] for m in table.body()["messages"]] == ["user", "assistant", "tool", "tool"]


@pytest.mark.parametrize("origin", WIRES)
async def test_a_conversation_moves_on(table: Table, origin: str) -> None:
    table.server.reply(Reply(reasoning="Hm.", tool_calls=[ToolCallScript("weather", {"city": "Oslo"})]))
    first = await table.ask(model=WIRES[origin], tools=[weather], reasoning_effort="low")
    messages = [user("Hello"), first.to_message()]
    messages.append(Message(role="tool", tool_call_id=calls_and_id(first), content="rain"))
    table.server.reply(Reply(text="Take an umbrella."))
    assert (await table.ask(*messages, tools=[weather])).content == "Take an umbrella."
    sent = json.dumps(table.body())
    assert "rain" in sent
    if origin != table.wire:
        assert "Hm." not in sent, "another provider's thinking is not sent"


def calls_and_id(response: LLMResponse) -> str:
    assert response.tool_calls
    return response.tool_calls[0]["id"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            "auto",
            {"openai-chat": "auto", "openai-responses": "auto", "anthropic": {"type": "auto"}, "gemini": "AUTO"},
        ),
        (
            "none",
            {"openai-chat": "none", "openai-responses": "none", "anthropic": {"type": "none"}, "gemini": "NONE"},
        ),
        (
            "required",
            {"openai-chat": "required", "openai-responses": "required", "anthropic": {"type": "any"}, "gemini": "ANY"},
        ),
        (
            "weather",
            {
                "openai-chat": {"type": "function", "function": {"name": "weather"}},
                "openai-responses": {"type": "function", "name": "weather"},
                "anthropic": {"type": "tool", "name": "weather"},
                "gemini": "ANY",
            },
        ),
    ],
)
async def test_choices(table: Table, choice: str, said: dict[str, Any]) -> None:
    forced = choice not in ("auto", "none")
    call = ToolCallScript("weather", {"city": "Bonn"})
    if table.wire == "ollama" and forced:
        # Ollama cannot be made to call: the model is told to in words, and its text is held to the form of a call.
        table.server.reply(Reply(text='{"tool_calls": [{"name": "weather", "arguments": {"city": "Bonn"}}]}'))
    else:
        table.server.reply(Reply(tool_calls=[call]) if forced else Reply(text="No need."))
    response = await table.ask(tools=[weather, clock], tool_choice=choice)
    if forced:
        assert calls_of(response) == [("weather", {"city": "Bonn"})]
        assert response.finish_reason == "tool_calls"
    else:
        assert response.content == "No need."
    body = table.body()
    if table.wire == "gemini":
        config = body["toolConfig"]["functionCallingConfig"]
        assert config["mode"] == said["gemini"]
        assert config.get("allowedFunctionNames") == (["weather"] if choice == "weather" else None)
    elif table.wire == "ollama":
        assert ("tools" in body) == (choice == "auto")
        assert ("format" in body) == forced
    else:
        assert body["tool_choice"] == said[table.wire]


async def test_arguments_that_are_no_json(table: Table) -> None:
    if table.wire in ("gemini", "ollama"):
        pytest.skip("the wire carries arguments as an object")
    table.server.reply(Reply(tool_calls=[ToolCallScript("weather", '{"city": ')]))
    with pytest.raises(ProviderResponseError, match=r'\{"city": '):
        await table.ask(tools=[weather])


async def test_a_call_that_is_cut_off(table: Table) -> None:
    if table.wire in ("gemini", "ollama"):
        pytest.skip("the wire carries arguments as an object")
    calls = [ToolCallScript("clock"), ToolCallScript("weather", '{"city": "Kö')]
    table.server.reply(Reply(text="Let me look.", tool_calls=calls, finish_reason="length"))
    with pytest.raises(ProviderResponseError, match=r'\{"city": "Kö.* Raise max_tokens') as caught:
        await table.ask(tools=[weather, clock], max_tokens=20)
    partial = caught.value.partial
    assert partial is not None
    assert partial.content == "Let me look."
    assert partial.tool_calls is not None
    assert [call["function"]["name"] for call in partial.tool_calls] == ["clock", "weather"]
    assert partial.tool_calls[1]["function"]["arguments"] == '{"city": "Kö'
    assert partial.usage is not None


async def test_a_model_without_tools(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    if table.wire != "ollama":
        pytest.skip("only Ollama has such models")
    table.server.reply(Reply(status=400, error="registry.ollama.ai/library/gemma does not support tools"))
    table.server.reply(Reply(text='```json\n{"tool_calls": [{"name": "clock", "arguments": {}}]}\n```'))
    response = await table.ask(tools=[weather, clock])
    assert calls_of(response) == [("clock", {})]
    assert response.content == ""
    assert "tools" not in table.body()
    assert "The time." in table.body()["messages"][0]["content"]
    assert sum("no tools of its own" in record.message for record in caplog.records) == 1


async def test_a_search_of_the_providers_own(table: Table) -> None:
    own: dict[str, Any] = {
        "openai-responses": {"type": "web_search"},
        "anthropic": {"type": "web_search_20250305", "name": "web_search"},
        "gemini": {"googleSearch": {}},
    }
    if table.wire not in own:
        pytest.skip("the practice server plays no search of its own on this wire")
    table.server.reply(Reply(text="Found it.", searched="llmring"))
    response = await table.ask(tools=[own[table.wire]])
    assert (response.content, response.tool_calls, response.finish_reason) == ("Found it.", None, "stop")
    assert own[table.wire] in table.body()["tools"]


async def test_a_search_that_is_forced(table: Table) -> None:
    own: dict[str, tuple[dict[str, Any], Any]] = {
        "openai-responses": ({"type": "web_search"}, {"type": "web_search"}),
        "anthropic": (
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "tool", "name": "web_search"},
        ),
    }
    if table.wire not in own:
        with pytest.raises(ModelCapabilityError if table.wire != "openai-chat" else InvalidRequestError):
            await table.ask(
                tools=[clock] if table.wire == "openai-chat" else [{"type": "web_search"}],
                tool_choice={"type": "web_search"},
            )
        assert table.server.requests == []
        return
    tool, said = own[table.wire]
    table.server.reply(Reply(text="Found it.", searched="llmring"))
    response = await table.ask(tools=[tool], tool_choice="web_search")
    assert (response.content, response.finish_reason) == ("Found it.", "stop")
    assert table.body()["tool_choice"] == said


class City(BaseModel):
    name: str
    landmarks: list[str] = []


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("form", "answer", "parsed"),
    [
        (City, '{"name": "Rome", "landmarks": ["Forum"]}', City(name="Rome", landmarks=["Forum"])),
        (list[City], '{"value": [{"name": "Rome", "landmarks": []}]}', [City(name="Rome")]),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, '{"n": 4}', {"n": 4}),
        ({"type": "json_object"}, '{"any": [1]}', {"any": [1]}),
    ],
    ids=["class", "list", "schema", "object"],
)
async def test_structured(table: Table, form: Any, answer: str, parsed: Any) -> None:
    table.server.reply(Reply(text=answer))
    response = await table.ask(response_format=form)
    assert response.parsed == parsed
    assert "json" in json.dumps(table.body()).lower()


async def test_an_answer_of_another_form(table: Table) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    table.server.reply(Reply(text='{"n": 1}'))
    with pytest.raises(ProviderResponseError, match="minimum") as caught:
        await table.ask(response_format=form)
    assert '{"n": 1}' in str(caught.value)
    assert caught.value.partial is not None
    assert caught.value.partial.content == '{"n": 1}'


def refusal(wire: str, streamed: bool) -> Reply:
    """How each vendor says that its model will not."""
    said = "I will not."
    if wire == "openai-chat":
        choice = {"index": 0, "finish_reason": "stop", "delta" if streamed else "message": {"refusal": said}}
        return events({"choices": [choice], "model": "m"}, streamed=streamed)
    if wire == "openai-responses":
        content = [{"type": "refusal", "refusal": said}]
        response = {"status": "completed", "output": [{"type": "message", "role": "assistant", "content": content}]}
        if not streamed:
            return events(response, streamed=False)
        delta = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": said}
        return events(delta, {"type": "response.completed", "response": response}, streamed=True)
    return Reply(text=said, finish_reason="content_filter")


def events(*payloads: dict[str, Any], streamed: bool) -> Reply:
    if not streamed:
        return Reply(body=json.dumps(payloads[0]).encode(), content_type="application/json")
    body = "".join(f"data: {json.dumps(payload)}\n\n" for payload in payloads)
    return Reply(body=f"{body}data: [DONE]\n\n".encode(), content_type="text/event-stream")


async def test_a_refusal(table: Table, manner: str) -> None:
    if table.wire == "ollama":
        pytest.skip("Ollama has no word for it")
    table.server.reply(refusal(table.wire, manner == "streamed"))
    response = await table.ask()
    assert (response.content, response.finish_reason) == ("I will not.", "content_filter")


async def test_a_refusal_in_place_of_a_form(table: Table, manner: str) -> None:
    if table.wire == "ollama":
        pytest.skip("Ollama has no word for it")
    table.server.reply(refusal(table.wire, manner == "streamed"))
    with pytest.raises(ProviderResponseError, match=r"refused to answer.* It said: I will not\.") as caught:
        await table.ask(response_format=City)
    assert "JSON" not in str(caught.value)
    assert caught.value.partial is not None
    assert (caught.value.partial.content, caught.value.partial.parsed) == ("I will not.", None)


async def test_an_answer_withheld_in_place_of_a_form(table: Table) -> None:
    if table.wire == "ollama":
        pytest.skip("Ollama has no word for it")
    table.server.reply(Reply(text="", finish_reason="content_filter"))
    with pytest.raises(ProviderResponseError, match="its answer was withheld") as caught:
        await table.ask(response_format=City)
    assert "It said" not in str(caught.value)


class Bill(BaseModel):
    total: Decimal


class StrictBill(BaseModel):
    """Python's own objects would have to be dates and decimals already; JSON's text need not."""

    model_config = ConfigDict(strict=True)

    total: Decimal
    due: date
    rate: float


async def test_a_strict_class(table: Table) -> None:
    table.server.reply(Reply(text='{"total": 1.5, "due": "2026-11-21", "rate": 0.5}'))
    parsed = (await table.ask(response_format=StrictBill)).parsed
    assert parsed == StrictBill(total=Decimal("1.5"), due=date(2026, 11, 21), rate=0.5)


@pytest.mark.parametrize(
    ("form", "answer", "digits"),
    [
        (Bill, '{"total": 0.12345678901234567890}', "0.12345678901234567890"),
        (Bill, '```json\n{"total": 1.10}\n```', "1.10"),
        (Decimal, '{"value": 0.12345678901234567890}', "0.12345678901234567890"),
        (list[Decimal], ' {\n "value" : [1.10, 2.000] } ', "1.10"),
        (Decimal, '{"valu\\u0065": 1.5}', "1.5"),
    ],
)
async def test_every_digit_counts(table: Table, form: Any, answer: str, digits: str) -> None:
    table.server.reply(Reply(text=answer))
    parsed = (await table.ask(response_format=form)).parsed
    number = parsed.total if isinstance(parsed, Bill) else parsed[0] if isinstance(parsed, list) else parsed
    assert str(number) == digits


async def test_a_schema_that_cannot_be_said(table: Table) -> None:
    if table.wire != "anthropic":
        table.server.reply(Reply(text='{"name": "root", "children": []}'))
        assert (await table.ask(response_format=Tree)).parsed == Tree(name="root")
        return
    with pytest.raises(ModelCapabilityError, match="children"):
        await table.ask(response_format=Tree)
    assert table.server.requests == []


CARRIED: dict[str, dict[str, bool]] = {
    #                    image  address  pdf    text   audio
    "openai-chat": dict(zip("iaptw", (True, True, True, True, True), strict=True)),
    "openai-responses": dict(zip("iaptw", (True, True, True, True, False), strict=True)),
    "anthropic": dict(zip("iaptw", (True, True, True, True, False), strict=True)),
    "gemini": dict(zip("iaptw", (True, True, True, True, True), strict=True)),
    "ollama": dict(zip("iaptw", (True, False, False, True, False), strict=True)),
}


@pytest.mark.parametrize("kind", "iaptw")
async def test_parts(table: Table, kind: str, bare: Path) -> None:
    (bare / "cat.png").write_bytes(PIXEL)
    (bare / "notes.md").write_text("# Notes\nBuy milk.")
    part = {
        "i": image("cat.png"),
        "a": image("https://example.com/cat.png"),
        "p": document(PDF, filename="report.pdf"),
        "t": document(bare / "notes.md"),
        "w": audio(WAVE),
    }[kind]
    message = user([text("Look:"), part])
    if CARRIED[table.wire][kind]:
        await table.ask(message)
        sent = json.dumps(table.body())
        assert "Look:" in sent
        expected = {"i": "iVBOR", "a": "https://example.com/cat.png", "p": "JVBER", "t": "", "w": "UklGR"}[kind]
        assert expected in sent
        assert kind != "t" or "Buy milk." in sent or "IyBOb3Rlcw" in sent
    else:
        with pytest.raises(ModelCapabilityError):
            await table.ask(message)
        assert table.server.requests == []


async def test_caching(table: Table) -> None:
    table.server.reply(Reply(text="Hi", usage=Tokens(100, 5, cache_read=60, cache_write=10, reasoning=2)))
    marked = Message(role="user", content="Long", metadata={"cache_control": {"type": "ephemeral"}})
    response = await table.ask(marked)
    assert response.usage is not None
    assert (response.usage["prompt_tokens"], response.usage["completion_tokens"]) == (100, 5)
    if table.wire != "ollama":
        assert response.usage["cache_read_tokens"] == 60
    assert ("cache_control" in json.dumps(table.body())) == (table.wire == "anthropic")


FOREIGN = """\
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

[providers.other]
sdk = "{sdk}"
base_url = "{url}"
"""


@pytest.mark.parametrize("sdk", ["openai", "anthropic", "google", "ollama"])
async def test_a_foreign_host_gets_no_key(
    sdk: str, server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]
    for name in [*secrets, "GOOGLE_API_KEY", "GEMINI_API_KEY"]:
        monkeypatch.setenv(name, "confidential")
    url = f"{server.url}/v1" if sdk == "openai" else server.url
    create("llmring.lock", FOREIGN.format(sdk=sdk, url=url))
    async with LLMRing() as ring:
        await ring.chat(LLMRequest(model="other:m", messages=[user("Hello")]))
    assert "confidential" not in str(server.requests[0].headers)


@pytest.mark.parametrize("body", [{"message": "Boom"}, {"object": "error", "message": "Boom"}, {"detail": "Boom"}])
async def test_an_error_without_an_envelope(body: dict[str, Any], server: PracticeServer) -> None:
    server.reply(Reply(body=f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode(), content_type="text/event-stream"))
    async with LLMRing(max_retries=0) as ring:
        with pytest.raises(ProviderResponseError, match="Boom"):
            await ring.chat_stream(LLMRequest(model="openai:m", messages=[user("Hello")])).final_response()


async def test_an_answer_that_comes_only_at_the_end(server: PracticeServer, bare: Path) -> None:
    create("llmring.lock", LOCKFILE.format(url=server.url))
    call = {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"}
    said = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
    event = {"type": "response.completed", "response": {"status": "completed", "output": [said, call]}}
    server.reply(Reply(body=f"data: {json.dumps(event)}\n\n".encode(), content_type="text/event-stream"))
    async with LLMRing() as ring:
        request = LLMRequest(model="responses:m", messages=[user("Hello")], tools=[clock])
        response = await ring.chat_stream(request).final_response()
    assert (response.content, calls_of(response)) == ("Hello", [("clock", {})])


@pytest.mark.parametrize(
    "params", ['timeout = "soon"', "tools = 5", 'reasoning_tokens = "x"', 'extra_params = "x"', "temperature = []"]
)
async def test_params_that_cannot_be_used(params: str, server: PracticeServer, bare: Path) -> None:
    binding = f'\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["openai:m"]\nparams = {{ {params} }}\n'
    create("llmring.lock", LOCKFILE.format(url=server.url).replace("\n[providers", f"{binding}\n[providers", 1))
    async with LLMRing() as ring:
        with pytest.raises(ConfigurationError, match=params.split()[0]):
            await ring.chat(LLMRequest(model="a", messages=[user("Hello")]))
    assert server.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [clock], "tool_choice": {"function": "f"}},
        {"messages": [user([{"type": "file", "file": {"path": None}}])]},
        {"messages": [user("Hello"), Message(role="assistant", content="x", metadata={"anthropic": {"odd": 1}})]},
    ],
)
async def test_odd_input_is_an_error_of_ours(fields: dict[str, Any], table: Table) -> None:
    async with LLMRing() as ring:
        with suppress(LLMRingError):
            await ring.chat(LLMRequest(**{"model": table.model, "messages": [user("Hello")], **fields}))


async def test_a_message_from_elsewhere_reads_no_file_of_ours(table: Table, tmp_path: Path) -> None:
    own = tmp_path / "own.svg"
    own.write_text("<svg>ours</svg>")
    for form in ('{"type": "file", "file": {"path": "%s"}}', '{"type": "image_url", "image_url": {"url": "%s"}}'):
        message = Message.model_validate_json('{"role": "user", "content": [%s]}' % (form % own))
        with pytest.raises(InvalidRequestError, match=r"put a pathlib\.Path there"):
            await table.ask(message)
    assert table.server.requests == []


async def test_no_request_at_all(server: PracticeServer) -> None:
    async with LLMRing() as ring:
        with pytest.raises(InvalidRequestError, match="LLMRequest"):
            await ring.chat("Hello")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="LLMRequest"):
            await ring.chat_stream("Hello").final_response()  # type: ignore[arg-type]
