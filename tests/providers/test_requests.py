"""What the providers are asked, seen from the other end of the socket."""

from __future__ import annotations

import json
import logging
from typing import Any

import anthropic
import ollama
import openai
import pytest
from anthropic.types import message_create_params
from google import genai
from google.genai import types
from google.genai.client import AsyncClient as AsyncGenai
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from llmring import LLMRequest, LLMRing, Message
from llmring.catalog.records import announced_ends
from llmring.exceptions import InvalidRequestError, ProviderResponseError
from llmring.testing import PracticeServer

from ..conftest import WAYS, Way, bind

TURNS = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Hello"),
    Message(role="user", content="Count to 3"),
]
SETTINGS: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 7, "max_tokens": 99}
PATHS = {
    "openai-chat": ("/v1/chat/completions", "/v1/chat/completions"),
    "openai-responses": ("/v1/responses", "/v1/responses"),
    "anthropic": ("/v1/messages", "/v1/messages"),
    "gemini": ("/v1/models/model-1:streamGenerateContent", "/v1/models/model-1:generateContent"),
    "ollama": ("/api/chat", "/api/chat"),
}
KEYS = {
    "openai-chat": ("authorization", "Bearer practice-key"),
    "openai-responses": ("authorization", "Bearer practice-key"),
    "anthropic": ("authorization", "Bearer practice-key"),
    "gemini": ("x-goog-api-key", "practice-key"),
}


def ask(**fields: Any) -> LLMRequest:
    return LLMRequest(model="chatbot", messages=TURNS, **fields)


async def sent(service: LLMRing, server: PracticeServer, request: LLMRequest, *, stream: bool) -> Any:
    """The body that a request comes to."""
    if stream:
        await service.chat_stream(request).final_response()
    else:
        await service.chat(request)
    return server.requests[-1].body


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_request(way: Way, server: PracticeServer, stream: bool) -> None:
    server.lenient = True
    async with LLMRing() as service:
        body = await sent(service, server, ask(**SETTINGS, extra_params={"x_mine": {"a": 1}}), stream=stream)
    [request] = server.requests
    assert request.wire == way.wire
    assert request.path == PATHS[way.wire][0 if stream else 1]
    assert request.query == ({"alt": "sse"} if stream and way.wire == "gemini" else {})
    assert request.model == "model-1"
    assert request.stream == stream
    assert request.question == "Count to 3"
    assert request.headers["content-type"].partition(";")[0] == "application/json"
    assert int(request.headers["content-length"]) == len(request.raw)
    if way.wire in KEYS:
        name, value = KEYS[way.wire]
        assert request.headers[name] == value
    assert body["x_mine"] == {"a": 1}
    # The body is the wire's own to the last key: the SDK adds nothing.
    flat = {**body, **body.get("options", {}), **body.get("generationConfig", {})}
    settings = {
        "openai-chat": {"temperature", "top_p", "stop", "seed", "max_tokens"},
        "openai-responses": {"temperature", "top_p", "stop", "seed", "max_output_tokens", "store"},
        "anthropic": {"temperature", "top_p", "stop_sequences", "seed", "max_tokens"},
        "gemini": {"temperature", "topP", "stopSequences", "seed", "maxOutputTokens", "generationConfig"},
        "ollama": {"temperature", "top_p", "stop", "seed", "num_predict", "options"},
    }[way.wire]
    turns = {
        "openai-responses": {"model", "input"},
        "anthropic": {"model", "messages", "system"},
        "gemini": {"contents", "systemInstruction"},
    }.get(way.wire, {"model", "messages"})
    asked = {"stream"} if way.wire == "ollama" or (stream and way.wire != "gemini") else set()
    if way.wire == "openai-chat" and stream:
        asked = {"stream", "stream_options"}
    assert body.get("stream", stream) == stream
    assert set(flat) == settings | turns | asked | {"x_mine"}


async def test_cookies_go_back(way: Way, server: PracticeServer) -> None:
    """Those in front of a service tell by them which of its machines knows the conversation."""
    server.reply("Hi", headers={"set-cookie": "machine=7; path=/"})
    async with LLMRing() as service:
        for stream in (True, False):
            await sent(service, server, ask(), stream=stream)
    assert [request.headers.get("cookie") for request in server.requests] == [None, "machine=7"]


