"""`python -m tests.soak`: many streams at a time, random faults, cancels and failovers, and what they leave behind.

Ends with 1 if memory grows, if a socket or a task is left, or if a stream did not end in exactly one of: its final
chunk, an error of ours, being left by its reader.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from llmring import ChatStream, LLMRequest, LLMRing
from llmring.exceptions import LLMRingError, ProviderError

from ..faults.ground import PROVIDERS, ask, bind

WARM_UP = 60.0
"""Seconds until memory is to be flat."""

GROWTH = 0.05
"""How much it may still grow, as allocators do."""

_HANGS = 60.0
"""Seconds after which a stream that has not ended hangs."""


class Soak:
    """What happens, and how often.

    Attributes:
        ends: how streams ended.
        wrong: what should not have happened.
        samples: resident memory in MB, by the second of its measurement.
    """

    def __init__(self, service: LLMRing, aliases: list[str], seed: int, seconds: float) -> None:
        self.service = service
        self.aliases = aliases
        self.chance = random.Random(seed)
        self.began = time.monotonic()
        self.until = self.began + seconds
        self.started = 0
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.samples: list[tuple[float, float]] = []

    async def worker(self) -> None:
        """One stream after the other."""
        while time.monotonic() < self.until:
            self.started += 1
            request = ask(
                self.chance.choice(self.aliases),
                timeout=self.chance.choice([0.5, 1.0, 2.0]),
                on_interrupt=self.chance.choice(["error", "error", "resume"]),
            )
            try:
                async with asyncio.timeout(_HANGS):
                    await self.one(request)
            except TimeoutError:
                self.ends["hangs"] += 1
                self.wrong.append(f"{request.model} hangs")
            except Exception as error:
                self.ends["another error"] += 1
                self.wrong.append(f"{request.model}: {error!r}")

    async def one(self, request: LLMRequest) -> None:
        """One stream, or one answer, to its end or left early."""
        way = self.chance.choice(["read"] * 6 + ["break", "close", "cancel", "task", "timeout", "whole", "whole task"])
        after = self.chance.random() * 0.3
        if way.startswith("whole"):
            task = asyncio.create_task(self.whole(request))
        else:
            stream = self.service.chat_stream(request)
            task = asyncio.create_task(self.read(stream, way))
            if way == "cancel":
                asyncio.get_running_loop().call_later(after, stream.cancel)
            del stream
        if way.endswith("task"):
            asyncio.get_running_loop().call_later(after, task.cancel)
        try:
            end = await asyncio.wait_for(task, after) if way == "timeout" else await task
        except (TimeoutError, asyncio.CancelledError):
            end = "left"
        self.ends[end] += 1

    async def read(self, stream: ChatStream, way: str) -> str:
        said, finals, enough = "", 0, self.chance.randrange(1, 8)
        try:
            async for chunk in stream:
                if finals:
                    self.wrong.append("a chunk after the final one")
                finals += chunk.finish_reason is not None
                said += chunk.delta
                if way in ("break", "close") and len(said) > 3 * enough:
                    break
        except LLMRingError as error:
            if finals or (
                isinstance(error, ProviderError) and (error.partial.content if error.partial else "") != said
            ):
                self.wrong.append(
                    f"{error!r} after {said!r}, final {finals}, partial {getattr(error, 'partial', None)}"
                )
            return type(error).__name__
        if way == "close":
            await stream.aclose()
        if stream.response.content != said:
            self.wrong.append(f"gathered {stream.response.content!r}, heard {said!r}")
        if not finals and way not in ("break", "close", "cancel"):
            self.wrong.append(f"no final chunk after {said!r}")
        return "final" if finals else "left"

    async def whole(self, request: LLMRequest) -> str:
        try:
            response = await self.service.chat(request)
        except LLMRingError as error:
            return type(error).__name__
        return "final" if response.finish_reason else "no finish reason"

    async def watch(self) -> None:
        """Measure, and say so from time to time."""
        said = 0.0
        while (now := time.monotonic()) < self.until:
            self.samples.append((now - self.began, resident()))
            if now - said > 10:
                said = now
                print(
                    f"{now - self.began:5.0f} s  {self.started:7} begun  {sum(self.ends.values()):7} ended  "
                    f"{self.samples[-1][1]:6.1f} MB  {sockets():4} sockets  {len(asyncio.all_tasks()):4} tasks",
                    flush=True,
                )
            await asyncio.sleep(1)

    def growth(self) -> float:
        """How much memory grew after the warm-up, as a part of what it was then."""
        whole = self.samples[-1][0]
        warm = min(WARM_UP, whole / 2)
        window = max(10.0, (whole - warm) / 10)
        early = [size for at, size in self.samples if warm <= at < warm + window]
        late = [size for at, size in self.samples if at >= whole - window]
        return median(late) / median(early) - 1


def resident() -> float:
    """This process's resident memory in MB, without what the C library keeps of it for the next time."""
    _trim()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _trim() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def sockets() -> int:
    """How many this process holds."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return count


@contextmanager
def server(seed: int) -> Iterator[dict[str, str]]:
    """The server, and its addresses as `bind` takes them."""
    command = [sys.executable, "-m", "tests.soak.server", str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, refused = process.stdout.readline().split()
        yield {"": url, "refused-": refused}
        process.stdin.close()


async def soak(path: Path, aliases: list[str], names: list[str], asked: argparse.Namespace) -> Soak:
    """Let it run, close everything, and look at what is left."""
    before = sockets()
    keys = dict.fromkeys(names, "practice")
    async with LLMRing(path, api_keys=keys, max_retries=1, breaker_threshold=20, breaker_cooldown=0.2) as service:
        run = Soak(service, aliases, asked.seed, asked.seconds)
        await asyncio.gather(run.watch(), *(run.worker() for _ in range(asked.streams)))
    gc.collect()
    await asyncio.sleep(0.1)
    if (left := sockets() - before) > 0:
        run.wrong.append(f"{left} sockets are left")
    if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        run.wrong.append(f"tasks are left: {tasks}")
    if run.started != sum(run.ends.values()):
        run.wrong.append(f"{run.started} begun, {sum(run.ends.values())} ended")
    return run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--streams", type=int, default=200, help="at a time")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asked = parser.parse_args()
    print(f"{asked.streams} streams at a time for {asked.seconds:g} s, seed {asked.seed}", flush=True)
    logging.getLogger("llmring").setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder, server(asked.seed) as places:
        names = list(PROVIDERS.values())
        chance = random.Random(asked.seed)
        aliases = {f"pair-{n}": [f"{name}:m{n}" for name in chance.sample(names, 2)] for n in range(6)}
        aliases |= {f"three-{n}": [f"{name}:t{n}" for name in chance.sample(names, 3)] for n in range(4)}
        aliases["refused"] = [f"refused-{names[0]}:m", f"{names[1]}:m"]
        path = Path(folder) / "llmring.lock"
        bind(path, places, aliases)
        everyone = [*aliases, *(f"{name}:alone" for name in names)]
        known = [place + name for place in places for name in names]
        run = asyncio.run(soak(path, everyone, known, asked))
    growth = run.growth()
    if growth > GROWTH:
        run.wrong.append(f"memory grew by {growth:.1%}")
    for end, count in run.ends.most_common():
        print(f"{count:8} {end}")
    for wrong in run.wrong[:20]:
        print(f"WRONG: {wrong}")
    print(f"{run.started} streams, memory {growth:+.1%} after the warm-up, {len(run.wrong)} things wrong")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
