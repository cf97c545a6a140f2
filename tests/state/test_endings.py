"""Budgets of answers that several models have a part in: hedged, gone on with, and left for the next."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from llmring import LLMRing
from llmring.exceptions import HedgedError, ProviderError
from llmring.state import BudgetStanding
from llmring.testing import Fault, Reply, Tokens

from .ground import MODEL, Counting, ask, counting

__all__ = ["counting"]

OPENAI, OTHER = f"openai:{MODEL}", "openai:gpt-4o"
BUDGET: dict[str, Any] = {"usd": 1.0, "per": "month"}
_GOOGLE = '[providers.google]\nbase_url = "http://generativelanguage.googleapis.com"\n'
ways = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


async def settled(service: LLMRing) -> BudgetStanding:
    """The budget when nothing is held any more."""
    for _ in range(200):
        stands = (await service.state()).aliases[0].budgets[0]
        if not stands.held:
            return stands
        await asyncio.sleep(0.01)
    raise AssertionError(f"{stands.held} is held for nobody")


@ways
async def test_the_second_of_a_hedge_serves(counting: Counting, store_url: str, stream: bool) -> None:
    """What the loser's vendor may charge is counted: its input."""
    counting.bind(OPENAI, OTHER, url=store_url, hedge_after=0.05, budget=BUDGET)
    counting.server.reply("never", fault=Fault("never_answer"), model=MODEL)
    counting.server.reply("second", usage=Tokens(1000, 200), model="gpt-4o")
    async with counting.service(timeout=30) as service:
        request = ask("Hi " * 4000, max_tokens=10_000)
        response = await (service.chat_stream(request).final_response() if stream else service.chat(request))
        assert response.model == OTHER
        assert isinstance(response.attempts[0], HedgedError)
        paid = service.calculate_cost(response).total
        assert paid is not None
        spent = (await settled(service)).spent
        assert paid + 1000 * 0.15e-6 < spent < paid + 10_000 * 0.15e-6


@ways
async def test_the_first_of_a_hedge_serves(counting: Counting, store_url: str, stream: bool) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, hedge_after=0.05, budget=BUDGET)
    second = asyncio.Event()
    loop = asyncio.get_running_loop()

    def decide(request: Any) -> Reply:
        if request.model == MODEL:
            return Reply("first", delay=1.0, usage=Tokens(1000, 200))
        loop.call_soon_threadsafe(second.set)
        return Reply("never", fault=Fault("never_answer"))

    counting.server.script(decide)
    async with counting.service(timeout=30) as service:
        request = ask(max_tokens=10_000)
        response = await (service.chat_stream(request).final_response() if stream else service.chat(request))
        assert second.is_set()
        assert response.model == OPENAI
        paid = service.calculate_cost(response).total
        assert paid is not None
        assert paid <= (await settled(service)).spent < paid + 100 * 2.5e-6


async def test_both_of_a_hedge_are_held_while_they_are_under_way(counting: Counting, store_url: str) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, hedge_after=0.05, budget=BUDGET)
    counting.server.reply("never", fault=Fault("never_answer"), times=2)
    async with counting.service(timeout=30) as service:
        task = asyncio.create_task(service.chat(ask(max_tokens=10_000)))
        await counting.server.received(2)
        held = (await service.state()).aliases[0].budgets[0].held
        assert 10_000 * (0.6e-6 + 10e-6) <= held < 10_100 * (0.6e-6 + 10e-6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert 0 < (await settled(service)).spent < 0.001


@pytest.mark.parametrize("why", ["unpriced", "spent"])
async def test_a_second_that_may_not_be_asked_is_said_once(
    counting: Counting, store_url: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = "openai:nobody-knows-it" if why == "unpriced" else OTHER
    counting.bind(OPENAI, other, url=store_url, hedge_after=0.05, budget={"usd": 0.01, "per": "month"})
    counting.server.script(lambda request: Reply("first", delay=0.3))
    caplog.set_level(logging.INFO, "llmring")
    async with counting.service(timeout=30) as service:
        for _ in range(2):
            assert (await service.chat(ask(max_tokens=2_000))).model == OPENAI
        await settled(service)
    assert {it.model for it in counting.server.requests} == {MODEL}
    said = [it.getMessage() for it in caplog.records if it.levelno == logging.WARNING]
    assert len(said) == 1, said
    assert said[0].startswith(f"chatbot: {other} cannot be asked beside {OPENAI}: ")
    assert ("is not priced" if why == "unpriced" else "chatbot may cost $0.01") in said[0]


async def test_the_stand_by_that_goes_on_is_paid_beside_who_broke_off(counting: Counting, store_url: str) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, budget=BUDGET)
    counting.server.reply(chunks=["One", " two"], fault=Fault.cut_after(1), model=MODEL)
    counting.server.reply(chunks=[" and", " two"], usage=Tokens(1000, 200), model="gpt-4o")
    async with counting.service() as service:
        response = await service.chat_stream(ask(max_tokens=10_000, on_interrupt="resume")).final_response()
        assert response.content == "One and two"
        served = 1000 * 2.5e-6 + 200 * 10e-6
        assert served < (await settled(service)).spent < served + 500 * 0.6e-6


@pytest.mark.parametrize("ends", ["whole", "cut again"])
async def test_who_goes_on_from_its_own_token_is_paid_for_both(counting: Counting, store_url: str, ends: str) -> None:
    model = "gemini-2.5-flash"
    counting.bind(f"google:{model}", url=store_url, budget=BUDGET)
    counting.path.write_text(counting.path.read_text().replace("[providers.openai]", f"{_GOOGLE}[providers.openai]"))
    counting.key("GOOGLE_API_KEY")
    cut: dict[str, Any] = {"chunks": ["One", " x"], "checkpoints": {0: "cHJhY3RpY2U="}, "fault": Fault.cut_after(1)}
    counting.server.reply(**cut, usage=Tokens(10_000, 1))
    if ends == "whole":
        counting.server.reply(chunks=[" two", " three"], usage=Tokens(10_000, 2000))
    else:
        counting.server.reply(status=400)
    async with counting.service(max_retries=0) as service:
        stream = service.chat_stream(ask(max_tokens=10_000, on_interrupt="resume"))
        try:
            response = await stream.final_response()
        except ProviderError:
            assert ends == "cut again"
            assert 0 < (await settled(service)).spent < 0.02
        else:
            assert response.content == "One two three"
            paid = service.calculate_cost(response).total
            assert paid is not None
            spent = (await settled(service)).spent
            assert 2000 * 1e-6 < paid <= spent * 1.01
    assert [it.body.get("continuationToken") for it in counting.server.requests] == [None, "cHJhY3RpY2U="]


async def test_an_answer_that_is_left_for_the_next_is_paid(counting: Counting, store_url: str) -> None:
    counting.bind(OPENAI, OTHER, url=store_url, budget=BUDGET, move_on=["empty"])
    counting.server.reply("", usage=Tokens(1000, 200), model=MODEL)
    counting.server.reply("x", usage=Tokens(1000, 200), model="gpt-4o")
    async with counting.service() as service:
        assert (await service.chat(ask(max_tokens=10_000))).model == OTHER
        both = 1000 * (0.15e-6 + 2.5e-6) + 200 * (0.6e-6 + 10e-6)
        assert (await settled(service)).spent == pytest.approx(both, rel=1e-6)
