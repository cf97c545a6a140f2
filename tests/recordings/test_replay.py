"""What a recording holds of an answer, and that its replay is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message, StreamChunk
from llmring.exceptions import ProviderConnectionError, ProviderRateLimitError, ProviderTimeoutError
from llmring.recordings import RecordingError, RecordingMissError, Session
from llmring.testing import Fault, PracticeServer, ToolCallScript

from ..conftest import Way

FILE = "rec/chat.jsonl"
LOCK = 'version = "1.0"\ndefault_profile = "default"\n'


def bound(models: str | Sequence[str], **profiles: Sequence[str]) -> None:
    """A lockfile whose alias `chatbot` is served by these, in each profile."""
    text = LOCK
    for name, served in {"default": [models] if isinstance(models, str) else models, **profiles}.items():
        text += f'[profiles.{name}]\nname = "{name}"\n[[profiles.{name}.bindings]]\nalias = "chatbot"\n'
        text += f"models = {json.dumps([*served])}\n"
    settings = Path("llmring.lock").read_text().partition("[providers")
    Path("llmring.lock").write_text(text + "".join(settings[1:]))


@pytest.fixture
def recorded(way: Way) -> Way:
    """A lockfile that records in its default profile, and replays in the other."""
    bound(f"record:{FILE}+{way.model}", test=[f"replay:{FILE}"])
    return way


def ask(*said: str | Message, **fields: Any) -> LLMRequest:
    messages = [Message(role="user", content=it) if isinstance(it, str) else it for it in said]
    return LLMRequest(model="chatbot", messages=messages, **fields)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def chunks_of(service: LLMRing, request: LLMRequest) -> tuple[list[StreamChunk], Exception | None]:
    """What comes, and what it ends in."""
    chunks: list[StreamChunk] = []
    try:
        chunks.extend([chunk async for chunk in service.chat_stream(request)])
    except Exception as error:
        return chunks, error
    return chunks, None


def written() -> str:
    return Path(FILE).read_text()


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in written().splitlines()]


async def test_a_replay_gives_the_same_chunks_and_the_same_response(recorded: Way, server: PracticeServer) -> None:
    server.reply("Well then", reasoning="Let me see", tool_calls=[ToolCallScript("add", {"a": 1, "b": 22})])
    request = ask("Add 1 and 22", tools=[add], temperature=0.5)
    async with LLMRing() as service, service.chat_stream(request) as stream:
        seen = [chunk async for chunk in stream]
        whole = stream.response
    server.close()
    async with LLMRing(profile="test") as service, service.chat_stream(request) as stream:
        assert [chunk async for chunk in stream] == seen
        assert stream.response == whole
    assert len(seen) > 5


async def test_what_was_streamed_is_replayed_to_chat_and_the_other_way(recorded: Way, server: PracticeServer) -> None:
    server.reply("One two three", reasoning="Count")
    server.reply("Four five")
    async with LLMRing() as service:
        streamed = await service.chat_stream(ask("Count")).final_response()
        whole = await service.chat(ask("On"))
    async with LLMRing(profile="test") as service:
        assert await service.chat(ask("Count")) == streamed
        assert await service.chat_stream(ask("On")).final_response() == whole


@pytest.mark.parametrize("streamed", [True, False])
async def test_errors_are_replayed_as_they_were_raised(recorded: Way, server: PracticeServer, streamed: bool) -> None:
    server.reply(status=429, retry_after=7, error="Slow down")
    server.reply("One two three", fault=Fault.reset_after(2))
    server.reply("One two", fault=Fault.stall_after(1))
    seen = []
    for profile in ("default", "test"):
        async with LLMRing(profile=profile, max_retries=0) as service:
            service.get_provider(recorded.provider)  # its SDK takes longer to be imported than silence is waited for
            for text in ("Busy", "Broken", "Silent"):
                request = ask(text, timeout=0.3) if text == "Silent" else ask(text)
                try:
                    if streamed:
                        await service.chat_stream(request).final_response()
                    else:
                        await service.chat(request)
                except (ProviderRateLimitError, ProviderConnectionError, ProviderTimeoutError) as error:
                    seen.append((type(error), str(error), error.status_code, error.retry_after, error.partial))
    assert seen[:3] == seen[3:]
    assert [it[0] for it in seen[:3]] == [ProviderRateLimitError, ProviderConnectionError, ProviderTimeoutError]
    assert seen[0][3] == 7
    assert seen[1][4] is not None or not streamed


async def test_a_recording_of_one_wire_serves_a_program_of_another(recorded: Way, server: PracticeServer) -> None:
    """The conversation that follows is found as well, though another's ids and thinking are in it."""
    calls = [ToolCallScript("add", {"b": 2, "a": 1})]
    server.script(lambda request: None)
    server.reply("So", reasoning="Hm", tool_calls=calls)
    server.reply("It is 3")
    turns = ask("1 + 2?", tools=[add])
    async with LLMRing() as service:
        first = await service.chat(turns)
        assert first.tool_calls
        result = Message(role="tool", content="3", tool_call_id=first.tool_calls[0]["id"])
        await service.chat(ask("1 + 2?", first.to_message(), result, tools=[add]))
    answer = Message(
        role="assistant",
        content="So",
        tool_calls=[{"id": "x9", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}],
    )
    async with LLMRing(profile="test") as service:
        result = Message(role="tool", content="3", tool_call_id="x9")
        assert (await service.chat(ask("1 + 2?", answer, result, tools=[add]))).content == "It is 3"


