"""Many streams at once on one core, 50 chunks a second each: how late the chunks are, and how many are held.

Each chunk carries the time at which the server sent it. A process holds as many streams as it can take in with the
median chunk no more than a quarter of a second late.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial
from typing import Any

from .measuring import US, Bound, Figure, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import SDK, Bytes, Target, target
from .workers import ask, report

__all__ = ["streams"]

_WIRE = "openai"
_BEHIND = 0.25
_STEP = 0.8


async def streams(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    medians: dict[str, list[float]] = {}
    ninety_ninths: dict[str, list[float]] = {}

    async def late(who: str) -> float:
        server.choose("paced", scale.streams, scale.seconds)
        seen = await ask("streams", "late", who, server.url, scale.streams)
        medians.setdefault(who, []).append(seen["median"])
        ninety_ninths.setdefault(who, []).append(seen["p99"])
        return 0.0

    async def held(who: str) -> float:
        server.choose("paced", 1)
        count: float = await ask("streams", "held", who, server.url, scale.ramp, scale.most)
        return count

    rounds = (scale.rounds + 1) // 2
    await alternate(rounds, {who: partial(late, who) for who in (Bytes.NAME, SDK, US)}, warm=False)
    samples = await alternate(rounds, {who: partial(held, who) for who in (SDK, US)}, warm=False)
    return [
        Figure(f"{scale.streams} streams, {_WIRE}: lateness, median", "ms", medians),
        Figure(f"{scale.streams} streams, {_WIRE}: lateness, 99th percentile", "ms", ninety_ninths),
        Figure(f"streams that one core holds, {_WIRE}", "", samples, [Bound(SDK, 4.0, at_least=True)]),
    ]


class _Crowd:
    """Streams that are read side by side."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.tasks: list[asyncio.Task[None]] = []
        self.lateness: list[float] = []

    async def grow(self, size: int) -> None:
        """Open streams until there are so many."""
        opened = [asyncio.Event() for _ in range(size - len(self.tasks))]
        self.tasks += [asyncio.create_task(self._read(event)) for event in opened]
        await asyncio.gather(*(event.wait() for event in opened))

    async def _read(self, opened: asyncio.Event) -> None:
        stamp, now = self._target.stamp, time.monotonic
        try:
            async for chunk in await self._target.stream():
                if sent := stamp(chunk):
                    self.lateness.append(now() % 1e7 - float(sent))
                    opened.set()
        finally:
            opened.set()


async def _late(who: str, url: str, count: str) -> dict[str, float]:
    """How late the chunks of so many streams are, read to their end. The first third is for settling in."""
    crowd = _Crowd(target(who, _WIRE, url, SMALL))
    await crowd.grow(int(count))
    await asyncio.gather(*crowd.tasks)
    seen = sorted(crowd.lateness[len(crowd.lateness) // 3 :])
    return {"median": statistics.median(seen) * 1e3, "p99": seen[len(seen) * 99 // 100] * 1e3}


async def _held(who: str, url: str, growth: str, most: str) -> int:
    """How many streams can be open with the median chunk not too late."""
    crowd = _Crowd(target(who, _WIRE, url, SMALL))
    size, held = min(60, int(most)), 1
    while held < int(most):
        await crowd.grow(size)
        await asyncio.sleep(_STEP / 4)
        crowd.lateness.clear()
        await asyncio.sleep(_STEP)
        if statistics.median(crowd.lateness) > _BEHIND:
            break
        held, size = size, min(round(size * float(growth)), int(most))
    return held


async def _work(what: str, *arguments: str) -> Any:
    return await (_late if what == "late" else _held)(*arguments)


if __name__ == "__main__":
    report(_work)
