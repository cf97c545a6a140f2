"""What came of a request whose tools were called: the steps as they happen, the rounds, and all of them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from ..exceptions import ToolCallError
from ..schemas import LLMResponse, Message, Served, ToolCall, Usage, add_usage

__all__ = ["Round", "ToolCalled", "ToolResult", "ToolRun"]


@dataclass(slots=True)
class ToolCalled:
    """A function is being called.

    Attributes:
        id: the call's, as in `tool_calls`.
        name: the function's.
        arguments: as the model gave them.
    """

    id: str
    name: str
    arguments: Any


@dataclass(slots=True)
class ToolResult:
    """What came of a call. Pickled, a value or an error that cannot be goes as its words.

    Attributes:
        id: the call's, as in `tool_calls`.
        name: the function's.
        arguments: as the model gave them, before they were converted.
        value: what the function returned; `None` where it failed.
        error: what it raised, or a `ToolCallError` where it was not called; `None` where all went well.
        seconds: how long it took.
    """

    id: str
    name: str
    arguments: Any
    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0

    @property
    def told(self) -> Any:
        """What the model is told: the value, or the words of the error."""
        if self.error is None:
            return self.value
        # Half a character, as in the name of a file that is no text, cannot be sent.
        words = str(self.error).encode(errors="backslashreplace").decode()
        if isinstance(self.error, ToolCallError):
            return words
        return f"{type(self.error).__name__}: {words}" if words else type(self.error).__name__

    def to_message(self) -> Message:
        """The turn to append to the conversation.

        Raises:
            ValidationError: the value is one that JSON cannot say.
        """
        return Message(role="tool", tool_call_id=self.id, content=self.told)

    def __reduce__(self) -> tuple[Any, ...]:
        value = self.value if _can_travel(self.value) else repr(self.value)
        error = self.error if _can_travel(self.error) else Exception(self.told)
        return ToolResult, (self.id, self.name, self.arguments, value, error, self.seconds)


def _can_travel(value: Any) -> bool:
    """Whether a value can be pickled and, which is another matter with exceptions, be made again."""
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - it is our own
    except Exception:  # whatever a class has against it
        return False
    return True


@dataclass(slots=True)
class Round:
    """One answer of the model, and what came of its calls, in their order."""

    response: LLMResponse
    results: list[ToolResult] = field(default_factory=list)


@dataclass(slots=True)
class ToolRun:
    """A request whose tools were called until the model had its answer.

    Attributes:
        response: the last answer of the model.
        messages: the whole conversation, the request's messages first: go on with it.
        rounds: each answer of the model with the results of its calls. The last one's called nothing, unless calls
            are pending.
        pending: calls of tools that have no function here. Answer each with a `role="tool"` message, and ask again.
    """

    response: LLMResponse
    messages: list[Message] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    pending: list[ToolCall] = field(default_factory=list)

    @property
    def content(self) -> str:
        """The text of the last answer."""
        return self.response.content

    @property
    def parsed(self) -> Any:
        """The last answer in the form that was asked for."""
        return self.response.parsed

    @property
    def usage(self) -> Usage | None:
        """The tokens of all rounds; `None` where no provider reported any."""
        return reduce(add_usage, [it.response.usage for it in self.rounds], None)

    @property
    def served(self) -> tuple[Served, ...]:
        """Who served, each with its own share of the usage, in order."""
        return tuple(one for it in self.rounds for one in it.response.served)

    @property
    def model(self) -> str:
        """The `provider:model` of the last answer."""
        return self.response.model

    @property
    def response_model(self) -> str | None:
        """The exact model that the provider says gave it."""
        return self.response.response_model

    @property
    def service_tier(self) -> str | None:
        """The tier that it was served in."""
        return self.response.service_tier
