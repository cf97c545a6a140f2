"""What a map says: of a row, and of how it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..exceptions import LLMRingError, ProviderError

if TYPE_CHECKING:
    from .. import catalog
    from ..schemas import LLMRequest, LLMResponse

__all__ = ["MapResult", "Progress"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class MapResult(Generic[R]):
    """What came of a row.

    Attributes:
        number: of the row, from 1.
        row: as it was given.
        request: what was asked.
        response: the answer; `None` where there is none.
        error: what went wrong for good; `None` where there is an answer.
        attempts: how often it was asked.
        seconds: how long the last one took.
    """

    number: int
    row: R
    request: LLMRequest
    response: LLMResponse | None
    error: LLMRingError | None
    attempts: int
    seconds: float
    _cost: Callable[[Any], catalog.Cost]

    @property
    def cost(self) -> catalog.Cost | None:
        """What the answer cost, calculated when it is asked for; `None` where nothing of one came."""
        answer = self.response
        if answer is None and isinstance(self.error, ProviderError):
            answer = self.error.partial
        return self._cost(answer) if answer is not None else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How a map stands.

    Attributes:
        answered, failed: rows that are over.
        running: requests under way.
        waiting: rows that will be asked again.
        concurrency: requests at once, at most, for now.
        rate: requests a second, at most, for now; `None` where no rate is known.
        limited_by: what holds requests back: see `llmring.bulk.LIMITS`.
        refused: how often a provider said that it was too fast (429).
    """

    answered: int
    failed: int
    running: int
    waiting: int
    concurrency: int
    rate: float | None
    limited_by: str
    refused: int
