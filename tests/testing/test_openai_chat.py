"""The official OpenAI SDK reads the server's Chat Completions."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

ASKED: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi there"}]}
CALLS = [ToolCallScript("weather", {"city": "Paris"}, id="call_1"), ToolCallScript("now")]
USAGE = Tokens(100, 20, cache_read=30, cache_write=10, reasoning=5)
WHOLE = Reply("Good morning", reasoning="Let me think", tool_calls=CALLS, usage=USAGE)


def ask() -> Any:
    """The answer in one piece."""
    with openai.OpenAI(max_retries=0) as client:
        return client.chat.completions.create(**ASKED)


def stream(**more: Any) -> list[Any]:
    """The chunks of a stream."""

    async def main() -> list[Any]:
        async with openai.AsyncOpenAI(max_retries=0) as client:
            return [chunk async for chunk in await client.chat.completions.create(**ASKED, stream=True, **more)]

    return asyncio.run(main())


def test_whole(server: PracticeServer) -> None:
    server.reply(WHOLE, response_model="gpt-5-mini-2025-08-07")
    answer = ask()
    message = answer.choices[0].message
    assert (message.content, message.reasoning_content) == ("Good morning", "Let me think")
    assert [(c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("weather", '{"city": "Paris"}'),
        ("now", "{}"),
    ]
    assert message.tool_calls[0].id == "call_1"
    assert message.tool_calls[1].id
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.model == "gpt-5-mini-2025-08-07"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (100, 20, 120)
    assert answer.usage.prompt_tokens_details.cached_tokens == 30
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5


def test_streamed(server: PracticeServer) -> None:
    server.reply(WHOLE, reasoning_field="reasoning")
    chunks = stream(stream_options={"include_usage": True})
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert [delta.content for delta in deltas if delta.content] == ["Good", " morning"]
    assert [delta.reasoning for delta in deltas if hasattr(delta, "reasoning")] == ["Let", " me", " think"]
    fragments = [call for delta in deltas for call in delta.tool_calls or []]
    assert [(c.index, c.id, c.function.name) for c in fragments if c.id] == [
        (0, "call_1", "weather"),
        (1, fragments[-2].id, "now"),
    ]
    assert "".join(c.function.arguments for c in fragments if c.index == 0) == '{"city": "Paris"}'
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 120


def test_the_accumulating_helper(server: PracticeServer) -> None:
    async def main() -> Any:
        async with openai.AsyncOpenAI() as client, client.chat.completions.stream(**ASKED) as stream:
            return await stream.get_final_completion()

    server.reply(WHOLE)
    choice = asyncio.run(main()).choices[0]
    assert choice.message.content == "Good morning"
    assert [call.function.name for call in choice.message.tool_calls] == ["weather", "now"]


def test_usage_is_streamed_only_if_asked_for(server: PracticeServer) -> None:
    assert not any(chunk.usage for chunk in stream())


@pytest.mark.parametrize(
    ("named", "word"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("odd", "odd")],
)
def test_finish_reasons(server: PracticeServer, named: str, word: str) -> None:
    server.reply("Hello", finish_reason=named, times=2)
    assert ask().choices[0].finish_reason == word
    assert stream()[-1].choices[0].finish_reason == word


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_errors(server: PracticeServer, status: int, error: type[openai.APIStatusError]) -> None:
    server.reply(Reply(status=status, error="No.", error_code="odd", retry_after=7, request_id="req_1"))
    with pytest.raises(error, match=r"No\.") as caught:
        stream()
    assert caught.value.code == "odd"
    assert caught.value.request_id == "req_1"
    assert caught.value.response.headers["retry-after"] == "7"


def test_troubles(server: PracticeServer) -> None:
    server.reply(problem="bad_key")
    with pytest.raises(openai.AuthenticationError) as bad_key:
        ask()
    assert bad_key.value.code == "invalid_api_key"
    server.reply(problem="too_long")
    with pytest.raises(openai.BadRequestError) as too_long:
        ask()
    assert too_long.value.code == "context_length_exceeded"
    server.reply(problem="unknown_model")
    with pytest.raises(openai.NotFoundError, match="gpt-5-mini"):
        ask()


def test_an_error_in_the_stream(server: PracticeServer) -> None:
    server.reply("Hello you", fault=Fault.error_event(1, 500, "Broken."))
    with pytest.raises(openai.APIError, match=r"Broken\."):
        stream()


def test_a_page_instead_of_an_error(server: PracticeServer) -> None:
    server.reply(status=502, body=b"<html>Bad gateway</html>")
    with pytest.raises(openai.InternalServerError) as caught:
        ask()
    assert caught.value.response.text == "<html>Bad gateway</html>"


def test_models(server: PracticeServer) -> None:
    server.models["openai"] = ["one", "two"]
    with openai.OpenAI() as client:
        assert [model.id for model in client.models.list()] == ["one", "two"]
        assert client.models.retrieve("two").id == "two"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("three")
