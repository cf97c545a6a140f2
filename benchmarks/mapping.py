"""Rows through a model: CPU a row beside `asyncio.gather` over the bare SDK, and memory at a million rows.

A hundred are under way at once on both sides. The SDK's client is made once, as anyone makes it, and asked for much the
same. Memory is the most that a process of its own has had by a tenth of its rows, and by the last. Rows come from a
source that makes each when it is asked for. A tenth of them go over loopback; all of them to a provider within the
process, which is registered as anyone registers one of their own, and answers without a socket.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from llmring import LLMRequest, LLMRing, Message
from llmring.bulk import Output
from llmring.providers import Call, Decoder, LineFrames, Provider, ProviderConfig, StreamChunk, usage_of

from .measuring import US, Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import SDK, lockfile, target
from .workers import ask, report

__all__ = ["mapping"]

AT_ONCE = 100
_WIRES = ("openai", "responses")
_TENTH = "at a tenth"


async def mapping(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    server.choose("text", 10)
    return [*await _costs(server, scale), *await _memory(server, scale)]


async def _costs(server: ServerProcess, scale: Scale) -> list[Figure]:
    rows, costs, speeds = scale.chunks // 2, [], []
    for wire in _WIRES:
        bare = target(SDK, wire, server.url, SMALL)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "llmring.lock"
            path.write_text(lockfile(wire, server.url))
            async with LLMRing(path, api_keys={"openai": "practice"}) as service:
                spent: dict[str, list[float]] = {US: [], SDK: []}
                who = {
                    US: _timed(rows, partial(_mapped, service, "bench", rows), spent[US]),
                    SDK: _timed(rows, partial(_gathered, bare.whole, rows), spent[SDK]),
                }
                samples = await alternate(scale.rounds, who)
        await bare.close()
        each = {name: [rows / it for it in spent[name][-scale.rounds :]] for name in spent}
        costs.append(Figure(f"CPU per row, {AT_ONCE} at once, {wire}", "µs", samples, [Bound(SDK, 0.5)]))
        speeds.append(Figure(f"rows a second, {AT_ONCE} at once, {wire}", "", each, [Bound(SDK, 1.0, at_least=True)]))
    return costs + speeds


def _timed(rows: int, work: Callable[[], Awaitable[None]], spent: list[float]) -> Sample:
    async def sample() -> float:
        began, cpu = time.perf_counter(), time.process_time()
        await work()
        cpu = time.process_time() - cpu
        spent.append(time.perf_counter() - began)
        return cpu / rows * 1e6

    return sample


async def _gathered(ask: Callable[[], Awaitable[Any]], rows: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            await ask()  # and let it go: to keep them all would cost the collector's time

    await asyncio.gather(*(one() for _ in range(rows)))


async def _mapped(service: LLMRing, model: str, rows: int, seen: Callable[[int], None] = lambda _: None) -> None:
    def build(row: int) -> LLMRequest:
        return LLMRequest(model=model, messages=[Message(role="user", content=f"Label this row: {row}")])

    answered = 0
    async for result in service.map(_source(rows), build, concurrency=AT_ONCE, ordered=False):
        if result.error is not None:
            raise result.error
        answered += 1
        seen(answered)
    assert answered == rows


def _source(rows: int) -> Iterator[int]:
    """Rows that are nowhere before they are asked for."""
    yield from range(rows)


async def _memory(server: ServerProcess, scale: Scale) -> list[Figure]:
    figures = []
    for what, rows in (("over loopback", scale.rows // 10), ("within the process", scale.rows)):
        tenth, all_of_it = await ask("mapping", what, server.url, rows)
        samples = {US: [all_of_it], _TENTH: [tenth]}
        figures.append(Figure(f"memory of {rows:,} rows, {what}", "MB", samples, [Bound(_TENTH, 1.1)]))
    first, again = await ask("mapping", "output", server.url, scale.rows)
    for run, grown, most in (("", first, 40), (", all done before", again, 100)):
        # Bytes a row: a table of keys grows by doubling, and is there twice while it does. And what that begins with.
        bound = Bound(None, most * scale.rows / 1e6 + 4)
        figures.append(Figure(f"memory of -o, {scale.rows:,} rows{run}", "MB", {US: [grown]}, [bound]))
    return figures


# In processes of their own


def _peak() -> float:
    """MB that this process has had at most."""
    with suppress(OSError), open("/proc/self/status") as file:
        # What follows has that of the process in it which began this one.
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


async def _rows(what: str, url: str, rows: int) -> tuple[float, float]:
    peaks = []

    def seen(answered: int) -> None:
        if answered == max(1, rows // 10):
            peaks.append(_peak())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmring.lock"
        path.write_text(lockfile("openai", url))
        async with LLMRing(path, api_keys={"openai": "practice"}) as service:
            service.register_provider("within", Within)
            await _mapped(service, "bench" if what == "over loopback" else "within:labels", rows, seen)
    return peaks[0], _peak()


class Within(Provider):
    """A provider that is no further than this process."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.client = None

    def render(self, call: Call) -> dict[str, Any]:
        return {"model": call.model, "said": [it.content for it in call.request.messages]}

    def decoder(self, call: Call) -> Decoder:
        return Label(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: bytes) -> Answer:
        await asyncio.sleep(0)
        return Answer()

    async def close(self) -> None: ...


class Answer:
    """An answer as it comes."""

    headers: ClassVar[dict[str, str]] = {}

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield b'{"says": "a label of some words for this row", "tokens": [12, 9]}'

    async def aclose(self) -> None: ...


class Label(Decoder):
    """What is in it."""

    frames = LineFrames
    end_marker = "the end"

    def feed_answer(self, answer: Any) -> StreamChunk:
        self.usage = usage_of(*answer["tokens"])
        return StreamChunk(answer["says"], self.model)


def _output(rows: int) -> tuple[float, float]:
    """MB that a file of answers takes of memory: as it is written, and in a run that finds all of it done."""
    before, grown = _peak(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.jsonl"
        for _ in range(2):
            with Output(path, "whom") as output:
                for row in range(rows):
                    if (wanted := output.wants(f"{row:024x}", f"{row:024x}")) is not None:
                        output.answer({"key": wanted[0], "row": row, "asked": wanted[1], "answer": "a label"})
            grown.append(_peak() - before)
    return grown[0], grown[1]


async def _work(what: str, url: str, rows: str) -> Any:
    return _output(int(rows)) if what == "output" else await _rows(what, url, int(rows))


if __name__ == "__main__":
    report(_work)
