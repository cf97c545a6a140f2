"""Ollama's own chat API."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llmring.schemas import LLMRequest, Message
from llmring.tool_dialects import ToolReader, dialect
from llmring.wire import ollama

from .streams import MODEL, OLLAMA_USAGE, answered, decode, line, usage

WIRE = "ollama"
FINISH = {"stop": "stop", "length": "length"}


def done(reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    return line(None, True, **({"done_reason": reason} if reason else {}), **more)


@pytest.mark.parametrize(
    ("word", "reason"), [*FINISH.items(), ("load", "other"), ("whatever", "other"), (None, "stop"), ("", "stop")]
)
def test_finish_reasons(word: str | None, reason: str) -> None:
    assert decode(WIRE, line({"content": "x"}), done(word)).whole["finish_reason"] == reason
    answer = json.dumps(line({"content": "x"}, done=True, done_reason=word)).encode()
    assert answered(ollama.OllamaDecoder(MODEL), answer).finish_reason == reason


def test_every_word_is_in_the_table() -> None:
    assert ollama._FINISH == FINISH


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (OLLAMA_USAGE, usage(20, 9)),
        # A prompt that is cached whole is not counted.
        ({"eval_count": 9}, usage(0, 9)),
        ({"prompt_eval_count": 20}, usage(20, 0)),
        ({"prompt_eval_count": 0, "eval_count": 0}, usage(0, 0)),
        ({}, None),
    ],
)
def test_usage(figures: dict[str, Any], expected: dict[str, int] | None) -> None:
    assert decode(WIRE, line({"content": "x"}), done(**figures)).whole["usage"] == expected


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, **more}}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([[call("f", arguments={"x": [1, "ö"]})]], [("f", '{"x":[1,"ö"]}')]),
        ([[call("f", arguments={}), call("f")]], [("f", "{}"), ("f", "{}")]),
        ([[call("f", arguments=None)], [call("g", arguments={})]], [("f", "{}"), ("g", "{}")]),
        ([[call("f", arguments='{"x": 1}')]], [("f", '{"x": 1}')]),
        ([[{"id": "a", **call("f")}, {"id": "a", **call("g")}]], [("f", "{}"), ("g", "{}")]),
    ],
)
def test_calls(lines: list[Any], expected: list[tuple[str, str]]) -> None:
    result = decode(WIRE, *(line({"tool_calls": calls}) for calls in lines), done())
    assert result.whole["calls"] == expected
    assert result.whole["finish_reason"] == "tool_calls"
    assert len({*result.ids} - {""}) == len(expected)
    assert result.ids[0] == lines[0][0].get("id", result.ids[0])


def test_calls_on_the_last_line() -> None:
    result = decode(WIRE, line({"tool_calls": [call("f")]}, done=True, done_reason="stop"))
    assert result.whole["calls"] == [("f", "{}")]
    assert result.whole["finish_reason"] == "tool_calls"


def test_arguments_that_are_no_json() -> None:
    result = decode(WIRE, line({"tool_calls": [call("f", arguments='{"x": ')]}), done())
    assert result.error is not None
    assert '{"x": ' in result.error.message


def test_null_in_place_of_text() -> None:
    message = {"content": None, "thinking": None, "tool_calls": None}
    assert decode(WIRE, line(message), line({"content": "x"}), done()).whole["content"] == "x"
    assert decode(WIRE, {"model": "m", "message": None, "done": False}, done()).whole["content"] == ""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("model runner has unexpectedly stopped, this may be due to resource limitations", 500),
        ("an error was encountered while running the model: CUDA error: invalid argument", 500),
        ("llama runner process has terminated: exit status 2", 500),
        ("server busy, please try again.  maximum pending requests exceeded", 500),
        ("It broke", 500),
        ("registry.ollama.ai/library/gemma:2b does not support tools", 400),
        ("the input length exceeds the context length", 400),
        ("this model is missing data required for image input", 400),
        ('invalid format: expected "json" or a JSON schema', 400),
    ],
)
def test_whose_fault_a_failure_is(words: str, status: int) -> None:
    error = decode(WIRE, {"error": words}).error
    assert error is not None
    assert (error.message, error.status) == (words, status)


@pytest.mark.parametrize("before", [[], [line({"content": "x"})]])
def test_a_failure_in_the_stream(before: list[Any]) -> None:
    result = decode(WIRE, *before, {"error": "model runner has unexpectedly stopped"}, done())
    assert result.content == "x" * len(before)
    assert result.final is None
    assert result.error is not None
    assert result.error.message == "model runner has unexpectedly stopped"


def test_the_last_line_is_one_however_odd_the_rest_of_it() -> None:
    result = decode(WIRE, line({"content": "x"}), line({"content": 7}, done=True))
    assert result.whole["content"] == "x"
    assert result.whole["skipped_events"] == 1


# What goes back to who sent it, and what is no text


def back(*lines: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The turn as it goes back to its issuer, and a result of its first call."""
    result = decode(WIRE, *lines)
    assert result.final is not None, result.error
    metadata = {**json.loads(json.dumps(result.decoder.metadata)), "issuer": "x"}
    turn = Message(
        role="assistant", content=result.content, tool_calls=result.final.tool_calls or None, metadata=metadata
    )
    id = turn.tool_calls[0]["id"] if turn.tool_calls else ""
    messages = [Message(role="user", content="Hi"), turn, Message(role="tool", content="pong", tool_call_id=id)]
    request = LLMRequest(model="m", messages=messages[: 3 if id else 2])
    sent = ollama.render_request(request, "m", stream=False, issuer="x")["messages"]
    return sent[1], sent[-1]


