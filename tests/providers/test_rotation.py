"""Another key, or an edit of a provider's settings, makes another client; the one before ends with its last request."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import LLMRingError, ProviderNotFoundError
from llmring.testing import Fault, PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest
from llmring.vendors import BUILT_IN

from ..conftest import Way, bind

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
TOKEN = "cHJhY3RpY2U="


@pytest.fixture(autouse=True)
def first_key(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    """What a test makes of it is undone after it."""
    monkeypatch.setenv(variable(way), "practice-0")


def variable(way: Way) -> str:
    return BUILT_IN[way.provider].key_variables[0]


def rotate(way: Way, key: object) -> None:
    os.environ[variable(way)] = f"practice-{key}"


def key_of(request: RecordedRequest) -> str:
    """Which of the keys a request came with."""
    sent = request.headers.get("x-goog-api-key") or request.headers.get("x-api-key") or request.headers["authorization"]
    return sent.rpartition("-")[2]


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.01)


async def ask(service: LLMRing, *, stream: bool) -> str:
    return (await (service.chat_stream(ASKED).final_response() if stream else service.chat(ASKED))).content


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_clients_of_former_keys_are_closed(way: Way, server: PracticeServer, stream: bool) -> None:
    async with LLMRing() as service:
        for key in range(5):
            rotate(way, key)
            assert await ask(service, stream=stream) == "You said: Hi"
            await until(lambda: server.open_connections == 1)
    assert [key_of(request) for request in server.requests] == list("01234")


@pytest.mark.parametrize("fault", [Fault.never_answer(), Fault.stall_after(1)], ids=lambda fault: fault.kind)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_so_are_those_whose_requests_failed(way: Way, server: PracticeServer, stream: bool, fault: Fault) -> None:
    async with LLMRing(max_retries=0) as service:
        service.warm_up("chatbot")
        for reply in (Reply(status=500), Reply("x", fault=fault)):
            server.reply(reply)
            task = asyncio.create_task(ask(service, stream=stream))
            await until(lambda: server.requests)
            await asyncio.sleep(0.05)
            task.cancel()
            (failure,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(failure, asyncio.CancelledError if reply.status == 200 else LLMRingError)
            server.requests.clear()
            rotate(way, f"{reply.status}")
            assert await ask(service, stream=stream) == "You said: Hi"
            await until(lambda: server.open_connections == 1)
            server.requests.clear()


async def test_none_is_closed_under_a_request(way: Way, server: PracticeServer) -> None:
    """Not while it waits for its answer, nor in the middle of it, nor before what is read of it was left."""
    server.default = Reply(chunks=["a", "b", "c"], delay=0.3, interval=0.1)
    async with LLMRing() as service:
        for _ in range(2):
            await ask(service, stream=False)  # its SDK is loaded
        waiting = [asyncio.create_task(ask(service, stream=stream)) for stream in (True, False) * 3]
        left = service.chat_stream(ASKED)
        assert (await anext(left)).delta == "a"
        for key in range(1, 4):
            rotate(way, key)
            server.reply("now")
            assert await ask(service, stream=key % 2 == 0) == "now"
        assert await asyncio.gather(*waiting) == ["abc"] * 6
        assert [chunk.delta async for chunk in left if chunk.delta] == ["b", "c"]
        await until(lambda: server.open_connections == 1)
    assert {key_of(request) for request in server.requests} == set("0123")


async def test_it_is_closed_with_the_stream_that_was_dropped(way: Way, server: PracticeServer) -> None:
    server.default = Reply(chunks=["x"] * 500, interval=0.02)
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        await anext(stream)
        rotate(way, 1)
        other = service.chat_stream(ASKED)
        await anext(other)
        assert (server.open_connections, len(service._records.here().providers)) == (2, 2)
        del stream
        await until(lambda: server.open_connections == 1)
        await until(lambda: len(service._records.here().providers) == 1)


async def test_one_that_is_asked_again_takes_its_place_back(way: Way, server: PracticeServer) -> None:
    server.default = Reply(chunks=["x"] * 500, interval=0.02)
    async with LLMRing() as service:
        first, second = service.chat_stream(ASKED), service.chat_stream(ASKED)
        await anext(first)
        rotate(way, 1)
        await anext(second)
        rotate(way, 0)
        server.reply("again")
        assert await ask(service, stream=False) == "again"
        (mine, other) = service._records.here().providers.values()
        assert (mine.former, other.former) == (False, True)
        await second.aclose()
        await first.aclose()
        assert list(service._records.here().providers.values()) == [mine]
        server.reply("and again")
        assert await ask(service, stream=False) == "and again"
        assert [key_of(request) for request in server.requests] == ["0", "1", "0", "0"]


@pytest.mark.parametrize("by", ["environment", "lockfile"])
async def test_there_and_back(way: Way, server: PracticeServer, by: str) -> None:
    """Requests that alternate between two of them are served by theirs, one after the other and at once."""
    delays = cycle([0.0, 0.01, 0.03])
    server.script(lambda _: Reply(chunks=["a", "b"], delay=next(delays), interval=0.01))
    table = way.settings or f"[providers.{way.provider}]\n"

    def turn(n: int) -> None:
        rotate(way, n % 2 if by == "environment" else 0)
        headers = f'headers = {{ X-Turn = "{n % 2 if by == "lockfile" else 0}" }}\n'
        bind({"chatbot": [way.model]}, table + headers)

    async with LLMRing() as service:
        for n in range(4):
            turn(n)
            assert await ask(service, stream=n < 2) == "ab"
        tasks = []
        for n in range(60):
            turn(n)
            tasks.append(asyncio.create_task(ask(service, stream=n % 3 == 0)))
            await asyncio.sleep(0.003 * (n % 4))
        assert await asyncio.gather(*tasks) == ["ab"] * 60
        await until(lambda: len(service._records.here().providers) == 1)
        assert await ask(service, stream=True) == "ab"
    if by == "lockfile":
        assert {request.headers["x-turn"] for request in server.requests} == {"0", "1"}
    else:
        assert {key_of(request) for request in server.requests} == {"0", "1"}


async def test_all_are_made_at_once(way: Way, server: PracticeServer) -> None:
    """The key changes while clients are on their way: each request goes out with the key that it was asked under."""
    async with LLMRing() as service:
        tasks = []
        for n in range(24):
            rotate(way, n % 4)
            tasks.append(asyncio.create_task(ask(service, stream=n % 2 == 0)))
            for _ in range(n % 5 + 2):
                await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == ["You said: Hi"] * 24
        assert sorted(map(key_of, server.requests)) == sorted("0123" * 6)
        await until(lambda: len(service._records.here().providers) == 1)
        rotate(way, 4)
        await ask(service, stream=True)
        await until(lambda: server.open_connections == 1)


async def test_who_gave_up_holds_none(way: Way, server: PracticeServer) -> None:
    """A client that nobody waits for any more, and whose key is a former one, is closed when it is there."""
    async with LLMRing() as service:
        task = asyncio.create_task(ask(service, stream=False))
        while not service._records.here().providers:  # noqa: ASYNC110 - the next step may be too late
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        rotate(way, 1)
        assert await ask(service, stream=True) == "You said: Hi"
        await until(lambda: len(service._records.here().providers) == 1)
    assert [key_of(request) for request in server.requests] == ["1"]


async def test_one_that_the_caller_has_stays(way: Way, server: PracticeServer) -> None:
    """Nobody can know what it is used for; it is closed with the service."""
    async with LLMRing() as service:
        mine = service.get_provider(way.provider)
        for key in range(1, 4):
            rotate(way, key)
            await ask(service, stream=False)
        assert service.get_provider(way.provider) is not mine
        rotate(way, 0)
        await ask(service, stream=False)
        assert key_of(server.requests[-1]) == "0"
        assert service.get_provider(way.provider) is mine


async def test_a_key_that_is_changed_on_the_client(way: Way, server: PracticeServer) -> None:
    """It is the client's own, and the next request goes out with it."""
    if way.provider not in ("openai", "anthropic"):
        pytest.skip("its SDK has no such attribute")
    async with LLMRing() as service:
        client = service.get_provider(way.provider).client
        for key in range(1, 3):
            client.api_key = f"practice-{key}"
            await ask(service, stream=key == 1)
    assert [key_of(request) for request in server.requests] == ["1", "2"]


