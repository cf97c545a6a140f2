"""What resolving an alias costs, with the check that the lockfile has not changed."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from llmring import LLMRing

from .measuring import Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess
from .targets import lockfile

__all__ = ["aliases"]


async def aliases(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmring.lock"
        path.write_text(lockfile("openai", server.url))
        async with LLMRing(path) as service:
            service.resolve_alias("bench")
            await asyncio.sleep(0.2)  # a file that has just changed is read again, since its time tells little yet
            service.resolve_alias("bench")
            count = scale.chunks * 10
            who = {
                "llmring": _cost(lambda: service.resolve_alias("bench"), count),
                "one os.stat": _cost(lambda: os.stat(path), count),
            }
            samples = await alternate(scale.rounds, who)
    return [Figure("resolving an alias", "µs CPU", samples, [Bound(None, 5.0)])]


def _cost(action: Callable[[], object], count: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            action()
        return (time.process_time() - begun) / count * 1e6

    return sample
