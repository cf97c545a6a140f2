"""Rates and budgets on the way of a request: what is taken, refused and settled, however the request ends."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRing
from llmring.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderTimeoutError,
)
from llmring.state import BudgetStanding
from llmring.testing import Fault, Tokens

from .ground import MODEL, Counting, ask, counting

__all__ = ["counting"]

PRICES = 0.15e-6, 0.60e-6
"""Of the model, in dollars for a token in and out, by the recorded data."""
streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


async def read(service: LLMRing, *, stream: bool = True, **fields: Any) -> str:
    request = ask(**fields)
    response = await (service.chat_stream(request).final_response() if stream else service.chat(request))
    return response.content


async def budget(service: LLMRing) -> BudgetStanding:
    (alias,) = (await service.state()).aliases
    return alias.budgets[0]


def cost(put_in: int, got: int) -> Any:
    return pytest.approx(put_in * PRICES[0] + got * PRICES[1], rel=1e-6)


@streamed
async def test_a_budget_is_settled_by_what_an_answer_cost(counting: Counting, store_url: str, stream: bool) -> None:
    counting.bind(url=store_url, budget={"usd": 1.0, "per": "day"})
    counting.server.reply("one two", usage=Tokens(1000, 200))
    async with counting.service() as service:
        assert await read(service, stream=stream, max_tokens=1000) == "one two"
        stands = await budget(service)
        assert stands.spent == cost(1000, 200)
        assert stands.held == 0
        assert stands.left == pytest.approx(1.0 - stands.spent)
        assert (stands.usd, stands.per, stands.by, stands.who) == (1.0, "day", None, None)


@streamed
async def test_the_dearest_is_held_while_a_request_is_under_way(
    counting: Counting, store_url: str, stream: bool
) -> None:
    counting.bind(url=store_url, budget={"usd": 1.0, "per": "month"})
    counting.server.reply("one two three", fault=Fault.stall_after(2))
    async with counting.service(timeout=30) as service:
        task = asyncio.create_task(read(service, stream=stream, max_tokens=10_000))
        await asyncio.to_thread(counting.server.wait_request)
        held = (await budget(service)).held
        assert 10_000 * PRICES[1] <= held <= 10_000 * PRICES[1] + 1000 * PRICES[0] * 1.25
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stands = await budget(service)
        assert stands.held == 0
        # It was read, and something of it came; nobody says what that cost.
        assert 0 < stands.spent < held / 2


async def test_what_may_cost_too_much_is_refused_unsent(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, budget={"usd": 0.01, "per": "hour"})
    counting.server.reply("dear", usage=Tokens(10_000, 10_000))
    async with counting.service() as service:
        assert await read(service, max_tokens=10_000) == "dear"
        with pytest.raises(BudgetExceededError) as caught:
            await read(service, max_tokens=10_000)
        assert len(counting.server.requests) == 1
        assert await read(service, max_tokens=1_000)
    error = caught.value
    assert error.spent == cost(10_000, 10_000)
    assert (error.alias, error.profile, error.usd, error.per, error.by, error.held) == (
        *("chatbot", "default", 0.01, "hour", None),
        0,
    )
    assert error.needed >= 10_000 * PRICES[1]
    assert datetime.now(UTC) < error.opens_at
    assert (error.opens_at.minute, error.opens_at.second) == (0, 0)
    assert 0 < error.retry_after <= 3600
    for said in ("chatbot may cost $0.01 an hour", "$0.0075 are spent", MODEL, "It was not sent", "UTC"):
        assert said in str(error), said
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(other), vars(other)) == (str(error), vars(error))


async def test_a_request_that_no_budget_could_pay_is_told_what_to_do(counting: Counting) -> None:
    counting.bind(budget={"usd": 0.0001, "per": "day"})
    async with counting.service() as service:
        with pytest.raises(BudgetExceededError, match="more than all of it: set `max_tokens`"):
            await read(service)
        assert await read(service, max_tokens=50)


async def test_the_dearest_is_by_whatever_name_the_limit_has(counting: Counting) -> None:
    counting.bind(budget={"usd": 1.0, "per": "month"})
    counting.server.reply("one two three", fault=Fault.stall_after(2))
    async with counting.service(timeout=30) as service:
        task = asyncio.create_task(
            read(service, stream=True, max_tokens=10, extra_params={"max_completion_tokens": 10_000})
        )
        await asyncio.to_thread(counting.server.wait_request)
        assert (await budget(service)).held >= 10_000 * PRICES[1]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_model_without_a_price_is_refused_unless_it_is_allowed(counting: Counting, store_url: str) -> None:
    counting.bind("openai:nobody-knows-it", url=store_url, budget={"usd": 1.0, "per": "day"})
    async with counting.service() as service:
        with pytest.raises(ConfigurationError, match=r'openai:nobody-knows-it is not priced.*unpriced = "allow"'):
            await read(service)
        assert not counting.server.requests
        counting.bind("openai:nobody-knows-it", url=store_url, budget={"usd": 1.0, "per": "day", "unpriced": "allow"})
        assert await read(service)
        assert (await budget(service)).spent == 0


async def test_why_a_stand_by_was_to_serve_is_listed_where_the_budget_refuses_it(counting: Counting) -> None:
    counting.bind(f"openai:{MODEL}", "openai:nobody-knows-it", budget={"usd": 1.0, "per": "day"})
    counting.server.reply(status=503, error="Down")
    async with counting.service() as service:
        with pytest.raises(ConfigurationError, match="not priced") as caught:
            await read(service, max_tokens=10)
    assert f"openai:{MODEL}" in caught.value.__notes__[0]


async def test_each_value_of_by_has_a_budget_of_its_own(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, budget={"usd": 0.01, "per": "day", "by": "user"})
    async with counting.service() as service:
        for user in ("ann", "ben"):
            counting.server.reply("dear", usage=Tokens(10_000, 10_000))
            assert await read(service, max_tokens=10_000, metadata={"user": user})
            with pytest.raises(BudgetExceededError, match="for each user"):
                await read(service, max_tokens=10_000, metadata={"user": user})
        assert await read(service, max_tokens=10_000, metadata={"user": "eve"})
        (alias,) = (await service.state()).aliases
        assert len(alias.budgets) == 3
        assert all(it.who is not None and "ann" not in it.who for it in alias.budgets)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@streamed
async def test_what_is_refused_costs_nothing(counting: Counting, store_url: str, status: int, stream: bool) -> None:
    counting.bind(url=store_url, budget={"usd": 1.0, "per": "day"})
    counting.server.reply(status=status)
    async with counting.service(max_retries=0) as service:
        with pytest.raises(ProviderError):
            await read(service, stream=stream)
        assert ((stands := await budget(service)).spent, stands.held) == (0, 0)


@pytest.mark.parametrize("how", ["cut", "left", "dropped", "timeout", "closed"])
async def test_however_a_stream_ends_nothing_stays_held(counting: Counting, store_url: str, how: str) -> None:
    counting.bind(url=store_url, budget={"usd": 1.0, "per": "day"})
    if how == "cut":
        counting.server.reply("one two three", fault=Fault.cut_after(2))
    else:
        counting.server.reply("one two three", fault=Fault.stall_after(2))
    async with counting.service(timeout=0.3 if how == "timeout" else 30) as service:
        stream = service.chat_stream(ask(max_tokens=10_000))
        try:
            async for _ in stream:
                if how in ("left", "dropped"):
                    break
                if how == "closed":
                    await stream.aclose()
        except ProviderError:
            assert how in ("cut", "timeout")
        if how == "left":
            await stream.aclose()
        del stream
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0.01)
        stands = await budget(service)
        assert stands.held == 0
        assert 0 < stands.spent < 0.001


async def test_a_rate_makes_requests_wait_and_not_fail(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, rate={"requests": 10, "per": "second"})
    async with counting.service() as service:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(read(service, stream=bool(it % 2)) for it in range(15)))
        assert loop.time() - began >= 0.45
        assert len(counting.server.requests) == 15
        (alias,) = (await service.state()).aliases
        assert alias.rate is not None
        assert (alias.rate.per, alias.rate.tokens, alias.rate.waiting) == ("second", None, 0)
        assert alias.rate.requests is not None
        assert alias.rate.requests <= 10


@pytest.mark.parametrize("bound", ["deadline", "timeout"])
async def test_who_cannot_be_served_in_time_is_told_when(counting: Counting, store_url: str, bound: str) -> None:
    counting.bind(url=store_url, rate={"requests": 2, "per": "minute"})
    async with counting.service(**{bound: 2.0}) as service:
        await asyncio.gather(read(service), read(service))
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderRateLimitError, match="chatbot may ask 2 requests a minute") as caught:
            await read(service)
        assert asyncio.get_running_loop().time() - began < 1.0
        assert caught.value.retry_after is not None
        assert 20 < caught.value.retry_after <= 30
        assert (caught.value.asked, caught.value.status_code) == (False, None)
        assert len(counting.server.requests) == 2


async def test_tokens_are_settled_by_usage(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, rate={"tokens": 1000, "per": "minute"})
    counting.server.reply("short", usage=Tokens(10, 20))
    counting.server.reply("long", usage=Tokens(100, 2000))
    async with counting.service(timeout=1.0) as service:

        async def left() -> int:
            (alias,) = (await service.state()).aliases
            assert alias.rate is not None
            assert alias.rate.tokens is not None
            return alias.rate.tokens

        assert await read(service, max_tokens=900) == "short"
        await asyncio.sleep(0.1)  # what is told goes along a moment later
        assert 960 <= await left() <= 1000
        assert await read(service, max_tokens=900) == "long"
        await asyncio.sleep(0.1)
        assert -1140 <= await left() <= -1090
        with pytest.raises(ProviderRateLimitError):
            await read(service)


async def test_retry_after_holds_all_back(counting: Counting, store_url: str) -> None:
    """Also those of another service that shares the store."""
    counting.bind(url=store_url, rate={"requests": 1000, "per": "second"})
    counting.server.reply(status=429, headers={"Retry-After": "1"})
    async with counting.service(max_retries=0) as one, counting.service() as other:
        with pytest.raises(ProviderRateLimitError):
            await read(one)
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(read(one), read(other))
        assert 0.7 <= asyncio.get_running_loop().time() - began < 5


async def test_a_model_that_wants_to_be_left_alone_is_passed_by(counting: Counting, store_url: str) -> None:
    counting.bind(f"openai:{MODEL}", f"other:{MODEL}", url=store_url, rate={"requests": 1000, "per": "second"})
    counting.server.reply(status=429, headers={"Retry-After": "60"})
    async with counting.service() as service:
        assert (await service.chat(ask())).model == f"other:{MODEL}"
        await asyncio.sleep(0.1)
        response = await service.chat(ask())
        assert response.model == f"other:{MODEL}"
        assert "no such request for the next" in str(response.attempts[0])
        assert len(counting.server.requests) == 3


async def test_a_providers_own_limits_are_kept(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, rate={"requests": 1000, "per": "second"})
    headers = {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "10s",
    }
    counting.server.reply("last", headers=headers)
    async with counting.service() as service:
        await read(service)
        await asyncio.sleep(0.1)
        (model,) = (await service.state()).models
        assert (model.model, model.requests, model.breaker) == (f"openai:{MODEL}", 0, "closed")
        began = asyncio.get_running_loop().time()
        await read(service)
        assert 0.6 <= asyncio.get_running_loop().time() - began < 5


async def test_a_whole_answer_that_never_came_is_counted_as_it_was_held(counting: Counting) -> None:
    counting.bind(budget={"usd": 1.0, "per": "day"})
    counting.server.reply("never", delay=30)
    async with counting.service(timeout=0.3) as service:
        with pytest.raises(ProviderTimeoutError):
            await read(service, stream=False, max_tokens=1000)
        assert (await budget(service)).spent >= 1000 * PRICES[1]


async def test_a_service_forgets_what_was_counted(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, budget={"usd": 0.01, "per": "day"}, rate={"requests": 1, "per": "day"})
    counting.server.reply("dear", usage=Tokens(10_000, 10_000))
    async with counting.service(timeout=1) as service:
        await read(service, max_tokens=10_000)
        with pytest.raises(BudgetExceededError):
            await read(service, max_tokens=10_000)
        assert await service.reset_state("chatbot") == 2
        assert await read(service, max_tokens=10_000)
        with pytest.raises(ConfigurationError, match="no alias 'nobody'"):
            await service.reset_state("nobody")


async def test_services_of_a_process_count_together(counting: Counting) -> None:
    counting.bind(rate={"requests": 1, "per": "hour"})
    async with counting.service() as one:
        await read(one)
    async with counting.service(timeout=0.5) as other:
        with pytest.raises(ProviderRateLimitError):
            await read(other)


async def test_aliases_whose_names_hold_a_colon_or_a_slash_have_counts_of_their_own(counting: Counting) -> None:
    counting.bind(budget={"usd": 1.0, "per": "day"})
    other = f"""
