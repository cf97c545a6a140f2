"""Whether a program survives its provider, and that a replay is bent as the server's answers are."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, LLMRingError, Message
from llmring.exceptions import ProviderConnectionError, ProviderError, ProviderTimeoutError
from llmring.recordings import FAULTS, Session, assert_resilient
from llmring.testing import Fault

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
MODEL = "ollama:llama3.2"


def recorded(*pieces: object, tools: bool = False) -> None:
    """A recording of one exchange, and of no other."""
    answer = {
        "chunks": [[0, it] for it in pieces],
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }
    line = {"llmring": 1, "model": MODEL, "request": {"messages": [{"role": "user", "content": "Hi"}]}}
    Path("chat.jsonl").write_text(json.dumps({**line, "answer": answer}) + "\n")


async def careful() -> str:
    """Has a stand-by, and something to say where that does not help either."""
    async with LLMRing(aliases={"chatbot": [MODEL, "openai:gpt-5-mini"]}, max_retries=0) as service:
        try:
            return "".join([chunk.delta async for chunk in service.chat_stream(ASKED)])
        except LLMRingError:
            return "Something went wrong."


async def careless() -> None:
    async with LLMRing(aliases={"chatbot": MODEL}, max_retries=0) as service:
        assert (await service.chat(ASKED)).content


def test_a_program_with_a_stand_by_survives_all_of_it(bare: Path) -> None:
    before = dict(os.environ)
    assert_resilient(careful)
    assert dict(os.environ) == before


def test_what_is_not_survived_is_told(bare: Path) -> None:
    some = ["refuses: overloaded", "falls silent after one chunk", "says nothing", "compresses", "comments"]
    with pytest.raises(AssertionError) as caught:
        assert_resilient(careless, faults=some)
    first, *lines = str(caught.value).splitlines()
    assert first == "3 of 5 faults were not survived:"
    assert [re.sub(r" raised (\w+).*", r" \1", line).strip() for line in lines] == [
        "refuses: overloaded: ProviderResponseError",
        "falls silent after one chunk: ProviderTimeoutError",
        "says nothing: AssertionError",
    ]
    assert_resilient(careless, faults=some[:2], allow=ProviderError)


def test_a_program_that_hangs_or_asks_nobody_does_not_survive(bare: Path) -> None:
    async def hang() -> None:
        await asyncio.sleep(0.5)

    one = ["hangs up"]
    with pytest.raises(AssertionError, match=r"still ran after 0\.1 s"):
        assert_resilient(hang, faults=one, patience=0.1)
    with pytest.raises(AssertionError, match="asked nobody"):
        assert_resilient(lambda: None, faults=one)


def test_a_program_that_asks_a_recording_is_run_against_it(bare: Path) -> None:
    recorded("Hel", "lo", " there")

    async def program(fallback: bool) -> None:
        async with LLMRing(aliases={"chatbot": "replay:chat.jsonl"}, max_retries=0) as service:
            try:
                await service.chat_stream(ASKED).final_response()
            except ProviderError:
                if not fallback:
                    raise

    session = Session()
    assert_resilient(lambda: program(True), session=session, timeout=0.2)
    with pytest.raises(AssertionError, match="is cut after one chunk: raised ProviderConnectionError"):
        assert_resilient(lambda: program(False), session=session, timeout=0.2)
    assert session.replayed == []


@pytest.mark.parametrize("name", [name for name, fields in FAULTS.items() if "fault" in fields])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_replay_is_bent_as_the_server_bends_its_answers(bare: Path, name: str, streamed: bool) -> None:
    """What comes, and what it ends in, is that of the practice server, on a wire that does not say it otherwise."""
    from llmring.testing import PracticeServer

    recorded(*(["one", " two", " three"] if streamed else ["one two three"]))
    fault: Fault = FAULTS[name]["fault"]
    patience = 0.3 if fault.kind in ("never_answer", "headers_only", "stall", "chatter", "linger") else 30.0
    seen = []
    for model in (MODEL, "replay:chat.jsonl"):
        with PracticeServer() as server, Session(fault=fault), pytest.MonkeyPatch.context() as patch:
            for variable, value in server.environ().items():
                patch.setenv(variable, value)
            server.reply("one two three", fault=fault)
            async with LLMRing(aliases={"chatbot": model}, max_retries=0, timeout=patience) as service:
                service.get_provider(model.partition(":")[0])
                stream = service.chat_stream(ASKED)
                try:
                    whole = await (stream.final_response() if streamed else service.chat(ASKED))
                    said = whole.content, whole.finish_reason, whole.usage is None, whole.skipped_events, ""
                except ProviderError as error:
                    kept = error.partial.content if error.partial is not None and streamed else ""
                    said = kept, None, True, 0, type(error).__name__
                seen.append(said)
    assert seen[0] == seen[1]


def test_a_fault_that_is_none_is_refused(bare: Path) -> None:
    recorded("Hello")

    async def program() -> None:
        async with LLMRing(aliases={"chatbot": "replay:chat.jsonl"}) as service:
            await service.chat(ASKED)

    with Session(fault="cut"), pytest.raises(LLMRingError, match="is no fault"):  # type: ignore[arg-type]
        asyncio.run(program())


def test_the_next_answers_alone_are_bent(bare: Path) -> None:
    recorded("Hello")

    async def program() -> list[str]:
        said = []
        async with LLMRing(aliases={"chatbot": "replay:chat.jsonl"}, max_retries=0) as service:
            for _ in range(3):
                try:
                    said.append((await service.chat(ASKED)).content)
                except (ProviderConnectionError, ProviderTimeoutError) as error:
                    said.append(type(error).__name__)
        return said

    with Session(repeat=True) as session:
        session.bend(Fault.hang_up(), times=2)
        assert asyncio.run(program()) == ["ProviderConnectionError"] * 2 + ["Hello"]
