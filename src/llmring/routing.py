"""The order of candidates, and moving on from one that cannot serve."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .exceptions import (
    CircuitBreakerError,
    LLMRingError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderTimeoutError,
)

__all__ = ["Candidate", "first_that_serves", "moves_on"]

logger = logging.getLogger("llmring")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the models that an alias is bound to.

    Attributes:
        reference: as in the lockfile, `provider:model`.
        provider, model: its two halves.
        last: no stand-by remains after it, so its SDK's own retries are on.
    """

    reference: str
    provider: str
    model: str
    last: bool


def moves_on(error: ProviderError) -> bool:
    """Whether the next candidate is tried: the failure is the provider's, not the request's."""
    if isinstance(
        error,
        ProviderConnectionError
        | ProviderTimeoutError
        | CircuitBreakerError
        | ModelNotFoundError
        | ProviderNotFoundError,
    ):
        return True
    status = error.status_code
    return status is not None and (status in (408, 429) or status >= 500)


async def first_that_serves(
    alias: str, candidates: Sequence[Candidate], serve: Callable[[Candidate], Awaitable[T]]
) -> T:
    """What `serve` gives for the first candidate that serves.

    Raises:
        ProviderError: of the last one tried, the earlier ones listed in its `attempts`.
    """
    failed: list[ProviderError] = []
    for candidate in candidates:
        try:
            return await serve(candidate)
        except ProviderError as error:
            if candidate.last or not moves_on(error):
                error.attempts = failed
                raise
            failed.append(error)
            following = candidates[len(failed)].reference
            logger.warning("%s: moving on from %s to %s: %s", alias, candidate.reference, following, error)
    raise LLMRingError(f"{alias!r} is bound to no model")
