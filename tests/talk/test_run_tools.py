"""The loop of calls and results, on every wire, over a real socket and the real SDKs."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import datetime
import decimal
import functools
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from tests.conftest import Way, bind
from tests.faults.ground import ask

from llmring import LLMRequest, LLMRing, Message, talk
from llmring.exceptions import (
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    ProviderConnectionError,
    ToolCallError,
    ToolRoundsError,
)
from llmring.schemas import StreamChunk
from llmring.talk import ToolCalled, ToolResult, ToolRun, ToolStream
from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

HOW = ["whole", "streamed"]
WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE", default="nowhere")
DEFINITION = {"type": "function", "function": {"name": "approve", "parameters": {"type": "object"}}}


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def greet(name: str) -> dict[str, str]:
    """Greet somebody."""
    await asyncio.sleep(0)
    return {"greeting": f"Hello, {name}"}


def fail(why: str) -> str:
    """Fail."""
    raise LookupError(why)


def calls(*made: tuple[str, Any]) -> Reply:
    return Reply(tool_calls=[ToolCallScript(name, arguments) for name, arguments in made])


async def run(how: str, service: LLMRing, functions: Any, request: LLMRequest | None = None, **options: Any) -> ToolRun:
    request = request or ask("chatbot")
    if how == "whole":
        return await service.run_tools(request, functions, **options)
    return await service.stream_tools(request, functions, **options).final_run()


def told(run: ToolRun) -> list[Any]:
    return [message.content for message in run.messages if message.role == "tool"]


# The loop


@pytest.mark.parametrize("how", HOW)
async def test_a_round_of_calls_and_the_answer(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(
        Reply(tool_calls=[ToolCallScript("add", {"a": 2, "b": 3}), ToolCallScript("greet", {"name": "Ann"})],
              usage=Tokens(prompt=10, completion=5))
    )  # fmt: skip
    server.reply("Five, and hello.", usage=Tokens(prompt=40, completion=6))
    async with LLMRing() as service:
        done = await run(how, service, [add, greet])
        assert done.content == "Five, and hello."
        assert done.response.finish_reason == "stop"
        first, last = done.rounds
        assert [(it.name, it.arguments, it.value, it.error) for it in first.results] == [
            ("add", {"a": 2, "b": 3}, 5, None),
            ("greet", {"name": "Ann"}, {"greeting": "Hello, Ann"}, None),
        ]
        assert all(it.seconds >= 0 for it in first.results)
        assert last.results == []
        assert done.pending == []
        assert done.usage == {**(done.usage or {}), "prompt_tokens": 50, "completion_tokens": 11, "total_tokens": 61}
        assert [it.usage and it.usage["total_tokens"] for it in done.served] == [15, 46]
        assert service.calculate_cost(done).reason is not None
        assert [it.role for it in done.messages] == ["user", "assistant", "tool", "tool", "assistant"]
        assert [it.tool_call_id for it in done.messages if it.role == "tool"] == [
            call["id"] for call in first.response.tool_calls or ()
        ]
        # The history goes on.
        server.reply("Yes.")
        more = [*done.messages, Message(role="user", content="Sure?")]
        assert (await service.chat(LLMRequest(model="chatbot", messages=more))).content == "Yes."
    assert [it.stream for it in server.requests] == [how == "streamed"] * 2 + [False]
    for sent in server.requests[1:]:
        assert b"Hello, Ann" in sent.raw
    for sent in server.requests[:2]:
        assert b"Add two numbers." in sent.raw


@pytest.mark.parametrize("how", HOW)
async def test_ten_tools_called_at_once(way: Way, server: PracticeServer, how: str) -> None:
    """Each waits for all the others: they are under way at the same time, in threads and in tasks."""
    together = threading.Barrier(10)

    def tool(number: int) -> Callable[..., Any]:
        def plain(text: str) -> str:
            together.wait(60)
            return f"{text} {number}"

        async def awaited(text: str) -> str:
            await asyncio.to_thread(together.wait, 60)
            return f"{text} {number}"

        made: Callable[..., Any] = awaited if number % 4 == 3 else plain
        made.__name__ = made.__qualname__ = f"tool_{number}"
        return made

    tools = [tool(number) for number in range(10)]
    server.reply(calls(*((f"tool_{number}", {"text": "from"}) for number in range(10))))
    server.reply("done")
    async with LLMRing() as service:
        done = await run(how, service, tools)
    assert done.content == "done"
    assert told(done) == [f"from {number}" for number in range(10)]


@pytest.mark.parametrize("how", HOW)
async def test_an_error_is_told(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(calls(("fail", {"why": "no such river"}), ("add", {"a": 1})))
    server.reply("I see.")
    async with LLMRing() as service:
        done = await run(how, service, [add, fail])
    assert done.content == "I see."
    failed, added = done.rounds[0].results
    assert isinstance(failed.error, LookupError)
    assert failed.value is None
    assert (added.value, added.error) == (2, None)
    assert told(done) == ["LookupError: no such river", "2"]
    assert b"LookupError: no such river" in server.requests[-1].raw


@pytest.mark.parametrize("how", HOW)
async def test_an_error_is_raised(way: Way, server: PracticeServer, how: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    mine = LookupError("mine")

    async def blow() -> None:
        await begun.wait()
        raise mine

    server.reply(calls(("wait", {}), ("blow", {})))
    async with LLMRing() as service:
        with pytest.raises(LookupError) as raised:
            await run(how, service, [wait, blow], on_error="raise")
    assert raised.value is mine
    assert ended.is_set()
    assert len(server.requests) == 1


async def test_what_is_no_function_and_what_does_not_fit_is_told_in_either_case(
    way: Way, server: PracticeServer
) -> None:
    called = []

    def book(seats: int, at: Literal["noon", "night"], name: str = "me") -> str:
        called.append((seats, at, name))
        return "booked"

    server.reply(calls(("bok", {}), ("book", {"seats": "many", "to": 1}), ("book", {"seats": "2", "at": "noon"})))
    server.reply("Booked.")
    async with LLMRing() as service:
        done = await service.run_tools(ask("chatbot"), [book], on_error="raise")
    unknown, misfit, fits = done.rounds[0].results
    assert isinstance(unknown.error, ToolCallError)
    assert isinstance(misfit.error, ToolCallError)
    assert told(done)[0] == "There is no function 'bok'. There are: book."
    assert told(done)[1].startswith("The arguments do not fit book: ")
    for words in ("seats: Input should be a valid integer", "at: Field required", "to: Extra inputs"):
        assert words in told(done)[1]
    assert (fits.value, fits.arguments) == ("booked", {"seats": "2", "at": "noon"})
    assert called == [(2, "noon", "me")]


@pytest.mark.parametrize("how", HOW)
async def test_the_limit_of_rounds(way: Way, server: PracticeServer, how: str) -> None:
    server.default = calls(("add", {"a": 1}))
    async with LLMRing() as service:
        with pytest.raises(ToolRoundsError, match=r"add.*run\.messages") as raised:
            await run(how, service, [add], max_rounds=3)
        assert len(server.requests) == 3
        so_far = raised.value.run
        assert [len(it.results) for it in so_far.rounds] == [1, 1, 1]
        assert [it.role for it in so_far.messages] == ["user", *["assistant", "tool"] * 3]
        again = pickle.loads(pickle.dumps(raised.value))
        assert again.run.messages == so_far.messages
        assert str(again) == str(raised.value)
        # Nothing is lost: it goes on.
        server.default = Reply("Enough.")
        done = await run(how, service, [add], LLMRequest(model="chatbot", messages=so_far.messages))
        assert done.content == "Enough."
        assert len(done.messages) == 8


async def test_one_round_is_enough_for_an_answer(server: PracticeServer) -> None:
    server.reply("Hello")
    async with LLMRing() as service:
        assert (await service.run_tools(ask("anthropic:m"), [add], max_rounds=1)).content == "Hello"
        assert (await service.run_tools(ask("anthropic:m"))).messages[-1].role == "assistant"


@pytest.mark.parametrize("how", HOW)
async def test_a_call_that_is_the_callers_ends_it(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(calls(("approve", {"what": "it"}), ("add", {"a": 1})))
    async with LLMRing() as service:
        done = await run(how, service, [add], ask("chatbot", tools=[DEFINITION]))
        assert [call["function"]["name"] for call in done.pending] == ["approve"]
        assert [it.name for it in done.rounds[0].results] == ["add"]
        assert done.response.finish_reason == "tool_calls"
        server.reply("Approved.")
        answer = Message(role="tool", tool_call_id=done.pending[0]["id"], content="yes")
        more = LLMRequest(model="chatbot", messages=[*done.messages, answer])
        assert (await run(how, service, [add, DEFINITION], more)).content == "Approved."
        server.reply(calls(("approve", {})))
        alone = await run(how, service, [DEFINITION])
    assert len(alone.pending) == 1
    assert alone.messages[-1].role == "assistant"


@pytest.mark.parametrize("choice", ["required", "add", {"type": "function", "function": {"name": "add"}}])
async def test_what_must_be_called_must_be_once(way: Way, server: PracticeServer, choice: Any) -> None:
    bind({"chatbot": [way.model]}, f'params = {{ tool_choice = "required" }}\n{way.settings}')
    server.reply(calls(("add", {"a": 1})))
    server.reply("2")
    async with LLMRing() as service:
        done = await service.run_tools(ask("chatbot", tool_choice=choice), [add])
    assert done.content == "2"
    if way.wire != "ollama":  # which has no choice; it is told
        free = dict(server.requests[1].body)
        for name in ("tool_choice", "toolConfig"):
            assert name in server.requests[0].body or name not in free
        assert free.get("tool_choice") in (None, "auto", {"type": "auto"})
        assert "ANY" not in server.requests[1].raw.decode()


async def test_none_stays_none(server: PracticeServer) -> None:
    server.reply(calls(("add", {"a": 1})))
    async with LLMRing() as service:
        await service.run_tools(ask("openai:m", tool_choice="none"), [add])
    assert [it.body["tool_choice"] for it in server.requests] == ["none", "none"]


async def test_the_last_answer_has_the_form(way: Way, server: PracticeServer) -> None:
    class Sum(BaseModel):
        total: int

    server.reply(calls(("add", {"a": 1})))
    server.reply('{"total": "?"}')
    server.reply('{"total": 2}')
    asked = ask("chatbot", response_format=Sum, retries_on_misfit=1)
    async with LLMRing() as service:
        done = await service.run_tools(asked, [add])
    assert done.parsed == Sum(total=2)
    assert done.rounds[0].response.parsed is None
    assert len(done.served) == 3


# Streamed


async def test_every_step_in_order(way: Way, server: PracticeServer) -> None:
    server.reply(
        Reply(chunks=["Let ", "me"], tool_calls=[ToolCallScript("add", {"a": 1}), ToolCallScript("add", {"a": 2})])
    )
    server.reply(Reply(chunks=["2 ", "and 3"]))
    steps: list[Any] = []
    async with LLMRing() as service:
        stream = service.stream_tools(ask("chatbot"), [add])
        assert stream.run.rounds == []
        async for step in stream:
            steps.append(step)
            if isinstance(step, StreamChunk) and step.finish_reason == "stop":
                assert stream.is_whole
        again = await stream.final_run()
    kinds = [type(it).__name__ for it in steps if not isinstance(it, StreamChunk) or it.delta or it.finish_reason]
    middle = kinds.index("ToolCalled")
    assert kinds[middle : middle + 4] == ["ToolCalled", "ToolCalled", "ToolResult", "ToolResult"]
    assert set(kinds[:middle]) == set(kinds[middle + 4 :]) == {"StreamChunk"}
    finals = [it.finish_reason for it in steps if isinstance(it, StreamChunk) and it.finish_reason]
    assert finals == ["tool_calls", "stop"]
    said = "".join(it.delta for it in steps if isinstance(it, StreamChunk))
    assert said == "Let me2 and 3"
    called, results = ([it for it in steps if isinstance(it, kind)] for kind in (ToolCalled, ToolResult))
    assert [it.id for it in called] == [call["id"] for call in again.rounds[0].response.tool_calls or ()]
    assert {it.id for it in results} == {it.id for it in called}
    assert stream.response.content == again.content == "2 and 3"
    assert [it.value for it in again.rounds[0].results] == [2, 3]


async def test_results_come_as_they_are_done_and_are_told_in_the_order_of_the_calls(server: PracticeServer) -> None:
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    server.reply(calls(("slow", {}), ("quick", {})))
    seen = []
    async with LLMRing() as service:
        async with service.stream_tools(ask("anthropic:m"), [slow, quick]) as stream:
            async for step in stream:
                if isinstance(step, ToolResult):
                    seen.append(step.name)
                    gate.set()
        assert seen == ["quick", "slow"]
        assert told(stream.run) == ["slow", "quick"]


@pytest.mark.parametrize("leaving", ["break", "aclose", "with", "cancel", "task", "service"])
async def test_leaving_cancels_what_is_under_way(way: Way, server: PracticeServer, leaving: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server.default = calls(("wait", {}))
    async with LLMRing() as service:
        stream = service.stream_tools(ask("chatbot"), [wait])

        async def read(stream: ToolStream) -> list[Any]:
            return [step async for step in stream]

        if leaving in ("break", "with"):
            async for step in stream:
                if isinstance(step, ToolCalled):
                    break
            await begun.wait()
            if leaving == "with":
                async with stream:
                    pass
            del stream
        else:
            task = asyncio.create_task(read(stream))
            await begun.wait()
            if leaving == "aclose":
                await stream.aclose()
                assert isinstance((await task)[-1], ToolCalled)
            elif leaving == "cancel":
                stream.cancel()
                await task
                with pytest.raises(LLMRingError, match="closed before its end"):
                    await stream.final_run()
            elif leaving == "task":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await service.close()
                with pytest.raises(LLMRingError, match="was closed while"):
                    await task
        await ended.wait()
    assert len(server.requests) == 1


@pytest.mark.parametrize("leaving", ["break", "aclose", "cancel", "task"])
async def test_leaving_closes_the_connection(way: Way, server: PracticeServer, leaving: str) -> None:
    server.reply(calls(("add", {"a": 1})))
    server.reply(Reply(chunks=["x"] * 500, interval=0.02))
    async with LLMRing() as service:
        stream = service.stream_tools(ask("chatbot"), [add])
        async for step in stream:
            if isinstance(step, StreamChunk) and step.delta:
                break
        if leaving == "break":
            del stream
        elif leaving == "aclose":
            await stream.aclose()
        elif leaving == "cancel":
            stream.cancel()
        else:
            task = asyncio.ensure_future(stream.final_run())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(server.requests[-1].closed_by_client.wait, 60)


async def test_a_task_that_is_cancelled_cancels_what_run_tools_does(way: Way, server: PracticeServer) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server.reply(calls(("wait", {})))
    async with LLMRing() as service:
        task = asyncio.ensure_future(service.run_tools(ask("chatbot"), [wait]))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()


async def test_a_thread_that_never_ends_holds_nobody_up(server: PracticeServer) -> None:
    begun, for_ever = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        for_ever.wait()

    server.reply(calls(("wait", {})))
    async with LLMRing() as service:
        task = asyncio.ensure_future(service.run_tools(ask("anthropic:m"), [wait]))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for_ever.set()


async def test_a_stream_has_one_reader(server: PracticeServer) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    server.reply(calls(("wait", {})))
    async with LLMRing() as service:
        stream = service.stream_tools(ask("anthropic:m"), [wait])
        task = asyncio.ensure_future(stream.final_run())
        await begun.wait()
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(stream)
        await stream.aclose()
        with pytest.raises(LLMRingError):
            await task


async def test_a_break_in_a_later_round_is_the_providers_error(way: Way, server: PracticeServer) -> None:
    server.reply(calls(("add", {"a": 1})))
    server.reply(Reply(chunks=["On", "e"], fault=Fault("cut", after=2)))
    async with LLMRing(max_retries=0) as service:
        stream = service.stream_tools(ask("chatbot"), [add])
        with pytest.raises(ProviderConnectionError) as raised:
            await stream.final_run()
        assert raised.value.partial is not None
        assert raised.value.partial.content == "One"
        assert [it.value for it in stream.run.rounds[0].results] == [2]
        with pytest.raises(ProviderConnectionError):
            await stream.final_run()


async def test_a_function_may_close_what_calls_it(server: PracticeServer) -> None:
    async with LLMRing() as service:

        async def stop() -> None:
            await stream.aclose()

        server.reply(calls(("stop", {})))
        stream = service.stream_tools(ask("anthropic:m"), [stop])
        with pytest.raises(LLMRingError, match="closed before its end"):
            await stream.final_run()

        async def close() -> None:
            await service.close()

        server.reply(calls(("close", {})))
        with pytest.raises(LLMRingError, match="closed"):
            await service.run_tools(ask("anthropic:m"), [close])


# Functions


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


class Address(BaseModel):
    street: str


def kinds(
    when: datetime.date,
    price: decimal.Decimal,
    where: Address,
    tags: set[str],
    note: Annotated[str, Field(max_length=3)] = "n/a",
    times: int = Field(default=2, ge=1),
    *,
    json: bool = False,
) -> str:
    assert isinstance(where, Address)
    return f"{when:%Y} {price} {where.street} {sorted(tags)} {note} {times} {json}"


class Desk:
    def __init__(self) -> None:
        self.booked = 0

    def book(self, seats: int) -> int:
        self.booked += seats
        return self.booked

    async def __call__(self, seats: int) -> int:
        return seats


Desk.__call__.__name__ = "desk"


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return call


async def one(server: PracticeServer, function: Any, arguments: Any, name: str | None = None) -> ToolResult:
    server.reply(calls((name or function.__name__, arguments)))
    server.reply("ok")
    async with LLMRing() as service:
        done = await service.run_tools(ask("openai:m"), [function])
    (result,) = done.rounds[0].results
    return result


async def test_arguments_are_what_the_annotations_say(server: PracticeServer) -> None:
    given = {"when": "2031-05-04", "price": 0.1, "where": {"street": "Elm"}, "tags": ["b", "a", "b"], "json": True}
    result = await one(server, kinds, given)
    assert result.error is None
    assert result.value == "2031 0.1 Elm ['a', 'b'] n/a 2 True"
    result = await one(server, kinds, {**given, "note": "long", "times": 0})
    assert "note: String should have at most 3" in str(result.error)
    assert "times: Input should be greater" in str(result.error)


async def test_all_kinds_of_functions(server: PracticeServer) -> None:
    desk = Desk()
    assert (await one(server, desk.book, {"seats": 2})).value == 2
    assert (await one(server, wrapped(greet), {"name": "Bob"}, "greet")).value == {"greeting": "Hello, Bob"}
    assert (await one(server, wrapped(add), {"a": 4}, "add")).value == 5
    assert (await one(server, functools.partial(add, b=10), {"a": 4}, "add")).value == 14


async def test_an_object_that_is_called(server: PracticeServer) -> None:
    class Counter:
        async def __call__(self, seats: int) -> int:
            return seats + 1

    result = await one(server, Counter(), {"seats": 1}, "Counter")
    assert result.value == 2


async def test_context_variables_go_along(server: PracticeServer) -> None:
    def plain() -> str:
        return WHERE.get()

    async def awaited() -> str:
        return WHERE.get()

    server.reply(calls(("plain", {}), ("awaited", {})))
    async with LLMRing() as service:
        WHERE.set("here")
        done = await service.run_tools(ask("anthropic:m"), [plain, awaited])
    assert told(done) == ["here", "here"]


class Odd(Exception):
    """Its own words are asked for when it is made, so that it cannot be unpickled."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raising(error: BaseException) -> Callable[[], None]:
    def it() -> None:
        raise error

    return it


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(), "ValueError"),
        (Odd(1, 2), "Odd: 1 and 2"),
        (StopIteration(3), "StopIteration: 3"),
        (SystemExit(2), "SystemExit: 2"),
        (OSError("no file \udcff"), r"OSError: no file \udcff"),
        (asyncio.CancelledError(), "CancelledError"),
        (ExceptionGroup("both", [ValueError("a")]), "ExceptionGroup: both (1 sub-exception)"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_whatever_a_function_raises_is_told(
    server: PracticeServer, error: BaseException, words: str, is_async: bool
) -> None:
    plain = raising(error)

    async def awaited() -> None:
        plain()

    awaited.__name__ = "it"
    result = await one(server, awaited if is_async else plain, {}, "it")
    if is_async and isinstance(error, StopIteration):  # Python's own rule
        words = "RuntimeError: coroutine raised StopIteration"
    assert result.told == words
    again = pickle.loads(pickle.dumps(result))
    assert again.error is not None
    assert words.rpartition(": ")[2] in again.told or words in repr(again.error)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        ("text", "text"),
        ("", ""),
        (3.5, "3.5"),
        (True, "true"),
        ([1, {"a": None}], '[1,{"a":null}]'),
        ({"a": 1}, {"a": 1}),
        (Address(street="Elm"), '{"street":"Elm"}'),
        (datetime.date(2031, 5, 4), '"2031-05-04"'),
        ([{"type": "text", "text": "part"}], [{"type": "text", "text": "part"}]),
    ],
)
async def test_values_go_back_as_json(way: Way, server: PracticeServer, value: Any, sent: Any) -> None:
    def it() -> Any:
        return value

    server.reply(calls(("it", {})))
    server.reply("ok")
    async with LLMRing() as service:
        done = await service.run_tools(ask("chatbot"), [it])
    assert done.content == "ok"
    assert done.rounds[0].results[0].value == value
    assert told(done) == [sent]


