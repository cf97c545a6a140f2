"""A second model is asked beside a slow one: who speaks first serves, the other is closed, and nothing is left open."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring import LLMRequest, LLMRing
from llmring.exceptions import (
    HedgedError,
    LLMRingError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderTimeoutError,
)
from llmring.policy.times import Times
from llmring.testing import Fault, PracticeServer, Reply

from .ground import PROVIDERS, Practice, answer, ask, practice

ways = pytest.mark.parametrize("way", ["whole", "gathered", "chunks"])
wires = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
ONE, TWO, THREE = "openai:one", "anthropic:two", "ollama:three"
SOON, NEVER = 0.02, [Fault("never_answer")]


@pytest.fixture(scope="module")
def made() -> Iterator[Practice]:
    with practice() as it:

        async def warm() -> None:
            """Import each SDK, which takes its time."""
            async with it.service() as service:
                for provider in PROVIDERS.values():
                    await service.chat(LLMRequest(model=f"{provider}:warm", messages=ask().messages))

        asyncio.run(warm())
        yield it


@pytest.fixture
def server(made: Practice) -> PracticeServer:
    made.server.clear()
    return made.server


def silent() -> Reply:
    return Reply("never", fault=Fault("never_answer"))


async def all_closed(server: PracticeServer, but: int = 0) -> None:
    """Wait until no more connections are open than these."""
    for _ in range(500):
        if server.open_connections <= but:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{server.open_connections} connections are open")


@ways
@wires
async def test_the_second_serves_where_the_first_says_nothing(
    made: Practice, server: PracticeServer, provider: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = f"{provider}:one"
    made.policy([first, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), model="one")
    caplog.set_level(logging.INFO, "llmring")
    async with made.service() as service:
        response = await answer(service, way=way)
        assert (response.model, response.content) == (TWO, "You said: Hi")
        one = next(it for it in server.requests if it.model == "one")
        assert await one.closed()
        (attempt,) = response.attempts
        assert isinstance(attempt, HedgedError)
        assert (attempt.provider, attempt.model) == (provider, "one")
        assert str(attempt).startswith(f"{first} had said nothing when {TWO}, which was asked as well, spoke")
        assert attempt.charged is not None
        assert attempt.charged.model == first
        assert attempt.charged.usage is not None
        assert attempt.charged.usage["prompt_tokens"] > 0
        copy = pickle.loads(pickle.dumps(attempt))
        assert isinstance(copy, HedgedError)
        assert copy.charged == attempt.charged
        assert [it.model for it in response.served] == [TWO]
    assert sorted(it.model for it in server.requests) == ["one", "two"]
    said = [it.getMessage() for it in caplog.records if it.getMessage().startswith("chatbot")]
    assert said == [f"chatbot: {first} has said nothing for 0.02 s, asking {TWO}, too"]


@ways
@wires
async def test_the_first_serves_where_it_speaks_first(
    made: Practice, server: PracticeServer, provider: str, way: str
) -> None:
    second = f"{provider}:two"
    made.policy(["anthropic:one", second], hedge_after=SOON)
    began = threading.Event()

    def decide(request: Any) -> Reply:
        if request.model == "two":
            began.set()
            return silent()
        return Reply("First", delay=1.0)

    server.script(decide)
    async with made.service() as service:
        response = await answer(service, way=way)
        assert (response.model, response.content) == ("anthropic:one", "First")
        assert began.is_set()
        two = next(it for it in server.requests if it.model == "two")
        assert await two.closed()
        (attempt,) = response.attempts
        assert isinstance(attempt, HedgedError)
        assert f"{attempt.provider}:{attempt.model}" == second


@ways
async def test_nobody_else_is_asked_where_the_first_is_quick(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO], hedge_after=5.0)
    async with made.service() as service:
        response = await answer(service, way=way)
    assert (response.model, response.attempts) == (ONE, [])
    assert [it.model for it in server.requests] == ["one"]


@ways
async def test_a_slow_answer_that_has_begun_is_not_hedged(made: Practice, server: PracticeServer, way: str) -> None:
    """The whole answer of `chat`, too, is one that has begun."""
    made.policy([ONE, TWO], hedge_after=0.1)
    server.reply(chunks=["a", "b", "c", "d", "e"], interval=0.06, model="one")
    async with made.service() as service:
        response = await answer(service, way=way)
    assert (response.model, response.content) == (ONE, "abcde")
    assert [it.model for it in server.requests] == ["one"]


@ways
@pytest.mark.parametrize("when", ["before", "after"])
async def test_where_the_first_fails_it_is_moved_on_from(
    made: Practice, server: PracticeServer, way: str, when: str
) -> None:
    made.policy([ONE, TWO, THREE], hedge_after=SOON if when == "after" else 5.0)
    server.reply(status=503, error="It broke", delay=0.5 if when == "after" else 0.0, model="one")
    server.reply("Second", delay=1.0 if when == "after" else 0.0, model="two")
    async with made.service(max_retries=0) as service:
        response = await answer(service, way=way)
    assert (response.model, response.content) == (TWO, "Second")
    (attempt,) = response.attempts
    assert (attempt.provider, attempt.status_code) == ("openai", 503)
    assert [it.model for it in server.requests] == ["one", "two"]


@ways
async def test_where_the_second_fails_the_first_is_waited_for(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO, THREE], hedge_after=SOON)
    server.reply("First", delay=1.0, model="one")
    server.reply(status=401, model="two")
    async with made.service(max_retries=0) as service:
        response = await answer(service, way=way)
    assert (response.model, response.content) == (ONE, "First")
    (attempt,) = response.attempts
    assert isinstance(attempt, ProviderAuthenticationError)


@ways
async def test_where_both_fail_the_third_is_asked(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO, THREE], hedge_after=SOON)
    server.reply(status=503, delay=1.0, model="one")
    server.reply(status=529, model="two")
    async with made.service(max_retries=0) as service:
        response = await answer(service, way=way)
    assert response.model == THREE
    assert [it.model for it in response.attempts] == ["one", "two"]
    assert [it.model for it in server.requests] == ["one", "two", "three"]


@ways
async def test_the_caller_sees_what_is_the_callers(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply(status=401, delay=1.0, model="one")
    server.reply("never", fault=Fault("never_answer"), model="two")
    async with made.service(max_retries=0) as service:
        with pytest.raises(ProviderAuthenticationError):
            await answer(service, way=way)
        two = next(it for it in server.requests if it.model == "two")
        assert await two.closed()


@ways
async def test_the_one_that_was_left_stands_by(made: Practice, server: PracticeServer, way: str) -> None:
    """The second spoke and broke off: a whole answer is asked for of the first once more."""
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), model="one")
    server.reply("Half an", fault=Fault("reset", after=1), model="two")
    async with made.service(max_retries=0) as service:
        if way == "whole":
            response = await answer(service, way=way)
            assert (response.model, response.content) == (ONE, "You said: Hi")
            assert [type(it).__name__ for it in response.attempts] == ["_Hedged", "ProviderConnectionError"]
        else:
            with pytest.raises(ProviderError) as caught:
                await answer(service, way=way)
            assert [type(it).__name__ for it in caught.value.attempts] == ["_Hedged"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_request_closes_both(made: Practice, server: PracticeServer, stream: bool) -> None:
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), times=2)
    async with made.service() as service:
        task = asyncio.ensure_future(answer(service, way="chunks" if stream else "whole"))
        await server.received(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for request in server.requests:
            assert await request.closed()


async def test_cancel_from_another_task_ends_both_without_an_error(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), times=2)
    async with made.service() as service:
        stream = service.chat_stream(ask())
        task = asyncio.ensure_future(anext(stream, None))
        await server.received(2)
        stream.cancel()
        assert await task is None
        for request in server.requests:
            assert await request.closed()


@ways
async def test_the_deadline_ends_both(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO], hedge_after=SOON, deadline=1.0)
    server.reply("never", fault=Fault("never_answer"), times=2)
    async with made.service() as service:
        with pytest.raises(ProviderTimeoutError, match=r"The deadline of 1 s passed"):
            await answer(service, way=way)
        for request in server.requests:
            assert await request.closed()
    assert len(server.requests) == 2


async def test_closing_the_service_ends_both(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), times=2)
    service = made.service()
    task = asyncio.ensure_future(service.chat(ask()))
    await server.received(2)
    await service.close()
    with pytest.raises(LLMRingError, match="closed while an answer was under way"):
        await task
    await all_closed(server)


@pytest.mark.parametrize(
    ("provider", "fields"),
    [
        ("responses", {"tools": [{"type": "web_search"}]}),
        ("openai", {"extra_params": {"web_search_options": {}}}),
        ("anthropic", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ],
)
async def test_tools_that_the_provider_runs_are_never_run_twice(
    made: Practice, server: PracticeServer, provider: str, fields: dict[str, Any]
) -> None:
    made.policy([f"{provider}:one", f"{provider}:two"], hedge_after=SOON)
    server.reply("First", delay=0.2, model="one")
    async with made.service() as service:
        response = await service.chat(ask(**fields))
    assert response.content == "First"
    assert [it.model for it in server.requests] == ["one"]


async def test_nor_are_those_that_a_model_has_of_its_own(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, {"model": TWO, "params": {"web_search_options": {}}}], hedge_after=SOON)
    server.reply("First", delay=0.2, model="one")
    async with made.service() as service:
        assert (await service.chat(ask())).content == "First"
    assert [it.model for it in server.requests] == ["one"]


async def test_functions_of_the_caller_may_be_asked_for_twice(made: Practice, server: PracticeServer) -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), model="one")
    async with made.service() as service:
        response = await service.chat(ask(tools=[weather]))
    assert response.model == TWO


async def test_a_conversation_stays_with_the_one_that_spoke(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], hedge_after=SOON, sticky="10m")
    server.reply("never", fault=Fault("never_answer"), model="one")
    async with made.service() as service:
        assert (await service.chat(ask("Hi"))).model == TWO
        assert (await service.chat(ask("Hi", "Yes?", "More"))).model == TWO
    assert [it.model for it in server.requests].count("one") == 1


async def test_the_slow_are_known_by_the_aliass_own_times(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], hedge_after="p95")
    async with made.service() as service:
        for _ in range(20):
            assert (await service.chat(ask())).model == ONE
        server.reply("never", fault=Fault("never_answer"), model="one")
        response = await service.chat(ask())
    assert response.model == TWO
    assert [it.model for it in server.requests] == ["one"] * 21 + ["two"]


def test_times() -> None:
    times = Times()
    for number in range(19):
        times.add(float(number))
    assert times.percentile(0.95) is None
    times.add(19.0)
    assert times.percentile(0.95) == 18.0
    for _ in range(500):
        times.add(1.0)
    assert times.percentile(0.95) == 1.0


async def test_the_events_say_who_was_given_up(made: Practice, server: PracticeServer) -> None:
    events: list[Any] = []
    made.policy([ONE, TWO], hedge_after=SOON)
    server.reply("never", fault=Fault("never_answer"), model="one")
    async with made.service(on_event=events.append) as service:
        await answer(service, way="chunks")
    told = [(type(it).__name__, getattr(it, "model", None)) for it in events]
    assert told == [
        ("RequestStarted", None),
        ("AttemptStarted", ONE),
        ("Hedged", ONE),
        ("AttemptStarted", TWO),
        ("AttemptEnded", ONE),
        ("FirstChunk", TWO),
        ("AttemptEnded", TWO),
        ("Finished", TWO),
    ]
    assert isinstance(next(it for it in events if type(it).__name__ == "AttemptEnded").error, HedgedError)


@dataclass(frozen=True)
class Turn:
    """How a model behaves: after how long it does what."""

    delay: float
    does: str

    @property
    def reply(self) -> Reply:
        match self.does:
            case "answers":
                return Reply(chunks=["Fine ", "then"], interval=0.01, delay=self.delay)
            case "is silent":
                return silent()
            case "hangs up":
                return Reply("x", fault=Fault("hang_up"), delay=self.delay)
            case "breaks off":
                return Reply(chunks=["Half ", "of"], fault=Fault("reset", after=1), delay=self.delay)
            case "stalls":
                return Reply(chunks=["Half ", "of"], fault=Fault("stall", after=1), delay=self.delay)
            case status:
                return Reply(status=int(status), delay=self.delay)


turns = st.builds(
    Turn,
    st.sampled_from([0.0, 0.02, 0.03, 0.04, 0.06]),
    st.sampled_from(["answers", "answers", "is silent", "hangs up", "breaks off", "stalls", "503", "401"]),
)


@settings(max_examples=40, deadline=None)
@given(
    how=st.lists(turns, min_size=2, max_size=3),
    way=st.sampled_from(["whole", "gathered", "chunks"]),
    leaves=st.one_of(st.none(), st.sampled_from([0.0, 0.02, 0.03, 0.05])),
)
def test_whatever_happens_nothing_is_left_open_and_no_more_is_asked_than_it_says(
    made: Practice, how: list[Turn], way: str, leaves: float | None
) -> None:
    """Two under way at most, each model asked once, the one that was given up once more; then all is closed."""
    server = made.server
    server.clear()
    models = ["openai:m0", "anthropic:m1", "google:m2"][: len(how)]
    made.policy(models, hedge_after=0.03)
    server.script(lambda request: how[int(request.model[-1])].reply)
    events: list[Any] = []

    async def run() -> None:
        options: dict[str, Any] = {"timeout": 0.5, "max_retries": 0, "breaker_threshold": 0, "api_keys": KEYS}
        async with LLMRing(made.path, **options, on_event=events.append) as service:
            task = asyncio.ensure_future(answer(service, way=way))
            if leaves is not None:
                await asyncio.sleep(leaves)
                task.cancel()
            try:
                response = await task
            except (ProviderError, asyncio.CancelledError):
                pass
            else:
                assert response.content == "Fine then"
                assert response.model in models
        for _ in range(100):
            if not (left := asyncio.all_tasks() - {asyncio.current_task()}):
                break
            await asyncio.sleep(0.01)
        assert not left
        await all_closed(server)

    asyncio.run(run())
    asked = [it.model for it in server.requests]
    assert len(asked) <= len(models) + 1
    assert all(asked.count(it) <= 2 for it in set(asked)), asked
    under_way = 0
    for event in events:
        under_way += {"AttemptStarted": 1, "AttemptEnded": -1}.get(type(event).__name__, 0)
        assert 0 <= under_way <= 2, events
    assert under_way == 0, events


KEYS = dict.fromkeys(PROVIDERS.values(), "practice")
