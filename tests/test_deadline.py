"""The deadline: seconds for a whole request, whatever it is made of."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message, parts
from llmring.exceptions import ProviderError, ProviderTimeoutError
from llmring.testing import Fault, PracticeServer

from .conftest import bind

streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


def ask(model: str = "anthropic:m", **fields: object) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **fields)  # type: ignore[arg-type]


async def answer(service: LLMRing, request: LLMRequest, *, stream: bool) -> LLMResponse:
    return await (service.chat_stream(request).final_response() if stream else service.chat(request))


def ready(service: LLMRing) -> None:
    """The import of an SDK takes longer than what is waited for here."""
    for name in ("anthropic", "openai"):
        service.get_provider(name)


@streamed
async def test_nobody_answers(server: PracticeServer, stream: bool) -> None:
    """It is over before the timeout; and as the model had less than its time, that does not speak against it."""
    server.reply(fault=Fault.never_answer())
    async with LLMRing(timeout=30, deadline=0.3, breaker_threshold=1) as service:
        ready(service)
        began = time.monotonic()
        with pytest.raises(ProviderTimeoutError, match=r"deadline of 0\.3 s passed before anthropic:m had") as raised:
            await answer(service, ask(), stream=stream)
        assert time.monotonic() - began < 10
        assert (raised.value.provider, raised.value.model) == ("anthropic", "m")
        assert await server.requests[0].closed(5)
        assert (await answer(service, ask(deadline=None), stream=stream)).content == "You said: Hi"


@streamed
async def test_it_counts_all_candidates(server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": ["anthropic:first", "openai:second", "openai:third"]})
    server.reply(status=503, model="first")
    server.reply(fault=Fault.never_answer(), model="second")
    async with LLMRing(timeout=30) as service:
        ready(service)
        with pytest.raises(ProviderTimeoutError, match="Tried before it, in vain: anthropic:first") as raised:
            await answer(service, ask("chatbot", deadline=0.5), stream=stream)
    assert [error.model for error in raised.value.attempts] == ["first"]
    assert [request.model for request in server.requests] == ["first", "second"]


@streamed
async def test_no_pause_goes_past_it(server: PracticeServer, stream: bool) -> None:
    server.reply(status=503, headers={"retry-after": "9"}, error="busy")
    async with LLMRing(timeout=30, max_retries=2, deadline=5) as service:
        ready(service)
        with pytest.raises(ProviderError, match="busy"):
            await answer(service, ask(), stream=stream)
    assert len(server.requests) == 1


@pytest.mark.parametrize("timeout", [30, None])
async def test_it_counts_the_reading(server: PracticeServer, timeout: float | None) -> None:
    """Though a chunk comes again and again."""
    server.reply(chunks=["x"] * 1000, interval=0.05)
    async with LLMRing(timeout=timeout, breaker_threshold=1) as service:
        ready(service)
        stream = service.chat_stream(ask(deadline=2, on_interrupt="resume"))
        with pytest.raises(ProviderTimeoutError, match="deadline") as raised:
            await stream.final_response()
        assert raised.value.partial is not None
        assert raised.value.partial.content.startswith("x")
        assert await server.requests[0].closed(5)
        assert (await answer(service, ask(), stream=True)).content == "You said: Hi"


async def test_a_reader_that_is_slow(server: PracticeServer) -> None:
    """What it does with its chunks counts as well."""
    server.reply(chunks=["x"] * 1000, interval=0.01)
    async with LLMRing(timeout=None) as service:
        ready(service)
        stream = service.chat_stream(ask(deadline=2))
        assert await anext(stream)
        await asyncio.sleep(2.1)
        with pytest.raises(ProviderTimeoutError, match="deadline"):
            await stream.final_response()


async def test_all_has_been_said(server: PracticeServer) -> None:
    """The connection stays open, but the answer is whole."""
    server.reply(chunks=["Hel", "lo"], fault=Fault.linger())
    async with LLMRing(timeout=None) as service:
        ready(service)
        assert (await answer(service, ask(deadline=2), stream=True)).content == "Hello"


async def test_a_default_of_the_alias(server: PracticeServer) -> None:
    path = bind({"chatbot": ["anthropic:m"]})
    path.write_text(path.read_text() + "params = { deadline = 0.3 }\n")
    server.reply(fault=Fault.never_answer())
    async with LLMRing(timeout=30) as service:
        ready(service)
        with pytest.raises(ProviderTimeoutError, match="deadline"):
            await service.chat(ask("chatbot"))


@streamed
async def test_a_file_that_does_not_come(server: PracticeServer, tmp_path: Path, stream: bool) -> None:
    os.mkfifo(tmp_path / "a.png")
    request = LLMRequest(
        model="anthropic:m",
        messages=[Message(role="user", content=[parts.image(tmp_path / "a.png")])],
        deadline=0.3,
    )
    async with LLMRing() as service:
        try:
            async with asyncio.timeout(30):
                with pytest.raises(ProviderTimeoutError, match=r"deadline of 0\.3 s passed before anthropic:m had"):
                    await answer(service, request, stream=stream)
        finally:
            os.close(os.open(tmp_path / "a.png", os.O_RDWR | os.O_NONBLOCK))  # whoever reads it is let go
    assert not server.requests


class _Slow(logging.Handler):
    """Whoever hears of what is logged takes the loop until the deadline has passed."""

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.6)


async def test_it_passes_while_the_first_chunk_is_read(server: PracticeServer) -> None:
    """The request fails of it, and nothing else that its task awaits is cancelled."""
    server.reply("one two three", fault=Fault.malformed_event(0), interval=0.3)
    logging.getLogger("llmring").addHandler(_Slow())
    async with LLMRing(timeout=30, deadline=0.5) as service:
        ready(service)
        stream = service.chat_stream(ask())
        assert (await anext(stream)).delta
        await asyncio.sleep(0)
        with pytest.raises(ProviderTimeoutError, match="deadline of"):
            await stream.final_response()
    assert (task := asyncio.current_task()) is not None
    assert task.cancelling() == 0
