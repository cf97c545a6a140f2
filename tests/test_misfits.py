"""Structured answers that do not have their form, and are asked for again."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from llmring import LLMRequest, LLMRing, sync
from llmring.exceptions import ProviderConnectionError, ProviderResponseError, ProviderTimeoutError
from llmring.testing import Fault, PracticeServer, Reply, Tokens, ToolCallScript

from .conftest import Way, bind
from .faults.ground import Ground, ask


class Sum(BaseModel):
    total: int


WRONG, RIGHT = '{"total": "many"}', '{"total": 4}'
FORM = ask("chatbot", response_format=Sum, retries_on_misfit=1)
DEFINITION = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def used(given: int, made: int) -> Tokens:
    return Tokens(prompt=given, completion=made)


@pytest.mark.parametrize("how", ["chat", "final_response"])
async def test_the_model_is_told_what_did_not_fit(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(WRONG, usage=used(10, 5))
    server.reply(RIGHT, usage=used(30, 4))
    async with LLMRing() as service:
        response = await (service.chat(FORM) if how == "chat" else service.chat_stream(FORM).final_response())
        assert response.parsed == Sum(total=4)
        assert response.content == RIGHT
        assert response.retries == 1
        assert response.usage is not None
        assert (response.usage["prompt_tokens"], response.usage["completion_tokens"]) == (40, 9)
        assert [it.usage and it.usage["prompt_tokens"] for it in response.served] == [10, 30]
    first, second = server.requests
    assert first.stream == second.stream == (how != "chat")
    assert WRONG not in first.raw.decode()
    told = second.raw.decode()
    assert "many" in told
    assert "total: Input should be a valid integer" in told


async def test_it_is_asked_as_often_as_said(way: Way, server: PracticeServer) -> None:
    server.default = Reply(WRONG, usage=used(10, 5))
    async with LLMRing() as service:
        with pytest.raises(ProviderResponseError) as raised:
            await service.chat(FORM.model_copy(update={"retries_on_misfit": 2}))
    assert len(server.requests) == 3
    error = raised.value
    assert error.misfits
    assert "total" in error.misfits[0]
    assert error.partial is not None
    assert error.partial.content == WRONG
    assert error.partial.retries == 2
    assert error.partial.usage is not None
    assert error.partial.usage["total_tokens"] == 45
    assert pickle.loads(pickle.dumps(error)).misfits == error.misfits


@pytest.mark.parametrize("fields", [{}, {"retries_on_misfit": 0}])
async def test_without_it_nothing_is_asked_again(server: PracticeServer, fields: dict[str, Any]) -> None:
    server.default = Reply(WRONG)
    async with LLMRing() as service:
        with pytest.raises(ProviderResponseError):
            await service.chat(ask("anthropic:m", response_format=Sum, **fields))
    assert len(server.requests) == 1


async def test_what_a_reader_has_seen_is_not_taken_back(way: Way, server: PracticeServer) -> None:
    server.default = Reply(WRONG)
    async with LLMRing() as service:
        stream, seen = service.chat_stream(FORM), ""
        with pytest.raises(ProviderResponseError) as raised:  # noqa: PT012
            async for chunk in stream:
                seen += chunk.delta
        assert seen == WRONG
        assert raised.value.misfits
        with pytest.raises(ProviderResponseError):
            await stream.final_response()
        begun = service.chat_stream(FORM)
        await anext(begun)
        with pytest.raises(ProviderResponseError):
            await begun.final_response()
    assert len(server.requests) == 2


async def test_a_stream_of_another_form_is_over_and_its_connection_free(way: Way, server: PracticeServer) -> None:
    """There is one connection, and whoever asks next has it, though somebody still holds the stream."""
    server.default = Reply(WRONG)
    async with LLMRing(max_connections=1, timeout=10, max_retries=0) as service:
        stream = service.chat_stream(FORM)
        with pytest.raises(ProviderResponseError):
            [chunk async for chunk in stream]
        assert [chunk async for chunk in stream] == []
        server.default = Reply("Yes.")
        assert (await service.chat(FORM.model_copy(update={"response_format": None}))).content == "Yes."


async def test_nobody_asks_again_for_what_would_be_the_same(server: PracticeServer) -> None:
    server.reply(WRONG, finish_reason="length")
    server.reply("I will not.", finish_reason="content_filter")
    async with LLMRing() as service:
        asked = FORM.model_copy(update={"model": "openai:m"})
        with pytest.raises(ProviderResponseError, match="max_tokens") as cut:
            await service.chat(asked)
        with pytest.raises(ProviderResponseError, match="refused") as refused:
            await service.chat(asked)
    assert len(server.requests) == 2
    assert cut.value.misfits
    assert refused.value.misfits == ()


async def test_calls_are_no_misfit(server: PracticeServer) -> None:
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1})])
    async with LLMRing() as service:
        response = await service.chat(FORM.model_copy(update={"model": "anthropic:m", "tools": [DEFINITION]}))
    assert response.tool_calls
    assert len(server.requests) == 1


async def test_an_answer_that_says_nothing(way: Way, server: PracticeServer) -> None:
    server.reply("  ")
    server.reply(RIGHT)
    async with LLMRing() as service:
        assert (await service.chat(FORM)).parsed == Sum(total=4)
    assert len(server.requests) == 2


async def test_a_schema_and_any_object_are_asked_for_again_too(server: PracticeServer) -> None:
    schema = {"type": "object", "properties": {"n": {"maximum": 3}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    async with LLMRing() as service:
        for asked, wrong, words in (
            ({"response_format": form}, '{"n": 4}', "4 is greater than the maximum of 3"),
            ({"json_response": True}, "[1]", "It is JSON, but no object"),
            ({"response_format": int}, "four", "It is not JSON"),
        ):
            server.reply(wrong)
            server.reply('{"value": 1}' if asked.get("response_format") is int else '{"n": 1}')
            response = await service.chat(ask("ollama:m", retries_on_misfit=1, **asked))
            assert response.parsed in (1, {"n": 1})
            assert words in server.requests[-1].raw.decode().replace("\\", "")


async def test_the_binding_may_say_it(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m"]}, "params = { retries_on_misfit = 1 }\n")
    server.reply(WRONG)
    server.reply(RIGHT)
    async with LLMRing() as service:
        assert (await service.chat(ask("chatbot", response_format=Sum))).parsed == Sum(total=4)
    assert b"retries_on_misfit" not in server.requests[0].raw


async def test_the_stand_by_gives_the_right_one(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:m", "openai:n"]})
    server.reply(WRONG, wire="anthropic")
    server.reply(status=500, wire="anthropic")
    server.reply(RIGHT, wire="openai-chat")
    async with LLMRing() as service:
        response = await service.chat(FORM)
    assert (response.parsed, response.model) == (Sum(total=4), "openai:n")
    assert [it.model for it in response.served] == ["anthropic:m", "openai:n"]
    assert [it.provider for it in response.attempts] == ["anthropic"]
    assert b"many" in server.requests[-1].raw


async def test_a_failure_after_it_is_the_error(server: PracticeServer) -> None:
    server.reply(WRONG)
    server.reply(fault=Fault("hang_up"))
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError):
            await service.chat(FORM.model_copy(update={"model": "anthropic:m"}))


async def test_the_deadline_is_of_all_of_it(server: PracticeServer) -> None:
    server.reply(WRONG)
    server.reply(fault=Fault("never_answer"))
    async with LLMRing() as service:
        with pytest.raises(ProviderTimeoutError, match="deadline"):
            await service.chat(FORM.model_copy(update={"model": "anthropic:m", "deadline": 1.5}))


async def test_it_is_told_in_the_log(server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmring")
    server.reply(WRONG)
    server.reply(RIGHT)
    async with LLMRing() as service:
        await service.chat(FORM.model_copy(update={"model": "anthropic:m"}))
    assert "asking anthropic:m again" in caplog.text


@pytest.mark.parametrize("value", [-1, 1.5, "1", None])
def test_only_numbers(value: Any) -> None:
    with pytest.raises(ValidationError, match="retries_on_misfit"):
        LLMRequest(model="m", messages=[], retries_on_misfit=value)


def test_the_synchronous_face(practice: Ground) -> None:
    practice.server.reply(WRONG)
    practice.server.reply(RIGHT)
    with sync.LLMRing(practice.path, api_keys={"anthropic": "practice"}) as service:
        assert service.chat(FORM.model_copy(update={"model": "anthropic:m"})).parsed == Sum(total=4)


@pytest.mark.parametrize("how", ["chat", "final_response"])
async def test_what_did_not_fit_holds_no_connection(way: Way, server: PracticeServer, how: str) -> None:
    server.reply(WRONG)
    server.reply(RIGHT)
    async with LLMRing(max_connections=1, timeout=10) as service:
        response = await (service.chat(FORM) if how == "chat" else service.chat_stream(FORM).final_response())
    assert response.parsed == Sum(total=4)
