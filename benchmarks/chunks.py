"""CPU per streamed chunk, on each wire: short text, pieces of a tool call, reasoning."""

from __future__ import annotations

import time

from .measuring import Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess, carried
from .talks import SMALL
from .targets import SDK, WIRES, Bytes, Target, targets

__all__ = ["chunks"]

_BOUNDS = {
    "openai": (1.45, 0.2),
    "responses": (1.45, 0.2),
    "anthropic": (1.45, 0.65),
    "google": (1.45, 0.15),
    "ollama": (1.45, 1.0),
}
_KINDS = {"text": "text chunk", "calls": "tool-call chunk", "reasoning": "reasoning chunk"}


async def chunks(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    figures = []
    for wire in WIRES:
        asked = targets(wire, server.url, SMALL, peers=peers)
        for kind, name in _KINDS.items():
            server.choose(kind, scale.chunks)
            count = carried(kind, scale.chunks, wire)
            samples = await alternate(scale.rounds, {who: _cost(target, count) for who, target in asked.items()})
            floor, sdk = _BOUNDS[wire]
            bounds = (Bound(Bytes.NAME, floor), Bound(SDK, sdk)) if kind == "text" else ()
            figures.append(Figure(f"CPU per {name}, {wire}", "µs", samples, bounds))
        for target in asked.values():
            await target.close()
    return figures


def _cost(target: Target, count: int) -> Sample:
    async def sample() -> float:
        begun, seen = time.process_time(), 0
        async for _ in await target.stream():
            seen += 1
        took = time.process_time() - begun
        if seen < count:
            raise RuntimeError(f"{type(target).__name__} gave {seen} of {count} chunks")
        return took / count * 1e6

    return sample
