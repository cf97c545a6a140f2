"""Chat Completions: what OpenAI sends, and what compatible servers make of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llmring.wire import openai_chat

from .streams import CHAT_USAGE, MODEL, chat, chat_answer, chat_call, decode, usage

WIRE = "openai-chat"
DONE = b"[DONE]"
FINISH = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
}


def call(arguments: Any = "{}", name: str | None = "f", **more: Any) -> dict[str, Any]:
    """One call of a chunk, whole; what is `None` is left out."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {"type": "function", "function": function, **more}


def calls(*given: dict[str, Any]) -> dict[str, Any]:
    return chat({"tool_calls": list(given)})


@pytest.mark.parametrize(("word", "reason"), [*FINISH.items(), ("whatever", "other")])
def test_finish_reasons(word: str, reason: str) -> None:
    assert decode(WIRE, chat({"content": "x"}), chat({}, word), DONE).whole["finish_reason"] == reason
    answer = json.dumps(chat_answer({"content": "x"}, word)).encode()
    assert openai_chat.ChatDecoder(MODEL).answer(answer).finish_reason == reason


def test_every_word_is_in_the_table() -> None:
    assert openai_chat._FINISH == FINISH


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "tool_calls"), (None, "tool_calls"), ("tool_calls", "tool_calls"), ("length", "length")],
)
def test_a_turn_that_calls_tools(word: str | None, reason: str) -> None:
    assert decode(WIRE, calls(call(id="a", index=0)), chat({}, word), DONE).whole["finish_reason"] == reason


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"choices": [], "usage": CHAT_USAGE}], usage(20, 9, cache_read_tokens=12, reasoning_tokens=4)),
        ([chat({}, "stop", usage=CHAT_USAGE)], usage(20, 9, cache_read_tokens=12, reasoning_tokens=4)),
        (
            [{"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 3, "completion_tokens": 4}}]}],
            usage(3, 4),
        ),
        ([{"usage": {"prompt_tokens": 3, "completion_tokens": 4}}], usage(3, 4)),
        ([{"usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}}], usage(3, 0)),
        ([{"usage": {"prompt_tokens": 3, "total_tokens": 3}}], usage(3, 0)),
        ([{"usage": {"prompt_tokens": 3, "completion_tokens": None}}], usage(3, 0)),
        # What a chunk before the last one says is overtaken, but not by a silent one.
        (
            [
                {"usage": {"prompt_tokens": 3, "completion_tokens": 1}},
                {"usage": {"prompt_tokens": 3, "completion_tokens": 2}},
                {"usage": None},
                {"usage": {"cost": 0.5}},
                {"usage": {}},
            ],
            usage(3, 2),
        ),
        # DeepSeek's word for what came from the cache.
        (
            [{"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}}],
            usage(9, 1, cache_read_tokens=8),
        ),
        (
            [
                {
                    "usage": {
                        "prompt_tokens": 9,
                        "completion_tokens": 1,
                        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 5},
                        "completion_tokens_details": None,
                    }
                }
            ],
            usage(9, 1, cache_read_tokens=0, cache_write_tokens=5),
        ),
        ([{"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}}], usage(9, 1)),
        ([chat({}, "stop", usage=None)], None),
        ([], None),
    ],
)
def test_usage(events: list[Any], expected: dict[str, int] | None) -> None:
    assert decode(WIRE, chat({"content": "x"}), *events, DONE).whole["usage"] == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # In fragments.
        ([chat_call(0, "", "f", "a"), chat_call(0, '{"x"'), chat_call(0, ":1}")], [("f", '{"x":1}')]),
        # The name comes after the id.
        ([chat_call(0, None, None, "a"), chat_call(0, None, "f"), chat_call(0, "{}")], [("f", "{}")]),
        # Name and id in every fragment.
        ([chat_call(0, '{"x"', "f", "a"), chat_call(0, ":1}", "f", "a")], [("f", '{"x":1}')]),
        ([chat_call(0, '{"x"', "f"), chat_call(0, ":1}", "f")], [("f", '{"x":1}')]),
        # An empty name and id in those that follow.
        ([chat_call(0, '{"x"', "f", "a"), chat_call(0, ":1}", "", "")], [("f", '{"x":1}')]),
        # Without an index, what names nothing goes on with the last call.
        ([chat_call(None, '{"x"', "f", "a"), chat_call(None, ":1}")], [("f", '{"x":1}')]),
        ([chat_call(None, '{"x"', "f", "a"), chat_call(None, ":1}", None, "a")], [("f", '{"x":1}')]),
        ([chat_call(None, '{"x"', "f"), chat_call(None, ":1}")], [("f", '{"x":1}')]),
        # Whole, several in one event, with an index or without one, with an id or without one.
        ([calls(call('{"x":1}', id="a", index=0), call(name="g", id="b", index=1))], [("f", '{"x":1}'), ("g", "{}")]),
        ([calls(call('{"x":1}', id="a"), call(name="g", id="b"))], [("f", '{"x":1}'), ("g", "{}")]),
        ([calls(call('{"x":1}'), call(name="g"))], [("f", '{"x":1}'), ("g", "{}")]),
        ([calls(call('{"x":1}', index=0), call(name="g", index=1))], [("f", '{"x":1}'), ("g", "{}")]),
        # Whole, an event each.
        ([calls(call('{"x":1}', id="a")), calls(call(name="g", id="b"))], [("f", '{"x":1}'), ("g", "{}")]),
        ([calls(call('{"x":1}')), calls(call(name="g"))], [("f", '{"x":1}'), ("g", "{}")]),
        ([calls(call('{"x":1}')), calls(call('{"x":1}'))], [("f", '{"x":1}'), ("f", '{"x":1}')]),
        # Every parallel call under the index 0.
        (
            [calls(call('{"x":1}', id="a", index=0)), calls(call(name="g", id="b", index=0))],
            [("f", '{"x":1}'), ("g", "{}")],
        ),
        (
            [calls(call('{"x":1}', id="", index=0)), calls(call(name="g", id="", index=0))],
            [("f", '{"x":1}'), ("g", "{}")],
        ),
        # The same id twice.
        ([calls(call('{"x":1}', id="a", index=0), call(name="g", id="a", index=1))], [("f", '{"x":1}'), ("g", "{}")]),
        (
            [chat_call(0, "", "f", "a"), chat_call(1, "", "g", "a"), chat_call(1, "{", "g", "a"), chat_call(1, "}")],
            [("f", "{}"), ("g", "{}")],
        ),
        # Arguments as an object, with nothing in them, or not at all.
        ([calls(call({"x": [1, "ö"]}, id="a", index=0))], [("f", '{"x":[1,"ö"]}')]),
        ([calls(call({}, id="a", index=0))], [("f", "{}")]),
        ([calls(call(None, id="a", index=0))], [("f", "{}")]),
        ([calls(call("", id="a", index=0))], [("f", "{}")]),
        ([calls(call(" \n", id="a", index=0))], [("f", "{}")]),
        # An object that comes after the name.
        ([chat_call(0, "", "f", "a"), chat_call(0, {"x": 1})], [("f", '{"x":1}')]),
        # Other choices are not the answer.
        (
            [{"choices": [{"index": 1, "delta": {"tool_calls": [call(id="a", index=0)], "content": "other"}}]}],
            [],
        ),
        ([chat({"tool_calls": None}), chat({"tool_calls": []})], []),
    ],
)
def test_calls(events: list[Any], expected: list[tuple[str, str]]) -> None:
    result = decode(WIRE, *events, chat({}, "stop"), DONE)
    assert result.whole["calls"] == expected
    assert result.whole["finish_reason"] == ("tool_calls" if expected else "stop")
    assert len({*result.ids} - {""}) == len(expected)
    assert result.content == ""


def test_ids_are_the_servers_own() -> None:
    result = decode(WIRE, calls(call(id="a", index=0), call(id="b", index=1), call(id=7, index=2)), DONE)
    assert result.ids == ["a", "b", "7"]


def test_each_advance_gives_a_snapshot() -> None:
    events = [chat_call(0, "", "f", "a"), chat_call(0, '{"x"'), chat_call(1, "", "g", "b"), chat_call(0, ":1}"), DONE]
    result = decode(WIRE, *events)
    seen = [[c["function"]["arguments"] for c in chunk.tool_calls or ()] for chunk in result.chunks]
    assert seen == [[""], ['{"x"'], ['{"x"', ""], ['{"x":1}', ""]]
    assert result.calls == [("f", '{"x":1}'), ("g", "{}")]
    # A snapshot is the caller's to keep, and to change.
    assert result.final is not None
    assert result.final.tool_calls is not None
    result.final.tool_calls[0]["function"]["name"] = "changed"
    assert result.decoder.calls.snapshot()()[0]["function"]["name"] == "f"


@pytest.mark.parametrize("arguments", ['{"x": ', "x=1", '{"x":1}{"y":2}', "{'x': 1}"])
def test_arguments_that_are_no_json(arguments: str) -> None:
    result = decode(WIRE, chat({"content": "Hm"}), chat_call(0, arguments, "f", "a"), chat({}, "length"), DONE)
    assert result.final is None
    assert result.content == "Hm"
    assert result.error is not None
    assert "'f'" in result.error.message
    assert arguments in result.error.message


def test_content_and_reasoning_in_odd_forms() -> None:
    def said(**delta: Any) -> tuple[str, str]:
        result = decode(WIRE, chat(delta), DONE)
        return result.content, result.reasoning

    assert said(content=None, refusal="I will not.") == ("I will not.", "")
    assert said(content="a", reasoning_content="b") == ("a", "b")
    assert said(content="a", reasoning="b") == ("a", "b")
    assert said(content=[{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]) == ("ab", "")
    assert said(content=[{"type": "thinking", "thinking": "b"}, {"type": "text", "text": "a"}]) == ("a", "b")
    assert said(content=[]) == ("", "")
    # A server that streams, but sends messages.
    messages = [{"choices": [{"message": {"content": content}}]} for content in "ab"]
    assert decode(WIRE, *messages, DONE).content == "ab"
    assert decode(WIRE, chat({"role": "assistant", "content": ""}), *messages, DONE).content == "ab"


def test_calls_are_not_repeated_by_the_message_after_them() -> None:
    message = {"choices": [{"message": {"content": None, "tool_calls": [call(id="a")]}, "finish_reason": "tool_calls"}]}
    result = decode(WIRE, calls(call(id="a", index=0)), message, DONE)
    assert result.whole["calls"] == [("f", "{}")]
    assert result.whole["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("word", "reason"), [(None, "content_filter"), ("stop", "content_filter"), ("length", "length")]
)
def test_how_a_refusal_ends(word: str | None, reason: str) -> None:
    assert decode(WIRE, chat({"refusal": "No."}), chat({}, word), DONE).whole["finish_reason"] == reason


def test_a_call_of_a_custom_tool() -> None:
    def custom(name: str | None, text: str, **more: Any) -> dict[str, Any]:
        return {"type": "custom", "custom": {"input": text, **({"name": name} if name else {})}, **more}

    pieces = [custom("code", "", id="a", index=0), custom(None, 'print("1', index=0), custom(None, '\n")', index=0)]
    result = decode(WIRE, chat({"content": "x"}), *map(calls, pieces), chat({}, "tool_calls"), DONE)
    assert result.content == "x"
    assert [(name, json.loads(arguments)) for name, arguments in result.calls] == [("code", {"input": 'print("1\n")'})]
    for chunk in result.chunks:
        assert all(json.loads(c["function"]["arguments"]) for c in chunk.tool_calls or ())
    whole = chat_answer({"tool_calls": [custom("code", 'print("1\n")', id="a")]}, "tool_calls")
    assert openai_chat.ChatDecoder(MODEL).answer(json.dumps(whole).encode()).tool_calls == (
        result.final and result.final.tool_calls
    )
    # Of text nobody can tell whether it is whole.
    cut = decode(WIRE, *map(calls, pieces[:2]), chat({}, "length"), DONE)
    assert cut.error is not None
    assert "Raise max_tokens" in cut.error.message


def test_a_function_named_in_each_of_many_fragments() -> None:
    """Whether one begins another call is not found out by reading all that came before."""
    pieces = ['{"x": "', *["}" * 8] * 50_000, '"}']
    decoder = openai_chat.ChatDecoder(MODEL)
    began = time.process_time()
    for fragment in pieces:
        decoder.feed(calls(call(fragment, index=0)))
    assert time.process_time() - began < 5
    assert [c["function"]["arguments"] for c in decoder.calls.complete()] == ["".join(pieces)]


def test_the_end_marker_may_be_padded() -> None:
    assert decode(WIRE, chat({"content": "x"}), b" [DONE] ").whole["content"] == "x"


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        ({"error": {"message": "It broke", "type": "server_error", "code": None}}, "It broke", 500),
        ({"error": {"message": "It broke", "code": 402}}, "It broke", 402),
        ({"error": {"message": "It broke", "code": "502"}}, "It broke", 502),
        ({"error": {"message": "It broke"}, "choices": [{"delta": {"content": "x"}}]}, "It broke", None),
        ({"error": "It broke"}, "It broke", None),
        ({"error": {"message": "Slow down", "type": "tokens", "code": "rate_limit_exceeded"}}, "Slow down", 429),
    ],
)
def test_a_failure_in_the_stream(error: Any, message: str, status: int | None) -> None:
    result = decode(WIRE, chat({"content": "a"}), error, chat({"content": "b"}), DONE)
    assert result.content == ("ax" if "choices" in error else "a")
    assert result.final is None
    assert result.error is not None
    assert (result.error.message, result.error.status) == (message, status)


def test_the_model_of_the_first_event_that_names_one() -> None:
    events = [
        {"choices": [], "model": ""},
        {"choices": [], "model": "m-2"},
        {"choices": [], "model": "m-3"},
        chat(),
        DONE,
    ]
    assert decode(WIRE, *events).whole["response_model"] == "m-2"
