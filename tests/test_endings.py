"""Endings that meet: a task that was cancelled before, two closings at once, a closing that is cancelled."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from llmring import LLMRequest, LLMRing, LLMRingError, Message
from llmring.exceptions import ProviderError, ProviderTimeoutError
from llmring.testing import Fault, PracticeServer, Reply

from .conftest import Way

T = TypeVar("T")


def ask(model: str = "chatbot", **options: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **options)


async def after_a_cancel(work: Callable[[], Awaitable[T]]) -> T:
    """Run something in a task that was cancelled, and goes on to tidy up."""

    async def tidy() -> T:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return await work()
        raise AssertionError

    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    task.cancel()
    return await task


async def test_a_task_that_was_cancelled_before(way: Way, server: PracticeServer) -> None:
    """Who asks while tidying up hears of timeouts, ends and closings as anyone does."""
    server.default = Reply(chunks=["a", "b"], fault=Fault.stall_after(1))
    async with LLMRing(max_retries=0, timeout=1.5) as service:
        with pytest.raises(ProviderTimeoutError):
            await after_a_cancel(lambda: service.chat_stream(ask()).final_response())
        stream = service.chat_stream(ask(timeout=60))

        async def read() -> list[str]:
            said = []
            async for chunk in stream:
                said.append(chunk.delta)
                asyncio.get_running_loop().call_soon(stream.cancel)
            return said

        assert await after_a_cancel(read) == ["a"]
    server.default = Reply("late", delay=30)
    service = LLMRing(timeout=30)
    waiting = asyncio.create_task(after_a_cancel(lambda: service.chat(ask())))
    await server.received(3)
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await waiting


async def test_two_closings_at_once(way: Way, server: PracticeServer) -> None:
    server.default = Reply("late", delay=30)
    service = LLMRing(timeout=30)
    waiting = [asyncio.create_task(service.chat(ask())) for _ in range(5)]
    await server.received(5)
    await asyncio.gather(service.close(), service.close())
    for task in waiting:
        with pytest.raises(LLMRingError, match="closed"):
            await task


async def test_a_closing_that_is_cancelled(way: Way, server: PracticeServer) -> None:
    """At whichever step: nothing stays open."""
    server.default = Reply(chunks=["a", "b"], interval=30)
    for step in range(30):
        service = LLMRing(timeout=30)
        stream = service.chat_stream(ask())
        await anext(stream)
        closing = asyncio.create_task(service.close())
        for _ in range(step):
            await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        await service.close()
    for _ in range(100):
        if not server.open_connections:
            break
        await asyncio.sleep(0.01)
    assert server.open_connections == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_loops_that_end_while_the_service_closes(server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    """They cancel what was to be done in them, which is no cancel of the closing."""
    server.default = Reply(chunks=["a", "b"], interval=600)
    began = time.monotonic()
    for _ in range(5):
        service = LLMRing(timeout=600)
        ready = threading.Barrier(4)

        async def other(service: LLMRing = service, ready: threading.Barrier = ready) -> None:
            stream = service.chat_stream(ask("anthropic:m"))
            await anext(stream)
            await asyncio.to_thread(ready.wait)

        async def here(service: LLMRing = service, ready: threading.Barrier = ready) -> bool:
            await anext(service.chat_stream(ask("anthropic:m")))
            client = service.get_provider("anthropic").client
            await asyncio.to_thread(ready.wait)
            await service.close()
            return bool(client.is_closed())

        threads = [threading.Thread(target=asyncio.run, args=[other()]) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert asyncio.run(here())
        for thread in threads:
            thread.join()
    assert time.monotonic() - began < 60, "a loop that has ended was waited for"
    gc.collect()  # what loops leave that have ended
    assert "destroyed" not in caplog.text


async def test_streams_left_early_are_no_failures(way: Way, server: PracticeServer) -> None:
    """Those before and after them are not in a row."""
    async with LLMRing(max_retries=0, breaker_threshold=2) as service:
        for _ in range(3):
            server.reply(status=500)
            with pytest.raises(ProviderError, match="500"):
                await service.chat(ask())
            async with service.chat_stream(ask()) as stream:
                await anext(stream)
