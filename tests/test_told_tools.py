"""Tools told in the prompt, and calls read out of text, through the real SDKs and a real socket: streamed and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import ConfigurationError, ModelCapabilityError, ProviderError, ProviderResponseError
from llmring.lockfile import create
from llmring.testing import Fault, PracticeServer, Reply, ToolCallScript
from llmring.tool_dialects import Call, dialect, dialect_names

LOCKFILE = """\
version = "1.0"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "told"
models = ["{model}"]
tools = "{binding}"

[providers.vllm]
base_url = "{url}/v1"
tools = "{provider}"

[providers.ollama]
tools = "{provider}"
"""
MODELS = {"openai-chat": "vllm:Qwen/Qwen3-8B", "ollama": "ollama:llama3.2"}


def weather(city: str, days: int = 1) -> str:
    """The weather in a city."""
    return f"sun in {city} for {days}"


def clock() -> str:
    """The time."""
    return "noon"


def user(content: str) -> Message:
    return Message(role="user", content=content)


class Table:
    """A model behind each wire, and how its tools are told."""

    def __init__(self, server: PracticeServer, wire: str, streamed: bool) -> None:
        self.server, self.wire, self.streamed = server, wire, streamed
        self.shown = ""
        self.tell("prompt:hermes")

    def tell(self, provider: str | None, binding: str = "native") -> None:
        """Say how, of the provider and of the binding; `None` says nothing."""
        Path("llmring.lock").unlink(missing_ok=True)
        text = LOCKFILE.format(model=MODELS[self.wire], url=self.server.url, provider=provider, binding=binding)
        text = text if provider is not None else text.replace('tools = "None"', "")
        create("llmring.lock", text)

    async def ask(self, *messages: Message, model: str | None = None, **fields: Any) -> LLMResponse:
        """One request; of a stream, what was shown is gathered, and must be what the response says."""
        asked = LLMRequest(
            model=model or MODELS[self.wire],
            messages=list(messages) or [user("Weather?")],
            **{"tools": [weather, clock], **fields},
        )
        async with LLMRing(timeout=10, max_retries=0) as ring:
            if not self.streamed:
                return await ring.chat(asked)
            stream = ring.chat_stream(asked)
            self.shown, counts = "", [0]
            async for chunk in stream:
                self.shown += chunk.delta
                counts.append(len(chunk.tool_calls or ()) or counts[-1])
            assert counts == sorted(counts)
            response = await stream.final_response()
            assert response.content == self.shown
            return response

    @property
    def body(self) -> Any:
        return self.server.requests[-1].body


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def streamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=MODELS)
def table(request: pytest.FixtureRequest, server: PracticeServer, bare: Path, streamed: bool) -> Table:
    return Table(server, request.param, streamed)


def calls_of(response: LLMResponse) -> list[tuple[str, Any]]:
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in response.tool_calls or ()]


def scripted(name: str, *calls: tuple[str, dict[str, Any]]) -> str:
    """Calls as a model of that dialect writes them."""
    return dialect(name).calls(
        [
            {"id": f"c{number}", "type": "function", "function": {"name": called, "arguments": json.dumps(arguments)}}
            for number, (called, arguments) in enumerate(calls)
        ]
    )


@pytest.mark.parametrize("name", dialect_names())
async def test_a_round_in_each_dialect(table: Table, name: str) -> None:
    """Parallel calls behind text and thinking; then their results; then the answer."""
    table.tell(f"prompt:{name}")
    two = scripted(name, ("weather", {"city": "Köln", "days": 2}), ("clock", {}))
    text = f"<think>Hm {{</think>Let me look.\n{two}"
    table.server.reply(Reply(chunks=[text[at : at + 3] for at in range(0, len(text), 3)]))
    first = await table.ask()
    assert calls_of(first) == [("weather", {"city": "Köln", "days": 2}), ("clock", {})]
    assert (first.finish_reason, first.reasoning, first.content.strip()) == ("tool_calls", "Hm {", "Let me look.")
    assert "tools" not in table.body
    assert "weather" in table.body["messages"][0]["content"]
    messages = [user("Weather?"), first.to_message()]
    messages += [
        Message(role="tool", tool_call_id=call["id"], content=f"result of {call['function']['name']}")
        for call in first.tool_calls or ()
    ]
    table.server.reply(Reply(text="Sun at noon."))
    assert (await table.ask(*messages)).content == "Sun at noon."
    _, _, turn, results = table.body["messages"]
    assert set(turn) == {"role", "content"}
    assert turn["content"].startswith("<think>Hm {</think>Let me look.")
    assert [type(event) for event in dialect(name).reader(FUNCTIONS).feed(turn["content"])][1:] == [Call, Call]
    assert results["role"] == "user"
    assert results["content"].index("result of weather") < results["content"].index("result of clock")


FUNCTIONS: list[dict[str, Any]] = [{"type": "function", "function": {"name": name}} for name in ("weather", "clock")]


async def test_calls_are_read_where_the_server_did_not(table: Table) -> None:
    table.tell("read:hermes")
    table.server.reply(Reply(text="So. " + scripted("hermes", ("clock", {}))))
    response = await table.ask()
    assert (response.content, calls_of(response)) == ("So. ", [("clock", {})])
    assert [tool["function"]["name"] for tool in table.body["tools"]] == ["weather", "clock"]
    table.server.reply(Reply(text="So.", tool_calls=[ToolCallScript("weather", {"city": "Oslo"})]))
    assert calls_of(await table.ask()) == [("weather", {"city": "Oslo"})]


async def test_a_binding_goes_before_its_provider(table: Table) -> None:
    table.tell("native", "prompt:json")
    written = scripted("json", ("clock", {}))
    table.server.reply(Reply(text=written), times=2)
    assert calls_of(await table.ask(model="told")) == [("clock", {})]
    assert (await table.ask()).content == written
    assert "tools" in table.body


@pytest.mark.parametrize("choice", ["required", "clock", "none"])
async def test_a_choice(table: Table, choice: str) -> None:
    written = scripted("hermes", ("clock", {}))
    table.server.reply(Reply(text=written))
    response = await table.ask(tool_choice=choice)
    said = str(table.body["messages"])
    if choice == "none":
        assert (response.content, response.tool_calls) == (written, None)
        assert "<tools>" not in said
    else:
        assert calls_of(response) == [("clock", {})]
        assert f"You must call {'one of them' if choice == 'required' else 'clock'} now" in said
        assert ("weather" in said) == (choice == "required")
    assert "tool_choice" not in table.body


class City(BaseModel):
    name: str


async def test_a_form_beside_tools(table: Table) -> None:
    """Nothing may hold the answer to the form, as that would keep the model from calling; so it is said in words."""
    table.server.reply(Reply(text='{"name": "Rome"}'))
    assert (await table.ask(response_format=City)).parsed == City(name="Rome")
    assert "Answer with JSON of this schema" in table.body["messages"][0]["content"]
    assert not {"format", "response_format"} & table.body.keys()
    table.server.reply(Reply(text=scripted("hermes", ("clock", {}))))
    assert calls_of(await table.ask(response_format=City)) == [("clock", {})]
    table.server.reply(Reply(text='{"name": "Rome"}'))
    assert (await table.ask(response_format=City, tool_choice="none")).parsed == City(name="Rome")
    assert {"format", "response_format"} & table.body.keys()


async def test_a_name_that_is_no_tool_stays_text(table: Table) -> None:
    written = '<tool_call>\n{"name": "delete", "arguments": {}}\n</tool_call>'
    table.server.reply(Reply(text=written))
    response = await table.ask()
    assert (response.content, response.tool_calls, response.finish_reason) == (written, None, "stop")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('<tool_call>{"name": "weather", "arguments": {"days": 2}}</tool_call>', "'city' is a required property"),
        ('<tool_call>{"name": "weather", "arguments": "Oslo"}</tool_call>', "called 'weather', but the arguments"),
        ('<tool_call>{"name": "weather", "arguments": {"city": }}</tool_call>', "no JSON"),
        ('<tool_call>{"name": "weather", "argu', "ended before the call did"),
    ],
)
async def test_arguments_that_do_not_fit_are_an_error(table: Table, written: str, words: str) -> None:
    table.server.reply(Reply(chunks=["Well. ", written]))
    with pytest.raises(ProviderResponseError, match=words) as raised:
        await table.ask()
    assert "weather" in str(raised.value)
    if table.streamed:
        assert table.shown == "Well. "


async def test_a_call_that_is_cut_off_by_the_limit(table: Table) -> None:
    table.server.reply(Reply(text='<tool_call>{"name": "weather", "arguments": {"ci', finish_reason="length"))
    with pytest.raises(ProviderResponseError, match=r"cut off at max_tokens.*Raise max_tokens"):
        await table.ask()


async def test_an_event_that_is_lost_within_a_call(table: Table) -> None:
    if not table.streamed:
        pytest.skip("there are no events")
    pieces = ['<tool_call>{"name": "weather", "arguments": {"city": "New ', "York", '"}}</tool_call>']
    table.server.reply(Reply(chunks=pieces, fault=Fault.malformed_event(2)))
    with pytest.raises(ProviderError):
        await table.ask()


async def test_a_tool_that_its_provider_runs_cannot_be_told(table: Table) -> None:
    with pytest.raises(ModelCapabilityError, match="web_search"):
        await table.ask(tools=[clock, {"type": "web_search"}])
    assert table.server.requests == []


@pytest.mark.parametrize(("provider", "binding"), [("prompt:morse", "native"), ("native", "read:morse"), ("x", "x")])
async def test_no_such_dialect(table: Table, provider: str, binding: str) -> None:
    table.tell(provider, binding)
    with pytest.raises((ConfigurationError, ProviderError), match=r'tools = "(prompt:morse|read:morse|x)" in .*hermes'):
        await table.ask(model="told")
    assert table.server.requests == []


async def test_a_wire_that_has_tools_alone(server: PracticeServer, bare: Path) -> None:
    text = 'version = "1.0"\n[profiles.default]\nname = "default"\n[providers.anthropic]\ntools = "prompt:json"\n'
    create("llmring.lock", text)
    async with LLMRing() as ring:
        with pytest.raises(ProviderError, match=r"\[providers.anthropic\] says tools"):
            await ring.chat(LLMRequest(model="anthropic:claude-sonnet-5-5", messages=[user("Hi")]))


@pytest.mark.parametrize(
    ("template", "form"), [("{{ .System }}\n<tool_call>", "hermes"), ("{{ .Prompt }}", "json"), (None, "json")]
)
async def test_an_ollama_model_without_tools_is_told_in_the_form_of_its_template(
    server: PracticeServer, bare: Path, streamed: bool, template: str | None, form: str
) -> None:
    table = Table(server, "ollama", streamed)
    table.tell(None)
    server.reply(status=400, error="registry.ollama.ai/library/gemma:2b does not support tools")
    shown = json.dumps({"template": template, "model_info": {}}).encode() if template else b"<html>"
    server.reply(Reply(body=shown, content_type="application/json"), wire="models")
    server.reply(Reply(text=scripted(form, ("clock", {}))))
    assert calls_of(await table.ask()) == [("clock", {})]
    said = table.body["messages"][0]["content"]
    assert ("<tool_call>" in said) == (form == "hermes")
    assert "tools" not in table.body


async def test_native_is_native(table: Table) -> None:
    """Where the lockfile says so, what has no tools is not told of them by another way."""
    table.tell("native")
    table.server.reply(status=400, error="gemma does not support tools")
    with pytest.raises(ProviderResponseError, match="does not support tools"):
        await table.ask()
    assert len(table.server.requests) == 1


async def test_the_models_own_ids_go_back_to_its_server(table: Table) -> None:
    """Kimi's count its calls, and its server wants the calls under those ids."""
    table.tell("read:kimi")
    table.server.reply(Reply(text=scripted("kimi", ("clock", {}), ("clock", {}))))
    first = await table.ask()
    ids = [call["id"] for call in first.tool_calls or ()]
    assert ids == ["functions.clock:0", "functions.clock:1"]
    results = [Message(role="tool", tool_call_id=id, content="noon") for id in ids]
    table.server.reply(Reply(text="Noon."))
    await table.ask(user("Time?"), first.to_message(), *results)
    turn, *back = table.body["messages"][1:]
    assert [call["id"] for call in turn["tool_calls"]] == ids
    assert [it["tool_call_id"] for it in back] == ids


async def test_a_conversation_goes_on_with_tools_of_another_kind(table: Table) -> None:
    """Calls that were told in text are calls: a model with tools of its own takes them as such."""
    table.server.reply(Reply(text=scripted("hermes", ("clock", {}))))
    first = await table.ask()
    table.tell("native")
    table.server.reply(Reply(text="Noon."))
    result = Message(role="tool", tool_call_id=(first.tool_calls or [])[0]["id"], content="noon")
    assert (await table.ask(user("Time?"), first.to_message(), result)).content == "Noon."
    assert table.body["messages"][1]["tool_calls"][0]["function"]["name"] == "clock"
    assert table.body["messages"][2]["role"] == "tool"


async def test_hundreds_of_calls_in_one_answer(table: Table) -> None:
    table.server.reply(Reply(text=scripted("hermes", *[("weather", {"city": f"Nr {n}"}) for n in range(1000)])))
    response = await table.ask()
    assert [arguments["city"] for _, arguments in calls_of(response)] == [f"Nr {n}" for n in range(1000)]
    assert len({call["id"] for call in response.tool_calls or ()}) == 1000
