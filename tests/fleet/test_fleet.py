"""Eight processes with fifty streams each share a Redis: one rate, one budget, one breaker. `make fleet` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens

from ..state.conftest import redis, shared_redis
from ..state.ground import Counting, counting
from ..state.servers import Server, needs_redis

__all__ = ["counting", "redis", "shared_redis"]

pytestmark = [
    needs_redis,
    pytest.mark.skipif("LLMRING_FLEET" not in os.environ, reason="it takes a minute or two: make fleet"),
]
PROCESSES, STREAMS = 8, 50


class Fleet:
    """Processes that begin together."""

    def __init__(self, path: Path, how: str) -> None:
        command = [sys.executable, "-m", "tests.fleet.worker", str(path), how, str(STREAMS)]
        root = Path(__file__).parents[2]
        self.all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
            for _ in range(PROCESSES)
        ]
        for it in self.all:
            assert self._line(it) == "ready"

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def go(self, word: str = "go") -> Counter[str]:
        """What came of all of them."""
        self.begin(word)
        return self.come()

    def begin(self, word: str = "go") -> None:
        for it in self.all:
            assert it.stdin is not None
            it.stdin.write(f"{word}\n")
            it.stdin.flush()

    def come(self) -> Counter[str]:
        return sum((Counter(json.loads(self._line(it))) for it in self.all), Counter())

    def end(self) -> None:
        for it in self.all:
            it.kill()
            it.wait()
            for pipe in (it.stdin, it.stdout):
                if pipe is not None:
                    pipe.close()


@contextmanager
def fleet(counting: Counting, how: str) -> Iterator[Fleet]:
    made = Fleet(counting.path, how)
    try:
        yield made
    finally:
        made.end()


def test_one_rate(counting: Counting, redis: Server, server: PracticeServer) -> None:
    times: list[float] = []
    lock = threading.Lock()

    def answer(request: Any) -> Reply:
        with lock:
            times.append(time.monotonic())
        return Reply("Hello")

    server.script(answer)
    counting.bind(url=redis.url, rate={"requests": 100, "per": "second"})
    with fleet(counting, "together") as processes:
        begun = time.monotonic()
        assert processes.go() == {"answers": PROCESSES * STREAMS}
    times.sort()
    # The first hundred at once, then each of the others when its time has come.
    assert times[-1] - begun >= (PROCESSES * STREAMS - 100) / 100
    late = 1.0  # that a process of a busy machine may send what it may send
    for start, began in enumerate(times):
        for number, at in enumerate(times[start:], 1):
            assert number <= 100 + 100 * (at - began + late) + 1


def test_one_budget(counting: Counting, redis: Server, server: PracticeServer) -> None:
    server.script(lambda request: Reply("Hello", usage=Tokens(0, 1000), interval=0.05))
    counting.bind(url=redis.url, budget={"usd": 0.06, "per": "month"})
    with fleet(counting, "together") as processes:
        came = processes.go()
        # The dearest that each may cost is a little more than what it does.
        assert 80 <= came["answers"] <= 100
        assert came["answers"] + came["BudgetExceededError"] == PROCESSES * STREAMS
        came += processes.go("one")
    assert came["answers"] * 0.0006 <= 0.06 + 1e-9
    assert len(server.requests) == came["answers"]


def test_one_breaker(counting: Counting, redis: Server, server: PracticeServer) -> None:
    server.script(lambda request: Reply(status=500))
    counting.bind(url=redis.url, rate={"requests": 100_000, "per": "second"})
    with fleet(counting, "one by one") as processes:
        came = processes.go()
        assert came["ProviderResponseError"] == len(server.requests) <= 10 + PROCESSES
        assert came["CircuitBreakerError"] == PROCESSES * STREAMS - len(server.requests)
        time.sleep(1.1)
        # It is half open now: one of all tries, and while that is under way nobody else does.
        server.script(lambda request: Reply("Hello", delay=1.0))
        before = len(server.requests)
        came = processes.go("one")
        assert len(server.requests) - before == 1
        assert came == {"answers": 1, "CircuitBreakerError": PROCESSES - 1}
        server.script(lambda request: Reply("Hello"))
        time.sleep(0.2)  # until the store has been told
        assert processes.go("one") == {"answers": PROCESSES}


def test_what_dies_holds_nothing_for_longer_than_a_minute(
    counting: Counting, redis: Server, server: PracticeServer
) -> None:
    server.script(lambda request: Reply("one two", fault=Fault.stall_after(1)))
    counting.bind(url=redis.url, budget={"usd": 0.06, "per": "month"})
    with fleet(counting, "together") as processes:
        processes.begin()
        server.wait_request(80, timeout=60)
    with fleet(counting, "one by one") as others:
        assert others.go("one") == {"BudgetExceededError": PROCESSES}
        time.sleep(61)
        server.script(lambda request: Reply("Hello"))
        assert others.go("one") == {"answers": PROCESSES}
