"""A recording on all wires, for programs that speak to the SDKs themselves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, Message, StreamChunk
from llmring.exceptions import ProviderConnectionError, ProviderRateLimitError, ProviderResponseError
from llmring.recordings import answering
from llmring.testing import Fault, PracticeServer, ToolCallScript

from ..conftest import Way


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADDS = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="Add 1 and 2"),
]


async def conversation(service: LLMRing, model: str) -> list[object]:
    """A call, its result, a stream that thinks, and two that fail."""
    told: list[object] = []
    first = await service.chat(LLMRequest(model=model, messages=ADDS, tools=[add]))
    assert first.tool_calls
    told.append([it["function"] for it in first.tool_calls])
    result = Message(role="tool", content="3", tool_call_id=first.tool_calls[0]["id"])
    request = LLMRequest(model=model, messages=[*ADDS, first.to_message(), result], tools=[add])
    chunks: list[StreamChunk] = [chunk async for chunk in service.chat_stream(request)]
    told += [[it.delta for it in chunks if it.delta], chunks[-1].finish_reason, chunks[-1].usage]
    for text, kind in (("Busy", ProviderRateLimitError), ("Cut", ProviderConnectionError)):
        with pytest.raises(kind) as caught:
            await service.chat_stream(
                LLMRequest(model=model, messages=[Message(role="user", content=text)])
            ).final_response()
        told.append((caught.value.status_code, caught.value.partial and caught.value.partial.content))
    return told


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Anthropic's model said once."""
    import asyncio

    folder = tmp_path_factory.mktemp("recording")
    before = Path.cwd()
    with PracticeServer() as server, pytest.MonkeyPatch.context() as patch:
        os.chdir(folder)
        for name, value in server.environ().items():
            patch.setenv(name, value)
        server.reply("I add", tool_calls=[ToolCallScript("add", {"b": 2, "a": 1})])
        server.reply("It is three", reasoning="One and two")
        server.reply(status=429, error="Slow down")
        server.reply("One two three", fault=Fault.reset_after(2))

        async def record() -> None:
            model = "record:chat.jsonl+anthropic:claude-haiku-4-5"
            async with LLMRing(max_retries=0) as service:
                await conversation(service, model)

        try:
            asyncio.run(record())
        finally:
            os.chdir(before)
    return folder / "chat.jsonl"


async def test_each_wire_serves_it(way: Way, server: PracticeServer, recording: Path) -> None:
    server.script(answering(recording))
    async with LLMRing(max_retries=0) as service:
        calls, texts, finish, usage, busy, cut = await conversation(service, way.model)
        assert [(it["name"], json.loads(it["arguments"])) for it in calls] == [("add", {"a": 1, "b": 2})]  # type: ignore[attr-defined]
        assert texts == ["It", " is", " three"]
        assert finish == "stop"
        assert usage is not None
        assert busy[0] == 429  # type: ignore[index]
        assert cut[1] == "One two"  # type: ignore[index]
        with pytest.raises(ProviderResponseError, match="all that was recorded of it has been served"):
            await service.chat(LLMRequest(model=way.model, messages=[Message(role="user", content="Busy")]))
        with pytest.raises(ProviderResponseError, match="nothing was recorded of it"):
            await service.chat(LLMRequest(model=way.model, messages=[Message(role="user", content="Else")]))


async def test_a_bare_sdk_is_served(server: PracticeServer, recording: Path) -> None:
    import anthropic
    import openai

    server.script(answering(recording, repeat=True))
    async with openai.AsyncOpenAI(max_retries=0) as client:
        whole = await client.responses.create(model="gpt-5-mini", instructions="Be brief.", input="Add 1 and 2")
        assert [it.name for it in whole.output if it.type == "function_call"] == ["add"]
    async with anthropic.AsyncAnthropic(max_retries=0) as other:
        with pytest.raises(anthropic.RateLimitError):
            await other.messages.create(
                model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "Busy"}]
            )
