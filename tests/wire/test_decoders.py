"""What holds on every wire, whatever the vendor, and however the bytes are cut or bent."""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmring.schemas import FinishReason, StreamChunk
from llmring.wire import MAX_BYTES
from llmring.wire.base import Decoder
from llmring.wire.errors import WireError
from llmring.wire.framing import LineFrames

from .streams import (
    DECODERS,
    ERRORS,
    EXAMPLES,
    MODEL,
    STRANGERS,
    WIRES,
    Example,
    Result,
    answered,
    decode,
    frame,
    read,
    stream,
)

examples = pytest.mark.parametrize("example", EXAMPLES, ids=repr)
wires = pytest.mark.parametrize("wire", WIRES)
fuzzed = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])


def well_formed(chunks: list[StreamChunk], final: StreamChunk | None) -> None:
    """Chunks are of the types and in the order that the contract promises."""
    for chunk in chunks:
        assert chunk.model == MODEL
        assert type(chunk.delta) is str
        assert chunk.reasoning is None or type(chunk.reasoning) is str
        assert chunk.delta or chunk.reasoning or chunk.tool_calls
        assert chunk.finish_reason is None
        assert chunk.usage is None
        assert chunk.response_model is None
        assert chunk.parsed is None
        for call in chunk.tool_calls or ():
            one_call(call)
    if final is None:
        return
    assert final.model == MODEL
    assert final.finish_reason in get_args(FinishReason)
    assert final.response_model is None or type(final.response_model) is str
    assert final.usage is None or all(type(count) is int for count in final.usage.values())
    if final.usage is not None:
        assert final.usage["total_tokens"] == final.usage["prompt_tokens"] + final.usage["completion_tokens"]
    calls = final.tool_calls or []
    assert len({call["id"] for call in calls}) == len(calls)
    for call in calls:
        one_call(call)
        json.loads(call["function"]["arguments"])
    last = next((chunk.tool_calls for chunk in reversed(chunks) if chunk.tool_calls), None)
    assert [call["id"] for call in last or ()] == [call["id"] for call in calls]


def one_call(call: Any) -> None:
    assert set(call) == {"id", "type", "function"}
    assert type(call["id"]) is str
    assert call["id"]
    assert call["type"] == "function"
    assert set(call["function"]) == {"name", "arguments"}
    assert type(call["function"]["name"]) is str
    assert type(call["function"]["arguments"]) is str


@examples
def test_a_good_stream(example: Example) -> None:
    result = read(example.wire, [example.data])
    assert result.whole == example.whole
    if example.ids is not None:
        assert result.ids == example.ids
    assert all(result.ids)
    assert len(set(result.ids)) == len(result.ids)
    well_formed(result.chunks, result.final)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.answer], ids=repr)
def test_a_whole_answer_is_the_stream_gathered(example: Example) -> None:
    decoder = DECODERS[example.wire](MODEL)
    final = answered(decoder, json.dumps(example.answer).encode())
    gathered = Result([final], final, None, decoder)
    assert values(gathered.whole) == values(example.whole)
    if example.ids is not None:
        assert gathered.ids == example.ids


def values(whole: dict[str, Any]) -> dict[str, Any]:
    """With the arguments of calls as values: a wire that streams them as text gives them whole as an object."""
    return whole | {"calls": [(name, json.loads(arguments)) for name, arguments in whole["calls"]]}


@examples
def test_a_cut_at_every_byte(example: Example) -> None:
    data = example.data
    for at in range(len(data) + 1):
        assert read(example.wire, [data[:at], data[at:]]).whole == example.whole


@examples
def test_one_byte_at_a_time(example: Example) -> None:
    assert read(example.wire, [bytes([byte]) for byte in example.data]).whole == example.whole


@examples
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_newlines_comments_and_a_byte_order_mark(example: Example, newline: bytes) -> None:
    note = newline if example.wire == "ollama" else b": still here" + newline * 2
    pieces = [note, *(piece for event in example.events for piece in (frame(example.wire, event, newline), note))]
    assert read(example.wire, [b"\xef\xbb\xbf" + b"".join(pieces)]).whole == example.whole
    # A comment may also stand inside an event.
    if example.wire != "ollama":
        pieces = [b": note" + newline + frame(example.wire, event, newline) for event in example.events]
        assert read(example.wire, pieces).whole == example.whole


