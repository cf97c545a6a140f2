"""Where the workers of a run hear that it ends, say how they stand, and are given what they may spend: an actor."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..bulk import Progress

__all__ = ["FINISH", "GO_ON", "STOP", "Desk"]

GO_ON, FINISH, STOP = range(3)
"""What workers are told: to go on; to take no more rows; to end what is under way, too."""


_PATIENCE = 30.0
"""Seconds without a word of a worker, after which what it had under way counts as spent."""


class Desk:
    """One run's.

    Args:
        usd: what may be spent; `None`: as much as it takes.
    """

    def __init__(self, usd: float | None) -> None:
        self._most = usd
        self._stage = GO_ON
        self._progress: dict[str, Progress] = {}
        self._warnings: dict[str, str] = {}
        self._money: dict[str, tuple[float, int, float]] = {}  # what each has spent, how many rows it holds, and when
        self._dearest = 0.0

    def report(self, who: str, progress: Progress, warnings: dict[str, str], spent: float, held: int) -> int:
        """A worker says how it stands, and is told whether to go on."""
        self._progress[who] = progress
        self._warnings |= warnings
        self._money[who] = spent, held, monotonic()
        return self._stage

    def stage(self) -> int:
        """Whether to go on."""
        return self._stage

    def end(self, stage: int) -> None:
        """Have all of them end."""
        self._stage = max(self._stage, stage)

    def may(self, who: str, spent: float, held: int, dearest: float, count: int) -> int:
        """How many more rows a worker may ask about, with all that are held counted as dear as the dearest so far.

        0: none before others are answered. Less: none any more.
        """
        now = monotonic()
        self._dearest = max(self._dearest, dearest)
        self._money[who] = spent, held, now
        if self._most is None or not self._dearest:
            return count
        silent = sum(it for _, it, when in self._money.values() if now - when > _PATIENCE)
        under_way = sum(it for _, it, _ in self._money.values())
        gone = sum(it for it, _, _ in self._money.values())
        room = min(count, int((self._most - gone) / self._dearest + 1e-9) - under_way)
        if room > 0:
            self._money[who] = spent, held + room, now
            return room
        return 0 if under_way > silent else -1

    def standing(self) -> tuple[list[Progress], dict[str, str]]:
        """How all of them stand, and of what they warned."""
        return [*self._progress.values()], self._warnings