async def test_closing_the_service_closes_those_under_way(way: Way, server: PracticeServer) -> None:
    server.default = Reply(chunks=["x"] * 500, interval=0.02)
    service = LLMRing()
    streams = []
    for key in range(3):
        rotate(way, key)
        streams.append(service.chat_stream(ASKED))
        await anext(streams[-1])
    assert server.open_connections == 3
    await service.close()
    await until(lambda: server.open_connections == 0)
    assert not service._records.here().providers
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


async def test_a_key_that_is_lost_and_found(way: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    if way.provider == "ollama":
        pytest.skip("it needs none")
    monkeypatch.setenv("GEMINI_API_KEY", "")
    monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "")
    async with LLMRing() as service:
        await ask(service, stream=True)
        os.environ[variable(way)] = ""
        for _ in range(2):
            with pytest.raises(ProviderNotFoundError, match="There is no key"):
                await ask(service, stream=False)
        rotate(way, 0)
        assert await ask(service, stream=False) == "You said: Hi"
        await until(lambda: server.open_connections == 1)


async def test_an_answer_in_hops_keeps_its_client(way: Way, server: PracticeServer) -> None:
    """Its rest is asked for with the key that it began with."""
    if way.provider != "google":
        pytest.skip("only Gemini gives answers so")
    async with LLMRing() as service:
        for stream in (True, False):
            rotate(way, 0)
            server.reply("One", continuation=TOKEN)
            server.reply(" two", delay=0.3)
            task = asyncio.create_task(ask(service, stream=stream))
            await until(lambda: any(it.body.get("continuationToken") for it in server.requests))
            rotate(way, 1)
            server.reply("other")
            await ask(service, stream=False)
            assert await task == "One two"
            assert [key_of(request) for request in server.requests] == ["0", "0", "1"]
            await until(lambda: server.open_connections == 1)
            server.requests.clear()


