"""Clients of the relay recipe: they come, read for a while, and most of them leave. What that does to the provider."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llmring.testing import PracticeServer, RecordedRequest, Reply

__all__ = ["PLANS", "Answers", "Visits", "serving", "visits"]

PLANS = ("stay", "leave while it is silent", "leave in the middle", "reset in the middle")
_WORDS = 12


class Answers:
    """What the model says: as the client of a question needs it, and who has asked.

    Whole at once to who stays, nothing for long to who leaves in silence, and without an end in sight to the others.
    """

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __call__(self, request: RecordedRequest) -> Reply:
        question = request.question
        self.asked.add(question)
        if "silent" in question:
            return Reply("Too late.", delay=600.0)
        if "middle" in question:
            return Reply(chunks=[f"word{number} " for number in range(2000)], interval=0.05)
        return Reply(chunks=[f"word{number} " for number in range(_WORDS)])


@contextmanager
def serving(module: str, folder: Path, server: PracticeServer) -> Iterator[int]:
    """The port of an application of a recipe, served by uvicorn in a process of its own."""
    environ = {**os.environ, **server.environ(), "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    environ.pop("LLMRING_LOCKFILE_PATH", None)
    command = [sys.executable, "-m", "uvicorn", module, "--port", "0", "--no-access-log"]
    running = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    said = ""
    try:
        for line in running.stderr:
            said += line
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                yield int(found[1])
                break
        else:
            raise AssertionError(said)
    finally:
        running.terminate()
        _, rest = running.communicate(timeout=60)
        said += rest
    assert "Traceback" not in said, said


@dataclass
class Visits:
    """What came of all clients.

    Attributes:
        whole: how many stayed, and got all of the answer.
        left_at: when each of the others left, by its question.
    """

    whole: int = 0
    left_at: dict[str, float] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)

    def waits(self, server: PracticeServer) -> list[float]:
        """For each request of a client that left: seconds until the connection to the provider was closed."""
        found = []
        for request in server.requests:
            left = self.left_at.get(request.question)
            if left is not None:
                assert request.wait_closed(60), f"nobody closed: {request.question}"
                assert request.disconnected_at is not None
                found.append(max(0.0, request.disconnected_at - max(left, request.started_at)))
        return found


async def visits(port: int, answers: Answers, clients: int, at_once: int, seed: int = 0) -> Visits:
    """That many clients, so many of them at once."""
    luck = random.Random(seed)
    limit = asyncio.Semaphore(at_once)
    made = Visits()

    async def one(number: int) -> None:
        plan = PLANS[number % len(PLANS)]
        pause = luck.uniform(0.0, 0.5)
        async with limit:
            await _visit(port, answers, f"{number}: {plan}", pause, made)

    await asyncio.gather(*(one(number) for number in range(clients)))
    return made


async def _visit(port: int, answers: Answers, question: str, pause: float, made: Visits) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"text": question}).encode()
    head = f"POST /ask HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
    plan = question.partition(": ")[2]
    made.came[plan] += 1
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    if plan == "stay":
        text = (await reader.read()).decode()
        told = [json.loads(it) for it in re.findall(r"^data: (.*)$", text, re.MULTILINE)]
        assert "".join(it["text"] for it in told) == "".join(f"word{number} " for number in range(_WORDS))
        assert told[-1]["finish_reason"] == "stop"
        made.whole += 1
    elif "middle" in plan:
        while b"word1" not in await reader.readline():
            pass
        await asyncio.sleep(pause)
    else:
        while question not in answers.asked:  # noqa: ASYNC110  # set in the server's thread
            await asyncio.sleep(0.02)
        await asyncio.sleep(pause)
    if plan != "stay":
        made.left_at[question] = time.monotonic()
    if plan.startswith("reset"):
        writer.transport.abort()
    else:
        writer.close()
