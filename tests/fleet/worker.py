"""A process of a fleet: `python -m tests.fleet.worker LOCKFILE HOW NUMBER`. It begins when it is told on its input.

It prints what came of its requests, as JSON: how many answers, and errors by their kind.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from llmring import LLMRing
from llmring.exceptions import LLMRingError

from ..state.ground import ask


async def main(path: str, how: str, number: int) -> None:
    came: Counter[str] = Counter()
    async with LLMRing(path, max_retries=0, breaker_cooldown=1.0, breaker_threshold=10) as service:

        async def one() -> None:
            try:
                async for _ in service.chat_stream(ask(max_tokens=1000)):
                    pass
                came["answers"] += 1
            except LLMRingError as error:
                came[type(error).__name__] += 1

        service.warm_up("chatbot")
        print("ready", flush=True)
        for line in iter(sys.stdin.readline, ""):
            came.clear()
            if how == "together":
                await asyncio.gather(*(one() for _ in range(number)))
            else:
                for _ in range(number if line.strip() == "go" else 1):
                    await one()
            print(json.dumps(came), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
