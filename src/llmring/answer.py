"""An answer on its way in: bytes from the provider, chunks from the decoder, and how both may end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from pydantic_core import to_json

from . import structured
from .exceptions import InvalidRequestError, LLMRingError, ProviderConnectionError
from .record import first_of
from .schemas import LLMRequest, LLMResponse, StreamChunk
from .unpacking import HTTPResponse, unpacked
from .wire import MAX_BYTES
from .wire.base import MISSHAPEN, Decoder
from .wire.errors import WireError

__all__ = ["Adapter", "Answer", "Call", "rendered"]

_DRAIN_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to one model.

    Attributes:
        request: with the binding's params merged in.
        model: the model's name without the provider.
        stream: whether the answer is to come in pieces.
        timeout: seconds for every wait; `None` waits forever.
        form: what the answer is checked against; `None` takes any.
        continuation: the provider's token to go on from.
        until: when the answer must have begun, in the loop's time; `None` waits forever.
        max_bytes: that a line, an event, the calls or a whole answer may have.
        tools: as `ProviderConfig` has it, for this call.
        files: puts in place what was registered with the service's files; `None` where the request has nothing of it.
        lender: gives the other providers of the service (`Lender`); `None` where the call is of no service.
    """

    request: LLMRequest
    model: str
    stream: bool
    timeout: float | None
    form: structured.AnswerFormat | None = None
    continuation: str | None = None
    until: float | None = None
    max_bytes: int = MAX_BYTES
    tools: str | None = None
    files: Any = None
    lender: Any = None

    def begun(self) -> Call:
        """The same, whose time begins now."""
        if self.timeout is None:
            return self
        return replace(self, until=asyncio.get_running_loop().time() + self.timeout)


