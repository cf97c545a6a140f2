"""Failover: which failures move on to the next model, which are the caller's to see, and what is said of them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import (
    ContextLengthError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, PracticeServer, Reply

from .conftest import WAYS, Way, bind

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.wire)


async def ask(service: LLMRing, stream: bool, request: LLMRequest = ASKED) -> LLMResponse:
    if stream:
        return await service.chat_stream(request).final_response()
    return await service.chat(request)


def stand_by(way: Way, *more: str) -> None:
    """The alias is the way's first model, then another of the same provider, then more."""
    bind({"chatbot": [f"{way.provider}:first", f"{way.provider}:second", *more]}, way.settings)


@streamed
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.wire)
async def test_statuses(way: Way, server: PracticeServer, stream: bool) -> None:
    stand_by(way)
    async with LLMRing(breaker_threshold=0) as service:
        for status in (402, 404, 408, 410, 429, 500, 502, 503, 504, 529):
            server.requests.clear()
            server.reply(status=status, error="model: it broke")
            response = await ask(service, stream)
            assert response.model == f"{way.provider}:second", status
            assert response.content == "You said: Hi"
            assert [type(error).__name__ for error in response.attempts] == [
                {404: "ModelNotFoundError", 410: "ModelNotFoundError", 429: "ProviderRateLimitError"}.get(
                    status, "ProviderResponseError"
                )
            ]
            assert response.attempts[0].status_code == status
            assert [request.model for request in server.requests] == ["first", "second"], status
        for status, kind in ((400, ProviderResponseError), (401, ProviderAuthenticationError)):
            await refuses(service, server, stream, status, kind)
        for status, kind in ((403, ProviderAuthenticationError), (409, ProviderResponseError)):
            await refuses(service, server, stream, status, kind)
        for status, kind in ((413, ProviderResponseError), (422, ProviderResponseError)):
            await refuses(service, server, stream, status, kind)


async def refuses(
    service: LLMRing, server: PracticeServer, stream: bool, status: int, kind: type[ProviderError]
) -> None:
    """What is the caller's to see is seen at once."""
    server.requests.clear()
    server.reply(status=status, error="it broke")
    with pytest.raises(ProviderError) as raised:
        await ask(service, stream)
    assert type(raised.value) is kind, status
    assert raised.value.model == "first"
    assert raised.value.attempts == []
    assert [request.model for request in server.requests] == ["first"], status


@streamed
@ways
async def test_situations(way: Way, server: PracticeServer, stream: bool) -> None:
    """However a vendor words them, and whatever status it gives them."""
    stand_by(way)
    async with LLMRing(breaker_threshold=0) as service:
        for trouble, kind in (("bad_key", ProviderAuthenticationError), ("too_long", ContextLengthError)):
            server.reply(problem=trouble)
            with pytest.raises(kind) as raised:
                await ask(service, stream)
            assert raised.value.model == "first"
        for trouble in ("unknown_model", "rate_limit", "overloaded"):
            server.reply(problem=trouble)
            assert (await ask(service, stream)).model == f"{way.provider}:second"


@streamed
@ways
async def test_faults_of_the_connection(way: Way, server: PracticeServer, stream: bool) -> None:
    stand_by(way)
    faults = {
        Fault.never_answer(): ProviderTimeoutError,
        Fault.headers_only(): ProviderTimeoutError,
        Fault.hang_up(): ProviderConnectionError,
        Fault.reset_before_first(): ProviderConnectionError,
        Fault.cut_after(0): ProviderConnectionError,
    }
    async with LLMRing(timeout=1.0, breaker_threshold=0) as service:
        service.get_provider(way.provider)
        for fault, kind in faults.items():
            server.reply(fault=fault)
            response = await ask(service, stream)
            assert response.model == f"{way.provider}:second", fault
            assert [type(error) for error in response.attempts] == [kind], fault


@streamed
async def test_nobody_there(server: PracticeServer, stream: bool) -> None:
    bind(
        {"chatbot": ["gone:m", "anthropic:m"]},
        f'[providers.gone]\nsdk = "openai"\nbase_url = "{server.refused_url()}"\n',
    )
    async with LLMRing() as service:
        response = await ask(service, stream)
    assert response.model == "anthropic:m"
    assert [type(error) for error in response.attempts] == [ProviderConnectionError]


