"""The official Ollama SDK reads the server's chat API."""

from __future__ import annotations

import asyncio
from typing import Any

import ollama
import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

ASKED: Any = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi there"}]}
CALLS = [ToolCallScript("weather", {"city": "Paris"}), ToolCallScript("now")]
WHOLE = Reply("Good morning", reasoning="Let me think", tool_calls=CALLS, usage=Tokens(100, 20))


def ask() -> Any:
    """The answer in one piece."""
    with ollama.Client() as client:
        return client.chat(**ASKED)


def stream() -> list[Any]:
    """The lines of a stream."""

    async def main() -> list[Any]:
        async with ollama.AsyncClient() as client:
            return [line async for line in await client.chat(**ASKED, stream=True)]

    return asyncio.run(main())


def check_calls(calls: list[Any]) -> None:
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("weather", {"city": "Paris"}),
        ("now", {}),
    ]


def test_whole(server: PracticeServer) -> None:
    server.reply(WHOLE)
    answer = ask()
    assert (answer.message.content, answer.message.thinking) == ("Good morning", "Let me think")
    check_calls(answer.message.tool_calls)
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (100, 20)


def test_streamed(server: PracticeServer) -> None:
    server.reply(WHOLE)
    lines = stream()
    assert [line.message.thinking for line in lines if line.message.thinking] == ["Let", " me", " think"]
    assert [line.message.content for line in lines if line.message.content] == ["Good", " morning"]
    check_calls([call for line in lines for call in line.message.tool_calls or []])
    assert [line.done for line in lines] == [False] * 7 + [True]
    assert (lines[-1].done_reason, lines[-1].prompt_eval_count, lines[-1].eval_count) == ("stop", 100, 20)


def test_length(server: PracticeServer) -> None:
    server.reply("Hello", finish_reason="length", times=2)
    assert ask().done_reason == "length"
    assert stream()[-1].done_reason == "length"


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_errors(server: PracticeServer, status: int) -> None:
    server.reply(Reply(status=status, error="No."))
    with pytest.raises(ollama.ResponseError, match=r"No\.") as caught:
        stream()
    assert caught.value.status_code == status


def test_an_unknown_model(server: PracticeServer) -> None:
    server.reply(problem="unknown_model")
    with pytest.raises(ollama.ResponseError, match=r"model 'llama3\.2' not found"):
        ask()


def test_an_error_in_the_stream(server: PracticeServer) -> None:
    server.reply("Hello you", fault=Fault.error_event(1, message="Broken."))
    with pytest.raises(ollama.ResponseError, match=r"Broken\."):
        stream()


def test_models(server: PracticeServer) -> None:
    server.models["ollama"] = ["one:latest", "two:latest"]
    with ollama.Client() as client:
        assert [model.model for model in client.list().models] == ["one:latest", "two:latest"]
        assert client.show("two").capabilities == ["completion", "tools"]
        server.capabilities["one:latest"] = ["completion"]
        assert client.show("one:latest").capabilities == ["completion"]
        with pytest.raises(ollama.ResponseError):
            client.show("three")
