"""Leaving streams in hard places: other threads, other loops, cycles, and a thousand at once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmring import ChatStream, LLMRing
from llmring.exceptions import LLMRingError, ProviderConnectionError, ProviderTimeoutError
from llmring.testing import Fault, PracticeServer, Reply

from .faults.ground import KEY_VARIABLE, PROVIDERS, Ground, ask

ENDLESS = Reply(chunks=["x"] * 500, interval=0.02)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    practice.server.default = ENDLESS
    return practice.server


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.01)


@pytest.mark.long
def test_a_thousand_streams() -> None:
    """Opened and dropped in every way: no socket, no task, no warning is left."""
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.faults.thousand"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


LAST_ACT = """
import asyncio, gc
from llmring import LLMRequest, LLMRing, Message

asked = LLMRequest(model={model!r}, messages=[Message(role="user", content="hi")])
kept = []

async def main():
    ring = LLMRing()
    stream = ring.chat_stream(asked)
    {leave}

{run}
"""
LEFT = {
    "dropped": "async for _ in ring.chat_stream(asked): break",
    "held": "async for _ in stream: break",
    "held for longer": "await anext(stream); kept.append(stream)",
    "in a cycle": "await anext(stream); it = [stream]; it.append(it)",
    "cancelled": "await anext(stream); stream.cancel()",
    "being read": "await anext(stream); kept.append(asyncio.ensure_future(anext(stream))); await asyncio.sleep(0)",
}


@pytest.mark.parametrize(
    ("left", "wire"), [*((left, "openai-chat") for left in LEFT), ("dropped", "gemini"), ("held for longer", "ollama")]
)
def test_the_last_act_of_a_program(practice: Ground, server: PracticeServer, wire: str, left: str) -> None:
    """Whoever leaves a stream so, and closes no service, is told nothing of it."""
    environment = os.environ | {"LLMRING_LOCKFILE_PATH": str(practice.path), KEY_VARIABLE: "practice"}
    runs = ["asyncio.run(main())"]
    if sys.platform != "win32" and "held for longer" in left:
        runs.append("import uvloop; uvloop.run(main())")
    for run in runs:
        program = LAST_ACT.format(model=f"{PROVIDERS[wire]}:m", leave=LEFT[left], run=run)
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
        assert server.requests


# Threads and loops


class Loop(threading.Thread):
    """A loop that runs in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.start()

    def run(self) -> None:
        self.loop.run_forever()

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
        self.loop.close()


@pytest.fixture
def other() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end()


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_dropped_in_another_thread(practice: Ground, server: PracticeServer, wire: str, other: Loop) -> None:
    """The last to hold a stream may be a thread with another loop, or with none."""
    service = practice.service()
    held = []

    async def open_it() -> None:
        stream = service.chat_stream(ask(f"{PROVIDERS[wire]}:m"))
        await anext(stream)
        held.append(stream)

    for drop in (held.clear, lambda: threading.Thread(target=held.clear).start()):
        other.do(open_it())
        drop()
        assert await server.requests[-1].closed(60)
    other.do(service.close())