@examples
def test_no_newline_after_the_last_event(example: Example) -> None:
    assert read(example.wire, [example.data.rstrip(b"\r\n")]).whole == example.whole


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Example, list[bytes]]:
    example = draw(st.sampled_from(EXAMPLES))
    data = example.data
    at = sorted(draw(st.lists(st.integers(0, len(data)), max_size=30)))
    return example, [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


@fuzzed
@given(cuts())
def test_cuts_make_no_difference(cut: tuple[Example, list[bytes]]) -> None:
    example, pieces = cut
    result = read(example.wire, pieces)
    assert result.whole == example.whole
    well_formed(result.chunks, result.final)


# The end


@examples
def test_a_stream_that_breaks_off_is_not_complete(example: Example) -> None:
    """Whatever the byte: what came is kept, and only the wire's own end makes a whole answer of it."""
    data, end = example.data, len(example.data.rstrip(b"\r\n"))
    complete = []
    for at in range(len(data)):
        result = read(example.wire, [data[:at]])
        assert result.error is None
        assert example.content.startswith(result.content)
        assert example.reasoning.startswith(result.reasoning)
        assert result.decoder.skipped_events == 0
        if result.decoder.complete:
            complete.append(at)
    if example.wire in ("gemini", "openai-chat"):  # whose end is the reason, which may come with several events
        assert all(re.search(rb'inishReason|blockReason|finish_reason": "|\[DONE', data[:at]) for at in complete)
    else:
        assert [at for at in complete if at < end] == []
    assert set(range(end, len(data))) <= set(complete)


@wires
def test_nothing_at_all_is_not_complete(wire: str) -> None:
    for data in (b"", b"\n", b"\xef\xbb\xbf", b"\r\n\r\n"):
        result = read(wire, [data])
        assert result.final is None
        assert result.error is None
        assert result.decoder.not_a_stream() is None


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.wire != "gemini"], ids=repr)
def test_what_follows_the_end_is_of_no_interest(example: Example) -> None:
    """Gemini's end is the end of the bytes; the others have a marker."""
    more = stream(example.wire, [*STRANGERS[example.wire], b"{broken", ERRORS[example.wire]])
    assert read(example.wire, [example.data + more]).whole == example.whole
    assert read(example.wire, [example.data, more]).whole == example.whole


# Events that are not as they should be


def places(example: Example) -> Iterator[tuple[list[Any], list[Any]]]:
    """The events before and after each place before the end."""
    for at in range(len(example.events)):
        yield example.events[:at], example.events[at:]


@examples
@pytest.mark.parametrize(
    "broken",
    [b"{broken", b'{"type": "x"', b"\xff\xfe{}", b'{"a": "\xe2\x82"}', b"null", b"[]", b"7", b'"text"', b"]"],
    ids=repr,
)
def test_an_event_that_cannot_be_decoded(example: Example, broken: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for before, after in places(example):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "llmring"):
            result = read(example.wire, [stream(example.wire, [*before, broken, *after])])
        if result.error is not None:
            # Whether it was a piece of the arguments that were under way, nobody knows.
            assert example.calls
            assert decode(example.wire, *before).decoder.calls
            assert "could not be decoded while a tool call arrived" in result.error.message
        else:
            assert result.whole == example.whole | {"skipped_events": 1}
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert MODEL in caplog.text


