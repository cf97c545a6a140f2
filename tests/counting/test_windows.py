"""Whether a request fits into a model's window: asked for, and before each request is sent."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from llmring import ContextCheck, LLMRequest, LLMResponse, LLMRing, Message
from llmring.counting import Limits, TokenCount, check
from llmring.exceptions import ContextLengthError, LLMRingError, ProviderResponseError
from llmring.parts import document
from llmring.testing import Fault, PracticeServer, Reply, Tokens

from ..conftest import bind

# Their windows are those of the recorded price data.
SMALL, LARGE, UNKNOWN = "anthropic:claude-haiku-4-5", "google:gemini-2.5-flash", "anthropic:model-1"
LONG = "The quick brown fox jumps over the lazy dog. " * 20_000
"""A million characters, two hundred thousand tokens."""


@pytest.fixture
def billed(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> PracticeServer:
    """The practice server, through a proxy: nothing is known of the models of a host of one's own."""
    for name, value in server.environ("http://gateway.invalid").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return server


def ask(model: str, text: str = "Hi", **fields: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=text)], **fields)


async def answered(service: LLMRing, request: LLMRequest, stream: bool) -> LLMResponse:
    return await (service.chat_stream(request).final_response() if stream else service.chat(request))


def count(tokens: int, model: str = "openai:gpt-4.1", at_least: int | None = None) -> TokenCount:
    exact = at_least is None
    return TokenCount(model, tokens, exact, "provider" if exact else "characters", at_least or tokens, 2 * tokens)


# Asked for


async def test_a_request_that_fits(billed: PracticeServer) -> None:
    billed.reply(usage=Tokens(150_000, 0), wire="counting")
    async with LLMRing() as service:
        found = await service.validate_context_limit(ask(SMALL, max_tokens=50_000))
    assert found == ContextCheck(
        TokenCount(SMALL, 150_000, True, "provider", 150_000, 150_000), 200_000, "the provider", 50_000
    )


async def test_one_that_does_not(billed: PracticeServer) -> None:
    billed.reply(usage=Tokens(200_001, 0), wire="counting")
    async with LLMRing() as service:
        with pytest.raises(ContextLengthError) as caught:
            await service.validate_context_limit(ask(SMALL))
    error = caught.value
    assert (error.provider, error.model, error.status_code) == ("anthropic", "claude-haiku-4-5", None)
    assert "it has 200,001 tokens, and the window is 200,000 tokens (the provider)" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


async def test_the_answer_that_is_asked_for_must_fit_too(billed: PracticeServer, bare: Path) -> None:
    path = bind({"chatbot": [SMALL]})
    path.write_text(path.read_text() + "params = { max_tokens = 60000 }\n")
    async with LLMRing() as service:
        billed.reply(usage=Tokens(150_000, 0), wire="counting", times=2)
        with pytest.raises(ContextLengthError, match=r"asks for an answer of up to 60,000 \(max_tokens\)"):
            await service.validate_context_limit(ask("chatbot"))
        assert (await service.validate_context_limit(ask("chatbot", max_tokens=50_000))).room == 50_000


async def test_where_the_window_is_not_known_nothing_is_refused(billed: PracticeServer) -> None:
    billed.reply(usage=Tokens(10**9, 0), wire="counting")
    async with LLMRing() as service:
        found = await service.validate_context_limit(ask(UNKNOWN))
    assert (found.window, found.source, found.room) == (None, None, None)


def test_of_an_estimate_the_least_counts() -> None:
    limits = Limits(1000, "a test")
    assert check(count(1500, at_least=1000), limits, None).room == 0
    with pytest.raises(ContextLengthError, match="about 1,500 tokens, at least 1,001"):
        check(count(1500, at_least=1001), limits, None)


def test_the_room_is_what_the_model_may_generate_at_most() -> None:
    assert check(count(100), Limits(1000, "a test", 300), None).room == 300
    assert check(count(900), Limits(1000, "a test", 300), None).room == 100
    assert check(count(900), Limits(1000, "a test"), None).room == 100
    # Gemini's window is the input's alone.
    assert check(count(900, "google:gemini-2.5-flash"), Limits(1000, "a test", 300), 300).room == 300
    assert check(count(900, "google:gemini-2.5-flash"), Limits(1000, "a test"), 300).room is None


# Before each request


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_one_that_fits_nowhere_is_not_sent(billed: PracticeServer, stream: bool, bare: Path) -> None:
    bind({"chatbot": [SMALL, "openai:gpt-4.1"]})
    request = ask("chatbot", LONG * 12)
    async with LLMRing(check_context=True) as service:
        with pytest.raises(ContextLengthError) as caught:
            await answered(service, request, stream)
    assert billed.requests == []
    error = caught.value
    assert (error.provider, error.model) == ("openai", "gpt-4.1")
    assert "was not sent: it has about 2," in str(error)
    assert "Tried before it, in vain: anthropic:claude-haiku-4-5." in str(error)
    [first] = error.attempts
    assert isinstance(first, ContextLengthError)
    assert "the window is 200,000 tokens (the catalogue)" in str(first)
    assert any("200,000" in note for note in error.__notes__)


