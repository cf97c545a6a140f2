"""The Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.schemas import Message
from llmring.wire.errors import WireError
from llmring.wire.openai_responses import ResponsesDecoder

from .streams import (
    CREATED,
    MODEL,
    RESPONSES_USAGE,
    answered,
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
from .test_rendering import ISSUER, USER, ask, render

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
    assert answered(ResponsesDecoder(MODEL), json.dumps(answer).encode()).finish_reason == expected


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
    answer = answered(ResponsesDecoder(MODEL), json.dumps(response(output=[whole, message_item("x")])).encode())
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
    final = answered(ResponsesDecoder(MODEL), json.dumps(response(output=[CUSTOM])).encode())
    assert final.tool_calls is not None
    assert final.tool_calls[0]["function"]["arguments"] == '{"input": "print(1)"}'


def test_a_refusal_that_is_cut_off() -> None:
    refusal = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I w"}
    assert decode(WIRE, CREATED, refusal, incomplete("max_output_tokens")).whole["finish_reason"] == "length"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_whole_answer_that_failed(status: str) -> None:
    with pytest.raises(WireError):
        answered(ResponsesDecoder(MODEL), json.dumps(response(status)).encode())


@pytest.mark.parametrize(
    "odd", [{"output": [{"type": "message"}]}, {"output": [None]}, {"usage": "none"}, {"incomplete_details": 7}]
)
def test_the_end_marker_is_one_however_odd_the_rest_of_it(odd: dict[str, Any]) -> None:
    """What is only kept or counted must not cost the caller an answer that is whole."""
    result = decode(WIRE, CREATED, said("x"), completed(**odd))
    assert result.whole["content"] == "x"
    assert result.whole["finish_reason"] == "stop"
    assert result.whole["response_model"] == "model-1-20260101"
    assert result.whole["skipped_events"] <= 1


def test_a_custom_tools_call_goes_back_as_it_came_and_so_does_what_it_gave() -> None:
    caller = {"type": "program", "caller_id": "call_p"}
    made = CUSTOM | {"id": "ctc_1", "status": "completed", "caller": caller}
    decoder = ResponsesDecoder(MODEL)
    final = answered(decoder, json.dumps(response(output=[made])).encode())
    turn = Message(role="assistant", tool_calls=final.tool_calls, metadata=decoder.metadata | {"issuer": ISSUER})
    result = Message(role="tool", tool_call_id="call_a", content="1")
    tools = [{"type": "custom", "name": "code"}]
    output = {"type": "custom_tool_call_output", "call_id": "call_a", "output": "1"}
    assert render(WIRE, ask(USER, turn, result, tools=tools))["input"][1:] == [made, output | {"caller": caller}]
    # To another server it is a call of the tool that the request names.
    elsewhere = render(WIRE, ask(USER, turn, result, tools=tools), issuer="other")["input"][1:]
    assert elsewhere == [CUSTOM, output]
    plain = render(WIRE, ask(USER, turn, result), issuer="other")["input"][1:]
    assert [it["type"] for it in plain] == ["function_call", "function_call_output"]


def test_commentary_is_text_but_not_the_answer() -> None:
    items = [
        message_item("I look. ") | {"phase": "commentary"},
        message_item("{}") | {"phase": "final_answer"},
    ]
    decoder = ResponsesDecoder(MODEL)
    assert answered(decoder, json.dumps(response(output=items)).encode()).delta == "I look. {}"
    assert decoder.answer_at == 8
    streamed = decode(
        WIRE, CREATED, said("I look. "), said("{}"), *(item("done", i, **it) for i, it in enumerate(items)), completed()
    )
    assert streamed.decoder.answer_at == 8
    assert [it["phase"] for it in streamed.decoder.metadata["openai_responses"]["items"]] == [
        "commentary",
        "final_answer",
    ]


def bare(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "output_index"}


@pytest.mark.parametrize("ids", [True, False])
def test_a_stream_without_places_is_told_by_ids_or_by_order(ids: bool) -> None:
    events: list[Any] = [CREATED]
    for position, city in enumerate(("Rome", "Oslo")):
        call = call_item(json.dumps({"city": city}), call_id=f"call_{position}")
        own = {"id": f"fc_{position}"} if ids else {"id": None}
        begun = item("added", 0, **call | own | {"arguments": ""})
        pieces = [
            arguments(0, piece) | ({"item_id": f"fc_{position}"} if ids else {})
            for piece in ('{"city"', f': "{city}"}}')
        ]
        events += map(bare, [begun, *pieces, item("done", 0, **call | own)])
    result = decode(WIRE, *events, completed())
    assert [json.loads(written)["city"] for _, written in result.calls] == ["Rome", "Oslo"]
    assert result.whole["skipped_events"] == 0
    built = [[c["function"]["arguments"] for c in chunk.tool_calls] for chunk in result.chunks if chunk.tool_calls]
    assert built[:3] == [[""], ['{"city"'], ['{"city": "Rome"}']]


def test_a_call_of_which_a_piece_was_lost_is_whole_again_when_its_item_is() -> None:
    call = call_item('{"city": "Rome"}')
    begun, pieces = item("added", 0, **call | {"arguments": ""}), [arguments(0, '{"city": '), arguments(0, '"Rome"}')]
    for events in (
        [begun, pieces[0], b"{", item("done", 0, **call), completed()],
        [begun, pieces[0], b"{", completed(output=[call])],
        [b"{", *pieces, item("done", 0, **call), completed()],
    ):
        result = decode(WIRE, CREATED, *events)
        assert result.calls == [("weather", '{"city": "Rome"}')]
        assert result.whole["skipped_events"] == 1
    lost = decode(WIRE, CREATED, begun, pieces[0], b"{", pieces[1], completed())
    assert lost.error is not None


def test_pictures_citations_and_files_are_parts_of_the_answer() -> None:
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    filed = {"type": "container_file_citation", "file_id": "cfile_1", "filename": "a.csv", "container_id": "cntr_1"}
    second = message_item("Rain.")
    second["content"][0]["annotations"] = [cited, filed]
    picture = {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "result": "aGk=",
        "output_format": "webp",
    }
    ran = {
        "type": "code_interpreter_call",
        "outputs": [{"type": "logs"}, {"type": "image", "url": "https://a.example/b"}],
    }
    decoder = ResponsesDecoder(MODEL)
    answered(decoder, json.dumps(response(output=[message_item("So "), second, picture, ran])).encode())
    assert decoder.parts == [
        {"type": "citation", "citation": {"url": "https://a.example", "title": "A", "start_index": 3, "end_index": 5}},
        {"type": "file", "file": {"file_id": "cfile_1", "filename": "a.csv"}},
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b"}},
    ]
    kept = decoder.metadata["openai_responses"]["items"]
    turn = Message(
        role="assistant", content="So Rain.", metadata={"openai_responses": {"items": kept}, "issuer": ISSUER}
    )
    sent = render(WIRE, ask(USER, turn, USER))["input"]
    assert sent[2]["content"][0]["annotations"] == [cited, filed]


def test_parts_of_an_odd_form_are_counted_and_cost_no_answer() -> None:
    second = message_item("Rain.")
    second["content"][0]["annotations"] = [{"type": "file_path"}]
    result = decode(WIRE, CREATED, said("Rain."), completed(output=[second]))
    assert result.content == "Rain."
    assert result.whole["skipped_events"] == 1


def test_what_came_only_with_the_items_that_were_done_is_said() -> None:
    answer = message_item("Sunny.")
    done = {"type": "response.output_item.done", "output_index": 0, "item": answer}
    result = decode(WIRE, {"type": "response.created", "response": response("in_progress")}, done, completed(output=[]))
    assert result.error is None
    assert result.content == "Sunny."


def test_an_answer_that_was_cancelled_is_none() -> None:
    result = decode(WIRE, said("Sun"), {"type": "response.cancelled", "response": response("cancelled")})
    assert result.error is not None
    assert "cancelled" in result.error.message


def test_an_answer_without_items_says_nothing() -> None:
    whole = response(output=None)
    assert answered(ResponsesDecoder(MODEL), json.dumps(whole).encode()).delta == ""


def test_a_message_that_only_the_end_brings_is_said_then() -> None:
    events = [
        said("A"),
        item("done", 0, **message_item("A")),
        completed(output=[message_item("A"), message_item("BC")]),
    ]
    assert decode(WIRE, CREATED, *events).content == "ABC"
    whole = completed(output=[message_item("A"), message_item("BC")])
    assert decode(WIRE, CREATED, said("A"), said("BC"), whole).content == "ABC"


@pytest.mark.parametrize(
    "odd", [{"usage": []}, {"usage": {"input_tokens_details": 3}}, {"output": [{"type": "message", "content": None}]}]
)
def test_an_odd_form_costs_no_more_than_itself(odd: dict[str, Any]) -> None:
    answer = response(output=[message_item("Hi")]) | odd
    assert answered(ResponsesDecoder(MODEL), json.dumps(answer).encode()).finish_reason == "stop"
