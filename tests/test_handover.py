"""A conversation that goes from one vendor to another and back: each takes what it is sent, and gets back what it gave.

The practice server refuses what the vendors refuse; its rules are an independent witness (`llmring.testing`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMResponse, LLMRing, Message, image, text
from llmring.testing import PracticeServer, RecordedRequest, Reply, ToolCallScript

from .conftest import bind

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look at a place",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}


class Weather(BaseModel):
    """What the structured answers say."""

    rain: bool


@dataclass(frozen=True)
class Party:
    """One of those who talk.

    Attributes:
        name: the provider's.
        model: as the provider knows it.
        address: where it is; `{url}` is the practice server, which is a proxy to all other hosts.
        settings: what else the lockfile says of it.
        thinks: whether it hands over its thinking, or a sign of it, and wants that back.
        field: the field of a message that it wants its thinking back in, if it says it in words.
        looks: whether it takes pictures: who does not is not asked where one is in the conversation.
        sees: whether what a function returns may be a picture.
        id: of its calls, if not of the practice server's making.
        numbers: whether its calls have ids.
    """

    name: str
    model: str
    address: str
    settings: str = ""
    thinks: bool = True
    field: str | None = None
    looks: bool = True
    sees: bool = False
    id: str | None = None
    numbers: bool = True

    @property
    def secret(self) -> str:
        """What it thinks, and nobody else is to know."""
        return f"{self.name} wonders whether it rains"


PARTIES = [
    Party("azure", "gpt-4.1", "http://some.openai.azure.com/openai/v1", thinks=False),
    Party("mistral", "magistral-medium-latest", "http://api.mistral.ai/v1"),
    Party("deepseek", "deepseek-v4-pro", "http://api.deepseek.com", field="reasoning_content", looks=False),
    Party("kimi", "kimi-k3", "http://api.moonshot.ai/v1", 'sdk = "openai"', field="reasoning_content"),
    Party("openrouter", "anthropic/claude-sonnet-5", "http://openrouter.ai/api/v1"),
    Party("compatible", "gemini-3-pro", "http://generativelanguage.googleapis.com/v1beta/openai", 'sdk = "openai"'),
    Party("vllm", "kimi-k2", "{url}/vllm/v1", field="reasoning", id="functions.look:{}"),
    Party("openai", "gpt-6-luna", "{url}/v1", 'api = "responses"', sees=True),
    Party("anthropic", "claude-haiku-5-5", "{url}", sees=True),
    Party("google", "gemini-3-flash", "{url}", sees=True, numbers=False),
    Party("ollama", "gpt-oss", "{url}", field="thinking", numbers=False),
]

BY_NAME = {party.name: party for party in PARTIES}
TWINS = [
    replace(BY_NAME[name], name=f"{name}_two", address=f"http://second.example{path}", settings=settings)
    for name, path, settings in (
        ("openrouter", "/openrouter/v1", 'sdk = "openai"'),
        ("vllm", "/vllm/v1", 'sdk = "openai"'),
        ("openai", "/v1", 'sdk = "openai"\napi = "responses"'),
        ("anthropic", "", 'sdk = "anthropic"'),
        ("google", "", 'sdk = "google"'),
        ("ollama", "", 'sdk = "ollama"'),
    )
]
"""The same vendors at another address, which does not know what the first one has given."""


@pytest.fixture
def proxy(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    """The practice server, which is every host of plain http besides."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    tables = []
    for party in (*PARTIES, *TWINS):
        variable = f"{party.name.upper()}_KEY"
        monkeypatch.setenv(variable, f"key-of-{party.name}")
        address = party.address.format(url=server.url)
        tables.append(
            f'[providers.{party.name}]\nbase_url = "{address}"\napi_key_env = "{variable}"\n{party.settings}\n'
        )
    bind({}, "".join(tables))
    yield server
    assert not server.pending


