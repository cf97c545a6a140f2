"""An answer on its way in: bytes from the provider, chunks from the decoder, and how both may end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pydantic_core import from_json, to_json

from ..exceptions import InvalidRequestError, LLMRingError, ProviderConnectionError
from ..record import first_of
from ..schemas import LLMResponse, StreamChunk
from ..wire.base import Decoder
from ..wire.errors import CannotCarry, WireError
from .base import Call, HTTPResponse, Provider
from .unpacking import unpacked

__all__ = ["Answer"]

_DRAIN_SECONDS = 0.25


class Answer:
    """One model's answer on its way in: bytes from the provider, chunks from the decoder.

    Attributes:
        failure: what ended the answer early, to be raised after the chunks that came before it.
        finished: the final chunk has been read.
    """

    def __init__(self, provider: Provider, call: Call, response: HTTPResponse) -> None:
        self.provider = provider
        self.call = call
        self.response = response
        self.decoder: Decoder = provider.decoder(call)
        self.decoder.conceal = provider.conceal
        self.decoder.issuer = provider.issuer
        self.decoder.bound(call.max_bytes)
        self.failure: LLMRingError | None = None
        self.finished = False
        self.closed = False
        self._ended: Callable[[LLMRingError | None], None] = lambda failure: None
        self._closed: Callable[[], None] = lambda: None
        self._read_from(response)

    @classmethod
    async def open(cls, provider: Provider, call: Call) -> Answer:
        """Send the request. Raises `ProviderError`."""
        return (cls if call.stream else _WholeAnswer)(provider, call, await _send(provider, call))

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
        self.failure = None
        try:
            async with asyncio.timeout(self.call.timeout):
                await self._next_hop()
                return await self.read()
        except TimeoutError:
            return self.silence()
        except LLMRingError as error:
            self.fail(error)
            return []

    async def _next_hop(self) -> None:
        """Ask for the rest of an answer, of which the provider gives only so much at a time. Raises `ProviderError`."""
        with contextlib.suppress(Exception):
            await self._leave()
        call = replace(self.call.begun(), continuation=self.decoder.checkpoint)
        self.response = await _send(self.provider, call)
        self.decoder.begin_hop()
        self._read_from(self.response)

    def _read_from(self, response: HTTPResponse) -> None:
        self._bytes = unpacked(response)
        self._next: Callable[[], Awaitable[bytes]] = self._first

    def _first(self) -> Awaitable[bytes]:
        self._next = self._bytes.__anext__
        return first_of(self._bytes)

    def fail(self, failure: LLMRingError) -> None:
        """End the answer with a failure."""
        self.failure = failure
        self._ended(failure)

    def hear(self, ended: Callable[[LLMRingError | None], None], closed: Callable[[], None]) -> None:
        """Say how the answer ends, with its failure or `None`, and when it is closed; now if it has, or is."""
        self._ended, self._closed = ended, closed
        if self.finished or self.closed or self.failure is not None:
            ended(self.failure)
        if self.closed:
            closed()

    async def read(self) -> list[StreamChunk]:
        """The next chunks, at least one, the final one last; or none and a `failure`."""
        decoder = self.decoder
        while True:
            try:
                data = await self._next()
            except StopAsyncIteration:
                chunks = decoder.end_of_bytes()
                if not decoder.hop_ended:
                    return self._last(chunks, None)
                try:
                    await self._next_hop()
                except LLMRingError as error:
                    self.fail(error)
                    return chunks
                if chunks:
                    return chunks
                continue
            except Exception as error:
                return self._last([], error)
            chunks = decoder.read(data)
            if decoder.ended or decoder.error:
                return self._last(chunks, None)
            if chunks:
                return chunks

    def _last(self, chunks: list[StreamChunk], broken: Exception | None) -> list[StreamChunk]:
        """The end of the answer, which is a good one only if the wire said all that it must say."""
        decoder = self.decoder
        wire_error = decoder.error
        if wire_error is None and decoder.complete:
            try:
                chunks.append(decoder.close())
                self.finished = True
                self._ended(None)
                return chunks
            except WireError as error:
                wire_error = error
            except Exception as error:  # what nobody sends was put together to something that is nothing
                broken = error
        if wire_error is None and broken is None:
            wire_error = decoder.not_a_stream()
        if wire_error is not None or broken is not None:
            self.fail(self._error(wire_error or broken))  # type: ignore[arg-type]
        else:
            self.fail(self._cut())
        return chunks

    def received(self) -> LLMResponse | None:
        """Of an answer that failed, what had been read of it and not handed over, if anything had."""
        held = self.decoder.held
        return LLMResponse(self.model, held, response_model=self.decoder.response_model) if held else None

    def _cut(self) -> ProviderConnectionError:
        return ProviderConnectionError(
            f"The answer of {self.model} ended before its end marker ({self.decoder.end_marker}): the connection "
            "was cut on the way. Ask again; what had arrived is in `partial`.",
            provider=self.provider.name,
            model=self.call.model,
        )

    def _error(self, error: Exception) -> LLMRingError:
        return self.provider.error(error, self.call, self.response.headers)

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


class _WholeAnswer(Answer):
    """An answer that is not streamed: all of it is one chunk, the final one."""

    def __init__(self, provider: Provider, call: Call, response: HTTPResponse) -> None:
        super().__init__(provider, call, response)
        self._body: list[bytes] = []
        self._said = StreamChunk()

    async def read(self) -> list[StreamChunk]:
        """The final chunk; or none and a `failure`."""
        try:
            while True:
                final = self.decoder.answer(await self._all())
                self._body = []
                final.delta = self._said.delta + final.delta
                final.reasoning = (self._said.reasoning or "") + (final.reasoning or "") or None
                if self.decoder.complete:
                    self.finished = True
                    self._ended(None)
                    return [final]
                self._said = final
                if not self.decoder.hop_ended:
                    raise self._cut()
                await self._next_hop()
        except Exception as error:
            is_cut = isinstance(error, WireError) and not error.enveloped and _is_cut(b"".join(self._body))
            self.fail(self._cut() if is_cut else self._error(error))
            return []

    async def _all(self) -> bytes:
        size = 0
        while True:
            try:
                self._body.append(data := await self._next())
            except StopAsyncIteration:
                return b"".join(self._body)
            size += len(data)
            if size > self.call.max_bytes:
                self._body = []
                raise self.decoder.too_large("a body")

    def received(self) -> LLMResponse | None:
        """The beginning of its body is read as far as it goes, whatever it was that broke it off."""
        decoder = begun = self.decoder
        said, more = self._said, decoder.said if self._body else None
        if more is None:
            begun = self.provider.decoder(self.call)
            with contextlib.suppress(Exception):  # whatever a decoder makes of half an answer
                more = begun.feed_answer(from_json(b"".join(self._body), allow_partial="trailing-strings"))
        if more is not None:
            said.delta += more.delta
            said.reasoning = (said.reasoning or "") + (more.reasoning or "") or None
        said.delta += begun.held
        calls = [call for it in dict.fromkeys((decoder, begun)) for call in it.calls.snapshot()()]
        if not (said.delta or said.reasoning or calls):
            return None
        return LLMResponse(
            self.model,
            said.delta,
            said.reasoning,
            calls or None,
            usage=begun.usage or decoder.usage,
            response_model=begun.response_model or decoder.response_model,
            served=((begun if begun.usage else decoder).served,),
        )


def _is_cut(body: bytes) -> bool:
    """Whether a body that is no JSON is the beginning of some, or nothing."""
    body = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        from_json(body)
    except ValueError as error:
        return not body or (body.startswith((b"{", b"[")) and str(error).startswith("EOF"))
    return False


async def _send(provider: Provider, call: Call) -> HTTPResponse:
    try:
        body = to_json(provider.render(call))
    except CannotCarry as error:
        raise provider.error(error, call) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"The request has a form that cannot be sent to {provider.name}:{call.model} ({type(error).__name__}: "
            f"{error}). Check its parts, tools, metadata and extra_params."
        ) from error
    try:
        return await provider.send(call, body)
    except Exception as error:
        raise provider.error(error, call) from None
