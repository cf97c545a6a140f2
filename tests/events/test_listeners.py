"""Listeners that fail, are slow, ask again, or do things to what they watch: no request feels any of it."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

import llmring.sync
from llmring import LLMRing
from llmring.events import AttemptStarted, Event, Finished, FirstChunk, Left, RequestStarted, listeners
from llmring.exceptions import ConfigurationError
from llmring.testing import Fault, PracticeServer

from ..faults.ground import PROVIDERS, Ground, ask
from .law import by_request, holds

WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


def service(practice: Ground, *on_event: Any, **options: Any) -> LLMRing:
    practice.bind({"chatbot": ["openai:m"]})
    return practice.service(on_event=on_event, **options)


async def test_what_a_listener_raises_is_logged_once_and_not_felt(
    practice: Ground, server: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    def fails(event: Event) -> None:
        raise ValueError("this listener is broken")

    async def fails_later(event: Event) -> None:
        raise asyncio.CancelledError

    async with service(practice, fails, fails_later, heard.append) as it:
        for _ in range(3):
            assert (await it.chat(ask("chatbot"))).content
            assert (await it.chat_stream(ask("chatbot")).final_response()).content
    assert len(by_request(heard)) == 6
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[0] for record in records if record.exc_info] == [ValueError, asyncio.CancelledError]
    assert "fails of on_event failed" in records[0].getMessage()
    assert "fails_later of on_event failed" in records[1].getMessage()


async def test_an_async_listener_holds_no_chunk_up(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["one", " two"])
    go_on, heard = asyncio.Event(), list[Event]()

    async def slow(event: Event) -> None:
        await go_on.wait()
        heard.append(event)

    async with service(practice, slow) as it:
        chunks = [chunk async for chunk in it.chat_stream(ask("chatbot"))]
        assert chunks[-1].finish_reason == "stop"
        assert heard == []
        go_on.set()
    holds(heard)  # closing the service waited for it


async def test_a_listener_that_never_ends_is_given_up(
    practice: Ground, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listeners, "_PATIENCE", 0.05)
    begun = list[Event]()

    async def hangs(event: Event) -> None:
        begun.append(event)
        await asyncio.Event().wait()

    async with service(practice, hangs) as it:
        await it.chat(ask("chatbot"))
    assert len(begun) == 1
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "hangs of on_event failed" in record.getMessage()


async def test_no_more_events_wait_than_there_is_room_for(
    practice: Ground, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listeners, "_MOST", 5)
    go_on, heard = asyncio.Event(), list[Event]()

    async def slow(event: Event) -> None:
        await go_on.wait()
        heard.append(event)

    async with service(practice, slow) as it:
        for _ in range(4):
            await it.chat(ask("chatbot"))
        go_on.set()
        await asyncio.sleep(0.01)
        await it.chat(ask("chatbot"))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "5 events wait for the listeners of on_event, so some are lost. This is said once."
    ]
    assert len(heard) < 20
    holds(by_request(heard)[-1])


@pytest.mark.parametrize("make", [lambda it: it, lambda it: functools.partial(it), lambda it: lambda event: it(event)])
async def test_all_that_can_be_awaited_is(
    practice: Ground, server: PracticeServer, make: Callable[[Any], Callable[[Event], Any]]
) -> None:
    heard: list[Event] = []

    async def listen(event: Event) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    class Listens:
        async def __call__(self, event: Event) -> None:
            await listen(event)

    async with service(practice, make(listen), Listens()) as it:
        await it.chat(ask("chatbot"))
    assert len(heard) == 8
    holds(heard[::2])


async def test_what_a_listener_asks_is_told_to_nobody(practice: Ground, server: PracticeServer) -> None:
    heard, answered = list[Event](), asyncio.Event()

    async def asks(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Finished):
            await it.chat(ask("chatbot"))
            await asyncio.create_task(it.chat_stream(ask("chatbot")).final_response())
            answered.set()

    async with service(practice, asks) as it:
        await it.chat(ask("chatbot"))
        await answered.wait()
    assert len(server.requests) == 3
    holds(heard)


async def test_a_listener_may_end_what_it_watches(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["one", " two"], fault=Fault.stall_after(1))
    heard: list[Event] = []

    def cancels(event: Event) -> None:
        heard.append(event)
        if isinstance(event, FirstChunk):
            stream.cancel()

    async with service(practice, cancels) as it:
        stream = it.chat_stream(ask("chatbot"))
        assert [chunk async for chunk in stream] == []
    holds(heard)
    assert isinstance(heard[-1], Left)


async def test_a_listener_sees_the_variables_of_who_asks(practice: Ground, server: PracticeServer) -> None:
    seen: list[str] = []

    async def later(event: Event) -> None:
        seen.append(WHO.get())

    async def asks(name: str) -> None:
        WHO.set(name)
        stream = it.chat_stream(ask("chatbot"))
        WHO.set("nobody")
        async for _ in stream:
            pass

    async with service(practice, lambda event: seen.append(WHO.get()), later) as it:
        await asyncio.gather(asks("Ada"), asks("Grace"))
    assert sorted(seen) == ["Ada"] * 10 + ["Grace"] * 10


async def test_what_waits_when_the_loop_ends_is_told(practice: Ground, server: PracticeServer) -> None:
    """Nobody closes this service: the loop that ends in order waits for what its events wait for."""
    heard: list[Event] = []

    async def listen(event: Event) -> None:
        await asyncio.sleep(0.01)
        heard.append(event)

    it = service(practice, listen)

    async def main() -> None:
        async for _ in it.chat_stream(ask("chatbot")):
            break

    await asyncio.to_thread(asyncio.run, main())
    # The one under way was cancelled with all that ran there.
    assert isinstance(heard[-1], Left)
    assert isinstance(heard[0], RequestStarted | AttemptStarted)
    await it.close()


def test_many_loops_at_once(practice: Ground, server: PracticeServer) -> None:
    at_once: list[Event] = []
    awaited: list[Event] = []

    async def listen(event: Event) -> None:
        await asyncio.sleep(0)
        awaited.append(event)

    it = service(practice, at_once.append, listen)

    async def main() -> None:
        await asyncio.gather(*(it.chat(ask("chatbot")) for _ in range(5)))
        async for _ in it.chat_stream(ask("chatbot")):
            break

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(it.close())
    assert len(by_request(at_once)) == len(by_request(awaited)) == 24
    for events in by_request(at_once):
        holds(events)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
async def test_a_fork_tells_nothing_of_its_parents_requests(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["one", " two"], fault=Fault.stall_after(1))
    heard: list[Event] = []
    async with service(practice, heard.append) as it:
        stream = it.chat_stream(ask("chatbot"))
        await anext(stream)
        before = len(heard)
        if (child := os.fork()) == 0:
            try:
                stream.cancel()
                del stream
                gc.collect()
                os._exit(len(heard) - before)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0  # noqa: ASYNC222
        await stream.aclose()
    holds(heard)


def test_a_synchronous_face_in_its_own_listener_is_refused_and_not_felt(
    practice: Ground, server: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def asks(event: Event) -> None:
        it.chat(ask("chatbot"))

    practice.bind({"chatbot": ["openai:m"]})
    keys = dict.fromkeys(PROVIDERS.values(), "practice")
    with llmring.sync.LLMRing(practice.path, api_keys=keys, on_event=asks) as it:
        assert it.chat(ask("chatbot")).content
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert "would wait for itself" in str(record.exc_info[1]).replace("\n", " ")


@pytest.mark.parametrize("given", [1, "print", [print, None]])
def test_what_cannot_be_called_is_no_listener(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_event"):
        LLMRing(on_event=given)
    with pytest.raises(ConfigurationError, match="on_event"):
        llmring.sync.LLMRing(on_event=given)
