"""Calls read out of text, on each wire whose models write them there: streamed in any pieces, and whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas import LLMRequest, Message, StreamChunk
from llmring.tool_dialects import ToolDialect, ToolReader, dialect
from llmring.wire.base import Decoder
from llmring.wire.errors import WireError
from llmring.wire.ollama import OllamaDecoder
from llmring.wire.openai_chat import ChatDecoder
from llmring.wire.told_calls import request_in_words

from ..tool_dialects.test_reading import OUTPUTS, TABLE
from .streams import MODEL

Said = tuple[str, str, list[tuple[str, str]]] | str
Decoders = dict[str, Callable[..., Decoder]]
WIRES: Decoders = {"openai-chat": ChatDecoder, "ollama": OllamaDecoder}


def decoder(wire: str, name: str) -> Decoder:
    return WIRES[wire](MODEL, reader=dialect(name).reader(TABLE["tools"]))


def event(wire: str, piece: str, *, last: bool = False) -> bytes:
    if wire == "ollama":
        message = {"role": "assistant", "content": piece}
        done = {"done": last, "done_reason": "stop"} if last else {"done": last}
        return json.dumps({"model": "m", "message": message, **done}).encode() + b"\n"
    choice = {"index": 0, "delta": {"content": piece}, "finish_reason": "stop" if last else None}
    return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"


def ended(reads: Decoder, chunks: list[StreamChunk]) -> Said:
    """What all of the chunks say, the final one included."""
    assert reads.error is None
    try:
        chunks.append(final := reads.close())
    except WireError as error:
        return error.message
    counts = [len(chunk.tool_calls) for chunk in chunks if chunk.tool_calls is not None]
    assert counts == sorted(counts)
    assert final.finish_reason == ("tool_calls" if final.tool_calls else "stop")
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in final.tool_calls or ()]
    return "".join(chunk.delta for chunk in chunks), "".join(chunk.reasoning or "" for chunk in chunks), calls


def streamed(wire: str, name: str, pieces: list[str]) -> Said:
    reads = decoder(wire, name)
    return ended(reads, reads.read(b"".join(event(wire, piece) for piece in pieces) + event(wire, "", last=True)))


def whole(wire: str, name: str, text: str) -> Said:
    message = {"role": "assistant", "content": text}
    answer: dict[str, Any] = {"model": "m", "message": message, "done": True, "done_reason": "stop"}
    if wire == "openai-chat":
        answer = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    reads = decoder(wire, name)
    return ended(reads, reads.answer(json.dumps(answer).encode()))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("row", OUTPUTS)
def test_streamed_and_whole_are_the_same(wire: str, row: dict[str, Any]) -> None:
    name, text = row["dialect"], row["text"]
    expected = whole(wire, name, text)
    broken = [it for it in row["events"] if "broken" in it]
    if isinstance(expected, str):
        assert broken[0]["reason"] in expected
    else:
        assert not broken
        said = "".join(it.get("text", "") for it in row["events"])
        calls = [it["call"] for it in row["events"] if "call" in it]
        assert (expected[0], [name for name, _ in expected[2]]) == (said, calls)
    for length in (1, 5, len(text) or 1):
        pieces = [text[at : at + length] for at in range(0, len(text), length)]
        assert streamed(wire, name, pieces) == expected


@pytest.mark.parametrize("wire", WIRES)
@given(text=st.lists(st.sampled_from([*TABLE["pieces"], "<think>", "</think>"]), max_size=16).map("".join))
def test_any_text(wire: str, text: str) -> None:
    """Also within and behind thinking, in any dialect; what is no call is all there."""
    for name in ("auto", "json", "glm", "gemma"):
        found = streamed(wire, name, [*text])
        assert found == whole(wire, name, text) == streamed(wire, name, [text])


class Silent(ToolDialect):
    """A dialect of somebody else's, which tells of tools in another way."""

    name = "silent"

    def describe(self, tools: Any, tool_choice: Any = None) -> str:
        return ""

    def calls(self, calls: Any) -> str:
        return "CALL"

    def results(self, results: Any) -> str:
        return "RESULT"

    def reader(self, tools: Any) -> ToolReader:
        return dialect("json").reader(tools)


def test_the_form_of_an_answer_is_said_whatever_a_dialect_says() -> None:
    form = {"type": "json_object"}
    request = LLMRequest(
        model="m", messages=[Message(role="user", content="Hi")], tools=TABLE["tools"], response_format=form
    )
    for it in (Silent(), dialect("glm")):
        system, user = request_in_words(request, it).messages
        assert (system.role, user.content) == ("system", "Hi")
        assert str(system.content).endswith("Answer with one JSON object and nothing else.")