async def test_collected_in_another_thread(practice: Ground, server: PracticeServer, other: Loop) -> None:
    service = practice.service()

    async def open_one_in_a_cycle() -> None:
        cycle: list[Any] = [service.chat_stream(ask("anthropic:m"))]
        cycle.append(cycle)
        await anext(cycle[0])

    gc.collect()
    gc.disable()
    try:
        other.do(open_one_in_a_cycle())
        assert not await server.requests[-1].closed(0.1)
        gc.collect()
    finally:
        gc.enable()
    assert await server.requests[-1].closed(60)
    other.do(service.close())


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_collected_with_its_generators(practice: Ground, server: PracticeServer, wire: str) -> None:
    """The loop closes each generator that the collector finds; they are nested, and must not meet."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with practice.service() as service:

        async def open_one_in_a_cycle() -> None:
            cycle: list[Any] = [service.chat_stream(ask(f"{PROVIDERS[wire]}:m"))]
            cycle.append(cycle)
            await anext(cycle[0])

        for _ in range(20):
            await open_one_in_a_cycle()
            gc.collect()
            assert await server.requests[-1].closed(60)
    assert complaints == []


def test_dropped_after_its_loop_has_closed(practice: Ground, server: PracticeServer) -> None:
    async def leave_one_open() -> tuple[LLMRing, ChatStream]:
        service = practice.service()
        stream = service.chat_stream(ask("anthropic:m"))
        await anext(stream)
        return service, stream

    loop = asyncio.new_event_loop()
    service, stream = loop.run_until_complete(leave_one_open())
    loop.run_until_complete(stream.aclose())
    loop.run_until_complete(service.close())
    loop.close()
    stream.cancel()
    del stream, service
    gc.collect()


def test_two_loops_with_a_service_each(practice: Ground, server: PracticeServer) -> None:
    """Streams are dropped in one while the other reads on undisturbed."""
    server.default = Reply(chunks=["x"] * 40, interval=0.01)
    said: list[str] = []

    async def read_all() -> None:
        async with practice.service() as service:
            streams = [service.chat_stream(ask("openai:m")) for _ in range(10)]
            said.extend(r.content for r in await asyncio.gather(*(s.final_response() for s in streams)))

    async def drop_all() -> None:
        async with practice.service() as service:
            for _ in range(10):
                async for _chunk in service.chat_stream(ask("google:m")):
                    break

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for work in (read_all, drop_all)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["x" * 40] * 10


# The service


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_closing_a_service_with_many_open(practice: Ground, server: PracticeServer, wire: str) -> None:
    """Being read, between two reads, at their end, and not begun: all go within a second."""
    reference = f"{PROVIDERS[wire]}:m"
    service = practice.service()
    # Gemini has no end marker: its end is the end of the bytes.
    server.reply("whole", fault=() if wire == "gemini" else Fault.linger(), model="m", times=20)
    ended = [service.chat_stream(ask(reference)) for _ in range(20)]
    for stream in ended:
        async for chunk in stream:
            if chunk.finish_reason:
                break
    between = [service.chat_stream(ask(reference)) for _ in range(20)]
    for stream in between:
        await anext(stream)
    reading = [asyncio.create_task(service.chat_stream(ask(reference)).final_response()) for _ in range(20)]
    fresh = service.chat_stream(ask(reference))
    await until(lambda: len(server.requests) == 60)
    began = time.monotonic()
    await service.close()
    assert time.monotonic() - began < 20
    await until(lambda: server.open_connections == 0)
    outcomes = await asyncio.gather(*reading, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LLMRingError}
    for stream in ended:
        assert [chunk async for chunk in stream] == []
    for stream in (*between, fresh):
        # Whoever reads on is told, once.
        with pytest.raises(LLMRingError, match="was closed while"):
            await anext(stream)
        assert [chunk async for chunk in stream] == []


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_closing_while_a_stream_is_read(practice: Ground, server: PracticeServer, wire: str) -> None:
    """The loop that reads it does not take what has come for the whole answer."""
    service = practice.service()
    server.default = Reply(chunks=["a"] * 1000, interval=0.05)
    seen: list[str] = []

    async def read() -> None:
        async with service.chat_stream(ask(f"{PROVIDERS[wire]}:m")) as stream:
            while True:
                seen.append((await anext(stream)).delta)

    task = asyncio.create_task(read())
    await until(lambda: seen)
    await service.close()
    with pytest.raises(LLMRingError, match="was closed while"):
        await task


async def test_closing_twice(practice: Ground, server: PracticeServer) -> None:
    service = practice.service()
    async for _ in service.chat_stream(ask("anthropic:m")):
        break
    await asyncio.gather(service.close(), service.close())
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await service.chat(ask("anthropic:m"))
    with pytest.raises(LLMRingError, match="closed"):
        await service.chat_stream(ask("anthropic:m")).final_response()


@pytest.mark.parametrize("wire", PROVIDERS)
async def test_closing_while_chat_waits(practice: Ground, server: PracticeServer, wire: str) -> None:
    """Whoever waits hears that the service was closed, and nobody asks once more; the task itself lives on."""
    service = practice.service(max_retries=2)

    async def wait() -> str:
        with pytest.raises(LLMRingError, match="was closed while"):
            await service.chat(ask(f"{PROVIDERS[wire]}:m"))
        await asyncio.sleep(0)
        return "lives"

    server.default = Reply("late", delay=30.0)
    asked = len(server.requests)
    task = asyncio.create_task(wait())
    await until(lambda: len(server.requests) > asked)
    began = time.monotonic()
    await service.close()
    assert await task == "lives"
    assert time.monotonic() - began < 20
    assert await server.requests[-1].closed(60)
    assert len(server.requests) == asked + 1


async def test_cancelled_by_another_while_the_service_closes(practice: Ground, server: PracticeServer) -> None:
    """A cancellation that is not the service's is the caller's to see."""
    service = practice.service()
    server.default = Reply("late", delay=30.0)
    task = asyncio.create_task(service.chat(ask("anthropic:m")))
    await until(lambda: server.requests)
    task.cancel()
    await service.close()
    with pytest.raises(asyncio.CancelledError):
        await task


# Cancelling


async def test_cancelling_at_any_time(practice: Ground, server: PracticeServer) -> None:
    """Before it began, after its end, and twice."""
    async with practice.service() as service:
        fresh = service.chat_stream(ask("openai:m"))
        fresh.cancel()
        fresh.cancel()
        assert [chunk async for chunk in fresh] == []
        assert server.requests == []
        server.reply("whole", model="m")
        stream = service.chat_stream(ask("openai:m"))
        response = await stream.final_response()
        stream.cancel()
        stream.cancel()
        assert stream.response == response
        assert await stream.final_response() == response
        await stream.aclose()


async def test_cancel_meets_a_failure(practice: Ground, server: PracticeServer) -> None:
    """What broke off between two reads is not heard of by whoever has cancelled since."""
    async with practice.service() as service:
        server.reply(chunks=["a"], fault=Fault.error_event(1, 503), model="m")
        stream = service.chat_stream(ask("anthropic:m"))
        await anext(stream)
        stream.cancel()
        assert [chunk async for chunk in stream] == []


async def test_many_cancels_at_once(practice: Ground, server: PracticeServer) -> None:
    """From its own loop's callbacks and its reader's task alike, in any order."""
    async with practice.service() as service:
        for order in range(6):
            stream = service.chat_stream(ask("google:m"))
            task = asyncio.create_task(stream.final_response())
            await until(lambda: stream.response.content)  # noqa: B023
            ends: list[Callable[[], object]] = [
                stream.cancel,
                task.cancel,
                lambda: asyncio.ensure_future(stream.aclose()),  # noqa: B023
            ]
            for end in (*ends[order % 3 :], *ends[: order % 3]):
                end()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(outcome, asyncio.CancelledError | LLMRingError)
            assert await server.requests[-1].closed(60)


@pytest.mark.parametrize("end", ["cancel", "aclose"])
@pytest.mark.parametrize("wire", PROVIDERS)
async def test_cancel_meets_the_timer(practice: Ground, server: PracticeServer, wire: str, end: str) -> None:
    """The stream is left while its reader is on its way out for a timeout: that is no cancellation of the reader's."""
    server.default = Reply(chunks=["a", "b"], fault=Fault.stall_after(1))
    loop = asyncio.get_running_loop()
    warm = practice.service()
    warm.get_provider(PROVIDERS[wire])  # its SDK may take a while to import
    await warm.close()

    async def leave(steps: int) -> tuple[object, int]:
        """Leave that many steps of the loop after the timer has woken the reader; what came of it."""
        service = practice.service(timeout=600)
        stream = service.chat_stream(ask(f"{PROVIDERS[wire]}:m"))
        reader = asyncio.create_task(stream.final_response())
        ending: list[asyncio.Task[None]] = []

        def after(left: int) -> None:
            if left:
                loop.call_soon(after, left - 1)
            elif end == "cancel":
                stream.cancel()
            else:
                ending.append(asyncio.ensure_future(stream.aclose()))

        await until(lambda: stream.response.content and stream._reader is not None)
        stream._waiting_since -= 600  # as if it had waited so long
        stream._watch()
        assert stream._woken_by == "timeout"
        after(steps)
        (outcome,) = await asyncio.gather(reader, return_exceptions=True)
        await asyncio.gather(*ending)
        await service.close()
        return outcome, reader.cancelling()

    found = await asyncio.gather(*(leave(steps) for steps in range(10)))
    for outcome, cancelling in found:
        assert isinstance(outcome, LLMRingError)  # the timeout, or that the stream was left before its end
        assert cancelling == 0
    if end == "cancel":
        assert "was closed before" in str(found[0][0])
    assert isinstance(found[-1][0], ProviderTimeoutError)
    await until(lambda: server.open_connections == 0)


