"""A program as its author's type checker sees it, with the package from outside: run by mypy and pyright, strictly."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from llmring import (
    ChatStream,
    Conversation,
    LLMRequest,
    LLMResponse,
    LLMRing,
    Message,
    StreamChunk,
    ToolRun,
    Usage,
    image,
    sync,
    text,
)
from llmring.exceptions import LLMRingError, ProviderRateLimitError
from llmring.testing import Fault, PracticeServer, Reply


class City(BaseModel):
    """The form of an answer."""

    name: str


def weather(city: str) -> dict[str, int]:
    """The weather in a city."""
    return {city: 21}


async def asked(service: LLMRing) -> str:
    """A whole answer, a stream, tools, a conversation."""
    request = LLMRequest(model="chatbot", messages=[Message(role="user", content=[text("Hi"), image("cat.png")])])
    response: LLMResponse = await service.chat(request, profile="dev")
    usage: Usage | None = response.usage
    said = response.content + str(usage["total_tokens"] if usage else 0)
    stream: ChatStream = service.chat_stream(request)
    async with stream:
        async for chunk in stream:
            piece: StreamChunk = chunk
            said += piece.delta + (piece.reasoning or "")
    run: ToolRun = await service.run_tools(request, [weather])
    conversation: Conversation = service.conversation("chatbot", system="Be brief.", response_format=City)
    said += (await conversation.ask("Why?")).content
    cost: float | None = service.calculate_cost(run).total
    return f"{said} {cost}"


def plainly() -> str:
    """The same without asyncio, and errors."""
    try:
        with sync.LLMRing(aliases={"chatbot": "ollama:llama3.2"}) as service:
            request = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
            return "".join(chunk.delta for chunk in service.chat_stream(request))
    except ProviderRateLimitError as error:
        seconds: float | None = error.retry_after
        return str(seconds)
    except LLMRingError as error:
        return str(error)


def practised() -> int:
    """A test's server."""
    with PracticeServer() as server:
        server.reply(Reply("Hello", fault=Fault.cut_after(2)))
        variables: dict[str, str] = server.environ()
        return len(variables) + len(server.requests)


async def main() -> None:
    """All of it."""
    async with LLMRing() as service:
        await asked(service)
    plainly()
    practised()


if __name__ == "__main__":
    asyncio.run(main())
