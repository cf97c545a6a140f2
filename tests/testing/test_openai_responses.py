"""The official OpenAI SDK reads the server's Responses."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

ASKED: Any = {"model": "gpt-5-mini", "input": "hi there"}
CALLS = [ToolCallScript("weather", {"city": "Paris"}, id="call_1"), ToolCallScript("now")]
USAGE = Tokens(100, 20, cache_read=30, cache_write=10, reasoning=5)
WHOLE = Reply("Good morning", reasoning="Let me think", searched="news", tool_calls=CALLS, usage=USAGE)


def ask() -> Any:
    """The answer in one piece."""
    with openai.OpenAI(max_retries=0) as client:
        return client.responses.create(**ASKED)


def stream(**more: Any) -> list[Any]:
    """The events of a stream."""

    async def main() -> list[Any]:
        async with openai.AsyncOpenAI(max_retries=0) as client:
            return [event async for event in await client.responses.create(**ASKED, stream=True, **more)]

    return asyncio.run(main())


def check(answer: Any) -> None:
    assert answer.status == "completed"
    assert answer.output_text == "Good morning"
    thought, search, _, first, second = answer.output
    assert [summary.text for summary in thought.summary] == ["Let me think"]
    assert thought.encrypted_content
    assert (search.type, search.action.query) == ("web_search_call", "news")
    assert (first.call_id, first.name, first.arguments) == ("call_1", "weather", '{"city": "Paris"}')
    assert (second.name, second.arguments) == ("now", "{}")
    assert first.id != second.id
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 20, 120)
    assert usage.input_tokens_details.cached_tokens == 30
    assert usage.input_tokens_details.cache_write_tokens == 10
    assert usage.output_tokens_details.reasoning_tokens == 5


def test_whole(server: PracticeServer) -> None:
    server.reply(WHOLE)
    check(ask())


def test_streamed(server: PracticeServer) -> None:
    server.reply(WHOLE)
    events = stream()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    check(events[-1].response)
    deltas = [(event.type, event.delta) for event in events if event.type.endswith("delta")]
    assert [delta for kind, delta in deltas if kind == "response.output_text.delta"] == ["Good", " morning"]
    assert [delta for kind, delta in deltas if kind == "response.reasoning_summary_text.delta"] == [
        "Let",
        " me",
        " think",
    ]
    arguments = [delta for kind, delta in deltas if kind == "response.function_call_arguments.delta"]
    assert "".join(arguments) == '{"city": "Paris"}{}'
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == events[-1].response.output


def test_the_accumulating_helper(server: PracticeServer) -> None:
    async def main() -> Any:
        async with openai.AsyncOpenAI() as client, client.responses.stream(**ASKED) as stream:
            kinds = [event.type async for event in stream]
            return kinds, await stream.get_final_response()

    server.reply(WHOLE)
    kinds, answer = asyncio.run(main())
    assert kinds[-1] == "response.completed"
    check(answer)


def test_length(server: PracticeServer) -> None:
    server.reply("Hello", finish_reason="length", times=2)
    for answer in (ask(), stream()[-1].response):
        assert answer.status == "incomplete"
        assert answer.incomplete_details.reason == "max_output_tokens"
    server.reply("Hello", finish_reason="content_filter")
    last = stream()[-1]
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "content_filter")


def test_no_usage(server: PracticeServer) -> None:
    server.reply("Hello", usage=None)
    assert ask().usage is None


def test_errors(server: PracticeServer) -> None:
    server.reply(Reply(status=429, error="No.", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))
    with pytest.raises(openai.RateLimitError, match=r"No\.") as caught:
        stream()
    assert caught.value.response.headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    server.reply(problem="too_long")
    with pytest.raises(openai.BadRequestError, match="context window") as too_long:
        ask()
    assert too_long.value.code == "context_length_exceeded"


@pytest.mark.parametrize("after", [0, 1])
def test_an_error_in_the_stream(server: PracticeServer, after: int) -> None:
    server.reply("Hello you", fault=Fault.error_event(after, 500, "Broken."))
    with pytest.raises(openai.APIError, match=r"Broken\."):
        stream()


def test_the_events_of_a_failure_are_numbered(server: PracticeServer, ask: Any, parse: Any) -> None:
    server.reply("Hello you", fault=Fault.error_event(1, 500, "Broken."))
    events = parse("openai-responses", ask("openai-responses").body)
    failed = [(event["type"], event["sequence_number"]) for event in events[-2:]]
    assert failed == [("error", 0), ("response.failed", 1)]