@pytest.mark.parametrize("value", [object(), b"\xff", threading.Lock(), {"a": object}, "half \ud800", CIRCLE])
async def test_a_value_that_json_cannot_say_is_an_error_of_the_function(server: PracticeServer, value: Any) -> None:
    def it() -> Any:
        return value

    result = await one(server, it, {})
    assert result.value is None
    assert "that JSON cannot say" in str(result.told)


def test_what_cannot_be_pickled_goes_as_words() -> None:
    result = ToolResult("1", "it", {}, value=threading.Lock())
    again = pickle.loads(pickle.dumps(result))
    assert "lock" in again.value
    assert copy.copy(ToolResult("1", "it", {}, 3)) == ToolResult("1", "it", {}, 3)


# What is refused


@pytest.mark.parametrize(
    ("functions", "fields", "words"),
    [
        (add, {}, "given as a list"),
        (None, {}, "given as a list"),
        ({"add": add}, {}, "given as a list"),
        ([add, "add"], {}, r"tools\[1\] is neither"),
        ([add, wrapped(add)], {}, "Two tools are called 'add'"),
        ([add], {"tool_choice": "subtract"}, "tool_choice"),
        ([print], {}, "print"),
    ],
)
async def test_tools_that_are_none(server: PracticeServer, functions: Any, fields: Any, words: str) -> None:
    async with LLMRing() as service:
        with pytest.raises(InvalidRequestError, match=words):
            await service.run_tools(ask("anthropic:m", **fields), functions)
        stream = service.stream_tools(ask("anthropic:m", **fields), functions)
        with pytest.raises(InvalidRequestError, match=words):
            await anext(stream)
    assert server.requests == []


