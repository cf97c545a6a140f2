"""Where the requests of one event loop ask a store, and tell it what came of them.

With this process's own store all is done at once; `far.py` has the desk of any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakSet

from .asks import Ask, Told, Verdict
from .costs import Habits
from .line import Line
from .rules import lease
from .stores import ProcessStore, Store

__all__ = ["Desk", "Held", "moved_to"]

_RENEW = 15.0
"""Seconds after which what is held is held longer: well within what a lease lasts."""


class Held:
    """What is held of a budget for a request under way.

    Attributes:
        key, per: of the budget.
        most: how much, in billionths of a dollar.
        bucket: when it lapses.
    """

    __slots__ = ("__weakref__", "bucket", "desk", "key", "most", "moving", "per", "then")

    def __init__(self, desk: Desk, key: str, per: str, most: int, bucket: int) -> None:
        self.desk = desk
        self.key = key
        self.per = per
        self.most = most
        self.bucket = bucket
        self.moving = False
        self.then: int | None = None

    def spend(self, cost: int) -> None:
        """Let go of it: this is what was spent. It may be told more of it later, and less."""
        if self.moving:  # where it is by then, is not known yet
            self.then = (self.then or 0) + cost
            return
        self.desk.held.discard(self)
        self.desk.tell(("spent", self.key, (self.per, self.bucket, self.most, cost)))
        self.most = 0


class Desk:
    """The desk of an event loop, with the store of this process.

    Args:
        own: that store.

    Attributes:
        held: what is held for requests under way.
        habits: of the models that are asked here.
        lent: nobody has one for himself (`Record` asks).
    """

    lent = False
    is_far = False

    def __init__(self, own: ProcessStore) -> None:
        self.own = own
        # Weakly: what nobody will ever let go of lapses.
        self.held: WeakSet[Held] = WeakSet()
        self.habits = Habits()
        self._lines: dict[str, Line] = {}
        self._renewal: asyncio.TimerHandle | None = None

    @property
    def store_or_own(self) -> Store:
        """What keeps the records."""
        return self.own

    @property
    def kind(self) -> str:
        """What kind of store that is: `"process"`, `"sqlite"` or `"redis"`."""
        return self.store_or_own.kind

    def line(self, key: str) -> Line:
        """Those who wait by the same rate."""
        line = self._lines.get(key)
        if line is None:
            for name in [name for name, it in self._lines.items() if not it.waiting]:
                del self._lines[name]
            line = self._lines[key] = Line(self, key)
        return line

    def ask(self, ask: Ask) -> Verdict | asyncio.Future[Verdict]:
        """Ask whether a request may go. Who leaves before he is told gives back what he would have taken.

        Raises:
            StoreUnavailableError: nobody goes while the store is away.
        """
        return self.own.at_once((), (ask,)).verdicts[0]

    def tell(self, *told: Told) -> None:
        """Tell the store something."""
        self.own.at_once(told, ())
        self._hear(told)

    def _hear(self, told: Sequence[Told]) -> None:
        for kind, key, figures in told:
            if kind == "rate" and key in self._lines and min(figures) < 0:
                self._lines[key].hurry()

    async def flush(self) -> None:
        """Wait until the store has been told all."""

    def give_back(self, ask: Ask, verdict: Verdict) -> None:
        """Undo what was taken for a request that does not go."""
        line = self._lines.get(ask.rate)
        if verdict.no == "rate" and not (line is not None and line.waiting):
            self.desk_of(verdict).tell(("leave", ask.rate, (ask.client,)))
        if verdict.no:
            return
        ask = ask.of(verdict.which)
        told: list[Told] = []
        if ask.rate:
            told.append(("rate", ask.rate, (-ask.request, -ask.tokens)))
        if ask.budget:
            told.append(("spent", ask.budget, (ask.per, _bucket(verdict), ask.most, 0)))
        if verdict.probe:
            told.append(("breaker", ask.breaker, ("none", 1, ask.threshold)))
        if told:
            self.desk_of(verdict).tell(*told)

    def desk_of(self, verdict: Verdict) -> Desk:
        """Whoever gave a verdict, to be told what came of it."""
        return self

    def hold(self, ask: Ask, verdict: Verdict) -> Held:
        """Hold what was taken of a budget for as long as the request is under way."""
        desk = self.desk_of(verdict)
        held = Held(desk, ask.budget, ask.per, ask.most, _bucket(verdict))
        desk.held.add(held)
        desk.keep_renewing()
        return held

    def keep_renewing(self) -> None:
        """What is held is held longer from time to time."""
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(_RENEW, self._renew)

    def _renew(self) -> None:
        self._renewal = None
        if self.held:
            self._renewal = asyncio.get_running_loop().call_later(_RENEW, self._renew)
            self._hold_longer([*self.held])

    def _hold_longer(self, held: list[Held]) -> None:
        stepped = self.own.at_once([("lease", it.key, (it.bucket, it.most)) for it in held], ())
        moved_to(held, stepped.moved)

    async def close(self) -> None:
        """Nothing is open any more."""
        if self._renewal is not None:
            self._renewal.cancel()
        for line in self._lines.values():
            line.close()


def _bucket(verdict: Verdict) -> int:
    return lease(verdict.now)


def moved_to(held: list[Held], moved: list[int]) -> None:
    """What is held longer lapses in these buckets; where it is not known, as before."""
    for index, it in enumerate(held):
        it.moving = False
        if index < len(moved):
            it.bucket = moved[index]
        if it.then is not None:
            cost, it.then = it.then, None
            it.spend(cost)
