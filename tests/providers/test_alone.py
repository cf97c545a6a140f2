"""A provider that is asked by itself: no service and no lockfile, the same rules."""

from __future__ import annotations

import asyncio
import copy
import pickle
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    CircuitBreakerError,
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    ModelNotFoundError,
    ProviderError,
    ProviderNotFoundError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.providers import Dialect, Provider, ProviderConfig, make_provider
from llmring.testing import Fault, PracticeServer, Reply, ToolCallScript

KEY = "practice-alone-1234567890"


def ask(model: str = "m", **more: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **more)


@pytest.mark.parametrize("name", ["openai", "anthropic", "google", "ollama"])
async def test_each_built_in_one(name: str, server: PracticeServer) -> None:
    """By the environment's keys and addresses; the model's name with the provider's before it, or without."""
    server.default = Reply("Grüße", reasoning="Hm.")
    async with make_provider(name) as provider:
        response = await provider.chat(ask())
        assert (response.content, response.model, response.finish_reason) == ("Grüße", f"{name}:m", "stop")
        stream = provider.stream(ask(f"{name}:m"))
        deltas = [chunk.delta async for chunk in stream]
        assert "".join(deltas) == "Grüße"
        assert stream.response.usage == (await stream.final_response()).usage
    assert {request.model for request in server.requests} == {"m"}


async def test_tools_forms_and_files_are_prepared_as_in_a_service(server: PracticeServer) -> None:
    def look(at: str) -> str:
        """Look at it."""
        return at

    server.reply(Reply(tool_calls=[ToolCallScript("look", {"at": "sky"})]))
    server.reply(Reply('{"answer": 3}'))
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    async with make_provider("openai") as provider:
        response = await provider.chat(ask(tools=[look]))
        assert response.tool_calls is not None
        assert response.tool_calls[0]["function"]["name"] == "look"
        parsed = await provider.chat(ask(response_format={"type": "json_schema", "json_schema": {"schema": schema}}))
        assert parsed.parsed == {"answer": 3}


