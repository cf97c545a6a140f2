"""How often a request asks the store: once at most, whatever its alias's policy says; and of which model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmring.exceptions import ProviderError
from llmring.testing import Tokens

from .ground import MODEL, Counting, ask, counting
from .servers import Server, needs_redis

__all__ = ["counting"]

OPENAI, OTHER = f"openai:{MODEL}", "openai:gpt-4o"
RATE: dict[str, Any] = {"requests": 1000, "tokens": 10**6, "per": "minute"}
BUDGET: dict[str, Any] = {"usd": 1.0, "per": "day"}


class Trips:
    """What has been said to a server by whoever goes through it."""

    def __init__(self) -> None:
        self.said = bytearray()
        self.url = ""

    @property
    def asked(self) -> int:
        """How often something was asked: what is only told keeps nobody waiting."""
        return self.said.count(b'"asks":[[')

    def clear(self) -> None:
        self.said.clear()


@asynccontextmanager
async def between(server: Server) -> AsyncIterator[Trips]:
    """A way to a Redis server that keeps what is said."""
    trips, tasks = Trips(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", server.port)

        async def back() -> None:
            while data := await theirs.read(65536):
                writer.write(data)

        task = asyncio.create_task(back())
        tasks.add(task)
        try:
            while data := await reader.read(65536):
                trips.said += data
                ours.write(data)
        finally:
            task.cancel()
            ours.close()
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as way:
        trips.url = f"redis://127.0.0.1:{way.sockets[0].getsockname()[1]}/0"
        yield trips
        way.close()


POLICIES = pytest.mark.parametrize(
    "policy",
    [
        {"sticky": "10m"},
        {"sticky": "10m", "rate": RATE},
        {"sticky": "10m", "budget": BUDGET},
        {"sticky": "10m", "rate": RATE, "budget": BUDGET},
        {"rate": RATE, "budget": BUDGET},
        {"sticky": "10m", "rate": RATE, "budget": BUDGET, "split": {"weights": [50, 50]}, "hedge_after": 60.0},
    ],
    ids=["sticky", "sticky rate", "sticky budget", "all", "rate and budget", "and more"],
)


@needs_redis
@POLICIES
async def test_a_request_asks_once(counting: Counting, redis: Server, policy: dict[str, Any]) -> None:
    async with between(redis) as trips:
        counting.bind(OPENAI, OTHER, url=trips.url, **policy)
        async with counting.service() as service:
            for _ in range(10):
                await service.chat(ask())
            assert trips.asked == 10
            assert b"HGET\r\n" not in trips.said
            # All of it goes in steps: what is told after a request goes along with the next, or by itself.
            assert 10 <= trips.said.count(b"EVALSHA\r\n") + trips.said.count(b"EVAL\r\n") <= 20


@needs_redis
async def test_an_alias_without_a_policy_asks_nobody(counting: Counting, redis: Server) -> None:
    async with between(redis) as trips:
        counting.bind(OPENAI, OTHER, url=trips.url)
        async with counting.service() as service:
            await service.chat(ask())
            assert not trips.said


@needs_redis
@POLICIES
async def test_a_conversation_that_is_with_the_stand_by_asks_once(
    counting: Counting, redis: Server, policy: dict[str, Any]
) -> None:
    policy = {key: value for key, value in policy.items() if key != "split"}
    async with between(redis) as trips:
        counting.bind(OPENAI, OTHER, url=trips.url, **policy)
        counting.server.reply(status=500)
        async with counting.service() as service:
            assert (await service.chat(ask())).model == OTHER
            trips.clear()
            for _ in range(5):
                assert (await service.chat(ask())).model == (OTHER if "sticky" in policy else OPENAI)
            assert trips.asked == 5
            assert (await service.chat(ask("Another one"))).model == OPENAI


async def test_what_is_held_is_of_the_model_that_the_conversation_is_with(counting: Counting, store_url: str) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, sticky="10m", budget=BUDGET)
    counting.server.reply(status=500)
    counting.server.reply("x", usage=Tokens(0, 0))
    async with counting.service() as service:
        assert (await service.chat(ask())).model == OTHER
        counting.server.reply("late", delay=30)
        task = asyncio.create_task(service.chat(ask(max_tokens=10_000)))
        await counting.server.received(3)
        assert 0.1 <= (await service.state()).aliases[0].budgets[0].held <= 0.11  # $10 for a million tokens
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await service.state()).aliases[0].budgets[0].held == 0


async def test_what_was_taken_for_a_model_that_is_not_asked_is_given_back(counting: Counting, store_url: str) -> None:
    """Nobody has a key of it."""
    counting.bind("nobody:x", OTHER, url=store_url, sticky="10m", budget={**BUDGET, "unpriced": "allow"}, rate=RATE)
    counting.path.write_text(
        counting.path.read_text().replace(
            "[providers.openai]",
            '[providers.nobody]\nsdk = "openai"\nbase_url = "http://api.openai.com/v1"\napi_key_env = "NOBODY"\n'
            "[providers.openai]",
        )
    )
    counting.server.reply("x", usage=Tokens(1, 1))
    async with counting.service() as service:
        assert (await service.chat(ask())).model == OTHER
        (alias,) = (await service.state()).aliases
        assert alias.budgets[0].held == 0
        assert alias.rate is not None
        assert alias.rate.requests == 999
        # It is with the other one from then on.
        counting.server.reply("x", usage=Tokens(1, 1))
        assert not (await service.chat(ask())).attempts


async def test_who_ends_before_it_asks_anybody_holds_nothing(counting: Counting, store_url: str) -> None:
    counting.bind(
        "nobody:x", "nobody:y", url=store_url, sticky="10m", budget={**BUDGET, "unpriced": "allow"}, rate=RATE
    )
    async with counting.service() as service:
        with pytest.raises(ProviderError):
            await service.chat(ask())
        (alias,) = (await service.state()).aliases
        assert alias.budgets[0].held == 0
        assert alias.rate is not None
        assert alias.rate.requests == 1000


async def test_those_who_wait_in_a_conversation_are_served_in_turn(counting: Counting, store_url: str) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, sticky="10m", rate={"requests": 10, "per": "second"})
    async with counting.service() as service:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = await asyncio.gather(*(service.chat(ask(f"Hi {it}")) for it in range(15)))
        assert loop.time() - began >= 0.45
        assert {it.model for it in answers} == {OPENAI}
        assert len(counting.server.requests) == 15
