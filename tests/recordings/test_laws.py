"""What holds of every recording."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, Message, StreamChunk
from llmring.recordings.exchanges import Answered, Exchange, Piece
from llmring.recordings.meaning import asked_again, key_of, meaning, ordered
from llmring.recordings.playing import PassingDecoder, blocks_of, said_of
from llmring.recordings.redaction import Redaction
from llmring.references import KEY_SHAPE
from llmring.schemas import ToolCall

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEY = "sk-ant-" + "a1b2c3d4" * 4


@st.composite
def answers(draw: st.DrawFn) -> list[StreamChunk]:
    """Chunks as a decoder gives them: calls grow, and each chunk that tells of one tells of all so far."""
    chunks, calls = [], list[tuple[str, str, str]]()
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["text", "reasoning", "call", "piece"]))
        chunk = StreamChunk(draw(TEXT) if kind == "text" else "", "openai:gpt-5-mini")
        if kind == "reasoning":
            chunk.reasoning = draw(TEXT)
        elif kind == "call":
            calls.append((f"call_{len(calls)}", draw(TEXT), draw(TEXT)))
        elif calls:
            at = draw(st.integers(0, len(calls) - 1))
            calls[at] = (*calls[at][:2], calls[at][2] + draw(TEXT))
        if kind in ("call", "piece") and calls:
            chunk.tool_calls = [told(*it) for it in calls]
        chunks.append(chunk)
    return chunks


def told(id: str, name: str, arguments: str) -> ToolCall:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def replayed(exchange: Exchange, *, whole: bool) -> list[StreamChunk]:
    decoder = PassingDecoder("replay:x.jsonl")
    chunks: list[StreamChunk] = []
    for block in blocks_of(exchange, whole=whole):
        chunks += decoder.read(block)
    return chunks


@given(answers(), st.lists(st.integers(0, 3), min_size=8, max_size=8), st.booleans())
def test_a_replay_is_the_chunks_that_were_recorded(chunks: list[StreamChunk], waits: list[int], whole: bool) -> None:
    before: list[Any] = []
    pieces = [said_of(chunk, before, wait) for chunk, wait in zip(chunks, waits, strict=False)]
    made = Exchange.of(
        "openai:gpt-5-mini",
        {"messages": [{"role": "user", "content": "Hi"}]},
        Answered(pieces, finish_reason="stop"),
        stream=True,
        test=None,
    )
    assert b"\n" not in made.line
    assert replayed(Exchange.read(made.line, 1), whole=whole) == chunks


@given(st.lists(JSON, max_size=3), st.dictionaries(TEXT, JSON, max_size=3), TEXT)
def test_a_request_means_the_same_wherever_it_was_written(values: list[Any], table: dict[str, Any], text: str) -> None:
    """In a file with its keys in any order, and after it was asked again from there."""
    asked = LLMRequest(
        model="x",
        messages=[Message(role="user", content=text), Message(role="assistant", content=[{"type": "x", "v": values}])],
        extra_params={"v": table},
        temperature=0.5,
    )
    said = meaning(asked)
    assert key_of(ordered(backwards(said))) == key_of(ordered(said)) == key_of(said)
    assert key_of(meaning(asked_again(said, "y:z"))) == key_of(said)


def backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(it) for it in value] if isinstance(value, list) else value


@given(TEXT, TEXT, st.lists(st.integers(0, 80), max_size=5))
def test_a_key_is_seen_however_it_is_cut(before: str, after: str, cuts: list[int]) -> None:
    text = f"{before} {KEY} {after}"
    places = sorted({0, len(text), *(it for it in cuts if it < len(text))})
    pieces = [Piece(1, text[a:b]) for a, b in pairwise(places)]
    seen = Redaction().pieces(pieces, lambda it: it)
    joined = "".join(it.text for it in seen)
    assert len(seen) == len(pieces)
    assert not KEY_SHAPE.search(joined)
    assert "a1b2c3d4" not in joined
    assert joined == Redaction().text(text)