class Adapter(Protocol):
    """What the way of a request needs of a `Provider`, which says what each is."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def issuer(self) -> str: ...  # noqa: D102
    def render(self, call: Call) -> dict[str, Any]: ...  # noqa: D102
    def decoder(self, call: Call) -> Decoder: ...  # noqa: D102
    async def send(self, call: Call, body: bytes) -> HTTPResponse: ...  # noqa: D102
    def conceal(self, data: bytes) -> bytes: ...  # noqa: D102
    def said_of(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError: ...  # noqa: D102
    def error(  # noqa: D102
        self, error: Exception, call: Call, headers: Mapping[str, str] | None = None
    ) -> LLMRingError: ...


class Answer:
    """One model's answer on its way in: bytes from the provider, chunks from the decoder.

    Attributes:
        failure: what ended the answer early, to be raised after the chunks that came before it.
        finished: the final chunk has been read.
    """

    def __init__(self, provider: Adapter, call: Call, response: HTTPResponse) -> None:
        self.provider = provider
        self.call = call
        self.response = response
        self.decoder: Decoder = provider.decoder(call)
        self.decoder.conceal = provider.conceal
        self.decoder.read_refusal = partial(provider.said_of, status=HTTPStatus.OK, headers=response.headers)
        self.decoder.issuer = provider.issuer
        self.decoder.bound(call.max_bytes, whole=not call.stream)
        self.failure: LLMRingError | None = None
        self.finished = False
        self.closed = False
        self._hearers: list[Callable[[LLMRingError | None], None]] = []
        self._closed: Callable[[], None] = lambda: None
        self._bytes = unpacked(response)
        self._next: Callable[[], Awaitable[bytes]] = self._first

    @classmethod
    async def open(cls, provider: Adapter, call: Call) -> Answer:
        """Send the request. Raises `ProviderError`."""
        response = await _send(provider, call)
        try:
            return cls(provider, call, response)
        except Exception as error:  # whatever the decoder of an author's own does
            with contextlib.suppress(Exception):
                await response.aclose()
            raise provider.error(error, call) from None

    @property
    def model(self) -> str:
        """The `provider:model` that serves."""
        return self.decoder.model

    @property
    def can_go_on(self) -> bool:
        """Whether the provider kept the place where the answer broke off."""
        return self.decoder.checkpoint is not None

    async def go_on(self) -> list[StreamChunk]:
        """Go on from where the provider kept its place: the next chunks, or none and a `failure`."""
        self.failure, self._next = None, self._hop
        try:
            async with asyncio.timeout(self.call.timeout):
                return await self.read()
        except TimeoutError:
            return self.silence()

    async def _hop(self) -> bytes:
        """Ask for the rest of an answer, of which the provider gives only so much at a time: its first bytes."""
        with contextlib.suppress(Exception):
            await self._leave()
        self.decoder.begin_hop()
        call = replace(self.call.begun(), continuation=self.decoder.checkpoint)
        self.response = await _send(self.provider, call)
        self._bytes = unpacked(self.response)
        return await self._first()

    def _first(self) -> Awaitable[bytes]:
        self._next = self._bytes.__anext__
        return first_of(self._bytes)

    def hear(self, ended: Callable[[LLMRingError | None], None], closed: Callable[[], None] | None = None) -> None:
        """Say how the answer ends, with its failure or `None`, and when it is closed; now if it has, or is."""
        self._hearers.append(ended)
        self._closed = closed or self._closed
        if self.finished or self.closed or self.failure is not None:
            ended(self.failure)
        if self.closed and closed is not None:
            closed()

    def _ended(self, failure: LLMRingError | None) -> None:
        for ended in self._hearers:
            ended(failure)

    async def read(self) -> list[StreamChunk]:
        """The next chunks, at least one, the final one last; or none and a `failure`."""
        decoder = self.decoder
        try:
            while True:
                try:
                    data = await self._next()
                except StopAsyncIteration:
                    chunks = decoder.end_of_bytes()
                    if not decoder.hop_ended:
                        return self._last(chunks, None)
                    self._next = self._hop
                else:
                    chunks = decoder.read(data)
                    if decoder.ended or decoder.error:
                        return self._last(chunks, None)
                if chunks:
                    return chunks
        except Exception as error:  # of the connection, or of a decoder that has a fault
            return self._last([], error)

    def _last(self, chunks: list[StreamChunk], broken: Exception | None) -> list[StreamChunk]:
        """The end of the answer, which is a good one only if the wire said all that it must say."""
        decoder = self.decoder
        failure = decoder.error or broken
        if decoder.error is None and decoder.complete:
            try:
                chunks.append(decoder.close())
                self.finished = True
                self._ended(None)
                return chunks
            except Exception as error:  # also what nobody sends, put together to something that is nothing
                failure = error
        if failure is None and self.call.stream:
            failure = decoder.not_a_stream()
        if failure is None:
            failure = ProviderConnectionError(
                f"The answer of {self.model} ended before its end marker ({decoder.end_marker}): the connection "
                "was cut on the way. Ask again; what had arrived is in `partial`.",
                provider=self.provider.name,
                model=self.call.model,
            )
        self.failure = self.provider.error(failure, self.call, self.response.headers)
        self._ended(self.failure)
        return chunks

    def received(self, chunks: list[StreamChunk]) -> LLMResponse | None:
        """Of an answer that failed, what had come of it, if anything had.

        Args:
            chunks: those that were read, and not handed over.
        """
        decoder = self.decoder
        if not self.call.stream:
            # Whatever it was that broke it off, the beginning of its body is read as far as it goes.
            chunks = [*chunks, *decoder.end_of_bytes()]
        said = "".join(chunk.delta for chunk in chunks) + decoder.held
        thought = "".join(chunk.reasoning or "" for chunk in chunks)
        calls = decoder.calls.snapshot()()
        if not (said or thought or calls):
            return None
        return LLMResponse(
            self.model,
            said,
            thought or None,
            calls or None,
            usage=decoder.usage,
            response_model=decoder.response_model,
            served=(decoder.served,),
        )

    def silence(self, why: Exception | None = None) -> list[StreamChunk]:
        """A wait passed the timeout: the final chunk if all had been said by then, else none and a `failure`.

        Args:
            why: the failure, where it is another than the timeout.
        """
        return self._last([], why or TimeoutError())

    async def close(self) -> None:
        """Close the connection, or give it back to the pool if the answer has been read to its end."""
        if self.closed:
            return
        self.closed = True
        if not self.finished and self.failure is None:
            # Its reader has had enough: until then it was a good one.
            self._ended(None)
        # How the connection of an answer ends is of no interest any more: the answer itself is whole, or given up.
        try:
            with contextlib.suppress(Exception):
                try:
                    if self.finished:
                        async with asyncio.timeout(_DRAIN_SECONDS):
                            async for _ in self._bytes:
                                pass
                finally:
                    await self._leave()
        finally:
            self._closed()

    async def _leave(self) -> None:
        try:
            # A generator that is still read says so; the connection is closed under it.
            with contextlib.suppress(RuntimeError):
                if close := getattr(self._bytes, "aclose", None):
                    await close()
        finally:
            await self.response.aclose()
            # The socket is closed in the loop's next step.
            await asyncio.sleep(0)


def rendered(provider: Adapter, call: Call) -> bytes:
    """A request's body as JSON. Raises `ModelCapabilityError` or `InvalidRequestError`."""
    try:
        return to_json(provider.render(call))
    except Exception as error:
        if isinstance(error, LLMRingError) or not isinstance(error, MISSHAPEN):
            raise provider.error(error, call) from None
        said = provider.conceal(f"{type(error).__name__}: {error}".encode(errors="replace")).decode()
        raise InvalidRequestError(
            f"The request has a form that cannot be sent to {provider.name}:{call.model} ({said}). Check its parts, "
            "tools, metadata and extra_params."
        ) from None


async def _send(provider: Adapter, call: Call) -> HTTPResponse:
    body = rendered(provider, call)
    try:
        return await provider.send(call, body)
    except Exception as error:
        raise provider.error(error, call) from None
