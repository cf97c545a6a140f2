"""Providers of others with a fault of their own: an error of ours says so, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.credentials import Key, reveal
from llmring.exceptions import (
    ConfigurationError,
    InvalidRequestError,
    ModelCapabilityError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
)
from llmring.providers import Call, Decoder, HTTPProvider, ProviderConfig, SSEFrames, StreamChunk, WireError, registry
from llmring.testing import Fault, PracticeServer, Reply
from llmring.wire.openai_chat import ChatDecoder, render_request

KEY = "practice-of-the-author-123456"


class Whole(HTTPProvider):
    """Speaks Chat Completions, and has no fault."""

    def path(self, call: Call) -> str:
        return "chat/completions"

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")


def ask() -> LLMRequest:
    return LLMRequest(model="mine:m", messages=[Message(role="user", content="Hi")])


def service_of(provider: type[HTTPProvider], server: PracticeServer, **options: Any) -> LLMRing:
    service = LLMRing(max_retries=0, **options)

    def make(config: ProviderConfig) -> HTTPProvider:
        return provider(ProviderConfig(config.name, key=config.key, base_url=f"{server.url}/v1"))

    service.register_provider("mine", make, api_key=KEY)
    return service


class Stumbles(ChatDecoder):
    """Reads some events, and then no more."""

    raised: ClassVar[Exception] = RuntimeError("I have lost count")

    def feed(self, event: Any, holder: str = "delta") -> StreamChunk | None:
        self.fed = getattr(self, "fed", 0) + 1
        if self.fed > 3:
            raise self.raised
        return super().feed(event, holder)

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        raise self.raised


@pytest.mark.parametrize("raised", [RuntimeError("I have lost count"), AssertionError(), ZeroDivisionError("by 0")])
async def test_a_decoder_that_stumbles(raised: Exception, server: PracticeServer) -> None:
    """What it had read is handed over, whatever came in the same piece; and the connection is closed."""

    class Decoding(Stumbles):
        pass

    Decoding.raised = raised

    class Mine(Whole):
        def decoder(self, call: Call) -> Decoder:
            return Decoding(f"mine:{call.model}")

    server.reply(Reply("one two three four five six", fault=Fault.stall_after(5)))
    async with service_of(Mine, server) as service:
        stream = service.chat_stream(ask())
        said = (await anext(stream)).delta + (await anext(stream)).delta
        with pytest.raises(ProviderResponseError, match=f"mine:m failed underneath: {type(raised).__name__}") as found:
            await anext(stream)
        assert said == "one two"
        assert found.value.partial is not None
        assert found.value.partial.content == said
        with pytest.raises(ProviderResponseError, match=f"mine:m failed underneath: {type(raised).__name__}"):
            await service.chat(ask())
        assert await asyncio.to_thread(server.requests[0].wait_closed)


class Fragile(SSEFrames):
    def feed(self, data: bytes) -> list[bytes]:
        raise RuntimeError("no frames")


class Unframed(ChatDecoder):
    frames = Fragile


class NeverMade(ChatDecoder):
    def __init__(self, model: str) -> None:
        raise RuntimeError("no frames")


@pytest.mark.parametrize("decoder", [Unframed, NeverMade])
async def test_a_decoder_that_cannot_begin(decoder: type[Decoder], server: PracticeServer) -> None:
    class Mine(Whole):
        def decoder(self, call: Call) -> Decoder:
            return decoder(f"mine:{call.model}")

    # More than the connection is drained of, so that it is closed only if somebody closes it.
    server.default = Reply("one two", fault=Fault.stall_after(1))
    async with service_of(Mine, server) as service:
        with pytest.raises(ProviderResponseError, match="mine:m failed underneath: RuntimeError: no frames"):
            await anext(service.chat_stream(ask()))
        gc.collect()
        assert await asyncio.to_thread(server.requests[0].wait_closed)


async def test_a_request_that_it_cannot_render(server: PracticeServer) -> None:
    """A form that it does not know is the request's; a fault is its own; and what it says itself, it says."""

    class Mine(Whole):
        raised: Exception

        def render(self, call: Call) -> dict[str, Any]:
            raise self.raised

    async with service_of(Mine, server) as service:
        for raised, kind in [
            (KeyError("role"), InvalidRequestError),
            (ValueError(f"of {KEY}"), InvalidRequestError),
            (RuntimeError(f"of {KEY}"), ProviderResponseError),
            (ModelCapabilityError("mine:m sings."), ModelCapabilityError),
            (InvalidRequestError("Ask in verse."), InvalidRequestError),
        ]:
            Mine.raised = raised
            with pytest.raises(kind) as found:
                await service.chat(ask())
            assert KEY not in "".join(traceback.format_exception(found.value))
            if "." in str(raised):
                assert found.value is raised
    assert server.requests == []


