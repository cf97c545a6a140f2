"""The circuit breaker: its states, who probes, what counts, and what a request sees of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import BreakerState, LLMRing
from llmring.breaker import Breakers, CircuitBreaker
from llmring.exceptions import (
    AliasNotFoundError,
    CircuitBreakerError,
    LLMRingError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, Reply

from .faults.ground import PROVIDERS, Ground, ask


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(threshold: int = 3, cooldown: float = 10.0) -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    return CircuitBreaker("p:m", threshold, cooldown, clock), clock


def status(code: int | None) -> ProviderError:
    return ProviderResponseError("no", status_code=code)


BAD = ProviderConnectionError("no")


def opened(threshold: int = 3) -> tuple[CircuitBreaker, Clock]:
    made, clock = breaker(threshold)
    for _ in range(threshold):
        made.ended(BAD, made.admit())
    return made, clock


def test_models_that_nobody_asks_any_more_are_forgotten() -> None:
    """Who serves strangers lets them choose the names; the one that is asked for again is kept."""
    breakers = Breakers(1, 10)
    kept = breakers.of("p:kept")
    for number in range(3000):
        breakers.of(f"p:{number}")
        assert breakers.of("p:kept") is kept
    assert len(breakers._of) <= 256


# By itself


def test_it_opens_after_failures_in_a_row() -> None:
    made, _ = breaker(3)
    for error in (BAD, BAD, None, BAD, BAD):
        made.ended(error, made.admit())
    assert made.state == "closed"
    made.ended(BAD, made.admit())
    assert made.state == "open"


def test_it_says_when_to_try_again() -> None:
    made, clock = opened()
    clock.now += 4
    with pytest.raises(CircuitBreakerError, match=r"p:m failed 3 times in a row.* 6\.0 s") as raised:
        made.admit()
    assert raised.value.retry_after == 6.0
    assert (raised.value.provider, raised.value.model, raised.value.status_code) == ("p", "m", None)


def test_one_of_many_probes() -> None:
    made, clock = opened()
    clock.now += 10
    assert made.state == "half-open"
    assert made.admit() is True
    for _ in range(50):
        with pytest.raises(CircuitBreakerError) as raised:
            made.admit()
        assert raised.value.retry_after == 1.0
    made.began(True)
    assert made.state == "closed"
    assert made.admit() is False


def test_a_probe_that_fails_opens_it_for_another_while() -> None:
    made, clock = opened()
    clock.now += 10
    made.ended(BAD, made.admit())
    assert made.state == "open"
    clock.now += 9
    assert made.state == "open"
    clock.now += 1
    assert made.admit() is True


@pytest.mark.parametrize("error", [asyncio.CancelledError(), status(400), KeyboardInterrupt()], ids=repr)
def test_a_probe_that_proves_nothing_frees_the_place(error: BaseException) -> None:
    made, clock = opened()
    clock.now += 10
    made.ended(error, made.admit())
    assert made.state == "half-open"
    assert made.admit() is True


def test_a_probe_that_breaks_off_midway_opens_it_again() -> None:
    made, clock = opened()
    clock.now += 10
    made.began(made.admit())
    assert made.state == "closed"
    made.ended(BAD)
    assert made.state == "open"


def test_a_probe_that_ends_well_begins_anew() -> None:
    made, clock = opened()
    clock.now += 10
    made.began(made.admit())
    made.ended(None)
    made.ended(BAD)
    assert made.state == "closed"


def test_those_let_in_before_have_no_say() -> None:
    """A long answer that was under way when it opened neither frees the probe's place, nor closes, nor prolongs."""
    made, clock = breaker(1)
    late = [made.admit() for _ in range(4)]
    made.ended(BAD, made.admit())
    clock.now += 10
    assert made.admit() is True
    for error in (BAD, None, status(400), asyncio.CancelledError()):
        made.ended(error, late.pop())
        with pytest.raises(CircuitBreakerError):
            made.admit()
    made.ended(None, True)
    assert made.state == "closed"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422, None])
def test_a_request_at_fault_does_not_count(code: int | None) -> None:
    made, _ = breaker(1)
    made.ended(status(code), made.admit())
    made.ended(ProviderAuthenticationError("no", status_code=code), made.admit())
    assert made.state == "closed"