@wires
def test_every_one_of_them_counts(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    example = next(example for example in EXAMPLES if example.wire == wire)
    events = [event for good in example.events for event in (b"{" + b"x" * 5000, good)]
    with caplog.at_level(logging.WARNING, "llmring"):
        result = read(wire, [stream(wire, events)])
    assert result.whole["skipped_events"] == len(example.events)
    assert len(caplog.records) == min(len(example.events), 4)
    assert all(len(record.getMessage()) < 500 for record in caplog.records)


@examples
def test_events_that_nobody_knows_yet(example: Example, caplog: pytest.LogCaptureFixture) -> None:
    for before, after in places(example):
        strangers = STRANGERS[example.wire]
        result = read(example.wire, [stream(example.wire, [*before, *strangers, *after])])
        assert result.whole == example.whole
    assert caplog.records == []


@examples
def test_a_failure_in_the_stream(example: Example) -> None:
    for before, after in places(example):
        result = read(example.wire, [stream(example.wire, [*before, ERRORS[example.wire], *after])])
        assert result.error is not None
        assert result.error.message == "It broke"
        assert result.final is None
        assert result.content == decode(example.wire, *before).content
        assert example.content.startswith(result.content)


@wires
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Welcome</body></html>", "no stream of events: <html>"),
        (b'[{"error": {"code": 503, "message": "It broke"}}]', "It broke"),
        (b'{\n  "error": {\n    "message": "It broke"\n  }\n}', "It broke"),
        (b"\xef\xbb\xbf\n\nnot found\n", "no stream of events: not found"),
    ],
    ids=["HTML", "a list", "an error over several lines", "text"],
)
def test_a_body_that_is_no_stream(wire: str, body: bytes, words: str) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        result = read(wire, pieces)
        assert result.final is None
        assert result.chunks == []
        error = result.error or result.decoder.not_a_stream()
        assert error is not None
        assert words in error.message


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "ollama"])
def test_json_that_is_no_stream(wire: str) -> None:
    result = read(wire, [b'{"hello": "world"}'])
    error = result.decoder.not_a_stream()
    assert error is not None
    assert "no stream of events" in error.message
    assert "hello" in error.message


# Bytes and values that are bent


