"""Chat Completions: what OpenAI sends, and what compatible servers make of it."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from llmring.dialects import ChatDialect
from llmring.schemas import LLMRequest, Message, StreamChunk
from llmring.vendors import VENDORS
from llmring.wire import openai_chat
from llmring.wire.errors import WireError

from .streams import CHAT_USAGE, MODEL, answered, chat, chat_answer, chat_call, decode, read, stream, usage

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
    assert answered(openai_chat.ChatDecoder(MODEL), answer).finish_reason == reason


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
    assert answered(openai_chat.ChatDecoder(MODEL), json.dumps(whole).encode()).tool_calls == (
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
        # Those of MiniMax, Baidu and others.
        ({"base_resp": {"status_code": 1004, "status_msg": "It broke"}}, "It broke", None),
        ({"base_resp": {"status_code": 1004}}, "{'status_code': 1004}", None),
        ({"error_code": 18, "error_msg": "It broke"}, "It broke", None),
        ({"message": "It broke"}, "It broke", None),
        ({"detail": "It broke"}, "It broke", None),
        ({"code": "no", "msg": "It broke"}, "It broke", None),
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


# What goes back to who sent it


def back(*events: Any, answer: Any = None) -> dict[str, Any]:
    """The turn as it goes back to its issuer, streamed, or whole if an answer is given."""
    if answer is None:
        result = decode(WIRE, *events, DONE)
        assert result.final is not None, result.error
        content, final, decoder = result.content, result.final, result.decoder
    else:
        decoder = openai_chat.ChatDecoder(MODEL)
        final = answered(decoder, json.dumps(answer).encode())
        content = final.delta
    metadata = {**json.loads(json.dumps(decoder.metadata)), "issuer": "x"}
    turn = Message(role="assistant", content=content, tool_calls=final.tool_calls, metadata=metadata)
    request = LLMRequest(model="m", messages=[Message(role="user", content="Hi"), turn])
    rendered: dict[str, Any] = openai_chat.render_request(request, "m", stream=False, issuer="x")["messages"][1]
    return rendered


def test_what_is_kept_of_a_turn_names_who_issued_it() -> None:
    """Of one without calls, too: to another it goes without."""
    decoder = openai_chat.ChatDecoder(MODEL)
    decoder.issuer = "x"
    answer = answered(
        decoder, json.dumps(chat_answer({"content": "Yes.", "reasoning_content": "So."}, "stop")).encode()
    )
    turn = Message(role="assistant", content=answer.delta, metadata=decoder.metadata)
    request = LLMRequest(model="m", messages=[Message(role="user", content="Hi"), turn])
    sent = {issuer: openai_chat.render_request(request, "m", stream=False, issuer=issuer) for issuer in ("x", "y", "")}
    plain = {"role": "assistant", "content": "Yes."}
    assert sent["x"]["messages"][1] == {**plain, "reasoning_content": "So."}
    assert sent["y"]["messages"][1] == sent[""]["messages"][1] == plain


def test_a_turn_that_says_nothing_has_null_for_content_beside_calls_alone() -> None:
    made: Any = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [Message(role="assistant", content="", tool_calls=[made]), Message(role="assistant", content="")]
    result = Message(role="tool", tool_call_id="call_a", content="")
    request = LLMRequest(model="m", messages=[Message(role="user", content="Hi"), turns[0], result, turns[1]])
    sent = openai_chat.render_request(request, "m", stream=False)["messages"]
    assert [message["content"] for message in sent] == ["Hi", None, "", ""]


BLOCK = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
OTHER = {"type": "reasoning.encrypted", "data": "ZW5j", "id": "rs_1"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "So."}], "closed": True}
SIGNED_BLOCKS = [
    {"type": "thinking", "thinking": "I look.", "signature": "c2ln"},
    {"type": "thinking", "thinking": "So.", "signature": "c2lo"},
]
SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


@pytest.mark.parametrize(
    ("deltas", "message", "wanted"),
    [
        *(
            ([{name: "I "}, {name: "look."}], {name: "I look."}, {name: "I look."})
            for name in ("reasoning_content", "reasoning")
        ),
        ([{"reasoning_content": ""}], {"reasoning_content": ""}, {"reasoning_content": ""}),
        (
            [
                {"reasoning": "I", "reasoning_details": [{**BLOCK, "text": "I"}]},
                {"reasoning_details": [{**BLOCK, "text": " look."}, OTHER]},
                {"reasoning_details": [{**BLOCK, "signature": "c2ln"}, {**OTHER, "data": "eg=="}]},
            ],
            {
                "reasoning": "I look.",
                "reasoning_details": [
                    {**BLOCK, "text": "I look.", "signature": "c2ln"},
                    OTHER,
                    {**OTHER, "data": "eg=="},
                ],
            },
            {
                "reasoning_details": [
                    {**BLOCK, "text": "I look.", "signature": "c2ln"},
                    OTHER,
                    {**OTHER, "data": "eg=="},
                ]
            },
        ),
        # Without an index a block goes on as long as the next is of its type.
        (
            [{"thinking_blocks": [{"type": "thinking", "thinking": piece}]} for piece in ("I ", "look.")],
            {"thinking_blocks": [{"type": "thinking", "thinking": "I look."}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "I look."}]},
        ),
        # And a signature ends it.
        (
            [
                {"thinking_blocks": [{"type": "thinking", "thinking": "I "}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "look.", "signature": None}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "c2ln"}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "So.", "signature": "c2lo"}]},
            ],
            {"thinking_blocks": SIGNED_BLOCKS},
            {"thinking_blocks": SIGNED_BLOCKS},
        ),
        ([SIGNED], SIGNED, SIGNED),
        (
            [{"annotations": [{"type": "file", "file": {"hash": "h"}}]}],
            {"annotations": [{"type": "file", "file": {"hash": "h"}}]},
            {"annotations": [{"type": "file", "file": {"hash": "h"}}]},
        ),
        (
            [
                {"content": [{**THOUGHT, "thinking": [{"type": "text", "text": "S"}], "closed": False}]},
                {"content": [{**THOUGHT, "thinking": [{"type": "text", "text": "o."}]}]},
            ],
            {"content": [THOUGHT, {"type": "text", "text": "Fine."}]},
            {"content": [THOUGHT, {"type": "text", "text": "Fine."}]},
        ),
    ],
)
def test_what_its_server_wants_back_goes_back(deltas: list[Any], message: Any, wanted: dict[str, Any]) -> None:
    plain = {"role": "assistant", "content": "Fine."}
    assert back(*map(chat, deltas), chat({"content": "Fine."}), chat({}, "stop")) == plain | wanted
    assert back(answer=chat_answer({"content": "Fine.", **message}, "stop")) == plain | wanted


def test_what_gemini_marks_as_thinking_is_no_mark_of_the_message() -> None:
    marked = {"google": {"thought": True}}
    events = [
        chat({"content": "<thought>So", "extra_content": marked}),
        chat({"content": ".", "extra_content": marked}),
        chat({"content": "</thought>Fine."}),
        chat({"extra_content": {"google": {"thought_signature": "c2ln"}}}, "stop"),
    ]
    result = decode(WIRE, *events, DONE)
    assert (result.content, result.reasoning) == ("Fine.", "So.")
    assert back(*events) == {"role": "assistant", "content": "<thought>So.</thought>Fine.", **SIGNED}


def test_fields_of_a_call_go_back_with_it() -> None:
    made = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    more = {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    events = [
        chat_call(0, "", "f", "a"),
        calls({"index": 0, "function": {"arguments": '{"x":1}'}, **SIGNED}),
        chat_call(1, "{}", "f", "b"),
        chat({}, "tool_calls"),
    ]
    wanted = {"role": "assistant", "content": None, "tool_calls": [{**made, **SIGNED}, more]}
    assert back(*events) == wanted
    assert back(answer=chat_answer({"content": None, "tool_calls": [{**made, **SIGNED}, more]}, "tool_calls")) == wanted


def test_a_call_of_a_custom_tool_goes_back_as_one() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "code", "input": "print(1)"}}
    wanted = {"role": "assistant", "content": None, "tool_calls": [custom]}
    assert back(calls({"index": 0, **custom}), chat({}, "tool_calls")) == wanted
    assert back(answer=chat_answer({"content": None, "tool_calls": [custom]}, "tool_calls")) == wanted


def test_a_plain_turn_keeps_nothing() -> None:
    assert decode(WIRE, chat({"content": "Fine."}), chat({}, "stop"), DONE).decoder.metadata == {}


# What is no text

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}
CITED = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2},
}
CITATION = {"type": "citation", "citation": {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}}


@pytest.mark.parametrize(
    ("deltas", "message", "parts"),
    [
        ([{"images": [PICTURE]}, {"images": [PICTURE]}], {"images": [PICTURE]}, [PICTURE]),
        ([{"content": [PICTURE]}], {"content": [PICTURE]}, [PICTURE]),
        ([{"annotations": [CITED]}], {"annotations": [CITED]}, [CITATION]),
        (
            [{"audio": {"id": "a"}}, {"audio": {"data": "UklGRg=="}}, {"audio": {"data": "AAAA"}}],
            {"audio": {"id": "a", "data": "UklGRgAAAA=="}},
            [{"type": "input_audio", "input_audio": {"data": "UklGRgAAAA==", "format": "wav"}}],
        ),
    ],
)
def test_what_a_model_makes_that_is_no_text(deltas: list[Any], message: Any, parts: list[Any]) -> None:
    result = decode(WIRE, *map(chat, deltas), chat({}, "stop"), DONE)
    assert result.final is not None
    decoder = openai_chat.ChatDecoder(MODEL)
    answered(decoder, json.dumps(chat_answer(message, "stop")).encode())
    assert result.decoder.parts == decoder.parts == parts


def test_what_is_spoken_is_text_as_well() -> None:
    spoken = [{"audio": {"id": "a", "transcript": piece, "data": "AAAA"}} for piece in ("Hel", "lo")]
    result = decode(WIRE, *map(chat, spoken), chat({}, "stop"), DONE)
    assert result.content == "Hello"
    assert result.decoder.parts == [{"type": "input_audio", "input_audio": {"data": "AAAAAAAA", "format": "pcm16"}}]


def test_sources_beside_the_choices() -> None:
    found = {"search_results": [{"title": "A", "url": "https://a.test", "date": "2026-01-01"}]}
    result = decode(WIRE, chat({"content": "x"}), chat({}, "stop", **found), DONE)
    assert result.decoder.parts == [{"type": "citation", "citation": {"url": "https://a.test", "title": "A"}}]
    named = decode(WIRE, chat({"content": "x"}, "stop", citations=["https://a.test"]), DONE)
    assert named.decoder.parts == [{"type": "citation", "citation": {"url": "https://a.test"}}]


@pytest.mark.parametrize("odd", [{"images": [7]}, {"content": [{"type": "hologram"}]}, {"annotations": [{"url": []}]}])
def test_what_has_no_form_known_here_is_counted(odd: dict[str, Any]) -> None:
    result = decode(WIRE, chat({"content": "x"}), chat(odd), chat({}, "stop"), DONE)
    assert (result.content, result.whole["skipped_events"]) == ("x", 1)


# Failures and ends


@pytest.mark.parametrize(
    ("reason", "beside", "message", "status"),
    [
        ("error", {"error": {"code": 502, "message": "It broke"}}, "It broke", 502),
        (None, {"error": {"message": "It broke"}}, "It broke", None),
        ("stop", {"error": "It broke"}, "It broke", None),
        ("error", {}, "'error'", None),
        ("upstream_error", {}, "'upstream_error'", None),
        ("insufficient_system_resource", {}, "'insufficient_system_resource'", 503),
    ],
)
def test_a_failure_on_the_choice(reason: str | None, beside: Any, message: str, status: int | None) -> None:
    last = chat({"content": "lf"}, reason)
    last["choices"][0] |= beside
    result = decode(WIRE, chat({"content": "Ha"}), last, chat({"content": "!"}), DONE)
    assert (result.content, result.final) == ("Half", None)
    assert result.error is not None
    answer = chat_answer({"content": "Half"}, reason)
    answer["choices"][0] |= beside
    decoder = openai_chat.ChatDecoder(MODEL)
    (said,) = decoder.answer(json.dumps(answer).encode())
    assert said.delta == "Half"
    for error in (result.error, decoder.error):
        assert isinstance(error, WireError)
        assert message in error.message
        assert error.status == status


BASE = {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
FILTERED = [{"prompt_index": 0, "content_filter_results": {"violence": {"filtered": True, "severity": "high"}}}]


@pytest.mark.parametrize("choices", [None, []])
def test_an_answer_without_a_choice(choices: Any) -> None:
    def answer(**more: Any) -> StreamChunk:
        return answered(openai_chat.ChatDecoder(MODEL), json.dumps({"choices": choices, **more}).encode())

    with pytest.raises(WireError, match="insufficient balance"):
        answer(**BASE)
    with pytest.raises(WireError, match="It broke"):
        answer(message="It broke")
    with pytest.raises(WireError, match="It broke"):
        answer(code=500, msg="It broke")
    with pytest.raises(WireError, match="It broke"):
        answer(error_code=18, error_msg="It broke")
    with pytest.raises(WireError, match="no choice"):
        answer()
    final = answer(prompt_filter_results=FILTERED)
    assert (final.delta, final.finish_reason) == ("", "content_filter")


def test_a_stream_without_a_choice() -> None:
    event = {"choices": [], "model": "m"}
    for events in ([], [event], [{**event, "usage": CHAT_USAGE}]):
        assert "no choice" in str(decode(WIRE, *events, DONE).error)
    assert "insufficient balance" in str(decode(WIRE, {**event, **BASE}, DONE).error)
    assert decode(WIRE, {**event, "prompt_filter_results": FILTERED}, DONE).whole["finish_reason"] == "content_filter"
    unfiltered = [{"content_filter_results": {"violence": {"filtered": False}}}]
    good = decode(WIRE, {**event, "prompt_filter_results": unfiltered}, chat({"content": "x"}, "stop"), DONE)
    assert good.whole["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (b'error: {"code":400,"message":"It broke","type":"invalid_request_error"}\n\n', "It broke"),
        (b"error: It broke\n\n", "It broke"),
        (b'error:{"error":{"message":"It broke"}}\n', "It broke"),
    ],
)
def test_a_field_that_says_error(field: bytes, message: str) -> None:
    for before in ([], [chat({"content": "Half"})]):
        result = read(WIRE, [stream(WIRE, before) + field + stream(WIRE, [DONE])])
        assert result.content == "Half" * len(before)
        assert result.final is None
        assert message in str(result.error)
    comment = stream(WIRE, [chat({"content": "error: none"})]) + b": error: a comment\n\n"
    assert read(WIRE, [comment + stream(WIRE, [chat({}, "stop"), DONE])]).content == "error: none"


def test_a_stream_that_has_named_its_reason_needs_no_marker() -> None:
    named = [chat({"content": "x"}), chat({}, "length"), {"choices": [], "usage": CHAT_USAGE}]
    assert decode(WIRE, *named).whole["finish_reason"] == "length"
    assert decode(WIRE, *named).whole["usage"] == usage(20, 9, cache_read_tokens=12, reasoning_tokens=4)
    assert decode(WIRE, chat({"content": "x"}), {"choices": [], "usage": CHAT_USAGE}).final is None


# Calls, told by what tells them


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # One index and no ids, or one of both, and two names.
        (
            [chat_call(0, "", "f", ""), chat_call(0, "", "g", ""), chat_call(0, '{"x":1}')],
            [("f", "{}"), ("g", '{"x":1}')],
        ),
        ([chat_call(0, "{}", "f", "a"), chat_call(0, "{}", "g", "a")], [("f", "{}"), ("g", "{}")]),
        # One id, one name, both whole.
        ([chat_call(0, '{"x":1}', "f", "a"), chat_call(0, '{"x":2}', "f", "a")], [("f", '{"x":1}'), ("f", '{"x":2}')]),
        (
            [calls(call('{"x":1}', id="a")), calls(call('{"x":2}', id="a"))],
            [("f", '{"x":1}'), ("f", '{"x":2}')],
        ),
        # The same said again, or no more than its name.
        ([chat_call(0, '{"x":1}', "f", "a"), chat_call(0, '{"x":1}', "f", "a")], [("f", '{"x":1}')]),
        ([chat_call(0, '{"x":1}', "f", "a"), chat_call(0, "", "f", "a")], [("f", '{"x":1}')]),
        # What looks like an end, in a string.
        (
            [chat_call(0, p, "f", "a") for p in ('{"x":"', "}", "{", "\\\\", '\\"', "}", '{"}')],
            [("f", '{"x":"}{\\\\\\"}{"}')],
        ),
        # As it was before there were several.
        (
            [chat({"function_call": {"name": "f", "arguments": ""}}), chat({"function_call": {"arguments": "{}"}})],
            [("f", "{}")],
        ),
    ],
)
def test_calls_that_share_what_tells_them(events: list[Any], expected: list[tuple[str, str]]) -> None:
    result = decode(WIRE, *events, chat({}, "tool_calls"), DONE)
    assert result.whole["calls"] == expected
    assert len(set(result.ids)) == len(expected)


@pytest.mark.parametrize("keys", [{"id": "a"}, {"index": 0, "id": "a"}, {"index": 0}, {}])
def test_a_whole_answers_list_of_calls_is_a_list(keys: dict[str, Any]) -> None:
    made = [call('{"x":1}', **keys), call('{"x":1}', **keys), call("", **keys)]
    final = answered(
        openai_chat.ChatDecoder(MODEL), json.dumps(chat_answer({"tool_calls": made}, "tool_calls")).encode()
    )
    assert [c["function"]["arguments"] for c in final.tool_calls or ()] == ['{"x":1}', '{"x":1}', "{}"]
    assert len({c["id"] for c in final.tool_calls or ()}) == 3


def test_a_call_whose_beginning_never_came_is_an_error() -> None:
    result = decode(WIRE, chat_call(0, '{"x":1}'), chat({}, "tool_calls"), DONE)
    assert result.error is not None
    assert "could not be decoded" in result.error.message


@pytest.mark.parametrize("piece", ["{}", "[{}]", "}", '{"a":1}'])
def test_named_fragments_that_look_like_ends_are_read_once(piece: str) -> None:
    decoder = openai_chat.ChatDecoder(MODEL)
    began = time.process_time()
    decoder.feed(calls(call('{"x": "', index=0, id="a")))
    for _ in range(20_000):
        decoder.feed(calls(call(piece, index=0, id="a")))
    decoder.feed(calls(call('"}', index=0, id="a")))
    assert time.process_time() - began < 5
    assert len(decoder.calls) == 1


# Counts


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        # xAI counts reasoning beside the completion; Gemini's compatible endpoint in the total alone.
        (
            [
                {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135},
                {"completion_tokens_details": {"reasoning_tokens": 94}},
            ],
            usage(32, 103, reasoning_tokens=94),
        ),
        ([{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 215}], usage(10, 205)),
        # Mistral's sound is input.
        (
            [{"prompt_tokens": 13, "completion_tokens": 5, "total_tokens": 400, "prompt_audio_seconds": 30}],
            usage(395, 5),
        ),
        # Moonshot, LiteLLM.
        ([{"prompt_tokens": 19, "completion_tokens": 1, "cached_tokens": 10}], usage(19, 1, cache_read_tokens=10)),
        (
            [
                {
                    "prompt_tokens": 19,
                    "completion_tokens": 1,
                    "cache_read_input_tokens": 10,
                    "cache_creation_input_tokens": 4,
                    "prompt_tokens_details": {"cached_tokens": 0},
                }
            ],
            usage(19, 1, cache_read_tokens=10, cache_write_tokens=4),
        ),
        # A later report does not erase what an earlier one had.
        (
            [
                {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}},
                {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": None},
            ],
            usage(9, 3, cache_read_tokens=8),
        ),
    ],
)
def test_counts_in_the_words_of_others(reports: list[Any], expected: dict[str, int]) -> None:
    events = [{"choices": [], "usage": report} for report in reports]
    assert decode(WIRE, chat({"content": "x"}), *events, chat({}, "stop"), DONE).whole["usage"] == expected


def test_a_vendors_own_place_for_the_counts() -> None:
    """As Groq has it, by its row of `vendors.json`."""
    counts = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    last = chat({}, "stop", x_groq={"id": "r", "usage": counts})
    decoder = openai_chat.ChatDecoder(MODEL, dialect=VENDORS["groq"].chat)
    for event in (chat({"content": "x"}, x_groq={"id": "r"}), last):
        decoder.feed(event)
    assert decoder.usage == usage(3, 4)
    odds: list[Any] = [None, 3, {"usage": None}, {"usage": {}}]
    for odd in odds:
        decoder.feed(chat({"content": "x"}, x_groq=odd))
    assert decoder.usage == usage(3, 4)


def test_a_vendors_own_field_for_thinking() -> None:
    decoder = openai_chat.ChatDecoder(MODEL, dialect=ChatDialect(thoughts=["musing"]))
    chunk = decoder.feed(chat({"musing": "Well."}))
    assert chunk is not None
    assert chunk.reasoning == "Well."
    assert decoder.feed(chat({"reasoning": "Not here."})) is None


def test_the_tier_that_served() -> None:
    result = decode(WIRE, chat({"content": "x"}), chat({}, "stop", service_tier="flex"), DONE)
    assert result.final is not None
    assert result.final.service_tier == "flex"
    final = answered(openai_chat.ChatDecoder(MODEL), json.dumps(chat_answer({}, "stop", service_tier="flex")).encode())
    assert final.service_tier == "flex"


@pytest.mark.parametrize(
    "delta",
    [
        {"images": [{"image_url": {"url": {"auth": "the-secret-key"}}}]},
        {"content": [{"type": "x\nERROR a line of its own, the-secret-key"}]},
    ],
)
def test_what_is_left_out_is_told_without_keys_and_on_one_line(
    delta: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    decoder = openai_chat.ChatDecoder(MODEL)
    decoder.conceal = lambda data: data.replace(b"the-secret-key", b"[key]")
    with caplog.at_level(logging.WARNING, "llmring"):
        decoder.read(stream(WIRE, [chat(delta)] * 20))
    assert decoder.skipped_events == 20
    assert 0 < len(caplog.records) < 20, "of a flood, not each is told of"
    for record in caplog.records:
        assert "the-secret-key" not in record.getMessage()
        assert "\n" not in record.getMessage()


def test_pictures_and_blocks_without_end() -> None:
    many: list[Any] = [
        {"images": [{"image_url": {"url": "data:image/png;base64," + "A" * 40_000}}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "A" * 40_000}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "A" * 400}]},
    ]
    for delta in many:
        decoder = openai_chat.ChatDecoder(MODEL)
        decoder.bound(100_000)
        for number in range(1000):
            decoder.read(stream(WIRE, [chat({**delta, "n": number})]))
            if decoder.error:
                break
        assert "an answer of more than" in str(decoder.error)
        assert number * len(str(delta)) < 300_000


def test_words_in_chatty_events_have_the_bound_for_themselves() -> None:
    decoder = openai_chat.ChatDecoder(MODEL)
    decoder.bound(10_000)
    for _ in range(5000):
        decoder.read(stream(WIRE, [chat({"content": "x"})]))
    assert decoder.error is None


def test_sound_that_is_none_costs_no_text() -> None:
    sounds = chat({"content": "Hi", "audio": {"data": "QUI="}}), chat({"audio": {"data": "abc"}})
    result = decode(WIRE, *sounds, chat({}, "stop"), DONE)
    assert (result.content, result.whole["skipped_events"], result.decoder.parts) == ("Hi", 1, [])


@pytest.mark.parametrize("name", [None, "f"])
def test_an_id_that_comes_after_the_beginning_of_its_call(name: str | None) -> None:
    begun = call("", index=0)
    result = decode(WIRE, calls(begun), calls(call("{}", name, index=0, id="given")), chat({}, "tool_calls"), DONE)
    assert (result.calls, result.ids) == ([("f", "{}")], ["given"])


def test_calls_that_only_the_whole_message_after_the_deltas_has() -> None:
    message = {"role": "assistant", "content": "Let me see.", "tool_calls": [call(id="a")]}
    last = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    result = decode(WIRE, chat({"content": "Let me see."}), last, DONE)
    assert (result.content, result.calls, result.ids) == ("Let me see.", [("f", "{}")], ["a"])
    result = decode(WIRE, chat({"content": "Let me see."}), calls(call(id="a", index=0)), last, DONE)
    assert (result.content, result.calls, result.ids) == ("Let me see.", [("f", "{}")], ["a"])


@pytest.mark.parametrize(
    "events",
    [
        [chat({"annotations": [{"type": kind, "n": n} for n in range(20_000) for kind in ("file", "url_citation")]})],
        [chat({"extra_content": {f"key {n}": n}}) for n in range(60_000)],
        [chat({"content": "x"}, usage={"prompt_tokens": 1, f"key {n}": n}) for n in range(60_000)],
    ],
    ids=["annotations", "extra_content", "usage"],
)
def test_work_grows_with_what_comes(events: list[Any]) -> None:
    data = stream(WIRE, [*events, chat({}, "stop"), DONE])
    began = time.process_time()
    assert read(WIRE, [data]).decoder.ended
    assert time.process_time() - began < 5
