"""Every way to fail comes to the contract's errors, whichever provider fails."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anthropic
import google.genai.errors
import httpx2
import ollama
import openai
import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    ContextLengthError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.providers.base import ProviderConfig
from llmring.providers.openai import OpenAIProvider
from llmring.testing import Fault, PracticeServer, Reply
from llmring.vendors import SDKS

from ..conftest import Way, bind

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")], temperature=0.5)


async def ask(service: LLMRing, stream: bool, request: LLMRequest = ASKED) -> str:
    if stream:
        return "".join([chunk.delta async for chunk in service.chat_stream(request)])
    return (await service.chat(request)).content


async def failure(
    stream: bool, request: LLMRequest = ASKED, *, service: LLMRing | None = None, timeout: float | None = 5.0
) -> ProviderError:
    """The error that a request ends in."""
    if service is None:
        async with LLMRing(max_retries=0, timeout=timeout) as own:
            return await failure(stream, request, service=own)
    with pytest.raises(ProviderError) as raised:
        await ask(service, stream, request)
    return raised.value


streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


STATUSES = {
    400: ProviderResponseError,
    401: ProviderAuthenticationError,
    402: ProviderResponseError,
    403: ProviderAuthenticationError,
    404: ModelNotFoundError,
    408: ProviderResponseError,
    409: ProviderResponseError,
    413: ProviderResponseError,
    422: ProviderResponseError,
    429: ProviderRateLimitError,
    500: ProviderResponseError,
    502: ProviderResponseError,
    503: ProviderResponseError,
    504: ProviderResponseError,
    529: ProviderResponseError,
}
SDK_ERRORS = (openai.APIStatusError, anthropic.APIStatusError, google.genai.errors.APIError, ollama.ResponseError)


@streamed
async def test_every_status(way: Way, server: PracticeServer, stream: bool) -> None:
    async with LLMRing(max_retries=0) as service:
        for status, kind in STATUSES.items():
            server.reply(status=status, error="model: it broke", request_id=f"req_{status}")
            error = await failure(stream, service=service)
            assert type(error) is kind
            assert (error.provider, error.model, error.status_code) == (way.provider, "model-1", status)
            assert error.partial is None
            assert isinstance(error.original, SDK_ERRORS)
            if way.wire not in ("gemini", "ollama"):  # which name none
                assert error.request_id == f"req_{status}"
            for word in ("it broke", f"HTTP {status}", way.provider, "model-1"):
                assert word in str(error)
    assert len(server.requests) == len(STATUSES)


@streamed
async def test_the_practice_servers_own_ids_come_through(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(problem="bad_key")
    error = await failure(stream)
    assert error.request_id == (None if way.wire in ("gemini", "ollama") else server.requests[0].id)


@streamed
async def test_a_page_in_place_of_an_error(way: Way, server: PracticeServer, stream: bool) -> None:
    async with LLMRing(max_retries=0) as service:
        for status in (404, 413, 429, 500, 502, 503):
            server.reply(status=status, body=HTML)
            error = await failure(stream, service=service)
            assert type(error) is (ProviderRateLimitError if status == 429 else ProviderResponseError)
            assert error.status_code == status
            assert "502 Bad Gateway" in str(error)


REFUSED_THINKING = {
    "openai-chat": "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
    "openai-responses": "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    "anthropic": "adaptive thinking is not supported on this model",
    "gemini": "Thinking level is not supported for this model.",
    "ollama": '"model-1" does not support thinking',
}


@streamed
async def test_thinking_that_is_refused(way: Way, server: PracticeServer, stream: bool) -> None:
    """Whatever each vendor calls it, the field to change is the request's own."""
    for field in ({"reasoning_effort": "low"}, {"reasoning_tokens": 2000}):
        server.reply(status=400, error=REFUSED_THINKING[way.wire])
        error = await failure(stream, ASKED.model_copy(update=field))
        assert isinstance(error, ProviderResponseError)
        assert [error.parameter] == [*field]


@streamed
async def test_an_error_without_a_word(way: Way, server: PracticeServer, stream: bool) -> None:
    async with LLMRing(max_retries=0) as service:
        for status in (400, 404, 429, 520):
            server.reply(status=status, body=b"")
            error = await failure(stream, service=service)
            assert error.status_code == status
            assert f"(HTTP {status}): the body is empty. " in f"{error} "