@st.composite
def bent_bytes(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    example = draw(st.sampled_from(EXAMPLES))
    data = bytearray(example.data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["replace", "insert", "delete", "repeat"]))
        if how == "replace":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "insert":
            data[at:at] = draw(st.sampled_from([b"\n", b"\n\n", b"\r", b"}", b'"', b",", b"[", b"\xff", b"\\u", b"9"]))
        elif how == "delete":
            del data[at : at + draw(st.integers(1, 60))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
    cut = draw(st.integers(0, len(data)))
    return example.wire, [bytes(data[:cut]), bytes(data[cut:])]


@fuzzed
@given(bent_bytes())
def test_bent_bytes_give_text_or_a_wire_error(bent: tuple[str, list[bytes]]) -> None:
    wire, pieces = bent
    result = read(wire, pieces)
    well_formed(result.chunks, result.final)
    result.decoder.not_a_stream()


ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 1.5, 1e300, float("inf"), float("nan"), 10**400, "", "x", "{", "\ud800", [], {}),
    *(
        [None],
        [{}],
        [[]],
        ["x"],
        [1],
        {"a": 1},
        {"type": "text"},
        {"type": None},
        {"error": None},
        {"text": 5},
        [{"type": "text"}],
    ),
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value inside a JSON value is."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from paths(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at the path; `ODD` stands for none."""
    value = copy.deepcopy(value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if new is ODD:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return value


def every_odd_value(value: Any) -> Iterator[Any]:
    for path in paths(value):
        for new in [*ODD, ODD]:
            yield replaced(value, path, new)


@wires
def test_an_odd_value_anywhere_in_a_stream(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every value of every event, one after the other, in every odd form: text or an error, well formed."""
    caplog.set_level(logging.CRITICAL)
    for example in EXAMPLES:
        if example.wire != wire:
            continue
        for at, event in enumerate(example.events):
            if isinstance(event, bytes):
                continue
            for odd in every_odd_value(event):
                line = json.dumps(odd).encode()
                result = read(wire, [stream(wire, [*example.events[:at], line, *example.events[at + 1 :]])])
                well_formed(result.chunks, result.final)
                assert result.final or result.error or not result.decoder.complete


_SAID = {"content": {"parts": [{"text": "said "}], "role": "model"}, "index": 0}
_COUNTS = {"promptTokenCount": 1, "candidatesTokenCount": 7, "totalTokenCount": 8}
USUAL: dict[str, Any] = {
    "openai-chat": {"model": "m", "choices": [{"index": 0, "delta": {"content": "said "}, "finish_reason": None}]},
    "openai-responses": {"type": "response.output_text.delta", "output_index": 0, "delta": "said "},
    "anthropic": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "said "}},
    "gemini": {"candidates": [_SAID], "usageMetadata": _COUNTS, "modelVersion": "m", "responseId": "r"},
    "ollama": {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": "said "}, "done": False},
}
"""The shape that nearly all events of a stream have, which decoders may take by a shorter way."""


Role = tuple[str, ...]


def fields(value: Any, role: Role = ()) -> Iterator[tuple[Role, tuple[str, Any]]]:
    """Every field of every table inside a JSON value, after what the table is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield role, (key, inner)
            yield from fields(inner, (*role, key))
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, role)


EVENTS = {w: [it for x in EXAMPLES if x.wire == w for it in x.events if isinstance(it, dict)] for w in WIRES}
FIELDS: dict[str, dict[Role, list[tuple[str, Any]]]] = {}
for _wire in WIRES:
    for _role, _field in fields(
        [*EVENTS[_wire], *STRANGERS[_wire], ERRORS[_wire], {"usageMetadata": {"serviceTier": "x"}}]
    ):
        FIELDS.setdefault(_wire, {}).setdefault(_role, []).append(_field)


@st.composite
def conversations(draw: st.DrawFn, wire: str) -> list[Any]:
    """Events of the usual shape, and between them some that have or lack a field more, or have an odd value."""
    usual, others, odd = USUAL[wire], st.sampled_from(EVENTS[wire]), st.sampled_from([*ODD, ODD, "1"])
    events = draw(st.lists(st.one_of(st.just(usual), others), max_size=3))
    for _ in range(draw(st.integers(1, 3))):
        event = draw(st.one_of(st.just(usual), others))
        for path in draw(st.lists(st.sampled_from([(), *paths(event)]), max_size=2, unique=True)):
            role = tuple(key for key in path if isinstance(key, str))
            known = FIELDS[wire].get(role, [])
            if path and path not in [*paths(event)]:
                continue  # it is gone with the one before
            if known and isinstance(reduce(getitem, path, event), dict) and draw(st.booleans()):
                name, value = draw(st.sampled_from(known))
                event = replaced(event, (*path, name), value)
            elif path and draw(st.booleans()):
                event = replaced(event, path, draw(odd))
                break
        events += [event, draw(st.sampled_from([usual, event])), usual]
    return events


@wires
@fuzzed
@given(st.data())
def test_an_event_of_the_usual_shape_is_read_as_any_other(wire: str, data: st.DataObject) -> None:
    """A field that nobody knows makes it one of another shape, and no difference."""
    events = data.draw(conversations(wire))
    results = [decode(wire, *(json.dumps(it).encode() for it in them)) for them in (events, map(unusual, events))]
    for result in results:
        well_formed(result.chunks, result.final)
    # As it is written, for a NaN among what is kept is unlike itself.
    assert repr(come_to(results[0])) == repr(come_to(results[1]))


def come_to(result: Result) -> list[Any]:
    """All that a stream came to, the ids of calls aside."""
    chunks = [(it.delta, it.reasoning, len(it.tool_calls or ())) for it in result.chunks]
    error, decoder = result.error, result.decoder
    said = [decoder.metadata, decoder.checkpoint, decoder.hop_ended, decoder.usage, decoder.service_tier, decoder.parts]
    return [chunks, error and (error.status, error.codes), result.final and result.whole, said]


def unusual(event: Any) -> Any:
    """The event with that field, and in its deltas, where Chat Completions has the text."""
    if not isinstance(event, dict) or not event:
        return event
    event = {**event, "nobody_knows": None}
    if isinstance(choices := event.get("choices"), list):
        event["choices"] = [
            {**it, "delta": {**it["delta"], "nobody_knows": None}}
            if isinstance(it, dict) and it.get("delta") and isinstance(it["delta"], dict)
            else it
            for it in choices
        ]
    return event


@wires
def test_an_odd_value_anywhere_in_a_whole_answer(wire: str) -> None:
    for example in EXAMPLES:
        if example.wire != wire or example.answer is None:
            continue
        for odd in every_odd_value(example.answer):
            decoder = DECODERS[wire](MODEL)
            try:
                final = answered(decoder, json.dumps(odd).encode())
            except WireError:
                continue
            assert (final.finish_reason is not None) == decoder.complete
            if not decoder.complete:
                continue
            assert type(final.delta) is str
            assert final.reasoning is None or type(final.reasoning) is str
            snapshot = StreamChunk("", MODEL, tool_calls=final.tool_calls)
            well_formed([snapshot] if final.tool_calls else [], final)


@wires
@pytest.mark.parametrize("body", [b"<html></html>", b"null", b"[]", b"7", b"{}", b'{"a": 1}', b"\xff"], ids=repr)
def test_a_whole_answer_that_is_none(wire: str, body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        answered(DECODERS[wire](MODEL), body)
    assert "no answer of this API" in raised.value.message


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("gemini", {"modelVersion": "m", "usageMetadata": {"promptTokenCount": 5}}),
        ("gemini", {"candidates": []}),
        ("ollama", {"model": "m", "done": True, "done_reason": "stop"}),
        ("anthropic", {"type": "message", "model": "m", "content": None, "stop_reason": "end_turn", "usage": {}}),
    ],
    ids=str,
)
def test_an_answer_that_says_nothing_is_judged_as_its_stream_is(wire: str, body: dict[str, Any]) -> None:
    decoder = DECODERS[wire](MODEL)
    answered(decoder, json.dumps(body).encode())
    events = [{"type": "message_start", "message": body}, {"type": "message_stop"}] if wire == "anthropic" else [body]
    result = decode(wire, *events)
    assert result.error is None
    assert decoder.complete == (result.final is not None)


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": '}


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("ollama", {"message": {"content": "half"}, "done": False}),
        ("ollama", {"message": {"content": "half"}}),
        ("openai-responses", {"status": "queued", "output": []}),
        ("openai-responses", {"status": "in_progress", "output": [CALL]}),
        ("gemini", {"candidates": [{"content": {"parts": [{"text": "half"}]}}]}),
    ],
    ids=str,
)
def test_a_whole_answer_that_is_not_at_its_end(wire: str, body: dict[str, Any]) -> None:
    """It has no finish reason; and a call that is cut off in it is no fault of the model."""
    decoder = DECODERS[wire](MODEL)
    last = answered(decoder, json.dumps(body).encode())
    assert (decoder.complete, last.finish_reason) == (False, None)
    assert last.delta == ("" if wire == "openai-responses" else "half")
    assert bool(decoder.calls) == bool(body.get("output"))


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.answer], ids=repr)
def test_a_whole_answer_that_is_cut(example: Example) -> None:
    """Wherever that is, it is not at its end, whatever it says of that; and what it says so far has been said."""
    body = json.dumps(example.answer).encode()
    for at in range(len(body)):
        decoder = DECODERS[example.wire](MODEL)
        decoder.bound(MAX_BYTES, whole=True)
        assert decoder.read(body[:at]) == []
        chunks = decoder.end_of_bytes()
        assert (decoder.complete, decoder.hop_ended, decoder.error, decoder.finish_reason) == (False, False, None, None)
        said = "".join(chunk.delta for chunk in chunks)
        # That it is thinking may stand behind the words.
        assert example.content.startswith(said) or example.reasoning.startswith(said)
    assert "".join(chunk.delta for chunk in chunks) == example.content