# Connecting


@pytest.fixture
def blackhole() -> Iterator[str]:
    """An address that takes no more connections and refuses none: its backlog is full."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            waiting.append(one)
        yield f"http://127.0.0.1:{address[1]}"
        for one in waiting:
            one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog drops connections only there")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("wire", PROVIDERS)
async def test_nobody_takes_the_connection(practice: Ground, blackhole: str, wire: str, stream: bool) -> None:
    reference = f"hole-{PROVIDERS[wire]}:m"
    practice.places["hole-"] = blackhole
    practice.bind({})
    async with practice.service(timeout=0.4, max_retries=2) as service:
        service.get_provider(reference.partition(":")[0])
        began = time.monotonic()
        with pytest.raises(ProviderTimeoutError):
            await (service.chat_stream(ask(reference)).final_response() if stream else service.chat(ask(reference)))
        assert 0.35 < time.monotonic() - began < 20
        began = time.monotonic()
        task = asyncio.create_task(service.chat_stream(ask(reference, timeout=None)).final_response())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 20


def sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="it counts the files of /proc")
@pytest.mark.parametrize("wire", PROVIDERS)
async def test_leaving_in_the_middle_of_connecting(practice: Ground, server: PracticeServer, wire: str) -> None:
    """At every step on the way to the first byte."""
    reference = f"{PROVIDERS[wire]}:m"
    server.default = Reply("x", delay=0.005)
    async with practice.service() as service:
        await service.chat(ask(reference))
        before = sockets()
        for steps in range(60):
            task = asyncio.create_task(service.chat_stream(ask(reference)).final_response())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await until(lambda: server.open_connections <= 1 and sockets() <= before)
        assert (await service.chat(ask(reference))).content == "x"


async def test_refused_for_good(practice: Ground, server: PracticeServer) -> None:
    async with practice.service(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError):
            await service.chat_stream(ask("refused-openai:m")).final_response()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
