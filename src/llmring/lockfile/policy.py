"""How an alias is served, beside who serves it: the keys of a binding that share, hold back, hurry or bound requests.

A file that has none of these keys never imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "MOVES",
    "PERIODS",
    "Budget",
    "Move",
    "Period",
    "Policy",
    "Rate",
    "Split",
    "StateSettings",
    "each",
]

Move = Literal["content_filter", "empty", "context_length"]
"""An end of an answer after which the next model may be asked."""
Period = Literal["second", "minute", "hour", "day", "month"]
"""What a rate or a budget is counted by."""
MOVES: Mapping[Move, str] = {
    "content_filter": "the answer was stopped by the provider's filter",
    "empty": "the answer ended well and says nothing",
    "context_length": "the provider said that the input does not fit",
}
"""What `move_on` may hold, and when that is so."""
PERIODS: Mapping[Period, float] = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
"""The periods of one length, in seconds; a month has none."""


def each(period: str) -> str:
    """A period, as one says it: `"a minute"`, `"an hour"`."""
    return f"an {period}" if period == "hour" else f"a {period}"


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of the first place.

    Attributes:
        weights: one for each model, in their order: 0 or more, not all of them 0.
        by: the key of `request.metadata` whose value chooses the side; `None` leaves that to the conversation.
        generation: another one draws everybody's side anew.
    """

    weights: tuple[float, ...]
    by: str | None = None
    generation: int = 0

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights as parts of 1."""
        total = sum(self.weights)
        return tuple(weight / total for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast an alias may ask.

    Attributes:
        requests, tokens: how many of them; `None` for one sets no bound to it, and one of the two is set.
        per: in which time.
    """

    requests: int | None
    tokens: int | None
    per: Period

    @property
    def seconds(self) -> float:
        """How long the period is."""
        return PERIODS[self.per]


@dataclass(frozen=True, slots=True)
class Budget:
    """What an alias may cost.

    Attributes:
        usd: US dollars,
        per: in an hour, a day or a month.
        by: the key of `request.metadata` of which each value has a budget of its own; `None` is one for all.
        unpriced: what is done with a model whose price is not known: `"refuse"`, or `"allow"`.
    """

    usd: float
    per: Period
    by: str | None = None
    unpriced: Literal["refuse", "allow"] = "refuse"


@dataclass(frozen=True, slots=True)
class Policy:
    """How an alias is served. What the file does not say is `None` or empty.

    Attributes:
        params: the defaults of a model alone, by its `provider:model`; they win over the binding's.
        split: the shares of the first place.
        sticky: for how many seconds a conversation stays with the model that served it.
        hedge_after: after how many seconds without a first chunk the next model is asked, too; `"p95"` takes them from
            the alias's own times.
        deadline: seconds for a whole request, where it names none itself.
        move_on: ends of an answer after which the next model is asked, beside those that always move on.
        on_refused_param: whether a request is made once more without a parameter that its model refuses (`"drop"`).
        rate: how fast it may ask.
        budget: what it may cost.
    """

    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    split: Split | None = None
    sticky: float | None = None
    hedge_after: float | Literal["p95"] | None = None
    deadline: float | None = None
    move_on: tuple[Move, ...] = ()
    on_refused_param: Literal["error", "drop"] = "error"
    rate: Rate | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class StateSettings:
    """The `[state]` table: where counts, budgets and breakers live.

    Attributes:
        url_env: the environment variable that holds the store's address; `None`, and one that is not set, is this
            process alone.
        on_failure: what happens to requests while the store is away: `"open"`, they are made, or `"closed"`.
    """

    url_env: str | None = None
    on_failure: Literal["open", "closed"] = "open"