@pytest.mark.parametrize("status", ["completed", "incomplete", None])
def test_a_response_that_is_at_its_end(status: str | None) -> None:
    """Not every server names a status."""
    decoder = DECODERS["openai-responses"](MODEL)
    answered(decoder, json.dumps({"output": []} | ({"status": status} if status else {})).encode())
    assert decoder.complete


@wires
def test_a_failure_in_place_of_a_whole_answer(wire: str) -> None:
    body = ERRORS[wire]
    if wire == "openai-responses":
        body = {"object": "response", "status": "failed", "error": body, "output": []}
    with pytest.raises(WireError, match="It broke"):
        answered(DECODERS[wire](MODEL), json.dumps(body).encode())


class Plain(Decoder):
    """A format of lines, which names its model at the end."""

    frames = LineFrames
    end_marker = "z"

    def feed(self, event: Any) -> StreamChunk | None:
        return StreamChunk(event["t"], self.model)


def test_what_has_given_a_chunk_is_a_stream_whatever_it_begins_with() -> None:
    decoder = Plain("own:m")
    assert [chunk.delta for chunk in decoder.read(b'{"t": "One"}\n')] == ["One"]
    assert decoder.not_a_stream() is None


def test_what_has_given_none_may_be_something_else() -> None:
    decoder = Plain("own:m")
    assert decoder.read(b'{"error": {"message": "No."}}\n') == []
    error = decoder.not_a_stream()
    assert error is not None
    assert error.message == "No."
