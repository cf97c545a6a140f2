"""What providers say of their limits in the headers of answers, kept where rates are kept, for all who ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from ..exceptions import LLMRingError, ProviderError, ProviderRateLimitError, StoreUnavailableError, is_passing
from ..state.asks import MICRO, Ask, Verdict
from ..state.limits import alone, told_by
from ..stream import ChatStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..record import Records
    from ..routing import Route
    from ..schemas import LLMResponse
    from ..state.desk import Desk
    from ..told import Told
    from .pace import Outcome

__all__ = ["Asked", "Limits", "outcome_of"]

_OVERLOADED = frozenset({408, 500, 502, 503, 504, 529})
_FIRST = 1_000
"""Tokens of a request and its answer, before there are any."""
_PART = 0.05
_ASKED = 1.0
"""Seconds after which a store that is elsewhere is asked again what others have heard."""


class Asked(ChatStream):
    """A request of a map: a model is asked once, for when it is asked again is decided for all rows together."""

    def __init__(self, model: str, start: Callable[[], Route], records: Records, told: Told | None) -> None:
        def once() -> Route:
            route = start()
            route.max_retries = 0
            return route

        super().__init__(model, once, records, told)

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the answer, unless they are heard already, by the gate of an alias with a rate."""
        conduct = self._route.conduct if self._route is not None else None
        counted = conduct is not None and conduct.gate is not None and conduct.policy.rate is not None
        return self._answer.response.headers if self._answer is not None and not counted else {}


class Limits:
    """The limits of whoever serves: in this process, and for all others that share a store.

    Args:
        desk: of this event loop; it is asked for with the first answer.
        forgive: has the breaker of a `provider:model` forget its failures: of a rate, the pace takes care.
    """

    def __init__(self, desk: Callable[[], Desk], forgive: Callable[[str], object]) -> None:
        self._open = desk
        self._forgive = forgive
        self._desk: Desk | None = None
        self._model = ""
        self._tokens = float(_FIRST)
        # What others are told and say, by a store that is elsewhere.
        self._figures: tuple[str, tuple[int, ...]] | None = None
        self._asks_at = self._until = -inf

    def wait(self) -> float:
        """Seconds until a request may be sent; where that is none, it is counted as sent."""
        if self._desk is None:
            return 0.0
        ask = Ask(limit=f"limit:{self._model}", weight=int(self._tokens))
        elsewhere = self._elsewhere(self._desk, ask) if self._desk.is_far else 0.0
        verdict = self._desk.own.at_once((), (ask,)).verdicts[0]
        return max(verdict.wait / MICRO, 0.001, elsewhere) if verdict.no else elsewhere

    def answered(self, stream: Asked, response: LLMResponse) -> None:
        """An answer has come."""
        if response.usage is not None:
            self._tokens += _PART * (response.usage["total_tokens"] - self._tokens)
        self._serves(response.model)
        if (figures := told_by(stream.headers)) is not None:
            self._tell(figures)

    def refused(self, error: ProviderError) -> None:
        """A provider has refused a request for its rate."""
        self._forgive(f"{error.provider}:{error.model}")
        if error.retry_after and error.by_header:
            self._tell(alone(error.retry_after), f"{error.provider}:{error.model}")

    def _serves(self, model: str) -> Desk:
        self._model = model
        if self._desk is None:
            self._desk = self._open()
        return self._desk

    def _tell(self, figures: tuple[int, ...], refused_by: str | None = None) -> None:
        desk = self._serves(refused_by or self._model)
        desk.own.at_once((("limit", f"limit:{self._model}", figures),), ())
        if desk.is_far and refused_by:
            desk.tell(("limit", f"limit:{self._model}", figures))
        elif desk.is_far:
            self._figures = f"limit:{self._model}", figures  # with what is asked next: each answer has some

    def _elsewhere(self, desk: Desk, ask: Ask) -> float:
        """Seconds that others have heard of, by the store: it is asked once a second, and nobody waits for it."""
        now = asyncio.get_running_loop().time()
        if now >= self._asks_at:
            self._asks_at = now + _ASKED
            if self._figures is not None:
                desk.tell(("limit", *self._figures))
                self._figures = None
            with suppress(StoreUnavailableError):  # nothing is counted by it
                answer = desk.ask(ask)
                if not isinstance(answer, Verdict):
                    answer.add_done_callback(self._hear)
        return max(0.0, self._until - now)

    def _hear(self, answer: asyncio.Future[Verdict]) -> None:
        if not answer.cancelled() and answer.exception() is None and (verdict := answer.result()).no:
            self._until = asyncio.get_running_loop().time() + verdict.wait / MICRO


def outcome_of(error: LLMRingError) -> Outcome:
    """What an error says of the pace."""
    if isinstance(error, ProviderRateLimitError):
        return "refused" if error.asked and not error.out_of_credit else "none"
    if isinstance(error, ProviderError) and error.asked and is_passing(error):
        return "overloaded" if error.status_code is None or error.status_code in _OVERLOADED else "none"
    return "none"
