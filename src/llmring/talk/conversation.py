"""A conversation: what was said so far, and what the next request makes of it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol, Self

from pydantic import ValidationError

from .. import parts
from .. import request as requests
from ..exceptions import ConfigurationError, InvalidRequestError, LLMRingError
from ..misuse import AskedConversation, awaited
from ..schemas import Answered, LLMRequest, LLMResponse, Message, Usage, add_usage
from . import saved
from .functions import Functions
from .loop import OnError, ToolStream
from .turns import Totals, Turn

__all__ = ["Conversation", "Question"]

Question = str | Sequence[dict[str, Any]] | Message | Sequence[Message]
_OWN = ("model", "messages", "tools")


class _Priced(Protocol):
    @property
    def total(self) -> float | None: ...


class _Service(Protocol):
    def _turns(
        self,
        begin: Callable[[ToolStream], Awaitable[Functions]],
        profile: str | None,
        *,
        streaming: bool,
        **options: Any,
    ) -> ToolStream: ...

    def calculate_cost(self, response: Answered) -> _Priced: ...


class Conversation(AskedConversation):
    """A conversation that remembers what was said.

        conversation = service.conversation("chatbot", system="Be brief.")
        response = await conversation.ask("Who are you?")
        async for chunk in conversation.stream("Since when?"):
            ...

    A turn is kept once it is whole. Of one that fails, or is left early, nothing is: the next question follows on the
    last whole answer, and the error has what had come in `partial`. It takes one question at a time.

    Args:
        service: who asks.
        model, system, tools, messages, profile, max_rounds, on_error, fields: see `LLMRing.conversation`.
        keep_partial: keep turns that failed or were left early, too, with the text as far as it came.

    Attributes:
        model, profile, system, tools: of the next question; they may be changed.
        turns: all that was said, oldest first.
    """

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
        on_error: OnError = "tell",
        keep_partial: bool = False,
        **fields: Any,
    ) -> None:
        if not hasattr(service, "_turns"):
            raise ConfigurationError(
                f"A conversation takes a service, and {type(service).__name__} is none: Conversation(service, model). "
                "That of llmring.sync is llmring.sync.Conversation."
            )
        if own := [name for name in _OWN if name in fields]:
            raise ConfigurationError(f"A conversation has its own {own[0]}; it is no field of its requests.")
        self._service = service
        self.model = model
        self.system = system
        self.profile = profile
        self.tools = list(tools)
        self.turns: list[Turn] = []
        self._fields = fields
        self._options: dict[str, Any] = {
            "max_rounds": requests.number(max_rounds, "max_rounds", 1),
            "on_error": on_error,
        }
        self._keep_partial = keep_partial
        self._totals = Totals()
        self._unpriced: list[Turn] = []
        self._busy: weakref.ref[ToolStream] | None = None
        # Of the question under way: who is asked, what, and since when.
        self._now: tuple[str, list[Message], float] = (model, [], 0.0)
        self._request([])  # what is no field of a request is said now
        if messages:
            self.turns.append(Turn(model, answer=list(messages)))

    @awaited
    async def ask(self, question: Question) -> LLMResponse:
        """Ask, and give the whole answer; with tools, the last one. `turns[-1]` has all of it.

        Args:
            question: text, parts (see `llmring.parts`), a message, or the messages that answer pending calls.

        Raises:
            InvalidRequestError: no provider could take the request, or calls are not answered yet.
            LLMRingError: another question is under way.
            ProviderError: as `LLMRing.chat` does.
        """
        return (await self._stream(question, streaming=False).final_run()).response

    def stream(self, question: Question) -> ToolStream:
        """Ask, and give the answer as it arrives: `async for chunk in conversation.stream("...")`.

        With tools, it gives what `LLMRing.stream_tools` does. Nothing is sent before the first chunk is asked for.

        Args:
            question: as for `ask`.
        """
        return self._stream(question, streaming=True)

    @property
    def messages(self) -> list[Message]:
        """All that was said, without the system prompt."""
        return [message for turn in self.turns for message in turn.messages]

    @property
    def usage(self) -> Usage | None:
        """The tokens so far, also of what failed or was taken back; `None` where none were reported."""
        return self.totals.usage

    @property
    def cost(self) -> float | None:
        """US dollars so far, as far as they are known; `totals.is_whole` says whether that is all."""
        return self.totals.cost

    @property
    def totals(self) -> Totals:
        """What all questions took."""
        while self._unpriced:
            turn = self._unpriced.pop(0)
            if turn.response is not None and turn.usage is not None:
                turn.cost = self._service.calculate_cost(turn).total
            self._totals.add(turn)
        return self._totals

    @property
    def under_way(self) -> Turn | None:
        """The turn that is being answered, as far as it has come; `None` where none is."""
        stream = self._busy() if self._busy is not None else None
        return self._turn(stream, None) if stream is not None else None

    def undo(self) -> Turn:
        """Take the last turn back. What it took stays counted.

        Raises:
            LLMRingError: nothing was said yet.
        """
        if not self.turns:
            raise LLMRingError("Nothing was said yet, so there is nothing to take back.")
        return self.turns.pop()

    def fork(self) -> Conversation:
        """Another conversation that has said the same so far, and goes its own way. It counts from nothing."""
        other = type(self)(
            self._service,
            self.model,
            system=self.system,
            tools=self.tools,
            profile=self.profile,
            keep_partial=self._keep_partial,
            **self._options,
            **self._fields,
        )
        other.turns = [replace(turn, question=[*turn.question], answer=[*turn.answer]) for turn in self.turns]
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, as JSON that only its owner may read; one that is there is replaced whole.

        It has the messages with all that a provider wants back, tokens and cost, and those fields of the request that
        JSON can say. Functions it has not: `load` is given them again.

        Raises:
            OSError: it cannot be written.
        """
        saved.replace(path, self.dumped())

    def dumped(self) -> str:
        """What `save` writes."""
        definitions = [it for it in self.tools if isinstance(it, dict)]
        fields = {**self._fields, **({"tools": definitions} if definitions else {})}
        return saved.dumped(self.model, self.profile, self.system, fields, self.turns, self.totals)

    @classmethod
    def load(
        cls,
        service: _Service,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        tools: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        **options: Any,
    ) -> Self:
        """Go on with a conversation that was saved, with the same model or another one.

        Args:
            service: who asks.
            path: the file.
            model: instead of the file's.
            tools: functions, beside the definitions that the file has.
            options: as for a new one, each instead of the file's.

        Raises:
            ConfigurationError: it is no conversation, or of a later version.
            OSError: it cannot be read.
        """
        file = saved.read(path)
        try:
            LLMRequest(model=file.model, messages=[], **file.request)
        except (ValidationError, TypeError) as error:
            raise ConfigurationError(f"{path} has fields of requests that are none: {error}") from None
        given: dict[str, Any] = {"system": file.system, "profile": file.profile, **file.request, **options}
        listed = [*tools, *(given.pop("tools", None) or [])]
        made = cls(service, model or file.model, tools=listed, **given)
        made.turns = [it.turn() for it in file.turns] + made.turns
        made._totals = file.totals.totals()
        return made

    def _stream(self, question: Question, *, streaming: bool) -> ToolStream:
        # Neither may hold the stream: one that is dropped is to be noticed.
        async def begin(stream: ToolStream) -> Functions:
            if self._busy is not None and self._busy() is not None:
                raise LLMRingError(
                    "This conversation waits for an answer already, and takes one question at a time. Await that "
                    "answer, or close its stream."
                )
            self._busy, self._now = weakref.ref(stream), (self.model, [], monotonic())
            try:
                messages = await self._loaded(_messages(question))
                self._now[1].extend(messages)
                said = [*self.messages, *messages]
                _check_calls(said)
                return Functions(self._request(said), self.tools)
            except BaseException:
                self._busy = None
                raise

        def ended(stream: ToolStream, error: BaseException | None) -> None:
            self._busy = None
            turn = self._turn(stream, error)
            self._unpriced.append(turn)
            if turn.outcome == "whole" or self._keep_partial:
                self.turns.append(turn)

        return self._service._turns(begin, self.profile, streaming=streaming, ended=ended, **self._options)

    def _turn(self, stream: ToolStream, error: BaseException | None) -> Turn:
        asked, question, began = self._now
        return _turn(asked, question, stream, error, monotonic() - began)

    def _request(self, messages: Sequence[Message]) -> LLMRequest:
        system = [Message(role="system", content=self.system)] if self.system else []
        return LLMRequest(model=self.model, messages=[*system, *messages], **self._fields)

    async def _loaded(self, messages: list[Message]) -> list[Message]:
        """The messages with their files read in, so that they stay what they were."""
        if not any(isinstance(message.content, list) for message in messages):
            return messages
        return (await parts.load(LLMRequest(model=self.model, messages=messages))).messages


