"""The same answer comes to the same, whichever provider gives it, through its own SDK and over a real socket."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message, StreamChunk
from llmring.exceptions import ProviderConnectionError
from llmring.testing import Fault, PracticeServer, Tokens, ToolCallScript

from ..conftest import Way

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
PIECES = ["Hello", ", 世", "界", " 👋"]
TEXT = "".join(PIECES)


async def both(service: LLMRing, request: LLMRequest = ASKED) -> tuple[list[StreamChunk], LLMResponse, LLMResponse]:
    """The chunks of an answer, what they come to, and the same answer whole."""
    stream = service.chat_stream(request)
    chunks = [chunk async for chunk in stream]
    return chunks, await stream.final_response(), await service.chat(request)


def contract(way: Way, chunks: list[StreamChunk]) -> None:
    """Points 1 and 2 of the contract."""
    assert {chunk.model for chunk in chunks} == {way.model}
    assert [chunk.finish_reason is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    for chunk in chunks[:-1]:
        assert (chunk.usage, chunk.response_model, chunk.parsed) == (None, None, None)


def same(one: LLMResponse, other: LLMResponse) -> None:
    """Equal but for the ids of calls, which some providers leave to us, and the blanks in arguments."""

    def facts(response: LLMResponse) -> dict[str, Any]:
        calls = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in response.tool_calls or ()]
        names = (
            "model",
            "content",
            "reasoning",
            "finish_reason",
            "usage",
            "response_model",
            "parsed",
            "skipped_events",
        )
        return {name: getattr(response, name) for name in names} | {"calls": calls}

    assert facts(one) == facts(other)


def usage_on(way: Way, tokens: Tokens) -> dict[str, int]:
    """What the provider reports of these tokens."""
    counts = {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.total,
    }
    details = {"cache_read_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write}
    if way.wire.startswith("openai"):
        return counts | details | {"reasoning_tokens": tokens.reasoning}
    if way.wire == "anthropic":
        return counts | details | {"reasoning_tokens": tokens.reasoning}
    if way.wire == "gemini":
        return counts | {"cache_read_tokens": tokens.cache_read, "reasoning_tokens": tokens.reasoning}
    return counts


async def test_text(way: Way, server: PracticeServer) -> None:
    tokens = Tokens(40, 9, cache_read=12, cache_write=3, reasoning=4)
    server.reply(chunks=PIECES, reasoning=["Let me ", "think."], usage=tokens, response_model="model-9", times=2)
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert "".join(chunk.delta for chunk in chunks) == TEXT
    assert [chunk.delta for chunk in chunks if chunk.delta] == PIECES
    assert [chunk.reasoning for chunk in chunks if chunk.reasoning] == ["Let me ", "think."]
    assert chunks[-1].response_model == "model-9"
    assert streamed.content == TEXT
    assert streamed.reasoning == "Let me think."
    assert streamed.finish_reason == "stop"
    assert streamed.usage == usage_on(way, tokens)
    assert streamed.total_tokens == 49
    assert streamed.model == way.model
    assert streamed.response_model == "model-9"
    assert streamed.tool_calls is None
    same(streamed, whole)
    assert [request.stream for request in server.requests] == [True, False]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "other"])
async def test_finish_reasons(way: Way, server: PracticeServer, reason: str) -> None:
    server.reply(TEXT, finish_reason=reason, times=2)
    if way.wire == "ollama" and reason == "content_filter":
        reason = "other"  # it has no word for it
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert streamed.finish_reason == reason
    same(streamed, whole)


async def test_an_end_without_a_reason(way: Way, server: PracticeServer) -> None:
    server.reply(TEXT, fault=Fault.no_finish_reason(), times=2)
    async with LLMRing() as service:
        if way.wire == "gemini":  # the reason is its end marker
            for answer in (service.chat_stream(ASKED).final_response(), service.chat(ASKED)):
                with pytest.raises(ProviderConnectionError, match="finishReason") as raised:
                    await answer
                assert raised.value.partial is not None
                assert raised.value.partial.content == TEXT
            return
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert streamed.finish_reason == "stop"
    same(streamed, whole)


UNFINISHED: dict[str, tuple[list[Any], Any]] = {
    "openai-responses": (
        [
            {"type": "response.created", "response": {"status": "in_progress"}},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Half"},
        ],
        {
            "status": "in_progress",
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Half"}]}],
        },
    ),
    "ollama": ([{"model": "m", "message": {"content": "Half"}, "done": False}],) * 2,
    "gemini": ([{"candidates": [{"content": {"parts": [{"text": "Half"}]}}]}],) * 2,
}
"""Events without an end, and the same as a whole answer. The others have no such answer: their bytes are its end."""


@pytest.mark.parametrize("text", ["Half", ""])
async def test_an_answer_that_is_not_at_its_end(way: Way, server: PracticeServer, text: str) -> None:
    """It is an error, streamed or whole, and what there is of it is kept."""
    if way.wire not in UNFINISHED:
        pytest.skip("its whole answers have no sign of their end")
    events, whole = UNFINISHED[way.wire]
    framed = "{}\n" if way.wire == "ollama" else "data: {}\n\n"
    kind = "application/x-ndjson" if way.wire == "ollama" else "text/event-stream"
    pieces = [framed.format(json.dumps(event)).replace("Half", text).encode() for event in events]
    server.reply(body=pieces, content_type=kind)
    body = whole[0] if isinstance(whole, list) else whole
    server.reply(body=json.dumps(body).replace("Half", text).encode(), content_type="application/json")
    said = []
    async with LLMRing(max_retries=0) as service:
        for answer in (service.chat_stream(ASKED).final_response(), service.chat(ASKED)):
            with pytest.raises(ProviderConnectionError, match="before its end marker") as raised:
                await answer
            said.append((str(raised.value), raised.value.partial))
    assert said[0] == said[1]
    assert (said[0][1].content if said[0][1] else "") == text
    assert (said[0][1] is None) == (text == "")


async def test_tool_calls(way: Way, server: PracticeServer) -> None:
    calls = [ToolCallScript("weather", {"city": "Köln", "days": 2}), ToolCallScript("time")]
    server.reply(chunks=["I ", "ask."], tool_calls=calls, times=2)
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert streamed.content == "I ask."
    assert streamed.finish_reason == "tool_calls"
    assert streamed.tool_calls is not None
    assert chunks[-1].tool_calls == streamed.tool_calls
    assert [call["function"]["name"] for call in streamed.tool_calls] == ["weather", "time"]
    assert json.loads(streamed.tool_calls[0]["function"]["arguments"]) == {"city": "Köln", "days": 2}
    assert streamed.tool_calls[1]["function"]["arguments"] == "{}"
    assert len({call["id"] for call in streamed.tool_calls}) == 2
    snapshots = [chunk.tool_calls for chunk in chunks if chunk.tool_calls]
    assert [len(snapshot) for snapshot in snapshots] == sorted(len(snapshot) for snapshot in snapshots)
    same(streamed, whole)
    message = streamed.to_message()
    assert (message.role, message.content, message.tool_calls) == ("assistant", "I ask.", streamed.tool_calls)


async def test_a_search_of_the_providers_own_is_no_call(way: Way, server: PracticeServer) -> None:
    server.reply("Found.", searched="q", times=2)
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert (streamed.content, streamed.tool_calls, streamed.finish_reason) == ("Found.", None, "stop")
    same(streamed, whole)


async def test_no_usage(way: Way, server: PracticeServer) -> None:
    server.reply(TEXT, usage=None, times=2)
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    contract(way, chunks)
    assert streamed.usage is None
    assert streamed.total_tokens is None
    same(streamed, whole)


async def test_an_empty_answer(way: Way, server: PracticeServer) -> None:
    server.reply(chunks=[], times=2)
    async with LLMRing() as service:
        chunks, streamed, whole = await both(service)
    assert [(chunk.delta, chunk.finish_reason) for chunk in chunks] == [("", "stop")]
    assert streamed.content == ""
    assert streamed.reasoning is None
    same(streamed, whole)


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault.one_byte(), Fault.bom(), Fault.comments(), Fault.gzip(), Fault.unknown_events()),
        *(Fault.newlines("\r\n"), Fault.newlines("\n"), Fault.newlines("\r")),
    ],
    ids=lambda fault: f"{fault.kind}{fault.text!r}",
)
async def test_how_it_travels_makes_no_difference(way: Way, server: PracticeServer, fault: Fault) -> None:
    server.reply(chunks=PIECES, usage=Tokens(3, 4), fault=fault)
    async with LLMRing() as service:
        chunks = [chunk async for chunk in service.chat_stream(ASKED)]
    contract(way, chunks)
    assert [chunk.delta for chunk in chunks if chunk.delta] == PIECES
    assert chunks[-1].usage is not None
    assert chunks[-1].usage["total_tokens"] == 7
    assert chunks[-1].skipped_events == 0


@pytest.mark.parametrize(
    "faults",
    [[Fault.gzip(), Fault.one_byte()], [Fault.bom(), Fault.comments(), Fault.newlines("\r"), Fault.one_byte()]],
)
async def test_all_of_it_at_once(way: Way, server: PracticeServer, faults: list[Fault]) -> None:
    server.reply(chunks=PIECES, fault=faults)
    async with LLMRing() as service:
        chunks = [chunk async for chunk in service.chat_stream(ASKED)]
    contract(way, chunks)
    assert [chunk.delta for chunk in chunks if chunk.delta] == PIECES


@pytest.mark.parametrize("fault", [Fault.malformed_event(2), Fault.invalid_utf8(2)], ids=lambda fault: fault.kind)
async def test_an_event_that_cannot_be_decoded(
    way: Way, server: PracticeServer, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply(chunks=PIECES, fault=fault)
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        chunks = [chunk async for chunk in stream]
    contract(way, chunks)
    assert [chunk.delta for chunk in chunks if chunk.delta] == PIECES
    assert chunks[-1].skipped_events == 1
    assert stream.response.skipped_events == 1
    assert [(r.name, r.levelno) for r in caplog.records if r.name == "llmring"] == [("llmring", logging.WARNING)]
    assert way.model in caplog.text


async def test_a_big_event(way: Way, server: PracticeServer) -> None:
    server.reply(chunks=["a"], fault=Fault.big_event(3_000_000))
    async with LLMRing() as service:
        response = await service.chat_stream(ASKED).final_response()
    assert response.content == "a" + "x" * 3_000_000


async def test_many_chunks(way: Way, server: PracticeServer) -> None:
    server.reply(chunks=["x"] * 5000)
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        chunks = [chunk async for chunk in stream]
    contract(way, chunks)
    assert len(chunks) == 5001
    assert stream.response.content == "x" * 5000


async def test_all_that_had_come_of_a_whole_answer_is_in_partial(server: PracticeServer) -> None:
    """Calls, usage and the model's name, too, as of a stream."""
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    body = {
        "model": "model-9",
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        "choices": [{"message": {"content": "Hi", "tool_calls": calls}}],
    }
    server.reply(body=json.dumps(body).encode()[:-1], content_type="application/json")
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError) as raised:
            await service.chat(LLMRequest(model="openai:m", messages=[Message(role="user", content="Hi")]))
    partial = raised.value.partial
    assert partial is not None
    assert (partial.content, partial.response_model, partial.usage) == ("Hi", "model-9", body["usage"])
    assert partial.tool_calls == calls
    assert partial.served[0].usage == body["usage"]
