"""A stream: read, left, cancelled, closed. Through every SDK and over real sockets."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from llmring import ChatStream, LLMRequest, LLMRing, Message
from llmring.exceptions import LLMRingError, ProviderConnectionError, ProviderTimeoutError
from llmring.testing import Fault, PracticeServer, Reply, Tokens

from .conftest import Way

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
DIRECT = ASKED.model_copy(update={"model": "anthropic:m"})
ENDLESS = Reply(chunks=["x"] * 10_000, interval=0.01)


async def everything_is_closed(server: PracticeServer, case: str = "") -> None:
    """The server sees the client leave, with the answer still under way."""
    for request in server.requests:
        assert await request.closed(60), case
        assert request.finished_at is None, case


async def read(stream: ChatStream, enough: int = 3) -> str:
    said = ""
    async for chunk in stream:
        said += chunk.delta
        if len(said) >= enough:
            break
    return said


# Ways to leave


async def by_break(service: LLMRing) -> None:
    async for chunk in service.chat_stream(ASKED):
        if chunk.delta:
            break


async def by_return(service: LLMRing) -> None:
    async def first() -> str:
        async for chunk in service.chat_stream(ASKED):
            return chunk.delta
        return ""

    assert await first() == "x"


async def by_error(service: LLMRing) -> None:
    async def first() -> None:
        async for _ in service.chat_stream(ASKED):
            raise KeyError("mine")

    with pytest.raises(KeyError) as raised:
        await first()
    raised.value.__traceback__ = None
    del raised


async def by_aclose(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    assert await read(stream) == "xxx"
    await stream.aclose()
    assert [chunk async for chunk in stream] == []
    await stream.aclose()


async def by_aclosing(service: LLMRing) -> None:
    async with aclosing(service.chat_stream(ASKED)) as stream:
        await read(stream)


async def by_leaving_the_block(service: LLMRing) -> None:
    async with service.chat_stream(ASKED) as stream:
        assert await read(stream) == "xxx"
    assert [chunk async for chunk in stream] == []


async def by_cancelling_the_task(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    task = asyncio.create_task(read(stream, 10_000))
    await until(lambda: len(stream.response.content) >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert stream.response.content.startswith("xxx")


async def by_timeout(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    with pytest.raises(TimeoutError):  # noqa: PT012
        async with asyncio.timeout(None) as limit:
            async for _ in stream:
                if limit.when() is None:
                    limit.reschedule(asyncio.get_running_loop().time() + 0.05)
    assert stream.response.content


async def by_wait_for(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    await read(stream)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.final_response(), 0.05)


async def by_task_group(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)

    async def fail() -> None:
        await until(lambda: stream.response.content)
        raise KeyError("sibling")

    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(read(stream, 10_000))
            group.create_task(fail())
    assert [type(error) for error in raised.value.exceptions] == [KeyError]


async def by_cancel(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    task = asyncio.create_task(read(stream, 10_000))
    await until(lambda: len(stream.response.content) >= 3)
    stream.cancel()
    said = await task  # without an error
    assert said == stream.response.content
    assert stream.response.finish_reason is None
    stream.cancel()
    with pytest.raises(LLMRingError, match="closed before its final chunk"):
        await stream.final_response()


async def by_cancel_between_two_chunks(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    assert await read(stream) == "xxx"
    stream.cancel()
    assert [chunk async for chunk in stream] == []


async def by_aclose_from_another_task(service: LLMRing) -> None:
    stream = service.chat_stream(ASKED)
    task = asyncio.create_task(read(stream, 10_000))
    await until(lambda: len(stream.response.content) >= 3)
    await stream.aclose()
    assert (await task).startswith("xxx")


async def by_closing_the_service(service: LLMRing) -> None:
    streams = [service.chat_stream(ASKED) for _ in range(3)]
    tasks = [asyncio.create_task(read(stream, 10_000)) for stream in streams]
    await until(lambda: all(stream.response.content for stream in streams))
    await service.close()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(it) for it in told} == {LLMRingError}
    assert all(stream.response.content.startswith("x") for stream in streams)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - it is another thread's, or another task's
            await asyncio.sleep(0.01)


LEAVING: list[Callable[[LLMRing], Awaitable[None]]] = [
    *(by_break, by_return, by_error, by_aclose, by_aclosing, by_leaving_the_block, by_cancelling_the_task),
    *(by_timeout, by_wait_for, by_task_group, by_cancel, by_cancel_between_two_chunks, by_aclose_from_another_task),
    by_closing_the_service,
]


async def test_the_connection_is_closed(way: Way, server: PracticeServer) -> None:
    server.default = ENDLESS
    gc.disable()  # no collector may be needed for it
    try:
        async with LLMRing() as service:
            service.get_provider(way.provider)  # whose SDK may take a while to import
            for leave in LEAVING:
                server.requests.clear()
                await leave(service)
                assert server.requests, leave.__name__
                await everything_is_closed(server, leave.__name__)
    finally:
        gc.enable()
    await until(lambda: server.open_connections == 0)


async def test_a_wait_can_be_ended(way: Way, server: PracticeServer) -> None:
    """Before the first chunk, or while nothing comes."""
    async with LLMRing(timeout=None) as service:
        service.get_provider(way.provider)
        for fault in (Fault.never_answer(), Fault.headers_only(), Fault.stall_after(2)):
            for end in ("cancel", "aclose", "task", "close") if fault.kind == "stall" else ("cancel", "aclose", "task"):
                case = f"{end} while {fault.kind}"
                server.requests.clear()
                server.default = Reply(chunks=["a", "b", "c"], fault=fault)
                stream = service.chat_stream(ASKED)
                task = asyncio.create_task(read(stream, 100))
                await until(lambda: server.requests)
                await until(lambda: fault.kind != "stall" or stream.response.content == "ab")  # noqa: B023
                began = time.monotonic()
                if end == "cancel":
                    stream.cancel()
                elif end == "aclose":
                    await stream.aclose()
                elif end == "close":
                    await service.close()
                else:
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                if end == "close":
                    with pytest.raises(LLMRingError, match="was closed while"):
                        await task
                elif end != "task":
                    assert await task == ("ab" if fault.kind == "stall" else ""), case
                await everything_is_closed(server, case)
                assert time.monotonic() - began < 20, case


async def test_a_stream_that_is_dropped_before_it_began(server: PracticeServer) -> None:
    async with LLMRing() as service:
        service.chat_stream(DIRECT)
        async with service.chat_stream(DIRECT):
            pass
        stream = service.chat_stream(DIRECT)
        stream.cancel()
        assert [chunk async for chunk in stream] == []
    assert server.requests == []


@pytest.mark.parametrize(("model", "rounds"), [("openai:m", 3), ("anthropic:m", 1), ("google:m", 1), ("ollama:m", 1)])
async def test_hundreds_of_streams_are_dropped(server: PracticeServer, model: str, rounds: int) -> None:
    """None leaves a socket, a task or itself behind."""
    server.default = Reply(chunks=["x"] * 1000, interval=0.05)
    request = ASKED.model_copy(update={"model": model})
    async with LLMRing() as service:
        for _ in range(rounds):
            async with asyncio.TaskGroup() as group:
                for _ in range(60):
                    group.create_task(read(service.chat_stream(request), 1))
        await until(lambda: server.open_connections == 0)
        assert len(server.requests) == 60 * rounds
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert len(service._records.here().streams) == 0


async def test_nothing_waits_for_a_stream_that_is_over(way: Way, server: PracticeServer) -> None:
    """Its timer is off, however it ended."""
    loop: Any = asyncio.get_running_loop()
    async with LLMRing(timeout=1000) as service:
        for leave in (None, by_aclose, by_cancel, by_cancelling_the_task):
            server.default = Reply("well") if leave is None else ENDLESS
            await (leave(service) if leave else service.chat_stream(ASKED).final_response())
    assert [timer for timer in loop._scheduled if not timer.cancelled() and timer.when() > loop.time() + 100] == []


async def test_a_finished_stream_gives_its_connection_back(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        for _ in range(4):
            await service.chat_stream(ASKED).final_response()
            async for chunk in service.chat_stream(ASKED):
                if chunk.finish_reason:
                    break
            await asyncio.sleep(0.02)
            await service.chat(ASKED)
        assert len({request.connection for request in server.requests}) == 1


async def test_closing_a_service_waits_for_what_was_dropped(way: Way, server: PracticeServer) -> None:
    server.default = ENDLESS
    service = LLMRing()
    await by_break(service)
    record = service._records.here()
    await service.close()
    assert not record._closing
    await everything_is_closed(server)
    await service.close()


async def test_a_closed_service_takes_no_requests(server: PracticeServer) -> None:
    service = LLMRing()
    stream = service.chat_stream(DIRECT)
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await anext(stream)
    assert [chunk async for chunk in stream] == []
    with pytest.raises(LLMRingError, match="closed"):
        await service.chat(DIRECT)
    with pytest.raises(LLMRingError, match="closed"):
        await anext(service.chat_stream(DIRECT))
    assert server.requests == []


async def test_one_reader_at_a_time(way: Way, server: PracticeServer) -> None:
    server.default = ENDLESS
    async with LLMRing() as service, service.chat_stream(ASKED) as stream:
        first = asyncio.create_task(read(stream, 10))
        await until(lambda: stream.response.content)
        with pytest.raises(RuntimeError, match="one reader"):
            await read(stream)
        assert await first == "x" * 10
        # One after the other is well.
        assert await read(stream) == "xxx"


async def test_leaving_the_block_from_inside_a_cancelled_task(server: PracticeServer) -> None:
    """A second cancellation, while the first is on its way out, changes nothing."""
    server.default = ENDLESS
    async with LLMRing() as service:

        async def run() -> None:
            async with service.chat_stream(DIRECT) as stream:
                await read(stream, 10_000)

        task = asyncio.create_task(run())
        await until(lambda: server.requests and server.requests[0].chunks_sent > 2)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await everything_is_closed(server)


async def test_the_cancellation_of_others_is_not_swallowed(server: PracticeServer) -> None:
    """`stream.cancel()` and the cancellation of the task at once: the task is cancelled."""
    server.default = ENDLESS
    async with LLMRing() as service:
        stream = service.chat_stream(DIRECT)
        task = asyncio.create_task(read(stream, 10_000))
        await until(lambda: stream.response.content)
        stream.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await everything_is_closed(server)


async def test_a_cancelled_stream_leaves_its_task_well(server: PracticeServer) -> None:
    """The loop ends and the task goes on: what it awaits next is not cancelled."""
    server.default = ENDLESS
    async with LLMRing() as service:
        stream = service.chat_stream(DIRECT)

        async def run() -> str:
            await read(stream, 10_000)
            async with asyncio.timeout(60):
                await asyncio.sleep(0.05)
            assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
            return (await service.chat(ASKED.model_copy(update={"model": "ollama:m"}))).content

        task = asyncio.create_task(run())
        await until(lambda: stream.response.content)
        server.default = Reply("well")
        stream.cancel()
        assert await task == "well"


async def test_a_timeout_leaves_its_task_well(server: PracticeServer) -> None:
    server.reply(chunks=["a", "b"], fault=Fault.stall_after(1))
    async with LLMRing(timeout=1.0) as service:
        with pytest.raises(ProviderTimeoutError):
            await service.chat_stream(DIRECT).final_response()
        await asyncio.sleep(1.2)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        assert await service.chat_stream(DIRECT).final_response()


# What a stream holds


async def test_the_response_so_far(way: Way, server: PracticeServer) -> None:
    server.reply(
        chunks=["Hel", "lo", "!"], reasoning=["Hm"], usage=Tokens(3, 4), response_model="model-9", interval=0.02
    )
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        assert stream.response.content == ""
        assert stream.response.finish_reason is None
        said = ""
        async for chunk in stream:
            said += chunk.delta
            assert stream.response.content == said
            assert stream.response.reasoning == "Hm"
            assert stream.response.model == way.model
            assert stream.response.finish_reason == chunk.finish_reason
        response = stream.response
        assert (response.content, response.finish_reason, response.total_tokens) == ("Hello!", "stop", 7)
        assert response.response_model == "model-9"
        assert await stream.final_response() == response
        assert await stream.final_response() == response


async def test_final_response_goes_on_from_where_the_loop_left(server: PracticeServer) -> None:
    server.reply(chunks=["Hel", "lo"])
    async with LLMRing() as service:
        stream = service.chat_stream(DIRECT)
        assert (await anext(stream)).delta == "Hel"
        assert (await stream.final_response()).content == "Hello"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_nothing_is_sent_before_the_first_chunk_is_asked_for(server: PracticeServer) -> None:
    async with LLMRing() as service:
        stream = service.chat_stream(DIRECT)
        await asyncio.sleep(0.05)
        assert server.requests == []
        await anext(stream)
        assert len(server.requests) == 1


async def test_to_message(way: Way, server: PracticeServer) -> None:
    server.reply("Hello", reasoning="Hm")
    async with LLMRing() as service:
        response = await service.chat_stream(ASKED).final_response()
        message = response.to_message()
        assert (message.role, message.content, message.tool_calls) == ("assistant", "Hello", None)
        turns = [*ASKED.messages, message, Message(role="user", content="And now?")]
        assert (await service.chat(LLMRequest(model="chatbot", messages=turns))).content == "You said: And now?"
    assert message.model_dump_json()


async def test_what_had_arrived_is_kept_after_a_cut(server: PracticeServer) -> None:
    server.reply(chunks=["Hel", "lo", " there"], usage=Tokens(3, 4), fault=Fault.cut_after(2))
    async with LLMRing() as service:
        stream = service.chat_stream(DIRECT)
        with pytest.raises(ProviderConnectionError) as raised:
            await stream.final_response()
        assert stream.response.content == "Hello"
        assert stream.response.usage is not None
        assert stream.response.usage["prompt_tokens"] == 3
        assert raised.value.partial == stream.response


async def test_streams_side_by_side(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(chunks=list(request.question), interval=0.001))

    async def ask(service: LLMRing, number: int) -> str:
        request = LLMRequest(model="chatbot", messages=[Message(role="user", content=f"number {number}")])
        return (await service.chat_stream(request).final_response()).content

    async with LLMRing() as service:
        answers = await asyncio.gather(*(ask(service, number) for number in range(60)))
    assert answers == [f"number {number}" for number in range(60)]


async def test_a_loop_that_is_slower_than_the_server_holds_it_back(server: PracticeServer) -> None:
    """What nobody reads is not piled up in memory: the sockets fill, and the server has to wait."""
    server.reply(chunks=["x" * 10_000] * 3000)
    async with LLMRing() as service, service.chat_stream(DIRECT) as stream:
        await anext(stream)
        await asyncio.sleep(0.4)
        held = server.requests[0].chunks_sent
        await asyncio.sleep(0.2)
        assert server.requests[0].chunks_sent == held < 3000


def test_two_loops_one_after_the_other(server: PracticeServer) -> None:
    """A service in each; a stream that is left open when its loop ends does no harm to the next."""

    async def run() -> str:
        async with LLMRing() as service:
            return (await service.chat_stream(DIRECT).final_response()).content

    assert [asyncio.run(run()) for _ in range(2)] == ["You said: Hi"] * 2


async def test_an_iterator_by_hand(server: PracticeServer) -> None:
    async with LLMRing() as service:
        stream: AsyncIterator[Any] = aiter(service.chat_stream(DIRECT))
        assert [chunk.delta async for chunk in stream if chunk.delta] == ["You", " said:", " Hi"]
