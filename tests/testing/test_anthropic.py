"""The official Anthropic SDK reads the server's Messages."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

ASKED: Any = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi there"}]}
CALLS = [ToolCallScript("weather", {"city": "Paris"}, id="toolu_1"), ToolCallScript("now")]
USAGE = Tokens(100, 20, cache_read=30, cache_write=10, reasoning=5)
WHOLE = Reply("Good morning", reasoning="Let me think", searched="news", tool_calls=CALLS, usage=USAGE)


def ask() -> Any:
    """The answer in one piece."""
    with anthropic.Anthropic(max_retries=0) as client:
        return client.messages.create(**ASKED)


def accumulate() -> tuple[list[str], Any]:
    """The event types of a stream, and the message that the SDK puts together."""

    async def main() -> tuple[list[str], Any]:
        async with anthropic.AsyncAnthropic(max_retries=0) as client, client.messages.stream(**ASKED) as stream:
            kinds: list[str] = [event.type async for event in stream]
            return kinds, await stream.get_final_message()

    return asyncio.run(main())


def check(message: Any) -> None:
    thought, search, found, text, first, second = message.content
    assert (thought.type, thought.thinking, bool(thought.signature)) == ("thinking", "Let me think", True)
    assert (search.type, search.input) == ("server_tool_use", {"query": "news"})
    assert (found.type, found.tool_use_id) == ("web_search_tool_result", search.id)
    assert text.text == "Good morning"
    assert (first.type, first.id, first.name, first.input) == ("tool_use", "toolu_1", "weather", {"city": "Paris"})
    assert (second.name, second.input) == ("now", {})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (60, 20)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (30, 10)
    assert usage.output_tokens_details.thinking_tokens == 5


def test_whole(server: PracticeServer) -> None:
    server.reply(WHOLE)
    check(ask())


def test_streamed(server: PracticeServer) -> None:
    server.reply(WHOLE)
    kinds, message = accumulate()
    check(message)
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_the_events_as_they_come(server: PracticeServer) -> None:
    async def main() -> list[Any]:
        async with anthropic.AsyncAnthropic() as client:
            return [event async for event in await client.messages.create(**ASKED, stream=True)]

    server.reply("Hello you", response_model="claude-haiku-4-5-20251001")
    events = asyncio.run(main())
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.model == "claude-haiku-4-5-20251001"
    assert (events[0].message.usage.output_tokens, events[-2].usage.output_tokens) == (1, 2)
    assert b"event: ping" in server_bytes(server)


def server_bytes(server: PracticeServer) -> bytes:
    """The stream of an echo, undecoded."""
    with anthropic.Anthropic() as client, client.messages.with_streaming_response.create(**ASKED, stream=True) as r:
        return b"".join(r.iter_bytes())


@pytest.mark.parametrize(
    ("named", "word"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("other", "pause_turn"),
        ("stop_sequence", "stop_sequence"),
    ],
)
def test_finish_reasons(server: PracticeServer, named: str, word: str) -> None:
    server.reply("Hello", finish_reason=named, times=2)
    assert ask().stop_reason == word
    assert accumulate()[1].stop_reason == word


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_errors(server: PracticeServer, status: int, error: type[anthropic.APIStatusError], kind: str) -> None:
    server.reply(Reply(status=status, error="No.", retry_after=1.5, request_id="req_1"))
    with pytest.raises(error, match=r"No\.") as caught:
        accumulate()
    body: Any = caught.value.body
    assert body["error"]["type"] == kind
    assert (caught.value.request_id, body["request_id"]) == ("req_1", "req_1")
    assert caught.value.response.headers["retry-after"] == "1.5"


def test_an_error_in_the_stream(server: PracticeServer) -> None:
    server.reply("Hello you", fault=Fault.error_event(1, 529))
    with pytest.raises(anthropic.APIStatusError) as caught:
        accumulate()
    body: Any = caught.value.body
    assert body["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_models(server: PracticeServer) -> None:
    server.models["anthropic"] = ["one", "two"]
    with anthropic.Anthropic() as client:
        listed = client.models.list()
        assert [model.id for model in listed] == ["one", "two"]
        assert (listed.first_id, listed.last_id) == ("one", "two")
        assert client.models.retrieve("two").id == "two"
    assert [request.wire for request in server.requests] == ["models", "models"]
