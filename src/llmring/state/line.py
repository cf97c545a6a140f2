"""Those of one event loop who wait by the same rate: first come, first served."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Callable
from itertools import count
from os import getpid, urandom
from typing import Protocol

from .asks import MICRO, Ask, Told, Verdict

__all__ = ["Line", "given"]

_LEAST = 0.0005
"""Seconds before the store is asked again, at least: two clocks agree no better."""
_HURRY = 0.05


class _Desk(Protocol):
    is_far: bool

    def ask(self, ask: Ask) -> Verdict | asyncio.Future[Verdict]: ...
    def tell(self, *told: Told) -> None: ...
    def give_back(self, ask: Ask, verdict: Verdict) -> None: ...


async def given(desk: _Desk, ask: Ask, answer: asyncio.Future[Verdict]) -> Verdict:
    """What was said. Who has left just when it was said gives back what was taken for him."""
    try:
        return await answer
    except BaseException:
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            desk.give_back(ask, answer.result())
        raise


class _Waiter:
    __slots__ = ("answer", "ask", "came", "number")

    def __init__(self, ask: Ask, came: float, number: int, answer: asyncio.Future[Verdict]) -> None:
        self.ask = ask
        self.came = came
        self.number = number
        self.answer = answer

    def __lt__(self, other: _Waiter) -> bool:
        return self.number < other.number


class Line:
    """A line of requests. Only its head asks the store, when it will be its turn; the store knows of it, and lets none
    that came later, in whatever process, have its place.

    Args:
        desk: who is asked.
        key: of the rate.

    Attributes:
        waiting: those who do, in order.
        client: what the store calls the line.
    """

    def __init__(self, desk: _Desk, key: str) -> None:
        self.waiting: deque[_Waiter] = deque()
        self._desk = desk
        self._key = key
        self.client = f"{getpid():x}-{urandom(6).hex()}"
        self._numbers = count()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: _Waiter | None = None
        # When the head may go for certain no sooner.
        self._sure = 0.0

    async def through(self, ask: Ask, until: float | None, first: Verdict | None = None) -> Verdict:
        """What the store says in the end, or at `until` (in the loop's time): "rate" where it is too long to wait.

        Args:
            ask: what it is asked.
            until: as above; `None` sets no bound.
            first: what it has said already.
        """
        number = next(self._numbers)
        if ask.client != self.client:
            ask = ask._replace(client=self.client)
        if first is None and not self.waiting:
            found = self._desk.ask(ask)
            first = found if isinstance(found, Verdict) else await given(self._desk, ask, found)
        if first is not None and first.no != "rate":
            return first
        now = self._loop.time()
        sure = first.sure / MICRO if first else self._sure - now + len(self.waiting) * ask.request / MICRO
        if until is not None and now + sure > until:
            if not self.waiting:
                self._desk.tell(("leave", self._key, (self.client,)))
            return Verdict("rate", 0, round(max(0.0, sure) * MICRO))
        waiter = _Waiter(ask, now, number, self._loop.create_future())
        insort(self.waiting, waiter)
        if first is not None and self.waiting[0] is waiter:
            self._set(first.wait, first.sure)
        try:
            async with asyncio.timeout_at(until):
                return await given(self._desk, ask, waiter.answer)
        except TimeoutError:
            return Verdict("rate", 0, round(max(0.0, self._sure - self._loop.time()) * MICRO))
        finally:
            if waiter in self.waiting:
                self._leave(waiter)

    def hurry(self) -> None:
        """Something was given back: the head may go sooner than it was told."""
        if self.waiting and self._asking is None and self._timer is not None:
            when = self._loop.time() + (_HURRY if self._desk.is_far else 0)
            if when < self._timer.when():
                self._timer.cancel()
                self._timer = self._loop.call_at(when, self._ask)

    def close(self) -> None:
        """Nobody asks any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, wait: int, sure: int) -> None:
        """Ask the store for the head after so many microseconds."""
        now = self._loop.time()
        self._sure = now + sure / MICRO
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(now + max(_LEAST, wait / MICRO), self._ask)

    def _leave(self, waiter: _Waiter) -> None:
        was_head = self.waiting[0] is waiter
        self.waiting.remove(waiter)
        if self._asking is not None:
            return
        if not self.waiting:
            self.close()
            self._desk.tell(("leave", self._key, (self.client,)))
        elif was_head:
            # The next one may be larger, or smaller.
            self._set(0, 0)

    def _ask(self) -> None:
        self._timer = None
        if not self.waiting:
            return
        head, now = self.waiting[0], self._loop.time()
        ask = head.ask._replace(age=round((now - head.came) * MICRO))
        if len(self.waiting) > 1:
            behind = self.waiting[1]
            ask = ask._replace(next_age=round((now - behind.came) * MICRO), next_tokens=behind.ask.tokens)
        self._asking = head
        try:
            found = self._desk.ask(ask)
        except Exception as error:  # the store is away, and nobody goes
            self._failed(head, error)
            return
        if isinstance(found, Verdict):
            self._told(head, ask, found)
        else:
            found.add_done_callback(self._when_told(head, ask))

    def _when_told(self, head: _Waiter, ask: Ask) -> Callable[[asyncio.Future[Verdict]], None]:
        def told(found: asyncio.Future[Verdict]) -> None:
            if found.cancelled():
                self._asking = None
            elif (error := found.exception()) is not None:
                self._failed(head, error)
            else:
                self._told(head, ask, found.result())

        return told

    def _failed(self, head: _Waiter, error: BaseException) -> None:
        self._asking = None
        if head in self.waiting:
            self.waiting.remove(head)
            if not head.answer.done():
                head.answer.set_exception(error)
        if self.waiting:
            self._set(0, 0)

    def _told(self, head: _Waiter, ask: Ask, verdict: Verdict) -> None:
        self._asking = None
        stays = head in self.waiting and not head.answer.done()
        if verdict.no == "rate":
            if stays or self.waiting:
                self._set(verdict.wait if stays else 0, verdict.sure if stays else 0)
            else:
                self._desk.tell(("leave", self._key, (self.client,)))
            return
        if stays:
            self.waiting.remove(head)
            head.answer.set_result(verdict)
        else:
            self._desk.give_back(ask, verdict)
        if self.waiting:
            self._set(verdict.wait if not verdict.no else 0, 0)
        elif ask.next_age >= 0 or verdict.no:
            self._desk.tell(("leave", self._key, (self.client,)))
