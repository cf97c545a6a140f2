"""How many requests are under way at once, and how fast they begin: as the vendor lets them.

The window of requests grows by one for each that is answered, until something says that it is too large; from then on
by one a round, and shrinks by a part. A vendor that answers 429 has a rate: that is measured between two refusals, with
its bucket empty at both, and kept to. From time to time it is tried whether it has become higher: as often as a part of
what is sent may be refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf
from typing import Final, Literal, NamedTuple

from ..state.limits import MOST_ALONE

__all__ = ["FIRST", "LIMITS", "Begun", "Outcome", "Pace"]

Outcome = Literal["answered", "refused", "overloaded", "none"]
"""What came of a request: an answer; a 429; a 529, a 503, a timeout or a lost connection; what says nothing of pace."""

LIMITS: Final = {
    "most": "--concurrency",
    "window": "how the provider copes",
    "budget": "what is left of the alias's budget",
    "rate": "the provider's rate",
    "alone": "what the provider said",
    "rows": "the rows that come in",
    "reader": "who reads the answers",
}
"""What may hold requests back."""

FIRST: Final = 16
"""Requests at once, before anything is known."""
_APART, _SPREAD = 0.1, 1.5
"""Seconds between those, until one of them is answered; then a window is begun in its latency by so much. Who lets few
through refuses a few of them, and not all."""
_HALF = 0.5
_LESS = 0.9
_SLOW = 2.0
"""So many times the least latency says that requests wait at the provider for each other."""
_ROUND, _ROUNDS = 16, 32
"""Answers whose latency is judged together, at least and at most; the first ones are those of half a first window."""
_BELOW = 0.95
"""Of a measured rate, that is begun with."""
_STEADY, _LONGEST = 4.0, 60.0
"""Seconds for which a measured rate is kept to, at least and at most, before it is tried whether there is more."""
_SPENT, _AHEAD = 0.01, 3
"""Of what is sent, what may be refused for trying, and so many at the beginning, once a rate was measured."""
_TRIED = 1.1
"""Times the measured rate, that trying begins with."""
_DOUBLED, _REQUESTS = 3.0, 8
"""Seconds in which it is twice as high, and requests, at least."""
_PAUSE = 0.5
"""Seconds without a request, before a rate is measured of which nothing is known."""
_QUICKLY, _PART = 0.5, 1 / 8
"""Seconds in which the rate is then twice as high, and the part of the guess that is begun with."""
_MORE = 2.0
"""Times the measured rate without a refusal: it has become higher, and is measured anew."""
_SHORT = 1.0
"""Seconds between two refusals that are too few to measure a rate in."""
_CLOSED, _ALONE = 30.0, 1.0
"""Seconds that a provider is left alone, at most, which refuses all and does not say for how long; and between two
requests by which it is seen whether it still does."""


class Begun(NamedTuple):
    """A request that has begun.

    Attributes:
        at: when.
        number: which one it is.
    """

    at: float
    number: int


class Pace:
    """The pace of one run.

    Args:
        most: requests at once, at most.
        clock: seconds, as the event loop has them.

    Attributes:
        most: as above.
        window: requests at once, at most, for now.
        refused: how many were answered 429.
        limited_by: what holds requests back now: a key of `LIMITS`.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self.window = float(min(most, FIRST))
        self.refused = 0
        self.limited_by = "window"
        self._clock = clock
        self._grows_fast = True
        self._by = "window"
        self._cut_at = -inf
        # What the latency of answers says.
        self._latency: float | None = None
        self._latencies = 0.0
        self._answers = 0
        self._floor = inf
        self._shrunk: tuple[float, float] | None = None
        # What refusals say.
        self._alone_until = -inf
        self._base: float | None = None
        self._is_guessed = True
        self._set_at = -inf
        self._tried_at = inf
        self._empty = Begun(-inf, 0)
        self._since = 0
        self._begun = self._before = 0
        self._closed = 0
        self._allowed = inf
        self._next = -inf

    @property
    def rate(self) -> float | None:
        """Requests a second that are begun now; `None` where no rate is known."""
        if self._base is None:
            return None
        now = self._clock()
        if self._is_guessed:
            begin = min(self._base, max(self._base * _PART, 1.0))
            return begin * _doubled(now - self._set_at, _QUICKLY)
        if now < self._tried_at:
            part = min(max(now - self._set_at, 0.0) / _STEADY, 1.0)
            return self._base * (_BELOW + (1 - _BELOW) * part)
        return self._base * _TRIED * _doubled(now - self._tried_at, max(_DOUBLED, _REQUESTS / self._base))

    def wait(self, running: int) -> float:
        """Seconds until another one may begin; 0: now; infinite: not before one of those under way has ended."""
        now = self._clock()
        if running >= int(self.window):
            self.limited_by = "most" if self.window >= self.most else self._by
            return inf
        if now < self._alone_until:
            self.limited_by = "alone"
            return self._alone_until - now
        if now < self._next:
            self.limited_by = self._by if self._base is None else "rate"
            return self._next - now
        return 0.0

    def begins(self) -> Begun:
        """A request begins: gives which, for `ended`."""
        now = self._clock()
        self._begun += 1
        if self._empty.at == -inf:
            self._empty = Begun(now, 0)
        if self._closed:
            self._next = now + _ALONE  # this one finds out whether it is open
        elif (rate := self.rate) is not None:
            # What was not used is lost, but for a moment's worth: a timer is late, and a row may be.
            self._next = max(self._next, now - 0.25) + 1 / rate
            if self._tried_at == inf and self._may_try(now - self._set_at):
                self._tried_at = now
        elif self.window < self.most:
            self._next = now + (_APART if self._latency is None else self._latency / (self.window * _SPREAD))
        return Begun(now, self._begun)

    def _may_try(self, seconds: float) -> bool:
        return seconds >= _LONGEST or (seconds >= _STEADY and self.refused < self._allowed + _SPENT * self._begun)

    def leave_alone(self, seconds: float) -> None:
        """Nobody begins for so long."""
        self._alone_until = max(self._alone_until, self._clock() + seconds)

    def has_no_room(self, running: int, seconds: float) -> None:
        """A budget has no room for more than those that are under way; where none are, for others', for so long."""
        self._grows_fast, self._by = False, "budget"
        self.window = max(1.0, min(self.window, float(running)))
        if not running:
            self._next = max(self._next, self._clock() + seconds)

    def ended(self, begun: Begun, running: int, outcome: Outcome, retry_after: float | None = None) -> None:
        """A request has ended.

        Args:
            begun: which, as `begins` said.
            running: how many were under way, with it.
            outcome: what came of it.
            retry_after: the seconds that the vendor asked for.
        """
        if outcome == "answered":
            if self._closed and begun.number > self._before:  # it is open again
                self._closed, self._set_at, self._next = 0, self._clock(), -inf
            self._learn(self._clock() - begun.at)
            if running >= 0.8 * self.window:
                self.window = min(float(self.most), self.window + (1.0 if self._grows_fast else 1 / self.window))
        elif outcome == "overloaded":
            if begun.at >= self._cut_at:  # those that began before the window was cut say nothing new
                self._cut(_HALF)
            if retry_after:
                self.leave_alone(min(retry_after, MOST_ALONE))
        elif outcome == "refused":
            self.refused += 1
            self._slow_down(begun, retry_after)

    def _cut(self, part: float) -> None:
        self._grows_fast, self._by = False, "window"
        self._cut_at = self._clock()
        self.window = max(1.0, self.window * part)

    def _learn(self, latency: float) -> None:
        """Judge a round of latencies: where requests wait for each other, fewer at once are as quick."""
        if self._latency is None:
            self._latency, self._next = latency, -inf
        self._latency += 0.1 * (latency - self._latency)
        self._latencies += latency
        self._answers += 1
        if self._answers < (FIRST // 2 if self._floor == inf else min(max(_ROUND, int(self.window)), _ROUNDS)):
            return
        mean, self._latencies, self._answers = self._latencies / self._answers, 0.0, 0
        self._floor = min(self._floor * 1.001, mean)
        if self._shrunk is not None:
            window, before = self._shrunk
            if mean > _LESS * before and self.window <= 0.6 * window:
                # Fewer at once are no quicker: it is the answers that have become longer.
                self._floor, self._shrunk, self.window = mean, None, window
        if mean > _SLOW * self._floor and self.window > 2:
            self._shrunk = self._shrunk or (self.window, mean)
            self._cut(_LESS)
        elif mean <= _SLOW * self._floor:
            self._shrunk = None

    def _slow_down(self, begun: Begun, retry_after: float | None) -> None:
        now = self._clock()
        self.leave_alone(min(retry_after, MOST_ALONE) if retry_after else 0.05)
        self._since += begun.number > self._empty.number
        if begun.number <= self._before:
            return  # it was under way already when the rate was set
        # The bucket was empty before, and is now: what was let through in between is its rate.
        passed, seconds = begun.number - self._empty.number - self._since, begun.at - self._empty.at
        base, rate = self._base, self.rate
        if base is None:
            # It was full at the beginning: it cannot be more than that.
            self._guess(max(passed, 1) / max(seconds, 1.0))
        elif passed <= 0:
            # It is closed, which says nothing of its rate.
            self._closed += 1
            self.leave_alone(0.0 if retry_after else min(0.25 * 2**self._closed, _CLOSED))
            self._next = self._alone_until
        elif seconds < _SHORT and self._is_guessed:
            self._guess(min(rate or base, base))
        elif rate is not None and not self._is_guessed and (seconds < _SHORT or rate >= _MORE * base):
            self._guess(rate)
        else:
            measured = passed / seconds
            if not self._is_guessed:  # it may have been full in between, and would have let more through
                measured = max(measured, _HALF * base)
            if self._allowed == inf:
                self._allowed = self.refused + _AHEAD
            self._base, self._is_guessed = max(measured, 1 / 60), False
            self._next = max(self._next, now + 1 / self._base)
        if passed > 0:
            self._closed = 0
        self._set_at, self._tried_at = max(now, self._alone_until), inf
        self._empty, self._since, self._before = begun, 0, self._begun

    def _guess(self, rate: float) -> None:
        """Measure the rate, of which is known that it is not more than this."""
        possible = 2 * self.window / self._latency if self._latency else inf
        self._base, self._is_guessed = max(min(rate, possible), 1 / 60), True
        self.leave_alone(_PAUSE)
        self._next = self._alone_until


def _doubled(seconds: float, each: float) -> float:
    return math.pow(2.0, min(max(seconds, 0.0) / each, 20.0))
