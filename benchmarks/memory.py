"""Memory: what a stream costs that waits for its next chunk, and what a very long answer costs.

As `tracemalloc` counts it: Python's own memory, which a busy machine and a generous allocator leave alone.
"""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial
from typing import Any

from .measuring import US, Bound, Figure, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import SDK, Bytes, Ring, target
from .workers import ask, report

__all__ = ["memory"]

_WORD = len("word0 ")


async def memory(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    async def waiting(wire: str, who: str) -> float:
        server.choose("waiting")
        cost: float = await ask("memory", "waiting", who, wire, server.url, min(scale.streams, 100))
        return cost / 1000

    async def answer(count: int) -> float:
        server.choose("text", count)
        peak: float = await ask("memory", "answer", server.url, count)
        return peak / 1000

    figures = []
    for wire in ("openai", "anthropic"):
        who = {who: partial(waiting, wire, who) for who in (Bytes.NAME, SDK, US)}
        samples = await alternate(1, who, warm=False)
        figures.append(Figure(f"memory of a waiting stream, {wire}", "KB", samples))
    samples = await alternate(1, {US: partial(answer, scale.long), "half of it": partial(answer, scale.long // 2)})
    samples["its text"] = [_WORD * scale.long / 1000]
    bounds = [Bound("its text", 3.0), Bound("half of it", 2.2)]
    return [*figures, Figure(f"memory of an answer of {scale.long:,} chunks", "KB", samples, bounds)]


async def _waiting(who: str, wire: str, url: str, count: str) -> float:
    """Bytes that each of so many streams adds, once a few are open."""
    asked = target(who, wire, url, SMALL)

    async def opened() -> Any:
        stream = await asked.stream()
        iterator = aiter(stream)
        while not asked.text(await anext(iterator)):
            pass
        return stream, iterator

    kept = [await opened() for _ in range(3)]
    tracemalloc.start()
    kept += [await opened() for _ in range(int(count))]
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / int(count)


async def _answer(url: str, count: str) -> int:
    """The most bytes that were in use at once while an answer was read and put together."""
    ring = Ring("openai", url)
    ring.ready(SMALL)
    await ring.whole()
    tracemalloc.start()
    stream = await ring.stream()
    async for _ in stream:
        pass
    response = await stream.final_response()
    _, peak = tracemalloc.get_traced_memory()
    assert len(response.content) == _WORD * int(count)
    await ring.close()
    return peak


async def _work(what: str, *arguments: str) -> Any:
    return await (_waiting if what == "waiting" else _answer)(*arguments)


if __name__ == "__main__":
    report(_work)
