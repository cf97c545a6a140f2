"""A killer over Ray: workers, then the driver, killed at random instants; and each row answered once.

python -m tests.clusters.killing [ROWS] [DRIVERS] [WORKERS OF EACH] [SEED]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from llmring.testing import PracticeServer, Reply
from llmring.testing.environment import environ
from llmring.testing.exchange import RecordedRequest

from ..program import INSTALLED

CONCURRENCY, WORKERS = 8, 2


class Found(NamedTuple):
    """What came of it: rows that were answered, requests that were sent, and how many of each were killed."""

    rows: int
    requests: int
    workers: int
    drivers: int


def start(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [INSTALLED, "map", "rows.jsonl", "--model", "openai:gpt-5-mini", "--prompt", "Label: {text}"]
    command += ["-o", "out.jsonl", "--concurrency", str(CONCURRENCY), "--engine", "ray", "--workers", str(WORKERS)]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)


def processes(mark: str, named: bytes = b"") -> list[int]:
    """Those that were started with a mark in their environment, and are called so."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes() and named in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def kill_again_and_again(folder: Path, rows: int, drivers: int, workers: int, seed: int) -> Found:
    chance = random.Random(seed)
    (folder / "rows.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(rows)))
    out, mark = folder / "out.jsonl", uuid4().hex
    killed_workers = killed_drivers = 0

    def reply(request: RecordedRequest) -> Reply:
        return Reply(f"of {request.question}", delay=chance.random() * 0.1)

    def come_to(target: int) -> bool:
        while process.poll() is None and len(server.requests) < target:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.01)
        return process.poll() is None

    with PracticeServer() as server:
        server.script(reply)
        environment = {**os.environ, **environ(server.url, "127.0.0.1"), "XDG_STATE_HOME": str(folder / "state")}
        environment |= {"LC_ALL": "C.UTF-8", "LLMRING_KILLER": mark}
        environment.pop("RAY_ADDRESS", None)
        share = rows // ((drivers + 1) * (workers + 1))
        for _ in range(drivers):
            process = start(folder, environment)
            for _ in range(workers):
                if come_to(len(server.requests) + chance.randrange(1, share)):
                    alive = processes(mark, b"ray::MapWorker")
                    if alive:
                        os.kill(chance.choice(alive), signal.SIGKILL)
                        killed_workers += 1
            if come_to(len(server.requests) + chance.randrange(1, share)):
                process.kill()
                killed_drivers += 1
            process.communicate()
        process = start(folder, environment)
        _, said = process.communicate(timeout=900)
        assert process.returncode == 0, said
        until = time.monotonic() + 60
        while processes(mark):
            assert time.monotonic() < until, "processes are left behind"
            time.sleep(0.1)
        answers = [json.loads(line) for line in out.read_text().splitlines()]
        assert {it["row"]: it["answer"] for it in answers} == {n + 1: f"of Label: text {n}" for n in range(rows)}
        assert len(answers) == rows
        assert not (folder / "out.jsonl.d").exists()
        under_way = CONCURRENCY * (killed_workers + WORKERS * killed_drivers)
        assert rows <= len(server.requests) <= rows + under_way, (len(server.requests), killed_workers, killed_drivers)
        return Found(len(answers), len(server.requests), killed_workers, killed_drivers)


if __name__ == "__main__":
    rows, drivers, workers, seed = [*map(int, sys.argv[1:]), *[10_000, 5, 2, 1][len(sys.argv) - 1 :]]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        found = kill_again_and_again(Path(place), rows, drivers, workers, seed)
    print(
        f"{found.rows:,} rows over Ray, each answered once, through {found.workers} killed workers and {found.drivers} "
    )
    print(f"killed drivers; {found.requests:,} requests were sent, with {CONCURRENCY} at once for each of {WORKERS}.")
    print(f"It took {time.monotonic() - began:.0f} s.")