async def test_options_that_are_none(server: PracticeServer) -> None:
    async with LLMRing() as service:
        for options in ({"max_rounds": 0}, {"max_rounds": True}, {"max_rounds": "3"}, {"on_error": "ignore"}):
            with pytest.raises(ConfigurationError, match=next(iter(options))):
                await service.run_tools(ask("anthropic:m"), [add], **options)
        with pytest.raises(InvalidRequestError, match="is no request"):
            await service.run_tools("hello", [add])  # type: ignore[arg-type]


async def test_the_same_function_twice_is_one(server: PracticeServer) -> None:
    server.reply(calls(("add", {"a": 1})))
    async with LLMRing() as service:
        done = await service.run_tools(ask("anthropic:m", tools=[add]), [add, add])
    assert told(done) == ["2"]
    assert len(server.requests[0].body["tools"]) == 1


async def test_the_form_that_was_meant(server: PracticeServer) -> None:
    async with LLMRing() as service:
        with pytest.raises(TypeError, match=r"async for chunk in service\.stream_tools"):
            iter(service.stream_tools(ask("anthropic:m"), [add]))
        with pytest.raises(TypeError, match=r"await service\.run_tools"):
            await service.stream_tools(ask("anthropic:m"), [add])
        waiting = service.run_tools(ask("anthropic:m"), [add])
        with pytest.raises(AttributeError, match="was not awaited"):
            waiting.content  # type: ignore[attr-defined]  # noqa: B018
        await waiting


