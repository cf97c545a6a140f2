from __future__ import annotations

import json
import logging
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas import StreamChunk
from llmring.wire.calls import ToolCalls
from llmring.wire.errors import WireError
from llmring.wire.values import Halves, completed, contradiction, usage_of

from .streams import MODEL, WIRES, chat, decode

pieces = st.lists(st.tuples(st.integers(0, 3), st.text("ab{} ", max_size=3), st.booleans()), max_size=20)


@given(pieces, st.randoms(use_true_random=False))
def test_a_snapshot_is_what_had_come_by_then_whenever_it_is_looked_at(
    log: list[tuple[int, str, bool]], random: object
) -> None:
    calls, written, seen = ToolCalls(), dict[int, str](), []
    for key, piece, whole in log:
        if calls.known(key) is None:
            calls.start(key, f"f{key}", None, piece)
            written[key] = piece
        elif whole:
            calls.replace(key, piece)
            written[key] = piece
        else:
            calls.extend(key, piece)
            written[key] += piece
        seen.append((StreamChunk("", MODEL, None, calls.snapshot()), list(written.values())))
    random.shuffle(seen)  # type: ignore[attr-defined]
    for chunk, then in seen:
        assert chunk.tool_calls is not None
        assert [call["function"]["arguments"] for call in chunk.tool_calls] == then
        assert chunk.tool_calls is chunk.tool_calls


def test_a_chunk_with_calls_is_like_any_other() -> None:
    calls = ToolCalls()
    calls.start(0, "f", "a", "{}")
    chunk = StreamChunk("", MODEL, None, calls.snapshot())
    same = StreamChunk("", MODEL, None, calls.snapshot()())
    assert chunk == same
    assert repr(chunk) == repr(same)
    assert StreamChunk().tool_calls is None


def test_calls_that_nobody_looks_at_are_not_joined() -> None:
    calls = ToolCalls()
    calls.start(0, "f", "a", "{}")
    chunk = StreamChunk("", MODEL, None, calls.snapshot())
    assert callable(chunk.unseen_calls)
    assert chunk.tool_calls == chunk.unseen_calls
    assert StreamChunk("", MODEL, None, chunk.tool_calls) == chunk


@pytest.mark.parametrize("whole", [True, False])
def test_arguments_of_which_a_piece_was_lost_are_an_error(whole: bool) -> None:
    calls = ToolCalls()
    calls.start(0, "f", "a", '{"x": 1', arriving=True)
    calls.lose()
    if whole:
        calls.replace(0, '{"x": 12}')
        assert calls.complete()[0]["function"]["arguments"] == '{"x": 12}'
    else:
        calls.extend(0, "}")
        with pytest.raises(WireError, match="could not be decoded while a tool call arrived"):
            calls.complete()


def test_arguments_that_were_whole_when_an_event_was_lost_stand() -> None:
    calls = ToolCalls()
    calls.start(0, "f", "a", '{"x": 1}', arriving=True)
    calls.lose()
    calls.extend(0, " \n")
    assert calls.complete()[0]["function"]["name"] == "f"
    calls.extend(0, "}")
    with pytest.raises(WireError, match="could not be decoded"):
        calls.complete()


def test_a_call_whose_name_was_lost_is_an_error() -> None:
    calls = ToolCalls()
    calls.start(0, "", "a", "{}")
    with pytest.raises(WireError, match="could not be decoded"):
        calls.complete()


halves = st.text(st.characters(codec="utf-8"), max_size=12)


@given(halves, st.data())
def test_a_character_in_halves_is_put_together(said: str, data: st.DataObject) -> None:
    units = said.encode("utf-16-le")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units) // 2), max_size=4)))
    edges = [0, *(cut * 2 for cut in cuts), len(units)]
    parts = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    joiner, gathered = Halves(), ""
    for part in parts:
        gathered += joiner.join({"choices": [{"delta": {"content": part}}]})["choices"][0]["delta"]["content"]
    assert gathered == said
    assert not joiner.waiting


def test_half_a_character_alone_is_a_sign_in_text_and_an_error_in_arguments() -> None:
    event = {"id": "x", "choices": [{"delta": {"content": "<1> b"}}]}
    half = json.dumps(event).replace("<1>", "\\ude00").encode()
    result = decode("openai-chat", half, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, b"[DONE]")
    assert result.content == "\ufffd b"
    assert result.whole["skipped_events"] == 0
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a": "<1>"}'}}
    half = json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).replace("<1>", "\\ude00").encode()
    result = decode("openai-chat", half, b"[DONE]")
    assert result.error is not None


def test_a_first_half_whose_second_never_comes_is_counted() -> None:
    half = json.dumps({"choices": [{"delta": {"content": "a<1>"}}]}).replace("<1>", "\\ud83d").encode()
    result = decode("openai-chat", half, b"[DONE]")
    assert (result.content, result.whole["skipped_events"]) == ("a", 1)


