"""CPU per request, streamed and whole, for a small and for a long conversation; and the time to the first text."""

from __future__ import annotations

import statistics
import time

from .measuring import Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess
from .talks import LONG, SMALL
from .targets import SDK, WIRES, Target, targets

__all__ = ["requests"]


async def requests(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    server.choose("text", 10)
    costs, waits = [], []
    for wire in WIRES:
        asked = targets(wire, server.url, SMALL, peers=peers)
        for size, talk in (("small", SMALL), ("200 KB", LONG)):
            for target in asked.values():
                target.ready(talk)
            for way, cost in (("streamed", _streamed), ("whole", _whole)):
                samples = await alternate(
                    scale.rounds, {who: cost(target, scale.requests) for who, target in asked.items()}
                )
                bounds = [Bound(SDK, 1.0)] if talk is LONG else []
                costs.append(Figure(f"CPU per request, {size}, {way}, {wire}", "ms", samples, bounds))
            samples = await alternate(
                scale.rounds, {who: _first(target, 2 * scale.requests) for who, target in asked.items()}
            )
            waits.append(Figure(f"time to first text, {size}, {wire}", "ms", samples, [Bound(SDK, 1.05)]))
        for target in asked.values():
            await target.close()
    return costs + waits


def _streamed(target: Target, count: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            async for _ in await target.stream():
                pass
        return (time.process_time() - begun) / count * 1e3

    return sample


def _whole(target: Target, count: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            await target.whole()
        return (time.process_time() - begun) / count * 1e3

    return sample


def _first(target: Target, count: int) -> Sample:
    async def sample() -> float:
        waits = []
        for _ in range(count):
            begun, first = time.perf_counter(), 0.0
            async for chunk in await target.stream():
                if not first and target.text(chunk):
                    first = time.perf_counter() - begun
            if not first:
                raise RuntimeError(f"{type(target).__name__} gave no text")
            waits.append(first)
        return statistics.median(waits) * 1e3

    return sample
