"""Answers to many rows, for code that awaits nothing. Rows are taken, and requests made, where they are read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import replace
from itertools import islice
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..schemas import LLMRequest
from .loop import BACKGROUND

if TYPE_CHECKING:
    from .. import bulk

__all__ = ["RowMap"]

R = TypeVar("R")

_AT_ONCE = 16
_PATIENCE = 0.005
"""Rows that are handed to the event loop together, and the seconds in which they must have come."""


class RowMap(Generic[R]):
    """Answers to rows: iterate it with `for`. See `llmring.bulk.RowMap`."""

    def __init__(
        self,
        rows: Iterable[R] | AsyncIterable[R],
        build: Callable[[R], Any],
        begin: Callable[[Any, Callable[[Any], Any]], bulk.RowMap[Any]],
        *,
        is_taken_here: bool = True,
    ) -> None:
        self._feed: _Feed | None = None
        self._next: asyncio.Task[bulk.MapResult[Any]] | None = None
        self._build = build
        if is_taken_here and isinstance(rows, Iterable):
            self._feed = _Feed()
            self._map = begin(self._feed, _made)
            self._rows = iter(rows)
        else:
            self._map = begin(rows, build)

    def __iter__(self) -> Self:
        aiter(self._map)  # which says so where it was read to its end
        return self

    def __next__(self) -> bulk.MapResult[R]:
        given: list[tuple[R, LLMRequest]] | Exception | None = None
        while True:
            step = given
            result, is_over = BACKGROUND.run(lambda step=step: self._step(step))  # type: ignore[misc]
            if is_over:
                raise StopIteration
            if result is not None:
                return result if self._feed is None else replace(result, row=result.row[0])
            given = self._taken()

    def _taken(self) -> list[tuple[R, LLMRequest]] | Exception:
        """Some rows, each with what is asked about it; none at the end."""
        taken: list[tuple[R, LLMRequest]] = []
        began = monotonic()
        try:
            for row in islice(self._rows, _AT_ONCE):
                taken.append((row, self._build(row)))
                if monotonic() - began > _PATIENCE:
                    break
        except Exception as error:
            if not taken:
                return error
            self._rows = _raising(error)
        return taken

    async def _step(self, given: Any) -> tuple[bulk.MapResult[Any] | None, bool]:
        """A result; or none, where rows are wanted; and whether it is over."""
        feed = self._feed
        if feed is not None and given is not None:
            feed.give(given)
        if self._next is None:
            self._next = asyncio.ensure_future(_next(self._map))
        if feed is not None:
            wanted = asyncio.ensure_future(feed.wanted.wait())
            try:
                await asyncio.wait({self._next, wanted}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wanted.cancel()
            if not self._next.done():
                return None, False
        done, self._next = self._next, None
        try:
            return await done, False
        except StopAsyncIteration:
            return None, True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # What waits for the next result holds the map.
        if self._next is not None:
            BACKGROUND.soon(self._next.cancel)

    @property
    def progress(self) -> bulk.Progress:
        """How it stands."""
        return self._map.progress

    def stop(self) -> None:
        """Take no more rows, also from another thread: what is under way is finished, and then the loop ends."""
        BACKGROUND.soon(self._map.stop)

    def close(self) -> None:
        """Take no more rows, and end what is under way."""
        BACKGROUND.run(self._map.aclose)


async def _next(rows: bulk.RowMap[Any]) -> bulk.MapResult[Any]:
    return await anext(rows)


def _made(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _raising(error: Exception) -> Any:
    raise error
    yield


class _Feed(AsyncIterator[Any]):
    """Rows that come from another thread, when they are wanted."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self._come = asyncio.Event()
        self._rows: deque[Any] = deque()
        self._error: Exception | None = None
        self._over = False

    async def __anext__(self) -> Any:
        while not self._rows:
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._come.clear()
            self.wanted.set()
            await self._come.wait()
        return self._rows.popleft()

    def give(self, rows: Any) -> None:
        """Here are some; none, where there are no more; or what went wrong."""
        self.wanted.clear()
        if isinstance(rows, Exception):
            self._error = rows
        elif rows:
            self._rows.extend(rows)
        else:
            self._over = True
        self._come.set()
