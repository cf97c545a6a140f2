"""What a policy costs a request that it does nothing to, and what hedging does to the slow ones."""

from __future__ import annotations

import asyncio
import math
import os
import random
import tempfile
import threading
import time
from pathlib import Path

from llmring import LLMRequest, LLMRing, Message
from llmring.testing import PracticeServer, RecordedRequest, Reply

from .measuring import Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess
from .targets import lockfile

__all__ = ["policies"]

MEDIAN, SLOW, SHARE = 0.05, 5.0, 0.05
"""Seconds until a model's first chunk, at the median and for one in twenty."""
AFTER = 0.3
"""Seconds until the second model is asked: six times the median."""
WITHOUT = "without a policy"


async def policies(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    return [*await _costs(server, scale), *await _tails(scale)]


async def _costs(server: ServerProcess, scale: Scale) -> list[Figure]:
    server.choose("text", 10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmring.lock"
        head = '[[profiles.default.bindings]]\nmodels = ["openai:practice-1", "openai:practice-2"]\n'
        keys = {
            "plain": "",
            "split": 'split = { weights = [1, 0], by = "user" }\nsticky = "10m"\n',
            "hedged": "hedge_after = 30\n",
            "all": 'split = { weights = [1, 0], by = "user" }\nsticky = "10m"\nhedge_after = 30\ndeadline = 60\n'
            'move_on = ["empty"]\non_refused_param = "drop"\n',
        }
        bound = "".join(f'{head}alias = "{alias}"\n{said}' for alias, said in keys.items())
        path.write_text(f"{lockfile('openai', server.url)}\n{bound}")
        async with LLMRing(path) as service:
            for way in (_streamed, _whole):
                await way(service, "plain", 1)()
            await asyncio.sleep(0.2)
            figures = []
            for name, alias in (("split and sticky", "split"), ("hedge_after", "hedged"), ("all but limits", "all")):
                # A whole answer that is hedged is asked for as a stream, which alone says when it begins.
                for said, way, limit in (("streamed", _streamed, 1.15), ("whole", _whole, 1.5)):
                    who = {
                        "llmring": way(service, alias, scale.requests * 10),
                        WITHOUT: way(service, "plain", scale.requests * 10),
                    }
                    samples = await alternate(scale.rounds, who)
                    figures.append(Figure(f"CPU per request, {name}, {said}", "ms", samples, [Bound(WITHOUT, limit)]))
    return figures


def _asked(alias: str) -> LLMRequest:
    return LLMRequest(model=alias, messages=[Message(role="user", content="Hi")], metadata={"user": "u-7"})


def _streamed(service: LLMRing, alias: str, count: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            async for _ in service.chat_stream(_asked(alias)):
                pass
        return (time.process_time() - begun) / count * 1e3

    return sample


def _whole(service: LLMRing, alias: str, count: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            await service.chat(_asked(alias))
        return (time.process_time() - begun) / count * 1e3

    return sample


async def _tails(scale: Scale) -> list[Figure]:
    """The same requests with and without a hedge, against models that are slow now and then."""
    factor, count = (1.0, 400) if scale.rounds > 1 else (0.02, 40)
    names = ("p50", "p95", "p99", "requests sent")
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for _ in range(min(scale.rounds, 2)):
        for who, said in (("llmring", f"hedge_after = {AFTER * factor}\n"), ("without hedge_after", "")):
            for name, value in zip(names, await _tail(said, factor, count), strict=True):
                found[name].setdefault(who, []).append(value)
    units = {name: "for 100" if name == "requests sent" else "ms" for name in names}
    title = "first chunk, 50 ms at the median and 5 s for one in 20"
    return [Figure(f"{title}, {name}", units[name], found[name]) for name in names]


async def _tail(said: str, factor: float, count: int) -> tuple[float, float, float, float]:
    drawn, lock, asked = random.Random(7), threading.Lock(), 0

    def decide(request: RecordedRequest) -> Reply:
        nonlocal asked
        with lock:
            asked += 1
            delay = SLOW if drawn.random() < SHARE else MEDIAN * math.exp(drawn.gauss(0.0, 0.25))
        return Reply("Fine", delay=delay * factor)

    with tempfile.TemporaryDirectory() as folder, PracticeServer(record=False) as server:
        server.script(decide)
        path = Path(folder) / "llmring.lock"
        path.write_text(
            'version = "1.0"\n[[profiles.default.bindings]]\nalias = "chatbot"\n'
            f'models = ["anthropic:practice-1", "openai:practice-2"]\n{said}'
        )
        os.environ.update(server.environ())
        waits: list[float] = []
        async with LLMRing(path) as service:

            async def ask() -> None:
                begun = time.perf_counter()
                async for _ in service.chat_stream(_asked("chatbot")):
                    waits.append(time.perf_counter() - begun)
                    break

            async def several(number: int) -> None:
                for _ in range(number):
                    await ask()

            for model in ("anthropic:practice-1", "openai:practice-2"):
                await service.chat(_asked(model))
            asked = 0
            await asyncio.gather(*(several(count // 20) for _ in range(20)))
    waits.sort()
    p50, p95, p99 = (waits[math.ceil(of * len(waits)) - 1] * 1e3 for of in (0.5, 0.95, 0.99))
    return p50, p95, p99, 100 * asked / len(waits)