async def test_a_key_and_a_header_are_nowhere_in_it(
    recorded: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "canary-of-a-key-0123456789"
    for name in [it for it in server.environ() if it.endswith("_KEY")]:
        monkeypatch.setenv(name, key)
    server.reply(f"Your key is {key}, is it not", reasoning=["It is can", "ary-of-a-key-0123456789"])
    server.reply(status=401, error=f"Wrong key {key}", headers={"x-canary": "header-canary"})
    server.reply(
        tool_calls=[ToolCallScript("add", ['{"a": "canary-of-', 'a-key-0123456789"}'])], request_id="req-canary"
    )
    async with LLMRing() as service:
        for text in ("Hi", "Who", f"Add {key} and\nsk-ant-abcdefghijklmnopqrstuvwx0123456789"):
            await chunks_of(service, ask(text, tools=[add]))
    text = written()
    assert len(text.splitlines()) == 3
    assert "canary" not in text
    assert "sk-ant" not in text
    assert "redacted" in text
    # It is found all the same.
    async with LLMRing(profile="test") as service:
        chunks, error = await chunks_of(service, ask("Add [key] and\n[redacted]", tools=[add]))
        assert error is None
        assert chunks[-1].tool_calls


async def test_each_exchange_is_replayed_once_and_in_order(recorded: Way, server: PracticeServer) -> None:
    for text in ("Heads", "Tails"):
        server.reply(text)
    with Session("all"):
        async with LLMRing() as service:
            await service.chat(ask("Toss"))
            await service.chat(ask("Toss"))
    async with LLMRing(profile="test") as service:
        assert [(await service.chat(ask("Toss"))).content for _ in range(2)] == ["Heads", "Tails"]
        with pytest.raises(RecordingMissError, match=r"all have been replayed.*repeat=True.*LLMRING_RECORD=missing"):
            await service.chat(ask("Toss"))
    with Session(repeat=True):
        async with LLMRing(profile="test") as service:
            said = [(await service.chat(ask("Toss"))).content for _ in range(4)]
    assert said == ["Heads", "Tails", "Tails", "Tails"]
    assert len(lines()) == 2


async def test_a_miss_shows_the_nearest_recording(recorded: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        await service.chat(ask("What is the capital of France?", temperature=0.5))
        await service.chat(ask("Tell me a story"))
    async with LLMRing(profile="test") as service:
        with pytest.raises(RecordingMissError) as caught:
            await service.chat(ask("What is the capital of Spain?", temperature=0.5))
    said = str(caught.value)
    assert "line 1, of " in said
    assert '-   "content": "What is the capital of France?"' in said
    assert '+   "content": "What is the capital of Spain?"' in said
    assert "LLMRING_RECORD=missing" in said


async def test_days_times_and_ids_make_no_difference(recorded: Way, server: PracticeServer) -> None:
    asked = "It is {}. What was on 1969-07-20?"
    async with LLMRing() as service:
        await service.chat(ask(asked.format("2026-11-30T10:00:00Z"), temperature=0.0))
        await service.chat(ask("Hi", temperature=0.0))
    async with LLMRing(profile="test") as service:
        await service.chat(ask(asked.format("2027-01-02T23:59:01.123+02:00"), temperature=0))
        with pytest.raises(RecordingMissError):
            await service.chat(ask("Hi", temperature=0.1))


@pytest.mark.parametrize(("mode", "asked"), [("missing", 1), ("all", 2), ("none", 0)])
async def test_what_a_binding_that_records_does_the_environment_says(
    recorded: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, mode: str, asked: int
) -> None:
    async with LLMRing() as service:
        await service.chat(ask("Old"))
    server.requests.clear()
    monkeypatch.setenv("LLMRING_RECORD", mode)
    async with LLMRing() as service:
        await service.chat(ask("Old"))
        if mode == "none":
            with pytest.raises(RecordingMissError):
                await service.chat(ask("New"))
        else:
            await service.chat(ask("New"))
    assert len(server.requests) == asked
    assert [it["request"]["messages"][0]["content"] for it in lines()] == ["Old", "New"][: 1 + bool(asked)]


async def test_an_answer_that_was_left_is_recorded_as_far_as_it_came(recorded: Way, server: PracticeServer) -> None:
    server.reply("One two three four", interval=0.02)
    for profile in ("default", "test"):
        async with LLMRing(profile=profile) as service, service.chat_stream(ask("Count")) as stream:
            assert (await anext(stream)).delta
    assert lines()[0]["answer"]["left"] is True
    async with LLMRing(profile="test") as service:
        with pytest.raises(RecordingError, match="breaks off here"):
            await service.chat_stream(ask("Count")).final_response()
