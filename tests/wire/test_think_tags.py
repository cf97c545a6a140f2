"""Thinking that a model writes into its text: told apart wherever it is cut, and text where it only looks like that."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmring import LLMRing
from llmring.schemas import LLMRequest, Message
from llmring.testing import PracticeServer
from llmring.wire import ollama, openai_chat
from llmring.wire.base import Decoder
from llmring.wire.think_tags import ThinkTags

from .streams import MODEL, answered, chat, chat_answer, decode, line, stream

BLANKS = st.text(" \n\t", max_size=4)
TAG_LIKE = st.lists(st.sampled_from([*"<>/ thinkx\n", "<think>", "</think>", "</thi"]), max_size=20).map("".join)
THOUGHT = TAG_LIKE.filter(lambda text: "</think>" not in text)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def read(pieces: list[str]) -> tuple[str, str, ThinkTags]:
    tags = ThinkTags()
    said, thought = "", ""
    for piece in pieces:
        more, rest = (piece, "") if tags.over else tags.feed(piece)
        said, thought = said + more, thought + rest
    more, rest = tags.close()
    return said + more, thought + rest, tags


@given(BLANKS, THOUGHT, TAG_LIKE, st.lists(st.integers(0, 60), max_size=20))
@example("", "So.", '{"a": "</think>"}', list(range(60)))
def test_thinking_is_told_apart_wherever_it_is_cut(blanks: str, thought: str, said: str, cuts: list[int]) -> None:
    for written in (f"{blanks}<think>{thought}</think>{said}", f"{blanks}<thought>{thought}</thought>{said}"):
        if "</thought>" in thought:
            continue
        for pieces in ([written], pieces_of(written, cuts), list(written)):
            *found, tags = read(pieces)
            assert found == [said.lstrip(), thought.strip()]
            # What goes back is what was written.
            assert tags.before + found[0] == written


@given(
    TAG_LIKE.filter(lambda text: not text.lstrip().startswith(("<think>", "<thought>"))), st.lists(st.integers(0, 40))
)
def test_what_looks_like_a_tag_elsewhere_is_text(written: str, cuts: list[int]) -> None:
    for pieces in ([written], pieces_of(written, cuts), list(written)):
        *found, tags = read(pieces)
        assert found == [written, ""]
        assert tags.before == ""


@given(THOUGHT, st.lists(st.integers(0, 40)))
def test_thinking_that_never_ends(written: str, cuts: list[int]) -> None:
    written = f"<think>{written}"
    for pieces in (pieces_of(written, cuts), list(written)):
        said, thought, tags = read(pieces)
        assert (said, thought.strip()) == ("", written.removeprefix("<think>").strip())
        assert tags.unclosed == written


def test_long_thinking_in_small_pieces_is_read_once() -> None:
    """It is neither gathered nor read again, and what is held back stays short."""
    tags = ThinkTags()
    tags.feed("<think>")
    for piece in (" ", "<", "\n") * 20_000:
        tags.feed(piece)
        assert len(tags.held) <= 300


def chat_events(pieces: list[str]) -> list[Any]:
    return [*(chat({"content": piece}) for piece in pieces), chat({}, "stop"), b"[DONE]"]


def ollama_events(pieces: list[str]) -> list[Any]:
    return [*(line({"role": "assistant", "content": piece}) for piece in pieces), line(None, True, done_reason="stop")]


EVENTS = {"openai-chat": chat_events, "ollama": ollama_events}
ANSWERS = {
    "openai-chat": lambda text: chat_answer({"content": text}, "stop"),
    "ollama": lambda text: line({"content": text}, True, done_reason="stop"),
}
WRITTEN = '\n<think>\nI add them.\n</think>\n\n{"sum": "<think>"}'


@pytest.mark.parametrize("wire", EVENTS)
def test_on_the_wires(wire: str) -> None:
    for pieces in ([WRITTEN], list(WRITTEN), pieces_of(WRITTEN, [4, 11, 20, 26, 30])):
        result = decode(wire, *EVENTS[wire](pieces))
        assert (result.content, result.reasoning) == ('{"sum": "<think>"}', "I add them.")
    decoder: Decoder = {"openai-chat": openai_chat.ChatDecoder, "ollama": ollama.OllamaDecoder}[wire](MODEL)
    final = answered(decoder, json.dumps(ANSWERS[wire](WRITTEN)).encode())
    assert (final.delta, final.reasoning) == ('{"sum": "<think>"}', "I add them.")


@pytest.mark.parametrize("wire", EVENTS)
def test_its_server_gets_back_what_its_model_has_written(wire: str) -> None:
    result = decode(wire, *EVENTS[wire](list(WRITTEN)))
    turn = Message(role="assistant", content=result.content, metadata={**result.decoder.metadata, "issuer": "x"})
    request = LLMRequest(model="m", messages=[Message(role="user", content="Hi"), turn])
    render: Any = {"openai-chat": openai_chat.render_request, "ollama": ollama.render_request}[wire]
    for issuer, sent in (("x", WRITTEN), ("y", result.content)):
        assert render(request, "m", stream=False, issuer=issuer)["messages"][1]["content"] == sent


@pytest.mark.parametrize("wire", EVENTS)
def test_off(wire: str) -> None:
    kind: Any = {"openai-chat": openai_chat.ChatDecoder, "ollama": ollama.OllamaDecoder}[wire]
    decoder = kind(MODEL, think_tags=False)
    chunks = decoder.read(stream(wire, EVENTS[wire]([WRITTEN])))
    assert "".join(chunk.delta for chunk in chunks) == WRITTEN
    assert "thinking" not in str(decoder.metadata)


@pytest.mark.parametrize("wire", EVENTS)
def test_a_server_that_tells_them_apart_itself_is_believed(wire: str) -> None:
    thinks = chat({"reasoning": "Hm."}) if wire == "openai-chat" else line({"content": "", "thinking": "Hm."})
    result = decode(wire, thinks, *EVENTS[wire](["<think>", "is a tag"]))
    assert (result.content, result.reasoning) == ("<think>is a tag", "Hm.")


@pytest.mark.parametrize("wire", EVENTS)
def test_an_answer_that_ends_in_the_middle_of_a_tag(wire: str) -> None:
    assert decode(wire, *EVENTS[wire](["\n", "<thi"])).content == "\n<thi"
    cut = decode(wire, *EVENTS[wire](["\n<thi"])[:1])
    assert cut.final is None
    assert cut.decoder.held == "\n<thi"


@pytest.mark.parametrize("wire", EVENTS)
@given(BLANKS, THOUGHT, st.lists(st.integers(0, 60), max_size=5))
def test_thinking_that_is_never_closed_is_text(wire: str, blanks: str, thought: str, cuts: list[int]) -> None:
    """Nobody can tell that it is any. A stream has called it thinking by then, and says so in the end."""
    written = f"{blanks}<think>{thought}"
    chunks = decode(wire, *EVENTS[wire](pieces_of(written, cuts)))
    assert (chunks.content, chunks.final and chunks.final.delta) == ("", written)
    decoder: Decoder = {"openai-chat": openai_chat.ChatDecoder, "ollama": ollama.OllamaDecoder}[wire](MODEL)
    final = answered(decoder, json.dumps(ANSWERS[wire](written)).encode())
    assert (final.delta, final.reasoning) == (written, None)
    # What is kept of it is a turn of that text.
    assert decoder.metadata == chunks.decoder.metadata
    assert "before" not in str(decoder.metadata)


# Through the service

SUM = '{"sum": 3}'


@pytest.mark.parametrize("sdk", ["openai", "ollama"])
@pytest.mark.parametrize(
    ("setting", "reasoning"), [("", "I add."), ("think_tags = true\n", "I add."), ("think_tags = false\n", None)]
)
async def test_the_lockfile_leaves_them_in_the_text(
    server: PracticeServer, tmp_path: Path, sdk: str, setting: str, reasoning: str | None
) -> None:
    path = tmp_path / "llmring.lock"
    path.write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.own]\nsdk = "{sdk}"\nbase_url = "{server.url}"\n{setting}'
    )
    written = f"<think>I add.</think>\n{SUM}"
    server.reply(written, times=2)
    request = LLMRequest(model="own:m", messages=[Message(role="user", content="1 + 2?")])
    async with LLMRing(path) as service:
        for response in (await service.chat(request), await service.chat_stream(request).final_response()):
            assert response.reasoning == reasoning
            assert response.content == (SUM if reasoning else written)


@pytest.mark.parametrize("sdk", ["openai", "ollama"])
async def test_unclosed_thinking_is_the_same_text_for_chat_and_a_stream(
    server: PracticeServer, tmp_path: Path, sdk: str
) -> None:
    path = tmp_path / "llmring.lock"
    path.write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.own]\nsdk = "{sdk}"\nbase_url = "{server.url}"\n'
    )
    written = "<think>\nI add one and two, and then"
    server.reply(written, times=2)
    request = LLMRequest(model="own:m", messages=[Message(role="user", content="1 + 2?")])
    async with LLMRing(path) as service:
        whole, stream = await service.chat(request), service.chat_stream(request)
        said = "".join([chunk.delta async for chunk in stream])
        for response in (whole, stream.response):
            assert (response.content, response.reasoning) == (written, None)
    assert said == written


@pytest.mark.parametrize(
    "written", [f"<think>1 + 2</think>\n{SUM}", f"1 + 2</think>\n\n{SUM}", f"x</think>y</think>{SUM}"]
)
async def test_structured_answers_hold(server: PracticeServer, written: str) -> None:
    """Also where the beginning of the thinking stands in the model's template."""
    server.reply(written, times=2)
    form = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    request = LLMRequest(
        model="openai:m",
        messages=[Message(role="user", content="1 + 2?")],
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": form}},
    )
    async with LLMRing() as service:
        for response in (await service.chat(request), await service.chat_stream(request).final_response()):
            assert response.parsed == {"sum": 3}