async def test_nothing_is_invented(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        body = await sent(service, server, ask(), stream=False)
    known = {"model", "messages", "input", "contents", "system", "systemInstruction", "store", "stream", "max_tokens"}
    assert set(body) <= known
    assert ("max_tokens" in body) == (way.wire == "anthropic")
    assert not body.get("stream")


SHAPES: dict[str, TypeAdapter[Any]] = {
    "openai-chat": TypeAdapter(completion_create_params.CompletionCreateParams),
    "openai-responses": TypeAdapter(response_create_params.ResponseCreateParams),
    "anthropic": TypeAdapter(message_create_params.MessageCreateParams),
    "ollama": TypeAdapter(ollama._types.ChatRequest),
}
BEYOND: dict[str, set[str]] = {
    # The SDK's own types have no place for these: a vendor's model, or a compatible server, may.
    "openai-responses": {"stop", "seed"},
    "anthropic": {"temperature", "top_p", "seed"},
}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_sdks_own_types_know_the_request(way: Way, server: PracticeServer, stream: bool) -> None:
    """What is sent past the SDK's typed surface is what that surface would have taken."""
    server.lenient = True
    async with LLMRing() as service:
        body = await sent(service, server, ask(**SETTINGS), stream=stream)
    if way.wire == "gemini":
        config = body["generationConfig"] | {"systemInstruction": body["systemInstruction"]}
        types.GenerateContentConfig.model_validate(config)
        for content in body["contents"]:
            types.Content.model_validate(content)
        return
    beyond = BEYOND.get(way.wire, set())
    body = {key: value for key, value in body.items() if key not in beyond}
    SHAPES[way.wire].validate_python(body)
    known = _keys(way.wire)
    assert set(body) <= known
    assert not beyond & known


def _keys(wire: str) -> set[str]:
    if wire == "ollama":
        return set(ollama._types.ChatRequest.model_fields)
    params: Any = {
        "openai-chat": completion_create_params.CompletionCreateParamsStreaming,
        "openai-responses": response_create_params.ResponseCreateParamsStreaming,
        "anthropic": message_create_params.MessageCreateParamsStreaming,
    }[wire]
    return set(params.__required_keys__ | params.__optional_keys__)


REFUSED = {
    "openai-responses": {"stop", "seed"},
    "anthropic": {"seed"},
}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_practice_server_refuses_what_the_vendor_does(way: Way, server: PracticeServer, stream: bool) -> None:
    settings: dict[str, Any] = {"temperature": 0.5, "stop": ["END"], "seed": 7}
    async with LLMRing() as service:
        for name, value in settings.items():
            server.reply(text="taken", model="model-1")
            if name in REFUSED.get(way.wire, set()):
                with pytest.raises(ProviderResponseError) as caught:
                    await sent(service, server, ask(**{name: value}), stream=stream)
                assert (caught.value.status_code, caught.value.parameter) == (400, name)
            else:
                await sent(service, server, ask(**{name: value}), stream=stream)


@pytest.mark.parametrize("value", [object(), "\ud800", b"\xff"], ids=["object", "surrogate", "bytes"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_what_cannot_be_json(way: Way, server: PracticeServer, value: Any, stream: bool) -> None:
    """It is the request that is at fault, and nobody is asked."""
    async with LLMRing() as service:
        with pytest.raises(InvalidRequestError, match=rf"cannot be sent to {way.model} \(PydanticSerializationError"):
            await sent(service, server, ask(extra_params={"x": [value]}), stream=stream)
    assert server.requests == []


async def test_anthropic_takes_any_max_tokens_that_the_caller_insists_on(server: PracticeServer) -> None:
    async with LLMRing() as service:
        request = LLMRequest(model="anthropic:m", messages=TURNS, extra_params={"max_tokens": "many"})
        assert (await sent(service, server, request, stream=False))["max_tokens"] == "many"


async def test_anthropic_demands_max_tokens(server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    """The model's own limit where it is known, a modest number where it is not, the caller's where it is set."""
    caplog.set_level(logging.INFO, "llmring")
    async with LLMRing() as service:
        for model, expected in (
            ("claude-haiku-4-5-20251001", 64_000),
            ("claude-3-haiku-20240307", 4096),
            ("anthropic/claude-haiku-4.5", 64_000),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 64_000),
            ("new", 4096),
        ):
            request = LLMRequest(model=f"anthropic:{model}", messages=TURNS)
            assert (await sent(service, server, request, stream=True))["max_tokens"] == expected
        for model in ("claude-haiku-4-5", "new"):
            request = LLMRequest(model=f"anthropic:{model}", messages=TURNS, max_tokens=5)
            assert (await sent(service, server, request, stream=True))["max_tokens"] == 5
    (said,) = [record.message for record in caplog.records if record.name == "llmring"]
    assert said.startswith("anthropic:new: sending max_tokens=4096")


@pytest.mark.latest
async def test_a_model_near_its_end_warns_nobody_who_cannot_change_it(server: PracticeServer) -> None:
    """The SDK's own warning about a model points at this library's code, and warnings may be errors."""
    for model in sorted(announced_ends("anthropic"))[:3]:
        async with LLMRing() as service:
            response = await service.chat(LLMRequest(model=f"anthropic:{model}", messages=TURNS))
            assert response.content == "You said: Count to 3"


async def test_the_clients_are_the_sdks_own(server: PracticeServer) -> None:
    async with LLMRing() as service:
        assert type(service.get_provider("openai").client) is openai.AsyncOpenAI
        assert type(service.get_provider("anthropic").client) is anthropic.AsyncAnthropic
        assert type(service.get_provider("google").client) is AsyncGenai
        assert isinstance(service.get_provider("ollama").client, ollama.AsyncClient)
        assert isinstance(service.get_provider("google").client, type(genai.Client(api_key="practice").aio))
        assert service.get_provider("openai") is service.get_provider("openai")


async def test_the_clients_serve_for_what_is_not_covered(server: PracticeServer) -> None:
    """What a program does with the SDK's client by itself works as ever, beside our own requests."""
    async with LLMRing() as service:
        await service.chat(LLMRequest(model="google:m", messages=TURNS))
        chat = await service.get_provider("openai").client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}]
        )
        assert chat.choices[0].message.content == "You said: Hi"
        message = await service.get_provider("anthropic").client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
        assert message.content[0].text == "You said: Hi"
        answer = await service.get_provider("google").client.models.generate_content(model="m", contents="Hi")
        assert answer.text == "You said: Hi"
        pieces = [
            piece.text
            async for piece in await service.get_provider("google").client.models.generate_content_stream(
                model="m", contents="Hi"
            )
        ]
        assert "".join(piece for piece in pieces if piece) == "You said: Hi"
        answer = await service.get_provider("ollama").client.chat(
            model="m", messages=[{"role": "user", "content": "Hi"}]
        )
        assert answer.message.content == "You said: Hi"
        lines = [
            line.message.content
            async for line in await service.get_provider("ollama").client.chat(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
        ]
        assert "".join(lines) == "You said: Hi"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.wire)