@pytest.mark.long
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_stand_by_with_a_larger_window_serves(
    billed: PracticeServer, stream: bool, bare: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bind({"chatbot": [SMALL, LARGE]})
    async with LLMRing(check_context=True) as service:
        with caplog.at_level(logging.WARNING, "llmring"):
            response = await answered(service, ask("chatbot", LONG * 3), stream)
        assert response.model == LARGE
        assert [type(it) for it in response.attempts] == [ContextLengthError]
        assert f"chatbot: moving on from {SMALL} to {LARGE}: The input does not fit" in caplog.text
        assert [it.model for it in billed.requests] == ["gemini-2.5-flash"]
        # It says nothing of how the model serves.
        assert [it.model for it in service.breakers()] == [LARGE]
        assert (await answered(service, ask("chatbot"), stream)).model == SMALL


async def test_what_may_fit_is_sent(billed: PracticeServer) -> None:
    """A million characters are likely too many for 200,000 tokens, and not certainly."""
    async with LLMRing(check_context=True) as service:
        assert (await service.chat(ask(SMALL, LONG))).content
        assert (await service.chat(ask(UNKNOWN, LONG * 3))).content
        assert (await service.chat(ask(SMALL, " " * 3_000_000 + "Hi"))).content


async def test_one_that_says_so_itself_does_not_move_on(billed: PracticeServer, bare: Path) -> None:
    """As ever: what a provider refuses is the caller's to see."""
    bind({"chatbot": [SMALL, LARGE]})
    billed.reply(problem="too_long")
    async with LLMRing(check_context=True) as service:
        with pytest.raises(ContextLengthError) as caught:
            await service.chat(ask("chatbot"))
    assert caught.value.status_code == 400
    assert len(billed.requests) == 1


async def test_a_window_of_the_lockfile_counts_most(billed: PracticeServer, bare: Path) -> None:
    bind({"chatbot": [SMALL]}, f'[models."{SMALL}"]\ncontext_window = 1000\n')
    request = ask("chatbot", "word " * 5000)
    async with LLMRing(check_context=True) as service:
        with pytest.raises(ContextLengthError, match=r"the window is 1,000 tokens \(the lockfile\)"):
            await service.chat(request)
        with pytest.raises(ContextLengthError, match="it has 5,000 tokens"):
            await service.validate_context_limit(request)
    assert {it.wire for it in billed.requests} <= {"counting", "models"}


async def test_not_asked_for_it_is_not_looked_at(billed: PracticeServer) -> None:
    async with LLMRing() as service:
        assert service.check_context is False
        assert (await service.chat(ask(SMALL, LONG * 3))).content


async def test_tools_and_files_count(billed: PracticeServer, tmp_path: Path, bare: Path) -> None:
    (tmp_path / "long.txt").write_text(LONG * 3)
    content = [document(tmp_path / "long.txt")]
    tool = {"type": "function", "function": {"name": "f", "description": LONG * 3, "parameters": {"type": "object"}}}
    async with LLMRing(check_context=True) as service:
        for request in (
            LLMRequest(model=SMALL, messages=[Message(role="user", content=content)]),
            ask(SMALL, tools=[tool]),
        ):
            with pytest.raises(ContextLengthError):
                await service.chat(request)
    assert billed.requests == []


async def test_the_loop_goes_on_meanwhile(billed: PracticeServer) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async with LLMRing(check_context=True) as service:
        with pytest.raises(ContextLengthError):
            await service.chat(ask(SMALL, LONG * 3))  # the price data is loaded by now
        ticking = asyncio.create_task(tick())
        with pytest.raises(ContextLengthError):
            await service.chat(ask(SMALL, LONG * 8))
        ticking.cancel()
    assert ticks > 3


async def test_an_answer_that_broke_off_goes_on_where_it_fits(billed: PracticeServer, bare: Path) -> None:
    bind({"chatbot": [LARGE, SMALL]})
    billed.reply(Reply(chunks=["Once ", "upon "], fault=Fault.cut_after(1)), model="gemini-2.5-flash")
    async with LLMRing(check_context=True, max_retries=0) as service:
        with pytest.raises(LLMRingError) as caught:
            await service.chat_stream(ask("chatbot", LONG * 3, on_interrupt="resume")).final_response()
    assert isinstance(caught.value, ContextLengthError)
    assert [it.model for it in billed.requests] == ["gemini-2.5-flash"]
    assert not isinstance(caught.value.attempts[0], ProviderResponseError)


async def test_the_window_that_a_request_itself_sets_counts(server: PracticeServer, bare: Path) -> None:
    """Ollama loads a model with the `num_ctx` of the request, whatever it was made or started with."""
    bind({}, '[models."ollama:*"]\ncontext_window = 4096\n')
    large = {"options": {"num_ctx": 300_000}}
    async with LLMRing(check_context=True) as service:
        with pytest.raises(ContextLengthError, match=r"4,096 tokens \(the lockfile\)"):
            await service.chat(ask("ollama:llama3.2", LONG))
        found = await service.validate_context_limit(ask("ollama:llama3.2", LONG, extra_params=large))
        assert (found.window, found.source) == (300_000, "the request")
        await service.chat(ask("ollama:llama3.2", LONG, extra_params=large))
        with pytest.raises(ContextLengthError, match=r"2,048 tokens \(the request\)"):
            await service.chat(ask("ollama:llama3.2", LONG, extra_params={"options": {"num_ctx": 2048}}))
        odds: list[Any] = [{"num_ctx": "many"}, {"num_ctx": -1}, {}, []]
        for odd in odds:
            found = await service.validate_context_limit(ask("ollama:llama3.2", extra_params={"options": odd}))
            assert found.window == 4096
    assert len([it for it in server.requests if it.path == "/api/chat"]) == 1
