"""Going on with an answer that broke off: by its provider's own token, else by the next stand-by."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, NamedTuple

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, StreamChunk
from llmring.exceptions import (
    LLMRingError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

from .faults.ground import PROVIDERS, Ground, ask

RESUME = ask("chatbot", on_interrupt="resume")
TOKEN = "cHJhY3RpY2U="


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


def bound(practice: Ground, *models: str, **options: Any) -> LLMRing:
    """A service whose alias is bound to these models."""
    practice.bind({"chatbot": models})
    return practice.service(**{"timeout": 5.0, "max_retries": 0} | options)


class Got(NamedTuple):
    """The chunks, the response at the end, and the error if it ended in one."""

    chunks: list[StreamChunk]
    response: LLMResponse
    error: Any

    @property
    def text(self) -> str:
        return "".join(chunk.delta for chunk in self.chunks)


async def read(service: LLMRing, request: LLMRequest = RESUME) -> Got:
    chunks: list[StreamChunk] = []
    stream = service.chat_stream(request)
    try:
        async for chunk in stream:
            chunks += [chunk]
    except LLMRingError as error:
        return Got(chunks, stream.response, error)
    return Got(chunks, stream.response, None)


async def ask_for(service: LLMRing, *, stream: bool) -> LLMResponse:
    return await (service.chat_stream(ask("chatbot")).final_response() if stream else service.chat(ask("chatbot")))


@pytest.mark.parametrize("follower", PROVIDERS)
@pytest.mark.parametrize("wire", PROVIDERS)
async def test_the_stand_by_goes_on(practice: Ground, server: PracticeServer, wire: str, follower: str) -> None:
    first, second = f"{PROVIDERS[wire]}:first", f"{PROVIDERS[follower]}:second"
    server.reply(chunks=["One", " two", " three"], fault=Fault.cut_after(2), model="first", usage=Tokens(10, 3))
    server.reply(chunks=[" and", " three"], model="second", usage=Tokens(20, 4))
    async with bound(practice, first, second) as service:
        got = await read(service)
    assert got.error is None
    assert got.text == got.response.content == "One two and three"
    assert [(chunk.model, chunk.resumed_from) for chunk in got.chunks if chunk.delta] == [
        *[(first, None)] * 2,
        (second, first),
        (second, None),
    ]
    assert [chunk.finish_reason for chunk in got.chunks][-1] == "stop"
    assert got.response.model == second
    assert [(type(attempt), attempt.model) for attempt in got.response.attempts] == [(ProviderConnectionError, "first")]
    assert got.response.usage == got.chunks[-1].usage
    assert got.response.usage is not None
    # What the first had reported before it broke off counts: the prompt, where the wire begins with it.
    early = {"anthropic": 10, "gemini": 10}.get(wire, 0)
    assert got.response.usage["prompt_tokens"] == 20 + early
    assert got.response.usage["completion_tokens"] >= 4
    # Each has its own share, for each has its own price.
    assert got.response.served == got.chunks[-1].served
    assert [(share.model, share.response_model) for share in got.response.served] == [
        (first, "first"),
        (second, "second"),
    ]
    shares = [share.usage["prompt_tokens"] if share.usage else 0 for share in got.response.served]
    assert shares == [early, 20]
    turns = str(server.requests[1].body)
    assert "One two" in turns
    assert "Continue" in turns


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_what_was_skipped_before_is_counted(practice: Ground, server: PracticeServer, wire: str) -> None:
    broken = (Fault.malformed_event(1), Fault.cut_after(2))
    server.reply(chunks=["One", " two", " three"], fault=broken, model="first")
    server.reply(chunks=[" three", "."], fault=broken, model="second")
    server.reply(chunks=["..", "!"], fault=Fault.malformed_event(1), model="third")
    async with bound(practice, f"{PROVIDERS[wire]}:first", "openai:second", "anthropic:third") as service:
        got = await read(service)
    assert got.error is None
    assert got.chunks[-1].skipped_events == got.response.skipped_events == 3


@pytest.mark.parametrize(
    "fault",
    [Fault.cut_after(2), Fault.reset_after(2), Fault.end_early(2), Fault.stall_after(2), Fault.error_event(2, 503)],
    ids=lambda fault: fault.kind,
)
async def test_whatever_broke_it(
    practice: Ground, server: PracticeServer, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply(chunks=["One", " two", " three"], fault=fault, model="first")
    server.reply(" three", model="second")
    async with bound(practice, "anthropic:first", "openai:second", timeout=1.5) as service:
        for name in ("anthropic", "openai"):
            service.get_provider(name)
        got = await read(service)
        # What the other side ended is closed by it, and nobody waits for that.
        assert fault.kind != "stall" or await server.requests[0].closed(60)
    assert got.error is None
    assert got.text == "One two three"
    (record,) = [record for record in caplog.records if record.name == "llmring"]
    assert record.levelno == logging.WARNING
    assert "chatbot: anthropic:first broke off, openai:second goes on: " in record.message


async def test_who_goes_on_need_not_share_its_connections(practice: Ground, server: PracticeServer) -> None:
    """What broke off holds none any more."""
    server.reply(chunks=["One", " two"], fault=Fault.error_event(1, 503), model="first")
    server.reply(" two", model="second")
    async with bound(practice, "anthropic:first", "anthropic:second", timeout=60, max_connections=1) as service:
        async with asyncio.timeout(30):
            got = await read(service)
    assert (got.error, got.text) == (None, "One two")


async def test_not_unless_asked(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " two"], fault=Fault.cut_after(1), model="first")
    async with bound(practice, "google:first", "openai:second") as service:
        got = await read(service, ask("chatbot"))
    assert isinstance(got.error, ProviderConnectionError)
    assert got.text == "One"
    assert len(server.requests) == 1


async def test_a_request_at_fault_is_not_gone_on_with(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One"], fault=Fault.error_event(1, 400, type="invalid_request_error"), model="first")
    async with bound(practice, "anthropic:first", "openai:second") as service:
        got = await read(service)
    assert isinstance(got.error, ProviderResponseError)
    assert (got.error.status_code, got.error.partial and got.error.partial.content) == (400, "One")
    assert len(server.requests) == 1


@pytest.mark.parametrize("wire", [wire for wire in PROVIDERS if wire not in ("gemini", "ollama")])
async def test_not_with_a_call_half_built(practice: Ground, server: PracticeServer, wire: str) -> None:
    call = ToolCallScript("f", ['{"a"', ": 1", "}"])
    server.reply(chunks=["Well"], tool_calls=[call], fault=Fault.cut_after(2), model="first")
    async with bound(practice, f"{PROVIDERS[wire]}:first", "openai:second") as service:
        got = await read(service)
    assert isinstance(got.error, ProviderConnectionError)
    assert got.error.partial is not None
    assert got.error.partial.content == "Well"
    assert got.error.partial.tool_calls is not None
    assert got.error.partial.tool_calls[0]["function"]["name"] == "f"
    assert len(server.requests) == 1


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_not_with_a_structured_answer(practice: Ground, server: PracticeServer, wire: str) -> None:
    server.reply(chunks=['{"a"', ": 1}"], fault=Fault.cut_after(1), model="first")
    async with bound(practice, f"{PROVIDERS[wire]}:first", "openai:second") as service:
        got = await read(service, ask("chatbot", on_interrupt="resume", json_response=True))
    assert isinstance(got.error, ProviderConnectionError)
    assert got.error.partial is not None
    assert got.error.partial.content == '{"a"'
    assert len(server.requests) == 1


async def test_twice_in_a_row(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], fault=Fault.cut_after(1), model="first", usage=Tokens(10, 1))
    server.reply(chunks=[" two", " x"], fault=Fault.reset_after(1), model="second", usage=Tokens(20, 1))
    server.reply(status=503, model="third")
    server.reply(" three", model="fourth", usage=Tokens(40, 1))
    models = "anthropic:first", "google:second", "openai:third", "ollama:fourth"
    async with bound(practice, *models) as service:
        got = await read(service)
    assert got.error is None
    assert got.text == "One two three"
    assert [chunk.resumed_from for chunk in got.chunks if chunk.resumed_from] == ["anthropic:first", "google:second"]
    assert [attempt.model for attempt in got.response.attempts] == ["first", "second", "third"]
    assert got.response.usage is not None
    assert got.response.usage["prompt_tokens"] == 70
    assert [turn["content"] for turn in server.requests[-1].body["messages"]][1] == "One two"
    assert len(server.requests[-1].body["messages"]) == 3


async def test_a_thought_that_broke_off(practice: Ground, server: PracticeServer) -> None:
    """Nothing had been said yet: the stand-by is asked the same."""
    server.reply(chunks=["x"], reasoning=["Hm"], fault=Fault.cut_after(1), model="first")
    server.reply("Yes", model="second")
    async with bound(practice, "anthropic:first", "openai:second") as service:
        got = await read(service)
    assert got.error is None
    assert (got.response.reasoning, got.response.content) == ("Hm", "Yes")
    assert [chunk.resumed_from for chunk in got.chunks if chunk.resumed_from] == ["anthropic:first"]
    assert [turn["content"] for turn in server.requests[1].body["messages"]] == ["Go on"]


async def test_nobody_is_left(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], fault=Fault.cut_after(1), model="first")
    server.reply(status=529, model="second")
    server.reply(chunks=[" two", " x"], fault=Fault.cut_after(1), model="third")
    async with bound(practice, "anthropic:first", "google:second", "openai:third") as service:
        got = await read(service)
    assert isinstance(got.error, ProviderConnectionError)
    assert (got.error.provider, got.error.model) == ("openai", "third")
    assert got.error.partial is not None
    assert got.error.partial.content == got.text == "One two"
    assert [attempt.model for attempt in got.error.attempts] == ["first", "second"]
    assert len(got.error.__notes__) == 2


async def test_the_stand_by_fails_too(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], fault=Fault.cut_after(1), model="first")
    server.reply(status=401, model="second")
    async with bound(practice, "anthropic:first", "google:second", "openai:third") as service:
        got = await read(service)
    assert isinstance(got.error, ProviderError)
    assert got.error.status_code == 401
    assert got.error.partial is not None
    assert got.error.partial.content == got.text == "One"
    assert [attempt.model for attempt in got.error.attempts] == ["first"]
    assert [request.model for request in server.requests] == ["first", "second"]


async def test_silence_while_going_on(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], fault=Fault.cut_after(1), model="first")
    server.reply(fault=Fault.never_answer(), model="second")
    async with bound(practice, "anthropic:first", "openai:second", timeout=1.5) as service:
        for name in ("anthropic", "openai"):
            service.get_provider(name)
        got = await read(service)
    assert isinstance(got.error, ProviderTimeoutError)
    assert got.error.partial is not None
    assert got.error.partial.content == "One"
    assert [attempt.model for attempt in got.error.attempts] == ["first"]
    assert await server.requests[1].closed(60)


@pytest.mark.parametrize("by", ["cancel", "aclose", "task", "timeout", "service"])
async def test_leaving_while_going_on(practice: Ground, server: PracticeServer, by: str) -> None:
    server.reply(chunks=["One", " x"], fault=Fault.cut_after(1), model="first")
    server.reply(fault=Fault.headers_only(), model="second")
    service = bound(practice, "anthropic:first", "openai:second")
    stream = service.chat_stream(RESUME)

    async def reading() -> list[StreamChunk]:
        async with asyncio.timeout(3.0 if by == "timeout" else None):
            return [chunk async for chunk in stream]

    task = asyncio.create_task(reading())
    await server.received(2)
    await asyncio.sleep(0.05)
    if by == "cancel":
        stream.cancel()
    elif by == "aclose":
        await stream.aclose()
    elif by == "task":
        task.cancel()
    elif by == "service":
        await service.close()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if by in ("task", "timeout"):
        assert isinstance(outcome, TimeoutError if by == "timeout" else asyncio.CancelledError)
    elif by == "service":
        assert type(outcome) is LLMRingError
    else:
        assert isinstance(outcome, list)
        assert "".join(chunk.delta for chunk in outcome) == "One"
    assert stream.response.content == "One"
    assert await server.requests[1].closed(60)
    await service.close()


async def test_a_picture_made_before_the_break_stays(practice: Ground, server: PracticeServer) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    event = {"choices": [{"index": 0, "delta": {"content": "See:", "images": [picture]}}]}
    body = b"data: " + json.dumps(event).encode() + b"\n\n"
    server.reply(body=body, content_type="text/event-stream", model="first")
    server.reply(chunks=[" well"], model="second")
    async with bound(practice, f"{PROVIDERS['openai-chat']}:first", "anthropic:second") as service:
        got = await read(service)
    assert (got.error, got.text) == (None, "See: well")
    assert got.response.parts == [picture]


# Where the provider kept its place


@pytest.mark.parametrize("models", [["google:first"], ["google:first", "openai:second"]], ids=["alone", "stand-by"])
async def test_its_own_token_comes_first(practice: Ground, server: PracticeServer, models: list[str]) -> None:
    server.reply(chunks=["One", " x"], checkpoints={0: TOKEN}, fault=Fault.cut_after(1), usage=Tokens(10, 1))
    server.reply(chunks=[" two", " three"], usage=Tokens(10, 2))
    async with bound(practice, *models) as service:
        got = await read(service)
    assert got.error is None
    assert got.text == "One two three"
    assert [chunk.resumed_from for chunk in got.chunks if chunk.delta] == [None, "google:first", None]
    assert {chunk.model for chunk in got.chunks} == {"google:first"}
    assert [request.body.get("continuationToken") for request in server.requests] == [None, TOKEN]
    assert server.requests[0].body == {k: v for k, v in server.requests[1].body.items() if k != "continuationToken"}
    assert got.response.usage is not None
    assert got.response.usage["prompt_tokens"] == 20
    assert got.response.attempts == []


async def test_no_token_for_what_came_after(practice: Ground, server: PracticeServer) -> None:
    """Text that came after the last token would be lost or said twice: then the stand-by goes on."""
    server.reply(chunks=["One", " two", " x"], checkpoints={0: TOKEN}, fault=Fault.cut_after(2), model="first")
    server.reply(" three", model="second")
    async with bound(practice, "google:first", "openai:second") as service:
        got = await read(service)
    assert got.error is None
    assert got.text == "One two three"
    assert [request.model for request in server.requests] == ["first", "second"]


async def test_a_token_that_is_refused(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], checkpoints={0: TOKEN}, fault=Fault.cut_after(1), model="first")
    server.reply(status=400, model="first")
    server.reply(" two", model="second")
    async with bound(practice, "google:first", "openai:second") as service:
        got = await read(service)
    assert got.error is None
    assert got.text == "One two"
    assert [chunk.resumed_from for chunk in got.chunks if chunk.resumed_from] == ["google:first"]
    assert [request.model for request in server.requests] == ["first", "first", "second"]


async def test_a_token_that_is_refused_and_nobody_else(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " x"], checkpoints={0: TOKEN}, fault=Fault.cut_after(1))
    server.reply(status=400)
    async with bound(practice, "google:first") as service:
        got = await read(service)
    assert isinstance(got.error, ProviderResponseError)
    assert got.error.partial is not None
    assert got.error.partial.content == got.text == "One"
    assert [type(attempt) for attempt in got.error.attempts] == [ProviderConnectionError]


async def test_token_after_token(practice: Ground, server: PracticeServer) -> None:
    for n, piece in enumerate(["One", " two", " three"]):
        tokens = {0: f"{TOKEN}{n}"}
        server.reply(chunks=[piece, " x"], checkpoints=tokens, fault=Fault.cut_after(1), usage=Tokens(10, 1))
    server.reply(" four", usage=Tokens(10, 1))
    async with bound(practice, "google:first") as service:
        got = await read(service)
    assert got.error is None
    assert got.text == "One two three four"
    tokens_sent = [request.body.get("continuationToken") for request in server.requests]
    assert tokens_sent == [None, f"{TOKEN}0", f"{TOKEN}1", f"{TOKEN}2"]
    assert got.response.usage is not None
    assert got.response.usage["prompt_tokens"] == 40


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_in_hops(practice: Ground, server: PracticeServer, stream: bool) -> None:
    """The provider gives only so much at a time: to the caller it is one answer, asked for or not."""
    server.reply("One", continuation=f"{TOKEN}1", usage=Tokens(10, 1))
    server.reply(" two", continuation=f"{TOKEN}2", usage=Tokens(10, 2))
    server.reply(" three", usage=Tokens(10, 4))
    async with bound(practice, "google:first") as service:
        if stream:
            got = await read(service, ask("chatbot"))
            response = got.response
            assert got.error is None
            assert got.text == "One two three"
            assert [chunk.finish_reason for chunk in got.chunks if chunk.finish_reason] == ["stop"]
            assert {chunk.resumed_from for chunk in got.chunks} == {None}
        else:
            response = await service.chat(ask("chatbot"))
    assert response.content == "One two three"
    assert response.finish_reason == "stop"
    assert response.usage == {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}
    assert [request.body.get("continuationToken") for request in server.requests] == [None, f"{TOKEN}1", f"{TOKEN}2"]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_hop_that_fails(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply("One", continuation=TOKEN)
    server.reply(status=503)
    async with bound(practice, "google:first") as service:
        with pytest.raises(ProviderResponseError) as raised:
            await ask_for(service, stream=stream)
    assert raised.value.status_code == 503
    assert raised.value.partial is not None
    assert raised.value.partial.content == "One"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_hop_that_is_silent(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply("One", continuation=TOKEN)
    server.reply(fault=Fault.never_answer())
    async with bound(practice, "google:first", timeout=1.5) as service:
        service.get_provider("google")
        with pytest.raises(ProviderTimeoutError) as raised:
            await ask_for(service, stream=stream)
    assert raised.value.partial is not None
    assert raised.value.partial.content == "One"
    assert await server.requests[1].closed(60)


async def test_a_hop_that_leads_nowhere(practice: Ground, server: PracticeServer) -> None:
    """A token that comes back as it went would go round for ever."""
    server.default = Reply("Again", continuation=TOKEN)
    async with bound(practice, "google:first") as service:
        got = await read(service, ask("chatbot"))
        whole = await service.chat(ask("chatbot"))
    assert got.error is None
    assert got.response.finish_reason == whole.finish_reason == "length"
    assert got.response.content == whole.content == "AgainAgain"
