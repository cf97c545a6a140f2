"""`python -X dev -W error -m tests.faults.thousand`: a thousand streams, opened and left in every way.

Says nothing where nothing is left behind: no socket, no task, no warning.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from llmring import LLMRing
from llmring.testing import Reply

from .ground import PROVIDERS, Ground, ask, ground

STREAMS = 1000
_AT_ONCE = 50


async def dropped(service: LLMRing, reference: str) -> None:
    async for _ in service.chat_stream(ask(reference)):
        break


async def dropped_in_a_cycle(service: LLMRing, reference: str) -> None:
    stream = service.chat_stream(ask(reference))
    holder = [stream]
    holder.append(holder)  # type: ignore[arg-type]
    await anext(stream)


async def closed(service: LLMRing, reference: str) -> None:
    async with service.chat_stream(ask(reference)) as stream:
        await anext(stream)


async def cancelled(service: LLMRing, reference: str) -> None:
    stream = service.chat_stream(ask(reference))
    await anext(stream)
    asyncio.get_running_loop().call_later(0.01, stream.cancel)
    async for _ in stream:
        pass


async def cancelled_while_connecting(service: LLMRing, reference: str) -> None:
    task = asyncio.create_task(service.chat_stream(ask(reference)).final_response())
    await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def timed_out(service: LLMRing, reference: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            await service.chat_stream(ask(reference)).final_response()


async def chat_cancelled(service: LLMRing, reference: str) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(service.chat(ask(reference)), 0.02)


WAYS: list[Callable[[LLMRing, str], Awaitable[None]]] = [
    *(dropped, dropped_in_a_cycle, closed, cancelled, cancelled_while_connecting, timed_out, chat_cancelled)
]


async def leave(practice: Ground) -> None:
    """Open and leave them all."""
    asyncio.get_running_loop().slow_callback_duration = 10.0
    gate = asyncio.Semaphore(_AT_ONCE)
    references = [f"{provider}:m" for provider in PROVIDERS.values()]
    async with practice.service() as service:

        async def one(number: int) -> None:
            async with gate:
                await WAYS[number % len(WAYS)](service, references[number % len(references)])

        practice.server.default = Reply("warm")
        for reference in references:
            await service.chat(ask(reference))
        practice.server.default = Reply(chunks=["x"] * 100, interval=0.02, delay=0.03)
        await asyncio.gather(*map(one, range(STREAMS)))
        gc.collect()
        for _ in range(100):
            # Connections are kept for the next request; generators that were dropped are closed in tasks of the loop's.
            if practice.server.open_connections <= len(references) and len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0.01)
        left = practice.server.open_connections
        if left > len(references):
            print(f"{left} connections are open a second later", file=sys.stderr)
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            print(f"tasks are left: {others}", file=sys.stderr)


def sockets() -> int:
    """How many this process holds."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


def main() -> None:
    with ground() as practice:
        before = sockets()
        asyncio.run(leave(practice))
        gc.collect()
        if (after := sockets()) > before:
            print(f"{after - before} sockets are left", file=sys.stderr)


if __name__ == "__main__":
    main()
