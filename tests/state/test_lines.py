"""Those who wait for a rate: first come, first served, in every store, and in all processes that share one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from llmring.state.asks import MICRO, Ask, Verdict
from llmring.state.desk import Desk
from llmring.state.far import Far
from llmring.state.shared import opened
from llmring.state.stores import ProcessStore

from .servers import Server

PERIOD = 2 * MICRO


@asynccontextmanager
async def desks(url: str, number: int = 1) -> AsyncIterator[list[Desk]]:
    """Desks that share a store, as those of several processes do."""
    own = ProcessStore()
    async with AsyncExitStack() as stack:
        made: list[Desk] = []
        for _ in range(number):
            desk = Far(opened(url, "STORE"), ProcessStore(), "STORE", "closed") if url else Desk(own)
            stack.push_async_callback(desk.close)
            made.append(desk)
        yield made


def ask(requests: float, tokens: float = 0.0) -> Ask:
    """One of a rate of so many requests in two seconds; `tokens`: the part of the period that it takes by them."""
    return Ask(rate="rate:x", request=round(PERIOD / requests), tokens=round(PERIOD * tokens), burst=PERIOD)


async def through(desk: Desk, it: Ask, seconds: float | None = 30.0) -> Verdict:
    until = None if seconds is None else asyncio.get_running_loop().time() + seconds
    return await desk.line(it.rate).through(it, until)


async def come(desk: Desk, number: int = 1) -> None:
    """When so many wait there, and the store knows of the first."""
    while len(desk.line("rate:x").waiting) < number:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.001)


async def test_a_burst_goes_at_once_and_the_rest_in_turn(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        order: list[int] = []

        async def one(number: int) -> float:
            assert (await through(desk, ask(200))).no == ""
            order.append(number)
            return asyncio.get_running_loop().time()

        began = asyncio.get_running_loop().time()
        times = await asyncio.gather(*(one(number) for number in range(220)))
        assert order == sorted(order)
        # A full period goes at once; each of the others has to wait for its part of it.
        assert times[-1] - began >= 20 * 2 / 200 - 0.1


async def test_two_processes_have_one_rate_and_take_turns(store_url: str) -> None:
    """None of the two is served before the other, though one has many more who wait."""
    async with desks(store_url, 2) as (busy, quiet):
        await asyncio.gather(*(through(busy, ask(20)) for _ in range(20)))
        order: list[tuple[int, str]] = []

        async def one(desk: Desk, name: str) -> None:
            verdict = await through(desk, ask(20))
            assert verdict.no == ""
            order.append((verdict.now, name))

        first = [asyncio.create_task(one(busy, "busy")) for _ in range(5)]
        await come(busy, 5)
        await asyncio.sleep(0.1)  # who comes before whom is as exact as a step of the store is short
        second = asyncio.create_task(one(quiet, "quiet"))
        await come(quiet)
        await asyncio.sleep(0.1)
        last = [asyncio.create_task(one(busy, "late")) for _ in range(5)]
        await asyncio.gather(*first, second, *last)
        # By the store's time: of two answers that it gives to two desks, either may be here first.
        assert [name for _, name in sorted(order)] == ["busy"] * 5 + ["quiet"] + ["late"] * 5


async def test_who_leaves_makes_room(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        await asyncio.gather(*(through(desk, ask(20)) for _ in range(20)))
        began = asyncio.get_running_loop().time()
        leaving = [asyncio.create_task(through(desk, ask(20))) for _ in range(50)]
        await come(desk, 50)
        stays = asyncio.create_task(through(desk, ask(20)))
        await come(desk, 51)
        for task in leaving:
            task.cancel()
        assert (await stays).no == ""
        assert asyncio.get_running_loop().time() - began < 2.5  # and not the 5 seconds of those before it
        assert not desk.line("rate:x").waiting


async def test_who_is_told_while_he_leaves_takes_nothing(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        for _ in range(40):
            task = asyncio.create_task(through(desk, ask(20)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not store_url:
            return  # there, all is done by then
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(through(desk, ask(20), 1.5) for _ in range(20)))
        more = await through(desk, ask(20), 0.01)
        assert more.no == "rate" or asyncio.get_running_loop().time() - began > 2 / 20 - 0.01


async def test_it_is_said_at_once_that_it_would_take_too_long(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        await asyncio.gather(*(through(desk, ask(10)) for _ in range(10)))
        began = asyncio.get_running_loop().time()
        verdict = await through(desk, ask(10), 0.1)
        assert verdict.no == "rate"
        assert 0.1 < verdict.wait / MICRO <= 0.2
        assert asyncio.get_running_loop().time() - began < 0.09


async def test_a_large_request_is_not_passed_by_small_ones(store_url: str) -> None:
    async with desks(store_url, 2) as (one, other):
        assert (await through(one, ask(10_000, 1.0))).no == ""
        order: list[tuple[int, str]] = []

        async def go(desk: Desk, name: str, tokens: float) -> None:
            verdict = await through(desk, ask(10_000, tokens))
            assert verdict.no == ""
            order.append((verdict.now, name))

        large = asyncio.create_task(go(one, "large", 0.25))
        await come(one)
        await asyncio.sleep(0.1)
        small = [asyncio.create_task(go(desk, "small", 0.05)) for desk in (one, other) * 2]
        await asyncio.gather(large, *small)
        assert min(order)[1] == "large"


async def test_what_is_given_back_lets_the_next_go_sooner(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        assert (await through(desk, ask(10_000, 1.0))).no == ""
        began = asyncio.get_running_loop().time()
        waits = asyncio.create_task(through(desk, ask(10_000, 0.5)))
        await come(desk)
        desk.tell(("rate", "rate:x", (0, -round(0.8 * PERIOD))))
        assert (await waits).no == ""
        assert asyncio.get_running_loop().time() - began < 0.8


async def test_a_request_of_more_than_a_period_goes_when_nothing_is_unpaid(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        assert (await through(desk, ask(10_000, 3.0))).no == ""
        assert (await through(desk, ask(10_000, 0.1), 0.1)).no == "rate"


async def test_who_leaves_just_when_he_is_told_takes_nothing(store_url: str) -> None:
    async with desks(store_url) as (desk,):
        for _ in range(20):
            await through(desk, ask(20))
        task, line = asyncio.create_task(through(desk, ask(20))), desk.line("rate:x")
        for waits in (True, False):
            while bool(line.waiting) != waits:  # noqa: ASYNC110 - a step of the loop later is too late
                await asyncio.sleep(0)
        task.cancel()  # he has been told by now, and has not heard it
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert (await through(desk, ask(20), 0.07)).no == ""


async def test_who_leaves_while_he_is_asked_for_is_waited_for_by_nobody(redis: Server) -> None:
    async with desks(redis.url, 2) as (one, other):
        await asyncio.gather(*(through(one, ask(2)) for _ in range(2)))
        task = asyncio.create_task(through(one, ask(2)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.flush()
        # A second of waiting for its own part, and not another one for the part of who left.
        assert (await through(other, ask(2), 1.5)).no == ""
