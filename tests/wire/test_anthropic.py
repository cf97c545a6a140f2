"""Anthropic's Messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.schemas import Message
from llmring.wire import anthropic

from .streams import MESSAGE_STOP, MODEL, answered, block, decode, delta, ended, message, started, stopped, usage
from .test_rendering import ISSUER, USER, ask, render

WIRE = "anthropic"
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
TEXT = [block(0, type="text", text=""), delta(0, "text_delta", text="x"), stopped(0)]


@pytest.mark.parametrize(("word", "reason"), [*FINISH.items(), ("pause_turn", "other"), ("whatever", "other")])
def test_finish_reasons(word: str, reason: str) -> None:
    assert decode(WIRE, started(), *TEXT, ended(word), MESSAGE_STOP).whole["finish_reason"] == reason
    answer = json.dumps(message([{"type": "text", "text": "x"}], word)).encode()
    assert answered(anthropic.MessagesDecoder(MODEL), answer).finish_reason == reason


def test_every_word_is_in_the_table() -> None:
    assert anthropic._FINISH == FINISH


@pytest.mark.parametrize("end", [[ended(None), MESSAGE_STOP], [MESSAGE_STOP]])
def test_the_end_without_a_reason(end: list[Any]) -> None:
    assert decode(WIRE, started(), *TEXT, *end).whole["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # The last figures replace, those that are left out stand.
        ({"input_tokens": 8, "output_tokens": 1}, {"output_tokens": 9}, usage(8, 9)),
        ({"input_tokens": 8, "output_tokens": 1}, {"input_tokens": 10, "output_tokens": 9}, usage(10, 9)),
        # What came from the cache or went into it is input that `input_tokens` leaves out.
        (
            {"input_tokens": 8, "cache_read_input_tokens": 12, "cache_creation_input_tokens": 3, "output_tokens": 1},
            {"output_tokens": 9},
            usage(23, 9, cache_read_tokens=12, cache_write_tokens=3),
        ),
        (
            {"input_tokens": 8, "cache_read_input_tokens": None, "cache_creation_input_tokens": 0, "output_tokens": 1},
            {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
            usage(8, 9, cache_write_tokens=0, reasoning_tokens=4),
        ),
        (
            {"input_tokens": 8, "cache_read_input_tokens": 5000, "output_tokens": 1},
            {"input_tokens": 181, "cache_read_input_tokens": 0, "output_tokens": 9},
            usage(181, 9, cache_read_tokens=0),
        ),
        ({"input_tokens": 8, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 9}, usage(8, 9)),
    ],
)
def test_usage(first: dict[str, Any], last: dict[str, Any], expected: dict[str, int]) -> None:
    assert decode(WIRE, started(**first), *TEXT, ended(**last), MESSAGE_STOP).whole["usage"] == expected


def test_usage_that_nobody_reported() -> None:
    start = started()
    del start["message"]["usage"]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    assert decode(WIRE, start, *TEXT, end, MESSAGE_STOP).whole["usage"] is None


def test_usage_without_an_end() -> None:
    """What the start says stands where the end says nothing."""
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": None}
    result = decode(WIRE, started(input_tokens=8, output_tokens=1), *TEXT, end, MESSAGE_STOP)
    assert result.whole["usage"] == usage(8, 1)


def call(index: int = 0, id: str | None = "toolu_a", name: str = "f", **more: Any) -> dict[str, Any]:
    return block(index, type="tool_use", name=name, input={}, **({"id": id} if id else {})) | more


def piece(partial: str, index: int = 0) -> dict[str, Any]:
    return delta(index, "input_json_delta", partial_json=partial)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([call(), piece(""), piece('{"x"'), piece(": 1}"), stopped(0)], [("f", '{"x": 1}')]),
        ([call(), piece(""), stopped(0)], [("f", "{}")]),
        ([call(), stopped(0)], [("f", "{}")]),
        ([call(id=None), piece("{}")], [("f", "{}")]),
        # Whole, as compatible servers send it.
        ([block(0, type="tool_use", id="toolu_a", name="f", input={"x": 1}), stopped(0)], [("f", '{"x":1}')]),
        # Two under one id, interleaved.
        (
            [call(), call(1, name="g"), piece('{"x": 1', 0), piece("{", 1), piece("}", 0), piece("}", 1)],
            [("f", '{"x": 1}'), ("g", "{}")],
        ),
    ],
)
def test_calls(events: list[Any], expected: list[tuple[str, str]]) -> None:
    result = decode(WIRE, started(), *events, ended("tool_use"), MESSAGE_STOP)
    assert result.whole["calls"] == expected
    assert len({*result.ids} - {""}) == len(expected)


def test_calls_under_another_reason() -> None:
    assert decode(WIRE, call(), ended("end_turn"), MESSAGE_STOP).whole["finish_reason"] == "tool_calls"
    events = [call(), piece('{"x": 1}'), stopped(0), ended("max_tokens"), MESSAGE_STOP]
    assert decode(WIRE, *events).whole["finish_reason"] == "length"


def test_a_call_cut_off_before_its_arguments() -> None:
    """What was to come is not known: a call without arguments would be another one."""
    whole = [call(), stopped(0)]
    result = decode(WIRE, *whole, ended("max_tokens"), MESSAGE_STOP)
    assert result.error is not None
    assert "cut off at max_tokens" in result.error.message
    last = [call(1, name="g"), piece('{"x": 1}', 1), stopped(1)]
    assert decode(WIRE, *whole, *last, ended("max_tokens"), MESSAGE_STOP).calls == [("f", "{}"), ("g", '{"x": 1}')]


def test_arguments_that_are_no_json() -> None:
    result = decode(WIRE, started(), *TEXT, call(1), piece('{"x": ', 1), ended("max_tokens"), MESSAGE_STOP)
    assert result.content == "x"
    assert result.error is not None
    assert "'f'" in result.error.message
    assert '{"x": ' in result.error.message


def test_text_that_comes_with_the_start_of_its_block() -> None:
    events = [block(0, type="text", text="a"), delta(0, "text_delta", text="b"), stopped(0)]
    assert decode(WIRE, started(), *events, MESSAGE_STOP).content == "ab"
    events = [block(0, type="thinking", thinking="a"), delta(0, "thinking_delta", thinking="b"), stopped(0)]
    assert decode(WIRE, started(), *events, MESSAGE_STOP).reasoning == "ab"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("api_error", 500), ("rate_limit_error", 429), ("new_error", None)],
)
def test_a_failure_in_the_stream(kind: str, status: int | None) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "It broke"}, "request_id": "req_1"}
    result = decode(WIRE, started(), *TEXT, error)
    assert result.content == "x"
    assert result.error is not None
    assert (result.error.message, result.error.status, result.error.code) == ("It broke", status, kind)


def test_thoughts_that_begin_with_what_is_no_text() -> None:
    """Nobody sends it; put together, it is no error of ours."""
    decoder = anthropic.MessagesDecoder("anthropic:m")
    events = (
        {"type": "content_block_start", "index": 0, "content_block": {"type": None, "thinking": True}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "So"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    for event in events:
        decoder.read(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert decoder.close().finish_reason == "stop"
    assert decoder.metadata["anthropic"]["blocks"] == [{"type": None, "thinking": "So"}]


# What goes back


def back(answer: dict[str, Any] | list[Any], *, issuer: str = ISSUER) -> dict[str, Any]:
    """The body of the next request, with the turn that these events, or this whole answer, came to."""
    if isinstance(answer, list):
        result = decode(WIRE, *answer)
        assert result.final is not None
        decoder, content, calls = result.decoder, result.content, result.final.tool_calls
    else:
        decoder = anthropic.MessagesDecoder(MODEL)
        final = answered(decoder, json.dumps(answer).encode())
        content, calls = final.delta, final.tool_calls
    metadata = decoder.metadata | {"issuer": ISSUER}
    turn = Message(role="assistant", content=content, tool_calls=calls, metadata=metadata)
    results = [Message(role="tool", tool_call_id=it["id"], content="pong") for it in calls or ()]
    return render(WIRE, ask(USER, turn, *(results or [USER])), issuer=issuer)


CALLER = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
CITED = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "encrypted_index": "aWR4"}


def test_a_call_goes_back_with_its_caller_into_its_container() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "ping", "input": {}, "caller": CALLER, "toolset_name": None}
    container = {"id": "container_1", "expires_at": "2030-01-01T00:00:00Z"}
    end = ended("tool_use")
    end["delta"]["container"] = container
    streamed = [started(), block(0, **use), stopped(0), end, MESSAGE_STOP]
    for answer in (streamed, message([use], "tool_use") | {"container": container}):
        body = back(answer)
        assert body["container"] == "container_1"
        assert body["messages"][1]["content"] == [{k: v for k, v in use.items() if v is not None}]
        elsewhere = back(answer, issuer="other https://api.example.com")
        assert "container" not in elsewhere
        assert "caller" not in str(elsewhere)


def test_cited_text_goes_back_with_what_it_cites_and_is_a_part_of_the_answer() -> None:
    cited = {"type": "text", "text": "Rain.", "citations": [CITED]}
    plain = {"type": "text", "text": "So "}
    streamed = [
        started(),
        block(0, type="text", text=""),
        delta(0, "text_delta", text="So "),
        stopped(0),
        block(1, type="text", text="", citations=[]),
        delta(1, "citations_delta", citation=CITED),
        delta(1, "text_delta", text="Rain."),
        stopped(1),
        ended("end_turn"),
        MESSAGE_STOP,
    ]
    for answer in (streamed, message([plain, cited])):
        assert back(answer)["messages"][1]["content"] == [plain, cited]
    said = {"url": "https://a.example", "title": "A", "start_index": 3, "end_index": 8}
    assert decode(WIRE, *streamed).decoder.parts == [{"type": "citation", "citation": said}]


def test_the_files_that_tools_have_made_are_parts_of_the_answer() -> None:
    made = {"type": "code_execution_output", "file_id": "file_1"}
    outcome = {"type": "code_execution_result", "stdout": "", "return_code": 0, "content": [made]}
    blocks: list[dict[str, Any]] = [
        {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": outcome},
        {"type": "container_upload", "file_id": "file_2"},
    ]
    decoder = anthropic.MessagesDecoder(MODEL)
    answered(decoder, json.dumps(message(blocks)).encode())
    assert decoder.parts == [{"type": "file", "file": {"file_id": id}} for id in ("file_1", "file_2")]


@pytest.mark.parametrize("pieces", [[], ['{"city": ', '"Rome"}']])
def test_an_input_that_is_named_whole_and_streamed_again_is_one(pieces: list[str]) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
    deltas = [delta(0, "input_json_delta", partial_json=piece) for piece in pieces]
    (call,) = decode(WIRE, started(), block(0, **use), *deltas, stopped(0), ended("tool_use"), MESSAGE_STOP).calls
    assert (call[0], json.loads(call[1])) == ("weather", {"city": "Rome"})


def test_a_piece_of_the_arguments_that_was_lost_is_an_error_until_the_block_has_stopped() -> None:
    use = block(0, type="tool_use", id="toolu_1", name="weather", input={})
    pieces = [delta(0, "input_json_delta", partial_json=piece) for piece in ('{"city": ', '"Rome"}')]
    end = [ended("tool_use"), MESSAGE_STOP]
    lost = decode(WIRE, started(), use, pieces[0], b"{", pieces[1], stopped(0), *end)
    assert lost.error is not None
    assert "not the model's" in lost.error.message
    late = decode(WIRE, started(), use, *pieces, stopped(0), b"{", *end)
    assert late.calls == [("weather", '{"city": "Rome"}')]
    assert late.whole["skipped_events"] == 1
    orphaned = decode(WIRE, started(), b"{", *pieces, stopped(0), *end)
    assert orphaned.error is not None


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_no_blank_text_is_sent(blank: str) -> None:
    calls: Any = [{"id": "call_1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}]
    turns: list[Message] = [
        Message(role="system", content=blank),
        Message(role="user", content=[{"type": "text", "text": blank}, {"type": "text", "text": "Hi"}]),
        Message(role="assistant", content=blank, tool_calls=calls),
        Message(role="tool", tool_call_id="call_1", content=[{"type": "text", "text": blank}]),
        Message(role="assistant", content=blank),
        Message(role="user", content=blank),
        Message(role="assistant", content="So\n"),
    ]
    body = render(WIRE, ask(*turns))
    assert "system" not in body
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "ping", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": []}]},
        {"role": "assistant", "content": [{"type": "text", "text": "So"}]},
    ]


def test_a_custom_tool_is_a_function_of_its_text() -> None:
    body = render(WIRE, ask(tools=[{"type": "custom", "name": "code"}], tool_choice="code"))
    (tool,) = body["tools"]
    assert (tool["name"], tool["input_schema"]["required"]) == ("code", ["input"])
    assert body["tool_choice"] == {"type": "tool", "name": "code"}


def test_counts_of_another_form_cost_no_answer() -> None:
    usage = {"input_tokens": "12", "output_tokens": 3}
    answer = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": usage}
    final = answered(anthropic.MessagesDecoder(MODEL), json.dumps(answer).encode())
    assert (final.delta, final.finish_reason) == ("Hi", "stop")
    assert final.usage == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}


def test_zeros_at_the_end_take_back_no_input() -> None:
    start = started(input_tokens=25, cache_read_input_tokens=10, output_tokens=1)
    end = ended(input_tokens=0, cache_read_input_tokens=0, output_tokens=9)
    assert decode(WIRE, start, *TEXT, end, MESSAGE_STOP).whole["usage"] == usage(35, 9, cache_read_tokens=10)


def test_thinking_whose_beginning_was_lost_goes_back_as_thinking() -> None:
    result = decode(
        WIRE,
        started(),
        delta(0, "thinking_delta", thinking="Hm"),
        delta(0, "thinking_delta", thinking="."),
        delta(0, "signature_delta", signature="SIGNED"),
        stopped(0),
        block(1, type="text", text=""),
        delta(1, "text_delta", text="x"),
        stopped(1),
        ended("end_turn"),
        MESSAGE_STOP,
    )
    assert (result.content, "".join(it.reasoning or "" for it in result.chunks)) == ("x", "Hm.")
    blocks = result.decoder.metadata["anthropic"]["blocks"]
    assert blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": "SIGNED"}
