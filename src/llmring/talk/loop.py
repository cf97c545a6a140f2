"""The loop of a model's calls and their results, as a stream of all that happens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, Protocol

from .. import request as requests
from ..exceptions import ConfigurationError, LLMRingError, ToolCallError, ToolRoundsError
from ..misuse import AwaitedStream, awaited
from ..record import Record, Records, running_loop
from ..schemas import LLMRequest, LLMResponse, Message, StreamChunk, ToolCall
from ..stream import ChatStream
from .functions import Functions, parsed
from .runs import Round, ToolCalled, ToolResult, ToolRun

__all__ = ["OnError", "Step", "ToolStream"]

OnError = Literal["tell", "raise"]
Step = StreamChunk | ToolCalled | ToolResult
_Result = asyncio.Task[tuple[ToolResult, Message]]


class _Ended(Protocol):
    def __call__(self, stream: ToolStream, error: BaseException | None) -> None: ...


class ToolStream(AwaitedStream):
    """What happens while a model calls functions until it has its answer, as `LLMRing.stream_tools` gives it.

    Iterate it with `async for`. It gives the chunks of each answer, a final one for each, and in between a `ToolCalled`
    for each call and a `ToolResult` as each is done. Leaving the loop and dropping it, `aclose()`, leaving `async with`
    and cancelling the task all cancel the functions under way, and close the connection. A function that runs in a
    thread cannot be stopped: what comes of it is dropped.

    Args:
        begin: gives the functions, with the request; it is awaited before the first round, and holds no stream.
        ask: asks a model.
        records: the service's.
        streaming: whether answers arrive in pieces.
        max_rounds: how many answers the model may give.
        on_error: what becomes of a function's error.
        ended: called once, when all is said and done, or given up; with the error that ended it, if one did.

    Attributes:
        given: how many messages the request had; those of `run` that follow are what came of it.
    """

    _form = "service.stream_tools(request, functions)"
    _whole_form = "service.run_tools(request, functions)"

    def __init__(
        self,
        begin: Callable[[ToolStream], Awaitable[Functions]],
        ask: Callable[[LLMRequest], ChatStream],
        records: Records,
        *,
        streaming: bool,
        max_rounds: int = 10,
        on_error: OnError = "tell",
        ended: _Ended | None = None,
    ) -> None:
        self._record: Record | None = None
        # Each with the place of its call among those of the round: a server may give two of them one id.
        self._tasks: dict[_Result, int] = {}
        self._ended = ended
        self._begun = self._whole = self._over = self._reading = False
        self._max_rounds = requests.number(max_rounds, "max_rounds", 1)
        if on_error not in ("tell", "raise"):
            raise ConfigurationError(f'on_error is {on_error!r}; it takes "tell" or "raise".')
        self._raises = on_error == "raise"
        self._begin = begin
        self._ask = ask
        self._records = records
        self._streaming = streaming
        self._functions: Functions | None = None
        self._request: LLMRequest | None = None
        self._stream: ChatStream | None = None
        self._steps: deque[Step] = deque()
        self._results: list[tuple[int, ToolResult, Message]] = []
        self._messages: list[Message] = []
        self._rounds: list[Round] = []
        self._asked = 0
        self.given = 0
        self._pending: list[ToolCall] = []
        self._error: BaseException | None = None
        # Why it was closed by another than its reader, until the reader has been told.
        self._untold: LLMRingError | None = None

    async def __anext__(self) -> Step:
        if self._reading:
            raise RuntimeError("Another task is reading this stream; a stream has one reader.")
        self._reading = True
        try:
            step = await self._next()
        except BaseException as error:
            self._error = error
            await self._leave()
            raise
        finally:
            self._reading = False
        if step is None:
            raise StopAsyncIteration
        return step

    def __del__(self) -> None:
        self._over = True
        tasks = [it for it in self._tasks if not it.done()]
        if tasks and self._record is not None:
            if running_loop() is self._record.loop:  # before they begin, if they have not
                _cancel(tasks)
            self._record.close(partial(_cancelled, tasks))
        self._end()

    @property
    def response(self) -> LLMResponse:
        """The answer under way, or else the last one."""
        if self._stream is not None and not self._is_answered:
            return self._stream.response
        if self._rounds:
            return self._rounds[-1].response
        return LLMResponse(self._request.model if self._request is not None else "")

    @property
    def run(self) -> ToolRun:
        """All that was said and done so far: whole answers, and the results of those calls that are done."""
        return ToolRun(self.response, [*self._messages], [*self._rounds], [*self._pending])

    @property
    def is_whole(self) -> bool:
        """Whether the model has its answer, or only calls are left that are the caller's."""
        return self._whole

    @awaited
    async def final_run(self) -> ToolRun:
        """Read to the end, and give all of it.

        Raises:
            ProviderError: an answer broke off, also if that was seen before.
            ToolRoundsError: the model still called at the limit.
            LLMRingError: it was closed before its end.
        """
        async for _ in self:
            pass
        if self._whole:
            return self.run
        # That its reader was cancelled is no error of who asks now.
        raise (
            self._error
            if isinstance(self._error, Exception)
            else LLMRingError("It was closed before its end; `run` holds what was done by then.")
        )

    def at_hand(self) -> StreamChunk | None:
        """The next chunk, if it has come already and is not the final one: it takes no wait."""
        stream = self._stream
        return stream.at_hand() if stream is not None and self._streaming and not self._steps else None

    def cancel(self) -> None:
        """End it from another task: the loop that reads it ends, without an error and without an answer."""
        self._over = True
        if self._stream is not None:
            self._stream.cancel()
        _cancel(self._tasks)

    async def aclose(self) -> None:
        """Cancel the functions under way, and close the connection. Who reads it in another task is let go."""
        await self._leave()

    async def shut(self, why: LLMRingError) -> None:
        """Close it for what it belongs to is closed: its reader is told, now or when it reads on."""
        if self._begun and not (self._over or self._whole):
            self._untold = why
        await self._leave()

    async def _next(self) -> Step | None:
        while not self._over:
            if self._steps:
                return self._steps.popleft()
            if self._whole:
                break
            if self._tasks:
                await self._next_results()
            elif self._stream is None or self._is_answered:
                await self._next_round()
            elif not self._streaming:
                self._answered(await self._stream.final_response())
            elif (chunk := await anext(self._stream, None)) is None:
                break  # somebody has cancelled it
            else:
                if chunk.finish_reason is not None:
                    self._answered(self._stream.response)
                return chunk
        await self._leave()
        if (untold := self._untold) is not None:
            self._untold = None
            raise untold
        return None

    @property
    def _is_answered(self) -> bool:
        """Whether what the model is being asked has been answered."""
        return self._stream is None or len(self._rounds) == self._asked

    async def _next_round(self) -> None:
        if self._functions is None:
            self._functions = await self._begin(self)
            self._begun = True
            self._record = self._records.here()
            self._record.streams.add(self)
            self._request = self._functions.request
            self._messages = [*self._request.messages]
            self.given = len(self._messages)
        assert self._request is not None
        if self._stream is not None:
            await self._stream.aclose()
        asked: dict[str, Any] = {"messages": [*self._messages]}
        if self._rounds:
            if len(self._rounds) >= self._max_rounds:
                raise self._too_many()
            # One that must be called would be called for ever. It is said, for the alias may have one of its own.
            choice = self._request.tool_choice
            asked["tool_choice"] = choice if choice in (None, "auto", "none") else None
        self._stream = self._ask(self._request.model_copy(update=asked))
        self._asked = len(self._rounds) + 1

    def _answered(self, response: LLMResponse) -> None:
        """The model has answered: its calls begin, if it calls."""
        assert self._functions is not None
        self._rounds.append(Round(response))
        self._messages.append(response.to_message())
        calls = response.tool_calls or []
        here = [call for call in calls if self._functions.is_here(call)]
        self._pending = [call for call in calls if not self._functions.is_here(call)]
        for place, call in enumerate(here):
            self._steps.append(ToolCalled(call["id"], call["function"]["name"], parsed(call["function"]["arguments"])))
            # The task holds no stream: one that is dropped is to be noticed.
            self._tasks[asyncio.create_task(self._functions.call(call))] = place
        if not here:
            self._finish()

    async def _next_results(self) -> None:
        """Wait for calls that are done; with the last of them, the model is told of all."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._over:
            return
        for task in [it for it in self._tasks if it in done]:
            if task.cancelled():
                raise LLMRingError("A function cancelled the task that it ran in, so nothing came of its call.")
            result, message = task.result()
            self._results.append((self._tasks.pop(task), result, message))
            self._rounds[-1].results.append(result)
            self._steps.append(result)
            if self._raises and result.error is not None and not isinstance(result.error, ToolCallError):
                raise result.error
        if self._tasks:
            return
        self._results.sort(key=lambda it: it[0])
        self._rounds[-1].results = [result for _, result, _ in self._results]
        self._messages += [message for _, _, message in self._results]
        self._results = []
        if self._pending:
            self._finish()

    def _too_many(self) -> ToolRoundsError:
        names = ", ".join(dict.fromkeys(it.name for it in self._rounds[-1].results))
        return ToolRoundsError(
            f"{self.response.model} called functions in each of {self._max_rounds} rounds, the last time {names}, and "
            "has not answered. All of it is in `run`: to go on, ask with run.messages. Or raise max_rounds.",
            self.run,
        )

    def _finish(self) -> None:
        self._whole = True
        self._end()

    def _end(self) -> None:
        if self._begun and self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self, self._error)

    async def _leave(self) -> None:
        self._over = True
        self._steps.clear()
        tasks = [*self._tasks]
        _cancel(tasks)
        # A function may be the one that closes it.
        tasks = [it for it in tasks if it is not asyncio.current_task()]
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            if tasks:
                await asyncio.wait(tasks)
            self._tasks.clear()
            self._end()


def _cancel(tasks: Any) -> None:
    for task in tasks:
        task.cancel()


async def _cancelled(tasks: list[_Result]) -> None:
    _cancel(tasks)
    await asyncio.wait(tasks)
