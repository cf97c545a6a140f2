"""Failover between every two wires, and that each move can be seen: in the log, on the response, on the error."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from typing import Any

import pytest

from llmring import LLMResponse, LLMRing
from llmring.exceptions import (
    LLMRingError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, PracticeServer, Reply

from .faults.ground import PROVIDERS, Ground, ask

streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


def bound(practice: Ground, *models: str, **options: Any) -> LLMRing:
    practice.bind({"chatbot": models})
    return practice.service(**{"timeout": 5.0, "max_retries": 0} | options)


async def answer(service: LLMRing, *, stream: bool) -> LLMResponse:
    return await (service.chat_stream(ask("chatbot")).final_response() if stream else service.chat(ask("chatbot")))


@streamed
@pytest.mark.parametrize("second", PROVIDERS)
@pytest.mark.parametrize("first", PROVIDERS)
async def test_from_every_wire_to_every_wire(
    practice: Ground,
    server: PracticeServer,
    first: str,
    second: str,
    stream: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    left, right = f"{PROVIDERS[first]}:first", f"{PROVIDERS[second]}:second"
    server.reply(status=503, error="It broke", model="first")
    async with bound(practice, left, right) as service:
        response = await answer(service, stream=stream)
    assert (response.model, response.content) == (right, "You said: Go on")
    (attempt,) = response.attempts
    assert isinstance(attempt, ProviderResponseError)
    assert (attempt.provider, attempt.model, attempt.status_code) == (PROVIDERS[first], "first", 503)
    (record,) = [record for record in caplog.records if record.name == "llmring"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        f"chatbot: moving on from {left} to {right}: {left} failed (HTTP 503): It broke"
    )
    assert record.args == ("chatbot", left, right, attempt)


@streamed
async def test_the_last_error_lists_the_others(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply(status=429, model="b", retry_after=9)
    server.reply(status=400, model="c")
    models = "refused-anthropic:a", "openai:b", "google:c", "ollama:d"
    async with bound(practice, *models) as service:
        with pytest.raises(ProviderError) as raised:
            await answer(service, stream=stream)
    error = raised.value
    assert (error.model, error.status_code) == ("c", 400)
    assert [(type(one), one.model) for one in error.attempts] == [
        (ProviderConnectionError, "a"),
        (ProviderRateLimitError, "b"),
    ]
    assert all(one.attempts == [] for one in error.attempts)
    printed = "".join(traceback.format_exception(error))
    assert "Before it: refused-anthropic:a cannot be reached at " in printed
    assert "Before it: openai:b takes no more requests for now (HTTP 429)" in printed
    assert "d" not in {request.model for request in server.requests}


async def test_a_provider_without_a_key_is_listed_by_its_name(practice: Ground, server: PracticeServer) -> None:
    server.reply(status=400)
    async with bound(practice, "groq:a", "google:b") as service:
        with pytest.raises(ProviderError) as raised:
            await service.chat(ask("chatbot"))
    assert raised.value.__notes__[0].startswith("Before it: There is no key for groq.")


async def test_attempts_can_be_seen_at_once(practice: Ground, server: PracticeServer) -> None:
    """While the answer is still on its way, and on the error if it breaks off after all."""
    server.reply(status=500, model="first")
    server.reply(chunks=["One", " two"], fault=Fault.cut_after(1), model="second")
    async with bound(practice, "anthropic:first", "google:second") as service:
        stream = service.chat_stream(ask("chatbot"))
        assert (await anext(stream)).delta == "One"
        assert [one.model for one in stream.response.attempts] == ["first"]
        with pytest.raises(ProviderConnectionError) as raised:
            await anext(stream)
    assert [one.model for one in raised.value.attempts] == ["first"]
    assert raised.value.partial is not None
    assert raised.value.partial.content == "One"
    assert [one.model for one in raised.value.partial.attempts] == ["first"]
    assert len(raised.value.__notes__) == 1


@streamed
async def test_each_has_a_time_of_its_own(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply(fault=Fault.never_answer(), model="a")
    server.reply(fault=Fault.headers_only(), model="b")
    async with bound(practice, "anthropic:a", "openai:b", "google:c", timeout=1.0) as service:
        for name in ("anthropic", "openai", "google"):
            service.get_provider(name)
        began = time.monotonic()
        response = await answer(service, stream=stream)
    assert response.model == "google:c"
    assert [type(one) for one in response.attempts] == [ProviderTimeoutError] * 2
    assert 1.9 < time.monotonic() - began < 20
    for request in server.requests[:2]:
        assert await request.closed(60)


@streamed
async def test_many_move_on_at_once(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.script(lambda request: Reply(status=529) if request.model == "first" else Reply(f"{request.model}"))
    async with bound(practice, "anthropic:first", "openai:second", breaker_threshold=5) as service:
        responses = await asyncio.gather(*(answer(service, stream=stream) for _ in range(50)))
        assert {response.content for response in responses} == {"second"}
        assert all(len(response.attempts) == 1 for response in responses)
        asked = len(server.requests)
        assert (await answer(service, stream=stream)).model == "openai:second"
        assert len(server.requests) == asked + 1  # the first one's breaker is open


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_an_answer_of_another_form_is_the_same_error_whole(
    practice: Ground, server: PracticeServer, wire: str
) -> None:
    """The whole of it is in `partial`, with how it ended, and who was tried before is listed."""
    server.script(lambda request: Reply(status=503) if request.model == "first" else Reply("no JSON"))
    asked = ask("chatbot", json_response=True)
    async with bound(practice, "anthropic:first", f"{PROVIDERS[wire]}:second") as service:
        stream = service.chat_stream(asked)
        with pytest.raises(ProviderResponseError, match="does not have the form") as streamed:
            await stream.final_response()
        with pytest.raises(ProviderResponseError) as whole:
            await service.chat(asked)
    one, other = streamed.value, whole.value
    assert str(one) == str(other)
    assert [attempt.model for attempt in one.attempts] == [attempt.model for attempt in other.attempts] == ["first"]
    assert one.__notes__ == other.__notes__
    assert one.partial is not None
    assert other.partial is not None
    assert (one.partial.content, one.partial.finish_reason) == ("no JSON", "stop")
    for partial in (one.partial, other.partial):
        partial.attempts = []
    assert one.partial == other.partial


@streamed
async def test_a_request_is_served_by_one_state_of_the_file(
    practice: Ground, server: PracticeServer, stream: bool
) -> None:
    """An edit is for the next request: until then, the stand-by is where it was when the request came."""

    def edit(request: Any) -> Reply:
        if request.model != "first":
            return Reply("Hello")
        text = practice.path.read_text()
        if "[providers.refused-openai]" in text:
            text = text.replace("[providers.openai]", "[providers.before]")
            practice.path.write_text(text.replace("[providers.refused-openai]", "[providers.openai]"))
        return Reply(status=503)

    server.script(edit)
    try:
        async with bound(practice, "anthropic:first", "openai:second") as service:
            assert (await answer(service, stream=stream)).content == "Hello"
            with pytest.raises(ProviderConnectionError):
                await answer(service, stream=stream)
    finally:
        practice.bind({})


HELD = '{"tool_calls": [{"na'
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALLING = ask("chatbot", tools=[TOOL], tool_choice="required")


@pytest.mark.parametrize("thought", ["", "Hm"])
@pytest.mark.parametrize("fault", [Fault.cut_after(9), Fault.stall_after(9)], ids=lambda fault: fault.kind)
async def test_text_that_may_be_a_call_is_in_the_partial(
    practice: Ground, server: PracticeServer, fault: Fault, thought: str
) -> None:
    """It is held back from the reader, and had come all the same."""
    server.default = Reply(chunks=[HELD[:5], HELD[5:]], reasoning=thought, fault=fault)
    async with bound(practice, "ollama:m", timeout=1.5) as service:
        service.get_provider("ollama")
        stream = service.chat_stream(CALLING)
        if thought:
            assert (await anext(stream)).reasoning == thought
        with pytest.raises(ProviderConnectionError if fault.kind == "cut" else ProviderTimeoutError) as raised:
            await anext(stream)
    assert raised.value.partial is not None
    assert (raised.value.partial.content, raised.value.partial.reasoning) == (HELD, thought or None)
    assert raised.value.partial.model == "ollama:m"


async def test_text_that_may_be_a_call_is_in_the_partial_of_a_whole_answer(
    practice: Ground, server: PracticeServer
) -> None:
    body = {"model": "m", "message": {"role": "assistant", "content": HELD}, "done": False}
    server.reply(body=json.dumps(body).encode(), content_type="application/json")
    async with bound(practice, "ollama:m") as service:
        with pytest.raises(ProviderConnectionError) as raised:
            await service.chat(CALLING)
    assert raised.value.partial is not None
    assert raised.value.partial.content == HELD


@pytest.mark.parametrize("on_interrupt", ["error", "resume"])
async def test_text_that_was_held_back_keeps_nobody_from_standing_by(
    practice: Ground, server: PracticeServer, on_interrupt: str
) -> None:
    """The reader has seen nothing yet, and the stand-by is asked the same."""
    server.reply(chunks=[HELD, "x"], fault=Fault.cut_after(1), model="first")
    server.reply("Hello", model="second")
    asked = CALLING.model_copy(update={"on_interrupt": on_interrupt})
    async with bound(practice, "ollama:first", "openai:second") as service:
        stream = service.chat_stream(asked)
        response = await stream.final_response()
    assert response.content == "Hello"
    (attempt,) = response.attempts
    assert attempt.partial is not None
    assert attempt.partial.content == HELD
    assert [turn["content"] for turn in server.requests[-1].body["messages"]] == ["Go on"]


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_reading_on_after_the_error(practice: Ground, server: PracticeServer, wire: str) -> None:
    """An iterator that has raised is at its end; the response so far stays."""
    server.reply(chunks=["One", " two"], fault=Fault.reset_after(1), model="m")
    async with bound(practice, f"{PROVIDERS[wire]}:m") as service:
        stream = service.chat_stream(ask("chatbot"))
        assert (await anext(stream)).delta == "One"
        with pytest.raises(ProviderConnectionError) as raised:
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(LLMRingError) as again:
            await stream.final_response()
        assert again.value is raised.value
        assert stream.response.content == "One"
        await stream.aclose()
        stream.cancel()
