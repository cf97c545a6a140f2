"""What a rate costs: in the process, and with Redis on loopback beside its bare client, which runs the same script.

The bare client is redis-py's, as anyone makes it.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import redis.asyncio

from llmring import LLMRequest, Message
from llmring.answer import Call
from llmring.counting import Limits
from llmring.lockfile import Policy, Rate
from llmring.state import Gate, Subject
from llmring.state.asks import MICRO, Ask, Told
from llmring.state.desk import Desk
from llmring.state.far import Far
from llmring.state.redis import RedisStore
from llmring.state.stores import ProcessStore

from .measuring import US, Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess

__all__ = ["state"]

_MODEL = "openai:gpt-4o-mini"


async def state(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    count = scale.chunks * 2
    request = LLMRequest(model="x", messages=[Message(role="user", content="Count to 10, please, and say why.")])
    call = Call(request, "gpt-4o-mini", True, 60.0)
    figures = []
    for name, rate in (
        ("a rate of requests", Rate(10**6, None, "second")),
        ("a rate of requests and tokens", Rate(10**6, 10**9, "second")),
    ):
        subject = Subject(
            "chatbot", "default", Policy(rate=rate), 10, 30.0, lambda model, asked: Limits(), lambda model: None
        )
        desk = Desk(ProcessStore())

        async def pass_the_gate(subject: Subject = subject, desk: Desk = desk) -> None:
            gate = Gate(desk, subject, None)
            let_through = await gate.admit(_MODEL, call, elsewhere=False, until=None)
            let_through.began(_Answer())  # type: ignore[arg-type]

        who = {US: _timed(pass_the_gate, count, time.process_time)}
        figures.append(
            Figure(f"{name}, in the process", "µs CPU", await alternate(scale.rounds, who), [Bound(None, 15.0)])
        )
    async with _redis() as url:
        if url is not None:
            figures.append(await _over_redis(url, scale))
    return figures


async def _over_redis(url: str, scale: Scale) -> Figure:
    ask = Ask(client="a", rate="rate:x", request=1, tokens=1, burst=MICRO, limit="limit:m", breaker="breaker:m")
    ask = ask._replace(threshold=10, cooldown=MICRO, weight=500, next_age=-1)
    told: list[Told] = [("rate", "rate:x", (0, -1))]
    store = RedisStore(url)
    far, bare = Far(store, ProcessStore(), "STORE", "closed"), redis.asyncio.Redis.from_url(url)
    await store.step(told, [ask])
    keys, given = store.said(told, [ask])
    digest = store._digest
    line = far.line("rate:x")

    async def ours() -> None:
        await line.through(ask._replace(client=line.client), None)
        far.tell(*told)

    async def theirs() -> None:
        await bare.evalsha(digest, len(keys), *keys, given, "")

    count = max(50, scale.chunks // 5)
    who = {US: _timed(ours, count, time.perf_counter), "redis": _timed(theirs, count, time.perf_counter)}
    # Each is short, and a busy machine takes its time from one of the two.
    samples = await alternate(max(9, scale.rounds), who)
    await far.close()
    await bare.aclose()
    return Figure("a rate, with Redis on loopback", "µs", samples, [Bound("redis", 1.3)])


class _Answer:
    """What a gate asks of an answer that has ended."""

    class response:
        headers: dict[str, str] = {}  # noqa: RUF012

    class decoder:
        complete, size = True, 500

        class served:
            model, response_model, service_tier = _MODEL, None, None
            usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}  # noqa: RUF012

    def hear(self, ended: Callable[[None], None]) -> None:
        ended(None)


def _timed(action: Callable[[], Awaitable[None]], count: int, clock: Callable[[], float]) -> Sample:
    async def sample() -> float:
        begun = clock()
        for _ in range(count):
            await action()
        return (clock() - begun) / count * 1e6

    return sample


@asynccontextmanager
async def _redis() -> AsyncIterator[str | None]:
    """A server of our own, where the program is found."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            while b"Ready to accept" not in await process.stdout.readline():
                pass
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            await process.communicate()