[[profiles.default.bindings]]
alias = "chatbot:two"
models = ["openai:{MODEL}"]
budget = {{ usd = 1.0, per = "day", by = "user" }}
[profiles."default/chatbot"]
name = "default/chatbot"
"""
    counting.path.write_text(counting.path.read_text() + other)
    async with counting.service() as service:
        assert await read(service, max_tokens=5)
        request = ask(max_tokens=5, metadata={"user": "ann"})
        await service.chat(request.model_copy(update={"model": "chatbot:two"}))
        assert [len(it.budgets) for it in (await service.state()).aliases] == [1, 1]
        assert await service.reset_state("chatbot") == 1
        one, two = (await service.state()).aliases
        assert (one.budgets[0].spent, len(two.budgets)) == (0, 1)
        assert await service.reset_state() == 1


async def test_what_is_asked_again_without_a_parameter_counts_twice(counting: Counting, store_url: str) -> None:
    counting.bind(url=store_url, rate={"requests": 2, "per": "day"}, on_refused_param="drop")
    counting.server.reply(status=400, error="Unsupported parameter: 'temperature' is not supported with this model.")
    async with counting.service() as service:
        assert await read(service, temperature=0.5)
        await asyncio.sleep(0.1)
        (alias,) = (await service.state()).aliases
        assert alias.rate is not None
        assert alias.rate.requests == 0


def spoil(path: Path, how: str) -> None:
    """Take a store's files away, or write over them."""
    for file in path.parent.glob(f"{path.name}*"):
        if how == "broken":
            file.write_bytes(b"\xff" * 5000)
        else:
            file.unlink()


@pytest.mark.parametrize("how", ["gone", "broken"])
async def test_another_file_in_the_place_of_the_counts_is_taken_for_them(
    counting: Counting, tmp_path: Path, how: str
) -> None:
    """As it is by processes that begin then."""
    path = tmp_path / "counts.db"
    counting.bind(url=f"sqlite:{path}", budget={"usd": 1.0, "per": "day"})
    async with counting.service() as service:
        assert await read(service, max_tokens=5)
        await service.state()
        spoil(path, how)
        assert await read(service, max_tokens=5)
        if how == "broken":
            spoil(path, "gone")
            await asyncio.sleep(1.1)  # until it is tried again
            assert await read(service, max_tokens=5)
        assert (await budget(service)).spent > 0
        assert path.exists()
