"""Conversations: what is kept and what is not, their files, and going on elsewhere, on every wire."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from tests.conftest import WAYS, Way, bind
from tests.test_docs import PIXEL

import llmring
from llmring import LLMRing, Message, image, parts
from llmring.catalog import Cost
from llmring.exceptions import (
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    ProviderConnectionError,
    ProviderResponseError,
    ToolRoundsError,
)
from llmring.schemas import Answered, StreamChunk
from llmring.talk import Conversation, ToolCalled, ToolResult
from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

DEFINITION = {"type": "function", "function": {"name": "approve", "parameters": {"type": "object"}}}


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def said(conversation: Conversation) -> list[tuple[str, Any]]:
    return [(message.role, message.content) for message in conversation.messages]


async def test_it_remembers(way: Way, server: PracticeServer) -> None:
    server.reply("I am.", usage=Tokens(prompt=10, completion=5))
    server.reply(Reply(chunks=["Since ", "ever."], usage=Tokens(prompt=30, completion=6)))
    async with LLMRing() as service:
        conversation = service.conversation("chatbot", system="Be brief.", max_tokens=100)
        assert conversation.messages == []
        assert (conversation.usage, conversation.cost) == (None, None)
        response = await conversation.ask("Are you?")
        assert response.content == "I am."
        chunks = [chunk async for chunk in conversation.stream("Since when?") if isinstance(chunk, StreamChunk)]
        assert "".join(chunk.delta for chunk in chunks) == "Since ever."
        assert chunks[-1].finish_reason == "stop"
        assert said(conversation) == [
            ("user", "Are you?"),
            ("assistant", "I am."),
            ("user", "Since when?"),
            ("assistant", "Since ever."),
        ]
        assert conversation.usage is not None
        used = [conversation.usage[it] for it in ("prompt_tokens", "completion_tokens", "total_tokens")]
        assert used == [40, 11, 51]
        assert conversation.totals.requests == 2
        assert [turn.outcome for turn in conversation.turns] == ["whole", "whole"]
        assert all(turn.seconds > 0 for turn in conversation.turns)
    last = server.requests[-1].raw.decode()
    for words in ("Be brief.", "Are you?", "I am.", "Since when?"):
        assert words in last


async def test_tools(way: Way, server: PracticeServer) -> None:
    for _ in range(2):
        server.reply(Reply(tool_calls=[ToolCallScript("add", {"a": 1})], usage=Tokens(prompt=10, completion=5)))
        server.reply("Two.", usage=Tokens(prompt=20, completion=5))
    async with LLMRing() as service:
        conversation = service.conversation("chatbot", tools=[add], tool_choice="required")
        assert (await conversation.ask("1 + 1?")).content == "Two."
        steps = [step async for step in conversation.stream("And again?")]
        assert [type(it) for it in steps if not isinstance(it, StreamChunk)] == [ToolCalled, ToolResult]
        assert [it.role for it in conversation.messages] == ["user", "assistant", "tool", "assistant"] * 2
        assert [it.usage and it.usage["total_tokens"] for it in conversation.turns] == [40, 40]
        assert conversation.usage is not None
        assert conversation.usage["total_tokens"] == 80


async def test_a_structured_answer(server: PracticeServer) -> None:
    class Sum(BaseModel):
        total: int

    server.reply('{"total": "?"}')
    server.reply('{"total": 2}')
    async with LLMRing() as service:
        conversation = service.conversation("openai:m", response_format=Sum, retries_on_misfit=1)
        assert (await conversation.ask("1 + 1?")).parsed == Sum(total=2)
        # What did not fit is no part of it.
        assert [it.role for it in conversation.messages] == ["user", "assistant"]


# What is not whole


@pytest.mark.parametrize("how", ["ask", "stream"])
async def test_what_fails_leaves_nothing_behind(way: Way, server: PracticeServer, how: str) -> None:
    server.reply("One.")
    server.reply(Reply(chunks=["T", "w"], fault=Fault("cut", after=2)))
    server.reply("Two.")
    async with LLMRing(max_retries=0) as service:
        conversation = service.conversation("chatbot")
        await conversation.ask("1?")
        before = said(conversation)
        with pytest.raises(ProviderConnectionError) as raised:
            await (conversation.ask("2?") if how == "ask" else conversation.stream("2?").final_run())
        assert said(conversation) == before
        if how == "stream":
            assert raised.value.partial is not None
            assert raised.value.partial.content == "Tw"
        assert conversation.totals.requests == 2
        assert not conversation.totals.is_whole
        assert (await conversation.ask("2?")).content == "Two."
        assert len(conversation.turns) == 2


@pytest.mark.parametrize("leaving", ["break", "aclose", "cancel", "task"])
@pytest.mark.parametrize("kept", [False, True])
async def test_what_is_left_early(way: Way, server: PracticeServer, leaving: str, kept: bool) -> None:
    server.reply(Reply(chunks=["x"] * 500, interval=0.02))
    server.reply("Hello.")
    async with LLMRing() as service:
        conversation = Conversation(service, "chatbot", keep_partial=kept)
        stream = conversation.stream("Go on")
        text = ""
        async for step in stream:
            assert isinstance(step, StreamChunk)
            text += step.delta
            if text:
                break
        if leaving == "break":
            del stream
        elif leaving == "aclose":
            await stream.aclose()
        elif leaving == "cancel":
            stream.cancel()
            with pytest.raises(LLMRingError):
                await stream.final_run()
        else:
            task = asyncio.ensure_future(stream.final_run())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(server.requests[-1].closed_by_client.wait, 60)
        (turn,) = conversation.turns if kept else [None]
        if turn is not None:
            assert turn.outcome == "stopped"
            assert [it.role for it in turn.messages] == ["user", "assistant"]
            assert str(turn.answer[0].content).startswith(text)
        assert (await conversation.ask("Hello?")).content == "Hello."
        assert len(conversation.messages) == (4 if kept else 2)


async def test_the_final_chunk_ends_the_turn(way: Way, server: PracticeServer) -> None:
    server.reply("Hello.")
    async with LLMRing() as service:
        conversation = service.conversation("chatbot")
        async for chunk in conversation.stream("Hello?"):
            if isinstance(chunk, StreamChunk) and chunk.finish_reason:
                break
        assert len(conversation.turns) == 1
        await conversation.ask("And?")


async def test_a_turn_that_failed_is_kept_where_it_is_wanted(server: PracticeServer) -> None:
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1})])
    server.reply(status=400)
    server.reply("Hello.")
    async with LLMRing(max_retries=0) as service:
        conversation = Conversation(service, "anthropic:m", tools=[add], keep_partial=True)
        with pytest.raises(ProviderResponseError):
            await conversation.ask("1 + 1?")
        (turn,) = conversation.turns
        assert (turn.outcome, [it.role for it in turn.answer]) == ("failed", ["assistant", "tool"])
        assert "400" in (turn.error or "")
        assert (await conversation.ask("Hello?")).content == "Hello."
        conversation = Conversation(service, "anthropic:m", keep_partial=True)
        server.reply(status=400)
        with pytest.raises(ProviderResponseError):
            await conversation.ask("Hello?")
        assert (len(conversation.turns), conversation.messages) == (1, [])


async def test_the_limit_of_rounds_is_an_error_that_has_all(server: PracticeServer) -> None:
    server.default = Reply(tool_calls=[ToolCallScript("add", {"a": 1})])
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m", tools=[add], max_rounds=2)
        with pytest.raises(ToolRoundsError) as raised:
            await conversation.ask("1 + 1?")
        assert len(raised.value.run.rounds) == 2
        assert conversation.messages == []
        assert conversation.usage is not None


async def test_what_is_under_way_can_be_seen(server: PracticeServer) -> None:
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1})])
    server.reply(Reply(chunks=["x"] * 500, interval=0.02))
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m", tools=[add])
        assert conversation.under_way is None
        async with conversation.stream("1 + 1?") as stream:
            async for step in stream:
                if isinstance(step, StreamChunk) and step.delta:
                    break
            turn = conversation.under_way
            assert turn is not None
            assert [it.role for it in turn.messages] == ["user", "assistant", "tool", "assistant"]
            assert turn.outcome == "stopped"
            assert turn.text.startswith("x")
        assert conversation.under_way is None
        assert conversation.turns == []


@pytest.mark.parametrize("how", ["ask", "stream"])
async def test_one_question_at_a_time(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(Reply(chunks=["x"] * 500, interval=0.02))
    server.reply("Hello.")
    async with LLMRing() as service:
        conversation = service.conversation("chatbot")
        stream = conversation.stream("1?")
        await anext(stream)
        with pytest.raises(LLMRingError, match="one question at a time"):
            await (conversation.ask("2?") if how == "ask" else anext(conversation.stream("2?")))
        # The first one is none the worse for it.
        await anext(stream)
        await stream.aclose()
        assert (await conversation.ask("3?")).content == "Hello."
        server.default = Reply("ok")
        both = await asyncio.gather(conversation.ask("4?"), conversation.ask("5?"), return_exceptions=True)
        assert [isinstance(it, LLMRingError) for it in both] == [False, True]
        assert len(conversation.turns) == 2


async def test_a_question_that_is_refused_is_forgotten(server: PracticeServer) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m")
        for question in (
            3,
            None,
            {"type": "text", "text": "Hello?"},
            [],
            [Message(role="user"), {"type": "text"}],
            [{"type": "nonsense"}],
        ):
            with pytest.raises(LLMRingError):
                await conversation.ask(question)  # type: ignore[arg-type]
        with pytest.raises(LLMRingError):
            await conversation.ask([image(Path("nowhere.png"))])
        server.reply("Hello.")
        await conversation.ask("Hello?")
        assert len(conversation.turns) == 1


# Calls that are the caller's


async def test_pending_calls_are_answered_first(way: Way, server: PracticeServer) -> None:
    server.reply(tool_calls=[ToolCallScript("approve", {}), ToolCallScript("add", {"a": 1})])
    server.reply("Approved.")
    async with LLMRing() as service:
        conversation = service.conversation("chatbot", tools=[add, DEFINITION])
        response = await conversation.ask("May I?")
        assert response.finish_reason == "tool_calls"
        with pytest.raises(InvalidRequestError, match=r"what came of approve \("):
            await conversation.ask("Well?")
        call = next(it for it in response.tool_calls or () if it["function"]["name"] == "approve")
        answer = Message(role="tool", tool_call_id=call["id"], content="yes")
        assert (await conversation.ask([answer])).content == "Approved."
        assert [it.role for it in conversation.messages] == ["user", "assistant", "tool", "tool", "assistant"]
        conversation.undo()
        conversation.undo()
        server.reply("Hello.")
        await conversation.ask("Hello?")


# Files


async def test_saved_on_one_provider_and_gone_on_with_on_another(
    way: Way, server: PracticeServer, tmp_path: Path
) -> None:
    path = tmp_path / "talk.json"
    server.reply(
        Reply(chunks=["I "], reasoning=["Hm"], tool_calls=[ToolCallScript("add", {"a": 1})], usage=Tokens(10, 5))
        if way.wire != "openai-responses"
        else Reply(tool_calls=[ToolCallScript("add", {"a": 1})], usage=Tokens(10, 5))
    )
    server.reply("am.", usage=Tokens(30, 6))
    async with LLMRing() as service:
        first = service.conversation("chatbot", system="Be brief.", tools=[add], max_tokens=100, metadata={"a": 1})
        await first.ask("Are you?")
        first.save(path)
        kept = [message.metadata for message in first.messages]
        for other in WAYS:
            bind({"chatbot": [other.model]}, other.settings)
            for again in (Conversation.load(service, path, tools=[add]), Conversation.load(service, path)):
                assert again.messages == first.messages
                assert [message.metadata for message in again.messages] == kept
                assert (again.model, again.system, again.usage) == ("chatbot", "Be brief.", first.usage)
                assert again.turns[0].text == "am."
                server.reply("Yes.", usage=Tokens(40, 1))
                assert (await again.ask("Sure?")).content == "Yes."
                assert again.usage is not None
                assert again.usage["total_tokens"] == 51 + 41
                sent = server.requests[-1].raw.decode()
                assert "Be brief." in sent
                assert "Are you?" in sent
                assert b"100" in server.requests[-1].raw
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == sorted({"talk.json", "llmring.lock"} & set(os.listdir(tmp_path)))


async def test_what_the_issuer_wants_back_survives_the_file(server: PracticeServer, tmp_path: Path) -> None:
    server.reply(Reply(chunks=["Yes"], reasoning=["Hm"]), wire="anthropic")
    async with LLMRing() as service:
        first = service.conversation("anthropic:m")
        await first.ask("Are you?")
        assert first.messages[-1].metadata
        first.save(tmp_path / "talk.json")
        again = Conversation.load(service, tmp_path / "talk.json")
        await again.ask("Sure?")
        elsewhere = Conversation.load(service, tmp_path / "talk.json", model="openai:m")
        await elsewhere.ask("Sure?")
    here, there = server.requests[1:]
    assert "Hm" in here.raw.decode()
    assert "Hm" not in there.raw.decode()


async def test_pictures_are_kept_as_they_were(server: PracticeServer, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(PIXEL)
    async with LLMRing() as service:
        conversation = service.conversation("openai:m")
        await conversation.ask([image(picture), parts.text("What is it?")])
        picture.unlink()
        await conversation.ask("Sure?")
        conversation.save(tmp_path / "talk.json")
        await Conversation.load(service, tmp_path / "talk.json").ask("Really?")
    assert b"base64" in server.requests[-1].raw


async def test_a_file_is_replaced_whole(server: PracticeServer, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text("old")
    path.chmod(0o644)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m", messages=[Message(role="user", content="half \ud800 ü")])
        conversation.save(link)
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_bytes())["turns"][0]["answer"][0]["content"] == "half \ud800 ü"
        assert Conversation.load(service, path).messages == conversation.messages
        before = path.read_bytes()
        conversation.system = "Be brief."
        conversation.turns[0].answer[0].metadata["odd"] = {(1, 2): 3}  # which JSON has no word for
        with pytest.raises(TypeError):
            conversation.save(path)
        assert path.read_bytes() == before
        del conversation.turns[0].answer[0].metadata["odd"]
        with pytest.raises(FileNotFoundError):
            conversation.save(tmp_path / "nowhere" / "talk.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "lacks"),
        ('{"model": "m", "turns": []}', 'lacks "llmring": "conversation"'),
        ('{"llmring": "conversation", "version": 2, "model": "m"}', "version 2, and this release"),
        ('{"llmring": "conversation", "model": "m"}', "version None"),
        ('{"llmring": "conversation", "version": 1}', "broken conversation: model: Field required"),
        (
            '{"llmring": "conversation", "version": 1, "model": "m", "turns": [{"asked": "m", "answer": [{}]}]}',
            r"turns\.0\.answer\.0\.role",
        ),
        (
            '{"llmring": "conversation", "version": 1, "model": "m", "request": {"future": 1}}',
            "future",
        ),
        ('{"llmring": "conversation", "version": 1, "model": "m", "totals": {"cost": NaN}}', r"totals\.cost"),
        ('{"llmring": "conversation", "version": 1, "model": "m", "totals": {"cost": -1}}', r"totals\.cost"),
    ],
)
def test_a_file_that_is_none(bare: Path, content: str, words: str) -> None:
    path = bare / "talk.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        Conversation.load(LLMRing(), path)


def test_a_file_that_is_not_there(bare: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Conversation.load(LLMRing(), bare / "talk.json")


async def test_what_json_cannot_say_is_given_again(server: PracticeServer, tmp_path: Path) -> None:
    class Sum(BaseModel):
        total: int

    server.default = Reply('{"total": 2}')
    async with LLMRing() as service:
        fields: dict[str, Any] = {"response_format": Sum, "temperature": 0.5, "metadata": {"path": Path()}}
        conversation = service.conversation("openai:m", tools=[add, DEFINITION], **fields)
        await conversation.ask("1 + 1?")
        conversation.save(tmp_path / "talk.json")
        again = Conversation.load(service, tmp_path / "talk.json", system="New.", temperature=0.1)
        assert again.tools == [DEFINITION]
        assert again.system == "New."
        assert (await again.ask("Sure?")).parsed is None
    assert json.loads((tmp_path / "talk.json").read_text())["request"] == {"temperature": 0.5, "tools": [DEFINITION]}
    assert server.requests[-1].body["temperature"] == 0.1


# The rest


async def test_cost_is_of_all_that_was_asked(server: PracticeServer, tmp_path: Path) -> None:
    class Priced(LLMRing):
        """At this server nobody bills."""

        def calculate_cost(self, response: Answered) -> Cost:
            tokens = response.usage["total_tokens"] if response.usage else 0
            return Cost(tokens / 2, tokens / 2, float(tokens), response.model)

    server.default = Reply("Hello.", usage=Tokens(10, 5))
    async with LLMRing() as service:
        free = service.conversation("openai:m")
        await free.ask("Hello?")
        assert (free.cost, free.totals.is_whole) == (None, True)
    async with Priced() as service:
        conversation = service.conversation("openai:m")
        await conversation.ask("Hello?")
        assert conversation.cost == 15
        await conversation.ask("Hello?")
        conversation.undo()
        assert conversation.cost == 30
        assert len(conversation.turns) == 1
        conversation.save(tmp_path / "talk.json")
        again = Conversation.load(service, tmp_path / "talk.json")
        assert (again.cost, again.turns[0].cost) == (30, 15)
        assert again.totals == conversation.totals


async def test_undo_and_fork(server: PracticeServer) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m", system="Be brief.")
        with pytest.raises(LLMRingError, match="Nothing was said"):
            conversation.undo()
        await conversation.ask("1?")
        other = conversation.fork()
        await other.ask("2?")
        assert (len(conversation.turns), len(other.turns)) == (1, 2)
        assert other.totals.requests == 1
        assert conversation.undo().question[0].content == "1?"
        assert conversation.messages == []
        assert len(other.messages) == 4
        assert "Be brief." in server.requests[-1].raw.decode()


async def test_what_is_changed_holds_from_the_next_question_on(server: PracticeServer) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("anthropic:m", messages=[Message(role="user", content="Before")])
        conversation.model, conversation.system = "openai:n", "New."
        await conversation.ask("Hello?")
        assert conversation.turns[-1].asked == "openai:n"
    body = server.requests[-1].body
    assert body["model"] == "n"
    assert [it["content"] for it in body["messages"]] == ["New.", "Before", "Hello?"]


async def test_what_is_no_field(server: PracticeServer) -> None:
    async with LLMRing() as service:
        with pytest.raises(ValidationError, match="temprature"):
            service.conversation("anthropic:m", temprature=1)
        with pytest.raises(ConfigurationError, match="max_rounds"):
            service.conversation("anthropic:m", max_rounds=0)
        with pytest.raises(ConfigurationError, match=r"Conversation\(service, model\)"):
            Conversation("anthropic:m", "Hello?")  # type: ignore[arg-type]
        waiting = service.conversation("anthropic:m").ask("Hello?")
        with pytest.raises(AttributeError, match="was not awaited"):
            waiting.content  # type: ignore[attr-defined]  # noqa: B018
        await waiting


async def test_closed_while_its_files_are_read(server: PracticeServer, tmp_path: Path) -> None:
    """Whatever is closed before it has begun, the next question can be asked."""
    picture = tmp_path / "cat.png"
    picture.write_bytes(PIXEL)
    async with LLMRing() as service:
        conversation = service.conversation("openai:m")
        for close in ("aclose", "cancel"):
            stream = conversation.stream([image(picture), parts.text("What is it?")])
            task = asyncio.ensure_future(stream.final_run())
            await asyncio.sleep(0)
            if close == "aclose":
                await stream.aclose()
            else:
                stream.cancel()
            with pytest.raises(LLMRingError):
                await task
            await conversation.ask("Hello?")
        assert len(conversation.turns) == 2


async def test_what_other_libraries_call_it_says_what_is_meant(server: PracticeServer) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("openai:m")
        for name, words in (("send", r"`await conversation\.ask"), ("history", r"`conversation\.messages`")):
            with pytest.raises(AttributeError, match=f"has no attribute '{name}'.*{words}"):
                getattr(conversation, name)
        assert not hasattr(conversation, "anything")
    with llmring.sync.LLMRing() as synchronous, pytest.raises(AttributeError, match=r"To ask: `conversation\.ask"):
        synchronous.conversation("openai:m").send("Hi")  # type: ignore[attr-defined]


def test_a_message_by_position() -> None:
    with pytest.raises(TypeError, match=r'by name: Message\(role="user", content="\.\.\."\)'):
        Message("user", "Hi")  # type: ignore[call-arg]
    message = Message(role="user", content="Hi")
    assert copy.deepcopy(message) == message.model_copy() == Message.model_validate(message.model_dump()) == message