def _check_calls(messages: list[Message]) -> None:
    """Refuse a question where calls wait for their results: no provider takes it."""
    waiting: dict[str, str] = {}
    for message in messages:
        waiting.update({call["id"]: call["function"]["name"] for call in message.tool_calls or ()})
        waiting.pop(message.tool_call_id or "", None)
    if waiting:
        raise InvalidRequestError(
            f"The model waits for what came of {', '.join(f'{name} ({id})' for id, name in waiting.items())}. Answer "
            'each call first, all together: ask([Message(role="tool", tool_call_id=..., content=...)]). Or take the '
            "turn back: undo()."
        )


def _messages(question: Question) -> list[Message]:
    if isinstance(question, Message):
        return [question]
    if isinstance(question, str):
        return [Message(role="user", content=question)]
    listed = list(question) if isinstance(question, Sequence) else []
    messages = [it for it in listed if isinstance(it, Message)]
    if not listed or len(messages) not in (0, len(listed)):
        raise InvalidRequestError("A question is text, a list of parts, a message, or a list of messages.")
    return messages or [Message(role="user", content=[it for it in listed if isinstance(it, dict)])]


def _turn(asked: str, question: list[Message], stream: ToolStream, error: BaseException | None, seconds: float) -> Turn:
    """What came of a question."""
    run, response = stream.run, stream.response
    turn = Turn(asked, question, run.messages[stream.given :], seconds=seconds)
    turn.usage, turn.served = run.usage, run.served
    has_come = bool(response.content or response.reasoning or response.tool_calls or response.finish_reason)
    turn.response = response if has_come else None
    if stream.is_whole:
        return turn
    turn.outcome = "failed" if isinstance(error, Exception) else "stopped"
    turn.error = str(error) if isinstance(error, Exception) else None
    # Calls without results are nothing that could be told, and what a provider wants back holds for whole answers only.
    if turn.answer and turn.answer[-1].tool_calls:
        turn.answer.pop()
    if response.finish_reason is None:
        turn.usage, turn.served = add_usage(run.usage, response.usage), (*run.served, *response.served)
        if response.content:
            turn.answer.append(Message(role="assistant", content=response.content))
    return turn
