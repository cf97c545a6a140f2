"""Where the workers of a run hear that it ends, say how they stand, and are given what they may spend: an actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..bulk import Progress

__all__ = ["FINISH", "GO_ON", "STOP", "Desk"]

GO_ON, FINISH, STOP = range(3)
"""What workers are told: to go on; to take no more rows; to end what is under way, too."""


class Desk:
    """One run's.

    Args:
        usd: what may be spent; `None`: as much as it takes.
    """

    def __init__(self, usd: float | None) -> None:
        self._left = usd
        self._stage = GO_ON
        self._progress: dict[str, Progress] = {}
        self._warnings: dict[str, str] = {}

    def report(self, who: str, progress: Progress, warnings: dict[str, str]) -> int:
        """A worker says how it stands, and is told whether to go on."""
        self._progress[who] = progress
        self._warnings |= warnings
        return self._stage

    def stage(self) -> int:
        """Whether to go on."""
        return self._stage

    def end(self, stage: int) -> None:
        """Have all of them end."""
        self._stage = max(self._stage, stage)

    def grant(self, usd: float) -> float:
        """So much of what is asked for may be spent; what was granted is not given back."""
        if self._left is None:
            return usd
        granted = min(usd, self._left)
        self._left -= granted
        return granted

    def standing(self) -> tuple[list[Progress], dict[str, str]]:
        """How all of them stand, and of what they warned."""
        return [*self._progress.values()], self._warnings
