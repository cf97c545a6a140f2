"""What is kept of a request's attempts: their last failure while it is under way, and nothing once it is over."""

from __future__ import annotations

import asyncio
import gc

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderError, ProviderResponseError
from llmring.providers.exchange import Exchange
from llmring.testing import PracticeServer

from ..conftest import Way


def ask(model: str, text: str = "Hi") -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=text)])


def bodies() -> list[int]:
    """The sizes of the requests that are in memory."""
    gc.collect()
    return [len(each.body) for each in gc.get_objects() if isinstance(each, Exchange)]


async def test_a_connection_outlives_the_request_that_opened_it(way: Way, server: PracticeServer) -> None:
    """It does not keep it, and nor does it keep the failure of the attempt before."""
    if way.wire != "ollama":  # its SDK does not try again
        server.reply("", status=500)
    async with LLMRing(max_retries=1, timeout=10) as service:
        await service.chat(ask("chatbot", "x" * 1_000_000))
        assert bodies() == []
        connections = {request.connection for request in server.requests}
        await service.chat(ask("chatbot"))
        assert server.requests[-1].connection in connections


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
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{port}")
    async with LLMRing(max_retries=0, timeout=5) as service:
        with pytest.raises(ProviderResponseError, match="no way") as caught:
            await service.chat(ask("ollama:m"))
    assert caught.value.status_code == 500
    assert sent < 20_000_000
    listener.close()
