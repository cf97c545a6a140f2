"""One service in several event loops: one after the other, and at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llmring import LLMRequest, LLMRing, LLMRingError, Message, StreamChunk
from llmring.providers.pool import Transport
from llmring.testing import PracticeServer, Reply

from .conftest import Way, bind

# A loop that is closed leaves its idle connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test leaves behind is not collected in the next one."""
    yield
    gc.collect()


ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])


async def ask(service: LLMRing, stream: bool) -> str:
    if stream:
        return (await service.chat_stream(ASKED).final_response()).content
    return (await service.chat(ASKED)).content


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_one_after_the_other(way: Way, server: PracticeServer, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    bind({"chatbot": [way.model]}, way.settings)
    service = LLMRing(max_retries=0)
    said = [asyncio.run(ask(service, stream)) for _ in range(3)]
    asyncio.run(service.close())
    assert said == ["You said: Hi"] * 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_within_a_loop_connections_are_kept(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m"]})

    async def twice() -> None:
        assert service.get_provider("anthropic") is service.get_provider("anthropic")
        for _ in range(2):
            await ask(service, False)
            assert server.open_connections == 1

    service = LLMRing()
    asyncio.run(twice())
    asyncio.run(service.close())


def test_a_provider_made_in_no_loop_goes_to_the_first_that_asks(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m"]})
    service = LLMRing()
    early = service.get_provider("anthropic")

    async def mine() -> Any:
        await ask(service, False)
        return service.get_provider("anthropic")

    assert asyncio.run(mine()) is early
    assert asyncio.run(mine()) is not early
    asyncio.run(service.close())


class ReadAtOnce(dict[Any, Any]):
    """Two threads read it before either goes on."""

    def __init__(self, those: dict[Any, Any]) -> None:
        super().__init__(those)
        self.both = threading.Barrier(2)

    def get(self, key: Any, default: Any = None) -> Any:
        found = super().get(key, default)
        self.both.wait(60)
        return found


def test_what_two_loops_ask_for_at_once_goes_to_one(server: PracticeServer) -> None:
    service = LLMRing()
    early = service.get_provider("anthropic")
    (nowhere,) = service._records.all()
    nowhere.providers = ReadAtOnce(nowhere.providers)
    got: list[Any] = []

    async def mine() -> None:
        got.append(service.get_provider("anthropic"))

    threads = [threading.Thread(target=asyncio.run, args=[mine()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 2
    assert [it is early for it in got].count(True) == 1
    asyncio.run(service.close())


def test_outside_of_the_loop_it_is_the_same(server: PracticeServer) -> None:
    service = LLMRing()
    loop = asyncio.new_event_loop()

    async def inside() -> Any:
        return service.get_provider("anthropic")

    first = loop.run_until_complete(inside())
    assert service.get_provider("anthropic") is first
    loop.run_until_complete(service.close())
    loop.close()


def test_a_client_in_one_loop_after_the_other(server: PracticeServer) -> None:
    """What is left of those before is not used again, and takes no place."""
    limits = httpx2.Limits(max_connections=1)
    client = httpx2.AsyncClient(transport=Transport(limits), base_url=server.url, timeout=10)
    for _ in range(3):
        assert asyncio.run(client.get("/")).http_version == "HTTP/1.1"
    asyncio.run(client.aclose())


def test_what_belongs_to_a_closed_loop_is_let_go(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m"]})
    service = LLMRing()

    async def own() -> weakref.ref[Any]:
        await ask(service, False)
        return weakref.ref(service.get_provider("anthropic"))

    def without_a_word(work: Coroutine[Any, Any, weakref.ref[Any]]) -> weakref.ref[Any]:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.close()

    first, second = without_a_word(own()), without_a_word(own())
    gc.collect()
    assert first() is None
    assert second() is not None
    third = asyncio.run(own())
    gc.collect()
    assert second() is None
    assert third() is None
    asyncio.run(service.close())


def test_a_loop_that_ends_closes_what_is_its_own(way: Way, server: PracticeServer) -> None:
    """Whoever runs one after the other, and closes the service at the very end, has no more open than the last one."""
    bind({"chatbot": [way.model]}, way.settings)
    service = LLMRing()
    kept: list[Any] = []

    async def use() -> None:
        await asyncio.gather(ask(service, True), ask(service, False))
        kept.append(service.get_provider(way.provider))
        kept.append(stream := service.chat_stream(ASKED))
        await anext(stream)
        assert server.open_connections == 2

    server.default = Reply(chunks=["x"] * 2, delay=0.1)
    for _ in range(2):
        asyncio.run(use())
        for _ in range(6000):
            if not server.open_connections:
                break
            time.sleep(0.01)
        assert not server.open_connections
    asyncio.run(service.close())


def test_two_at_once(server: PracticeServer) -> None:
    """Closing the service closes what the other loop has open, too."""
    bind({"chatbot": ["anthropic:m"]})
    server.default = Reply(chunks=["x"] * 20, interval=0.005)
    service = LLMRing()
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()

    async def work() -> list[str]:
        return await asyncio.gather(*(ask(service, stream) for stream in (True, False) * 5))

    async def both() -> None:
        there = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), other))
        said = [*await work(), *await there]
        assert said == ["x" * 20] * 20
        assert server.open_connections > 10
        await service.close()
        for _ in range(100):
            if server.open_connections == 0:
                break
            await asyncio.sleep(0.01)
        assert server.open_connections == 0

    try:
        asyncio.run(both())
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()


def test_closing_ends_what_another_loop_waits_for(way: Way, server: PracticeServer) -> None:
    """In that loop's own thread."""
    bind({"chatbot": [way.model]}, way.settings)
    server.default = Reply(chunks=["a", "b"], delay=0.0, interval=30.0)
    service = LLMRing(timeout=60)
    other = asyncio.new_event_loop()
    other.set_debug(True)  # it refuses calls from other threads
    thread = threading.Thread(target=other.run_forever)
    thread.start()

    async def read() -> list[str]:
        return [chunk.delta async for chunk in service.chat_stream(ASKED)]

    async def wait() -> str:
        return (await service.chat(ASKED)).content

    async def close() -> float:
        began = time.monotonic()
        await service.close()
        return time.monotonic() - began

    try:
        reading = asyncio.run_coroutine_threadsafe(read(), other)
        server.wait_request(1)
        server.default = Reply("late", delay=30.0)
        waiting = asyncio.run_coroutine_threadsafe(wait(), other)
        server.wait_request(2)
        time.sleep(0.3)
        assert asyncio.run(close()) < 20
        with pytest.raises(LLMRingError, match="closed"):
            reading.result(60)
        with pytest.raises(LLMRingError, match="closed"):
            waiting.result(60)
        for request in server.requests:
            assert asyncio.run(request.closed(60))
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()


def test_closing_after_the_loop_of_a_stream_has_stopped(server: PracticeServer) -> None:
    """Nobody runs there who could end it."""
    bind({"chatbot": ["anthropic:m"]})
    server.default = Reply(chunks=["a", "b"], interval=30.0)
    service = LLMRing(timeout=60)
    loop = asyncio.new_event_loop()
    stream = service.chat_stream(ASKED)

    async def begin() -> asyncio.Task[StreamChunk]:
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        return task

    task = loop.run_until_complete(begin())
    asyncio.run(asyncio.wait_for(service.close(), 60))
    with pytest.raises(LLMRingError, match="closed"):
        loop.run_until_complete(task)
    loop.close()


FORKED = """
import asyncio, os, sys
from llmring import LLMRequest, LLMRing, Message

asked = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
service = LLMRing(timeout=5)
loop = asyncio.new_event_loop()

async def begin():
    stream = service.chat_stream(asked)
    await anext(stream)
    return stream

stream = loop.run_until_complete(begin())
child = os.fork()
if not child:
    asyncio.set_event_loop(None)
    answer = asyncio.run(service.chat(asked))
    asyncio.run(service.close())
    print("child:", answer.content, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("stream:", loop.run_until_complete(stream.final_response()).content)
print("parent:", loop.run_until_complete(service.chat(asked)).content)
loop.run_until_complete(service.close())
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process(way: Way, server: PracticeServer) -> None:
    """It has connections of its own, and closing it takes none from its parent."""
    bind({"chatbot": [way.model]}, way.settings)
    server.default = Reply(chunks=["one ", "two"], interval=0.2)
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout.split("\n")[:3] == ["child: one two", "stream: one two", "parent: one two"], ran.stderr
    assert ran.returncode == 0


FORKED_WHILE_READING = """
import os
from llmring import LLMRing

service = LLMRing()
assert service.has_alias("chatbot")
service._live._locks[os.getpid()].acquire()  # as another thread may hold it
os.utime("llmring.lock")
child = os.fork()
if not child:
    os._exit(0 if service.resolve_alias("chatbot") == "anthropic:m" else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_while_another_thread_reads_the_lockfile(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m"]})
    program = [sys.executable, "-c", FORKED_WHILE_READING]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("0\n", "")


@pytest.mark.parametrize("given", [None, "llmring.lock"], ids=["found", "given"])
def test_another_working_directory(server: PracticeServer, tmp_path: Path, given: str | None) -> None:
    """A service reads and writes one file: the one that it found, or was given, where it was."""
    path = bind({"chatbot": ["anthropic:m"]})
    service = LLMRing(given)
    if given is None:
        assert service.has_alias("chatbot")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    os.chdir(elsewhere)
    other = bind({"chatbot": ["ollama:other"]})
    before = other.read_bytes()
    service.bind_alias("new", "openai:n")
    assert service.list_aliases() == {"chatbot": "anthropic:m", "new": "openai:n"}
    service.unbind_alias("new")
    assert not service.has_alias("new")
    assert other.read_bytes() == before
    assert path != other


def test_closing_after_the_loop_of_a_request_was_closed(server: PracticeServer) -> None:
    """Nothing of it can be ended any more, and what is not its own is closed."""
    bind({"chatbot": ["anthropic:m"]})
    server.default = Reply("late", delay=30.0)
    service = LLMRing(timeout=60)
    loop = asyncio.new_event_loop()
    task = loop.create_task(service.chat(ASKED))

    loop.run_until_complete(server.received())
    loop.close()

    async def here() -> Any:
        server.default = Reply("now")
        assert await ask(service, False) == "now"
        client = service.get_provider("anthropic").client
        await service.close()
        return client

    assert asyncio.run(here()).is_closed()
    assert not task.done()
