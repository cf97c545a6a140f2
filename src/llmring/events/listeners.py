"""Who listens to the events of a service, and how they are told: at once, or in their turn where they are awaited."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, ContextVar
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from ..exceptions import ConfigurationError
from ..record import Record, running_loop
from .kinds import Event

__all__ = ["INSIDE", "Line", "Listener", "Listeners"]

Listener = Callable[[Event], Any]
"""What is called with each event: a function, or an `async` one. What it returns does not matter."""

logger = logging.getLogger("llmring")

_PATIENCE: Final = 10.0
"""Seconds that an async listener has for one event."""
_STEPS: Final = 10
_MOST: Final = 10_000
"""Events that wait for async listeners at once."""

INSIDE: Final[ContextVar[frozenset[Listeners]]] = ContextVar("llmring_listeners", default=frozenset())
"""Whose listeners are being told, here and in all that they begin. What they ask of a model is told to nobody."""


class Listeners:
    """The listeners of one service.

    Args:
        given: one, or several, each of which is told.

    Raises:
        ConfigurationError: one cannot be called.
    """

    def __init__(self, given: Listener | Sequence[Listener]) -> None:
        self._all: list[Any] = [*given] if isinstance(given, list | tuple) else [given]
        for it in self._all:
            if not callable(it):
                raise ConfigurationError(
                    f"on_event is {given!r}; it takes a function that is called with each event, or several in a list."
                )
        self._awaited = [_is_async(it) for it in self._all]
        self._failed: set[int] = set()
        self._full = False
        self.waiting = 0

    def keep_gaps(self) -> bool:
        """Whether one of them wants the time between the pieces of an answer."""
        return any(getattr(it, "keeps_gaps", False) for it in self._all)

    def tell(self, event: Event, lines: dict[int, Line], record: Record, context: Context) -> None:
        """Tell all of them of an event.

        Args:
            event: what happened.
            lines: of the request's, those of its events that wait for the async ones.
            record: where it happened.
            context: the variables of whoever asked.
        """
        if running_loop() is record.loop:
            self._tell(event, lines, record, context)
        else:
            self.tell_soon(event, lines, record, context)

    def tell_soon(self, event: Event, lines: dict[int, Line], record: Record, context: Context) -> None:
        """The same, in the loop's next step: from another thread, or from where nothing may be called."""
        try:
            assert record.loop is not None
            record.loop.call_soon_threadsafe(self._tell, event, lines, record, context)
        except RuntimeError:  # it is closed: nobody else will tell
            self._tell(event, lines, record, context)

    def _tell(self, event: Event, lines: dict[int, Line], record: Record, context: Context) -> None:
        for number, listener in enumerate(self._all):
            if self._awaited[number]:
                self._line(number, lines, record).add(lambda it=listener: it(event), context)  # type: ignore[misc]
                continue
            try:
                # A copy: a listener may have another event told, by what it does to the stream.
                said = context.copy().run(listener, event)
            except (Exception, asyncio.CancelledError) as error:
                self.complain(number, error)
            else:
                if isawaitable(said):
                    self._line(number, lines, record).add(lambda it=said: it, context)  # type: ignore[misc]

    def _line(self, number: int, lines: dict[int, Line], record: Record) -> Line:
        if (line := lines.get(number)) is None:
            line = lines[number] = Line(self, number, record)
        return line

    def complain(self, number: int, error: BaseException) -> None:
        """Log what a listener raised, once for each."""
        if number in self._failed:
            return
        self._failed.add(number)
        late = " It had ten seconds for one event." if isinstance(error, TimeoutError) else ""
        logger.error(
            "The listener %s of on_event failed; requests go on, and it is told of what follows. This is said once.%s",
            *(_name(self._all[number]), late),
            exc_info=error,
        )

    def is_full(self) -> bool:
        """Whether so many events wait that one more is lost, which is logged once."""
        if self.waiting < _MOST:
            return False
        if not self._full:
            self._full = True
            logger.error("%d events wait for the listeners of on_event, so some are lost. This is said once.", _MOST)
        return True


class Line:
    """What waits for one async listener of one request: one event after the other.

    Args:
        listeners: whose it is.
        number: which of them.
        record: what waits for it before it ends.
    """

    def __init__(self, listeners: Listeners, number: int, record: Record) -> None:
        self._listeners = listeners
        self._number = number
        self._record = record
        self._waiting: deque[tuple[Callable[[], Awaitable[object]], Context]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._was_cancelled = False

    def add(self, call: Callable[[], Awaitable[object]], context: Context) -> None:
        """Have it called, and awaited, when those before it are done."""
        if self._record.loop is None or running_loop() is not self._record.loop or self._listeners.is_full():
            return
        self._listeners.waiting += 1
        self._waiting.append((call, context))
        if self._task is None:
            self._go_on()

    def _go_on(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._told())
        self._record.waits_for(self._task)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled() and self._was_cancelled:
            self._drop()
        elif self._waiting:
            # A loop that ends cancels all tasks, and waits for those of the record after that.
            self._was_cancelled = task.cancelled()
            self._go_on()

    def _drop(self) -> None:
        self._listeners.waiting -= len(self._waiting)
        self._waiting.clear()

    async def _told(self) -> None:
        while self._waiting:
            call, context = self._waiting.popleft()
            self._listeners.waiting -= 1
            try:
                await _patiently(asyncio.get_running_loop().create_task(_called(call), context=context.copy()))
            except TimeoutError as error:
                self._listeners.complain(self._number, error)
                self._drop()
            except asyncio.CancelledError as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                self._listeners.complain(self._number, error)
            except Exception as error:
                self._listeners.complain(self._number, error)


async def _patiently(task: asyncio.Task[None]) -> None:
    """Wait for a listener, but not for ever. While the loop stands, as at a prompt, its time stands as well."""
    try:
        for _ in range(_STEPS):
            done, _pending = await asyncio.wait([task], timeout=_PATIENCE / _STEPS)
            if done:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()


async def _called(call: Callable[[], Awaitable[object]]) -> None:
    await call()


def _is_async(listener: Listener) -> bool:
    return iscoroutinefunction(listener) or iscoroutinefunction(getattr(listener, "__call__", None))  # noqa: B004


def _name(listener: Listener) -> str:
    return getattr(listener, "__qualname__", None) or type(listener).__qualname__
