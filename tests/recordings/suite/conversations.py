"""Fifty conversations, ten on each wire: what is asked, what the practice server says, and what the program sees."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from llmring import ChatStream, LLMRequest, LLMRing, LLMRingError, Message
from llmring.exceptions import ProviderError
from llmring.testing import Fault, Reply, ToolCallScript

WIRES = ("openai-chat", "openai-responses", "anthropic", "gemini", "ollama")
Ask = Callable[[LLMRing, str], Awaitable[list[Any]]]


class Town(BaseModel):
    name: str
    people: int


def weather(town: str, days: int = 1) -> str:
    """What the weather will be."""
    return f"{town}: sun for {days} days"


def user(text: str) -> Message:
    return Message(role="user", content=text)


async def seen(stream: ChatStream) -> list[Any]:
    """Each chunk as it came, and what it ended in."""
    found: list[Any] = []
    try:
        async for chunk in stream:
            calls = [it["function"] for it in chunk.tool_calls] if chunk.tool_calls is not None else None
            said = [chunk.delta, chunk.reasoning, calls, chunk.finish_reason, chunk.usage, chunk.response_model]
            found.append([chunk.model, *said, chunk.skipped_events])
    except LLMRingError as error:
        found.append(failure(error))
    response = stream.response
    parsed = response.parsed.model_dump() if isinstance(response.parsed, BaseModel) else None
    return [*found, [response.content, response.reasoning, response.finish_reason, parsed]]


def failure(error: LLMRingError) -> list[Any]:
    status = error.status_code if isinstance(error, ProviderError) else None
    partial = error.partial.content if isinstance(error, ProviderError) and error.partial is not None else None
    return [type(error).__name__, str(error), status, partial]


async def text(service: LLMRing, alias: str) -> list[Any]:
    return await seen(service.chat_stream(LLMRequest(model=alias, messages=[user("Count to five")])))


async def whole(service: LLMRing, alias: str) -> list[Any]:
    response = await service.chat(LLMRequest(model=alias, messages=[user("All at once")], temperature=0.25))
    return [response.content, response.finish_reason, response.usage, response.response_model, response.model]


async def thinking(service: LLMRing, alias: str) -> list[Any]:
    asked = LLMRequest(model=alias, messages=[user("Think first")], reasoning_effort="low")
    return await seen(service.chat_stream(asked))


async def tools(service: LLMRing, alias: str) -> list[Any]:
    turns = [Message(role="system", content="Be brief."), user("Weather in Lyon and Oslo?")]
    stream = service.chat_stream(LLMRequest(model=alias, messages=turns, tools=[weather]))
    first = await seen(stream)
    answer = stream.response
    results = [
        Message(role="tool", tool_call_id=it["id"], content=weather(**json.loads(it["function"]["arguments"])))
        for it in answer.tool_calls or ()
    ]
    asked = LLMRequest(model=alias, messages=[*turns, answer.to_message(), *results], tools=[weather])
    return [first, await seen(service.chat_stream(asked))]


async def form(service: LLMRing, alias: str) -> list[Any]:
    asked = LLMRequest(model=alias, messages=[user("A town as JSON")], response_format=Town)
    return await seen(service.chat_stream(asked))


async def misfit(service: LLMRing, alias: str) -> list[Any]:
    """An answer without its form, asked for again."""
    asked = LLMRequest(model=alias, messages=[user("Another town as JSON")], response_format=Town, retries_on_misfit=1)
    response = await service.chat(asked)
    return [response.content, response.retries, response.usage]


async def busy(service: LLMRing, alias: str) -> list[Any]:
    return await seen(service.chat_stream(LLMRequest(model=alias, messages=[user("Are you busy?")])))


async def broken(service: LLMRing, alias: str) -> list[Any]:
    return await seen(service.chat_stream(LLMRequest(model=alias, messages=[user("Break off")])))


async def turns(service: LLMRing, alias: str) -> list[Any]:
    found, said = [], [Message(role="system", content="You count.")]
    for asked in ("One?", "Two?", "Three?", "One?"):
        said.append(user(asked))
        stream = service.chat_stream(LLMRequest(model=alias, messages=said, max_tokens=50))
        found.append(await seen(stream))
        said.append(stream.response.to_message())
    return found


async def twice(service: LLMRing, alias: str) -> list[Any]:
    """One question, asked twice, answered in two ways."""
    asked = LLMRequest(model=alias, messages=[user("Heads or tails?")])
    return [await seen(service.chat_stream(asked)) for _ in range(2)]


CALLS = [ToolCallScript("weather", {"town": "Lyon", "days": 3}), ToolCallScript("weather", {"town": "Oslo"})]

KINDS: dict[str, tuple[Ask, list[Reply]]] = {
    "text": (text, [Reply("One two three, four five", finish_reason="length")]),
    "whole": (whole, [Reply("Said in one piece, naïve and 中文 too")]),
    "thinking": (thinking, [Reply("Done", reasoning="Hm, let me see")]),
    "tools": (tools, [Reply("I look", tool_calls=CALLS), Reply("Sun in both")]),
    "form": (form, [Reply('{"name": "Lyon", "people": 522250}')]),
    "misfit": (misfit, [Reply('{"name": "Lyon"}'), Reply('{"name": "Lyon", "people": 1}')]),
    "busy": (busy, [Reply(status=503, error="Come again")]),
    "broken": (broken, [Reply("One two three four", fault=Fault.reset_after(2))]),
    "turns": (turns, [Reply(it) for it in ("One it is", "Two", "Three", "That was one")]),
    "twice": (twice, [Reply("Heads"), Reply("Tails, this time")]),
}
NAMES = [f"{wire}-{kind}" for wire in WIRES for kind in KINDS]


async def held(name: str, service: LLMRing) -> list[Any]:
    """One conversation, as its program sees it."""
    wire, _, kind = name.rpartition("-")
    found = await KINDS[kind][0](service, wire)
    plain: list[Any] = json.loads(json.dumps(found))
    return plain
