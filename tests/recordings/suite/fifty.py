"""Fifty recorded conversations, as a program's own suite has them: no server, no key, no network."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from conversations import NAMES, held  # type: ignore[import-not-found]

from llmring import LLMRing

SEEN = dict(json.loads(line) for line in (Path(__file__).parent / "seen.jsonl").read_text("utf-8").splitlines())


@pytest.mark.llmring
@pytest.mark.parametrize("name", NAMES)
def test_conversation(name: str) -> None:
    async def program() -> None:
        async with LLMRing(max_retries=0) as service:
            assert await held(name, service) == SEEN[name]

    asyncio.run(program())