async def test_the_request_stays_as_it_was(server: PracticeServer) -> None:
    server.reply(calls(("add", {"a": 1})))
    request = ask("anthropic:m", tools=[add], tool_choice="required")
    before = request.model_copy(deep=True)
    async with LLMRing() as service:
        await service.run_tools(request)
    assert request == before


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.integers() | st.text(max_size=5) | st.none(), st.lists)))
def test_no_arguments_get_out_of_hand(arguments: Any) -> None:
    """Whatever a model writes, the function is called with what fits it, or the model is told."""

    async def go() -> None:
        functions = talk.Functions(ask("a:b"), [add])
        for written in (json.dumps(arguments), json.dumps([arguments]), json.dumps(arguments)[:-1], ""):
            result, message = await functions.call(
                {"id": "1", "type": "function", "function": {"name": "add", "arguments": written}}
            )
            assert message.tool_call_id == "1"
            assert isinstance(result.value, int) or isinstance(result.error, ToolCallError)

    asyncio.run(go())


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "llmring-tool":
            thread.join(60)
            assert not thread.is_alive()


async def test_two_calls_of_one_id(server: PracticeServer) -> None:
    """A server's mistake, and nobody's loss."""
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1}, "same"), ToolCallScript("add", {"a": 2}, "same")])
    async with LLMRing() as service:
        done = await service.run_tools(ask("anthropic:m"), [add])
    assert told(done) == ["2", "3"]


