"""The conversation, for code that awaits nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar, overload

from .. import talk
from ..misuse import AskedConversation
from ..schemas import LLMResponse, Message, Usage
from .loop import BACKGROUND
from .streams import ToolStream

if TYPE_CHECKING:
    from ..talk.conversation import Question

__all__ = ["Conversation"]

T = TypeVar("T")


class _Service(Protocol):
    """The service of this face."""

    @property
    def _service(self) -> Any: ...


class _Shared(Generic[T]):
    """An attribute of the asynchronous conversation, which says whether it may be set."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type[Conversation], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, conversation: None, owner: type[Conversation]) -> Self: ...
    @overload
    def __get__(self, conversation: Conversation, owner: type[Conversation]) -> T: ...
    def __get__(self, conversation: Conversation | None, owner: type[Conversation]) -> Self | T:
        if conversation is None:
            return self
        value: T = getattr(conversation._talk, self._name)
        return value

    def __set__(self, conversation: Conversation, value: T) -> None:
        setattr(conversation._talk, self._name, value)


class Conversation(AskedConversation):
    """A conversation that remembers what was said; see `llmring.talk.Conversation`.

    conversation = service.conversation("chatbot", system="Be brief.")
    print(conversation.ask("Who are you?").content)
    """

    _is_awaited = False
    model = _Shared[str]("Who is asked next: an alias, or `provider:model`.")
    profile = _Shared[str | None]("The profile of the next question.")
    system = _Shared[str | None]("The system prompt of the next question.")
    tools = _Shared[list[Any]]("What the model may call.")
    turns = _Shared[list["talk.Turn"]]("All that was said, oldest first.")
    messages = _Shared[list[Message]]("All that was said, without the system prompt.")
    usage = _Shared[Usage | None](
        "The tokens so far, also of what failed or was taken back; `None` where none were reported."
    )
    cost = _Shared[float | None](
        "US dollars so far, as far as they are known; `totals.is_whole` says whether that is all."
    )
    totals = _Shared["talk.Totals"]("What all questions took.")
    under_way = _Shared["talk.Turn | None"](
        "The turn that is being answered, as far as it has come; `None` where none is."
    )

    def __init__(
        self,
        service: _Service,
        model: str,
        *,
        system: str | None = None,
        tools: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        messages: Sequence[Message] = (),
        profile: str | None = None,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        keep_partial: bool = False,
        **fields: Any,
    ) -> None:
        self._talk = talk.Conversation(
            _asynchronous(service),
            model,
            system=system,
            tools=tools,
            messages=messages,
            profile=profile,
            max_rounds=max_rounds,
            on_error=on_error,
            keep_partial=keep_partial,
            **fields,
        )

    def ask(self, question: Question) -> LLMResponse:
        """Ask, and give the whole answer; with tools, the last one. See `llmring.talk.Conversation.ask`."""
        return BACKGROUND.run(lambda: self._talk.ask(question))

    def stream(self, question: Question) -> ToolStream:
        """Ask, and give the answer as it arrives: `for chunk in conversation.stream("...")`."""
        return ToolStream(self._talk.stream(question))

    def undo(self) -> talk.Turn:
        """Take the last turn back. What it took stays counted."""
        return self._talk.undo()

    def fork(self) -> Conversation:
        """Another conversation that has said the same so far, and goes its own way. It counts from nothing."""
        return self._of(self._talk.fork())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, as JSON that only its owner may read; see `llmring.talk.Conversation.save`."""
        self._talk.save(path)

    def dumped(self) -> str:
        """What `save` writes."""
        return self._talk.dumped()

    @classmethod
    def load(
        cls,
        service: _Service,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        tools: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        **options: Any,
    ) -> Conversation:
        """Go on with a conversation that was saved, by either face; see `llmring.talk.Conversation.load`."""
        made = talk.Conversation.load(_asynchronous(service), path, model=model, tools=tools, **options)
        return cls._of(made)

    @classmethod
    def _of(cls, made: talk.Conversation) -> Conversation:
        conversation = cls.__new__(cls)
        conversation._talk = made
        return conversation


def _asynchronous(service: _Service) -> Any:
    """What does the work; whatever is no service is refused there."""
    return getattr(service, "_service", service)
