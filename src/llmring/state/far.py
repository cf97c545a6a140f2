"""The desk of a store that is elsewhere, and what happens while that is away.

What is told it goes along with what it is asked next, or by itself a moment later, so that a request waits for one
round trip at most, and for none at its end.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import Any, Literal

from ..exceptions import StoreUnavailableError
from .asks import Ask, Told, Verdict
from .desk import Desk, Held, moved_to
from .stores import ProcessStore, Stepped, Store

__all__ = ["Far", "OwnVerdict"]

logger = logging.getLogger("llmring")

_PATIENCE = 1.0
"""Seconds that a store has for a step: no request is held longer by one that is away."""
_AGAIN = 1.0
"""Seconds after which a store that was away is tried again, by one request."""
_SOON = 0.05
"""Seconds that what is told waits for something to go along with."""
_AT_ONCE = 64
_REMEMBERED = 10_000
"""Budgets whose costs are kept while their store is away."""


class OwnVerdict(Verdict):
    """What this process says itself, in place of its store."""

    __slots__ = ()


class Far(Desk):
    """The desk of an event loop, with a store that is elsewhere.

    Args:
        store: that store.
        own: decides in its place while it is away.
        name: what messages call it by.
        on_failure: `"open"`: while it is away, this process goes by its own counts; `"closed"`: nobody goes.
    """

    is_far = True

    def __init__(self, store: Store, own: ProcessStore, name: str, on_failure: Literal["open", "closed"]) -> None:
        super().__init__(own)
        self.store = store
        self.name = name
        self._on_failure = on_failure
        self._near = Desk(own)
        self._near.habits = self.habits
        self._loop = asyncio.get_running_loop()
        self._asked: list[tuple[Ask, asyncio.Future[Verdict]]] = []
        self._told: list[Told] = []
        self._pump: asyncio.Task[None] | None = None
        # Since when it waits for the store, and what looks after that: a timer for each step would cost a tenth of it.
        self._since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._is_late = False
        self._moving: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        # When a store that is away is tried again.
        self._again: float | None = None
        # What was spent while it was away.
        self._owed: dict[tuple[str, str], int] = {}

    def ask(self, ask: Ask) -> Verdict | asyncio.Future[Verdict]:
        """See `Desk`."""
        if self._again is not None:
            if self._loop.time() < self._again:
                return self._in_its_place(ask)
            self._again = self._loop.time() + _PATIENCE + _AGAIN  # the others go on without it
        answer: asyncio.Future[Verdict] = self._loop.create_future()
        self._asked.append((ask, answer))
        self._go()
        return answer

    @property
    def store_or_own(self) -> Store:
        """See `Desk`."""
        return self.store

    def _in_its_place(self, ask: Ask) -> Verdict:
        if self._on_failure == "closed":
            raise self._closed()
        others = tuple(it._replace(breaker="") for it in ask.others)
        return OwnVerdict(*self._near.ask(ask._replace(breaker="", others=others)))

    def _closed(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"The store of counts that {self.name} names does not answer, and `on_failure` of [state] is "
            '"closed": no request that it counts is sent. Start it, or write: on_failure = "open"'
        )

    def tell(self, *told: Told) -> None:
        """See `Desk`: it goes along with what is asked next, or a moment later."""
        if self._again is not None:
            self._owe(told)
            return
        self._told += told
        if any(kind == "breaker" for kind, _, _ in told):
            # Whether a model may be asked again is news for all others.
            self._go()
        elif self._flush is None and self._pump is None:
            self._flush = self._loop.call_later(_SOON, self._told_long)
        self._hear(told)

    def desk_of(self, verdict: Verdict) -> Desk:
        """See `Desk`."""
        return _Owing(self, self._near) if isinstance(verdict, OwnVerdict) else self

    def owe(self, key: str, per: str, cost: int) -> None:
        """Tell the store later what was spent without it."""
        if cost and ((key, per) in self._owed or len(self._owed) < _REMEMBERED):
            self._owed[key, per] = self._owed.get((key, per), 0) + cost

    def _owe(self, told: Sequence[Told]) -> None:
        for kind, key, figures in told:
            if kind == "spent":
                self.owe(key, figures[0], figures[3])

    async def flush(self) -> None:
        """See `Desk`."""
        if self._told and self._again is None:
            self._go()
        if self._pump is not None:
            await asyncio.wait([self._pump])

    def _hold_longer(self, held: list[Held]) -> None:
        if self._again is None:
            for it in held:
                it.moving = True
            self._moving = self._loop.create_task(self._moved(held))

    async def _moved(self, held: list[Held]) -> None:
        moved: list[int] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                stepped = await self.store.step([("lease", it.key, (it.bucket, it.most)) for it in held], ())
            moved = stepped.moved
        except Exception as error:
            self._failed(error)
        finally:
            moved_to(held, moved)

    def _told_long(self) -> None:
        self._flush = None
        if self._told:
            self._go()

    def _go(self) -> None:
        if self._pump is None:
            self._pump = self._loop.create_task(self._run())

    async def _run(self) -> None:
        """Take to the store what there is to be asked and told, until there is nothing more."""
        asked: list[tuple[Ask, asyncio.Future[Verdict]]] = []
        try:
            while self._asked or self._told:
                asked, self._asked = self._asked[:_AT_ONCE], self._asked[_AT_ONCE:]
                told, self._told = self._told, []
                stepped: Stepped | None = None
                try:
                    stepped = await self._in_time(self.store.step(told, [ask for ask, _ in asked]))
                except Exception as error:
                    self._failed(error)
                finally:
                    if stepped is None:
                        self._owe(told)
                # Not where the error is at hand: it would be the context of those that are raised for it, and its
                # frames have the store's address.
                if stepped is None:
                    asked, self._asked = asked + self._asked, []
                    self._without(asked)
                    return
                self._back()
                for (ask, answer), verdict in zip(asked, stepped.verdicts, strict=True):
                    if answer.done():
                        self.give_back(ask, verdict)
                    else:
                        answer.set_result(verdict)
        finally:
            self._pump = None
            unanswered, self._asked = asked + self._asked, []
            for _, answer in unanswered:
                answer.cancel()

    async def _in_time(self, step: Coroutine[Any, Any, Stepped]) -> Stepped:
        """What comes of a step, if it does in time."""
        self._since = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_at(self._since + _PATIENCE, self._look)
        try:
            return await step
        except asyncio.CancelledError:
            if not self._is_late or (self._pump is not None and self._pump.cancelling() > 1):
                raise
            raise TimeoutError from None
        finally:
            if self._is_late and self._pump is not None:
                self._pump.uncancel()
            self._since, self._is_late = None, False

    def _look(self) -> None:
        self._watch = None
        if self._since is None or self._pump is None:
            return
        if self._loop.time() < self._since + _PATIENCE:
            self._watch = self._loop.call_at(self._since + _PATIENCE, self._look)
        else:
            self._is_late = True
            self._pump.cancel()

    def _without(self, asked: list[tuple[Ask, asyncio.Future[Verdict]]]) -> None:
        for ask, answer in asked:
            if answer.done():
                continue
            try:
                answer.set_result(self._in_its_place(ask))
            except StoreUnavailableError as error:
                answer.set_exception(error)

    def _failed(self, error: Exception) -> None:
        """The store is away; that is said once, without what the error says: it may name more than it should."""
        first, self._again = self._again is None, self._loop.time() + _AGAIN
        if first:
            does = "no request that it counts is sent" if self._on_failure == "closed" else "this process counts alone"
            logger.warning("The store of counts that %s names is away (%s): %s.", self.name, _kind(error), does)

    def _back(self) -> None:
        if self._again is not None:
            self._again = None
            logger.info("The store of counts that %s names is back.", self.name)
        self._pay()

    def _pay(self) -> None:
        owed, self._owed = self._owed, {}
        self._told += [("spent", key, (per, 0, 0, cost)) for (key, per), cost in owed.items()]

    async def close(self) -> None:
        """Tell the store what is left to be told, and let go of it."""
        await super().close()
        await self._near.close()
        self._pay()  # it may be back by now
        if self._told:
            self._go()
        if self._flush is not None:
            self._flush.cancel()
        if work := [it for it in (self._pump, self._moving) if it is not None]:
            await asyncio.wait(work)
        if self._watch is not None:
            self._watch.cancel()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.store.close()
        except Exception as error:
            logger.debug("The store of counts that %s names was not closed (%s).", self.name, type(error).__name__)


class _Owing(Desk):
    """This process in place of its store: what is spent is told both."""

    def __init__(self, far: Far, near: Desk) -> None:
        self._far = far
        self._at = near
        self.own, self.held, self.habits = near.own, near.held, near.habits
        self._lines = near._lines

    def keep_renewing(self) -> None:
        self._at.keep_renewing()

    def tell(self, *told: Told) -> None:
        self._at.tell(*(it for it in told if it[0] != "breaker"))
        for kind, key, figures in told:
            if kind == "spent":
                self._far.owe(key, figures[0], figures[3])


_CODE = re.compile(r"[A-Z]{3,20}\b")


def _kind(error: Exception) -> str:
    """What an error is, without its words: its class, and the code that a server's refusals begin with."""
    code = _CODE.match(str(error)) if type(error).__name__.endswith(("ResponseError", "MemoryError")) else None
    return type(error).__name__ + (f" {code[0]}" if code else "")
