"""`llmring state`: what is counted, as a table and as JSON; and what forgets it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from llmring.testing import PracticeServer, Tokens

from ..state.ground import Counting, ask, counting
from .conftest import Run

__all__ = ["counting"]


def test_a_small_budget_is_said_as_it_is(counting: Counting, run: Run) -> None:
    counting.bind(budget={"usd": 0.001, "per": "hour"})
    assert "$0.0010 an hour" in run("state").stdout
    assert "$0.001 an hour" in " ".join(run("info", "chatbot").stdout.split())


def spend(counting: Counting) -> None:
    async def run() -> None:
        async with counting.service() as service:
            await service.chat(ask(metadata={"user": "ann"}))

    asyncio.run(run())


def test_it_shows_what_the_store_holds(counting: Counting, server: PracticeServer, run: Run, tmp_path: Path) -> None:
    counting.bind(
        url=f"sqlite:{tmp_path / 'counts.db'}",
        budget={"usd": 25.0, "per": "day"},
        rate={"requests": 600, "tokens": 400_000, "per": "minute"},
    )
    headers = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "4"}
    server.reply("x", usage=Tokens(1_000_000, 0), headers={**headers, "x-ratelimit-reset-requests": "60s"})
    spend(counting)
    shown = run("state").stdout
    for said in ("chatbot", "$25.00 a day", "$0.1500", "$24.85", "a minute", "openai:gpt-4o-mini", "closed"):
        assert said in shown, said
    data = json.loads(run("state", "--json").stdout)
    assert data["store"] == "sqlite"
    assert data["url_env"] == "COUNTS"
    (alias,) = data["aliases"]
    assert alias["budgets"][0]["spent"] == 0.15
    assert alias["budgets"][0]["opens_at"].endswith("+00:00")
    assert data["models"][0]["requests"] in (4, 5)
    refused = run("state", "reset", "chatbot")
    assert "llmring state reset chatbot --yes" in refused.stderr
    assert "Forgot 2 records" in run("state", "reset", "chatbot", "--yes").stderr
    assert "$0.00" in run("state").stdout
    assert "nobody" in run("state", "reset", "nobody", "--yes").stderr


def test_of_a_process_it_says_that_it_sees_nothing(counting: Counting, run: Run) -> None:
    counting.bind(budget={"usd": 25.0, "per": "day", "by": "user"})
    assert "Each process counts for itself" in run("state").stderr
    counting.bind()
    assert "has a rate or a budget" in run("state").stderr


def test_a_store_that_is_away_is_an_error(counting: Counting, run: Run, tmp_path: Path) -> None:
    counting.bind(url=f"sqlite:{tmp_path}/no/folder.db", budget={"usd": 25.0, "per": "day"})
    assert "COUNTS names does not answer" in run("state").stderr