@streamed
async def test_words_that_would_steer(way: Way, server: PracticeServer, stream: bool) -> None:
    """A terminal, or a reader of the log."""
    server.reply(status=500, error="It broke\x1b[2J\x1b]0;title\x07\r\nWARNING all is well\x9b1m")
    error = await failure(stream)
    assert "It broke [2J ]0;title WARNING all is well 1m. " in str(error)
    assert str(error).isprintable()


@streamed
async def test_a_good_status_and_a_page(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(fault=Fault.not_a_stream())
    error = await failure(stream)
    assert type(error) is ProviderResponseError
    assert error.status_code is None
    assert "<html><body>Welcome</body></html>" in str(error)


@streamed
async def test_a_bad_key(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(problem="bad_key")
    error = await failure(stream)
    assert type(error) is ProviderAuthenticationError
    assert error.status_code == (400 if way.wire == "gemini" else 401)
    if way.provider != "ollama":
        assert f"{way.provider.upper()}_API_KEY" in str(error)


@streamed
async def test_an_unknown_model(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(problem="unknown_model")
    error = await failure(stream)
    assert type(error) is ModelNotFoundError
    assert error.status_code == 404
    assert "'model-1'" in str(error)


@streamed
async def test_a_prompt_that_is_too_long(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(problem="too_long")
    error = await failure(stream)
    assert type(error) is ContextLengthError
    assert error.status_code == 400


@streamed
async def test_when_to_try_again(way: Way, server: PracticeServer, stream: bool) -> None:
    soon, past = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (90, -90))
    said: list[tuple[dict[str, str], Any]] = [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": format_datetime(soon, usegmt=True)}, pytest.approx(85, abs=6)),
        ({"retry-after": format_datetime(past, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ]
    async with LLMRing(max_retries=0) as service:
        for headers, seconds in said:
            server.reply(status=429, error="Slow down", headers=headers)
            error = await failure(stream, service=service)
            assert isinstance(error, ProviderRateLimitError)
            assert error.retry_after == seconds
        server.reply(status=429, error="Rate limit reached. Please try again in 1.5s.")
        error = await failure(stream, service=service)
        assert isinstance(error, ProviderRateLimitError)
        assert error.retry_after == 1.5
        assert "Try again in 1.5 s" in str(error)


async def test_googles_own_way_to_say_when(server: PracticeServer) -> None:
    server.reply(status=429, retry_after=34.5)
    error = await failure(True, ASKED.model_copy(update={"model": "google:m"}))
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after == 34.5


async def test_a_parameter_that_is_refused(way: Way, server: PracticeServer) -> None:
    server.reply(status=400, error="Unsupported value: 'temperature' does not support 0.5 with this model.")
    error = await failure(True)
    assert type(error) is ProviderResponseError
    assert error.parameter == "temperature"
    assert "parameter 'temperature'" in str(error)


# The way there


@streamed
async def test_nobody_there(way: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    for name, value in server.environ(server.refused_url()).items():
        monkeypatch.setenv(name, value)
    error = await failure(stream)
    assert type(error) is ProviderConnectionError
    assert (error.provider, error.model) == (way.provider, "model-1")
    assert error.status_code is None
    assert "cannot be reached" in str(error)
    assert error.original is not None


async def test_a_name_that_nobody_has(bare: Any) -> None:
    bind({"chatbot": ["mine:m"]}, '[providers.mine]\nsdk = "openai"\nbase_url = "http://nowhere.invalid/v1"\n')
    error = await failure(True)
    assert type(error) is ProviderConnectionError
    assert "http://nowhere.invalid/v1" in str(error)


@streamed
@pytest.mark.parametrize("fault", [Fault.never_answer(), Fault.headers_only()], ids=lambda fault: fault.kind)
async def test_no_answer(way: Way, server: PracticeServer, fault: Fault, stream: bool) -> None:
    server.reply(fault=fault)
    began = time.monotonic()
    error = await failure(stream, timeout=0.75)
    assert 0.74 < time.monotonic() - began < 20
    assert type(error) is ProviderTimeoutError
    assert (error.provider, error.model, error.partial) == (way.provider, "model-1", None)
    assert "0.75 s" in str(error)
    assert await server.requests[0].closed(60)


@streamed
async def test_it_hangs_up(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply(fault=Fault.hang_up(), times=9)
    assert type(await failure(stream)) is ProviderConnectionError


@pytest.mark.parametrize(
    "fault",
    [Fault.cut_after(2), Fault.reset_after(2), Fault.end_early(2), Fault.end_early()],
    ids=lambda fault: f"{fault.kind} {fault.after}",
)
async def test_a_stream_that_breaks_off(way: Way, server: PracticeServer, fault: Fault) -> None:
    """What came is given first, and is on the error."""
    if way.wire == "openai-chat" and fault == Fault.end_early():
        pytest.skip("it has named its reason, and is whole")
    server.reply(chunks=["Hel", "lo", " there"], fault=fault)
    said = ""
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        with pytest.raises(ProviderConnectionError) as raised:  # noqa: PT012
            async for chunk in stream:
                assert chunk.finish_reason is None
                said += chunk.delta
        error = raised.value
        assert said == ("Hello there" if fault.kind == "end_early" and fault.after > 9 else "Hello")
        assert error.partial is not None
        assert error.partial.content == said
        assert error.partial.model == way.model
        assert error.partial.finish_reason is None
        assert (error.provider, error.model) == (way.provider, "model-1")
        # It is over, and says so again to whoever asks.
        assert [chunk async for chunk in stream] == []
        with pytest.raises(ProviderConnectionError) as again:
            await stream.final_response()
        assert again.value is error
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault", [Fault.cut_after(0), Fault.reset_before_first(), Fault.end_early(0)], ids=lambda fault: fault.kind
)
async def test_a_stream_that_breaks_off_before_it_began(way: Way, server: PracticeServer, fault: Fault) -> None:
    server.reply(fault=fault, times=9)
    error = await failure(True)
    assert type(error) is ProviderConnectionError
    assert error.partial is None


@pytest.mark.parametrize("fault", [Fault.cut_after(1), Fault.reset_after(1)], ids=lambda fault: fault.kind)
async def test_a_whole_answer_that_breaks_off(way: Way, server: PracticeServer, fault: Fault) -> None:
    server.reply("Hello there", fault=fault, times=9)
    assert type(await failure(False)) is ProviderConnectionError


@streamed
@pytest.mark.parametrize("body", [b"", b"\n      \n" * 9], ids=["empty", "white space"])
async def test_a_good_answer_without_a_body(way: Way, server: PracticeServer, body: bytes, stream: bool) -> None:
    """Gateways keep a connection by white space. It is a cut, streamed and whole, and moves on alike."""
    server.reply(body=body, content_type="application/json", times=2, model="model-1")
    assert type(await failure(stream)) is ProviderConnectionError
    bind({"chatbot": [way.model, f"{way.provider}:model-2"]}, way.settings)
    async with LLMRing(max_retries=0) as service:
        answer = service.chat_stream(ASKED).final_response() if stream else service.chat(ASKED)
        assert (await answer).model == f"{way.provider}:model-2"


async def test_a_whole_answer_that_is_cut_in_silence(way: Way, server: PracticeServer) -> None:
    """Where HTTP does not say that it is a cut, JSON does; what had arrived is in `partial`."""
    text = "It was the best of times, it was the worst of times"
    server.reply(text, times=2)
    async with LLMRing(max_retries=0) as service:
        await service.chat(ASKED)
    asked = server.requests[-1]
    async with httpx2.AsyncClient() as client:
        whole = (await client.post(server.url + asked.path, content=asked.raw, headers=asked.headers)).content
    for end in (whole.index(b"worst"), len(whole) - 1):
        server.reply(body=whole[:end], content_type="application/json")
        error = await failure(False)
        assert type(error) is ProviderConnectionError
        assert error.partial is not None
        assert error.partial.content.startswith("It was the best of times")
    server.reply(body=whole + b"x", content_type="application/json")
    assert type(await failure(False)) is ProviderResponseError


@pytest.mark.parametrize("how", ["cut", "reset", "silence"])
async def test_what_had_come_of_a_whole_answer(way: Way, server: PracticeServer, how: str) -> None:
    """However HTTP frames its body, and whatever broke it off, `partial` has its text so far, as for a stream."""
    text = "It was the best of times, it was the worst of times"
    server.reply(text, times=2)
    async with LLMRing(max_retries=0) as service:
        await service.chat(ASKED)
    asked = server.requests[-1]
    async with httpx2.AsyncClient() as client:
        whole = (await client.post(server.url + asked.path, content=asked.raw, headers=asked.headers)).content
    at = whole.index(b"worst")
    faults = {"cut": Fault.cut_after(1), "reset": Fault.reset_after(1), "silence": Fault.stall_after(1)}
    server.reply(body=[whole[:at], whole[at:]], content_type="application/json", fault=faults[how], times=9)
    error = await failure(False, timeout=3.0)
    assert type(error) is (ProviderTimeoutError if how == "silence" else ProviderConnectionError)
    assert error.partial is not None
    assert error.partial.content.startswith("It was the best of times, it was the ")
    assert error.partial.model == way.model


@pytest.mark.parametrize("fault", [Fault.stall_after(2), Fault.chatter_after(2)], ids=lambda fault: fault.kind)
async def test_a_stream_that_stalls(way: Way, server: PracticeServer, fault: Fault) -> None:
    """Or in which only comments come: it is the gap between chunks that counts, not the one between bytes."""
    server.reply(chunks=["Hel", "lo", " there"], fault=fault)
    said, at = "", 0.0
    async with LLMRing(timeout=1.0) as service:
        with pytest.raises(ProviderTimeoutError) as raised:  # noqa: PT012
            async for chunk in service.chat_stream(ASKED):
                said, at = said + chunk.delta, time.monotonic()
        assert 0.9 < time.monotonic() - at < 20
        assert said == "Hello"
        assert raised.value.partial is not None
        assert raised.value.partial.content == "Hello"
        assert await server.requests[0].closed(60)


async def test_an_answer_that_is_whole_but_does_not_end(way: Way, server: PracticeServer) -> None:
    """All has been said, and the connection stays open: that is no failure. Only Gemini has no marker of its end."""
    server.reply(chunks=["Hel", "lo"], fault=Fault.linger())
    began = time.monotonic()
    async with LLMRing(timeout=60 if way.wire != "gemini" else 3) as service:
        response = await service.chat_stream(ASKED).final_response()
        assert (response.content, response.finish_reason) == ("Hello", "stop")
        assert time.monotonic() - began < 20
        assert await server.requests[0].closed(60)


async def test_a_slow_stream_is_none_that_stalls(way: Way, server: PracticeServer) -> None:
    """The timeout is for each wait, not for the whole of a stream; nor does the reader's own time count."""
    server.reply(chunks=["x"] * 6, interval=0.45)
    async with LLMRing(timeout=2.0) as service:
        said = ""
        async for chunk in service.chat_stream(ASKED):
            said += chunk.delta
            if len(said) == 2:
                await asyncio.sleep(2.2)
    assert said == "x" * 6


async def test_a_whole_answer_that_takes_too_long(way: Way, server: PracticeServer) -> None:
    """For `chat` the timeout is for the whole call, however lively the bytes."""
    server.reply(body=[b" "] * 1200, content_type="application/json", interval=0.05)
    began = time.monotonic()
    assert type(await failure(False, timeout=0.25)) is ProviderTimeoutError
    assert time.monotonic() - began < 20


@streamed
async def test_a_failure_in_the_stream(way: Way, server: PracticeServer, stream: bool) -> None:
    """First of all, or after chunks: those come first."""
    for after in (0, 2):
        server.reply(chunks=["Hel", "lo", " there"], fault=Fault.error_event(after, 503, "It broke"))
        said = ""
        async with LLMRing(max_retries=0) as service:
            with pytest.raises(ProviderError) as raised:  # noqa: PT012
                if stream:
                    async for chunk in service.chat_stream(ASKED):
                        said += chunk.delta
                else:
                    await service.chat(ASKED)
        assert "It broke" in str(raised.value)
        assert (raised.value.provider, raised.value.model) == (way.provider, "model-1")
        if stream and after:
            assert said == "Hello"
            assert raised.value.partial is not None
            assert raised.value.partial.content == "Hello"
        else:
            assert said == ""
            assert raised.value.partial is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, ProviderRateLimitError), (401, ProviderAuthenticationError), (500, ProviderResponseError)],
)
async def test_a_failure_in_the_stream_has_its_class(
    server: PracticeServer, status: int, kind: type[ProviderError]
) -> None:
    """By the vendor's word, since the status was a good one."""
    for model in ("anthropic:m", "google:m"):
        server.reply(fault=Fault.error_event(0, status, "It broke"))
        error = await failure(True, ASKED.model_copy(update={"model": model}))
        assert type(error) is kind
        assert error.status_code == status


# Keys

KEY = "k" * 8 + "e" * 16 + "y" * 8


def echoing(key: str) -> list[Reply]:
    """What a server may repeat a key in."""
    page = f"<html>{'x' * 178} {key} not allowed</html>".encode()
    return [
        Reply(status=401, error=f"Incorrect API key provided: {key}."),
        Reply(status=500, error=f"Authorization: Bearer {key}"),
        Reply(status=429, error=f"{key} asked too often"),
        Reply(status=404, error=f"no model for {key}"),
        Reply(status=502, body=page),
        Reply(status=502, body=f'{{"strange": "{key}"}}'.encode(), content_type="application/json"),
        Reply(body=page),
        Reply(body=f'{{"strange": "{key}"}}'.encode(), content_type="application/json"),
        Reply(chunks=["a", "b"], fault=Fault.error_event(1, 500, f"{key} broke")),
        Reply(body=f'data: {{"broken": "{key}"\n\n{{"broken": "{key}"\n'.encode(), content_type="text/event-stream"),
        Reply(body=f'data: {{"choices": [{{"delta": {{"content": {{"{key}": 1}}}}}}]}}\n\n'.encode()),
    ]


@streamed
async def test_no_key_is_ever_shown(
    way: Way, server: PracticeServer, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """A server that repeats the key it was sent does not bring it into a message, a traceback or a log."""
    if way.provider == "ollama":
        bind({"chatbot": ["mine:m"]}, f'[providers.mine]\nsdk = "openai"\nbase_url = "{server.url}/v1"\n')
        way = Way("mine", "openai-chat")
    caplog.set_level(logging.DEBUG, "llmring")
    service = LLMRing(max_retries=0, timeout=2, api_keys={way.provider: KEY})
    provider = service.get_provider(way.provider)
    for reply in echoing(KEY):
        server.reply(reply)
        with pytest.raises(LLMRingError) as raised:
            await ask(service, stream)
        error: Any = raised.value
        shown = [repr(provider), repr(provider.config)]
        shown += [str(error), repr(error), *traceback.format_exception(error), caplog.text]
        shown += [str(error.original), repr(error.original)]
        if error.original is not None:
            shown += traceback.format_exception(error.original)
        handler = io.StringIO()
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", (), (type(error), error, error.__traceback__))
        handler.write(logging.Formatter().format(record))
        for text in [*shown, handler.getvalue()]:
            assert KEY not in text
            assert KEY[:12] not in text
    await service.close()


async def test_a_provider_of_ones_own_may_leave_its_errors_to_us(server: PracticeServer) -> None:
    """What an adapter of the caller's own raises is an error of the contract, whatever it is."""

    class Mine(OpenAIProvider):
        async def send(self, *args: Any) -> Any:
            raise ValueError("mine")

    async with LLMRing() as service:
        service.register_provider("mine", Mine(ProviderConfig(name="mine")))
        with pytest.raises(ProviderResponseError, match="ValueError: mine"):
            await service.chat(ASKED.model_copy(update={"model": "mine:m"}))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_the_address_that_only_the_sdk_knows_is_named(
    bare: Any, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "practice")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
    bind({"chatbot": [f"{provider}:m"]})
    error = await failure(True)
    assert type(error) is ProviderConnectionError
    assert f"{provider}:m cannot be reached at {SDKS[provider].home}:" in str(error)


@streamed
@pytest.mark.parametrize(
    ("tools", "words"), [([TOOL], "no such thing"), ([], "m does not support tools")], ids=["other words", "no tools"]
)
async def test_ollama_is_asked_without_tools_only_where_it_has_none(
    server: PracticeServer, stream: bool, tools: list[dict[str, Any]], words: str
) -> None:
    """What it refuses for another reason, or without there being any, is refused."""
    server.reply(status=400, error=words, times=2)
    error = await failure(stream, LLMRequest(model="ollama:m", messages=ASKED.messages, tools=tools or None))
    assert words in str(error)
    assert len(server.requests) == 1
