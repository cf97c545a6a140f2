"""A killer: `llmring map --batch` killed at random instants, and each row paid for once.

The rows become more from run to run, so that each run makes a batch; and it is killed about when that is made.

python -m tests.batches.killing [ROWS] [KILLS] [SEED]
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from llmring.testing import BatchLimits, Fault, PracticeServer
from llmring.testing.environment import environ

from ..program import INSTALLED

MODELS = {"openai": "openai:gpt-5-mini", "anthropic": "anthropic:claude-haiku-4-5", "gemini": "google:gemini-2.5-flash"}


def kill_again_and_again(folder: Path, vendor: str, rows: int, kills: int, seed: int, program: str = INSTALLED) -> int:
    """Gives how many batches there were."""
    chance = random.Random(seed)
    command = [program, "map", "rows.jsonl", "--model", MODELS[vendor], "--prompt", "Label: {text}"]
    command += ["-o", "out.jsonl", "--batch"]
    with PracticeServer() as server:
        environment = {**os.environ, **environ(server.url, "127.0.0.1"), "XDG_STATE_HOME": str(folder / "state")}
        environment |= {"LC_ALL": "C.UTF-8", "LLMRING_BATCH_PAUSE_S": "0.05"}
        limits = server.batches.limits[vendor]
        server.batches.limits[vendor] = BatchLimits(limits.requests, limits.bytes)
        for kill in range(kills):
            write(folder, rows * (kill + 1) // kills)
            _trouble(server, chance)
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)
            wire, some = chance.choice(["files", "batches", None]), chance.randrange(9)
            while process.poll() is None and not _has_come(server, wire, some):
                time.sleep(0.0005)
            time.sleep(chance.random() * 0.03)
            process.kill()
            process.communicate()
        server.clear()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        answers = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
        assert len(answers) == rows
        assert {it["row"]: it["answer"] for it in answers} == {n + 1: f"You said: Label: text {n}" for n in range(rows)}
        paid = Counter(row.request.question for row in server.batches.billed if row.request is not None)
        assert paid == Counter(f"Label: text {n}" for n in range(rows)), paid.most_common(3)
        assert not [it for it in server.requests if it.wire not in ("files", "batches")]
        return len(server.batches.made)


def write(folder: Path, rows: int) -> None:
    (folder / "rows.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(rows)))


def _has_come(server: PracticeServer, wire: str | None, some: int) -> bool:
    """Whether a file or a batch is being made, or so many requests of any kind have come."""
    if wire is None:
        return len(server.requests) > some
    return any((it.wire, it.action) == (wire, "create") for it in server.requests) or len(server.requests) > 30


def _trouble(server: PracticeServer, chance: random.Random) -> None:
    """What goes wrong with the next batch, but for the kill."""
    server.clear()
    server.batches.script(polls=chance.randrange(6), seconds=chance.random() / 2)
    if chance.random() < 0.4:
        server.reply(done=chance.random() < 0.7, fault=Fault.hang_up(), wire="batches", action="create")


if __name__ == "__main__":
    rows, kills, seed = [*map(int, sys.argv[1:]), *[300, 40, 1][len(sys.argv) - 1 :]]
    for vendor in MODELS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            made = kill_again_and_again(Path(place), vendor, rows, kills, seed)
        took = time.monotonic() - began
        print(f"{vendor}: {rows} rows, each paid for once, in {made} batches through {kills} kills; {took:.0f} s.")
