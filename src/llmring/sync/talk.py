"""The loop of calls and the conversation, for code that awaits nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from .. import talk
from ..schemas import LLMResponse, Message, Usage
from .loop import BACKGROUND

if TYPE_CHECKING:
    from ..talk.conversation import Question
    from ..talk.loop import Step
    from .service import LLMRing

__all__ = ["Conversation", "ToolStream"]


class ToolStream:
    """What happens while a model calls functions: iterate it with `for`. See `llmring.talk.ToolStream`.

    Functions that are not async run in threads of their own, those that are in the loop of this face.
    """

    def __init__(self, stream: talk.ToolStream) -> None:
        self._stream = stream

    def __iter__(self) -> ToolStream:
        return self

    def __next__(self) -> Step:
        step = self._stream.at_hand() or BACKGROUND.run(self._next)
        if step is None:
            raise StopIteration
        return step

    async def _next(self) -> Step | None:
        return await anext(self._stream, None)

    def __enter__(self) -> ToolStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def response(self) -> LLMResponse:
        """The answer under way, or else the last one."""
        return self._stream.response

    @property
    def run(self) -> talk.ToolRun:
        """All that was said and done so far: whole answers, and the results of those calls that are done."""
        return self._stream.run

    @property
    def is_whole(self) -> bool:
        """Whether the model has its answer, or only calls are left that are the caller's."""
        return self._stream.is_whole

    def final_run(self) -> talk.ToolRun:
        """Read to the end, and give all of it; see `llmring.talk.ToolStream.final_run`."""
        return BACKGROUND.run(self._stream.final_run)

    def cancel(self) -> None:
        """End it from another thread: the loop that reads it ends, without an error and without an answer."""
        BACKGROUND.soon(self._stream.cancel)

    def close(self) -> None:
        """Cancel the functions under way, and close the connection."""
        BACKGROUND.run(self._stream.aclose)


class Conversation:
    """A conversation that remembers what was said; see `llmring.talk.Conversation`.

    conversation = service.conversation("chatbot", system="Be brief.")
    print(conversation.ask("Who are you?").content)
    """

    def __init__(
        self,
        service: LLMRing,
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

    @property
    def model(self) -> str:
        """Who is asked next: an alias, or `provider:model`."""
        return self._talk.model

    @model.setter
    def model(self, model: str) -> None:
        self._talk.model = model

    @property
    def profile(self) -> str | None:
        """The profile of the next question."""
        return self._talk.profile

    @profile.setter
    def profile(self, profile: str | None) -> None:
        self._talk.profile = profile

    @property
    def system(self) -> str | None:
        """The system prompt of the next question."""
        return self._talk.system

    @system.setter
    def system(self, system: str | None) -> None:
        self._talk.system = system

    @property
    def tools(self) -> list[Any]:
        """What the model may call."""
        return self._talk.tools

    @tools.setter
    def tools(self, tools: Sequence[Any]) -> None:
        self._talk.tools = list(tools)

    @property
    def turns(self) -> list[talk.Turn]:
        """All that was said, oldest first."""
        return self._talk.turns

    @property
    def messages(self) -> list[Message]:
        """All that was said, without the system prompt."""
        return self._talk.messages

    @property
    def usage(self) -> Usage | None:
        """The tokens so far, also of what failed or was taken back; `None` where none were reported."""
        return self._talk.usage

    @property
    def cost(self) -> float | None:
        """US dollars so far, as far as they are known; `totals.is_whole` says whether that is all."""
        return self._talk.cost

    @property
    def totals(self) -> talk.Totals:
        """What all questions took."""
        return self._talk.totals

    @property
    def under_way(self) -> talk.Turn | None:
        """The turn that is being answered, as far as it has come; `None` where none is."""
        return self._talk.under_way

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
        service: LLMRing,
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


def _asynchronous(service: LLMRing) -> Any:
    """What does the work; whatever is no service is refused there."""
    return getattr(service, "_service", service)
