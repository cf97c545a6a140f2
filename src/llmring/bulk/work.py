"""Rows through a model: so many at once as the provider lets, and no more rows taken than somebody reads answers."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from random import uniform
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..exceptions import (
    BudgetExceededError,
    CircuitBreakerError,
    ConfigurationError,
    LLMRingError,
    LockfileError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    StoreUnavailableError,
    is_passing,
)
from .limits import outcome_of
from .pace import Begun, Pace
from .results import MapResult, Progress

if TYPE_CHECKING:
    from .. import catalog
    from ..schemas import LLMRequest, LLMResponse
    from .limits import Asked, Limits

__all__ = ["Work"]

R = TypeVar("R")

_FATAL = (
    BudgetExceededError,
    ConfigurationError,
    LockfileError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderNotFoundError,
    StoreUnavailableError,
)
"""What every row would meet."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a row is asked again: twice as long each time."""
_REFUSALS = 50
"""Times that one row may be refused for the rate, which says nothing of it."""
_ALL = 20
"""Rows that fail before one is answered: then it is not the rows."""
_CUT_SHORT = "Not all rows were asked about: they, or build_request, were cancelled, or the event loop has ended."


@dataclass(slots=True)
class _Job(Generic[R]):
    number: int
    row: R
    request: LLMRequest
    attempts: int = 0
    refusals: int = 0
    seen: int = 0
    """How many rows were answered when it was first asked."""