@streamed
async def test_providers_that_are_not_configured(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """No such provider, or no key for it."""
    monkeypatch.delenv("OPENAI_API_KEY")
    bind({"chatbot": ["mystery:m", "openai:m", "anthropic:m"]})
    async with LLMRing() as service:
        response = await ask(service, stream)
    assert response.model == "anthropic:m"
    assert [(type(error), error.provider) for error in response.attempts] == [
        (ProviderNotFoundError, "mystery"),
        (ProviderNotFoundError, "openai"),
    ]
    assert len(server.requests) == 1


@ways
async def test_a_failure_in_the_stream_before_the_first_chunk(way: Way, server: PracticeServer) -> None:
    """A good status, and then the provider's own error in place of the first chunk."""
    stand_by(way)
    server.reply(fault=Fault.error_event(0, 529 if way.provider == "anthropic" else 503, "It broke"))
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        assert (await stream.final_response()).model == f"{way.provider}:second"


async def test_a_failure_in_the_stream_that_is_the_requests_fault(way: Way, server: PracticeServer) -> None:
    stand_by(way)
    words = "the input length exceeds the context length"
    server.reply(fault=Fault.error_event(0, 400, words))
    async with LLMRing() as service:
        with pytest.raises(ProviderResponseError, match=words) as raised:
            await service.chat_stream(ASKED).final_response()
    assert raised.value.status_code == 400
    assert len(server.requests) == 1


@ways
async def test_nothing_is_tried_again_after_the_first_chunk(way: Way, server: PracticeServer) -> None:
    stand_by(way)
    faults = [Fault.cut_after(1), Fault.reset_after(1), Fault.error_event(1, 503, "It broke"), Fault.stall_after(1)]
    async with LLMRing(timeout=1.0, breaker_threshold=0) as service:
        service.get_provider(way.provider)
        for fault in faults:
            server.requests.clear()
            server.reply(chunks=["a", "b"], fault=fault)
            said = ""
            with pytest.raises(ProviderError) as raised:  # noqa: PT012
                async for chunk in service.chat_stream(ASKED):
                    assert chunk.model == f"{way.provider}:first"
                    said += chunk.delta
            assert said == "a"
            assert raised.value.partial is not None
            assert raised.value.partial.content == "a"
            assert raised.value.attempts == []
            await asyncio.sleep(0.05)
            assert [request.model for request in server.requests] == ["first"], fault


@ways
async def test_reasoning_is_a_chunk_too(way: Way, server: PracticeServer) -> None:
    stand_by(way)
    server.reply(chunks=["a"], reasoning=["Hm"], fault=Fault.cut_after(1))
    async with LLMRing() as service:
        with pytest.raises(ProviderConnectionError) as raised:
            await service.chat_stream(ASKED).final_response()
    assert raised.value.partial is not None
    assert raised.value.partial.reasoning == "Hm"
    assert len(server.requests) == 1


# Who is asked how often


@streamed
@ways
async def test_the_sdk_tries_again_only_where_no_stand_by_remains(
    way: Way, server: PracticeServer, stream: bool
) -> None:
    stand_by(way)
    server.default = Reply(status=500, error="It broke", headers={"retry-after-ms": "1", "retry-after": "0"})
    async with LLMRing(max_retries=1, breaker_threshold=0) as service:
        with pytest.raises(ProviderResponseError) as raised:
            await ask(service, stream)
    assert [request.model for request in server.requests] == ["first", "second", "second"]
    assert raised.value.model == "second"
    assert [error.model for error in raised.value.attempts] == ["first"]


@ways
async def test_no_retries_at_all(way: Way, server: PracticeServer) -> None:
    bind({"chatbot": [way.model]}, way.settings)
    server.default = Reply(status=500, error="It broke")
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderResponseError):
            await service.chat(ASKED)
    assert len(server.requests) == 1


@ways
async def test_a_retry_that_succeeds(way: Way, server: PracticeServer) -> None:
    bind({"chatbot": [way.model]}, way.settings)
    if way.provider == "ollama":
        return
    server.reply(status=503, headers={"retry-after-ms": "1"})
    async with LLMRing() as service:
        response = await service.chat_stream(ASKED).final_response()
    assert response.content == "You said: Hi"
    assert response.attempts == []
    assert [request.stream for request in server.requests] == [True, True]
    assert server.requests[0].body == server.requests[1].body


@streamed
async def test_rate_limited_for_long_is_no_silence(server: PracticeServer, stream: bool) -> None:
    """A provider that says when to come back has not kept silent: what it said is the error."""
    bind({"chatbot": ["anthropic:m"]})
    server.default = Reply(status=429, error="Slow down", retry_after=30)
    async with LLMRing(timeout=20) as service:
        with pytest.raises(ProviderError) as raised:
            await ask(service, stream)
    assert type(raised.value) is ProviderRateLimitError
    assert raised.value.retry_after == 30


# What is said of it


@streamed
async def test_all_of_them_fail(server: PracticeServer, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    bind({"chatbot": ["anthropic:one", "openai:two", "mystery:three", "google:four"]})
    server.reply(status=529, model="one")
    server.reply(status=429, model="two", retry_after=3)
    server.reply(problem="unknown_model", model="four", times=2)  # at each version of its API
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError) as raised:
            await ask(service, stream)
    error = raised.value
    assert isinstance(error, ModelNotFoundError)
    assert (error.provider, error.model) == ("google", "four")
    assert "bind a stand-by" not in "".join([str(error), *map(str, error.attempts)])
    assert str(error).endswith("Tried before it, in vain: anthropic:one, openai:two, mystery.")
    assert [(type(e), e.provider) for e in error.attempts] == [
        (ProviderResponseError, "anthropic"),
        (ProviderRateLimitError, "openai"),
        (ProviderNotFoundError, "mystery"),
    ]
    moves = [record for record in caplog.records if record.name == "llmring"]
    assert [record.levelno for record in moves] == [logging.WARNING] * 3
    for record, left, right in zip(
        moves,
        ("anthropic:one", "openai:two", "mystery:three"),
        ("openai:two", "mystery:three", "google:four"),
        strict=True,
    ):
        assert "chatbot" in record.getMessage()
        assert f"from {left} to {right}" in record.getMessage()