@pytest.mark.parametrize(
    "error",
    [
        *(status(code) for code in (408, 429, 500, 502, 503, 529)),
        *(ProviderConnectionError("no"), ProviderTimeoutError("no"), ProviderRateLimitError("no", status_code=429)),
    ],
)
def test_a_model_at_fault_does(error: ProviderError) -> None:
    made, _ = breaker(1)
    made.ended(error, made.admit())
    assert made.state == "open"


def test_each_model_has_its_own() -> None:
    breakers = Breakers(1, 10.0)
    one, other = breakers.of("p:one"), breakers.of("p:other")
    one.ended(BAD, one.admit())
    assert (one.state, other.state) == ("open", "closed")
    assert breakers.of("p:one") is one
    never = Breakers(0, 10.0).of("p:one")
    for _ in range(1000):
        never.ended(BAD, never.admit())
    assert never.state == "closed"


def test_how_one_stands() -> None:
    made, clock = opened()
    clock.now += 4
    assert made.seen() == BreakerState("p:m", "open", 3, 6.0)
    clock.now += 6
    assert made.seen() == BreakerState("p:m", "half-open", 3)
    probe = made.admit()
    assert made.seen() == BreakerState("p:m", "half-open", 3, 1.0)
    made.ended(None, probe)
    assert made.seen() == BreakerState("p:m", "closed", 0)


def test_one_that_is_reset_is_forgotten() -> None:
    breakers = Breakers(1, 10.0)
    before = breakers.of("p:m")
    probe = before.admit()
    breakers.reset("p:m")
    before.ended(BAD, probe)  # a request that it let in has no say any more
    assert breakers.states() == []
    assert breakers.of("p:m").admit() is False
    breakers.reset("p:nobody")


def test_they_are_listed_while_other_threads_ask() -> None:
    breakers, done = Breakers(1, 10.0), threading.Event()

    def ask_on() -> None:
        for number in range(20_000):
            made = breakers.of(f"p:{number % 300}")
            made.ended(BAD, False)
            breakers.reset(f"p:{number % 7}")
        done.set()

    thread = threading.Thread(target=ask_on)
    thread.start()
    while not done.is_set():
        assert all(it.state == "open" or it.retry_after == 0.0 for it in breakers.states())
    thread.join()


@given(
    st.lists(st.sampled_from(["ask", "good", "bad", "client", "cancel", "begin", "wait"]), max_size=60),
    st.integers(1, 4),
)
def test_never_two_probes(steps: list[str], threshold: int) -> None:
    """Whatever happens in whatever order: at most one probe, and after a while always a way back."""
    made, clock = breaker(threshold)
    under_way: list[bool] = []
    outcome = {"good": None, "bad": BAD, "client": status(400), "cancel": asyncio.CancelledError()}
    for step in steps:
        if step == "wait":
            clock.now += 4
        elif step == "ask":
            with suppress(CircuitBreakerError):
                under_way.append(made.admit())
        elif under_way and step == "begin":
            made.began(under_way[0])
            under_way[0] = False
        elif under_way:
            made.ended(outcome[step], under_way.pop(0))
        assert under_way.count(True) <= 1
    for probe in under_way:
        made.ended(asyncio.CancelledError(), probe)
    clock.now += 10
    made.ended(None, made.admit())
    assert made.state == "closed"


# Through the service


COOLDOWN = 0.3


async def outcome(service: LLMRing, reference: str, *, stream: bool = True) -> str | LLMRingError:
    try:
        if stream:
            return (await service.chat_stream(ask(reference)).final_response()).model
        return (await service.chat(ask(reference))).model
    except LLMRingError as error:
        return error


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("wire", PROVIDERS)
async def test_it_opens_probes_and_closes(practice: Ground, wire: str, stream: bool) -> None:
    model = f"round-{stream}"
    reference = f"{PROVIDERS[wire]}:{model}"
    server = practice.server
    async with practice.service(max_retries=0, breaker_threshold=2, breaker_cooldown=COOLDOWN) as service:
        server.reply(status=500, model=model, times=2)
        for _ in range(2):
            assert isinstance(await outcome(service, reference, stream=stream), ProviderResponseError)
        asked = len(server.requests)
        refused = await outcome(service, reference, stream=stream)
        assert isinstance(refused, CircuitBreakerError)
        assert refused.retry_after is not None
        assert 0 < refused.retry_after <= COOLDOWN
        assert reference in str(refused)
        assert len(server.requests) == asked
        await asyncio.sleep(COOLDOWN)
        server.reply(status=503, model=model)
        assert isinstance(await outcome(service, reference, stream=stream), ProviderResponseError)
        assert isinstance(await outcome(service, reference, stream=stream), CircuitBreakerError)
        await asyncio.sleep(COOLDOWN)
        assert await outcome(service, reference, stream=stream) == reference
        assert await outcome(service, reference, stream=stream) == reference


