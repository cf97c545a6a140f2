"""A stream of chunks: iterate it, gather it, close it."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any, Literal

from . import concealment
from .answer import Answer
from .exceptions import LLMRingError, ProviderError
from .misuse import AwaitedStream, awaited
from .record import Record, Records
from .routing import Route
from .schemas import LLMResponse, StreamChunk, ToolCall, add_usage
from .told import NOBODY, Told
from .wire import media

__all__ = ["ChatStream"]


class ChatStream(AwaitedStream):
    """Chunks of an answer, as `LLMRing.chat_stream` gives them.

    Iterate it with `async for`. Leaving the loop and dropping the stream, `aclose()`, leaving `async with
    stream`, and cancelling the task all close the connection at once, so that the provider stops generating.
    A stream belongs to one event loop.
    """

    def __init__(self, model: str, start: Callable[[], Route], records: Records, told: Told | None = None) -> None:
        self._told = told or NOBODY
        self._start = start
        self._records = records
        self._record: Record | None = None
        self._route: Route | None = None
        self._answer: Answer | None = None
        self._pending: deque[StreamChunk] = deque()
        self._over = False
        self._error: LLMRingError | None = None
        # Why it was closed by another than its reader, until the reader has been told.
        self._untold: LLMRingError | None = None
        # StringIO gathers in linear time, and in little more memory than the text.
        self._content = StringIO()
        self._reasoning = StringIO()
        self._tool_calls: list[ToolCall] | Callable[[], list[ToolCall]] | None = None
        self._final: StreamChunk | None = None
        # Nothing is handed over before all is said, so that an answer that does not fit may be taken back.
        self._unseen = False
        # What came of the answers that broke off before this one.
        self._before = LLMResponse(model)
        # The task that waits for bytes, since when, and who woke it before they came.
        self._reader: asyncio.Task[Any] | None = None
        self._waiting_since = 0.0
        self._woken_by: Literal["cancel", "timeout", "deadline"] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Set where another task waits for the reader to leave.
        self._left: asyncio.Event | None = None
        # When all of it has to be over, in the loop's time.
        self._until: float | None = None

    async def __anext__(self) -> StreamChunk:
        if not self._pending:
            try:
                await self._fill()
            except BaseException as error:
                raise concealment.bare(error)  # noqa: B904 - it is the same error
            if not self._pending:
                raise StopAsyncIteration
        chunk = self._gathered(self._pending.popleft())
        if chunk.finish_reason is not None:
            await self._parse(chunk)
            if self._final is None:  # it was taken back
                return await self.__anext__()
            self._told.finished(self)
        return chunk

    def at_hand(self) -> StreamChunk | None:
        """The next chunk, if it has come already and is not the final one: it takes no wait."""
        try:
            return self._gathered(self._pending.popleft()) if self._pending[0].finish_reason is None else None
        except IndexError:  # there is none, or another thread has just cancelled the stream
            return None

    def _gathered(self, chunk: StreamChunk) -> StreamChunk:
        if chunk.delta:
            self._content.write(chunk.delta)
        if chunk.reasoning is not None:
            self._reasoning.write(chunk.reasoning)
        if (calls := chunk.unseen_calls) is not None:
            self._tool_calls = calls
        if chunk.finish_reason is not None:
            chunk.usage = add_usage(self._before.usage, chunk.usage)
            chunk.served = (*self._before.served, *chunk.served)
            chunk.skipped_events += self._before.skipped_events
            self._final = chunk
        return chunk

    def __del__(self) -> None:
        self._close_soon()
        self._told.left(self, "closed", soon=True)

    def _close_soon(self) -> None:
        """Close the connection, from where nothing can be awaited."""
        if self._record is not None and self._answer is not None and not self._answer.closed:
            self._record.close(self._answer.close)

    @property
    def response(self) -> LLMResponse:
        """The answer so far."""
        before, final = self._before, self._final
        if self._answer is None:
            return LLMResponse(before.model)
        decoder = self._answer.decoder
        return LLMResponse(
            model=decoder.model,
            content=self._content.getvalue(),
            reasoning=None if final and decoder.unclosed else self._reasoning.getvalue() or None,
            tool_calls=self._tool_calls() if callable(self._tool_calls) else self._tool_calls,
            finish_reason=final.finish_reason if final else None,
            usage=add_usage(before.usage, decoder.usage),
            served=(*before.served, decoder.served),
            response_model=decoder.response_model,
            parsed=final.parsed if final else None,
            skipped_events=before.skipped_events + decoder.skipped_events,
            parts=[*before.parts, *(media.moved(part, len(before.content)) for part in decoder.parts)],
            metadata=decoder.metadata,
            attempts=list(self._route.attempts) if self._route else [],
            retries=self._route.retries if self._route else 0,
        )

    @awaited
    async def final_response(self) -> LLMResponse:
        """Read to the end, and give the whole answer.

        Raises:
            ProviderError: the answer broke off, also if that was seen before.
            LLMRingError: the stream was closed before its final chunk.
        """
        self._unseen = self._answer is None
        async for _ in self:
            pass
        if self._final is None:
            raise self._error or LLMRingError(
                "The stream was closed before its final chunk, so there is no whole answer; "
                "stream.response holds what had arrived."
            )
        return self.response

    def cancel(self) -> None:
        """End the stream from another task: the loop that reads it ends, without an error and a final chunk."""
        if self._over:
            return
        self._over = True
        self._told.left(self, "cancelled")
        self._pending.clear()
        if self._reader is not None:
            if self._woken_by is None:
                self._reader.cancel()
            self._woken_by = "cancel"
        else:
            self._close_soon()

    async def aclose(self) -> None:
        """Close the connection. A loop that reads the stream in another task ends as with `cancel`."""
        self._told.left(self, "closed")
        await self._close()

    async def _close(self) -> None:
        if self._reader is not None and self._reader is not asyncio.current_task():
            self.cancel()
            if self._reader.get_loop() is asyncio.get_running_loop():
                self._left = self._left or asyncio.Event()
                await self._left.wait()
        self._over = True
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            await self._answer.close()

    async def shut(self, why: LLMRingError) -> None:
        """Close it for what it belongs to is closed: its reader is told, now or when it reads on."""
        if not self._over and self._final is None:
            self._untold = why
            self._told.failed(self, why)
        await self._close()

    async def _fill(self) -> None:
        """Make a chunk pending, unless there are no more; or raise what ends the iteration."""
        if self._reader is not None:
            raise RuntimeError("Another task is reading this stream; a stream has one reader.")
        while not self._over and self._final is None:
            if self._record is None:
                self._record = self._records.here()
                self._record.streams.add(self)
                self._told.begin(self._record)
            answer = self._answer
            reads_on = answer is not None and answer.failure is None
            if not (reads_on or answer is None or (self._route is not None and self._route.may_resume(answer))):
                break
            # It waits for the next chunks, to be woken by them, by `cancel`, or by the timer.
            loop = asyncio.get_running_loop()
            reader = self._reader = asyncio.current_task(loop)
            cancels = reader.cancelling() if reader is not None else 0
            try:
                if reads_on:
                    assert answer is not None
                    self._waiting_since = loop.time()
                    late = self._until is not None and self._waiting_since >= self._until
                    self._pending.extend(self._late() if late else await answer.read())
                    self._told.arrived()
                else:
                    await self._connect()
            except asyncio.CancelledError:
                if self._woken_by is None or reader is None or reader.uncancel() > cancels:
                    self._told.left(self, "cancelled")
                    await self._close()
                    raise
                if self._woken_by == "timeout" and self._answer is not None:
                    self._pending.extend(self._answer.silence())
                elif self._woken_by == "deadline":
                    self._pending.extend(self._late())
            except LLMRingError as error:
                await self._close()
                raise self._failed(error)  # noqa: B904 - it is the same error
            finally:
                self._reader = self._woken_by = None
                if self._left is not None:
                    self._left.set()
            if self._pending and not reads_on:
                self._told.first_chunk()
            if self._pending:
                return
        # Whoever has closed the stream, or cancelled it, does not hear of a failure any more.
        failure = self._answer.failure if self._answer is not None and not self._over else None
        await self._close()
        if failure is not None and self._route is not None:
            raise self._failed(self._route.listing(failure))
        if (untold := self._untold) is not None:
            self._untold = None
            raise self._failed(untold)

    def _late(self) -> list[StreamChunk]:
        """The deadline has passed: the final chunk if all had been said by then, else none and a failure."""
        assert self._answer is not None
        assert self._route is not None
        return self._answer.silence(self._route.late())

    async def _connect(self) -> None:
        """Open the first answer, or the one that goes on with it. Both have timeouts of their own."""
        if self._timer is not None:
            self._timer.cancel()
        if self._route is None:
            self._route = self._start()
            self._until = self._route.until
        broken = self._answer
        if broken is None:
            self._answer, chunks = await self._route.answer()
        else:
            so_far = self.response
            self._answer, chunks = await self._route.answer(broken, so_far.content)
            if self._answer is not broken:
                self._before = so_far
            chunks[0].resumed_from = broken.model
        self._pending.extend(chunks)
        self._waiting_since = asyncio.get_running_loop().time()
        self._watch()

    async def _parse(self, final: StreamChunk) -> None:
        """Check the answer against the form that was asked for, and before it against the alias's policy."""
        answer, route = self._answer, self._route
        if route is None or answer is None:
            return
        if route.conduct is not None and self._may_be_taken_back() and route.leaves(self.response):
            await self._take_back(answer)
            return
        if answer.call.form is None:
            return
        call, at = answer.call, answer.decoder.answer_at
        try:
            final.parsed = answer.call.form.check(self.response, answer.provider.name, call.model, at=at)
        except LLMRingError as error:
            if self._unseen and route.asks_again(self.response, error):
                self._told.asked_again(answer.decoder.served, route.retries, error)
                await self._take_back(answer)
                return
            self._final = None
            await self._close()
            raise self._failed(route.listing(error))  # noqa: B904 - it is the same error

    def _may_be_taken_back(self) -> bool:
        """Whether nobody has seen anything of the answer."""
        return self._unseen or not (self._content.tell() or self._reasoning.tell() or self._tool_calls)

    async def _take_back(self, answer: Answer) -> None:
        """Have another answer in the place of this one, of which only the tokens stay."""
        await answer.close()
        self._before = replace(self.response, content="", parts=[])
        self._answer = self._final = self._tool_calls = None
        self._content, self._reasoning = StringIO(), StringIO()

    def _failed(self, error: LLMRingError) -> LLMRingError:
        """The error, with what had been received."""
        self._error = error
        if self._answer is not None:
            self._content.write(self._answer.decoder.held)
        if isinstance(error, ProviderError) and error.partial is None:
            response = self.response
            if response.content or response.reasoning or response.tool_calls:
                error.partial = response
        self._told.failed(self, error)
        return error

    def _watch(self) -> None:
        """Set the timer. One serves the whole stream: it looks how long the reader has waited by now."""
        if self._answer is None or self._record is None or self._record.loop is None or self._over:
            return
        loop = self._record.loop
        timeout, now, looks = self._answer.call.timeout, loop.time(), []
        waited = now - self._waiting_since if self._reader is not None else 0.0
        if timeout is not None:
            looks.append(timeout - waited)
        if self._until is not None and (self._reader is not None or now < self._until):
            looks.append(self._until - now)
        soonest = min(looks, default=1.0)
        if soonest <= 0 and self._reader is not None and self._reader is not asyncio.current_task():
            self._woken_by = "deadline" if self._until is not None and now >= self._until else "timeout"
            self._reader.cancel()
        elif looks:
            # Whoever has just connected is woken when it waits: cancelling itself, it would hear of that anywhere.
            self._timer = loop.call_later(soonest, _watch, weakref.ref(self))


def _watch(reference: weakref.ref[ChatStream]) -> None:
    # A timer that held the stream itself would keep a dropped one open.
    stream = reference()
    if stream is not None:
        stream._watch()