class Work(Generic[R]):
    """What a map does. Its tasks hold it; the map itself is held by its reader alone."""

    def __init__(
        self,
        rows: Iterable[R] | AsyncIterable[R],
        build: Callable[[R], LLMRequest | Awaitable[LLMRequest]],
        ask: Callable[[LLMRequest], Asked],
        cost: Callable[[Any], catalog.Cost],
        limits: Limits,
        *,
        most: int,
        attempts: int,
        ordered: bool,
    ) -> None:
        self._rows = rows
        self._build = build
        self._ask = ask
        self._cost = cost
        self._limits = limits
        self._most = most
        self._attempts = attempts
        self._ordered = ordered
        # Where answers are handed over in order, those behind a slow one wait for it.
        self._ahead = most * (4 if ordered else 2)
        self._iterator: Iterator[R] | None = None
        self._aiterator: AsyncIterator[R] | None = None
        self._pull: asyncio.Task[R] | None = None
        self._pace: Pace | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feeder: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: list[tuple[float, int, _Job[R]]] = []
        self._ready: deque[MapResult[R]] = deque()
        self._kept: dict[int, MapResult[R]] = {}
        self._left: set[int] = set()
        self._next = 1
        self._taken = self._out = 0
        self._answered = self._failed = 0
        self._no_more = False
        self._over = self._is_ended = False
        self._error: BaseException | None = None
        self._fault: LLMRingError | None = None
        self._moved = asyncio.Event()
        self._come = asyncio.Event()

    # The reader's side

    async def next(self) -> MapResult[R] | None:
        """What came of the next row; `None` where there is none."""
        if self._loop is None:
            self._begin()
        while not self._ready:
            if self._over:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                return None
            self._come.clear()
            await self._come.wait()
        result = self._ready.popleft()
        self._out += 1
        self._moved.set()
        return result

    def stop(self) -> None:
        """Take no more rows."""
        self._no_more = True
        self._moved.set()

    def drop(self) -> None:
        """Nobody reads any more."""
        if self._loop is not None and not self._over and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._is_ended = True
        for task in (self._feeder, self._pull, *self._tasks):
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Take no more rows, and end what is under way."""
        self._no_more = True
        self._cancel()
        running = [it for it in (self._feeder, self._pull, *self._tasks) if it is not None and not it.done()]
        if running:
            await asyncio.wait(running)
        if self._aiterator is not None and hasattr(self._aiterator, "aclose"):
            with suppress(RuntimeError):
                await self._aiterator.aclose()
        self._over = True
        self._ready.clear()
        self._come.set()

    @property
    def progress(self) -> Progress:
        """How it stands."""
        pace = self._pace
        return Progress(
            self._answered,
            self._failed,
            len(self._tasks),
            len(self._later),
            int(pace.window) if pace is not None else 0,
            pace.rate if pace is not None else None,
            pace.limited_by if pace is not None else "rows",
            pace.refused if pace is not None else 0,
        )

    # Taking rows, and having them asked

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(self._most, self._loop.time)
        if isinstance(self._rows, AsyncIterable):
            self._aiterator = aiter(self._rows)
        else:
            self._iterator = iter(self._rows)
        self._feeder = self._loop.create_task(self._feed())

    async def _feed(self) -> None:
        assert self._loop is not None
        assert self._pace is not None
        try:
            while True:
                is_due = bool(self._later) and self._later[0][0] <= self._loop.time() and self._error is None
                wait = self._pace.wait(len(self._tasks))
                if wait == 0 and (is_due or not self._no_more):
                    job = heappop(self._later)[2] if is_due else await self._take()
                    if job is not None and (pause := self._limits.wait()):
                        self._pace.leave_alone(pause)
                        heappush(self._later, (self._loop.time() + pause, job.number, job))
                        continue
                    if job is not None:
                        self._start(job)
                        continue
                if self._error is not None:
                    self._later.clear()
                if self._no_more and not self._tasks and not self._later:
                    return
                if self._later and not is_due:
                    due = max(self._later[0][0] - self._loop.time(), 0.001)
                    wait = min(wait or inf, due)
                await self._wait(wait or inf)
        except asyncio.CancelledError:
            if not self._is_ended:
                self._fail(LLMRingError(_CUT_SHORT))
            raise
        except BaseException as error:
            self._fail(error)
        finally:
            if self._tasks:
                with suppress(asyncio.CancelledError):
                    await asyncio.wait(self._tasks)
            self._ready.extend(self._kept.pop(number) for number in sorted(self._kept))  # some between have none
            self._over = True
            self._come.set()

    async def _wait(self, seconds: float) -> None:
        """Until something has moved, or for so long."""
        assert self._loop is not None
        timer = self._loop.call_later(seconds, self._moved.set) if seconds != inf else None
        try:
            await self._moved.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._moved.clear()

    async def _take(self) -> _Job[R] | None:
        """The next row; `None` where there is none now."""
        assert self._pace is not None
        if self._taken - self._out >= self._ahead:
            self._pace.limited_by = "reader"
            return None
        if self._iterator is not None:
            try:
                row = next(self._iterator)
            except StopIteration:
                self._no_more = True
                return None
        else:
            assert self._aiterator is not None
            if self._pull is None:
                self._pull = asyncio.ensure_future(_first(self._aiterator))
                self._pull.add_done_callback(lambda _: self._moved.set())
                await asyncio.sleep(0)
            if not self._pull.done():
                self._pace.limited_by = "rows"
                return None
            pull, self._pull = self._pull, None
            try:
                row = pull.result()
            except StopAsyncIteration:
                self._no_more = True
                return None
        self._taken += 1
        try:
            request = self._build(row)
            if inspect.isawaitable(request):
                request = await request
        except Exception as error:
            error.add_note(f"llmring: of the row {self._taken}")
            self._taken -= 1
            raise
        return _Job(self._taken, row, request, seen=self._answered)

    def _start(self, job: _Job[R]) -> None:
        assert self._loop is not None
        assert self._pace is not None
        job.attempts += 1
        task = self._loop.create_task(self._run(job, self._pace.begins()))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._moved.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End with an error, once what is under way is over."""
        self._error = self._error or error
        self._no_more = True
        self._moved.set()

    async def _run(self, job: _Job[R], begun: Begun) -> None:
        assert self._loop is not None
        assert self._pace is not None
        stream = self._ask(job.request)
        try:
            response = await stream.final_response()
        except LLMRingError as error:
            outcome = outcome_of(error)
            retry_after = error.retry_after if isinstance(error, ProviderError) else None
            self._pace.ended(begun, len(self._tasks), outcome, retry_after)
            if outcome == "refused" and isinstance(error, ProviderError):
                self._limits.refused(error)
            self._failure(job, error, self._loop.time() - begun.at)
        else:
            self._pace.ended(begun, len(self._tasks), "answered")
            self._limits.answered(stream, response)
            self._answered += 1
            self._hand_over(job, response, None, self._loop.time() - begun.at)

    def _failure(self, job: _Job[R], error: LLMRingError, seconds: float) -> None:
        assert self._loop is not None
        out_of_credit = isinstance(error, ProviderError) and error.out_of_credit
        if isinstance(error, BudgetExceededError) and error.held and error.spent + error.needed <= error.usd:
            self._wait_for_room(job)
        # An error of no kind is that of a service that was closed.
        elif isinstance(error, _FATAL) or out_of_credit or type(error) is LLMRingError:
            self._leave(job, error)
        elif not (is_passing(error) or isinstance(error, CircuitBreakerError)):
            self._failed += 1
            self._hand_over(job, None, error, seconds)
            if self._failed >= _ALL and not self._answered:
                error.add_note(
                    f"The first {self._failed} rows all failed, so no more are asked. This is the last one's error."
                )
                self._fail(error)
        else:
            self._again(job, error, seconds)

    def _wait_for_room(self, job: _Job[R]) -> None:
        """Put a row back that a budget has room for once what is under way was cheaper than it might have been."""
        assert self._loop is not None
        assert self._pace is not None
        job.attempts -= 1
        self._pace.has_no_room(len(self._tasks) - 1, _FIRST_PAUSE)
        heappush(self._later, (self._loop.time(), job.number, job))

    def _again(self, job: _Job[R], error: LLMRingError, seconds: float) -> None:
        """Ask a row again later; give it up, where others were answered meanwhile; or else all of it."""
        assert self._loop is not None
        retry_after = getattr(error, "retry_after", None) or 0.0
        if isinstance(error, ProviderRateLimitError):
            job.refusals += 1
            pause, is_over = 0.0, job.refusals >= _REFUSALS
            if not error.asked:
                pause = retry_after
        else:
            tried = job.attempts - job.refusals
            pause = min(_FIRST_PAUSE * 2 ** (tried - 1), _LONGEST_PAUSE) * uniform(0.8, 1.2)  # noqa: S311
            is_over = tried >= self._attempts
            pause = max(pause, min(retry_after, 600.0))
        if not isinstance(error, CircuitBreakerError):
            self._fault = error
        if not is_over and self._error is None:
            heappush(self._later, (self._loop.time() + pause, job.number, job))
            self._moved.set()
        elif self._answered > job.seen and self._error is None:
            self._failed += 1
            self._hand_over(job, None, error, seconds)
        else:
            # A breaker only says that there were others before.
            self._leave(job, self._fault or error)

    def _leave(self, job: _Job[R], error: LLMRingError) -> None:
        """Take no more rows, for no row would be answered."""
        self._out += 1
        self._left.add(job.number)
        self._fail(error)
        self._in_order()

    def _hand_over(self, job: _Job[R], response: LLMResponse | None, error: LLMRingError | None, took: float) -> None:
        result = MapResult(job.number, job.row, job.request, response, error, job.attempts, took, self._cost)
        if self._ordered:
            self._kept[job.number] = result
            self._in_order()
        else:
            self._ready.append(result)
            self._come.set()

    def _in_order(self) -> None:
        while self._next in self._kept or self._next in self._left:
            if (result := self._kept.pop(self._next, None)) is not None:
                self._ready.append(result)
                self._come.set()
            self._left.discard(self._next)
            self._next += 1


async def _first(rows: AsyncIterator[R]) -> R:
    return await anext(rows)
