"""The log: what it keeps, who may read it, and that many may write it at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import sqlite3
import stat
import sys
import threading
import time
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, LLMRing, Message, image
from llmring.exceptions import ConfigurationError, LLMRingError, ProviderError
from llmring.log import Entry, Log, default_path
from llmring.log.entries import Share
from llmring.testing import Fault, PracticeServer, Tokens, ToolCallScript

from ..faults.ground import PROVIDERS, Ground, ask

KEY = "sk-canary-" + "k" * 24
PIXEL = b"\x89PNG\r\n\x1a\n" + b"canary-of-a-picture"


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "state" / "log.db")


def service(practice: Ground, log: Log, *models: str, **options: Any) -> LLMRing:
    practice.bind({"chatbot": models or ("openai:m",)})
    return practice.service(on_event=log, **{"max_retries": 0, "timeout": 5.0} | options)


def entry(number: int = 0, **fields: Any) -> Entry:
    said: dict[str, Any] = {
        "request_id": f"r{number}",
        "time": time.time(),
        "alias": "chatbot",
        "profile": None,
        "model": "openai:m",
        "outcome": "finished",
        "finish_reason": "stop",
        "error": None,
        "streamed": True,
        "seconds": 1.0,
        "first_chunk": 0.5,
        "retries": 0,
        "attempts": 1,
        "params": {},
        "messages": [{"role": "user", "content": f"question {number}"}],
        "answer": "yes",
        "reasoning": None,
        "tool_calls": None,
    }
    return Entry(**said | fields)


def share(model: str, tokens: int, cost: float | None) -> Share:
    usage: Any = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
    return Share(model, None, None, usage, cost, None if cost is not None else "not priced")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS.values())
async def test_what_is_asked_and_answered_is_kept(
    practice: Ground, server: PracticeServer, log: Log, provider: str, stream: bool
) -> None:
    server.reply("Paris it is", usage=Tokens(10, 3), reasoning="thinking")
    request = LLMRequest(
        model="chatbot",
        messages=[Message(role="system", content="Be brief"), Message(role="user", content="Where?")],
        temperature=0.5,
        max_tokens=100,
        metadata={"mine": KEY},
    )
    before = time.time()
    async with service(practice, log, f"{provider}:m") as it:
        response = await (it.chat_stream(request).final_response() if stream else it.chat(request))
    (found,) = log.entries()
    assert (found.id, found.alias, found.profile, found.model) == (1, "chatbot", "default", f"{provider}:m")
    assert (found.outcome, found.finish_reason, found.error) == ("finished", "stop", None)
    assert before <= found.time <= time.time()
    assert found.messages == [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Where?"}]
    assert (found.answer, found.reasoning, found.asked) == (response.content, response.reasoning, "Where?")
    assert found.params == {"temperature": 0.5, "max_tokens": 100}
    assert response.usage is not None
    assert found.tokens("prompt_tokens") == response.usage["prompt_tokens"]
    assert found.tokens("completion_tokens") == response.usage["completion_tokens"]
    assert found.cost == it.calculate_cost(response).total
    assert (found.streamed, found.first_chunk is not None) == (stream, stream)
    assert not [it for it in log.path.parent.iterdir() if KEY.encode() in it.read_bytes()]


async def test_what_is_sent_in_a_providers_own_terms_is_not_kept(
    practice: Ground, server: PracticeServer, log: Log
) -> None:
    async with service(practice, log, "ollama:m") as it:
        await it.chat(ask("chatbot", extra_params={"keep_alive": KEY}))
    assert KEY.encode() in server.requests[0].raw
    assert not [it for it in log.path.parent.iterdir() if KEY.encode() in it.read_bytes()]


async def test_what_fails_and_what_is_left_is_kept(practice: Ground, server: PracticeServer, log: Log) -> None:
    server.reply(status=401, error=f"wrong key {KEY}")
    server.reply(chunks=["one", " two"], fault=Fault.stall_after(1))
    async with service(practice, log, api_keys={"openai": KEY}) as it:
        with pytest.raises(ProviderError):
            await it.chat(ask("chatbot"))
        async with it.chat_stream(ask("chatbot")) as stream:
            await anext(stream)
        with pytest.raises(LLMRingError):
            await it.chat(ask("nobody"))
    left, *both = sorted(log.entries(), key=lambda it: ("left", "failed").index(it.outcome))
    failed, unknown = sorted(both, key=lambda it: it.model, reverse=True)
    assert (left.outcome, left.answer) == ("left", "one")
    assert failed.error is not None
    assert failed.error.startswith("ProviderAuthenticationError: ")
    assert unknown.error is not None
    assert (failed.model, unknown.model) == ("openai:m", "nobody")
    assert not [it for it in log.path.parent.iterdir() if KEY.encode() in it.read_bytes()]


async def test_a_conversation_is_kept_once_and_found_whole(
    practice: Ground, server: PracticeServer, log: Log, tmp_path: Path
) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    server.reply("first answer")
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1, "b": 2})])
    server.reply("three")
    async with service(practice, log, "anthropic:m") as it:
        talk = it.conversation("chatbot", system="Be brief", tools=[add])
        await talk.ask("A long first question")
        await talk.ask("And one and two?")
    first, called, last = log.entries()[::-1]
    assert [it.follows for it in (first, called, last)] == [None, first.id, called.id]
    assert [it["role"] for it in first.messages] == ["system", "user"]
    assert called.messages == [{"role": "user", "content": "And one and two?"}]
    assert [it["role"] for it in last.messages] == ["tool"]
    assert called.tool_calls is not None
    assert called.tool_calls[0]["function"]["name"] == "add"
    assert [it.id for it in log.conversation(last.id)] == [first.id, called.id, last.id]
    # Where its beginning is not in the log, all of it is kept.
    log.delete(called.id)
    assert [it.id for it in log.conversation(last.id)] == [last.id]
    other = Log(tmp_path / "other.db")
    async with service(practice, other, "anthropic:m") as it:
        await it.chat(LLMRequest(model="chatbot", messages=[*talk.messages, Message(role="user", content="?")]))
    (entry,) = other.entries()
    assert len(entry.messages) > 4


async def test_of_pictures_and_files_only_the_kind_is_kept(
    practice: Ground, server: PracticeServer, log: Log, tmp_path: Path
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PIXEL)
    parts = [{"type": "text", "text": "What is it?"}, image(path), image(PIXEL)]
    async with service(practice, log, "anthropic:m") as it:
        await it.chat(LLMRequest(model="chatbot", messages=[Message(role="user", content=parts)]))
    (found,) = log.entries()
    kind = found.messages[0]["content"][1]["type"]
    assert found.messages[0]["content"] == [parts[0], {"type": kind, "name": "cat.png"}, {"type": kind}]
    assert found.asked == f"What is it? [cat.png] [{kind}]"
    assert b"canary" not in log.path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_the_file_is_its_owners_alone(practice: Ground, server: PracticeServer, log: Log) -> None:
    async with service(practice, log) as it:
        await it.chat(ask("chatbot"))
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700
    writer = sqlite3.connect(log.path)
    writer.execute("DELETE FROM served")  # so that what SQLite puts beside it is there
    assert len(list(log.path.parent.iterdir())) > 1
    assert {stat.S_IMODE(it.stat().st_mode) for it in log.path.parent.iterdir()} == {0o600}
    writer.close()
    log.path.chmod(0o644)
    log.add(entry(7))
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_there_is_no_file_before_something_is_written(log: Log) -> None:
    assert (log.entries(), log.entry(1), log.totals(), log.clear()) == ([], None, [], 0)
    assert not log.path.parent.exists()


def test_what_is_deleted_is_gone(log: Log) -> None:
    for number in range(50):
        log.add(entry(number, answer=f"canary-{number}-" + "x" * 5000))
    assert log.delete(1, 2, 99) == 2
    left = b"".join(it.read_bytes() for it in log.path.parent.iterdir())
    assert b"canary-0-" not in left
    assert b"canary-5-" in left
    assert log.clear(before=time.time() + 10) == 48
    assert b"canary" not in b"".join(it.read_bytes() for it in log.path.parent.iterdir())
    assert log.add(entry(100)) == 51  # a number is not given twice


def test_it_is_searched_in_letters_of_either_case(log: Log) -> None:
    log.add(entry(1, messages=[{"role": "user", "content": 'ÄPFEL und "Birnen"\nim Korb'}]))
    log.add(entry(2, answer="äpfel", model="anthropic:claude-m", alias="other"))
    log.add(entry(3))
    assert [it.id for it in log.entries(search="äpfel")] == [2, 1]
    assert [it.id for it in log.entries(search='"birnen"\nIM')] == [1]
    assert [it.id for it in log.entries(search="%")] == []
    assert [it.id for it in log.entries(model="claude")] == [2]
    assert [it.id for it in log.entries(alias="chatbot", limit=1)] == [3]
    assert [it.id for it in log.entries(since=time.time() + 10)] == []


def test_totals(log: Log) -> None:
    day = datetime(2026, 11, 29, 12).timestamp()
    log.add(entry(1, time=day, served=[share("openai:a", 10, 0.5), share("openai:b", 20, None)]))
    log.add(entry(2, time=day, served=[share("openai:a", 30, 0.25)]))
    log.add(entry(3, time=day + 86400, alias="other", outcome="failed", model="openai:c"))
    (all_of_it,) = log.totals(())
    assert (all_of_it.requests, all_of_it.failed, all_of_it.prompt_tokens, all_of_it.cost) == (3, 1, 60, 0.75)
    assert all_of_it.unpriced == 1
    by_model = {it.group["model"]: (it.requests, it.prompt_tokens, it.cost) for it in log.totals(("model",))}
    assert by_model == {"openai:a": (2, 40, 0.75), "openai:b": (1, 20, 0.0), "openai:c": (1, 0, 0.0)}
    assert [(it.group, it.requests) for it in log.totals(("day", "alias"))] == [
        ({"day": "2026-11-29", "alias": "chatbot"}, 2),
        ({"day": "2026-11-30", "alias": "other"}, 1),
    ]
    assert [it.requests for it in log.totals((), model="openai:b")] == [1]
    assert log.totals(("alias",), since=day + 90_000_000) == []


texts = st.text(st.characters(), max_size=50)


@given(said=texts, answer=texts, params=st.dictionaries(st.sampled_from(["seed", "stop"]), texts))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, said: str, answer: str, params: dict[str, str]
) -> None:
    log = Log(tmp_path_factory.mktemp("log") / "log.db")
    messages = [{"role": "user", "content": said}]
    (number,) = (log.add(entry(1, messages=messages, answer=answer, params=params)),)
    found = log.entry(number)
    assert found is not None
    # Half a pair of surrogates is no text.
    text = answer.encode(errors="replace").decode()
    assert found.answer == text
    assert (
        json.dumps(found.messages).encode()
        == json.dumps([{"role": "user", "content": said.encode(errors="replace").decode()}]).encode()
    )


def write(path: Path, writer: int, count: int) -> None:
    log = Log(path)
    for number in range(count):
        log.add(entry(writer * 1000 + number, answer="x" * 2000))


def test_processes_and_threads_write_at_once(log: Log) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(log.path, it, 25)) for it in range(3)]
    threads = [threading.Thread(target=write, args=(log.path, it, 25)) for it in range(3, 6)]
    workers: list[Any] = [*processes, *threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [it.exitcode for it in processes] == [0, 0, 0]
    assert len({it.request_id for it in log.entries()}) == 150


def write_first(folder: Path, writer: int, together: Barrier) -> None:
    for round in range(ROUNDS):
        together.wait()
        with contextlib.suppress(LLMRingError):  # which the others do not wait for
            Log(folder / str(round) / "log.db").add(entry(writer))


ROUNDS = 20


def test_processes_make_a_log_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(4)
    writers = [context.Process(target=write_first, args=(tmp_path, it, together)) for it in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [len(Log(tmp_path / str(it) / "log.db").entries()) for it in range(ROUNDS)] == [4] * ROUNDS


def test_a_file_that_is_no_log_says_so(log: Log) -> None:
    log.path.parent.mkdir()
    log.path.write_text("This is no database, and long enough to be taken for none." * 100)
    with pytest.raises(LLMRingError, match=r"cannot be used: .*not a database"):
        log.entries()
    log.path.unlink()
    log.add(entry(1))
    with sqlite3.connect(log.path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(ConfigurationError, match="newer llmring"):
        log.entries()


async def test_a_log_that_cannot_be_written_is_not_felt(
    practice: Ground, server: PracticeServer, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    log.path.parent.mkdir()
    log.path.mkdir()
    async with service(practice, log) as it:
        assert (await it.chat(ask("chatbot"))).content
        assert (await it.chat(ask("chatbot"))).content
    (record,) = [it for it in caplog.records if it.levelname == "ERROR"]
    assert record.exc_info
    assert "The log" in str(record.exc_info[1])


def test_a_log_that_is_cut_off_in_the_middle_is_whole(log: Log) -> None:
    """A process that dies while it writes leaves what was there before."""
    log.add(entry(1))
    writer = sqlite3.connect(log.path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM requests")
    writer.close()
    assert [it.id for it in log.entries()] == [1]


def test_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Log().path == default_path() == tmp_path / "llmring" / "log.db"
    asyncio.run(asyncio.sleep(0))
