"""`service.map` beside `asyncio.gather` over the bare SDK, 100 at once: rows a second, and CPU a row.

python -m benchmarks.mapping [ROWS]

The practice server is a process of its own; CPU is the client's alone. Memory is that after so many rows of a lazy
source.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

AT_ONCE = 100
_SERVER = """
import json, sys
from llmring.testing import PracticeServer, Reply
server = PracticeServer(record=False)
server.default = Reply("a label of some words for this row", delay=0.0)
with server:
    print(json.dumps(server.environ()), flush=True)
    sys.stdin.read()
"""


async def bare(rows: int) -> None:
    from openai import AsyncOpenAI

    gate = asyncio.Semaphore(AT_ONCE)
    async with AsyncOpenAI() as client:

        async def one(row: int) -> str:
            async with gate:
                answer = await client.responses.create(model="gpt-5-mini", input=f"Label this row: {row}")
                return answer.output_text

        assert len(await asyncio.gather(*map(one, range(rows)))) == rows


async def mapped(rows: int) -> None:
    from llmring import LLMRequest, LLMRing, Message

    def build(row: int) -> LLMRequest:
        return LLMRequest(model="openai:gpt-5-mini", messages=[Message(role="user", content=f"Label this row: {row}")])

    async with LLMRing() as service:
        answered = 0
        async for result in service.map(range(rows), build, concurrency=AT_ONCE, ordered=False):
            assert result.response is not None, result.error
            answered += 1
    assert answered == rows


WAYS: dict[str, Callable[[int], Awaitable[None]]] = {"bare": bare, "map": mapped}


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None
        environment = {**os.environ, **json.loads(server.stdout.readline())}
        print("| | rows a second | CPU a row | memory at most |\n|---|---|---|---|")
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.mapping", str(rows), way],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"| {way} | {done.stdout.strip()} |", flush=True)
        server.communicate()


async def measure(way: str, rows: int) -> None:
    await WAYS[way](50)  # imports and first connections
    began, cpu = time.perf_counter(), time.process_time()
    await WAYS[way](rows)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{rows / took:,.0f} | {cpu / rows * 1e6:,.0f} µs | {most} MB")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(measure(sys.argv[2], int(sys.argv[1])))
    else:
        main()
