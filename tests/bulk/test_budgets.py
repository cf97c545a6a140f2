"""A map through an alias with a budget: what is under way may be cheaper than it might have been."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.bulk import RowMap
from llmring.exceptions import BudgetExceededError
from llmring.testing import Reply, Tokens

from ..state.ground import Counting, ask, counting

__all__ = ["counting"]

DEAREST = 0.0006
"""Of a thousand tokens; an answer has ten, for which a hundredth is billed."""


def begun(service: LLMRing, count: int, ordered: bool = False) -> RowMap[int]:
    return service.map(range(count), lambda row: ask(str(row), max_tokens=1000), ordered=ordered)


@pytest.mark.parametrize("store", ["", "sqlite"])
async def test_what_is_under_way_is_waited_for(counting: Counting, tmp_path: Path, store: str) -> None:
    url = f"sqlite:{tmp_path / 'state.db'}" if store else ""
    counting.bind(url=url, budget={"usd": 5.5 * DEAREST, "per": "month"})
    counting.server.default = Reply("x", usage=Tokens(10, 10), delay=0.01)
    async with counting.service() as service:
        results = [it async for it in begun(service, 60)]
    assert [it.error for it in results] == [None] * 60
    assert {it.attempts for it in results} == {1}


@pytest.mark.parametrize("ordered", [True, False])
async def test_it_ends_where_that_makes_no_room(counting: Counting, ordered: bool) -> None:
    counting.bind(budget={"usd": 5.5 * DEAREST, "per": "month"})
    counting.server.default = Reply("x", usage=Tokens(10, 500), delay=0.01)
    async with counting.service() as service:
        results: list[int] = []
        with pytest.raises(BudgetExceededError) as caught:
            await _read(begun(service, 60, ordered), results)
    assert len(results) >= 9
    assert caught.value.spent + caught.value.needed > caught.value.usd
    assert len(counting.server.requests) == len(results)


async def test_what_others_have_under_way_is_waited_for(counting: Counting) -> None:
    counting.bind(budget={"usd": 1.5 * DEAREST, "per": "month"})
    counting.server.default = Reply("x y", usage=Tokens(10, 10))
    async with counting.service() as service:
        other = service.chat_stream(ask("other", max_tokens=1000))
        await anext(other)
        answers = begun(service, 3)
        results: list[int] = []
        reader = asyncio.create_task(_read(answers, results))
        while answers.progress.limited_by != "budget":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert len(counting.server.requests) == 1
        await other.final_response()
        await reader
    assert len(results) == 3


async def _read(answers: RowMap[int], into: list[int]) -> None:
    async for it in answers:
        into.append(it.row)  # noqa: PERF401
