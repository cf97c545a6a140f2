"""How many requests are under way at once, and how fast they begin: as the vendor lets them.

The window of requests grows by one for each that is answered, until something says that it is too large; from then on
by one a round, and shrinks by a part. A vendor that answers 429 has a rate: that is measured between two refusals, with
its bucket empty at both, and kept to; it is tried, with growing courage, whether it has become higher.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, Literal

__all__ = ["LIMITS", "Outcome", "Pace"]

Outcome = Literal["answered", "refused", "overloaded", "none"]
"""What came of a request: an answer; a 429; a 529, a 503, a timeout or a lost connection; what says nothing of pace."""

LIMITS: Final = {
    "most": "--concurrency",
    "window": "how the provider copes",
    "rate": "the provider's rate",
    "alone": "what the provider said",
    "rows": "the rows that come in",
    "reader": "who reads the answers",
}
"""What may hold requests back."""

_FIRST = 8
"""Requests at once, before anything is known."""
_HALF = 0.5
_LESS = 0.9
_SLOW = 2.0
"""So many times the least latency says that requests wait at the provider for each other."""
_ROUND, _ROUNDS = 16, 32
"""Answers whose latency is judged together, at least and at most; the first ones are those of the first window."""
_BELOW = 0.95
"""Of a measured rate, that is begun with."""
_STEADY = 15.0
"""Seconds in which the measured rate is come back to; then it is tried whether there is more."""
_CLOSED = 30.0
"""Seconds that a provider is left alone, at most, which refuses all and does not say for how long."""
_GUESSED = 3.0
"""The same, where the rate is a guess: there was one refusal."""
_TRIED = 0.85
"""Of the rate at which there was a refusal, if it had been a while."""
_CYCLE = 60
_LONGEST = 60.0
"""Requests between two refusals, at least: where few are let through, all is slower; and the seconds of that."""


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
        self.window = float(min(most, _FIRST))
        self.refused = 0
        self.limited_by = "window"
        self._clock = clock
        self._grows_fast = True
        self._cut_at = -inf
        # What the latency of answers says.
        self._latencies = 0.0
        self._answers = 0
        self._floor = inf
        self._shrunk: tuple[float, float] | None = None
        # What refusals say.
        self._alone_until = -inf
        self._base: float | None = None
        self._is_guessed = True
        self._refused_at = -inf
        self._since_refusal = 0
        self._closed = 0
        self._answered = 0
        self._began = -inf
        self._next = -inf

    @property
    def rate(self) -> float | None:
        """Requests a second that are begun now; `None` where no rate is known."""
        if self._base is None:
            return None
        gone = self._gone(self._base)
        if gone <= 1:
            return self._base * (_BELOW + (1 - _BELOW) * gone)
        # With growing courage, and after a long time without a word against it, twice as fast each time.
        return self._base * (1 + 0.32 * (min(gone, 3.0) - 1) ** 2) * 2 ** min(max(gone - 3, 0.0), 20.0)

    def _gone(self, base: float) -> float:
        """The time since the last refusal, in that in which a rate is come back to; a guess is left sooner."""
        steady = _GUESSED if self._is_guessed else max(_STEADY, min(_CYCLE / base, _LONGEST))
        return (self._clock() - self._refused_at) / steady

    def wait(self, running: int) -> float:
        """Seconds until another one may begin; 0: now; infinite: not before one of those under way has ended."""
        now = self._clock()
        if running >= int(self.window):
            self.limited_by = "most" if self.window >= self.most else "window"
            return inf
        if now < self._alone_until:
            self.limited_by = "alone"
            return self._alone_until - now
        if now < self._next:
            self.limited_by = "rate"
            return self._next - now
        return 0.0

    def begins(self) -> float:
        """A request begins: gives when, for `ended`."""
        now = self._clock()
        if self._began == -inf:
            self._began = now
        if (rate := self.rate) is not None:
            # What was not used is lost, but for a moment's worth: a timer is late, and a row may be.
            self._next = max(self._next, now - 0.25) + 1 / rate
        return now

    def leave_alone(self, seconds: float) -> None:
        """Nobody begins for so long."""
        self._alone_until = max(self._alone_until, self._clock() + seconds)

    def ended(self, began: float, running: int, outcome: Outcome, retry_after: float | None = None) -> None:
        """A request has ended.

        Args:
            began: when, as `begins` said.
            running: how many were under way, with it.
            outcome: what came of it.
            retry_after: the seconds that the vendor asked for.
        """
        if outcome == "answered":
            self._since_refusal += 1
            self._answered += 1
            self._learn(self._clock() - began)
            if running >= 0.8 * self.window:
                self.window = min(float(self.most), self.window + (1.0 if self._grows_fast else 1 / self.window))
        elif outcome == "overloaded":
            if began >= self._cut_at:  # those that began before the window was cut say nothing new
                self._cut(_HALF)
            if retry_after:
                self.leave_alone(retry_after)
        elif outcome == "refused":
            self.refused += 1
            self._slow_down(began, retry_after)

    def _cut(self, part: float) -> None:
        self._grows_fast = False
        self._cut_at = self._clock()
        self.window = max(1.0, self.window * part)

    def _learn(self, latency: float) -> None:
        """Judge a round of latencies: where requests wait for each other, fewer at once are as quick."""
        self._latencies += latency
        self._answers += 1
        if self._answers < (_FIRST if self._floor == inf else min(max(_ROUND, int(self.window)), _ROUNDS)):
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

    def _slow_down(self, began: float, retry_after: float | None) -> None:
        now = self._clock()
        self.leave_alone(min(retry_after, 600.0) if retry_after else 0.05)
        if began < self._refused_at:
            return  # it was under way already when the rate was set
        self._grows_fast = False
        if self._base is not None and not self._since_refusal:
            # It is closed, which says nothing of its rate.
            self._closed += 1
            self.leave_alone(0.0 if retry_after else min(0.25 * 2**self._closed, _CLOSED))
            self._refused_at = now
            return
        self._closed = 0
        if self._base is not None and now - self._refused_at >= 1.0:
            # The bucket was empty then, and is now: this is its rate, unless little time was left for it.
            measured = max(self._since_refusal / (now - self._refused_at), _HALF * self._base)
            if self._gone(self._base) >= 1 and (rate := self.rate) is not None:
                # It may have been full in between, and let through more than was asked of it.
                measured = max(measured, _TRIED * rate)
            self._is_guessed = False
        elif self._base is not None:
            measured = self._base * 0.8
        else:
            measured = _LESS * max(self._answered, _HALF * self.window) / max(now - self._began, 1.0)
        self._base = max(measured, 1 / 60)
        self._refused_at, self._since_refusal = now, 0
        self._next = max(self._next, now + 1 / self._base)