async def test_exactly_one_of_fifty_probes(practice: Ground) -> None:
    server = practice.server
    async with practice.service(max_retries=0, breaker_threshold=1, breaker_cooldown=COOLDOWN) as service:
        server.reply(status=500, model="fifty")
        await outcome(service, "anthropic:fifty")
        await asyncio.sleep(COOLDOWN)
        before = len(server.requests)
        server.reply("Back", model="fifty", delay=0.2)
        outcomes = await asyncio.gather(*(outcome(service, "anthropic:fifty", stream=n % 2 == 0) for n in range(50)))
        assert len(server.requests) == before + 1
        assert outcomes.count("anthropic:fifty") == 1
        assert sum(isinstance(error, CircuitBreakerError) for error in outcomes) == 49
        assert await outcome(service, "anthropic:fifty") == "anthropic:fifty"


async def test_a_probe_that_is_cancelled_or_refused_frees_the_place(practice: Ground) -> None:
    server = practice.server
    async with practice.service(max_retries=0, breaker_threshold=1, breaker_cooldown=COOLDOWN) as service:
        server.reply(status=500, model="free")
        await outcome(service, "openai:free")
        await asyncio.sleep(COOLDOWN)
        server.reply(fault=Fault.never_answer(), model="free")
        probe = asyncio.create_task(outcome(service, "openai:free"))
        await asyncio.sleep(0.1)
        assert isinstance(await outcome(service, "openai:free"), CircuitBreakerError)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        server.reply(fault=Fault.never_answer(), model="free")
        stream = service.chat_stream(ask("openai:free"))
        reading = asyncio.create_task(stream.final_response())
        await asyncio.sleep(0.1)
        stream.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        server.reply(status=400, model="free")
        assert type(await outcome(service, "openai:free")) is ProviderResponseError
        assert await outcome(service, "openai:free") == "openai:free"


async def test_a_service_lists_and_resets_its_own(practice: Ground) -> None:
    practice.bind({"pair": ["anthropic:down", "openai:down-too"]})
    async with practice.service(max_retries=0, breaker_threshold=1) as service, practice.service() as other:
        assert service.breakers() == []
        practice.server.reply(status=500, model="down")
        practice.server.reply(status=500, model="down-too")
        await outcome(service, "pair")
        await outcome(service, "google:well")
        first, second, third = service.breakers()
        assert (first.model, first.state, first.failures) == ("anthropic:down", "open", 1)
        assert 0 < first.retry_after <= 30
        assert second == BreakerState("google:well", "closed", 0)
        assert (third.model, third.state) == ("openai:down-too", "open")
        assert other.breakers() == []
        service.reset_breaker("pair")
        assert [it.model for it in service.breakers()] == ["google:well"]
        assert await outcome(service, "pair") == "anthropic:down"
        service.reset_breaker("anthropic:nobody-asked")
        with pytest.raises(AliasNotFoundError, match="piar"):
            service.reset_breaker("piar")
    practice.bind({})


async def test_answers_that_break_off_count(practice: Ground) -> None:
    async with practice.service(breaker_threshold=3, max_retries=0) as service:
        practice.server.reply(chunks=["a", "b"], fault=Fault.cut_after(1), model="breaks", times=3)
        for _ in range(3):
            assert isinstance(await outcome(service, "google:breaks"), ProviderConnectionError)
        assert isinstance(await outcome(service, "google:breaks"), CircuitBreakerError)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
