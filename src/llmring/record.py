"""The record of what a service has open: one for each process and event loop that it is used in.

What is open belongs to the loop that opened it, and to the process: a forked one has a copy of its parent's, and its
parent would lose it if it were closed there. So closing a service is: for each record of this process, end it in its
own loop. A loop that ends in order (`asyncio.run` does) ends its record itself. One that was closed leaves nothing
that could be ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from types import coroutine
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakSet, ref

from .exceptions import LLMRingError

__all__ = ["Record", "Records", "ended", "first_of", "running_loop"]

T = TypeVar("T")

_OTHER_LOOP = 5.0
"""Seconds to wait for another event loop, which may stand still."""


class _Stream(Protocol):
    async def shut(self, why: LLMRingError) -> None: ...


def ended() -> LLMRingError:
    """What hears whoever waits for an answer that is ended under way."""
    return LLMRingError("This service, or its event loop, was closed while an answer was under way.")


class Record:
    """What a service has open in one process and one event loop.

    Attributes:
        loop: the event loop; `None` for what was made where none ran.
        providers: by their names and what they are made of; whoever puts one in takes it out. Each has a `close`, and
            says whether it was `lent`: then a caller may still use it.
        streams: those that are read, or were; who waits for a whole answer reads one, too.
        over: it was ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self.providers: dict[Any, Any] = {}
        self.streams: WeakSet[_Stream] = WeakSet()
        self.over = False
        self._process = os.getpid()
        self._closing: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._ended: Future[None] = Future()
        if loop is not None:
            self._life = _life(ref(self))
            with _unheard(sys.get_asyncgen_hooks().firstiter), suppress(StopIteration):
                self._life.__anext__().__await__().send(None)

    @property
    def is_left(self) -> bool:
        """Whether nothing of it can be ended, here or any more."""
        return self.over or self._process != os.getpid() or (self.loop is not None and self.loop.is_closed())

    def close(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have something closed in its loop, from where nothing can be awaited: in another thread, or in `__del__`."""
        if self._process != os.getpid():
            return
        if running_loop() is self.loop:
            # At once: what ends its loop as the next thing it does still has it closed in order.
            self._close(work)
        elif self.loop is not None:
            with suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(self._close, work)

    def waits_for(self, task: asyncio.Task[None]) -> None:
        """Keep a task of its loop until it is done, and end no sooner."""
        # Loops hold their tasks weakly.
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _close(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.waits_for(asyncio.ensure_future(work()))

    async def end(self) -> None:
        """End all of it: in its own loop if that runs, which may be another thread's; else here."""
        here = asyncio.get_running_loop()
        if self.is_left:
            return
        if self.loop is None or self.loop is here or not self.loop.is_running():
            await asyncio.wait([self._begin_to_end()])
            return
        told = asyncio.Event()

        def tell(_: object) -> None:
            with suppress(RuntimeError):  # who waited is gone, and its loop with it
                here.call_soon_threadsafe(told.set)

        self._ended.add_done_callback(tell)
        with suppress(RuntimeError, TimeoutError):  # its loop was closed meanwhile, or stands still
            self.loop.call_soon_threadsafe(self._begin_to_end)
            async with asyncio.timeout(_OTHER_LOOP):
                await told.wait()

    async def abandon(self) -> None:
        """Close the providers that nobody can use any more: their service is gone, with all of its streams."""
        await asyncio.sleep(0)  # for streams that are dropped with it
        while others := self._closing - {asyncio.current_task()}:
            await asyncio.wait(others)
        unused = {key: it for key, it in self.providers.items() if not it.lent}
        await asyncio.gather(*(it.close() for it in unused.values()), return_exceptions=True)
        for key in unused:
            self.providers.pop(key, None)

    def _begin_to_end(self) -> asyncio.Task[None]:
        # An event loop that ends cancels all tasks before it says so.
        if self._ending is None or self._ending.cancelled():
            self._ending = asyncio.get_running_loop().create_task(self._end())
        return self._ending

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(it.shut(ended()) for it in [*self.streams]), return_exceptions=True)
        await asyncio.sleep(0)  # for what another thread has asked to be closed
        while self._closing and loop is self.loop:
            await asyncio.wait(self._closing)
        await asyncio.gather(*(it.close() for it in [*self.providers.values()]), return_exceptions=True)
        self.providers.clear()
        self.over = True
        self._ended.set_result(None)


async def _life(reference: ref[Record]) -> AsyncGenerator[None, None]:
    """Lasts as long as the event loop, which closes its generators before it ends, and waits for that."""
    try:
        yield
    finally:
        if (record := reference()) is not None:
            await record.end()


class Records:
    """The records of one service.

    Attributes:
        closed: the service is, and opens nothing any more.
    """

    def __init__(self) -> None:
        self.closed = False
        self._of: dict[tuple[int, asyncio.AbstractEventLoop | None], Record] = {}

    def __del__(self) -> None:
        """The service was dropped, and the streams that hold this, too."""
        for record in self.all():
            if record.loop is not None and record.providers:
                record.close(record.abandon)

    def here(self) -> Record:
        """The record of this process, and of the event loop that runs here, if one does."""
        place = os.getpid(), running_loop()
        record = self._of.get(place)
        if record is None or record.over:
            self.all()
            # Where no loop runs, several threads may be here at once.
            record = self._of.setdefault(place, Record(place[1]))
        return record

    def all(self) -> list[Record]:
        """Those of this process in which something may be open. Those of loops that have ended are dropped."""
        mine = [(place, record) for place, record in [*self._of.items()] if place[0] == os.getpid()]
        for place, record in mine:
            if record.is_left:
                self._of.pop(place, None)
        return [record for _, record in mine if not record.is_left]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def first_of(generator: AsyncIterator[T]) -> Awaitable[T]:
    """The first item of a generator that is closed by us, and by nobody else, as are those that begin within it.

    An event loop that ends closes each that has begun in it, and so does the garbage collector, all at the same time:
    what is within another is running by then, and says so.
    """
    with _unheard():
        step = generator.__anext__()
    return _first(step)


@coroutine
def _first(step: Awaitable[T]) -> Generator[Any, Any, T]:
    steps = step.__await__()
    try:
        with _unheard():
            waits_for = steps.send(None)
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:
                waits_for = steps.throw(error)
            else:
                waits_for = steps.send(sent)
    except StopIteration as end:
        return cast("T", end.value)


@contextmanager
def _unheard(begun: Callable[[AsyncGenerator[Any, Any]], None] | None = None) -> Iterator[None]:
    """Tell nobody, or `begun` alone, of async generators that begin here."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(begun, _let_be)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _let_be(_: object) -> None:
    """In place of the event loop's own, which would close it."""
