"""A second model is asked where the first says nothing for a while, and whoever speaks first serves.

The first is asked as always. A timer asks the second in a task of its own; when that speaks, it takes the first one's
time away, whose connection is closed by that. When the first speaks, the second is cancelled. So nothing but a timer is
made until the time comes, and never more than two are under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import concealment
from ..counting.contents import contents_of
from ..counting.estimates import Measured, estimate, family_of
from ..exceptions import HedgedError, ProviderError
from ..schemas import LLMResponse, Served, Usage

if TYPE_CHECKING:
    from ..answer import Answer
    from ..record import Records
    from ..routing import Route
    from ..schemas import LLMRequest, StreamChunk

    Opened = tuple[Answer, list[StreamChunk]]

__all__ = ["Side", "first"]

logger = logging.getLogger("llmring")


class Hedge(Protocol):
    """What a request's `Conduct` says of hedging."""

    records: Records
    hedged: bool

    def hedge_after(self) -> float | None: ...
    def waited(self, seconds: float) -> None: ...
    def not_asked(self, model: str, other: str, error: BaseException) -> None: ...
    def fitted(self, model: str, request: LLMRequest) -> LLMRequest: ...


async def first(route: Route, hedge: Hedge) -> Opened:
    """The answer of the first candidate that gives a chunk, or of the next, if it was asked, too, and spoke first."""
    while True:
        after = hedge.hedge_after() if len(route.candidates) > 1 else None
        try:
            return await _Pair(route, hedge, after).answer()
        except ProviderError as error:
            if not route.next_after(error):
                raise


class _Hedged(HedgedError):
    """With the estimate made when it is asked for: it takes its time, and somebody waits for the answer."""

    request: LLMRequest | None = None

    @property
    def charged(self) -> LLMResponse | None:  # type: ignore[override]
        if self.request is None:
            return None
        model = f"{self.provider}:{self.model}"
        found = estimate(Measured.of(contents_of(self.request)), family_of(str(self.model))).tokens
        usage: Usage = {"prompt_tokens": found, "completion_tokens": 0, "total_tokens": found}
        return LLMResponse(model, usage=usage, served=(Served(model, usage),))

    def __reduce__(self) -> tuple[Any, ...]:
        made = HedgedError(*self.args)
        vars(made).update(
            {name: value for name, value in vars(self).items() if name != "request"}, charged=self.charged
        )
        return made.__reduce__()


class Side(NamedTuple):
    """What hears of one of two that are asked.

    Attributes:
        asks: called when its request goes out: its provider may have had to come to life first.
        speaks: called with its first chunk, also where all of them are waited for.
    """

    asks: Callable[[], None]
    speaks: Callable[[], None]


class _Pair:
    """The first of a route's candidates, and the second, which may be asked beside it.

    Args:
        route: the request's.
        hedge: what the policy does to it.
        after: seconds until the second is asked; `None`: it never is.
    """

    def __init__(self, route: Route, hedge: Hedge, after: float | None) -> None:
        self._route = route
        self._hedge = hedge
        self._after = after
        self._one, self._other = (*route.candidates, "")[:2]
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        # Whether the first is being asked, and nobody has spoken.
        self._is_open = True
        self._task: asyncio.Task[Opened] | None = None
        self._other_spoke = False

    async def answer(self) -> Opened:
        """The answer of whoever speaks first; of the second, too, where the first failed in a way that moves on."""
        try:
            opened = await self._first()
            if opened is None:
                assert self._task is not None
                opened = await self._task
                self._task = None
            return opened
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._dismiss()

    async def _first(self) -> Opened | None:
        """What the first gives, `None` where the second is to be waited for."""
        try:
            async with self._limit:
                opened = await self._route.attempt(self._one, side=Side(self._one_asks, self._one_speaks))
            if not self._other_spoke:
                return opened
            await opened[0].close()  # both spoke in the same step of the loop
        except TimeoutError:
            if not self._limit.expired():
                raise
        except ProviderError as error:
            if not self._other_spoke:
                if self._task is None or not self._route.goes_on_after(error):
                    raise
                self._route.next_after(error)
        finally:
            self._is_open = False
        return None

    def _one_asks(self) -> None:
        self._began = self._loop.time()
        if self._after is not None:
            self._timer = self._loop.call_later(self._after, self._begin)

    def _begin(self) -> None:
        """The time has come: ask the second, too."""
        if not self._is_open:
            return
        self._hedge.hedged = True
        logger.info(
            "%s: %s has said nothing for %.3g s, asking %s, too",
            *(self._route.alias, self._one, self._after, self._other),
        )
        is_last = len(self._route.candidates) == 2
        self._task = self._loop.create_task(
            self._route.attempt(self._other, side=Side(_nothing, self._other_speaks), is_last=is_last)
        )

    def _one_speaks(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._hedge.waited(self._loop.time() - self._began)
        if (task := self._task) is None:
            return
        if not task.done():
            error = self._given_up(self._other, self._one)
            self._route.attempts.append(error)
            self._route.told.gave_up(self._other, error)
        elif not task.cancelled() and (failed := task.exception()) is not None:
            if isinstance(failed, ProviderError):
                self._route.attempts.append(concealment.bare(failed))
            else:
                self._hedge.not_asked(self._one, self._other, failed)
        self._dismiss()

    def _other_speaks(self) -> None:
        if not self._is_open:
            return
        self._is_open, self._other_spoke = False, True
        self._hedge.waited(self._loop.time() - self._began)
        route = self._route
        route.attempts.append(self._given_up(self._one, self._other))
        route.told.gave_up(self._one, route.attempts[-1])
        route.leave_out()
        route.candidates = [self._other, *route.candidates[2:], self._one]
        self._limit.reschedule(self._loop.time())

    def _given_up(self, model: str, spoke: str) -> HedgedError:
        provider, _, name = model.partition(":")
        error = _Hedged(
            f"{model} had said nothing when {spoke}, which was asked as well, spoke: its request was closed. "
            "Its vendor may charge it.",
            provider=provider,
            model=name,
        )
        error.request = self._hedge.fitted(model, self._route.request)
        return error

    def _dismiss(self) -> None:
        """Close what the second is asked with, or has answered."""
        if (task := self._task) is None:
            return
        self._task = None
        task.cancel()
        self._hedge.records.here().close(lambda: _closed(task))


def _nothing() -> None:
    pass


async def _closed(task: asyncio.Task[Opened]) -> None:
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await task.result()[0].close()
