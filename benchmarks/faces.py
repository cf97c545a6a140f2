"""What the synchronous face costs above the asynchronous one: CPU per chunk, in a burst and each by itself."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from llmring import LLMRing, sync

from .measuring import US, Bound, Figure, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import lockfile

__all__ = ["faces"]

_ASYNCHRONOUS = "asynchronous"
_WIRE = "openai"
_KEYS = {"openai": "benchmark"}


async def faces(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    figures = []
    request = SMALL.request("bench")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmring.lock"
        path.write_text(lockfile(_WIRE, server.url))
        with sync.LLMRing(path, api_keys=_KEYS) as waiting:
            async with LLMRing(path, api_keys=_KEYS) as service:
                for kind, name in (("text", "chunk of a burst"), ("paced", "chunk by itself")):

                    def choose(kind: str = kind) -> None:
                        if kind == "paced":
                            server.choose(kind, 1, scale.seconds)
                        else:
                            server.choose(kind, scale.chunks)

                    async def asynchronous() -> float:
                        choose()
                        begun, seen = time.process_time(), 0
                        async for _ in service.chat_stream(request):
                            seen += 1
                        return (time.process_time() - begun) / seen * 1e6

                    async def synchronous() -> float:
                        choose()
                        begun, seen = time.process_time(), 0
                        for _ in waiting.chat_stream(request):
                            seen += 1
                        return (time.process_time() - begun) / seen * 1e6

                    samples = await alternate(scale.rounds, {_ASYNCHRONOUS: asynchronous, US: synchronous})
                    bounds = [Bound(_ASYNCHRONOUS, 2.0)]
                    figures.append(Figure(f"CPU per {name}, synchronous, {_WIRE}", "µs", samples, bounds))
    return figures
