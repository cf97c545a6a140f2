"""What it costs to be watched: CPU per chunk with a listener, with telemetry that goes nowhere, and with an SDK."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llmring import LLMRing
from llmring.telemetry import OpenTelemetry

from .measuring import US, Bound, Figure, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import lockfile

__all__ = ["watching"]

_ALONE = "unwatched"
_WIRE = "openai"
_KEYS = {"openai": "benchmark"}
_PACED = 20
"""Streams at once, which take turns: each chunk comes by itself."""
_KINDS = {"text": "chunk of a burst", "paced": "chunk by itself"}


async def watching(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    figures = []
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    listeners: dict[str, tuple[Any, float]] = {
        "a listener": (lambda event: None, 1.02),
        "telemetry without an SDK": (OpenTelemetry(), 1.02),
        "telemetry on": (OpenTelemetry(tracer_provider=tracers, meter_provider=meters), 1.25),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmring.lock"
        path.write_text(lockfile(_WIRE, server.url))
        async with AsyncExitStack() as stack:
            alone = await stack.enter_async_context(LLMRing(path, api_keys=_KEYS))
            for name, (listener, most) in listeners.items():
                watched = await stack.enter_async_context(LLMRing(path, api_keys=_KEYS, on_event=listener))
                for kind, what in _KINDS.items():
                    asked = {_ALONE: _cost(alone, server, kind, scale), US: _cost(watched, server, kind, scale)}
                    samples = await alternate(scale.rounds, asked)
                    figures.append(Figure(f"CPU per {what}, {name}, {_WIRE}", "µs", samples, [Bound(_ALONE, most)]))
    tracers.shutdown()
    meters.shutdown()
    return figures


def _cost(service: LLMRing, server: ServerProcess, kind: str, scale: Scale) -> Callable[[], Awaitable[float]]:
    async def read(count: int) -> float:
        begun, seen = time.process_time(), 0

        async def one() -> None:
            nonlocal seen
            async for _ in service.chat_stream(SMALL.request("bench")):
                seen += 1

        await asyncio.gather(*(one() for _ in range(count)))
        return (time.process_time() - begun) / seen * 1e6

    async def sample() -> float:
        if kind == "paced":
            server.choose(kind, _PACED, scale.seconds)
            return await read(_PACED)
        server.choose(kind, scale.chunks)
        # The least of several: what else the machine does only adds to them, and more than is looked for here.
        return min([await read(1) for _ in range(2 * scale.requests)])

    return sample
