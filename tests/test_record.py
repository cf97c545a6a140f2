"""What is open, and who ends it: forked processes, dropped services, loops that end."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, LLMRingError, Message
from llmring.record import Records
from llmring.testing import PracticeServer, Reply

from .conftest import Way

DROPPED_IN_A_CHILD = """
import asyncio, gc, os, sys
from llmring import LLMRequest, LLMRing, Message

asked = LLMRequest(model=sys.argv[1], messages=[Message(role="user", content="Hi")])
service = LLMRing(timeout=30)
loop = asyncio.new_event_loop()

async def begin():
    await service.chat(asked)
    streams = [service.chat_stream(asked) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    return streams

streams = loop.run_until_complete(begin())
child = os.fork()
if not child:
    async def drop():
        global service, streams
        streams[0].cancel()
        del service, streams
        gc.collect()
        await asyncio.sleep(0.05)
        gc.collect()
    asyncio.set_event_loop(None)
    asyncio.run(drop())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
for stream in streams:
    print(loop.run_until_complete(stream.final_response()).content)
loop.run_until_complete(service.close())
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_may_drop_what_its_parent_has_open(way: Way, server: PracticeServer) -> None:
    server.default = Reply(chunks=["one ", "two"], interval=0.3)
    quiet = "ignore:This process:DeprecationWarning"  # a fork beside threads, from Python 3.12 on
    program = [sys.executable, "-W", quiet, "-c", DROPPED_IN_A_CHILD, f"{way.provider}:m"]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.stdout, ran.stderr) == ("one two\none two\n", "")


def ask(way: Way) -> LLMRequest:
    return LLMRequest(model=f"{way.provider}:m", messages=[Message(role="user", content="Hi")])


async def test_collected_with_its_service(way: Way, server: PracticeServer) -> None:
    """Whoever drops both, in a cycle, has the connection closed, and hears nothing."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    server.default = Reply(chunks=["x"] * 500, interval=0.02)

    async def open_one_in_a_cycle() -> None:
        service = LLMRing()
        cycle: list[Any] = [service, service.chat_stream(ask(way))]
        cycle.append(cycle)
        await anext(cycle[1])

    gc.collect()
    for _ in range(3):
        await open_one_in_a_cycle()
        gc.collect()
        assert await server.requests[-1].closed(60)
    assert complaints == []


async def test_a_stream_outlives_its_service(way: Way, server: PracticeServer) -> None:
    server.default = Reply(chunks=["a", "b", "c"], interval=0.05)
    stream = LLMRing().chat_stream(ask(way))
    assert (await anext(stream)).delta == "a"
    gc.collect()
    assert [chunk.delta async for chunk in stream if chunk.delta] == ["b", "c"]
    async for _ in stream:
        raise AssertionError


async def test_a_dropped_service_leaves_no_connection(way: Way, server: PracticeServer) -> None:
    """Whoever makes one for each request, and closes none, has no more open than those that are in use."""
    for _ in range(3):
        service = LLMRing(max_retries=0)
        await service.chat(ask(way))
        await service.chat_stream(ask(way)).final_response()
        del service
        gc.collect()
        assert await server.requests[-1].closed(60)


async def test_a_service_dropped_in_another_thread(way: Way, server: PracticeServer) -> None:
    """What it has open is closed in its loop."""
    held = [LLMRing(max_retries=0)]
    await held[0].chat(ask(way))
    gc.collect()

    def drop() -> None:
        held.clear()
        gc.collect()

    await asyncio.to_thread(drop)
    assert await server.requests[-1].closed(60)


async def test_a_provider_outlives_its_service(server: PracticeServer) -> None:
    """Whoever was given it, or its client, uses it on; what was lent to nobody is closed."""
    service = LLMRing(max_retries=0)
    client = service.get_provider("anthropic").client
    for model in ("anthropic:m", "ollama:m"):
        await service.chat(LLMRequest(model=model, messages=[Message(role="user", content="Hi")]))
    lent, unused = server.requests
    del service
    gc.collect()
    assert await unused.closed(60)
    said = await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    assert said.content[0].text == "You said: Hi"
    assert server.requests[-1].connection == lent.connection
    await client.close()


async def test_closing_ends_nested_calls(server: PracticeServer) -> None:
    """A provider of the caller's own that asks the service itself is ended with what it asks."""
    server.default = Reply("late", delay=600)
    async with LLMRing(timeout=600) as service:
        inner = service.get_provider("anthropic")

        class Asking(type(inner)):  # type: ignore[misc]
            async def send(self, call: Any, body: bytes) -> Any:
                asked = LLMRequest(model="anthropic:m", messages=call.request.messages)
                return await service.chat(asked)

        service.register_provider("asking", Asking(inner.config))
        outer = asyncio.create_task(
            service.chat(LLMRequest(model="asking:m", messages=[Message(role="user", content="Hi")]))
        )
        await server.received()
    with pytest.raises(LLMRingError, match="was closed while"):
        await outer
    assert outer.cancelling() == 0


async def test_what_was_made_in_no_loop_is_closed_here() -> None:
    records = Records()
    made = await asyncio.to_thread(records.here)
    assert (made.loop, records.here().loop) == (None, asyncio.get_running_loop())
    closed = []

    class Provider:
        async def close(self) -> None:
            closed.append(asyncio.get_running_loop())

    made.providers["one"] = Provider()
    for record in records.all():
        await record.end()
    assert closed == [asyncio.get_running_loop()]
    assert records.all() == []


def test_a_loop_that_stands_still_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmring.record._OTHER_LOOP", 0.2)
    records, ready, go_on = Records(), threading.Event(), threading.Event()

    async def stand_still() -> None:
        records.here()
        ready.set()
        go_on.wait(60)

    async def end() -> bool:
        (record,) = records.all()
        await record.end()
        return record.over

    thread = threading.Thread(target=asyncio.run, args=[stand_still()])
    thread.start()
    ready.wait(60)
    try:
        assert not asyncio.run(end())
    finally:
        go_on.set()
        thread.join()
    assert records.all() == []


def test_another_loop_says_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for longer than it takes, and in that loop's own thread it is done."""
    monkeypatch.setattr("llmring.record._OTHER_LOOP", 600)
    records, done = Records(), []
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()

    class Provider:
        async def close(self) -> None:
            done.append(threading.current_thread())

    async def open_one() -> None:
        records.here().providers["one"] = Provider()

    async def end() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*(record.end() for record in records.all() * 2))

    try:
        asyncio.run_coroutine_threadsafe(open_one(), other).result(60)
        asyncio.run(end())
        assert done == [thread]
        assert records.all() == []
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()