def test_thinking_goes_back_with_every_turn() -> None:
    turn, _ = back(line({"thinking": "I "}), line({"thinking": "look."}), line({"content": "Fine."}), done())
    assert turn == {"role": "assistant", "content": "Fine.", "thinking": "I look."}


def test_a_calls_own_id_and_fields_go_back_with_it() -> None:
    made = {"id": "call_x!", "function": {"name": "f", "arguments": {"x": 1}}, "signature": "c2ln"}
    turn, result = back(line({"tool_calls": [made]}), done())
    assert turn["tool_calls"] == [made]
    assert result == {"role": "tool", "content": "pong", "tool_name": "f", "tool_call_id": "call_x!"}
    bare = {"function": made["function"]}
    turn, result = back(line({"tool_calls": [bare]}), done())
    assert turn["tool_calls"] == [bare]
    assert result == {"role": "tool", "content": "pong", "tool_name": "f"}


def test_a_picture_that_a_model_has_made() -> None:
    result = decode(WIRE, line({"content": "", "images": ["/9j/AAAA"]}), done())
    assert result.decoder.parts == [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/AAAA"}}]


@pytest.mark.parametrize("said", ["", "Half"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_failure_beside_a_message(said: str, ended: bool) -> None:
    event = line({"role": "assistant", "content": said}, ended, error="It broke")
    result = decode(WIRE, event, done())
    assert (result.content, result.final) == (said, None)
    assert "It broke" in str(result.error)
    decoder = ollama.OllamaDecoder(MODEL)
    chunks = decoder.answer(json.dumps(event).encode())
    assert "It broke" in str(decoder.error)
    assert "".join(chunk.delta for chunk in chunks) == said


def reader() -> ToolReader:
    return dialect("json").reader([{"type": "function", "function": {"name": "f"}}])


def test_many_calls_and_long_text_that_may_be_one_are_read_once() -> None:
    decoder = ollama.OllamaDecoder(MODEL, reader=reader())
    began = time.process_time()
    for piece in ('{"name": "f", "arguments": {"x": "', *["x" * 10] * 40_000):
        decoder.feed(line({"role": "assistant", "content": piece}))
    many = ollama.OllamaDecoder(MODEL)
    for number in range(4_000):
        many.feed(line({"tool_calls": [{"function": {"name": "f", "arguments": {"n": number}}}]}))
    assert time.process_time() - began < 5
    assert len(decoder.held) == 400_034
    assert len(many.calls.complete()) == 4_000


def test_a_fence_is_looked_at_once() -> None:
    began = time.process_time()
    for written in (f"```json\n{' ' * 200_000}x", f"```{chr(10) * 200_000}{{}}```x"):
        decoder = ollama.OllamaDecoder(MODEL, reader=reader())
        chunk = decoder.feed(line({"content": written}, True))
        assert (chunk.delta if chunk else "") + decoder.close().delta == written
    assert time.process_time() - began < 2


def test_text_that_names_no_tool_by_a_name_is_text() -> None:
    said = '{"name": ["f"]}'
    decoder = ollama.OllamaDecoder(MODEL, reader=reader())
    line = {"model": "m", "message": {"role": "assistant", "content": said}, "done": True, "done_reason": "stop"}
    chunks = decoder.read(json.dumps(line).encode() + b"\n")
    assert ["".join(chunk.delta for chunk in chunks), decoder.skipped_events] == [said, 0]


def test_of_a_call_without_further_fields_nothing_is_kept() -> None:
    made = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": {}}}
    result = decode(WIRE, line({"role": "assistant", "content": "", "tool_calls": [made]}), line(done=True))
    assert "ollama" not in result.decoder.metadata