async def test_key_and_address_are_given_or_found(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    for given, sent in ((None, KEY), (KEY[::-1], KEY[::-1])):
        async with make_provider("groq", api_key=given, base_url=f"{server.url}/v1") as provider:
            await provider.chat(ask())
        assert server.requests[-1].headers["authorization"] == f"Bearer {sent}"
    monkeypatch.delenv("GROQ_API_KEY")
    with pytest.raises(ProviderNotFoundError, match="no key for groq"):
        make_provider("groq")
    for name, said in (("grok", "called 'xai'"), ("opnai", "Did you mean 'openai'")):
        with pytest.raises(ProviderNotFoundError, match=said):
            make_provider(name)
    for it in (3, None, dict, Dialect("mine")):
        with pytest.raises(ConfigurationError):
            make_provider(it)  # type: ignore[arg-type]


async def test_of_a_dialect_and_by_another_name(server: PracticeServer) -> None:
    mine = Dialect("mine", sdk="anthropic", base_url=server.url, key_variables=["MINE_KEY"])
    async with make_provider(mine, name="yours", api_key=KEY) as provider:
        assert (await provider.chat(ask())).model == "yours:m"
    assert KEY in str(server.requests[0].headers)


async def test_it_is_asked_again_as_in_a_service(server: PracticeServer) -> None:
    server.reply(Reply(status=503, headers={"retry-after": "0"}))
    server.reply(Reply("At last."))
    async with make_provider("openai") as provider:
        response = await provider.chat(ask())
    assert (response.content, response.retries) == ("At last.", 1)
    server.reply(Reply(status=400, error="the model `m` does not exist", error_code="model_not_found"))
    async with make_provider("openai") as provider:
        with pytest.raises(ModelNotFoundError):
            await provider.chat(ask())
    server.reply(Reply(status=503))
    async with make_provider("openai", max_retries=0) as provider:
        with pytest.raises(ProviderResponseError):
            await provider.chat(ask())


async def test_it_keeps_to_its_time(server: PracticeServer) -> None:
    server.default = Reply("Too late.", fault=Fault.stall_after(1))
    began = time.monotonic()
    async with make_provider("openai", timeout=0.2, max_retries=0) as provider:
        with pytest.raises(ProviderTimeoutError, match="Raise `timeout`"):
            await provider.stream(ask()).final_response()
        with pytest.raises(ProviderTimeoutError, match="deadline"):
            await provider.stream(ask(timeout=None, deadline=0.2)).final_response()
    assert time.monotonic() - began < 10


async def test_a_model_that_fails_again_and_again_is_left_alone(server: PracticeServer) -> None:
    server.default = Reply(status=500)
    async with make_provider("openai", max_retries=0) as provider:
        for _ in range(10):
            with pytest.raises(ProviderResponseError):
                await provider.chat(ask())
        with pytest.raises(CircuitBreakerError):
            await provider.chat(ask())
        with pytest.raises(ProviderResponseError):
            await provider.chat(ask("another"))


async def test_what_is_dropped_is_closed(server: PracticeServer) -> None:
    server.default = Reply("one two three", fault=Fault.stall_after(1))

    async def gone(number: int) -> None:
        assert await asyncio.to_thread(server.requests[number].wait_closed)

    async with make_provider("openai") as provider:
        async for _ in provider.stream(ask()):
            break
        await gone(0)
        stream = provider.stream(ask())
        await anext(stream)
        await stream.aclose()
        await gone(1)
        left = provider.stream(ask())
        await anext(left)
    await gone(2)
    with pytest.raises(LLMRingError, match="closed"):
        await left.final_response()
    with pytest.raises(LLMRingError, match="openai is closed"):
        await provider.chat(ask())


async def test_what_is_no_request(server: PracticeServer) -> None:
    async with make_provider("openai") as provider:
        for wrong in (None, "Hi", LLMRequest(model="", messages=[]), LLMRequest(model="m", messages=[])):
            with pytest.raises(InvalidRequestError):
                await provider.chat(wrong)  # type: ignore[arg-type]


async def test_one_of_a_service_can_be_asked_too(server: PracticeServer) -> None:
    async with LLMRing() as service:
        provider = service.get_provider("openai")
        assert (await provider.chat(ask())).model == "openai:m"
        assert (await service.chat(ask("openai:m"))).model == "openai:m"


async def test_no_key_in_what_it_says(server: PracticeServer) -> None:
    server.reply(Reply(status=401, error=f"{KEY} is no key"))
    async with make_provider("openai", api_key=KEY) as provider:
        with pytest.raises(ProviderError) as found:
            await provider.chat(ask())
    error: BaseException = found.value
    assert KEY not in f"{error} {error!r} {vars(error)}"
    assert isinstance(provider, Provider)
    assert KEY not in repr(provider.config)
    frame = error.__traceback__
    while frame is not None:
        assert not str(frame.tb_frame.f_globals["__name__"]).startswith("llmring.providers.posting")
        frame = frame.tb_next


async def test_one_that_was_made_by_hand(server: PracticeServer, tmp_path: Path) -> None:
    from llmring.providers.openai import OpenAIProvider

    async with OpenAIProvider(ProviderConfig("mine", key=KEY, base_url=f"{server.url}/v1")) as provider:
        assert (await provider.chat(ask())).model == "mine:m"


def test_it_belongs_to_one_event_loop(server: PracticeServer) -> None:
    """Its connections do: in another loop it would fail sooner or later, and less clearly."""
    provider = make_provider("openai", api_key=KEY)

    async def chat() -> str:
        response = await provider.chat(ask())
        await provider.close()
        return response.content

    assert asyncio.run(chat()) == "You said: Hi"
    with pytest.raises(LLMRingError, match="belongs to the event loop that it was first asked in"):
        asyncio.run(chat())
    assert len(server.requests) == 1


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_it_is_not_copied(copied: Callable[[object], object], server: PracticeServer) -> None:
    """Whatever walks through it to copy it would have its key in hand, and in its traceback."""
    async with make_provider("openai", api_key=KEY) as provider:
        with pytest.raises(TypeError, match="not copied or pickled") as found:
            copied(provider)
        assert KEY not in str([frame[0].f_locals for frame in traceback.walk_tb(found.tb)])
