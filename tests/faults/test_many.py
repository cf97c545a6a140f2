"""Many streams at once on one service: no limit that nobody set, and one that is set is told from silence."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Iterator

import pytest

from llmring import LLMRing
from llmring.exceptions import ProviderTimeoutError
from llmring.testing import Reply

from .ground import PROVIDERS, Ground, ask

pytestmark = pytest.mark.long

MANY = 2000


@pytest.fixture
def files() -> Iterator[None]:
    """Two for each stream: the client's end and the server's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * MANY + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this machine allows {hard} open files; {needed} are needed")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("files")
async def test_two_thousand_streams_at_once(practice: Ground) -> None:
    """All four SDKs' pools, all streams open at the same moment, and all of them finish."""
    practice.server.default = Reply(chunks=["One", " two", " three"])
    references = [f"{provider}:m" for provider in PROVIDERS.values()]
    everyone = asyncio.Barrier(MANY)
    open_then = 0

    async def one(service: LLMRing, reference: str) -> str:
        nonlocal open_then
        stream = service.chat_stream(ask(reference))
        await anext(stream)
        if await everyone.wait() == 0:
            open_then = practice.server.open_connections
        return (await stream.final_response()).content

    async with practice.service(timeout=120) as service:
        for reference in references:
            await service.chat(ask(reference))
        said = await asyncio.gather(*(one(service, references[n % len(references)]) for n in range(MANY)))
        assert open_then >= MANY
        assert said == ["One two three"] * MANY
        began = time.monotonic()
        await service.close()
        assert time.monotonic() - began < 60
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_a_limit_that_is_set(practice: Ground, wire: str) -> None:
    """The third of two waits, says so if it waits too long, and speaks against no model."""
    reference = f"{PROVIDERS[wire]}:m"
    server = practice.server
    server.default = Reply(chunks=["x"] * 10_000, interval=0.02)
    async with practice.service(max_connections=2, breaker_threshold=1) as service:
        busy = [service.chat_stream(ask(reference)) for _ in range(2)]
        for stream in busy:
            await anext(stream)
        asked = len(server.requests)
        for stream_it in (True, False):
            request = ask(reference, timeout=2.0)
            with pytest.raises(ProviderTimeoutError, match=r"All connections to .* were busy .*max_connections"):
                await (service.chat_stream(request).final_response() if stream_it else service.chat(request))
        third = asyncio.create_task(anext(service.chat_stream(ask(reference))))
        await asyncio.sleep(0.2)
        assert len(server.requests) == asked
        await busy[0].aclose()
        assert (await third).delta == "x"
        assert len(server.requests) == asked + 1


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_no_connection_is_lost_to_cancels(practice: Ground, wire: str) -> None:
    """However many requests are cancelled, at whatever moment and twice: all connections can be used again."""
    reference, limit, dice = f"{PROVIDERS[wire]}:m", 10, random.Random(7)
    practice.server.default = Reply(chunks=["x"] * 20, interval=0.001)
    gate = asyncio.Semaphore(limit)
    async with practice.service(max_connections=limit) as service:
        await service.chat(ask(reference))

        async def one(number: int) -> None:
            async with gate:
                stream = service.chat_stream(ask(reference))
                task = asyncio.ensure_future(stream.final_response() if number % 2 else service.chat(ask(reference)))
                await asyncio.sleep(dice.random() * 0.02)
                task.cancel()
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        await asyncio.gather(*map(one, range(300)))
        practice.server.default = Reply(chunks=["x"] * 500, interval=0.02)
        streams = [service.chat_stream(ask(reference, timeout=60)) for _ in range(limit)]
        chunks = await asyncio.gather(*map(anext, streams))
        assert [chunk.delta for chunk in chunks] == ["x"] * limit
        await asyncio.gather(*(stream.aclose() for stream in streams))
