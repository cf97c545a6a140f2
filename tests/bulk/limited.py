"""A short run over a real socket, at a server with limits that nobody is told of: what `service.map` makes of it.

python -m tests.bulk.limited
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from llmring import LLMRequest, LLMRing, Message
from llmring.testing import PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest

__all__ = ["Found", "short"]


class Found(NamedTuple):
    """What came of it.

    Attributes:
        seconds: how long it took.
        possible: how long it takes who knows the limits.
        refused: requests, of how many were sent.
    """

    seconds: float
    possible: float
    refused: int
    sent: int


class Bucket:
    """So many a second, by how many were let through, and a part of them at once."""

    def __init__(self, rate: Callable[[int], float], at_once: float, latency: float) -> None:
        self.rate, self.at_once, self.latency = rate, at_once, latency
        self.left, self.at = at_once, -inf
        self.passed = self.refused = 0

    def __call__(self, request: RecordedRequest) -> Reply:
        now, rate = time.monotonic(), self.rate(self.passed)
        self.left = min(self.at_once, self.left + rate * (now - self.at))
        self.at = now
        if self.left < 1:
            self.refused += 1
            return Reply(status=429)
        self.left -= 1
        self.passed += 1
        return Reply("ok", delay=self.latency)


def ask(row: int) -> LLMRequest:
    return LLMRequest(model="openai:gpt-5-mini", messages=[Message(role="user", content=f"row {row}")])


async def short(
    server: PracticeServer, rows: int, rate: Callable[[int], float], *, at_once: float = 20.0, latency: float = 0.5
) -> Found:
    """Ask about so many rows; the environment leads to the server."""
    bucket = Bucket(rate, at_once, latency)
    server.script(bucket)
    async with LLMRing() as service:
        began = time.monotonic()
        async for it in service.map(range(rows), ask, concurrency=100, ordered=False):
            assert it.error is None, it.error
        seconds = time.monotonic() - began
    possible = latency + sum(1 / rate(number) for number in range(int(at_once), rows))
    return Found(seconds, possible, bucket.refused, rows + bucket.refused)


SCENES: dict[str, tuple[int, Callable[[int], float]]] = {
    "600 rows, 20 a second": (600, lambda _: 20),
    "600 rows, 30 a second, then 10": (600, lambda passed: 30 if passed < 300 else 10),
    "900 rows, 10 a second, then 30": (900, lambda passed: 10 if passed < 300 else 30),
}

if __name__ == "__main__":
    for name, (rows, rate) in SCENES.items():
        with PracticeServer(record=False) as server:
            os.environ.update(server.environ())
            found = asyncio.run(short(server, rows, rate))
        part = f"{found.possible / found.seconds:.0%}"
        print(
            f"| {name} | {found.seconds:.0f} s | {found.possible:.0f} s | {part} | {found.refused / found.sent:.1%} |"
        )
