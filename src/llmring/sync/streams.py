"""Streams for code that awaits nothing."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from ..schemas import LLMResponse, StreamChunk
from .loop import BACKGROUND

if TYPE_CHECKING:
    from .. import stream, talk
    from ..talk.loop import Step  # noqa: F401 - it is named in quotes

__all__ = ["ChatStream", "ToolStream"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Stream(Protocol[T_co]):
    @property
    def response(self) -> LLMResponse: ...
    def at_hand(self) -> T_co | None: ...
    async def __anext__(self) -> T_co: ...
    def cancel(self) -> None: ...
    async def aclose(self) -> None: ...


class _Waited(Generic[T]):
    """What is read with `for`; the asynchronous stream does the work."""

    _stream: _Stream[T]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        item = self._stream.at_hand() or BACKGROUND.run(self._next)
        if item is None:
            raise StopIteration
        return item

    async def _next(self) -> T | None:
        return await anext(self._stream, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def response(self) -> LLMResponse:
        """The answer so far; where functions are called, the one under way, or else the last one."""
        return self._stream.response

    def cancel(self) -> None:
        """End it from another thread: the loop that reads it ends, without an error and without the rest."""
        BACKGROUND.soon(self._stream.cancel)

    def close(self) -> None:
        """Close the connection, and cancel the functions under way."""
        BACKGROUND.run(self._stream.aclose)


class ChatStream(_Waited[StreamChunk]):
    """Chunks of an answer: iterate it with `for`.

    Leaving the loop and dropping the stream, `close()`, and leaving `with stream` all close the connection at once, so
    that the provider stops generating.
    """

    def __init__(self, answer: stream.ChatStream) -> None:
        self._stream: stream.ChatStream = answer

    def final_response(self) -> LLMResponse:
        """Read to the end, and give the whole answer; see `llmring.ChatStream.final_response`."""
        return BACKGROUND.run(self._stream.final_response)


class ToolStream(_Waited["Step"]):
    """What happens while a model calls functions: iterate it with `for`. See `llmring.talk.ToolStream`.

    Functions that are not async run in threads of their own, those that are in the loop of this face.
    """

    def __init__(self, stream: talk.ToolStream) -> None:
        self._stream: talk.ToolStream = stream

    @property
    def run(self) -> talk.ToolRun:
        """All that was said and done so far: whole answers, and the results of those calls that are done."""
        return self._stream.run

    @property
    def is_whole(self) -> bool:
        """Whether the model has its answer, or only calls are left that are the caller's."""
        return self._stream.is_whole

    def final_run(self) -> talk.ToolRun:
        """Read to the end, and give all of it; see `llmring.talk.ToolStream.final_run`."""
        return BACKGROUND.run(self._stream.final_run)