class Talk:
    """A conversation, whoever leads it."""

    def __init__(self, service: LLMRing, server: PracticeServer, stream: bool) -> None:
        self._service, self._server, self._stream = service, server, stream
        self.messages: list[Message] = []
        self.calls = 0

    async def say(self, party: Party, reply: Reply, form: type[BaseModel] | None = None) -> LLMResponse:
        """What a party answers to all that was said, and is from then on part of it."""
        self._server.reply(reply)
        request = LLMRequest(
            model=f"{party.name}:{party.model}",
            messages=self.messages,
            tools=[LOOK],
            reasoning_effort="low",
            response_format=form,
        )
        service = self._service
        response = await (service.chat_stream(request).final_response() if self._stream else service.chat(request))
        self.messages.append(response.to_message())
        return response

    def ask(self, *parts: dict[str, object]) -> None:
        """A question."""
        self.messages.append(Message(role="user", content=list(parts)))

    async def step(self, party: Party, picture: bool) -> RecordedRequest:
        """A party thinks, and calls two functions at once; the request, which the results have followed."""
        ids = [party.id.format(self.calls + at) if party.id else None for at in range(2)]
        self.calls += 2
        looks = [ToolCallScript("look", {"at": place}, id) for place, id in zip(("sea", "land"), ids, strict=True)]
        # Other models say line breaks before a call, and Anthropic refuses them.
        said = "Let me see." if party.name == "anthropic" else "\n\n"
        response = await self.say(party, Reply(said, reasoning=party.secret, tool_calls=looks))
        assert response.finish_reason == "tool_calls"
        seen = [image(PIXEL)] if picture else "Clouds."
        for call, content in zip(response.tool_calls or (), ("Waves.", seen), strict=True):
            self.messages.append(Message(role="tool", tool_call_id=call["id"], content=content))
        return self._server.requests[-1]


async def hand_over(talk: Talk, server: PracticeServer, one: Party, other: Party) -> None:
    """From one to the other and back: in the middle of a step, and with a structured answer of each."""
    picture = one.sees and other.sees
    talk.ask(text("Does it rain here?"), *[image(PIXEL)] * (one.looks and other.looks))
    await talk.step(one, picture)
    await talk.step(other, picture)
    await talk.say(one, Reply("It rains.", reasoning=one.secret))
    talk.ask(text("Say that as data."))
    for party in (other, one):
        response = await talk.say(party, Reply('{"rain": true}', reasoning=party.secret), Weather)
        assert response.parsed == Weather(rain=True)
        talk.ask(text("And once more."))
    first, second, third, fourth, fifth = server.requests[-5:]
    for party, before, after in ((one, first, third), (other, second, fourth), (one, third, fifth)):
        check_kept(party, before, after)
    for party, turn, after in ((one, talk.messages[1], third), (other, talk.messages[4], fourth)):
        ids = [call["id"] for call in turn.tool_calls or ()]
        assert not party.numbers or all(after.raw.count(id.encode()) == 2 for id in ids), f"{party.name}: {ids}"
    for request, foreign in ((second, one), (fourth, one), (third, other), (fifth, other)):
        assert foreign.secret not in request.raw.decode(), f"{foreign.name}'s thinking is sent to another"


def check_kept(party: Party, before: RecordedRequest, after: RecordedRequest) -> None:
    """What a party has given with an answer, the next request has brought back to it."""
    signature = base64.b64encode(f"practice {before.headers['host']} {before.number}".encode()).decode()
    raw = after.raw.decode()
    if party.thinks:
        assert party.secret in raw or signature in raw, f"{party.name} does not get its thinking back"
    if party.field is not None:
        fields = [message.get(party.field) for message in after.body["messages"]]
        assert party.secret in fields, f"{party.name} gets {fields} as its {party.field}"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("one", PARTIES, ids=lambda party: party.name)
