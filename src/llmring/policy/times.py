"""How long an alias's answers take to begin, as far as it was asked lately."""

from __future__ import annotations

from math import ceil

__all__ = ["Times"]

_KEPT = 200
"""Requests that it goes by: the last ones."""
_FEWEST = 20
"""Of fewer, a twentieth is none."""


class Times:
    """The times of the last requests, in seconds. Loops in several threads may share it."""

    def __init__(self) -> None:
        self._last: list[float] = []
        self._at = 0

    def add(self, seconds: float) -> None:
        """One more; of one that was given up, how long it had been waited for."""
        if len(self._last) < _KEPT:
            self._last.append(seconds)
        else:
            self._last[self._at % _KEPT] = seconds
            self._at += 1

    def percentile(self, of: float) -> float | None:
        """What that part of them took at most; `None` while they are too few to say."""
        # Sorting copies them in one step, which no other thread comes between.
        known = sorted(self._last)
        return known[ceil(of * len(known)) - 1] if len(known) >= _FEWEST else None