async def test_a_function_that_cancels_its_own_task(server: PracticeServer) -> None:
    async def give_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    server.reply(calls(("give_up", {})))
    async with LLMRing() as service:
        with pytest.raises(LLMRingError, match="cancelled the task"):
            await service.run_tools(ask("anthropic:m"), [give_up])


async def test_who_reads_on_after_another_was_cancelled_is_not(server: PracticeServer) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    server.reply(calls(("wait", {})))
    async with LLMRing() as service:
        stream = service.stream_tools(ask("anthropic:m"), [wait])
        task = asyncio.ensure_future(stream.final_run())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        with pytest.raises(LLMRingError, match="closed before its end"):
            await stream.final_run()


async def test_what_has_not_begun_does_not_begin(server: PracticeServer) -> None:
    begun = []

    def note() -> None:
        begun.append(1)

    server.reply(calls(("note", {})))
    async with LLMRing() as service:
        stream = service.stream_tools(ask("anthropic:m"), [note])
        async for step in stream:
            if isinstance(step, ToolCalled):
                break
        del stream
    assert begun == []


async def test_what_is_left_out_is_the_functions_own_default(server: PracticeServer) -> None:
    kept: list[int] = []

    def collect(number: int, into: Any = kept) -> int:
        into.append(number)
        return len(into)

    assert (await one(server, collect, {"number": 3})).value == 1
    assert kept == [3]