async def test_each_hands_over_to_each_other_one_and_back(one: Party, stream: bool, proxy: PracticeServer) -> None:
    faults = {}
    async with LLMRing(max_retries=0) as service:
        for other in PARTIES:
            if other is not one:
                try:
                    await hand_over(Talk(service, proxy, stream), proxy, one, other)
                except Exception as error:
                    faults[other.name] = error
                    proxy.clear()
    assert not faults, "\n".join(f"{one.name} and {other}: {error!r}" for other, error in faults.items())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("twin", TWINS, ids=lambda party: party.name)
async def test_what_one_address_has_given_another_does_not_get(
    twin: Party, stream: bool, proxy: PracticeServer
) -> None:
    async with LLMRing(max_retries=0) as service:
        await hand_over(Talk(service, proxy, stream), proxy, BY_NAME[twin.name.removesuffix("_two")], twin)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("one", PARTIES, ids=lambda party: party.name)
async def test_a_turn_that_was_changed_is_taken_all_the_same(one: Party, stream: bool, proxy: PracticeServer) -> None:
    """The first in its words, the second in its calls."""
    async with LLMRing(max_retries=0) as service:
        talk = Talk(service, proxy, stream)
        talk.ask(text("Does it rain here?"))
        await talk.step(one, picture=False)
        await talk.step(one, picture=False)
        talk.messages[1].content = "I look twice."
        talk.messages[4].tool_calls = (talk.messages[4].tool_calls or [])[:1]
        del talk.messages[6]
        await talk.say(one, Reply("It rains."))
    assert "I look twice." in proxy.requests[-1].raw.decode()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("one", ["openai", "anthropic", "google"])
async def test_what_a_search_has_found_goes_back_to_who_has_searched(
    one: str, stream: bool, proxy: PracticeServer
) -> None:
    searcher = BY_NAME[one]
    async with LLMRing(max_retries=0) as service:
        for other in PARTIES:
            talk = Talk(service, proxy, stream)
            talk.ask(text("Does it rain?"))
            await talk.say(searcher, Reply("It rains.", reasoning=searcher.secret, searched="rain"))
            for party in (other, searcher):
                talk.ask(text("Are you sure?"))
                await talk.say(party, Reply("Yes.", reasoning=party.secret))


def looked(id: str, arguments: str = "{}", said: str = "", result: str = "x") -> list[Message]:
    """A call that nobody of these has made, and its result."""
    call = {"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}}
    turn = Message.model_validate({"role": "assistant", "content": said, "tool_calls": [call]})
    return [turn, Message(role="tool", tool_call_id=id, content=result)]


HI, WELL = Message(role="user", content="Hi"), Message(role="user", content="Well?")
HELLO = Message(role="assistant", content="Hello.")
ODD = {
    "an answer of nothing": [HI, Message(role="assistant", content=""), WELL],
    "an answer of white space": [HI, Message(role="assistant", content=" \n"), WELL],
    "white space before a call": [HI, *looked("a", said="\n\n")],
    "a question right after results": [HI, *looked("a"), WELL],
    "a result of nothing": [HI, *looked("a", "", result="")],
    "an id of no common form": [HI, *looked("functions.look:0")],
    "a long id": [HI, *looked("x" * 400)],
    "one id in two turns": [HI, *looked("a"), *looked("a")],
    "two questions": [HI, WELL],
    "an answer before any question": [HELLO, WELL],
    "instructions in between": [HI, HELLO, Message(role="system", content="Be brief."), WELL],
    "an empty part": [Message(role="user", content=[text(""), text("Hi")])],
}


@pytest.mark.parametrize("one", PARTIES, ids=lambda party: party.name)
async def test_odd_conversations_are_taken(one: Party, proxy: PracticeServer) -> None:
    refused = {}
    async with LLMRing(max_retries=0) as service:
        for what, messages in ODD.items():
            for stream in (True, False):
                talk = Talk(service, proxy, stream)
                talk.messages = list(messages)
                try:
                    await talk.say(one, Reply("Fine."))
                except Exception as error:
                    refused[what] = error
                    proxy.clear()
    assert not refused, "\n".join(f"{what}: {error!r}" for what, error in refused.items())
