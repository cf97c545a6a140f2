"""Google's Gemini."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.schemas import Message
from llmring.wire import gemini

from .streams import MODEL, answered, decode, part, usage
from .test_requests import ask, render

WIRE = "gemini"
FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}


@pytest.mark.parametrize(
    ("word", "reason"), [*FINISH.items(), ("OTHER", "other"), ("LANGUAGE", "other"), ("WHATEVER", "other")]
)
def test_finish_reasons(word: str, reason: str) -> None:
    assert decode(WIRE, part({"text": "x"}), part(finish=word)).whole["finish_reason"] == reason
    answer = json.dumps(part({"text": "x"}, finish=word)).encode()
    assert answered(gemini.GenerateDecoder(MODEL), answer).finish_reason == reason


def test_every_word_is_in_the_table() -> None:
    assert {word: gemini._FINISH[word] for word in FINISH} == FINISH


def test_a_signature_is_kept_of_a_lone_part_and_nothing_of_a_plain_one() -> None:
    for said, kept in [
        ({"text": "x", "thoughtSignature": "c2ln"}, [{"length": 1, "signature": "c2ln"}]),
        ({"text": "x"}, None),
    ]:
        metadata = decode(WIRE, part(said, finish="STOP")).decoder.metadata
        assert metadata.get("google", {}).get("parts") == kept


def test_a_turn_that_calls_tools() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    assert decode(WIRE, part(call, finish="STOP")).whole["finish_reason"] == "tool_calls"
    assert decode(WIRE, part(call, finish="MAX_TOKENS")).whole["finish_reason"] == "length"


def counted(**counts: int) -> dict[str, Any]:
    return {"usageMetadata": counts}


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([counted(promptTokenCount=20, candidatesTokenCount=9, totalTokenCount=29)], usage(20, 9)),
        (
            [counted(promptTokenCount=20, candidatesTokenCount=5, thoughtsTokenCount=4, totalTokenCount=29)],
            usage(20, 9, reasoning_tokens=4),
        ),
        ([counted(promptTokenCount=20, thoughtsTokenCount=4, totalTokenCount=24)], usage(20, 4, reasoning_tokens=4)),
        ([counted(promptTokenCount=20, totalTokenCount=20)], usage(20, 0)),
        (
            [
                counted(
                    promptTokenCount=20, toolUsePromptTokenCount=3, cachedContentTokenCount=12, candidatesTokenCount=1
                )
            ],
            usage(23, 1, cache_read_tokens=12),
        ),
        # Each event tells the count so far; one that tells none changes nothing.
        (
            [
                counted(promptTokenCount=20, candidatesTokenCount=2),
                counted(promptTokenCount=20, candidatesTokenCount=9),
                counted(),
                counted(trafficType=1),
            ],
            usage(20, 9),
        ),
        ([], None),
        ([counted(totalTokenCount=20)], None),
    ],
)
def test_usage(figures: list[dict[str, Any]], expected: dict[str, int] | None) -> None:
    events = [part({"text": "x"}, **figure) for figure in figures]
    assert decode(WIRE, *events, part(finish="STOP")).whole["usage"] == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([{"name": "f", "args": {"x": [1, "ö"]}}], [("f", '{"x":[1,"ö"]}')]),
        ([{"name": "f", "args": {}}, {"name": "f"}, {"name": "f", "args": None}], [("f", "{}")] * 3),
        ([{"name": "f", "args": {}, "id": "a"}, {"name": "g", "args": {}, "id": "a"}], [("f", "{}"), ("g", "{}")]),
    ],
)
def test_calls(parts: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    calls = [{"functionCall": call} for call in parts]
    for events in ([part(*calls, finish="STOP")], [*(part(call) for call in calls), part(finish="STOP")]):
        result = decode(WIRE, *events)
        assert result.whole["calls"] == expected
        assert len({*result.ids} - {""}) == len(expected)
        assert result.ids[0] == parts[0].get("id", result.ids[0])


def test_text_thoughts_and_calls_in_one_event() -> None:
    event = part({"text": "Hm", "thought": True}, {"text": "x"}, {"functionCall": {"name": "f"}}, finish="STOP")
    result = decode(WIRE, event)
    assert (result.content, result.reasoning, result.calls) == ("x", "Hm", [("f", "{}")])
    assert len(result.chunks) == 1


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "OTHER"])
def test_a_prompt_that_is_turned_away(reason: str) -> None:
    event = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 7}}
    result = decode(WIRE, event)
    assert result.whole["finish_reason"] == "content_filter"
    assert result.whole["usage"] == usage(7, 0)


def test_feedback_that_turns_nothing_away() -> None:
    result = decode(WIRE, {"promptFeedback": {"safetyRatings": []}}, part({"text": "x"}, finish="STOP"))
    assert (result.content, result.whole["finish_reason"]) == ("x", "stop")
    assert decode(WIRE, {"promptFeedback": {}}).final is None


def test_text_after_the_reason_still_counts() -> None:
    assert decode(WIRE, part({"text": "a"}, finish="STOP"), part({"text": "b"})).whole["content"] == "ab"


def test_the_model_may_come_late() -> None:
    first = part({"text": "a"})
    del first["modelVersion"]
    assert decode(WIRE, first, part(finish="STOP")).whole["response_model"] == "model-1-20260101"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 503, "message": "It broke", "status": "UNAVAILABLE"}, 503),
        ({"code": 429, "message": "It broke", "status": "RESOURCE_EXHAUSTED"}, 429),
        ({"message": "It broke", "status": "INTERNAL"}, 500),
    ],
)
def test_a_failure_in_the_stream(error: dict[str, Any], status: int) -> None:
    result = decode(WIRE, part({"text": "x"}), {"error": error})
    assert result.content == "x"
    assert result.error is not None
    assert (result.error.message, result.error.status) == ("It broke", status)


def test_pictures_files_and_what_a_search_found_are_parts_of_the_answer() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"}
    first = part({"text": "Rain."}, picture, {"inlineData": {"mimeType": "image/png", "data": "eA=="}, "thought": True})
    last = part({"fileData": {"fileUri": "https://a.example/f"}}, finish="STOP")
    last["candidates"][0] |= {
        "groundingMetadata": {
            "groundingChunks": [
                {"web": {"uri": "https://a.example", "title": "A"}},
                {"web": {"uri": "https://b.example"}},
            ],
            "groundingSupports": [{"segment": {"startIndex": 0, "text": "Rain."}, "groundingChunkIndices": [0]}],
        },
        "citationMetadata": {"citationSources": [{"uri": "https://c.example", "startIndex": 0}]},
    }
    result = decode(WIRE, first, last)
    assert result.decoder.parts == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "file", "file": {"file_url": "https://a.example/f"}},
        {"type": "citation", "citation": {"url": "https://a.example", "title": "A", "cited_text": "Rain."}},
        {"type": "citation", "citation": {"url": "https://b.example"}},
        {"type": "citation", "citation": {"url": "https://c.example"}},
    ]
    assert result.decoder.metadata["google"]["parts"][1] == {"part": picture}


def test_a_snapshot_that_leaves_out_a_count_takes_none_back() -> None:
    full = {"promptTokenCount": 100, "cachedContentTokenCount": 80, "thoughtsTokenCount": 7, "candidatesTokenCount": 1}
    less = {"promptTokenCount": 100, "candidatesTokenCount": 2}
    result = decode(WIRE, part({"text": "a"}) | counted(**full), part({"text": "b"}, finish="STOP") | counted(**less))
    assert result.whole["usage"] == usage(100, 9, cache_read_tokens=80, reasoning_tokens=7)


def test_what_is_in_the_total_alone_is_output() -> None:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 20}
    assert decode(WIRE, part({"text": "a"}, finish="STOP") | counted(**counts)).whole["usage"] == usage(10, 10)


def test_no_empty_text_is_sent() -> None:
    calls: Any = [{"id": "call_1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}]
    turns = [
        Message(role="system", content=""),
        Message(role="user", content=[{"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]),
        Message(role="assistant", content=[{"type": "text", "text": ""}], tool_calls=calls),
        Message(role="tool", tool_call_id="call_1", content=""),
        Message(role="assistant", content=""),
        Message(role="user", content=""),
    ]
    body = render(WIRE, ask(*turns))
    assert "systemInstruction" not in body
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "ping", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "ping", "response": {"result": ""}}}]},
    ]
