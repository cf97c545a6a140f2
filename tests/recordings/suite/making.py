"""Records the fifty conversations anew, from the practice server: `python -m tests.recordings.suite.making`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from llmring import LLMRing
from llmring.recordings import Session
from llmring.testing import PracticeServer

from .conversations import KINDS, NAMES, held

FOLDER = Path(__file__).parent


async def record(folder: Path) -> None:
    """Have all of them, and write down what was recorded and what was seen."""
    with PracticeServer() as server:
        os.environ.update(server.environ())
        seen = []
        for name in NAMES:
            for reply in KINDS[name.rpartition("-")[2]][1]:
                server.reply(reply)
            with Session("all", folder=folder, test=f"fifty.py::test_conversation[{name}]"):
                async with LLMRing(FOLDER / "llmring.lock", max_retries=0) as service:
                    seen.append(json.dumps([name, await held(name, service)], ensure_ascii=False))
            assert not server.pending, name
    (folder / "seen.jsonl").write_text("\n".join(seen) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1]).absolute() if sys.argv[1:] else FOLDER))