async def test_requests_at_fault_do_not_open_it(practice: Ground, code: int) -> None:
    async with practice.service(breaker_threshold=1, max_retries=0) as service:
        practice.server.reply(status=code, model=f"fault-{code}", times=2)
        for _ in range(2):
            error = await outcome(service, f"ollama:fault-{code}")
            assert isinstance(error, ProviderError)
            assert error.status_code == code


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_of_another_form_is_a_good_one(practice: Ground, stream: bool) -> None:
    """What is wrong with it is between the request and the model: the model answers, and the breaker closes."""
    server = practice.server
    model = f"form-{stream}"
    asked = ask(f"openai:{model}", response_format={"type": "json_object"})

    async def misfit(service: LLMRing) -> None:
        server.reply("no JSON", model=model)
        with pytest.raises(ProviderResponseError, match="does not have the form"):
            await (service.chat_stream(asked).final_response() if stream else service.chat(asked))

    async with practice.service(max_retries=0, breaker_threshold=2, breaker_cooldown=COOLDOWN) as service:
        for _ in range(3):  # two failures, but not in a row
            server.reply(status=500, model=model)
            assert isinstance(await outcome(service, asked.model, stream=stream), ProviderResponseError)
            await misfit(service)
        server.reply(status=500, model=model, times=2)
        for _ in range(2):
            await outcome(service, asked.model, stream=stream)
        await asyncio.sleep(COOLDOWN)
        await misfit(service)
        server.reply("Back", model=model, delay=0.1, times=2)
        outcomes = await asyncio.gather(*(outcome(service, asked.model, stream=stream) for _ in range(2)))
        assert outcomes == [asked.model] * 2


async def test_leaving_early_does_not_count(practice: Ground) -> None:
    async with practice.service(breaker_threshold=1) as service:
        practice.server.reply(Reply(chunks=["x"] * 50, interval=0.05), model="left", times=3)
        practice.server.reply(fault=Fault.never_answer(), model="left", times=3)
        for _ in range(3):
            async for _chunk in service.chat_stream(ask("anthropic:left")):
                break
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await service.chat(ask("anthropic:left"))
        assert await outcome(service, "anthropic:left") == "anthropic:left"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_open_one_is_passed_over(practice: Ground, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    practice.bind({"chatbot": ["anthropic:down", "openai:up"]})
    server = practice.server
    async with practice.service(breaker_threshold=1, breaker_cooldown=30.0) as service:
        server.reply(status=503, model="down")
        assert await outcome(service, "chatbot", stream=stream) == "openai:up"
        server.clear()
        caplog.clear()
        began = time.monotonic()
        if stream:
            response = await service.chat_stream(ask("chatbot")).final_response()
        else:
            response = await service.chat(ask("chatbot"))
        assert time.monotonic() - began < 20
        assert [request.model for request in server.requests] == ["up"]
        (attempt,) = response.attempts
        assert isinstance(attempt, CircuitBreakerError)
        assert attempt.model == "down"
        (record,) = [record for record in caplog.records if record.name == "llmring"]
        assert record.levelno == logging.WARNING
        assert "chatbot: moving on from anthropic:down to openai:up: anthropic:down failed 1 times" in record.message


async def test_where_all_are_open(practice: Ground) -> None:
    practice.bind({"chatbot": ["anthropic:one", "openai:two"]})
    async with practice.service(breaker_threshold=1, max_retries=0) as service:
        for model in ("one", "two"):
            practice.server.reply(status=503, model=model)
        assert isinstance(await outcome(service, "chatbot"), ProviderResponseError)
        error = await outcome(service, "chatbot")
    assert isinstance(error, CircuitBreakerError)
    assert error.model == "two"
    assert [type(attempt) for attempt in error.attempts] == [CircuitBreakerError]
    assert error.retry_after is not None


async def test_none_at_all(practice: Ground) -> None:
    async with practice.service(breaker_threshold=0, max_retries=0) as service:
        practice.server.reply(status=503, model="never", times=12)
        for _ in range(12):
            assert isinstance(await outcome(service, "anthropic:never"), ProviderResponseError)
        assert await outcome(service, "anthropic:never") == "anthropic:never"


async def test_ten_failures_in_a_row_open_it(practice: Ground) -> None:
    """Unless the service says otherwise."""
    practice.server.reply(status=500, model="ten", times=10)
    async with LLMRing(practice.path, max_retries=0, api_keys={"anthropic": "practice"}) as service:
        outcomes = [await outcome(service, "anthropic:ten") for _ in range(11)]
    assert [type(it) for it in outcomes] == [ProviderResponseError] * 10 + [CircuitBreakerError]