async def test_a_refusal_that_it_cannot_read(server: PracticeServer) -> None:
    class Mine(Whole):
        def read_error(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError | None:
            if b"slowly" in body:
                raise WireError("Slowly!", 429)
            raise RuntimeError(f"of {KEY}")

    server.reply(Reply(status=400, error="no such verse"))
    server.reply(Reply(status=400, error="slowly"))
    async with service_of(Mine, server) as service:
        with pytest.raises(ProviderResponseError, match="no such verse") as found:
            await service.chat(ask())
        assert KEY not in "".join(traceback.format_exception(found.value))
        with pytest.raises(ProviderRateLimitError, match="Slowly!"):
            await service.chat(ask())


async def test_one_that_does_not_end_when_it_is_closed(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever closes the service waits for a while, and no longer."""
    closed = asyncio.Event()

    class Mine(Whole):
        async def close(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await super().close()
                closed.set()

    monkeypatch.setattr(registry, "_CLOSING", 0.05)
    caplog.set_level(logging.WARNING)
    async with asyncio.timeout(30):
        async with service_of(Mine, server) as service:
            await service.chat(ask())
    assert closed.is_set()
    assert "mine did not close cleanly: TimeoutError" in caplog.text


async def test_one_that_forgets_its_base(server: PracticeServer) -> None:
    class Mine(Whole):
        def __init__(self, config: ProviderConfig) -> None:
            self.own = config

    async with service_of(Mine, server) as service:
        with pytest.raises(ProviderNotFoundError, match=r"super\(\).__init__\(config\)"):
            await service.chat(ask())


async def test_what_makes_one_may_be_unlike_anything_else(server: PracticeServer) -> None:
    """A factory is known as itself: it may be no key of a table, or equal to another."""

    @dataclass
    class Maker:
        path: str

        def __call__(self, config: ProviderConfig) -> Whole:
            return Whole(ProviderConfig(config.name, key=config.key, base_url=f"{server.url}/{self.path}"))

    async with LLMRing() as service:
        service.register_provider("mine", Maker("v1"), api_key=KEY)
        await service.chat(ask())
        await service.chat(ask())
        assert service.get_provider("mine") is service.get_provider("mine")
    assert [it.path for it in server.requests] == ["/v1/chat/completions"] * 2


def test_what_makes_one_is_awaited_by_nobody() -> None:
    async def make(config: ProviderConfig) -> Whole:
        return Whole(config)

    with pytest.raises(ConfigurationError, match="is async") as found:
        LLMRing().register_provider("mine", make, api_key=KEY)  # type: ignore[arg-type]
    assert isinstance(found.value, ConfigurationError)


def test_a_registration_that_is_refused_shows_no_key() -> None:
    """Not by the variables of what refused it, either."""
    key = Key(KEY)
    service = LLMRing()
    with pytest.raises(ConfigurationError) as found:
        service.register_provider("a:b", Whole, api_key=reveal(key))
    frames = traceback.StackSummary.extract(
        [(it[0], it[1]) for it in traceback.walk_tb(found.tb)][1:], capture_locals=True
    )
    assert KEY not in str([frame.locals for frame in frames])


async def test_an_error_of_its_own_kind(server: PracticeServer) -> None:
    """What an SDK of a stranger's raises comes as ours, without what it holds."""

    class StrangerError(Exception):
        pass

    class Mine(Whole):
        async def send(self, call: Call, body: bytes) -> Any:
            error = StrangerError(f"refused {KEY}")
            error.request = {"headers": {"authorization": KEY}}  # type: ignore[attr-defined]
            raise error

    async with service_of(Mine, server) as service:
        with pytest.raises(ProviderError, match="StrangerError") as found:
            await service.chat(ask())
    assert KEY not in "".join(traceback.format_exception(found.value))
    assert isinstance(found.value.original, StrangerError)
    assert KEY not in str(vars(found.value.original))
