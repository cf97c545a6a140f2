"""The loop and the conversation of the synchronous face."""

from __future__ import annotations

import contextvars
import inspect
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ground import PROVIDERS, Ground, ask

from llmring import sync, talk
from llmring.exceptions import ConfigurationError, LLMRingError
from llmring.schemas import StreamChunk
from llmring.testing import PracticeServer, Reply, ToolCallScript

WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE", default="nowhere")
ENDLESS = Reply(chunks=["x"] * 500, interval=0.02)


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


@pytest.fixture
def service(practice: Ground, server: PracticeServer) -> Iterator[sync.LLMRing]:
    with sync.LLMRing(practice.path, api_keys=dict.fromkeys(PROVIDERS.values(), "practice"), timeout=30) as made:
        yield made


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def where() -> str:
    """Where it is."""
    return WHERE.get()


def here() -> str:
    """Where it is."""
    return WHERE.get()


def called(*names: str) -> Reply:
    return Reply(tool_calls=[ToolCallScript(name, {"a": 1} if name == "add" else {}) for name in names])


def test_all_of_it_is_there() -> None:
    for theirs, ours in ((talk.ToolStream, sync.ToolStream), (talk.Conversation, sync.Conversation)):
        missing = {name for name in dir(theirs) if not name.startswith("_")} - set(dir(ours))
        assert missing - {"at_hand", "aclose", "shut"} == set()
        for name in dir(ours):
            method, other = inspect.getattr_static(ours, name), inspect.getattr_static(theirs, name, None)
            if not name.startswith("_") and inspect.isfunction(method) and inspect.isfunction(other):
                assert [*inspect.signature(method).parameters] == [*inspect.signature(other).parameters], name
    made = [inspect.signature(it).parameters.keys() for it in (sync.Conversation, talk.Conversation)]
    assert made[0] == made[1]


@pytest.mark.parametrize("wire", PROVIDERS)
def test_run_and_stream(service: sync.LLMRing, server: PracticeServer, wire: str) -> None:
    WHERE.set("here")
    request = ask(f"{PROVIDERS[wire]}:m")
    server.reply(called("add", "where", "here"))
    server.reply("Two.")
    run = service.run_tools(request, [add, where, here])
    assert run.content == "Two."
    assert [it.value for it in run.rounds[0].results] == [2, "here", "here"]
    server.reply(called("add", "where"))
    server.reply(Reply(chunks=["T", "wo."]))
    stream = service.stream_tools(request, [add, where])
    steps = list(stream)
    assert [it.value for it in steps if isinstance(it, talk.ToolResult)] in ([2, "here"], ["here", 2])
    assert "".join(it.delta for it in steps if isinstance(it, StreamChunk)) == "Two." == stream.response.content
    assert stream.is_whole
    assert stream.final_run() == stream.run


def test_a_function_may_use_the_service(service: sync.LLMRing, server: PracticeServer) -> None:
    def look() -> str:
        """Ask another model."""
        return service.chat(ask("ollama:m")).content

    server.reply(called("look"), wire="anthropic")
    server.reply("Found.", wire="ollama")
    server.reply("Well.", wire="anthropic")
    run = service.run_tools(ask("anthropic:m"), [look])
    assert run.rounds[0].results[0].value == "Found."


def test_what_ends_the_program_goes_to_who_waits(service: sync.LLMRing, server: PracticeServer) -> None:
    async def leave() -> None:
        sys.exit(3)

    server.reply(called("leave"))
    with pytest.raises(SystemExit):
        service.run_tools(ask("anthropic:m"), [leave], on_error="raise")
    with pytest.raises(SystemExit):
        service.run(leave())
    server.reply("Still here.")
    assert service.chat(ask("anthropic:m")).content == "Still here."


async def interrupts() -> None:
    """End it all."""
    raise KeyboardInterrupt


def interrupts_a_thread() -> None:
    """End it all."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("function", [interrupts, interrupts_a_thread])
def test_a_function_that_ends_it_all_ends_not_the_loop_of_everybody(
    service: sync.LLMRing, server: PracticeServer, function: Any
) -> None:
    server.reply(called(function.__name__))
    with pytest.raises(KeyboardInterrupt):
        service.run_tools(ask("anthropic:m"), [function])
    server.reply("Still here.")
    assert service.chat(ask("anthropic:m")).content == "Still here."


@pytest.mark.parametrize("how", ["break", "close", "with", "cancel"])
def test_leaving(service: sync.LLMRing, server: PracticeServer, how: str) -> None:
    server.reply(called("add"))
    server.reply(ENDLESS)
    stream = service.stream_tools(ask("anthropic:m"), [add])
    for step in stream:
        if isinstance(step, StreamChunk) and step.delta:
            break
    if how == "break":
        del stream
    elif how == "close":
        stream.close()
    elif how == "with":
        with stream:
            pass
    else:
        threading.Thread(target=stream.cancel).start()
        list(stream)
    assert server.requests[-1].closed_by_client.wait(60)


def test_a_conversation(service: sync.LLMRing, server: PracticeServer, tmp_path: Path) -> None:
    server.reply("I am.")
    server.reply(Reply(chunks=["Since ", "ever."]))
    conversation = service.conversation("anthropic:m", system="Be brief.")
    assert conversation.ask("Are you?").content == "I am."
    deltas = [it.delta for it in conversation.stream("Since when?") if isinstance(it, StreamChunk)]
    assert "".join(deltas) == "Since ever."
    assert [it.role for it in conversation.messages] == ["user", "assistant"] * 2
    conversation.save(tmp_path / "talk.json")
    for made in (sync.Conversation.load(service, tmp_path / "talk.json", model="openai:m"), conversation.fork()):
        assert made.messages == conversation.messages
        server.reply("Yes.")
        assert made.ask("Sure?").content == "Yes."
    assert (tmp_path / "talk.json").read_text() == conversation.dumped()
    assert conversation.undo() not in conversation.turns
    for name, value in (("model", "ollama:m"), ("system", None), ("tools", [add]), ("profile", None)):
        setattr(conversation, name, value)
        assert getattr(conversation, name) == value
    server.reply(called("add"))
    server.reply("Two.")
    assert conversation.ask("1 + 1?").content == "Two."
    assert conversation.turns[-1].model == "ollama:m"
    assert conversation.totals.requests == 3
    assert conversation.usage == conversation.totals.usage
    assert conversation.cost is None
    with pytest.raises(ConfigurationError, match="takes a service"):
        sync.Conversation("anthropic:m", "Hello?")  # type: ignore[arg-type]


def test_one_question_at_a_time(service: sync.LLMRing, server: PracticeServer) -> None:
    server.reply(ENDLESS)
    conversation = service.conversation("anthropic:m")
    stream: Any = conversation.stream("1?")
    next(stream)
    with pytest.raises(LLMRingError, match="one question at a time"):
        conversation.ask("2?")
    del stream
    server.reply("Hello.")
    assert conversation.ask("3?").content == "Hello."