async def test_settings_of_the_lockfile(way: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, key and headers of a provider may stand in the lockfile instead of the environment."""
    for name in server.environ():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINE", "practice-of-mine")
    base = f"{server.url}/v1" if way.provider == "openai" else server.url
    api = 'api = "responses"\n' if way.wire == "openai-responses" else ""
    bind(
        {"chatbot": ["mine:model-1"]},
        f'[providers.mine]\nsdk = "{way.provider}"\nbase_url = "{base}"\napi_key_env = "MINE"\n{api}'
        '[providers.mine.headers]\nx-team = "blue"\n',
    )
    async with LLMRing() as service:
        response = await service.chat_stream(ask()).final_response()
    assert response.model == "mine:model-1"
    [request] = server.requests
    assert request.wire == way.wire
    assert request.headers["x-team"] == "blue"
    assert "practice-of-mine" in json.dumps(request.headers)


def test_ollama_needs_no_key_and_a_compatible_server_of_ones_own_neither(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    bind({}, f'[providers.local]\nsdk = "openai"\nbase_url = "{server.url}/v1"\n')
    service = LLMRing()
    assert service.get_provider("local").name == "local"
    assert service.get_provider("ollama").name == "ollama"


async def test_a_compatible_server_is_spoken_to_in_chat_completions(server: PracticeServer) -> None:
    bind({"chatbot": ["local:m"]}, f'[providers.local]\nsdk = "openai"\nbase_url = "{server.url}/openai/v1"\n')
    async with LLMRing() as service:
        body = await sent(service, server, ask(max_tokens=5), stream=True)
    assert server.requests[0].path == "/openai/v1/chat/completions"
    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body


def test_openai_itself_is_spoken_to_in_responses(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    for settings, responses in (("", True), ('[providers.openai]\napi = "chat"\n', False)):
        bind({}, settings)
        provider: Any = LLMRing().get_provider("openai")
        assert provider.responses is responses
