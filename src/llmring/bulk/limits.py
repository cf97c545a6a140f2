"""What providers say of their limits in the headers of answers, kept where rates are kept, for all who ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..state.asks import MICRO, Ask
from ..state.limits import alone, told_by
from ..stream import ChatStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..exceptions import ProviderError
    from ..record import Records
    from ..routing import Route
    from ..schemas import LLMResponse
    from ..state.stores import ProcessStore
    from ..told import Told

__all__ = ["Asked", "Limits"]

_FIRST = 1_000
"""Tokens of a request and its answer, before there are any."""
_PART = 0.05


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
    """The limits of whoever serves, in this process.

    Args:
        store: of this process; it is asked for with the first answer that has such headers.
        forgive: has the breaker of a `provider:model` forget its failures: of a rate, the pace takes care.
    """

    def __init__(self, store: Callable[[], ProcessStore], forgive: Callable[[str], object]) -> None:
        self._store = store
        self._forgive = forgive
        self._opened: ProcessStore | None = None
        self._model = ""
        self._tokens = float(_FIRST)

    def wait(self) -> float:
        """Seconds until a request may be sent; where that is none, it is counted as sent."""
        if self._opened is None:
            return 0.0
        verdict = self._opened.at_once((), (Ask(limit=f"limit:{self._model}", weight=int(self._tokens)),)).verdicts[0]
        return max(verdict.wait / MICRO, 0.001) if verdict.no else 0.0

    def answered(self, stream: Asked, response: LLMResponse) -> None:
        """An answer has come."""
        if response.usage is not None:
            self._tokens += _PART * (response.usage["total_tokens"] - self._tokens)
        if (figures := told_by(stream.headers)) is not None:
            self._tell(response.model, figures)

    def refused(self, error: ProviderError) -> None:
        """A provider has refused a request for its rate."""
        self._forgive(f"{error.provider}:{error.model}")
        if error.retry_after and error.by_header:
            self._tell(f"{error.provider}:{error.model}", alone(error.retry_after))

    def _tell(self, model: str, figures: tuple[int, ...]) -> None:
        if self._opened is None:
            self._opened = self._store()
        self._model = model
        self._opened.at_once((("limit", f"limit:{model}", figures),), ())
