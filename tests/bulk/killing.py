"""A killer: `llmring map` killed at random instants, its disk full, its server gone; and each row answered once.

python -m tests.bulk.killing [ROWS] [KILLS] [SEED]
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from llmring.testing import PracticeServer
from llmring.testing.environment import environ

from ..program import INSTALLED

CONCURRENCY = 16


class Found(NamedTuple):
    """What came of it: rows that were answered, requests that were sent, those whose answer was lost at each end."""

    rows: int
    requests: int
    lost: list[int]


def start(folder: Path, environment: Mapping[str, str], room: int | None = None) -> subprocess.Popen[str]:
    command = [INSTALLED, "map", "rows.jsonl", "--model", "openai:gpt-5-mini", "--prompt", "Label: {text}"]
    command += ["-o", "out.jsonl", "--concurrency", str(CONCURRENCY)]
    if room is not None:
        command = ["bash", "-c", f'ulimit -f {room}; exec "$0" "$@"', *command]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)


def kill_again_and_again(
    folder: Path, rows: int, kills: int, seed: int, *, full_disk: bool = True, server_dies: bool = True
) -> Found:
    chance = random.Random(seed)
    (folder / "rows.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(rows)))
    out = folder / "out.jsonl"
    lost: list[int] = []

    def written() -> int:
        return out.read_bytes().count(b"\n") if out.exists() else 0

    def ended() -> None:
        lost.append(len(server.requests) - written() - sum(lost))

    with PracticeServer() as server:
        environment = {**os.environ, **environ(server.url, "127.0.0.1"), "XDG_STATE_HOME": str(folder / "state")}
        environment["LC_ALL"] = "C.UTF-8"
        share = rows // (kills + 3)
        for _ in range(kills):
            process = start(folder, environment)
            target = len(server.requests) + chance.randrange(1, 2 * share)
            while process.poll() is None and len(server.requests) < target:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.01)
            process.kill()
            process.communicate()
            ended()
        if full_disk and written() < rows:
            room = out.stat().st_size // 1024 + chance.randrange(1, 1 + 256 * share // 1024 + 1)
            process = start(folder, environment, room)
            _, said = process.communicate(timeout=300)
            assert process.returncode == (1 if "cannot be written" in said else 0), said
            ended()
        if server_dies and written() < rows:
            process = start(folder, environment)
            target = len(server.requests) + min(share, rows - written()) // 2 + 1
            while process.poll() is None and len(server.requests) < target:
                time.sleep(0.001)
            server.close()
            time.sleep(1)
            server.start()
            process.communicate(timeout=300)
            ended()
        for _ in range(3):
            process = start(folder, environment)
            _, said = process.communicate(timeout=600)
            ended()
            if process.returncode == 0:
                break
        assert process.returncode == 0, said
        answers = [json.loads(line) for line in out.read_text().splitlines()]
        assert {it["row"]: it["answer"] for it in answers} == {n + 1: f"You said: Label: text {n}" for n in range(rows)}
        assert len(answers) == rows
        assert len(server.requests) == rows + sum(lost)
        assert all(0 <= it <= CONCURRENCY + 1 for it in lost[:-1] if it), lost
        return Found(len(answers), len(server.requests), lost)


if __name__ == "__main__":
    rows, kills, seed = [*map(int, sys.argv[1:]), *[10_000, 50, 1][len(sys.argv) - 1 :]]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        found = kill_again_and_again(Path(place), rows, kills, seed)
    print(f"{found.rows:,} rows, each answered once, through {kills} kills, a full disk and a server that died;")
    print(f"{found.requests:,} requests were sent: {sum(found.lost)} were under way at those ends, {found.lost}.")
    print(f"It took {time.monotonic() - began:.0f} s.")
