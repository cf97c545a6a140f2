"""The same rules in every store: what one answers, all answer, whatever is asked and told, and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from llmring.state.asks import MICRO, Ask, Other, Record, Told, Verdict
from llmring.state.redis import RedisStore
from llmring.state.rules import lease
from llmring.state.sqlite import SQLiteStore
from llmring.state.stores import ProcessStore
from llmring.state.windows import end_of, window_of

from .servers import Server, needs_redis

# Of a time when whatever Redis is told to keep until then is kept, whenever this runs.
START = 3_000_000_000 * MICRO
_CLIENTS = ["a", "b", "c"]
_PERIODS = st.sampled_from(["hour", "day", "month"])


class Timed(ProcessStore):
    """At a time that the test says."""

    at = START

    def now(self) -> int:
        return self.at


class TimedFile(SQLiteStore):
    """At a time that the test says."""

    at = START

    def now(self) -> int:
        return self.at


def asks() -> st.SearchStrategy[Ask]:
    return st.builds(
        Ask,
        client=st.sampled_from(_CLIENTS),
        age=st.integers(0, 3 * MICRO),
        breaker=st.sampled_from(["", "breaker:m"]),
        threshold=st.just(2),
        cooldown=st.just(5 * MICRO),
        rate=st.sampled_from(["", "rate:x"]),
        request=st.sampled_from([0, MICRO, MICRO // 3]),
        tokens=st.integers(0, 9 * MICRO),
        burst=st.just(4 * MICRO),
        limit=st.sampled_from(["", "limit:m"]),
        weight=st.integers(0, 9000),
        elsewhere=st.booleans(),
        budget=st.sampled_from(["", "budget:x"]),
        usd=st.just(10_000),
        most=st.integers(0, 4000),
        per=_PERIODS,
        next_age=st.sampled_from([-1, 0, MICRO]),
        next_tokens=st.integers(0, 4 * MICRO),
        place=st.sampled_from(["", "put:x"]),
        model=st.sampled_from(["x", "y"]),
        others=st.lists(others(), max_size=2).map(tuple),
        kept=st.integers(1, 90 * MICRO),
    )


def others() -> st.SearchStrategy[Other]:
    return st.builds(
        Other,
        model=st.sampled_from(["x", "y", "z"]),
        breaker=st.sampled_from(["", "breaker:m", "breaker:n"]),
        limit=st.sampled_from(["", "limit:n"]),
        weight=st.integers(0, 9000),
        tokens=st.integers(0, 9 * MICRO),
        most=st.integers(0, 4000),
    )


def told() -> st.SearchStrategy[Told]:
    bucket = st.integers(-2, 8).map(lambda it: START // 10_000_000 + it)
    parts = st.integers(-3 * MICRO, 3 * MICRO)
    of_limit = [
        st.integers(0, 3 * MICRO),
        *[st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 86_400 * MICRO)] * 2,
    ]
    return st.one_of(
        st.tuples(st.just("rate"), st.just("rate:x"), st.tuples(parts, parts)),
        st.tuples(
            st.just("spent"),
            st.just("budget:x"),
            st.tuples(_PERIODS, bucket, st.integers(0, 4000), st.integers(0, 4000)),
        ),
        st.tuples(st.just("lease"), st.just("budget:x"), st.tuples(bucket, st.integers(0, 4000))),
        st.tuples(
            st.just("breaker"),
            st.just("breaker:m"),
            st.tuples(st.sampled_from(["ok", "began", "failed", "none"]), st.integers(0, 1), st.just(2)),
        ),
        st.tuples(st.just("limit"), st.just("limit:m"), st.tuples(*of_limit)),
        st.tuples(st.just("leave"), st.just("rate:x"), st.tuples(st.sampled_from(_CLIENTS))),
        st.tuples(
            st.just("put"),
            st.just("put:x"),
            st.tuples(st.sampled_from(["x", "y", "z", "ä:"]), st.integers(1, 90 * MICRO)),
        ),
    )


@needs_redis
@settings(max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(
        st.tuples(
            # Most of the time it goes on, at times it is set back.
            st.one_of(st.integers(0, 8 * MICRO), st.integers(-20 * MICRO, 4000 * MICRO)),
            st.lists(told(), max_size=3),
            st.lists(asks(), max_size=3),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_all_stores_answer_alike(
    shared_redis: Server, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, list[Told], list[Ask]]]
) -> None:
    shared_redis.ask("FLUSHALL")

    async def run() -> None:
        mine, file = Timed(), TimedFile(str(tmp_path_factory.mktemp("state") / "state.db"))
        server = RedisStore(shared_redis.url)
        try:
            for passed, said, asked in steps:
                mine.at = file.at = mine.at + passed
                expected = await mine.step(said, asked)
                assert await file.step(said, asked) == expected
                assert await server.step_at(str(mine.at), said, asked) == expected
                assert _plain(await server.entries(), mine.at) == _plain(mine.records, mine.at)
        finally:
            await server.close()
            await file.close()

    asyncio.run(run())


def _plain(records: Mapping[str, Record], now: int) -> dict[str, Any]:
    """Those that are still kept, without what says the same as if it were not there."""
    return {
        key: {name: value for name, value in it.items() if name != "at" and value not in (0, {})}
        for key, it in records.items()
        if it.get("x", 0) >= now
    }


@pytest.mark.parametrize("per", ["hour", "day", "month"])
def test_windows_are_those_of_the_calendar(per: str) -> None:
    at = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    for _ in range(3000):
        now = int(at.timestamp()) * MICRO
        end = datetime.fromtimestamp(end_of(now, per) // MICRO, UTC)
        assert end > at
        assert (end.minute, end.second, end_of(now, per) % MICRO) == (0, 0, 0)
        assert per == "hour" or end.hour == 0
        assert per != "month" or (end.day, end - at <= timedelta(31)) == (1, True)
        assert window_of(end_of(now, per) - 1, per) == window_of(now, per) == window_of(end_of(now, per), per) - 1
        at += timedelta(hours=13, minutes=7)


def one(store: Timed, told: list[Told], ask: Ask) -> Verdict:
    return store.at_once(told, [ask]).verdicts[0]


def test_what_an_answer_took_beyond_its_estimate_is_unpaid_from_then_on() -> None:
    """Also where all of the estimate has long been paid for."""
    store, ask = Timed(), Ask(client="a", rate="rate:x", tokens=MICRO, burst=10 * MICRO)
    assert one(store, [], ask).no == ""
    store.at += 5 * MICRO
    verdict = one(store, [("rate", "rate:x", (0, 10 * MICRO))], ask)
    assert (verdict.no, verdict.wait) == ("rate", MICRO)
    store.at += MICRO
    assert one(store, [], ask).no == ""
    assert one(store, [("rate", "rate:x", (0, -2 * MICRO))], ask).no == ""


def test_what_an_answer_cost_is_spent_and_no_longer_held() -> None:
    store, ask = Timed(), Ask(budget="budget:x", usd=1000, most=600, per="hour")
    assert one(store, [], ask).no == ""
    held = one(store, [], ask)
    assert (held.no, held.spent, held.held) == ("budget", 0, 600)
    bucket = lease(store.at)
    spent = one(store, [("spent", "budget:x", ("hour", bucket, 600, 500))], ask)
    assert (spent.no, spent.spent, spent.held) == ("budget", 500, 0)
    # More of the same answer.
    assert one(store, [("spent", "budget:x", ("hour", bucket, 0, 300))], ask).spent == 800
    assert one(store, [], ask._replace(most=200)).no == ""


@pytest.mark.parametrize("by", ["request", "tokens"])
def test_the_next_in_line_has_its_place_when_the_head_goes(by: str) -> None:
    """Those who came after it, in another process, wait behind it; those who came before it do not."""
    store = Timed()
    ask = Ask(client="one", rate="rate:x", burst=4 * MICRO)
    ask = ask._replace(request=2 * MICRO) if by == "request" else ask._replace(tokens=2 * MICRO)
    next_tokens = ask.tokens
    assert one(store, [], ask).no == one(store, [], ask).no == ""
    store.at += 3 * MICRO  # one may go, and has been waited for by two
    gone = one(store, [], ask._replace(age=3 * MICRO, next_age=2 * MICRO, next_tokens=next_tokens))
    assert (gone.no, gone.wait) == ("", MICRO)
    store.at += MICRO
    late = ask._replace(client="two", age=2 * MICRO)  # which came a second after the next one
    verdict = one(store, [], late)
    assert (verdict.no, verdict.wait) == ("rate", 2 * MICRO)
    early = ask._replace(client="three", age=4 * MICRO)
    assert one(store, [], early).no == ""
    # The place is kept until it is taken, or nobody comes back for it.
    store.at += 2 * MICRO
    assert one(store, [], late._replace(age=4 * MICRO)).no == "rate"
    assert one(store, [], ask._replace(age=5 * MICRO)).no == ""
    store.at += 2 * MICRO
    assert one(store, [], late._replace(age=6 * MICRO)).no == ""
