"""The official Google SDK reads the server's Gemini."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

ASKED: Any = {"model": "gemini-2.5-flash", "contents": "hi there"}
CALLS = [ToolCallScript("weather", {"city": "Paris"}, id="call_1"), ToolCallScript("now")]
USAGE = Tokens(100, 20, cache_read=30, reasoning=5)
WHOLE = Reply("Good morning", reasoning="Let me think", searched="news", tool_calls=CALLS, usage=USAGE)


def ask(**config: Any) -> Any:
    """The answer in one piece."""
    with genai.Client() as client:
        return client.models.generate_content(**ASKED, config=types.GenerateContentConfig(**config))


def stream(**config: Any) -> list[Any]:
    """The chunks of a stream."""

    async def main() -> list[Any]:
        asked = ASKED | {"config": types.GenerateContentConfig(**config)}
        async with genai.Client().aio as client:
            return [chunk async for chunk in await client.models.generate_content_stream(**asked)]

    return asyncio.run(main())


def check_usage(usage: Any) -> None:
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (100, 30)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (15, 5, 120)


def check_calls(parts: list[Any]) -> None:
    first, second = parts
    assert (first.function_call.id, first.function_call.name) == ("call_1", "weather")
    assert (first.function_call.args, bool(first.thought_signature)) == ({"city": "Paris"}, True)
    assert (second.function_call.id, second.function_call.name, second.function_call.args) == (None, "now", {})


def test_whole(server: PracticeServer) -> None:
    server.reply(WHOLE, response_model="gemini-2.5-flash-001")
    answer = ask()
    candidate = answer.candidates[0]
    thought, text, *calls = candidate.content.parts
    assert (thought.thought, thought.text, text.text) == (True, "Let me think", "Good morning")
    check_calls(calls)
    assert candidate.finish_reason == types.FinishReason.STOP
    assert candidate.grounding_metadata.web_search_queries == ["news"]
    assert answer.model_version == "gemini-2.5-flash-001"
    check_usage(answer.usage_metadata)


def test_streamed(server: PracticeServer) -> None:
    server.reply(WHOLE)
    chunks = stream()
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert [part.text for part in parts if part.thought] == ["Let", " me", " think"]
    assert [part.text for part in parts if part.text and not part.thought] == ["Good", " morning"]
    check_calls([part for part in parts if part.function_call])
    assert [bool(chunk.candidates[0].finish_reason) for chunk in chunks] == [False] * 7 + [True]
    counts = [chunk.usage_metadata.candidates_token_count for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    check_usage(chunks[-1].usage_metadata)


def test_a_signature_without_calls(server: PracticeServer) -> None:
    server.reply("Hello", signature="YWJj", times=2)
    assert ask().candidates[0].content.parts[-1].thought_signature == b"abc"
    assert stream()[-1].candidates[0].content.parts[-1].thought_signature == b"abc"


@pytest.mark.parametrize(
    ("named", "word"),
    [
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("other", "OTHER"),
        ("RECITATION", "RECITATION"),
    ],
)
def test_finish_reasons(server: PracticeServer, named: str, word: str) -> None:
    server.reply("Hello", finish_reason=named, times=2)
    assert ask().candidates[0].finish_reason == word
    assert stream()[-1].candidates[0].finish_reason == word


def test_a_blocked_prompt(server: PracticeServer) -> None:
    server.reply(finish_reason="content_filter", times=2)
    for answer in (ask(), *stream()):
        assert answer.candidates is None
        assert answer.prompt_feedback.block_reason == "PROHIBITED_CONTENT"


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
    ],
)
def test_errors(server: PracticeServer, status: int, error: type[errors.APIError], word: str) -> None:
    server.reply(Reply(status=status, error="No.", retry_after=48))
    with pytest.raises(error, match=r"No\.") as caught:
        stream()
    assert (caught.value.code, caught.value.status) == (status, word)
    details: Any = caught.value.details
    assert details["error"]["details"][-1]["retryDelay"] == "48s"


def test_a_bad_key(server: PracticeServer) -> None:
    server.reply(problem="bad_key")
    with pytest.raises(errors.ClientError, match="API key not valid") as caught:
        ask()
    assert caught.value.code == 400
    details: Any = caught.value.details
    assert details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


def test_an_error_in_the_stream(server: PracticeServer) -> None:
    server.reply("Hello you", fault=Fault.error_event(1, 503, "Broken."))
    with pytest.raises(errors.ServerError, match=r"Broken\."):
        stream()


def test_the_sdk_goes_on_from_a_token(server: PracticeServer) -> None:
    server.reply("Good", continuation="YWJj", usage=Tokens(10, 2))
    server.reply(" morning", usage=Tokens(12, 3))
    chunks = stream()
    assert "".join(part.text for chunk in chunks for part in chunk.candidates[0].content.parts) == "Good morning"
    assert chunks[-1].usage_metadata.total_token_count == 27
    assert [request.body.get("continuationToken") for request in server.requests] == [None, "YWJj"]


def test_the_sdk_goes_on_from_a_checkpoint_after_a_cut(server: PracticeServer) -> None:
    server.reply(Reply(chunks=["Good", " lost"], checkpoints={0: "YWJj"}, fault=Fault.cut_after(1)))
    server.reply(" morning")
    chunks = stream()
    assert "".join(part.text for chunk in chunks for part in chunk.candidates[0].content.parts) == "Good morning"
    assert server.requests[1].body["continuationToken"] == "YWJj"


def test_models(server: PracticeServer) -> None:
    server.models["gemini"] = ["one", "two"]
    with genai.Client() as client:
        assert [model.name for model in client.models.list()] == ["models/one", "models/two"]
        assert client.models.get(model="two").name == "models/two"
