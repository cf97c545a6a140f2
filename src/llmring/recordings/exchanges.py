"""One exchange: a request, the model that was asked, and its answer, chunk by chunk. In a file, one line of JSON.

    {"llmring":1,"model":"anthropic:claude-haiku-5-5","request":{"messages":[{"role":"user","content":"Hi"}]},
     "answer":{"chunks":[[412,"Hel"],[3,"lo"]],"finish_reason":"stop","usage":{...},"response_model":"..."}}

The first number of a chunk is how many milliseconds it came after the one before it, 0 for one that came together with
it. What follows is its text; or a table of `text`, `reasoning` and `calls`, where each of the calls is its place, and a
further piece of its arguments, or the call as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast, get_args

from pydantic_core import from_json, to_json

from ..exceptions import ProviderError
from ..references import split_reference
from ..schemas import FinishReason, ToolCall, Usage
from .errors import RecordingError, error_of
from .meaning import key_of, ordered

__all__ = ["VERSION", "Answered", "Called", "Exchange", "Piece", "calls_of"]

VERSION = 1
_FINISH = frozenset(get_args(FinishReason))
_LONGEST = 3_600_000
"""Milliseconds between two chunks."""


class Called(NamedTuple):
    """What a chunk says of one call.

    Attributes:
        at: its place among the calls.
        piece: a further piece of its arguments, or all of them where there is a `name`.
        name, id: of the function and of the call, where it is told as a whole; `None` for a piece.
    """

    at: int
    piece: str
    name: str | None = None
    id: str | None = None


class Piece(NamedTuple):
    """A chunk as a recording has it: how many milliseconds after the one before it, and what it says."""

    wait: int
    text: str = ""
    reasoning: str | None = None
    calls: tuple[Called, ...] | None = None

    def told(self) -> list[Any]:
        """The same as JSON."""
        if self.reasoning is None and self.calls is None:
            return [self.wait, self.text]
        said: dict[str, Any] = {"text": self.text} if self.text else {}
        if self.reasoning is not None:
            said["reasoning"] = self.reasoning
        if self.calls is not None:
            said["calls"] = [
                [it.at, it.piece if it.name is None else {"id": it.id, "name": it.name, "arguments": it.piece}]
                for it in self.calls
            ]
        return [self.wait, said]


@dataclass(slots=True)
class Answered:
    """What a model answered.

    Attributes:
        pieces: its chunks, but for the final one, which the rest is.
        calls: those of the final chunk, where they are other than what the pieces come to.
        error: what it ended in, if not well.
        begun: whether the answer had begun by then.
        left: its reader had enough before it ended; more was never heard.

    What it says of itself is what had come by its end, well or not.
    """

    pieces: Sequence[Piece] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    response_model: str | None = None
    service_tier: str | None = None
    skipped_events: int = 0
    answer_at: int = 0
    unclosed: str = ""
    calls: Sequence[ToolCall] | None = None
    parts: Sequence[dict[str, Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    begun: bool = False
    left: bool = False

    def told(self) -> dict[str, Any]:
        """The same as JSON: what says nothing is left out."""
        said: dict[str, Any] = {"chunks": [it.told() for it in self.pieces]}
        for name in _FACTS:
            if value := getattr(self, name):
                said[name] = value
        return said


_FACTS: Mapping[str, type] = {
    "finish_reason": str,
    "usage": dict,
    "response_model": str,
    "service_tier": str,
    "skipped_events": int,
    "answer_at": int,
    "unclosed": str,
    "calls": list,
    "parts": list,
    "metadata": dict,
    "error": dict,
    "begun": bool,
    "left": bool,
}


@dataclass(slots=False, eq=False)
class Exchange:
    """One line of a recording.

    Attributes:
        model: who answered, `provider:model`.
        request: what was asked, as `meaning` has it.
        answer: what was answered, as JSON.
        stream: whether a stream was asked for.
        test: the test that recorded it, where one did.
        number: of the line, from 1; 0 for one that stands in no file.
        line: itself, without its end.
        occurrence: how many lines before it are the same.
    """

    model: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    stream: bool = True
    test: str | None = None
    number: int = 0
    line: bytes = b""
    occurrence: int = 0

    @classmethod
    def of(
        cls, model: str, request: Mapping[str, Any], answered: Answered, *, stream: bool, test: str | None
    ) -> Exchange:
        """What was asked and answered just now."""
        made = cls(model, request, answered.told(), stream, test)
        made.line = to_json(made.told(), inf_nan_mode="constants", fallback=str)
        return made

    def told(self) -> dict[str, Any]:
        """The same as JSON, in the order in which it is written."""
        said: dict[str, Any] = {"llmring": VERSION, "model": self.model}
        if self.test is not None:
            said["test"] = self.test
        if not self.stream:
            said["stream"] = False
        return {**said, "request": self.request, "answer": self.answer}

    @classmethod
    def read(cls, line: bytes, number: int, path: object = "the recording") -> Exchange:
        """What a line says. Its answer is looked at when it is asked for.

        Raises:
            RecordingError: it is no exchange.
        """

        def refuse(why: str) -> RecordingError:
            return RecordingError(f"{path}, line {number}, is no recorded exchange: {why}. Mend it, or record it anew.")

        try:
            table = from_json(line)
        except ValueError as error:
            raise refuse(f"it is no JSON ({error})") from None
        if not isinstance(table, dict):
            raise refuse("it is no table")
        if table.get("llmring") != VERSION or isinstance(table.get("llmring"), bool):
            raise refuse(f'it does not say "llmring": {VERSION}, the form that this release of llmring reads')
        model, request, answer = table.get("model"), table.get("request"), table.get("answer")
        test, stream = table.get("test"), table.get("stream", True)
        try:
            split_reference(model if isinstance(model, str) else "")
        except Exception:
            raise refuse('its "model" is no provider:model') from None
        if not isinstance(request, dict) or not isinstance(request.get("messages"), list) or not request["messages"]:
            raise refuse('its "request" is no table with "messages"')
        if not isinstance(answer, dict):
            raise refuse('its "answer" is no table')
        if not isinstance(test, str | None) or not isinstance(stream, bool):
            raise refuse('"test" is text, and "stream" is true or false')
        return cls(str(model), ordered(request), answer, stream, test, number, line)

    @cached_property
    def key(self) -> bytes:
        """What it has in common with a request of its meaning."""
        return key_of(self.request)

    @cached_property
    def answered(self) -> Answered:
        """Its answer, checked.

        Raises:
            RecordingError: it is none.
        """
        try:
            return _answered(self.answer, self.model)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise RecordingError(
                f"The answer of line {self.number} of the recording is none: {error}. Mend it, or record it anew."
            ) from None

    def error(self) -> ProviderError | None:
        """The error that it ends in, made anew; `None` where it ends well."""
        table = self.answered.error
        return None if table is None else error_of(table, self.model)

    @property
    def mark(self) -> tuple[bytes, int]:
        """What tells it from all others, wherever in its file it stands."""
        return self.line, self.occurrence


def _answered(said: Mapping[str, Any], model: str) -> Answered:
    facts: dict[str, Any] = {}
    for name, of in _FACTS.items():
        value = said.get(name)
        if value is None:
            continue
        if not isinstance(value, of) or (isinstance(value, int) and of is int and (value is True or value < 0)):
            raise ValueError(f"its `{name}` is of another kind")
        facts[name] = value
    chunks = said.get("chunks", [])
    if not isinstance(chunks, list):
        raise ValueError("its `chunks` are no list")
    known = 0
    pieces: list[Piece] = []
    for position, chunk in enumerate(chunks):
        # Most are text: what each costs is what a replay costs.
        if type(chunk) is list and len(chunk) == 2 and type(chunk[1]) is str and _is_wait(chunk[0]):
            pieces.append(Piece(chunk[0], chunk[1]))
            continue
        try:
            piece = _piece(chunk, known)
        except (ValueError, TypeError, KeyError, IndexError):
            raise ValueError(f"its chunk {position + 1} is none") from None
        known = max([known, *(it.at + 1 for it in piece.calls or ())])
        pieces.append(piece)
    _check(facts, model)
    return Answered(pieces, **facts)


def _check(facts: Mapping[str, Any], model: str) -> None:
    finish = facts.get("finish_reason")
    if finish is not None and finish not in _FINISH:
        raise ValueError("its `finish_reason` is none of " + ", ".join(sorted(_FINISH)))
    ends = [name for name in ("finish_reason", "error", "left") if facts.get(name)]
    if len(ends) != 1:
        raise ValueError("it ends in one of `finish_reason`, `error` and `left`")
    if any(not isinstance(it, int) or isinstance(it, bool) for it in facts.get("usage", {}).values()):
        raise ValueError("its `usage` are no numbers of tokens")
    if facts.get("usage") and {"prompt_tokens", "completion_tokens", "total_tokens"} - facts["usage"].keys():
        raise ValueError("its `usage` lacks `prompt_tokens`, `completion_tokens` or `total_tokens`")
    if any(not isinstance(it, dict) for it in facts.get("parts", ())):
        raise ValueError("its `parts` are no tables")
    for call in facts.get("calls", ()):
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            raise ValueError("its `calls` are none")
        texts = call.get("id"), call["function"].get("name"), call["function"].get("arguments")
        if any(not isinstance(it, str) for it in texts):
            raise ValueError("its `calls` are none")
    if facts.get("error") is not None:
        error_of(facts["error"], model)


def _is_wait(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LONGEST


def _piece(chunk: Any, known: int) -> Piece:
    wait, said = chunk
    if not _is_wait(wait):
        raise ValueError
    text, reasoning, calls = said.get("text", ""), said.get("reasoning"), said.get("calls")
    if not isinstance(text, str) or not isinstance(reasoning, str | None):
        raise TypeError
    if calls is None:
        return Piece(wait, text, reasoning)
    told = []
    for at, it in calls:
        if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at <= known:
            raise ValueError
        if isinstance(it, str):
            if at == known:
                raise ValueError
            told.append(Called(at, it))
        else:
            whole = cast(tuple[str, str, str], (it["id"], it["name"], it["arguments"]))
            if any(not isinstance(text, str) for text in whole):
                raise TypeError
            known = max(known, at + 1)
            told.append(Called(at, whole[2], whole[1], whole[0]))
    return Piece(wait, text, reasoning, tuple(told))


def calls_of(answered: Answered) -> list[tuple[str, str, list[str]]]:
    """The calls of an answer, whole: each its id, its function's name, and the pieces of its arguments."""
    if answered.calls is not None:
        return [(it["id"], it["function"]["name"], [it["function"]["arguments"]]) for it in answered.calls]
    told: list[tuple[str, str, list[str]]] = []
    for piece in answered.pieces:
        for at, arguments, name, id in piece.calls or ():
            if name is None:
                told[at][2].append(arguments)
            elif at < len(told):
                told[at] = (id or "", name, [arguments])
            else:
                told.append((id or "", name, [arguments]))
    return told
