"""How a model is asked again, when, and how often; and that nothing is kept of the attempts once a request is over."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import ProviderConnectionError, ProviderError, ProviderRateLimitError, ProviderResponseError
from llmring.providers.posting import Exchange
from llmring.testing import Fault, PracticeServer, Reply

from ..conftest import Way, bind

SECOND = timedelta(seconds=1)


def ask(model: str, text: str = "Hi") -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=text)])


def bodies() -> list[int]:
    """The sizes of the large requests that are in memory: other tests keep errors of small ones."""
    gc.collect()
    return [len(each.body) for each in gc.get_objects() if isinstance(each, Exchange) and len(each.body) > 100_000]


async def test_a_connection_outlives_the_request_that_opened_it(way: Way, server: PracticeServer) -> None:
    """It does not keep it, and nor does it keep the failure of the attempt before."""
    server.reply("", status=500)
    before = bodies()
    async with LLMRing(max_retries=1, timeout=10) as service:
        await service.chat(ask("chatbot", "x" * 1_000_000))
        connections = {request.connection for request in server.requests}
        await service.chat(ask("chatbot"))
        assert server.requests[-1].connection in connections
        assert bodies() == before


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_tried_again(way: Way, server: PracticeServer, status: int, stream: bool) -> None:
    """The same on every provider: where no stand-by remains, `max_retries` times."""
    server.reply("", status=status, times=2, retry_after=0.01)
    async with LLMRing(max_retries=2, timeout=20) as service:
        request = ask("chatbot")
        answer = await (service.chat_stream(request).final_response() if stream else service.chat(request))
    assert (answer.content, len(server.requests)) == ("You said: Hi", 3)


streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


async def answer(service: LLMRing, *, stream: bool, **fields: Any) -> LLMResponse:
    request = ask("chatbot").model_copy(update=fields)
    return await (service.chat_stream(request).final_response() if stream else service.chat(request))


@streamed
async def test_a_kept_connection_that_is_dropped(way: Way, server: PracticeServer, stream: bool) -> None:
    """As the next request arrives, the server's idle timeout runs out: nothing was answered, so it is asked again."""
    async with LLMRing(max_retries=2, timeout=20) as service:
        for retries in (0, 1, 1):
            got = await answer(service, stream=stream)
            assert (got.content, got.retries) == ("You said: Hi", retries)
            server.reply(fault=Fault.hang_up())
    kept = server.requests[0].connection
    assert [request.connection == kept for request in server.requests[:3]] == [True, True, False]


