"""An SDK that does not send through our HTTP client any more: its typed objects are read, and it is said once."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import httpx2
import pytest
from google.genai import types

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderRateLimitError
from llmring.providers import ollama as ollama_adapter
from llmring.testing import PracticeServer, Reply, Tokens, ToolCallScript

from ..conftest import bind

CHANGED = "does not send through the HTTP client"
REPLY = Reply("One two", reasoning="Hm", tool_calls=[ToolCallScript("look_up", {"Key_one": [1]})], usage=Tokens(7, 5))
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
TURNS = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="Count"),
    Message(
        role="assistant",
        tool_calls=[{"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"some_key": 1}'}}],
    ),
    Message(role="tool", tool_call_id="c1", content={"itsResult": 1}),
]


def said(body: Any) -> Any:
    """The body without what the SDK may add or leave out."""
    if isinstance(body, list):
        return [said(item) for item in body]
    if isinstance(body, dict):
        return {key: said(value) for key, value in body.items() if key != "stream" and value != ""}
    return body


def sends_by_itself(service: LLMRing, provider: str, server: PracticeServer) -> Any:
    client = service.get_provider(provider).client
    own: Any
    if provider == "google":
        own = client._api_client._async_httpx_client = httpx2.AsyncClient()
    else:
        own = client._client = httpx.AsyncClient(base_url=server.url)
    return own


def refuses(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    """Its constructor does not know what we give it."""
    if provider == "google":
        known = types.HttpOptions

        def options(**given: Any) -> types.HttpOptions:
            if "httpx_async_client" in given:
                raise ValueError("unknown field")
            return known(**given)

        monkeypatch.setattr(types, "HttpOptions", options)
    else:

        def refuse(*_: Any, **__: Any) -> None:
            raise TypeError("unexpected argument")

        monkeypatch.setattr(ollama_adapter._Client, "__init__", refuse)


@pytest.mark.parametrize("provider", ["google", "ollama"])
@pytest.mark.parametrize("how", ["sends by itself", "refuses"])
async def test_its_typed_objects_are_read(
    provider: str,
    how: str,
    server: PracticeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = LLMRequest(model=f"{provider}:m", messages=TURNS, tools=[TOOL], temperature=0.5, max_tokens=9)
    server.default = REPLY
    async with LLMRing() as usual:
        expected = await usual.chat(request)
    body = server.requests[-1].body
    assert CHANGED not in caplog.text
    if how == "refuses":
        refuses(monkeypatch, provider)
    async with LLMRing() as service, contextlib.AsyncExitStack() as stack:
        if how == "sends by itself":
            await stack.enter_async_context(sends_by_itself(service, provider, server))
        for _ in range(2):
            for response in (await service.chat_stream(request).final_response(), await service.chat(request)):
                for call in [*(expected.tool_calls or []), *(response.tool_calls or [])]:
                    call["id"] = "made up"
                assert response == expected
                assert said(server.requests[-1].body) == said(body)
    assert caplog.text.count(CHANGED) == 1


async def test_it_sends_no_key_to_a_foreign_host(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(monkeypatch, "ollama")
    secret = "practice-" + "of-the-environment"
    monkeypatch.setenv("OLLAMA_API_KEY", secret)
    bind({}, f'[providers.gateway]\nsdk = "ollama"\nbase_url = "{server.url}"\n')
    async with LLMRing() as service:
        for model in ("gateway:m", "ollama:m"):
            await service.chat(LLMRequest(model=model, messages=[Message(role="user", content="Hi")]))
    assert [secret in str(request.headers) for request in server.requests] == [False, True]


@pytest.mark.parametrize("provider", ["google", "ollama"])
async def test_its_errors_are_told_apart(provider: str, server: PracticeServer) -> None:
    request = LLMRequest(model=f"{provider}:m", messages=[Message(role="user", content="Hi")])
    async with LLMRing(max_retries=0) as service, sends_by_itself(service, provider, server):
        await service.chat(request)
        server.default = Reply(status=429, error="Too many")
        for ask in (service.chat, lambda request: service.chat_stream(request).final_response()):
            with pytest.raises(ProviderRateLimitError, match="Too many"):
                await ask(request)