async def test_a_good_answer_logs_nothing(way: Way, server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    async with LLMRing() as service:
        assert (await ask(service, True)).attempts == []
        assert (await ask(service, False)).attempts == []
    assert [record for record in caplog.records if record.name == "llmring"] == []


async def test_model_is_who_serves(server: PracticeServer) -> None:
    """On every chunk, also the first, when another had been asked before."""
    bind({"chatbot": ["anthropic:first", "ollama:second"]})
    server.reply(status=503)
    async with LLMRing() as service:
        chunks = [chunk async for chunk in service.chat_stream(ASKED)]
    assert {chunk.model for chunk in chunks} == {"ollama:second"}


@streamed
@ways
async def test_one_alone_is_advised_a_stand_by(way: Way, server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": [way.model]}, way.settings)
    async with LLMRing(max_retries=0, timeout=1.0, breaker_threshold=4) as service:
        service.get_provider(way.provider)
        server.reply(status=500)
        server.reply(status=429)
        server.reply(fault=Fault.never_answer())
        server.reply(fault=Fault.reset_before_first())
        for words in ("failed", "takes no more requests", "kept silent", "broke", "left alone for now"):
            with pytest.raises(ProviderError, match=f"{words}.*[.] Or bind a stand-by model to the alias[.]") as raised:
                await ask(service, stream)
            assert "Tried before" not in str(raised.value)


@streamed
async def test_one_that_is_named_without_an_alias_is_not(server: PracticeServer, stream: bool) -> None:
    asked = ASKED.model_copy(update={"model": "anthropic:one"})
    async with LLMRing(max_retries=0, timeout=1.0, breaker_threshold=2) as service:
        service.get_provider("anthropic")
        server.reply(status=500)
        server.reply(fault=Fault.never_answer())
        for words in ("failed", "kept silent", "left alone for now"):
            with pytest.raises(ProviderError, match=words) as raised:
                await (service.chat_stream(asked).final_response() if stream else service.chat(asked))
            assert "bind a stand-by" not in str(raised.value)


@streamed
async def test_those_with_stand_bys_are_not(server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": ["anthropic:one", "openai:two"]})
    async with LLMRing(max_retries=0, timeout=1.0, breaker_threshold=4) as service:
        for name in ("anthropic", "openai"):
            service.get_provider(name)
        for fault in (Fault.never_answer(), Fault.reset_before_first()):
            server.reply(fault=fault, times=2)
        server.reply(status=500, times=2)
        server.reply(status=429, times=2)
        for words in ("kept silent", "broke", "failed", "takes no more requests", "left alone for now"):
            with pytest.raises(ProviderError, match=words) as raised:
                await ask(service, stream)
            assert "bind a stand-by" not in "".join(map(str, [raised.value, *raised.value.attempts]))
            assert str(raised.value).endswith("Tried before it, in vain: anthropic:one.")


# Time


async def test_a_wait_that_was_long_does_not_count_twice(server: PracticeServer) -> None:
    """The second candidate has its own time, and what came in it is not cut off by the first one's."""
    bind({"chatbot": ["anthropic:first", "openai:second"]})
    server.reply(fault=Fault.never_answer())
    server.reply(chunks=["a", "b", "c"], interval=0.5)
    async with LLMRing(timeout=1.0) as service:
        for name in ("anthropic", "openai"):
            service.get_provider(name)
        began = time.monotonic()
        response = await service.chat_stream(ASKED).final_response()
        assert response.content == "abc"
        assert 1.9 < time.monotonic() - began < 20
        await asyncio.sleep(1.2)
        task: Any = asyncio.current_task()
        assert task.cancelling() == 0


@streamed
async def test_cancelling_moves_on_to_nobody(server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": ["anthropic:first", "openai:second"]})
    server.default = Reply(fault=Fault.never_answer())
    async with LLMRing() as service:
        service.get_provider("anthropic")
        asking = asyncio.create_task(ask(service, stream))
        await server.received(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.05)
    assert [request.model for request in server.requests] == ["first"]
    assert await server.requests[0].closed(60)


async def test_the_connection_of_one_that_failed_is_closed(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:first", "openai:second"]})
    server.reply(fault=Fault.headers_only())
    async with LLMRing(timeout=1.0) as service:
        service.get_provider("anthropic")
        await service.chat_stream(ASKED).final_response()
        assert await server.requests[0].closed(60)
