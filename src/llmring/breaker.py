"""The circuit breaker: a model that failed several times in a row is left alone for a while.

    closed ──(threshold failures in a row)──► open ──(cooldown)──► half open ──(a probe succeeds)──► closed
                                               ▲                       │
                                               └──(the probe fails)────┘

Written here rather than taken from `purgatory`: in its half-open state every waiting request goes through, an
excluded error counts as a success and closes it, it goes by the wall clock, and it does not say when to try again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Literal

from .exceptions import CircuitBreakerError, ProviderError, is_passing

__all__ = ["BreakerState", "Breakers", "CircuitBreaker", "counts"]

_MOST = 256
"""How many models are remembered: who serves strangers lets them choose the names."""
_PROBE_SECONDS = 1.0
"""How soon to come again while another request is probing."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How the breaker of a model stood when it was asked.

    Attributes:
        model: the `provider:model`.
        state: `"closed"`, requests go through; `"open"`, none does; `"half-open"`, one may try.
        failures: how many there were in a row.
        retry_after: seconds until a request is let through; 0 where one is now.
    """

    model: str
    state: Literal["closed", "open", "half-open"]
    failures: int
    retry_after: float = 0.0


def counts(error: BaseException) -> bool:
    """Whether a failure speaks against the model; a request that is itself at fault, or cancelled, does not."""
    return isinstance(error, ProviderError) and error.asked and is_passing(error)


class CircuitBreaker:
    """The breaker of one model.

    Args:
        reference: the `provider:model`.
        threshold: how many failures in a row open it.
        cooldown: seconds that it stays open before one request may probe.
        clock: seconds, ever increasing.
    """

    def __init__(
        self, reference: str, threshold: float, cooldown: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._reference = reference
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._failures: float = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """`"closed"`, `"open"` or `"half-open"`."""
        return self.seen().state

    def seen(self) -> BreakerState:
        """How it stands now."""
        # Each is read once: a request in another thread may change them.
        failures, opened_at, probing = int(self._failures), self._opened_at, self._probing
        if opened_at is None:
            return BreakerState(self._reference, "closed", failures)
        wait = self._wait(opened_at)
        if wait > 0:
            return BreakerState(self._reference, "open", failures, wait)
        return BreakerState(self._reference, "half-open", failures, self._probe_wait if probing else 0.0)

    def admit(self) -> bool:
        """Let a request through, and say whether it is the probe: the one of many that tries a half-open model.

        Raises:
            CircuitBreakerError: it is open, or another request is probing.
        """
        opened_at = self._opened_at
        if opened_at is None:
            return False
        wait = self._wait(opened_at)
        if self._probing or wait > 0:
            wait = wait or self._probe_wait
            provider, _, model = self._reference.partition(":")
            raise CircuitBreakerError(
                f"{self._reference} failed {self._failures} times in a row and is left alone for now. "
                f"Try again in {wait:.1f} s.",
                retry_after=wait,
                provider=provider,
                model=model,
            )
        self._probing = True
        return True

    def began(self, probe: bool) -> None:
        """The first piece of an answer came: a probe closes the breaker, and the next failure opens it again."""
        if probe:
            self._close(self._threshold - 1)

    def ended(self, error: BaseException | None, probe: bool = False) -> None:
        """A request ended, well or in an error that may speak against the model or not; `probe` as `admit` said."""
        # Those that were let in before it opened have no say any more.
        has_say = probe or self._opened_at is None
        if error is None:
            if has_say:
                self._close(0)
            return
        if probe:
            self._probing = False
        if counts(error) and has_say:
            self._failures += 1
            if self._failures >= self._threshold:
                self._opened_at = self._clock()

    def _close(self, failures: float) -> None:
        self._failures = failures
        self._opened_at = None
        self._probing = False

    def _wait(self, opened_at: float) -> float:
        return max(0.0, opened_at + self._cooldown - self._clock())

    @property
    def _probe_wait(self) -> float:
        return min(_PROBE_SECONDS, self._cooldown)


class Breakers:
    """The breakers of a service, one for each `provider:model`.

    Args:
        threshold: see `CircuitBreaker`; 0 means none ever opens.
        cooldown: see `CircuitBreaker`.
    """

    def __init__(self, threshold: int = 10, cooldown: float = 30.0) -> None:
        self._threshold = threshold or inf
        self._cooldown = cooldown
        self._of: dict[str, CircuitBreaker] = {}

    @property
    def settings(self) -> tuple[int, float]:
        """The threshold, 0 where none ever opens, and the cooldown."""
        return (0 if self._threshold == inf else int(self._threshold)), self._cooldown

    def of(self, reference: str) -> CircuitBreaker:
        """The breaker of a model."""
        # Of two loops in two threads that ask at once, both must get the same.
        breaker = self._of.setdefault(reference, CircuitBreaker(reference, self._threshold, self._cooldown))
        self._of.pop(reference, None)
        breaker = self._of.setdefault(reference, breaker)
        if len(self._of) > _MOST:
            # The one that nobody has asked for longest; loops in other threads may be at it, too.
            self._of.pop(next(iter(self._of)), None)
        return breaker

    def states(self) -> list[BreakerState]:
        """How those stand that are remembered, by the names of their models."""
        # Copied in one step, which no other thread comes between.
        return sorted((it.seen() for it in [*self._of.values()]), key=lambda state: state.model)

    def reset(self, reference: str) -> None:
        """Forget a model's failures. Requests under way have no say any more."""
        self._of.pop(reference, None)
