"""`service.map`: rows in, answers out, over a real socket."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from llmring import LLMRequest, LLMRing, Message, sync
from llmring.bulk import MapResult, RowMap
from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderResponseError,
)
from llmring.testing import PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest

MODEL = "openai:gpt-5-mini"


def ask(row: object) -> LLMRequest:
    return LLMRequest(model=MODEL, messages=[Message(role="user", content=f"row {row}")])


async def read(answers: RowMap[int], into: list[int]) -> None:
    async for it in answers:
        into.append(it.row)  # noqa: PERF401


def said(result: MapResult[int]) -> str:
    assert result.response is not None, result.error
    return result.response.content


async def test_answers_come_in_the_order_of_the_rows(server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        late = request.question in ("row 0", "row 7")
        return Reply(request.question, delay=0.2 if late else 0.0)

    server.script(decide)
    async with LLMRing() as service:
        results = [it async for it in service.map(range(30), ask)]
        assert [(it.number, it.row, said(it)) for it in results] == [(n + 1, n, f"row {n}") for n in range(30)]
        as_they_come = [it.row async for it in service.map(range(30), ask, ordered=False)]
    assert sorted(as_they_come) == list(range(30))
    assert as_they_come.index(0) > 5


async def test_answers_are_read_once_and_a_second_time_is_an_error(server: PracticeServer) -> None:
    async with LLMRing() as service:
        answers = service.map(range(4), ask)
        async for _ in answers:
            break
        assert len([it async for it in answers]) == 3
        with pytest.raises(ConfigurationError, match="read to their end"):
            _ = [it async for it in answers]


def test_the_same_without_async(server: PracticeServer) -> None:
    with sync.LLMRing() as service:
        answers = service.map(range(4), ask)
        assert len([*answers]) == 4
        with pytest.raises(ConfigurationError, match="read to their end"):
            _ = [*answers]


async def test_rows_and_requests_may_be_made_asynchronously(server: PracticeServer) -> None:
    async def rows() -> AsyncIterator[int]:
        for row in range(20):
            await asyncio.sleep(0)
            yield row

    async def build(row: int) -> LLMRequest:
        await asyncio.sleep(0)
        return ask(row)

    async with LLMRing() as service:
        assert [it.row async for it in service.map(rows(), build)] == list(range(20))


async def test_no_more_rows_are_taken_than_somebody_reads_answers(server: PracticeServer) -> None:
    taken = 0

    def rows() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async with LLMRing() as service:
        answers = service.map(rows(), ask, concurrency=4)
        for _ in range(3):
            await anext(answers)
        await server.received(4 * 4)
        while answers.progress.running:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert taken <= 3 + 4 * 4 + 1
        assert answers.progress.limited_by == "reader"
        answers.stop()
        rest = [it async for it in answers]
        assert len(rest) + 3 == answers.progress.answered
        assert len(server.requests) == answers.progress.answered


async def test_one_rows_failure_is_its_own(server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        return Reply(status=400, error="no") if request.question == "row 3" else Reply("ok")

    server.script(decide)
    async with LLMRing() as service:
        results = [it async for it in service.map(range(6), ask)]
    assert [type(it.error) for it in results] == [type(None)] * 3 + [ProviderResponseError] + [type(None)] * 2
    assert results[3].response is None
    assert results[3].attempts == 1


async def test_what_may_pass_is_asked_again_and_so_is_what_was_refused_for_the_rate(server: PracticeServer) -> None:
    server.reply(status=429, times=7, retry_after=0.05)
    server.reply(status=500)
    async with LLMRing() as service:
        answers = service.map(range(12), ask)
        results = [it async for it in answers]
    assert [it.error for it in results] == [None] * 12
    assert sum(it.attempts for it in results) == 12 + 8 == len(server.requests)
    assert answers.progress.refused == 7


async def test_a_provider_that_refuses_all_for_a_while_is_no_broken_one(server: PracticeServer) -> None:
    """More refusals in a row than a breaker takes: the pace has seen to them."""
    server.reply(status=429, times=14, retry_after=0.01)
    async with LLMRing(breaker_cooldown=1000) as service:
        results = [it async for it in service.map(range(12), ask)]
    assert [it.error for it in results] == [None] * 12


async def test_limits_that_headers_tell_are_kept_by_all(server: PracticeServer) -> None:
    told = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}
    server.reply("ok", headers={**told, "x-ratelimit-reset-requests": "60s"})
    server.default = Reply("ok", delay=0.1)
    async with LLMRing() as service:
        answers = service.map(range(40), ask, concurrency=8, ordered=False)
        for _ in range(8):
            await anext(answers)
        assert len(server.requests) <= 9
        assert answers.progress.limited_by == "alone"
        await answers.aclose()


async def test_what_every_row_would_meet_ends_it_after_what_was_under_way(server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        if request.question == "row 2":
            return Reply(problem="bad_key")
        return Reply("ok", delay=0.1)

    server.script(decide)
    results: list[int] = []
    async with LLMRing() as service:
        with pytest.raises(ProviderAuthenticationError):
            await read(service.map(range(1000), ask, concurrency=8), results)
    assert results == [0, 1, *range(3, 3 + len(results) - 2)]
    assert len(server.requests) == len(results) + 1 < 20


async def test_an_answer_behind_a_row_that_waits_is_handed_over_at_the_end(server: PracticeServer) -> None:
    """The first row is refused and waits, the second is answered, and the third ends it."""

    def decide(request: RecordedRequest) -> Reply:
        if request.question == "row 0":
            return Reply(status=429, headers={"retry-after": "5"}, delay=0.5)
        return Reply(problem="bad_key", delay=1.0) if request.question == "row 2" else Reply("it")

    server.script(decide)
    rows: list[int] = []
    async with LLMRing() as service:
        with pytest.raises(ProviderAuthenticationError):
            await read(service.map(range(3), ask), rows)
    assert rows == [1]


@pytest.mark.parametrize("who", ["rows", "build"])
async def test_what_is_cancelled_within_is_no_end_of_the_rows(server: PracticeServer, who: str) -> None:
    async def rows() -> AsyncIterator[int]:
        for row in range(5):
            if row == 2 and who == "rows":
                raise asyncio.CancelledError
            yield row

    async def build(row: int) -> LLMRequest:
        if row == 2 and who == "build":
            raise asyncio.CancelledError
        return ask(row)

    results: list[int] = []
    async with LLMRing() as service:
        with pytest.raises(LLMRingError, match="Not all rows were asked about"):
            await read(service.map(rows(), build), results)
    assert results == [0, 1]


def test_another_event_loop_is_told_that_there_were_more_rows(server: PracticeServer) -> None:
    service = LLMRing()
    answers = service.map(range(100), ask, concurrency=2)

    async def first() -> MapResult[int]:
        return await anext(answers)

    async def rest() -> None:
        try:
            async for _ in answers:
                pass
        finally:
            await service.close()

    assert asyncio.run(first()).row == 0
    with pytest.raises(LLMRingError, match="the event loop has ended"):
        asyncio.run(rest())


async def test_where_the_first_rows_all_fail_it_is_not_the_rows(server: PracticeServer) -> None:
    server.default = Reply(status=400, error="no such parameter")
    async with LLMRing() as service:
        answers = service.map(range(1000), ask, concurrency=4)
        results: list[int] = []
        with pytest.raises(ProviderResponseError, match="no such parameter"):
            await read(answers, results)
    assert 20 <= len(results) == answers.progress.failed == len(server.requests) <= 24


async def test_a_provider_that_is_gone_ends_it_and_is_not_each_rows_failure(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.refused_url())
    async with LLMRing() as service:
        answers = service.map(range(1000), ask, concurrency=4, attempts=2)
        with pytest.raises(ProviderConnectionError):
            await anext(answers)
        assert answers.progress.failed == 0


async def test_a_row_that_fails_again_and_again_while_others_are_answered_has_failed(server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        return Reply(status=500) if request.question == "row 1" else Reply("ok")

    server.script(decide)
    async with LLMRing() as service:
        results = [it async for it in service.map(range(5), ask, attempts=2)]
    assert [it.row for it in results if it.error] == [1]
    assert results[1].attempts == 2


async def test_what_the_program_raises_ends_it_and_says_which_row(server: PracticeServer) -> None:
    def build(row: int) -> LLMRequest:
        if row == 4:
            raise KeyError("text")
        return ask(row)

    results: list[int] = []
    async with LLMRing() as service:
        with pytest.raises(KeyError) as caught:
            await read(service.map(range(100), build), results)
    assert results == [0, 1, 2, 3]
    assert caught.value.__notes__ == ["llmring: of the row 5"]


@pytest.mark.parametrize(
    "leave",
    [pytest.param(lambda it: it.aclose(), id="closed"), pytest.param(lambda it: None, id="dropped")],
)
async def test_whoever_leaves_ends_what_is_under_way(server: PracticeServer, leave: Callable[[object], object]) -> None:
    server.default = Reply(chunks=["x"], delay=30)
    server.reply("first")
    async with LLMRing() as service:
        answers = service.map(range(10**9), ask, concurrency=4, ordered=False)
        await anext(answers)
        await server.received(4)
        if (closing := leave(answers)) is not None:
            await closing  # type: ignore[misc]
        del answers, closing
        gc.collect()
        for request in server.requests[1:4]:
            assert await request.closed()


async def test_numbers_are_checked_and_rows_must_be_some() -> None:
    async with LLMRing() as service:
        with pytest.raises(ConfigurationError):
            service.map([1], ask, concurrency=0)
        with pytest.raises(ConfigurationError):
            service.map([1], ask, attempts=0)
        with pytest.raises(ConfigurationError, match="rows is of the type int"):
            service.map(7, ask)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="async for"):
            iter(service.map([1], ask))


async def test_no_rows_are_no_answers() -> None:
    async with LLMRing() as service:
        rows: list[int] = []
        assert [it async for it in service.map(rows, ask)] == []


# Without a word of async


def test_rows_are_taken_in_the_thread_that_reads(server: PracticeServer) -> None:
    threads = set()

    def rows() -> Iterator[int]:
        for row in range(100):
            threads.add(threading.get_ident())
            yield row

    def build(row: int) -> LLMRequest:
        threads.add(threading.get_ident())
        return ask(row)

    with sync.LLMRing() as service:
        results = list(service.map(rows(), build))
    assert [(it.row, said(it)) for it in results] == [(n, f"You said: row {n}") for n in range(100)]
    assert threads == {threading.get_ident()}


def test_what_goes_wrong_in_that_thread_is_raised_there(server: PracticeServer) -> None:
    def rows() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    got: list[int] = []
    with sync.LLMRing() as service:
        with pytest.raises(LookupError, match="no more"):
            got.extend(it.row for it in service.map(rows(), ask))
        with service.map(range(10**9), ask, concurrency=2) as answers:
            assert next(answers).row == 0
            answers.stop()
            assert len(list(answers)) == answers.progress.answered - 1
    assert got == [0, 1, 2]