@streamed
async def test_each_retry_can_be_seen(
    way: Way, server: PracticeServer, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llmring")
    server.reply("", status=409, times=2, retry_after=0.01)
    async with LLMRing(max_retries=2, timeout=20) as service:
        assert (await answer(service, stream=stream)).retries == 2
    records = [it for it in caplog.records if it.name == "llmring" and " again in " in it.getMessage()]
    assert [record.levelno for record in records] == [logging.INFO] * 2
    assert records[0].getMessage().startswith(f"chatbot: asking {way.model} again in 0.0 s (1 of 2): {way.model} ")


@streamed
async def test_only_the_last_is_asked_again(server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": ["anthropic:first", "openai:second"]})
    server.script(lambda request: Reply(status=503, retry_after=0.01 if request.model == "first" else None))
    server.reply("", status=503, times=2, retry_after=0.01, model="second")
    server.reply("At last", model="second")
    async with LLMRing(max_retries=2, timeout=20) as service:
        got = await answer(service, stream=stream)
    assert (got.content, got.retries, len(got.attempts)) == ("At last", 2, 1)
    assert [request.model for request in server.requests] == ["first", "second", "second", "second"]


@streamed
async def test_what_had_begun_is_not_asked_again(way: Way, server: PracticeServer, stream: bool) -> None:
    server.reply("One two three", fault=Fault.cut_after(1))
    async with LLMRing(max_retries=2, timeout=20) as service:
        with pytest.raises(ProviderConnectionError):
            await answer(service, stream=stream)
    assert len(server.requests) == 1


@pytest.mark.parametrize("named", ["0.2", "date", "ms"])
async def test_the_pause_that_the_server_names(way: Way, server: PracticeServer, named: str) -> None:
    """In seconds or as a date by the server's own clock, whatever the status: no sooner, and where it fits, then."""
    now = datetime(2020, 2, 2, tzinfo=UTC)
    headers = {
        "0.2": {"retry-after": "0.2"},
        "ms": {"retry-after-ms": "200"},
        "date": {"date": format_datetime(now, usegmt=True), "retry-after": format_datetime(now + SECOND, usegmt=True)},
    }[named]
    server.reply("", status=503, headers=headers)
    async with LLMRing(max_retries=1, timeout=20) as service:
        service.get_provider(way.provider)
        began = time.monotonic()
        assert (await answer(service, stream=False)).retries == 1
    assert time.monotonic() - began >= (1.0 if named == "date" else 0.2)


@streamed
async def test_a_long_pause_that_only_the_body_names_is_the_callers(
    server: PracticeServer, bare: Path, stream: bool
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"}]
    body = json.dumps({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}})
    server.default = Reply(status=429, body=body.encode(), content_type="application/json")
    request = LLMRequest(model="google:m", messages=[Message(role="user", content="Hi")])
    async with LLMRing(max_retries=2, timeout=600) as service:
        with pytest.raises(ProviderRateLimitError) as raised:
            await (service.chat_stream(request).final_response() if stream else service.chat(request))
    assert raised.value.retry_after == 46
    assert len(server.requests) == 1


@streamed
@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_does_not_fit(way: Way, server: PracticeServer, stream: bool, status: int) -> None:
    """There is nothing to wait for: the error comes at once, and says when to come again."""
    server.reply("", status=status, headers={"retry-after": "3600"})
    async with LLMRing(max_retries=2, timeout=60) as service:
        with pytest.raises(ProviderError, match=r"Try again in 3600 s\.") as caught:
            await answer(service, stream=stream)
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_not_tried_again(way: Way, server: PracticeServer, status: int) -> None:
    """What is the request's own fault stays so."""
    server.reply("", status=status)
    async with LLMRing(max_retries=2, timeout=20) as service:
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot"))
    assert len(server.requests) == 1


async def test_no_longer_than_the_timeout(way: Way, server: PracticeServer) -> None:
    """The last refusal is told of, though it was to be tried again."""
    server.reply("", status=503, times=9)
    async with LLMRing(max_retries=8, timeout=6) as service:
        service.get_provider(way.provider)  # the import of its SDK is not counted
        began = time.monotonic()
        with pytest.raises(ProviderResponseError) as caught:
            await service.chat(ask("chatbot"))
        assert time.monotonic() - began < 20
    assert caught.value.status_code == 503
    assert 1 < len(server.requests) < 9


async def test_a_failure_that_was_caught_is_gone(way: Way, server: PracticeServer) -> None:
    async with LLMRing(max_retries=0, timeout=10) as service:
        server.close()
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot", "x" * 1_000_000))
        await asyncio.sleep(0)  # from Python 3.12 on, the loop holds what has just woken this task
        assert bodies() == []


async def test_a_refusal_without_an_end(bare: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of it is read to say what it was, and no more."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oh dear\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"400\r\n" + b"no way  " * 128 + b"\r\n")
                await writer.drain()
                sent += 1024
        except OSError:
            pass
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{port}")
    async with LLMRing(max_retries=0, timeout=5) as service:
        with pytest.raises(ProviderResponseError, match="no way") as caught:
            await service.chat(ask("ollama:m"))
    assert caught.value.status_code == 500
    assert sent < 20_000_000
    listener.close()
    await asyncio.sleep(0.05)


def stays_open(server: PracticeServer) -> bool:
    """Whether a connection is open for long; nothing else runs in this thread while it looks, no task and no callback.

    What was closed before is told from what a collected generator, or the pool's next request, would close.
    """
    until = time.monotonic() + 20
    while server.open_connections and time.monotonic() < until:
        time.sleep(0.01)
    return server.open_connections > 0


async def test_refusals_leave_nothing_open_but_what_is_kept(way: Way, server: PracticeServer) -> None:
    """The long ones close their connections, the short ones share one."""
    server.reply(status=400, body=b"no way  " * 400_000, content_type="text/plain", times=2)
    server.reply(status=400, error="no way", times=3)
    async with LLMRing(max_retries=0, timeout=10) as service:
        for _ in range(2):
            with pytest.raises(ProviderResponseError, match="no way"):
                await service.chat(ask("chatbot"))
            assert not stays_open(server)
        for _ in range(3):
            with pytest.raises(ProviderResponseError, match="no way"):
                await service.chat(ask("chatbot"))
            assert server.open_connections == 1


async def test_a_compressed_refusal(way: Way, server: PracticeServer) -> None:
    """Its body is unpacked once: were the SDK told to do it again, it would take the answer for none, and ask again."""
    body = gzip.compress(b'{"error": {"message": "no way, said in few bytes", "code": 400}}')
    server.default = Reply(status=400, body=body, content_type="application/json", headers={"content-encoding": "gzip"})
    async with LLMRing(max_retries=2, timeout=10) as service:
        for answer in (service.chat(ask("chatbot")), service.chat_stream(ask("chatbot")).final_response()):
            with pytest.raises(ProviderResponseError, match="no way, said in few bytes") as caught:
                await answer
            assert caught.value.status_code == 400
            original = caught.value.original
            assert getattr(original, "status_code", getattr(original, "code", None)) == 400
    assert len(server.requests) == 2
