"""What each event says, and when it comes."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from typing import Any

import pytest
from pydantic import BaseModel

import llmring.sync
from llmring import LLMRequest, LLMRing
from llmring.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Failed,
    Finished,
    Left,
    MovedOn,
    RequestStarted,
    Resumed,
    Retried,
)
from llmring.exceptions import AliasNotFoundError, ProviderConnectionError, ProviderError
from llmring.testing import Fault, PracticeServer, Tokens, ToolCallScript

from ..faults.ground import PROVIDERS, Ground, ask
from .law import by_request, holds

streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
every_wire = pytest.mark.parametrize("provider", PROVIDERS.values())


class Sum(BaseModel):
    total: int


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


class Heard(list[Event]):
    """The events that a listener was called with."""

    def names(self) -> list[str]:
        return [type(it).__name__ for it in self]


def bound(practice: Ground, *models: str, **options: Any) -> tuple[LLMRing, Heard]:
    practice.bind({"chatbot": models})
    heard = Heard()
    return practice.service(**{"timeout": 5.0, "max_retries": 0, "on_event": heard.append} | options), heard


async def read(service: LLMRing, request: LLMRequest, *, stream: bool) -> Any:
    return await (service.chat_stream(request).final_response() if stream else service.chat(request))


@streamed
@every_wire
async def test_an_answer(practice: Ground, server: PracticeServer, provider: str, stream: bool) -> None:
    server.reply("one two", usage=Tokens(10, 3))
    service, heard = bound(practice, f"{provider}:m")
    before = time.time()
    async with service:
        response = await read(service, request := ask("chatbot", temperature=0.5), stream=stream)
    first = ["FirstChunk"] if stream else []
    assert heard.names() == ["RequestStarted", "AttemptStarted", *first, "AttemptEnded", "Finished"]
    holds(heard)
    started, attempt, *_, ended, finished = heard
    assert isinstance(started, RequestStarted)
    assert isinstance(attempt, AttemptStarted)
    assert isinstance(ended, AttemptEnded)
    assert isinstance(finished, Finished)
    assert started.request == request
    assert (started.alias, started.profile, started.streamed) == ("chatbot", "default", stream)
    assert before <= started.time <= finished.time <= time.time()
    assert (attempt.attempt, attempt.model) == (1, f"{provider}:m")
    assert attempt.address is not None
    assert attempt.address.startswith(server.url)
    assert (ended.error, ended.usage) == (None, response.usage)
    assert finished.response.content == response.content == "one two"
    assert (finished.usage, finished.finish_reason, finished.model) == (response.usage, "stop", f"{provider}:m")
    assert finished.cost == service.calculate_cost(response)


@streamed
async def test_moving_on_is_told(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply(status=503, model="first")
    server.reply("good", model="second")
    service, heard = bound(practice, "anthropic:first", "openai:second")
    async with service:
        await read(service, ask("chatbot"), stream=stream)
    holds(heard)
    assert heard.names()[:5] == ["RequestStarted", "AttemptStarted", "AttemptEnded", "MovedOn", "AttemptStarted"]
    (moved,) = (it for it in heard if isinstance(it, MovedOn))
    assert (moved.attempt, moved.model, moved.to) == (1, "anthropic:first", "openai:second")
    assert isinstance(moved.error, ProviderError)
    assert getattr(heard[2], "error", None) is moved.error


@streamed
async def test_a_retry_is_told(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply(status=503, retry_after=0.01, times=2)
    server.reply("good")
    service, heard = bound(practice, "ollama:m", max_retries=2)
    async with service:
        await read(service, ask("chatbot"), stream=stream)
    holds(heard)
    retries = [it for it in heard if isinstance(it, Retried)]
    assert [(it.attempt, it.model, it.retry, it.pause) for it in retries] == [
        (1, "ollama:m", 1, 0.01),
        (1, "ollama:m", 2, 0.01),
    ]
    assert heard.names().count("AttemptStarted") == 1
    last = heard[-1]
    assert isinstance(last, Finished)
    assert last.retries == 2


async def test_going_on_is_told(practice: Ground, server: PracticeServer) -> None:
    server.reply(chunks=["One", " two"], fault=Fault.cut_after(2), model="first", usage=Tokens(10, 3))
    server.reply(" three", model="second", usage=Tokens(20, 4))
    service, heard = bound(practice, "anthropic:first", "openai:second")
    async with service:
        response = await service.chat_stream(ask("chatbot", on_interrupt="resume")).final_response()
    holds(heard)
    (resumed,) = (it for it in heard if isinstance(it, Resumed))
    assert (resumed.attempt, resumed.model, resumed.to) == (1, "anthropic:first", "openai:second")
    assert isinstance(resumed.error, ProviderConnectionError)
    ended = [it for it in heard if isinstance(it, AttemptEnded)]
    assert ended[0].error is resumed.error
    assert [it.served for it in ended] == list(response.served)
    assert heard.names().count("FirstChunk") == 1


async def test_going_on_where_the_provider_kept_its_place_is_the_same_attempt(
    practice: Ground, server: PracticeServer
) -> None:
    server.reply(chunks=["One", " two"], fault=Fault.cut_after(2), checkpoints={1: "cHJhY3RpY2U="})
    server.reply(" three")
    service, heard = bound(practice, "google:m")
    async with service:
        await service.chat_stream(ask("chatbot", on_interrupt="resume")).final_response()
    holds(heard)
    assert heard.names() == ["RequestStarted", "AttemptStarted", "FirstChunk", "Resumed", "AttemptEnded", "Finished"]


@streamed
async def test_an_answer_without_its_form_is_paid_for(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply('{"total": "much"}', usage=Tokens(10, 3))
    server.reply('{"total": 3}', usage=Tokens(20, 4))
    service, heard = bound(practice, "openai:m")
    async with service:
        request = ask("chatbot", response_format=Sum, retries_on_misfit=1)
        response = await read(service, request, stream=stream)
    holds(heard)
    ended = [it for it in heard if isinstance(it, AttemptEnded)]
    assert [it.usage and it.usage["total_tokens"] for it in ended] == [13, 24]
    (again,) = (it for it in heard if isinstance(it, Retried))
    assert (again.attempt, again.retry, again.pause) == (1, 1, 0.0)
    finished = heard[-1]
    assert isinstance(finished, Finished)
    assert finished.usage == response.usage
    assert finished.served == response.served
    assert finished.cost == service.calculate_cost(response)


@streamed
async def test_what_fails_before_anybody_is_asked_is_told(practice: Ground, stream: bool) -> None:
    service, heard = bound(practice, "openai:m")
    async with service:
        with pytest.raises(AliasNotFoundError) as raised:
            await read(service, ask("nobody"), stream=stream)
    holds(heard)
    _, failed = heard
    assert isinstance(failed, Failed)
    assert (failed.error, failed.alias, failed.attempt) == (raised.value, "nobody", 0)
    assert failed.usage is None
    assert failed.cost.reason


@pytest.mark.parametrize("way", ["break", "aclose", "with", "cancel", "cancelled", "service"])
async def test_an_answer_that_is_left(practice: Ground, server: PracticeServer, way: str) -> None:
    server.reply(chunks=["one", " two"], fault=Fault.stall_after(1))
    service, heard = bound(practice, "anthropic:m")
    async with service:
        stream = service.chat_stream(ask("chatbot"))
        assert (await anext(stream)).delta == "one"
        if way == "break":
            del stream
            await asyncio.sleep(0.01)
        elif way == "aclose":
            await stream.aclose()
        elif way == "with":
            async with stream:
                pass
        elif way == "cancel":
            stream.cancel()
        elif way == "cancelled":
            reader = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
        else:
            await service.close()
    holds(heard)
    last = heard[-1]
    if way == "service":
        assert isinstance(last, Failed)
        assert "closed" in str(last.error)
    else:
        assert isinstance(last, Left)
        assert last.reason == ("cancelled" if way.startswith("cancel") else "closed")
    assert last.response.content == "one"
    assert last.usage is not None  # which this wire says at the beginning


async def test_a_stream_that_nobody_reads_tells_nothing(practice: Ground) -> None:
    service, heard = bound(practice, "openai:m")
    async with service:
        stream = service.chat_stream(ask("chatbot"))
        await stream.aclose()
        service.chat_stream(ask("chatbot")).cancel()
        del stream
        await asyncio.sleep(0)
    assert heard == []


async def test_each_round_of_tools_is_a_request(practice: Ground, server: PracticeServer) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    server.reply(tool_calls=[ToolCallScript("add", {"a": 1, "b": 2})])
    server.reply("three")
    service, heard = bound(practice, "openai:m")
    async with service:
        await service.run_tools(ask("chatbot"), [add])
        conversation = service.conversation("chatbot")
        await conversation.ask("Hello")
    requests = by_request(heard)
    assert len(requests) == 3
    for events in requests:
        holds(events)
    assert [getattr(events[-1], "finish_reason", None) for events in requests] == ["tool_calls", "stop", "stop"]


def test_the_synchronous_face_tells_as_well(practice: Ground, server: PracticeServer) -> None:
    heard, threads = Heard(), set[str]()

    def listen(event: Event) -> None:
        heard.append(event)
        threads.add(threading.current_thread().name)

    practice.bind({"chatbot": ["openai:m"]})
    keys = dict.fromkeys(PROVIDERS.values(), "practice")
    with llmring.sync.LLMRing(practice.path, api_keys=keys, on_event=listen) as service:
        service.chat(ask("chatbot"))
        for _ in service.chat_stream(ask("chatbot")):
            pass
    for events in by_request(heard):
        holds(events)
    assert len(by_request(heard)) == 2
    assert threads == {"llmring-sync"}


async def test_events_can_be_pickled_and_hold_no_key(practice: Ground, server: PracticeServer) -> None:
    key = "sk-canary-" + "k" * 24
    server.reply(status=401, error=f"The key {key} is wrong", times=2)
    practice.bind({"chatbot": ["openai:first"]})
    heard = Heard()
    async with practice.service(api_keys={"openai": key}, on_event=heard.append, max_retries=0) as service:
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot"))
        with pytest.raises(ProviderError):
            await service.chat_stream(ask("chatbot")).final_response()
    for event in heard:
        assert key not in repr(event)
        assert key.encode() not in pickle.dumps(event)
        again = pickle.loads(pickle.dumps(event))
        assert (type(again), again.request_id, again.elapsed) == (type(event), event.request_id, event.elapsed)


async def test_what_a_listener_sees_of_an_error_has_no_frame_with_a_key(
    practice: Ground, server: PracticeServer
) -> None:
    """A tracker of errors that is called from a listener writes down the variables of all frames."""
    key = "sk-canary-" + "k" * 24
    server.reply(status=503, times=4)
    seen: list[str] = []

    def listen(event: Event) -> None:
        below = [getattr(event, "error", None)]
        while below:
            if (error := below.pop()) is None:
                continue
            below += [error.__cause__, error.__context__]
            traceback = error.__traceback__
            while traceback is not None:
                seen.append(repr(traceback.tb_frame.f_locals))
                traceback = traceback.tb_next

    practice.bind({"chatbot": ["openai:m", "anthropic:m"]})
    options: dict[str, Any] = {"api_keys": {"openai": key, "anthropic": key}, "max_retries": 1}
    async with practice.service(on_event=listen, **options) as service:
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot", deadline=5))
    assert seen
    assert not [it for it in seen if key in it]
