"""The turns of a conversation, and what they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schemas import LLMResponse, Message, Served, Usage, add_usage

__all__ = ["Totals", "Turn"]


@dataclass(slots=True)
class Turn:
    """A question, and what came of it.

    Attributes:
        asked: the alias, or the `provider:model`, that was asked.
        question: one message, or the results of calls.
        answer: what followed on it: the model's turns and the results of its calls. Empty where nothing came.
        outcome: `"whole"`; `"stopped"` for one that was left early, `"failed"` for one that an error ended. Of these,
            `answer` has the text as far as it came.
        error: the words of that error.
        response: the last answer, as far as it came; `None` where nothing did.
        usage: the tokens of all rounds; `None` where none were reported.
        served: who served, each with its share.
        cost: in US dollars; `None` where it is not known, or was not asked for yet.
        seconds: how long it took.
    """

    asked: str
    question: list[Message] = field(default_factory=list)
    answer: list[Message] = field(default_factory=list)
    outcome: Literal["whole", "stopped", "failed"] = "whole"
    error: str | None = None
    response: LLMResponse | None = None
    usage: Usage | None = None
    served: tuple[Served, ...] = ()
    cost: float | None = None
    seconds: float = 0.0

    @property
    def messages(self) -> list[Message]:
        """The turn as the next request tells it; none where nothing was answered."""
        return [*self.question, *self.answer] if self.answer else []

    @property
    def text(self) -> str:
        """The text of the answer, as far as it came."""
        return self.response.content if self.response is not None else ""

    @property
    def model(self) -> str:
        """The `provider:model` that answered."""
        return self.response.model if self.response is not None else self.asked

    @property
    def response_model(self) -> str | None:
        """The exact model that the provider says answered."""
        return self.response.response_model if self.response is not None else None

    @property
    def service_tier(self) -> str | None:
        """The tier that it was served in."""
        return self.response.service_tier if self.response is not None else None


@dataclass(slots=True)
class Totals:
    """What all questions of a conversation took, also those that were taken back or came to nothing.

    Attributes:
        requests: how many were asked.
        usage: their tokens; `None` where none were reported.
        cost: in US dollars; `None` where none is known.
        is_whole: whether that is all: the tokens of each are known, and the cost of each or of none.
    """

    requests: int = 0
    usage: Usage | None = None
    cost: float | None = None
    is_whole: bool = True

    def add(self, turn: Turn) -> None:
        """Count a turn, whose price is known by now if it ever will be."""
        first = not self.requests
        if turn.outcome != "whole" or turn.usage is None or not (first or (turn.cost is None) == (self.cost is None)):
            self.is_whole = False
        self.requests += 1
        self.usage = add_usage(self.usage, turn.usage)
        if turn.cost is not None:
            self.cost = (self.cost or 0.0) + turn.cost
