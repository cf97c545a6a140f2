"""Leaving: whoever has enough closes the connection, so that the provider stops generating."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

from ...exceptions import LLMRingError
from ...service import LLMRing
from ...stream import ChatStream
from ..exchange import RecordedRequest, Reply
from ..faults import Fault
from . import contract
from .cases import case, pytest
from .stage import Stage

__all__ = ["ClosingTests"]

_MANY = 20
_ENDLESS = Reply(chunks=["word "] * 2000, interval=0.02)


async def _break(stream: list[ChatStream], service: LLMRing) -> None:
    async for _ in stream.pop():
        break
    gc.collect()


async def _aclose(stream: list[ChatStream], service: LLMRing) -> None:
    await anext(stream[0])
    await stream[0].aclose()


async def _leave(stream: list[ChatStream], service: LLMRing) -> None:
    async with stream[0] as entered:
        await anext(entered)


async def _cancel_task(stream: list[ChatStream], service: LLMRing) -> None:
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream[0]:
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _cancel_stream(stream: list[ChatStream], service: LLMRing) -> None:
    await anext(stream[0])
    stream[0].cancel()


async def _close_service(stream: list[ChatStream], service: LLMRing) -> None:
    await anext(stream[0])
    await service.close()


_WAYS = {
    "a break": _break,
    "aclose": _aclose,
    "leaving async with": _leave,
    "cancelling the task": _cancel_task,
    "cancelling the stream": _cancel_stream,
    "closing the service": _close_service,
}


class ClosingTests:
    """What leaving comes to."""

    @case(contract.CLOSING)
    @pytest.mark.parametrize("way", _WAYS, ids=lambda way: way.replace(" ", "-"))
    async def test_the_connection_is_closed(self, stage: Stage, way: str) -> None:
        stage.says(_ENDLESS)
        service = stage.service()
        await _WAYS[way]([service.chat_stream(stage.ask())], service)
        await _is_closed(stage, stage.server.requests[-1], f"after {way}")

    @case(contract.CLOSING)
    async def test_the_connection_is_closed_while_the_first_chunk_is_awaited(self, stage: Stage) -> None:
        stage.says(Reply(fault=Fault.never_answer()))
        service = stage.service()
        waiting = [asyncio.create_task(ask()) for ask in stage.roads(service, stage.ask())]
        await stage.until(lambda: len(stage.server.requests) == 2, "two questions were asked, and no two requests came")
        for asking in waiting:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
        for request in list(stage.server.requests):
            await _is_closed(stage, request, "after a request was cancelled that waited for its first chunk")

    @case(contract.CLOSING)
    async def test_many_that_are_left_at_once_are_all_closed(self, stage: Stage) -> None:
        stage.says(_ENDLESS)
        service = stage.service()
        streams = [service.chat_stream(stage.ask()) for _ in range(_MANY)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        for stream in streams:
            stream.cancel()
        await stage.until(
            lambda: all(request.closed_by_client.is_set() for request in stage.server.requests),
            f"{_MANY} streams were left at once, and the server still sees connections of them open",
        )

    @case(contract.CANCEL)
    async def test_cancel_ends_the_loop_that_reads(self, stage: Stage) -> None:
        stage.says(Reply(chunks=["word "] * 3, fault=Fault.stall_after(2)))
        stream = stage.service().chat_stream(stage.ask())
        read: list[str] = []
        begun = asyncio.Event()

        async def reader() -> None:
            async for chunk in stream:
                read.append(chunk.finish_reason or chunk.delta)
                begun.set()

        task = asyncio.create_task(reader())
        await begun.wait()
        stream.cancel()
        await task
        stage.check(set(read) == {"word "}, f"after cancel() the loop was handed {read[-1]!r}")
        await _is_closed(stage, stage.server.requests[-1], "after cancel() from another task")

    @case(contract.CLOSING)
    async def test_closing_the_service_leaves_no_connection(self, stage: Stage) -> None:
        stage.says("Hello")
        service = stage.service()
        await asyncio.gather(*(service.chat(stage.ask()) for _ in range(5)))
        await service.close()
        await stage.until(
            lambda: not stage.server.open_connections,
            f"the service is closed, and {stage.server.open_connections} connections of the provider are still open: "
            "close the client in `close`",
        )

    @case(contract.CLOSING)
    async def test_who_waits_is_told_that_the_service_was_closed(self, stage: Stage) -> None:
        stage.says(Reply(fault=Fault.never_answer()))
        service = stage.service()
        asking = asyncio.ensure_future(service.chat(stage.ask()))
        await stage.until(lambda: bool(stage.server.requests), "no request came")
        await service.close()
        try:
            await asking
        except LLMRingError:
            return
        stage.wrong("the service was closed while an answer was awaited, and who waited was not told")


async def _is_closed(stage: Stage, request: RecordedRequest, when: str) -> None:
    stage.check(
        await request.closed(stage.soon),
        f"{when} the server still sees the connection open: what `send` gives back must close it in `aclose()`, and "
        f"`send` must close what it opened where it is cancelled",
    )
