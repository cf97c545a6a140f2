"""The Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.wire.errors import WireError
from llmring.wire.openai_responses import ResponsesDecoder

from .streams import (
    CREATED,
    MODEL,
    RESPONSES_USAGE,
    call_item,
    completed,
    decode,
    item,
    message_item,
    response,
    said,
    thought,
    usage,
)

WIRE = "openai-responses"


def arguments(index: int, delta: Any) -> dict[str, Any]:
    return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": delta}


def incomplete(reason: str | None) -> dict[str, Any]:
    details = {"reason": reason} if reason else None
    return {"type": "response.incomplete", "response": response("incomplete", incomplete_details=details)}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("whatever", "other"),
        (None, "other"),
    ],
)
def test_reasons_for_breaking_off(reason: str | None, expected: str) -> None:
    result = decode(WIRE, CREATED, said("x"), incomplete(reason))
    assert result.whole["finish_reason"] == expected
    answer = incomplete(reason)["response"] | {"output": [message_item("x")]}
    assert ResponsesDecoder(MODEL).answer(json.dumps(answer).encode()).finish_reason == expected


def test_breaking_off_in_no_more_than_the_events_name() -> None:
    event = {"type": "response.incomplete", "response": {"output": []}}
    assert decode(WIRE, CREATED, said("x"), event).whole["finish_reason"] == "other"


def test_a_call_that_is_broken_off_is_no_turn_that_calls_tools() -> None:
    result = decode(WIRE, item("added", 0, **call_item("")), arguments(0, "{}"), incomplete("max_output_tokens"))
    assert result.whole["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (RESPONSES_USAGE, usage(20, 9, cache_read_tokens=12, cache_write_tokens=3, reasoning_tokens=4)),
        ({"input_tokens": 3, "output_tokens": 4}, usage(3, 4)),
        ({"input_tokens": 3, "output_tokens": 4, "input_tokens_details": None}, usage(3, 4)),
        (
            {"input_tokens": 3, "output_tokens": 0, "input_tokens_details": {"cached_tokens": 0}},
            usage(3, 0, cache_read_tokens=0),
        ),
        (None, None),
        ({}, None),
    ],
)
def test_usage(counted: Any, expected: dict[str, int] | None) -> None:
    assert decode(WIRE, said("x"), completed(usage=counted)).whole["usage"] == expected


@pytest.mark.parametrize(
    "events",
    [
        [item("added", 0, **call_item("")), arguments(0, '{"x"'), arguments(0, ":1}")],
        [item("added", 0, **call_item("")), arguments(0, '{"x"'), item("done", 0, **call_item('{"x":1}'))],
        [item("added", 0, **call_item("")), item("done", 0, **call_item('{"x":1}'))],
        [item("done", 0, **call_item('{"x":1}'))],
        [item("added", 0, **call_item('{"x":1}'))],
        [item("added", 0, **call_item("")), arguments(0, '{"y":2}'), item("done", 0, **call_item('{"x":1}'))],
        # A fragment whose call never began belongs to nothing.
        [arguments(5, '{"z"'), item("done", 0, **call_item('{"x":1}'))],
    ],
)
def test_calls(events: list[Any]) -> None:
    result = decode(WIRE, CREATED, *events, completed())
    assert result.whole["calls"] == [("weather", '{"x":1}')]
    assert result.ids == ["call_a"]
    assert result.whole["finish_reason"] == "tool_calls"
    assert result.whole["skipped_events"] == 0


def test_parallel_calls_with_one_id() -> None:
    events = [item("done", index, **call_item("{}", name)) for index, name in enumerate("fgh")]
    result = decode(WIRE, *events, completed())
    assert [name for name, _ in result.calls] == ["f", "g", "h"]
    assert result.ids[0] == "call_a"
    assert len(set(result.ids)) == 3


def test_a_call_without_arguments() -> None:
    assert decode(WIRE, item("added", 0, **call_item("")), completed()).whole["calls"] == [("weather", "{}")]


def test_arguments_that_are_no_json() -> None:
    result = decode(WIRE, item("added", 0, **call_item("")), arguments(0, '{"x": '), completed())
    assert result.error is not None
    assert "'weather'" in result.error.message
    assert '{"x": ' in result.error.message


def test_reasoning_in_full() -> None:
    """Open models tell their reasoning itself, not a summary."""
    event = {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0}
    assert decode(WIRE, event | {"delta": "Hm"}, event | {"delta": "."}, completed()).reasoning == "Hm."
    whole = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    answer = ResponsesDecoder(MODEL).answer(json.dumps(response(output=[whole, message_item("x")])).encode())
    assert (answer.reasoning, answer.delta) == ("Hm.", "x")


def test_summaries_of_two_items_are_apart() -> None:
    second = thought("Second") | {"output_index": 2}
    assert decode(WIRE, thought("First"), second, completed()).reasoning == "First\n\nSecond"


@pytest.mark.parametrize(
    ("event", "message", "status"),
    [
        ({"type": "error", "code": "server_error", "message": "It broke", "param": None}, "It broke", 500),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow"}}, "Slow", 429),
        (
            {
                "type": "response.failed",
                "response": response("failed", error={"code": "server_error", "message": "It broke"}),
            },
            "It broke",
            500,
        ),
        ({"type": "response.failed", "response": response("failed")}, "did not say why", None),
        ({"type": "response.failed", "response": response("cancelled")}, "was cancelled", None),
    ],
)
def test_a_failure_in_the_stream(event: Any, message: str, status: int | None) -> None:
    result = decode(WIRE, CREATED, said("a"), event, said("b"), completed())
    assert result.content == "a"
    assert result.final is None
    assert result.error is not None
    assert message in result.error.message
    assert result.error.status == status


CUSTOM = {"type": "custom_tool_call", "call_id": "call_a", "name": "code", "input": "print(1)"}


@pytest.mark.parametrize(
    "events",
    [
        [
            item("added", 0, **CUSTOM | {"input": ""}),
            *({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": d} for d in ('a"', "\n")),
            item("done", 0, **CUSTOM),
            completed(output=[CUSTOM]),
        ],
        [item("done", 0, **CUSTOM), completed()],
        [completed(output=[CUSTOM])],
    ],
)
def test_a_call_of_a_custom_tool(events: list[Any]) -> None:
    result = decode(WIRE, CREATED, said("x"), *events)
    assert result.calls == [("code", '{"input": "print(1)"}')]
    assert result.whole["finish_reason"] == "tool_calls"
    for chunk in result.chunks:
        for call in chunk.tool_calls or ():
            json.loads(call["function"]["arguments"])
    final = ResponsesDecoder(MODEL).answer(json.dumps(response(output=[CUSTOM])).encode())
    assert final.tool_calls is not None
    assert final.tool_calls[0]["function"]["arguments"] == '{"input": "print(1)"}'


def test_a_refusal_that_is_cut_off() -> None:
    refusal = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I w"}
    assert decode(WIRE, CREATED, refusal, incomplete("max_output_tokens")).whole["finish_reason"] == "length"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_whole_answer_that_failed(status: str) -> None:
    with pytest.raises(WireError):
        ResponsesDecoder(MODEL).answer(json.dumps(response(status)).encode())


@pytest.mark.parametrize(
    "odd", [{"output": [{"type": "message"}]}, {"output": [None]}, {"usage": "none"}, {"incomplete_details": 7}]
)
def test_the_end_marker_is_one_however_odd_the_rest_of_it(odd: dict[str, Any]) -> None:
    """What is only kept or counted must not cost the caller an answer that is whole."""
    result = decode(WIRE, CREATED, said("x"), completed(**odd))
    assert result.whole["content"] == "x"
    assert result.whole["finish_reason"] == "stop"
    assert result.whole["response_model"] == "model-1-20260101"
    assert result.whole["skipped_events"] == 1