async def test_an_answer_that_goes_on_from_its_token_keeps_its_client(way: Way, server: PracticeServer) -> None:
    if way.provider != "google":
        pytest.skip("only Gemini has such tokens")
    server.reply(chunks=["One", " x"], checkpoints={0: TOKEN}, fault=Fault.cut_after(1))
    server.default = Reply(" two")
    async with LLMRing(max_retries=0) as service:
        stream = service.chat_stream(ASKED.model_copy(update={"on_interrupt": "resume"}))
        assert (await anext(stream)).delta == "One"
        rotate(way, 1)
        await ask(service, stream=False)
        assert (await stream.final_response()).content == "One two"
        assert [key_of(request) for request in server.requests] == ["0", "1", "0"]
        await until(lambda: server.open_connections == 1)


def test_one_that_was_made_in_no_loop_takes_the_place(way: Way, server: PracticeServer) -> None:
    service = LLMRing()
    loop = asyncio.new_event_loop()

    async def asked() -> None:
        await ask(service, stream=False)
        await until(lambda: server.open_connections == 1)

    loop.run_until_complete(asked())
    rotate(way, 1)
    service.get_provider(way.provider)
    loop.run_until_complete(asked())
    assert [key_of(request) for request in server.requests] == ["0", "1"]
    assert sum(len(it.providers) for it in service._records.all()) == 1
    loop.run_until_complete(service.close())
    loop.close()


def test_each_loop_has_its_own(way: Way, server: PracticeServer) -> None:
    """A key that changes in one takes no client from a request of another."""
    server.default = Reply(chunks=["a", "b", "c"], interval=0.1)
    service = LLMRing()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def here() -> None:
        begun = len(server.requests)
        there: Any = asyncio.run_coroutine_threadsafe(ask(service, stream=True), loop)
        await until(lambda: len(server.requests) > begun)
        for key in (1, 2):
            rotate(way, key)
            assert await ask(service, stream=False) == "abc"
        assert await asyncio.wrap_future(there) == "abc"
        await until(lambda: sum(len(it.providers) for it in service._records.all()) == 2)
        assert [it.loop is loop for it in service._records.all()] == [True, False]
        await service.close()
        await until(lambda: server.open_connections == 0)

    try:
        asyncio.run(here())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_what_the_caller_was_given_meanwhile_stays(way: Way, server: PracticeServer) -> None:
    """Also when the one that a request was waiting for comes after it."""
    async with LLMRing() as service:
        asked = asyncio.create_task(service.chat(ASKED))
        await asyncio.sleep(0)
        mine = service.get_provider(way.provider)
        assert (await asked).content
        await asyncio.sleep(0)
        assert service.get_provider(way.provider) is mine
        await service.chat(ASKED)
    assert len(server.requests) == 2
