"""What a server may send at most: lines, events and bodies without end, packed ones, and hops that bring nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
)
from llmring.testing import PracticeServer, Reply

from ..conftest import Way
from ..wire.streams import EXAMPLES

MOST = 64 * 1024
LONG = "x" * (2 * MOST)
SSE = {"openai-chat", "openai-responses", "anthropic", "gemini"}


def ask(way: Way) -> LLMRequest:
    return LLMRequest(model=way.model, messages=[Message(role="user", content="Hi")])


def raw(body: bytes, kind: str = "text/event-stream", **headers: str) -> Reply:
    return Reply(status=200, body=body, content_type=kind, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def test_a_line_without_end(way: Way, server: PracticeServer) -> None:
    server.default = raw(b'data: {"a": "' + LONG.encode())
    async with LLMRing(max_bytes=MOST, max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match=r"a line of more than 0\.0625 MiB.*`max_bytes`"):
            await service.chat_stream(ask(way)).final_response()


async def test_an_event_of_lines_without_end(way: Way, server: PracticeServer) -> None:
    if way.wire not in SSE:
        pytest.skip("its events are lines")
    server.default = raw(b"data: x\n" * MOST)
    async with LLMRing(max_bytes=MOST, max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match="an event of more than"):
            await service.chat_stream(ask(way)).final_response()


async def test_a_text_without_end(way: Way, server: PracticeServer) -> None:
    server.reply(Reply(chunks=[LONG[: MOST // 2]] * 8))
    async with LLMRing(max_bytes=MOST, max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match="an answer of more than") as raised:
            await service.chat_stream(ask(way)).final_response()
    assert raised.value.partial is not None
    assert raised.value.partial.content.startswith("xxx")


async def test_a_whole_body_without_end(way: Way, server: PracticeServer) -> None:
    server.reply(Reply(chunks=[LONG]))
    server.reply(Reply(chunks=[LONG[: MOST // 2]]))
    async with LLMRing(max_bytes=MOST, max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match="a body of more than"):
            await service.chat(ask(way))
        assert len((await service.chat(ask(way))).content) == MOST // 2


def no_header(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", no_header),
}


@pytest.mark.parametrize("packed", PACKERS)
async def test_what_is_packed_is_unpacked(way: Way, server: PracticeServer, packed: str) -> None:
    encoding, pack = PACKERS[packed]
    async with LLMRing(max_retries=0) as service:
        for streamed in (True, False):
            body, text = plain(way, streamed)
            server.reply(raw(pack(body), content_encoding=encoding))
            answer = await (service.chat_stream(ask(way)).final_response() if streamed else service.chat(ask(way)))
            assert answer.content == text
            assert server.requests[-1].headers["accept-encoding"] == "gzip, deflate"


def plain(way: Way, streamed: bool) -> tuple[bytes, str]:
    """A good answer, and its text."""
    example = next(it for it in EXAMPLES if it.wire == way.wire and it.answer and it.content and not it.calls)
    return example.data if streamed else json.dumps(example.answer).encode(), example.content


async def test_much_out_of_little_is_an_error_and_holds_nobody_up(way: Way, server: PracticeServer) -> None:
    bomb = gzip.compress(b": \n" * 4_000_000 if way.wire in SSE else b"\n" * 12_000_000)
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with LLMRing(max_bytes=MOST, max_retries=0) as service:
        ticking = asyncio.create_task(tick())
        server.reply(raw(bomb, content_encoding="gzip"))
        with pytest.raises(ProviderError):
            await service.chat_stream(ask(way)).final_response()
        # The loop has turned again and again while it was unpacked.
        assert turns > 20
        server.reply(raw(bomb, "application/json", content_encoding="gzip"))
        with pytest.raises(ProviderResponseError, match="a body of more than"):
            await service.chat(ask(way))
        server.reply(Reply(status=400, body=bomb, content_type="text/plain", headers={"content-encoding": "gzip"}))
        with pytest.raises(ProviderResponseError) as raised:
            await service.chat(ask(way))
        assert len(str(raised.value)) < 5000
        ticking.cancel()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "no such thing"])
async def test_another_packing_is_not_undone(way: Way, server: PracticeServer, encoding: str) -> None:
    server.default = raw(gzip.compress(gzip.compress(b"{}")), content_encoding=encoding)
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderError, match="packed as"):
            await service.chat(ask(way))


async def test_a_packed_body_that_ends_early_is_a_cut(way: Way, server: PracticeServer) -> None:
    async with LLMRing(max_retries=0) as service:
        whole = gzip.compress(plain(way, streamed=False)[0])
        server.reply(raw(whole[:-8], "application/json", content_encoding="gzip"))
        with pytest.raises(ProviderConnectionError):
            await service.chat(ask(way))


async def test_hops_that_bring_nothing_end(server: PracticeServer) -> None:
    number = 0

    def more(request: Any) -> Reply:
        nonlocal number
        number += 1
        assert number < 10
        event = {"candidates": [{"finishReason": "CONTINUATION", "continuationToken": f"token-{number}"}]}
        return raw(f"data: {json.dumps(event)}\r\n\r\n".encode())

    server.script(more)
    request = LLMRequest(model="google:model-1", messages=[Message(role="user", content="Hi")])
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError):
            await service.chat_stream(request).final_response()
    assert number == 1


@pytest.mark.parametrize("wrong", [0, -1, True, "5", 1.5, None])
async def test_a_bound_that_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_bytes"):
        LLMRing(max_bytes=wrong)


async def test_a_refusal_that_cannot_be_unpacked_is_what_its_status_says(way: Way, server: PracticeServer) -> None:
    for body, encoding in ((gzip.compress(b"{}")[:-8], "gzip"), (b"nonsense", "gzip"), (b"nonsense", "br")):
        server.reply(Reply(status=401, body=body, content_type="text/plain", headers={"content-encoding": encoding}))
        async with LLMRing(max_retries=1) as service:
            with pytest.raises(ProviderAuthenticationError) as raised:
                await service.chat(ask(way))
        assert raised.value.status_code == 401