def test_half_a_character_of_the_text_costs_no_call() -> None:
    half = json.dumps({"choices": [{"delta": {"content": "a<1>"}}]}).replace("<1>", "\\ud83d").encode()
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a": 1}'}}
    result = decode("openai-chat", half, {"choices": [{"delta": {"tool_calls": [call]}}]}, b"[DONE]")
    assert (result.error, result.calls, result.whole["skipped_events"]) == (None, [("f", '{"a": 1}')], 1)
    cut = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a": "<1>'}}
    half = json.dumps({"choices": [{"delta": {"tool_calls": [cut]}}]}).replace("<1>", "\\ud83d").encode()
    rest = {"choices": [{"delta": {"tool_calls": [{"index": 1, "function": {"name": "g", "arguments": "{}"}}]}}]}
    assert decode("openai-chat", half, rest, b"[DONE]").error is not None


@pytest.mark.parametrize("depth", [100, 300, 900, 990, 200_000])
def test_half_a_character_in_nested_json_raises_nothing_but_what_is_misshapen(depth: int) -> None:
    nested = b'{"a": "\\ude00", "b": ' + b"[" * depth + b"]" * depth + b"}"
    try:
        Halves().parse(nested, ValueError())
    except ValueError:
        assert depth > 300


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        ("ollama", b'{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 01}}}]}}'),
        ("gemini", b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 01}}}]}}]}'),
        ("openai-chat", b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"'),
    ],
)
def test_an_event_that_was_lost_with_a_whole_call_is_an_error(wire: str, payload: bytes) -> None:
    ends = {
        "ollama": {"message": {"content": ""}, "done": True, "done_reason": "stop"},
        "gemini": {"candidates": [{"finishReason": "STOP"}]},
        "openai-chat": {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    }
    result = decode(wire, payload, ends[wire])
    assert result.error is not None
    assert "not the model's" in result.error.message


def test_json_that_is_nested_without_end_is_an_event_like_any_other_bad_one() -> None:
    result = decode("openai-chat", chat(), b'{"a": "\\ud83d", "b": ' + b"[" * 200_000, b"[DONE]")
    assert result.whole["skipped_events"] == 1


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        ({"prompt": 32, "completion": 9, "total": 135, "reasoning": 94}, (32, 103)),
        ({"prompt": 10, "completion": 5, "total": 215}, (10, 205)),
        ({"prompt": 10, "completion": 5, "total": 215, "beyond_is_input": True}, (210, 5)),
        ({"prompt": 10, "completion": 50, "total": 60, "reasoning": 40}, (10, 50)),
        ({"prompt": 10, "completion": 50}, (10, 50)),
        ({"prompt": 10, "completion": 5, "reasoning": 40}, (10, 45)),
        ({"prompt": 10, "completion": 50, "total": 3}, (10, 50)),
    ],
)
def test_counts_add_up(counts: dict[str, int], right: tuple[int, int]) -> None:
    usage = usage_of(**counts)  # type: ignore[arg-type]
    assert usage is not None
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (*right, sum(right))


def test_counts_that_contradict_themselves_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6}}
    event = {"choices": [{"delta": {"content": "Hi"}}], "usage": usage}
    with caplog.at_level(logging.WARNING, "llmring"):
        decode("openai-chat", event, event, b"[DONE]")
    assert [record.getMessage() for record in caplog.records if "contradicts itself" in record.getMessage()]
    assert len(caplog.records) == 1
    assert contradiction({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, 7) is None
    assert contradiction({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, 6)
    assert contradiction({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cache_read_tokens": 6}, None)


def test_a_later_report_erases_nothing() -> None:
    first = {"a": 1, "details": {"cached": 80, "other": None}, "b": None}
    assert completed(first, {"a": 2, "details": {"other": 3}, "b": None, "c": 0}) == {
        "a": 2,
        "details": {"cached": 80, "other": 3},
        "b": None,
        "c": 0,
    }


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        ("openai-chat", [b'{"choices":[{"delta":{"tool_calls":[', chat({}, "tool_calls"), b"[DONE]"]),
        (
            "anthropic",
            [
                b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use",',
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
                {"type": "message_stop"},
            ],
        ),
    ],
)
def test_a_turn_that_calls_tools_and_lost_the_only_call_is_an_error(wire: str, events: list[Any]) -> None:
    result = decode(wire, *events)
    assert "could not be decoded" in str(result.error)
    without = decode(wire, *events[1:])
    assert without.error is None, "nothing was lost"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("depth", [100, 600, 950, 100_000])
def test_half_a_character_in_the_depth_costs_one_event_at_most(wire: str, depth: int) -> None:
    deep = b'{"type":"ping","x":' + b"[" * depth + b'"\\ud83d"' + b"]" * depth + b"}"
    assert decode(wire, deep).decoder.skipped_events <= 1
